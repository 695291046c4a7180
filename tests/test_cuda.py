"""The CUDA back end equals the rule, pair by pair: its kernels on the CPU, and on a GPU where there is one.

Every test takes the driver of backends/cuda.py as it is; only the device under it differs.
"""

import sys
import threading
from dataclasses import dataclass

import numpy as np
import pytest
from engine_cases import gallery
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernels_on_host.fake_cupy import CudaError, fake_cupy
from kernels_on_host.host_device import HostDevice

import pcc_match as pm
from pcc_match import _cpu, datasets
from pcc_match.backends import cuda
from pcc_match.backends.cuda import CudaBackend
from pcc_match.backends.device import CupyDevice, devices
from pcc_match.candidates import HIT
from pcc_match.dna.rule import DnaRule, MixtureRule, StringencyRule
from pcc_match.errors import DeviceError

TREATY = DnaRule(6, 1, 1, 1, 1, True, (1, 2, 3, 4))
COUNTS = ["full", "wildcards", "microvariants", "mismatches", "quality"]


@pytest.fixture(params=["227 KB", "48 KB", "no room in shared memory", "gpu"])
def device(request):
    """A device: the kernels on the host with a GPU's shared memory, or a GPU."""
    if request.param == "gpu":
        return request.getfixturevalue("gpu")
    shared_bytes = {"227 KB": 227 << 10, "48 KB": 48 << 10, "no room in shared memory": 1 << 10}[request.param]
    return HostDevice(shared_bytes=shared_bytes)


@pytest.fixture(autouse=True)
def _slices(monkeypatch):
    """Few probes are shared out among several thread blocks, as many are."""
    monkeypatch.setattr(cuda, "SLICE", 40)


def part(codes, live=None):
    return codes, np.arange(codes.shape[1], dtype=np.int32), live


def backend_of(codes, device, live=None, **options):
    return CudaBackend([part(codes, live)], codes.shape[1], device=device, **options)


@dataclass
class Batch:
    """Probes as back ends see them."""

    codes: np.ndarray | None = None
    mixtures: np.ndarray | None = None

    def __len__(self):
        return len(self.mixtures if self.codes is None else self.codes)


def search(backend, probes, rule):
    mixtures = isinstance(rule, MixtureRule)
    return joined([backend.search(Batch(mixtures=probes) if mixtures else Batch(probes), rule)])


def rematch(backend, against, rule, *new):
    """The pairs in order; of pairs of one gallery, the smaller row first."""
    hits = backend.rematch(against, rule, *new)
    if against is None:
        rows = hits["probe"], hits["row"]
        hits["probe"], hits["row"] = np.minimum(*rows), np.maximum(*rows)
    return joined([hits])


def oracle(probes, codes, rule, live=None):
    """HIT records of the compiled rule on every pair."""
    compare = {DnaRule: _cpu.compare_dna, StringencyRule: _cpu.compare_stringency, MixtureRule: _cpu.compare_mixture}
    found = [np.zeros(0, HIT)]
    for number in range(len(probes)):
        counts = compare[type(rule)](probes[number : number + 1], codes, rule.packed())
        rows = np.flatnonzero(counts[:, 4] if live is None else counts[:, 4] * live)
        hits = np.zeros(len(rows), HIT)
        hits["probe"], hits["row"] = number, rows
        for column, name in enumerate(COUNTS):
            hits[name] = counts[rows, column]
        found.append(hits)
    return np.concatenate(found)


def pairs(hits):
    """The hits of a comparison of all with all, each unordered pair once."""
    return hits[hits["probe"] < hits["row"]]


def joined(parts):
    hits = np.concatenate([np.zeros(0, HIT), *parts])
    return hits[np.lexsort((hits["row"], hits["probe"]))]


def random_rule(r):
    """Any treaty rule; most have a filter."""
    limit = [*range(6), None]
    qualities = tuple(q for q in (1, 2, 3, 4) if r.random() < 0.8) or (4,)
    maxima = (limit[r.integers(7)] for _ in range(3))
    return DnaRule(int(r.integers(1, 13)), int(r.integers(5)), *maxima, bool(r.integers(2)), qualities)


