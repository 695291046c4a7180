"""Fingerprint scores on a GPU: the columns are copied as they are, kernels/finger_search.cu does the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match.backends.device import CupyDevice, Device
from pcc_match.errors import DeviceError
from pcc_match.finger.columns import FingerColumns

FILE: Final = "finger_search.cu"
WARPS: Final = 4  # of a block of threads: kPccFingerWarps
_BLOCKS: Final = 8  # of threads, a multiprocessor: more wait for their turn
_PROBES: Final = 1 << 10  # in one launch
_SHARE: Final = 0.8  # of the free memory that one launch takes


class FingerCuda:
    """Scores on one GPU. DeviceError with the reason where there is none; it never falls back to the CPU."""

    def __init__(self, ordinal: int = 0, *, device: Device | None = None) -> None:
        self._device: Device = device or CupyDevice(ordinal, FILE)
        self.description = self._device.name

    def scores(self, probes: FingerColumns, references: FingerColumns, side: int) -> NDArray[np.int32]:
        """int32 (len(probes), len(references)), as `score_matrix` gives them; `side`: index into compare.LATENTS.

        What does not fit into the device's memory goes through it piece by piece.
        """
        scores = np.zeros((len(probes), len(references)), np.int32)
        for rows in _pieces(len(probes), min(len(probes), _PROBES)):
            asked = probes if len(rows) == len(probes) else probes.take(np.arange(rows.start, rows.stop))
            free = _SHARE * self._device.free_bytes() - asked.nbytes
            each = references.nbytes / max(1, len(references)) + 4 * len(asked)
            size = min(len(references), int(free / each))
            if size < 1 <= len(references):
                raise DeviceError(f"{self.description} has no memory for {len(asked)} probes and a reference")
            sent = self._send(asked)
            for columns in _pieces(len(references), size):
                whole = len(columns) == len(references)
                part = references if whole else references.take(np.arange(columns.start, columns.stop))
                scores[rows.start : rows.stop, columns.start : columns.stop] = self._run(sent, part, side)
        return scores

    def _run(self, sent: tuple[list[Any], int], part: FingerColumns, side: int) -> NDArray[np.int32]:
        (probes, count), (references, _) = sent, self._send(part)
        scores = self._device.empty(count * len(part), np.int32)
        across = min(-(-len(part) // WARPS), max(1, _BLOCKS * self._device.multiprocessors // count))
        arguments = [*probes, *references, np.uint32(len(part)), np.uint32(side), scores]
        self._device.launch("finger_scores", (across, count), 32 * WARPS, 0, arguments)
        return self._device.read(scores, count * len(part)).reshape(count, len(part))

    def _send(self, columns: FingerColumns) -> tuple[list[Any], int]:
        corner = np.stack([columns.left, columns.top], axis=1)
        buffers = []
        for array in (
            columns.sets,
            columns.start,
            columns.count,
            corner,
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
        return buffers, len(columns)


def _pieces(count: int, size: int) -> Iterator[range]:
    for start in range(0, count, max(1, size)):
        yield range(start, min(start + size, count))
