"""The fingers of a slap: one image of several fingers pressed at once, tips up.

for template in pm.finger.extract_slap(image, position=13):    # the right hand's four fingers
    print(template.position, len(template))
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match.errors import TemplateError
from pcc_match.finger.extract import CELL, SOURCE, at_500, overall_quality, runs
from pcc_match.finger.template import PPI, FingerTemplate, MinutiaSet

# ANSI/NIST-ITL 1-2011, Table 8: what an image of each position shows, from left to right.
SLAPS: Final = {13: (2, 3, 4, 5), 14: (10, 9, 8, 7), 15: (6, 1)}

_MM = CELL * 25.4 / PPI  # of a cell
_WIDEST = 22 / _MM  # cells: what is wider, where fingers are missing, is two that touch
_NARROWEST = 6 / _MM
_LONGEST = 1.9  # widths: below follows the next joint of the finger
_CLEAR = 0.25  # of the best cells' quality
_LEAST_AREA = 40  # mm2 of a finger's print


@dataclass(frozen=True, eq=False)
class SlapFinger:
    """One finger of a slap.

    left, top, width, height   its part of the image, pixels at 500 ppi; the template's minutiae count from its corner
    quality                    of the finger's print, 0 useless to 100
    """

    left: int
    top: int
    width: int
    height: int
    quality: int
    template: FingerTemplate


def extract_slap(
    image: NDArray[np.uint8],
    ppi: float = PPI,
    position: int = 13,
    *,
    sets: int = 1,
    missing: Collection[int] = (),
) -> tuple[FingerTemplate, ...]:
    """The templates of the fingers, from left to right, each with its own position and in its own part of the image.

    position   13 right four fingers, 14 left four fingers, 15 both thumbs
    missing    positions of fingers that are not in the image: amputated, bandaged
    image, ppi, sets as for extract(). Where another number of fingers is found than expected, all have the position 0
    and say so in `.problems`; where none is found, the tuple is empty. TemplateError as extract(), and for other
    positions.
    """
    return tuple(finger.template for finger in examine_slap(image, ppi, position, sets=sets, missing=missing))


def examine_slap(
    image: NDArray[np.uint8],
    ppi: float = PPI,
    position: int = 13,
    *,
    sets: int = 1,
    missing: Collection[int] = (),
) -> tuple[SlapFinger, ...]:
    """As extract_slap(), with the fingers' places in the image."""
    if position not in SLAPS:
        raise TemplateError(f"position {position!r} is no image of several fingers: {', '.join(map(str, SLAPS))} are")
    strange = set(missing) - set(SLAPS[position])
    if strange:
        raise TemplateError(f"position {position} does not show the fingers {', '.join(map(str, sorted(strange)))}")
    expected = [finger for finger in SLAPS[position] if finger not in missing]
    found = runs(at_500(image, ppi), sets)
    parts = _fingers(_clear(found[0]), len(expected))
    problems: tuple[str, ...] = ()
    if len(parts) != len(expected):
        problems = (f"{len(parts)} fingers were found, not {len(expected)}: which is which is unknown",)
        expected = [0] * len(parts)
    return tuple(_cut(part, found, finger, problems) for part, finger in zip(parts, expected, strict=True))


