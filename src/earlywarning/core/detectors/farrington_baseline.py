"""Standing thresholds of Farrington flexible: expectation and bound of a step from its past, for many rows at once.

A row is a series in a week: all weeks have the same design, so that rows of any week are fitted side by side.
"""

from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from earlywarning.core.detectors.farrington_settings import FarringtonSettings, reference_steps, steps_back
from earlywarning.core.detectors.negative_binomial import quantile
from earlywarning.core.detectors.quasi_poisson import Design
from earlywarning.core.detectors.reweighting import Reweighted, Rule, blank, fit_each, fit_whole
from earlywarning.core.detectors.season_sums import Seasons, Totals, totals
from earlywarning.core.detectors.status import DetectorError, Status

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
_CHUNK = 4096  # rows fitted together
_ABSENT = 1e-9  # where the fit begins in a season without a single count; its own answer would be 0
_NO_SLOPE = 1e-16  # t of a probability that is 1 to the last digit


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


_KINDS = (*(np.float64,) * 5, np.bool_, np.float64, np.int8)


class Plan(NamedTuple):
    """What the baselines of all steps share: steps before the judged one, and their design."""

    lags: NDArray[np.int64]
    design: Design
    seasons: Seasons | None  # None where a season is left without a step


@lru_cache(maxsize=256)
def _plan(settings: FarringtonSettings, back: tuple[int, ...] = (), times: tuple[float, ...] = ()) -> Plan:
    """back: see reference_steps; times: of the `back[-1] + w` steps before the judged one, in steps (default: -1, -2, ...)."""
    at = (back[-1] if back else settings.frequency * settings.b) + settings.w
    steps, season = reference_steps(at, settings, back)
    time = np.array(times)[at - steps - 1] if times else (steps - at).astype(np.float64)
    design = Design(season, time / settings.frequency, settings.no_periods)
    every = len(np.unique(season)) == settings.no_periods
    return Plan(steps - at, design, Seasons(design) if every else None)


def thresholds(
    counts: Floats,
    steps: Ints,
    settings: FarringtonSettings,
    population: Floats | None = None,
    dates: Sequence[date] | None = None,
    judge: "Callable[[Rows, FarringtonSettings, Floats | None], Baseline] | None" = None,
) -> Baseline:
    """Baselines of steps of all series: (series, len(steps)) each. Many rows at a time, a row being a series in a week.

    dates: of every step, needed with by_date. judge: what makes baselines of rows, given also the logarithm of the
    population at the judged step.
    """
    if settings.by_date:
        return _by_date(counts, steps, settings, population, dates, judge)
    if settings.population_offset:
        _check_population(population, len(counts), steps)
    first = int(steps.min(initial=settings.frequency * settings.b + settings.w))
    if first < settings.frequency * settings.b + settings.w:
        reference_steps(first, settings)  # says what is missing
    return _planned(counts, steps, settings, population, _plan(settings), judge)


def _by_date(
    counts: Floats, steps: Ints, settings: FarringtonSettings, population: Floats | None, dates: Sequence[date] | None,
    judge: "Callable[[Rows, FarringtonSettings, Floats | None], Baseline] | None",
) -> Baseline:  # fmt: skip
    """Steps whose references lie alike are judged together."""
    if dates is None or len(dates) < counts.shape[1]:
        raise DetectorError("by_date needs a date for each step: give the date of the first one")
    out = Baseline._make(np.empty((len(counts), len(steps)), dtype=kind) for kind in _KINDS)
    alike: dict[tuple[tuple[int, ...], tuple[float, ...]], list[int]] = {}
    for i, at in enumerate(steps.tolist()):
        back = steps_back(at, dates, settings)
        days = [(dates[at - k] - dates[at]).days / (dates[1] - dates[0]).days for k in range(1, back[-1] + settings.w + 1)]
        times = () if days == [-k for k in range(1, len(days) + 1)] else tuple(days)
        alike.setdefault((back, times), []).append(i)
    for (back, times), which in alike.items():
        part = _planned(counts, steps[which], settings, population, _plan(settings, back, times), judge)
        for place, values in zip(tuple[NDArray[Any], ...](out), tuple[NDArray[Any], ...](part), strict=True):
            place[:, which] = values
    return out


