"""Accuracy of the fingerprint comparison with given minutiae, beside the figures of others on the same data.

    python benchmarks/accuracy_finger.py [DATA] [--quick] [--json FILE]

DATA is the folder of `templates/<extractor>/<set>/<finger>_<impression>.iso` (the FVC2002 and FVC2004 B sets DB1 and
DB3; PCC_MATCH_SHARED/data/finger or ../shared/data/finger by default). Protocol, as its SOURCES.md states it: mated
are all pairs of impressions of a finger, non-mated all pairs of different fingers inside a set, one threshold over all
sets; rank-1 has impression 1 of each finger as gallery and the others as probes, strictly greater. One physical finger
is in two sets, so it is left out of the rank-1 galleries of the other set.

The 95 % bounds are bootstraps over fingers. The scores of others are not at hand, only their figures: what is said of
them is the share of bootstrap samples in which ours is below theirs, which is not a paired test. The constants of the
comparison were chosen on these same fingers, so neither half of the split by finger is unseen: expect less elsewhere.
"""

import argparse
import datetime
import json
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from numpy.typing import NDArray

import pcc_match as pm
from pcc_match.finger import FingerColumns, score_matrix

SETS = ("fvc2002_DB1_B", "fvc2002_DB3_B", "fvc2004_DB1_B", "fvc2004_DB3_B")
FINGERS, IMPRESSIONS = range(101, 111), range(1, 9)
SAME_FINGER = (("fvc2002_DB3_B", 108), ("fvc2004_DB3_B", 102))

# Others on exactly this data, from its SOURCES.md: EER, FNMR at FMR 1 % and 0.1 %, rank-1, in percent.
PEERS = {
    "fingerjet": {
        "SourceAFIS 3.18": (9.02, 14.20, 17.77, 89.3),
        "bozorth3": (10.43, 19.38, 29.64, 91.8),
        "OpenAFIS": (10.03, 17.77, 26.43, 91.4),
    },
    "mindtct": {
        "SourceAFIS 3.18": (8.84, 17.05, 23.39, 88.2),
        "bozorth3": (7.47, 14.82, 23.57, 92.1),
        "OpenAFIS": (11.20, 21.34, 29.29, 87.9),
    },
    "secugen": {
        "SourceAFIS 3.18": (9.20, 18.57, 26.96, 88.2),
        "bozorth3": (12.21, 26.34, 37.68, 86.1),
        "OpenAFIS": (16.80, 27.50, 42.86, 78.2),
    },
}


