"""One small regression for counts and for shares: log-linear or logistic, with an interval from the likelihood's profile.

Both have their natural link, so that the fit is the same Newton step and always one maximum. The interval of a coefficient
is where twice the loss of log-likelihood, over the dispersion, stays below the square of a t quantile (McCullagh & Nelder
1989, Generalized Linear Models, chapter 9): unlike a normal interval it is sound with few events, and with none.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]
_MOST = 60  # steps of a fit
_FAR = 12.0  # of a coefficient: e^12 is no ratio that anyone would report


class Model(NamedTuple):
    """What is fitted. y: (n,) events; x: (n, p) design; of: (n,) trials of which y are events, None for counts."""

    y: Array
    x: Array
    of: Array | None = None


class Fit(NamedTuple):
    """coefficients: (p,); mean, variance: (n,), of y if chance were all; loglik: up to a constant; covariance: (p, p)."""

    coefficients: Array
    mean: Array
    variance: Array
    loglik: float
    covariance: Array


def fit(model: Model, offset: Array | float = 0.0, start: Array | None = None) -> Fit:
    """The maximum of the likelihood by Newton's method with halved steps.

    offset: added to the linear predictor. start: coefficients near the maximum, where they are known.
    """
    y, x, of = model
    shift = np.broadcast_to(np.asarray(offset, dtype=np.float64), y.shape)
    if start is None:
        share = (y.sum() + 0.5) / ((of.sum() if of is not None else len(y)) + 1.0)
        level = np.log(share / (1 - share)) if of is not None else np.log(share)
        start = np.linalg.lstsq(x, np.full(len(y), level), rcond=None)[0]
    beta = start
    value = _loglik(model, x @ beta + shift)
    mean, variance = _moments(model, x @ beta + shift)
    for _ in range(_MOST):
        information = x.T @ (x * variance[:, None]) + 1e-10 * np.eye(x.shape[1])
        step = np.clip(np.linalg.solve(information, x.T @ (y - mean)), -3.0, 3.0)
        length = 1.0
        while (trial := _loglik(model, x @ (beta + length * step) + shift)) < value - 1e-12 and length > 1e-4:
            length /= 2
        beta, gain, value = beta + length * step, trial - value, trial
        mean, variance = _moments(model, x @ beta + shift)
        if abs(gain) < 1e-10 and np.abs(length * step).max() < 1e-6:
            break
    information = x.T @ (x * variance[:, None]) + 1e-10 * np.eye(x.shape[1])
    return Fit(beta, mean, variance, value, np.asarray(np.linalg.inv(information), dtype=np.float64))


def profile_interval(model: Model, best: Fit, at: int, spread: float, free: float, level: float) -> tuple[float, float]:
    """Interval of coefficient `at`; ends beyond e^12 come out as -inf and inf. free: degrees of freedom of `spread`."""
    limit = float(stats.t.isf((1 - level) / 2, free)) ** 2 * spread / 2
    rest = Model(model.y, np.delete(model.x, at, axis=1), model.of)
    column, centre = model.x[:, at], float(np.clip(best.coefficients[at], -_FAR, _FAR))
    others = np.delete(best.coefficients, at)
    half = float(np.sqrt(2 * limit * best.covariance[at, at]))  # of the normal interval: where to look first

    def loss(value: float) -> float:
        return best.loglik - fit(rest, value * column, others).loglik - limit

    def end(side: Literal[-1, 1]) -> float:
        inner, outer = centre, centre + side * min(half, 1.0)
        while loss(outer) <= 0:
            if abs(outer) > _FAR:
                return float(side * np.inf)
            inner, outer = outer, outer + 1.6 * (outer - centre)
        return float(optimize.brentq(loss, inner, outer, xtol=1e-4))

    return end(-1), end(1)


def _moments(model: Model, eta: Array) -> tuple[Array, Array]:
    if model.of is None:
        mean = np.exp(np.clip(eta, -30, 30))
        return mean, mean
    share = 1 / (1 + np.exp(-np.clip(eta, -30, 30)))
    return model.of * share, model.of * share * (1 - share)


def _loglik(model: Model, eta: Array) -> float:
    if model.of is None:
        return float(model.y @ eta - np.exp(np.clip(eta, -30, 30)).sum())
    return float(model.y @ eta - model.of @ np.logaddexp(0.0, eta))
