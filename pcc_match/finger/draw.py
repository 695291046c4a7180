"""Two prints side by side with their paired minutiae, for the expert who confirms: as SVG, or as PNG through Pillow.

Everything is drawn by `_Canvas` calls in one place; the two canvases know how to write them down.
"""

import base64
import io
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol
from xml.sax.saxutils import escape

import numpy as np
from numpy.typing import NDArray

from pcc_match.errors import PccError, TemplateError
from pcc_match.finger.template import MinutiaSet

if TYPE_CHECKING:
    from pcc_match.finger.compare import Comparison

Image = NDArray[np.uint8]

_PANEL: Final = 660  # units of a side of the square that holds a print; one unit is a pixel of the PNG
_GAP: Final = 60  # between the panels, and around them
_TOP: Final = 96  # for the captions
_BOTTOM: Final = 64  # for the legend
_FONT: Final = 24
_MARGIN: Final = 30  # pixels of the print around its minutiae where the image's size is not known

# Okabe and Ito's colours, told apart by colour-blind eyes, too; those that are pale on a light ground left out.
_COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#AA4499", "#B8860B", "#333399")
_GREY: Final = "#5F6368"
_INK: Final = "#202428"
_PAPER: Final = "#FFFFFF"
_PANEL_GROUND: Final = "#F6F5F1"


@dataclass(frozen=True)
class Side:
    """One print of a drawing: its minutiae, its size in pixels at 500 ppi if known, and its image if there is one.

    image   uint8 (height, width), dark ridges on light ground, of any resolution
    """

    title: str
    minutiae: MinutiaSet
    size: tuple[int | None, int | None] = (None, None)
    image: Image | None = None


def svg(a: Side, b: Side, pairs: NDArray[Any], caption: str) -> str:
    """The drawing as a text of SVG 1.1. `pairs` (n, 2): numbers of the minutiae of a and b that belong together."""
    width, height = _size()
    canvas = _Svg(width, height)
    _draw(canvas, a, b, pairs, caption)
    return canvas.document()


def png(a: Side, b: Side, pairs: NDArray[Any], caption: str, *, width: int = 1440) -> bytes:
    """The drawing as a PNG of this width in pixels. PccError names the extra where Pillow is missing."""
    canvas = _Png(*_size())
    _draw(canvas, a, b, pairs, caption)
    return canvas.bytes(width)


def sides(
    comparison: "Comparison", images: Sequence[Image | None], titles: tuple[str, str]
) -> tuple[Side, Side, NDArray[Any], str]:
    """What `svg` and `png` take: the best part of a comparison."""
    part = comparison.best
    images = (*images, None, None)[:2]
    a, b = (
        Side(title, template.sets[number], (template.width, template.height), _grey(image))
        for title, template, number, image in zip(
            titles, (comparison.a, comparison.b), (part.a_set, part.b_set), images, strict=True
        )
    )
    of_sets = f" of {comparison.score}, in the best of {len(comparison.parts)} pairs of sets"
    caption = f"score {part.score}{of_sets if len(comparison.parts) > 1 else ''}: {len(part.paired)} minutiae paired"
    if part.alignment is not None:
        caption += f", of {part.overlap[0]} and {part.overlap[1]} in the common area"
    return a, b, part.paired, caption


def _grey(image: Image | None) -> Image | None:
    """Grey of grey or colour; TemplateError where it is no picture."""
    if image is None or (image.ndim == 2 and image.size):
        return image
    if image.ndim != 3 or not image.size:
        raise TemplateError(f"an image of the shape {image.shape} is not (height, width)")
    grey: Image = image.mean(axis=2).astype(np.uint8)
    return grey


# ---- what is drawn


class _Canvas(Protocol):
    def line(self, x: float, y: float, x2: float, y2: float, colour: str, width: float, opacity: float = 1) -> None: ...
    def circle(self, x: float, y: float, radius: float, colour: str, width: float) -> None: ...
    def square(self, x: float, y: float, radius: float, colour: str, width: float) -> None: ...
    def ground(self, x: float, y: float, width: float, height: float, colour: str) -> None: ...
    def text(self, x: float, y: float, text: str, colour: str, size: float, centred: bool = False) -> None: ...
    def image(self, x: float, y: float, width: float, height: float, image: Image) -> None: ...


@dataclass(frozen=True)
class _Frame:
    """Where the pixels of a print lie in the drawing."""

    x: float
    y: float
    scale: float
    left: float  # pixel at (x, y)
    top: float
    width: float  # in pixels of the print
    height: float

    def place(self, x: float, y: float) -> tuple[float, float]:
        return self.x + (x - self.left) * self.scale, self.y + (y - self.top) * self.scale


