"""Our baseline: what each area and category is expected to count on each day, from its own past and that of its kin.

log mu[t, area, category] = profile[t, category] + log level[area, category]. The profile (weekday, season, trend, day kinds)
is one ridge-penalised Poisson regression per category on the counts of the whole municipality, fitted for all categories at
once; the level is the area's own rate against that profile, shrunk towards what the area's share in the parent category
says (Gamma-Poisson), with older weeks and past outbreaks weighted down. McCullagh & Nelder 1989, Generalized Linear Models;
Clayton & Kaldor 1987, Biometrics 43:671 (empirical Bayes rates); Noufaily et al. 2013 (down-weighting).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
WEEK = 7
YEAR_DAYS = 365.25
_STEPS = 8  # of reweighted least squares for the profiles: they settle in five or six
_OUTLIER = 2.58  # Anscombe residual from which a week is weighted down
_OUTBREAK = 4.5  # and from which it says nothing of the dispersion: cutting at 2.58 would cut chance's own tail
_LEAST_MEAN = 1e-9


class ExpectationSettings(NamedTuple):
    """guard: newest days left out, so that a running tendency does not enter its own baseline. half_life: of a week's
    weight for the levels, in days. Prior standard deviations are on the log scale; of the trend (of a category) and the
    slope (of an area against it) per year."""

    guard: int = 28
    half_life: float = 1460.0
    harmonics: int = 2
    weekday_sd: float = 0.3
    season_sd: float = 0.4
    trend_sd: float = 0.1
    kind_sd: float = 0.3
    slope_sd: float = 0.05


class Expectation(NamedTuple):
    """A fitted baseline of A areas and K columns (categories of one kind of source).

    coefficients: (K, p) of the profile; level: (A, K) events a day at profile 1; level_variance: (A, K) relative variance
    of a level. dispersion: (3, K) variance over mean of counts in one area over 1, 7 and 28 days. common: (2, K) relative
    variance shared by neighbouring areas: within a district, and over the whole municipality. origin: the day that the
    trend is counted from. trusted: (A, K) where there is any history. covariance: (K, p, p) of the coefficients; centre: (p,)
    the history's mean row of the design, where the levels take up what the profile leaves.
    """

    coefficients: Floats
    level: Floats
    level_variance: Floats
    dispersion: Floats
    common: Floats
    origin: int
    harmonics: int
    trusted: NDArray[np.bool_]
    covariance: Floats
    centre: Floats


def design(days: Ints, kinds: Floats, origin: int, harmonics: int) -> Floats:
    """Columns of the profile: (len(days), 1 + 7 + 2 * harmonics + 1 + kinds).

    days: local days since 1970-01-01 (a Thursday); kinds: (len(days), m) day kinds such as public holidays, 0..1.
    """
    phase = 2 * np.pi * days[:, None] * np.arange(1, harmonics + 1) / YEAR_DAYS
    weekday = ((days[:, None] + 3) % WEEK == np.arange(WEEK)).astype(np.float64)
    trend = ((days - origin) / YEAR_DAYS)[:, None]
    return np.concatenate([np.ones((len(days), 1)), weekday, np.cos(phase), np.sin(phase), trend, kinds], axis=1)


def profile(fitted: Expectation, days: Ints, kinds: Floats) -> Floats:
    """The profile of each column on these days: (len(days), K). The trend is not carried on beyond its origin."""
    rows = _ahead(fitted, days, kinds)
    return np.exp(np.clip(rows @ fitted.coefficients.T, -30, 30))


def profile_variance(fitted: Expectation, days: Ints, kinds: Floats) -> Floats:
    """Relative variance of the sum of the profile over these days, from its coefficients' uncertainty: (K,)."""
    away = _ahead(fitted, days, kinds).mean(0) - fitted.centre
    return np.asarray(np.einsum("p,kpq,q->k", away, fitted.covariance, away))


def _ahead(fitted: Expectation, days: Ints, kinds: Floats) -> Floats:
    rows = design(np.asarray(days, dtype=np.int64), kinds, fitted.origin, fitted.harmonics)
    at = 1 + WEEK + 2 * fitted.harmonics
    rows[:, at] = np.minimum(rows[:, at], 0.0)
    return rows


