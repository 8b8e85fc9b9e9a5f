"""Dispersion, likeness and intervals, by figures that can be worked out by hand or looked up."""

import numpy as np
import pytest

from earlywarning.core.dispersion import dispersion, history_dispersion, likeness, mean_interval, ratio_interval


@pytest.mark.parametrize(
    ("residuals", "variances", "parameters", "told"),
    [
        ([2, -2, 2, -2], [2, 2, 2, 2], 0, 2.0),  # 16 over 8
        ([2, -2, 2, -2], [2, 2, 2, 2], 2, 4.0),  # half of the four weeks' freedom went into the fit
        ([2, -2, 2, -2], [2, 2, 2, 2], 3, 8.0),
        ([2, -2, 2, -2], [2, 2, 2, 2], 4, 1.0),  # none is left: nothing is said
        ([3, 0, 0, 0], [1, 2, 3, 3], 0, 1.0),  # sums are compared, 9 over 9, not weeks
        ([1, -1, 1, -1], [2, 2, 2, 2], 0, 1.0),  # less than chance is chance
        ([1, -1, 1, -1], [0, 0, 0, 0], 0, 1.0),
        ([1, -1, 1, -1], [0, 0.5, 0, 0.5], 0, 4.0),
    ],
)
def test_dispersion_is_variance_over_what_chance_gives(
    residuals: list[float], variances: list[float], parameters: int, told: float
) -> None:
    assert dispersion(np.array(residuals, float), np.array(variances, float), parameters) == pytest.approx(told)


@pytest.mark.parametrize(
    ("residuals", "lags", "told"),
    [
        ([1, 1, -1, -1, 1, 1, -1, -1], 1, 1.25),  # r_1 = 1/8, and 1/8 for the fitted mean, by half, twice
        ([3, 3, -3, -3, 3, 3, -3, -3], 1, 1.25),  # whatever the unit
        ([1, 1, 1], 1, 2.0),
        ([1, 1], 1, 1.0),  # too few to tell
        ([1, -1, 1, -1, 1, -1], 1, 1.0),  # neighbours unlike each other are no reason to be bolder
        ([0] * 20, 4, 1.0),
        ([1] * 9, 4, 41 / 9),  # r_k + 1/9 = (10 - k) / 9 with the weights 0.8, 0.6, 0.4, 0.2
        ([1e-4] * 9, 4, 41 / 9),
        ([1e-12] * 9, 4, 1.0),  # what rounding leaves of a perfect fit
        ([1] * 8, 4, 1.0),
    ],
)
def test_likeness_is_newey_and_west_s(residuals: list[float], lags: int, told: float) -> None:
    assert likeness(np.array(residuals, float), lags) == pytest.approx(told)


def test_four_lags_are_looked_at_unless_said_otherwise() -> None:
    residuals = np.random.default_rng(1).normal(size=60).cumsum()
    assert likeness(residuals) == likeness(residuals, 4) != likeness(residuals, 3)


def _seasonal(weeks: int, swing: float = 8.0) -> np.ndarray:
    return 20 + swing * np.sin(2 * np.pi * np.arange(weeks) / 52.18)


@pytest.mark.parametrize(
    ("weekly", "step", "still"),
    [
        (10 + 0.5 * np.arange(40), 0, True),  # a trend is no restlessness
        (_seasonal(52), 0, True),  # nor is a season, from a year on
        (_seasonal(51), 0, False),
        (_seasonal(156), 0, True),
        (_seasonal(169)[13:], 0, True),
        (np.where(np.arange(60) < 30, 5.0, 25.0), 30, True),  # nor a change that came, where it is told
        (np.where(np.arange(60) < 30, 5.0, 25.0), 0, False),
        (np.where(np.arange(60) < 30, 5.0, 25.0), 20, False),
        (np.where(np.arange(20) < 4, 5.0, 25.0), 4, True),  # at least four weeks on each side of it
        (np.where(np.arange(20) < 3, 5.0, 25.0), 3, False),
        (np.where(np.arange(20) < 16, 5.0, 25.0), 16, True),
        (np.where(np.arange(20) < 17, 5.0, 25.0), 17, False),
        (np.array([0, 9, 0, 9, 0, 9, 0, 9.0]), 0, False),
        (np.array([0, 9, 0, 9, 0, 9, 0.0]), 0, True),  # of seven weeks nothing is said
        (np.array([0, 4, 0, 4, 0, 0, 0, 0.0]), 0, False),
        (np.array([0, 4, 0, 3, 0, 0, 0, 0.0]), 0, True),  # nor of seven events
    ],
)
def test_a_history_is_restless_about_its_trend_season_and_known_step(weekly: np.ndarray, step: int, still: bool) -> None:
    assert (history_dispersion(weekly, step) == 1.0) == still


