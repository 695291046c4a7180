"""From field values to bytes. What a value may be:

    a str, an int          one item
    a tuple of these       the items of one subfield; None is an empty item
    a list                 the subfields, each a str, an int or a tuple
    bytes, a memoryview    image data of field 999, or of the data field of a binary record
    a tuple of ints        also the finger positions of a binary record

A value never holds a separator, STX or ETX: these are the writer's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pcc_match.errors import RecordError
from pcc_match.itl import dictionary
from pcc_match.itl.charsets import ETX, SEPARATORS, STX, Charset
from pcc_match.itl.records import (
    BINARY_DATA,
    BINARY_HEADERS,
    BINARY_TYPES,
    DATA,
    NO_DATA_TYPES,
    UNUSED_POSITION,
    Record,
)

Item = str | int | None
Content = Item | bytes | memoryview | tuple[Item, ...] | list[Item | tuple[Item, ...]]
# By number or mnemonic, or by number only.
Fields = Mapping[int | str, Content] | Mapping[int, Content]

_ASCII = Charset("ascii", True)
# 1.015 for a declared set: index, name, version left open.
_DECLARATIONS: dict[str, Content] = {
    "latin-1": ("1", "ISO-8859-1"),
    "utf-16": ("002", "UTF-16", None),
    "utf-8": ("003", "UTF-8", None),
    "utf-32": ("004", "UTF-32", None),
}
_FORBIDDEN = frozenset(SEPARATORS + STX + ETX)


def encode_transaction(
    header: Fields, records: Iterable[Record | tuple[int, Fields]], charset: str, leading_zeros: bool
) -> bytes:
    """The bytes of a transaction; see Transaction.build."""
    if charset not in ("ascii", *_DECLARATIONS):
        raise RecordError(f"{charset!r} is not a character set of the standard: ascii, {', '.join(_DECLARATIONS)}")
    text = Charset(charset, True)
    width = 2 if leading_zeros else 1
    bodies = []
    count: list[Item | tuple[Item, ...]] = []
    counted = 0
    for place, record in enumerate(records, 2):
        if isinstance(record, Record):
            type, idc, body = record.type, record.idc, bytes(record)
            if idc is None:
                raise RecordError(f"record {place}, taken from another transaction, has no IDC")
        else:
            type, values = record
            given = _numbered(type, values)
            counted += type != 2
            idc = _idc(given.pop(2, 0 if type == 2 else counted), place)
            body = _encode(type, {**given, 2: f"{idc:0{width}d}"}, text, place)
        bodies.append(body)
        count.append((str(type), f"{idc:0{width}d}"))
    first = {2: "0502", **_numbered(1, header), 3: [(1, f"{len(count):0{width}d}"), *count]}
    if charset in _DECLARATIONS:
        first[15] = _DECLARATIONS[charset]
    return b"".join((encode_tagged(1, first, text), *bodies))


def encode_tagged(type: int, fields: Fields, charset: Charset) -> bytes:
    """A tagged record: LEN, the other fields in numerical order, image data last, FS; LEN is computed."""
    parts = []
    for number, value in sorted(_numbered(type, fields).items(), key=lambda pair: (pair[0] == DATA, pair[0])):
        if number == 1:
            continue
        raw = _encode_value(type, number, value, _charset_of(type, number, charset))
        parts.append(b"%d.%03d:%b" % (type, number, raw))
    rest = b"".join(b"\x1d" + part for part in parts) + b"\x1c"
    size = len(b"%d.001:" % type) + len(rest)
    length = size + 1
    while length != size + len(str(length)):
        length = size + len(str(length))
    return b"%d.001:%d%b" % (type, length, rest)


def encode_binary(type: int, fields: Fields) -> bytes:
    """A binary record of Type-3 to 8; unused finger positions are filled with 255, ISR is 0 unless given."""
    values: dict[int, Content] = {1: 0, **({5: 0} if type != 7 else {}), **_numbered(type, fields)}
    data = values.pop(BINARY_DATA[type], b"")
    if not isinstance(data, (bytes, memoryview)):
        raise RecordError(f"{type}.{BINARY_DATA[type]:03d} must be bytes", type=type, field=BINARY_DATA[type])
    header = bytearray()
    for number, _, size in BINARY_HEADERS[type]:
        value = values.pop(number, None)
        if size == 6 and isinstance(value, (int, tuple)):
            positions = value if isinstance(value, tuple) else (value,)
            if len(positions) > 6 or not all(isinstance(p, int) and 0 <= p < 256 for p in positions):
                raise RecordError("1 to 6 finger positions of 0 to 255 are wanted", type=type, field=number)
            header += bytes((*positions, *[UNUSED_POSITION] * 6))[:6]  # type: ignore[arg-type]
            continue
        if isinstance(value, str) and value.isascii() and value.isdigit():
            value = int(value)
        if not isinstance(value, int) or not 0 <= value < 256**size:
            message = f"a whole number of 0 to {256**size - 1} is wanted, not {value!r}"
            raise RecordError(message, type=type, field=number)
        header += value.to_bytes(size, "big")
    if values:
        raise RecordError(f"the header has no field {min(values)}", type=type, field=min(values))
    length = len(header) + len(data)
    if length >= 1 << 32:
        raise RecordError(f"{length} bytes are more than a binary record can hold", type=type, field=1)
    header[:4] = length.to_bytes(4, "big")
    return bytes(header) + bytes(data)


def _encode(type: int, fields: Fields, charset: Charset, place: int) -> bytes:
    try:
        return encode_binary(type, fields) if type in BINARY_TYPES else encode_tagged(type, fields, charset)
    except RecordError as error:
        error.record = place
        raise


def _numbered(type: int, fields: Fields) -> dict[int, Content]:
    """The values by field number."""
    if type not in dictionary.RECORD_TYPES:
        raise RecordError(f"ANSI/NIST-ITL has no Type-{type} record")
    numbered = {}
    for key, value in fields.items():
        numbers = (key,) if isinstance(key, int) else dictionary.numbers(type, key)
        if not numbers or not 0 < numbers[0] < 10000:
            raise RecordError(f"Type-{type} has no field {key!r}", type=type)
        numbered[numbers[0]] = value
    return numbered


def _idc(value: Content, place: int) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if not isinstance(value, int) or not 0 <= value < 256:
        raise RecordError(f"IDC is a number of 0 to 255, not {value!r}", record=place)
    return value


def _charset_of(type: int, number: int, charset: Charset) -> Charset:
    if type == 1 or number <= 2 or (charset.unit > 1 and dictionary.is_ascii(type, number)):
        return _ASCII
    return charset


def _encode_value(type: int, number: int, value: Content, charset: Charset) -> bytes:
    if isinstance(value, (bytes, memoryview)):
        if number != DATA or type in NO_DATA_TYPES:
            raise RecordError("bytes belong into field 999 of an image record", type=type, field=number)
        return bytes(value)
    subfields: Sequence[Item | tuple[Item, ...]] = value if isinstance(value, list) else [value]
    encoded = []
    for position, subfield in enumerate(subfields, 1):
        items = subfield if isinstance(subfield, tuple) else (subfield,)
        encoded.append(b"\x1f".join(_encode_item(item, charset, type, number, position) for item in items))
    return b"\x1e".join(encoded)


def _encode_item(item: Item, charset: Charset, type: int, number: int, subfield: int) -> bytes:
    text = "" if item is None else str(item)
    if not _FORBIDDEN.isdisjoint(text):
        message = "a value must not hold a separator, STX or ETX"
        raise RecordError(message, type=type, field=number, subfield=subfield)
    try:
        return charset.encode(text)
    except UnicodeEncodeError as error:
        message = f"a character of the value is not in {charset.codec.upper()}: name another charset"
        raise RecordError(message, type=type, field=number, subfield=subfield) from error
