"""Synthetic fingers as minutiae, fast enough for galleries of ten million: see CARD-minutiae.md for what they model.

A finger has a master: all its minutiae. Each impression shows some of them, moved, and some that are none. Positions
are pixels at 500 ppi from the top left of the impression's image, y down; angles are in the sense of INCITS 378.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import astuple, dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcc_match import _cpu
from pcc_match.datasets.draws import Stream
from pcc_match.datasets.patterns import patterns
from pcc_match.finger.template import FingerTemplate, MinutiaSet

VERSION = 1  # of the model: a change of any minutia for any seed raises it
SOURCE = "synthetic"  # FingerTemplate.source
MOST_FINGERS = 1 << 32
MOST_IMPRESSIONS = 256  # of a finger
BATCH = 1 << 14  # fingers


@dataclass(frozen=True)
class FingerModel:
    """Fingers and what becomes of their minutiae. Integers; lengths are 1/16 pixel at 500 ppi where not said otherwise,
    angles 1/65536 turn, shares of 1024. A spread is a standard deviation (of 1024: relative)."""

    density: int = 850  # minutiae of a finger in 10^6 square pixels
    density_spread: int = 180  # of 1024
    pad_width: int = 152 * 16  # half the width and height of the finger's pad, an ellipse
    pad_height: int = 205 * 16
    pad_spread: int = 80  # of 1024
    steepness: int = 1600  # height of a pattern to its width, against that of the singular points' own field, 1/1024
    crowding: int = 300  # share of minutiae that lie about a singular point
    crowding_radius: int = 50  # pixels
    spacing: int = 700  # share of minutiae with none in the eight squares (of 6.25 pixels) about their own
    direction_spread: int = 1500  # of minutiae about the flow
    downward: int = 420  # where ridges are vertical, (1024 + this) / 2048 of the minutiae point down
    endings: int = 584  # share; the others are bifurcations
    keep: int = 790  # share found by an extractor at quality and strength 128,
    keep_quality: int = 330  # more at quality 255,
    keep_strength: int = 240  # and at strength 255
    confusion: int = 120  # share whose type is mistaken
    other: int = 60  # share of unknown type
    jitter: int = 19  # spread of x and of y
    angle_jitter: int = 700
    outliers: int = 80  # share with three times these spreads
    bend: int = 34  # of the coefficients of plastic distortion, at 128 pixels from the middle of the finger
    clustered: int = 400  # share of the spurious minutiae that lie close to another
    edge: int = 500  # how much less is found at the edge of the contact, of 1024


@dataclass(frozen=True)
class Capture:
    """A way of taking prints; each finger's impressions are all taken in one. Units as in FingerModel."""

    share: int  # of fingers, relative to the other captures'
    width: int  # image, pixels
    height: int
    contact_width: int  # of the pad's, shares of 1024
    contact_height: int
    contact_spread: int
    shift_x: int  # spread of the contact's middle on the finger
    shift_y: int
    rotation: int  # spread
    quality: int  # mean, 0-255
    quality_spread: int
    spurious: int  # spurious minutiae in 10^6 square pixels at quality 128
    steadiness: int  # spread of the contact's middle in the image


# Calibrated on the four sensors of FVC2002 and FVC2004 DB1_B, DB3_B: see CARD-minutiae.md.
CAPTURES = (
    Capture(1, 388, 374, 920, 780, 70, 320, 480, 1500, 150, 50, 180, 200),
    Capture(1, 300, 300, 860, 640, 70, 300, 480, 1500, 130, 50, 160, 160),
    Capture(1, 480, 480, 960, 860, 70, 320, 480, 1500, 140, 60, 240, 240),
    Capture(1, 300, 480, 1024, 1024, 70, 240, 480, 1300, 120, 60, 700, 160),
)


