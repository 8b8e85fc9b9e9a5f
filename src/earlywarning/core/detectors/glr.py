"""GLR-CUSUM: since when has the level been raised, and is it beyond chance? Poisson and negative binomial.

For each possible onset k the likelihood of a raised level from k to now is held against the expected one; the statistic is
the largest log ratio, the onset is where it lies, and the chart starts anew after an alarm. Hoehle & Paul 2008, Computational
Statistics & Data Analysis 52:4357. With a fixed change theta it is the CUSUM of log likelihood ratios (Page 1954, Lorden 1971).
`r_compat` repeats algo.glrpois and algo.glrnb of R's surveillance 1.20.3: see `glr_in_r`.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors import glr_in_r, glr_search
from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]
_CHUNK = 64  # series charted together: their arrays hold a number for each step, onset and step since
_MOST_CASES = 2.0**40
Ret = Literal["value", "cases"]


@dataclass(frozen=True, slots=True)
class GlrSettings:
    """R's names in comments. window: newest onsets looked at (M), -1 for all; shortest: steps since an onset (Mtilde)."""

    threshold: float = 5.0  # c.ARL
    window: int = -1  # M
    shortest: int = 1  # Mtilde
    theta: float | None = None  # log change that is known; None: the likeliest one
    ret: Ret = "value"  # "cases": also the least count that would have raised an alarm (Poisson, or theta known)
    r_compat: bool = False

    def check(self) -> None:
        """Raises DetectorError naming what is out of range."""
        rules = [
            (self.threshold > 0, f"threshold = {self.threshold}: must be above 0"),
            (self.window == -1 or self.window >= 1, f"window = {self.window}: -1 for all onsets, or at least 1"),
            (self.shortest >= 1, f"shortest = {self.shortest}: at least 1 step"),
            (self.ret in get_args(Ret), f"ret = {self.ret!r}: value or cases"),
            (self.theta is None or self.theta > 0, f"theta = {self.theta}: a raised level has a change above 0"),
        ]
        for fine, problem in rules:
            if not fine:
                raise DetectorError(problem)


class GlrChart(NamedTuple):
    """(series, steps) each. onset: step from which the level is raised, -1 where nothing is; change: its estimated log.

    cases: the least count that would have raised an alarm, fractional where theta is known; NaN unless asked for.
    """

    statistic: Floats
    alarm: NDArray[np.bool_]
    onset: NDArray[np.int64]
    change: Floats
    cases: Floats


def glr(counts: Floats, expected: Floats, settings: GlrSettings, alpha: Floats | None = None) -> GlrChart:
    """Charts of every series.

    counts, expected: (series, steps), whole numbers and their means in control. alpha: (series,), variance = mu + alpha
    mu^2; None or 0 is Poisson. Raises DetectorError for shapes, signs, fractions and missing figures.
    """
    settings.check()
    y, mu = _checked(counts, expected)
    size = np.zeros(len(y)) if alpha is None else np.asarray(alpha, dtype=np.float64)
    if size.shape != (len(y),) or not (np.isfinite(size) & (size >= 0)).all():
        raise DetectorError("alpha must be one number of at least 0 for each series")
    if settings.ret == "cases" and settings.theta is None and size.any():
        raise DetectorError("ret = cases: needs Poisson counts (alpha = 0) or a known change theta; take ret = value")
    parts: dict[int, GlrChart] = {}
    order = []
    # Poisson charts have closed forms, negative binomial ones do not: series of one kind are charted together.
    for kind in (np.flatnonzero(size == 0), np.flatnonzero(size > 0)):
        for begin in range(0, len(kind), _CHUNK):
            rows = kind[begin : begin + _CHUNK]
            order.append(rows)
            parts[len(parts)] = _charts(y[rows], mu[rows], size[rows], settings)
    if not order:
        return _charts(y, mu, size, settings)
    back = np.argsort(np.concatenate(order))
    return GlrChart._make(np.concatenate(column)[back] for column in zip(*parts.values(), strict=True))


def _charts(y: Floats, mu: Floats, size: Floats, settings: GlrSettings) -> GlrChart:
    series, steps = y.shape
    statistic, alarm = np.zeros((series, steps)), np.zeros((series, steps), dtype=bool)
    onset, change = np.full((series, steps), -1, dtype=np.int64), np.zeros((series, steps))
    cases = np.full((series, steps), np.nan)
    start = np.zeros(series, dtype=np.int64)  # first step since the last alarm
    searched = settings.theta is None and not settings.r_compat and bool(size.any())
    known = glr_search.tangents(y, mu, size) if searched else None
    for n in range(steps):
        if settings.theta is not None:
            # What adds up to nothing begins anew, and so does the chart after an alarm.
            held = statistic[:, n - 1] * ~alarm[:, n - 1] if n else np.zeros(series)
            theta = np.full(series, settings.theta)
            total = held + _gain(y[:, n], mu[:, n], size, theta)
            first = np.where(held > 0, onset[:, n - 1] if n else -1, n)
            now = glr_in_r.Best(np.maximum(total, 0), np.where(total > 0, first, -1), np.where(total > 0, theta, 0.0))
            if settings.ret == "cases":
                at_none, each = _gain(np.zeros(series), mu[:, n], size, theta), _gain(np.ones(series), mu[:, n], size, theta)
                cases[:, n] = (settings.threshold - held - at_none) / (each - at_none)
        else:
            now = _best(y, mu, size, n, start, known, settings)
            if settings.ret == "cases":
                cases[:, n] = _least_count(y, mu, size, n, start, known, settings)
        statistic[:, n], onset[:, n], change[:, n] = now
        strictly = settings.r_compat and settings.theta is not None
        alarm[:, n] = statistic[:, n] > settings.threshold if strictly else statistic[:, n] >= settings.threshold
        start = np.where(alarm[:, n], n + 1, start)
    return GlrChart(statistic, alarm, onset, change, cases)


