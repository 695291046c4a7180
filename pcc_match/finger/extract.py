"""Minutiae from images of prints.

template = pm.finger.extract(image, ppi=500)                   # image uint8 (height, width), ridges dark
print(pm.finger.examine(image).quality)                        # what was seen on the way: maps, cores, deltas
index, middle, ring, little = pm.finger.extract_slap(image, position=13)

The work is done by csrc/extract*.cpp, in integers and in floats whose operations and order are fixed: one image gives
one template on every machine. Steps: grey values normalised by their neighbourhood, flat frames left out; ridge
orientation from averaged squared gradients; ridge distance from the spectrum of the profile across the ridges; Gabor
filters of the local orientation and distance (Hong, Wan, Jain, PAMI 20 (1998)); thinning (Guo, Hall, CACM 32 (1989));
repair of the middle lines; their ends and forks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.errors import TemplateError
from pcc_match.finger.template import FARTHEST, PPI, FingerTemplate, MinutiaSet

CELL: Final = _cpu.EXTRACT_CELL  # maps have one value a cell of 8 x 8 pixels at 500 ppi
SOURCE: Final = "pcc_match"
_MOST_PIXELS = 100_000_000  # at 500 ppi; a palm has 6 million
_LEAST_SIDE = 32  # pixels at 500 ppi: what is smaller has no ridge flow to speak of
_RESOLUTIONS = (50, 20_000)  # ppi that images of friction ridges can have


@dataclass(frozen=True)
class SingularPoint:
    """Where the ridge flow has no direction. x, y in pixels at 500 ppi; kind "core" or "delta"."""

    x: int
    y: int
    kind: str


@dataclass(frozen=True, eq=False)
class Examination:
    """What an extraction saw. Maps have one value a cell of 8 x 8 pixels at 500 ppi: (rows, columns).

    template          the minutiae; `.problems` says why there are none
    quality           of the whole print, 0 useless to 100
    singular_points   cores and deltas, as far as they were found
    image             uint8 (height, width), what was given, at 500 ppi
    mask              bool, where there is a print
    orientation       float32, degrees 0 to 180, of the ridges, counter-clockwise from the x axis; NaN outside the print
    ridge_distance    float32, pixels from ridge to ridge; NaN outside the print
    cell_quality      float32, 0 to 1, the part of the image's variance that parallel ridges explain
    skeleton          bool (height, width), middle lines of the ridges
    """

    template: FingerTemplate
    quality: int
    singular_points: tuple[SingularPoint, ...]
    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    orientation: NDArray[np.float32]
    ridge_distance: NDArray[np.float32]
    cell_quality: NDArray[np.float32]
    skeleton: NDArray[np.bool_]


def extract(image: NDArray[np.uint8], ppi: float = PPI, sets: int = 1, *, position: int = 0) -> FingerTemplate:
    """The template of one print; without a minutia where none is found, and `.problems` says why.

    image      uint8 (height, width), ridges dark, of any size up to 16,383 pixels a side at 500 ppi
    ppi        pixels per inch of the image; the template is at 500
    sets       1, or 2: the image is enhanced in two ways, which gives the finger two sets of minutiae. Their scores are
               summed by a comparison: fewer errors for twice the time
    position   finger or palm as ANSI/NIST-ITL codes it, 0 unknown
    Minutiae stand best first, with qualities 1 to 100. TemplateError for an array or a resolution that is no image's.
    """
    return _template(at_500(image, ppi), sets, position)[0]


def examine(image: NDArray[np.uint8], ppi: float = PPI, sets: int = 1, *, position: int = 0) -> Examination:
    """As extract(), with all that was seen on the way."""
    grey = at_500(image, ppi)
    template, found = _template(grey, sets, position)
    mask = found["mask"] != 0
    turn = np.degrees(np.arctan2(found["sin2"], found["cos2"])) / 2
    return Examination(
        template,
        overall_quality(found["quality"], mask) if len(template.sets[0]) else 0,
        _singular_points(found),
        grey,
        mask,
        np.where(mask, -turn % 180, np.nan).astype(np.float32),  # y is down in the maps
        np.where(mask, found["wavelength"], np.nan).astype(np.float32),
        found["quality"],
        found["skeleton"] != 0,
    )


def at_500(image: NDArray[np.uint8], ppi: float) -> NDArray[np.uint8]:
    """The image at 500 ppi, C order, or TemplateError."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 2:
        given = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise TemplateError(f"minutiae are found in grey images: expected uint8 (height, width), not {given}")
    least, most = _RESOLUTIONS
    if not isinstance(ppi, (int, float, np.integer, np.floating)) or not least <= ppi <= most:
        raise TemplateError(f"a resolution of {ppi} ppi: expected {least} to {most}")
    if not image.size:
        raise TemplateError(f"an image of {image.shape[1]} x {image.shape[0]} pixels")
    # 197 pixels a centimetre mean 500 ppi: what is as near to it is not resampled
    scale = 1.0 if abs(ppi - PPI) <= 1 else PPI / ppi
    height, width = (max(1, round(side * scale)) for side in image.shape)
    if max(height, width) > FARTHEST or height * width > _MOST_PIXELS:
        most_pixels = f"{FARTHEST} a side and {_MOST_PIXELS} in all"
        raise TemplateError(f"an image of {width} x {height} pixels at 500 ppi: the most are {most_pixels}")
    grey = np.ascontiguousarray(image)
    return grey if (height, width) == image.shape else _cpu.resample(grey, height, width)