@dataclass(frozen=True)
class Prints:
    """The prints of one extractor, in the order of sets, fingers and impressions; finger counts over all sets."""

    templates: list[pm.FingerTemplate]
    finger: NDArray[np.int64]
    group: NDArray[np.int64]

    @classmethod
    def read(cls, folder: Path, extractor: str) -> "Prints":
        places = [(s, f, i) for s in SETS for f in FINGERS for i in IMPRESSIONS]
        read = [
            pm.FingerTemplate.read(folder / "templates" / extractor / s / f"{f}_{i}.iso", source=extractor)
            for s, f, i in places
        ]
        number = np.arange(len(read)) // len(IMPRESSIONS)
        return cls(read, number, number // len(FINGERS))


@dataclass(frozen=True)
class Scores:
    """Mated and non-mated scores with the fingers that they belong to."""

    mated: NDArray[np.int64]
    mated_finger: NDArray[np.int64]
    non_mated: NDArray[np.int64]  # descending
    non_mated_fingers: NDArray[np.int64]  # (n, 2)

    @classmethod
    def of(cls, matrix: NDArray[Any], prints: Prints) -> "Scores":
        a, b = np.tril_indices(len(matrix), -1)
        same = prints.finger[a] == prints.finger[b]
        other = ~same & (prints.group[a] == prints.group[b])
        order = np.argsort(-matrix[a[other], b[other]].astype(np.int64), kind="stable")
        fingers = np.stack([prints.finger[a[other]], prints.finger[b[other]]], axis=1)[order]
        scores = matrix[a[other], b[other]].astype(np.int64)[order]
        return cls(matrix[a[same], b[same]].astype(np.int64), prints.finger[a[same]], scores, fingers)

    def threshold(self, fmr: float, weight: NDArray[Any] | None = None) -> int:
        """The least score that at most this share of non-mated comparisons exceed.

        weight   how often each finger counts, by number; once by default
        """
        if weight is None:
            weight = np.ones(int(self.mated_finger.max()) + 1)
        counts = np.cumsum(weight[self.non_mated_fingers[:, 0]] * weight[self.non_mated_fingers[:, 1]])
        above = int(np.searchsorted(counts, fmr * counts[-1], side="right"))
        return int(self.non_mated[min(above, len(self.non_mated) - 1)])

    def fnmr(self, fmr: float, weight: NDArray[Any] | None = None) -> float:
        """Share of mated scores that do not exceed that threshold."""
        of_mated = np.ones(len(self.mated)) if weight is None else weight[self.mated_finger]
        return float(of_mated[self.mated <= self.threshold(fmr, weight)].sum() / of_mated.sum())

    def eer(self) -> float:
        thresholds = np.unique(np.concatenate([self.mated, self.non_mated]))
        fmr = 1 - np.searchsorted(self.non_mated[::-1], thresholds) / len(self.non_mated)
        fnmr = np.searchsorted(np.sort(self.mated), thresholds) / len(self.mated)
        at = int(np.argmin(np.abs(fmr - fnmr)))
        return float(fmr[at] + fnmr[at]) / 2


def rank_one(matrix: NDArray[Any], prints: Prints) -> float:
    """Share of probes whose own finger scores strictly more than all others."""
    gallery = np.arange(0, len(matrix), len(IMPRESSIONS))
    probes = np.setdiff1d(np.arange(len(matrix)), gallery)
    twins = [SETS.index(s) * len(FINGERS) + FINGERS.index(f) for s, f in SAME_FINGER]
    scores = matrix[np.ix_(probes, gallery)].astype(np.int64)
    finger = prints.finger[probes]
    for one, other in (twins, twins[::-1]):
        scores[finger == one, other] = -1
    rows = np.arange(len(probes))
    own = scores[rows, finger].copy()
    scores[rows, finger] = -1
    return float((own > scores.max(axis=1)).mean())


def row(
    name: str, matrix: NDArray[Any], prints: Prints, samples: int, fingers: NDArray[Any] | None = None
) -> dict[str, Any]:
    scores = Scores.of(matrix, prints)
    count = int(prints.finger.max()) + 1
    keep = np.ones(count) if fingers is None else fingers.astype(float)
    draw = np.random.default_rng(1)
    ids = np.flatnonzero(keep)
    drawn = [
        scores.fnmr(0.001, np.bincount(draw.choice(ids, len(ids)), minlength=count).astype(float))
        for _ in range(samples)
    ]
    found: dict[str, Any] = {
        "name": name,
        "FMR100": 100 * scores.fnmr(0.01, keep),
        "FMR1000": 100 * scores.fnmr(0.001, keep),
        "bounds": [100 * float(v) for v in np.quantile(drawn, (0.025, 0.975))] if drawn else None,
        "drawn": drawn,
    }
    if fingers is None:
        found |= {"EER": 100 * scores.eer(), "rank-1": 100 * rank_one(matrix, prints)}
    return found


def show(found: dict[str, Any]) -> None:
    bounds = "" if not found.get("bounds") else "   {:5.2f} to {:5.2f}".format(*found["bounds"])
    cells = [f"{found[c]:8.2f}" if c in found else " " * 8 for c in ("EER", "FMR100", "FMR1000", "rank-1")]
    print(f"{found['name']:44}" + "".join(cells) + bounds)


def cut(template: pm.FingerTemplate, draw: np.random.Generator) -> pm.FingerTemplate:
    """Twelve minutiae around a drawn one, turned by any angle about their middle."""
    (print_,) = template.sets
    x, y = print_.x.astype(float), print_.y.astype(float)
    centre = draw.integers(len(x))
    near = np.argsort(np.hypot(x - x[centre], y - y[centre]), kind="stable")[:12]
    turn = draw.uniform(0, 360)
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    dx, dy = x[near] - x[near].mean(), y[near] - y[near].mean()
    angle = print_.angle[near] * (360 / 256) + turn
    return pm.FingerTemplate.from_minutiae(
        c * dx + s * dy + 200, c * dy - s * dx + 200, angle, quality=print_.quality[near], source=template.source
    )


def cuttings(prints: Prints, draws: int) -> tuple[FingerColumns, NDArray[np.int64]]:
    """Cuttings of all impressions but the first, and their fingers."""
    probes = [k for k in range(len(prints.templates)) if k % len(IMPRESSIONS) and len(prints.templates[k]) >= 12]
    draw = np.random.default_rng(12)
    made = FingerColumns.pack([cut(prints.templates[k], draw) for k in probes for _ in range(draws)])
    return made, np.repeat(prints.finger[probes], draws)


def rank_one_of_cuttings(
    prints: Prints, probes: FingerColumns, finger: NDArray[np.int64], *, latent: str, early_exit: bool = False
) -> float:
    """Percent of cuttings whose own finger's first impression scores strictly more than all others."""
    gallery = prints.templates[:: len(IMPRESSIONS)]
    scores = score_matrix(probes, gallery, "cpu", latent=latent, early_exit=early_exit).astype(np.int64)
    rows = np.arange(len(scores))
    own = scores[rows, finger].copy()
    scores[rows, finger] = -1
    return 100 * float((own > scores.max(axis=1)).mean())


def latents(prints: Prints, draws: int) -> dict[str, float]:
    """Rank-1 of cuttings, in both modes."""
    probes, finger = cuttings(prints, draws)
    found = {
        name: rank_one_of_cuttings(prints, probes, finger, latent=latent)
        for name, latent in (("latent", "a"), ("normal", ""))
    }
    return found | {"cuttings": len(finger)}


def data_folder(given: Path | None, holding: str) -> Path:
    """The folder of finger data that was named, or the shared one; ends the program where that lacks what it needs."""
    shared = Path(os.environ.get("PCC_MATCH_SHARED", Path(__file__).parents[2] / "shared"))
    data = given or shared / "data" / "finger"
    if not (data / holding).is_dir():
        sys.exit(f"{data} holds no {holding}: name the folder that does")
    return data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", nargs="?", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer bootstrap samples and cuttings")
    parser.add_argument("--json", type=Path, help="also write all figures there")
    options = parser.parse_args()
    data = data_folder(options.data, "templates")
    samples = 100 if options.quick else 1000
    print(
        f"{datetime.date.today()}, {platform.machine()}. Percent; bounds: 95 % of FMR1000 over {samples} bootstraps\n"
    )
    print(f"{'':44}{'EER':>8}{'FMR100':>8}{'FMR1000':>8}{'rank-1':>8}")
    everything: list[dict[str, Any]] = []
    matrices, prints_of = {}, {}
    for extractor, peers in PEERS.items():
        prints = prints_of[extractor] = Prints.read(data, extractor)
        columns = FingerColumns.pack(prints.templates)
        matrices[extractor] = score_matrix(columns, columns, "cpu")
        ours = row(f"pcc_match, {extractor}", matrices[extractor], prints, samples)
        show(ours)
        halves = np.arange(40) % 2 == 0
        for half, name in ((halves, "  odd fingers"), (~halves, "  even fingers")):
            part = row(name, matrices[extractor], prints, 0, half)
            show(part)
            everything.append(part)
        for name, figures in peers.items():
            better = float(np.mean(100 * np.array(ours["drawn"]) < figures[2]))
            show(
                dict(zip(("EER", "FMR100", "FMR1000", "rank-1"), figures, strict=True))
                | {"name": f"{name}, {extractor}"}
            )
            ours[f"better than {name}"] = better
        everything.append(ours)
        print(
            f"  below the peers' FMR1000 in {100 * min(ours[f'better than {n}'] for n in peers):.1f} % of the samples"
        )
    prints = prints_of["fingerjet"]
    both = row(
        "pcc_match, fingerjet + mindtct, scores added", matrices["fingerjet"] + matrices["mindtct"], prints, samples
    )
    joined = FingerColumns.pack(
        pm.FingerTemplate.join(a, b) for a, b in zip(prints.templates, prints_of["mindtct"].templates, strict=True)
    )
    two_sets = row("pcc_match, both as two sets of a finger", score_matrix(joined, joined, "cpu"), prints, samples)
    draw = np.random.default_rng(2)
    chance = draw.integers(0, 1 << 30, matrices["fingerjet"].shape)
    random = row("a random comparator", np.tril(chance) + np.tril(chance, -1).T, prints, 0)
    for found in (both, two_sets, random):
        show(found)
        everything.append(found)
    print()
    for extractor in ("fingerjet", "mindtct"):
        found = latents(prints_of[extractor], 1 if options.quick else 4)
        everything.append({"name": f"latents, {extractor}"} | found)
        print(
            f"{found['cuttings']} cuttings of 12 neighbouring minutiae ({extractor}), turned freely, against 40 whole "
            f"prints: rank-1 {found['latent']:.1f} in latent mode, {found['normal']:.1f} in normal mode"
        )
    if options.json:
        for found in everything:
            found.pop("drawn", None)
        facts = {"machine": machine(), "command": " ".join(["python", *sys.argv]), "percent": everything}
        options.json.write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main()
