"""The CUDA back end held against the CPU's, and its pace. Run by gpu_check.py, which says what all of it is for.

    python -P benchmarks/gpu_measure.py parity|throughput OUT.json [--host] [--seconds S]

--host takes the kernels on the host in place of a GPU, with small numbers: a rehearsal, whose times mean nothing.
"""

import argparse
import json
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gpu_fingers
import numpy as np

from pcc_match import _cpu, datasets
from pcc_match.backends import COMPARED, Backend, Part, Probes, open_backend
from pcc_match.backends.cuda import CudaBackend
from pcc_match.backends.device import CupyDevice
from pcc_match.dna.rule import DnaRule, MixtureRule, Rule, StringencyRule
from pcc_match.errors import DeviceError
from pcc_match.treaties import treaties, treaty

SEED = 1
COUNTS = ("full", "wildcards", "microvariants", "mismatches", "quality")


def parts_of(count: int, seed: int = SEED, model: datasets.DnaModel | None = None) -> list[Part]:
    """Synthetic profiles as the one part of a gallery."""
    made = [columns for columns, _ in datasets.synthesize(count, seed, model=model)]
    if not made:
        return []
    codes = np.concatenate([columns.codes for columns in made])
    place = {name: number for number, name in enumerate(COMPARED)}
    return [(codes, np.array([place.get(name, -1) for name in made[0].loci], np.int32), None)]


def whole_codes(parts: list[Part]) -> np.ndarray:
    """uint8 (n, len(COMPARED), 2)."""
    (codes, columns, _), kept = parts[0], parts[0][1] >= 0
    whole = np.zeros((len(codes), len(COMPARED), 2), np.uint8)
    whole[:, columns[kept]] = codes[:, kept]
    return whole


def cpu_backend(parts: list[Part]) -> Backend:
    return open_backend("cpu", parts, lambda row: NotImplemented, None)


class Batch(Probes):
    """Probes as codes; as mixtures, the alleles of three neighbours each."""

    def __init__(self, codes: np.ndarray) -> None:
        super().__init__([])
        self.codes = codes
        shows = np.zeros((len(codes), len(COMPARED), 256), bool)
        for shift in range(3):
            np.put_along_axis(shows, np.roll(codes, shift, axis=0).astype(np.int64), True, 2)
        shows[:, :, 0] = False
        self.mixtures = np.packbits(shows, axis=2, bitorder="little").view(np.uint64)

    def __len__(self) -> int:
        return len(self.codes)


def in_order(hits: np.ndarray) -> np.ndarray:
    return hits[np.lexsort((hits["row"], hits["probe"]))]


def unordered(hits: np.ndarray) -> np.ndarray:
    rows = hits["probe"], hits["row"]
    hits["probe"], hits["row"] = np.minimum(*rows), np.maximum(*rows)
    return in_order(hits)


# ---- Devices


class Clock:
    """Time of each kernel on the device, by name, in seconds."""

    def __init__(self, device: Any) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self._events: list[tuple[str, Any, Any]] = []
        self._plain = device.launch
        self._device = device
        self._cupy = device._cupy if isinstance(device, CupyDevice) else None
        device.launch = self._launch

    def _launch(self, kernel: str, *arguments: Any) -> None:
        if self._cupy is None:
            start = time.perf_counter()
            self._plain(kernel, *arguments)
            self.seconds[kernel] += time.perf_counter() - start
            return
        events = self._cupy.cuda.Event(), self._cupy.cuda.Event()
        events[0].record(self._device._stream)
        self._plain(kernel, *arguments)
        events[1].record(self._device._stream)
        self._events.append((kernel, *events))

    def read(self) -> dict[str, float]:
        """Since the last call."""
        for kernel, start, stop in self._events:
            stop.synchronize()
            self.seconds[kernel] += self._cupy.cuda.get_elapsed_time(start, stop) / 1000
        self._events.clear()
        seconds, self.seconds = dict(self.seconds), defaultdict(float)
        return seconds


def open_device(host: bool) -> Any:
    if host:
        from kernels_on_host.host_device import HostDevice

        return HostDevice()
    return CupyDevice()


# ---- Parity


def rules() -> Iterator[tuple[str, Rule]]:
    for name in treaties():
        if name != "pruem-ii":  # no published act states its rule
            yield name, treaty(name).dna
    for most in (0, 2, 3, 5):
        yield f"up to {most} differences", DnaRule(8, most, None, None, None, True, (1, 2, 3, 4))
    for level in ("high", "moderate", "low"):
        yield f"{level} stringency", StringencyRule(level, 8, 1)
    yield "mixture", MixtureRule(1, 8)