@dataclass(frozen=True)
class Impressions:
    """Impressions one after the other; number i has minutiae offsets[i] to offsets[i + 1] of the columns.

    finger       int64 [n], number of the finger; position and subject follow from it
    impression   uint8 [n], of that finger
    offsets      uint64 [n + 1]
    x, y         int16, pixels at 500 ppi; angle uint8, 256 a turn; type uint8, 0 other, 1 ridge ending, 2 bifurcation;
                 quality uint8, 1-100
    origin       int16, number of the minutia in the finger's master, -1 where it is spurious
    pattern      uint8 [n], index into PATTERNS; capture uint8 [n], index into the captures
    print_quality  uint8 [n], 0-255
    rotation     int16 [n], of the impression against the master, counter-clockwise, 1/65536 turn
    origin_x, origin_y   int16 [n], where the master's origin lies in the image
    sizes        int32 [n, 2], width and height of the images
    """

    finger: NDArray[np.int64]
    impression: NDArray[np.uint8]
    offsets: NDArray[np.uint64]
    x: NDArray[np.int16]
    y: NDArray[np.int16]
    angle: NDArray[np.uint8]
    type: NDArray[np.uint8]
    quality: NDArray[np.uint8]
    origin: NDArray[np.int16]
    pattern: NDArray[np.uint8]
    capture: NDArray[np.uint8]
    print_quality: NDArray[np.uint8]
    rotation: NDArray[np.int16]
    origin_x: NDArray[np.int16]
    origin_y: NDArray[np.int16]
    sizes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.finger)

    @property
    def position(self) -> NDArray[np.uint8]:
        """Finger positions 1-10 (ANSI/NIST-ITL table of friction ridge positions)."""
        return (self.finger % 10 + 1).astype(np.uint8)

    def template(self, row: int) -> FingerTemplate:
        row = range(len(self))[row]
        rows = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        minutiae = MinutiaSet(self.x[rows], self.y[rows], self.angle[rows], self.type[rows], self.quality[rows])
        width, height = self.sizes[row].tolist()
        return FingerTemplate((minutiae,), int(self.finger[row]) % 10 + 1, width, height, SOURCE)

    @property
    def subject(self) -> NDArray[np.int64]:
        """Ten fingers are a subject."""
        return self.finger // 10


@dataclass(frozen=True)
class Masters:
    """All minutiae of fingers, about the middle of each finger's pad; columns as in Impressions.

    strength   uint8: how readily the minutia is found, 0-255
    """

    finger: NDArray[np.int64]
    offsets: NDArray[np.uint64]
    x: NDArray[np.int16]
    y: NDArray[np.int16]
    angle: NDArray[np.uint8]
    type: NDArray[np.uint8]
    strength: NDArray[np.uint8]
    pattern: NDArray[np.uint8]


def templates(count: int, seed: int, **options: Any) -> Iterator[FingerTemplate]:
    """The same as impressions(), one by one as templates."""
    for made in impressions(count, seed, **options):
        yield from map(made.template, range(len(made)))


def masters(count: int, seed: int, *, first: int = 0, model: FingerModel | None = None) -> Masters:
    """The masters of fingers `first` to first + count - 1."""
    _check(count, first, 0, 1)
    columns = _fingers(seed, model or FingerModel(), CAPTURES).masters(first, count)
    offsets, x, y, angle, type, strength, _, pattern, *_ = columns
    return Masters(first + np.arange(count), offsets, x, y, angle, type, strength, pattern)


def impressions(
    count: int,
    seed: int,
    *,
    first: int = 0,
    impressions: int = 1,
    first_impression: int = 0,
    model: FingerModel | None = None,
    captures: Sequence[Capture] = CAPTURES,
    batch: int = BATCH,
    threads: int = 1,
) -> Iterator[Impressions]:
    """Impressions of fingers `first` to first + count - 1 in batches of so many fingers, in order.

    Each finger has impressions first_impression, first_impression + 1, ... (0 to 255). The same numbers, seed, model
    and captures give the same bits on every machine, for any batch and any number of threads.
    """
    _check(count, first, first_impression, impressions)
    if batch < 1 or threads < 1:
        raise ValueError(f"batch {batch} and threads {threads} are at least 1")
    if not 1 <= len(captures) <= 255:
        raise ValueError(f"{len(captures)} captures; 1 to 255 are possible")
    fingers = _fingers(seed, model or FingerModel(), tuple(captures))
    sizes = np.array([(capture.width, capture.height) for capture in captures], dtype=np.int32)

    def make(start: int) -> Impressions:
        size = min(batch, first + count - start)
        columns = fingers.impressions(start, size, first_impression, impressions)
        finger = np.repeat(np.arange(start, start + size), impressions)
        number = np.tile(np.arange(first_impression, first_impression + impressions, dtype=np.uint8), size)
        return Impressions(finger, number, *columns, sizes[columns[8]])

    return _in_order(make, range(first, first + count, batch), threads)


