"""Finger minutiae templates: ISO/IEC 19794-2:2005 and :2011, ANSI/INCITS 378-2004, -2009 and -2009/AM1.

Also the draft of 378 of 2007 that NIST's samples hold: as -2009, without the byte of certification in the header.

All hold, per finger view, minutiae of 6 bytes (type 2 bits, x 14 bits, 2 bits unused, y 14 bits, angle, quality) in
pixels from the top left at a resolution in pixels per centimetre, and an extended data area with ridge counts, cores
and deltas. They differ in the header, in where size and resolution stand, and in the unit of the angle: 2 degrees in
ANSI, 360/256 degrees in ISO.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pcc_match.errors import TemplateError
from pcc_match.itl.minutiae import COLUMNS, COMPOUND, Core, Delta, Extras, Frame, Minutiae, RidgeCount

_RIDGE_COUNTS, _CORES_AND_DELTAS = 1, 2
_NOT_REPORTED = 254


@dataclass(frozen=True)
class Format:
    """What tells the formats apart.

    angle       degrees of one unit of the angle byte
    per_view    size and resolution stand in each view, not in the header
    flag_first  one bit of the count byte says that all cores (or deltas) have angles (ANSI); else a bit of each x (ISO)
    """

    name: str
    version: bytes
    angle: float
    per_view: bool
    flag_first: bool


FORMATS = {
    format.name: format
    for format in (
        Format("ansi-2004", b" 20\0", 2.0, False, True),
        Format("ansi-2007", b"030\0", 2.0, True, True),
        Format("ansi-2009", b"030\0", 2.0, True, True),
        Format("ansi-2009-am1", b"035\0", 2.0, True, True),
        Format("iso-2005", b" 20\0", 360 / 256, False, False),
        Format("iso-2011", b"030\0", 360 / 256, True, False),
    )
}


@dataclass(frozen=True)
class View:
    """One view of a finger: its minutiae, and what the format says besides.

    number       of the view of this finger, from 0
    extensions   extended data other than ridge counts, cores and deltas: (type, bytes)
    captured     the 9 bytes of date and time of ISO 2011, as they stand
    """

    minutiae: Minutiae
    number: int = 0
    quality_owner: int = 0
    quality_algorithm: int = 0
    extensions: tuple[tuple[int, bytes], ...] = ()
    captured: bytes = b"\xff" * 9
    device: tuple[int, int, int] = (0, 0, 0)  # ISO 2011: technology, vendor, id


@dataclass(frozen=True)
class Template:
    """A finger minutiae record.

    format       key of FORMATS
    product      owner and type of the ANSI header
    device       capture equipment of the header: certification bits, id
    """

    format: str
    views: tuple[View, ...]
    product: tuple[int, int] = (0, 0)
    device: tuple[int, int] = (0, 0)
    problems: tuple[str, ...] = field(default=(), compare=False)

    def __bytes__(self) -> bytes:
        return write_template(self)


class _Reader:
    """Numbers from bytes, with an error that names the offset where they end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise TemplateError(f"the template ends at byte {len(self.data)}, {end - len(self.data)} bytes too early")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(">" + layout, self.take(struct.calcsize(">" + layout)))

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")


def read_template(data: bytes, strict: bool = False, partial: bool = False) -> Template:
    """Reads a template of any of the five formats; TemplateError where it is none or is cut.

    strict    also refuse a wrong total length, an impossible extended data area and bytes behind the last view;
              otherwise these stand in `problems`
    partial   of a template that is cut behind the head of its first view, the views and minutiae that are whole; what
              is missing stands in `problems`
    """
    data = bytes(data)
    if data[:4] != b"FMR\0":
        raise TemplateError("byte 0: a finger minutiae record begins with FMR and a zero byte")
    name = _recognise(data)
    if name == "ansi-2009" and _is_draft(data):
        name = "ansi-2007"
    template = _read_as(data, FORMATS[name], partial and not strict)
    if strict and template.problems:
        raise TemplateError(template.problems[0])
    return template


