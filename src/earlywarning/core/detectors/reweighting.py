"""Past outbreaks weighted down: a quasi-Poisson fit, Anscombe residuals, and the fit again with weights.

Farrington et al. 1996, Journal of the Royal Statistical Society A 159:547, sections 3.3 and 3.4. Complete series are
fitted from sums over their seasons; series with missing steps or an offset, and those whose fit leaves the range of
numbers that the sums can hold, observation by observation. Both take the same steps to the same figures.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.quasi_poisson import Design, Fit, fit
from earlywarning.core.detectors.season_sums import Outliers, Seasons, SumFit, Totals, fit_sums, weighted

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
# Working weights are those of the step before the last. Where the two steps differ by less than this, so little that
# a cubic term is beyond the tenth digit, the sum over them is expanded around the last step.
_NEAR = 2e-3
_MARGIN = 0.98  # candidates for outliers are looked for a little below the limit that their leverage allows
_ROWS = 256  # series whose observations are worked on together, so that the arrays stay in cache
_LONE = 1e-9
_SETTLED = 1e-12  # stopping rule without R's; see Rule


class Rule(NamedTuple):
    """threshold: Anscombe residual beyond which an observation is weighted down, None for no weights. compat: R's steps.

    As in R the dispersion takes the weights of the step before the last: at R's tolerance they leave it up to 2e-4
    off, which moves the outliers' weights in turn. Without compat the fits go on until nothing moves.
    """

    threshold: float | None
    compat: bool

    @property
    def tolerance(self) -> float:
        """Relative change of the deviance at which a fit stops."""
        return 1e-8 if self.compat else _SETTLED


class Reweighted(NamedTuple):
    """Fits of (series,) many: the last season's level at time 0, slope, and their variances in units of the dispersion.

    dispersion: Pearson's, not floored; phi: at least 1.
    covariance: the dispersion that standard errors are taken with. settled: the fit without
    weights converged; converged: the last one did.
    """

    level: Floats
    slope: Floats
    variance: Floats
    schur: Floats
    df: Floats
    dispersion: Floats
    phi: Floats
    covariance: Floats
    settled: Bools
    converged: Bools

    def put(self, which: Ints | Bools, other: "Reweighted") -> None:
        """Take the fits of some series from another."""
        for mine, theirs in zip(self, other, strict=True):
            mine[which] = theirs

    def take(self, which: Ints | Bools) -> "Reweighted":
        """The fits of some series."""
        return Reweighted._make(values[which] for values in self)


def blank(n: int) -> Reweighted:
    """Places for n fits."""
    figures = [np.full(n, np.nan) for _ in range(8)]
    return Reweighted._make([*figures, np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)])


# ---- complete series ----------------------------------------------------------------------------------------------


def fit_whole(y: Floats, known: Totals, seasons: Seasons, rule: Rule, *, trend: bool) -> tuple[Reweighted, Bools]:
    """Fits of complete series (series, n) from their sums `known`, and which of them need `fit_each` instead."""
    n, g = len(y), seasons.design.groups
    df = float(max(y.shape[1] - g - trend, 1))
    with np.errstate(all="ignore"):
        first = fit_sums(known, seasons, trend=trend, tolerance=rule.tolerance)
        pearson, squares, outliers = _residuals(y, first, seasons, rule, df, None)
        one = np.ones(n)
        if rule.threshold is None:
            return _summary(first, first, pearson, pearson if rule.compat else None, df, one), first.odd
        out = _summary(first, first, pearson, squares if rule.compat else None, df, one)
        again, number = np.unique(outliers.series, return_inverse=True)
        if not len(again):
            return out, first.odd
        few = outliers._replace(series=number.astype(np.int64))
        scale = y.shape[1] / (y.shape[1] + np.bincount(few.series, few.less, len(again)))
        start, some = first.of(again), known.of(again)
        second = fit_sums(
            weighted(some, seasons, few), seasons, trend=trend, tolerance=rule.tolerance, scale=scale, outliers=few,
            begin=None if rule.compat else (start.level, start.slope),
        )  # fmt: skip
        pearson, squares, _ = _residuals(y[again], second, seasons, rule, df, few)
        out.put(again, _summary(second, start, scale * pearson, scale * squares if rule.compat else None, df, scale))
        first.odd[again] |= second.odd
    return out, first.odd


def _summary(last: SumFit, first: SumFit, pearson: Floats, squares: Floats | None, df: float, scale: Floats) -> Reweighted:
    d, c = last.weight[-1], last.weighted_time[-1]
    share = (c / d) ** 2 / last.schur if last.trend else 0.0
    schur = last.schur * scale if last.trend else last.schur
    phi = np.maximum(pearson / df, 1)
    return Reweighted(
        last.level[-1], last.slope, (1 / d + share) / scale, schur, np.full(len(d), df), pearson / df, phi,
        phi if squares is None else squares / df, first.converged, last.converged,
    )  # fmt: skip


def _residuals(
    y: Floats, fitted: SumFit, seasons: Seasons, rule: Rule, df: float, few: Outliers | None
) -> tuple[Floats, Floats, Outliers]:
    """Pearson's sum, the sum of ((y - mu) / mu)^2, and (without `few`) the observations to be weighted down."""
    n, design = len(y), seasons.design
    pearson, squares = np.empty(n), np.zeros(n)
    found = [_NONE]
    # Working weights are those of the step before the last.
    up, tilt = np.exp(fitted.last_level - fitted.level), fitted.last_slope - fitted.slope
    for begin in range(0, n, _ROWS):
        rows = slice(begin, begin + _ROWS)
        part = fitted.of(rows)
        mu = np.concatenate([part.level, part.slope[None]]).T @ seasons.rows
        np.exp(mu, out=mu)
        relative = y[rows] / mu
        relative -= 1
        chi = relative * relative
        if rule.compat:
            squares[rows] = chi.sum(1)
        chi *= mu
        if rule.compat:
            pearson[rows] = _with_last_weights(chi, up[:, rows], tilt[rows], seasons)
        else:
            pearson[rows] = chi.sum(1)
        if few is None and rule.threshold is not None:
            phi = np.maximum(pearson[rows] / df, 1)
            more = _outliers(y[rows], mu, relative, chi, phi, part, seasons, rule.threshold)
            found.append(more._replace(series=more.series + begin))
    if few is None:
        return pearson, squares, Outliers(*(np.concatenate(values) for values in zip(*found, strict=True)))
    series, place, count, less = few
    season, time = design.season[place], design.time[place]
    mean = np.exp(fitted.level[season, series] + fitted.slope[series] * time)
    square = less * (count / mean - 1) ** 2
    last = up[season, series] * np.exp(tilt[series] * time) if rule.compat else 1.0
    return pearson + np.bincount(series, square * mean * last, n), squares + np.bincount(series, square, n), _NONE


