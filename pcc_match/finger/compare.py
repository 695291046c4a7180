"""Two fingers compared: the score, what it is made of, and the minutiae that it rests on; matrices of scores."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import atan2, degrees

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcc_match import _cpu
from pcc_match.finger import reference
from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.devices import LATENTS, CpuScorer, mode_of, open_scorer
from pcc_match.finger.template import FingerTemplate, MinutiaSet

_FLOOR = 32  # scores below it: no correspondences agree
_MATRIX_PIECE = 1 << 14  # comparisons that a thread takes at a time


@dataclass(frozen=True)
class Alignment:
    """How the print of `a` lies on the print of `b`: turned by `rotation`, with `a_centre` on `b_centre`.

    rotation             degrees, counter-clockwise
    a_centre, b_centre   pixels at 500 ppi
    """

    rotation: float
    a_centre: tuple[float, float]
    b_centre: tuple[float, float]

    def place(self, x: ArrayLike, y: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points of `a` in pixels of `b`."""
        turn = np.radians(-self.rotation)  # y points down
        dx, dy = np.asarray(x) - self.a_centre[0], np.asarray(y) - self.a_centre[1]
        across = self.b_centre[0] + np.cos(turn) * dx - np.sin(turn) * dy
        return across, self.b_centre[1] + np.sin(turn) * dx + np.cos(turn) * dy


