"""Many fingerprint templates as packed columns: what galleries store and back ends read.

Packing is the only step from minutiae to what comparisons read. It is done here, once, on the CPU, by integer
arithmetic (csrc/finger_pack.cpp), so that the same minutiae give the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.dna.columns import Numbering
from pcc_match.errors import TemplateError
from pcc_match.finger.template import FingerTemplate, MinutiaSet

BUILDER: Final = "pcc_match finger 1"
"""Name and version of the packing: columns of different builders are never compared."""

MOST: Final = 128
"""Minutiae that a packed set holds at most. Of more than 64 it keeps as many as its hull has place for, one on 1100
square pixels: the best, of equal ones the most central."""

WORDS: Final = 10
"""Words of 32 bits in a cylinder."""

_EMPTY = 2**32 - 1  # a place that holds no minutia
_SET = {"count": "u1", "left": "<i2", "top": "<i2", "cell": "u1", "order": "<u8", "area": "<u4"}
_MINUTIA = {"inverse": "<u2", "x": "<i2", "y": "<i2", "direction": "u1", "type": "u1", "quality": "u1"}


@dataclass(frozen=True, eq=False)
class FingerColumns:
    """n templates with m sets of minutiae, which have p places: a set has as many, rounded up to a multiple of 8.

    Template t has the sets sets[t] ... sets[t + 1] - 1; set s the places start[s] ... start[s + 1] - 1, of which the
    first count[s] hold minutiae and the others zeros. kernels/compare_finger.h says what the numbers mean.
    """

    sets: NDArray[np.uint32]  # (n + 1,)
    position: NDArray[np.uint8]  # (n,)
    width: NDArray[np.uint16]  # (n,) 0 for unknown, as in the next
    height: NDArray[np.uint16]
    source: NDArray[np.uint16]  # (n,) index into sources
    start: NDArray[np.uint32]  # (m + 1,)
    count: NDArray[np.uint8]  # (m,)
    left: NDArray[np.int16]  # (m,) of the area, in pixels; so is the next
    top: NDArray[np.int16]
    cell: NDArray[np.uint8]  # (m,) binary logarithm of the pixels along a side of the area's cells
    order: NDArray[np.uint64]  # (m,) digest of the minutiae
    area: NDArray[np.uint32]  # (m, 32) bitmap
    words: NDArray[np.uint32]  # (10 p,) cylinders; those of set s from 10 start[s] on, as [10][places of the set]
    inverse: NDArray[np.uint16]  # (p,)
    x: NDArray[np.int16]  # (p,) pixels at 500 ppi, y down
    y: NDArray[np.int16]
    direction: NDArray[np.uint8]  # (p,) 256 a turn, clockwise
    type: NDArray[np.uint8]  # (p,) as in MinutiaSet; so is the next
    quality: NDArray[np.uint8]
    sources: tuple[str, ...] = ("",)

    @classmethod
    def pack(cls, templates: Iterable[FingerTemplate]) -> FingerColumns:
        """The columns of templates, in their order."""
        templates = list(templates)
        given = [minutiae for template in templates for minutiae in template.sets]
        offsets = np.zeros(len(given) + 1, np.uint64)
        np.cumsum([len(minutiae) for minutiae in given], out=offsets[1:])
        raw = {
            name: np.concatenate([np.empty(0, dtype), *(getattr(minutiae, name) for minutiae in given)])
            for name, dtype in (("x", "<i2"), ("y", "<i2"), ("angle", "u1"), ("type", "u1"), ("quality", "u1"))
        }
        packed = _cpu.pack_fingers(raw["x"], raw["y"], raw["angle"], raw["quality"], offsets)
        start, count, left, top, cell, order, area, words, inverse, x, y, direction, taken = packed
        held = taken != _EMPTY
        kept = {}
        for name in ("type", "quality"):
            kept[name] = np.zeros(len(taken), np.uint8)
            kept[name][held] = raw[name][taken[held]]
        sources = Numbering("", limit=1 << 16)
        return cls(
            sets=_sums([len(template.sets) for template in templates]),
            position=np.array([template.position for template in templates], np.uint8),
            width=np.array([template.width or 0 for template in templates], np.uint16),
            height=np.array([template.height or 0 for template in templates], np.uint16),
            source=np.array([sources[template.source] for template in templates], np.uint16),
            start=start,
            count=count,
            left=left,
            top=top,
            cell=cell,
            order=order,
            area=area,
            words=words,
            inverse=inverse,
            x=x,
            y=y,
            direction=direction,
            type=kept["type"],
            quality=kept["quality"],
            sources=tuple(sources),
        )

    def __len__(self) -> int:
        """Templates."""
        return len(self.sets) - 1

    @property
    def nbytes(self) -> int:
        return sum(getattr(self, f.name).nbytes for f in fields(self) if f.name != "sources")

    @cached_property
    def engine(self) -> _cpu.FingerSets:
        """The sets, as the CPU engine reads them."""
        return _cpu.FingerSets(
            self.start,
            self.count,
            self.left,
            self.top,
            self.cell,
            self.order,
            self.area,
            self.words,
            self.inverse,
            self.x,
            self.y,
            self.direction,
        )

    def template(self, row: int) -> FingerTemplate:
        """One row as a template, with the minutiae that were kept; packed again it gives the same row."""
        row = range(len(self))[row]
        sets = []
        for s in range(int(self.sets[row]), int(self.sets[row + 1])):
            at = slice(int(self.start[s]), int(self.start[s]) + int(self.count[s]))
            angle = np.negative(self.direction[at])
            sets.append(MinutiaSet(self.x[at], self.y[at], angle, self.type[at], self.quality[at]))
        size = (int(self.width[row]) or None, int(self.height[row]) or None)
        return FingerTemplate(tuple(sets), int(self.position[row]), *size, self.sources[self.source[row]])

    def take(self, rows: NDArray[Any]) -> FingerColumns:
        """Those rows (indices, or a boolean mask), in that order."""
        rows = np.arange(len(self))[rows]
        of_sets = _ranges(self.sets[:-1][rows], self.sets[1:][rows])
        first, last = self.start[:-1][of_sets], self.start[1:][of_sets]
        places, words = _ranges(first, last), _ranges(first * np.int64(WORDS), last * np.int64(WORDS))
        return FingerColumns(
            sets=_sums(self.sets[1:][rows] - self.sets[:-1][rows]),
            **{name: getattr(self, name)[rows] for name in ("position", "width", "height", "source")},
            start=_sums(last - first),
            **{name: getattr(self, name)[of_sets] for name in _SET},
            words=self.words[words],
            **{name: getattr(self, name)[places] for name in _MINUTIA},
            sources=self.sources,
        )

    @classmethod
    def concat(cls, parts: Sequence[FingerColumns]) -> FingerColumns:
        """All rows of all parts, one part after the other."""
        sources = Numbering("", limit=1 << 16)
        numbers = [np.array([sources[source] for source in part.sources], np.uint16) for part in parts]
        parts = [cls.pack([]), *parts]

        def joined(name: str) -> Any:
            return np.concatenate([getattr(part, name) for part in parts])

        return cls(
            sets=_sums(np.concatenate([np.diff(part.sets) for part in parts])),
            position=joined("position"),
            width=joined("width"),
            height=joined("height"),
            source=np.concatenate(
                [np.empty(0, np.uint16), *(of[part.source] for of, part in zip(numbers, parts[1:], strict=True))]
            ),
            start=_sums(np.concatenate([np.diff(part.start) for part in parts])),
            **{name: joined(name) for name in (*_SET, "words", *_MINUTIA)},
            sources=tuple(sources),
        )


def _sums(counts: Any) -> NDArray[np.uint32]:
    """0, and the sums of the first counts."""
    sums = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=sums[1:])
    if sums[-1] > _EMPTY:
        raise TemplateError(f"{sums[-1]} minutiae or sets are too many for one block of columns")
    return sums.astype(np.uint32)


def _ranges(first: NDArray[Any], last: NDArray[Any]) -> NDArray[np.int64]:
    """The numbers first[k] ... last[k] - 1, for each k."""
    lengths = (last - first).astype(np.int64)
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    numbers: NDArray[np.int64] = np.arange(total) + np.repeat(first.astype(np.int64) - ends + lengths, lengths)
    return numbers
