"""The comparison of two sets of minutiae, written to be read.

The engines run the same rule from kernels/compare_finger.h and its vector forms; the tests hold them all equal, integer
for integer. Constants have the names they have there. Distances are pixels at 500 ppi; angles 256 a turn, clockwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match.finger.columns import WORDS, FingerColumns

Ints = NDArray[np.int64]

LEAST: Final = 3
CANDIDATES: Final = 48
LATENT_CANDIDATES: Final = 64
COSINE_MIN: Final = 64
ROTATION_MAX: Final = 53
FAR: Final = 255
REACH: Final = 1023
DISTANCE: Final = (12, 14)  # end and slope of a ramp
ROTATION: Final = (24, 7)
DIRECTION: Final = (21, 8)
ROUNDS: Final = 3
OWN: Final = 32
ELIGIBLE: Final = 51
SUPPORT: Final = 6
PAIR_REACH: Final = 350
PAIR_TURN: Final = 20
PAIR_WORTH: Final = 512
BEND_REACH: Final = 96
BEND_SHIFT: Final = 6
UNBENT: Final = 72
LOOK: Final = 16
ALIKE: Final = 4
LOOK_LEAST: Final = 3_500_000
LOOK_LEAST_LATENT: Final = 2_250_000
NOT_LATENT, FIRST_LATENT, SECOND_LATENT, EARLY_EXIT, LIKENESS = 0, 1, 2, 4, 8


@dataclass(frozen=True)
class MinutiaView:
    """One packed set as arrays of its n minutiae."""

    cylinders: NDArray[np.int32]  # (n, 320) bits
    inverse: Ints  # (n,) 2**14 / sqrt(bits of the cylinder), 0 for an unusable one
    x: Ints
    y: Ints
    direction: Ints
    area: NDArray[np.bool_]  # (32, 32)
    left: int
    top: int
    cell: int
    order: int

    @classmethod
    def of(cls, columns: FingerColumns, s: int) -> MinutiaView:
        start, end, count = int(columns.start[s]), int(columns.start[s + 1]), int(columns.count[s])
        words = columns.words[WORDS * start : WORDS * end].reshape(WORDS, end - start)[:, :count].T
        at = slice(start, start + count)

        def integers(name: str) -> Ints:
            values: Ints = getattr(columns, name)[at].astype(np.int64)
            return values

        return cls(
            cylinders=_bits(words).reshape(count, 32 * WORDS).astype(np.int32),
            inverse=integers("inverse"),
            x=integers("x"),
            y=integers("y"),
            direction=integers("direction"),
            area=_bits(columns.area[s]).astype(bool),
            left=int(columns.left[s]),
            top=int(columns.top[s]),
            cell=int(columns.cell[s]),
            order=int(columns.order[s]),
        )

    def __len__(self) -> int:
        return len(self.x)


def _bits(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    bits: NDArray[np.uint32] = words[..., None] >> np.arange(32, dtype=np.uint32) & np.uint32(1)
    return bits


def score(a: MinutiaView, b: MinutiaView, mode: int = NOT_LATENT) -> int:
    """The score of two sets; `mode` says which of them is a latent, and, by EARLY_EXIT, whether a first look may do.

    With LIKENESS, how alike the few most alike minutiae are.
    """
    latent = mode & (FIRST_LATENT | SECOND_LATENT)
    if (len(b), b.order) < (len(a), a.order):  # so that score(a, b) = score(b, a)
        a, b, latent = b, a, {NOT_LATENT: 0, FIRST_LATENT: 2, SECOND_LATENT: 1}[latent]
    if len(a) < LEAST:
        return 0
    cosines = all_cosines(a, b, limited=not latent)
    if mode & LIKENESS:
        return int(np.sort(cosines.max(axis=1))[-ALIKE:].sum())
    i, j, cosine = candidates(cosines, LATENT_CANDIDATES if latent else CANDIDATES)
    resemblance = int(cosine.sum()) // (CANDIDATES * 512 // 32)
    turn = (b.direction[j] - a.direction[i]) & 255
    own = 255 - _roots((511 - cosine) * 65025 // 1022)
    if mode & EARLY_EXIT:
        best = np.argsort(-cosine, kind="stable")[:LOOK]
        support = first_support(compatibilities(a, b, i[best], j[best], turn[best]), own[best])
        if support.max(initial=0) < (LOOK_LEAST_LATENT if latent else LOOK_LEAST):
            return resemblance
    agree = compatibilities(a, b, i, j, turn)
    raw, weight, most = relax(agree, own)
    chosen = accept(agree, raw, most, i, j)
    if len(chosen) < 2:
        return resemblance
    agreement = int(agree[np.ix_(chosen, chosen)].sum())
    pose = fit(a, b, i[chosen], j[chosen], weight[chosen])
    overlap_a, overlap_b = overlaps(a, b, pose)
    i, j, apart = pair_again(a, b, pose)
    closeness = int((PAIR_WORTH - apart).sum())
    return 32 + (
        16000 * agreement // (127 * len(chosen)) * _share(closeness, len(i), overlap_a, overlap_b, latent) >> 16
    )


def _share(closeness: int, paired: int, overlap_a: int, overlap_b: int, latent: int) -> int:
    """What is paired, of what the prints have in common, of 4096, to the power 1.5; 4096 for identical prints.

    The common part is the geometric mean of the overlaps. Of a latent, which shows little and lacks some of that, the
    own overlap counts three times as much as the other. No overlap is smaller than what is paired.
    """
    if not paired:
        return 0
    overlap_a, overlap_b = max(overlap_a, paired), max(overlap_b, paired)
    both = isqrt(overlap_a * overlap_b << 16)
    if latent:
        both = isqrt((overlap_a if latent == FIRST_LATENT else overlap_b) * both << 8)
    share = (closeness << 11) // both
    return share * isqrt(share << 12) >> 12


def all_cosines(a: MinutiaView, b: MinutiaView, limited: bool) -> Ints:
    """Likeness of all cylinders, 0 to 511; 0 where minutiae are turned too far against each other."""
    common = (a.cylinders @ b.cylinders.T).astype(np.int64)
    cosines: Ints = np.minimum(511, (a.inverse[:, None] * b.inverse >> 8) * common >> 11)
    if limited:
        cosines[_between(a.direction[:, None], b.direction) > ROTATION_MAX] = 0
    return cosines


def candidates(cosines: Ints, most: int) -> tuple[Ints, Ints, Ints]:
    """Rows, columns and cosines of the correspondences to look at: the two best of each row and of each column."""
    found = []
    best_of_rows = _two_best(cosines)
    for best in best_of_rows:
        found += [(i, int(j)) for i, j in enumerate(best)]
    for best in _two_best(cosines.T):
        found += [(int(i), j) for j, i in enumerate(best) if j not in (best_of_rows[0][i], best_of_rows[1][i])]
    found = [(i, j) for i, j in found if i >= 0 and j >= 0 and cosines[i, j] >= COSINE_MIN]
    if len(found) > most:
        best_first = sorted(range(len(found)), key=lambda k: (-cosines[found[k]], k))
        found = [found[k] for k in sorted(best_first[:most])]
    i, j = np.array(found, np.int64).reshape(-1, 2).T
    return i, j, cosines[i, j]


def _two_best(cosines: Ints) -> tuple[Ints, Ints]:
    """Columns of the best and the second best of each row; of equal ones the last."""
    keys = cosines << 7 | np.arange(cosines.shape[1])
    keys = np.sort(np.column_stack([np.zeros((len(keys), 2), np.int64), keys]), axis=1)
    return keys[:, -1] & 127, keys[:, -2] & 127


def compatibilities(a: MinutiaView, b: MinutiaView, i: Ints, j: Ints, turn: Ints) -> Ints:
    """How well each two correspondences agree, 0 to 127."""
    distance_a, direction_a = steps(a.x[i], a.y[i])
    distance_b, direction_b = steps(b.x[j], b.y[j])
    seen = direction_b - direction_a
    off = np.maximum(_between(seen, turn[:, None]), _between(seen, turn))
    w1 = _ramp(abs(distance_a - distance_b), *DISTANCE)
    w2 = _ramp(_between(turn[:, None], turn), *ROTATION)
    w3 = _ramp(off, *DIRECTION)
    agree: Ints = (w1 * w2 >> 7) * w3 >> 7
    agree[(distance_a >= FAR) | (distance_b >= FAR) | (distance_a == 0) | (distance_b == 0)] = 0
    agree[(i[:, None] == i) | (j[:, None] == j)] = 0
    return agree


def steps(x: Ints, y: Ints) -> tuple[Ints, Ints]:
    """Scaled distance and direction from each point (row) to each other (column)."""
    dx = np.clip(x - x[:, None], -REACH, REACH)
    dy = np.clip(y - y[:, None], -REACH, REACH)
    d = _roots(16 * (dx * dx + dy * dy))  # quarter pixels
    scaled = np.minimum(np.minimum(d + 2 >> 2, (d + 4 >> 3) + 20), np.minimum((d + 8 >> 4) + 50, FAR))
    return scaled, directions(dx, dy)


def directions(x: Any, y: Any) -> Ints:
    """Direction of (x, y), 256 a turn, by a parabola that is within 0.3 of the arc tangent."""
    x, y = np.asarray(x, np.int64), np.asarray(y, np.int64)
    high, low = np.maximum(abs(x), abs(y)), np.minimum(abs(x), abs(y))
    tangent = 255 * low // np.maximum(high, 1)
    turn = tangent * (2760 - (tangent * 712 >> 8)) + 8192 >> 14
    turn = np.where(abs(y) > abs(x), 64 - turn, turn)
    turn = np.where(x < 0, 128 - turn, turn)
    whole: Ints = np.where(y < 0, -turn, turn) & 255
    return whole


def first_support(agree: Ints, own: Ints) -> Ints:
    """Support of each correspondence after one round of relaxation."""
    support: Ints = (agree @ (own >> 1) + OWN * own) * own
    return support


def relax(agree: Ints, own: Ints) -> tuple[Ints, Ints, int]:
    """Support of each correspondence after some rounds: raw, as a weight 0 to 127, and the greatest raw."""
    weight, raw, most = own >> 1, np.zeros_like(own), 0
    for _ in range(ROUNDS):
        raw = (agree @ weight + OWN * own) * own
        most = int(raw.max(initial=0))
        shift = max(0, most.bit_length() - 15)
        most >>= shift
        if most:
            raw = raw >> shift
            weight = raw * ((127 << 16) // most) >> 16
    return raw, weight, most


def accept(agree: Ints, raw: Ints, most: int, i: Ints, j: Ints) -> list[int]:
    """Correspondences one to one, the best supported first, each in agreement with half of those before it."""
    chosen: list[int] = []
    for k in np.argsort(-raw, kind="stable").tolist():
        if raw[k] * ELIGIBLE <= most or i[k] in i[chosen] or j[k] in j[chosen]:
            continue
        if 2 * int((agree[k, chosen] > SUPPORT).sum()) >= len(chosen):
            chosen.append(k)
    return chosen


@dataclass(frozen=True)
class Pose:
    """Rotation (of 4096, and in 1/256 turn) and the points that fall together, in quarter pixels."""

    a: tuple[int, int]
    b: tuple[int, int]
    cosine: int
    sine: int
    turn: int

    def forth(self, x: Ints, y: Ints) -> tuple[Ints, Ints]:
        """Points of `a` in quarter pixels from the centre in `b`."""
        x, y = 4 * x - self.a[0], 4 * y - self.a[1]
        return _cut(self.cosine * x - self.sine * y + 2048 >> 12), _cut(self.sine * x + self.cosine * y + 2048 >> 12)

    def back(self, x: Ints, y: Ints) -> tuple[Ints, Ints]:
        """Points of `b` in quarter pixels from the centre in `a`."""
        x, y = 4 * x - self.b[0], 4 * y - self.b[1]
        return _cut(self.cosine * x + self.sine * y + 2048 >> 12), _cut(self.cosine * y - self.sine * x + 2048 >> 12)


def fit(a: MinutiaView, b: MinutiaView, i: Ints, j: Ints, weight: Ints) -> Pose:
    """The rotation and shift that bring correspondences together best, in the sense of least squares."""
    total = int(weight.sum()) or 1
    ax, ay = (int(_towards_zero(4 * (weight * v).sum(), total)) for v in (a.x[i], a.y[i]))
    bx, by = (int(_towards_zero(4 * (weight * v).sum(), total)) for v in (b.x[j], b.y[j]))
    px, py, qx, qy = 4 * a.x[i] - ax, 4 * a.y[i] - ay, 4 * b.x[j] - bx, 4 * b.y[j] - by
    along = int((weight * (px * qx + py * qy)).sum())
    across = int((weight * (px * qy - py * qx)).sum())
    shift = max(0, (abs(along) | abs(across)).bit_length() - 14)
    c, s = along >> shift, across >> shift
    length = isqrt(c * c + s * s)
    cosine, sine = (int(_towards_zero(4096 * v, length)) for v in (c, s)) if length else (4096, 0)
    return Pose((ax, ay), (bx, by), cosine, sine, int(directions(c, s)))


def overlaps(a: MinutiaView, b: MinutiaView, pose: Pose) -> tuple[int, int]:
    """Minutiae of each set in the other's area."""
    ax, ay = pose.forth(a.x, a.y)
    bx, by = pose.back(b.x, b.y)
    return _inside(b, ax + pose.b[0], ay + pose.b[1]), _inside(a, bx + pose.a[0], by + pose.a[1])


