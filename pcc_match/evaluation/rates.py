"""Error rates and their confidence intervals, from exact counts of scores.

The terms are those of ISO/IEC 2382-37 and ISO/IEC 19795-1:2021; a paragraph is named where it defines the term. A
comparison with threshold T is a match where its score is T or more. Every rate is a quotient of whole numbers; ties are
never broken, they count on both sides as the definitions say.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pcc_match.evaluation.histograms import I64
from pcc_match.evaluation.trials import NEVER, Searches, Trials

F64 = NDArray[np.float64]

LEVEL: Final = 0.95  # of the confidence intervals
_CLASSES = 4096  # different scores that the bootstrap tells apart


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """All thresholds that make a difference, with what matches there; leading axes are bootstrap replicates.

    thresholds   int64 (k + 1,), ascending: the k different scores and one above all of them
    matches      int64 (..., k + 1): non-mated comparisons that match, of `nonmated` (...)
    misses       int64 (..., k + 1): mated comparisons that do not match, of `mated` (...)
    """

    thresholds: I64
    matches: I64
    misses: I64
    nonmated: I64
    mated: I64

    @classmethod
    def of(cls, scores: I64, mated: I64, nonmated: I64) -> "OperatingPoints":
        """From counts (..., k) of the k different scores, ascending."""
        zero = np.zeros((*mated.shape[:-1], 1), np.int64)
        below = np.concatenate([zero, np.cumsum(mated, axis=-1)], axis=-1)
        above = np.concatenate([np.cumsum(nonmated[..., ::-1], axis=-1)[..., ::-1], zero], axis=-1)
        top = scores[-1:] + 1 if len(scores) else np.zeros(1, np.int64)
        return cls(np.concatenate([scores, top]), above, below, above[..., 0], below[..., -1])

    @property
    def fmr(self) -> F64:
        """False match rate at each threshold (2382-37, 37.09.09): the share of non-mated comparisons that match."""
        return _share(self.matches, self.nonmated[..., None])

    @property
    def fnmr(self) -> F64:
        """False non-match rate at each threshold (2382-37, 37.09.11): the share of mated ones that do not match."""
        return _share(self.misses, self.mated[..., None])

    def equal_error_rate(self) -> F64:
        """Where FMR and FNMR are equal on the straight lines between neighbouring operating points.

        Exact for tied scores: the points between two thresholds are those of a device that decides ties by lot.
        """
        fmr, fnmr = self.fmr, self.fnmr
        gap = fnmr - fmr  # from -1 to 1, never falling
        after = np.argmax(gap >= 0, axis=-1)[..., None]
        before = np.maximum(after - 1, 0)
        g0, g1 = np.take_along_axis(gap, before, -1), np.take_along_axis(gap, after, -1)
        e0, e1 = np.take_along_axis(fnmr, before, -1), np.take_along_axis(fnmr, after, -1)
        with np.errstate(invalid="ignore"):
            part = np.where(g1 > g0, -g0 / np.where(g1 > g0, g1 - g0, 1), 1.0)
        return (e0 + part * (e1 - e0))[..., 0]

    def at_fmr(self, fmr: float) -> NDArray[np.intp]:
        """The place of the lowest threshold whose FMR is at most this."""
        limit = Fraction(str(fmr)).limit_denominator(10**9)
        wholes, rest = np.divmod(self.nonmated, limit.denominator)
        allowed = wholes * limit.numerator + rest * limit.numerator // limit.denominator  # exact, within int64
        place: NDArray[np.intp] = np.argmax(self.matches <= allowed[..., None], axis=-1)
        return place

    def fnmr_at_fmr(self, fmr: float) -> F64:
        """FNMR at the lowest threshold whose FMR is at most this."""
        place = self.at_fmr(fmr)[..., None]
        return _share(np.take_along_axis(self.misses, place, -1)[..., 0], self.mated)


def points_of(trials: Trials) -> OperatingPoints:
    """The operating points of all comparisons."""
    scores = np.union1d(trials.mated.scores, trials.nonmated.scores)
    return OperatingPoints.of(scores, trials.mated.counts(scores), trials.nonmated.counts(scores))


def _share(part: Any, of: Any) -> F64:
    """part / of; not a number where there is nothing to be a part of."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient: F64 = np.true_divide(part, of)
    return quotient


# ---- identification -------------------------------------------------------------------------------------------------


def fnir(searches: Searches, rank: int, threshold: int = NEVER, weights: I64 | None = None) -> F64:
    """False-negative identification rate FNIR(N, R, T) (ISO/IEC 19795-1:2021, 3.22): the share of mated searches whose
    mate is not among the candidates up to rank R with a score of T or more. weights: (..., probes), of a bootstrap."""
    found = (searches.rank <= rank) & (searches.mate >= threshold)
    return _share(_count(searches.mated & ~found, weights), _count(searches.mated, weights))


def fpir(searches: Searches, threshold: int, weights: I64 | None = None) -> F64:
    """False-positive identification rate FPIR(N, T): the share of non-mated searches that return a candidate with a
    score of T or more. Where every probe has a mate in the gallery, its mates are taken out for this."""
    open_set = nonmated_searches(searches)
    return _share(_count(open_set & (searches.other >= threshold), weights), _count(open_set, weights))