def fit_expectation(
    counts: NDArray[np.float32],
    first_day: int,
    kinds: Floats,
    *,
    parent_column: Ints,
    rank: Ints,
    settings: ExpectationSettings,
    known: NDArray[np.bool_] | None = None,
) -> Expectation:
    """Fit the baseline of every area and column at once.

    counts: (days, A, K) events of each day from first_day on; area 0 is the whole municipality, and each area counts what
    lies in its parts. kinds: (days, m) day kinds. parent_column: (K,) column of the category above, -1 at the top.
    rank: (A,) 0 for the municipality, 1 for areas made of others, 2 for the finest ones. known: (days,) False where
    nothing was observed. The newest `guard` days are left out. With less than eight weeks the levels are means.
    """
    days = len(counts) - settings.guard
    weeks = days // WEEK
    start = days - weeks * WEEK
    y = counts[start:days]
    n, areas, columns = y.shape
    day = first_day + start + np.arange(n)
    seen = np.ones(n) if known is None else known[start:days].astype(np.float64)
    origin = int(day[-1]) + 1 if n else first_day
    x = design(day, kinds[start:days], origin, settings.harmonics)
    coefficients, covariance = _profiles(y[:, 0].T.astype(np.float64), x, seen, settings)
    centre = (seen @ x) / max(seen.sum(), 1.0)
    shape = np.exp(np.clip(x @ coefficients.T, -30, 30)) * seen[:, None]  # (n, K)
    weekly = y.reshape(weeks, WEEK, areas, columns).sum(1, dtype=np.float64) if n else np.zeros((0, areas, columns))
    weekly_shape = shape.reshape(weeks, WEEK, columns).sum(1)
    age = np.asarray((np.arange(weeks)[::-1] + 0.5) * WEEK, dtype=np.float64)
    recent = 0.5 ** (age / settings.half_life)
    weights = np.broadcast_to(recent[:, None, None], weekly.shape)
    level, variance, strength = _levels(weekly, weekly_shape, weights, parent_column)
    outlier = _outlier_weights(weekly, level * weekly_shape[:, None], seen.reshape(weeks, WEEK).sum(1) > 0)
    level, variance, strength = _levels(weekly, weekly_shape, weights * outlier, parent_column)
    slope, level, variance = _slopes(weekly, weekly_shape, weights * outlier, level, variance, age / YEAR_DAYS, settings)
    drift = np.exp(-slope[None] * age[:, None, None] / YEAR_DAYS)  # (weeks, A, K): each area's own way to its level
    expected = drift * level * weekly_shape[:, None]
    fine = rank == rank.max(initial=0)
    phi = np.stack(
        [
            _dispersion(
                y[:, fine].astype(np.float64),
                np.repeat(drift[:, fine] * level[fine], WEEK, axis=0) * shape[:, None],
                np.repeat(outlier[:, fine], WEEK, axis=0),
            ),
            _dispersion(weekly[:, fine], expected[:, fine], outlier[:, fine]),
            _dispersion(*_months(weekly[:, fine], expected[:, fine], outlier[:, fine])),
        ]
    )
    phi = _shrunk(phi, parent_column, level[0] * shape.sum(0))
    common = np.stack([_common(weekly, expected, outlier, rank == r, phi[2]) for r in (1, 0)])
    return Expectation(coefficients, level, variance, phi, common, origin, settings.harmonics, strength > 0, covariance, centre)


