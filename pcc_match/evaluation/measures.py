"""What a report says about a comparator that gives scores: one dictionary of plain values, from trials of known truth.

Whatever made the scores, this library's comparator or another's, its trials are measured here alike.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from pcc_match.errors import PccError
from pcc_match.evaluation.histograms import I64
from pcc_match.evaluation.rates import (
    F64,
    LEVEL,
    OperatingPoints,
    bootstrap,
    cumulative_matches,
    det_band,
    fnir,
    fpir,
    interval,
    none_seen,
    nonmated_searches,
    points_of,
    threshold_at_fpir,
)
from pcc_match.evaluation.trials import NEVER, Searches, Trials

FMRS: Final = (0.01, 0.001, 0.0001, 0.00001, 0.000001)
FPIRS: Final = (0.1, 0.01, 0.001)
RANKS: Final = (1, 5, 10, 20)
_CURVE = 160  # points of a curve
_CMC_RANKS = 50


def measure(trials: Trials, subjects: Sequence[str], replicates: int = 1000) -> dict[str, Any]:
    """Rates with intervals, curves and histograms. `subjects`: the name of each subject number of the trials.

    PccError where there is no mated or no non-mated comparison: no error rate has a meaning then.
    """
    if not len(trials.mated) or not len(trials.nonmated):
        raise PccError(
            f"{len(trials.mated)} mated and {len(trials.nonmated)} non-mated comparisons: error rates need some of "
            "both; check that the subjects of probes and references are named alike"
        )
    points, drawn = points_of(trials), bootstrap(trials, replicates)
    searches = trials.searches
    people = len(np.unique(searches.subject))
    kept: dict[str, F64] = {"eer": drawn.points.equal_error_rate()}
    rates = [_rate("eer", float(points.equal_error_rate()), kept, people)]
    for fmr in FMRS:
        if fmr * len(trials.nonmated) >= 1:
            key, place = f"fnmr_at_fmr_{fmr:g}", int(points.at_fmr(fmr))
            kept[key] = drawn.points.fnmr_at_fmr(fmr)
            rates.append(
                _rate(key, float(points.fnmr[place]), kept, people)
                | {"fmr": fmr, "threshold": int(points.thresholds[place]), "false_matches": int(points.matches[place])}
                | {"misses": int(points.misses[place])}
            )
    facts: dict[str, Any] = {
        "subjects": len(subjects),
        "mated_comparisons": len(trials.mated),
        "non_mated_comparisons": len(trials.nonmated),
        "histogram": _histogram(trials),
        "rates": rates,
        "det": _det(points, drawn.points),
    }
    if searches.mated.any():
        facts["identification"] = _identification(searches, drawn.probe_weights, kept)
    facts["bootstrap"] = {
        "level": LEVEL,
        "replicates": replicates,
        "seed": trials.seed,
        "units": trials.units,
        "sample": _digest(trials, subjects, replicates),
        "values": {name: [round(value, 7) for value in values.tolist()] for name, values in kept.items()},
    }
    return facts


def _rate(key: str, value: float, kept: dict[str, F64], people: int) -> dict[str, Any]:
    """`people`: how many independent subjects stand behind the rate, for the bound where no error was seen."""
    low, high = interval(kept[key])
    return {"key": key, "value": value, "low": low, "high": none_seen(people) if value == high == 0 else high}


def _histogram(trials: Trials) -> dict[str, list[int]]:
    scores = np.union1d(trials.mated.scores, trials.nonmated.scores)
    return {
        "scores": scores.tolist(),
        "mated": trials.mated.counts(scores).tolist(),
        "non_mated": trials.nonmated.counts(scores).tolist(),
    }


def _det(points: OperatingPoints, replicates: OperatingPoints) -> dict[str, list[float]]:
    """The curve at false match rates from one non-mated comparison to all, evenly spaced in their logarithm."""
    fmr = np.unique(np.geomspace(1 / int(points.nonmated), 1, _CURVE))
    low, high = det_band(replicates, fmr.tolist())
    fnmr = [float(points.fnmr_at_fmr(each)) for each in fmr.tolist()]
    return {"fmr": fmr.tolist(), "fnmr": fnmr, "low": low.tolist(), "high": high.tolist()}


def _identification(searches: Searches, weights: I64, kept: dict[str, F64]) -> dict[str, Any]:
    """FNIR by rank without threshold, and by threshold; the CMC; FNIR against FPIR at rank 1."""
    references = int(searches.rank.max())
    open_set = nonmated_searches(searches)
    people = len(np.unique(searches.subject[searches.mated]))
    table = []
    asked: list[tuple[float | None, int]] = [(None, NEVER)]
    asked += [(rate, threshold_at_fpir(searches, rate)) for rate in FPIRS if rate * open_set.sum() >= 1]
    for rate, threshold in asked:
        for rank in RANKS if rate is None else (1,):
            key = f"fnir_rank_{rank}" + ("" if rate is None else f"_at_fpir_{rate:g}")
            kept[key] = fnir(searches, rank, threshold, weights)
            value = float(fnir(searches, rank, threshold))
            table.append(_rate(key, value, kept, people) | {"rank": rank, "fpir": rate})
            table[-1]["threshold"] = None if rate is None else threshold
    thresholds = np.unique(searches.other[open_set])
    thresholds = np.unique(thresholds[np.linspace(0, len(thresholds) - 1, _CURVE).astype(int)])
    return {
        "mated_searches": int(searches.mated.sum()),
        "non_mated_searches": int(open_set.sum()),
        "mates_taken_out": bool(searches.mated.all()),
        "table": table,
        "cmc": cumulative_matches(searches, min(_CMC_RANKS, max(references, 1))).tolist(),
        "fpir": [float(fpir(searches, threshold)) for threshold in thresholds.tolist()],
        "fnir": [float(fnir(searches, 1, threshold)) for threshold in thresholds.tolist()],
    }


def _digest(trials: Trials, subjects: Sequence[str], replicates: int) -> str:
    """Names the draw: two runs with the same digest drew the same subjects into the same replicates."""
    what = [str(trials.seed), str(replicates), str(trials.units), *subjects]
    return hashlib.sha256("\n".join(what).encode(errors="surrogateescape")).hexdigest()
