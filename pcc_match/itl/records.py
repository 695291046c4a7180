"""Records of a transaction as views of its bytes: fields by number and mnemonic, values split only when asked for.

A record is immutable and knows its own bytes (`bytes(record)`), so what was read is written back as it stood. `repr`
shows no value at all: not a name of Type-2, not a pixel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, overload

from pcc_match.errors import RecordError
from pcc_match.itl import dictionary
from pcc_match.itl.charsets import RS, US, Charset
from pcc_match.itl.problems import (
    INVALID_CHARACTER,
    INVALID_RECORD_DATA,
    TOO_MANY_OCCURRENCES,
    UNDEFINED_FIELD,
    Problem,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pcc_match.itl.minutiae import Minutiae
    from pcc_match.itl.raster import ImageHeader
    from pcc_match.itl.transaction import Transaction

DATA = 999  # the field that holds the image: the last one, delimited by LEN alone
# Types whose field 999 is an ordinary one: the header, the user's text, the minutiae.
NO_DATA_TYPES = (1, 2, 9)
# A record of a megabyte of nonsense must not become a hundred megabytes of complaints.
MAX_PROBLEMS = 100
DATA_TAG = re.compile(rb"\x1d\d{1,2}\.0{0,2}999:")
_TAG = re.compile(rb"(\d{1,2})\.(\d{1,9})")
_ASCII = Charset("ascii", True)


class FieldMissing(RecordError, KeyError):
    """`record[n]` for a field that the record does not have."""


class Text(str):
    """The text of a field. Its subfields and items are split when asked for."""

    __slots__ = ()

    @property
    def subfields(self) -> tuple[tuple[str, ...], ...]:
        """All subfields, each a tuple of its items; a plain value is one subfield of one item."""
        return tuple(tuple(subfield.split("\x1f")) for subfield in self.split("\x1e"))

    @property
    def items(self) -> tuple[str, ...]:
        """The items of the first subfield."""
        return tuple(self.split("\x1e", 1)[0].split("\x1f"))


Value = Text | int | tuple[int, ...] | memoryview


class Field:
    """One field as it stands in a record.

    number   of the field, 999 for 14.999
    tag      as written, b"14.999"; b"" in a binary record
    offset   of the value, in bytes from the start of the transaction
    raw      bytes of the value; a memoryview for image data
    """

    __slots__ = ("_record", "number", "offset", "raw", "tag")

    def __init__(self, record: Record, number: int, tag: bytes, offset: int, raw: bytes | memoryview) -> None:
        self._record = record
        self.number = number
        self.tag = tag
        self.offset = offset
        self.raw = raw

    @property
    def value(self) -> Value:
        """Text of a tagged field, the number(s) of a binary header field, a memoryview of image data."""
        return self._record._value(self)

    @property
    def mnemonic(self) -> str:
        """The standard's short name, "" for a field it does not define."""
        return dictionary.mnemonic(self._record.type, self.number)

    def __repr__(self) -> str:
        name = self.mnemonic
        return f"<Field {self._record.type}.{self.number:03d}{' ' + name if name else ''}, {len(self.raw)} bytes>"


