"""From bytes to records: where each record begins and ends, whatever is wrong with the file.

LEN alone bounds a record; 1.003 CNT alone says where a binary record (Type-3 to 8) stands, because it has no tag. Where
LEN or CNT is wrong the reader notes a problem and goes on at the next record that it can prove, so each byte is looked
at a bounded number of times and nothing is allocated but views of what is there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pcc_match.errors import RecordError
from pcc_match.itl import dictionary
from pcc_match.itl.charsets import Charset, declared_charset
from pcc_match.itl.problems import (
    INVALID_ITEM_VALUE,
    INVALID_RECORD_TYPE,
    MANDATORY_FIELD_MISSING,
    NOT_A_NUMBER,
    Problem,
)
from pcc_match.itl.records import (
    BINARY_TYPES,
    DATA_TAG,
    HEADER_SIZE,
    NO_DATA_TYPES,
    BinaryRecord,
    Record,
    TaggedRecord,
)

_FS = 0x1C
GREATEST_IDC = 255
# The first two fields: type, LEN, and IDC where it follows; digits are bounded, so no number costs more than its text.
_HEAD = re.compile(rb"(\d{1,2})\.0{0,2}1:(\d{1,18})[\x1d\x1c](?:\d{1,2}\.0{0,2}2:(\d{1,3})(?=[\x1d\x1c]))?")
_TYPE_1 = re.compile(rb"(?<![\d.])1\.0{0,2}1:")
_TAGGED = re.compile(rb"(\d{1,2})\.(\d{1,4}):")
_NEXT_TAG = re.compile(rb"(\d{1,2})\.0{0,2}1:\d{1,18}\x1d")
_PADDED = re.compile(rb"[\x00\t\n\r\x1a ]+(?=(\d{1,2})\.0{0,2}1:)")
_NUMBER = re.compile(r"[0-9]{1,9}")
_PADDING = {b"\x00": "NUL", b"\n": "LF", b"\r\n": "CR LF", b"\x1a": "SUB", b" ": "blank", b"\x1c": "FS"}


@dataclass
class Layout:
    """What the reader found; the records follow each other, without gaps where nothing is wrong."""

    data: bytes
    charset: Charset
    records: list[Record]
    problems: list[Problem]


@dataclass(frozen=True)
class _Entry:
    """One subfield of CNT: the record that it announces."""

    type: int | None
    idc: int | None
    subfield: int


def split_records(data: bytes, fallback: Charset) -> Layout:
    """All records of a transaction; RecordError where no Type-1 record can be found.

    fallback   the character set of a transaction that declares none
    """
    start = 0
    if not _TYPE_1.match(data):
        found = _TYPE_1.search(data)
        if found is None:
            what = "there is nothing to read" if not data else f"none of the {len(data)} bytes begins a Type-1 record"
            raise RecordError(f"no Type-1 record: {what}", offset=0)
        start = found.start()
    layout = Layout(data, fallback, [], [])
    if start:
        layout.problems.append(Problem(f"{start} bytes stand before the Type-1 record", 0))
    header, position = _tagged_record(layout, start, None)
    _read_charset(layout, header)
    entries = _announced(layout, header)
    for index, entry in enumerate(entries):
        if position >= len(data):
            _missing(layout, header, entries[index:])
            break
        following = entries[index + 1].type if index + 1 < len(entries) else None
        position = _next_record(layout, position, entry, following)
    else:
        position = _unannounced(layout, position, header)
    _note_trailing(layout, position)
    return layout


def _read_charset(layout: Layout, header: TaggedRecord) -> None:
    """The character set that 1.015 DCS declares for all records behind Type-1."""
    field = header.field(15)
    if field is None:
        return
    items = (*header.text(15).items, "", "")
    charset = declared_charset(items[0], items[1])
    if charset is None:
        message = "1.015 DCS names no character set that is known here"
        layout.problems.append(header.problem(message, field, 1, 1, INVALID_ITEM_VALUE))
    else:
        layout.charset = header.charset = charset


def _announced(layout: Layout, header: Record) -> list[_Entry]:
    """The records that CNT announces, with a problem for each part of it that makes no sense."""
    field = header.field(3)
    if field is None:
        layout.problems.append(
            header.problem("1.003 CNT is missing: only tagged records can be found", code=MANDATORY_FIELD_MISSING)
        )
        return []
    subfields = header.text(3).subfields
    first = subfields[0]
    listed = len(subfields) - 1
    entries = []
    if first[0] not in ("1", "01", "001"):
        layout.problems.append(header.problem("CNT begins with the Type-1 record itself, as 1", field, 1, 1))
    stated = first[1] if len(first) > 1 else ""
    if not _NUMBER.fullmatch(stated) or int(stated) != listed:
        message = f"CNT announces {stated[:9]!r} records but lists {listed}"
        layout.problems.append(header.problem(message, field, 1, 2, INVALID_ITEM_VALUE))
    complaints = 0
    for position, items in enumerate(subfields[1:], 2):
        numbers = [int(item) if _NUMBER.fullmatch(item) else None for item in items]
        type, idc = (*numbers, None, None)[:2]
        if (type is None or idc is None or len(items) != 2) and complaints < 10:
            complaints += 1
            message = "a CNT entry is a record type and an IDC, two numbers"
            layout.problems.append(header.problem(message, field, position, code=INVALID_ITEM_VALUE))
        entries.append(_Entry(type, idc, position))
    return entries


def _missing(layout: Layout, header: Record, entries: list[_Entry]) -> None:
    first = entries[0]
    more = "" if len(entries) == 1 else f" (and {len(entries) - 1} more)"
    kind = "next" if first.type is None else f"Type-{first.type}"
    message = f"the transaction ends before the {kind} record{more} that CNT announces"
    layout.problems.append(header.problem(message, header.field(3), first.subfield))


def _next_record(layout: Layout, position: int, entry: _Entry, following: int | None) -> int:
    """Reads the record that CNT announces at a position; returns where the next one begins."""
    data = layout.data
    head = _HEAD.match(data, position)
    record: Record
    if head is None and entry.type in BINARY_TYPES:
        record, end = _binary_record(layout, position, entry.type, following)
    else:
        if head is None and not _TAGGED.match(data, position):
            position = _skip(layout, position, entry)
            head = _HEAD.match(data, position)
            if head is None or int(head[1]) != entry.type:
                return position
        record, end = _tagged_record(layout, position, following, head)
    if entry.type is not None and record.type != entry.type:
        message = f"CNT announces a Type-{entry.type} record here"
        layout.problems.append(record.problem(message, record.field(1), code=INVALID_RECORD_TYPE))
    elif entry.idc is not None and record.idc is not None and record.idc != entry.idc:
        message = f"the IDC is {record.idc}, but 1.003 CNT announces {entry.idc} for this record"
        layout.problems.append(record.problem(message, record.field(2), code=INVALID_ITEM_VALUE))
    return end


def _skip(layout: Layout, position: int, entry: _Entry) -> int:
    """Passes over bytes that are no record, to a first tag behind padding or behind an FS, else to the end."""
    data = layout.data
    padded = _PADDED.match(data, position)
    tags = (tag.start() for tag in _NEXT_TAG.finditer(data, position) if data[tag.start() - 1] == _FS)
    start = padded.end() if padded is not None else next(tags, len(data))
    message = f"{start - position} bytes that are no record stand where CNT announces one"
    layout.problems.append(Problem(message, position, len(layout.records) + 1, entry.type))
    return start


def _unannounced(layout: Layout, position: int, header: Record) -> int:
    """Tagged records after the last one that CNT announces; another Type-1 begins another transaction."""
    noted = header.field(3) is None
    while position < len(layout.data):
        head = _HEAD.match(layout.data, position)
        if head is None or head[1] == b"1":
            break
        record, position = _tagged_record(layout, position, None, head)
        if not noted:
            message = "1.003 CNT does not announce this record"
            layout.problems.append(record.problem(message, record.field(1)))
            noted = True
    return position


def _tagged_record(
    layout: Layout, start: int, following: int | None, head: re.Match[bytes] | None = None
) -> tuple[TaggedRecord, int]:
    """The tagged record at `start` and the position after it."""
    data = layout.data
    head = head or _HEAD.match(data, start)
    tag = _TAGGED.match(data, start)
    assert tag is not None
    if head is None:
        type = int(tag[1])
        end, idc = _recovered_end(layout, start, type, following), None
    else:
        type = int(head[1])
        idc = None if head[3] is None or type == 1 or int(head[3]) > GREATEST_IDC else int(head[3])
        end = start + int(head[2])
        if end > len(data) or data[end - 1] != _FS or end < head.end():
            end = _distrusted_end(layout, head, following)
    record = TaggedRecord(data, start, end, type, idc, len(layout.records) + 1, layout.charset)
    layout.records.append(record)
    if head is None and int(tag[2]) != 1:
        layout.problems.append(record.problem("the record does not begin with LEN", code=MANDATORY_FIELD_MISSING))
    elif head is None:
        message = "LEN is not a number of at most 18 digits"
        layout.problems.append(record.problem(message, record.field(1), code=NOT_A_NUMBER))
    elif end != start + int(head[2]):
        layout.problems.append(_length_problem(record, int(head[2])))
    elif data[end - 1] != _FS:
        layout.problems.append(record.problem("the record does not end with FS", record.field(1)))
    if type == 1 and record.number > 1:
        layout.problems.append(record.problem("a second Type-1 record", record.field(1), code=INVALID_RECORD_TYPE))
    elif type not in dictionary.RECORD_TYPES:
        message = f"ANSI/NIST-ITL has no Type-{type} record"
        layout.problems.append(record.problem(message, record.field(1), code=INVALID_RECORD_TYPE))
    elif type in BINARY_TYPES:
        layout.problems.append(record.problem(f"a Type-{type} record is binary, not tagged", record.field(1)))
    if type != 1 and idc is None:
        _read_idc(layout, record)
    return record, end


def _length_problem(record: TaggedRecord, stated: int) -> Problem:
    """LEN is wrong, or the record is cut: the image field names the place where the image is what is missing."""
    actual = record.size
    message = f"LEN is {stated}, but the record has {actual} bytes"
    image = record.field(999) if record.image is not None else None
    if stated > actual and image is not None and not bytes(record).endswith(b"\x1c"):
        message = f"{message}: the image is cut after {len(image.raw)} bytes"
        return record.problem(message, image)
    return record.problem(message, record.field(1))


def _read_idc(layout: Layout, record: TaggedRecord) -> None:
    """IDC where it does not stand right behind LEN in the usual form."""
    fields = record.fields
    field = record.field(2)
    text = record.text(2)
    if field is not None and _NUMBER.fullmatch(text) and int(text) <= GREATEST_IDC:
        record.idc = int(text)
    if field is None:
        end = record.offset + record.size
        place = end, record.number, record.type
        layout.problems.append(Problem("the record has no IDC", *place, code=MANDATORY_FIELD_MISSING))
    elif record.idc is None:
        message = f"IDC is not a number of 0 to {GREATEST_IDC}"
        layout.problems.append(record.problem(message, field, code=NOT_A_NUMBER))
    elif len(fields) < 2 or fields[1] is not field:
        layout.problems.append(record.problem("IDC is not the second field", field))


def _distrusted_end(layout: Layout, head: re.Match[bytes], following: int | None) -> int:
    """The end of a record whose LEN does not lead to an FS: LEN's, if a record or the end of the file is there."""
    data = layout.data
    start, end = head.start(), head.start() + int(head[2])
    if head.end() <= end <= len(data):
        next_type = following in BINARY_TYPES
        if end == len(data) or next_type or _HEAD.match(data, end):
            inside = data.find(b"\x1c", start, end)
            if inside < 0 or int(head[1]) not in NO_DATA_TYPES:
                return end
    return _recovered_end(layout, start, int(head[1]), following)


