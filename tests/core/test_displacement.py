"""Simple differences of counts come out as published, and keep the laws that they must keep."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from earlywarning.core.displacement import e_test, poisson_z, weighted_displacement_difference

_counts = st.tuples(st.integers(0, 500), st.integers(0, 500))


def test_the_example_of_ptools_is_minus_ten_with_standard_error_8_4() -> None:
    found = weighted_displacement_difference((20, 10), (20, 20))
    assert (found.local, found.displaced, found.total) == (-10, 0, -10)
    assert round(found.total_se, 1) == 8.4
    assert (round(found.z, 6), round(found.low, 6), round(found.high, 6)) == (-1.195229, -23.761833, 3.761833)


def test_what_moves_into_the_buffer_is_counted_against_the_action() -> None:
    moved = weighted_displacement_difference((20, 10), (20, 20), (20, 30), (20, 20))
    assert (moved.local, moved.displaced, moved.total) == (-10, 10, 0)


def test_the_figures_of_the_paper_come_out() -> None:
    """Wheeler & Ratcliffe 2018, as in the tests of ptools: -118, variance 1568, z -2.98, 95 % interval -196 to -40."""
    found = weighted_displacement_difference((207, 110), (308, 318), (178, 157), (150, 140), level=0.95)
    assert found.total == -118
    assert found.total_se == pytest.approx(math.sqrt(1568))
    assert (round(found.z, 2), round(found.low), round(found.high)) == (-2.98, -196, -40)


def test_periods_and_areas_of_different_size_are_weighed_as_in_ptools() -> None:
    time = weighted_displacement_difference((80, 20), (100, 50), time_weights=(2, 1))
    assert (time.total, time.total_se) == (-20, pytest.approx(math.sqrt(115)))
    area = weighted_displacement_difference(
        (207, 110), (308, 318), (178, 157), (150, 140), area_weights=(0.9, 1.2, 1.6, 1.5), level=0.95
    )
    told = (area.total, area.total_se, area.z, area.low, area.high)
    assert told == pytest.approx((-99.69444444, 35.4280755, -2.813995483, -169.1321965, -30.25669241))


@given(_counts, _counts, _counts, st.floats(1, 4))
def test_a_change_that_comes_everywhere_is_no_difference_and_dispersion_widens(
    treated: tuple[int, int], buffer: tuple[int, int], other: tuple[int, int], dispersion: float
) -> None:
    assert weighted_displacement_difference(treated, treated, buffer, buffer).total == 0
    plain, wide = (weighted_displacement_difference(treated, other, buffer, dispersion=d) for d in (1.0, dispersion))
    assert wide.total == plain.total
    assert wide.total_se == pytest.approx(plain.total_se * math.sqrt(dispersion))


@pytest.mark.parametrize(("after", "before", "published"), [(6, 2, 0.1749), (0, 3, 0.0884), (20, 10, 0.069)])
def test_the_e_test_gives_the_published_probabilities(after: int, before: int, published: float) -> None:
    assert e_test(after, before) == pytest.approx(published, abs=5e-4)
    assert e_test(before, after) == pytest.approx(e_test(after, before))


@given(st.integers(0, 60), st.integers(0, 60))
def test_an_e_test_is_a_probability_and_nothing_is_likelier_than_no_difference(a: int, b: int) -> None:
    assert 0 <= e_test(a, b) <= 1
    assert e_test(a, a) > 0.86  # not 1: that nothing happens at all in either is no evidence of a difference


def test_large_counts_are_tested_by_the_normal_limit_that_the_exact_test_nears() -> None:
    assert e_test(1_050, 940) == pytest.approx(e_test(1_056, 945), abs=0.01)  # one exact, one beyond 2,000 events


def test_a_square_root_has_half_a_standard_deviation() -> None:
    assert poisson_z(9, 4) == 2
    assert poisson_z(4, 9) == -2
    assert poisson_z(25, 4) == 6
    assert poisson_z(4, 4) == 0


def test_no_event_anywhere_is_no_difference_and_no_division_by_nothing() -> None:
    found = weighted_displacement_difference((0, 0), (0, 0))
    assert (found.total, found.total_se, found.z, found.low, found.high) == (0, 0, 0, 0, 0)
    assert e_test(0, 0) == 1.0
    assert e_test(1, 0) < 0.5  # one event is not nothing


def test_each_part_has_the_standard_error_of_its_own_counts() -> None:
    found = weighted_displacement_difference((9, 16), (4, 7), (30, 20), (10, 4), dispersion=2.0)
    assert (found.local, found.displaced, found.total) == (4, -4, 0)
    assert (found.local_se**2, found.displaced_se**2, found.total_se**2) == pytest.approx((2 * 36, 2 * 64, 2 * 100))


def test_a_deviate_does_not_depend_on_the_unit_of_time() -> None:
    weeks, days = (weighted_displacement_difference((9, 25), (4, 6), time_weights=(n, n)) for n in (1, 7))
    assert days.z == pytest.approx(weeks.z) == pytest.approx(14 / math.sqrt(44))
    assert days.total_se == pytest.approx(weeks.total_se / 7)
    assert days.total_se < 1


@pytest.mark.parametrize(("after", "before"), [(6, 4), (1_200, 1_500)])
def test_an_e_test_weighs_counts_by_how_long_they_were_counted(after: int, before: int) -> None:
    """Half as many in half the time is no difference; as many in half the time is one. Exact, and by the normal limit."""
    assert e_test(after, 2 * after, 1.0, 2.0) > 0.86
    assert e_test(3 * after, 3 * after, 1.0, 2.0) < e_test(3 * after, 3 * after)
    assert e_test(after, before, 2.0, 4.0) == pytest.approx(e_test(after, before, 1.0, 2.0))
    assert e_test(after, before, 1.0, 2.0) == pytest.approx(e_test(before, after, 2.0, 1.0))


def test_beyond_2_000_events_the_e_test_is_the_normal_one_of_the_common_rate() -> None:
    """2,400 events in three years are 800 a year; 900 in one of them, 750 a year in the two before: z = 150 / sqrt(800 + 400)."""
    assert e_test(900, 1_500, 1.0, 2.0) == pytest.approx(math.erfc(150 / math.sqrt(1200) / math.sqrt(2)))
    assert e_test(1_500, 900, 2.0, 1.0) == pytest.approx(e_test(900, 1_500, 1.0, 2.0))
    assert e_test(1_050, 950) == stats.poisson_means_test(1_050, 1, 950, 1).pvalue  # 2,000 are few enough to be exact
