"""Exact histograms of integer comparison scores, added up block by block.

Scores are counted by cell. A cell is whatever the caller tells apart: the resampling unit of a mated comparison, the
two units of a non-mated one. Only cells and scores that occur take memory, so 10^9 comparisons need no more than the
block in work: at most one number for each different score in each cell.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

I64 = NDArray[np.int64]

_DENSE = 1 << 24  # cells x span of scores up to which a block is counted by a table, not by sorting
_LOWEST, _HIGHEST = -(1 << 31), (1 << 31) - 1  # scores are int32, so that cell and score share one int64


class Histogram:
    """Counts of scores by cell. Cells are numbered from 0, below 2^31; scores are integers that fit in int32."""

    def __init__(self) -> None:
        self._keys = np.empty(0, np.int64)  # cell << 32 | score - _LOWEST, ascending
        self._counts = np.empty(0, np.int64)

    def add(self, scores: ArrayLike, cells: ArrayLike = 0) -> None:
        """Counts a block: integer scores of any shape, and the cell of each (broadcast against them)."""
        values = integer_scores(scores)
        if not values.size:
            return
        low, high = int(values.min()), int(values.max())
        of = np.asarray(cells, np.int64)
        span, most = high - low + 1, int(of.max()) + 1
        if span * most <= _DENSE:
            table = np.bincount((of * span + (values - low)).reshape(-1), minlength=span * most)
            occupied = np.flatnonzero(table)
            cell, score = np.divmod(occupied, span)
            self._merge(cell << 32 | score + (low - _LOWEST), table[occupied])
        else:
            self._merge(*np.unique((of << 32 | (values - _LOWEST)).reshape(-1), return_counts=True))

    def _merge(self, keys: I64, counts: NDArray[np.intp]) -> None:
        if not len(self._keys):
            self._keys, self._counts = keys, counts.astype(np.int64)
            return
        both = np.concatenate([self._keys, keys])
        order = np.argsort(both, kind="stable")
        both = both[order]
        first = np.flatnonzero(np.diff(both, prepend=both[0] - 1))
        self._counts = np.add.reduceat(np.concatenate([self._counts, counts])[order], first)
        self._keys = both[first]

    def __len__(self) -> int:
        """Scores counted."""
        return int(self._counts.sum())

    @property
    def scores(self) -> I64:
        """The different scores, ascending."""
        return np.unique(self._keys & 0xFFFFFFFF) + _LOWEST

    def counts(self, scores: I64) -> I64:
        """How often each of these scores occurs over all cells. `scores`: ascending, all that occur among them."""
        return np.bincount(self._places(scores), self._counts, minlength=len(scores)).astype(np.int64)

    def by_cell(self, scores: I64, cells: int) -> I64:
        """int64 (cells, len(scores)): as counts, cell by cell."""
        index = (self._keys >> 32) * len(scores) + self._places(scores)
        return np.bincount(index, self._counts, minlength=cells * len(scores)).astype(np.int64).reshape(cells, -1)

    def _places(self, scores: I64) -> NDArray[np.intp]:
        """The last of `scores` that is not above each key's score: lower edges of classes serve, too."""
        return np.searchsorted(scores, (self._keys & 0xFFFFFFFF) + _LOWEST, side="right") - 1


def integer_scores(scores: ArrayLike) -> I64:
    """The scores as int64; ValueError where they are not integers that fit in int32."""
    values = np.asarray(scores)
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"comparison scores must be integers, not {values.dtype}: scale them first")
    if values.size and not _LOWEST <= values.min() <= values.max() <= _HIGHEST:
        raise ValueError(f"scores of {values.min()} to {values.max()} do not fit in 32 bits")
    return values.astype(np.int64, copy=False)
