"""The numbers of a Type-9 block, and from them the columns of the model.

Nearly all writers give the minutiae of a field one form, which compiled code takes apart (csrc/minutiae_rows.h). Any
other field goes through what the block's pattern finds in each subfield.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.itl.frames import UNIT, image_rows, region
from pcc_match.itl.minutiae import BIFURCATION, COLUMNS, COMPOUND, OTHER, RIDGE_ENDING, Columns, Frame, empty_columns
from pcc_match.itl.records import Record

Integers = NDArray[np.int64]

M1_MINUTIAE = 137
_KINDS = {
    b"A": RIDGE_ENDING,
    b"B": BIFURCATION,
    b"C": COMPOUND,
    b"D": OTHER,
    b"": OTHER,
    b"E": RIDGE_ENDING,
    b"X": OTHER,
}
_KIND_OF_LETTER = np.array([_KINDS[letter] for letter in (b"A", b"B", b"C", b"D")])
# Quality of 9.012 and 9.023 to 1-100: 0 (set by hand) is the best, 1 says nothing, 2 to 63 go down from 99 to 1.
_SCALE = np.array([100, 0, *(1 + (63 - grade) * 98 // 61 for grade in range(2, 64))])
QUALITY = {b"": 0} | {text % grade: int(_SCALE[grade]) for grade in range(64) for text in (b"%d", b"%02d")}


class Numbers(NamedTuple):
    """Columns of a field: positions and angle in the block's own units, type and quality in the model's."""

    x: Integers
    y: Integers
    angle: Integers
    type: Integers
    quality: Integers


def usual_numbers(number: int, raw: bytes) -> Numbers | None:
    """The numbers of field 9.012, 9.023 or 9.137 where all its minutiae have the usual form; None where not."""
    table = _cpu.minutiae_rows(raw, number)
    if table is None:
        return None
    x, y, angle, kind, quality = table.T.astype(np.int64)
    if number == M1_MINUTIAE:
        return Numbers(x, y, angle, kind, np.where(quality > 100, 0, quality))
    return Numbers(x, y, angle, _KIND_OF_LETTER[kind], _SCALE[quality])


def numbers(block: str, rows: Sequence[tuple[bytes, ...]]) -> Numbers:
    """The numbers of the subfields that are minutiae, from the groups of the block's pattern."""
    if not rows:
        return Numbers(*np.zeros((5, 0), np.int64))
    groups = list(zip(*rows, strict=True))
    if block in ("std", "iafis"):
        grades = np.array([QUALITY[text] for text in groups[1]])
        return Numbers(*_positions(groups[0]), _kinds(groups[2]), grades)
    x, y, angle = (_integers(group) for group in groups[:3])
    if block == "efs":
        return Numbers(x, y, angle % 360, _kinds(groups[3]), np.zeros(len(rows), np.int64))
    quality = _integers([text or b"0" for text in groups[4]])
    return Numbers(x, y, angle, _integers(groups[3]), np.where(quality > 100, 0, quality))


def _positions(texts: Sequence[bytes]) -> tuple[Integers, Integers, Integers]:
    """X, Y and angle of each XXXXYYYYTTT or XXXXXYYYYYTTT."""
    middles = [(len(text) - 3) // 2 for text in texts]
    return (
        _integers([text[:middle] for text, middle in zip(texts, middles, strict=True)]),
        _integers([text[middle:-3] for text, middle in zip(texts, middles, strict=True)]),
        _integers([text[-3:] for text in texts]),
    )


def _integers(texts: Sequence[bytes]) -> Integers:
    return np.fromiter(map(int, texts), np.int64, len(texts))


def _kinds(letters: Sequence[bytes]) -> Integers:
    return np.array([_KINDS[letter] for letter in letters])


def columns(block: str, numbers: Numbers, frame: Frame, record: Record) -> Columns:
    """The model's columns of a block's numbers."""
    x, y, angle, kind, quality = numbers
    if not len(x):
        return empty_columns()
    table = np.empty(len(x), COLUMNS)
    across, down = frame.scale if block == "m1" else (UNIT, UNIT)
    if block == "std":
        y = image_rows(frame, int(y.max())) - 1 - y
        angle = (angle + 180) % 360
    elif block == "iafis":
        # The FBI's C means that the type was not told apart.
        kind = np.where(kind == COMPOUND, OTHER, kind)
    elif block == "m1":
        angle = angle * 2
    else:
        right, below = region(record)
        x, y = x + right, y + below
    table["x"], table["y"], table["angle"], table["type"], table["quality"] = x * across, y * down, angle, kind, quality
    return table
