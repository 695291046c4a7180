"""Error rates against the definitions of ISO/IEC 2382-37 and 19795-1, computed by brute force."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pcc_match.evaluation import rates, trials
from pcc_match.evaluation.histograms import Histogram
from pcc_match.evaluation.rates import OperatingPoints, bootstrap
from pcc_match.evaluation.trials import Trials, run

SCORES = st.lists(st.integers(-4, 6), min_size=1, max_size=12)


def points(mated, nonmated):
    scores = np.union1d(mated, nonmated)
    count = [np.array([np.sum(np.array(side) == score) for score in scores]) for side in (mated, nonmated)]
    return OperatingPoints.of(scores, *count)


def trials_of(matrix, probes, references, block=4096, **how):
    done = Trials(1 + max(*probes, *references), **how)
    steps = run(done, lambda start, end: matrix[start:end], np.array(probes), np.array(references), block=block)
    assert list(steps)[-1] == matrix.size
    return done


# ---- histograms ------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.tuples(st.integers(-9, 9), st.integers(0, 3)), max_size=9), max_size=4), st.booleans())
def test_histograms_count_every_score_of_every_cell(blocks, wide):
    counts = Histogram()
    blocks = [[(score * (10**8 if wide else 1), cell) for score, cell in block] for block in blocks]
    for block in blocks:
        counts.add(np.array([score for score, _ in block], np.int32), np.array([cell for _, cell in block], np.int64))
    everything = [entry for block in blocks for entry in block]
    scores = counts.scores
    assert scores.tolist() == sorted({score for score, _ in everything})
    assert counts.by_cell(scores, 4).tolist() == [
        [everything.count((score, cell)) for score in scores] for cell in range(4)
    ]
    assert counts.counts(scores).tolist() == counts.by_cell(scores, 4).sum(axis=0).tolist()
    assert len(counts) == len(everything)


@pytest.mark.parametrize("scores", [[0.5], [1 << 31], [-(1 << 31) - 1]])
def test_scores_that_are_no_int32_are_refused(scores):
    with pytest.raises(ValueError, match=r"integers|32 bits"):
        Histogram().add(np.array(scores))


# ---- verification ----------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(SCORES, SCORES)
def test_fmr_and_fnmr_are_those_of_the_definition_at_every_threshold(mated, nonmated):
    found = points(mated, nonmated)
    for threshold, fmr, fnmr in zip(found.thresholds, found.fmr, found.fnmr, strict=True):
        assert fmr == sum(score >= threshold for score in nonmated) / len(nonmated)
        assert fnmr == sum(score < threshold for score in mated) / len(mated)


@settings(max_examples=60, deadline=None)
@given(SCORES, SCORES)
def test_the_equal_error_rate_is_where_the_curve_meets_the_diagonal(mated, nonmated):
    curve = [
        (Fraction(sum(s >= t for s in nonmated), len(nonmated)), Fraction(sum(s < t for s in mated), len(mated)))
        for t in range(-5, 9)
    ]
    crossings = {p for p, q in curve if p == q}
    for (p, q), (r, s) in pairwise(curve):
        if (p - q) * (r - s) < 0:
            part = (p - q) / ((p - q) - (r - s))
            crossings.add(q + part * (s - q))
    assert len(crossings) == 1
    assert points(mated, nonmated).equal_error_rate() == pytest.approx(float(crossings.pop()), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(SCORES, SCORES, st.sampled_from([1.0, 0.5, 0.1, 0.3, 0.001, 0.0]))
def test_fnmr_at_fmr_takes_the_lowest_threshold_that_keeps_the_fmr(mated, nonmated, limit):
    found = points(mated, nonmated)
    kept = [t for t in range(-5, 9) if Fraction(sum(s >= t for s in nonmated), len(nonmated)) <= Fraction(str(limit))]
    assert found.fnmr_at_fmr(limit) == sum(score < min(kept) for score in mated) / len(mated)


def test_a_comparator_that_knows_nothing_lies_on_the_diagonal():
    rng = np.random.default_rng(5)
    subjects = np.repeat(np.arange(150), 4)
    matrix = rng.integers(0, 1000, (600, 600))
    done = Trials(150, seed=3)
    for _ in run(done, lambda a, b: matrix[a:b], subjects, subjects, same=True):
        pass
    assert (len(done.mated), len(done.nonmated)) == (150 * 6, 600 * 599 // 2 - 150 * 6)
    replicates = bootstrap(done, 200)
    found = rates.points_of(done)
    assert found.fmr + found.fnmr == pytest.approx(1, abs=0.05)  # on the diagonal, at every threshold
    low, high = rates.interval(replicates.points.equal_error_rate())
    assert low < 0.5 < high
    assert high - low < 0.06
    for fmr in (0.5, 0.1, 0.01):
        low, high = rates.interval(replicates.points.fnmr_at_fmr(fmr))
        assert low < 1 - fmr < high
    assert rates.cumulative_matches(done.searches, 599)[-1] == 1
    assert rates.cumulative_matches(done.searches, 60)[-1] == pytest.approx(1 - 0.9**3, abs=0.06)  # best of three mates


def test_a_comparator_with_one_score_gets_no_credit_for_the_order_of_the_gallery():
    done = trials_of(np.zeros((4, 4), np.int32), [0, 1, 2, 3], [0, 1, 2, 3])
    assert rates.points_of(done).equal_error_rate() == 0.5
    assert rates.cumulative_matches(done.searches, 4).tolist() == [0, 0, 0, 1]


# ---- identification --------------------------------------------------------------------------------------------------


@st.composite
def searched(draw):
    references = draw(st.lists(st.integers(0, 3), min_size=1, max_size=6))
    probes = draw(st.lists(st.integers(0, 4), min_size=1, max_size=5))
    cells = draw(
        st.lists(st.integers(0, 5), min_size=len(probes) * len(references), max_size=len(probes) * len(references))
    )
    return np.array(cells, np.int32).reshape(len(probes), -1), probes, references


@settings(max_examples=80, deadline=None)
@given(searched(), st.integers(1, 4), st.integers(0, 6))
def test_fnir_and_fpir_are_those_of_the_definition(case, rank, threshold):
    matrix, probes, references = case
    searches = trials_of(matrix, probes, references, block=1).searches
    missed = mated = alarms = open_set = 0
    all_mated = all(subject in references for subject in probes)
    for row, subject in zip(matrix.tolist(), probes, strict=True):
        mates = [score for score, reference in zip(row, references, strict=True) if reference == subject]
        others = [score for score, reference in zip(row, references, strict=True) if reference != subject]
        if mates:
            mated += 1
            place = 1 + sum(other >= max(mates) for other in others)  # ties count against the mate
            missed += not (place <= rank and max(mates) >= threshold)
        if all_mated or not mates:
            open_set += 1
            alarms += any(other >= threshold for other in others)
    if mated:
        assert rates.fnir(searches, rank, threshold) == missed / mated
    assert rates.fpir(searches, threshold) == alarms / open_set


@settings(max_examples=60, deadline=None)
@given(searched(), st.sampled_from([0.0, 0.2, 0.5, 1.0]))
def test_the_threshold_at_a_rate_is_the_lowest_that_keeps_it(case, limit):
    searches = trials_of(*case).searches
    threshold = rates.threshold_at_fpir(searches, limit)
    assert rates.fpir(searches, threshold) <= limit
    assert threshold == trials.NEVER or rates.fpir(searches, threshold - 1) > limit


def test_prints_of_one_set_are_compared_once_and_searched_among_all_others():
    matrix = np.array([[9, 5, 1], [5, 9, 7], [1, 7, 9]])
    done = Trials(2)
    for _ in run(done, lambda a, b: matrix[a:b], np.array([0, 0, 1]), np.array([0, 0, 1]), same=True, block=1):
        pass
    assert done.mated.scores.tolist() == [5]
    assert done.nonmated.scores.tolist() == [1, 7]
    assert done.searches.mate.tolist() == [5, 5, trials.NEVER]
    assert done.searches.rank.tolist()[:2] == [1, 2]
    assert done.searches.other.tolist() == [1, 7, 7]


def test_comparisons_that_are_left_out_count_nowhere():
    done = Trials(2)
    done.add([[5, 9]], [0], [0, 1], left_out=[[False, True]])
    assert (len(done.mated), len(done.nonmated)) == (1, 0)
    assert done.searches.rank.tolist() == [1]


# ---- mistakes --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(searched(), st.integers(1, 3))
def test_the_worst_mistakes_are_kept_whatever_the_blocks(case, keep):
    matrix, probes, references = case
    done = trials_of(matrix, probes, references, block=1, worst=keep)
    cells = [(int(matrix[p, r]), p, r) for p in range(len(probes)) for r in range(len(references))]
    mated = sorted(cell for cell in cells if probes[cell[1]] == references[cell[2]])
    others = sorted((-score, p, r) for score, p, r in cells if probes[p] != references[r])

    def one_a_pair(mistakes):
        first = {}
        for mistake in mistakes:
            first.setdefault(frozenset((probes[mistake[1]], references[mistake[2]])), mistake)
        return [*first.values()][:keep]

    names = ["score", "probe", "reference"]
    assert done.worst_mates[names].tolist() == one_a_pair(mated)
    assert done.worst_nonmates[names].tolist() == [(-score, p, r) for score, p, r in one_a_pair(others)]


# ---- bootstrap -------------------------------------------------------------------------------------------------------


def test_a_replicate_is_the_trial_of_the_subjects_it_drew():
    rng = np.random.default_rng(11)
    subjects = rng.integers(0, 7, 20).tolist()
    matrix = rng.integers(0, 12, (20, 20))
    done = trials_of(matrix, subjects, subjects)
    replicates = bootstrap(done, 5)
    for weights, fnmr, eer, probe_weights in zip(
        replicates.weights,
        replicates.points.fnmr_at_fmr(0.1),
        replicates.points.equal_error_rate(),
        replicates.probe_weights,
        strict=True,
    ):
        mated, nonmated = [], []
        for p, r in np.ndindex(matrix.shape):
            a, b = subjects[p], subjects[r]
            if a == b:
                mated += [matrix[p, r]] * weights[a]
            else:
                nonmated += [matrix[p, r]] * (weights[a] * weights[b])
        once = points(mated, nonmated)
        assert fnmr == once.fnmr_at_fmr(0.1)
        assert eer == pytest.approx(float(once.equal_error_rate()), abs=1e-12)
        assert probe_weights.tolist() == [weights[subject] for subject in subjects]


def test_many_subjects_are_drawn_in_groups_and_the_seed_repeats_the_draw():
    subjects = np.arange(300)
    matrix = np.random.default_rng(1).integers(0, 50, (300, 300))
    one, same, other = (trials_of(matrix, subjects, subjects, seed=seed) for seed in (1, 1, 2))
    assert np.bincount(one.unit).tolist() == [5] * 44 + [4] * 20
    eers = [bootstrap(each, 20).points.equal_error_rate().tolist() for each in (one, same, other)]
    assert eers[0] == eers[1] != eers[2]


def test_very_many_different_scores_are_joined_for_the_bootstrap_only(monkeypatch):
    rng = np.random.default_rng(2)
    subjects = np.repeat(np.arange(20), 3)
    matrix = rng.integers(0, 1 << 30, (60, 60)) + (subjects[:, None] == subjects) * (1 << 29)
    done = trials_of(matrix, subjects, subjects)
    exact = bootstrap(done, 50).points.equal_error_rate()
    monkeypatch.setattr(rates, "_CLASSES", 300)
    joined = bootstrap(done, 50)
    assert joined.points.misses.shape[1] < 400
    assert joined.points.equal_error_rate() == pytest.approx(exact, abs=0.02)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(20):
        difficulty = rng.normal(0, 1, 30)  # of each subject: its comparisons are not independent
        subjects = np.repeat(np.arange(30), 3)
        mated = (subjects[:, None] == subjects) * 40
        noise = rng.normal(0, 10, (90, 90)) + 6 * difficulty[subjects][:, None] + 6 * difficulty[subjects]
        done = trials_of((mated + noise).astype(int), subjects, subjects)
        low, high = rates.interval(bootstrap(done, 100).points.fnmr_at_fmr(0.01))
        covered += low <= 0.28 <= high  # of ever more subjects
    assert covered >= 16


def test_no_error_seen_is_no_proof_of_none():
    assert rates.none_seen(300) == pytest.approx(0.00994, abs=1e-5)
    found = rates.rate("FNMR", 0.0, np.zeros(10), 300)
    assert (found.low, found.high) == (0.0, rates.none_seen(300))
