"""First occurrences: rare under shrunken rates, with a chance that is known beforehand and adds up to the allowance."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from earlywarning.core.detectors.negative_binomial import tail_probability
from earlywarning.core.detectors.novelty import first_occurrences, repeated_bound, repeated_occurrences
from earlywarning.core.detectors.rare_rates import RareRates, recurrence_anywhere, shrunken_rates, within_allowance
from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]
DAYS = 4 * 365


def municipality(rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """True daily rates (60 areas, 40 categories), counts of three years, and counts of the year after."""
    size = rng.lognormal(0, 0.6, 60)
    alike = rng.choice([0.5, 2.0, 10.0], 40)
    rates = size[:, None] * 10 ** rng.uniform(-6, -1, 40) * rng.gamma(alike, 1 / alike, (60, 40))
    return rates, rng.poisson(rates * (DAYS - 365)).astype(float), rng.poisson(rates * 365).astype(float)


@pytest.mark.parametrize("per_day", [1 / 7, 1 / 28])
def test_first_occurrences_come_as_often_as_the_allowance_says(per_day: float) -> None:
    rng, true, stated = np.random.default_rng(1), [], []
    for _ in range(12):
        rates, before, last = municipality(rng)
        fitted = shrunken_rates(before + last, DAYS, (before + last).sum(1) + 0.5)
        found = first_occurrences(fitted, np.where(last > 0, 10, 400), 365)
        watched = within_allowance(found.chance, per_day)
        true.append(rates[watched].sum())
        stated.append(found.chance[watched].sum())
    assert np.mean(stated) <= per_day
    assert np.mean(true) == pytest.approx(np.mean(stated), rel=0.2)


def test_a_first_occurrence_in_itself_is_common_and_only_a_rare_one_is_reported() -> None:
    _, before, last = municipality(np.random.default_rng(2))
    fitted = shrunken_rates(before + last, DAYS, (before + last).sum(1) + 0.5)
    found = first_occurrences(fitted, np.where(last > 0, 10, 400), 365)
    assert np.nansum(found.chance) > 0.3  # one every two or three days, somewhere
    watched = within_allowance(found.chance, 1 / 28)
    assert np.nanmax(found.chance[watched]) < np.nanmax(found.chance) / 10


def test_what_is_common_elsewhere_is_expected_here_too() -> None:
    counts = np.zeros((40, 2))
    counts[1:, 0] = 20  # in all areas but the first
    counts[5, 1] = 1
    found = first_occurrences(shrunken_rates(counts, DAYS, np.ones(40)), np.full((40, 2), 400), 365)
    assert found.chance[0, 0] > 5 * found.chance[0, 1]
    assert found.waiting_days[0, 0] < found.waiting_days[0, 1]


def test_a_larger_area_expects_more_of_what_it_has_not_seen() -> None:
    counts = np.zeros((10, 1))
    counts[9] = 3
    rates = shrunken_rates(counts, 1000, np.arange(1, 11))
    assert (np.diff(rates.per_day[:9, 0]) > 0).all()


def test_areas_that_differ_borrow_less_than_areas_that_are_alike() -> None:
    alike, unlike = np.full((20, 1), 10.0), np.zeros((20, 1))
    unlike[:2] = 100
    assert shrunken_rates(alike, 1000, np.ones(20)).per_day[0, 0] == pytest.approx(0.01, rel=0.1)
    assert shrunken_rates(unlike, 1000, np.ones(20)).per_day[5, 0] < 0.002


def test_the_median_waiting_time_is_when_half_of_the_chance_is_used() -> None:
    rates = RareRates(np.array([[0.3, 4.0]]), np.array([[500.0, 900.0]]))
    found = first_occurrences(rates, np.full((1, 2), np.inf), 365)
    for cell in range(2):
        assert rates.chance(float(found.waiting_days[0, cell]))[0, cell] == pytest.approx(0.5)


def test_what_was_seen_lately_is_not_new() -> None:
    rates = shrunken_rates(np.ones((2, 2)), 1000, np.ones(2))
    found = first_occurrences(rates, np.array([[364, 365], [np.inf, 0]]), 365)
    assert found.new.tolist() == [[False, True], [True, False]]
    assert np.isnan(found.chance[0, 0])
    assert np.isnan(found.recurrence_days[1, 1])


def test_the_second_and_third_are_more_unusual_than_the_first() -> None:
    rates = shrunken_rates(np.array([[0.0], [2.0], [1.0]]), 1500, np.ones(3))
    new = np.full((3, 1), True)
    p = [repeated_occurrences(np.full((3, 1), n), rates, new, 28).p_value[0, 0] for n in (0.0, 1, 2, 3)]
    assert p[:2] == [1, 1]
    assert p[3] < p[2] / 10 < 0.001
    assert repeated_occurrences(np.full((3, 1), 3.0), rates, ~new, 28).p_value[0, 0] == 1


def test_repetitions_come_as_seldom_as_their_p_value_says() -> None:
    rng, true, stated = np.random.default_rng(4), 0.0, 0.0
    for _ in range(12):
        rates, before, last = municipality(rng)
        fitted, new = shrunken_rates(before + last, DAYS, (before + last).sum(1) + 0.5), last == 0
        two = new & (repeated_bound(fitted, new, 28, 1e-3) == 2)
        mean = rates * 28
        true += float((1 - np.exp(-mean) * (1 + mean))[two].sum())
        stated += float(tail_probability(2, fitted.expected(28), fitted.dispersion(28))[two].sum())
    assert true == pytest.approx(stated, rel=0.35)


@settings(max_examples=40)
@given(st.floats(0.05, 20), st.floats(50, 5000), st.sampled_from([1e-2, 1e-4, 1e-6]), st.floats(1, 4))
def test_bound_and_p_value_of_repetitions_agree(shape: float, days: float, alpha: float, dispersion: float) -> None:
    rates = RareRates(np.array([[shape]]), np.array([[days]]))
    new = np.array([[True]])
    bound = float(repeated_bound(rates, new, 28, alpha, dispersion)[0, 0])
    at, below = (float(repeated_occurrences([[n]], rates, new, 28, dispersion).p_value[0, 0]) for n in (bound, bound - 1))
    assert at <= alpha
    assert below > alpha or bound == 2


@given(st.lists(st.floats(1e-7, 0.1), min_size=1, max_size=50), st.floats(1e-6, 1))
def test_the_allowance_is_never_exceeded_and_takes_the_rarest(chances: list[float], per_day: float) -> None:
    chance = np.array(chances)
    watched = within_allowance(chance, per_day)
    assert chance[watched].sum() <= per_day * (1 + 1e-9)
    if watched.any() and not watched.all():
        assert chance[watched].max() < chance[~watched].min()


def test_recurrence_counts_all_that_is_as_rare() -> None:
    found = recurrence_anywhere(np.array([0.001, np.nan, 0.002, 0.001, 0.1]))
    assert found[[0, 2, 3, 4]].tolist() == pytest.approx([500, 250, 500, 1 / 0.104])
    assert np.isnan(found[1])


def test_a_rate_that_is_not_known_for_certain_gives_negative_binomial_counts() -> None:
    """Gamma(shape, days) mixed over Poisson: size `shape`, probability days / (days + window)."""
    rates = RareRates(np.array([[0.3, 4.0]]), np.array([[500.0, 900.0]]))
    for window in (1.0, 28.0):
        theirs = stats.nbinom(rates.shape, rates.days / (rates.days + window))
        np.testing.assert_allclose(rates.expected(window), theirs.mean())
        np.testing.assert_allclose(rates.dispersion(window), theirs.var() / theirs.mean())
        np.testing.assert_allclose(rates.chance(window), theirs.sf(0))
    np.testing.assert_array_equal(rates.chance(), rates.chance(1.0))
    np.testing.assert_allclose(rates.per_day, [[0.3 / 500, 4 / 900]])


def test_the_prior_is_the_likeliest_of_25_with_one_part_in_two_of_what_all_categories_say() -> None:
    counts = np.array([[9.0, 0, 4, 1], [0, 0, 5, 0], [1, 1, 3, 0], [0, 0, 9, 0], [12, 0, 4, 7]])
    size = np.array([1.0, 2, 3, 4, 5])
    prior = (counts.sum(0) + 0.5) * (size / 15)[:, None]
    tried = np.geomspace(0.1, 100, 25)
    logs = np.array([stats.nbinom.logpmf(counts, k, k / (k + prior)).sum(0) for k in tried])
    k = tried[(logs + logs.mean(1)[:, None]).argmax(0)]
    assert len(set(k)) > 1
    found = shrunken_rates(counts, 700, size)
    np.testing.assert_allclose(found.shape, k + counts)
    np.testing.assert_allclose(found.days, (k / prior + 1) * 700)


def test_a_category_that_was_never_seen_is_expected_at_most_as_half_an_event_in_the_whole_history() -> None:
    found = shrunken_rates(np.zeros((4, 1)), 1000, np.array([1.0, 1, 1, 5]))
    assert 0.1 / 1000 < found.per_day.sum() <= 0.5 / 1000
    assert found.per_day[3, 0] > found.per_day[0, 0]


def test_of_chances_that_are_alike_all_or_none_are_watched_also_at_the_very_allowance() -> None:
    chance = np.array([[0.25, np.nan], [0.25, 0.125]])
    assert within_allowance(chance, 0.625).tolist() == [[True, False], [True, True]]
    assert within_allowance(chance, 0.6).tolist() == [[False, False], [False, True]]
    assert within_allowance(chance, 0.125).tolist() == [[False, False], [False, True]]
    assert not within_allowance(chance, 0.1).any()
    assert recurrence_anywhere(chance).tolist() == [[1.6, pytest.approx(np.nan, nan_ok=True)], [1.6, 8.0]]
    assert recurrence_anywhere(np.zeros(2)).tolist() == [1e12, 1e12]


def test_one_event_is_no_repetition_and_fractions_are_cut_down_but_for_rounding() -> None:
    rates = RareRates(np.full((1, 1), 2.0), np.full((1, 1), 400.0))
    new = np.full((1, 1), True)

    def p(observed: float, dispersion: float = 1.0) -> float:
        return float(repeated_occurrences([[observed]], rates, new, 28, dispersion).p_value[0, 0])

    assert p(1) == p(1.9) == 1.0
    assert p(2) == p(2.9) == p(2 + 1e-12) == pytest.approx(stats.nbinom.sf(1, 2, 400 / 428))
    assert p(3 - 1e-12) == p(3) < p(2)
    # Bunches of events add to the spread that the rate's uncertainty gives: 1 + 28 / 400 + 0.5.
    spread = 1.57
    assert p(2, 1.5) == pytest.approx(stats.nbinom.sf(1, 0.14 / (spread - 1), 1 / spread))
    assert repeated_occurrences([[2.0]], rates, new, 28).expectation == pytest.approx(0.14)
    assert np.isinf(repeated_bound(rates, ~new, 28, 0.01)).all()
    plain, bunched = (repeated_bound(rates, new, 28, 1e-4, phi) for phi in (1.0, 2.0))
    assert repeated_bound(rates, new, 28, 1e-4) == plain < bunched  # no bunches unless they are told of


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: first_occurrences(r, np.ones((2, 2)), 0),
         "absent_days = 0: at least 1 day without an event makes the next one a first"),
        (lambda r: first_occurrences(r, np.ones((3, 2)), 10),
         "days_since is of shape (3, 2), the rates of (2, 2); they must agree"),
        (lambda r: repeated_occurrences(-np.ones((2, 2)), r, np.ones((2, 2), bool), 28),
         "observed: counts must not be negative"),
        (lambda r: repeated_occurrences(np.ones((2, 2)), r, np.ones((2, 2), bool), 0),
         "window_days = 0: a window has at least 1 day"),
        (lambda r: repeated_bound(r, np.ones((2, 2), bool), 28, 0.01, 0.5), "dispersion: must be at least 1"),
        (lambda r: repeated_bound(r, np.ones((2, 2), bool), 28, 0.0), "alpha = 0.0: must lie between 0 and 1"),
        (lambda r: repeated_bound(r, np.ones((2, 2), bool), 28, 1.0), "alpha = 1.0: must lie between 0 and 1"),
        (lambda r: shrunken_rates(np.array([[1.0, 0], [0, -1]]), 10, np.ones(2)), "counts[1, 1]: must be finite and not negative"),
        (lambda r: shrunken_rates(np.array([[1.0, np.inf]]), 10, np.ones(1)), "counts[0, 1]: must be finite and not negative"),
        (lambda r: shrunken_rates(np.ones(2), 10, np.ones(2)),
         "counts must be (areas, categories) and not empty, not of shape (2,)"),
        (lambda r: shrunken_rates(np.ones((0, 2)), 10, np.ones(0)),
         "counts must be (areas, categories) and not empty, not of shape (0, 2)"),
        (lambda r: shrunken_rates(np.ones((2, 2)), 10, np.zeros(2)),
         "size must give one number above 0 for each of the 2 areas"),
        (lambda r: shrunken_rates(np.ones((2, 2)), 10, np.array([1, np.inf])),
         "size must give one number above 0 for each of the 2 areas"),
        (lambda r: shrunken_rates(np.ones((2, 2)), 10, np.ones(3)),
         "size must give one number above 0 for each of the 2 areas"),
        (lambda r: shrunken_rates(np.ones((2, 2)), 0.9, np.ones(2)), "days = 0.9: at least one day of history is needed"),
        (lambda r: shrunken_rates(np.ones((2, 2)), np.inf, np.ones(2)), "days = inf: at least one day of history is needed"),
        (lambda r: within_allowance(np.ones(2), 0), "an allowance of 0 false alarms a day cannot be met; give more than 0"),
    ],
)  # fmt: skip
def test_figures_out_of_range_are_refused_by_name(call: object, words: str) -> None:
    with pytest.raises(DetectorError, match=f"^{re.escape(words)}$"):
        call(shrunken_rates(np.ones((2, 2)), 1000, np.ones(2)))  # type: ignore[operator]


def test_the_least_that_is_allowed_is_taken() -> None:
    rates = shrunken_rates(np.ones((2, 2)), 1, np.ones(2))
    assert first_occurrences(rates, np.array([[1.0, 0.5], [1, 1]]), 1).new.tolist() == [[True, False], [True, True]]
    new = np.ones((2, 2), bool)
    assert repeated_occurrences(np.zeros((2, 2)), rates, new, 1, 1.0).p_value.tolist() == [[1, 1], [1, 1]]
    assert (repeated_bound(rates, new, 1, 0.5) >= 2).all()
