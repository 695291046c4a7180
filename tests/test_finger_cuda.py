"""Fingerprint scores by the CUDA kernel, on the host's stand-in and on a GPU where there is one: the CPU's, each."""

import subprocess
import sys

import numpy as np
import pytest
from kernels_on_host.host_device import HostDevice
from kernels_on_host.tape import record_fingers, replay_sanitized
from made_up_fingers import cutting, finger, impression

import pcc_match as pm
from pcc_match.backends.device import CupyDevice
from pcc_match.backends.kernels import kernel_source
from pcc_match.errors import DeviceError
from pcc_match.finger import FingerTemplate, MinutiaSet
from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.cuda import FILE, FingerCuda
from pcc_match.finger.devices import LATENTS, CpuScorer, mode_of
from pcc_match.finger.prints import FingerRecord


@pytest.fixture(params=["host", "gpu"])
def gpu_scores(request):
    """A device that scores: the kernel on the host, or a GPU."""
    if request.param == "gpu":
        request.getfixturevalue("gpu")
        return FingerCuda(device=CupyDevice(file=FILE))
    return FingerCuda(device=HostDevice(FILE))


def columns_of(*templates):
    return FingerColumns.pack(templates)


def check(cuda, probes, references, latents=LATENTS):
    for latent in latents:
        for early in (True, False):
            expected = pm.score_matrix(probes, references, "cpu", latent=latent, early_exit=early)
            assert np.array_equal(cuda.scores(probes, references, mode_of(latent, early_exit=early)), expected)
        wanted, likeness = np.arange(len(references)) % 3 != 1, mode_of(latent, likeness=True)
        assert np.array_equal(cuda.scores(probes, references, mode_of(latent), wanted=wanted), expected * wanted)
        assert np.array_equal(
            cuda.scores(probes, references, likeness), CpuScorer().scores(probes, references, likeness)
        )
    return expected


def test_mated_and_non_mated_prints(gpu_scores):
    fingers = [finger(seed, 20 + 3 * seed) for seed in range(6)]
    probes = columns_of(*(impression(f, k, turn=12 * k) for k, f in enumerate(fingers)))
    scores = check(gpu_scores, probes, columns_of(*fingers), LATENTS[:1])
    assert (np.argmax(scores, axis=1) == np.arange(6)).all()
    assert np.diag(scores).min() > 100


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 31, 32, 33, 63, 64, 65, 96, 97, 127, 128, 200])
def test_any_number_of_minutiae(gpu_scores, count):
    crowd = finger(count, count, size=(700, 800))
    others = columns_of(finger(1), impression(crowd, 2, turn=40), finger(3, 128, size=(700, 800)))
    check(gpu_scores, columns_of(crowd), others)


def test_latents_turned_any_way(gpu_scores):
    whole = [finger(seed) for seed in range(4)]
    latents = columns_of(*(impression(cutting(f, 5, 12), k, turn=90 * k) for k, f in enumerate(whole)))
    check(gpu_scores, latents, columns_of(*whole))
    check(gpu_scores, columns_of(*whole), latents)


def test_ties_everywhere(gpu_scores):
    """A lattice of equal minutiae: every choice is between equals."""
    x, y = np.meshgrid(np.arange(40, 360, 40), np.arange(40, 360, 40))
    n = x.size
    lattice = FingerTemplate((MinutiaSet(x.ravel(), y.ravel(), np.full(n, 64), np.ones(n), np.full(n, 50)),), 1)
    turned = FingerTemplate((MinutiaSet(x.ravel(), y.ravel(), np.full(n, 192), np.ones(n), np.full(n, 50)),), 1)
    check(gpu_scores, columns_of(lattice, turned), columns_of(turned, lattice))


def test_several_sets_of_a_finger_are_summed(gpu_scores):
    two = FingerTemplate.join(finger(1), impression(finger(1), 3))
    check(gpu_scores, columns_of(two, finger(2)), columns_of(finger(2), two, impression(two, 4)))


@pytest.mark.parametrize(("probes", "references"), [(0, 3), (3, 0), (0, 0), (1, 1), (1, 9)])
def test_any_number_of_templates(gpu_scores, probes, references):
    a, b = (columns_of(*(finger(seed, 12) for seed in range(n))) for n in (probes, references))
    check(gpu_scores, a, b, LATENTS[:1])


def test_what_does_not_fit_goes_through_in_pieces():
    references = columns_of(*(finger(seed, 25) for seed in range(20)))
    probes = columns_of(finger(1, 25), finger(2, 25))
    device = HostDevice(FILE, memory=references.nbytes)
    check(FingerCuda(device=device), probes, references, LATENTS[:1])
    assert len(device.launches) > 2
    with pytest.raises(DeviceError, match="has no memory for 2 probes and a reference"):
        FingerCuda(device=HostDevice(FILE, memory=1000)).scores(probes, references, 0)


def test_a_matcher_on_cuda_keeps_its_references_there(tmp_path, monkeypatch):
    device = HostDevice(FILE)
    monkeypatch.setattr("pcc_match.finger.search.open_scorer", lambda _, keep: FingerCuda(keep=keep, device=device))
    monkeypatch.setattr("pcc_match.finger.cuda.GRID", 7)
    with pm.FingerGallery.create(tmp_path / "prints") as gallery:
        gallery.enrol([FingerRecord(f"{seed}", finger(seed, 25, position=1 + seed % 3)) for seed in range(20)])
        probes = [impression(finger(seed, 25, position=position), 9) for seed, position in ((3, 1), (4, 0))]
        found = []
        with pm.Matcher(gallery) as matcher:
            for _ in range(2):
                found.append([[(m.subject, m.score) for m in matcher.search(p, "LT/TP")] for p in probes])
                live = len(device.live)
            assert len(device.live) == live
        monkeypatch.undo()
        with pm.Matcher(gallery, device="cpu") as matcher:
            expected = [[(m.subject, m.score) for m in matcher.search(p, "LT/TP")] for p in probes]
    assert found == [expected, expected]


def test_under_the_sanitizers(tmp_path):
    """The kernel on memory of its exact size under AddressSanitizer and UndefinedBehaviorSanitizer."""
    assert record_fingers(tmp_path / "tape") == 2 * len(LATENTS) + 7
    done = replay_sanitized(tmp_path / "tape", kernel_source(FILE))
    assert done.returncode == 0, done.stdout + done.stderr


def test_cuda_is_refused_loudly_where_there_is_no_gpu():
    code = "import pcc_match as pm; pm.score_matrix([], [], device='cuda')"
    environment = {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert "DeviceError" in done.stderr
