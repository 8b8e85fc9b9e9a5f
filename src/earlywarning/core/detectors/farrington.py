"""Farrington flexible: a quasi-Poisson baseline with trend and seasonal levels, past outbreaks weighted down.

log mu[t] = level(season of t) + slope * t over the past b years, where the 2w + 1 weeks around the judged week of each
year are one season and the rest of each year is cut into no_periods - 1 more; the last weeks are left out.
Farrington et al. 1996, Journal of the Royal Statistical Society A 159:547; Noufaily et al. 2013, Statistics in Medicine
32:1206. `r_compat` repeats what R's surveillance 1.20.3 computes, also where that departs from the papers: its standard
errors take sum(omega * ((y - mu) / mu)^2) / df for the dispersion after reweighting, and its score for the negative
binomial bounds mixes link and count scale.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr

from earlywarning.core.detectors.negative_binomial import quantile, tail_probability
from earlywarning.core.detectors.quasi_poisson import Design, Fit, fit
from earlywarning.core.detectors.status import DetectorError, Status

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_CHUNK = 256  # series fitted together, so that the working arrays stay in cache
_SETTLED = 1e-12  # stopping rule without r_compat; see _fit_reweighted
_ABSENT = 1e-9  # where the fit begins in a season without a single count; its own answer would be 0
Method = Literal["nbPlugin", "muan", "delta"]
Power = Literal["2/3", "1/2", "none"]


@dataclass(frozen=True, slots=True)
class FarringtonSettings:
    """R's names in comments. alpha is one-sided. limit: (events, steps); limit[0] = 0 judges every count."""

    b: int = 5
    w: int = 3
    no_periods: int = 10  # noPeriods
    past_weeks_not_included: int = 26  # pastWeeksNotIncluded
    reweight: bool = True
    weights_threshold: float = 2.58  # weightsThreshold
    trend: bool = True
    p_threshold_trend: float = 1.0  # pThresholdTrend
    limit: tuple[int, int] = (5, 4)  # limit54
    alpha: float = 0.01
    threshold_method: Method = "nbPlugin"  # thresholdMethod
    power_transform: Power = "2/3"  # powertrans
    population_offset: bool = False  # populationOffset
    frequency: int = 52
    r_compat: bool = False

    def check(self) -> None:
        """Raises DetectorError naming what is out of range."""
        rules = [
            (self.frequency >= 1, f"frequency = {self.frequency}: a year needs at least 1 step"),
            (1 <= self.b <= 50, f"b = {self.b}: years of history must be 1 to 50"),
            (self.w >= 0 and 2 * self.w + 1 < self.frequency, f"w = {self.w}: the windows of two years must not meet"),
            (1 <= self.no_periods <= self.frequency - 2 * self.w, f"no_periods = {self.no_periods}: too many for the year"),
            (self.past_weeks_not_included >= 0, "past_weeks_not_included must not be negative"),
            (0 < self.alpha < 1, f"alpha = {self.alpha}: must lie between 0 and 1"),
            (self.weights_threshold > 0, f"weights_threshold = {self.weights_threshold}: must be above 0"),
            (0 <= self.p_threshold_trend <= 1, f"p_threshold_trend = {self.p_threshold_trend}: must lie between 0 and 1"),
            (self.limit[0] >= 0 and self.limit[1] > 0, f"limit = {self.limit}: events >= 0 and steps > 0"),
            (self.threshold_method in get_args(Method), f"threshold_method = {self.threshold_method!r}: one of {get_args(Method)}"),
            (self.power_transform in get_args(Power), f"power_transform = {self.power_transform!r}: one of {get_args(Power)}"),
        ]
        for fine, problem in rules:
            if not fine:
                raise DetectorError(problem)


class Baseline(NamedTuple):
    """The standing threshold of each series, from its history alone: arrays of shape (series,), in counts.

    standard_error is that of the expectation. mu_bound is the mean that the negative binomial bound was taken at.
    """

    expectation: Floats
    upper_bound: Floats
    dispersion: Floats
    standard_error: Floats
    mu_bound: Floats
    trend: Bools
    slope: Floats
    status: NDArray[np.int8]


