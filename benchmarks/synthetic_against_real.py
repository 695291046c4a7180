"""How like real prints the synthetic ones are: distributions side by side, and their distances.

python benchmarks/synthetic_against_real.py --real ../shared/data/finger [--out realism.json] [--images]

Real: the templates of FingerJet and mindtct of four FVC sets (10 fingers, 8 impressions each). Synthetic: as many
fingers and impressions of pcc_match.datasets.minutiae. Scores are those of pm.score_matrix; mated and non-mated pairs
are within a set (of synthetic ones: a capture). With --images also the minutiae that pm.finger.extract finds in the
real images beside those that it finds in synthetic prints, and the true ones; that takes minutes. Two distances a
quantity: Kolmogorov and Smirnov's, 0 to 1, and the earth mover's in the quantity's unit. `pcc-match evaluate --realism
JSON` shows the result.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import pcc_match as pm
from pcc_match.datasets import minutiae
from pcc_match.progress import Progress

SEED = 1
FINGERS, IMPRESSIONS = 40, 8
NEAR = 32  # pixels; minutiae nearer than this are neighbours

Set = list[tuple[int, pm.FingerTemplate]]  # finger and one of its impressions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, required=True, metavar="DIR", help="with the folders templates and images")
    parser.add_argument("--out", type=Path, metavar="JSON")
    parser.add_argument("--images", action="store_true")
    options = parser.parse_args()
    if not (options.real / "templates").is_dir():
        sys.exit(f"{options.real}: no folder templates")

    synthetic = quantities(synthetic_templates())
    entries = []
    for source in ("fingerjet", "mindtct"):
        entries += compared(synthetic, quantities(real_templates(options.real, source)), f"against {source}")
    if options.images:
        real, made, true = images(options.real)
        real, made = quantities(real), quantities(made)
        entries += compared(made, real, "images, our extractor on both")
        entries += compared(quantities(true), real, "true minutiae of synthetic images, our extractor on real ones")
    facts = {
        "about": f"Synthetic fingers (pcc_match.datasets.minutiae, version {minutiae.VERSION}, seed {SEED}: {FINGERS} "
        f"fingers, {IMPRESSIONS} impressions each) beside minutiae of FVC2002 and FVC2004 DB1_B and DB3_B (40 fingers, "
        f"8 impressions each). Distance: Kolmogorov-Smirnov. pcc_match {pm.__version__}, {time.strftime('%Y-%m-%d')}.",
        "quantities": entries,
    }
    for entry in entries:
        print(
            f"{entry['title']:110} KS {entry['distance']:.3f}  earth mover's {entry['earth_movers']:9.2f}  "
            f"medians {entry['medians'][0]:.0f} / {entry['medians'][1]:.0f}"
        )
    if options.out:
        options.out.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


# ---- what is held against each other


def quantities(sets: Iterable[Set]) -> dict[str, tuple[str, np.ndarray]]:
    """Title -> label of the axis, values."""
    counts, nearest, directions, between, mated, others = ([] for _ in range(6))
    for prints in sets:
        templates = [template for _, template in prints]
        finger = np.array([number for number, _ in prints])
        for template in templates:
            (found,) = template.sets
            counts.append([len(found)])
            if len(found) < 2:
                continue
            x, y, angle = found.x.astype(float), found.y.astype(float), found.angle.astype(int)
            distance = np.hypot(x[:, None] - x, y[:, None] - y)
            np.fill_diagonal(distance, np.inf)
            nearest.append(distance.min(axis=1))
            directions.append(angle * (360 / 256))
            difference = np.abs((angle[:, None] - angle + 128) % 256 - 128) * (360 / 256)
            between.append(difference[np.triu(distance < NEAR)])
        scores = pm.score_matrix(templates, templates, device="cpu")
        pairs = np.triu(np.ones(scores.shape, bool), 1)
        same = finger[:, None] == finger
        mated.append(scores[pairs & same])
        others.append(scores[pairs & ~same])
    columns = {
        "Minutiae per print": ("minutiae", counts),
        "Distance to the nearest minutia": ("pixels at 500 ppi", nearest),
        "Directions": ("degrees", directions),
        f"Difference of direction within {NEAR} pixels": ("degrees", between),
        "Mated scores": ("score", mated),
        "Non-mated scores": ("score", others),
    }
    return {title: (label, np.concatenate(values)) for title, (label, values) in columns.items()}


def compared(synthetic: dict, real: dict, against: str) -> list[dict]:
    entries = []
    for title, (label, a) in synthetic.items():
        b = real[title][1]
        both = np.sort(np.concatenate([a, b]))
        apart = np.abs(
            np.searchsorted(np.sort(a), both, side="right") / len(a)
            - np.searchsorted(np.sort(b), both, side="right") / len(b)
        )
        edges = np.linspace(0, np.quantile(both, 0.995), 41)
        entries.append(
            {
                "title": f"{title}, {against}",
                "label": label,
                "distance": float(apart.max()),
                "earth_movers": float((apart[:-1] * np.diff(both)).sum()),
                "medians": [float(np.median(a)), float(np.median(b))],
                "synthetic": [edges.tolist(), (np.histogram(a, edges)[0] / len(a)).tolist()],
                "real": [edges.tolist(), (np.histogram(b, edges)[0] / len(b)).tolist()],
            }
        )
    return entries


# ---- where the prints come from


def synthetic_templates() -> list[Set]:
    (made,) = minutiae.impressions(FINGERS, SEED, impressions=IMPRESSIONS)
    prints = [(int(finger), made.template(row)) for row, finger in enumerate(made.finger)]
    return [[prints[row] for row in np.flatnonzero(made.capture == k)] for k in range(len(minutiae.CAPTURES))]


def real_templates(folder: Path, source: str) -> list[Set]:
    return [
        [(int(path.stem.split("_")[0]), pm.FingerTemplate.read(path)) for path in sorted(each.iterdir())]
        for each in sorted((folder / "templates" / source).iterdir())
    ]


def images(folder: Path) -> tuple[list[Set], list[Set], list[Set]]:
    """Real, synthetic, and the truth of the synthetic ones."""
    import cv2

    from pcc_match.datasets import prints

    real = []
    paths = sorted((folder / "images").glob("*/*.png"))
    with Progress("real images", len(paths), "images") as progress:
        for each in sorted({path.parent for path in paths}):
            found = []
            for path in (p for p in paths if p.parent == each):
                grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
                found.append((int(path.stem.split("_")[0]), pm.finger.extract(grey)))
            real.append(found)
            progress(sum(map(len, real)))
    made, true = [], []
    with Progress("synthetic images", FINGERS * IMPRESSIONS, "images") as progress:
        for finger in range(FINGERS):
            master = prints.master(SEED, finger)
            taken = [prints.impression(master, number) for number in range(IMPRESSIONS)]
            made += [(finger, pm.finger.extract(each.image)) for each in taken]
            true += [(finger, each.template) for each in taken]
            progress(len(made))
    return real, [made], [true]


if __name__ == "__main__":
    main()