@pytest.mark.parametrize("n", [0, 1, 31, 32, 33, 511, 512, 513, 2000])
def test_search_finds_what_the_rule_accepts_at_every_size(device, n):
    codes = gallery(n, seed=n)
    probes = np.concatenate([codes[:70], gallery(20, seed=1)])
    assert np.array_equal(search(backend_of(codes, device), probes, TREATY), oracle(probes, codes, TREATY))


@pytest.mark.parametrize("count", [0, 1, 2, 31, 33, 63, 64, 65, 200])
def test_any_number_of_probes(device, count):
    codes = gallery(700, seed=3)
    probes = codes[:count]
    assert np.array_equal(search(backend_of(codes, device), probes, TREATY), oracle(probes, codes, TREATY))


@pytest.mark.parametrize("differences", range(6))
@pytest.mark.parametrize("least", [1, 6, 14])
def test_any_number_of_differences(device, differences, least):
    rule = DnaRule(least, differences, None, None, None, True, (1, 2, 3, 4))
    codes = gallery(900, seed=4)
    probes = codes[::9]
    assert np.array_equal(search(backend_of(codes, device), probes, rule), oracle(probes, codes, rule))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1 << 30), n=st.integers(1, 1500), loci=st.integers(1, 24), alleles=st.integers(2, 12),
    shared=st.sampled_from([227, 99, 48, 1]),
)  # fmt: skip
def test_search_and_rematch_equal_the_rule(seed, n, loci, alleles, shared):
    r = np.random.default_rng(seed)
    codes, rule = gallery(n, loci, seed, alleles=alleles), random_rule(r)
    live = (r.random(n) < 0.9).astype(np.uint8)
    backend = backend_of(codes, HostDevice(shared_bytes=shared << 10, seed=seed), live)
    probes = codes[r.choice(n, min(n, int(r.integers(1, 150))))]
    assert np.array_equal(search(backend, probes, rule), oracle(probes, codes, rule, live))
    few = codes[:300]
    backend = backend_of(few, HostDevice(shared_bytes=shared << 10, seed=seed), live[:300])
    expected = oracle(few, few, rule, live[:300])
    assert np.array_equal(rematch(backend, None, rule), pairs(expected[live[expected["probe"]] > 0]))


def test_more_than_64_loci_and_a_minimum_beyond_the_filters_counter(device):
    codes = gallery(600, 90, seed=5)
    probes = codes[::5]
    backend = backend_of(codes, device)
    for least in (6, 33, 60):
        rule = DnaRule(least, 2, 2, 2, 2, True, (1, 2, 3, 4))
        assert np.array_equal(search(backend, probes, rule), oracle(probes, codes, rule))


def test_stringency_and_mixture_rules(device):
    codes = gallery(600, seed=6)
    backend = backend_of(codes, device)
    probes = codes[::7]
    for level in ("high", "moderate", "low"):
        for lower in (0, 2):
            rule = StringencyRule(level, 5, lower)
            assert np.array_equal(search(backend, probes, rule), oracle(probes, codes, rule))
    shows = np.zeros((40, codes.shape[1], 256), bool)
    for start in (0, 40, 80):  # three contributors
        np.put_along_axis(shows, codes[start : start + 40].astype(np.int64), True, 2)
    shows[:, :, 0] = False
    mixtures = np.packbits(shows, axis=2, bitorder="little").view(np.uint64)
    for missing in (0, 1, 3):
        mixture = MixtureRule(missing, 5)
        assert np.array_equal(search(backend, mixtures, mixture), oracle(mixtures, codes, mixture))


def test_survivors_beyond_the_room_for_them_are_not_lost(device, monkeypatch):
    """600 equal profiles: 360,000 matches, with room for 64 and, at first, for few more."""
    monkeypatch.setattr(cuda, "FIRST_ROOM", 64)
    codes = np.repeat(gallery(40, seed=7, alleles=3)[8:9], 600, axis=0)
    backend = backend_of(codes, device)
    assert len(search(backend, codes, TREATY)) == 600 * 600
    assert len(rematch(backend, None, TREATY)) == 600 * 599 // 2
    exhaustive = DnaRule(6, 4, 4, 4, 4, True, (1, 2, 3, 4))
    assert np.array_equal(search(backend, codes[:9], exhaustive), oracle(codes[:9], codes, exhaustive))


