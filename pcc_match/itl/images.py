"""The image formats of ANSI/NIST-ITL records: which one the bytes are, what their headers say, pixels; WSQ encoding.

The format is always found from the bytes, never from a record's label. WSQ and lossless JPEG are decoded by this
library's own C++ (other decoders crash on hostile streams, and libjpeg refuses lossless JPEG as NIST's encoder writes
it); JPEG, JPEG 2000 and PNG by Pillow, the extra `images`. RecordError is the only exception for damaged, hostile or
unknown bytes; its offset counts from their start.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.errors import RecordError

_T = TypeVar("_T")
Bytes = bytes | bytearray | memoryview
Format = Literal["wsq", "jpeg", "jpeg-progressive", "jpeg-lossless", "jp2", "j2k", "png", "unknown"]

# The largest image that is decoded unless the caller says otherwise: 25 cm x 25 cm at 1000 ppi, with a margin.
PIXEL_LIMIT = 100_000_000

_MM_PER_INCH = 25.4
_JPEG_FRAMES: dict[int, Format] = {
    0xC0: "jpeg",
    0xC1: "jpeg",
    0xC2: "jpeg-progressive",
    0xC3: "jpeg-lossless",
}
_JPEG_TABLES = (0xC4, 0xC8, 0xCC)  # in the range of the frame headers, but none
# Each scan of a progressive JPEG costs the time of the whole image; real ones have about ten.
_MOST_SCANS = 100


@dataclass(frozen=True)
class ImageFacts:
    """What an image's own bytes say of it.

    format          "wsq", "jpeg" (baseline or extended sequential), "jpeg-progressive", "jpeg-lossless", "jp2",
                    "j2k" (a JPEG 2000 codestream without its file format), "png"; "unknown" for all else, as raw pixels
    width, height   pixels; None for "unknown", as all that follows
    bits            of a sample
    components      samples of a pixel: 1 grey, 3 colour
    ppi             pixels per inch; None where the bytes do not say it or the two directions differ
    """

    format: Format
    width: int | None = None
    height: int | None = None
    bits: int | None = None
    components: int | None = None
    ppi: float | None = None


def probe(data: Bytes) -> ImageFacts:
    """The facts of an image from its headers alone; no pixel is decoded. RecordError for a damaged header.

    data   the image's bytes; what follows its end is not looked at
    """
    view = memoryview(data).cast("B")
    for signature, read in _READERS:
        if view[: len(signature)] == signature:
            try:
                return read(view)
            except (struct.error, IndexError):
                raise RecordError("the image ends inside its header", offset=len(view)) from None
    return ImageFacts("unknown")


def decode(data: Bytes, *, size: tuple[int, int] | None = None, pixel_limit: int = PIXEL_LIMIT) -> NDArray[np.uint8]:
    """The pixels, uint8 (height, width) for grey images and (height, width, 3) for colour, transparency dropped.

    data          WSQ, JPEG, JPEG 2000 or PNG of at most 8 bits a sample, or raw pixels of 8 or 24 bits
    size          (width, height) of raw pixels; not looked at where the bytes are one of the formats
    pixel_limit   a larger image is refused from its header, before memory for it is allocated

    RecordError is the only exception that bytes can cause. A WSQ stream may end its blocks early, as the standard
    allows: the coefficients that it lacks are zero. JPEG, JPEG 2000 and PNG need Pillow: pip install
    "pcc_match[images]".
    """
    facts = probe(data)
    if facts.width is None or facts.height is None:
        return _decode_raw(data, size, pixel_limit)
    if facts.width * facts.height > pixel_limit:
        raise RecordError(
            f"an image of {facts.width} x {facts.height} pixels is over the limit of {pixel_limit}", offset=0
        )
    if facts.format == "wsq":
        return _native(_cpu.wsq_decode, data, pixel_limit)
    if facts.format == "jpeg-lossless":
        samples = _native(_cpu.lossless_jpeg_decode, data, pixel_limit)
        return _grey_or_colour(samples)
    return _decode_with_pillow(bytes(data), facts)


def encode_wsq(array: NDArray[np.uint8], ppi: int = 500, ratio: float = 15) -> bytes:
    """A WSQ stream of a grey image, of at most array.size / ratio bytes and close to that (1 %).

    array   uint8 (height, width), both 16 to 65,535 pixels
    ppi     pixels per inch, 1 to 65,535, written into the stream's NIST_COM comment
    ratio   of the raw size to the stream's, 1 to 1000; Prüm asks for 15 at 500 ppi. WSQ always loses the highest
            frequencies, so detailed images end at less than what a low ratio would allow. The headers, about 700 bytes,
            count, but never take more than half: the streams of images below some 20,000 pixels come out larger.

    RecordError for an array, resolution or ratio outside these.
    """
    least, most = _cpu.WSQ_SIDES
    if array.dtype != np.uint8 or array.ndim != 2:
        raise RecordError(f"WSQ holds grey images: expected uint8 (height, width), not {array.dtype} {array.shape}")
    if not all(least <= side <= most for side in array.shape):
        height, width = array.shape
        raise RecordError(f"an image of {width} x {height} pixels: WSQ needs {least} to {most} in both directions")
    if not 1 <= ppi <= 65535:
        raise RecordError(f"a resolution of {ppi} ppi: expected 1 to 65535")
    if not 1 <= ratio <= 1000:
        raise RecordError(f"a compression ratio of {ratio}: expected 1 to 1000")
    return _cpu.wsq_encode(np.ascontiguousarray(array), int(ppi), float(ratio))


# ---- headers ----


def _wsq_facts(view: memoryview) -> ImageFacts:
    width, height, comments = _native(_cpu.wsq_header, view)
    return ImageFacts("wsq", width, height, 8, 1, _comment_ppi(comments))


def _comment_ppi(comments: list[bytes]) -> float | None:
    """PPI of the first NIST_COM comment: lines of a name, blanks and a value."""
    for comment in comments:
        if comment.startswith(b"NIST_COM"):
            stated = re.search(rb"^PPI[ \t]+(\d{1,5})\s*$", comment, re.MULTILINE)
            return float(stated[1]) or None if stated else None
    return None


def _jpeg_facts(view: memoryview) -> ImageFacts:
    density = None
    comments = []
    for at, marker, content in _jpeg_segments(view):
        if marker == 0xE0 and bytes(content[:5]) == b"JFIF\0":
            unit, across, down = struct.unpack_from(">BHH", content, 7)
            if unit in (1, 2) and across == down != 0:
                density = across * (1.0 if unit == 1 else _MM_PER_INCH / 10)
        elif marker == 0xFE:
            comments.append(bytes(content))
        elif 0xC0 <= marker <= 0xCF and marker not in _JPEG_TABLES:
            if marker not in _JPEG_FRAMES:
                raise RecordError(f"a JPEG of process FF{marker:02X}, which records do not hold", offset=at)
            bits, height, width, components = struct.unpack_from(">BHHB", content)
            return _checked(
                ImageFacts(_JPEG_FRAMES[marker], width, height, bits, components, density or _comment_ppi(comments)), at
            )
    raise RecordError("a JPEG without a frame header", offset=len(view))


def _jpeg_segments(view: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """(offset, low byte of the marker, content) of each segment up to the first scan."""
    at = 2
    while at < len(view):
        if view[at] != 0xFF:
            raise RecordError(f"a JPEG marker is expected here, not {view[at]:02X}", offset=at)
        marker = view[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker in (0xDA, 0xD9):
            return
        (length,) = struct.unpack_from(">H", view, at + 2)
        if length < 2:
            raise RecordError(f"a JPEG segment of length {length}", offset=at + 2)
        yield at, marker, view[at + 4 : at + 2 + length]
        at += 2 + length


def _png_facts(view: memoryview) -> ImageFacts:
    length, kind, width, height, bits, colour = struct.unpack_from(">I4sIIBB", view, 8)
    samples = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}.get(colour)
    if kind != b"IHDR" or length != 13 or samples is None:
        raise RecordError("a PNG without a usable IHDR chunk", offset=8)
    ppi = None
    at = 8 + 12 + length
    while at + 12 <= len(view):
        length, kind = struct.unpack_from(">I4s", view, at)
        if kind in (b"IDAT", b"IEND"):
            break
        if kind == b"pHYs":
            across, down, unit = struct.unpack_from(">IIB", view, at + 8)
            ppi = _per_metre(across) if unit == 1 and across == down != 0 else None
        at += 12 + length
    return _checked(ImageFacts("png", width, height, 8 if colour == 3 else bits, samples, ppi), 16)


def _per_metre(pixels: float) -> float:
    """Pixels per inch; the hundredths that whole pixels per metre do not carry are dropped."""
    return round(pixels * _MM_PER_INCH / 1000, 2)


def _codestream_facts(view: memoryview, format: Format = "j2k", ppi: float | None = None, start: int = 0) -> ImageFacts:
    """From the SIZ segment that begins every JPEG 2000 codestream."""
    marker, _length, _profile, right, bottom, left, top = struct.unpack_from(">2xHHHIIII", view, start)
    if bytes(view[start : start + 2]) != b"\xff\x4f" or marker != 0xFF51 or left >= right or top >= bottom:
        raise RecordError("a JPEG 2000 codestream without a usable SIZ segment", offset=start)
    (components,) = struct.unpack_from(">H", view, start + 40)
    bits = max((view[start + 42 + 3 * i] & 0x7F for i in range(components)), default=0) + 1
    return _checked(ImageFacts(format, right - left, bottom - top, bits, components, ppi), start)


def _jp2_facts(view: memoryview) -> ImageFacts:
    start, ppi = _jp2_codestream(view)
    return _codestream_facts(view, "jp2", ppi, start)


def _jp2_codestream(view: memoryview) -> tuple[int, float | None]:
    """Where the codestream starts, and the resolution of the header box before it."""
    ppi = None
    for kind, start, end in _boxes(view, 0, len(view)):
        if kind == b"jp2h":
            ppi = _jp2_ppi(view, start, end)
        elif kind == b"jp2c":
            return start, ppi
    raise RecordError("a JP2 file without a codestream", offset=len(view))


def _check_codestream(view: memoryview, at: int) -> None:
    """A JPEG 2000 codestream has all of its tile parts: Pillow fills what is missing with black and says nothing."""
    at += 2
    try:
        while (marker := struct.unpack_from(">H", view, at)[0]) != 0xFFD9:
            tile_part = marker == 0xFF90
            (length,) = struct.unpack_from(">I", view, at + 6) if tile_part else struct.unpack_from(">H", view, at + 2)
            if tile_part and length == 0:  # the last one may leave its length open
                end = bytes(view[at:]).rfind(b"\xff\xd9")
                at = at + end if end > 0 else len(view)
                continue
            if marker < 0xFF00 or length < 2:
                raise RecordError("a JPEG 2000 marker segment is expected here", offset=at)
            at += length if tile_part else 2 + length
    except struct.error:
        raise RecordError("the JPEG 2000 codestream is cut off", offset=len(view)) from None


def _jp2_ppi(view: memoryview, start: int, end: int) -> float | None:
    """The resolution of capture, else the one of display."""
    found = {}
    for kind, inner, inner_end in _boxes(view, start, end):
        if kind == b"res ":
            for which, at, _ in _boxes(view, inner, inner_end):
                down, down_by, across, across_by, down_power, across_power = struct.unpack_from(">HHHHbb", view, at)
                if down * across_by == across * down_by != 0 and down_power == across_power:
                    found[which] = _per_metre(down / down_by * 10.0**down_power)
    return found.get(b"resc", found.get(b"resd"))


def _boxes(view: memoryview, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start of the content, its end) of the JP2 boxes between two offsets."""
    while at + 8 <= end:
        length, kind = struct.unpack_from(">I4s", view, at)
        header = 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", view, at + 8)
            header = 16
        stop = end if length == 0 else at + length
        if not at + header <= stop <= end:
            raise RecordError(f"a JP2 box of length {length}", offset=at)
        yield kind, at + header, stop
        at = stop


