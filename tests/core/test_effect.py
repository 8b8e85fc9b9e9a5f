"""Effects of actions: nothing is seen where nothing happened, and what is there is found with the right interval."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earlywarning.core.dispersion import dispersion, history_dispersion, likeness, mean_interval, ratio_interval
from earlywarning.core.effect import Effect, effect
from earlywarning.core.quasi_likelihood import Model, fit, profile_interval

Array = NDArray[np.float64]


def _counts(rng: np.random.Generator, mean: Array | float, spread: float, weeks: int) -> Array:
    """Negative binomial counts with variance `spread` times the mean."""
    mean = np.broadcast_to(np.asarray(mean, dtype=float), weeks)
    if spread == 1:
        return rng.poisson(mean).astype(float)
    return rng.negative_binomial(mean / (spread - 1), 1 / spread).astype(float)


def _town(seed: int, treated: float, others: float, spread: float, weeks: tuple[int, int], step: float = 1.0) -> tuple[Array, ...]:
    rng, n = np.random.default_rng(seed), sum(weeks)
    after = np.arange(n) >= weeks[0]
    season = np.exp(0.4 * np.cos(2 * np.pi * (np.arange(n) / 52.18 + rng.uniform())))
    return (
        _counts(rng, treated * season * np.where(after, step, 1.0), spread, n),
        _counts(rng, others * season, spread, n),
        after,
    )


def _told(seed: int, *town: object, step: float = 1.0, alone: bool = False) -> Effect:
    y, z, after = _town(seed, *town, step=step)  # type: ignore[arg-type]
    return effect(y, None if alone else z, after.astype(bool))


@pytest.mark.parametrize(
    ("treated", "others", "spread", "weeks", "alone"),
    [
        (1.0, 3.0, 1.5, (104, 26), False),
        (1.0, 1.0, 1.0, (104, 26), False),
        (2.0, 5.0, 2.0, (60, 12), False),
        (5.0, 5.0, 2.0, (156, 52), False),
        (2.0, 4.0, 1.5, (104, 26), True),
    ],
)
def test_where_nothing_happened_nine_intervals_in_ten_hold_no_change(
    treated: float, others: float, spread: float, weeks: tuple[int, int], alone: bool
) -> None:
    told = [_told(seed, treated, others, spread, weeks, alone=alone) for seed in range(300)]
    known = [t for t in told if not np.isnan(t.ratio)]
    assert len(known) > 200
    held = np.mean([t.low <= 1 <= t.high for t in known])
    # 300 draws of nine in ten have a standard deviation of 0.017.
    assert 0.86 <= held <= 0.95
    assert all(t.verdict == "cannot-tell" for t in told if t.low <= 1 <= t.high or np.isnan(t.ratio))


def test_a_halving_is_found_and_its_interval_holds_it() -> None:
    told = [_told(seed, 5.0, 10.0, 1.5, (104, 52), step=0.5) for seed in range(100)]
    assert np.mean([t.verdict == "fewer" for t in told]) > 0.8  # some are held back: the areas drifted apart before
    assert 0.83 <= np.mean([t.low <= 0.5 <= t.high for t in told]) <= 0.97
    assert abs(np.median([t.ratio for t in told]) - 0.5) < 0.04


def test_the_smallest_visible_change_is_seen_four_times_in_five() -> None:
    visible = float(np.median([_told(seed, 4.0, 8.0, 1.5, (104, 40)).visible for seed in range(40)]))
    found = [_told(seed, 4.0, 8.0, 1.5, (104, 40), step=visible).high < 1 for seed in range(200)]
    assert 0.68 <= np.mean(found) <= 0.9


def test_areas_that_moved_apart_before_the_start_tell_nothing() -> None:
    rng, n = np.random.default_rng(4), 140
    after = np.arange(n) >= 104
    y = _counts(rng, 6 * np.exp(-0.7 * np.arange(n) / 52), 1.2, n)
    told = effect(y, _counts(rng, 8, 1.2, n), after)
    assert (told.verdict, told.why) == ("cannot-tell", "not-parallel")
    assert told.drift[2] < 1


@pytest.mark.parametrize(
    ("weeks", "treated", "others", "alone", "why"),
    [
        ((20, 30), 3.0, 3.0, False, "too-few-weeks"),
        ((104, 7), 3.0, 3.0, False, "too-few-weeks"),
        ((45, 20), 3.0, 3.0, True, "too-few-weeks"),
        ((104, 10), 0.2, 5.0, False, "too-few-events"),
        ((104, 10), 5.0, 0.05, False, "too-few-events"),
    ],
)
def test_too_little_data_tells_nothing_and_says_so(
    weeks: tuple[int, int], treated: float, others: float, alone: bool, why: str
) -> None:
    told = _told(1, treated, others, 1.0, weeks, alone=alone)
    assert (told.verdict, told.why) == ("cannot-tell", why)
    assert np.isnan(told.ratio)


def test_no_event_at_all_after_the_start_is_an_effect_with_an_upper_bound() -> None:
    y, z, after = _town(3, 4.0, 8.0, 1.0, (104, 30))
    told = effect(np.where(after, 0.0, y), z, after.astype(bool))
    assert told.low == 0
    assert told.verdict == "fewer"
    assert told.high < 0.5


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5))
def test_more_of_the_same_in_both_leaves_the_ratio(seed: int, times: int) -> None:
    y, z, after = _town(seed, 3.0, 6.0, 3.0, (70, 20))  # far from the dispersion of 1 that is the least
    once, often = (effect(n * y, n * z, after.astype(bool)) for n in (1, times))
    assert often.ratio == pytest.approx(once.ratio, rel=1e-6)
    assert often.dispersion == pytest.approx(once.dispersion * times, rel=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_what_moves_both_alike_within_each_week_does_not_matter(seed: int) -> None:
    y, z, after = _town(seed, 4.0, 4.0, 1.0, (60, 20))
    told = effect(y, z, after.astype(bool))
    a, b, c, d = (
        float(v)
        for v in (
            y[after.astype(bool)].sum(),
            y[~after.astype(bool)].sum(),
            z[after.astype(bool)].sum(),
            z[~after.astype(bool)].sum(),
        )
    )
    assert told.ratio == pytest.approx(a / b / (c / d), rel=1e-6)  # below two years: a sum anyone can check


def test_both_regressions_agree_with_statsmodels() -> None:
    y, z, after = _town(7, 3.0, 6.0, 1.5, (110, 30))
    n = len(y)
    season = [f(2 * np.pi * np.arange(n) / 52.18) for f in (np.sin, np.cos)]
    x = np.column_stack([after, np.ones(n), *season])
    ours = fit(Model(y, x, y + z))
    theirs = sm.GLM(np.column_stack([y, z]), x, family=sm.families.Binomial()).fit()
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-6)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-4)
    x = np.column_stack([x, np.arange(n) / 52.18])
    counts = fit(Model(y, x))
    theirs = sm.GLM(y, x, family=sm.families.Poisson()).fit()
    np.testing.assert_allclose(counts.coefficients, theirs.params, rtol=1e-5, atol=1e-8)
    told = effect(y, z, after.astype(bool))
    assert told.ratio == pytest.approx(float(np.exp(ours.coefficients[0])))


def test_a_profile_interval_ends_where_the_likelihood_has_fallen_by_the_limit() -> None:
    y, z, after = _town(9, 3.0, 6.0, 1.0, (60, 20))
    model = Model(y, np.column_stack([after, np.ones(len(y))]).astype(float), y + z)
    best = fit(model)
    low, high = profile_interval(model, best, 0, 1.0, 1e9, 0.90)
    for end in (low, high):
        rest = fit(Model(y, np.ones((len(y), 1)), y + z), end * after.astype(float))
        assert 2 * (best.loglik - rest.loglik) == pytest.approx(1.6449**2, rel=1e-3)
    assert low < best.coefficients[0] < high


def test_dispersion_and_likeness_are_what_they_are_called() -> None:
    rng = np.random.default_rng(2)
    many = _counts(rng, 3.0, 2.0, 20_000)
    assert dispersion(many - 3.0, np.full(20_000, 3.0), 0) == pytest.approx(2.0, rel=0.05)
    noise = rng.normal(size=4_000)
    assert likeness(noise) < 1.1
    assert likeness(noise[1:] + noise[:-1]) > 1.5
    assert history_dispersion(_counts(rng, 2.0, 1.0, 200)) < 1.4
    assert history_dispersion(np.zeros(100)) == 1.0


@given(st.integers(0, 400), st.floats(1, 3))
def test_the_interval_of_a_count_holds_it_and_widens_with_dispersion(count: int, spread: float) -> None:
    low, high = mean_interval(count)
    wide_low, wide_high = mean_interval(count, spread)
    assert wide_low <= low + 1e-9
    assert low <= count <= high <= wide_high + 1e-9


def test_exact_intervals_are_the_known_ones() -> None:
    assert mean_interval(10, level=0.95) == pytest.approx((4.795, 18.39), abs=0.01)  # Garwood
    low, high = ratio_interval(10, 20, level=0.95)
    assert (low / (1 + low), high / (1 + high)) == pytest.approx((0.1729, 0.5281), abs=1e-3)  # Clopper and Pearson, 10 of 30
    assert ratio_interval(0, 0) == (0.0, float("inf"))


@given(st.integers(0, 200), st.integers(0, 200), st.floats(0.1, 4))
def test_the_interval_of_a_ratio_turns_round_with_it(after: int, before: int, exposure: float) -> None:
    low, high = ratio_interval(after, before, exposure)
    other_low, other_high = ratio_interval(before, after, 1 / exposure)
    assert low <= high
    if low > 0:
        assert other_high == pytest.approx(1 / low, rel=1e-6)
    if 0 < high < float("inf"):
        assert other_low == pytest.approx(1 / high, rel=1e-6)