def runs(grey: NDArray[np.uint8], sets: int) -> list[dict[str, NDArray[Any]]]:
    """What csrc/extract.h finds with each of the enhancements."""
    if sets not in (1, 2):
        raise TemplateError(f"an image gives 1 or 2 sets of minutiae, not {sets!r}")
    return [_cpu.extract_print(grey, number) for number in range(sets)]


def _template(grey: NDArray[np.uint8], sets: int, position: int) -> tuple[FingerTemplate, dict[str, NDArray[Any]]]:
    """The template, and the maps of the first set."""
    found = runs(grey, sets)
    minutiae = tuple(MinutiaSet(*run["minutiae"].T) for run in found)
    height, width = grey.shape
    problems = () if all(map(len, minutiae)) else (_reason(grey, found[0]),)
    return FingerTemplate(minutiae, position, width, height, "+".join([SOURCE] * sets), problems), found[0]


def _reason(grey: NDArray[np.uint8], found: dict[str, NDArray[Any]]) -> str:
    height, width = grey.shape
    if min(height, width) < _LEAST_SIDE:
        return f"no minutiae: an image of {width} x {height} pixels at 500 ppi is too small"
    if grey.min() == grey.max():
        return f"no minutiae: all pixels have the grey value {grey.flat[0]}"
    if not found["mask"].any():
        return "no minutiae: the image shows no ridges"
    share = round(100 * float(np.mean(found["mask"])))
    return f"no minutiae: the ridges, on {share} % of the image, have no end or fork away from the print's edge"


def overall_quality(cell_quality: NDArray[np.float32], mask: NDArray[np.bool_]) -> int:
    """0 to 100: the quality of the print's cells, discounted for a print below 200 mm2."""
    if not mask.any():
        return 0
    area = float(mask.sum()) * (CELL * 25.4 / PPI) ** 2
    clear = float(np.mean(np.minimum(1, cell_quality[mask] / 0.6)))
    return max(1, min(100, round(100 * clear * math.sqrt(min(1.0, area / 200)))))


def _singular_points(found: dict[str, NDArray[Any]]) -> tuple[SingularPoint, ...]:
    """Poincaré index: how often the ridges turn, in half turns, on a way around the corner of four cells."""
    c, s = (_softened(found[name]) for name in ("cos2", "sin2"))
    turn = np.arctan2(s, c)
    around = (turn[:-1, :-1], turn[1:, :-1], turn[1:, 1:], turn[:-1, 1:])  # counter-clockwise as y is down
    steps = sum((b - a + np.pi) % (2 * np.pi) - np.pi for a, b in zip(around, around[1:] + around[:1], strict=True))
    index = -np.rint(steps / (2 * np.pi)).astype(int)
    mask = found["mask"] != 0
    inside = mask[:-1, :-1] & mask[1:, :-1] & mask[1:, 1:] & mask[:-1, 1:]
    rows, columns = np.nonzero((index != 0) & inside)
    return tuple(
        SingularPoint(int(x + 1) * CELL, int(y + 1) * CELL, "core" if index[y, x] > 0 else "delta")
        for y, x in zip(rows, columns, strict=True)
    )


def _softened(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """A binomial mean over 5 x 5 cells: pairs of a core and a delta beside it are noise."""
    for axis in (0, 1):
        padded = np.pad(values, [(2, 2) if axis == a else (0, 0) for a in (0, 1)], mode="edge")
        length = values.shape[axis]
        values = np.zeros_like(values)
        for k, weight in enumerate((1, 4, 6, 4, 1)):
            values += np.float32(weight / 16) * np.take(padded, np.arange(k, k + length), axis)
    return values
