"""In-control models by R's own steps: glm and glm.nb of every series at once, each stopped where R stops.

For comparisons to the digit; `seasonal_regression` goes on until nothing moves. Poisson: iteratively reweighted least squares
from mu = y + 0.1 until the deviance changes by less than 1e-8 of itself + 0.1. Negative binomial: MASS's glm.nb, which takes
turns between the coefficients and Newton steps for the size (Venables & Ripley 2002, Modern Applied Statistics with S, 7.4).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, polygamma, xlogy

from earlywarning.core.detectors.seasonal_regression import Regression

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_STEPS = 25
_TOLERANCE = 1e-8
_LEAST = float(np.finfo(np.float64).eps)  # the smallest mean that R's logarithmic link gives
_SIZE_TOLERANCE = float(np.finfo(np.float64).eps ** 0.25)


def glm_poisson(y: Floats, x: Floats) -> Regression:
    """Poisson regressions. y: (series, n) counts, x: (n, p) design."""
    beta, _, converged = _irls(y, x, np.log(y + 0.1), np.full(len(y), np.inf))
    return Regression(beta, np.zeros(len(y)), converged)


def glm_negative_binomial(y: Floats, x: Floats, alpha: Floats | None = None) -> Regression:
    """Negative binomial regressions; alpha (series,) is given, or one over MASS's estimate of the size.

    alpha is 0, and nothing converged, where R stops with an error: the size went to zero or is no number.
    """
    if alpha is not None:
        start = np.log(y + (y == 0) / 6)
        beta, _, converged = _irls(y, x, start, 1 / np.maximum(alpha, 1e-300))
        return Regression(beta, alpha, converged)
    with np.errstate(all="ignore"):
        beta, mu, _ = _irls(y, x, np.log(y + 0.1), np.full(len(y), np.inf))
        size = _size(y, mu)
        d1 = np.sqrt(2 * max(1, y.shape[1] - x.shape[1]))
        likelihood = _likelihood(y, mu, size)
        before, change = likelihood + 2 * d1, np.ones(len(y))
        for _ in range(_STEPS):
            go = np.flatnonzero((np.abs(before - likelihood) / d1 + np.abs(change) > _TOLERANCE) & (size > 0))
            if not len(go):
                break
            beta[go], new, _ = _irls(y[go], x, np.log(mu[go]), size[go])
            old = size[go]
            size[go] = _size(y[go], mu[go])  # from the means before this turn's
            mu[go] = new
            change[go] = old - size[go]
            before[go] = likelihood[go]
            likelihood[go] = _likelihood(y[go], mu[go], size[go])
    fine = np.isfinite(size) & (size > 0)
    return Regression(beta, np.where(fine, 1 / np.where(fine, size, 1.0), 0.0), fine)


def predict_in_r(fitted: Regression, x: Floats) -> Floats:
    """Expected counts on the rows of a design: (series, rows)."""
    with np.errstate(over="ignore"):
        return np.asarray(np.maximum(np.exp(fitted.coefficients @ x.T), _LEAST))


def _irls(y: Floats, x: Floats, eta: Floats, size: Floats) -> tuple[Floats, Floats, Bools]:
    """Coefficients, means and convergence. size: (series,), infinite for Poisson."""
    n, p = len(y), x.shape[1]
    # The steps are the same in any basis of the columns; in this one the equations lose no digits.
    x, back = np.linalg.qr(x)
    pairs = (x[:, :, None] * x[:, None, :]).reshape(len(x), p * p)
    beta, out, converged = np.zeros((n, p)), np.exp(eta), np.zeros(n, dtype=bool)
    at, per = np.arange(n), (1 / size)[:, None]
    mu = np.exp(eta)
    with np.errstate(all="ignore"):
        before = _deviance(y, mu, size)
        for _ in range(_STEPS):
            weight = mu / (1 + per * mu)
            right = (weight * eta + weight * (y - mu) / mu) @ x
            # In units of the largest weight: a series without events has none above e^-20.
            unit = weight.max(1)[:, None]
            information = ((weight / unit) @ pairs).reshape(-1, p, p)
            fine = np.linalg.cond(information) < 1e14  # beyond that rounding is all there is
            new = np.zeros((len(at), p))
            new[fine] = np.linalg.solve(information[fine], (right / unit)[fine][:, :, None])[:, :, 0]
            eta = new @ x.T
            mu = np.maximum(np.exp(eta), _LEAST)
            now = _deviance(y, mu, size[at])
            stop = (np.abs(now - before) / (np.abs(now) + 0.1) < _TOLERANCE) | ~fine
            beta[at], out[at], converged[at] = new, mu, stop & fine
            go = ~stop
            if not go.any():
                break
            at, y, eta, mu, per, before = at[go], y[go], eta[go], mu[go], per[go], now[go]
    return np.linalg.solve(back, beta.T).T, out, converged


def _deviance(y: Floats, mu: Floats, size: Floats) -> Floats:
    k = size[:, None]
    poisson = xlogy(y, y / mu) - (y - mu)
    if np.isinf(size).all():
        return np.asarray(2 * poisson.sum(1))
    return np.asarray(2 * (y * np.log(np.maximum(y, 1) / mu) - (y + k) * np.log((y + k) / (mu + k))).sum(1))


def _likelihood(y: Floats, mu: Floats, size: Floats) -> Floats:
    k = size[:, None]
    terms = gammaln(k + y) - gammaln(k) - gammaln(y + 1) + k * np.log(k) + y * np.log(mu + (y == 0)) - (k + y) * np.log(k + mu)
    return np.asarray(terms.sum(1))


def _size(y: Floats, mu: Floats) -> Floats:
    """MASS's theta.ml: Newton from the moments, 24 steps at most."""
    size = y.shape[1] / ((y / mu - 1) ** 2).sum(1)
    at = np.arange(len(y))
    for _ in range(_STEPS - 1):
        k, m, c = np.abs(size[at])[:, None], mu[at], y[at]
        score = (digamma(k + c) - digamma(k) + np.log(k) + 1 - np.log(k + m) - (c + k) / (m + k)).sum(1)
        information = (-polygamma(1, k + c) + polygamma(1, k) - 1 / k + 2 / (m + k) - (c + k) / (m + k) ** 2).sum(1)
        step = score / information
        size[at] = k[:, 0] + step
        at = at[np.abs(step) > _SIZE_TOLERANCE]
        if not len(at):
            break
    return np.asarray(np.maximum(size, 0), dtype=np.float64)
