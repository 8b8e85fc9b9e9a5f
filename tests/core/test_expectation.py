"""The baseline of all series at once: it finds what was put into the data, and does not learn what it should not."""

import numpy as np
import pytest

from earlywarning.core.detectors.expectation import Expectation, ExpectationSettings, fit_expectation, profile
from earlywarning.core.observed_days import booking_days

FIRST = 19_000
PARENT = np.array([2, 2, -1])  # two categories in a group
RANK = np.array([0, 1, 2, 2, 2, 2])  # municipality, one district, four areas


def tower(fine: np.ndarray) -> np.ndarray:
    """(days, 4 areas, 2 categories) -> (days, 6, 3) with sums above."""
    out = np.zeros((len(fine), 6, 3), dtype=np.float32)
    out[:, 2:, :2] = fine
    out[:, 2:, 2] = fine.sum(2)
    out[:, 1] = out[:, 2:].sum(1)
    out[:, 0] = out[:, 1]
    return out


def truth(days: int, level: np.ndarray, trend: float = 0.0) -> np.ndarray:
    t = np.arange(FIRST, FIRST + days)
    shape = np.exp(0.4 * np.cos(2 * np.pi * t / 365.25) + 0.3 * ((t + 3) % 7 >= 5) + trend * (t - t[-1]) / 365.25)
    return level[None] * shape[:, None, None]


LEVEL = np.array([[0.5, 2.0], [1.0, 1.0], [0.2, 3.0], [2.0, 0.4]])


def fitted(fine: np.ndarray, **chosen: object) -> Expectation:
    kinds = np.zeros((len(fine), 0))
    settings = ExpectationSettings(**chosen)  # type: ignore[arg-type]
    return fit_expectation(tower(fine), FIRST, kinds, parent_column=PARENT, rank=RANK, settings=settings)


def predicted(fit: Expectation, days: np.ndarray) -> np.ndarray:
    return fit.level[None] * profile(fit, days, np.zeros((len(days), 0)))[:, None]


def test_weekday_season_and_levels_are_found_again() -> None:
    mean = truth(1800, LEVEL)
    fit = fitted(np.random.default_rng(1).poisson(mean))
    ahead = np.arange(FIRST + 1800, FIRST + 1800 + 364)
    want = truth(1800 + 364, LEVEL)[1800:]
    error = np.log(predicted(fit, ahead)[:, 2:, :2] / want)
    assert np.abs(error).mean() < 0.06
    assert fit.dispersion[:, :2] == pytest.approx(1.0, abs=0.08)


def test_overdispersion_is_found_and_shared_noise_told_apart_from_it() -> None:
    rng = np.random.default_rng(2)
    mean = truth(1800, 4 * LEVEL)
    phi = 1.8
    fit = fitted(rng.negative_binomial(mean / (phi - 1), 1 / phi))
    assert fit.dispersion[:, :2] == pytest.approx(phi, rel=0.1)
    assert (fit.common < 0.01).all()
    slow = np.exp(np.repeat(rng.normal(0, 0.25, 1800 // 28 + 1), 28)[:1800])
    shared = fitted(rng.poisson(mean * slow[:, None, None]))
    assert (shared.common[0] > 0.02).all()


def test_a_past_outbreak_is_weighted_down() -> None:
    rng = np.random.default_rng(3)
    counts = rng.poisson(truth(1800, LEVEL))
    calm = fitted(counts)
    counts[1500:1507, 0, 0] += 40
    loud = fitted(counts)
    assert loud.level[2, 0] == pytest.approx(calm.level[2, 0], rel=0.12)
    assert loud.dispersion[1, 0] < 1.5 * calm.dispersion[1, 0]


def test_the_newest_days_are_left_out() -> None:
    counts = np.random.default_rng(4).poisson(truth(1200, LEVEL))
    before = fitted(counts)
    counts[-28:] += 50
    after = fitted(counts)
    assert (after.level == before.level).all()
    assert (after.coefficients == before.coefficients).all()


def test_what_is_booked_on_the_first_of_the_month_is_expected_there_and_only_there() -> None:
    kinds = booking_days(FIRST, FIRST + 1799)
    clean = truth(1800, LEVEL)
    heaped = clean * np.where(kinds[:, :1] > 0, 2.5, 1.0)[:, :, None]
    settings = ExpectationSettings()
    for mean, wanted in ((heaped, 2.5), (clean, 1.0)):
        counts = tower(np.random.default_rng(8).poisson(mean))
        fit = fit_expectation(counts, FIRST, kinds, parent_column=PARENT, rank=RANK, settings=settings)
        days = np.arange(FIRST + 1800, FIRST + 1800 + 360)
        ahead = booking_days(int(days[0]), int(days[-1]))
        ratio = profile(fit, days, ahead) / profile(fit, days, np.zeros_like(ahead))
        assert ratio[ahead[:, 0] > 0, 2] == pytest.approx(wanted, rel=0.15)
        assert (ratio[ahead[:, 0] == 0] == 1).all()


def test_a_trend_stops_where_the_history_stops() -> None:
    fit = fitted(np.random.default_rng(5).poisson(truth(1800, 3 * LEVEL, trend=0.2)))
    near, far = (predicted(fit, np.arange(d, d + 364))[:, 0, 2].mean() for d in (FIRST + 1790, FIRST + 1790 + 3 * 364))
    assert near == pytest.approx(far, rel=0.03)


def test_a_sparse_area_leans_on_its_share_of_the_parent_category() -> None:
    level = np.array([[0.001, 1.0], [0.3, 1.0], [0.3, 1.0], [0.3, 1.0]])
    counts = np.random.default_rng(6).poisson(truth(700, level))
    counts[:, 0, 0] = 0
    fit = fitted(counts)
    assert 0 < fit.level[2, 0] < 0.1
    assert fit.level_variance[2, 0] > 3 * fit.level_variance[3, 0]


@pytest.mark.parametrize("days", [0, 10, 60, 400])
def test_short_and_empty_histories_give_figures_never_nothing(days: int) -> None:
    for counts in (np.zeros((days, 4, 2)), np.random.default_rng(7).poisson(truth(max(days, 1), LEVEL))[:days]):
        fit = fitted(counts)
        for values in (fit.level, fit.level_variance, fit.dispersion, fit.common, fit.coefficients):
            assert np.isfinite(values).all()
        assert (fit.dispersion >= 1).all()
