"""`make report`: one evaluation report from synthetic prints and profiles, made in a fresh clone by one command.

    python benchmarks/report.py [--out build/report] [--fingers 400] [--profiles 100000]

Galleries are made from a seed beside the report, then evaluated by `pcc-match evaluate` as any other galleries; the
report says how to repeat that. No real person is in it.
"""

import argparse
import shutil
from pathlib import Path

import pcc_match as pm
from pcc_match import datasets
from pcc_match.cli import main as pcc_match
from pcc_match.datasets import minutiae
from pcc_match.finger.prints import FingerRecord

SEED = 2018
SEARCHED = 3  # impressions of each finger that are searched
STRANGERS = 5  # one in so many fingers is not in the gallery


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/report"))
    parser.add_argument("--fingers", type=int, default=400)
    parser.add_argument("--profiles", type=int, default=100_000)
    options = parser.parse_args()
    data = options.out / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    references, probes = make_prints(data, options.fingers)
    profiles, truth = make_profiles(data, options.profiles)
    words = ["evaluate", references, profiles, "--probes", probes, "--truth", truth, "--treaty", "pcc-see"]
    raise SystemExit(pcc_match([*map(str, words), "--out", str(options.out)]))


def make_prints(data: Path, fingers: int) -> tuple[Path, Path]:
    """A gallery of one impression a finger, without every STRANGERS-th finger, and one of others to search in it."""
    paths = data / "references", data / "probes"
    with pm.FingerGallery.create(paths[0]) as references, pm.FingerGallery.create(paths[1]) as probes:
        for made in minutiae.impressions(fingers, SEED, impressions=1 + SEARCHED, batch=1 << 12):
            rows = zip(range(len(made)), made.finger.tolist(), made.impression.tolist(), strict=True)
            records = [
                (
                    finger,
                    impression,
                    FingerRecord(f"{finger:07}-{impression}", made.template(row), f"person-{finger // 10}"),
                )
                for row, finger, impression in rows
            ]
            references.enrol(
                [record for finger, impression, record in records if not impression and finger % STRANGERS]
            )
            probes.enrol([record for _, impression, record in records if impression])
    return paths


def make_profiles(data: Path, count: int) -> tuple[Path, Path]:
    """Profiles of five states, and the file of their truth."""
    *_, truth, _ = datasets.write_dataset(data / "profiles", count, SEED)
    with pm.DnaGallery.create(data / "dna") as gallery:
        for columns, _ in datasets.synthesize(count, SEED):
            gallery.enrol(columns)
    return data / "dna", truth


if __name__ == "__main__":
    main()