def parity(device: Any, host: bool) -> dict[str, Any]:
    """Raises AssertionError where the CPU and the device differ; else how much was compared."""
    n, m, pairwise = (2000, 100, 3) if host else (100_000, 1000, 20)
    # So many copies, errors and wildcards that matches of every quality occur.
    model = datasets.DnaModel(copies=300_000, errors=(200_000,) * 4, wildcards=(200_000,) * 4, mixtures=50_000)
    parts = parts_of(n, model=model)
    codes = whole_codes(parts)
    probes = np.concatenate([codes[:: n // m][: m // 2], whole_codes(parts_of(m // 2, SEED + 1))])
    batch = Batch(probes)
    cpu = cpu_backend(parts)
    gpu = CudaBackend(parts, len(COMPARED), device=device)
    done: dict[str, Any] = {}

    def same(what: str, pairs: int, expected: np.ndarray, found: np.ndarray) -> None:
        assert np.array_equal(expected, found), (
            f"{what}: {len(expected)} matches expected, {len(found)} found, or others"
        )
        done[what] = {"pairs": pairs, "matches": len(expected)}
        print(f"   {what}: {pairs:,} pairs, {len(expected):,} matches, equal", flush=True)

    for name, rule in rules():
        same(f"search, {name}", n * len(batch), in_order(cpu.search(batch, rule)), in_order(gpu.search(batch, rule)))
    for name, rule in rules():
        if isinstance(rule, DnaRule):
            hits = in_order(gpu.search(Batch(probes[:pairwise]), rule))
            for number in range(pairwise):
                counts = _cpu.compare_dna(probes[number : number + 1], codes, rule.packed())
                rows = np.flatnonzero(counts[:, 4])
                own = hits[hits["probe"] == number]
                assert np.array_equal(own["row"], rows), f"probe {number} under {name}"
                assert all(np.array_equal(own[c], counts[rows, k]) for k, c in enumerate(COUNTS)), (number, name)
    done["search, pair by pair"] = {"pairs": n * pairwise}

    rule = treaty("pcc-see").dna
    expected = unordered(cpu.rematch(None, rule))
    same("all with all", n * (n - 1) // 2, expected, unordered(gpu.rematch(None, rule)))
    new = np.arange(n) % 10 == 3
    same(
        "new with all",
        int(new.sum()) * n,
        unordered(cpu.rematch(None, rule, new)),
        unordered(gpu.rematch(None, rule, new)),
    )
    other = parts_of(n // 2, model=model)
    there = (
        open_backend("cpu", other, lambda row: NotImplemented, None),
        CudaBackend(other, len(COMPARED), device=device),
    )
    two = (in_order(here.rematch(that, rule)) for here, that in zip((cpu, gpu), there, strict=True))
    same("one gallery with another", n * (n // 2), *two)
    chunked = CudaBackend(
        parts, len(COMPARED), device=device, memory=_cpu.DnaIndex(parts, len(COMPARED)).bytes * 2 // 3
    )
    same("all with all, streamed", n * (n - 1) // 2, expected, unordered(chunked.rematch(None, rule)))
    return done


# ---- Throughput


def copy_bandwidth(device: Any) -> float:
    """Bytes read and written a second by a copy within the device's memory."""
    cupy, size = device._cupy, 1 << 31
    source, target = cupy.ones(size, cupy.uint8), cupy.empty(size, cupy.uint8)
    times = []
    for _ in range(12):
        start, stop = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        cupy.copyto(target, source)
        stop.record()
        stop.synchronize()
        times.append(cupy.cuda.get_elapsed_time(start, stop) / 1000)
    del source, target
    cupy.get_default_memory_pool().free_all_blocks()
    return 2 * size / statistics.median(times[2:])


def median_seconds(work: Callable[[], Any], runs: int) -> float:
    times = []
    for _ in range(runs + 2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def throughput(device: Any, host: bool, seconds: float) -> dict[str, Any]:
    """Times on the host's clock, with all copies, and of the kernels alone, on the device's."""
    end = time.perf_counter() + seconds
    clock = Clock(device)
    rule = treaty("pcc-see").dna
    result: dict[str, Any] = {"galleries": []}
    if not host:
        result["copy_bytes_per_second"] = copy_bandwidth(device)
        print(f"   copy within device memory: {result['copy_bytes_per_second'] / 1e12:.2f} TB/s", flush=True)
    sizes = (500, 2000) if host else (10_000, 100_000, 1_000_000, 10_000_000)
    for n in sizes:
        left, needed = end - time.perf_counter(), 9e-6 * n
        if left < needed:
            print(f"   {n:,} profiles: left out, {left:.0f} s are left and about {needed:.0f} s would be needed")
            result["galleries"].append({"profiles": n, "left_out": "out of time"})
            continue
        result["galleries"].append(gallery_pace(device, clock, rule, n, host))
    return result


@contextmanager
def kernels(clock: Clock, into: dict[str, Any], runs: int = 1) -> Iterator[None]:
    clock.read()
    yield
    into["kernel_seconds"] = {name: s / runs for name, s in clock.read().items()}


def gallery_pace(device: Any, clock: Clock, rule: Rule, n: int, host: bool) -> dict[str, Any]:
    start = time.perf_counter()
    parts = parts_of(n)
    made = time.perf_counter()
    backend = CudaBackend(parts, len(COMPARED), device=device)
    backend.search(Batch(whole_codes([(parts[0][0][:1], parts[0][1], None)])), rule)
    pace: dict[str, Any] = {"profiles": n, "made_s": made - start, "indexed_and_copied_s": time.perf_counter() - made}
    most = 128 if host else 10_000
    probes = Batch(whole_codes([(parts[0][0][:: max(1, n // most)][:most], parts[0][1], None)]))

    single: dict[str, Any] = {}
    runs = 3 if host else 200
    with kernels(clock, single, runs + 2):
        one = Batch(probes.codes[:1])
        single["seconds"] = median_seconds(lambda: backend.search(one, rule), runs)
    pace["one probe"] = single
    for count in sorted({len(probes) // 10, len(probes)}):
        batch: dict[str, Any] = {"probes": count}
        some = Batch(probes.codes[:count])
        runs = 1 if host else 5
        with kernels(clock, batch, runs + 2):
            batch["seconds"] = median_seconds(lambda some=some: backend.search(some, rule), runs)
        batch["comparisons_per_second"] = n * count / batch["seconds"]
        batch["kernel_comparisons_per_second"] = n * count / sum(batch["kernel_seconds"].values())
        pace[f"{count} probes"] = batch
        paces = batch["comparisons_per_second"], batch["kernel_comparisons_per_second"]
        print(f"   {n:,} profiles, {count:,} probes: {paces[0]:.2e} comparisons/s, {paces[1]:.2e} in the kernels alone")
    print(f"   {n:,} profiles, one probe: {single['seconds'] * 1e6:,.0f} us", flush=True)

    whole: dict[str, Any] = {}
    for _ in range(2 if n <= 1_000_000 else 1):  # the first run grows the buffers
        with kernels(clock, whole):
            start = time.perf_counter()
            hits = backend.rematch(None, rule)
            whole["seconds"] = time.perf_counter() - start
    whole["matches"] = len(hits)
    whole["pairs_per_second"] = n * (n - 1) / 2 / whole["seconds"]
    if n <= 1_000_000:
        start = time.perf_counter()
        expected = cpu_backend(parts).rematch(None, rule)
        whole["cpu_seconds_with_index"] = time.perf_counter() - start
        assert np.array_equal(unordered(expected), unordered(hits)), f"all with all at {n}: the CPU finds others"
        whole["equal_to_the_cpu"] = True
    pace["all with all"] = whole
    alone = sum(whole["kernel_seconds"].values())
    print(
        f"   {n:,} profiles: all with all {whole['seconds']:.3f} s ({alone:.3f} s in the kernels), "
        f"{whole['pairs_per_second']:.2e} pairs/s, {len(hits):,} matches",
        flush=True,
    )
    return pace


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["parity", "throughput"])
    parser.add_argument("output", type=Path)
    parser.add_argument("--host", action="store_true")
    parser.add_argument("--seconds", type=float, default=150, help="larger galleries are left out after so long")
    options = parser.parse_args()
    try:
        device = open_device(options.host)
    except DeviceError as e:
        raise SystemExit(f"no device to measure: {e}") from e
    print(f"   {device.name}, {device.multiprocessors} multiprocessors, {device.shared_bytes:,} bytes of shared memory")
    if options.what == "parity":
        result = parity(device, options.host)
        result |= gpu_fingers.parity(options.host)
    else:
        result = throughput(device, options.host, options.seconds)
        result["fingers"] = gpu_fingers.throughput(options.host, result.get("copy_bytes_per_second"))
    options.output.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