def _is_draft(data: bytes) -> bool:
    try:
        return not _read_as(data, FORMATS["ansi-2007"]).problems
    except TemplateError:
        return False


def _read_as(data: bytes, format: Format, partial: bool = False) -> Template:
    problems: list[str] = []
    reader = _Reader(data)
    reader.take(8)
    stated, product, device, frame, count = _read_header(reader, format)
    views: list[View] = []
    while len(views) < count:
        start = reader.position
        try:
            views.append(_read_view(reader, format, device, frame, problems, partial))
        except TemplateError as error:
            if not partial or not views:
                raise
            problems.append(f"byte {start}: {count} views are stated, but only {len(views)} are there: {error}")
            break
    if stated != reader.position:
        problems.append(f"byte 8: the total length is {stated}, but the views end at byte {reader.position}")
    if reader.position != len(data):
        problems.append(f"byte {reader.position}: {len(data) - reader.position} bytes stand behind the last view")
    return Template(format.name, tuple(views), product, device, tuple(problems))


def _recognise(data: bytes) -> str:
    version = data[4:8]
    if version == b"035\0":
        return "ansi-2009-am1"
    if version == b"030\0":
        return "iso-2011" if _walks_as_iso_2011(data) else "ansi-2009"
    if version in (b" 20\0", b"020\0"):
        # ANSI: a total length of 2 bytes, or 0 in them and then one of 4; ISO: one of 4.
        short, long = int.from_bytes(data[8:10], "big"), int.from_bytes(data[10:14], "big")
        return "ansi-2004" if short or long == len(data) else "iso-2005"
    raise TemplateError(f"byte 4: the version {version!r} is none of ' 20', '030', '035'")


def _walks_as_iso_2011(data: bytes) -> bool:
    total, count = int.from_bytes(data[8:12], "big"), int.from_bytes(data[12:14], "big")
    position = 15
    for _ in range(count):
        size = int.from_bytes(data[position : position + 4], "big")
        if size < 34:
            return False
        position += size
        if position > len(data):  # cut, if the views still add up to what is stated
            return position <= total
    return position == total


_Header = tuple[int, tuple[int, int], tuple[int, int], "Frame | None", int]


def _read_header(reader: _Reader, format: Format) -> _Header:
    """Total length, product, device, image (where the header has it), number of views."""
    if format.name == "iso-2011":
        total, count, certified = reader.numbers("IHB")
        return total, (0, 0), (certified, 0), None, count
    short = reader.number(2) if format.name == "ansi-2004" else 0
    total = short or reader.number(4)
    product = (0, 0)
    if format.name != "iso-2005":
        owner, kind = reader.numbers("HH")
        product = (owner, kind)
    if format.per_view:
        certified = 0 if format.name == "ansi-2007" else reader.number(1)
        device, count, _ = reader.numbers("HBB")
        return total, product, (certified, device), None, count
    device, width, height, across, down, count, _ = reader.numbers("HHHHHBB")
    return total, product, (device >> 12, device & 0xFFF), Frame(width, height, 2, across, down), count