def _size() -> tuple[int, int]:
    return 2 * _PANEL + 3 * _GAP, _TOP + _PANEL + _BOTTOM


def _draw(canvas: _Canvas, a: Side, b: Side, pairs: NDArray[Any], caption: str) -> None:
    width, height = _size()
    canvas.ground(0, 0, width, height, _PAPER)
    canvas.text(_GAP, 34, caption, _INK, _FONT)
    frames = _frame(a, _GAP), _frame(b, 2 * _GAP + _PANEL)
    for side, frame in zip((a, b), frames, strict=True):
        canvas.text(frame.x, _TOP - 18, side.title, _INK, _FONT)
        if side.image is None:
            canvas.ground(frame.x, frame.y, frame.width * frame.scale, frame.height * frame.scale, _PANEL_GROUND)
        else:
            faded = (128 + side.image.astype(np.uint16) // 2).astype(np.uint8)  # so that marks stand out on ridges
            canvas.image(frame.x, frame.y, frame.width * frame.scale, frame.height * frame.scale, faded)
    rows = np.asarray(pairs, np.intp).reshape(-1, 2)
    rows = rows[np.lexsort((a.minutiae.x[rows[:, 0]], a.minutiae.y[rows[:, 0]]))]  # numbered from the top of a
    for k, side in enumerate((a, b)):
        for number in np.setdiff1d(np.arange(len(side.minutiae)), rows[:, k]).tolist():
            _minutia(canvas, frames[k], side.minutiae, number, _GREY, 2)
    for number, (i, j) in enumerate(rows.tolist()):
        colour = _COLOURS[number % len(_COLOURS)]
        here = frames[0].place(int(a.minutiae.x[i]), int(a.minutiae.y[i]))
        there = frames[1].place(int(b.minutiae.x[j]), int(b.minutiae.y[j]))
        canvas.line(*here, *there, colour, 1.5, 0.45)
    for number, row in enumerate(rows.tolist()):
        for k, side in enumerate((a, b)):
            colour = _COLOURS[number % len(_COLOURS)]
            _minutia(canvas, frames[k], side.minutiae, row[k], colour, 3.5)
            _label(canvas, frames[k], side.minutiae, row[k], colour, str(number + 1))
    legend = "circle: ridge ending   square: bifurcation   small: other   grey: not paired   stroke: direction"
    canvas.text(_GAP, height - 24, legend, _INK, _FONT - 4)


def _frame(side: Side, x: float) -> _Frame:
    """The whole image where its size is known, else the surroundings of the minutiae."""
    width, height = side.size
    if width and height:
        left, top, right, bottom = 0.0, 0.0, float(width), float(height)
    elif len(side.minutiae):
        xs, ys = side.minutiae.x.astype(float), side.minutiae.y.astype(float)
        left, top = xs.min() - _MARGIN, ys.min() - _MARGIN
        right, bottom = xs.max() + _MARGIN, ys.max() + _MARGIN
    else:
        left, top, right, bottom = 0.0, 0.0, 100.0, 100.0
    scale = _PANEL / max(right - left, bottom - top)
    return _Frame(x, _TOP, scale, left, top, right - left, bottom - top)


def _minutia(canvas: _Canvas, frame: _Frame, minutiae: MinutiaSet, k: int, colour: str, width: float) -> None:
    x, y = frame.place(int(minutiae.x[k]), int(minutiae.y[k]))
    dx, dy = _direction(minutiae, k)
    radius = 8.0 if minutiae.type[k] else 5.0
    canvas.line(x + radius * dx, y + radius * dy, x + 26 * dx, y + 26 * dy, colour, width)
    (canvas.square if minutiae.type[k] == 2 else canvas.circle)(x, y, radius, colour, width)


def _label(canvas: _Canvas, frame: _Frame, minutiae: MinutiaSet, k: int, colour: str, text: str) -> None:
    """Behind the minutia, where its stroke does not go."""
    x, y = frame.place(int(minutiae.x[k]), int(minutiae.y[k]))
    dx, dy = _direction(minutiae, k)
    canvas.text(x - 25 * dx, y - 22 * dy, text, colour, _FONT + 2, centred=True)


def _direction(minutiae: MinutiaSet, k: int) -> tuple[float, float]:
    angle = int(minutiae.angle[k]) * math.pi / 128
    return math.cos(angle), -math.sin(angle)


# ---- how it is written down


class _Svg:
    def __init__(self, width: int, height: int) -> None:
        self._lines = [
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="Helvetica, sans-serif">'
        ]

    def document(self) -> str:
        return "\n".join([*self._lines, "</svg>\n"])

    def line(self, x: float, y: float, x2: float, y2: float, colour: str, width: float, opacity: float = 1) -> None:
        shown = "" if opacity == 1 else f' stroke-opacity="{opacity}"'
        self._lines.append(
            f'<path d="M{x:.1f} {y:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}" stroke-width="{width}"{shown}/>'
        )

    def circle(self, x: float, y: float, radius: float, colour: str, width: float) -> None:
        self._lines.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
        )

    def square(self, x: float, y: float, radius: float, colour: str, width: float) -> None:
        self._lines.append(
            f'<rect x="{x - radius:.1f}" y="{y - radius:.1f}" width="{2 * radius}" height="{2 * radius}" fill="none" '
            f'stroke="{colour}" stroke-width="{width}"/>'
        )

    def ground(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self._lines.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>')

    def text(self, x: float, y: float, text: str, colour: str, size: float, centred: bool = False) -> None:
        place = ' text-anchor="middle" dominant-baseline="central"' if centred else ""
        self._lines.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" stroke="{_PAPER}" stroke-width="4" '
            f'paint-order="stroke"{place}>{escape(text)}</text>'
        )

    def image(self, x: float, y: float, width: float, height: float, image: Image) -> None:
        data = base64.b64encode(_grey_png(image)).decode()
        self._lines.append(
            f'<image x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" preserveAspectRatio="none" '
            f'xlink:href="data:image/png;base64,{data}"/>'
        )


