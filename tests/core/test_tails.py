"""Tails and bounds of counts: equal to those of other libraries where these have them, and what they say at the edges."""

import numpy as np
import pytest
from scipy import stats

from earlywarning.core.detectors.mid_tail import mid_bound, mid_probability
from earlywarning.core.detectors.negative_binomial import quantile, tail_probability

NAN = float("nan")
MEANS = np.array([1e-6, 0.01, 0.3, 1.0, 4.5, 30.0, 1e3, 1e6])
LEVELS = [0.95, 0.4, 0.1, 1e-3, 1e-9]


def law(mean: float, dispersion: float) -> object:
    if dispersion == 1:
        return stats.poisson(mean)
    return stats.nbinom(mean / (dispersion - 1), 1 / dispersion)


@pytest.mark.parametrize("dispersion", [1.0, 1.05, 2.0, 40.0])
@pytest.mark.parametrize("level", LEVELS)
def test_quantiles_are_those_of_scipy_also_far_from_any_normal_shape(dispersion: float, level: float) -> None:
    """Small means with large dispersion put the first guess far off, to both sides."""
    theirs = [law(mean, dispersion).isf(level) for mean in MEANS]  # type: ignore[attr-defined]
    np.testing.assert_array_equal(quantile(level, MEANS, dispersion), np.maximum(theirs, 0))


@pytest.mark.parametrize("dispersion", [1.0, 1.05, 2.0, 40.0])
def test_tails_are_those_of_scipy(dispersion: float) -> None:
    counts = np.array([0, 1, 2, 5, 40, 1000])
    theirs = [[law(mean, dispersion).sf(n - 1) for n in counts] for mean in MEANS]  # type: ignore[attr-defined]
    np.testing.assert_allclose(tail_probability(counts, MEANS[:, None], dispersion), theirs, rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize(
    ("observed", "mean", "dispersion", "told"),
    [
        (0, 3.0, 2.0, 1.0),
        (-1, 3.0, 2.0, 1.0),
        (0, 0.0, 2.0, 1.0),  # nothing is no surprise where nothing is expected
        (1, 0.0, 2.0, 0.0),
        (0.2, 0.0, 1.0, 0.0),
        (1, -1.0, 1.0, 0.0),
        (1, 3.0, 1.0, 1 - np.exp(-3)),
        (1, 3.0, 2.0, 1 - 2**-3.0),
        (0.2, 3.0, 1.0, 1 - np.exp(-3)),  # part of an event is one
        (1 + 1e-12, 3.0, 1.0, 1 - np.exp(-3)),  # but rounding is not
        (1, 3.0, 0.5, 1 - np.exp(-3)),  # less restless than chance is chance
        (NAN, 3.0, 1.0, NAN),
        (1, NAN, 1.0, NAN),
        (1, 3.0, NAN, NAN),
        (0, NAN, 1.0, NAN),
        (1e15, 3.0, 2.0, 0.0),
    ],
)
def test_tails_at_the_edges(observed: float, mean: float, dispersion: float, told: float) -> None:
    assert float(tail_probability(observed, mean, dispersion)) == pytest.approx(told, rel=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("mean", "dispersion", "told"),
    [
        (0.0, 1.0, 0),
        (-2.0, 1.0, 0),
        (NAN, 1.0, NAN),
        (2.0, NAN, NAN),
        (-np.log(0.99), 1.0, 0),  # one event or more comes exactly as often as the level says: it is beyond the bound
        (-np.log(0.9899), 1.0, 1),
        (3.0, 0.5, 8),  # as Poisson
        (1e14, 1.0, np.floor(1e14 + 2.3263478740408408 * 1e7)),
        (1e14, 4.0, np.floor(1e14 + 2.3263478740408408 * 2e7)),
    ],
)
def test_quantiles_at_the_edges(mean: float, dispersion: float, told: float) -> None:
    assert float(quantile(0.01, mean, dispersion)) == pytest.approx(told, rel=1e-15, nan_ok=True)


def test_a_quantile_has_the_shape_of_its_arguments_and_gaps_leave_the_others_alone() -> None:
    found = quantile(0.05, np.array([[1.0], [NAN], [1e14]]), np.array([1.0, 2.0, NAN]))
    assert found.shape == (3, 3)
    assert np.isnan(found).tolist() == [[False, False, True], [True, True, True], [False, False, True]]
    assert found[0, :2].tolist() == [stats.poisson.isf(0.05, 1), stats.nbinom.isf(0.05, 1, 0.5)]
    assert quantile(0.05, np.array([NAN]), 1.0).shape == (1,)
    assert quantile(0.05, np.zeros((0, 2)), 1.0).shape == (0, 2)


@pytest.mark.parametrize(("mean", "dispersion"), [(0.05, 1.0), (0.7, 3.0), (6.0, 1.0), (6.0, 1.5)])
def test_a_mid_p_is_one_half_on_average_whatever_is_expected(mean: float, dispersion: float) -> None:
    counts = np.arange(400)
    assert (law(mean, dispersion).pmf(counts) * mid_probability(counts, mean, dispersion)).sum() == pytest.approx(0.5)  # type: ignore[attr-defined]


def test_the_mid_p_of_a_fraction_is_that_of_the_whole_count_above_it() -> None:
    assert mid_probability(2.3, 1.5, 1.2) == mid_probability(3, 1.5, 1.2)
    assert mid_probability(3 + 1e-12, 1.5, 1.2) == mid_probability(3, 1.5, 1.2)
    assert float(mid_probability(0, 2.0, 1.0)) == pytest.approx(1 - np.exp(-2) / 2)


@pytest.mark.parametrize("dispersion", [0.3, 1.0, 1.05, 2.0, 40.0])
@pytest.mark.parametrize("level", LEVELS)
def test_a_mid_bound_is_the_first_whole_count_whose_next_is_rare_enough(level: float, dispersion: float) -> None:
    """Found here by walking up from nothing; the bound is found from a guess that can be far off to both sides."""
    means = MEANS[:-2]
    bounds = mid_bound(level, means, dispersion)
    for mean, bound in zip(means, bounds, strict=True):
        rare = mid_probability(np.arange(1, 2000), mean, max(dispersion, 1)) <= level
        assert bound == rare.argmax()


def test_a_mid_bound_at_its_very_level_holds_and_gaps_stay_gaps() -> None:
    level = float(mid_probability(5, 2.0, 1.0))
    assert mid_bound(level, 2.0, 1.0) == 4
    assert mid_bound(np.nextafter(level, 0), 2.0, 1.0) == 5
    found = mid_bound(np.array([0.01, 0.2]), np.array([[2.0], [NAN], [0.0]]), np.array([1.0]))
    assert found.shape == (3, 2)
    assert np.isnan(found).tolist() == [[False, False], [True, True], [False, False]]
    assert found[2].tolist() == [0, 0]
    assert np.isnan(mid_bound(0.01, 2.0, NAN))
    assert mid_bound(0.01, -2.0, 1.0) == 0
    assert found[0].tolist() == [float(mid_bound(level, 2.0, 1.0)) for level in (0.01, 0.2)]


def test_a_mid_bound_of_a_million_events_is_found_and_keeps_its_level() -> None:
    bound = mid_bound(1e-3, 1e6, np.array([1.0, 9.0]))
    assert (mid_probability(bound + 1, 1e6, np.array([1.0, 9.0])) <= 1e-3).all()
    assert (mid_probability(bound, 1e6, np.array([1.0, 9.0])) > 1e-3).all()