def pair_again(a: MinutiaView, b: MinutiaView, pose: Pose) -> tuple[Ints, Ints, Ints]:
    """Minutiae that pair after the fit, bent as the pairs of the fit alone lie; and how far apart: see `_pair`."""
    turned = _between((a.direction + pose.turn)[:, None], b.direction) > PAIR_TURN
    ax, ay = pose.forth(a.x, a.y)
    bx, by = _cut(4 * b.x - pose.b[0]), _cut(4 * b.y - pose.b[1])
    i, j, _ = _pair(ax, ay, bx, by, turned)
    dx = np.minimum(abs(ax[:, None] - ax[i]) >> 2, 127)
    dy = np.minimum(abs(ay[:, None] - ay[i]) >> 2, 127)
    weight = np.maximum(BEND_REACH**2 - dx * dx - dy * dy, 0) >> BEND_SHIFT
    total = UNBENT + weight.sum(axis=1)
    bent_x = ax + _towards_zero(weight @ (bx[j] - ax[i]), total)
    bent_y = ay + _towards_zero(weight @ (by[j] - ay[i]), total)
    return _pair(_cut(bent_x), _cut(bent_y), bx, by, turned)


def _pair(ax: Ints, ay: Ints, bx: Ints, by: Ints, turned: NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
    """Points (quarter pixels) that are each other's nearest, ties by index, and half the squares of their distances in
    half pixels; `turned`: which may not pair."""
    dx = np.minimum(abs(ax[:, None] - bx) >> 1, 127)
    dy = np.minimum(abs(ay[:, None] - by) >> 1, 127)
    apart = dx * dx + dy * dy >> 1
    wrong = (apart >= PAIR_REACH) | turned
    apart[wrong] = 1 << 20
    of_a, of_b = apart.argmin(axis=1), apart.argmin(axis=0)
    rows = np.arange(len(ax))
    i = np.flatnonzero((of_b[of_a] == rows) & ~wrong[rows, of_a])
    return i, of_a[i], apart[i, of_a[i]]


def _inside(view: MinutiaView, x: Ints, y: Ints) -> int:
    column, row = (x >> 2) - view.left >> view.cell, (y >> 2) - view.top >> view.cell
    held = (column >= 0) & (row >= 0) & (column < 32) & (row < 32)
    return int(view.area[row[held], column[held]].sum())


def _between(a: Any, b: Any) -> Ints:
    """Angle between directions, 0 to 128."""
    turn: Ints = (a - b) & 255
    return np.minimum(turn, 256 - turn)


def _ramp(difference: Ints, end: int, slope: int) -> Ints:
    weight: Ints = np.clip((end - difference) * slope, 0, 127)
    return weight


def _roots(v: Ints) -> Ints:
    """Floors of square roots."""
    root = np.sqrt(v).astype(np.int64)
    root -= root * root > v
    return root + ((root + 1) ** 2 <= v)


def _cut(v: Ints) -> Ints:
    """Quarter pixels from a centre, in 16 bits."""
    cut: Ints = np.clip(v, -32768, 32767)
    return cut


def _towards_zero(a: Any, b: Any) -> Any:
    """a / b without its fraction."""
    return np.sign(a) * (abs(a) // b)
