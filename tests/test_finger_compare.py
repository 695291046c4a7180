"""The comparison of fingers: one definition, the same integers from each of its forms, and what a user may rely on."""

import numpy as np
import pytest
from finger_cases import SIZES, again, degenerate, finger, fingers, real_fingers
from hypothesis import HealthCheck, given, settings

import pcc_match as pm
from pcc_match import _cpu
from pcc_match.finger import FingerColumns, compare, score_matrix
from pcc_match.finger.devices import CpuScorer, ReferenceScorer, mode_of

HOW = [{"latent": latent, "early_exit": early} for latent in ("", "a", "b") for early in (False, True)]


@pytest.fixture(params=_cpu.available_isas())
def isa(request):
    before = _cpu.isa()
    _cpu.set_isa(request.param)
    yield request.param
    _cpu.set_isa(before)


def of_definition(a, b, how):
    """Scores by the definition itself, which no instruction set changes."""
    mode = mode_of(**how)
    pairs = [
        [a.engine.compare(i, b.engine, j, mode)["score"] for j in range(len(b.count))] for i in range(len(a.count))
    ]
    return np.array(pairs).reshape(len(a.count), len(b.count))


def mixed():
    prints = [finger(count, count) for count in SIZES]
    return FingerColumns.pack([*prints, *degenerate(), *(again(print_, 7) for print_ in prints[3:11])])


@pytest.mark.parametrize("how", HOW)
def test_all_levels_equal_the_definition(isa, how):
    columns = mixed()
    scores = score_matrix(columns, columns, "cpu", **how)
    assert np.array_equal(scores, of_definition(columns, columns, how))


@pytest.mark.parametrize("how", HOW)
def test_the_definition_equals_the_readable_reference(how):
    columns = mixed()
    some = columns.take(np.arange(len(columns)) % 3 == 0)
    readable = score_matrix(some, columns, "reference", **how)
    assert np.array_equal(readable, of_definition(some, columns, how))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fingers(), fingers())
def test_any_two_fingers(isa, a, b):
    columns = FingerColumns.pack([a, b, again(a, 1)])
    for how in HOW:
        scores = score_matrix(columns, columns, "cpu", **how)
        assert np.array_equal(scores, of_definition(columns, columns, how))
        assert scores[0, 1] == score_matrix(columns.take([0]), columns.take([1]), "reference", **how)
        assert (scores >= 0).all()
        if not how["latent"]:
            assert np.array_equal(scores, scores.T)


def test_an_early_exit_leaves_a_score_or_what_is_below_any_agreement():
    """So a threshold means with it, of prints that are not mates, at least what it means without."""
    prints = [finger(35, k) for k in range(25)]
    columns = FingerColumns.pack([*prints, *(again(print_, 3) for print_ in prints)])
    for latent in ("", "a", "b"):
        whole, early = (score_matrix(columns, columns, "cpu", latent=latent, early_exit=e) for e in (False, True))
        left = early != whole
        assert (early <= whole).all()
        assert (early[left] < 32).all()
        assert left.mean() > 0.2
        assert not np.diag(left).any()
        assert not np.diag(left, len(prints)).any()  # of mates as near as these, none is lost


def test_an_early_exit_is_named():
    found = [compare(finger(35, 1), finger(35, k), early_exit=True) for k in range(2, 30)]
    assert any("early exit" in comparison.explain() for comparison in found)
    for comparison in found:
        (part,) = comparison.parts
        assert part.reason.startswith("early exit") <= (part.score == part.resemblance < 32 and len(part.accepted) == 0)
    assert compare(finger(35, 1), again(finger(35, 1), 2), early_exit=True).best.reason == ""


@pytest.mark.parametrize("latent", ["", "a", "b"])
def test_likeness_is_the_same_everywhere(isa, latent):
    columns, how = mixed(), {"latent": latent, "likeness": True}
    likeness = CpuScorer().scores(columns, columns, mode_of(**how))
    assert np.array_equal(likeness, of_definition(columns, columns, how))
    some = columns.take(np.arange(0, len(columns), 5))
    assert np.array_equal(likeness[::5], ReferenceScorer().scores(some, columns, mode_of(**how)))
    assert likeness.max() == 4 * 511


def test_what_is_not_wanted_is_not_compared():
    columns = FingerColumns.pack([finger(30, 1), finger(30, 2), again(finger(30, 1), 3)])
    whole, wanted = score_matrix(columns, columns, "cpu"), np.array([True, False, True])
    for scorer in (CpuScorer(), ReferenceScorer()):
        assert np.array_equal(scorer.scores(columns, columns, 0, wanted=wanted), whole * wanted)
        assert np.array_equal(scorer.scores(columns, columns, 0, range(1, 3), wanted[1:]), (whole * wanted)[:, 1:])


def test_real_fingers(isa):
    prints = [*real_fingers("fingerjet").values(), *real_fingers("secugen").values()]
    if not prints:
        pytest.skip("the shared test data are not here")
    columns = FingerColumns.pack(prints)
    some = columns.take(np.arange(0, len(columns), 10))
    for how in HOW:
        scores = score_matrix(some, columns, "cpu", **how)
        assert np.array_equal(scores, of_definition(some, columns, how))
    few = columns.take(np.arange(0, len(columns), 17))
    assert np.array_equal(score_matrix(few, few, "cpu"), score_matrix(few, few, "reference"))


