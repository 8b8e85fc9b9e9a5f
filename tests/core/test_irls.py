"""Iteratively reweighted least squares of many series at once: its fits obey the laws of a generalised linear model."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earlywarning.core.detectors.quasi_poisson import Design, fit

GROUPS = 4
SEASON = np.tile(np.repeat(np.arange(GROUPS), 10), 3)
N = len(SEASON)
DESIGN = Design(SEASON, (np.arange(N) - N) / 52, GROUPS)
Floats = NDArray[np.float64]


def drawn(seed: int, series: int = 12) -> tuple[Floats, Floats]:
    """Counts with at least one event in each season, and prior weights of which some are 0."""
    rng = np.random.default_rng(seed)
    counts = rng.negative_binomial(2, 1 / (1 + rng.uniform(0.1, 20, (series, 1))), (series, N)).astype(float)
    counts[:, ::10] += 1
    prior = rng.uniform(0.05, 1.5, (series, N)) * (rng.random((series, N)) < 0.9)
    prior[:, ::10] = 1
    return counts, prior


def matrix(trend: bool) -> Floats:
    """The design written out."""
    seasons = (SEASON[:, None] == np.arange(GROUPS)).astype(float)
    return np.column_stack([seasons, DESIGN.time]) if trend else seasons


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_weighted_residuals_are_orthogonal_to_the_design(seed: int, trend: bool) -> None:
    counts, prior = drawn(seed)
    ours = fit(counts, DESIGN, prior=prior, trend=trend, tolerance=1e-14)
    score = (prior * (counts - ours.mu)) @ matrix(trend)
    assert ours.converged.all()
    assert np.abs(score).max() < 1e-6 * counts.sum(1).max()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_variances_and_leverages_are_those_of_the_inverse_information(seed: int, trend: bool) -> None:
    counts, prior = drawn(seed, series=3)
    ours = fit(counts, DESIGN, prior=prior, trend=trend, tolerance=1e-14)
    x = matrix(trend)
    for i in range(3):
        inverse = np.linalg.inv((x * ours.weights[i, :, None]).T @ x)
        assert ours.variance_of_level(GROUPS - 1)[i] == pytest.approx(inverse[GROUPS - 1, GROUPS - 1], rel=1e-6)
        hat = ours.weights[i] * np.einsum("np,pq,nq->n", x, inverse, x)
        np.testing.assert_allclose(ours.leverage(DESIGN)[i], hat, rtol=1e-6, atol=1e-12)
        assert hat.sum() == pytest.approx(GROUPS + trend)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_has_no_weight_is_not_read(seed: int) -> None:
    counts, prior = drawn(seed)
    other = np.where(prior == 0, 1e6, counts)
    one, two = (fit(values, DESIGN, prior=prior, trend=True, tolerance=1e-14) for values in (counts, other))
    np.testing.assert_allclose(one.level, two.level, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(one.slope, two.slope, rtol=1e-6, atol=1e-8)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50))
def test_twice_the_exposure_halves_the_rate(seed: int, factor: float) -> None:
    counts, prior = drawn(seed)
    plain = fit(counts, DESIGN, prior=prior, trend=True, tolerance=1e-14)
    offset = np.full((len(counts), N), np.log(factor))
    exposed = fit(counts, DESIGN, prior=prior, trend=True, offset=offset, tolerance=1e-14)
    np.testing.assert_allclose(exposed.mu, plain.mu, rtol=1e-6)
    np.testing.assert_allclose(exposed.level, plain.level - np.log(factor), atol=1e-6)


def test_series_that_settle_early_do_not_disturb_those_that_do_not() -> None:
    counts, prior = drawn(1, series=60)
    counts[::2] = 5.0  # settled at once
    counts[1] *= 1000
    together = fit(counts, DESIGN, prior=prior, trend=True)
    for i in (0, 1, 7, 58):
        alone = fit(counts[i : i + 1], DESIGN, prior=prior[i : i + 1], trend=True)
        np.testing.assert_allclose(together.mu[i], alone.mu[0], rtol=1e-9)
        assert together.dispersion[i] == pytest.approx(alone.dispersion[0], rel=1e-9)


def test_a_long_empty_series_does_not_settle_within_rs_25_steps() -> None:
    season = np.tile(SEASON, 3)
    design = Design(season, np.arange(len(season)) / 52, GROUPS)
    empty = np.zeros((1, len(season)))
    assert not fit(empty, design, prior=np.ones_like(empty), trend=False).converged[0]
    assert fit(empty + 1, design, prior=np.ones_like(empty), trend=False).converged[0]
