"""Effects of actions: nothing is seen where nothing happened, and what is there is found with the right interval."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

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
    assert np.isnan([told.ratio, told.low, told.high, told.visible, told.dispersion]).all()
    assert len(told.drift) == 3
    assert np.isnan(told.drift).all()


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


def _by_statsmodels(y: Array, z: Array | None, x: Array) -> tuple[float, float, float, float]:
    """Ratio of the first column, its standard error without dispersion, dispersion with likeness, degrees of freedom."""
    if z is None:
        theirs = sm.GLM(y, x, family=sm.families.Poisson()).fit(tol=1e-12)
        mean, variance = theirs.mu, theirs.mu
    else:
        theirs = sm.GLM(np.column_stack([y, z]), x, family=sm.families.Binomial()).fit(tol=1e-12)
        mean = theirs.mu * (y + z)
        variance = mean * (1 - theirs.mu)
    residuals, free = y - mean, len(y) - x.shape[1]
    spread = max(1.0, (residuals**2).sum() / variance.sum() * len(y) / free) * likeness(residuals)
    return float(np.exp(theirs.params[0])), float(theirs.bse[0]), spread, free


def _seasons(n: int) -> list[Array]:
    return [np.sin(2 * np.pi * np.arange(n) / 52.18), np.cos(2 * np.pi * np.arange(n) / 52.18)]


@pytest.mark.parametrize(
    ("before", "alone", "season"),
    [(110, True, True), (60, True, True), (110, False, True), (104, False, True), (103, False, False)],
)
def test_every_figure_of_an_effect_is_that_of_the_regression_it_names(before: int, alone: bool, season: bool) -> None:
    """Own past: trend and season. Comparison: the share, with a season from two years before the start on."""
    y, z, after = _town(12, 5.0, 9.0, 2.5, (before, 30), step=0.7)
    after = after.astype(bool)
    told = effect(y, None if alone else z, after)
    n = len(y)
    columns = [after.astype(float), np.ones(n), *(_seasons(n) if season else []), *([np.arange(n) / 52.18] if alone else [])]
    ratio, error, spread, free = _by_statsmodels(y, None if alone else z, np.column_stack(columns))
    assert told.ratio == pytest.approx(ratio, rel=1e-5)
    assert told.dispersion == pytest.approx(spread, rel=1e-5)
    assert spread > 1.2
    reach = stats.t.ppf(0.95, free) + stats.norm.ppf(0.8)
    assert told.visible == pytest.approx(np.exp(-reach * error * np.sqrt(spread)), rel=1e-4)
    model = Model(y, np.column_stack(columns), None if alone else y + z)
    best, rest = fit(model), Model(y, model.x[:, 1:], model.of)
    for end in (told.low, told.high):
        lost = 2 * (best.loglik - fit(rest, np.log(end) * model.x[:, 0]).loglik)
        assert lost == pytest.approx(stats.t.ppf(0.95, free) ** 2 * spread, rel=2e-3)
    assert told.low < told.ratio < told.high
    assert (told.weeks, told.treated) == ((before, 30), (y[:before].sum(), y[before:].sum()))
    assert told.method == ("own past" if alone else "comparison")
    if alone:
        assert np.isnan([*told.comparison, *told.drift]).all()
        return
    assert told.comparison == (z[:before].sum(), z[before:].sum())
    past = [np.arange(before) / 52.18, np.ones(before), *(_seasons(before) if season else [])]
    drift, error, spread, free = _by_statsmodels(y[:before], z[:before], np.column_stack(past))
    assert told.drift[0] == pytest.approx(drift, rel=1e-5)
    # The profile is not quite symmetric about it; by a few per cent of its reach.
    reach = stats.t.ppf(0.95, free) * error * np.sqrt(spread)
    assert (np.log(told.drift[0] / told.drift[1]), np.log(told.drift[2] / told.drift[0])) == pytest.approx((reach, reach), rel=0.08)


@pytest.mark.parametrize(
    ("weeks", "alone", "why"),
    [
        ((26, 8), False, ""),
        ((25, 8), False, "too-few-weeks"),
        ((26, 7), False, "too-few-weeks"),
        ((53, 8), True, ""),
        ((52, 8), True, "too-few-weeks"),  # a year has 52.18 weeks
    ],
)
def test_the_fewest_weeks_are_enough(weeks: tuple[int, int], alone: bool, why: str) -> None:
    told = _told(2, 6.0, 8.0, 1.0, weeks, alone=alone)
    assert np.isnan(told.ratio) == bool(why)
    assert told.why == why or not why


@pytest.mark.parametrize(
    ("treated", "others", "alone", "enough"),
    [
        ((40, 12), (40, 10), False, True),
        ((10, 12), (40, 40), False, True),
        ((9, 12), (40, 40), False, False),
        ((40, 12), (40, 9), False, False),
        ((40, 0), (40, 10), False, True),  # none in the areas themselves is no want of events: ten were expected
        ((40, 40), (41, 10), False, False),  # 40 * 10 / 41 were expected
        ((40, 40), (10, 10), False, True),
        ((40, 40), (9, 10), False, False),
        ((60, 0), (0, 0), True, True),  # ten weeks of sixty
        ((59, 30), (0, 0), True, False),
    ],
)
def test_ten_events_in_each_cell_are_enough_and_nine_are_not(
    treated: tuple[int, int], others: tuple[int, int], alone: bool, enough: bool
) -> None:
    before, after = 60, 10

    def spread_out(cells: tuple[int, int]) -> Array:
        return np.concatenate(
            [
                np.bincount(np.arange(n) * weeks // max(n, 1), minlength=weeks)
                for n, weeks in zip(cells, (before, after), strict=True)
            ]
        ).astype(float)

    told = effect(spread_out(treated), None if alone else spread_out(others), np.arange(before + after) >= before)
    assert told.treated == treated
    assert (told.why == "too-few-events") != enough
    assert np.isnan(told.ratio) != enough


def test_areas_that_grew_apart_upwards_tell_nothing_either() -> None:
    rng, n = np.random.default_rng(4), 140
    y = _counts(rng, 3 * np.exp(0.7 * np.arange(n) / 52), 1.2, n)
    told = effect(y, _counts(rng, 8, 1.2, n), np.arange(n) >= 104)
    assert (told.verdict, told.why) == ("cannot-tell", "not-parallel")
    assert told.drift[1] > 1


@pytest.mark.parametrize("alone", [True, False])
def test_an_interval_that_holds_no_change_tells_nothing(alone: bool) -> None:
    told = _told(3, 4.0, 6.0, 1.5, (110, 20), alone=alone)
    assert 0.4 < told.low < 1 < told.high < 2
    assert (told.verdict, told.why) == ("cannot-tell", "interval-holds-1")


def test_half_as_many_again_is_more_and_a_wider_level_makes_it_less_certain() -> None:
    y, z, after = _town(5, 5.0, 9.0, 1.2, (104, 40), step=1.5)
    told = effect(y, z, after.astype(bool))
    assert (told.verdict, told.why) == ("more", "")
    assert 1 < told.low < 2
    wide = effect(y, z, after.astype(bool), level=0.99)
    assert wide.low < told.low < told.high < wide.high
    assert wide.visible < told.visible < 1
    assert wide.drift[1] < told.drift[1] < told.drift[2] < wide.drift[2]


@pytest.mark.parametrize("of", [None, 20.0])
def test_a_known_part_of_the_predictor_stays_as_it_is(of: float | None) -> None:
    rng, n = np.random.default_rng(3), 80
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    shift = rng.normal(size=n)
    eta = 0.4 + 0.3 * x[:, 1] + shift
    y = (rng.poisson(np.exp(eta)) if of is None else rng.binomial(int(of), 1 / (1 + np.exp(-eta)))).astype(float)
    ours = fit(Model(y, x, None if of is None else np.full(n, of)), shift)
    family = sm.families.Poisson() if of is None else sm.families.Binomial()
    theirs = sm.GLM(y if of is None else np.column_stack([y, of - y]), x, family=family, offset=shift).fit(tol=1e-12)
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-6)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), rtol=1e-5)
    np.testing.assert_allclose(ours.mean, theirs.mu * (of or 1), rtol=1e-6)
    np.testing.assert_allclose(ours.variance, ours.mean if of is None else ours.mean * (1 - ours.mean / of), rtol=1e-9)
    near = fit(Model(y, x, None if of is None else np.full(n, of)), shift, np.array([0.5, 0.0]))
    np.testing.assert_allclose(near.coefficients, ours.coefficients, rtol=1e-7)
    assert near.loglik == pytest.approx(ours.loglik)


def test_the_interval_of_a_mean_of_which_nothing_was_seen_has_an_end_in_closed_form() -> None:
    """No event in 50 of 100 weeks: exp(high) is where 50 expected events lose t^2 / 2 of log-likelihood; below there is no end."""
    here = np.repeat([1.0, 0.0], 50)
    y = np.where(here > 0, 0.0, 4.0)
    model = Model(y, np.column_stack([here, 1 - here]))
    for spread, level in ((1.0, 0.9), (2.0, 0.95)):
        low, high = profile_interval(model, fit(model), 0, spread, 98.0, level)
        limit = stats.t.ppf((1 + level) / 2, 98) ** 2 * spread / 2
        assert low == -np.inf
        assert high == pytest.approx(np.log(limit / 50), abs=1e-3)


def test_a_ratio_that_all_trials_have_has_no_upper_end() -> None:
    here = np.repeat([1.0, 0.0], 40)
    y, of = np.where(here > 0, 3.0, 1.0), np.full(80, 3.0)
    model = Model(y, np.column_stack([here, np.ones(80)]), of)
    low, high = profile_interval(model, fit(model), 0, 1.0, 78.0, 0.9)
    assert high == np.inf
    assert 1 < low < 12
    turned = Model(of - y, model.x, of)
    assert profile_interval(turned, fit(turned), 0, 1.0, 78.0, 0.9) == pytest.approx((-np.inf, -low), abs=1e-3)


def test_counts_from_next_to_none_to_very_many_are_fitted() -> None:
    x = np.column_stack([np.ones(40), np.repeat([0.0, 1.0], 20)])
    for low, high in ((0.05, 900.0), (4e5, 3.0), (1.0, 1.0)):
        y = np.where(x[:, 1] > 0, high, low)
        np.testing.assert_allclose(fit(Model(y, x)).coefficients, [np.log(low), np.log(high / low)], rtol=1e-6, atol=1e-6)


def test_a_few_very_busy_weeks_do_not_throw_the_fit_off() -> None:
    """A full Newton step from the common mean overshoots here, to a likelihood that is lower than where it began."""
    busy = (np.arange(30) < 3).astype(float)
    y = np.where(busy > 0, 6.0, 1.0)
    for of, told in ((None, [0.0, np.log(6)]), (np.full(30, 1000.0), [np.log(1 / 999), np.log(6 / 994) - np.log(1 / 999)])):
        found = fit(Model(y, np.column_stack([np.ones(30), busy]), of))
        np.testing.assert_allclose(found.coefficients, told, rtol=1e-7, atol=1e-7)


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