class Record:
    """What tagged and binary records have in common: the place in the transaction, fields, image, minutiae.

    type     1 to 99
    number   position in the transaction, Type-1 is 1
    offset   of the first byte, from the start of the transaction
    idc      image designation character, None in Type-1 and where it cannot be read
    """

    __slots__ = ("_data", "_end", "_fields", "_index", "_problems", "_transaction", "idc", "number", "offset", "type")

    def __init__(self, data: bytes, start: int, end: int, type: int, idc: int | None, number: int) -> None:
        self.type = type
        self.idc = idc
        self.number = number
        self.offset = start
        self._data = data
        self._end = end
        self._transaction: Transaction | None = None
        self._fields: tuple[Field, ...] | None = None
        self._problems: list[Problem] = []
        self._index: dict[int, int] = {}

    # -- fields

    @property
    def fields(self) -> tuple[Field, ...]:
        """All fields in the order of the record."""
        if self._fields is None:
            self._fields = self._split()
            for position in range(len(self._fields) - 1, -1, -1):
                self._index[self._fields[position].number] = position
        return self._fields

    def field(self, key: int | str) -> Field | None:
        """The first field of that number or mnemonic, None where the record has none."""
        fields = self.fields
        for number in (key,) if isinstance(key, int) else dictionary.numbers(self.type, key):
            position = self._index.get(number)
            if position is not None:
                return fields[position]
        return None

    def __getitem__(self, key: int | str) -> Value:
        field = self.field(key)
        if field is None:
            name = f"{self.type}.{key:03d}" if isinstance(key, int) else f"field {key!r}"
            raise FieldMissing(f"the record has no {name}", record=self.number, type=self.type, idc=self.idc)
        return field.value

    @overload
    def get(self, key: int | str) -> Value | None: ...
    @overload
    def get(self, key: int | str, default: Value) -> Value: ...
    def get(self, key: int | str, default: Value | None = None) -> Value | None:
        field = self.field(key)
        return default if field is None else field.value

    def text(self, key: int | str) -> Text:
        """The text of a field of a tagged record, "" where the record has none."""
        value = self.get(key)
        return value if isinstance(value, Text) else Text("")

    def __contains__(self, key: int | str) -> bool:
        return self.field(key) is not None

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def _split(self) -> tuple[Field, ...]:
        raise NotImplementedError

    def _value(self, field: Field) -> Value:
        raise NotImplementedError

    # -- bytes, image, minutiae

    def __bytes__(self) -> bytes:
        return self._data[self.offset : self._end]

    @property
    def size(self) -> int:
        """Bytes of the record, what LEN should say."""
        return self._end - self.offset

    def __len__(self) -> int:
        return len(self.fields)

    @property
    def image(self) -> memoryview | None:
        """The bytes of the image (or other data of 999), None where the record has none."""
        raise NotImplementedError

    def image_header(self) -> ImageHeader | None:
        """Size, resolution, depth and compression as the fields state them; None for a record without image."""
        from pcc_match.itl import raster

        return raster.image_header(self)

    def pixels(self, pixel_limit: int | None = None) -> NDArray[np.uint8]:
        """The image decoded, uint8 (height, width) or (height, width, 3); see images.decode for limits and errors."""
        from pcc_match.itl import raster

        return raster.pixels(self, pixel_limit)

    def minutiae(self, block: str | None = None) -> Minutiae:
        """The minutiae of a Type-9 record, an empty sequence for any other.

        block   "m1", "efs", "std" or "iafis"; without it the first of these that the record holds
        What cannot be read is left out and stands in `.problems` of the result.
        """
        from pcc_match.itl import minutiae

        return minutiae.read_minutiae(self, block)

    # -- problems

    def problem(
        self,
        message: str,
        field: Field | None = None,
        subfield: int | None = None,
        item: int | None = None,
        code: int = INVALID_RECORD_DATA,
    ) -> Problem:
        """A problem of this record at a field, subfield and item (both from 1)."""
        offset = self.offset if field is None else field.offset
        if field is not None and subfield is not None:
            offset += _item_offset(bytes(field.raw), subfield, item or 1)
        number = None if field is None else field.number
        return Problem(message, offset, self.number, self.type, self.idc, number, subfield, item, code)

    def structure_problems(self) -> list[Problem]:
        """What splitting the record into fields found."""
        _ = self.fields
        return self._problems

    def _note(self, problem: Problem) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(problem)

    def __repr__(self) -> str:
        idc = "" if self.idc is None else f" IDC {self.idc}"
        return f"<Record {self.number}: Type-{self.type}{idc}, {len(self)} fields, {self.size} bytes>"


class TaggedRecord(Record):
    """A record of fields "T.NNN:value" parted by GS and ended by FS."""

    __slots__ = ("charset",)

    def __init__(
        self, data: bytes, start: int, end: int, type: int, idc: int | None, number: int, charset: Charset
    ) -> None:
        super().__init__(data, start, end, type, idc, number)
        self.charset = charset

    def _split(self) -> tuple[Field, ...]:
        data, start, end = self._data, self.offset, self._end
        if end > start and data[end - 1] == 0x1C:
            end -= 1
        text_end, image_tag = end, None
        if self.type not in NO_DATA_TYPES:
            image_tag = DATA_TAG.search(data, start, end)
            if image_tag is not None:
                text_end = image_tag.start()
        text = data[start:text_end]
        if self.charset.unit > 1 and self.type != 1:
            parts = re.split(rb"\x1d(?=%d\.\d{1,9}:)" % self.type, text)
        else:
            parts = text.split(b"\x1d")
        fields: list[Field] = []
        append, type_ = fields.append, self.type
        position = start
        seen: set[int] = set()
        for part in parts:
            tag, _, value = part.partition(b":")
            known = _TAGS.get(tag) or _parse_tag(tag)
            if known is None or len(tag) == len(part):
                self._note(self._malformed(part, position))
            else:
                number = known[1]
                field = Field(self, number, tag, position + len(tag) + 1, value)
                append(field)
                if known[0] != type_:
                    self._note(self.problem(f"the field is tagged {tag.decode()} in a Type-{type_} record", field))
                if number in seen:
                    message = f"{type_}.{number:03d} stands in the record more than once"
                    self._note(self.problem(message, field, code=TOO_MANY_OCCURRENCES))
                seen.add(number)
            position += len(part) + 1
        if image_tag is not None:
            tag = data[image_tag.start() + 1 : image_tag.end() - 1]
            append(Field(self, DATA, tag, image_tag.end(), memoryview(data)[image_tag.end() : end]))
            if _parse_tag(tag) != (type_, DATA):
                message = f"the image field is tagged {tag.decode()} in a Type-{type_} record"
                self._note(self.problem(message, fields[-1]))
        return tuple(fields)

    def _malformed(self, part: bytes, position: int) -> Problem:
        what = "an empty field" if not part else "a field without a tag of the form type.number:"
        return Problem(what, position, self.number, self.type, self.idc, code=UNDEFINED_FIELD)

    def _value(self, field: Field) -> Value:
        if isinstance(field.raw, memoryview):
            return field.raw
        return Text(self.charset_of(field.number).decode(field.raw)[0])

    def charset_of(self, number: int) -> Charset:
        """The character set of a field: in a wide transaction all but the fields for free text are ASCII."""
        if self.charset.unit > 1 and (self.type == 1 or number <= 2 or dictionary.is_ascii(self.type, number)):
            return _ASCII
        return self.charset

    @property
    def image(self) -> memoryview | None:
        field = self.field(DATA)
        return None if field is None or not isinstance(field.raw, memoryview) else field.raw

    def text_problems(self) -> list[Problem]:
        """Fields whose bytes are not of the character set that the transaction declares for them."""
        found = []
        fields = self.fields
        end = fields[-1].offset if fields and isinstance(fields[-1].raw, memoryview) else self._end
        if self.charset.unit == 1 and self._data[self.offset : end].isascii():
            return []
        for field in self.fields:
            if isinstance(field.raw, memoryview) or (field.raw.isascii() and self.charset.unit == 1):
                continue
            charset = self.charset_of(field.number)
            if charset.declared and (self.type == 1 or field.number <= 2):
                charset = _ASCII
            if not charset.decode(field.raw)[1]:
                message = f"bytes that are not {charset.codec.upper()}"
                found.append(self.problem(message, field, code=INVALID_CHARACTER))
        return found


