"""Comparison trials of known truth: blocks of scores go in; exact counts, search outcomes, the worst mistakes stay."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcc_match.evaluation.histograms import I64, Histogram, integer_scores

Bools = NDArray[np.bool_]

MOST_UNITS: Final = 64
"""Resampling units: each subject is one, or, where there are more subjects, each is in one of 64 groups by lot."""
NEVER: Final = -(1 << 31) - 1
"""Below every score: that of a comparison that was not made."""

MISTAKE = np.dtype([("score", np.int64), ("probe", np.int64), ("reference", np.int64)])


@dataclass(frozen=True, eq=False)
class Searches:
    """What became of each probe searched among all references; columns of one entry a probe.

    A probe is mated if a reference counted for it is of its subject. `mate` is the best score of such a reference;
    `rank` 1 + the number of non-mated references that score as high or higher: a tie counts against the mate, so that a
    comparator that cannot tell people apart gets no credit for the order of the gallery. `other` is the best score of
    a non-mated reference. Both scores are NEVER where there is no such reference.
    """

    subject: I64
    mate: I64
    rank: I64
    other: I64

    @property
    def mated(self) -> Bools:
        mated: Bools = self.mate != NEVER
        return mated


class Trials:
    """Collects comparisons of probes with references whose subjects are known, as numbers 0 .. subjects - 1.

    Mated comparisons are of one subject (for fingerprints: one finger of one person), all others are non-mated
    (ISO/IEC 2382-37, 37.09.01 and 37.03.34). `worst` says how many of the worst mistakes of each kind are kept.
    """

    def __init__(self, subjects: int, *, seed: int = 1, worst: int = 6) -> None:
        self.subjects, self.seed, self.worst = subjects, seed, worst
        self.units = max(1, min(subjects, MOST_UNITS))
        self.unit: I64 = np.arange(subjects)
        if subjects > MOST_UNITS:
            self.unit = np.random.default_rng(seed).permutation(subjects) % MOST_UNITS
        self.pairs = np.stack(np.triu_indices(self.units))  # (2, pairs): the two units of each cell of `nonmated`
        self._cell = np.zeros((self.units, self.units), np.int64)
        self._cell[tuple(self.pairs)] = self._cell[tuple(self.pairs[::-1])] = np.arange(self.pairs.shape[1])
        self.mated, self.nonmated = Histogram(), Histogram()  # cells: the unit; the pair of units
        self.worst_mates = self.worst_nonmates = np.empty(0, MISTAKE)
        self._searches: list[Searches] = []
        self._probes = 0

    def add(
        self,
        scores: ArrayLike,
        probes: ArrayLike,
        references: ArrayLike,
        *,
        first: int | None = None,
        left_out: ArrayLike | None = None,
    ) -> None:
        """A block of whole rows: integer scores (P, R) of P probes with all R references, and the subject of each.

        first: for prints of one set compared with each other, the place of the first probe among the references. Each
        pair then counts once, and no print with itself. left_out: bool (P, R), comparisons that do not count.
        """
        values = integer_scores(scores)
        probe, reference = np.asarray(probes, np.int64), np.asarray(references, np.int64)
        if values.shape != (len(probe), len(reference)):
            raise ValueError(f"{values.shape} scores for {len(probe)} probes and {len(reference)} references")
        searched = np.ones(values.shape, bool) if left_out is None else ~np.asarray(left_out, bool)
        once = searched
        if first is not None:
            row, column = np.arange(first, first + len(probe))[:, None], np.arange(len(reference))
            searched = searched & (column != row)
            once = searched & (column > row)
        if not values.size:
            raise ValueError("a block without a comparison")
        same = probe[:, None] == reference
        self._count(values, probe, reference, once & same, once & ~same)
        self._search(values, probe, searched & same, searched & ~same)
        self._probes += len(probe)

    def _count(self, values: I64, probe: I64, reference: I64, mated: Bools, nonmated: Bools) -> None:
        a, b = self.unit[probe], self.unit[reference]
        self.mated.add(values[mated], a[np.nonzero(mated)[0]])
        self.nonmated.add(values[nonmated], self._cell[a[:, None], b][nonmated])
        self.worst_mates = self._keep(self.worst_mates, values, mated, 1)
        self.worst_nonmates = self._keep(self.worst_nonmates, values, nonmated, -1)

    def _keep(self, kept: NDArray[np.void], values: I64, among: Bools, sign: int) -> NDArray[np.void]:
        """The worst so far and of this block: `sign` 1 keeps the lowest scores, -1 the highest; ties by row."""
        badness = np.where(among, sign * values, np.iinfo(np.int64).max)
        limit = np.partition(badness, min(self.worst, badness.size) - 1, axis=None)[min(self.worst, badness.size) - 1]
        row, column = np.nonzero(among & (badness <= limit))
        found = np.empty(len(row), MISTAKE)
        found["score"], found["probe"], found["reference"] = values[row, column], row + self._probes, column
        both = np.concatenate([kept, found])
        return both[np.lexsort((both["reference"], both["probe"], sign * both["score"]))[: self.worst]]

    def _search(self, values: I64, probe: I64, mated: Bools, nonmated: Bools) -> None:
        mate = np.where(mated, values, NEVER).max(axis=1, initial=NEVER)
        other = np.where(nonmated, values, NEVER).max(axis=1, initial=NEVER)
        rank = 1 + (nonmated & (values >= mate[:, None])).sum(axis=1)
        self._searches.append(Searches(probe, mate, rank, other))

    @property
    def searches(self) -> Searches:
        """All probes so far, in their order."""
        none = np.empty(0, np.int64)
        parts = [(each.subject, each.mate, each.rank, each.other) for each in self._searches]
        return Searches(*(np.concatenate([none, *column]) for column in zip((none,) * 4, *parts, strict=True)))


def run(
    trials: Trials,
    compare: Callable[[int, int], ArrayLike],
    probes: I64,
    references: I64,
    *,
    same: bool = False,
    block: int = 1 << 22,
) -> Iterator[int]:
    """Adds all comparisons, some whole rows at a time; yields the comparisons made so far.

    compare(start, end): scores (end - start, R) of these probes. same: the probes are the references. block:
    comparisons at a time, which bounds the memory (about 40 bytes each).
    """
    rows = max(1, block // max(1, len(references)))
    for start in range(0, len(probes), rows):
        end = min(start + rows, len(probes))
        trials.add(compare(start, end), probes[start:end], references, first=start if same else None)
        yield end * len(references)
