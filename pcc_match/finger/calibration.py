"""What a score means: how often prints of different fingers reach it, counted and not extrapolated.

calibration.toml holds, for each source of minutiae, how many of the non-mated comparisons of benchmarks/
calibrate_finger.py scored at least so much. It serves the comparison that it was counted with and no other: known
answers tell. The scores are those of one print with one print, not in latent mode, with a set of minutiae from each
source named ("fingerjet+mindtct" has two); sums over fingers have their own scale.
"""

import hashlib
import tomllib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from pcc_match.errors import CalibrationError
from pcc_match.finger.compare import score_matrix
from pcc_match.finger.template import FingerTemplate

FILE: Final = Path(__file__).with_name("calibration.toml")
LEAST_COUNT: Final = 30
"""False matches that a rate must rest on: with 30, the true rate is within about a third of it (95 %)."""


class Rate(NamedTuple):
    """A false match rate as counted, and the upper end of its 95 % interval (Clopper-Pearson, one-sided)."""

    counted: float
    bound: float


@dataclass(frozen=True)
class Calibration:
    """The non-mated comparisons of one source of minutiae."""

    source: str
    comparisons: int
    scores: tuple[int, ...]  # ascending
    counts: tuple[int, ...]  # comparisons that scored at least scores[k]
    bounds: tuple[float, ...]  # of counts[k] / comparisons

    def fmr(self, score: int) -> Rate:
        """The false match rate at this score as threshold. Between two scores of the table, the lower one's."""
        row = bisect_right(self.scores, score) - 1
        if row < 0:
            return Rate(1.0, 1.0)
        return Rate(self.counts[row] / self.comparisons, self.bounds[row])

    def threshold(self, fmr: float) -> int:
        """The least score that at most this share of non-mated comparisons reached.

        CalibrationError where the rate is impossible, or rarer than 30 in all comparisons: too rare to be counted.
        """
        if not 0 < fmr <= 1:
            raise CalibrationError(f"a false match rate of {fmr} is impossible: give a share above 0, up to 1")
        if fmr * self.comparisons < LEAST_COUNT:
            raise CalibrationError(
                f"a false match rate of {fmr:g} cannot be counted in {self.comparisons:,} comparisons of "
                f"{self.source}: {LEAST_COUNT / self.comparisons:.2g} is the least that rests on {LEAST_COUNT}"
            )
        if fmr == 1:
            return 0
        row = bisect_left(self.counts, -fmr * self.comparisons, key=lambda count: -count)
        return self.scores[row]


def threshold_for(fmr: float, source: str) -> int:
    """The least score that at most the share `fmr` of non-mated comparisons reached, with minutiae of this source.

    source   what found the minutiae of both prints, as `FingerTemplate.source` says it
    CalibrationError where nothing was counted for the source, or too little for the rate.
    """
    return calibration(source).threshold(fmr)


def calibration(source: str) -> Calibration:
    """The table of a source; CalibrationError where there is none."""
    tables = _tables()
    if source not in tables:
        known = ", ".join(sorted(tables)) or "none"
        raise CalibrationError(f"no scores were counted for minutiae of {source!r}; for these they were: {known}")
    return tables[source]


@cache
def _tables() -> dict[str, Calibration]:
    return {source: _table(source, table) for source, table in _content()["sources"].items()}


@cache
def _content() -> dict[str, Any]:
    content = tomllib.loads(FILE.read_text(encoding="utf-8"))
    if content["answers"] != answers():
        raise CalibrationError(
            f"{FILE.name} was counted with another comparison than this one: run benchmarks/calibrate_finger.py --write"
        )
    return content


def answers() -> str:
    """A digest of the scores of some made-up templates, which a change of packing or comparison changes."""
    numbers = (np.arange(24 * 30 * 3, dtype=np.uint64) * np.uint64(2654435761) >> np.uint64(7)).reshape(24, 3, 30)
    templates = []
    for k, own in enumerate(numbers):  # two prints of each finger
        x, y, angle = numbers[k // 2] % np.uint64(300) + own % np.array([[1 + k % 4], [1 + k % 5], [9]], np.uint64)
        templates.append(FingerTemplate.from_minutiae(x, y, angle))
    scores = score_matrix(templates, templates, "cpu", threads=1)
    return hashlib.sha256(scores.astype("<i4").tobytes()).hexdigest()[:16]


def _table(source: str, table: dict[str, Any]) -> Calibration:
    scores, counts, bounds = zip(*table["rows"], strict=True)
    return Calibration(source, table["comparisons"], scores, counts, bounds)
