"""A fingerprint as minutiae: what codecs and extractors make, galleries hold and the comparison takes.

template = pm.FingerTemplate.read("right_index.fmr")           # ISO/IEC 19794-2 or ANSI/INCITS 378
both = pm.FingerTemplate.join(template, other_extraction)      # two sets of minutiae of one finger
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcc_match.errors import TemplateError

if TYPE_CHECKING:
    from pcc_match.itl.minutiae import Frame, Minutiae
    from pcc_match.itl.records import Record

PPI: Final = 500
KINDS: Final = ("other", "ridge_ending", "bifurcation")
FARTHEST: Final = 16383  # pixels from the origin, as far as 14 bits go
_COMPOUND = 3  # of ANSI/NIST 9.012: an ending or a bifurcation, so "other" here


@dataclass(frozen=True, eq=False)
class MinutiaSet:
    """The minutiae that one extraction found in one print; arrays of one length, read-only.

    x, y      int16, pixels at 500 ppi from the top left, y down
    angle     uint8, 256 a turn, counter-clockwise from the x axis in the sense of INCITS 378
    type      uint8, index into KINDS
    quality   uint8, 1 worst to 100 best, 0 not reported
    """

    x: NDArray[np.int16]
    y: NDArray[np.int16]
    angle: NDArray[np.uint8]
    type: NDArray[np.uint8]
    quality: NDArray[np.uint8]

    def __post_init__(self) -> None:
        for name, dtype in (("x", "<i2"), ("y", "<i2"), ("angle", "u1"), ("type", "u1"), ("quality", "u1")):
            column = np.array(getattr(self, name), dtype)
            if column.shape != (len(self.x),):
                raise TemplateError(f"minutiae: {name} has the shape {column.shape}, x has {np.shape(self.x)}")
            column.flags.writeable = False
            object.__setattr__(self, name, column)

    def __len__(self) -> int:
        return len(self.x)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MinutiaSet) and self._bytes() == other._bytes()

    def __hash__(self) -> int:
        return hash(self._bytes())

    def _bytes(self) -> tuple[bytes, ...]:
        return tuple(column.tobytes() for column in (self.x, self.y, self.angle, self.type, self.quality))


@dataclass(frozen=True)
class FingerTemplate:
    """One finger (or palm): one or more sets of minutiae of it, checked and immutable.

    sets            extractions of one print, or prints of one finger; a comparison sums over them
    position        finger or palm as ANSI/NIST-ITL codes it (1 right thumb ... 10 left little, 20-38 palms); 0 unknown
    width, height   of the image in pixels at 500 ppi, None where it is not known or the sets differ
    source          what found the minutiae ("fingerjet", "mindtct" ...), "" unknown; scores are calibrated by it
    problems        what was left out or repaired
    """

    sets: tuple[MinutiaSet, ...]
    position: int = 0
    width: int | None = None
    height: int | None = None
    source: str = ""
    problems: tuple[str, ...] = field(default=(), compare=False)

    def __post_init__(self) -> None:
        if not self.sets:
            raise TemplateError("a template holds at least one set of minutiae, which may be empty")
        if not _is_position(self.position):
            raise TemplateError(f"position {self.position!r} is no finger or palm of ANSI/NIST-ITL; 0 means unknown")

    def __len__(self) -> int:
        """Minutiae, over all sets."""
        return sum(map(len, self.sets))

    @classmethod
    def from_minutiae(
        cls,
        x: ArrayLike,
        y: ArrayLike,
        angle: ArrayLike,
        *,
        type: ArrayLike | None = None,
        quality: ArrayLike | None = None,
        position: int = 0,
        width: int | None = None,
        height: int | None = None,
        ppi: float = PPI,
        source: str = "",
    ) -> FingerTemplate:
        """A template of one set from arrays (n,); n = 0 is a template, too.

        x, y, width, height   pixels at `ppi`, origin top left, y down
        angle                 degrees, counter-clockwise from the x axis in the sense of INCITS 378
        type                  0 other, 1 ridge ending, 2 bifurcation; without it all are "other"
        quality               1 to 100, 0 not reported
        TemplateError: a value that is not finite, out of its range or outside the stated size; lengths that differ.
        """
        if not isfinite(ppi) or ppi <= 0:
            raise TemplateError(f"a resolution of {ppi} pixels per inch is impossible")
        scale = PPI / ppi
        minutiae, problems = _set(x, y, angle, type, quality, (scale, scale), (width, height))
        size = (_scaled(width, scale, "width"), _scaled(height, scale, "height"))
        return cls((minutiae,), position, *size, source, problems)

    @classmethod
    def read(
        cls,
        data: bytes | bytearray | memoryview | str | os.PathLike[str],
        strict: bool = False,
        *,
        position: int | None = None,
        source: str = "",
    ) -> FingerTemplate:
        """A template from the bytes or the file of an ISO/IEC 19794-2 or ANSI/INCITS 378 record.

        The views of the finger become the sets. A record of several fingers needs `position`. What is cut or too long
        gives the minutiae that are whole and says so in `.problems`; with `strict` that is a TemplateError, as a
        damaged header always is. A file that cannot be read is an OSError.
        """
        from pcc_match.itl.templates import read_template

        if isinstance(data, (str, os.PathLike)):
            place = f"{os.fspath(data)}: "
            data = Path(data).read_bytes()
        else:
            place = ""
        try:
            record = read_template(bytes(data), strict, partial=True)
            views = [view.minutiae for view in record.views]
            found = sorted({p for view in views for p in view.positions})
            if position is not None:
                views = [view for view in views if position in view.positions]
                found = [position]
            if not views:
                which = "" if position is None else f" of position {position}"
                raise TemplateError(f"the record holds no view{which}")
            if len(found) > 1:
                which = ", ".join(map(str, found))
                raise TemplateError(f"the record holds fingers of positions {which}: say which, with position=")
            return _of_views(views, found[0], source, record.problems, strict)
        except TemplateError as error:
            raise TemplateError(f"{place}{error}") from None

    @classmethod
    def from_itl(cls, record: Record, block: str | None = None, *, source: str = "") -> FingerTemplate:
        """The template of an ANSI/NIST-ITL record: of its minutiae (Type-9) or of its image (Types 4, 13, 14, 15).

        block   "m1", "efs", "std" or "iafis"; without it the first of these that the record holds. They say the same
                in different codings, so that one of them is the whole record.
        An uncertain position (several in the record) becomes 0. A size that does not hold all minutiae is dropped. What
        could not be read stands in `.problems`. Minutiae of images are found by pm.finger.extract(), and `block` and
        `source` say nothing there. TemplateError for a record of another type, and for an image of several fingers:
        pm.finger.templates_of(record) gives all of them.
        """
        if record.type != 9:
            from pcc_match.finger.extract_records import templates_of

            found = templates_of(record)
            if len(found) == 1:
                return found[0]
            raise TemplateError(f"the record shows {len(found)} fingers: pm.finger.templates_of(record) gives all")
        minutiae = record.minutiae(block)
        problems = [str(problem) for problem in minutiae.problems]
        if len(minutiae.positions) > 1:
            problems.append(f"the position is uncertain: {', '.join(map(str, minutiae.positions))}")
        position = minutiae.positions[0] if len(minutiae.positions) == 1 else 0
        if not _is_position(position):
            problems.append(f"position {position} is unknown")
            position = 0
        return _of_views([minutiae], position, source, tuple(problems), strict=False, drop_size=True)

    @classmethod
    def join(cls, *templates: FingerTemplate) -> FingerTemplate:
        """All sets of templates of one finger, in their order; a comparison sums over them.

        So are their known sources, with "+". TemplateError where two positions are known and differ.
        """
        positions = {template.position for template in templates} - {0}
        if len(positions) > 1:
            raise TemplateError(f"positions {', '.join(map(str, sorted(positions)))} are not one finger")
        sizes = {(template.width, template.height) for template in templates}
        size = sizes.pop() if len(sizes) == 1 else (None, None)
        return cls(
            tuple(minutiae for template in templates for minutiae in template.sets),
            positions.pop() if positions else 0,
            *size,
            "+".join(template.source for template in templates if template.source),
            tuple(problem for template in templates for problem in template.problems),
        )

    def write(self, format: str = "iso-19794-2:2005") -> bytes:
        """The record's bytes: "iso-19794-2:2005", "iso-19794-2:2011", "ansi-378-2004" or "ansi-378-2009".

        Each set is a view. TemplateError for what the format cannot hold: more than 255 minutiae in a set, negative
        coordinates, palms' positions above 255.
        """
        from pcc_match.itl.minutiae import COLUMNS, Frame, Minutiae
        from pcc_match.itl.templates import Template, View, write_template

        if format not in _FORMATS:
            raise TemplateError(f"{format!r} is not a template format: {', '.join(_FORMATS)}")
        frame = Frame(self.width, self.height, 2, _PER_CENTIMETRE, _PER_CENTIMETRE)
        views = []
        for number, minutiae in enumerate(self.sets):
            columns = np.empty(len(minutiae), COLUMNS)
            # 500 ppi is no whole number a centimetre: pixels are written as they are, under the nearest one.
            columns["x"], columns["y"] = minutiae.x * frame.scale[0], minutiae.y * frame.scale[1]
            columns["angle"] = minutiae.angle * (360 / 256)
            columns["type"], columns["quality"] = minutiae.type, minutiae.quality
            views.append(View(Minutiae(columns, frame=frame, positions=(self.position,)), number))
        return write_template(Template(_FORMATS[format], tuple(views)))


_FORMATS = {
    "iso-19794-2:2005": "iso-2005",
    "iso-19794-2:2011": "iso-2011",
    "ansi-378-2004": "ansi-2004",
    "ansi-378-2009": "ansi-2009",
}
_PER_CENTIMETRE = 197  # what templates of 500 ppi state


def _is_position(position: int) -> bool:
    if position == 0:
        return True
    from pcc_match.itl.dictionary import codes

    return isinstance(position, (int, np.integer)) and str(position) in codes()["friction_ridge"]


def _of_views(
    views: Sequence[Minutiae],
    position: int,
    source: str,
    problems: tuple[str, ...],
    strict: bool,
    drop_size: bool = False,
) -> FingerTemplate:
    sets, noted, sizes = [], list(problems), set()
    for view in views:
        scale, size = _scale(view.frame), (view.frame.width or None, view.frame.height or None)
        across, down = _frame_scale(view.frame)
        x, y = view.x / across, view.y / down  # in the image's own pixels
        if drop_size and not _inside(x, y, size):
            noted.append(f"minutiae lie outside the image of {size[0]} x {size[1]} pixels: its size is not used")
            size = (None, None)
        kind = np.where(view.type == _COMPOUND, 0, view.type)
        minutiae, dropped = _set(x, y, view.angle, kind, view.columns["quality"], scale, size)
        sets.append(minutiae)
        noted += dropped
        sizes.add((_scaled(size[0], scale[0], "width"), _scaled(size[1], scale[1], "height")))
    if strict and len(noted) > len(problems):
        raise TemplateError(noted[len(problems)])
    size = sizes.pop() if len(sizes) == 1 else (None, None)
    return FingerTemplate(tuple(sets), position, *size, source, tuple(noted))


def _frame_scale(frame: Frame) -> tuple[float, float]:
    """What the codecs multiplied pixels by."""
    return frame.scale if frame.across and frame.down else (1.0, 1.0)


def _scale(frame: Frame) -> tuple[float, float]:
    """Factors to 500 ppi. Resolutions per centimetre are rounded: those nearest to 500 and 1000 ppi mean just these."""
    scales = []
    for per, factor in zip((frame.across, frame.down), _frame_scale(frame), strict=True):
        nominal = {196: 500, 197: 500, 393: 1000, 394: 1000}.get(per) if frame.unit == 2 else None
        scales.append(PPI / nominal if nominal else factor)
    return scales[0], scales[1]


def _inside(x: NDArray[Any], y: NDArray[Any], size: tuple[float | None, float | None]) -> bool:
    return all(
        limit is None or not len(values) or (values.min() >= 0 and values.max() < limit)
        for values, limit in zip((x, y), size, strict=True)
    )


def _scaled(pixels: float | None, scale: float, name: str) -> int | None:
    if pixels is None:
        return None
    if not isfinite(pixels) or pixels <= 0:
        raise TemplateError(f"an image with a {name} of {pixels} pixels is impossible")
    if pixels * scale > 0xFFFF:
        raise TemplateError(f"an image with a {name} of {pixels} pixels is too large")
    return max(1, round(pixels * scale))


def _set(
    x: ArrayLike,
    y: ArrayLike,
    angle: ArrayLike,
    type: ArrayLike | None,
    quality: ArrayLike | None,
    scale: tuple[float, float],
    size: tuple[float | None, float | None],
) -> tuple[MinutiaSet, tuple[str, ...]]:
    """The set, normalised to 500 ppi, each minutia once; and what was dropped."""
    columns = [_numbers(name, values) for name, values in (("x", x), ("y", y), ("angle", angle))]
    count = len(columns[0])
    for name, values, most in (("type", type, len(KINDS) - 1), ("quality", quality, 100)):
        column = np.zeros(count) if values is None else _numbers(name, values)
        wrong = np.flatnonzero((column < 0) | (column > most) | (column != np.rint(column)))
        if len(wrong):
            raise TemplateError(f"minutia {wrong[0] + 1}: {name} {column[wrong[0]]:g} is not one of 0 to {most}")
        columns.append(column)
    for name, column in zip(("y", "angle", "type", "quality"), columns[1:], strict=True):
        if len(column) != count:
            raise TemplateError(f"minutiae: {len(column)} values of {name}, but {count} of x")
    for name, column, limit in zip("xy", columns, size, strict=False):
        if limit is not None:
            wrong = np.flatnonzero((column < 0) | (column >= limit))
            if len(wrong):
                raise TemplateError(
                    f"minutia {wrong[0] + 1}: {name} {column[wrong[0]]:g} lies outside the image, which has {limit:g}"
                )
    placed = [np.floor(column * factor + 0.5) for column, factor in zip(columns, scale, strict=False)]
    for axis, limit in enumerate(size):
        if limit is not None:
            np.minimum(placed[axis], max(1, round(limit * scale[axis])) - 1, out=placed[axis])
    for name, column in zip("xy", placed, strict=True):
        wrong = np.flatnonzero(np.abs(column) > FARTHEST)
        if len(wrong):
            raise TemplateError(f"minutia {wrong[0] + 1}: {name} is {column[wrong[0]]:g} pixels at 500 ppi: too far")
    turns = np.floor(columns[2] % 360 * 256 / 360 + 0.5) % 256
    rows = np.stack([*placed, turns, *columns[3:]]).astype(np.int64)
    first = np.unique(rows[:4], axis=1, return_index=True)[1] if count else np.zeros(0, np.intp)
    problems = (f"{count - len(first)} minutiae that stood there twice were dropped",) if len(first) < count else ()
    kept = rows[:, np.sort(first)]
    return MinutiaSet(kept[0], kept[1], kept[2], kept[3], kept[4]), problems


def _numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise TemplateError(f"minutiae: {name} is not an array of numbers: {error}") from None
    if numbers.ndim != 1:
        raise TemplateError(f"minutiae: {name} has the shape {numbers.shape}, not (n,)")
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        raise TemplateError(f"minutia {wrong[0] + 1}: {name} is {numbers[wrong[0]]}")
    return numbers