def _best(
    y: Floats, mu: Floats, size: Floats, n: int, start: NDArray[np.int64], known: glr_search.Tangents | None, settings: GlrSettings
) -> glr_in_r.Best:
    """The likeliest onset and change at step n of charts that began at `start`."""
    if settings.r_compat and size.any():
        return glr_in_r.negative_binomial_now(y, mu, size, n, start, settings.window, settings.shortest)
    if settings.r_compat:
        return glr_in_r.poisson_now(y, mu, n, start, settings.window, settings.shortest)
    series, newest = len(y), n - settings.shortest + 1
    oldest = max(int(start.min(initial=n)), 0 if settings.window < 0 else n - settings.window)
    if newest < oldest:
        return glr_in_r.Best(np.zeros(series), np.full(series, -1), np.zeros(series))
    k = np.arange(oldest, newest + 1)
    if known is not None:
        return glr_in_r.Best(*glr_search.likeliest(y, mu, size, known, n, k, start))
    x, m = (np.cumsum(v[:, oldest : n + 1][:, ::-1], 1)[:, ::-1][:, : len(k)] for v in (y, mu))
    with np.errstate(divide="ignore"):
        change = np.maximum(np.log(x / m), 0.0)
    ratio = x * change - np.expm1(change) * m
    ratio = np.where(k >= start[:, None], ratio, -np.inf)
    best, row = ratio.argmax(1), np.arange(series)
    found = ratio[row, best]
    return glr_in_r.Best(np.maximum(found, 0), np.where(found > 0, k[best], -1), np.where(found > 0, change[row, best], 0.0))


def _least_count(
    y: Floats, mu: Floats, size: Floats, n: int, start: NDArray[np.int64], known: glr_search.Tangents | None, settings: GlrSettings
) -> Floats:
    """The least whole count of step n that raises an alarm: doubling, then halving. Infinite where none does."""
    y = y[:, : n + 1].copy()

    def enough(count: Floats) -> NDArray[np.bool_]:
        y[:, n] = count
        return np.asarray(_best(y, mu, size, n, start, known, settings).statistic >= settings.threshold)

    low, high = np.full(len(y), -1.0), np.zeros(len(y))
    while (short := ~enough(high) & (high < _MOST_CASES)).any():
        low, high = np.where(short, high, low), np.where(short, np.maximum(2 * high, 1), high)
    while (open_ := high - low > 1).any():
        middle = np.floor((low + high) / 2)
        fine = enough(middle)
        high, low = np.where(open_ & fine, middle, high), np.where(open_ & ~fine, middle, low)
    # Where nothing is judged yet R says 0, though no count would alarm.
    return np.where(enough(high), high, 0.0 if settings.r_compat else np.inf)


def _gain(y: Floats, mu: Floats, alpha: Floats, kappa: Floats) -> Floats:
    """Log likelihood ratio of one step with the level raised by exp(kappa)."""
    a = np.maximum(alpha, 1e-300)
    poisson = y * kappa - mu * np.expm1(kappa)
    negative_binomial = y * kappa - (y + 1 / a) * (np.log1p(a * mu * np.exp(kappa)) - np.log1p(a * mu))
    return np.where(alpha > 0, negative_binomial, poisson)


def _checked(counts: Floats, expected: Floats) -> tuple[Floats, Floats]:
    y, mu = np.asarray(counts, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if y.ndim != 2 or mu.shape != y.shape:
        raise DetectorError(f"counts and expected must be (series, steps) alike, not {y.shape} and {mu.shape}")
    with np.errstate(invalid="ignore"):
        wrong = ~(np.isfinite(y) & (y >= 0) & (y == np.round(y)))
        bad = ~(np.isfinite(mu) & (mu > 0))
    if wrong.any():
        i, step = np.argwhere(wrong)[0].tolist()
        raise DetectorError(f"series {i} has the count {y[i, step]:g} in step {step}; a chart needs whole counts without gaps")
    if bad.any():
        i, step = np.argwhere(bad)[0].tolist()
        raise DetectorError(f"series {i} expects {mu[i, step]:g} in step {step}; an expectation must be above 0")
    return y, mu
