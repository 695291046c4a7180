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


# ---- what is measured


def one_to_many(sizes: list[int], folder: Path) -> list[dict[str, Any]]:
    """Matcher.search(profile) on a warm matcher, result object included; the kernel alone; the baselines."""
    rows = []
    compiled = numba_search()
    for size in sizes:
        gallery = filled(folder / f"gallery-{size}", size)
        matcher = pm.Matcher(gallery, device="cpu", threads=1)
        probes = [gallery.profile(int(row)) for row in np.linspace(0, gallery.rows - 1, 64, dtype=np.int64)]
        codes = np.array([probe.codes(COMPARED) for probe in probes])
        rule = matcher.treaty.dna
        index = matcher.backend.index
        columns = NumpyColumns(everything(gallery))
        genotypes = np.ascontiguousarray(columns.columns.T)
        found = np.empty(size, np.int64)
        works: dict[str, Callable[[], Any]] = {
            "search": lambda matcher=matcher, probes=probes: [matcher.search(probe) for probe in probes],
            "kernel": lambda index=index, codes=codes, rule=rule: [
                index.search(codes[k : k + 1], rule.packed()) for k in range(len(codes))
            ],
        }
        few = max(1, min(8, 2_000_000 // size))
        works["numpy columns"] = lambda columns=columns, codes=codes, few=few: [
            columns.search(codes[k]) for k in range(few)
        ]
        if compiled is not None:
            wide = codes[..., 0].astype(np.uint16) << 8 | codes[..., 1]
            works["numba loops"] = lambda genotypes=genotypes, wide=wide, found=found, few=few: [
                compiled(genotypes, wide[k], found) for k in range(few)
            ]
        counts = [len(probes), len(probes), few, few]
        medians = seconds(*works.values())
        row = {"profiles": size, "bytes a profile": round(index.bytes / size, 1)}
        row |= {name: time / count for name, time, count in zip(works, medians, counts, strict=False)}
        rows.append(row)
        print(row, flush=True)
    return rows


def batches(gallery: pm.DnaGallery) -> dict[str, Any]:
    """Comparisons a second of a batch by brute force, on each instruction set."""
    rates = {}
    active = _cpu.isa()
    with pm.Matcher(gallery, device="cpu", threads=1) as matcher:
        probes = next(gallery.export()).take(np.arange(4096))
        for level in _cpu.available_isas():
            _cpu.set_isa(level)
            (time_taken,) = seconds(lambda: matcher.search(probes), runs=3)
            rates[level] = len(probes) * len(gallery) / time_taken
    _cpu.set_isa(active)
    return rates


def all_to_all(gallery: pm.DnaGallery, threads: int) -> dict[str, float]:
    """Index and rematch of the whole gallery, seconds."""
    start = time.perf_counter()
    matcher = pm.Matcher(gallery, device="cpu", threads=threads)
    opened = time.perf_counter()
    result = pm.rematch(matcher)
    return {
        "profiles": len(gallery),
        "threads": threads,
        "matches": len(result),
        "index": opened - start,
        "rematch": time.perf_counter() - opened,
    }


def matrix(gallery: pm.DnaGallery) -> dict[str, float]:
    """Pairs a second of the (match, partial) table, and of numpy on a part of them."""
    from pcc_match.dna.statistics import match_partial_counts

    columns = next(gallery.export())
    full = columns.codes[(columns.codes > 1).all(axis=2).sum(axis=1) >= 16][:, :16][:20_000]
    (time_taken,) = seconds(lambda: match_partial_counts(full, threads=1), runs=3)
    return {"loci": 16, "profiles": len(full), "pairs a second": len(full) * (len(full) - 1) / 2 / time_taken}


def importing(gallery: pm.DnaGallery, folder: Path) -> dict[str, float]:
    """`pcc-match gallery import` of a wide CSV file with every profile of the gallery."""
    from pcc_match.dna.files import write_csv

    write_csv(gallery.export(), folder / "profiles.csv")
    start = time.perf_counter()
    for arguments in (["create", "imported", "--kind", "dna"], ["import", "imported", "profiles.csv"]):
        subprocess.run(["pcc-match", "gallery", *arguments], cwd=folder, check=True, capture_output=True)
    size = (folder / "profiles.csv").stat().st_size
    return {"profiles": len(gallery), "bytes": size, "seconds": time.perf_counter() - start}


def filled(folder: Path, size: int) -> pm.DnaGallery:
    with pm.DnaGallery.create(folder) as gallery:
        for columns, _ in datasets.synthesize(size, SEED, batch=1 << 17):
            gallery.enrol(columns)
        gallery.compact()
    return pm.DnaGallery.open(folder)


def everything(gallery: pm.DnaGallery) -> np.ndarray:
    """All codes over COMPARED, uint8 (n, L, 2)."""
    codes = np.zeros((gallery.rows, len(COMPARED), 2), np.uint8)
    start = 0
    for part, columns, _ in gallery.parts(COMPARED):
        kept = columns >= 0
        codes[start : start + len(part), columns[kept]] = part[:, kept]
        start += len(part)
    return codes
