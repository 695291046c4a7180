"""What a record's fields say of its image, and where the image's own bytes disagree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcc_match.errors import RecordError
from pcc_match.itl import images
from pcc_match.itl.problems import INVALID_ITEM_VALUE, NOT_A_NUMBER, Problem
from pcc_match.itl.records import BINARY_TYPES, DATA, BinaryRecord, Record
from pcc_match.itl.writer import Content

MM_PER_INCH = 25.4
# Record types whose field 999 (or data field) is a raster image described by HLL, VLL, scale and compression.
RASTER_TYPES = frozenset((3, 4, 5, 6, 10, 13, 14, 15, 16, 17, 19, 20, 22))
FRICTION_TYPES = frozenset((3, 4, 5, 6, 13, 14, 15))
# Compression by name, with the spellings of old and foreign writers, and the formats (of images.py) that it stands for.
COMPRESSIONS: Mapping[str, frozenset[str]] = {
    "NONE": frozenset(("unknown",)),
    "WSQ20": frozenset(("wsq",)),
    "WSQ": frozenset(("wsq",)),
    "JPEGB": frozenset(("jpeg", "jpeg-progressive")),
    "JPEGL": frozenset(("jpeg-lossless",)),
    "JP2": frozenset(("jp2", "j2k")),
    "JP2L": frozenset(("jp2", "j2k")),
    "J2K": frozenset(("jp2", "j2k")),
    "PNG": frozenset(("png",)),
}
# The same in a binary record, by number: field 8 of Type-3 and 4; Type-5 and 6 know 0 and 1, fax.
_BY_NUMBER = ("NONE", "WSQ20", "JPEGB", "JPEGL", "JP2", "JP2L", "PNG")
_NUMBER = re.compile(r"\d{1,9}")
# Some writers begin the data of 999 with a copy of a field tag.
_STRAY_TAG = re.compile(rb"\d{1,2}\.\d{2,3}:")
# A resolution in whole pixels per centimetre or hundredths of pixels per millimetre is not more exact than that.
_PPI_TOLERANCE = 0.01


@dataclass(frozen=True)
class ImageHeader:
    """An image as the record's fields state it; None for what they do not say or say in no number.

    width, height   pixels
    ppi             pixels per inch, horizontal and vertical
    compression     "NONE", "WSQ20", ...: as written in a tagged record, by its number in a binary one ("FAX" for
                    Type-5 and 6); "" where there is none or its number means nothing
    depth           bits per pixel
    """

    width: int | None
    height: int | None
    ppi: tuple[float, float] | None
    compression: str
    depth: int | None


def image_header(record: Record) -> ImageHeader | None:
    """The header of a raster image record, None for any other record."""
    if record.type not in RASTER_TYPES:
        return None
    if isinstance(record, BinaryRecord):
        names = _BY_NUMBER if record.type in (3, 4) else ("NONE", "FAX")
        code = record.integer(8)
        name = names[code] if code is not None and code < len(names) else ""
        depth: int | None = 8 if record.type in (3, 4) else 1
        return ImageHeader(record.integer(6), record.integer(7), _binary_ppi(record), name, depth)
    depth = _number(record, 12)
    if record.type == 10:
        depth = 8 if record.text(12) == "GRAY" else 24
    return ImageHeader(_number(record, 6), _number(record, 7), _tagged_ppi(record), str(record.text(11)), depth)


def image_data(record: Record) -> memoryview | None:
    """The image's bytes without a stray field tag before them; None for a record without image data."""
    data = record.image
    if data is None or isinstance(record, BinaryRecord):
        return data
    stray = _STRAY_TAG.match(data[:8])
    return data if stray is None else data[stray.end() :]


def image_problems(record: Record) -> list[Problem]:
    """Where the image's bytes contradict the fields: compression, size, resolution, amount of raw data."""
    if record.type not in RASTER_TYPES or not record.image:
        return []
    header, data = image_header(record), image_data(record)
    assert header is not None
    assert data is not None
    found = []
    binary = record.type in BINARY_TYPES
    value, label = record.field(9 if binary else DATA), record.field(8 if binary else 11)
    if not binary:
        for number in (6, 7, 8, 9, 10):
            if number in record and _number(record, number) is None:
                found.append(record.problem("a number is wanted", record.field(number), code=NOT_A_NUMBER))
    if len(data) != len(record.image):
        found.append(record.problem("the image data begin with a field tag", value))
    if label is None or header.compression == "FAX":
        return found
    try:
        facts = images.probe(data)
    except RecordError as error:
        found.append(record.problem(f"the image cannot be read: {error.message}", value))
        return found
    formats = COMPRESSIONS.get(header.compression.upper())
    if formats is not None and facts.format not in formats:
        actual = "in no known format" if facts.format == "unknown" else facts.format.upper()
        message = f"the compression is stated as {header.compression}, but the data are {actual}"
        found.append(record.problem(message, label, 1, 1, INVALID_ITEM_VALUE))
    if facts.format == "unknown":
        return found + (_raw_problems(record, header, len(data)) if header.compression.upper() == "NONE" else [])
    for number, stated, real in ((6, header.width, facts.width), (7, header.height, facts.height)):
        field = record.field(number)
        if stated is not None and stated != real:
            message = f"stated as {stated} pixels, but the image has {real}"
            found.append(record.problem(message, field, code=INVALID_ITEM_VALUE))
    actual_ppi = _claimed_ppi(facts)
    if header.ppi is not None and actual_ppi is not None:
        for number, stated_ppi in zip((9, 10), header.ppi, strict=True):
            if abs(stated_ppi - actual_ppi) > _PPI_TOLERANCE * actual_ppi:
                message = f"stated as {stated_ppi:.0f} ppi, but the image says {actual_ppi:.0f}"
                place = record.field(5 if binary else number)
                found.append(record.problem(message, place, code=INVALID_ITEM_VALUE))
                break
    return found