@pytest.mark.parametrize("shared_bytes", [227 << 10, 1 << 10])
def test_a_gallery_larger_than_the_device_is_streamed(shared_bytes, monkeypatch):
    monkeypatch.setattr(cuda, "TILE", 500)
    codes = gallery(3000, seed=8)
    device = HostDevice(shared_bytes=shared_bytes, memory=_cpu.DnaIndex([part(codes)], 16).bytes * 2 // 3)
    backend = backend_of(codes, device)
    probes = codes[::40]
    assert np.array_equal(search(backend, probes, TREATY), oracle(probes, codes, TREATY))
    whole = backend_of(codes, HostDevice())
    assert np.array_equal(rematch(backend, None, TREATY), rematch(whole, None, TREATY))


def test_matches_of_one_probe_fill_the_device():
    """Where even one probe's matches are many, tiles are halved until they fit."""
    codes = np.repeat(gallery(40, seed=7, alleles=3)[8:9], 2000, axis=0)
    backend = backend_of(codes, HostDevice(memory=120_000))
    assert len(search(backend, codes[:20], TREATY)) == 20 * 2000


def test_too_little_memory_is_an_error_that_says_so():
    codes = gallery(600, seed=9)
    with pytest.raises(DeviceError, match="too small for one block of 512 profiles"):
        backend_of(codes, HostDevice(memory=20_000))
    with pytest.raises(DeviceError, match="out of device memory"):
        search(backend_of(codes, HostDevice(memory=20_000), memory=1 << 20), codes[:1], TREATY)


def test_rematch_of_all_fresh_and_other(device):
    codes = gallery(1300, seed=10)
    live = np.random.default_rng(0).random(1300) < 0.9
    backend = backend_of(codes, device, live.astype(np.uint8))
    expected = oracle(codes, codes, TREATY, live)
    expected = pairs(expected[live[expected["probe"]]])
    assert np.array_equal(rematch(backend, None, TREATY), expected)

    new = np.arange(1300) % 7 == 0
    of_new = expected[new[expected["probe"]] | new[expected["row"]]]
    assert np.array_equal(rematch(backend, None, TREATY, new), of_new)
    assert not len(rematch(backend, None, TREATY, np.zeros(1300, bool)))

    other = gallery(500, seed=11)
    other[:200] = codes[:200]
    other[:, [0, 3]] = 0  # an index that has fewer loci, in another order
    there = backend_of(other, device)
    expected = oracle(codes, other, TREATY)
    expected = expected[live[expected["probe"]]]
    assert np.array_equal(rematch(backend, there, TREATY), expected)
    assert np.array_equal(rematch(backend, there, TREATY, new), expected[new[expected["probe"]]])


def test_several_parts_with_their_own_columns(device):
    codes = gallery(900, seed=12)
    codes[500:, 5] = 0
    columns = np.delete(np.arange(16), 5)[::-1]
    parts = [
        (codes[:500], np.arange(16, dtype=np.int32), None),
        (np.ascontiguousarray(codes[500:][:, columns]), columns.astype(np.int32), None),
    ]
    probes = codes[::11]
    backend = CudaBackend(parts, 16, device=device)
    assert np.array_equal(search(backend, probes, TREATY), oracle(probes, codes, TREATY))


def test_threads_take_turns(device):
    codes = gallery(800, seed=13)
    backend = backend_of(codes, device)
    expected = oracle(codes[:90], codes, TREATY)
    found = [None] * 4

    def work(thread):
        found[thread] = [search(backend, codes[:90], TREATY), rematch(backend, None, TREATY)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(found))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(hits, expected) for hits, _ in found)
    assert len({matches.tobytes() for _, matches in found}) == 1


