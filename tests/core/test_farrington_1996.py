"""Farrington 1996 against R's own answers, and its laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.detectors.farrington_1996 import Farrington1996Settings, farrington_1996
from earlywarning.core.detectors.status import DetectorError, Status
from tests.core.reference import differs, number, rows, wide

SETTINGS = {
    "O1": Farrington1996Settings(b=5, w=3, reweight=True, alpha=0.01, r_compat=True),
    "O2": Farrington1996Settings(b=3, w=2, reweight=False, alpha=0.05, r_compat=True),
}
CONSTANT = 99  # the trend's p-value of a constant series is 0/0


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_bound_alarm_trend_and_probability_equals_rs(setting: str) -> None:
    ids = sorted(wide("series"))
    counts = np.array([wide("series")[i] for i in ids])
    held = [r for r in rows("farrington_old") if r["setting"] == setting]
    weeks = np.array(sorted({int(r["week"]) - 1 for r in held}))
    ours = farrington_1996(counts, weeks, SETTINGS[setting])
    judged, wrong = 0, []
    for r in held:
        i, k = ids.index(int(r["series_id"])), int(np.searchsorted(weeks, int(r["week"]) - 1))
        judged += 1
        if ids[i] == CONSTANT and int(ours.trend[i, k]) != int(r["trend"]):
            continue
        if bool(ours.alarm[i, k]) != (r["alarm"] == "1"):
            wrong.append((r["series_id"], r["week"], "alarm"))
        if differs(ours.upper_bound[i, k], number(r["upper"])):
            wrong.append((r["series_id"], r["week"], "upper", ours.upper_bound[i, k], r["upper"]))
        if differs(1 - ours.p_value[i, k], number(r["pd_prob"])):
            wrong.append((r["series_id"], r["week"], "probability", 1 - ours.p_value[i, k], r["pd_prob"]))
        if int(ours.trend[i, k]) != int(r["trend"]):
            wrong.append((r["series_id"], r["week"], "trend"))
    assert judged == 1200
    assert not wrong


def test_without_r_compat_an_empty_history_never_alarms_on_few_and_says_so() -> None:
    counts = np.zeros((2, 300))
    counts[1, 299] = 3
    ours, theirs = (farrington_1996(counts, np.array([299]), Farrington1996Settings(r_compat=flag)) for flag in (False, True))
    assert (ours.status == Status.NO_HISTORY).all()
    assert np.isfinite(ours.upper_bound).all()
    assert not ours.alarm.any()
    assert not theirs.alarm.any(), "fewer than five events in four weeks"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.floats(0.05, 60))
def test_one_more_event_now_never_turns_an_alarm_off(seed: int, compat: bool, mean: float) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.negative_binomial(2, 2 / (2 + mean), (8, 270)).astype(float)
    more = counts.copy()
    more[:, 269] += rng.integers(1, 30, 8)
    chosen = Farrington1996Settings(r_compat=compat)
    one, two = (farrington_1996(c, np.array([269]), chosen) for c in (counts, more))
    assert (two.alarm >= one.alarm).all()
    assert (two.p_value <= one.p_value + 1e-12).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_many_weeks_judged_together_are_each_judged_as_alone(seed: int, compat: bool) -> None:
    counts = np.random.default_rng(seed).poisson(4.0, (5, 290)).astype(float)
    chosen = Farrington1996Settings(r_compat=compat)
    together = farrington_1996(counts, np.arange(270, 290), chosen)
    for k, week in enumerate(range(270, 290, 7)):
        alone = farrington_1996(counts, np.array([week]), chosen)
        np.testing.assert_allclose(together.upper_bound[:, 7 * k], alone.upper_bound[:, 0], rtol=1e-8)
        assert (together.alarm[:, 7 * k] == alone.alarm[:, 0]).all()


def test_under_chance_the_upper_half_of_alpha_is_what_alarms() -> None:
    counts = np.random.default_rng(3).poisson(20.0, (4000, 264)).astype(float)
    ours = farrington_1996(counts, np.array([263]), Farrington1996Settings(alpha=0.1))
    assert 0.03 < ours.alarm.mean() < 0.08


@pytest.mark.parametrize(
    ("counts", "step", "chosen", "words"),
    [
        (np.ones((1, 300)), 100, Farrington1996Settings(), "5 years of history"),
        (-np.ones((1, 300)), 280, Farrington1996Settings(), "series 0 has the count -1"),
        (np.full((1, 300), np.inf), 280, Farrington1996Settings(), "finite"),
        (np.ones((1, 300)), 300, Farrington1996Settings(), "outside the 300 steps"),
        (np.ones((1, 300)), 280, Farrington1996Settings(alpha=1.5), "alpha = 1.5"),
        (np.ones((1, 300)), 280, Farrington1996Settings(b=0), "b = 0"),
    ],
)
def test_what_cannot_be_judged_is_named(counts: np.ndarray, step: int, chosen: Farrington1996Settings, words: str) -> None:
    with pytest.raises(DetectorError, match=words):
        farrington_1996(counts, np.array([step]), chosen)


def test_a_trend_is_told_with_its_slope_and_a_history_that_was_not_observed_as_missing() -> None:
    """A series that falls by 0.4 % a step, one that stays, one that was not observed, and one of which one step was."""
    at = np.arange(270)
    counts = np.array([np.rint(60 * np.exp(-0.004 * at)), 20.0 + at % 2, np.full(270, np.nan), np.full(270, np.nan)])
    counts[2:, 266:], counts[3, 269 - 52] = 30.0, 20.0
    found = farrington_1996(counts, np.array([269]), Farrington1996Settings(b=5, w=1, r_compat=True))
    assert found.trend[:, 0].tolist() == [True, False, False, False]
    assert found.slope[0, 0] == pytest.approx(-0.004, rel=0.05)
    assert np.isnan(found.slope[1:, 0]).all()
    assert found.status[:, 0].tolist() == [Status.OK, Status.OK, Status.MISSING, Status.OK]
    assert (found.slope.dtype, found.status.dtype) == (np.float64, np.int8)


def test_without_a_trend_none_is_looked_for_and_scores_are_those_of_the_bound() -> None:
    at = np.arange(270)
    counts = np.array([np.rint(60 * np.exp(-0.004 * at)), np.zeros(270)])
    for compat in (True, False):
        found = farrington_1996(counts, np.array([269]), Farrington1996Settings(b=5, w=1, trend=False, r_compat=compat))
        assert not found.trend.any()
        score = (found.observed[0] - found.expectation[0]) / (found.upper_bound[0] - found.expectation[0])
        assert found.score[0] == pytest.approx(score)
    few = farrington_1996(counts, np.array([269]), Farrington1996Settings(b=5, w=1, r_compat=True))
    assert (few.upper_bound[1, 0], few.score[1, 0]) == (0.0, 0.0)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_level_of_nothing_or_of_all_is_refused(alpha: float) -> None:
    with pytest.raises(DetectorError, match="must lie between 0 and 1"):
        Farrington1996Settings(alpha=alpha).check()