def _checked(facts: ImageFacts, at: int) -> ImageFacts:
    if not facts.width or not facts.height or not facts.components:
        raise RecordError(
            f"an image of {facts.width} x {facts.height} pixels, {facts.components} components", offset=at
        )
    return facts


_READERS: tuple[tuple[bytes, Callable[[memoryview], ImageFacts]], ...] = (
    (b"\xff\xa0", _wsq_facts),
    (b"\xff\xd8\xff", _jpeg_facts),
    (b"\x89PNG\r\n\x1a\n", _png_facts),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", _jp2_facts),
    (b"\xff\x4f\xff\x51", _codestream_facts),
)


# ---- pixels ----


def _native(function: Callable[..., _T], data: Bytes, *arguments: int) -> _T:
    """Calls a decoder of the extension."""
    try:
        return function(np.frombuffer(data, np.uint8), *arguments)
    except ValueError as error:
        message, offset = error.args
        raise RecordError(message, offset=offset) from None
    except MemoryError:
        raise RecordError("not enough memory for the image", offset=0) from None


def _decode_raw(data: Bytes, size: tuple[int, int] | None, pixel_limit: int) -> NDArray[np.uint8]:
    if size is None:
        raise RecordError("not an image format known here; raw pixels need their width and height", offset=0)
    width, height = size
    if width < 1 or height < 1 or width * height > pixel_limit:
        raise RecordError(f"raw pixels of {width} x {height}; 1 to {pixel_limit} in all are possible", offset=0)
    samples, rest = divmod(memoryview(data).nbytes, width * height)
    if rest or samples not in (1, 3):
        message = f"{memoryview(data).nbytes} bytes are not {width} x {height} pixels of 8 or 24 bits"
        raise RecordError(message, offset=0)
    return _grey_or_colour(np.frombuffer(data, np.uint8).reshape(height, width, samples).copy())