def _clear(found: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """The cells with ridges beyond doubt: next joints, palms, print and handwriting touch the fingers of cards."""
    mask, quality = found["mask"] != 0, found["quality"]
    if not mask.any():
        return mask
    return np.logical_and(mask, quality > _CLEAR * float(np.quantile(quality[mask], 0.9)))


def _cut(
    part: NDArray[np.bool_],
    found: list[dict[str, NDArray[Any]]],
    position: int,
    problems: tuple[str, ...],
) -> SlapFinger:
    rows, columns = np.flatnonzero(part.any(1)), np.flatnonzero(part.any(0))
    left, top = int(columns[0]) * CELL, int(rows[0]) * CELL
    width, height = (int(columns[-1]) + 1) * CELL - left, (int(rows[-1]) + 1) * CELL - top
    sets = []
    for run in found:
        own = run["minutiae"]
        own = own[part[own[:, 1] // CELL, own[:, 0] // CELL]]
        sets.append(MinutiaSet(own[:, 0] - left, own[:, 1] - top, *own[:, 2:].T))
    template = FingerTemplate(tuple(sets), position, width, height, SOURCE, problems)
    quality = overall_quality(found[0]["quality"], part) if len(sets[0]) else 0
    return SlapFinger(left, top, width, height, quality, template)


def _fingers(mask: NDArray[np.bool_], expected: int) -> list[NDArray[np.bool_]]:
    """The cells of each finger's last joint, from left to right; at most `expected`."""
    y, x = np.nonzero(mask)
    if not len(y):
        return []
    label = _connected(mask)[y, x]
    parts = [label == which for which in np.unique(label)]
    parts = [part for part in parts if part.sum() >= _LEAST_AREA / _MM**2]
    if not parts:
        return []
    # Fingers are parallel: turned so that they stand upright, as many of them as possible stand beside each other, and
    # their cells gather in the fewest columns.
    best = (-1, -1.0, 0.0)
    for degrees in range(-36, 37, 3):
        across, along = _turned(x, y, degrees)
        gathered = float((np.bincount(across - across.min()).astype(float) ** 2).sum()) * (1 - (degrees / 60) ** 2)
        best = max(best, (min(expected, len(_tips(parts, across, along))), gathered, degrees))
    across, along = _turned(x, y, best[2])
    tips = _tips(parts, across, along)
    while tips and len(tips) < expected:  # fingers that touch: the widest part is parted at its narrowest place
        widest = max(range(len(tips)), key=lambda k: int(np.ptp(across[tips[k]])))
        cut = _cut_at(across[tips[widest]])
        if cut is None:
            break
        part = tips.pop(widest)
        tips += [part & (across < cut), part & (across >= cut)]
    fingers = []
    for tip in sorted(
        sorted(tips, key=lambda tip: -int(tip.sum()))[:expected], key=lambda tip: float(across[tip].mean())
    ):
        low, high = np.quantile(across[tip], (0.05, 0.95))
        tip = tip & (along < along[tip].min() + _LONGEST * (high - low + 1))
        finger = np.zeros_like(mask)
        finger[y[tip], x[tip]] = True
        fingers.append(finger)
    return fingers


def _turned(x: NDArray[np.intp], y: NDArray[np.intp], degrees: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.rint(x * c + y * s).astype(np.int64), np.rint(y * c - x * s).astype(np.int64)


def _tips(
    parts: list[NDArray[np.bool_]], across: NDArray[np.int64], along: NDArray[np.int64]
) -> list[NDArray[np.bool_]]:
    """The parts that lie below no other: what does is the next joint of that finger."""
    tips: list[NDArray[np.bool_]] = []
    for part in sorted(parts, key=lambda part: int(along[part].min())):
        if not any(_overlap(across[part], across[tip]) > 0.5 for tip in tips):
            tips.append(part)
    return tips


def _connected(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """A number for each cell, the same for cells that are connected by their sides; 0 outside the mask."""
    label = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        before = label.copy()
        for a, b in ((label[1:], label[:-1]), (label[:, 1:], label[:, :-1])):
            both = (a > 0) & (b > 0)
            a[both] = np.maximum(a, b)[both]
            b[both] = np.maximum(a, b)[both]
        if np.array_equal(before, label):
            return label


def _overlap(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Of the narrower range."""
    common = min(a.max(), b.max()) - max(a.min(), b.min()) + 1
    return float(common) / float(min(np.ptp(a), np.ptp(b)) + 1)


def _cut_at(across: NDArray[np.int64]) -> int | None:
    """Where a part that is too wide for one finger has the fewest cells; None for one that is not."""
    least = int(_NARROWEST)
    if np.ptp(across) < max(_WIDEST, 2 * least + 1):
        return None
    profile = np.convolve(np.bincount(across - across.min()), (1, 2, 1), mode="same")
    return int(across.min()) + least + int(np.argmin(profile[least : len(profile) - least]))