# Header fields of the binary records: number, first byte, bytes; the data follow. Type-7 is the sender's own after IDC.
_FINGERPRINT = ((1, 0, 4), (2, 4, 1), (3, 5, 1), (4, 6, 6), (5, 12, 1), (6, 13, 2), (7, 15, 2), (8, 17, 1))
_SIGNATURE = ((1, 0, 4), (2, 4, 1), (3, 5, 1), (4, 6, 1), (5, 7, 1), (6, 8, 2), (7, 10, 2))
BINARY_HEADERS = dict.fromkeys((3, 4, 5, 6), _FINGERPRINT) | {7: ((1, 0, 4), (2, 4, 1)), 8: _SIGNATURE}
BINARY_TYPES = tuple(BINARY_HEADERS)
# Number of the field that holds the data of a binary record, and the size of the header before it.
BINARY_DATA = {type: header[-1][0] + 1 for type, header in BINARY_HEADERS.items()}
HEADER_SIZE = {type: header[-1][1] + header[-1][2] for type, header in BINARY_HEADERS.items()}
_FGP = 4
UNUSED_POSITION = 255


class BinaryRecord(Record):
    """A record of Type-3 to 8: a header of unsigned big-endian numbers, then data; fields are numbered as if tagged.

    record[4] of Type-3 to 6 is the tuple of finger positions without the unused ones (255), record[9] the image.
    """

    __slots__ = ()

    def read_as(self, type: int) -> BinaryRecord:
        """This record under the header of another binary type: some senders put a Type-4 header into Type-7."""
        other = BinaryRecord(self._data, self.offset, self._end, type, self.idc, self.number)
        other._transaction = self._transaction
        return other

    def _split(self) -> tuple[Field, ...]:
        data, start, end = self._data, self.offset, self._end
        fields = []
        for number, position, size in BINARY_HEADERS[self.type]:
            if start + position + size <= end:
                first = start + position
                fields.append(Field(self, number, b"", first, data[first : first + size]))
        first = start + HEADER_SIZE[self.type]
        if first <= end:
            fields.append(Field(self, BINARY_DATA[self.type], b"", first, memoryview(data)[first:end]))
        return tuple(fields)

    def _value(self, field: Field) -> Value:
        if isinstance(field.raw, memoryview):
            return field.raw
        if field.number == _FGP and len(field.raw) == 6:
            return tuple(position for position in field.raw if position != UNUSED_POSITION)
        return int.from_bytes(field.raw, "big")

    def integer(self, number: int) -> int | None:
        """A header field as a number, None where the record is cut before it."""
        value = self.get(number)
        return value if isinstance(value, int) else None

    @property
    def image(self) -> memoryview | None:
        field = self.field(BINARY_DATA[self.type])
        return None if field is None or not isinstance(field.raw, memoryview) else field.raw


_TAGS: dict[bytes, tuple[int, int]] = {}


def _parse_tag(tag: bytes) -> tuple[int, int] | None:
    """Type and field number of b"14.999"; kept, because a file has few different tags."""
    match = _TAG.fullmatch(tag)
    if match is None:
        return None
    if len(_TAGS) > 10000:
        _TAGS.clear()
    _TAGS[tag] = int(match[1]), int(match[2])
    return _TAGS[tag]


def _item_offset(raw: bytes, subfield: int, item: int) -> int:
    """Where an item begins within a field's value; the value's length where it has no such item."""
    position = 0
    for separator, count in ((RS, subfield - 1), (US, item - 1)):
        for _ in range(count):
            position = raw.find(separator, position) + 1
            if position == 0:
                return len(raw)
    return position
