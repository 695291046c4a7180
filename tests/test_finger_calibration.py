"""Thresholds: counted, bounded, and refused where nothing was counted."""

import sys

import pytest

import pcc_match as pm
from pcc_match.errors import CalibrationError
from pcc_match.finger import calibration as shipped
from pcc_match.finger.calibration import Calibration, _content, answers

TABLE = Calibration("made up", 1000, (0, 10, 20, 30, 40), (1000, 300, 40, 30, 0), (1.0, 0.33, 0.052, 0.041, 0.003))


def test_the_least_score_that_so_few_reach() -> None:
    assert [TABLE.threshold(rate) for rate in (1, 0.5, 0.3, 0.29, 0.04, 0.0399, 0.03)] == [0, 10, 10, 20, 20, 30, 30]


def test_rates_too_rare_to_be_counted_are_refused() -> None:
    with pytest.raises(CalibrationError, match=r"0\.029 cannot be counted in 1,000 comparisons of made up: 0\.03 is"):
        TABLE.threshold(0.029)
    for rate in (0, -1, 1.1, float("nan")):
        with pytest.raises(CalibrationError, match="impossible"):
            TABLE.threshold(rate)


def test_a_score_has_the_rate_of_the_row_below_it() -> None:
    assert TABLE.fmr(-5) == (1, 1)
    assert TABLE.fmr(25) == (0.04, 0.052)
    assert TABLE.fmr(10**6) == (0, 0.003)


@pytest.mark.parametrize("source", ["fingerjet", "mindtct", "secugen", "pcc_match", "fingerjet+mindtct"])
def test_the_shipped_tables(source: str) -> None:
    table = shipped(source)
    assert table.comparisons == 11_520
    assert list(table.scores) == sorted(set(table.scores))
    assert list(table.counts) == sorted(table.counts, reverse=True)
    assert table.counts[0] == table.comparisons
    assert table.counts[-1] == 0
    assert table.bounds[-1] == pytest.approx(3 / table.comparisons, rel=0.01)  # the rule of three
    for rate in (0.003, 0.01, 0.1):
        threshold = pm.threshold_for(rate, source)
        counted, bound = table.fmr(threshold)
        assert counted <= rate
        assert counted < bound < 1.5 * rate
    with pytest.raises(CalibrationError, match="cannot be counted"):
        pm.threshold_for(0.001, source)


def test_unknown_sources_are_refused() -> None:
    for source in ("", "mindtct+fingerjet"):
        with pytest.raises(CalibrationError, match=r"fingerjet, fingerjet\+mindtct"):
            pm.threshold_for(0.01, source)


def test_a_table_of_another_comparison_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = sys.modules["pcc_match.finger.calibration"]  # pm.finger.calibration is the function
    assert _content()["answers"] == answers()  # else: benchmarks/calibrate_finger.py --write
    _content.cache_clear()
    monkeypatch.setattr(module, "answers", lambda: "others")
    with pytest.raises(CalibrationError, match="another comparison"):
        _content()
    _content.cache_clear()