def _grey_or_colour(samples: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if samples.shape[2] not in (1, 3):
        raise RecordError(f"an image of {samples.shape[2]} components; 1 and 3 can be read", offset=0)
    return samples[:, :, 0] if samples.shape[2] == 1 else samples


def _decode_with_pillow(data: bytes, facts: ImageFacts) -> NDArray[np.uint8]:
    try:
        from PIL import ImageFile, Jpeg2KImagePlugin, JpegImagePlugin, PngImagePlugin
    except ImportError:
        message = f'decoding {facts.format} images needs Pillow: pip install "pcc_match[images]"'
        raise RecordError(message, offset=0) from None
    # One format's reader each: the bytes choose nothing else, and our limit on pixels holds instead of Pillow's.
    readers: dict[str, Callable[[io.BytesIO], ImageFile.ImageFile]] = {
        "jpeg": JpegImagePlugin.JpegImageFile,
        "jpeg-progressive": JpegImagePlugin.JpegImageFile,
        "png": PngImagePlugin.PngImageFile,
        "jp2": Jpeg2KImagePlugin.Jpeg2KImageFile,
        "j2k": Jpeg2KImagePlugin.Jpeg2KImageFile,
    }
    bits, components = facts.bits or 0, facts.components or 0
    if bits > 8 or components > 4:
        message = f"{components} components of {bits} bits; up to 4 of up to 8 can be read"
        raise RecordError(message, offset=0)
    if facts.format == "jpeg-progressive" and data.count(b"\xff\xda") > _MOST_SCANS:
        raise RecordError(f"a progressive JPEG of over {_MOST_SCANS} scans", offset=0)
    if facts.format in ("jp2", "j2k"):
        view = memoryview(data)
        _check_codestream(view, 0 if facts.format == "j2k" else _jp2_codestream(view)[0])
    try:
        with readers[facts.format](io.BytesIO(data)) as image:
            # A second header may contradict the one that the limit was held against.
            if image.size != (facts.width, facts.height):
                raise ValueError(f"its headers disagree on the size, {image.size} and {(facts.width, facts.height)}")
            image.load()
            image.info.pop("transparency", None)
            grey = image.mode in ("1", "L", "LA", "La")
            return np.asarray(image if image.mode in ("L", "RGB") else image.convert("L" if grey else "RGB")).copy()
    except Exception as error:  # whatever Pillow raises for damaged bytes, out of memory included
        message = f"the {facts.format} image cannot be decoded: {error or type(error).__name__}"
        raise RecordError(message, offset=0) from error