def test_a_rematch_that_makes_no_sense_is_refused(device):
    backend = backend_of(gallery(10), device)
    with pytest.raises(DeviceError, match="mixture"):
        backend.rematch(None, MixtureRule(0, 1))
    with pytest.raises(DeviceError, match="same kind of device"):
        backend.rematch(object(), TREATY)


def test_progress_grows_to_one(device, monkeypatch):
    monkeypatch.setattr(cuda, "TILE", 256)
    backend, told = backend_of(gallery(1500), device), []
    backend.rematch(None, TREATY, progress=told.append)
    assert told == sorted(told)
    assert len(told) >= 6
    assert told[-1] == 1


def test_results_do_not_depend_on_the_order_in_which_the_device_works():
    codes = gallery(1200, seed=14)
    results = {search(backend_of(codes, HostDevice(seed=seed)), codes[:100], TREATY).tobytes() for seed in range(5)}
    assert len(results) == 1


# ---- The GPU as CuPy shows it, on a stand-in for the parts of CuPy that are used


def test_searches_through_cupy(monkeypatch):
    host = HostDevice(memory=1 << 24)
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(host))
    assert devices() == ["cuda:0 Fake GPU (compute capability 9.0)"]
    codes = gallery(3000, seed=15)
    backend = CudaBackend([part(codes)], 16)
    assert backend.description == "cuda:0 Fake GPU"
    assert np.array_equal(search(backend, codes[:90], TREATY), oracle(codes[:90], codes, TREATY))
    assert host.launches == ["dna_compile", "dna_filter_shared", "dna_verify"]
    backend.close()
    assert host.free_bytes() > (1 << 24) - 2000


def test_a_matcher_gives_the_same_lists_on_cuda_and_cpu(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(HostDevice()))
    model = datasets.DnaModel(copies=500_000, errors=(300_000,) * 4, wildcards=(300_000,) * 4)
    ((columns, _),) = datasets.synthesize(400, 3, model=model)
    pm.DnaGallery.create(tmp_path / "gallery").enrol(columns)
    gallery = pm.DnaGallery.open(tmp_path / "gallery")
    lines = {}
    for device in ("cuda", "auto", "cpu"):
        with pm.Matcher(gallery, treaty="wildcards-unlimited", device=device) as matcher:
            assert ("Fake GPU" in repr(matcher)) == (device != "cpu")
            found = [(result.references, result.hits.tolist()) for result in matcher.search(columns)]
            lines[device] = found, list(pm.rematch(matcher).lines())
    assert lines["cuda"] == lines["auto"] == lines["cpu"]
    assert len(lines["cpu"][1]) > 100


def test_what_cuda_complains_of_is_a_device_error(monkeypatch):
    cupy = fake_cupy(HostDevice())
    monkeypatch.setitem(sys.modules, "cupy", cupy)

    def fails(*arguments, **options):
        raise CudaError("cudaErrorUnknown: unknown error")

    monkeypatch.setattr(cupy, "empty", fails)
    with pytest.raises(DeviceError, match="the GPU failed while allocating memory: cudaErrorUnknown"):
        CudaBackend([part(gallery(10))], 16)
    monkeypatch.setattr(cupy, "RawModule", fails)
    with pytest.raises(DeviceError, match="the GPU failed while preparing GPU 0: cudaErrorUnknown"):
        CupyDevice()


def test_an_absent_gpu_is_an_error_that_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", fake_cupy(HostDevice(), gpus=0))
    with pytest.raises(DeviceError, match="CuPy finds no GPU; is one hidden by CUDA_VISIBLE_DEVICES"):
        CupyDevice()
    cupy = fake_cupy(HostDevice(), gpus=2)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    with pytest.raises(DeviceError, match="there is no GPU 2: this machine has 2, counted from 0"):
        CupyDevice(2)

    def no_driver():
        raise CudaError("cudaErrorInsufficientDriver: too old")

    monkeypatch.setattr(cupy.cuda.runtime, "getDeviceCount", no_driver)
    with pytest.raises(DeviceError, match=r"cudaErrorInsufficientDriver: too old.*with a driver recent enough"):
        devices()
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"device 'cuda' needs CuPy .*pip install 'pcc_match\[gpu\]'"):
        CupyDevice()