def _in_order(make: Callable[[int], Impressions], starts: range, threads: int) -> Iterator[Impressions]:
    if threads == 1:
        yield from map(make, starts)
        return
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Impressions]] = deque()
        for start in starts:
            running.append(pool.submit(make, start))
            if len(running) > 2 * threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


@dataclass(frozen=True, eq=False)
class Flow:
    """Where a finger's ridges run.

    pattern      index into PATTERNS; pad: half width and half height of the pad, pixels
    points       int32 [3 k]: 1 core or -1 delta, x, y from the middle of the finger in pixels, for each of k points
    directions   uint16 (rows, columns): direction of the ridges, 0 to 32768 = half a turn, counter-clockwise from +x
    """

    pattern: int
    pad: tuple[int, int]
    points: NDArray[np.int32]
    directions: NDArray[np.uint16]


def flow(seed: int, finger: int, *, step: int, rows: int, columns: int, model: FingerModel | None = None) -> Flow:
    """The flow of a finger's ridges at rows x columns points, `step` pixels apart, about the middle of the finger."""
    _check(1, finger, 0, 1)
    fingers = _fingers(seed, model or FingerModel(), CAPTURES)
    pattern, width, height, points, directions = fingers.flow(finger, step, rows, columns)
    return Flow(pattern, (width, height), points, directions)


def _check(count: int, first: int, first_impression: int, impressions: int) -> None:
    if count < 0 or not 0 <= first <= MOST_FINGERS - count:
        raise ValueError(f"fingers {first:,} to {first + count:,} are not within 0 to {MOST_FINGERS:,}")
    if impressions < 1 or not 0 <= first_impression <= MOST_IMPRESSIONS - impressions:
        raise ValueError(f"impressions {first_impression} to {first_impression + impressions} are not within 0 to 256")


@cache
def _fingers(seed: int, model: FingerModel, captures: tuple[Capture, ...]) -> _cpu.SynthFingers:
    table = [
        [*pattern.share, pattern.arching, *(number for point in pattern.points for number in point)]
        for pattern in patterns()
    ]
    return _cpu.SynthFingers(
        Stream(seed, "master").key,
        Stream(seed, "impression").key,
        list(astuple(model)),
        np.array(table, dtype=np.int32),
        np.array([astuple(capture) for capture in captures], dtype=np.int32),
        *_tables(),
    )


# ---- tables without floating-point numbers: fixed point, 80 bits after the point

_ONE = 1 << 80
_PI = 0x3243F6A8885A308D31319


@cache
def _tables() -> tuple[NDArray[np.int16], NDArray[np.uint16]]:
    """16384 sin(k / 1024 turn), k = 0 ... 1023; arc tangent of k / 256 in 1/65536 turn, k = 0 ... 256."""
    quarter = [_sine(_PI * k // 512) for k in range(257)]
    half = quarter + quarter[-2:0:-1]
    sine = [_rounded(value * 16384, _ONE) for value in half + [-value for value in half]]
    arctangent = [_rounded(_arctangent(_ONE * k // 256) * 32768, _PI) for k in range(257)]
    return np.array(sine, dtype=np.int16), np.array(arctangent, dtype=np.uint16)


def _sine(x: int) -> int:
    term, total, n = x, x, 1
    while term:
        n += 2
        term = -term * x // _ONE * x // _ONE // (n * (n - 1))
        total += term
        if abs(term) < 2:
            break
    return total


def _arctangent(x: int) -> int:
    """Euler's series: the sum of 2^2n n!^2 / (2n + 1)! x^(2n + 1) / (1 + x^2)^(n + 1)."""
    square = x * x // _ONE
    term = x * _ONE // (_ONE + square)
    total = n = 0
    while term:
        total += term
        n += 1
        term = term * 2 * n // (2 * n + 1) * square // (_ONE + square)
    return total


def _rounded(value: int, unit: int) -> int:
    return (2 * value + unit) // (2 * unit)