def _recovered_end(layout: Layout, start: int, type: int, following: int | None) -> int:
    """The end of a tagged record without LEN: the first FS of text, or what stands before the next record's tag."""
    data = layout.data
    separator = data.find(b"\x1c", start)
    text_end = len(data) if separator < 0 else separator
    image = None
    if type not in NO_DATA_TYPES:
        image = DATA_TAG.search(data, start, text_end)
    if image is None:
        return len(data) if separator < 0 else separator + 1
    return _next_tag(data, image.end(), following)


def _next_tag(data: bytes, position: int, following: int | None) -> int:
    """Where the record that follows by CNT begins behind an image, the end of the file where that cannot be told."""
    if following is None or following in BINARY_TYPES:
        return len(data)
    tags = (tag for tag in _NEXT_TAG.finditer(data, position) if int(tag[1]) == following)
    return next((tag.start() for tag in tags), len(data))


def _binary_record(layout: Layout, start: int, type: int, following: int | None) -> tuple[BinaryRecord, int]:
    """The binary record of a known type at `start` and the position after it."""
    data = layout.data
    available = len(data) - start
    length = int.from_bytes(data[start : start + 4], "big") if available >= 4 else 0
    trusted = HEADER_SIZE[type] <= length <= available
    end = start + length if trusted else _binary_end(data, start, type, following)
    idc = data[start + 4] if end - start > 4 else None
    record = BinaryRecord(data, start, end, type, idc, len(layout.records) + 1)
    layout.records.append(record)
    if available < 4:
        layout.problems.append(record.problem(f"only {available} bytes are left for a Type-{type} record"))
    elif length < HEADER_SIZE[type]:
        message = f"LEN is {length}, but the header of a Type-{type} record alone has {HEADER_SIZE[type]} bytes"
        layout.problems.append(record.problem(message, record.field(1)))
    elif not trusted:
        message = f"LEN is {length}, but only {available} bytes are left"
        layout.problems.append(record.problem(message, record.field(1)))
    return record, end


def _binary_end(data: bytes, start: int, type: int, following: int | None) -> int:
    """The end of a binary record whose LEN is impossible: by its raw size, else the next tag, else the file's."""
    record = BinaryRecord(data, start, len(data), type, None, 0)
    if type in (3, 4) and record.integer(8) == 0:
        end = start + HEADER_SIZE[type] + (record.integer(6) or 0) * (record.integer(7) or 0)
        if end == len(data) or _HEAD.match(data, end):
            return end
    return _next_tag(data, start + HEADER_SIZE[type], following)


def _note_trailing(layout: Layout, position: int) -> None:
    rest = layout.data[position:]
    if not rest:
        return
    if _TYPE_1.match(rest):
        message = f"another transaction of {len(rest)} bytes begins behind this one"
    else:
        kind = next((name for pad, name in _PADDING.items() if not rest.replace(pad, b"")), "unreadable")
        message = f"{len(rest)} {kind} bytes stand behind the last record"
    layout.problems.append(Problem(message, position))
