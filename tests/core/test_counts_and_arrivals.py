"""Running counts, the budget, lateness and silence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.arrivals import Arrivals
from earlywarning.core.calendar import UNIT
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
        assert (cube.window_all(60, length) == want[-1]).all()
    assert (cube.daily_all(every, -30, 60) == (plain.T / UNIT).astype(np.float32)).all()


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


CATEGORIES = np.array([[0, -1], [1, 0], [2, 0]])  # two categories below the root


def arrive(arrivals: Arrivals, day: int, lags: list[int], source: int = 0, category: int = 1) -> None:
    """Incidents of one category that arrive on a day."""
    n = len(lags)
    arrivals.add(day, np.zeros(n, dtype=int), np.full(n, category), np.array(lags, dtype=int), np.full(n, source))


def test_a_regular_source_that_stops_is_silent_and_a_rare_one_is_not() -> None:
    arrivals = Arrivals(CATEGORIES)
    for day in range(60):
        arrivals.begin_day(day)
        arrive(arrivals, day, [0] * 4)
        if day % 20 == 0:
            arrive(arrivals, day, [0], source=1)
    arrivals.begin_day(60)
    assert arrivals.silent(0, 60, 365) == []
    found = arrivals.silent(0, 65, 365)
    assert [(s.source, s.since) for s in found] == [(0, 59)]
    assert found[0].recurrence_days > 365
    assert arrivals.silent(1, 65, 365) == [], "it never sent reports"


def test_the_share_that_has_arrived_is_each_categorys_own_and_a_new_ones_its_kinds() -> None:
    arrivals = Arrivals(CATEGORIES)
    arrive(arrivals, 1, [0] * 900 + [2] * 100)
    arrive(arrivals, 1, [0] * 500 + [2] * 500, category=2)
    assert (arrivals.shares(np.array([0]), np.array([1])) == 1).all(), "what is known today is that of closed days"
    arrivals.begin_day(2)
    one, two, kind = arrivals.shares(np.array([0, 0, 0]), np.array([1, 2, 0]))
    assert one[0] == pytest.approx(0.9, abs=0.02)
    assert two[0] == pytest.approx(0.5, abs=0.02)
    assert kind[0] == pytest.approx(0.7)
    assert (np.diff(np.array([one, two, kind])) >= 0).all()
    assert np.allclose([one[2], two[2], kind[2]], 1)
    assert (arrivals.shares(np.array([1]), np.array([1])) == 1).all(), "of reports nothing is known: all count as arrived"
