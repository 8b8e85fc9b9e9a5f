"""Quasi-Poisson fits of complete series from sums over their seasons: a step costs as much as the seasons, not as the weeks.

Where nothing is missing and there is no offset, mu[i] = exp(level[season of i]) * exp(slope * time[i]). All that a step of
iteratively reweighted least squares needs are sums of exp(slope * time) over each season; as power series in the slope they
have coefficients that all series share, so that one matrix product gives them. Observations that are weighted down are few;
what they change is added one by one. The steps and their stopping rule are those of `quasi_poisson.fit`.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.quasi_poisson import Design

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
_STEPS = 25
_FAR = 300.0  # a linear predictor beyond this is left to the fit that works observation by observation
_GAIN = 1e-13  # without R's rule: the log-likelihood still to be gained where a fit may stop
_SIDE = 6
_TERMS = _SIDE * _SIDE  # of the power series: 4^36 / 36! is below 1e-19
_STEEP = 4.0  # slope times half the history's length, up to which the series is used
_ROWS = 256  # series whose observations are worked on together, so that the arrays stay in cache


@dataclass(frozen=True)
class Seasons:
    """A design, and what its sums are made of. n observations, g seasons."""

    design: Design

    @cached_property
    def middle(self) -> float:
        """Of the times."""
        return float(self.design.time.min() + self.design.time.max()) / 2

    @cached_property
    def half(self) -> float:
        """Half the length of the history, in the unit of time."""
        return float(np.ptp(self.design.time)) / 2 or 1.0

    @cached_property
    def farthest(self) -> float:
        """The time farthest from the judged step."""
        return float(np.abs(self.design.time).max())

    @cached_property
    def powers(self) -> Floats:
        """Indicators of the seasons, times time, times time squared: (3 * g, n)."""
        seasons = self.design.columns[:, : self.design.groups].T
        return np.concatenate([seasons, seasons * self.design.time, seasons * self.design.time**2])

    @cached_property
    def terms(self) -> Floats:
        """Coefficients of the power series of the sums: (3 * g, terms)."""
        place = (self.design.time - self.middle) / self.half
        factorial = np.cumprod(np.concatenate([[1.0], np.arange(1, _TERMS)]))
        return np.asarray(self.powers @ (place[:, None] ** np.arange(_TERMS)) / factorial)

    @cached_property
    def rows(self) -> Floats:
        """Indicators of the seasons and time, so that coefficients @ rows are linear predictors: (g + 1, n)."""
        seasons = self.design.columns[:, : self.design.groups].T
        return np.concatenate([seasons, self.design.time[None]])

    @cached_property
    def size(self) -> Floats:
        """Sums of 1, time and time squared over each season: (3, g, 1)."""
        return np.asarray(self.powers.sum(1).reshape(3, -1, 1))

    def sums_of_exponentials(self, slope: Floats) -> Floats:
        """Sums over each season of exp(slope * time), times 1, time and time squared: (3 * g, series)."""
        x = slope * self.half
        steep = ~(np.abs(x) <= _STEEP)
        x = np.where(steep, 0.0, x)
        low, high = np.empty((_SIDE, len(x))), np.empty((_SIDE, len(x)))
        low[0], high[0] = np.exp(slope * self.middle), 1.0
        for k in range(1, _SIDE):
            np.multiply(low[k - 1], x, out=low[k])
        power = x**_SIDE
        for k in range(1, _SIDE):
            np.multiply(high[k - 1], power, out=high[k])
        sums = self.terms @ (high[:, None] * low).reshape(_TERMS, -1)
        if steep.any():
            sums[:, steep] = self.powers @ np.exp(self.design.time[:, None] * slope[steep])
        return np.asarray(sums)


class Outliers(NamedTuple):
    """Observations weighted down, one by one: series, place in the design, events, weight minus 1."""

    series: Ints
    place: Ints
    events: Floats
    less: Floats

    def of(self, series: Ints, total: int) -> "Outliers":
        """Those of some series (in rising order) out of `total`, numbered by their place among them."""
        number = np.full(total, -1)
        number[series] = np.arange(len(series))
        now = number[self.series]
        keep = now >= 0
        return Outliers(now[keep], self.place[keep], self.events[keep], self.less[keep])


class Start(NamedTuple):
    """Sums of R's first step, from mu = y + 0.1: weights w, w * time, w * time^2, w * z, w * z * time; half the deviance."""

    weight: Floats  # (g, series)
    weighted_time: Floats  # (g, series)
    squares: Floats  # (series,)
    right: Floats  # (g, series)
    right_time: Floats  # (series,)
    half: Floats  # (series,) without its saturated part