def _read_view(
    reader: _Reader,
    format: Format,
    device: tuple[int, int],
    frame: Frame | None,
    problems: list[str],
    partial: bool,
) -> View:
    owner = algorithm = 0
    captured, sensor = b"\xff" * 9, (0, 0, 0)
    size = 6
    if format.name == "iso-2011":
        reader.number(4)
        captured = reader.take(9)
        technology, vendor, id = reader.numbers("BHH")
        sensor = (technology, vendor, id)
        quality = None
        for place in range(reader.number(1)):
            score, score_owner, score_algorithm = reader.numbers("BHH")
            if place == 0:
                quality, owner, algorithm = score, score_owner, score_algorithm
        if device[0] & 1:
            reader.take(3 * reader.number(1))
        position, number, across, down, impression, width, height, fields, count = reader.numbers("BBHHBHHBB")
        size = fields >> 4
        if size not in (5, 6):
            raise TemplateError(f"byte {reader.position - 2}: minutiae of {size} bytes, not 5 or 6")
        frame = Frame(width, height, 2, across, down)
    elif format.per_view:
        position, number, impression, quality, owner, algorithm, width, height, across, down, count = reader.numbers(
            "BBBBHHHHHHB"
        )
        frame = Frame(width, height, 2, across, down)
    else:
        position, view, quality, count = reader.numbers("BBBB")
        number, impression = view >> 4, view & 15
    assert frame is not None
    there = (len(reader.data) - reader.position) // size
    if partial and count > there:
        problems.append(f"byte {reader.position}: {count} minutiae are stated, but only {there} are there")
        count = there
    raw = reader.take(count * size)
    table = np.frombuffer(raw, np.uint8).reshape(count, size).astype(np.int64)
    extras, extensions = _read_extended(reader, format, frame, problems, partial)
    minutiae = Minutiae(
        _columns(table, format, frame),
        format.name,
        frame,
        positions=(position,),
        impression=impression,
        quality=None if quality is None or quality > 100 else quality,
        originals=lambda: [_original(row) for row in table.tolist()],
        extras=lambda: extras,
    )
    return View(minutiae, number, owner, algorithm, extensions, captured, sensor)


def _safe_scale(frame: Frame) -> tuple[float, float]:
    """Factors to 500 ppi; a template that gives no resolution is taken to have that one."""
    return frame.scale if frame.across and frame.down else (1.0, 1.0)


def _columns(table: np.ndarray[tuple[int, int], np.dtype[np.int64]], format: Format, frame: Frame) -> np.ndarray:
    columns = np.empty(len(table), COLUMNS)
    if len(table):
        across, down = _safe_scale(frame)
        columns["x"] = ((table[:, 0] & 63) << 8 | table[:, 1]) * across
        columns["y"] = ((table[:, 2] & 63) << 8 | table[:, 3]) * down
        columns["angle"] = table[:, 4] * format.angle % 360
        columns["type"] = np.where(table[:, 0] >> 6 == COMPOUND, 0, table[:, 0] >> 6)
        quality = table[:, 5] if table.shape[1] == 6 else np.zeros(len(table), np.int64)
        columns["quality"] = np.where(quality > 100, 0, quality)
    return columns


def _original(row: list[int]) -> tuple[int, ...]:
    """Type, x, y, angle, quality as the template's numbers."""
    x, y = (row[0] & 63) << 8 | row[1], (row[2] & 63) << 8 | row[3]
    return (row[0] >> 6, x, y, *row[4:])


def _read_extended(
    reader: _Reader, format: Format, frame: Frame, problems: list[str], partial: bool
) -> tuple[Extras, tuple[tuple[int, bytes], ...]]:
    if partial and len(reader.data) - reader.position < 2:
        problems.append(f"byte {reader.position}: the template ends before its extended data")
        reader.position = len(reader.data)
        return Extras(), ()
    size = reader.number(2)
    start = reader.position
    left = len(reader.data) - start
    if size > left:
        problems.append(f"byte {start - 2}: {size} bytes of extended data are stated, but only {left} are left")
    area = _Reader(reader.take(min(size, left)))
    counts: list[RidgeCount] = []
    cores: list[Core] = []
    deltas: list[Delta] = []
    extensions: list[tuple[int, bytes]] = []
    method = 0
    try:
        while area.position < len(area.data):
            kind, size = area.numbers("HH")
            left = len(area.data) - area.position
            # The length counts its own 4 bytes, except in the standard's own example, where it counts the data only.
            body = area.take(left if size == left else max(size - 4, 0))
            if kind == _RIDGE_COUNTS and body:
                method = body[0]
                counts += [RidgeCount(*body[i : i + 3]) for i in range(1, len(body) - 2, 3)]
            elif kind == _CORES_AND_DELTAS:
                # Its own counts decide: a writer that forgets the two count bytes in the lengths is known.
                points = _Reader(reader.data[start + area.position - len(body) :])
                _read_points(points, format, frame, cores, deltas)
                if points.position > len(body):
                    problems.append(f"byte {start}: the cores and deltas are longer than their block")
                    reader.position = start + area.position - len(body) + points.position
                    break
            else:
                extensions.append((kind, body))
    except TemplateError:
        problems.append(f"byte {start - 2}: the extended data area is cut or its lengths do not add up")
    return Extras(tuple(cores), tuple(deltas), tuple(counts), method), tuple(extensions)


