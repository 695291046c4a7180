"""The reference back end: the readable rule of dna/rule.py, pair by pair. Slow; for tests and for whoever doubts."""

from collections.abc import Callable, Iterable
from itertools import combinations, product

import numpy as np
from numpy.typing import NDArray

from pcc_match.backends import Backend, Hits, Part, Probes
from pcc_match.candidates import HIT
from pcc_match.dna.profile import DnaProfile
from pcc_match.dna.rule import Rule, compare
from pcc_match.errors import DeviceError


class ReferenceBackend:
    """Holds nothing but the rows' numbers; reads each profile from its gallery."""

    description = "reference"

    def __init__(self, parts: list[Part], profile: Callable[[int], DnaProfile]) -> None:
        live = [np.ones(len(codes), bool) if mask is None else mask.astype(bool) for codes, _, mask in parts]
        self._rows = np.flatnonzero(np.concatenate([np.empty(0, bool), *live])).tolist()
        self._profile = profile

    def search(self, probes: Probes, rule: Rule) -> Hits:
        pairs = product(range(len(probes)), self._rows)
        return _hits(((k, row, probes.profile(k), self._profile(row)) for k, row in pairs), rule)

    def rematch(
        self,
        against: Backend | None,
        rule: Rule,
        new: NDArray[np.bool_] | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Hits:
        if against is None:
            pairs = (pair for pair in combinations(self._rows, 2) if new is None or new[list(pair)].any())
            return _hits(((a, b, self._profile(a), self._profile(b)) for a, b in pairs), rule)
        if not isinstance(against, ReferenceBackend):
            raise DeviceError("both galleries of a rematch are opened on the same kind of device")
        rows = [row for row in self._rows if new is None or new[row]]
        there = against._profile
        return _hits(((a, b, self._profile(a), there(b)) for a, b in product(rows, against._rows)), rule)

    def close(self) -> None:
        """Nothing is held."""


def _hits(pairs: Iterable[tuple[int, int, DnaProfile, DnaProfile]], rule: Rule) -> Hits:
    rows = []
    for probe, row, a, b in pairs:
        found = compare(a, b, rule)
        if found.quality:
            rows.append((probe, row, *found.tally, found.quality))
    return np.array(rows, HIT)