def _profiles(y: Floats, x: Floats, seen: Floats, settings: ExpectationSettings) -> tuple[Floats, Floats]:
    """Ridge-penalised Poisson regressions of all columns on one design: coefficients (K, p), covariance. y: (K, n)."""
    n, p = x.shape
    m = settings.harmonics
    spread = np.array(
        [1e3] + [settings.weekday_sd] * WEEK + [settings.season_sd] * (2 * m) + [settings.trend_sd]
        + [settings.kind_sd] * (p - 2 - WEEK - 2 * m)
    )  # fmt: skip
    penalty = np.diag(spread**-2.0)
    pairs = (x[:, :, None] * x[:, None, :]).reshape(n, p * p)
    mean = (y * seen).sum(1) / max(seen.sum(), 1.0)
    beta = np.zeros((len(y), p))
    beta[:, 0] = np.log(np.maximum(mean, 0.5 / max(n, 1)))
    prior_mean = np.zeros(p)
    weight = np.broadcast_to(seen, y.shape).copy()
    for step in range(_STEPS):
        mu = np.exp(np.clip(beta @ x.T, -30, 30))
        if step in (3, 5):  # past outbreaks: whole weeks that stand out are weighted down
            weight = seen * _weeks_that_stand_out(y, mu, seen)
        w = weight * mu
        # Overdispersed counts say less than their number: the penalty is in units of the dispersion.
        phi = np.maximum((weight * (y - mu) ** 2 / np.maximum(mu, _LEAST_MEAN)).sum(1) / max(n - p, 1), 1.0)
        information = (w @ pairs).reshape(-1, p, p) + penalty * phi[:, None, None]
        right = (w * np.log(np.maximum(mu, 1e-30)) + weight * (y - mu)) @ x + penalty @ prior_mean
        beta = np.linalg.solve(information, right[:, :, None])[:, :, 0]
    return beta, phi[:, None, None] * np.linalg.inv(information)


def _weeks_that_stand_out(y: Floats, mu: Floats, seen: Floats) -> Floats:
    weeks = y.shape[1] // WEEK
    o, e = ((v * seen).reshape(len(y), weeks, WEEK).sum(2) for v in (y, mu))
    return np.repeat(_outlier_weights(o.T[:, None], e.T[:, None], e.sum(0) > 0)[:, 0].T, WEEK, axis=1)


def _outlier_weights(observed: Floats, expected: Floats, seen: NDArray[np.bool_]) -> Floats:
    """Weights of weeks, (weeks, A, K): 1, or the inverse square of an Anscombe residual above 2.58. Not observed: 0."""
    if not len(observed):
        return np.ones_like(observed)
    mu = np.maximum(expected, 1e-6)
    raw = 1.5 * (np.cbrt(observed) ** 2 * mu ** (-1 / 6) - np.sqrt(mu))
    phi = np.maximum(((observed - mu) ** 2 / mu).mean(0), 1.0)
    residual = raw / np.sqrt(phi)
    weight = np.where(residual > _OUTLIER, np.maximum(residual, 1.0) ** -2.0, 1.0)
    return weight * seen[:, None, None]


def _levels(weekly: Floats, shape: Floats, weights: Floats, parent: Ints) -> tuple[Floats, Floats, Floats]:
    """Rate of each area and column against the profile, shrunk: level, relative variance, and weighted events, (A, K)."""
    events = (weights * weekly).sum(0)
    exposure = (weights * shape[:, None]).sum(0)
    areas, columns = events.shape
    rate = (events[:1] + 0.5) / np.maximum(exposure[:1], _LEAST_MEAN)  # of the whole municipality
    least = 0.5 / np.maximum(exposure.max(initial=1.0), 1.0) / areas
    level, strength = np.zeros_like(events), np.full(columns, 0.5)
    for these, above in _by_depth(parent):
        share = (events[:, these] + 1e-12) / (events[:1, these] + areas * 1e-12)
        if above is not None:
            # The share of the parent category, as it was; an area that never had any of that either has the share which its
            # own parent's says.
            raw = (events[:, above] + 1e-12) / (events[:1, above] + areas * 1e-12)
            told = events[:, above] / (events[:, above] + 1.0)
            share = told * raw + (1 - told) * level[:, above] / np.maximum(level[:1, above], 1e-300)
        prior = np.maximum(share * rate[:, these], least)
        expected = prior * exposure[:, these]
        if above is not None:
            # How far areas depart from their parent's share, beyond chance: the prior's strength, by moments (Clayton & Kaldor).
            o, e = events[1:, these], expected[1:]
            excess = ((o - e) ** 2 - e).sum(0) / np.maximum((e**2).sum(0), _LEAST_MEAN)
            strength[these] = 1.0 / np.clip(excess, 0.02, 2.0)
        level[:, these] = prior * (strength[these] + events[:, these]) / (strength[these] + expected)
    return level, 1.0 / (strength + events), events


