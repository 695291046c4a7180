"""The best subjects of a search, on every device: what a plain account of the rule says, ties and all."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_on_host.host_device import HostDevice
from made_up_fingers import cutting, finger, impression

import pcc_match as pm
from pcc_match.backends.device import CupyDevice
from pcc_match.backends.kernels import kernel_source
from pcc_match.candidates import keys
from pcc_match.errors import DeviceError
from pcc_match.finger import FingerTemplate
from pcc_match.finger.columns import FingerColumns
from pcc_match.finger.cuda import FILE, RANGE, FingerCuda
from pcc_match.finger.devices import CpuScorer, ReferenceScorer
from pcc_match.finger.gallery import FingerGallery
from pcc_match.finger.prints import FingerRecord
from pcc_match.finger.tally import NOBODY, References
from pcc_match.treaties import treaty
from pcc_match.treaties.search_types import FingerRule

# Few prints, so that many scores are equal; small ones, for the kernel takes its time on the host.
TWO = finger(1, 16, size=(150, 150)), finger(2, 14, size=(150, 150))
PRINTS = FingerColumns.pack([*TWO, impression(TWO[0], 4), finger(3, 3), FingerTemplate.join(*TWO)])
SCORES = [CpuScorer().scores(PRINTS, PRINTS, side) for side in range(3)]


@pytest.fixture(scope="module", params=["cpu", "reference", "host", "gpu"])
def device(request):
    """Opens what compares, anew: on each kind of device."""
    if request.param == "gpu":
        request.getfixturevalue("gpu")
    opened = {
        "cpu": CpuScorer,
        "reference": ReferenceScorer,
        "host": lambda: FingerCuda(device=HostDevice(FILE), keep=True),
        "gpu": lambda: FingerCuda(device=CupyDevice(file=FILE), keep=True),
    }
    return opened[request.param]


def sums_by_the_rule(which, subject, groups, side):
    sums = Counter()
    for group in groups:
        best = Counter()
        for probes, rows in group:
            for row in rows:
                best[subject[row]] = max(best[subject[row]], *(int(SCORES[side][p, which[row]]) for p in probes))
        sums.update(best)
    del sums[NOBODY]
    return sums


def best_by_the_rule(sums, least, most):
    """(sum, subject), best first."""
    found = [(total, subject) for subject, total in sums.items() if total >= least]
    return sorted(found, key=lambda entry: (-entry[0], entry[1]))[:most]


def tallied(scorer, which, subject, subjects, groups, side):
    references = References(PRINTS.take(np.array(which, np.intp)), np.array(subject, np.uint32))
    tally = scorer.tally(subjects)
    for group in groups:
        for probes, rows in group:
            tally.ask(PRINTS.take(np.array(probes)), side)
            tally.add(references, rows)
        tally.end_group()
    return tally


def top(tally, least, most):
    return [(key >> 32, ~key & 0xFFFFFFFF) for key in tally.top(least, most).tolist()]


@st.composite
def searches(draw):
    """Which prints the references are, whose, of how many subjects; groups of probes and where they search; a side."""
    subjects = draw(st.sampled_from([1, 3, 9, RANGE, RANGE + 5, 3 * RANGE]))
    whose = st.sampled_from([*range(min(6, subjects)), *range(max(0, subjects - 6), subjects), NOBODY])
    which = draw(st.lists(st.integers(0, len(PRINTS) - 1), max_size=14))
    subject = draw(st.lists(whose, min_size=len(which), max_size=len(which)))
    rows = st.tuples(*(st.integers(0, len(which)) for _ in range(2))).map(lambda ends: range(*sorted(ends)))
    probes = st.lists(st.integers(0, len(PRINTS) - 1), min_size=1, max_size=2)
    groups = draw(st.lists(st.lists(st.tuples(probes, rows), max_size=2), max_size=2))
    return which, subject, subjects, groups, draw(st.integers(0, 2))


@settings(max_examples=40, deadline=None)
@given(search=searches(), least=st.integers(1, 60), most=st.sampled_from([1, 2, 3, 14, 1000]))
def test_finds_the_best_subjects(device, search, least, most):
    which, subject, _, groups, side = search
    expected = best_by_the_rule(sums_by_the_rule(which, subject, groups, side), least, most)
    assert top(tallied(device(), *search), least, most) == expected


@pytest.mark.parametrize("subjects", [1, 255, 256, 257, RANGE - 1, RANGE, RANGE + 1, 2 * RANGE + 1])
def test_any_number_of_subjects_with_equal_scores(device, subjects):
    """The score of a subject counts, then its number: none is lost or listed twice where a range begins or ends."""
    draw = random.Random(subjects)
    subject = [*draw.sample(range(subjects), min(subjects, 60)), 0, subjects - 1]
    which = [draw.choice([0, 1, 4]) for _ in subject]
    groups = [[([0], range(len(which)))]]
    sums = sums_by_the_rule(which, subject, groups, 0)
    tally = tallied(device(), which, subject, subjects, groups, 0)
    for most in (1, 10, 40, 100_000):
        assert top(tally, 1, most) == best_by_the_rule(sums, 1, most)
    assert top(tally, max(sums.values()), 9) == best_by_the_rule(sums, max(sums.values()), 9)
    assert top(tally, max(sums.values()) + 1, 9) == top(tally, 2**40, 9) == []


def test_only_what_is_wanted_counts(device):
    which, subject = [0, 1, 2, 3, 4, 0, 1], [0, 1, 2, NOBODY, 3, 4, 4]
    references = References(PRINTS.take(np.array(which)), np.array(subject, np.uint32))
    tally = device().tally(5)
    tally.ask(PRINTS.take(np.array([0, 1])), 0)
    wanted = np.array([False, True, True, True, False, True])
    tally.add(references, range(1, 7), wanted)
    tally.end_group()
    rows = (1 + np.flatnonzero(wanted)).tolist()
    assert top(tally, 1, 9) == best_by_the_rule(sums_by_the_rule(which, subject, [[([0, 1], rows)]], 0), 1, 9)


def test_no_subjects(device):
    tally = tallied(device(), [], [], 0, [[([0, 1], range(0))]], 0)
    assert top(tally, 1, 10) == []


def test_keys_are_those_of_all_candidates(device):
    tally = tallied(device(), [0, 1, 2], [5, 7, 6], 9, [[([0], range(3))]], 0)
    scores = SCORES[0][0, :3]
    expected = np.sort(keys(scores, np.array([5, 7, 6])))[::-1]
    assert np.array_equal(tally.top(1, 3), expected)


def test_many_threads_may_add(device):
    which, subject = [0, 1, 2, 4] * 10, [k % 7 for k in range(40)]
    references = References(PRINTS.take(np.array(which)), np.array(subject, np.uint32))
    tally = device().tally(7)
    tally.ask(PRINTS.take(np.array([0])), 0)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda first: tally.add(references, range(first, first + 5)), range(0, 40, 5)))
    tally.end_group()
    assert top(tally, 1, 9) == best_by_the_rule(sums_by_the_rule(which, subject, [[([0], range(40))]], 0), 1, 9)


@pytest.mark.parametrize("keep", [False, True])
def test_what_does_not_fit_in_a_gpu_goes_through_in_pieces(keep):
    which, subject = [0, 1, 2, 4] * 8, list(range(32))
    host = HostDevice(FILE, memory=PRINTS.take(np.array(which)).nbytes)
    cuda = FingerCuda(device=host, keep=keep)
    groups = [[([0], range(3, 32)), ([2], range(9))], [([1, 4], range(32))]]
    expected = best_by_the_rule(sums_by_the_rule(which, subject, groups, 0), 1, 10)
    assert top(tallied(cuda, which, subject, 32, groups, 0), 1, 10) == expected
    assert host.launches.count("finger_best") > 2 * 3
    with pytest.raises(DeviceError, match="has no memory for the scores of 1000000 subjects"):
        cuda.tally(1_000_000)


# ---- of matchers


def galleries(folder):
    """Two, with several impressions and sets of a finger, twins and palms in each; some prints are removed."""
    tens = [
        FingerRecord(f"{s}-{p}-{k}", replace(impression(finger(9 * s + p, 14), k), position=p if k else 0), f"S{s}")
        for s in range(5)
        for p in (1, 2)
        for k in range(2)
    ]
    joined = [
        FingerRecord(f"both {s}", FingerTemplate.join(finger(9 * s, 14), finger(s, 9)), f"S{s}") for s in range(3)
    ]
    palms = [FingerRecord(f"palm {s}", finger(s, 140, size=(900, 900), position=21), f"S{s}") for s in (3, 8)]
    twins = [FingerRecord(f"twin {k}", finger(10, 14, position=1)) for k in range(13)]
    records = tens + joined + palms + twins
    for number in range(2):
        with FingerGallery.create(folder / f"{number}") as gallery:
            gallery.enrol(records[number::2])
            gallery.remove([record.id for record in records[number::2][2::6]])
            yield gallery


def test_a_matcher_on_cuda_finds_what_the_cpu_finds(tmp_path, monkeypatch):
    both = list(galleries(tmp_path))
    eu = treaty("eu-2008-616")
    tables = {**eu._tables, "finger.max_candidates": FingerRule(dict.fromkeys(eu.finger.max_candidates, 1000))}
    wide = replace(eu, _tables=tables)
    probe = [finger(10, 14, position=1), finger(11, 14, position=2), finger(10, 14)]
    palm = [cutting(finger(3, 140, size=(900, 900)), 70, 20)]

    def searched(set_):
        with pm.Matcher(*both, treaty=set_) as matcher:
            return [
                [(m.subject, m.score, m.fingers) for m in matcher.search(prints, name, limit=limit, threshold=least)]
                for name, prints in (("TP/TP", probe), ("LT/TP", probe[2:]), ("TP/UL", probe), ("LP/PP", palm))
                for limit, least in ((None, 1), (1, 1), (12, 30))
            ]

    expected = [searched(eu), searched(wide)]
    cuda = FingerCuda(keep=True, device=HostDevice(FILE))
    monkeypatch.setattr("pcc_match.finger.search.open_scorer", lambda _, keep: cuda)
    assert [searched(eu), searched(wide)] == expected
    assert max(map(len, expected[1])) > max(map(len, expected[0]))
    assert all(expected[0])


def test_a_device_that_scores_otherwise_than_the_cpu_is_refused(tmp_path, monkeypatch):
    host = HostDevice(FILE, text=kernel_source(FILE).replace("return 32 + ", "return 33 + "))
    monkeypatch.setattr("pcc_match.finger.search.open_scorer", lambda _, keep: FingerCuda(device=host))
    with FingerGallery.create(tmp_path / "prints") as gallery:
        gallery.enrol([FingerRecord("a", TWO[0])])
        with (
            pm.Matcher(gallery) as matcher,
            pytest.raises(DeviceError, match=r"scored a candidate \d+, the CPU \d+: do not use this device"),
        ):
            matcher.search(TWO[0])
