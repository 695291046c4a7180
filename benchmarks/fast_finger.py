"""What the two optional ways to be faster gain and lose: an early exit of comparisons of fingers, and a prefilter.

    python benchmarks/fast_finger.py [DATA] [--quick] [--json FILE]

DATA and protocol as for accuracy_finger.py. Times are of one thread, without and with the early exit by turns, the
least of several runs. The prefilter leaves a tenth of the references; it loses the mates whose likeness is below what a
tenth of the prints of other fingers reach (all 320 prints as references).
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from accuracy_finger import PEERS, Prints, Scores, cuttings, data_folder, rank_one, rank_one_of_cuttings
from machine import machine

from pcc_match.finger import FingerColumns, score_matrix
from pcc_match.finger.devices import CpuScorer, mode_of
from pcc_match.finger.search import least_alike

SHARE = 0.1


def seconds(columns: FingerColumns, runs: int) -> tuple[float, float, float]:
    """A comparison's time: whole, with an early exit, and what it takes where a prefilter leaves a tenth."""
    some, times, scorer = columns.take(np.arange(0, len(columns), 8)), np.zeros((runs, 3)), CpuScorer()
    likeness = mode_of("", likeness=True)
    for run in range(runs):
        for kind in range(3):
            start = time.process_time()
            if kind < 2:
                scorer.scores(some, columns, mode_of("", early_exit=kind == 1))
            else:
                for row in range(len(some)):  # a probe after the other, as a search goes
                    probe = some.take(np.array([row]))
                    alike = scorer.scores(probe, columns, likeness)[0]
                    scorer.scores(probe, columns, 0, wanted=alike >= least_alike(alike, SHARE))
            times[run, kind] = time.process_time() - start
    whole, early, filtered = (times.min(axis=0) / (len(some) * len(columns))).tolist()
    return whole, early, filtered


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
    probes, finger = cuttings(prints, draws)
    found = {
        name: rank_one_of_cuttings(prints, probes, finger, latent="a", early_exit=early)
        for name, early in (("whole", False), ("early exit", True))
    }
    return found | {"cuttings": len(finger)}


def lost_by_the_prefilter(prints: Prints, columns: FingerColumns) -> float:
    """Percent of mates that are less alike than a tenth of the prints of other fingers."""
    likeness = CpuScorer().scores(columns, columns, mode_of("", likeness=True))
    lost = []
    for row, finger in zip(likeness, prints.finger, strict=True):
        others, mates = row[prints.finger != finger], row[prints.finger == finger]
        lost.append(mates < least_alike(others, SHARE))
    pairs = np.concatenate(lost)
    return 100 * float(pairs.sum() / (len(pairs) - len(columns)))  # a print and itself are no pair, nor lost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer runs and cuttings")
    parser.add_argument("--json", type=Path, help="also write all figures there")
    options = parser.parse_args()
    data = data_folder(options.data, "templates")
    figures: dict[str, Any] = {"machine": machine(), "command": " ".join(["python", *sys.argv])}
    for extractor in PEERS:
        prints = Prints.read(data, extractor)
        columns = FingerColumns.pack(prints.templates)
        whole, early, filtered = seconds(columns, 3 if options.quick else 15)
        found = figures[extractor] = accuracy(prints, columns) | {
            "microseconds": {"whole": 1e6 * whole, "early exit": 1e6 * early, "prefilter": 1e6 * filtered},
            "times as fast": {"early exit": whole / early, "prefilter": whole / filtered},
            "lost by the prefilter, percent of mates": lost_by_the_prefilter(prints, columns),
        }
        if extractor != "secugen":
            found["latents, rank-1"] = latents(prints, 1 if options.quick else 4)
        print(f"{extractor}: {json.dumps(found, indent=1)}", flush=True)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
