"""Quasi-Poisson fits of thousands of series at once: one level for each season, with or without a linear trend.

All series share their calendar, so they share the design: log mu[i] = offset[i] + level[season of i] + slope * time[i].
In this coding X'WX is diagonal but for the trend's row, so that the weighted sums over the seasons - one matrix product
W @ D of all series with the shared columns D = [season, season * time, time^2] - give every step of iteratively
reweighted least squares in closed form, without a matrix to factor.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_LEAST = 1e-300


@dataclass(frozen=True)
class Design:
    """What the series share. season: (n,) group of each observation, 0..groups-1; time: (n,), 0 at the judged step."""

    season: NDArray[np.int64]
    time: Floats
    groups: int

    @cached_property
    def columns(self) -> Floats:
        """[season indicators, indicators * time, time^2]: (n, 2 * groups + 1)."""
        one_hot = (self.season[:, None] == np.arange(self.groups)).astype(np.float64)
        return np.concatenate([one_hot, one_hot * self.time[:, None], (self.time**2)[:, None]], axis=1)


@dataclass(slots=True)
class Fit:
    """Fits of (series,) many. eta, mu: (series, n). level: (series, groups), slope: (series,), zero without a trend.

    weights: the working weights of the last step. dispersion is Pearson's, not floored. Of the covariance, in units of
    the dispersion: var_level (of the last season's level, which is the prediction at time 0) and var_slope.
    """

    eta: Floats
    mu: Floats
    level: Floats
    slope: Floats
    weights: Floats
    pearson: Floats
    df: Floats
    converged: Bools
    group_weight: Floats
    group_time: Floats
    schur: Floats
    trend: Bools

    @property
    def dispersion(self) -> Floats:
        """Pearson's estimate: sum of weighted squared residuals over the degrees of freedom."""
        return self.pearson / np.maximum(self.df, 1)

    def variance_of_level(self, group: int) -> Floats:
        """Variance of the level of one season, at time 0, in units of the dispersion."""
        d, c = np.maximum(self.group_weight[:, group], _LEAST), self.group_time[:, group]
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(1 / d + np.where(self.trend, (c / d) ** 2 / self.schur, 0.0))

    def leverage(self, design: Design) -> Floats:
        """Diagonal of the hat matrix: (series, n)."""
        d = np.maximum(self.group_weight, _LEAST)
        centre = (self.group_time / d)[:, design.season]
        distance = np.where(self.trend[:, None], (design.time - centre) ** 2 / self.schur[:, None], 0.0)
        return np.asarray(self.weights * ((1 / d)[:, design.season] + distance))


def fit(
    counts: Floats,
    design: Design,
    *,
    prior: Floats,
    trend: bool,
    offset: Floats | None = None,
    start: Floats | None = None,
    tolerance: float = 1e-8,
    most_steps: int = 25,
) -> Fit:
    """Fit log-linear quasi-Poisson models by iteratively reweighted least squares.

    counts, prior: (series, n); a prior weight of 0 leaves an observation out. offset: (series, n), logarithm of the
    exposure. start: (series, n) linear predictors to begin from; without them the rule of R's glm (mu = y + 0.1).
    Stops as glm does, when the deviance changes by less than tolerance * (deviance + 0.1).
    McCullagh & Nelder 1989, Generalized Linear Models, section 2.5.
    """
    series, n = counts.shape
    columns, g = design.columns, design.groups
    offset = np.zeros((1, n)) if offset is None else offset
    present = ((prior @ columns[:, :g]) > 0).sum(1)  # seasons without any observation have no level
    eta = np.log(counts + 0.1) if start is None else start.copy()
    mu = np.exp(eta)
    df = ((prior > 0).sum(1) - present - trend).astype(np.float64)
    out = Fit(
        eta, mu, np.zeros((series, g)), np.zeros(series), prior * mu, np.zeros(series), df,
        np.zeros(series, dtype=bool), np.zeros((series, g)), np.zeros((series, g)), np.ones(series),
        np.full(series, trend),
    )  # fmt: skip
    saturated = (prior * np.where(counts > 0, counts * np.log(np.maximum(counts, _LEAST)), 0.0)).sum(1)
    before = _deviance(counts, prior, eta, mu, saturated)
    at = np.arange(series)  # the series that still move
    y, p, o, e, m = counts, prior, offset, eta, mu
    for _ in range(most_steps):
        w = p * m
        wz = w * (e - o) + p * (y - m)  # w * z with the working response z = eta - offset + (y - mu) / mu
        sums = w @ columns
        d, c, tt = np.maximum(sums[:, :g], _LEAST), sums[:, g : 2 * g], sums[:, -1]
        right = wz @ columns[:, :g]
        if trend:
            schur = np.maximum(tt - (c * c / d).sum(1), _LEAST)
            slope = (wz @ design.time - (c * right / d).sum(1)) / schur
            level = (right - c * slope[:, None]) / d
        else:
            schur, slope = np.ones(len(at)), np.zeros(len(at))
            level = right / d
        e = level[:, design.season] + slope[:, None] * design.time + o
        np.clip(e, -700, 700, out=e)
        m = np.exp(e)
        now = _deviance(y, p, e, m, saturated[at])
        stop = np.abs(now - before) / (np.abs(now) + 0.1) < tolerance
        out.eta[at], out.mu[at], out.weights[at] = e, m, w
        out.level[at], out.slope[at], out.converged[at] = level, slope, stop
        out.group_weight[at], out.group_time[at], out.schur[at] = sums[:, :g], c, schur
        if stop.all():
            break
        if stop.any():
            go = ~stop
            at, y, p, e, m, now = at[go], y[go], p[go], e[go], m[go], now[go]
            o = o if len(o) == 1 else o[go]
        before = now
    with np.errstate(over="ignore"):
        out.pearson = (out.weights * ((counts - out.mu) / out.mu) ** 2).sum(1)
    return out


def _deviance(y: Floats, prior: Floats, eta: Floats, mu: Floats, saturated: Floats) -> Floats:
    return np.asarray(2 * (saturated + (prior * (mu - y - y * eta)).sum(1)))
