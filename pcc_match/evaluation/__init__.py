"""How well a comparator tells people apart: error rates with their uncertainty, and a report that people can read."""

from pcc_match.evaluation.histograms import Histogram
from pcc_match.evaluation.rates import (
    Bootstrap,
    OperatingPoints,
    Rate,
    bootstrap,
    cumulative_matches,
    fnir,
    fpir,
    interval,
    rate,
    threshold_at_fpir,
)
from pcc_match.evaluation.trials import Searches, Trials, run

__all__ = [
    "Bootstrap",
    "Histogram",
    "OperatingPoints",
    "Rate",
    "Searches",
    "Trials",
    "bootstrap",
    "cumulative_matches",
    "fnir",
    "fpir",
    "interval",
    "rate",
    "run",
    "threshold_at_fpir",
]
