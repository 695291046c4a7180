"""Fingerprints on a GPU: the columns are copied as they are, kernels/finger_search.cu does the rest.

Scores of a search stay there. Its best subjects come back as keys, at most `limit` for every 16,384 subjects; what is
read, and the time to find them, grow with the limit, up to that of all subjects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match.backends.device import CupyDevice, Device
from pcc_match.candidates import best_keys
from pcc_match.errors import DeviceError
from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.reference import LIKENESS
from pcc_match.finger.tally import References, Tally

FILE: Final = "finger_search.cu"
WARPS: Final = 4  # of a block of threads: kPccFingerWarps
TALLY_THREADS: Final = 256  # kPccTallyThreads
RANGE: Final = 1 << 14  # kPccRange
GRID: Final = 1 << 16  # references that are copied together
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
        self._kept: dict[tuple[int, int, int], tuple[object, list[Any]]] = {}
        self._room = self._left = int(_SHARE * self._device.free_bytes())
        self._lock = Lock()

    def scores(
        self,
        probes: FingerColumns,
        references: FingerColumns,
        mode: int,
        rows: range | None = None,
        wanted: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.int32]:
        """int32 (len(probes), len(rows)), as `score_matrix` gives them.

        mode     see devices.mode_of
        rows     a range of references with step 1; all by default
        wanted   bool (len(rows),): rows to compare, the others have 0; all by default
        """
        rows = range(len(references)) if rows is None else rows
        scores = np.zeros((len(probes), len(rows)), np.int32)
        with self._at_work(f"{len(probes)} probes and a reference"):
            for some in _pieces(range(len(probes)), _PROBES):
                asked = self._send(probes, some)
                for _, within, found in self._compared(asked, len(some), references, mode, rows, wanted):
                    place = slice(within.start - rows.start, within.stop - rows.start)
                    read = self._device.read(found, len(some) * len(within))
                    scores[some.start : some.stop, place] = read.reshape(-1, len(within))
        return scores

    def tally(self, subjects: int) -> Tally:
        return _CudaTally(self, subjects)

    @contextmanager
    def _at_work(self, on: str) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except MemoryError as error:
                raise DeviceError(f"{self.description} has no memory for {on}") from error

    def _compared(
        self,
        asked: list[Any],
        probes: int,
        references: FingerColumns,
        mode: int,
        rows: range,
        wanted: NDArray[np.bool_] | None,
    ) -> Iterator[tuple[range, range, Any]]:
        """Block by block of the references: the block, which of `rows` it has, their scores on the device."""
        for block, within in self._blocks(references, rows, probes):
            size = references.nbytes * len(block) // len(references)
            sets, *columns = self._resident(references, block, size, lambda some: self._send(references, some))
            count, first = len(within), within.start - block.start
            found = self._device.empty(probes * count, np.int32)
            across = min(-(-count // WARPS), max(1, _BLOCKS * self._device.multiprocessors // probes))
            sets = sets[2 * first : 2 * (first + count)]
            if wanted is not None:
                some = wanted[within.start - rows.start : within.stop - rows.start]
                sets = self._sent(_sets(references.sets, within, block.start) * some[:, None])
            kernel = "finger_likeness" if mode & LIKENESS else "finger_scores"
            arguments = [*asked, sets, *columns, np.uint32(count), np.uint32(mode), found]
            self._device.launch(kernel, (across, probes), 32 * WARPS, 0, arguments)
            yield block, within, found

    def _over(self, kernel: str, count: int, arguments: list[Any]) -> None:
        """Launches a kernel that goes over so many references or subjects."""
        across = max(1, min(-(-count // TALLY_THREADS), _BLOCKS * self._device.multiprocessors))
        self._device.launch(kernel, (across, 1), TALLY_THREADS, 0, arguments)

    def _blocks(self, references: FingerColumns, rows: range, probes: int) -> Iterator[tuple[range, range]]:
        """The blocks that `rows` lie in, and which of the rows each has."""
        each = references.nbytes / max(1, len(references)) + 4 * probes + 4  # with its scores and subject
        size = min(GRID, int(self._room / (3 * each)))  # one at work, the next on its way
        if not rows:
            return
        if size < 1:
            raise MemoryError
        for start in range(rows.start // size * size, rows.stop, size):
            block = range(start, min(start + size, len(references)))
            yield block, range(max(start, rows.start), min(block.stop, rows.stop))

    def _resident(self, what: object, block: range, size: int, send: Callable[[range], list[Any]]) -> list[Any]:
        """Buffers of a block of `what`, of so many bytes: those that were kept, or sent now."""
        key = id(what), block.start, block.stop
        if key in self._kept:
            return self._kept[key][1]
        sent = send(block)
        if self._keep and 4 * size <= self._left:  # room stays for those that are not kept
            self._left -= size
            self._kept[key] = what, sent
        return sent

    def _send(self, columns: FingerColumns, rows: range) -> list[Any]:
        if len(rows) != len(columns):
            columns = columns.take(np.arange(rows.start, rows.stop))
        return [
            self._sent(array)
            for array in (
                _sets(columns.sets, range(len(columns)), 0),
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
            )
        ]

    def _sent(self, array: NDArray[Any]) -> Any:
        buffer = self._device.empty(max(1, array.size), array.dtype)
        self._device.write(buffer, np.ascontiguousarray(array))
        return buffer


class _CudaTally:
    """A Tally in the memory of a GPU."""

    _asked: list[tuple[int, list[Any]]]  # probes in pieces
    _mode: int

    def __init__(self, cuda: FingerCuda, subjects: int) -> None:
        self._cuda = cuda
        self._subjects = subjects
        with cuda._at_work(f"the scores of {subjects} subjects"):
            self._best, self._total = (cuda._device.empty(max(1, subjects), np.uint32) for _ in range(2))
            self._sum(0)

    def ask(self, probes: FingerColumns, mode: int) -> None:
        with self._cuda._at_work(f"{len(probes)} probes"):
            pieces = _pieces(range(len(probes)), _PROBES)
            self._asked = [(len(some), self._cuda._send(probes, some)) for some in pieces]
        self._mode = mode

    def add(self, references: References, rows: range, wanted: NDArray[np.bool_] | None = None) -> None:
        cuda, subject = self._cuda, references.subject
        with cuda._at_work("the probes and a reference"):
            for probes, asked in self._asked:
                for block, within, scores in cuda._compared(asked, probes, references.packed, self._mode, rows, wanted):
                    (whose,) = cuda._resident(
                        subject, block, 4 * len(block), lambda some: [cuda._sent(subject[some.start : some.stop])]
                    )
                    whose = whose[within.start - block.start : within.stop - block.start]
                    counts = np.uint32(probes), np.uint32(len(within))
                    cuda._over("finger_best", len(within), [scores, *counts, whose, self._best])

    def end_group(self) -> None:
        with self._cuda._lock:
            self._sum(1)

    def top(self, least: int, most: int) -> NDArray[np.uint64]:
        each, blocks = min(most, RANGE, self._subjects), -(-self._subjects // RANGE)
        if not blocks:
            return np.empty(0, np.uint64)
        device = self._cuda._device
        with self._cuda._at_work(f"{most} candidates"):
            keys = device.empty(blocks * each, np.uint64)
            numbers = np.uint32(self._subjects), np.uint32(min(least, 2**32 - 1)), np.uint32(each)
            device.launch("finger_top", (blocks, 1), TALLY_THREADS, 0, [self._total, *numbers, keys])
            found = device.read(keys, blocks * each)
        return best_keys(found[found > 0], most)

    def _sum(self, groups: int) -> None:
        counts = np.uint32(groups), np.uint32(self._subjects)
        self._cuda._over("finger_sum", self._subjects, [*counts, self._best, self._total])


def _pieces(rows: range, size: int) -> Iterator[range]:
    for start in range(rows.start, rows.stop, size):
        yield range(start, min(start + size, rows.stop))


def _sets(sets: NDArray[np.uint32], rows: range, base: int) -> NDArray[np.uint32]:
    """(len(rows), 2): the first set of each row and the end, counted from the first set of the row `base` on."""
    ends = np.stack([sets[rows.start : rows.stop], sets[rows.start + 1 : rows.stop + 1]], axis=1)
    counted: NDArray[np.uint32] = ends - sets[base]
    return counted