class Bounds(NamedTuple):
    """A judged step of each series: arrays of shape (series,). score is (observed - expectation) / (bound - expectation)."""

    observed: Floats
    expectation: Floats
    upper_bound: Floats
    dispersion: Floats
    p_value: Floats
    score: Floats
    trend: Bools
    slope: Floats
    alarm: Bools
    status: NDArray[np.int8]


def reference_steps(at: int, settings: FarringtonSettings) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The steps before `at` that make the baseline, and the season of each; the judged step's own season is the last.

    Raises DetectorError when they begin before step 0, or when none is left of the judged step's own season.
    """
    b, w, p = settings.b, settings.w, settings.no_periods
    season = np.full(at + 1, -1, dtype=np.int64)
    season[max(at - w, 0) : at + 1] = p - 1
    for year in range(1, b + 1):
        reference = at - settings.frequency * year
        if reference - w < 0:
            raise DetectorError(
                f"step {at} has less than {b} years of history ({settings.frequency * b + w} steps are needed); lower b"
            )
        season[reference - w : reference + w + 1] = p - 1
        if p > 1:
            between = settings.frequency - 2 * w - 1
            lengths = np.full(p - 1, between // (p - 1))
            lengths[: between % (p - 1)] += 1
            begin = reference + w + 1
            season[begin : begin + between] = np.repeat(np.arange(p - 1), lengths)
    season[max(at - settings.past_weeks_not_included, 0) :] = -1
    steps = np.flatnonzero(season >= 0)
    if not (season[steps] == p - 1).any():
        raise DetectorError(
            f"past_weeks_not_included = {settings.past_weeks_not_included} leaves nothing of the same season in {b} years; "
            "lower it or raise b"
        )
    return steps, season[steps]


@lru_cache(maxsize=64)
def _design(at: int, settings: FarringtonSettings) -> tuple[NDArray[np.int64], Design]:
    """The steps of the baseline and their design: the same for every call with as much history."""
    steps, season = reference_steps(at, settings)
    return steps, Design(season, (steps - at) / settings.frequency, settings.no_periods)


def farrington_threshold(counts: Floats, at: int, settings: FarringtonSettings, population: Floats | None = None) -> Baseline:
    """Expectation and upper bound of step `at` for every series, before its count is known.

    counts: (series, steps) not negative, fractions allowed, NaN for not observed; only columns before `at` are read.
    population: (series, steps), needed with population_offset. Raises DetectorError for shapes, signs and settings.
    """
    settings.check()
    counts = _checked(counts, at, at)
    if settings.population_offset:
        if population is None:
            raise DetectorError("population_offset needs a population for each series and step")
        if population.ndim != 2 or len(population) != len(counts) or population.shape[1] <= at:
            raise DetectorError(
                f"population must be (series, steps) up to the judged step, here ({len(counts)}, {at + 1}) or wider, "
                f"not {population.shape}"
            )
    steps, design = _design(at, settings)
    parts = []
    for begin in range(0, max(len(counts), 1), _CHUNK):
        rows = slice(begin, begin + _CHUNK)
        offset = now = None
        if settings.population_offset and population is not None:
            people = population[rows][:, [*steps, at]]
            if wrong := np.flatnonzero(~((people > 0) & np.isfinite(people)).all(1)).tolist():
                raise DetectorError(
                    f"the population of series {begin + wrong[0]} is missing, zero or less in a step of its history; "
                    "leave the offset out or mend the population"
                )
            offset, now = np.log(people[:, :-1]), np.log(people[:, -1])
        parts.append(_threshold(counts[rows][:, steps], design, settings, offset, now))
    return Baseline._make([np.concatenate(column) for column in zip(*parts, strict=True)])


def farrington_flexible(counts: Floats, at: int, settings: FarringtonSettings, population: Floats | None = None) -> Bounds:
    """Judge step `at` of every series against the baseline of its past.

    counts: as for farrington_threshold, with the judged step in column `at`. With fewer than limit[0] events in the
    last limit[1] steps there is no alarm (status TOO_FEW; with r_compat expectation and bound are NaN, as in R).
    """
    counts = _checked(counts, at, at + 1)
    base = farrington_threshold(counts, at, settings, population)
    observed = counts[:, at]
    status = base.status.copy()
    recent = counts[:, max(at - settings.limit[1] + 1, 0) : at + 1]
    enough = (recent.sum(1) if settings.r_compat else np.nansum(recent, axis=1)) >= settings.limit[0]
    p_value = _p_value(observed, base, settings)
    with np.errstate(all="ignore"):
        if settings.r_compat and settings.threshold_method != "delta":
            link = np.log(base.expectation)
            score = (observed - link) / (base.upper_bound - link)
        else:
            score = (observed - base.expectation) / (base.upper_bound - base.expectation)
        if not settings.r_compat:
            # A bound at or below the expectation (both near 0) leaves no scale: a count beyond it is infinitely far.
            no_scale = base.upper_bound <= base.expectation
            score = np.where(no_scale & ~np.isnan(observed), np.where(observed > base.upper_bound, np.inf, 0.0), score)
        beyond = score > 1 if settings.r_compat else observed > base.upper_bound
    alarm = np.asarray(beyond & enough & (observed != 0) & ~np.isnan(observed))
    status[~enough & (status == Status.OK)] = Status.TOO_FEW
    status[np.isnan(observed)] = Status.MISSING
    expectation, upper = base.expectation, base.upper_bound
    if settings.r_compat:
        failed = status == Status.NOT_CONVERGED
        upper = np.where(enough & ~failed, upper, np.nan)
        expectation = np.where(failed, 0.0, np.where(enough & ~np.isnan(base.upper_bound), expectation, np.nan))
    return Bounds(observed, expectation, upper, base.dispersion, p_value, score, base.trend, base.slope, alarm, status)


def _checked(counts: Floats, at: int, end: int) -> Floats:
    """The counts as float64, after the rules for their shape and for the values before column `end`."""
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 2:
        raise DetectorError(f"counts must be (series, steps), not of {counts.ndim} dimensions")
    if at <= 0 or end > counts.shape[1]:
        raise DetectorError(f"step {at} lies outside the {counts.shape[1]} steps of the counts")
    read = counts[:, :end]
    with np.errstate(invalid="ignore"):
        wrong = (read < 0) | np.isinf(read)
    if wrong.any():
        i, step = np.argwhere(wrong)[0].tolist()
        raise DetectorError(f"series {i} has the count {read[i, step]:g} in step {step}; counts are finite and not negative")
    return counts


def _threshold(
    y: Floats, design: Design, settings: FarringtonSettings, offset: Floats | None, offset_now: Floats | None
) -> Baseline:
    prior = (~np.isnan(y)).astype(np.float64)
    y = np.nan_to_num(y)
    compat = settings.r_compat
    empty = y.sum(1) == 0
    own_season = design.season == design.groups - 1
    absent = y[:, own_season].sum(1) == 0
    start = None if compat else _without_trend(y, prior, design, offset)
    n = len(y)
    now = np.zeros(n) if offset_now is None else offset_now
    trend = np.zeros(n, dtype=bool)
    mu, phi, variance, slope, converged = (np.full(n, np.nan) for _ in range(5))

    def put(which: NDArray[np.int64], result: Fit, floored: Floats, covariance: Floats, with_trend: bool) -> None:
        mu[which] = np.exp(np.clip(result.level[:, -1] + now[which], -700, 700))
        with np.errstate(over="ignore"):  # a season without events; its variance is set below
            phi[which], variance[which] = floored, covariance * result.variance_of_level(design.groups - 1)
        slope[which] = result.slope / settings.frequency if with_trend else np.nan
        converged[which], trend[which] = result.converged, with_trend

    def fitted(which: NDArray[np.int64], with_trend: bool) -> tuple[Fit, Floats, Floats, Bools]:
        part, begin = (None if values is None else values[which] for values in (offset, start))
        return _fit_reweighted(y[which], prior[which], design, settings, part, begin, with_trend)

    todo = np.arange(n)
    if settings.trend and n and (compat or settings.b >= 3):
        # A season without events tells nothing of a trend that runs through it.
        todo = todo if compat else np.flatnonzero(~absent)
        result, floored, covariance, settled = fitted(todo, True)
        predicted = np.exp(np.clip(result.level[:, -1] + now[todo], -700, 700))
        with np.errstate(all="ignore"):
            t = result.slope / np.sqrt(covariance / result.schur)
            p = 2 * stdtr(np.maximum(result.df, 1), -np.abs(t))
        keep = (p < settings.p_threshold_trend) & (predicted <= y[todo].max(1)) & settled & (settings.b >= 3)
        put(todo[keep], _take(result, keep), floored[keep], covariance[keep], True)
        todo = np.flatnonzero(~trend)
    todo = todo if compat else todo[~empty[todo]]
    if len(todo):
        result, floored, covariance, settled = fitted(todo, False)
        put(todo, result, floored, covariance, False)
        converged[todo] = settled

    status = np.zeros(n, dtype=np.int8)
    status[converged == 0] = Status.NOT_CONVERGED
    observed_steps, in_season = prior.sum(1), prior[:, own_season].sum(1)
    if not compat:
        # A season without events has no finite level: half an event is added to it at the whole history's mean.
        mean = y.sum(1) / np.maximum(observed_steps, 1)
        floor = np.where(empty, 0.5 / np.maximum(observed_steps, 1), 0.5 * mean / (in_season * mean + 0.5))
        low = absent | ~(mu >= floor)
        status[low] = Status.SEPARATED
        status[empty] = Status.NO_HISTORY
        status[observed_steps < design.groups + 2] = Status.MISSING
        mu, phi = np.where(low, floor, mu), np.where(empty | np.isnan(phi), 1.0, phi)
        variance = np.where(low | ~np.isfinite(variance), 0.0, variance)
    status[in_season == 0] = Status.MISSING
    mu = np.where(in_season == 0, np.nan, mu)
    mean_bound = _mean_at_bound(mu, variance, settings)
    upper = _upper_bound(mu, phi, variance, mean_bound, settings)
    with np.errstate(invalid="ignore"):
        error = np.sqrt(variance) * mu
    if compat:
        failed = status == Status.NOT_CONVERGED
        phi, upper = np.where(failed, np.nan, phi), np.where(failed, np.nan, upper)
    return Baseline(mu, upper, phi, error, mean_bound, trend, slope, status)


def _without_trend(y: Floats, prior: Floats, design: Design, offset: Floats | None) -> Floats:
    """Linear predictors of the fit without a trend, which has a closed form: events over exposure of each season."""
    seasons = design.columns[:, : design.groups]
    exposure = prior if offset is None else prior * np.exp(offset)
    rate = (y @ seasons) / np.maximum(exposure @ seasons, np.finfo(np.float64).tiny)
    eta = np.log(np.maximum(rate, _ABSENT))[:, design.season]
    return np.asarray(eta if offset is None else eta + offset)


def _take(result: Fit, which: Bools) -> Fit:
    return Fit(**{name: getattr(result, name)[which] for name in Fit.__dataclass_fields__})


def _fit_reweighted(
    y: Floats,
    prior: Floats,
    design: Design,
    settings: FarringtonSettings,
    offset: Floats | None,
    start: Floats | None,
    trend: bool,
) -> tuple[Fit, Floats, Floats, Bools]:
    """Fit, weigh past outbreaks down, fit again: (fit, floored dispersion, dispersion of the covariance, converged)."""
    # As in R the dispersion takes the weights of the step before the last: at R's tolerance they leave it up to 2e-4
    # off, which moves the outliers' weights in turn.
    tolerance = 1e-8 if settings.r_compat else _SETTLED
    with np.errstate(over="ignore", invalid="ignore"):  # a series with next to no history; its status says so
        result = fit(y, design, prior=prior, trend=trend, offset=offset, start=start, tolerance=tolerance)
    settled = result.converged
    phi = np.maximum(result.dispersion, 1)
    if not settings.reweight:
        return result, phi, result.dispersion if settings.r_compat else phi, settled
    with np.errstate(all="ignore"):
        # y^(2/3) mu^(-1/6) - mu^(1/2), by cheaper functions than powers
        raw = 1.5 * (np.cbrt(y) ** 2 * np.exp(result.eta / -6) - np.sqrt(result.mu))
        residual = raw / np.sqrt(phi[:, None] * (1 - result.leverage(design)))
        outlier = (residual > settings.weights_threshold) & (prior > 0)
        omega = np.where(outlier, np.where(outlier, residual, 1.0) ** -2.0, 1.0) * prior
        omega *= (prior.sum(1) / omega.sum(1))[:, None]
    # Weighing nothing down leaves the fit as it is; R fits again all the same, to the same rule.
    again = np.arange(len(y)) if settings.r_compat else np.flatnonzero(outlier.any(1))
    if not len(again):
        return result, phi, phi, settled
    part = None if offset is None else offset[again]
    warm = None if settings.r_compat else result.eta[again]
    with np.errstate(over="ignore", invalid="ignore"):
        second = fit(y[again], design, prior=omega[again], trend=trend, offset=part, start=warm, tolerance=tolerance)
    if len(again) == len(y):
        result = second
    else:
        for name in Fit.__dataclass_fields__:
            getattr(result, name)[again] = getattr(second, name)
    phi = np.maximum(result.dispersion, 1)
    if settings.r_compat:
        with np.errstate(all="ignore"):
            covariance = (omega * ((y - result.mu) / result.mu) ** 2).sum(1) / np.maximum(result.df, 1)
        return result, phi, covariance, settled
    return result, phi, phi, settled


def _mean_at_bound(mu: Floats, variance: Floats, settings: FarringtonSettings) -> Floats:
    """The mean at which the negative binomial bound is taken: plug-in, or its own upper quantile (muan)."""
    if settings.threshold_method != "muan":
        return mu
    with np.errstate(all="ignore"):
        return np.asarray(np.exp(np.log(mu) - ndtri(settings.alpha) * np.sqrt(variance)))


def _upper_bound(mu: Floats, phi: Floats, variance: Floats, mean_bound: Floats, settings: FarringtonSettings) -> Floats:
    if settings.threshold_method != "delta":
        # A standard error beyond all bounds (muan) gives R's "no answer", or here an infinite bound.
        upper = quantile(settings.alpha, mean_bound, phi)
        return np.where(np.isinf(mean_bound), np.nan if settings.r_compat else np.inf, upper)
    exponent, error = _transformed(mu, phi, variance, settings)
    with np.errstate(all="ignore"):
        return np.asarray(np.maximum(mu**exponent - ndtri(settings.alpha) * error, 0) ** (1 / exponent))


def _transformed(mu: Floats, phi: Floats, variance: Floats, settings: FarringtonSettings) -> tuple[float, Floats]:
    """Exponent and standard error of prediction on the power-transformed scale (Farrington 1996, section 3.6)."""
    with np.errstate(all="ignore"):
        tau = phi + variance * mu  # standard error of the mean squared, over the mean: (se_link * mu)^2 / mu
        if settings.power_transform == "none":
            return 1.0, np.sqrt(mu * tau)
        if settings.power_transform == "1/2":
            return 0.5, np.sqrt(tau / 4)
        return 2 / 3, np.sqrt(4 / 9 * np.cbrt(mu) * tau)


def _p_value(observed: Floats, base: Baseline, settings: FarringtonSettings) -> Floats:
    """Probability of a count as high as observed, by the threshold's own method."""
    if settings.threshold_method != "delta":
        unbounded = np.isinf(base.mu_bound) & settings.r_compat
        return tail_probability(observed, np.where(unbounded, np.nan, base.mu_bound), base.dispersion)
    with np.errstate(all="ignore"):
        variance = (base.standard_error / base.expectation) ** 2
        exponent, error = _transformed(base.expectation, base.dispersion, variance, settings)
        return np.asarray(1 - ndtr((observed**exponent - base.expectation**exponent) / error))
