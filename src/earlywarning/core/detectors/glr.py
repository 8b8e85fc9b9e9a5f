"""GLR-CUSUM: since when has the level been raised, and is it beyond chance? Poisson and negative binomial.

For each possible onset k the likelihood of a raised level from k to now is held against the expected one; the statistic is
the largest log ratio, the onset is where it lies, and the chart starts anew after an alarm. Hoehle & Paul 2008, Computational
Statistics & Data Analysis 52:4357. With a fixed change theta it is the CUSUM of log likelihood ratios (Page 1954, Lorden 1971).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]
_NEWTON = 40
_LARGEST_CHANGE = 8.0  # log: a level raised more than 3,000 times is raised enough


@dataclass(frozen=True, slots=True)
class GlrSettings:
    """R's names in comments. window: newest onsets looked at (M), -1 for all; shortest: steps since an onset (Mtilde)."""

    threshold: float = 5.0  # c.ARL
    window: int = -1  # M
    shortest: int = 1  # Mtilde
    theta: float | None = None  # log change that is known; None: the likeliest one
    r_compat: bool = False  # with a window and Poisson counts R leaves out the newest onset that `shortest` allows

    def check(self) -> None:
        """Raises DetectorError naming what is out of range."""
        rules = [
            (self.threshold > 0, f"threshold = {self.threshold}: must be above 0"),
            (self.window == -1 or self.window >= 1, f"window = {self.window}: -1 for all onsets, or at least 1"),
            (self.shortest >= 1, f"shortest = {self.shortest}: at least 1 step"),
            (self.theta is None or self.theta > 0, f"theta = {self.theta}: a raised level has a change above 0"),
        ]
        for fine, problem in rules:
            if not fine:
                raise DetectorError(problem)


class GlrChart(NamedTuple):
    """(series, steps) each. onset: step from which the level is raised, -1 where nothing is; change: its estimated log."""

    statistic: Floats
    alarm: NDArray[np.bool_]
    onset: NDArray[np.int64]
    change: Floats


def glr(counts: Floats, expected: Floats, settings: GlrSettings, alpha: Floats | None = None) -> GlrChart:
    """Charts of every series.

    counts, expected: (series, steps), whole numbers and their means in control. alpha: (series,), variance = mu + alpha
    mu^2; None or 0 is Poisson. Raises DetectorError for shapes, signs, fractions and missing figures.
    """
    settings.check()
    y, mu = _checked(counts, expected)
    size = np.zeros(len(y)) if alpha is None else np.asarray(alpha, dtype=np.float64)
    if (size < 0).any() or size.shape != (len(y),):
        raise DetectorError("alpha must be one number of at least 0 for each series")
    series, steps = y.shape
    statistic, alarm = np.zeros((series, steps)), np.zeros((series, steps), dtype=bool)
    onset, change = np.full((series, steps), -1, dtype=np.int64), np.zeros((series, steps))
    start = np.zeros(series, dtype=np.int64)  # first step since the last alarm
    kappa = np.zeros((series, steps))  # by onset, where Newton begins
    running = np.zeros(series)
    zero = np.zeros((series, 1))
    x_sum, mu_sum = (np.concatenate([zero, np.cumsum(v, 1)], 1) for v in (y, mu))
    for n in range(steps):
        if settings.theta is not None:
            gain = _gain(y[:, n], mu[:, n], size, np.full(series, settings.theta))
            began = running + gain > 0
            first = np.where(running > 0, onset[:, n - 1] if n else -1, n)
            running = np.maximum(running + gain, 0.0)
            statistic[:, n], onset[:, n] = running, np.where(began, first, -1)
            change[:, n] = np.where(began, settings.theta, 0.0)
        else:
            late = settings.r_compat and settings.window > 0 and not size.any()
            newest = n - settings.shortest + (0 if late else 1)
            oldest = 0 if settings.window < 0 else max(n - settings.window, 0)
            if newest < oldest:
                continue
            k = np.arange(oldest, newest + 1)
            x, m = x_sum[:, n + 1 : n + 2] - x_sum[:, k], mu_sum[:, n + 1 : n + 2] - mu_sum[:, k]
            if size.any():
                kappa[:, k] = _change(y[:, oldest : n + 1], mu[:, oldest : n + 1], size, kappa[:, k], k - oldest)
                ratio = _ratios(y[:, oldest : n + 1], mu[:, oldest : n + 1], size, kappa[:, k], k - oldest)
                best_change = kappa[:, k]
            else:
                with np.errstate(divide="ignore", invalid="ignore"):
                    best_change = np.maximum(np.log(x / m), 0.0)
                best_change = np.where(x > 0, best_change, 0.0)
                ratio = x * best_change + (1 - np.exp(best_change)) * m
            ratio = np.where(k >= start[:, None], ratio, -np.inf)
            best = ratio.argmax(1)
            row = np.arange(series)
            live = ratio[row, best] > 0
            statistic[:, n] = np.maximum(ratio[row, best], 0.0)
            onset[:, n] = np.where(live, k[best], -1)
            change[:, n] = np.where(live, best_change[row, best], 0.0)
        alarm[:, n] = statistic[:, n] >= settings.threshold
        start = np.where(alarm[:, n], n + 1, start)
        running = np.where(alarm[:, n], 0.0, running)
    return GlrChart(statistic, alarm, onset, change)


def _gain(y: Floats, mu: Floats, alpha: Floats, kappa: Floats) -> Floats:
    """Log likelihood ratio of one step with the level raised by exp(kappa)."""
    a = np.maximum(alpha, 1e-300)
    poisson = y * kappa - mu * np.expm1(kappa)
    negative_binomial = y * kappa - (y + 1 / a) * (np.log1p(a * mu * np.exp(kappa)) - np.log1p(a * mu))
    return np.where(alpha > 0, negative_binomial, poisson)


def _tails(values: Floats, begins: NDArray[np.int64]) -> Floats:
    """Sums from each begin to the end along the axis before the last: values (series, onsets, steps)."""
    inside = np.arange(values.shape[2]) >= begins[:, None]
    return np.asarray((values * inside).sum(2))


def _ratios(y: Floats, mu: Floats, alpha: Floats, kappa: Floats, begins: NDArray[np.int64]) -> Floats:
    return _tails(_gain(y[:, None], mu[:, None], alpha[:, None, None], kappa[:, :, None]), begins)


def _change(y: Floats, mu: Floats, alpha: Floats, start: Floats, begins: NDArray[np.int64]) -> Floats:
    """The likeliest log change since each begin, at least 0: Newton, for all series and onsets at once."""
    kappa = start
    a, yy, mm = np.maximum(alpha, 1e-12)[:, None, None], y[:, None], mu[:, None]
    for _ in range(_NEWTON):
        raised = mm * np.exp(kappa)[:, :, None]
        score = _tails((yy - raised) / (1 + a * raised), begins)
        bend = _tails(raised * (1 + a * yy) / (1 + a * raised) ** 2, begins)
        step = np.clip(score / np.maximum(bend, 1e-300), -1.0, 1.0)
        new = np.clip(kappa + step, 0.0, _LARGEST_CHANGE)
        if (np.abs(new - kappa) < 1e-10).all():
            return new
        kappa = new
    return kappa


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