def _planned(
    counts: Floats, steps: Ints, settings: FarringtonSettings, population: Floats | None, plan: Plan,
    judge: "Callable[[Rows, FarringtonSettings, Floats | None], Baseline] | None",
) -> Baseline:  # fmt: skip
    series, weeks = len(counts), len(steps)
    side = max(min(_CHUNK // max(series, 1), weeks), 1)
    height = max(_CHUNK // side, 1)
    out = Baseline._make(np.empty((series, weeks), dtype=kind) for kind in _KINDS)
    every = tuple[NDArray[Any], ...](out)
    for begin in range(0, series, height):
        rows = slice(begin, begin + height)
        for week in range(0, weeks, side):
            columns = slice(week, week + side)
            at = steps[columns, None] + plan.lags
            y = counts[rows][:, at].reshape(-1, len(plan.lags))
            offset = now = None
            if settings.population_offset and population is not None:
                offset = _log_population(population, rows, at, begin).reshape(y.shape)
                now = _log_population(population, rows, steps[columns, None], begin).ravel()
            part = (judge or _threshold)(prepared(y, plan, settings, offset), settings, now)
            for place, values in zip(every, tuple[NDArray[Any], ...](part), strict=True):
                place[rows, columns] = values.reshape(-1, at.shape[0])
    return out


def _check_population(population: Floats | None, series: int, steps: Ints) -> None:
    if population is None:
        raise DetectorError("population_offset needs a population for each series and step")
    end = int(steps.max(initial=0)) + 1
    if population.ndim != 2 or len(population) != series or population.shape[1] < end:
        raise DetectorError(
            f"population must be (series, steps) up to the judged step, here ({series}, {end}) or wider, not {population.shape}"
        )


def _log_population(population: Floats, rows: slice, at: Ints, begin: int) -> Floats:
    people = population[rows][:, at]
    if wrong := np.flatnonzero(~((people > 0) & np.isfinite(people)).all((1, 2) if people.ndim == 3 else 1)).tolist():
        raise DetectorError(
            f"the population of series {begin + wrong[0]} is missing, zero or less in a step of its history; "
            "leave the offset out or mend the population"
        )
    return np.asarray(np.log(people))


def prepared(y: Floats, plan: Plan, settings: FarringtonSettings, offset: Floats | None) -> "Rows":
    """Rows (rows, n) with NaN for not observed, made ready to be fitted."""
    total = y.sum(1)
    whole = ~np.isnan(total) if offset is None and plan.seasons is not None else np.zeros(len(y), dtype=bool)
    prior = np.ones((1, y.shape[1]))
    if np.isnan(total).any():
        prior = (~np.isnan(y)).astype(np.float64)
        y = np.nan_to_num(y)
    known = None
    if plan.seasons is not None:
        known = totals(y if whole.all() else y[whole], plan.seasons, glm_start=settings.r_compat)
    rule = Rule(settings.weights_threshold if settings.reweight else None, settings.r_compat)
    return Rows(y, np.broadcast_to(prior, y.shape), whole, known, plan, offset, rule)


def _threshold(rows: "Rows", settings: FarringtonSettings, offset_now: Floats | None) -> Baseline:
    y, prior, design, compat, n = rows.y, rows.prior, rows.plan.design, settings.r_compat, len(rows.y)
    own_season = design.season == design.groups - 1
    total = y.sum(1)
    observed_steps, in_season = prior.sum(1), prior[:, own_season].sum(1)
    empty = total == 0
    absent = y[:, own_season].sum(1) == 0
    now = np.zeros(n) if offset_now is None else offset_now
    trend = np.zeros(n, dtype=bool)
    mu, phi, variance, slope = (np.full(n, np.nan) for _ in range(4))
    converged = np.full(n, -1)

    def put(which: Ints, found: Reweighted, with_trend: bool, settled: Bools) -> None:
        mu[which] = np.exp(np.clip(found.level + now[which], -700, 700))
        with np.errstate(over="ignore", invalid="ignore"):  # a season without events; its variance is set below
            phi[which], variance[which] = found.phi, found.covariance * found.variance
        slope[which] = found.slope / settings.frequency if with_trend else np.nan
        converged[which], trend[which] = settled, with_trend

    todo = np.arange(n)
    if settings.trend and n and (compat or settings.b >= 3):
        # A season without events tells nothing of a trend that runs through it.
        todo = todo if compat else np.flatnonzero(~absent)
        found = rows.fitted(todo, True)
        predicted = np.exp(np.clip(found.level + now[todo], -700, 700))
        with np.errstate(all="ignore"):
            t = found.slope / np.sqrt(found.covariance / found.schur)
            if settings.p_threshold_trend < 1:
                significant = 2 * stdtr(np.maximum(found.df, 1), -np.abs(t)) < settings.p_threshold_trend
            else:  # any probability but 1, which is that of no slope at all
                significant = np.abs(t) > _NO_SLOPE
        keep = significant & (predicted <= y[todo].max(1)) & found.settled & (settings.b >= 3)
        put(todo[keep], found.take(keep), True, found.converged[keep])
        todo = np.flatnonzero(~trend)
    todo = todo if compat else todo[~empty[todo]]
    if len(todo):
        found = rows.fitted(todo, False)
        put(todo, found, False, found.settled)

    status = np.zeros(n, dtype=np.int8)
    status[converged == 0] = Status.NOT_CONVERGED
    if not compat:
        # A season without events has no finite level: half an event is added to it at the whole history's mean.
        mean = total / np.maximum(observed_steps, 1)
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


class Rows(NamedTuple):
    """Rows (a series in a week) to be fitted: complete ones from their sums, all others observation by observation."""

    y: Floats
    prior: Floats
    whole: Bools
    known: Totals | None
    plan: Plan
    offset: Floats | None
    rule: Rule

    def fitted(self, which: Ints, trend: bool) -> Reweighted:
        """Fits of some rows, in their order."""
        out, design = blank(len(which)), self.plan.design
        rest = ~self.whole[which]
        if self.plan.seasons is not None and self.known is not None and not rest.all():
            some_rows = which[~rest]
            every = len(some_rows) == len(self.y)
            known = self.known if every else self.known.of((np.cumsum(self.whole) - 1)[some_rows])
            y = self.y if every else self.y[some_rows]
            found, odd = fit_whole(y, known, self.plan.seasons, self.rule, trend=trend)
            out.put(~rest, found)
            rest[~rest] = odd
        if rest.any():
            each = which[rest]
            offset = None if self.offset is None else self.offset[each]
            y, prior = self.y[each], self.prior[each]
            start = None if self.rule.compat else _without_trend(y, prior, design, offset)
            out.put(rest, fit_each(y, prior, design, self.rule, trend=trend, offset=offset, start=start))
        return out


def _without_trend(y: Floats, prior: Floats, design: Design, offset: Floats | None) -> Floats:
    """Linear predictors of the fit without a trend, which has a closed form: events over exposure of each season."""
    seasons = design.columns[:, : design.groups]
    exposure = prior if offset is None else prior * np.exp(offset)
    rate = (y @ seasons) / np.maximum(exposure @ seasons, np.finfo(np.float64).tiny)
    eta = np.log(np.maximum(rate, _ABSENT))[:, design.season]
    return np.asarray(eta if offset is None else eta + offset)


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
    exponent, error = transformed(mu, phi, variance, settings)
    with np.errstate(all="ignore"):
        return np.asarray(np.maximum(mu**exponent - ndtri(settings.alpha) * error, 0) ** (1 / exponent))


def transformed(mu: Floats, phi: Floats, variance: Floats, settings: FarringtonSettings) -> tuple[float, Floats]:
    """Exponent and standard error of prediction on the power-transformed scale (Farrington 1996, section 3.6)."""
    with np.errstate(all="ignore"):
        tau = phi + variance * mu  # standard error of the mean squared, over the mean: (se_link * mu)^2 / mu
        if settings.power_transform == "none":
            return 1.0, np.sqrt(mu * tau)
        if settings.power_transform == "1/2":
            return 0.5, np.sqrt(tau / 4)
        return 2 / 3, np.sqrt(4 / 9 * np.cbrt(mu) * tau)
