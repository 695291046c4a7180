"""`make bench`: the pace of the DNA engine beside what a user would write instead, measured in turn in one run.

    python benchmarks/bench_dna.py [--large] [--quick] [--readme]

Profiles are synthetic (pcc_match.datasets, seed 1). Each figure is the median of several runs; a figure and its
baseline take turns, so that both see the same state of the machine. Writes benchmarks/results/dna-<date>.json;
--readme also draws the README's table and chart from it. --large goes on to 10^7 profiles (24 GB of memory, minutes).
"""

import argparse
import datetime
import json
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import pcc_match as pm
from pcc_match import _cpu, datasets
from pcc_match.backends import COMPARED

RESULTS = Path(__file__).with_name("results")
SEED = 1
MIN_FULL, MOST_DIFFERENT = 6, 1


def seconds(*works: Callable[[], Any], runs: int = 5) -> list[float]:
    """Median time of each work; one warm-up, then they take turns."""
    times: list[list[float]] = [[] for _ in works]
    for run in range(runs + 1):
        for work, its in zip(works, times, strict=True):
            start = time.perf_counter()
            work()
            if run:
                its.append(time.perf_counter() - start)
    return [statistics.median(its) for its in times]


# ---- baselines: the core of the rule (at least six loci equal, at most one not), without wildcards and micro-variants


class NumpyColumns:
    """What a numpy user would write: one column of genotypes for each locus, counted with uint8."""

    def __init__(self, codes: np.ndarray) -> None:
        genotypes = codes[..., 0].astype(np.uint16) << 8 | codes[..., 1]
        self.columns = np.ascontiguousarray(genotypes.T)
        self.present = self.columns != 0

    def search(self, probe: np.ndarray) -> np.ndarray:
        genotype = probe[:, 0].astype(np.uint16) << 8 | probe[:, 1]
        equal = np.zeros(self.columns.shape[1], np.uint8)
        compared = np.zeros_like(equal)
        for locus in np.flatnonzero(genotype):
            equal += self.columns[locus] == genotype[locus]
            compared += self.present[locus]
        return np.flatnonzero((equal >= MIN_FULL) & (compared - equal <= MOST_DIFFERENT))


def numba_search() -> Callable[..., Any] | None:
    """Scalar loops that stop at the second difference, compiled by numba; None where it is not installed."""
    try:
        import numba
    except ImportError:
        return None

    @numba.njit
    def search(genotypes: np.ndarray, probe: np.ndarray, found: np.ndarray) -> int:
        count = 0
        for row in range(genotypes.shape[0]):
            equal = different = 0
            for locus in range(genotypes.shape[1]):
                if genotypes[row, locus] and probe[locus]:
                    if genotypes[row, locus] == probe[locus]:
                        equal += 1
                    else:
                        different += 1
                        if different > MOST_DIFFERENT:
                            break
            if different <= MOST_DIFFERENT and equal >= MIN_FULL:
                found[count] = row
                count += 1
        return count

    return search  # type: ignore[no-any-return]
