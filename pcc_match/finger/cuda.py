"""Fingerprint scores on a GPU: the columns are copied as they are, kernels/finger_search.cu does the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match.backends.device import CupyDevice, Device
from pcc_match.errors import DeviceError
from pcc_match.finger.columns import FingerColumns

FILE: Final = "finger_search.cu"
WARPS: Final = 4  # of a block of threads: kPccFingerWarps
GRID: Final = 1 << 15  # references that are copied together
_BLOCKS: Final = 8  # of threads, a multiprocessor: more wait for their turn
_PROBES: Final = 1 << 10  # in one launch
_SHARE: Final = 0.8  # of the device's memory that references may stay in


class FingerCuda:
    """Scores on one GPU; any number of threads may call it. DeviceError with the reason where there is none.

    With `keep`, references stay in the device's memory from the first search on while there is room; columns whose
    blocks are kept must not change. What has no room is copied again each time.
    """

    block: int = 1 << 31  # references that a caller hands over at a time: any number

    def __init__(self, ordinal: int = 0, *, keep: bool = False, device: Device | None = None) -> None:
        self._device: Device = device or CupyDevice(ordinal, FILE)
        self.description = self._device.name
        self._keep = keep
        self._kept: dict[tuple[int, int, int], tuple[FingerColumns, list[Any]]] = {}
        self._room = self._left = int(_SHARE * self._device.free_bytes())
        self._lock = Lock()

    def scores(
        self, probes: FingerColumns, references: FingerColumns, side: int, rows: range | None = None
    ) -> NDArray[np.int32]:
        """int32 (len(probes), len(rows)), as `score_matrix` gives them.

        side    index into compare.LATENTS
        rows    a range of references with step 1; all by default
        """
        rows = range(len(references)) if rows is None else rows
        scores = np.zeros((len(probes), len(rows)), np.int32)
        with self._lock, self._enough_memory(len(probes)):
            for some in _pieces(range(len(probes)), _PROBES):
                asked = self._send(probes, some)
                for block, within in self._blocks(references, rows, len(some)):
                    sent = self._block(references, block)
                    count = len(within)
                    found = self._device.empty(len(some) * count, np.int32)
                    across = min(-(-count // WARPS), max(1, _BLOCKS * self._device.multiprocessors // len(some)))
                    first = within.start - block.start
                    sets, *columns = sent
                    arguments = [*asked, sets[first : first + count + 1], *columns, np.uint32(count), np.uint32(side)]
                    self._device.launch("finger_scores", (across, len(some)), 32 * WARPS, 0, [*arguments, found])
                    place = slice(within.start - rows.start, within.stop - rows.start)
                    scores[some.start : some.stop, place] = self._device.read(found, len(some) * count).reshape(
                        -1, count
                    )
        return scores

    @contextmanager
    def _enough_memory(self, probes: int) -> Iterator[None]:
        try:
            yield
        except MemoryError as error:
            raise DeviceError(f"{self.description} has no memory for {probes} probes and a reference") from error

    def _blocks(self, references: FingerColumns, rows: range, probes: int) -> Iterator[tuple[range, range]]:
        """The blocks that `rows` lie in, and which of the rows each has."""
        each = references.nbytes / max(1, len(references)) + 4 * probes
        size = min(GRID, int(self._room / (3 * each)))  # one at work, the next on its way, and their scores
        if not rows:
            return
        if size < 1:
            raise MemoryError
        for start in range(rows.start // size * size, rows.stop, size):
            block = range(start, min(start + size, len(references)))
            yield block, range(max(start, rows.start), min(block.stop, rows.stop))

    def _block(self, references: FingerColumns, block: range) -> list[Any]:
        key = id(references), block.start, block.stop
        if key in self._kept:
            return self._kept[key][1]
        sent = self._send(references, block)
        size = references.nbytes * len(block) // len(references)
        if self._keep and 4 * size <= self._left:  # room stays for those that are not kept
            self._left -= size
            self._kept[key] = references, sent
        return sent

    def _send(self, columns: FingerColumns, rows: range) -> list[Any]:
        if len(rows) != len(columns):
            columns = columns.take(np.arange(rows.start, rows.stop))
        buffers = []
        for array in (
            columns.sets,
            columns.start,
            columns.count,
            np.stack([columns.left, columns.top], axis=1),
            columns.cell,
            columns.order,
            columns.area,
            columns.words,
            columns.inverse,
            columns.x,
            columns.y,
            columns.direction,
        ):
            buffer = self._device.empty(max(1, array.size), array.dtype)
            self._device.write(buffer, np.ascontiguousarray(array))
            buffers.append(buffer)
        return buffers


def _pieces(rows: range, size: int) -> Iterator[range]:
    for start in range(rows.start, rows.stop, size):
        yield range(start, min(start + size, rows.stop))
