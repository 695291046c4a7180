"""Re-matching: every gallery profile against every other, new ones against all, or one gallery against another."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcc_match.backends import Hits
from pcc_match.candidates import dna_keys
from pcc_match.dna.profile import DnaProfile
from pcc_match.dna.rule import Comparison, Rule, compare
from pcc_match.gallery.gallery import ranks_over
from pcc_match.search import Matcher

_LINES = 1 << 14  # pairs turned into text at a time


@dataclass(frozen=True, eq=False)
class Rematch:
    """Accepted pairs, each unordered pair once: the bytewise smaller id is the probe (for equal ids in two galleries,
    the one of the first). Sorted by probe, then by rank.

    `hits` has the dtype `candidates.HIT`; `probe` and `row` number the rows of all `matchers`, one behind the other.
    """

    hits: Hits
    rule: Rule
    matchers: tuple[Matcher, ...]

    def __len__(self) -> int:
        return len(self.hits)

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *np.cumsum([matcher.rows for matcher in self.matchers]).tolist()]

    def ids(self, rows: NDArray[Any]) -> list[str]:
        """Ids of rows, in their order."""
        found = np.empty(len(rows), object)
        for start, end, matcher in zip(self._starts, self._starts[1:], self.matchers, strict=False):
            here = (rows >= start) & (rows < end)
            found[here] = matcher.ids(rows[here] - start)
        return list(found)

    def _profile(self, row: int) -> DnaProfile:
        first = row < self._starts[1]
        return self.matchers[0].profile(row) if first else self.matchers[1].profile(row - self._starts[1])

    def comparison(self, number: int) -> Comparison:
        """The readable rule's own account of a pair."""
        a, b = (self._profile(int(self.hits[name][number])) for name in ("probe", "row"))
        return compare(a, b, self.rule)

    def lines(self) -> Iterator[str]:
        """One JSON object a pair: probe, reference, quality, full_loci, wildcards, microvariants, mismatches."""
        for start in range(0, len(self), _LINES):
            hits = self.hits[start : start + _LINES]
            yield from match_lines(self.ids(hits["probe"]), self.ids(hits["row"]), hits)


def match_lines(probes: list[str], references: list[str], hits: Hits) -> Iterator[str]:
    """The line of each match that files of matches hold, without its line end."""
    columns = ("quality", "full", "wildcards", "microvariants", "mismatches")
    counts = zip(*(hits[name].tolist() for name in columns), strict=True)
    for probe, reference, (quality, full, wildcards, microvariants, mismatches) in zip(
        probes, references, counts, strict=True
    ):
        yield (
            f'{{"probe": {json.dumps(probe)}, "reference": {json.dumps(reference)}, "quality": {quality}, '
            f'"full_loci": {full}, "wildcards": {wildcards}, "microvariants": {microvariants}, '
            f'"mismatches": {mismatches}}}'
        )


def rematch(
    matcher: Matcher,
    against: Matcher | None = None,
    rule: Rule | None = None,
    *,
    new: NDArray[np.bool_] | None = None,
    progress: Callable[[float], None] | None = None,
) -> Rematch:
    """All pairs of references that the rule (default: the treaty's of `matcher`) accepts, and no others.

    Pairs within `matcher`, or, with `against`, of one of its references and one of `against`. `new`, a mask over the
    rows of `matcher`, leaves only pairs with a marked row: what was enrolled since the last rematch. `progress` is told
    the share done, 0 to 1.
    """
    rule = rule or matcher.treaty.dna
    matchers = (matcher,) if against is None else (matcher, against)
    hits = matcher.backend.rematch(against.backend if against else None, rule, new, progress)
    if against is not None:
        hits["row"] += np.uint32(matcher.rows)
    galleries = list(chain.from_iterable(each.galleries for each in matchers))
    ranks = np.concatenate(ranks_over(galleries))
    turned = ranks[hits["probe"]] > ranks[hits["row"]]
    hits["probe"][turned], hits["row"][turned] = hits["row"][turned], hits["probe"][turned]
    order = np.lexsort((hits["row"], hits["probe"], ~dna_keys(hits, ranks), ranks[hits["probe"]]))
    return Rematch(hits[order], rule, matchers)
