"""Parity and pace of fingerprint comparison on a GPU, for gpu_measure.py: synthetic impressions, nothing real."""

import statistics
import time
from typing import Any

import numpy as np

from pcc_match.datasets import minutiae
from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.compare import LATENTS, score_matrix
from pcc_match.finger.cuda import FILE, FingerCuda

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
    for side, latent in enumerate(LATENTS):
        expected = score_matrix(asked, against, "cpu", latent=latent)
        found = cuda.scores(asked, against, side)
        differ = int((expected != found).sum())
        assert not differ, f"{differ} of {expected.size} scores differ from the CPU's, latent {latent!r}"
        name = f"fingers, latents on side {latent}" if latent else "fingers"
        done[name] = {"pairs": expected.size, "above_100": int((expected > 100).sum())}
        print(f"   {name}: {expected.size:,} scores, equal", flush=True)
    return done


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
    return result
