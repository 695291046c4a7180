"""Minutiae drawn on the print that they were found in."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match.errors import PccError
from pcc_match.finger.extract import Examination, at_500
from pcc_match.finger.slap import SlapFinger
from pcc_match.finger.template import KINDS, PPI, MinutiaSet

_SCALE: Final = 2  # pixels of the drawing a pixel at 500 ppi
_RADIUS: Final = 7
_TAIL: Final = 18
# Okabe and Ito's colours, told apart by colour-blind eyes, too.
_COLOURS: Final = {"other": "#009E73", "ridge_ending": "#D55E00", "bifurcation": "#0072B2"}
_SINGULAR: Final = {"core": "#AA4499", "delta": "#B8860B"}


def drawn(image: NDArray[np.uint8], ppi: float | None, found: Sequence[Examination | SlapFinger]) -> bytes:
    """A PNG: the print at 500 ppi, twice as large; endings are circles, bifurcations squares, each with its direction.

    found   what an examination of the image, or of a slap, gave; the first minutiae set is drawn
    PccError without Pillow, the extra `images`.
    """
    try:
        from PIL import Image, ImageDraw
    except ImportError:
        raise PccError("a drawing needs Pillow: pip install 'pcc_match[images]'") from None
    grey = Image.fromarray(at_500(image, ppi or PPI))
    # paler than the print, so that the minutiae stand out
    picture = grey.resize((grey.width * _SCALE, grey.height * _SCALE), Image.Resampling.BICUBIC).point(_paler)
    picture = picture.convert("RGB")
    pen = ImageDraw.Draw(picture)
    for one in found:
        if isinstance(one, SlapFinger):
            box = (one.left, one.top, one.left + one.width, one.top + one.height)
            pen.rectangle([_SCALE * side for side in box], outline="#333399", width=2)
            pen.text((_SCALE * one.left + 6, _SCALE * one.top + 4), str(one.template.position), fill="#333399")
            _minutiae(pen, one.template.sets[0], one.left, one.top)
            continue
        _minutiae(pen, one.template.sets[0], 0, 0)
        for point in one.singular_points:
            corners = 3 if point.kind == "delta" else 12
            at = (_SCALE * point.x, _SCALE * point.y, 2 * _RADIUS)
            pen.regular_polygon(at, corners, outline=_SINGULAR[point.kind], width=3)
    written = io.BytesIO()
    picture.save(written, "PNG", dpi=(PPI * _SCALE, PPI * _SCALE))
    return written.getvalue()


def _paler(value: int) -> int:
    return 255 - (255 - value) * 3 // 5


def _minutiae(pen: Any, minutiae: MinutiaSet, left: int, top: int) -> None:
    columns: Iterable[tuple[int, int, int, int]] = zip(
        *(getattr(minutiae, name).tolist() for name in ("x", "y", "angle", "type")), strict=True
    )
    for x, y, angle, kind in columns:
        cx, cy = _SCALE * (x + left) + 1, _SCALE * (y + top) + 1
        box = (cx - _RADIUS, cy - _RADIUS, cx + _RADIUS, cy + _RADIUS)
        colour = _COLOURS[KINDS[kind]]
        (pen.rectangle if KINDS[kind] == "bifurcation" else pen.ellipse)(box, outline=colour, width=2)
        c, s = math.cos(angle * math.pi / 128), -math.sin(angle * math.pi / 128)
        pen.line((cx + _RADIUS * c, cy + _RADIUS * s, cx + _TAIL * c, cy + _TAIL * s), fill=colour, width=2)
