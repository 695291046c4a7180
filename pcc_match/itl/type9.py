"""The four minutiae blocks of a Type-9 record, read into one model.

    std     9.005-9.012   0.01 mm from the bottom left, angle opposite to INCITS, quality 2 best to 63 worst
    iafis   9.013-9.025   0.01 mm from the top left, angle as INCITS (FBI EFTS)
    m1      9.126-9.150   pixels from the top left, angle in units of 2 degrees (INCITS 378); what Prüm uses
    efs     9.300-9.399   0.01 mm from the top left of the region of interest 9.300, angle in degrees

The sense of the EFS angle is taken as INCITS's; no data set with the same print in both forms was found to prove it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pcc_match.errors import RecordError
from pcc_match.itl import type9_columns
from pcc_match.itl.frames import efs_frame, image_frame, integer, m1_frame
from pcc_match.itl.minutiae import Minutiae, empty_columns
from pcc_match.itl.problems import INVALID_ITEM_VALUE, INVALID_SUBFIELD_COUNT, NOT_A_NUMBER, Problem
from pcc_match.itl.records import Field, Record
from pcc_match.itl.type9_extras import EXTRAS

_MAX_PROBLEMS = 20


@dataclass(frozen=True)
class Block:
    """Where a block keeps its minutiae, their number and positions, and what each item of a minutia may be."""

    name: str
    minutiae: int
    count: int | None
    positions: int
    usual: bool  # compiled code knows the usual form
    row: re.Pattern[bytes]  # one whole subfield, with groups for what becomes a column
    # For each item: what it must be, as a pattern and in words; None for the rest of the subfield.
    items: tuple[tuple[re.Pattern[bytes], str], ...]


def _row(pattern: bytes) -> re.Pattern[bytes]:
    return re.compile(rb"(?:(?<=\x1e)|\A)" + pattern + rb"(?=\x1e|\Z)")


def _items(*pairs: tuple[bytes, str]) -> tuple[tuple[re.Pattern[bytes], str], ...]:
    return tuple((re.compile(pattern), words) for pattern, words in pairs)


_INDEX = (rb"\d{1,4}", "the index is a number of 1 to 4 digits")
_DEGREES = rb"[0-2]\d\d|3[0-5]\d"
_GRADE = (rb"(?:[0-5]?\d|6[0-3])?", "quality is 0 to 63")
_HUNDRED = rb"0{0,2}\d{1,2}|100|25[45]"

STD = Block(
    "std",
    12,
    10,
    6,
    True,
    _row(
        rb"\d{1,4}\x1f(\d{8}(?:\d\d)?(?:[0-2]\d\d|3[0-5]\d))"
        rb"(?:\x1f([0-5]?\d|6[0-3])?(?:\x1f([A-D])?(?:\x1f(?:\d{1,4},\d{1,3})?)*+)?)?"
    ),
    _items(
        _INDEX,
        (rb"\d{8}(?:\d\d)?(?:" + _DEGREES + rb")", "XXXXYYYYTTT is 11 (or 13) digits, the last three 000 to 359"),
        _GRADE,
        (rb"[A-D]?", "minutia type is A, B, C or D"),
        (rb"(?:\d{1,4},\d{1,3})?", "a ridge count is index,count"),
    ),
)
IAFIS = Block(
    "iafis",
    23,
    15,
    14,
    True,
    _row(rb"\d{1,4}\x1f(\d{8}(?:[0-2]\d\d|3[0-5]\d))(?:\x1f([0-5]?\d|6[0-3])?(?:\x1f([A-D])?(?:\x1f\d{0,8})*+)?)?"),
    _items(
        _INDEX,
        (rb"\d{8}(?:" + _DEGREES + rb")", "XXXXYYYYTTT is 11 digits, the last three 000 to 359"),
        _GRADE,
        (rb"[A-D]?", "minutia type is A, B, C or D"),
        (rb"\d{0,8}", "a ridge count is NNNCC, the residual 8 digits"),
    ),
)
M1 = Block(
    "m1",
    137,
    136,
    134,
    True,
    _row(
        rb"\d{1,4}\x1f(\d{1,5})\x1f(\d{1,5})\x1f(0{0,2}\d{1,2}|1[0-7]\d)\x1f([0-2])(?:\x1f(0{0,2}\d{1,2}|100|25[45])?)?"
    ),
    _items(
        _INDEX,
        (rb"\d{1,5}", "x is a number of 1 to 5 digits"),
        (rb"\d{1,5}", "y is a number of 1 to 5 digits"),
        (rb"0{0,2}\d{1,2}|1[0-7]\d", "the angle is 0 to 179, in units of 2 degrees"),
        (rb"[0-2]", "minutia type is 0, 1 or 2"),
        (rb"(?:" + _HUNDRED + rb")?", "quality is 0 to 100, 254 or 255"),
    ),
)
EFS = Block(
    "efs",
    331,
    None,
    302,
    False,
    _row(rb"(\d{1,5})\x1f(\d{1,5})\x1f([0-2]?\d{1,2}|3[0-5]\d|360)\x1f([EBX])(?:\x1f\d{0,3}){0,2}"),
    _items(
        (rb"\d{1,5}", "x is a number of 1 to 5 digits"),
        (rb"\d{1,5}", "y is a number of 1 to 5 digits"),
        # 360 stands in NIST's own examples; the check for the standard's range says so.
        (rb"[0-2]?\d{1,2}|3[0-5]\d|360", "the angle is 0 to 359"),
        (rb"[EBX]", "minutia type is E, B or X"),
        (rb"\d{0,3}", "the radius is a number of up to 3 digits"),
        (rb"\d{0,3}", "the uncertainty is a number of up to 3 digits"),
    ),
)
# In the order in which `minutiae()` chooses: the exact and the newer first.
BLOCKS = (M1, EFS, STD, IAFIS)
_BY_NAME = {block.name: block for block in BLOCKS}


def blocks_of(record: Record) -> list[Block]:
    """The blocks whose minutiae field the record has."""
    return [block for block in BLOCKS if record.type == 9 and block.minutiae in record]


def read_block(record: Record, name: str | None) -> Minutiae:
    """The minutiae of a named block, or of the first that the record has; empty where it has none."""
    if name is not None and name not in _BY_NAME:
        raise RecordError(f"{name!r} is not a minutiae block: {', '.join(_BY_NAME)}")
    held = blocks_of(record)
    block = next((b for b in held if name in (None, b.name)), None)
    if block is None:
        return Minutiae(empty_columns())
    field = record.field(block.minutiae)
    assert field is not None
    raw = bytes(field.raw)
    numbers = type9_columns.usual_numbers(block.minutiae, raw) if block.usual else None
    problems: list[Problem] = []
    if numbers is None:
        rows, problems = _split_rows(record, block, field)
        numbers = type9_columns.numbers(block.name, rows)
    frames = {"m1": m1_frame, "efs": efs_frame}
    frame = frames.get(block.name, image_frame)(record)
    return Minutiae(
        type9_columns.columns(block.name, numbers, frame, record),
        block.name,
        frame,
        positions=_positions(record, block),
        impression=integer(record, 3),
        quality=_quality(record, block),
        originals=lambda: [tuple(raw.decode("ascii").split("\x1f")) for raw in _subfields(block, field)],
        extras=lambda: EXTRAS[block.name](record, frame, _subfields(block, field)),
        problems=tuple(problems),
    )


def block_problems(record: Record) -> list[Problem]:
    """Problems of all blocks of a record: minutiae that cannot be read, and a stated number that is not theirs."""
    found: list[Problem] = []
    for block in blocks_of(record):
        field = record.field(block.minutiae)
        assert field is not None
        if not block.usual or type9_columns.usual_numbers(block.minutiae, bytes(field.raw)) is None:
            found.extend(_split_rows(record, block, field)[1])
        for number in range(128, 133) if block is M1 else ():
            place = record.field(number)
            if place is not None and integer(record, number) is None:
                found.append(record.problem("a number is wanted", place, code=NOT_A_NUMBER))
        count = None if block.count is None else record.field(block.count)
        stated = integer(record, block.count) if count is not None and block.count is not None else None
        actual = bytes(field.raw).count(b"\x1e") + 1 if field.raw else 0
        if count is not None and stated is None:
            found.append(record.problem("the number of minutiae is not a number", count, code=NOT_A_NUMBER))
        elif stated is not None and stated != actual:
            message = f"{stated} minutiae are stated, but 9.{block.minutiae:03d} holds {actual}"
            found.append(record.problem(message, count, code=INVALID_SUBFIELD_COUNT))
    return found


def _split_rows(record: Record, block: Block, field: Field) -> tuple[list[tuple[bytes, ...]], list[Problem]]:
    """What the pattern took from each subfield that is a minutia, and a problem for each of the others."""
    raw = bytes(field.raw)
    if not raw:
        return [], []  # some writers leave the field empty where there are no minutiae
    rows = block.row.findall(raw)
    problems: list[Problem] = []
    if len(rows) <= raw.count(b"\x1e"):
        for number, subfield in enumerate(raw.split(b"\x1e"), 1):
            if len(problems) < _MAX_PROBLEMS and not block.row.fullmatch(subfield):
                problems.append(_diagnosis(record, block, field, number, subfield))
    return rows, problems


def _subfields(block: Block, field: Field) -> list[bytes]:
    """The subfields that are minutiae."""
    return [match[0] for match in block.row.finditer(bytes(field.raw))]


def _diagnosis(record: Record, block: Block, field: Field, number: int, raw: bytes) -> Problem:
    """The gravest fault of a minutia: an item that is no number at all before one that is out of range."""
    items = raw.split(b"\x1f")
    last = len(block.items) - 1
    rules = [block.items[min(place, last)] for place in range(len(items))]
    wrong = [place for place, (pattern, _) in enumerate(rules) if not pattern.fullmatch(items[place])]
    if wrong:
        place = min(wrong, key=lambda place: items[place].isdigit())
        shown = items[place][:20].decode("ascii", "replace")
        message = f"{rules[place][1]}, not {shown!r}"
        return record.problem(message, field, number, place + 1, INVALID_ITEM_VALUE)
    return record.problem(f"a minutia of {len(items)} items", field, number, code=INVALID_SUBFIELD_COUNT)


# -- the record's other fields


def _positions(record: Record, block: Block) -> tuple[int, ...]:
    first = (items[0] for items in record.text(block.positions).subfields)
    return tuple(int(text) for text in first if re.fullmatch(r"[0-9]{1,3}", text))


def _quality(record: Record, block: Block) -> int | None:
    text = record.text(135).items[0] if block is M1 else ""
    return int(text) if re.fullmatch(r"[0-9]{1,3}", text) and int(text) <= 100 else None