def _read_points(body: _Reader, format: Format, frame: Frame, cores: list[Core], deltas: list[Delta]) -> None:
    across, down = _safe_scale(frame)

    def points(angles: int) -> list[tuple[float, float, tuple[float, ...]]]:
        count = body.number(1)
        all_have = bool(count & 0x40)
        found = []
        for _ in range(count & 15):
            x, y = body.numbers("HH")
            has = all_have if format.flag_first else bool(x & 0x4000)
            turns = tuple(a * format.angle % 360 for a in body.take(angles if has else 0))
            found.append(((x & 0x3FFF) * across, (y & 0x3FFF) * down, turns))
        return found

    cores += [Core(x, y, turns[0] if turns else None) for x, y, turns in points(1)]
    deltas += [Delta(x, y, turns) for x, y, turns in points(3)]


# -- writing


def write_template(template: Template) -> bytes:
    """The bytes of a template; TemplateError for what it cannot hold: 255 minutiae a view, 14-bit positions."""
    format = FORMATS.get(template.format)
    if format is None:
        raise TemplateError(f"{template.format!r} is not a template format: {', '.join(FORMATS)}")
    limit = 0xFFFF if format.name == "iso-2011" else 0xFF
    if not template.views or len(template.views) > limit:
        raise TemplateError(f"a template of this format holds 1 to {limit} views, not {len(template.views)}")
    if not format.per_view and any(view.minutiae.frame != template.views[0].minutiae.frame for view in template.views):
        raise TemplateError("the views' images differ in size or scale, and this format states one for all")
    shared = _template_frame(template.views[0].minutiae.frame)
    views = b"".join(_write_view(view, format, shared) for view in template.views)
    head = b"FMR\0" + format.version
    count = len(template.views)
    product = struct.pack(">HH", *template.product)
    if format.name == "iso-2011":
        return head + struct.pack(">IHB", 15 + len(views), count, 0) + views
    if format.per_view:
        rest = product + struct.pack(">BHBB", *template.device, count, 0)[format.name == "ansi-2007" :] + views
        return head + struct.pack(">I", 12 + len(rest)) + rest
    device = (template.device[0] << 12 | template.device[1] & 0xFFF) & 0xFFFF
    image = (shared.width or 0, shared.height or 0, shared.across, shared.down)
    rest = struct.pack(">HHHHHBB", device, *image, count, 0) + views
    if format.name == "iso-2005":
        return head + struct.pack(">I", 12 + len(rest)) + rest
    total = 10 + len(product) + len(rest)
    length = struct.pack(">H", total) if total <= 0xFFFF else struct.pack(">HI", 0, total + 4)
    return head + length + product + rest


def _template_frame(frame: Frame) -> Frame:
    """The same image with its scale in pixels per centimetre, as all five formats have it."""
    if frame.unit == 2:
        return frame
    return Frame(frame.width, frame.height, 2, round(frame.across / 2.54), round(frame.down / 2.54))