class _Png:
    """Drawn at twice the size and made smaller, so that edges are smooth."""

    def __init__(self, width: int, height: int) -> None:
        try:
            from PIL import Image, ImageColor, ImageDraw, ImageFont
        except ImportError:
            raise PccError("a PNG needs Pillow: pip install 'pcc_match[images]', or take the SVG") from None
        self._pillow, self._fonts, self._rgb = Image, ImageFont, ImageColor.getrgb
        self._picture = Image.new("RGB", (2 * width, 2 * height), _PAPER)
        self._pen = ImageDraw.Draw(self._picture, "RGBA")  # an RGB picture, on which inks may be translucent

    def bytes(self, width: int) -> bytes:
        whole = self._picture
        size = (width, round(whole.height * width / whole.width))
        written = io.BytesIO()
        whole.resize(size, self._pillow.Resampling.LANCZOS).save(written, "PNG")
        return written.getvalue()

    def line(self, x: float, y: float, x2: float, y2: float, colour: str, width: float, opacity: float = 1) -> None:
        ink = (*self._rgb(colour), round(255 * opacity))
        self._pen.line((2 * x, 2 * y, 2 * x2, 2 * y2), ink, round(2 * width))

    def circle(self, x: float, y: float, radius: float, colour: str, width: float) -> None:
        self._pen.ellipse(self._box(x, y, radius + width / 2), outline=colour, width=round(2 * width))

    def square(self, x: float, y: float, radius: float, colour: str, width: float) -> None:
        self._pen.rectangle(self._box(x, y, radius + width / 2), outline=colour, width=round(2 * width))

    def ground(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        self._pen.rectangle((2 * x, 2 * y, 2 * (x + width), 2 * (y + height)), fill=colour)

    def text(self, x: float, y: float, text: str, colour: str, size: float, centred: bool = False) -> None:
        font = self._fonts.load_default(2 * size)
        anchor = "mm" if centred else "ls"
        self._pen.text((2 * x, 2 * y), text, colour, font, anchor, stroke_width=4, stroke_fill=_PAPER)

    def image(self, x: float, y: float, width: float, height: float, image: Image) -> None:
        size = (round(2 * width), round(2 * height))
        picture = self._pillow.fromarray(image).resize(size, self._pillow.Resampling.LANCZOS)
        self._picture.paste(picture.convert("RGB"), (round(2 * x), round(2 * y)))

    @staticmethod
    def _box(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
        return 2 * (x - radius), 2 * (y - radius), 2 * (x + radius), 2 * (y + radius)


def _grey_png(image: Image) -> bytes:
    """A PNG of 8-bit grey (ISO/IEC 15948), every row unfiltered."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = image.shape
    rows = np.column_stack([np.zeros(height, np.uint8), image])
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows.tobytes())), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
