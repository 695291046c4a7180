"""The pattern classes of fingers: how frequent each is, and where its cores and deltas lie (data/patterns.toml)."""

import tomllib
from dataclasses import dataclass
from functools import cache

from pcc_match.datasets.frequencies import DATA

CORE, DELTA, NO_POINT = 1, -1, 0
MOST_POINTS = 4

Point = tuple[int, int, int, int, int]  # CORE or DELTA, mean x and y, spread of x and y


@dataclass(frozen=True)
class Pattern:
    """A class; see data/patterns.toml for the units. `points` is filled up to four with points that are none."""

    name: str
    share: tuple[int, int]
    arching: int
    points: tuple[Point, ...]


@cache
def patterns() -> tuple[Pattern, ...]:
    """The five classes in the order of PATTERNS."""
    with (DATA / "patterns.toml").open("rb") as file:
        tables = tomllib.load(file)
    made = []
    for name, table in tables.items():
        points = [(CORE, *point) for point in table["cores"]] + [(DELTA, *point) for point in table["deltas"]]
        points += [(NO_POINT, 0, 0, 0, 0)] * (MOST_POINTS - len(points))
        made.append(Pattern(name, tuple(table["share"]), table["arching"], tuple(points)))
    return tuple(made)


PATTERNS = ("arch", "tented-arch", "left-loop", "right-loop", "whorl")
