"""Extraction end to end on real prints: error rates by the protocol of shared/data/finger/SOURCES.md, and the time.

    python benchmarks/accuracy_extract.py [DATA] [--json FILE]

DATA as for accuracy_finger.py, which says what is counted; its images/<set>/<finger>_<impression>.png are taken. The
extractor's constants were chosen on these prints: expect more errors elsewhere.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from accuracy_finger import FINGERS, IMPRESSIONS, SETS, Prints, Scores, data_folder, rank_one
from machine import machine

import pcc_match as pm
from pcc_match.finger import FingerColumns, score_matrix
from pcc_match.itl import images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    data = data_folder(options.data, "images")
    paths = [data / "images" / s / f"{f}_{i}.png" for s in SETS for f in FINGERS for i in IMPRESSIONS]
    greys = [images.decode(path.read_bytes()) for path in paths]
    facts: dict[str, Any] = {"machine": machine(), "command": " ".join(["python", *sys.argv]), "sets": {}}
    print(facts["machine"])
    for sets in (1, 2):
        facts["sets"][sets] = measured(greys, sets)
        print(f"\n{sets} set{'s' * (sets > 1)} of minutiae an image")
        for name, value in facts["sets"][sets].items():
            print(f"  {name:22} {value}")
    if options.json:
        options.json.write_text(json.dumps(facts, indent=1) + "\n")


def measured(greys: list[Any], sets: int) -> dict[str, Any]:
    templates, seconds = [], []
    for grey in greys:
        start = time.process_time()
        templates.append(pm.finger.extract(grey, 500, sets))
        seconds.append(time.process_time() - start)
    finger = np.arange(len(greys)) // len(IMPRESSIONS)
    prints = Prints(templates, finger, finger // len(FINGERS))
    columns = FingerColumns.pack(templates)
    matrix = score_matrix(columns, columns, "cpu")
    scores = Scores.of(matrix, prints)
    threshold = scores.threshold(0.001)
    missed = scores.mated <= threshold
    return {
        "minutiae": round(float(columns.count.mean()), 1),
        "EER": round(100 * scores.eer(), 2),
        "FNMR at FMR 1 %": round(100 * scores.fnmr(0.01), 2),
        "FNMR at FMR 0.1 %": round(100 * scores.fnmr(0.001), 2),
        "FNMR by data set": {
            name: round(100 * float(missed[prints.group[scores.mated_finger * len(IMPRESSIONS)] == number].mean()), 1)
            for number, name in enumerate(SETS)
        },
        "rank-1": round(100 * rank_one(matrix, prints), 1),
        "ms an image and core": round(1000 * float(np.mean(seconds)), 1),
    }


if __name__ == "__main__":
    main()
