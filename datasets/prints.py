"""Synthetic prints as images with their true minutiae: see CARD-prints.md for what they model.

finger = master(seed=7)                       # the ridges of a finger, and its minutiae
taken = impression(finger, 0)                 # uint8 image at 500 ppi, and what of the finger it shows
found = latent(finger, 0)                     # a part of it, faint, on a background

Ridges grow from noise by filters along the finger's flow (the idea of SFinGe: Cappelli, Maio, Maltoni, "Synthetic
fingerprint-image generation", ICPR 2000). The flow is that of the same finger of datasets/minutiae.py. Needs the extra
`vision`; the pictures are the same for one version of OpenCV and numpy on one kind of processor.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcc_match.datasets.minutiae import flow
from pcc_match.datasets.patterns import PATTERNS
from pcc_match.errors import PccError
from pcc_match.finger.template import FingerTemplate

VERSION = 1  # of the model
SOURCE = "synthetic print"
WIDTH, HEIGHT = 432, 560  # of a master, pixels at 500 ppi
RIDGE_ENDING, BIFURCATION = 1, 2

Plane = NDArray[np.float32]

_ORIENTATIONS = 24  # of filters, over half a turn
_TRACED = 9  # pixels along a ridge that tell its direction
_APART = 7.0  # pixels; minutiae nearer to each other are flaws of the growth, not minutiae


@dataclass(frozen=True, eq=False)
class Master:
    """A finger.

    ridges      float32 (HEIGHT, WIDTH), 1 on the middle of ridges to -1 on that of valleys
    pattern     one of PATTERNS; cores, deltas: float (n, 2), x and y in pixels of `ridges`
    pad         half width and half height of the finger's pad in pixels
    x, y        float64 [n], minutiae in pixels of `ridges`; angle: degrees in the sense of INCITS 378; type: 1 ridge
                ending, 2 bifurcation
    """

    seed: int
    finger: int
    pattern: str
    pad: tuple[int, int]
    cores: NDArray[np.float64]
    deltas: NDArray[np.float64]
    ridges: Plane
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    angle: NDArray[np.float64]
    type: NDArray[np.uint8]

    @property
    def position(self) -> int:
        """1 right thumb ... 10 left little finger."""
        return self.finger % 10 + 1


@dataclass(frozen=True)
class Condition:
    """How a print is taken. Lengths in pixels at 500 ppi."""

    width: int = 388
    height: int = 420
    rotation: float = 0.0  # degrees counter-clockwise
    shift: tuple[float, float] = (0.0, 0.0)  # the contact's middle on the finger, from the middle of the pad
    contact: tuple[float, float] = (1.0, 1.0)  # its half width and half height, of the pad's
    bend: float = 6.0  # plastic distortion: about so many pixels 128 pixels from the middle
    pressure: float = 0.0  # -1 thin ridges to 1 ridges that touch
    dryness: float = 0.0  # 0 to 1: broken ridges
    wetness: float = 0.0  # 0 to 1: filled valleys, in patches
    noise: float = 6.0  # of the sensor, grey values
    scars: int = 0  # creases and cuts


@dataclass(frozen=True, eq=False)
class Print:
    """An impression.

    image       uint8 (height, width), dark ridges; 500 ppi
    template    the finger's minutiae that lie in the contact; quality 1-100 by how well the print shows the place
    origin      int64 [n], the number of each of these in the master
    """

    image: NDArray[np.uint8]
    template: FingerTemplate
    origin: NDArray[np.int64]
    condition: Condition


def master(seed: int, finger: int = 0) -> Master:
    """Finger number `finger` of a seed; about half a second. Ten fingers after each other are a person's."""
    cv2 = opencv()
    random = np.random.default_rng([seed, finger, 1])
    drawn = flow(seed, finger, step=4, rows=HEIGHT // 4, columns=WIDTH // 4)
    twice = drawn.directions.astype(np.float32) * np.float32(4 * np.pi / 65536)  # y up
    twice += np.float32(0.16) * _smooth(random, HEIGHT // 4, WIDTH // 4, 14)  # no finger is as regular as the model
    cosine, sine = np.cos(twice), np.sin(twice)
    cosine, sine = (cv2.GaussianBlur(part, (0, 0), 1.2) for part in (cosine, sine))
    ridges = _grow(random, cosine, sine, period=float(random.uniform(8.2, 9.8)))
    points = drawn.points.reshape(-1, 3).astype(np.float64) + np.array([0, WIDTH / 2, HEIGHT / 2])
    cores: NDArray[np.float64] = points[points[:, 0] > 0, 1:]
    deltas: NDArray[np.float64] = points[points[:, 0] < 0, 1:]
    x, y, angle, type = _minutiae(ridges, drawn.pad)
    return Master(seed, finger, PATTERNS[drawn.pattern], drawn.pad, cores, deltas, ridges, x, y, angle, type)


def condition(finger: Master, number: int) -> Condition:
    """What impression `number` of the finger is taken under, by its own draw."""
    random = np.random.default_rng([finger.seed, finger.finger, number, 2])
    worse = random.beta(1.6, 1.8)
    dry = random.random() < 0.6
    return Condition(
        rotation=float(np.clip(random.normal(0, 11), -35, 35)),
        shift=(float(random.normal(0, 24)), float(random.normal(0, 36))),
        contact=(float(random.uniform(0.68, 1.0)), float(random.uniform(0.5, 0.95))),
        bend=float(random.uniform(7, 22)),
        pressure=float(np.clip(random.normal(0, 0.4), -0.8, 0.8)),
        dryness=float(worse) if dry else float(0.4 * worse),
        wetness=0.0 if dry else float(worse),
        noise=float(random.uniform(2, 12)),
        scars=int(random.choice(4, p=(0.5, 0.25, 0.15, 0.1))),
    )


def impression(finger: Master, number: int, under: Condition | None = None) -> Print:
    """Impression `number` of a finger, under a condition of its own draw where none is given."""
    return _Taken(finger, number, under or condition(finger, number)).print()


def latent(finger: Master, number: int, under: Condition | None = None) -> Print:
    """A latent: a part of the finger, turned at will, faint, on a surface with lines, letters or shades."""
    random = np.random.default_rng([finger.seed, finger.finger, number, 3])
    if under is None:
        under = replace(
            condition(finger, number),
            width=512,
            height=512,
            rotation=float(random.uniform(-180, 180)),
            shift=(float(random.normal(0, 35)), float(random.normal(0, 50))),
            contact=(float(random.uniform(0.4, 0.75)), float(random.uniform(0.35, 0.65))),
            dryness=float(random.uniform(0.2, 0.6)),
            wetness=float(random.uniform(0.0, 0.4)),
            noise=10.0,
        )
    taken = _Taken(finger, number, under)
    surface = _surface(random, under.height, under.width)
    strength = np.float32(random.uniform(0.35, 0.8))
    dark = taken.dark() * strength
    grey = surface * (1 - dark * np.float32(random.uniform(0.5, 0.8)))
    return taken.print(grey)


# ---- growth


def _grow(random: np.random.Generator, cosine: Plane, sine: Plane, period: float) -> Plane:
    """Ridges of the flow whose double angle (y up) stands on a grid of 4 pixels: first at half the size, then whole."""
    cv2 = opencv()
    image = random.standard_normal((HEIGHT // 2, WIDTH // 2), dtype=np.float32)
    for scale, rounds in ((2, 7), (1, 2)):
        size = (WIDTH // scale, HEIGHT // scale)
        image = cv2.resize(image, size, interpolation=cv2.INTER_CUBIC)
        c, s = (cv2.resize(part, size, interpolation=cv2.INTER_LINEAR) for part in (cosine, sine))
        turn = np.arctan2(s, c) * np.float32(_ORIENTATIONS / (2 * np.pi))
        nearest = np.rint(turn).astype(np.int32) % _ORIENTATIONS
        where = [np.flatnonzero(nearest == k) for k in range(_ORIENTATIONS)]
        filters = _filters(period / scale)
        for _ in range(rounds):
            grown = np.empty(image.size, np.float32)
            for at, kernel in zip(where, filters, strict=True):
                if len(at):
                    grown[at] = cv2.filter2D(image, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT).ravel()[at]
            grown = grown.reshape(image.shape)
            strength = cv2.GaussianBlur(grown * grown, (0, 0), period / scale)
            image = np.clip(grown / np.sqrt(2 * strength + np.float32(1e-6)), -1, 1)
    return image


def _filters(period: float) -> list[Plane]:
    """Even Gabor filters without a mean, for ridges that run at k half turns / _ORIENTATIONS, y up."""
    reach = int(np.ceil(1.15 * period))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    made = []
    for k in range(_ORIENTATIONS):
        angle = np.pi * k / _ORIENTATIONS
        along, across = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
        bell = np.exp(-0.5 * ((along / (0.5 * period)) ** 2 + (across / (0.42 * period)) ** 2))
        wave = bell * np.cos(2 * np.pi * across / period)
        wave -= bell * (wave.sum() / bell.sum())
        made.append((wave / np.abs(wave).sum()).astype(np.float32))
    return made


def _smooth(random: np.random.Generator, rows: int, columns: int, scale: float) -> Plane:
    """Noise of mean 0 and deviation 1 that changes over about `scale` pixels."""
    cv2 = opencv()
    coarse = random.standard_normal((int(rows / scale) + 4, int(columns / scale) + 4), dtype=np.float32)
    fine = cv2.resize(coarse, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(fine[int(scale) : int(scale) + rows, int(scale) : int(scale) + columns])


# ---- minutiae of a master: crossing numbers of the middle lines of its ridges


def _minutiae(ridges: Plane, pad: tuple[int, int]) -> tuple[Any, ...]:
    thin = _thinned(ridges > 0)
    rows, columns = np.nonzero(thin)
    inside = ((columns - WIDTH / 2) / pad[0]) ** 2 + ((rows - HEIGHT / 2) / pad[1]) ** 2 < 1.1
    ring = np.stack([thin[rows + dy, columns + dx] for dy, dx in _RING], axis=1).astype(np.int8)
    crossings = np.abs(np.diff(ring, axis=1, append=ring[:, :1])).sum(axis=1) // 2
    found = [
        (column, row, angle, RIDGE_ENDING if n == 1 else BIFURCATION)
        for column, row, n in zip(
            columns[inside].tolist(), rows[inside].tolist(), crossings[inside].tolist(), strict=True
        )
        if n in (1, 3) and (angle := _direction(thin, row, column)) is not None
    ]
    table = np.array(found, np.float64).reshape(-1, 4)
    distance = np.hypot(*(table[:, None, k] - table[:, k] for k in (0, 1)))
    np.fill_diagonal(distance, np.inf)
    table = table[(distance >= _APART).all(axis=1)] if len(table) else table
    return table[:, 0], table[:, 1], table[:, 2], table[:, 3].astype(np.uint8)


_RING = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def _direction(thin: NDArray[np.bool_], row: int, column: int) -> float | None:
    """Degrees, y up: into the ridge that ends, or into the valley between the two branches; None for a spur."""
    branches = []
    starts = [(dy, dx) for dy, dx in _RING if thin[row + dy, column + dx]]
    starts = [s for s in starts if s[0] == 0 or s[1] == 0 or not {(s[0], 0), (0, s[1])} & set(starts)]
    for dy, dx in starts:
        seen = {(row, column), *((row + a, column + b) for a, b in starts)}
        at = (row + dy, column + dx)
        for _ in range(_TRACED - 1):
            ahead = [(at[0] + a, at[1] + b) for a, b in _STEPS if thin[at[0] + a, at[1] + b]]
            ahead = [p for p in ahead if p not in seen]
            if not ahead:
                return None
            seen.update(ahead)
            at = ahead[0]
        branches.append(complex(at[1] - column, row - at[0]))
    if len(branches) == 1:
        (into,) = branches
    elif len(branches) == 3:
        units = [b / abs(b) for b in branches]
        pairs = ((units[1], units[2]), (units[0], units[2]), (units[0], units[1]))
        into = max((a + b for a, b in pairs), key=abs)
    else:
        return None
    return float(np.degrees(np.angle(into))) % 360


_STEPS = ((-1, 0), (0, 1), (1, 0), (0, -1), (-1, -1), (-1, 1), (1, 1), (1, -1))


def _thinned(image: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Middle lines (Zhang and Suen, CACM 27 (1984) 236); the outermost pixels are cleared."""
    cv2 = opencv()
    image = image.astype(np.uint8)
    image[[0, 1, -2, -1]] = 0
    image[:, [0, 1, -2, -1]] = 0
    weights = np.array([[1, 2, 4], [128, 0, 8], [64, 32, 16]], np.float32)
    while True:
        before = int(image.sum())
        for table in _thinning():
            code = cv2.filter2D(image, cv2.CV_8U, weights, borderType=cv2.BORDER_CONSTANT)
            image &= cv2.LUT(code, table)
        if int(image.sum()) == before:
            return image.astype(np.bool_)


@cache
def _thinning() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """For each neighbourhood (bits clockwise from the top left) 0 where a pixel goes, in the first and second pass."""
    tables = np.ones((2, 256), np.uint8)
    for code in range(256):
        bits = [code >> k & 1 for k in range(8)]
        around = bits[1:] + bits[:1]  # from north, clockwise
        north, _, east, _, south, _, west, _ = around
        rises = sum(around[k] == 0 and around[(k + 1) % 8] == 1 for k in range(8))
        if 2 <= sum(around) <= 6 and rises == 1:
            tables[0, code] = not (north * east * south == 0 and east * south * west == 0)
            tables[1, code] = not (north * east * west == 0 and north * south * west == 0)
    return tables[0], tables[1]


# ---- impressions


class _Taken:
    """An impression in the making: where each pixel comes from, how dark it is, where minutiae come to lie."""

    def __init__(self, finger: Master, number: int, under: Condition) -> None:
        self._finger, self._under = finger, under
        self._random = np.random.default_rng([finger.seed, finger.finger, number, 4])
        self._bend = self._random.normal(0, under.bend / 2, (2, 3))
        turn = np.radians(under.rotation)
        self._turn = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        self._middle = np.array([WIDTH / 2 + under.shift[0], HEIGHT / 2 + under.shift[1]])
        self._to = np.array([under.width / 2, under.height / 2])
        self._clear: Plane | None = None

    def _onto(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Where points of the master (n, 2) lie in the image."""
        u, v = ((points - (WIDTH / 2, HEIGHT / 2)) / 128).T
        bent: NDArray[np.float64] = points + (self._bend @ (u * u, u * v, v * v)).T
        placed: NDArray[np.float64] = (bent - self._middle) @ self._turn.T + self._to
        return placed

    def _from(self) -> tuple[Plane, Plane]:
        """Where each pixel of the image lies in the master: x and y."""
        under = self._under
        y, x = np.mgrid[0 : under.height, 0 : under.width].astype(np.float32)
        back = self._turn.T.astype(np.float32)
        x, y = x - np.float32(self._to[0]), y - np.float32(self._to[1])
        at_x = back[0, 0] * x + back[0, 1] * y + np.float32(self._middle[0])
        at_y = back[1, 0] * x + back[1, 1] * y + np.float32(self._middle[1])
        source_x, source_y = at_x, at_y
        bend = self._bend.astype(np.float32)
        for _ in range(3):  # the bend is small and smooth: three rounds undo it to a part of a pixel
            u, v = (source_x - WIDTH / 2) / 128, (source_y - HEIGHT / 2) / 128
            squares = u * u, u * v, v * v
            source_x = at_x - sum(b * s for b, s in zip(bend[0], squares, strict=True))
            source_y = at_y - sum(b * s for b, s in zip(bend[1], squares, strict=True))
        return source_x, source_y

    def dark(self) -> Plane:
        """float32 (height, width): 0 the surface, 1 the darkest ridge."""
        cv2, under, random = opencv(), self._under, self._random
        size = under.height, under.width
        x, y = self._from()
        ridges = cv2.remap(self._finger.ridges, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=-1)
        across = (x - np.float32(self._middle[0])) / np.float32(self._finger.pad[0] * under.contact[0])
        down = (y - np.float32(self._middle[1])) / np.float32(self._finger.pad[1] * under.contact[1])
        edge = np.sqrt(across * across + down * down) + np.float32(0.025) * _smooth(random, *size, 45)
        contact = np.clip((1 - edge) * 9, 0, 1)
        patches = _smooth(random, *size, 44)
        grain = cv2.GaussianBlur(random.standard_normal(size, dtype=np.float32), (0, 0), 1.1) * np.float32(3.9)
        dry = np.float32(under.dryness) * np.clip(0.75 + 0.6 * patches, 0, 1.6)
        wet = np.float32(under.wetness) * np.clip(0.5 - 0.8 * patches, 0, 1.6)
        level = ridges + np.float32(0.55 * under.pressure) + wet - np.float32(0.35) * dry
        level = level + grain * (np.float32(0.16) + np.float32(0.62) * dry) + np.float32(0.25) * (contact - 1)
        self._clear = contact * np.clip(1 - np.float32(0.75) * dry - np.float32(0.6) * np.clip(wet - 0.2, 0, 1), 0, 1)
        dark = contact * (0.5 + 0.5 * np.tanh(np.float32(2.3) * level))
        for _ in range(under.scars):
            dark, self._clear = self._scar(dark, self._clear)
        soft: Plane = cv2.GaussianBlur(dark, (0, 0), 0.75)
        return soft

    def _scar(self, dark: Plane, clear: Plane) -> tuple[Plane, Plane]:
        """A light line across the print, a little crooked."""
        cv2, random = opencv(), self._random
        middle = np.array([self._under.width, self._under.height]) * random.uniform(0.3, 0.7, 2)
        angle, length = random.uniform(-0.6, 0.6) + np.radians(self._under.rotation), random.uniform(30, 110)
        steps = np.linspace(-1, 1, 9)
        line = middle + length * np.outer(steps, (np.cos(angle), -np.sin(angle))) + random.normal(0, 2.2, (9, 2))
        mask = np.zeros(dark.shape, np.uint8)
        width = int(random.integers(2, 6))
        cv2.polylines(mask, [np.rint(line * 8).astype(np.int32)], False, 255, width, cv2.LINE_AA, 3)
        soft = cv2.GaussianBlur(mask, (0, 0), 0.8).astype(np.float32) * np.float32(1 / 255)
        return dark * (1 - soft), clear * (1 - cv2.dilate(soft, np.ones((9, 9), np.uint8)))

    def print(self, grey: Plane | None = None) -> Print:
        under, random = self._under, self._random
        if grey is None:
            grey = 250 - self.dark() * np.float32(random.uniform(165, 225))
        noise = random.standard_normal((under.height, under.width), dtype=np.float32)
        image = np.clip(np.rint(grey + noise * np.float32(under.noise)), 0, 255).astype(np.uint8)
        template, origin = self._truth()
        return Print(image, template, origin, under)

    def _truth(self) -> tuple[FingerTemplate, NDArray[np.int64]]:
        finger, under = self._finger, self._under
        assert self._clear is not None
        points = np.stack([finger.x, finger.y], axis=1)
        turn = np.radians(finger.angle)
        ahead = points + 4 * np.stack([np.cos(turn), -np.sin(turn)], axis=1)
        placed, headed = self._onto(points), self._onto(ahead) - self._onto(points)
        column, row = np.rint(placed).astype(np.int64).T
        inside = (column >= 0) & (row >= 0) & (column < under.width) & (row < under.height)
        clear = np.zeros(len(points), np.float32)
        clear[inside] = self._clear[row[inside], column[inside]]
        kept = np.flatnonzero(clear > 0.15)
        template = FingerTemplate.from_minutiae(
            column[kept],
            row[kept],
            np.degrees(np.arctan2(-headed[kept, 1], headed[kept, 0])) % 360,
            type=finger.type[kept],
            quality=np.clip(np.rint(100 * clear[kept]), 1, 100).astype(np.int64),
            position=finger.position,
            width=under.width,
            height=under.height,
            source=SOURCE,
        )
        return template, kept


def _surface(random: np.random.Generator, height: int, width: int) -> Plane:
    """What a latent lies on: a shade, and lines or letters."""
    cv2 = opencv()
    across = np.linspace(-1, 1, width, dtype=np.float32)[None] * np.float32(random.normal(0, 22))
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None] * np.float32(random.normal(0, 22))
    base = np.float32(random.uniform(150, 215)) + across + down + 7 * _smooth(random, height, width, 60)
    ink = np.zeros((height, width), np.uint8)
    kind = random.integers(4)
    if kind in (0, 2):
        apart, angle = random.uniform(18, 60), random.uniform(0, np.pi)
        normal, along = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        for k in np.arange(-width, width, apart):
            middle = np.array([width / 2, height / 2]) + k * normal
            ends = [np.rint(middle + t * along).astype(int).tolist() for t in (-width, width)]
            cv2.line(ink, ends[0], ends[1], 255, int(random.integers(1, 4)), cv2.LINE_AA)
    if kind in (1, 2):
        letters = np.array(list("abcdefghiklmnoprstuvwxyz    "))
        size = random.uniform(0.5, 1.2)
        for line in np.arange(20, height + 20, 34 * size):
            text = "".join(random.choice(letters, 60))
            cv2.putText(ink, text, (-8, int(line)), cv2.FONT_HERSHEY_SIMPLEX, size, 255, 2, cv2.LINE_AA)
    ink = cv2.GaussianBlur(ink, (0, 0), 0.9)
    surface: Plane = base * (1 - ink.astype(np.float32) * np.float32(random.uniform(0.2, 0.6) / 255))
    return surface


def opencv() -> ModuleType:
    """The module cv2; PccError where it is not installed."""
    try:
        import cv2
    except ImportError as error:
        raise PccError("synthetic prints need OpenCV: pip install 'pcc_match[vision]'") from error
    module: ModuleType = cv2
    return module
