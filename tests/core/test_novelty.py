"""First occurrences: rare under shrunken rates, with a chance that is known beforehand and adds up to the allowance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

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


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: first_occurrences(r, np.ones((2, 2)), 0), "absent_days"),
        (lambda r: first_occurrences(r, np.ones((3, 2)), 10), "shape"),
        (lambda r: repeated_occurrences(-np.ones((2, 2)), r, np.ones((2, 2), bool), 28), "observed"),
        (lambda r: repeated_occurrences(np.ones((2, 2)), r, np.ones((2, 2), bool), 0), "window_days"),
        (lambda r: repeated_bound(r, np.ones((2, 2), bool), 28, 0.01, 0.5), "dispersion"),
        (lambda r: shrunken_rates(np.array([[-1.0]]), 10, np.ones(1)), "counts"),
        (lambda r: shrunken_rates(np.ones((2, 2)), 10, np.zeros(2)), "size"),
        (lambda r: shrunken_rates(np.ones((2, 2)), 0, np.ones(2)), "days"),
        (lambda r: within_allowance(np.ones(2), 0), "allowance"),
    ],
)
def test_figures_out_of_range_are_refused_by_name(call: object, words: str) -> None:
    with pytest.raises(DetectorError, match=words):
        call(shrunken_rates(np.ones((2, 2)), 1000, np.ones(2)))  # type: ignore[operator]