class Totals(NamedTuple):
    """What a fit needs of the counts y. first, saturated: for R's steps only."""

    events: Floats  # (g, series) sum of y
    time: Floats  # (series,) sum of y * time
    saturated: Floats  # (series,) sum of y log y
    first: Start | None

    def of(self, which: Ints) -> "Totals":
        """The sums of some series."""
        first = None if self.first is None else Start(*(values[..., which] for values in self.first))
        return Totals(self.events[:, which], self.time[which], self.saturated[which], first)


class SumFit(NamedTuple):
    """level: (g, series) at time 0; slope: (series,). weight, weighted_time (g, series) and schur: of the last working weights.

    last_level, last_slope: the coefficients that those weights were taken at. odd: the fit left the range of numbers that the
    sums can hold, and needs `quasi_poisson.fit`.
    """

    level: Floats
    slope: Floats
    last_level: Floats
    last_slope: Floats
    weight: Floats
    weighted_time: Floats
    schur: Floats
    trend: bool
    converged: Bools
    odd: Bools

    def of(self, which: Ints | slice) -> "SumFit":
        """The fits of some series."""
        return SumFit(*(values if isinstance(values, bool) else values[..., which] for values in self))  # type: ignore[arg-type]  # in the fields' order


def totals(y: Floats, seasons: Seasons, *, glm_start: bool) -> Totals:
    """Sums of the counts (series, n), which must be complete. glm_start: also for R's first step."""
    n, g = len(y), seasons.design.groups
    own, started = np.empty((3 * g, n)), np.empty((2 * g, n))
    saturated, half = np.zeros(n), np.zeros(n)
    for begin in range(0, n, _ROWS):
        rows = slice(begin, begin + _ROWS)
        part = y[rows]
        own[:, rows] = seasons.powers @ part.T
        if glm_start:
            log = np.maximum(part, 1e-300)
            np.log(log, out=log)
            saturated[rows] = np.einsum("ij,ij->i", part, log)
            np.log(part + 0.1, out=log)
            half[rows] = 0.1 * part.shape[1] - np.einsum("ij,ij->i", part, log)
            log *= part + 0.1
            log -= 0.1
            started[:, rows] = seasons.powers[: 2 * g] @ log.T
    count, time = own[:g], own[g : 2 * g]
    first = None
    if glm_start:
        size = 0.1 * seasons.size
        first = Start(count + size[0], time + size[1], (own[2 * g :] + size[2]).sum(0), started[:g], started[g:].sum(0), half)
    return Totals(count, time.sum(0), saturated, first)


def weighted(plain: Totals, seasons: Seasons, outliers: Outliers) -> Totals:
    """The sums with some observations weighted down."""
    series, place, y, less = outliers
    season, time = seasons.design.season[place], seasons.design.time[place]
    g, n = plain.events.shape
    first = plain.first
    if first is not None:
        w, log = less * (y + 0.1), np.log(y + 0.1)
        z = less * ((y + 0.1) * log - 0.1)
        first = Start(
            first.weight + _by_cell(season, series, w, g, n), first.weighted_time + _by_cell(season, series, w * time, g, n),
            first.squares + np.bincount(series, w * time**2, n), first.right + _by_cell(season, series, z, g, n),
            first.right_time + np.bincount(series, z * time, n), first.half + np.bincount(series, less * (0.1 - y * log), n),
        )  # fmt: skip
    saturated = plain.saturated + np.bincount(series, less * y * np.log(np.maximum(y, 1e-300)), n)
    count = plain.events + _by_cell(season, series, less * y, g, n)
    return Totals(count, plain.time + np.bincount(series, less * y * time, n), saturated, first)


def _by_cell(season: Ints, series: Ints, values: Floats, g: int, n: int) -> Floats:
    return np.bincount(season * n + series, values, g * n).reshape(g, n).astype(np.float64)