def _by_depth(parent: Ints) -> Iterator[tuple[Ints, Ints | None]]:
    """Columns level by level of the tree, with the columns above them (None at the top)."""
    these, above = np.flatnonzero(parent < 0), None
    while len(these):
        yield these, above
        these = np.flatnonzero(np.isin(parent, these))
        above = parent[these]


def _slopes(
    weekly: Floats, shape: Floats, weights: Floats, level: Floats, variance: Floats, years: Floats, settings: ExpectationSettings
) -> tuple[Floats, Floats, Floats]:
    """Each area's slope against the profile, and its level at the end of history: slope a year, level, variance, (A, K).

    years: (weeks,) age of each week. Two Newton steps on a Poisson regression with level and slope, both with a prior.
    """
    slope = np.zeros_like(level)
    log_level = np.log(np.maximum(level, 1e-30))
    start, known = log_level.copy(), 1.0 / np.maximum(variance, 1e-12)
    if not len(weekly):
        return slope, level, variance
    time = -years[:, None, None]
    for _ in range(3):
        mu = weights * np.exp(np.clip(log_level + slope * time, -40, 20)) * shape[:, None]
        residual = (weights * weekly - mu).sum(0)
        moment = ((weights * weekly - mu) * time).sum(0)
        a, b, c = mu.sum(0), (mu * time).sum(0), (mu * time * time).sum(0)
        rest = np.maximum(known - (weights * weekly).sum(0), 0.0)  # the prior's own strength, in events
        ga, gb = residual - rest * (log_level + slope * time.mean() - start), moment - slope / settings.slope_sd**2
        haa, hab, hbb = a + rest, b, c + settings.slope_sd**-2.0
        det = np.maximum(haa * hbb - hab**2, 1e-12)
        log_level = log_level + np.clip((hbb * ga - hab * gb) / det, -1, 1)
        slope = slope + np.clip((haa * gb - hab * ga) / det, -0.5, 0.5)
    return slope, np.exp(log_level), hbb / det


def _dispersion(observed: Floats, expected: Floats, weight: Floats) -> Floats:
    """Pearson's variance over mean, pooled over areas and times: (K,), at least 1. Outbreaks are left out."""
    use = weight >= _OUTBREAK**-2.0
    mu = np.maximum(expected, _LEAST_MEAN)
    residual = np.where(use, (observed - mu) ** 2 / mu, 0.0)
    # Weighted by the mean: next to empty areas say little about dispersion and would blow it up.
    total, expected_total = (residual * mu).sum((0, 1)), np.where(use, mu, 0.0).sum((0, 1))
    return np.asarray(np.maximum(total / np.maximum(expected_total, _LEAST_MEAN), 1.0))


def _months(observed: Floats, expected: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    whole = len(observed) // 4
    o, e = (v[len(v) - 4 * whole :].reshape(whole, 4, *v.shape[1:]).sum(1) for v in (observed, expected))
    return o, e, weight[len(weight) - 4 * whole :].reshape(whole, 4, *weight.shape[1:]).min(1)


def _shrunk(phi: Floats, parent: Ints, events: Floats) -> Floats:
    """Dispersions of sparse columns drawn towards the mean of their siblings; longer windows are at least as dispersed."""
    out = phi.copy()
    for top in np.unique(parent).tolist():
        these = parent == top
        if events[these].sum() <= 0:
            continue
        pooled = (phi[:, these] * events[these]).sum(1) / events[these].sum()
        share = events[these] / (events[these] + 200.0)  # events after which a column speaks for itself
        out[:, these] = share * phi[:, these] + (1 - share) * pooled[:, None]
    return np.maximum.accumulate(out, axis=0)


def _common(weekly: Floats, expected: Floats, outlier: Floats, at: NDArray[np.bool_], phi: Floats) -> Floats:
    """Relative variance of four-week counts of larger places beyond that of their parts: (K,)."""
    if not at.any() or len(weekly) < 16:
        return np.zeros(weekly.shape[2])
    o, e, w = _months(weekly[:, at], expected[:, at], outlier[:, at])
    use = w >= _OUTBREAK**-2.0
    excess = np.where(use, (o - e) ** 2 - phi * e, 0.0).sum((0, 1))
    return np.asarray(np.clip(excess / np.maximum(np.where(use, e * e, 0.0).sum((0, 1)), _LEAST_MEAN), 0.0, 0.25))