def _write_view(view: View, format: Format, shared: Frame) -> bytes:
    minutiae = view.minutiae
    frame = _template_frame(minutiae.frame) if format.per_view else shared
    if len(minutiae) > 255:
        raise TemplateError(f"a view holds at most 255 minutiae, not {len(minutiae)}: keep the best")
    position = minutiae.positions[0] if minutiae.positions else 0
    impression = minutiae.impression or 0
    quality = minutiae.quality
    across, down = _safe_scale(frame)
    x = np.rint(minutiae.x / across).astype(np.int64)
    y = np.rint(minutiae.y / down).astype(np.int64)
    if len(minutiae) and (min(x.min(), y.min()) < 0 or max(x.max(), y.max()) > 0x3FFF):
        raise TemplateError("a minutia lies outside the 16384 x 16384 pixels that a template can address")
    table = np.empty((len(minutiae), 6), np.uint8)
    kind = np.where(minutiae.type == COMPOUND, 0, minutiae.type).astype(np.int64)
    table[:, 0], table[:, 1] = kind << 6 | x >> 8, x & 255
    table[:, 2], table[:, 3] = y >> 8, y & 255
    table[:, 4] = _angle_units(minutiae.angle, format)
    table[:, 5] = minutiae.columns["quality"]
    image = (frame.width or 0, frame.height or 0, frame.across, frame.down)
    if format.name == "iso-2011":
        scores = b"" if quality is None else struct.pack(">BHH", quality, view.quality_owner, view.quality_algorithm)
        head = view.captured + struct.pack(">BHHB", *view.device, len(scores) // 5) + scores
        head += struct.pack(
            ">BBHHBHHBB", position, view.number, *image[2:], impression, *image[:2], 0x60, len(minutiae)
        )
    elif format.per_view:
        score = _NOT_REPORTED if quality is None else quality
        owner, algorithm = view.quality_owner, view.quality_algorithm
        head = struct.pack(">BBBBHH", position, view.number, impression, score, owner, algorithm)
        head += struct.pack(">HHHHB", *image, len(minutiae))
    else:
        number = (view.number & 15) << 4 | impression & 15
        head = struct.pack(">BBBB", position, number, quality or 0, len(minutiae))
    extended = _write_extended(view, format, frame)
    body = head + table.tobytes() + struct.pack(">H", len(extended)) + extended
    return struct.pack(">I", len(body) + 4) + body if format.name == "iso-2011" else body


def _angle_units(angle: object, format: Format) -> np.ndarray:
    units = round(360 / format.angle)
    return (np.rint(np.asarray(angle, float) / format.angle).astype(np.int64) % units).astype(np.uint8)


def _write_extended(view: View, format: Format, frame: Frame) -> bytes:
    extras = view.minutiae.extras
    blocks: list[tuple[int, bytes]] = []
    counts = [c for c in extras.ridge_counts if max(c) < 256]
    if counts:
        blocks.append((_RIDGE_COUNTS, bytes((extras.ridge_count_method, *(n for count in counts for n in count)))))
    if extras.cores or extras.deltas:
        cores = [(core.x, core.y, () if core.angle is None else (core.angle,)) for core in extras.cores]
        deltas = [(d.x, d.y, d.angles if len(d.angles) == 3 else ()) for d in extras.deltas]
        points = _write_points(cores, format, frame) + _write_points(deltas, format, frame)
        blocks.append((_CORES_AND_DELTAS, points))
    area = b"".join(struct.pack(">HH", kind, len(body) + 4) + body for kind, body in [*blocks, *view.extensions])
    if len(area) > 0xFFFF:
        raise TemplateError(f"{len(area)} bytes of extended data are more than a view can hold")
    return area


def _write_points(points: Sequence[tuple[float, float, Sequence[float]]], format: Format, frame: Frame) -> bytes:
    across, down = _safe_scale(frame)
    points = points[:15]
    with_angles = bool(points) and all(angles for _, _, angles in points)
    head = len(points) | (0x40 if format.flag_first and with_angles else 0)
    parts = [bytes((head,))]
    for x, y, angles in points:
        turned = bool(angles) and (with_angles or not format.flag_first)
        column = min(max(round(x / across), 0), 0x3FFF) | (0x4000 if turned and not format.flag_first else 0)
        row = min(max(round(y / down), 0), 0x3FFF)
        parts.append(struct.pack(">HH", column, row))
        if turned:
            parts.append(_angle_units(angles, format).tobytes())
    return b"".join(parts)
