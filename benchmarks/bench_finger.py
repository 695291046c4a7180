"""Speed of the fingerprint comparison: each instruction set, its stages, growth, and the readable reference.

    python benchmarks/bench_finger.py [DATA] [--pairs N] [--json FILE]

With DATA (as for accuracy_finger.py) the templates are FingerJet's, else random ones of the same sizes. All figures are
of one thread, in comparisons a second of processor time, the best of several runs. Checks besides that every level
gives the same scores for N pairs (1,000,000 by default). --json also writes the figures and the machine, as in
results/finger-<date>.json.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

import pcc_match as pm
from pcc_match import _cpu
from pcc_match.finger import FingerColumns, score_matrix


def given(data: Path) -> list[pm.FingerTemplate]:
    return [pm.FingerTemplate.read(path) for path in sorted((data / "templates" / "fingerjet").rglob("*.iso"))]


def random_templates(counts: Any, seed: int = 1) -> list[pm.FingerTemplate]:
    """Fingers with as many minutiae as stated, one on some 1700 square pixels, and directions that vary slowly."""
    draw = np.random.default_rng(seed)
    found = []
    for count in counts:
        side = max(60.0, (1700.0 * count) ** 0.5)
        x, y = draw.uniform(0, side, (2, count))
        angle = 40 * np.sin(x / 70 + draw.uniform(0, 6)) + 30 * np.cos(y / 90) + 180 * draw.integers(0, 2, count)
        found.append(pm.FingerTemplate.from_minutiae(x, y, angle, quality=draw.integers(1, 101, count)))
    return found


def pace(probes: FingerColumns, references: FingerColumns, device: str = "cpu", runs: int = 3) -> float:
    """Comparisons a second."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        score_matrix(probes, references, device, threads=1)
        times.append(time.process_time() - start)
    return len(probes) * len(references) / min(times)


STAGES = (
    "cosines of all cylinders, the two best of each",
    "candidates, by turn",
    "compatibilities",
    "relaxation, acceptance",
    "fit, pairing, score",
)  # as csrc/finger_kernels.h has them


def shares(probes: FingerColumns, references: FingerColumns, runs: int = 7) -> dict[str, float]:
    """Percent of the time that each stage takes: what a comparison takes longer that ends after it.

    A run times all of them in turn, so that what slows the machine slows each; every figure is the median of the runs.
    """
    times = np.zeros((runs, len(STAGES) + 1))
    for run in range(runs):
        for stages in range(len(STAGES) + 1):
            start = time.process_time()
            probes.engine.scores(probes.sets, 0, len(probes), references.engine, references.sets, mode=0, stages=stages)
            times[run, stages] = time.process_time() - start
    spent = np.diff(np.median(times, axis=0))
    return dict(zip(STAGES, np.round(100 * spent / spent.sum(), 1).tolist(), strict=True))


def same_scores(pairs: int) -> int:
    """Pairs that all levels were seen to give the same scores; AssertionError where they do not."""
    side = int(pairs**0.5) + 1
    draw = np.random.default_rng(7)
    columns = FingerColumns.pack(random_templates(draw.integers(0, 90, side), seed=7))
    active, found = _cpu.isa(), []
    for level in _cpu.available_isas():
        _cpu.set_isa(level)
        found.append(score_matrix(columns, columns, "cpu"))
    _cpu.set_isa(active)
    assert all(np.array_equal(scores, found[0]) for scores in found), "levels differ: please report"
    return side * side


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--pairs", type=int, default=1_000_000)
    parser.add_argument("--json", type=Path, help="also write all figures there")
    options = parser.parse_args()
    shared = Path(os.environ.get("PCC_MATCH_SHARED", Path(__file__).parents[2] / "shared"))
    data = options.data or shared / "data" / "finger"
    real = (data / "templates").is_dir()
    templates = given(data) if real else random_templates(np.random.default_rng(3).integers(20, 90, 320))
    card, levels = machine(), _cpu.available_isas()
    print(f"{card['date']}, {card['cpu']}, {card['cores']} processors, levels {levels}")
    start = time.process_time()
    columns = FingerColumns.pack(templates)
    packed = len(templates) / (time.process_time() - start)
    print(
        f"{len(templates)} {'FingerJet' if real else 'random'} templates, {columns.count.mean():.1f} minutiae kept on "
        f"average, {columns.nbytes / len(columns):.0f} bytes each, packed at {packed:,.0f} a second"
    )
    few = columns.take(np.arange(0, len(columns), len(columns) // 4)[:4])
    figures: dict[str, Any] = {
        "machine": card,
        "command": " ".join(["python", *sys.argv]),
        "templates": {
            "source": "FingerJet" if real else "random",
            "count": len(columns),
            "minutiae": round(float(columns.count.mean()), 1),
            "bytes": round(columns.nbytes / len(columns)),
            "packed a second": round(packed),
        },
    }
    paces = {"reference": pace(few, columns.take(np.arange(40)), "reference", 1)}
    print(f"{'reference':12}{paces['reference']:12,.0f} comparisons/s")
    active = _cpu.isa()
    for level in levels:
        _cpu.set_isa(level)
        probes = columns.take(np.arange(0, len(columns), 4 if level != "portable" else 40))
        paces[level] = pace(probes, columns, runs=7)
        print(f"{level:12}{paces[level]:12,.0f} comparisons/s, {paces[level] / paces['reference']:,.0f} x reference")
    _cpu.set_isa(active)
    figures["comparisons a second"] = rounded(paces)
    if active != "portable":
        print(f"\nshare of the stages ({active})")
        figures["percent of the time"] = shares(columns.take(np.arange(0, len(columns), 4)), columns)
        for stage, percent in figures["percent of the time"].items():
            print(f"{percent:6.1f} %  {stage}")
    print(f"\nwith the minutiae of both prints ({active})")
    growth = {}
    for count in (16, 32, 48, 64, 96, 128):
        some = FingerColumns.pack(random_templates([count] * 64))
        growth[str(count)] = pace(some, some)
        print(f"{count:12}{growth[str(count)]:12,.0f} comparisons/s")
    figures["comparisons a second, by minutiae"] = rounded(growth)
    print("\nwith the size of the gallery")
    growth = {}
    for times in (1, 10, 100):
        gallery = FingerColumns.concat([columns] * times)
        growth[str(len(gallery))] = pace(few, gallery)
        print(f"{len(gallery):12,}{growth[str(len(gallery))]:12,.0f} comparisons/s")
    figures["comparisons a second, by templates in the gallery"] = rounded(growth)
    if len(levels) > 1 and options.pairs:
        same = figures["pairs with the same scores at all levels"] = same_scores(options.pairs)
        print(f"\n{same:,} random pairs: the same scores from {', '.join(levels)}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


def rounded(paces: dict[str, float]) -> dict[str, int]:
    return {name: round(value) for name, value in paces.items()}


if __name__ == "__main__":
    main()
