"""Windows that end today: what is expected of the part that is recorded, by figures anyone can work out and by its laws."""

import numpy as np
import pytest

from earlywarning.core.detectors.expectation import Expectation
from earlywarning.core.window_law import WindowLaw, common_variance, moments, window_law

DAY = 20_000
NO_KINDS = np.zeros((28, 0))


def flat(per_day: tuple[float, ...] = (2.0, 0.5), dispersion: tuple[float, float, float] = (1.0, 1.5, 2.0)) -> Expectation:
    """Every day like every other: so many events a day in each column, in one area."""
    k, p = len(per_day), 1 + 7 + 1  # a mean, seven weekdays, a trend
    coefficients = np.zeros((k, p))
    coefficients[:, 0] = np.log(per_day)
    return Expectation(
        coefficients=coefficients, level=np.ones((1, k)), level_variance=np.zeros((1, k)),
        dispersion=np.repeat(np.array(dispersion)[:, None], k, 1), common=np.zeros((2, k)), origin=DAY, harmonics=0,
        trusted=np.ones((1, k), dtype=bool), covariance=np.zeros((k, p, p)), centre=np.zeros(p),
    )  # fmt: skip


def test_where_all_is_recorded_at_once_a_window_expects_its_days_and_is_as_restless_as_its_length() -> None:
    law = window_law(flat(), (1, 7, 28), DAY, NO_KINDS, np.ones((2, 4)))
    np.testing.assert_allclose(law.recorded, [[2, 0.5], [14, 3.5], [56, 14]])
    np.testing.assert_allclose(law.share, 1)
    np.testing.assert_allclose(law.dispersion, [[1, 1], [1.5, 1.5], [2, 2]])
    np.testing.assert_allclose(law.profile_variance, 0)


def test_the_newest_days_lack_what_comes_late_and_older_ones_than_the_lags_are_as_complete_as_the_last_lag() -> None:
    """Half of today's events are there, 80 % of yesterday's, 90 % of the days before; the other column has all at once."""
    shares = np.array([[0.5, 0.8, 0.9], [1.0, 1.0, 1.0]])
    law = window_law(flat(), (1, 7), DAY, NO_KINDS[:7], shares)
    np.testing.assert_allclose(law.recorded, [[2 * 0.5, 0.5], [2 * (0.5 + 0.8 + 5 * 0.9), 3.5]])
    np.testing.assert_allclose(law.share, [[0.5, 1], [(0.5 + 0.8 + 5 * 0.9) / 7, 1]])
    # What is thinned to a share looks more like chance by that share: 1 + share * (1.5 - 1) over seven days.
    np.testing.assert_allclose(law.dispersion, [[1, 1], [1 + 0.5 * 5.8 / 7, 1.5]])


def test_a_window_has_the_days_that_end_with_it_and_their_kinds() -> None:
    """Today is ten times as busy by its day kind, and weighs in every window; a busy day a week ago in the longest only."""
    fit = flat((2.0,))
    fit = fit._replace(
        coefficients=np.append(fit.coefficients, [[np.log(10)]], axis=1), covariance=np.zeros((1, 10, 10)), centre=np.zeros(10)
    )
    kinds = np.zeros((28, 1))
    kinds[-1] = kinds[-8] = 1
    law = window_law(fit, (7, 1, 28), DAY, kinds, np.ones((1, 1)))
    np.testing.assert_allclose(law.recorded[:, 0], [6 * 2 + 20, 20, 26 * 2 + 2 * 20])


def test_a_weekday_falls_on_its_day() -> None:
    fit = flat((1.0,))
    fit.coefficients[0, 1 + (DAY + 3) % 7] = np.log(5)  # the weekday of the last day
    fit.coefficients[0, 1 + (DAY + 2) % 7] = np.log(3)  # and of the day before
    law = window_law(fit, (1, 2, 9), DAY, NO_KINDS[:9], np.ones((1, 1)))
    np.testing.assert_allclose(law.recorded[:, 0], [5, 8, 2 * 8 + 5])


def test_what_the_profile_does_not_know_for_certain_is_that_of_the_window_s_own_days() -> None:
    """Only today's weekday is uncertain, relative variance 0.04: a day has all of it, a week of days a seventh of the deviate."""
    fit = flat((1.0,))
    at = 1 + (DAY + 3) % 7
    fit.covariance[0, at, at] = 0.04
    law = window_law(fit, (1, 7), DAY, NO_KINDS[:7], np.ones((1, 1)))
    np.testing.assert_allclose(law.profile_variance[:, 0], [0.04, 0.04 / 49])


def test_where_nothing_is_recorded_yet_the_share_is_none_and_no_figure_is_missing() -> None:
    law = window_law(flat(), (1, 7), DAY, NO_KINDS[:7], np.zeros((2, 1)))
    assert (law.recorded == 0).all()
    assert (law.share == 0).all()
    np.testing.assert_allclose(law.dispersion, 1)


def test_larger_places_share_what_moves_their_parts_and_the_smallest_have_it_in_their_own_level() -> None:
    common = np.array([[0.01, 0.02], [0.03, 0.04]])  # within a district; over the municipality
    found = common_variance(common, np.array([0, 1, 2, 2]))
    np.testing.assert_array_equal(found, [[0.03, 0.04], [0.01, 0.02], [0, 0], [0, 0]])


def test_the_variance_of_a_window_is_chance_s_and_that_of_what_is_not_known() -> None:
    law = WindowLaw(np.array([[2.0], [10.0]]), np.ones((2, 1)), np.array([[1.0], [1.5]]), np.array([[0.0], [0.1]]))
    expectation, variance = moments(law, level=np.array([[3.0], [0.5]]), relative=np.array([[0.2], [0.0]]))
    np.testing.assert_allclose(expectation[..., 0], [[6, 1], [30, 5]])
    assert variance[..., 0] == pytest.approx(np.array([[6 + 0.2 * 36, 1], [45 + 0.3 * 900, 7.5 + 0.1 * 25]]))