@dataclass(frozen=True, eq=False)
class SetComparison:
    """A set of minutiae of one finger compared with a set of the other; sums as kernels/compare_finger.h makes them.

    a_set, b_set   their numbers in Comparison.a and Comparison.b
    candidates     correspondences by the likeness of the minutiae's surroundings
    accepted       int (k, 2): of them, those that agree in distance, direction and rotation; minutiae of a and of b
    agreement      sum of the compatibilities, 0 to 127, of each two accepted correspondences, both ways
    paired         int (m, 2): minutiae that are each other's nearest after the alignment, bent as the skin was
    closeness      512 for each of them, less half the square of their distance in half pixels
    overlap        minutiae of a in the area of b, and of b in the area of a
    resemblance    the score where fewer than two correspondences are accepted
    alignment      None where fewer than two correspondences are accepted
    """

    a_set: int
    b_set: int
    score: int
    candidates: int
    accepted: NDArray[np.uint8]
    agreement: int
    paired: NDArray[np.uint8]
    closeness: int
    overlap: tuple[int, int]
    resemblance: int
    alignment: Alignment | None
    reason: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two fingers compared.

    a, b     the fingers with the minutiae that were compared: those given, or the best of too many, by direction
    latent   "a" or "b", the side that is a latent, or ""
    parts    each set of `a` with each of `b`
    """

    a: FingerTemplate
    b: FingerTemplate
    latent: str
    parts: tuple[SetComparison, ...]

    @property
    def score(self) -> int:
        """Sum over the parts; 0 where there is nothing to compare, below 32 a part where nothing agrees."""
        return sum(part.score for part in self.parts)

    @property
    def best(self) -> SetComparison:
        """The part with the greatest score, the first of equal ones."""
        return max(self.parts, key=lambda part: part.score)

    def explain(self) -> str:
        """The comparison in words, for the expert who confirms it."""
        lines = [f"score {self.score}" + (f", {self.latent} a latent" if self.latent else "")]
        for part in self.parts:
            a, b = self.a.sets[part.a_set], self.b.sets[part.b_set]
            if len(self.parts) > 1:
                lines.append(f"set {part.a_set + 1} of a with set {part.b_set + 1} of b: {part.score}")
            lines.append(f"  {len(a)} minutiae in a, {len(b)} in b; {part.candidates} correspondences by likeness")
            if part.reason:
                lines.append(f"  {part.reason}")
            if part.alignment is None:
                continue
            k = len(part.accepted)
            mean = part.agreement / (127 * k)
            lines.append(f"  {k} correspondences agree; each has the support of {mean:.1f} others")
            turn = part.alignment.rotation
            lines.append(f"  a turned by {abs(turn):.0f} degrees {'counter-' * (turn >= 0)}clockwise lies on b")
            lines.append(
                f"  {len(part.paired)} minutiae pair within 13 pixels and 28 degrees, the skin bent by up to 13 more; "
                f"the common area holds {part.overlap[0]} of a and {part.overlap[1]} of b"
            )
        return "\n".join(lines)

    def to_svg(self, *images: NDArray[np.uint8] | None, titles: tuple[str, str] = ("a", "b")) -> str:
        """Both prints side by side with the paired minutiae of `best`, as SVG.

        images   of a and of b, uint8 (height, width), dark ridges on light ground, of any resolution; without them the
                 minutiae alone are drawn
        """
        from pcc_match.finger import draw

        return draw.svg(*draw.sides(self, images, titles))

    def to_png(
        self, *images: NDArray[np.uint8] | None, titles: tuple[str, str] = ("a", "b"), width: int = 1440
    ) -> bytes:
        """The same as PNG of this width in pixels; PccError names the extra where Pillow is missing."""
        from pcc_match.finger import draw

        return draw.png(*draw.sides(self, images, titles), width=width)


def compare(a: FingerTemplate, b: FingerTemplate, *, latent: bool | str = "", early_exit: bool = False) -> Comparison:
    """Two fingers compared, each set of minutiae of one with each of the other. Symmetric, but for latents.

    latent   "a" or "b": that side is a latent, of which only a part of the finger shows and whose rotation is unknown;
             True means "a"
    early_exit   as in `score_matrix`
    """
    side = _side(latent)
    columns = FingerColumns.pack([a, b])
    sets, count = columns.engine, len(a.sets)
    kept = columns.template(0), columns.template(1)
    parts = []
    for i in range(len(a.sets)):
        for j in range(len(b.sets)):
            found = sets.compare(i, sets, count + j, mode_of(side, early_exit=early_exit))
            parts.append(_part(kept[0].sets[i], kept[1].sets[j], i, j, found))
    return Comparison(*kept, side, tuple(parts))


def score_matrix(
    probes: FingerColumns | Sequence[FingerTemplate],
    references: FingerColumns | Sequence[FingerTemplate],
    device: str = "auto",
    *,
    latent: bool | str = "",
    early_exit: bool = False,
    threads: int | None = None,
) -> NDArray[np.int32]:
    """Scores of all probes with all references, int32 (len(probes), len(references)), each as `compare` gives it.

    device    "auto", "cpu", "cuda", "cuda:1" ..., or "reference" for the readable rule (slow); DeviceError where there
              is no such device
    latent      "a": the probes are latents, "b": the references are; True means "a"
    early_exit  ends a comparison after a look at the 16 best correspondences where they hardly support each other, as
                if none agreed. No score gets greater; those of the worst mates fall below 32
                (benchmarks/fast_finger.py)
    threads     of the CPU, all by default
    """
    asked, against = (c if isinstance(c, FingerColumns) else FingerColumns.pack(c) for c in (probes, references))
    mode = mode_of(_side(latent), early_exit=early_exit)
    scorer = open_scorer(device)
    if not isinstance(scorer, CpuScorer):
        return scorer.scores(asked, against, mode)
    threads = threads or os.cpu_count() or 1
    scores = np.zeros((len(asked), len(against)), np.int32)
    probes_each = max(1, _MATRIX_PIECE // max(1, len(against)))

    def work(start: int) -> None:
        some = asked.take(np.arange(start, min(start + probes_each, len(asked))))
        scores[start : start + probes_each] = scorer.scores(some, against, mode)

    with ThreadPoolExecutor(threads, "pcc_match") as pool:
        list(pool.map(work, range(0, len(asked), probes_each)))
    return scores


def _side(latent: bool | str) -> str:
    side = "a" if latent is True else latent or ""
    if side not in LATENTS:
        raise ValueError(f"latent is True, 'a' or 'b', not {latent!r}")
    return side


def _part(a: MinutiaSet, b: MinutiaSet, a_set: int, b_set: int, found: _cpu.FingerFound) -> SetComparison:
    alignment, reason = None, ""
    if min(len(a), len(b)) < reference.LEAST:
        reason = f"fewer than {reference.LEAST} minutiae: nothing to compare"
    elif found["left_early"]:
        reason = "early exit: the best correspondences hardly support each other; the score is what is left of likeness"
    elif len(found["accepted"]) < 2:
        reason = "no correspondences agree; the score is what is left of their likeness"
    else:
        ax, ay, bx, by, cosine, sine, _ = found["pose"]
        centres = ((ax / 4, ay / 4), (bx / 4, by / 4))
        turn = degrees(atan2(-sine, cosine))
        alignment = Alignment(-turn, *centres[::-1]) if found["swapped"] else Alignment(turn, *centres)
    return SetComparison(
        a_set,
        b_set,
        score=found["score"],
        candidates=found["candidates"],
        accepted=found["accepted"],
        agreement=found["agreement"],
        paired=found["paired"],
        closeness=found["closeness"],
        overlap=found["overlap"],
        resemblance=found["resemblance"],
        alignment=alignment,
        reason=reason,
    )
