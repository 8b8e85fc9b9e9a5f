"""The weekly detector: laws of its score and bound, what it does with odd histories, and whether its level holds."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from earlywarning.core.detectors.harmonic_fit import design, fit_harmonics
from earlywarning.core.detectors.mid_tail import mid_bound, mid_probability
from earlywarning.core.detectors.status import DetectorError, Status
from earlywarning.core.detectors.weekly import WeeklySettings, weekly

PLAIN = WeeklySettings()
WEEK = np.arange(624)


def counts_of(mean: np.ndarray, dispersion: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).negative_binomial(mean / (dispersion - 1), 1 / dispersion).astype(float)


def some(series: int, weeks: int = 400, seed: int = 1) -> np.ndarray:
    level = np.random.default_rng(seed).lognormal(1, 1.2, (series, 1))
    return counts_of(level * np.exp(0.4 * np.cos(2 * np.pi * WEEK[:weeks] / 52)), 1.5, seed + 1)


HISTORY = some(40)


@given(st.integers(0, 39), st.integers(0, 60), st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_raising_the_judged_count_never_lowers_its_score(series: int, count: int, more: int) -> None:
    both = np.repeat(HISTORY[series : series + 1], 2, axis=0)
    both[:, -1] = count, count + more
    judged = weekly(both, 399, 400, PLAIN)
    assert judged.score[1, 0] >= judged.score[0, 0]
    assert judged.p_value[1, 0] <= judged.p_value[0, 0]


def test_raising_the_count_of_a_quiet_week_lowers_the_bound_of_the_next_and_not_without_carry() -> None:
    suspicious, quiet = np.full((1, 400), 9.0), np.full((1, 400), 9.0)
    suspicious[0, -2] = 20
    lower, higher = (weekly(y, 398, 400, PLAIN).upper_bound[0, 1] for y in (suspicious, quiet))
    assert lower < higher
    alone = [weekly(y, 398, 400, replace(PLAIN, carry=0.0)).upper_bound[0, 1] for y in (suspicious, quiet)]
    assert alone[0] == alone[1]


def test_a_series_is_judged_the_same_whatever_is_judged_with_it() -> None:
    together = weekly(HISTORY, 360, 400, PLAIN)
    order = np.random.default_rng(3).permutation(40)
    for other, rows in (
        (weekly(HISTORY[order], 360, 400, PLAIN), order),
        (weekly(HISTORY[7:9], 360, 400, PLAIN), np.array([7, 8])),
        (weekly(np.concatenate([np.zeros((600, 400)), HISTORY]), 360, 400, PLAIN), None),
    ):
        for ours, theirs in zip(together, other, strict=True):
            mine, theirs_ = (ours[rows], theirs) if rows is not None else (ours, theirs[600:])
            np.testing.assert_allclose(mine, theirs_, rtol=1e-9, atol=1e-9)


def test_a_week_is_judged_the_same_whichever_weeks_are_asked_for() -> None:
    whole = weekly(HISTORY, 340, 400, PLAIN)
    for week in (340, 351, 364, 377, 399):
        alone = weekly(HISTORY, week, week + 1, PLAIN)
        np.testing.assert_allclose(whole.p_value[:, week - 340], alone.p_value[:, 0], rtol=1e-9)
        np.testing.assert_array_equal(whole.upper_bound[:, week - 340], alone.upper_bound[:, 0])


def test_nothing_after_a_week_and_not_its_own_count_enters_its_bound() -> None:
    changed = HISTORY.copy()
    changed[:, 380:] = 1000
    before, after = weekly(HISTORY, 370, 381, PLAIN), weekly(changed, 370, 381, PLAIN)
    np.testing.assert_array_equal(before.upper_bound, after.upper_bound)
    np.testing.assert_array_equal(before.expectation, after.expectation)
    np.testing.assert_array_equal(before.score[:, :10], after.score[:, :10])


@pytest.mark.parametrize("alpha", [1e-4, 0.01, 0.2])
def test_an_alarm_is_a_count_above_the_bound_and_a_p_value_at_or_below_the_level(alpha: float) -> None:
    judged = weekly(HISTORY, 300, 400, replace(PLAIN, alpha=alpha))
    np.testing.assert_array_equal(judged.alarm, judged.observed > judged.upper_bound)
    np.testing.assert_array_equal(judged.alarm, judged.p_value <= alpha)
    np.testing.assert_allclose(judged.score, -np.log10(judged.p_value))


def test_the_share_of_false_alarms_is_near_its_level() -> None:
    quiet = some(450, 624, seed=20)
    for alpha in (0.01, 0.05):
        share = weekly(quiet, 564, 624, replace(PLAIN, alpha=alpha)).alarm.mean()
        assert 0.8 * alpha < share < 1.2 * alpha


def test_the_weight_of_earlier_weeks_has_mean_one_when_nothing_happens() -> None:
    assert weekly(some(400, 624, seed=30), 572, 624, replace(PLAIN, most=1e6)).weight.mean() == pytest.approx(1, abs=0.04)


def test_an_outbreak_over_two_weeks_is_found_that_neither_week_shows() -> None:
    y = np.round(13 + 3 * np.sin(WEEK[:400] * 1.7)[None])
    y[0, -2:] = 22, 22
    judged = weekly(y, 398, 400, PLAIN)
    assert not judged.alarm[0, 0]
    assert judged.alarm[0, 1]
    assert not weekly(y, 398, 400, replace(PLAIN, carry=0.0)).alarm.any()


def test_level_trend_and_season_are_found_and_those_that_are_not_there_are_not() -> None:
    mean = np.exp(3 + 0.1 * (WEEK - 600) / 52 + 0.5 * np.cos(2 * np.pi * (WEEK - 10) / 52))
    moving = weekly(counts_of(np.tile(mean, (60, 1)), 1.4, 4), 600, 624, PLAIN)
    assert np.abs(np.log(moving.expectation / mean[600:])).mean() < 0.04
    assert (moving.trend > 0.99).all()
    still = weekly(counts_of(np.full((60, 624), 20.0), 1.4, 5), 600, 624, PLAIN)
    assert still.trend.mean() < 0.2
    assert np.abs(np.log(still.expectation / 20)).mean() < 0.015
    assert still.dispersion.mean() == pytest.approx(1.4, rel=0.05)


def test_counts_ten_times_as_large_have_ten_times_the_expectation_and_dispersion() -> None:
    large = some(20, 624) + 40
    one, ten = weekly(large, 600, 624, PLAIN), weekly(10 * large, 600, 624, PLAIN)
    np.testing.assert_allclose(ten.expectation, 10 * one.expectation, rtol=0.03)
    loose = one.dispersion > 1.2
    np.testing.assert_allclose(ten.dispersion[loose], 10 * one.dispersion[loose], rtol=0.2)


def test_a_past_outbreak_hardly_raises_the_bound() -> None:
    calm = some(30, 624, seed=8) + 5
    struck = calm.copy()
    struck[:, [480, 481, 530, 531]] += 8 * np.sqrt(calm.mean(1))[:, None]
    before, after = (weekly(y, 600, 624, PLAIN).upper_bound.mean() for y in (calm, struck))
    assert after < 1.05 * before


def test_a_running_outbreak_does_not_enter_its_own_baseline() -> None:
    y = np.full((1, 400), 10.0)
    y[0, 386:390] = 60
    judged = weekly(y, 390, 400, PLAIN)
    assert (judged.expectation < 10.5).all()


def test_a_level_that_wanders_is_followed_and_raises_few_false_alarms() -> None:
    walk = np.cumsum(np.random.default_rng(9).normal(0, 0.05, (150, 624)), axis=1)
    y = counts_of(10 * np.exp(walk - walk.mean(1)[:, None]), 1.5, 10)
    assert weekly(y, 520, 624, PLAIN).alarm.mean() < 0.02


def test_an_empty_history_expects_half_an_event_in_all_of_it() -> None:
    y = np.zeros((1, 300))
    y[0, -1] = 1
    judged = weekly(y, 299, 300, PLAIN)
    steps = 299 // PLAIN.refit_every * PLAIN.refit_every - PLAIN.guard
    assert judged.expectation[0, 0] == pytest.approx(0.5 / steps)
    assert judged.status[0, 0] == Status.NO_HISTORY
    assert 1e-4 < judged.p_value[0, 0] < 1e-2


def test_a_season_without_events_keeps_a_floor_and_says_so() -> None:
    y = np.where(WEEK % 52 < 6, 20.0, 0.0)[None]
    judged = weekly(y, 600, 601, PLAIN)
    assert judged.status[0, 0] == Status.SEPARATED
    assert judged.expectation[0, 0] > 1e-3


ODD = {
    "one year": np.random.default_rng(0).poisson(5, (3, 52)).astype(float),
    "half a year": np.random.default_rng(0).poisson(5, (3, 26)).astype(float),
    "constant": np.full((3, 300), 7.0),
    "fractions": np.full((3, 300), 2.5),
    "huge": np.random.default_rng(0).poisson(1e9, (3, 300)).astype(float),
    "one event ever": np.eye(3, 300),
    "exponential growth": np.floor(np.exp(np.arange(600) / 40))[None],
    "events from last month on": np.where(np.arange(300) > 295, 50.0, 0.0)[None],
    "events until last year": np.where(np.arange(300) < 240, 50.0, 0.0)[None],
    "years missing": np.where((np.arange(300) > 50) & (np.arange(300) < 250), np.nan, 4.0)[None],
    "every other week missing": np.where(np.arange(300) % 2 == 1, 4.0, np.nan)[None],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_histories_get_finite_figures(name: str) -> None:
    y = ODD[name]
    judged = weekly(y, y.shape[1] - 1, y.shape[1], PLAIN)
    for figure in judged:
        assert np.isfinite(figure).all()
    assert (judged.status != Status.MISSING).all()
    assert (judged.dispersion >= 1).all()


def test_figures_are_nan_only_where_the_status_says_not_observed() -> None:
    y = np.tile(np.array([3.0, 5.0, 4.0, 6.0]), (3, 75))
    y[1, :] = np.nan
    y[2, -1] = np.nan
    judged = weekly(y, 298, 300, PLAIN)
    assert judged.status.tolist() == [[Status.OK, Status.OK], [Status.MISSING, Status.MISSING], [Status.OK, Status.MISSING]]
    assert np.isnan(judged.upper_bound).tolist() == [[False, False], [True, True], [False, False]]
    assert not judged.alarm[1:].any()
    assert np.isfinite(judged.p_value).all()
    assert np.isfinite(judged.score).all()


def test_a_history_of_fewer_than_eight_weeks_gives_no_threshold() -> None:
    judged = weekly(np.full((2, 9), 3.0), 1, 9, PLAIN)
    assert (judged.status == Status.MISSING).all()
    assert not judged.alarm.any()


def test_no_series_give_no_figures() -> None:
    assert weekly(np.zeros((0, 100)), 90, 100, PLAIN).score.shape == (0, 10)


@pytest.mark.parametrize(
    ("counts", "steps", "chosen", "words"),
    [
        (np.zeros(5), (1, 2), PLAIN, "must be (series, steps)"),
        (np.zeros((1, 5)), (0, 2), PLAIN, "steps 0:2 cannot be judged"),
        (np.zeros((1, 5)), (3, 6), PLAIN, "steps 3:6 cannot be judged"),
        (np.array([[0, -1, 3.0]]), (2, 3), PLAIN, "series 0 has the count -1 in step 1"),
        (np.array([[0, np.inf, 3.0]]), (2, 3), PLAIN, "series 0 has the count inf in step 1"),
        (np.zeros((1, 5)), (1, 2), replace(PLAIN, alpha=0.0), "alpha = 0.0"),
        (np.zeros((1, 5)), (1, 2), replace(PLAIN, years=0), "years = 0"),
        (np.zeros((1, 5)), (1, 2), replace(PLAIN, frequency=1), "frequency = 1"),
        (np.zeros((1, 5)), (1, 2), replace(PLAIN, guard=-1), "guard = -1"),
        (np.zeros((1, 5)), (1, 2), replace(PLAIN, refit_every=0), "refit_every = 0"),
        (np.zeros((1, 5)), (1, 2), replace(PLAIN, profile=(0.8, 0.4)), "profile = (0.8, 0.4)"),
        (np.zeros((1, 5)), (1, 2), replace(PLAIN, sizes=()), "sizes = ()"),
        (np.zeros((1, 5)), (1, 2), replace(PLAIN, carry=1.0), "carry = 1.0"),
        (np.zeros((1, 5)), (1, 2), replace(PLAIN, most=0.5), "most = 0.5"),
    ],
)
def test_what_cannot_be_judged_is_named(counts: np.ndarray, steps: tuple[int, int], chosen: WeeklySettings, words: str) -> None:
    with pytest.raises(DetectorError) as error:
        weekly(counts, *steps, chosen)
    assert words in str(error.value)


def test_a_clean_fit_equals_maximum_likelihood_of_the_full_model() -> None:
    mean = np.exp(4 + 0.15 * (WEEK - 624) / 52 + 0.5 * np.cos(WEEK * np.pi / 26) + 0.3 * np.sin(WEEK * np.pi / 13))
    y = np.minimum(np.random.default_rng(2).poisson(mean), np.floor(mean + 2 * np.sqrt(mean))).astype(float)
    x = design(0, 624, 624, 52.0)
    beta = np.linalg.lstsq(x, np.log(y), rcond=None)[0]
    for _ in range(20):
        mu = np.exp(x @ beta)
        beta = beta + np.linalg.solve((x * mu[:, None]).T @ x, x.T @ (y - mu))
    fitted = fit_harmonics(y[None], x, 52.0)
    error = np.sqrt(np.diag(np.linalg.inv((x * mu[:, None]).T @ x)))
    assert (np.abs(fitted.coefficients[0] - beta) < 0.3 * error).all()
    assert fitted.settled.all()


@given(st.floats(1e-4, 2e3), st.floats(1.0, 20.0), st.floats(1e-6, 0.45))
@settings(max_examples=60, deadline=None)
def test_the_mid_p_bound_is_the_smallest_count_that_keeps_the_level(mean: float, dispersion: float, level: float) -> None:
    bound = float(mid_bound(level, mean, dispersion))
    assert mid_probability(bound + 1, mean, dispersion) <= level
    assert bound == 0 or mid_probability(bound, mean, dispersion) > level


def test_mid_p_adds_half_of_the_counts_own_probability() -> None:
    r, p = 6.0 / 0.5, 1 / 1.5
    expected = stats.nbinom.sf(9, r, p) + stats.nbinom.pmf(9, r, p) / 2
    assert float(mid_probability(9, 6.0, 1.5)) == pytest.approx(expected, rel=1e-9)
    assert np.isnan(mid_bound(0.01, np.nan, 1.0))
