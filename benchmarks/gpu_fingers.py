"""Parity and pace of fingerprint comparison on a GPU, for gpu_measure.py: synthetic impressions, nothing real."""

import statistics
import time
from itertools import product
from typing import Any

import numpy as np

from pcc_match.datasets import minutiae
from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.compare import score_matrix
from pcc_match.finger.cuda import FILE, FingerCuda
from pcc_match.finger.devices import LATENTS, CpuScorer, Scorer, mode_of
from pcc_match.finger.tally import NOBODY, References

SEED = 4


def columns_of(count: int, impression: int) -> FingerColumns:
    made = minutiae.impressions(count, SEED, first_impression=impression)
    return FingerColumns.concat([FingerColumns.pack([b.template(k) for k in range(len(b))]) for b in made])


def open_device(host: bool) -> Any:
    if host:
        from kernels_on_host.host_device import HostDevice

        return HostDevice(FILE)
    from pcc_match.backends.device import CupyDevice

    return CupyDevice(file=FILE)


def parity(host: bool) -> dict[str, Any]:
    """Raises AssertionError where a score of the device differs from the CPU's; else how many were compared."""
    probes, references = (6, 8) if host else (500, 4000)
    asked, against = columns_of(probes, 0), columns_of(references, 1)
    cuda = FingerCuda(device=open_device(host))
    done: dict[str, Any] = {}
    for latent, early in product(LATENTS, (False, True)):
        expected = score_matrix(asked, against, "cpu", latent=latent, early_exit=early)
        found = cuda.scores(asked, against, mode_of(latent, early_exit=early))
        name = "fingers" + f", latents on side {latent}" * bool(latent) + ", early exit" * early
        differ = int((expected != found).sum())
        assert not differ, f"{differ} of {expected.size} scores differ from the CPU's: {name}"
        done[name] = {"pairs": expected.size, "above_100": int((expected > 100).sum())}
        print(f"   {name}: {expected.size:,} scores, equal", flush=True)

    likeness, wanted = mode_of("", likeness=True), np.arange(len(against)) % 10 == 3  # what a prefilter takes
    for what, how in (("likeness", {"mode": likeness}), ("wanted", {"mode": 0, "wanted": wanted})):
        expected, found = (scorer.scores(asked, against, **how) for scorer in (CpuScorer(), cuda))
        assert np.array_equal(expected, found), f"fingers, {what}: differ from the CPU's"
        done[f"fingers, {what}"] = {"pairs": expected.size}
        print(f"   fingers, {what}: {expected.size:,}, equal", flush=True)

    subjects, groups = len(against) // 2 + 1, 3  # two prints each; every seventh print was removed
    subject = np.where(np.arange(len(against)) % 7 == 6, NOBODY, np.arange(len(against)) // 2).astype(np.uint32)
    found = [best_of(scorer, asked, groups, References(against, subject), subjects) for scorer in (CpuScorer(), cuda)]
    assert len(found[0])
    assert np.array_equal(*found), "the best subjects differ from the CPU's"
    done["best subjects"] = {"pairs": groups * len(against), "candidates": len(found[0])}
    print(f"   best subjects: {len(found[0]):,} of {subjects:,}, equal", flush=True)
    return done


def best_of(scorer: Scorer, asked: FingerColumns, groups: int, against: References, subjects: int) -> np.ndarray:
    """Keys of the 100 best subjects by the sum of the first prints' scores."""
    tally = scorer.tally(subjects)
    for group in range(groups):
        tally.ask(asked.take(np.array([group])), 0)
        tally.add(against, range(len(against.packed)))
        tally.end_group()
    return tally.top(1, 100)


def throughput(host: bool, bandwidth: float | None) -> dict[str, Any]:
    """Comparisons a second, with all copies and of resident references, beside the CPU's with all threads."""
    references, counts = (40, (1,)) if host else (200_000, (1, 16))
    against = columns_of(references, 1)
    cuda = FingerCuda(keep=True, device=open_device(host))
    result: dict[str, Any] = {"references": references, "bytes_a_reference": against.nbytes / references}
    for count in counts:
        asked = columns_of(count, 0)
        times = []
        for _ in range(2 if host else 6):  # the first run copies the references
            start = time.perf_counter()
            scores = cuda.scores(asked, against, 0)
            times.append(time.perf_counter() - start)
        pace = {"first_s": times[0], "seconds": statistics.median(times[1:])}
        pace["comparisons_per_second"] = scores.size / pace["seconds"]
        start = time.perf_counter()
        cuda.scores(asked, against, mode_of("", early_exit=True))
        pace["early_exit_comparisons_per_second"] = scores.size / (time.perf_counter() - start)
        if bandwidth:  # the references alone, read once a probe, would take so much of the copy bandwidth
            pace["share_of_copy_bandwidth"] = count * against.nbytes / pace["seconds"] / bandwidth
        some = against.take(np.arange(min(references, 20_000)))
        start = time.perf_counter()
        expected = score_matrix(asked, some, "cpu")
        pace["cpu_comparisons_per_second"] = expected.size / (time.perf_counter() - start)
        assert np.array_equal(expected, scores[:, : len(some)]), "scores differ from the CPU's"
        result[f"{count} probes"] = pace
        print(
            f"   {references:,} prints, {count} probes: {pace['comparisons_per_second']:.2e} comparisons/s", flush=True
        )
    result["searches"] = searches(cuda, columns_of(1, 0), against, host)
    return result


def searches(cuda: FingerCuda, probe: FingerColumns, against: FingerColumns, host: bool) -> list[dict[str, Any]]:
    """Seconds of a search by one print, from packed columns to the ten best of so many subjects, copies included."""
    paces = []
    for subjects in (len(against), 20_000) if host else (len(against), 10_000_000):
        whose = np.arange(len(against), dtype=np.uint32) * np.uint32(subjects // len(against))
        references, steps = References(against, whose), []
        for _ in range(2 if host else 6):  # the first run copies the subjects' numbers
            times = [time.perf_counter()]
            tally = cuda.tally(subjects)
            tally.ask(probe, 0)
            tally.add(references, range(len(against)))
            tally.end_group()
            keys = tally.top(1, 10)
            times.append(time.perf_counter())
            tally.top(1, 10)  # once more, with nothing else to wait for
            times.append(time.perf_counter())
            steps.append(np.diff(times))
        search, top = np.median(steps[1:], axis=0).tolist()
        paces.append(
            {
                "subjects": subjects,
                "seconds": search,
                "of them for the best": top,
                "comparisons_per_second": len(against) / search,
                "best_score": int(keys[0] >> np.uint64(32)),
            }
        )
        print(f"   a search among {subjects:,} subjects: {search:.2e} s, of them {top:.2e} for the best", flush=True)
    return paces
