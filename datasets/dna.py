"""Synthetic DNA databases of any size with their ground truth: see CARD.md for what they model."""

import csv
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcc_match.datasets.frequencies import DATA, MILLION, populations
from pcc_match.datasets.profiles import TRUTH, Laboratories, kits
from pcc_match.dna.columns import ProfileColumns
from pcc_match.dna.files import write_csv
from pcc_match.dna.profile import KINDS
from pcc_match.output import complete_file

VERSION = 1  # of the model: a change of any profile for any seed raises it
MOST_PROFILES = 1 << 32
BATCH = 1 << 16


@dataclass(frozen=True)
class State:
    """A state that takes part; data/states.toml has five."""

    code: str  # ISO 3166-1 alpha-2
    frequencies: tuple[str, ...]  # populations; the first that has a locus gives its frequencies
    share: int  # of all profiles, relative to the other states' shares
    kits: Mapping[str, int]  # kit -> share of the state's profiles typed with it

    def __post_init__(self) -> None:
        if len(self.code) != 2 or not (self.code.isascii() and self.code.isupper()):
            raise ValueError(f"state {self.code!r}: not a code of two capital letters")
        unknown = sorted({*self.frequencies} - {*populations()}) + sorted({*self.kits} - {*kits()})
        if unknown:
            raise ValueError(f"state {self.code}: unknown frequencies or kit {unknown[0]!r}")
        if self.share < 1 or not self.kits or min(self.kits.values()) < 0 or not sum(self.kits.values()):
            raise ValueError(f"state {self.code}: share is at least 1, and one kit's share, too")


@cache
def default_states() -> tuple[State, ...]:
    with (DATA / "states.toml").open("rb") as file:
        tables = tomllib.load(file)
    return tuple(
        State(code, tuple(table["frequencies"]), table["share"], MappingProxyType(table["kits"]))
        for code, table in tables.items()
    )


@dataclass(frozen=True)
class DnaModel:
    """How people and laboratories behave. Rates are per million: of profiles if nothing else is said."""

    theta: int = 10_000  # co-ancestry within a community, against its state's frequencies
    communities: int = 8  # in each state
    kinds: tuple[int, int, int, int] = (790_000, 200_000, 4_000, 6_000)  # shares of person, stain, missing, remains
    copies: int = 30_000  # profiles of a person who has an earlier one
    abroad: int = 800_000  # of the copies: in another state
    relatives: int = 10_000  # people with an earlier person as parent, child (half of them) or full sib
    men: int = 800_000  # of people
    rare: int = 5_000  # people with an allele off all tables
    three_alleles: int = 1_000  # people with three alleles at one locus
    errors: tuple[int, int, int, int] = (1_000, 4_000, 2_000, 4_000)  # one allele mistyped, by kind
    wildcards: tuple[int, int, int, int] = (5_000, 60_000, 10_000, 60_000)  # wildcard at a locus, by kind
    second_wildcard: int = 200_000  # of those: at a second locus, too
    mixtures: int = 20_000  # of stains: of two or three people
    third_person: int = 300_000  # of mixtures
    # Stains and remains by degree: share; per million, the chance to see an allele of length 0, and what every 10 bases
    # leave of it.
    degradation: tuple[tuple[int, int, int], ...] = (
        (50, MILLION, MILLION),
        (20, 980_000, 990_000),
        (15, 960_000, 980_000),
        (10, 940_000, 960_000),
        (5, 920_000, 930_000),
    )
    least_loci: int = 4  # a laboratory does not store less

    def __post_init__(self) -> None:
        rates = [self.copies, self.abroad, self.relatives, self.men, self.rare, self.three_alleles]
        rates += [self.mixtures, self.third_person, self.second_wildcard, *self.errors, *self.wildcards]
        rates += [rate for _, *pair in self.degradation for rate in pair]
        if not all(0 <= rate <= MILLION for rate in rates) or not 0 <= self.theta < MILLION:
            raise ValueError("a rate is 0 to 1,000,000 per million, theta less than 1,000,000")
        if not 1 <= self.communities <= 1000 or min(self.kinds) < 0 or sum(self.kinds) < 1:
            raise ValueError("communities are 1 to 1000, and one share of the kinds is above 0")


