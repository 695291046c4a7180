"""`make demo`: synthetic profiles of five states enrolled, searched, re-matched, and the result held against the truth.

    python benchmarks/demo.py [--count 1000000] [--probes 1000]

Everything is made from a seed; no real person is in it. The time of each part is printed.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations

import numpy as np

import pcc_match as pm
from pcc_match import datasets
from pcc_match.dna.profile import KINDS
from pcc_match.progress import Progress

SEED = 2018
MISSES_READ = 2_000  # planted pairs that were not found, read again by the readable rule


@contextmanager
def part(title: str) -> Iterator[None]:
    print(f"\n== {title}", flush=True)
    start = time.perf_counter()
    yield
    print(f"   {time.perf_counter() - start:.1f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--probes", type=int, default=1_000)
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run(options.count, options.probes, f"{folder}/gallery")
    print(f"\n== everything: {time.perf_counter() - start:.1f} s")


def run(count: int, probe_count: int, folder: str) -> None:
    with part(f"{count:,} synthetic profiles of five states, made and enrolled durably"):
        ids, truth = enrol(count, folder)
        states = [state.code for state in datasets.default_states()]
        profiles = Counter(truth["state"].tolist())
        print("   " + ", ".join(f"{states[state]} {number:,}" for state, number in profiles.most_common()))

    with part("opened, checked and made resident"):
        gallery = pm.DnaGallery.open(folder)
        matcher = pm.Matcher(gallery, treaty="pcc-see")
        print(f"   {matcher}")

    with part(f"{probe_count:,} stains searched under pcc-see, one by one"):
        stains = np.flatnonzero(truth["kind"] == KINDS.index("stain"))[:probe_count].tolist()
        found = [match for stain in stains for match in others(matcher.search(gallery.profile(ids[stain])))]
        print(
            f"   {len(found):,} matches for {len({match.probe.id for match in found}):,} of them: {by_quality(found)}"
        )

    with part("all compared with all"):
        result = pm.rematch(matcher)
        pairs = len(gallery) * (len(gallery) - 1) // 2
        qualities = Counter(result.hits["quality"].tolist())
        print(f"   {len(result):,} matches in {pairs:.3g} pairs: {counts(qualities)}")

    with part("held against the planted truth"):
        hold_against_truth(result, gallery, ids, truth)

    for name, qualities in (("full match", (1,)), ("near match", (2, 3, 4))):
        example = next((match for match in found if match.quality in qualities), None)
        if example:
            print(f"\n== A {name}, explained\n\n{example.explain()}")


def enrol(count: int, folder: str) -> tuple[list[str], np.ndarray]:
    """Fills a new gallery; returns the ids and the truth of all profiles, in the order they were made."""
    ids: list[str] = []
    truths = []
    with pm.DnaGallery.create(folder) as gallery, Progress("   enrolled", count, "profiles") as progress:
        for columns, truth in datasets.synthesize(count, SEED, batch=1 << 17):
            gallery.enrol(columns)
            ids += columns.ids
            truths.append(truth)
            progress(len(ids))
    return ids, np.concatenate(truths)


def others(result: pm.SearchResult) -> list[pm.Match]:
    """The matches that are not the probe itself."""
    return [match for match in result if match.reference != result.probe.id]


def by_quality(matches: list[pm.Match]) -> str:
    return counts(Counter(match.quality for match in matches))


def counts(qualities: Counter[int]) -> str:
    return ", ".join(f"{number:,} of quality {quality}" for quality, number in sorted(qualities.items())) or "none"


def hold_against_truth(result: pm.Rematch, gallery: pm.DnaGallery, ids: list[str], truth: np.ndarray) -> None:
    number = {id: k for k, id in enumerate(ids)}
    found = {
        (min(a, b), max(a, b))
        for a, b in zip(
            (number[id] for id in result.ids(result.hits["probe"])),
            (number[id] for id in result.ids(result.hits["row"])),
            strict=True,
        )
    }
    typed: dict[int, list[int]] = {}
    copied = np.isin(truth["person"], truth["person"][truth["person"] != truth["profile"]])
    for profile in np.flatnonzero(copied).tolist():
        typed.setdefault(int(truth["person"][profile]), []).append(profile)
    planted = {pair for profiles in typed.values() for pair in combinations(profiles, 2)}
    print(f"   {len(planted):,} planted pairs of the same person, {len(planted & found):,} of them found")
    missed = sorted(planted - found)[:MISSES_READ]
    rule = pm.treaty("pcc-see").dna
    wrong = [pair for pair in missed if pm.compare(*(gallery.profile(ids[k]) for k in pair), rule).quality]
    print(f"   of the others {len(missed):,} read again by the readable rule: {len(wrong)} should have matched")
    chance = found - planted
    relatives = sum(
        truth["relative"][b] == truth["person"][a] or truth["relative"][a] == truth["person"][b] for a, b in chance
    )
    mixed = sum(truth["second"][a] >= 0 or truth["second"][b] >= 0 for a, b in chance)
    print(
        f"   {len(chance):,} other matches are adventitious: {relatives:,} between relatives, {mixed:,} with mixtures, "
        f"the others by chance"
    )


if __name__ == "__main__":
    main()
