"""Counts how often prints of different fingers reach each score, for pcc_match/finger/calibration.toml.

    python benchmarks/calibrate_finger.py [--data ../shared/data/finger] [--write]

Protocol of the data's SOURCES.md: non-mated comparisons are all pairs of prints of different fingers of the same set
(sensor and session), so that no comparison is easier than a search among prints of one sensor. For each source of
minutiae: the counts at up to 120 scores, each with the upper end of its one-sided 95 % interval (Clopper-Pearson).
Comparisons that share a print are not independent, so the interval is somewhat too narrow. Sources joined with "+" are
prints with a set of minutiae from each. Only these counts go into the project. The table beside them: false non-match
rates at the thresholds, of the mated pairs.
"""

import argparse
import datetime
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import pcc_match as pm
from pcc_match.finger.calibration import FILE, LEAST_COUNT, answers

POINTS = 120  # of a table
GIVEN = ("fingerjet", "mindtct", "secugen")  # templates; the images are ours to look at
SOURCES = {source: (source,) for source in GIVEN} | {
    "pcc_match": ("pcc_match",),
    "pcc_match+pcc_match": ("pcc_match+pcc_match",),
    "fingerjet+mindtct": ("fingerjet", "mindtct"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared/data/finger")
    parser.add_argument("--write", action="store_true", help=f"write {FILE.name}")
    options = parser.parse_args()
    today = datetime.date.today().isoformat()
    lines = [
        f"# benchmarks/calibrate_finger.py --write, {today}. Rows: score, non-mated comparisons that reach it, and the",
        "# upper end of the 95 % interval of their share.",
        "",
        f'answers = "{answers()}"  # of the comparison: calibration.answers()',
    ]
    print(f"comparison {answers()}, {today}")
    prints = {source: templates(options.data, source) for source in dict.fromkeys(sum(SOURCES.values(), ()))}
    for source, parts in SOURCES.items():
        mated, others = scores([prints[part] for part in parts])
        rows = table(others)
        lines += ["", f'[sources."{source}"]', f"comparisons = {len(others)}", "rows = ["]
        lines += [f"    [{score}, {count}, {bound:.3g}]," for score, count, bound in rows] + ["]"]
        print(f"{source}: {len(others):,} non-mated comparisons, {len(mated):,} mated")
        for count in (1, LEAST_COUNT, len(others) // 100, len(others) // 10):
            score, counted, bound = next(row for row in rows if row[1] <= count)
            missed = np.mean(mated < score)
            print(f"  score {score:6}: FMR {counted / len(others):.3%} (below {bound:.3%}), FNMR {missed:.2%}")
    if options.write:
        FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def templates(data: Path, source: str) -> list[list[tuple[str, pm.FingerTemplate]]]:
    """The prints of each set with the fingers that they are of."""
    if source in GIVEN:
        return [
            [(finger(file), pm.FingerTemplate.read(file, source=source)) for file in sorted(group.iterdir())]
            for group in sorted((data / "templates" / source).iterdir())
        ]
    from PIL import Image

    from pcc_match.finger import extract

    return [
        [
            (finger(file), extract(np.asarray(Image.open(file).convert("L")), sets=1 + source.count("+")))
            for file in sorted(group.iterdir())
        ]
        for group in sorted((data / "images").iterdir())
    ]


def finger(file: Path) -> str:
    return file.stem.split("_")[0]


def scores(parts: list[list[list[tuple[str, pm.FingerTemplate]]]]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Scores of the mated and of the non-mated pairs, one after the other; of several parts, with their sets joined."""
    mated, others = [], []
    for groups in zip(*parts, strict=True):
        fingers = [name for name, _ in groups[0]]
        joined = [pm.FingerTemplate.join(*(t for _, t in prints)) for prints in zip(*groups, strict=True)]
        matrix = pm.score_matrix(joined, joined, device="cpu")
        for (i, a), (j, b) in combinations(enumerate(fingers), 2):
            (mated if a == b else others).append(matrix[i, j])
    return np.array(mated, np.int32), np.array(others, np.int32)


def table(others: NDArray[np.int32]) -> list[tuple[int, int, float]]:
    """(score, comparisons that reach it, 95 % bound), scores ascending, to the first that none reaches."""
    ordered = np.sort(others)
    wanted = np.unique(np.geomspace(1, len(ordered), POINTS).round().astype(int))
    thresholds = np.unique(np.append(ordered[len(ordered) - wanted], ordered[-1] + 1))
    counts = len(ordered) - np.searchsorted(ordered, thresholds)
    return [
        (int(score), int(count), upper_bound(int(count), len(ordered)))
        for score, count in zip(thresholds, counts, strict=True)
    ]


def upper_bound(count: int, comparisons: int) -> float:
    """Clopper and Pearson's: the rate at which so few would be seen in one of twenty experiments. 3 / n for none."""
    from scipy.stats import beta

    return 1.0 if count == comparisons else float(beta.ppf(0.95, count + 1, comparisons - count))


if __name__ == "__main__":
    main()
