"""How much more counts vary than pure chance, and intervals of counts and of their ratio that take it into account.

All intervals are two-sided. Dispersion is variance over mean: 1 for Poisson counts; dividing counts by it gives the number
of independent events that carry as much information, and exact Poisson intervals are taken of that number.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
LEVEL = 0.90
LAGS = 4  # weeks over which neighbours may resemble each other
_ROUNDING = 1e-9  # events a week: what a perfect fit leaves, which would be alike for no reason but how it is computed


def dispersion(residuals: Array, variances: Array, parameters: int) -> float:
    """Variance of counts about their fit, over what chance alone would give; never below 1.

    residuals: (weeks,) count minus fit, in time order; variances: (weeks,) of the fit if chance were all; parameters: fitted.
    Sums are compared, not weekly ratios: at one event a week those are far from any distribution.
    """
    free = len(residuals) - parameters
    if free < 1 or variances.sum() <= 0:
        return 1.0
    return max(1.0, float(np.sum(residuals**2) / np.sum(variances) * len(residuals) / free))


def likeness(residuals: Array, lags: int = LAGS) -> float:
    """By how much neighbouring weeks that resemble each other inflate the variance of a mean; never below 1.

    residuals: (weeks,) in events, in time order. 1 + 2 sum of w_k r_k with Bartlett's weights: Newey & West 1987,
    Econometrica 55:703.
    """
    total = float(np.sum(residuals**2))
    if total <= len(residuals) * _ROUNDING**2 or len(residuals) <= 2 * lags:
        return 1.0
    # Removing a fitted mean makes neighbours look less alike by about 1/n.
    alike = [float(np.sum(residuals[k:] * residuals[:-k])) / total + 1 / len(residuals) for k in range(1, lags + 1)]
    weights = 1 - np.arange(1, lags + 1) / (lags + 1)
    return max(1.0, 1 + 2 * float(weights @ np.array(alike)))


def history_dispersion(weekly: Array, step: int = 0) -> float:
    """Dispersion of a series' own weekly counts about its season and trend, neighbouring weeks' likeness included.

    weekly: (weeks,) counts, the oldest first. With less than a year the season is left out. step: week from which the level
    may be another (0: none), so that a change that came is not taken for restlessness.
    """
    n = len(weekly)
    if n < 8 or weekly.sum() < 8:
        return 1.0
    time = np.arange(n)
    columns = [np.ones(n), (time - time.mean()) / n]
    if n >= 52:
        columns += [f(2 * np.pi * time / 52.18) for f in (np.sin, np.cos)]
    if 4 <= step <= n - 4:
        columns.append((time >= step).astype(np.float64))
    x = np.column_stack(columns)
    # A plain least-squares mean is enough for a dispersion; it may not go below a tenth of the mean.
    fit = np.maximum(x @ np.linalg.lstsq(x, weekly, rcond=None)[0], weekly.mean() / 10)
    residuals = weekly - fit
    return dispersion(residuals, fit, x.shape[1]) * likeness(residuals)


def mean_interval(count: float, spread: float = 1.0, level: float = LEVEL) -> tuple[float, float]:
    """Interval of the mean behind one count. spread: its dispersion. Garwood 1936, Biometrika 28:437, on count/spread."""
    tail, n = (1 - level) / 2, count / spread
    low = float(stats.gamma.ppf(tail, n)) if n > 0 else 0.0
    return spread * low, spread * float(stats.gamma.isf(tail, n + 1))


def ratio_interval(
    after: float, before: float, exposure: float = 1.0, spread: float = 1.0, level: float = LEVEL
) -> tuple[float, float]:
    """Interval of (mean after / mean before) per unit of time. exposure: time after, over time before.

    Of the sum of both counts, `after` is binomial: Clopper & Pearson's interval of that share, on counts/spread.
    Przyborowski & Wilenski 1940, Biometrika 31:313. (0, inf) when there was nothing before and after.
    """
    tail, a, b = (1 - level) / 2, after / spread, before / spread
    low = float(stats.beta.ppf(tail, a, b + 1)) if a > 0 else 0.0
    high = float(stats.beta.isf(tail, a + 1, b)) if b > 0 else 1.0
    return low / (1 - low) / exposure, (high / (1 - high) / exposure if high < 1 else float("inf"))
