"""Extraction end to end on real prints: error rates by the protocol of shared/data/finger/SOURCES.md, and the time.

python benchmarks/accuracy_extract.py [--sets 2] [--fingers 101-105] [--images DIR] [--json PATH]

Mated: all pairs of a finger's impressions; non-mated: all pairs of different fingers inside a data set; one threshold
over all data sets. Rank-1: impression 1 of each finger is the gallery, the others are the probes. A folder of images
holds a folder for each data set, with files named FINGER_IMPRESSION.png.
"""

import argparse
import json
import platform
import sys
import time
from itertools import groupby
from pathlib import Path

import numpy as np

import pcc_match as pm
from pcc_match.itl import images

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from shared_data import shared

SAME_FINGER = {("fvc2002_DB3_B", 108), ("fvc2004_DB3_B", 102)}  # one finger in two data sets: not a pair for rank-1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=1, choices=[1, 2])
    parser.add_argument("--fingers", default="101-110", help="first-last (%(default)s)")
    parser.add_argument("--images", help="default: the shared test data")
    parser.add_argument("--json", help="write the figures there")
    options = parser.parse_args()
    folder = Path(options.images) if options.images else shared("data/finger/images")
    if folder is None:
        sys.exit("the shared test data are not there: name a folder with --images")
    first, last = map(int, options.fingers.split("-"))

    names, templates, seconds = [], [], []
    for path in sorted(folder.glob("*/*.png")):
        finger, impression = map(int, path.stem.split("_"))
        if first <= finger <= last:
            image = images.decode(path.read_bytes())
            started = time.process_time()
            templates.append(pm.finger.extract(image, 500, options.sets))
            seconds.append(time.process_time() - started)
            names.append((path.parent.name, finger, impression))

    mated, non_mated, per_set = [], [], {}
    for name, rows in groupby(range(len(names)), lambda row: names[row][0]):
        rows = list(rows)
        own = [templates[row] for row in rows]
        scores = np.asarray(pm.score_matrix(own, own))
        finger = np.array([names[row][1] for row in rows])
        upper = np.triu(np.ones(scores.shape, bool), 1)
        same = finger[:, None] == finger[None, :]
        per_set[name] = scores[upper & same]
        mated.append(per_set[name])
        non_mated.append(scores[upper & ~same])
    mated, non_mated = np.sort(np.concatenate(mated)), np.sort(np.concatenate(non_mated))

    gallery = [row for row, name in enumerate(names) if name[2] == 1]
    probes = [row for row, name in enumerate(names) if name[2] != 1]
    scores = np.asarray(pm.score_matrix([templates[r] for r in probes], [templates[r] for r in gallery])).astype(int)
    first_ranks = []
    for probe, row in zip(probes, scores, strict=True):
        me = names[probe][:2]
        mate = [names[r][:2] == me for r in gallery]
        others = [names[r][:2] != me and {names[r][:2], me} != SAME_FINGER for r in gallery]
        first_ranks.append(row[mate][0] > row[others].max())

    def fnmr(fmr: float) -> tuple[float, int]:
        threshold = int(non_mated[len(non_mated) - 1 - int(fmr * len(non_mated))]) + 1
        return 100 * float(np.mean(mated < threshold)), threshold

    thresholds = np.unique(np.concatenate((mated, non_mated)))
    misses = np.searchsorted(mated, thresholds, "left") / len(mated)
    false = 1 - np.searchsorted(non_mated, thresholds, "left") / len(non_mated)
    middle = np.argmin(np.abs(misses - false))
    at = fnmr(0.001)[1]
    figures = {
        "sets": options.sets,
        "images": len(names),
        "minutiae": round(float(np.mean([len(t) / options.sets for t in templates])), 1),
        "EER": round(50 * float(misses[middle] + false[middle]), 2),
        "FNMR at FMR 1 %": round(fnmr(0.01)[0], 2),
        "FNMR at FMR 0.1 %": round(fnmr(0.001)[0], 2),
        "rank-1": round(100 * float(np.mean(first_ranks)), 1),
        "FNMR by data set": {name: round(100 * float(np.mean(own < at)), 1) for name, own in per_set.items()},
        "ms an image and core": round(1000 * float(np.mean(seconds)), 1),
        "machine": f"{platform.machine()}, {pm._cpu.isa()}",
        "version": pm.__version__,
    }
    for name, value in figures.items():
        print(f"{name:22} {value}")
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
