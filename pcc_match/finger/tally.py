"""What a search has found so far, subject by subject: the best score of a finger, the sum over fingers, the best sums.

A device keeps these numbers where it compares; of a search, the keys of its best subjects alone come back.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pcc_match.candidates import best_keys, keys
from pcc_match.finger.columns import FingerColumns

if TYPE_CHECKING:
    from pcc_match.finger.devices import Scorer

NOBODY: Final = 2**32 - 1
"""Subject of a print that was removed."""


class References(NamedTuple):
    """Packed prints, and the number of the subject that each is of; a device may keep both, so they must not change."""

    packed: FingerColumns
    subject: NDArray[np.uint32]  # (len(packed),) or NOBODY


class Tally(Protocol):
    """The scores of one search. Any number of threads may add."""

    def ask(self, probes: FingerColumns, mode: int) -> None:
        """What is added from here on is compared with these. `mode`: see mode_of."""

    def add(self, references: References, rows: range, wanted: NDArray[np.bool_] | None = None) -> None:
        """Compares a range of references: for a subject its best score counts, with whichever of the probes.

        wanted   bool (len(rows),): which of them to compare; all by default
        """

    def end_group(self) -> None:
        """Adds the best scores so far to the subjects' sums; those from here on are another group's."""

    def top(self, least: int, most: int) -> NDArray[np.uint64]:
        """The best subjects whose sum is at least `least`, 1 or more; at most `most`, 1 or more.

        Returns candidates.keys of sums and subjects, best first.
        """


class HostTally:
    """A Tally in the memory of this process, of whatever compares."""

    _probes: FingerColumns
    _mode: int

    def __init__(self, scorer: Scorer, subjects: int) -> None:
        self._scorer = scorer
        self._best = np.zeros(subjects, np.int32)
        self._total = np.zeros(subjects, np.int32)
        self._lock = Lock()

    def ask(self, probes: FingerColumns, mode: int) -> None:
        self._probes, self._mode = probes, mode

    def add(self, references: References, rows: range, wanted: NDArray[np.bool_] | None = None) -> None:
        scores = self._scorer.scores(self._probes, references.packed, self._mode, rows, wanted).max(axis=0, initial=0)
        subject = references.subject[rows.start : rows.stop]
        live = subject != NOBODY
        with self._lock:
            np.maximum.at(self._best, subject[live], scores[live])

    def end_group(self) -> None:
        self._total += self._best
        self._best[:] = 0

    def top(self, least: int, most: int) -> NDArray[np.uint64]:
        found = np.flatnonzero(self._total >= least)
        return best_keys(keys(self._total[found], found), most)