def test_every_level_gives_ten_thousand_times_the_same():
    prints = [finger(20 + k % 50, k) for k in range(60)] + [again(finger(20 + k % 50, k), k) for k in range(60)]
    columns, before, found = FingerColumns.pack(prints), _cpu.isa(), []
    for level in _cpu.available_isas():
        _cpu.set_isa(level)
        found.append(score_matrix(columns, columns, "cpu"))
    _cpu.set_isa(before)
    assert all(np.array_equal(scores, found[0]) for scores in found)


def test_a_second_print_scores_far_above_another_finger():
    prints = [finger(45, k) for k in range(12)]
    scores = score_matrix(prints, [again(print_, 50 + k, turn=5 * k - 25) for k, print_ in enumerate(prints)])
    assert np.diag(scores).min() > 3 * (scores - np.diag(np.diag(scores))).max()


def test_rotation_is_limited_but_for_latents():
    prints = [finger(45, k) for k in range(6)]
    turned = [again(print_, k, turn=160) for k, print_ in enumerate(prints)]
    latent = score_matrix(turned, prints, latent=True)
    assert (latent.argmax(axis=1) == np.arange(6)).all()
    assert np.diag(score_matrix(turned, prints)).max() < np.diag(latent).min()


def test_scores_are_the_same_whatever_side_the_latent_is_on():
    a, b = finger(40, 1), again(finger(40, 1), 2)
    assert (
        pm.compare(a, b, latent="a").score == pm.compare(b, a, latent="b").score == pm.compare(a, b, latent=True).score
    )
    with pytest.raises(ValueError, match="latent is"):
        pm.compare(a, b, latent="c")


def test_a_comparison_tells_what_it_rests_on():
    a = finger(45, 3, position=2)
    b = again(a, 4, turn=12)
    found = pm.compare(a, b)
    (part,) = found.parts
    assert found.score == part.score == score_matrix([a], [b])[0, 0]
    assert len(part.accepted) > 10
    assert len(part.paired) >= 25
    assert len(set(part.paired[:, 0].tolist())) == len(part.paired)
    assert part.alignment.rotation == pytest.approx(12, abs=2)
    print_a, print_b = found.a.sets[0], found.b.sets[0]
    x, y = part.alignment.place(print_a.x[part.paired[:, 0]], print_a.y[part.paired[:, 0]])
    assert np.hypot(x - print_b.x[part.paired[:, 1]], y - print_b.y[part.paired[:, 1]]).max() < 15
    back = pm.compare(b, a)
    assert back.score == found.score
    assert sorted(map(tuple, back.best.paired[:, ::-1].tolist())) == sorted(map(tuple, part.paired.tolist()))
    assert back.best.alignment.rotation == pytest.approx(-part.alignment.rotation)
    text = found.explain()
    assert f"score {found.score}" in text
    assert "counter-clockwise" in text


@pytest.mark.parametrize("count", [0, 1, 2])
def test_too_few_minutiae_score_nothing_with_a_reason(count):
    found = pm.compare(finger(count, 1), finger(40, 2))
    assert found.score == 0
    assert "fewer than 3 minutiae" in found.explain()


def test_where_nothing_agrees_likeness_is_left():
    scores = score_matrix([finger(30, k) for k in range(20)], [finger(30, 100 + k, side=1500) for k in range(20)])
    assert len(np.unique(scores[scores < 32])) > 1


def test_several_sets_of_a_finger_are_summed():
    a, b = finger(40, 1), finger(30, 2)
    c, d = again(a, 3), again(b, 4)
    both, other = pm.FingerTemplate.join(a, b), pm.FingerTemplate.join(c, d)
    single = score_matrix([a, b], [c, d])
    assert pm.compare(both, other).score == single.sum()
    assert score_matrix([both, a], [other, c]).tolist() == [
        [single.sum(), single[:, 0].sum()],
        [single[0].sum(), single[0, 0]],
    ]
    assert [(p.a_set, p.b_set) for p in pm.compare(both, other).parts] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_matrices_of_nothing_and_of_any_number_of_threads():
    prints = [finger(20, k) for k in range(5)]
    assert score_matrix([], prints).shape == (0, 5)
    assert score_matrix(prints, []).shape == (5, 0)
    one = score_matrix(prints * 900, prints, threads=1)
    assert one.dtype == np.int32
    assert np.array_equal(one, score_matrix(prints * 900, prints, threads=3))


def test_devices_that_are_not_there():
    with pytest.raises(pm.DeviceError, match="nonsense"):
        score_matrix([finger(5, 1)], [finger(5, 1)], "nonsense")


def test_compare_takes_two_of_a_kind():
    profile = pm.DnaProfile(id="a", kind="person", alleles={"TH01": ("6", "9.3")})
    with pytest.raises(TypeError, match="DnaProfile and FingerTemplate"):
        pm.compare(profile, finger(5, 1))
    with pytest.raises(TypeError, match="without a rule"):
        pm.compare(finger(5, 1), finger(5, 1), pm.treaty("eu-2008-616").dna)
    with pytest.raises(TypeError, match="under a rule"):
        pm.compare(profile, profile)
