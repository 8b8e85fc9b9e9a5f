"""Severe and rare: single events, sums of harm and clusters, each with its own known chance."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from earlywarning.core.detectors.rare_rates import shrunken_rates
from earlywarning.core.detectors.severity import (
    harm_bound,
    harm_sum,
    harm_tail,
    severe_cluster,
    severe_cluster_bound,
    severe_rule,
)
from earlywarning.core.detectors.status import DetectorError

HARM = np.array([1.0, 3, 5, 8, 10, 20, 40, 60, 120, 300, 300, 1000])
MONTHLY = np.array([30, 10, 15, 8, 8, 3, 6, 1.5, 0.5, 0.05, 0.02, 0.003])


def test_the_tail_is_that_of_compound_poisson() -> None:
    harm, expected = np.array([1.0, 3.0]), np.array([[0.7, 0.4]])
    density = np.zeros(300)
    for i in range(60):
        for j in range(60):
            density[i + 3 * j] += poisson.pmf(i, 0.7) * poisson.pmf(j, 0.4)
    tail = density[::-1].cumsum()[::-1]
    for small in range(3):
        for large in range(6):
            found = harm_tail(np.array([[small, large]], dtype=float), expected, harm)
            assert found.harm[0] == small + 3 * large
            assert found.p_value[0] == pytest.approx(tail[small + 3 * large], rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("scale", "variance"), [(0.05, 0.0), (0.3, 0.0), (1.0, 0.1), (10.0, 0.05), (100.0, 0.02)])
def test_false_alarms_stay_at_the_level_from_a_hamlet_to_a_city(scale: float, variance: float) -> None:
    rng, n = np.random.default_rng(1), 60_000
    expected = (MONTHLY * scale)[None]
    factor = rng.gamma(1 / variance, variance, n) if variance else np.ones(n)
    counts = rng.poisson(factor[:, None] * expected).astype(np.float64)
    for alpha in (0.01, 0.001):
        bound = harm_bound(expected, HARM, alpha, variance)
        over = harm_sum(counts, HARM, np.repeat(bound.unit, n)) >= bound.bound[0] - 1e-6
        assert over.mean() <= alpha + 3 * np.sqrt(alpha / n)
        assert over.mean() >= 0.6 * alpha


def test_one_shooting_in_a_quiet_area_is_rare_and_one_more_theft_is_not() -> None:
    expected = (MONTHLY * 0.05)[None]
    usual = np.rint(expected)
    shooting, theft = usual.copy(), usual.copy()
    shooting[0, 9] += 1
    theft[0, 2] += 1
    assert harm_tail(shooting, expected, HARM).p_value[0] < 0.01
    assert harm_tail(theft, expected, HARM).p_value[0] > 0.2


@settings(max_examples=40)
@given(st.lists(st.integers(0, 6), min_size=12, max_size=12), st.integers(0, 11), st.floats(0, 0.5))
def test_another_event_never_makes_a_sum_less_unusual(counts: list[int], more: int, variance: float) -> None:
    before = np.array([counts], dtype=np.float64)
    after = before.copy()
    after[0, more] += 1
    expected = (MONTHLY * 0.1)[None]
    p = [float(harm_tail(c, expected, HARM, variance).p_value[0]) for c in (before, after)]
    assert p[1] <= p[0] + 1e-12


@settings(max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=12, max_size=12), st.sampled_from([0.05, 0.01, 1e-3, 1e-5]), st.floats(0, 0.3))
def test_a_bound_and_a_p_value_agree(counts: list[int], alpha: float, variance: float) -> None:
    expected = (MONTHLY * 0.1)[None]
    observed = np.array([counts], dtype=np.float64)
    bound = harm_bound(expected, HARM, alpha, variance)
    over = bool(harm_sum(observed, HARM, bound.unit)[0] >= bound.bound[0] - 1e-9)
    assert over == bool(harm_tail(observed, expected, HARM, variance).p_value[0] <= alpha)


def test_busy_times_that_a_series_knows_make_a_large_sum_less_unusual() -> None:
    expected, counts = MONTHLY[None], np.rint(MONTHLY * 1.6)[None]
    plain, shared = (harm_tail(counts, expected, HARM, v).p_value[0] for v in (0.0, 0.1))
    assert plain < shared


def test_a_sum_beyond_all_expectation_gets_the_least_probability_and_no_error() -> None:
    found = harm_tail(np.full((2, 12), 1e6), np.array([MONTHLY, np.zeros(12)]), HARM)
    assert (found.p_value <= 1e-9).all()
    assert (harm_tail(np.zeros((1, 12)), np.zeros((1, 12)), HARM).p_value == 1).all()


def test_the_plain_rule_takes_the_severe_where_it_is_rare() -> None:
    harm = np.array([5.0, 300.0])
    chance = np.array([[0.2, 1 / 50], [0.2, 1 / 2000]])
    rule = severe_rule(chance, harm, harm_limit=100, rare_days=365)
    assert rule.raises.tolist() == [[False, False], [False, True]]
    assert rule.recurrence_days[1, 1] == pytest.approx(2000)
    assert rule.per_week == pytest.approx(7 / 2000)


def test_the_plain_rule_says_how_many_alerts_a_week_chance_gives() -> None:
    rng = np.random.default_rng(3)
    harm = np.array([5.0, 120, 300, 400])
    rates = rng.gamma(1.0, [[0.1, 0.002, 0.0005, 0.0003]], (60, 4))
    days = 1500
    seen = rng.poisson(rates * days)
    rule = severe_rule(shrunken_rates(seen.astype(float), days, np.ones(60)).chance(), harm, harm_limit=100, rare_days=365)
    assert rule.per_week == pytest.approx(7 * rates[rule.raises].sum(), rel=0.2)


def test_three_shootings_in_four_weeks_are_a_cluster_where_half_of_one_is_usual() -> None:
    p = severe_cluster([0, 1, 2, 3], 0.5, 1.0)
    assert p[:2].tolist() == [1, 1]
    assert p[3] == pytest.approx(poisson.sf(2, 0.5), rel=1e-9)
    assert severe_cluster(3, 0.5, 1.5) > p[3]
    assert severe_cluster_bound(0.5, 1.0, 0.02).tolist() == 3
    assert severe_cluster_bound(1e-4, 1.0, 0.02).tolist() == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: harm_tail(np.ones((1, 2)), np.ones((1, 3)), np.ones(3)), "counts"),
        (lambda: harm_tail(np.ones((1, 2)), np.ones((1, 2)), np.array([1.0, -1])), "harm"),
        (lambda: harm_tail(np.ones((1, 2)), np.full((1, 2), np.nan), np.ones(2)), "expected"),
        (lambda: harm_bound(np.ones((1, 2)), np.ones(2), 0.0), "alpha"),
        (lambda: harm_tail(np.ones((1, 2)), np.ones((1, 2)), np.ones(2), -1.0), "variance"),
        (lambda: severe_rule(np.ones((1, 2)), np.ones(2), 0.0, 365), "harm_limit"),
        (lambda: severe_rule(np.ones((1, 2)), np.ones(2), 100, 0), "rare_days"),
        (lambda: severe_cluster_bound(1.0, 1.0, 2.0), "alpha"),
    ],
)
def test_figures_out_of_range_are_refused_by_name(call: object, words: str) -> None:
    with pytest.raises(DetectorError, match=words):
        call()  # type: ignore[operator]


def test_the_plain_rule_holds_from_its_limits_on() -> None:
    """Harm of 10 at least, and less often than once in 50 days."""
    rule = severe_rule(np.array([[0.02, 0.02, 0.0201, 0.001]]), np.array([10.0, 9.99, 10.0, 40.0]), 10.0, 50.0)
    assert rule.raises.tolist() == [[True, False, False, True]]
    assert rule.per_week == pytest.approx(7 * 0.021)
    assert np.isnan(rule.recurrence_days[0, 1:3]).all()
    assert severe_rule(np.array([[0.5]]), np.array([0.5]), 0.5, 0.5).raises.all()  # limits below 1 are limits
    for limits in ((0.0, 50.0), (10.0, 0.0)):
        with pytest.raises(DetectorError, match="must be above 0"):
            severe_rule(np.array([[0.5]]), np.array([0.5]), *limits)
    with pytest.raises(DetectorError, match="each of the 2 categories"):
        severe_rule(np.zeros((3, 2)), np.ones(3), 1.0, 1.0)


def test_two_severe_events_are_a_cluster_and_one_is_none() -> None:
    assert severe_cluster([1, 2], 0.1, 1.0).tolist() == [1.0, pytest.approx(poisson.sf(1, 0.1))]


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1.5, np.nan])
def test_a_level_lies_between_0_and_1(alpha: float) -> None:
    for bound in (lambda: severe_cluster_bound(0.1, 1.0, alpha), lambda: harm_bound(np.ones((1, 1)), np.ones(1), alpha)):
        with pytest.raises(DetectorError, match="must lie between 0 and 1"):
            bound()


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -1.0])
def test_counts_that_are_none_are_refused(wrong: float) -> None:
    with pytest.raises(DetectorError, match="counts must be finite, not negative"):
        harm_tail(np.array([[1.0, wrong]]), np.ones((1, 2)), np.ones(2))


def test_many_series_get_what_each_gets_alone() -> None:
    """More than are computed together."""
    rng = np.random.default_rng(3)
    harm = np.array([1.0, 5.0])
    expected = rng.uniform(0.1, 2.0, (600, 2))
    counts = rng.poisson(2 * expected).astype(float)
    variance = np.where(np.arange(600) % 2, 0.1, 0.0)
    together, bound = harm_tail(counts, expected, harm, variance), harm_bound(expected, harm, 0.05, variance)
    for i in (0, 1, 255, 256, 257, 511, 512, 599):
        alone, own = (counts[[i]], expected[[i]], harm, variance[i]), (expected[[i]], harm, 0.05, variance[i])
        assert together.p_value[i] == pytest.approx(harm_tail(*alone).p_value[0])
        assert bound.bound[i] == harm_bound(*own).bound[0]
    assert together.harm == pytest.approx(counts @ harm)
    assert together.expectation == pytest.approx(expected @ harm)
    plain = harm_bound(expected, harm, 0.05)
    assert np.array_equal(plain.bound, harm_bound(expected, harm, 0.05, 0.0).bound)
    assert (plain.bound <= harm_bound(expected, harm, 0.05, 1.0).bound).all()


def test_where_no_sum_is_as_rare_the_bound_is_beyond_all_and_others_have_theirs() -> None:
    harm, expected = np.array([1000.0]), np.array([[0.5], [0.001], [3.0]])
    found = harm_bound(expected, harm, 1e-5, np.array([0.0, 0.0, 50.0])).bound
    assert np.isinf(found[2])
    assert found[:2].tolist() == [harm_bound(expected[[i]], harm, 1e-5).bound[0] for i in (0, 1)]
    assert 0 < found[1] < found[0] < 60_000


def test_a_sum_beyond_the_lattice_gets_the_probability_of_its_end() -> None:
    """Where times vary most, the lattice ends at a sum that is not impossible yet."""
    harm, expected = np.array([1000.0]), np.array([[3.0]])
    unit = harm_bound(expected, harm, 0.5, 50.0).unit[0]
    last = np.floor(2047 * unit / (np.rint(1000 / unit) * unit))  # events at the lattice's last cell
    tails = [float(harm_tail(np.array([[n]]), expected, harm, 50.0).p_value[0]) for n in (last - 1, last + 1, 2 * last, 9e9)]
    assert tails[0] > tails[1] == tails[2] == tails[3] > 1e-5


@pytest.mark.parametrize(
    ("expected", "harm", "variance", "unit"),
    [
        ([0.1, 0.1, 0.1], [0.0, 0.5, 3.0], 0.0, 0.5),  # the smallest weight that is one, ...
        ([0.1, 0.1], [2.0, 3.0], 0.0, 1.0),  # ... at most 1
        ([0.1, 0.1], [0.0, 0.0], 0.0, 1.0),
        ([100.0, 50.0], [20.0, 30.0], 0.0, (3500 + 12 * np.sqrt(100 * 400 + 50 * 900) + 4 * 30) / 2048),
        ([100.0, 50.0], [20.0, 30.0], 0.3, (3500 + 12 * np.sqrt(85_000 + 0.3 * 3500**2) + 4 * 30) / 2048),
        ([100.0, 0.0], [20.0, 5000.0], 0.0, (2000 + 12 * np.sqrt(40_000) + 4 * 20) / 2048),  # what is never expected has no say
        ([100.0, 1e-6], [20.0, 5000.0], 0.0, (2000.005 + 12 * np.sqrt(40_025) + 4 * 5000) / 2048),
    ],
)
def test_the_step_of_the_lattice(expected: list[float], harm: list[float], variance: float, unit: float) -> None:
    found = harm_bound(np.array([expected, [1e-9] * len(harm)]), np.array(harm), 0.01, np.array([variance, 0.0])).unit
    assert found[0] == pytest.approx(unit)
    assert found[1] == harm_bound(np.array([[1e-9] * len(harm)]), np.array(harm), 0.01).unit[0]  # each series has its own


@pytest.mark.parametrize(
    ("expected", "variance", "words"),
    [
        (np.array([[1.0, np.inf]]), 0.0, "expected must be (series, categories), finite and not negative"),
        (np.array([[1.0, -1.0]]), 0.0, "expected must be (series, categories), finite and not negative"),
        (np.ones(2), 0.0, "expected must be (series, categories), finite and not negative"),
        (np.ones((1, 2)), np.inf, "variance must be finite and not negative, one number for each series"),
    ],
)
def test_expectations_and_variances_are_refused_word_for_word(expected: np.ndarray, variance: float, words: str) -> None:
    with pytest.raises(DetectorError) as told:
        harm_bound(expected, np.ones(2), 0.01, variance)
    assert str(told.value) == words


def test_below_what_the_transform_can_tell_there_is_a_floor() -> None:
    assert harm_tail(np.array([[1500.0]]), np.array([[0.5]]), np.array([1.0])).p_value[0] == 1e-13