def nonmated_searches(searches: Searches) -> NDArray[np.bool_]:
    """The probes that FPIR is taken over: those without a mate in the gallery; all, without their mates, if none is."""
    return np.ones(len(searches.mate), bool) if searches.mated.all() else ~searches.mated


def threshold_at_fpir(searches: Searches, rate: float) -> int:
    """The lowest threshold whose FPIR is at most this."""
    best = np.sort(searches.other[nonmated_searches(searches)])
    limit = Fraction(str(rate))
    allowed = len(best) * limit.numerator // limit.denominator
    return int(best[len(best) - allowed - 1]) + 1 if allowed < len(best) else NEVER


def cumulative_matches(searches: Searches, ranks: int) -> F64:
    """Cumulative match characteristic: for rank 1 .. ranks the share of mated searches with the mate at it or before,
    1 - FNIR(N, R, no threshold)."""
    counts = np.bincount(np.minimum(searches.rank[searches.mated], ranks + 1), minlength=ranks + 2)
    return _share(np.cumsum(counts)[1 : ranks + 1], counts.sum())


def _count(which: NDArray[np.bool_], weights: I64 | None) -> Any:
    return which.sum() if weights is None else weights[..., which].sum(axis=-1)


# ---- bootstrap ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Replicates of a trial: subjects are drawn with replacement, and all their comparisons with them.

    A mated comparison of a subject drawn w times counts w times, a non-mated one of subjects drawn v and w times v w
    times. Where trials have more than MOST_UNITS subjects, whole groups of them are drawn. Searches count as often as
    the probe's subject; the gallery stays as it is. The same seed draws the same units: two comparators tried on the
    same subjects are compared replicate by replicate.
    """

    points: OperatingPoints
    weights: I64  # (replicates, units)
    probe_weights: I64  # (replicates, probes)


def bootstrap(trials: Trials, replicates: int = 1000) -> Bootstrap:
    """Draws `replicates` replicates from trials.seed.

    Beyond 4,096 different scores neighbouring ones are joined to classes here, finest where few comparisons lie.
    """
    rng = np.random.default_rng(trials.seed)
    weights = rng.multinomial(trials.units, np.full(trials.units, 1 / trials.units), size=replicates).astype(np.int64)
    scores = _classes(trials)
    mated = weights @ trials.mated.by_cell(scores, trials.units)
    one, other = trials.pairs
    cells = trials.nonmated.by_cell(scores, len(one)).astype(np.float64)
    # Products of whole numbers below 2^53: exact, whatever the order of the sum.
    nonmated = ((weights[:, one] * weights[:, other]).astype(np.float64) @ cells).astype(np.int64)
    points = OperatingPoints.of(scores, mated, nonmated)
    return Bootstrap(points, weights, weights[:, trials.unit[trials.searches.subject]])


def _classes(trials: Trials) -> I64:
    """Lower edges of the classes of scores, ascending: each score its own, or at most about _CLASSES."""
    scores = np.union1d(trials.mated.scores, trials.nonmated.scores)
    if len(scores) <= _CLASSES:
        return scores
    below = np.cumsum(trials.mated.counts(scores))
    above = np.cumsum(trials.nonmated.counts(scores)[::-1])[::-1]
    even = np.linspace(0, below[-1], _CLASSES // 2)
    tail = np.geomspace(1, above[0], _CLASSES // 2)
    places = [np.searchsorted(below, even), len(scores) - np.searchsorted(above[::-1], tail) - 1]
    chosen = np.unique(np.clip(np.concatenate([[0], *places]), 0, len(scores) - 1))
    edges: I64 = scores[chosen]
    return edges


def interval(values: F64) -> tuple[float, float]:
    """Percentile interval of the replicates at LEVEL; (nan, nan) where a replicate has no value."""
    known = values[~np.isnan(values)]
    if not len(known):
        return float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def none_seen(units: int) -> float:
    """Upper bound at LEVEL (one-sided) of the rate where none of so many independent units erred: 1 - 0.05^(1/units),
    the exact form of the rule of 3. A bootstrap cannot give it: it never draws what was never seen."""
    return 1 - (1 - LEVEL) ** (1 / units) if units else 1.0


@dataclass(frozen=True)
class Rate:
    """A rate with its interval at LEVEL, and its bootstrap replicates."""

    name: str
    value: float
    low: float
    high: float
    replicates: F64


def rate(name: str, value: Any, replicates: F64, units: int) -> Rate:
    """`units`: independent subjects behind the rate, for the bound where no error was seen."""
    low, high = interval(replicates)
    if float(value) == 0 and high == 0:
        high = none_seen(units)
    return Rate(name, float(value), low, high, replicates)


def det_band(points: OperatingPoints, fmr: Sequence[float]) -> tuple[F64, F64]:
    """Percentile band of FNMR over the replicates at each of these false match rates."""
    values = np.stack([points.fnmr_at_fmr(each) for each in fmr], axis=-1)
    low, high = np.nanquantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return low, high