def test_of_a_level_series_the_history_s_dispersion_is_its_variance_over_its_mean_and_likeness() -> None:
    """Sixteen weeks in pairs about a mean of 6, no trend: 16 * 4 over 16 * 6 with 14 of 16 free, times the pairs' likeness."""
    about = np.array([4, 4, 8, 8, 8, 8, 4, 4] * 2, float)
    wide = 6 + 5 * (about - 6) / 2
    inflated = 25 / 6 * 16 / 14 * likeness(wide - 6)
    assert history_dispersion(wide) == pytest.approx(inflated)
    assert likeness(wide - 6, 1) > 1


def test_a_trend_that_would_go_below_nothing_ends_at_a_tenth_of_the_mean() -> None:
    """Weeks of nothing after much: the straight line is below zero there, where no variance can be."""
    weekly = np.append(np.full(10, 30.0), np.zeros(30))
    x = np.column_stack([np.ones(40), np.arange(40)])
    line = x @ np.linalg.lstsq(x, weekly, rcond=None)[0]
    fit = np.where(line < 0.75, 0.75, line)
    assert (line < 0.75).any()
    residuals = weekly - fit
    assert history_dispersion(weekly) == pytest.approx((residuals**2).sum() / fit.sum() * 40 / 38 * likeness(residuals))


@pytest.mark.parametrize(
    ("count", "spread", "low", "high"),
    [
        (0, 1.0, 0.0, 2.9957),  # -log 0.05
        (1, 1.0, 0.0513, 4.7439),
        (10, 1.0, 5.4254, 16.9622),
        (20, 2.0, 10.8508, 33.9244),  # as much information as 10, twice as much each
        (0, 2.0, 0.0, 5.9915),
    ],
)
def test_garwood_s_interval_of_nine_in_ten(count: float, spread: float, low: float, high: float) -> None:
    assert mean_interval(count, spread) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize(
    ("after", "before", "exposure", "spread", "low", "high"),
    [
        # Clopper and Pearson: of n alike the share is 0.05^(1/n) at least, or 1 - 0.05^(1/n) at most.
        (0, 3, 1.0, 1.0, 0.0, 0.05 ** (-1 / 3) - 1),
        (3, 0, 1.0, 1.0, 1 / (0.05 ** (-1 / 3) - 1), float("inf")),
        (0, 3, 0.5, 1.0, 0.0, 2 * (0.05 ** (-1 / 3) - 1)),
        (3, 0, 0.5, 1.0, 2 / (0.05 ** (-1 / 3) - 1), float("inf")),
        (0, 6, 1.0, 2.0, 0.0, 0.05 ** (-1 / 3) - 1),
        (0.5, 0, 1.0, 0.5, 1 / 19, float("inf")),
        (0, 0.5, 1.0, 0.5, 0.0, 19.0),
    ],
)
def test_the_interval_of_a_ratio_with_nothing_on_one_side(
    after: float, before: float, exposure: float, spread: float, low: float, high: float
) -> None:
    assert ratio_interval(after, before, exposure, spread) == pytest.approx((low, high))


def test_dispersed_counts_tell_of_a_ratio_what_fewer_would() -> None:
    assert ratio_interval(20, 40, 0.7, 2.0) == pytest.approx(ratio_interval(10, 20, 0.7))
