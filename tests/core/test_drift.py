"""Slow drift: a ramp over months, told from noise that lasts for weeks and from an uncertain level."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earlywarning.core.detectors.drift import SlowNoise, drift, slow_noise
from earlywarning.core.detectors.status import DetectorError, Status

Floats = NDArray[np.float64]
WEEKS = 26


def lasting(rng: np.random.Generator, series: int, weeks: int, variance: float, correlation: float) -> Floats:
    """Factors of mean 1 whose logarithm is a first-order autoregression."""
    x = np.empty((series, weeks))
    x[:, 0] = rng.normal(0, np.sqrt(variance), series)
    for t in range(1, weeks):
        x[:, t] = correlation * x[:, t - 1] + rng.normal(0, np.sqrt(variance * (1 - correlation**2)), series)
    return np.exp(x - variance / 2)


def drawn(rng: np.random.Generator, mean: Floats, dispersion: float) -> Floats:
    """Negative binomial counts with variance dispersion * mean."""
    if dispersion == 1:
        return rng.poisson(mean).astype(np.float64)
    return rng.poisson(rng.gamma(mean / (dispersion - 1), dispersion - 1)).astype(np.float64)


def seasonal(level: float, series: int) -> Floats:
    return level * np.exp(0.3 * np.sin(np.arange(WEEKS) / 52 * 2 * np.pi)) * np.ones((series, WEEKS))


NOISES = [
    (0.3, 1.0, 0.0, 0.0, 0.0),
    (1.0, 1.0, 0.0, 0.0, 0.0),
    (1.0, 1.5, 0.04, 0.8, 0.1),
    (5.0, 1.5, 0.04, 0.8, 0.1),
    (30.0, 2.0, 0.0225, 0.8, 0.05),
]


@pytest.mark.parametrize(("level", "dispersion", "variance", "correlation", "error"), NOISES)
def test_false_alarms_stay_at_the_level_whatever_the_noise(
    level: float, dispersion: float, variance: float, correlation: float, error: float
) -> None:
    rng, n = np.random.default_rng(1), 20_000
    expected = seasonal(level, n)
    true = expected * np.exp(rng.normal(0, error, (n, 1))) * lasting(rng, n, WEEKS, variance, correlation)
    noise = SlowNoise(np.array(variance), np.array(correlation))
    found = drift(drawn(rng, true, dispersion), expected, dispersion=dispersion, error=error, noise=noise)
    for p in (0.05, 0.01):
        assert 0.75 * p <= (found.p_value <= p).mean() <= 1.25 * p
    assert (found.p_value <= 0.001).mean() <= 0.0018


def test_noise_that_lasts_would_otherwise_look_like_a_drift() -> None:
    rng, n = np.random.default_rng(2), 5000
    expected = seasonal(5.0, n)
    counts = drawn(rng, expected * lasting(rng, n, WEEKS, 0.04, 0.8), 1.5)
    assert (drift(counts, expected, dispersion=1.5).p_value <= 0.01).mean() > 0.05


@pytest.mark.parametrize(("level", "factor", "least"), [(1.0, 2.0, 0.4), (5.0, 1.6, 0.75), (5.0, 0.6, 0.6), (30.0, 1.25, 0.75)])
def test_a_drift_is_found_with_its_direction_and_size(level: float, factor: float, least: float) -> None:
    rng, n = np.random.default_rng(3), 2000
    expected = seasonal(level, n)
    ramp = factor ** (np.arange(1, WEEKS + 1) / WEEKS)
    found = drift(drawn(rng, expected * ramp, 1.2), expected, dispersion=1.2)
    hit = found.p_value <= 0.01
    assert hit.mean() > least
    assert (found.direction[hit] == np.sign(factor - 1)).all()
    assert np.median(found.change) == pytest.approx(factor, rel=0.08)
    assert (found.lower <= found.change).all()
    assert (found.change <= found.upper).all()


def test_one_loud_week_is_told_from_a_drift() -> None:
    expected = np.full((2, WEEKS), 4.0)
    counts = expected.copy()
    counts[0, -3] += 40
    counts[1] = np.round(4 * 2 ** (np.arange(1, WEEKS + 1) / WEEKS))
    found = drift(counts, expected)
    assert (found.p_value < 0.01).all()
    assert found.largest_share[0] > 0.8
    assert found.largest_share[1] < 0.3


@pytest.mark.parametrize(("variance", "correlation"), [(0.04, 0.8), (0.09, 0.9), (0.0, 0.0)])
def test_the_noise_that_lasts_is_learned_from_the_past_of_many_series(variance: float, correlation: float) -> None:
    rng = np.random.default_rng(4)
    expected = rng.lognormal(0.5, 1, 400)[:, None] * np.ones((400, 104))
    found = slow_noise(drawn(rng, expected * lasting(rng, 400, 104, variance, correlation), 1.3), expected)
    assert found.variance[0] == pytest.approx(variance, rel=0.25, abs=0.004)
    if variance:
        assert found.correlation[0] == pytest.approx(correlation, abs=0.1)


def test_groups_have_a_noise_of_their_own() -> None:
    rng = np.random.default_rng(5)
    expected = np.full((300, 104), 5.0)
    factor = np.concatenate([lasting(rng, 150, 104, 0.09, 0.8), np.ones((150, 104))])
    found = slow_noise(drawn(rng, expected * factor, 1.0), expected, np.repeat([0, 1], 150))
    assert found.variance[0] > 0.06
    assert found.variance[-1] < 0.01


def test_weeks_that_were_not_observed_count_for_nothing() -> None:
    rng = np.random.default_rng(6)
    expected = np.full((1, WEEKS), 5.0)
    counts = drawn(rng, expected * 1.5 ** (np.arange(WEEKS) / WEEKS), 1.0)
    gap = counts.copy()
    gap[0, 5:9] = np.nan
    silent = counts.copy()
    silent[0, 5:9] = 0
    p_gap, p_full, p_silent = (float(drift(c, expected).p_value[0]) for c in (gap, counts, silent))
    assert p_gap != p_silent
    assert abs(np.log(p_gap / p_full)) < abs(np.log(p_silent / p_full))
    few = np.full((1, WEEKS), np.nan)
    few[0, :7] = 9
    found = drift(few, expected)
    assert found.p_value[0] == 1
    assert found.status[0] == Status.MISSING


def test_where_nothing_is_expected_nothing_is_judged() -> None:
    found = drift(np.ones((1, WEEKS)), np.zeros((1, WEEKS)))
    assert found.p_value[0] == 1
    assert found.status[0] == Status.NO_HISTORY
    assert np.isnan(found.change[0])


@settings(max_examples=50)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 50), st.floats(1, 5), st.floats(0, 0.3), st.floats(0, 0.2), st.floats(0, 0.95))
def test_a_series_is_judged_alike_alone_and_among_others(
    seed: int, level: float, dispersion: float, error: float, variance: float, correlation: float
) -> None:
    rng = np.random.default_rng(seed)
    expected = rng.gamma(2, level / 2, (5, WEEKS))
    counts = rng.poisson(expected * rng.uniform(0.3, 3)).astype(float)
    noise = SlowNoise(np.array(variance), np.array(correlation))
    every = drift(counts, expected, dispersion=dispersion, error=error, noise=noise)
    one = drift(counts[2:3], expected[2:3], dispersion=dispersion, error=error, noise=noise)
    assert float(one.p_value[0]) == pytest.approx(float(every.p_value[2]), rel=1e-6, abs=1e-12)
    assert ((every.p_value >= 0) & (every.p_value <= 1)).all()
    assert ((every.largest_share >= 0) & (every.largest_share <= 1)).all()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: drift(np.ones((1, 26)), np.ones((1, 25))), "observed"),
        (lambda: drift(np.ones((1, 5)), np.ones((1, 5))), "at least 8"),
        (lambda: drift(-np.ones((2, 26)), np.ones((2, 26))), "series 0"),
        (lambda: drift(np.ones((1, 26)), np.ones((1, 26)), dispersion=0.5), "dispersion"),
        (lambda: drift(np.ones((1, 26)), np.ones((1, 26)), error=-1), "error"),
        (lambda: drift(np.ones((1, 26)), np.ones((1, 26)), noise=SlowNoise(np.array(1.0), np.array(1.0))), "noise"),
        (lambda: drift(np.ones((1, 26)), np.ones((1, 26)), confidence=0), "confidence"),
    ],
)
def test_figures_out_of_range_are_refused_by_name(call: object, words: str) -> None:
    with pytest.raises(DetectorError, match=words):
        call()  # type: ignore[operator]
