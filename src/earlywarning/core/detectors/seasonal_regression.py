"""In-control models of control charts: counts on level, trend and harmonics, fitted to the weeks before the judged ones.

All series share the design, so each reweighting step is one matrix product with the products of its column pairs.
McCullagh & Nelder 1989 (Poisson); Lawless 1987, Canadian Journal of Statistics 15:209 (negative binomial).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]
_STEPS = 60
_SETTLED = 1e-12
_LARGEST_SIZE = 1e7  # a size beyond this is a Poisson distribution


class Regression(NamedTuple):
    """coefficients: (series, p). alpha: (series,), variance = mu + alpha mu^2; 0 is Poisson. converged: (series,)."""

    coefficients: Floats
    alpha: Floats
    converged: NDArray[np.bool_]


def harmonic_design(steps: NDArray[np.int64], frequency: float, harmonics: int, trend: bool) -> Floats:
    """Columns of level, trend and pairs of cosine and sine: (steps, 1 + trend + 2 * harmonics). steps count from 1."""
    t = np.asarray(steps, dtype=np.float64)
    columns = [np.ones_like(t), *([t] if trend else [])]
    for s in range(1, harmonics + 1):
        columns += [np.cos(2 * s * np.pi / frequency * t), np.sin(2 * s * np.pi / frequency * t)]
    return np.stack(columns, axis=1)


def fit_poisson(counts: Floats, x: Floats) -> Regression:
    """Poisson regressions of every series on one design. counts: (series, n), x: (n, p)."""
    return _fit(counts, x, np.zeros(len(counts)))


def fit_negative_binomial(counts: Floats, x: Floats, alpha: Floats | None = None) -> Regression:
    """Negative binomial regressions; alpha is found by maximum likelihood unless it is given (series,)."""
    if alpha is not None:
        return _fit(counts, x, alpha)
    fitted = _fit(counts, x, np.zeros(len(counts)))
    size = np.full(len(counts), 1.0)
    for _ in range(25):
        mu = np.exp(np.clip(fitted.coefficients @ x.T, -30, 30))
        new = _size(counts, mu, size)
        fitted = _fit(counts, x, np.where(new >= _LARGEST_SIZE, 0.0, 1 / new), fitted.coefficients)
        settled = np.abs(new - size) <= 1e-8 * new
        size = new
        if settled.all():
            break
    return fitted


def predict(fitted: Regression, x: Floats) -> Floats:
    """Expected counts on the rows of a design: (series, rows)."""
    return np.exp(np.clip(fitted.coefficients @ x.T, -30, 30))


def _fit(y: Floats, x: Floats, alpha: Floats, start: Floats | None = None) -> Regression:
    if y.shape[1] < x.shape[1]:
        raise DetectorError(f"{y.shape[1]} steps of history cannot hold {x.shape[1]} coefficients; give more history")
    p = x.shape[1]
    pairs = (x[:, :, None] * x[:, None, :]).reshape(len(x), p * p)
    eta = np.log(y + 0.1) if start is None else start @ x.T
    before, converged = np.full(len(y), np.inf), np.zeros(len(y), dtype=bool)
    beta = np.zeros((len(y), p))
    for _ in range(_STEPS):
        mu = np.exp(np.clip(eta, -30, 30))
        weight = mu / (1 + alpha[:, None] * mu)
        right = (weight * eta + weight * (y - mu) / mu) @ x
        information = (weight @ pairs).reshape(-1, p, p) + 1e-12 * np.eye(p)
        beta = np.linalg.solve(information, right[:, :, None])[:, :, 0]
        eta = beta @ x.T
        mu = np.exp(np.clip(eta, -30, 30))
        a = np.maximum(alpha[:, None], 1e-12)
        now = np.where(alpha[:, None] > 0, (y + 1 / a) * np.log1p(a * mu) - y * eta, mu - y * eta).sum(1)
        converged = np.abs(now - before) <= _SETTLED * (np.abs(now) + 1)
        before = now
        if converged.all():
            break
    return Regression(beta, alpha, converged)


def _size(y: Floats, mu: Floats, start: Floats) -> Floats:
    """Maximum likelihood of the size given the means: Newton on its logarithm, within bounds."""
    log_size = np.log(np.clip(start, 1e-3, _LARGEST_SIZE))
    for _ in range(50):
        k = np.exp(log_size)[:, None]
        score = (digamma(y + k) - digamma(k) + np.log(k) + 1 - np.log(k + mu) - (y + k) / (k + mu)).sum(1)
        bend = (polygamma(1, y + k) - polygamma(1, k) + 1 / k - 2 / (k + mu) + (y + k) / (k + mu) ** 2).sum(1)
        k = k[:, 0]
        curvature = bend * k * k + score * k
        step = np.where(curvature < 0, -score * k / np.minimum(curvature, -1e-300), np.sign(score))
        log_size = np.clip(log_size + np.clip(step, -2, 2), np.log(1e-4), np.log(_LARGEST_SIZE))
        if (np.abs(step) < 1e-10).all():
            break
    return np.exp(log_size)
