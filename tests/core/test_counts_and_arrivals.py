"""Running counts, the budget, lateness and silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.arrivals import Arrivals
from earlywarning.core.budget import level, recurrence_days
from earlywarning.core.counts import CountCube
from earlywarning.core.detectors.negative_binomial import quantile, tail_probability


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(-30, 60), st.integers(-3, 5)), min_size=1, max_size=60),
    st.integers(1, 8),
)
def test_running_sums_are_the_sums_whatever_the_order_and_the_batches(added: list[tuple[int, int, int]], batch: int) -> None:
    cube = CountCube(5)
    plain = np.zeros((5, 91), dtype=int)
    for series, day, units in added:
        plain[series, day + 30] += units
    for begin in range(0, len(added), batch):
        part = np.array(added[begin : begin + batch])
        cube.add(part[:, 0], part[:, 1], part[:, 2])
    every, days = np.arange(5), np.arange(-30, 61)
    cube.extend(-30, 60)
    for length in (1, 7, 28):
        want = np.array([[plain[s, max(0, d - length + 1) : d + 1].sum() for s in range(5)] for d in range(91)])
        assert (cube.window(every, days, length) == want).all()
        assert (cube.windows(every, days, [length])[0] == want).all()
        assert (cube.window_all(60, length) == want[-1]).all()


def test_the_budget_is_the_expected_number_of_false_signals() -> None:
    alpha = level(2.0, 1000, 3)
    assert alpha * 1000 * 3 * 7 == pytest.approx(2.0)
    assert recurrence_days(alpha, 1000, 3) == pytest.approx(3.5)
    with pytest.raises(ValueError, match="cannot be met"):
        level(0, 10, 3)


@settings(max_examples=150, deadline=None)
@given(st.floats(1e-6, 1e6), st.floats(1, 50), st.floats(1e-9, 0.2))
def test_the_quantile_is_the_least_count_with_so_small_a_tail(mean: float, dispersion: float, alpha: float) -> None:
    bound = float(quantile(alpha, mean, dispersion))
    assert tail_probability(bound + 1, mean, dispersion) <= alpha * (1 + 1e-9)
    if bound >= 1:
        assert tail_probability(bound, mean, dispersion) > alpha * (1 - 1e-9)


@pytest.mark.parametrize(("mean", "dispersion"), [(1e300, 2), (1e-300, 1e10), (0, 1), (np.nan, 1), (5, 1e12), (1e9, 1 + 1e-12)])
def test_extreme_arguments_neither_abort_nor_hang(mean: float, dispersion: float) -> None:
    bound = quantile(1e-6, mean, dispersion)
    assert np.isnan(bound) == np.isnan(mean)


def test_a_regular_source_that_stops_is_silent_and_a_rare_one_is_not() -> None:
    arrivals = Arrivals()
    one = np.array([1])
    for day in range(60):
        arrivals.begin_day(day)
        arrivals.add(day, np.zeros(4, dtype=int), np.zeros(4, dtype=int), np.zeros(4, dtype=int))
        if day % 20 == 0:
            arrivals.add(day, one * 0, one * 0, one)
    arrivals.begin_day(60)
    assert arrivals.silent(0, 60, 365) == []
    found = arrivals.silent(0, 65, 365)
    assert [(s.source, s.since) for s in found] == [(0, 59)]
    assert found[0].recurrence_days > 365
    assert arrivals.silent(1, 65, 365) == [], "it never sent reports"


def test_what_usually_arrives_later_is_missing_from_the_newest_days() -> None:
    arrivals = Arrivals()
    lags = np.array([0, 0, 1, 3])
    arrivals.add(1, np.zeros(4, dtype=int), lags, np.zeros(4, dtype=int))
    arrivals.begin_day(2)
    assert arrivals.missing_share(0, 2, 2, 2) == pytest.approx(0.5)
    assert arrivals.missing_share(0, 1, 2, 2) == pytest.approx((0.25 + 0.5) / 2)
    assert arrivals.missing_share(0, -10, -5, 2) == 0
    assert arrivals.missing_share(1, 2, 2, 2) == 0
