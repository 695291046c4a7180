"""`make bench`: the pace of the DNA engine beside what a user would write instead, measured in turn in one run.

    python benchmarks/bench_dna.py [--large | --quick | --readme]

Profiles are synthetic (pcc_match.datasets, seed 1). Each figure is the median of several runs; a figure and its
baseline take turns, so that both see the same state of the machine. Writes benchmarks/results/dna-<date>.json;
--readme draws the README's table and chart from the newest. --large goes on to 10^7 profiles (16 GB of memory).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

import pcc_match as pm
from pcc_match import _cpu, datasets
from pcc_match.backends import COMPARED
from pcc_match.dna.files import write_csv
from pcc_match.dna.statistics import match_partial_counts

START, END = "<!-- figures of benchmarks/bench_dna.py; drawn by --readme -->", "<!-- end of figures -->"
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
        self.columns = np.ascontiguousarray(genotype_of(codes).T)
        self.present = self.columns != 0

    def search(self, probe: np.ndarray) -> np.ndarray:
        genotype = genotype_of(probe)
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


def one_to_many(gallery: pm.DnaGallery, compiled: Callable[..., Any] | None) -> dict[str, Any]:
    """Seconds of a Matcher.search(profile) with its result object, of the kernel alone, and of the baselines."""
    with pm.Matcher(gallery, device="cpu", threads=1) as matcher:
        probes = [gallery.profile(int(row)) for row in np.linspace(0, gallery.rows - 1, 64, dtype=np.int64)]
        codes = [probe.codes(COMPARED)[None] for probe in probes]
        rule, index = matcher.treaty.dna.packed(), matcher.backend.index
        columns = NumpyColumns(everything(gallery))
        few = probes[: max(1, min(len(probes), 4_000_000 // len(gallery)))]
        works: dict[str, tuple[int, Callable[[], Any]]] = {
            "search": (len(probes), lambda: [matcher.search(probe) for probe in probes]),
            "kernel": (len(codes), lambda: [index.search(code, rule) for code in codes]),
            "numpy": (len(few), lambda: [columns.search(code[0]) for code in codes[: len(few)]]),
        }
        if compiled is not None:
            genotypes, found = np.ascontiguousarray(columns.columns.T), np.empty(len(gallery), np.int64)
            wanted = [genotype_of(code[0]) for code in codes]
            works["numba"] = (
                len(few),
                lambda: [compiled(genotypes, w, found) for w, _ in zip(wanted, few, strict=False)],
            )
        medians = seconds(*(work for _, work in works.values()))
        row: dict[str, Any] = {"profiles": len(gallery), "bytes a profile": round(index.bytes / len(gallery), 1)}
        return row | {name: t / count for (name, (count, _)), t in zip(works.items(), medians, strict=True)}


def batch(gallery: pm.DnaGallery, probe_count: int = 4096) -> dict[str, float]:
    """Comparisons a second of a batch of probes by bitmaps on one thread, on each instruction set."""
    rates = {}
    active = _cpu.isa()
    with pm.Matcher(gallery, device="cpu", threads=1) as matcher:
        probes = next(gallery.export()).take(np.arange(probe_count))
        for level in _cpu.available_isas():
            _cpu.set_isa(level)
            (taken,) = seconds(lambda: matcher.search(probes), runs=3)
            rates[level] = probe_count * len(gallery) / taken
    _cpu.set_isa(active)
    return rates


def all_to_all(gallery: pm.DnaGallery, threads: int) -> dict[str, Any]:
    """Seconds until a matcher is ready, and of the rematch of the whole gallery."""
    start = time.perf_counter()
    with pm.Matcher(gallery, device="cpu", threads=threads) as matcher:
        ready = time.perf_counter()
        found = len(pm.rematch(matcher))
        done = time.perf_counter()
    facts = {"profiles": len(gallery), "threads": threads, "matches": found}
    return facts | {"open": ready - start, "rematch": done - ready}


def matrix(gallery: pm.DnaGallery, loci: int = 16, most: int = 30_000) -> dict[str, Any]:
    """Pairs a second of the (match, partial) table on one thread, on each instruction set."""
    codes = np.concatenate([columns.codes for columns in gallery.export()])
    best = np.argsort(-(codes > 1).all(axis=2).sum(axis=0))[:loci]
    full = codes[:, best][(codes[:, best] > 1).all(axis=(1, 2))][:most]
    rates = {}
    active = _cpu.isa()
    for level in _cpu.available_isas():
        _cpu.set_isa(level)
        (taken,) = seconds(lambda: match_partial_counts(full, threads=1), runs=3)
        rates[level] = len(full) * (len(full) - 1) / 2 / taken
    _cpu.set_isa(active)
    return {"loci": loci, "profiles": len(full)} | rates


def importing(gallery: pm.DnaGallery, folder: Path) -> dict[str, Any]:
    """`pcc-match gallery import` of a wide CSV file with every profile of the gallery, the whole process."""
    file = folder / "profiles.csv"
    write_csv(gallery.export(), file)
    command = [sys.executable, "-P", "-m", "pcc_match.cli", "gallery"]
    subprocess.run([*command, "create", folder / "imported", "--kind", "dna"], check=True)
    start = time.perf_counter()
    subprocess.run([*command, "import", folder / "imported", file], check=True, capture_output=True)
    return {"profiles": len(gallery), "bytes": file.stat().st_size, "seconds": time.perf_counter() - start}


def filled(folder: Path, size: int) -> pm.DnaGallery:
    """A gallery of that many synthetic profiles."""
    with pm.DnaGallery.create(folder) as gallery:
        for columns, _ in datasets.synthesize(size, SEED, batch=1 << 17):
            gallery.enrol(columns)
    return pm.DnaGallery.open(folder)


def everything(gallery: pm.DnaGallery) -> np.ndarray:
    """All codes over COMPARED, uint8 (rows, loci, 2)."""
    codes = np.zeros((gallery.rows, len(COMPARED), 2), np.uint8)
    start = 0
    for part, columns, _ in gallery.parts(COMPARED):
        kept = columns >= 0
        codes[start : start + len(part), columns[kept]] = part[:, kept]
        start += len(part)
    return codes


def genotype_of(codes: np.ndarray) -> np.ndarray:
    return codes[..., 0].astype(np.uint16) << 8 | codes[..., 1]


# ---- the report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="up to 10^7 profiles")
    parser.add_argument("--quick", action="store_true", help="up to 10^5 profiles")
    parser.add_argument("--readme", action="store_true", help="draw the README's figures from the newest result")
    options = parser.parse_args()
    if options.readme:
        draw_readme(max(RESULTS.glob("dna-*.json")))
        return
    results: dict[str, Any] = {"machine": machine(), "command": " ".join(["python", *sys.argv]), "1:N": []}
    compiled = numba_search()
    largest = 7 if options.large else 5 if options.quick else 6
    with tempfile.TemporaryDirectory() as scratch:
        for size in (10**power for power in range(3, largest + 1)):
            gallery = filled(Path(scratch) / f"gallery-{size}", size)
            results["1:N"].append(one_to_many(gallery, compiled))
            print(results["1:N"][-1], flush=True)
            if size == 10 ** min(largest, 6):
                for name, work in (
                    ("batch, comparisons/s", lambda gallery=gallery: batch(gallery)),
                    ("(match, partial), pairs/s", lambda gallery=gallery: matrix(gallery)),
                    ("all x all", lambda gallery=gallery: [all_to_all(gallery, threads) for threads in (1, 2)]),
                    ("import", lambda gallery=gallery: importing(gallery, Path(scratch))),
                ):
                    results[name] = work()
                    print(name, results[name], flush=True)
            elif size == 10**7:
                results["all x all"].append(all_to_all(gallery, 2))
                print(results["all x all"][-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    target = RESULTS / f"dna-{results['machine']['date']}.json"
    target.write_text(json.dumps(results, indent=1) + "\n")
    print(target)


def draw_readme(source: Path) -> None:
    """Puts the table of a result, and the chart of time against N, into README.md."""
    results = json.loads(source.read_text())
    card = results["machine"]
    lines = [
        f"`{results['command']}` on {card.get('cpu', 'an unknown CPU')}, {card['cores']} cores, {card['isa']}, "
        f"{card['date']} ({source.name}). Baselines run in turn with ours; they count equal loci and know neither "
        "wildcards nor micro-variants.",
        "",
        "| references | `Matcher.search(profile)`, 1 thread | kernel alone | numpy columns | numba loops |",
        "|---|---|---|---|---|",
    ]
    for row in results["1:N"]:
        cells = [f"{row[name] * 1e3:.3g} ms" for name in ("search", "kernel")]
        for name in ("numpy", "numba"):
            cells.append(f"{row[name] * 1e3:.3g} ms (x {row[name] / row['search']:.3g})" if name in row else "-")
        lines.append(f"| {row['profiles']:,} | " + " | ".join(cells) + " |")
    lines += ["", "| job | figure |", "|---|---|"]
    for level, rate in results["batch, comparisons/s"].items():
        lines.append(f"| batch of 4,096 probes, 1 thread, {level} | {rate:.2g} comparisons/s |")
    for level in ("avx512", "avx2", "portable"):
        if level in results["(match, partial), pairs/s"]:
            facts = results["(match, partial), pairs/s"]
            lines.append(
                f"| (match, partial) table, {facts['loci']} loci, 1 thread, {level} | {facts[level]:.2g} pairs/s |"
            )
    for row in results["all x all"]:
        lines.append(
            f"| all against all, {row['profiles']:,} profiles, {row['threads']} thread{'s'[: row['threads'] - 1]} | "
            f"{row['rematch']:.3g} s, {row['matches']:,} matches ({row['open']:.2g} s before, to open and index) |"
        )
    lines.append(f"| import of {results['import']['profiles']:,} rows of CSV | {results['import']['seconds']:.2g} s |")
    lines.append(f"| memory of a search index | {results['1:N'][-1]['bytes a profile']} bytes a profile |")
    draw_chart(results, RESULTS / "dna.svg")
    lines += ["", "![Time of one search against the number of references](benchmarks/results/dna.svg)"]
    readme = Path(__file__).parents[1] / "README.md"
    before, rest = readme.read_text().split(START, 1)
    after = rest.split(END, 1)[1]
    readme.write_text(before + START + "\n" + "\n".join(lines) + "\n" + END + after)


def draw_chart(results: dict[str, Any], target: Path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "pcc_match"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    names = {"search": "Matcher.search", "kernel": "kernel alone", "numpy": "numpy columns", "numba": "numba loops"}
    for name, label in names.items():
        points = [(row["profiles"], row[name] * 1e3) for row in results["1:N"] if name in row]
        if points:
            axes.loglog(*zip(*points, strict=True), marker="o", label=label)
    axes.set(xlabel="references", ylabel="milliseconds a search", title="One probe against N references, one thread")
    axes.grid(True, which="major", alpha=0.3)
    axes.legend()
    figure.savefig(target, metadata={"Date": None})


if __name__ == "__main__":
    main()
