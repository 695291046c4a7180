"""Synthetic DNA databases of any size with their ground truth: see CARD.md for what they model."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcc_match.datasets.frequencies import DATA, MILLION, populations
from pcc_match.datasets.profiles import Laboratories, kits
from pcc_match.dna.columns import ProfileColumns

VERSION = 1  # of the model: a change of any profile for any seed raises it
MOST_PROFILES = 1 << 32


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
    batch: int = 1 << 16,
) -> Iterator[tuple[ProfileColumns, NDArray[Any]]]:
    """Profiles 0 to count - 1 of a data set in batches, each with its truth (structured array, dtype TRUTH).

    The same count of profiles, seed, states and model give the same bits on every machine and for any batch; a larger
    count only adds profiles. Five states by default (data/states.toml).
    """
    if not 0 <= count <= MOST_PROFILES:
        raise ValueError(f"count {count:,} is not 0 to {MOST_PROFILES:,}")
    if batch < 1:
        raise ValueError(f"batch {batch} is less than 1")
    states = default_states() if states is None else states
    if len({state.code for state in states}) != len(states) or not 1 <= len(states) <= 255:
        raise ValueError("states are 1 to 255, each with a code of its own")
    laboratories = Laboratories(seed, states, model or DnaModel())
    return (
        laboratories.make(np.arange(start, min(start + batch, count), dtype=np.int64))
        for start in range(0, count, batch)
    )