_NONE = Outliers(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


def _with_last_weights(chi: Floats, up: Floats, tilt: Floats, seasons: Seasons) -> Floats:
    """Pearson's sum with working weights that differ from mu by the factors up * exp(tilt * time)."""
    g = seasons.design.groups
    sums = seasons.powers @ chi.T
    pearson = (up * (sums[:g] + tilt * sums[g : 2 * g] + tilt**2 / 2 * sums[2 * g :])).sum(0)
    far = np.flatnonzero(~(np.abs(tilt) * seasons.farthest < _NEAR))
    if len(far):
        ratio = up[:, far].T[:, seasons.design.season] * np.exp(tilt[far, None] * seasons.design.time)
        pearson[far] = (chi[far] * ratio).sum(1)
    return np.asarray(pearson)


def _outliers(
    y: Floats, mu: Floats, relative: Floats, chi: Floats, phi: Floats, fitted: SumFit, seasons: Seasons, threshold: float
) -> Outliers:
    """Observations whose Anscombe residual is above the threshold, and how much weight they lose."""
    # Above the mean the Anscombe residual is smaller than Pearson's: only few need be looked at. The leverage is at most
    # the largest working weight of a season over its sum, and what the trend adds.
    design, time = seasons.design, seasons.design.time
    tallest = np.exp(fitted.level + np.maximum(fitted.slope * time.min(), fitted.slope * time.max()))
    reach = seasons.farthest**2 / fitted.schur if fitted.trend else 0.0
    leverage = (tallest * (1 / fitted.weight + reach)).max(0)
    limit = _MARGIN * threshold**2 * phi * np.clip(1 - leverage, 0, 1)
    place = np.flatnonzero(chi > np.where(np.isnan(limit), np.inf, limit)[:, None])
    place = place[relative.ravel()[place] > 0]
    count, mean = y[np.divmod(place, y.shape[1])], mu.ravel()[place]
    series, place = np.divmod(place, y.shape[1])
    season, t = design.season[place], time[place]
    d = fitted.weight[season, series]
    distance = (t - fitted.weighted_time[season, series] / d) ** 2 / fitted.schur[series] if fitted.trend else 0.0
    working = np.exp(fitted.last_level[season, series] + fitted.last_slope[series] * t)
    residual = _scaled(anscombe(count, mean), phi[series], working * (1 / d + distance))
    outlier = residual > threshold
    return Outliers(series[outlier], place[outlier], count[outlier], residual[outlier] ** -2.0 - 1)


def anscombe(count: Floats, mean: Floats) -> Floats:
    """Anscombe residuals of a Poisson count, not scaled: 3/2 (y^(2/3) mu^(-1/6) - mu^(1/2))."""
    return np.asarray(1.5 * (np.cbrt(count) ** 2 * mean ** (-1 / 6) - np.sqrt(mean)))


def _scaled(raw: Floats, phi: Floats, leverage: Floats) -> Floats:
    """Residuals over their standard deviation. A lone observation of its season is met exactly: its residual is 0 / 0."""
    return np.where(leverage < 1 - _LONE, raw / np.sqrt(phi * (1 - leverage)), 0.0)


# ---- any series ---------------------------------------------------------------------------------------------------


def fit_each(
    y: Floats, prior: Floats, design: Design, rule: Rule, *, trend: bool, offset: Floats | None, start: Floats | None
) -> Reweighted:
    """Fits observation by observation. prior: 0 where a step was not observed; offset, start: (series, n) or None."""
    with np.errstate(all="ignore"):  # a series with next to no history; its status says so
        first = fit(y, design, prior=prior, trend=trend, offset=offset, start=start, tolerance=rule.tolerance)
        phi = np.maximum(first.dispersion, 1)
        out = _figures(first, first.converged, phi, first.dispersion if rule.compat else phi)
        if rule.threshold is None:
            return out
        residual = _scaled(anscombe(y, first.mu), phi[:, None], first.leverage(design))
        outlier = (residual > rule.threshold) & (prior > 0)
        omega = np.where(outlier, np.where(outlier, residual, 1.0) ** -2.0, 1.0) * prior
        omega *= (prior.sum(1) / omega.sum(1))[:, None]
        # Weighing nothing down leaves the fit as it is; R fits again all the same, to the same rule.
        again = np.arange(len(y)) if rule.compat else np.flatnonzero(outlier.any(1))
        if not len(again):
            return out
        part = None if offset is None else offset[again]
        warm = None if rule.compat else first.eta[again]
        omega, y = omega[again], y[again]
        second = fit(y, design, prior=omega, trend=trend, offset=part, start=warm, tolerance=rule.tolerance)
        phi = np.maximum(second.dispersion, 1)
        covariance = (omega * ((y - second.mu) / second.mu) ** 2).sum(1) / np.maximum(second.df, 1) if rule.compat else phi
        out.put(again, _figures(second, first.converged[again], phi, covariance))
        return out


def _figures(result: Fit, settled: Bools, phi: Floats, covariance: Floats) -> Reweighted:
    return Reweighted(
        result.level[:, -1].copy(), result.slope.copy(), result.variance_of_level(-1), result.schur.copy(), result.df.copy(),
        result.dispersion, phi, covariance, settled.copy(), result.converged.copy(),
    )  # fmt: skip
