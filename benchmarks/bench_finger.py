"""Speed of the fingerprint comparison: each instruction set, growth, and the readable reference in the same run.

    python benchmarks/bench_finger.py [DATA] [--pairs N] [--json FILE]

With DATA (as for accuracy_finger.py) the templates are FingerJet's, else random ones of the same sizes. All figures are
of one thread, in comparisons a second of processor time, the best of three runs. Checks besides that every level gives
the same scores for N pairs (1,000,000 by default).
"""

import argparse
import datetime
import json
import os
import platform
import time
from pathlib import Path
from typing import Any

import numpy as np

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
    print(f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} processors, levels {_cpu.available_isas()}")
    start = time.process_time()
    columns = FingerColumns.pack(templates)
    packed = len(templates) / (time.process_time() - start)
    print(
        f"{len(templates)} {'FingerJet' if real else 'random'} templates, {columns.count.mean():.1f} minutiae kept on "
        f"average, {columns.nbytes / len(columns):.0f} bytes each, packed at {packed:,.0f} a second"
    )
    few = columns.take(np.arange(0, len(columns), len(columns) // 4)[:4])
    figures: dict[str, Any] = {"packed": packed, "reference": pace(few, columns.take(np.arange(40)), "reference", 1)}
    print(f"{'reference':12}{figures['reference']:12,.0f} comparisons/s")
    active = _cpu.isa()
    for level in _cpu.available_isas():
        _cpu.set_isa(level)
        probes = columns.take(np.arange(0, len(columns), 4 if level != "portable" else 40))
        figures[level] = pace(probes, columns)
        print(
            f"{level:12}{figures[level]:12,.0f} comparisons/s, {figures[level] / figures['reference']:,.0f} x reference"
        )
    _cpu.set_isa(active)
    print(f"\nwith the minutiae of both prints ({active})")
    for count in (16, 32, 48, 64, 96, 128):
        some = FingerColumns.pack(random_templates([count] * 64))
        figures[f"{count} minutiae"] = pace(some, some)
        print(f"{count:12}{figures[f'{count} minutiae']:12,.0f} comparisons/s")
    print("\nwith the size of the gallery")
    for times in (1, 10, 100):
        gallery = FingerColumns.concat([columns] * times)
        figures[f"gallery of {len(gallery)}"] = pace(few, gallery)
        print(f"{len(gallery):12,}{figures[f'gallery of {len(gallery)}']:12,.0f} comparisons/s")
    if len(_cpu.available_isas()) > 1 and options.pairs:
        figures["same scores"] = same_scores(options.pairs)
        print(f"\n{figures['same scores']:,} random pairs: the same scores from {', '.join(_cpu.available_isas())}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
