"""What an early exit of the comparison of fingers gains and loses, and what a prefilter would lose.

    python benchmarks/early_exit_finger.py [DATA] [--quick] [--json FILE]

DATA and protocol as for accuracy_finger.py. Times are of one thread, without and with the early exit by turns, the
least of several runs. A prefilter would give all references the sum of the best cosines, and compare the best tenth of
them. It is not there because it loses many mates for little more speed; what it would lose is measured with the first
impressions of 40 fingers as references: mates that are not among the best four.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from accuracy_finger import IMPRESSIONS, PEERS, Prints, Scores, cut, rank_one
from machine import machine

from pcc_match.finger import FingerColumns, reference, score_matrix
from pcc_match.finger.devices import CpuScorer, mode_of

AS_WHOLE = 2  # the first stages of csrc/finger_kernels.h, those that a prefilter needs
SHARE = 0.1


def seconds(columns: FingerColumns, runs: int) -> tuple[float, float, float]:
    """A comparison's time, with an early exit, and as far as its candidates."""
    some, times = columns.take(np.arange(0, len(columns), 8)), np.zeros((runs, 3))
    for run in range(runs):
        for kind in range(3):
            mode = mode_of("", early_exit=kind == 1)
            start = time.process_time()
            if kind == 2:
                some.engine.scores(some.sets, 0, len(some), columns.engine, columns.sets, mode=mode, stages=AS_WHOLE)
            else:
                CpuScorer().scores(some, columns, mode)
            times[run, kind] = time.process_time() - start
    whole, early, candidates = (times.min(axis=0) / (len(some) * len(columns))).tolist()
    return whole, early, candidates


def accuracy(prints: Prints, columns: FingerColumns) -> dict[str, Any]:
    whole, early = (score_matrix(columns, columns, "cpu", early_exit=e) for e in (False, True))
    a, b = np.tril_indices(len(whole), -1)
    mated, same_set = prints.finger[a] == prints.finger[b], prints.group[a] == prints.group[b]
    left = (early != whole)[a, b]
    found: dict[str, Any] = {
        "scores changed, percent": {
            "mated": 100 * float(left[mated].mean()),
            "non-mated": 100 * float(left[~mated & same_set].mean()),
        }
    }
    for name, matrix in (("whole", whole), ("early exit", early)):
        scores = Scores.of(matrix, prints)
        found[name] = {
            "EER": 100 * scores.eer(),
            "FMR100": 100 * scores.fnmr(0.01),
            "FMR1000": 100 * scores.fnmr(0.001),
            "rank-1": 100 * rank_one(matrix, prints),
        }
    return found


def latents(prints: Prints, draws: int) -> dict[str, float]:
    """Rank-1 of cuttings, as in accuracy_finger.py."""
    gallery = prints.templates[:: len(IMPRESSIONS)]
    probes = [k for k in range(len(prints.templates)) if k % len(IMPRESSIONS) and len(prints.templates[k]) >= 12]
    draw = np.random.default_rng(12)
    cuttings = FingerColumns.pack([cut(prints.templates[k], draw) for k in probes for _ in range(draws)])
    finger = np.repeat(prints.finger[probes], draws)
    found = {}
    for early in (False, True):
        scores = score_matrix(cuttings, gallery, "cpu", latent="a", early_exit=early).astype(np.int64)
        rows = np.arange(len(scores))
        own = scores[rows, finger].copy()
        scores[rows, finger] = -1
        found["early exit" if early else "whole"] = 100 * float((own > scores.max(axis=1)).mean())
    return found | {"cuttings": len(finger)}


def lost_by_a_prefilter(prints: Prints, columns: FingerColumns) -> float:
    """Percent of mates that are not among the best SHARE by the sum of their best cosines."""
    views = [reference.MinutiaView.of(columns, s) for s in range(len(columns))]
    gallery = views[:: len(IMPRESSIONS)]
    most, lost = round(SHARE * len(gallery)), []
    for number, view in enumerate(views):
        if number % len(IMPRESSIONS):
            cosines = np.array([_cosines(view, other) for other in gallery])
            own = int(prints.finger[number])
            before = (cosines > cosines[own]).sum() + (cosines[:own] == cosines[own]).sum()
            lost.append(before >= most)
    return 100 * float(np.mean(lost))


def _cosines(a: reference.MinutiaView, b: reference.MinutiaView) -> int:
    if min(len(a), len(b)) < reference.LEAST:
        return 0
    return int(reference.candidates(reference.all_cosines(a, b, limited=True), reference.CANDIDATES)[2].sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer runs and cuttings")
    parser.add_argument("--json", type=Path, help="also write all figures there")
    options = parser.parse_args()
    shared = Path(os.environ.get("PCC_MATCH_SHARED", Path(__file__).parents[2] / "shared"))
    data = options.data or shared / "data" / "finger"
    if not (data / "templates").is_dir():
        sys.exit(f"{data} holds no templates: name the folder that does")
    figures: dict[str, Any] = {"machine": machine(), "command": " ".join(["python", *sys.argv])}
    for extractor in PEERS:
        prints = Prints.read(data, extractor)
        columns = FingerColumns.pack(prints.templates)
        whole, early, candidates = seconds(columns, 3 if options.quick else 15)
        found = figures[extractor] = accuracy(prints, columns) | {
            "microseconds": {"whole": 1e6 * whole, "early exit": 1e6 * early, "as far as candidates": 1e6 * candidates},
            "times as fast": {"early exit": whole / early, "prefilter": whole / (candidates + SHARE * whole)},
            "lost by a prefilter, percent of mates": lost_by_a_prefilter(prints, columns),
        }
        if extractor != "secugen":
            found["latents, rank-1"] = latents(prints, 1 if options.quick else 4)
        print(f"{extractor}: {json.dumps(found, indent=1)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
