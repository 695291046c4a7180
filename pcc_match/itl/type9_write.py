"""Minutiae as the fields of a Type-9 block: the way back from type9.py, for new records and for conversion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcc_match.errors import RecordError
from pcc_match.itl.frames import UNIT, image_rows
from pcc_match.itl.minutiae import BIFURCATION, COMPOUND, RIDGE_ENDING, Minutiae, RidgeCount
from pcc_match.itl.records import Record
from pcc_match.itl.type9_columns import QUALITY
from pcc_match.itl.writer import Content, Item

Fields = dict[int | str, Content]
_NO_NEIGHBOUR = (255, 15)
_IAFIS_SLOTS = 8
_METHODS = {1: "QUADRANT", 2: "OCTANT"}
# The best grade of 9.012 for each quality, so that a grade that was read is written again.
_GRADES = {quality: int(grade) for grade, quality in reversed(QUALITY.items()) if grade}
_LETTERS = {RIDGE_ENDING: "A", BIFURCATION: "B", COMPOUND: "C"}


def type9_fields(minutiae: Minutiae, block: str) -> Fields:
    """Fields 9.003 to 9.399 of a new record that holds the minutiae in a block: "std", "iafis", "m1" or "efs".

    Positions are rounded to the block's unit: 0.01 mm, or (M1) a pixel of the image that the minutiae refer to.
    RecordError where they do not fit: 99.99 mm in std and IAFIS.
    """
    writers = {"std": _std, "iafis": _iafis, "m1": _m1, "efs": _efs}
    if block not in writers:
        raise RecordError(f"{block!r} is not a minutiae block: {', '.join(writers)}")
    impression = 0 if minutiae.impression is None else minutiae.impression
    return {3: str(impression), 4: "S" if block == "std" else "U", **writers[block](minutiae)}


def converted_fields(record: Record, block: str, source: str | None = None) -> Fields:
    """The fields of a Type-9 record with its minutiae in another block; other fields than minutiae blocks are kept.

    source   the block to take them from; without it the first that the record holds
    """
    minutiae = record.minutiae(source)
    if not minutiae.block:
        raise record.problem("the record holds no minutiae to convert").error()
    if minutiae.problems:
        raise minutiae.problems[0].error()
    kept: Fields = {}
    for field in record.fields:
        if field.number not in range(1, 5) and not _in_block(field.number):
            kept[field.number] = [tuple(items) for items in record.text(field.number).subfields]
    fields = type9_fields(minutiae, block)
    if 3 in record:
        fields[3] = record.text(3)
    return kept | fields


def _in_block(number: int) -> bool:
    return 5 <= number <= 25 or 126 <= number <= 150 or 300 <= number <= 372


def _hundredths(values: NDArray[np.float64]) -> list[int]:
    return [int(v) for v in np.rint(values / UNIT)]


def _xy(x: float, y: float, below: int | None) -> str:
    """XXXXYYYY from the bottom left where `below` is given, else from the top left."""
    column, row = round(x / UNIT), round(y / UNIT)
    if below is not None:
        row = below - row
    if not (0 <= column <= 9999 and 0 <= row <= 9999):
        raise RecordError("a point lies outside the 99.99 mm x 99.99 mm that four digits can say: use m1", type=9)
    return f"{column:04d}{row:04d}"


def _below(minutiae: Minutiae) -> int:
    """The row (0.01 mm from the top) that 9.012 counts from; without an image the lowest of the minutiae."""
    rows = [*minutiae.y, *(core.y for core in minutiae.cores), *(delta.y for delta in minutiae.deltas)]
    lowest = max((round(y / UNIT) for y in rows), default=0)
    return image_rows(minutiae.frame, lowest) - 1


def _grade(quality: int) -> str:
    return f"{_GRADES[min(_GRADES, key=lambda known: abs(known - quality))] if quality else 1:02d}"


def _neighbours(minutiae: Minutiae) -> dict[int, list[RidgeCount]]:
    found: dict[int, list[RidgeCount]] = {}
    for count in minutiae.ridge_counts:
        found.setdefault(count.centre, []).append(count)
    return found


def _std(minutiae: Minutiae) -> Fields:
    below = _below(minutiae)
    neighbours = _neighbours(minutiae)
    rows: list[Item | tuple[Item, ...]] = []
    for index, m in enumerate(minutiae, 1):
        place = f"{_xy(m.x, m.y, below)}{round(m.angle + 180) % 360:03d}"
        counts = [f"{count.neighbour},{count.ridges}" for count in neighbours.get(index, ())]
        letter = _LETTERS.get(int(minutiae.type[index - 1]), "D")
        rows.append((f"{index:03d}", place, _grade(m.quality), letter, *counts))
    fields: Fields = {
        5: ("pcc_match", "A"),
        6: list(minutiae.positions or (0,)),
        7: ("T", "UN"),
        10: len(rows),
        11: int(bool(minutiae.ridge_counts)),
    }
    if minutiae.cores:
        fields[8] = [_xy(core.x, core.y, below) for core in minutiae.cores]
    if minutiae.deltas:
        fields[9] = [_xy(delta.x, delta.y, below) for delta in minutiae.deltas]
    return fields | ({12: rows} if rows else {})


def _iafis(minutiae: Minutiae) -> Fields:
    neighbours = _neighbours(minutiae)
    rows: list[Item | tuple[Item, ...]] = []
    for index, m in enumerate(minutiae, 1):
        place = f"{_xy(m.x, m.y, None)}{round(m.angle) % 360:03d}"
        counts = [(c.neighbour, c.ridges) for c in neighbours.get(index, ())][:_IAFIS_SLOTS]
        slots = [*counts, *[_NO_NEIGHBOUR] * _IAFIS_SLOTS][:_IAFIS_SLOTS]
        letter = {RIDGE_ENDING: "A", BIFURCATION: "B"}.get(int(minutiae.type[index - 1]), "C")
        rows.append((f"{index:03d}", place, _grade(m.quality), letter, *(f"{n:03d}{min(c, 15):02d}" for n, c in slots)))
    fields: Fields = {11: int(bool(minutiae.ridge_counts)), 14: f"{(minutiae.positions or (0,))[0]:02d}", 15: len(rows)}
    fields[16] = ("pcc_match", "0", "AUT")
    if minutiae.cores:
        fields[21] = [(_xy(c.x, c.y, None), _degrees(c.angle), "0000") for c in minutiae.cores]
    if minutiae.deltas:
        fields[22] = [
            (_xy(d.x, d.y, None), *[_degrees(angle) for angle in (*d.angles, None, None, None)[:3]], "0000")
            for d in minutiae.deltas
        ]
    return fields | ({23: rows} if rows else {})


def _degrees(angle: float | None) -> str | None:
    return None if angle is None else f"{round(angle) % 360:03d}"


def _m1(minutiae: Minutiae) -> Fields:
    frame = minutiae.frame
    across, down = frame.scale
    x = [int(v) for v in np.rint(minutiae.x / across)]
    y = [int(v) for v in np.rint(minutiae.y / down)]
    rows: list[Item | tuple[Item, ...]] = []
    for index, m in enumerate(minutiae):
        if not (0 <= x[index] <= 99999 and 0 <= y[index] <= 99999):
            raise RecordError("a minutia lies outside the image", type=9, field=137, subfield=index + 1)
        kind = int(minutiae.type[index])
        rows.append((index + 1, x[index], y[index], _half(m.angle), 0 if kind == COMPOUND else kind, m.quality))
    width = frame.width or max(x, default=0) + 1
    height = frame.height or max(y, default=0) + 1
    quality = 254 if minutiae.quality is None else minutiae.quality
    fields: Fields = {126: (27, 513, 0), 127: ("NONE", 0), 128: width, 129: height, 130: frame.unit}
    fields |= {
        131: frame.across,
        132: frame.down,
        133: 0,
        134: list(minutiae.positions or (0,)),
        135: (quality, "0000", 1),
    }
    fields[136] = len(rows)
    if rows:
        fields[137] = rows
    if minutiae.ridge_counts:
        fields[138] = [(minutiae.extras.ridge_count_method, 0, 0), *(tuple(count) for count in minutiae.ridge_counts)]
    if minutiae.cores:
        fields[139] = [(round(c.x / across), round(c.y / down), _half(c.angle or 0)) for c in minutiae.cores]
    if minutiae.deltas:
        fields[140] = [(round(d.x / across), round(d.y / down), _half((*d.angles, 0)[0])) for d in minutiae.deltas]
        if all(len(d.angles) == 3 for d in minutiae.deltas):
            fields[141] = [(_half(d.angles[1]), _half(d.angles[2])) for d in minutiae.deltas]
    return fields


def _half(angle: float) -> int:
    """Degrees in units of 2."""
    return round(angle / 2) % 180


def _efs(minutiae: Minutiae) -> Fields:
    letters = {RIDGE_ENDING: "E", BIFURCATION: "B"}
    x, y = _hundredths(minutiae.x), _hundredths(minutiae.y)
    width, height = max(x, default=0) + 1, max(y, default=0) + 1
    if minutiae.frame.width is not None and minutiae.frame.height is not None:
        across, down = minutiae.frame.scale
        width = max(width, round(minutiae.frame.width * across / UNIT))
        height = max(height, round(minutiae.frame.height * down / UNIT))
    if min([*x, *y, 0]) < 0 or max(width, height) > 99999:
        raise RecordError("a minutia lies outside the region that five digits can say", type=9, field=331)
    rows: list[Item | tuple[Item, ...]] = [
        (x[index], y[index], round(m.angle) % 360, letters.get(int(minutiae.type[index]), "X"))
        for index, m in enumerate(minutiae)
    ]
    fields: Fields = {300: (width, height, 0, 0), 302: [(p, None, None, None) for p in minutiae.positions or (0,)]}
    fields |= {331: rows} if rows else {334: "Y"}
    if minutiae.cores:
        fields[320] = [
            (round(c.x / UNIT), round(c.y / UNIT), None if c.angle is None else round(c.angle) % 360)
            for c in minutiae.cores
        ]
    if minutiae.deltas:
        fields[321] = [
            (round(d.x / UNIT), round(d.y / UNIT), *[round(angle) % 360 for angle in d.angles]) for d in minutiae.deltas
        ]
    counts = [c for c in minutiae.ridge_counts if 0 < c.neighbour <= len(rows) and c.neighbour != c.centre]
    if counts:
        fields[332] = _METHODS.get(minutiae.extras.ridge_count_method, "EFTS7")
        fields[333] = [tuple(count) for count in counts]
    return fields