def _claimed_ppi(facts: images.ImageFacts) -> float | None:
    """The image's own resolution, unless it only looks like one.

    255 in a WSQ is -1, NIST's "unknown", in a byte; 72 and 96 are what programs for the screen write into every JPEG.
    """
    placeholders = (255,) if facts.format == "wsq" else (72, 96)
    return None if facts.ppi is None or round(facts.ppi) in placeholders else facts.ppi


def _raw_problems(record: Record, header: ImageHeader, size: int) -> list[Problem]:
    """Raw data that are not width x height x depth; rows of bilevel images may be padded to whole bytes."""
    if header.width is None or header.height is None or header.depth is None:
        return []
    packed = -(-header.width * header.depth // 8) * header.height
    wanted = {packed, -(-header.width * header.height * header.depth // 8)}
    if size in wanted:
        return []
    message = f"{header.width} x {header.height} pixels of {header.depth} bits are {packed} bytes, but there are {size}"
    return [record.problem(message, record.field(9 if record.type in BINARY_TYPES else DATA), code=INVALID_ITEM_VALUE)]


def pixels(record: Record, pixel_limit: int | None = None) -> NDArray[np.uint8]:
    """See Record.pixels."""
    header = image_header(record)
    data = image_data(record)
    if header is None or data is None:
        raise RecordError("the record holds no image", record=record.number, type=record.type, idc=record.idc)
    size = (header.width, header.height) if header.width is not None and header.height is not None else None
    if size is not None and header.compression == "NONE" and header.depth == 1:
        raise RecordError("bilevel images are not decoded", record=record.number, type=record.type, idc=record.idc)
    try:
        return images.decode(data, size=size, pixel_limit=pixel_limit or images.PIXEL_LIMIT)
    except RecordError as error:
        place = record.problem(error.message, record.field(9 if record.type in BINARY_TYPES else DATA))
        raise place.error() from error


def _number(record: Record, number: int) -> int | None:
    text = record.text(number)
    return int(text) if text.isascii() and _NUMBER.fullmatch(text) else None


def _tagged_ppi(record: Record) -> tuple[float, float] | None:
    unit = {1: 1.0, 2: MM_PER_INCH / 10}.get(_number(record, 8) or 0)
    across, down = _number(record, 9), _number(record, 10)
    if unit is None or not across or not down:
        return None
    return across * unit, down * unit


def _binary_ppi(record: BinaryRecord) -> tuple[float, float] | None:
    """ISR 0: the nominal resolution of the type; 1: the native one of 1.011, pixels per millimetre."""
    if record.integer(5) == 0:
        nominal = 250.0 if record.type in (3, 5) else 500.0
        return nominal, nominal
    transaction = record._transaction
    text = "" if transaction is None else transaction.header.text(11)
    if not re.fullmatch(r"[0-9]{1,3}\.[0-9]{1,4}", text) or float(text) == 0:
        return None
    ppi = float(text) * MM_PER_INCH
    return ppi, ppi


def image_fields(type: int, data: bytes | memoryview, ppi: int | None = None) -> dict[int | str, Content]:
    """Fields for a new record from a compressed image: size, scale, compression, data, as the image's own header says.

    type   4, 13, 14, 15 or another raster type
    ppi    where the image does not say it; RecordError where neither does, or for an image that the type cannot hold
    """
    facts = images.probe(data)
    name = next((name for name, formats in COMPRESSIONS.items() if facts.format in formats), "NONE")
    if name == "NONE" or (type in BINARY_TYPES and type not in (3, 4)):
        raise RecordError(f"a Type-{type} record cannot take this image: {facts.format}", type=type)
    if type in BINARY_TYPES:
        return {6: facts.width, 7: facts.height, 8: _BY_NUMBER.index(name), 9: data}
    claimed = _claimed_ppi(facts)
    resolution = ppi or (None if claimed is None else round(claimed))
    if resolution is None:
        raise RecordError("neither the image nor the caller says the resolution: give ppi", type=type)
    scale: dict[int | str, Content] = {6: facts.width, 7: facts.height, 8: 1, 9: resolution, 10: resolution}
    colour = "GRAY" if facts.components == 1 else "SRGB"
    return scale | {11: name, 12: colour if type == 10 else 8 * (facts.components or 1), DATA: data}