def fit_sums(
    known: Totals,
    seasons: Seasons,
    *,
    trend: bool,
    tolerance: float,
    scale: Floats | None = None,
    outliers: Outliers | None = None,
    begin: tuple[Floats, Floats] | None = None,
) -> SumFit:
    """Fit from sums. scale: (series,) common factor of all weights, which only R's stopping rule sees.

    begin: levels and slopes to start from; without them the level of each season.
    """
    g, n = known.events.shape
    k = np.ones(n) if scale is None else scale
    level, slope = (np.zeros((g, n)), np.zeros(n)) if begin is None else begin
    if begin is None and known.first is None:
        level = np.log(np.maximum(known.events / seasons.size[0], 1e-9))
    none = np.zeros(n, dtype=bool)
    out = SumFit(
        np.zeros((g, n)), np.zeros(n), np.zeros((g, n)), np.zeros(n), np.ones((g, n)), np.zeros((g, n)), np.ones(n), trend,
        none, none.copy(),
    )  # fmt: skip
    at, y, yt, few, start = np.arange(n), known.events, known.time, outliers, known.first
    if start is not None:
        d, c, tt = start.weight, start.weighted_time, start.squares
        before = 2 * (known.saturated + start.half)
    else:
        d, c, tt = _weights(level, slope, seasons, few, trend)
        before = np.full(n, np.inf)
    schur = np.ones(n)
    for step in range(_STEPS):
        old_level, old_slope = level, slope
        share = c / d
        if trend:
            schur = tt - _dot(share, c)
        if start is not None and step == 0:
            right, away = start.right, start.right_time
        else:
            right, away = y - d, yt - c.sum(0)
        change = (away - _dot(share, right)) / schur if trend else np.zeros(len(at))
        rise = right / d - share * change
        if start is not None and step == 0:
            level, slope = rise, change
        else:
            level, slope = level + rise, slope + change
        used, used_time = d, c
        d, c, tt = _weights(level, slope, seasons, few, trend)
        if start is not None:
            now = 2 * (known.saturated[at] + (d - y).sum(0) - _dot(level, y) - slope * yt)
            stop = np.abs(now - before) * k[at] / (np.abs(now) * k[at] + 0.1) < tolerance
        else:
            now = _dot(right, rise) + away * change
            stop = np.abs(now) < _GAIN
        odd = ~((np.abs(now) < np.inf) & (np.abs(level).max(0) < _FAR) & (np.abs(slope) * seasons.farthest < _FAR))
        if start is not None and step == 0:
            odd |= stop  # the last weights are then those of no coefficients
        last = stop | odd if step < _STEPS - 1 else np.ones(len(at), dtype=bool)
        before = now
        if last.any():
            ended = at[last]
            out.level[:, ended], out.slope[ended] = level[:, last], slope[last]
            out.last_level[:, ended], out.last_slope[ended] = old_level[:, last], old_slope[last]
            out.weight[:, ended], out.weighted_time[:, ended], out.schur[ended] = used[:, last], used_time[:, last], schur[last]
            out.converged[ended], out.odd[ended] = stop[last], odd[last]
            if last.all():
                break
            go = np.flatnonzero(~last)
            few = None if few is None else few.of(go, len(at))
            at, yt, slope, before, schur, tt = at[go], yt[go], slope[go], before[go], schur[go], tt[go]
            y, level, d, c = y[:, go], level[:, go], d[:, go], c[:, go]
    return out


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray((a * b).sum(0))


def _weights(
    level: Floats, slope: Floats, seasons: Seasons, outliers: Outliers | None, trend: bool
) -> tuple[Floats, Floats, Floats]:
    """Sums of the working weights mu over each season, of mu * time, and over all of mu * time^2."""
    g, n = level.shape
    height = np.exp(level)
    if trend:
        sums = seasons.sums_of_exponentials(slope)
        d, c, tt = height * sums[:g], height * sums[g : 2 * g], _dot(height, sums[2 * g :])
    else:
        d, c, tt = height * seasons.size[0], height * seasons.size[1], np.zeros(n)
    if outliers is not None and len(outliers.series):
        series, place, _, less = outliers
        season, time = seasons.design.season[place], seasons.design.time[place]
        extra = less * np.exp(level[season, series] + slope[series] * time)
        d += _by_cell(season, series, extra, g, n)
        if trend:
            c += _by_cell(season, series, extra * time, g, n)
            tt += np.bincount(series, extra * time**2, n)
    return d, c, tt