def synthesize(
    count: int,
    seed: int,
    *,
    states: Sequence[State] | None = None,
    model: DnaModel | None = None,
    batch: int = BATCH,
) -> Iterator[tuple[ProfileColumns, NDArray[Any]]]:
    """Profiles 0 to count - 1 of a data set in batches, each with its truth (structured array, dtype TRUTH).

    The same count of profiles, seed, states and model give the same bits on every machine and for any batch; a larger
    count only adds profiles. Five states by default (data/states.toml).
    """
    if batch < 1:
        raise ValueError(f"batch {batch} is less than 1")
    laboratories = _laboratories(count, seed, default_states() if states is None else states, model or DnaModel())
    return map(laboratories.make, _numbers(count, batch))


def _laboratories(count: int, seed: int, states: Sequence[State], model: DnaModel) -> Laboratories:
    if not 0 <= count <= MOST_PROFILES:
        raise ValueError(f"count {count:,} is not 0 to {MOST_PROFILES:,}")
    if len({state.code for state in states}) != len(states) or not 1 <= len(states) <= 255:
        raise ValueError("states are 1 to 255, each with a code of its own")
    return Laboratories(seed, states, model)


def _numbers(count: int, batch: int) -> Iterator[NDArray[np.int64]]:
    return (np.arange(start, min(start + batch, count), dtype=np.int64) for start in range(0, count, batch))


def write_dataset(
    folder: str | os.PathLike[str],
    count: int,
    seed: int,
    *,
    states: Sequence[State] | None = None,
    model: DnaModel | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[Path]:
    """Writes `<state>.csv` (wide table of profiles) for each state, truth.csv and CARD.md; returns their paths.

    truth.csv has a row for each profile, in the order of the files: id, then the fields of TRUTH. Each file appears
    when it is complete, the card last. progress(profiles written so far) is called after each batch.
    """
    folder = Path(folder)
    states, model = default_states() if states is None else states, model or DnaModel()
    laboratories = _laboratories(count, seed, states, model)
    origin = np.concatenate([np.empty(0, np.uint8), *map(laboratories.states, _numbers(count, BATCH))])
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{state.code}.csv" for state in states]
    done, written = 0, []
    with complete_file(folder / "truth.csv") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["id", *(TRUTH.names or ())])

        def batches(numbers: NDArray[np.int64]) -> Iterator[ProfileColumns]:
            nonlocal done
            for start in range(0, len(numbers), BATCH):
                columns, truth = laboratories.make(numbers[start : start + BATCH])
                writer.writerows(_truth_rows(columns, truth, states))
                yield columns
                done += len(columns)
                if progress is not None:
                    progress(done)

        for place, path in enumerate(paths):
            written.append(write_csv(batches(np.flatnonzero(origin == place)), path))
    with complete_file(folder / "CARD.md") as file:
        file.write(_card(seed, states, model, written))
    return [*paths, folder / "truth.csv", folder / "CARD.md"]


def _truth_rows(
    columns: ProfileColumns, truth: NDArray[Any], states: Sequence[State]
) -> Iterator[tuple[str | int, ...]]:
    values = {name: truth[name].tolist() for name in TRUTH.names or ()}
    for name, words in {
        "state": [state.code for state in states],
        "kind": KINDS,
        "relation": ("", "parent-child", "full-sibs"),
    }.items():
        values[name] = [words[value] for value in values[name]]
    return zip(columns.ids, *values.values(), strict=True)


def _card(seed: int, states: Sequence[State], model: DnaModel, written: Sequence[int]) -> str:
    """The card of the model, and of this data set."""
    lines = [
        (DATA.parent / "CARD.md").read_text("utf-8"),
        "## This data set\n",
        f"{sum(written):,} profiles, seed {seed}, version {VERSION} of the model.\n",
        "| state | profiles | share | frequencies | kits |",
        "|---|---|---|---|---|",
    ]
    for state, count in zip(states, written, strict=True):
        used = ", ".join(f"{kit} {share}" for kit, share in state.kits.items())
        lines.append(f"| {state.code} | {count:,} | {state.share} | {', '.join(state.frequencies)} | {used} |")
    lines += ["", "| parameter | value |", "|---|---|"]
    lines += [f"| {field.name} | {getattr(model, field.name)} |" for field in fields(model)]
    return "\n".join(lines) + "\n"
