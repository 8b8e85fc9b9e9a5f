"""Fits from sums over the seasons are the fits that work observation by observation, only faster."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.detectors.farrington import (
    FarringtonSettings,
    farrington_flexible,
    farrington_threshold,
    farrington_weeks,
    reference_steps,
)
from earlywarning.core.detectors.quasi_poisson import Design
from earlywarning.core.detectors.reweighting import Rule, fit_each, fit_whole
from earlywarning.core.detectors.season_sums import Seasons, totals

AT = 263


def seasons_of(chosen: FarringtonSettings) -> Seasons:
    steps, season = reference_steps(AT, chosen)
    return Seasons(Design(season, (steps - AT) / chosen.frequency, chosen.no_periods))


def drawn(seed: int, n: int, series: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mean = np.exp(rng.uniform(-2, 5, (series, 1))) * np.exp(rng.uniform(-1.5, 1.5, (series, 1)) * np.linspace(0, 2, n))
    counts = rng.negative_binomial(2, 2 / (2 + mean)).astype(float)
    counts[rng.random(counts.shape) < 0.01] *= 8
    return counts


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.booleans(), st.sampled_from([1, 5, 10]), st.sampled_from([None, 1.0, 2.58]))
def test_both_ways_give_the_same_figures(seed: int, compat: bool, trend: bool, periods: int, threshold: float | None) -> None:
    seasons = seasons_of(FarringtonSettings(no_periods=periods))
    counts = drawn(seed, len(seasons.design.time))
    rule = Rule(threshold, compat)
    one, odd = fit_whole(counts, totals(counts, seasons, glm_start=compat), seasons, rule, trend=trend)
    start = None if compat else np.log(np.maximum(counts.mean(1), 0.01))[:, None] * np.ones(counts.shape[1])
    two = fit_each(counts, np.ones_like(counts), seasons.design, rule, trend=trend, offset=None, start=start)
    use = ~odd & one.settled & two.settled & one.converged & two.converged
    assert use.sum() > 20
    # Without R's rule each way stops when nothing moves, by a measure of its own.
    near = 1e-7 if compat else 2e-5
    for name in ("level", "slope", "variance", "schur", "dispersion", "phi", "covariance"):
        np.testing.assert_allclose(getattr(one, name)[use], getattr(two, name)[use], rtol=near, atol=1e-8, err_msg=name)
    assert (one.df == two.df).all()


@settings(max_examples=40, deadline=None)
@given(st.floats(-12, 12), st.sampled_from([1, 10]))
def test_the_power_series_is_the_sum_of_exponentials(slope: float, periods: int) -> None:
    seasons = seasons_of(FarringtonSettings(no_periods=periods))
    time, g = seasons.design.time, periods
    sums = seasons.sums_of_exponentials(np.array([slope, 0.0]))
    for k in range(3):
        for group in range(g):
            inside = seasons.design.season == group
            wanted = (time[inside] ** k * np.exp(slope * time[inside])).sum()
            assert sums[k * g + group, 0] == pytest.approx(wanted, rel=1e-10)
            assert sums[k * g + group, 1] == pytest.approx((time[inside] ** k).sum(), rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from(["nbPlugin", "muan", "delta"]))
def test_many_weeks_judged_together_are_each_judged_as_alone(seed: int, compat: bool, method: str) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.negative_binomial(2, 0.3, (7, 300)).astype(float)
    counts[0, rng.integers(0, 300, 9)] = np.nan
    chosen = FarringtonSettings(r_compat=compat, threshold_method=method)  # type: ignore[arg-type]
    together = farrington_weeks(counts, np.arange(265, 300), chosen)
    for k in (0, 17, 34):
        alone = farrington_flexible(counts, 265 + k, chosen)
        for name in ("expectation", "upper_bound", "dispersion", "p_value"):
            np.testing.assert_allclose(getattr(together, name)[:, k], getattr(alone, name), rtol=1e-8, err_msg=name)
        assert (together.alarm[:, k] == alone.alarm).all()
        assert (together.status[:, k] == alone.status).all()


@pytest.mark.parametrize("compat", [True, False])
def test_counts_beyond_what_the_sums_can_hold_are_fitted_all_the_same(compat: bool) -> None:
    """A fall by sixty powers of e a year leaves the range of the sums."""
    counts = np.zeros((2, 264))
    counts[0, :30] = 1e11
    counts[1] = np.round(1e10 * np.exp(-np.arange(264) / 3))
    ours = farrington_threshold(counts, AT, FarringtonSettings(no_periods=1, r_compat=compat))
    assert not np.isnan(ours.expectation).any()
    assert (ours.upper_bound >= 0).all() or compat


def test_a_missing_step_moves_the_other_series_of_its_batch_nowhere() -> None:
    counts = np.random.default_rng(8).poisson(5.0, (50, 264)).astype(float)
    gap = counts.copy()
    gap[3, 100] = np.nan
    one, two = (farrington_threshold(c, AT, FarringtonSettings()) for c in (counts, gap))
    others = np.arange(50) != 3
    np.testing.assert_allclose(one.expectation[others], two.expectation[others], rtol=1e-9)
    assert one.expectation[3] != two.expectation[3]
    assert one.expectation[3] == pytest.approx(two.expectation[3], rel=0.1)
