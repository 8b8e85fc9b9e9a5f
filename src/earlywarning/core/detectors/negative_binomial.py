"""Tails and quantiles of counts with variance = dispersion * mean: negative binomial, Poisson at dispersion 1.

The negative binomial with mean mu and variance phi * mu has size mu / (phi - 1) and probability 1 / phi. The functions
work through the regularised incomplete beta and gamma functions, which stay finite where quantile routines of
libraries fail or abort on extreme arguments; arguments are clamped all the same.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, gammainc, ndtri

Floats = NDArray[np.float64]
_POISSON = 1e-8  # a dispersion closer to 1 than this is 1: the two distributions agree to every digit shown
_LARGEST = 1e12  # counts beyond this are not counts


def tail_probability(observed: ArrayLike, mean: ArrayLike, dispersion: ArrayLike) -> Floats:
    """P(X >= observed). All arguments broadcast; observed may be fractional and is rounded up to a whole count.

    NaN where mean or dispersion is NaN. A mean of 0 gives 0 for any observed above 0.
    """
    count, mean, dispersion = np.broadcast_arrays(
        np.ceil(np.asarray(observed, dtype=np.float64) - 1e-9),
        np.asarray(mean, dtype=np.float64),
        np.asarray(dispersion, dtype=np.float64),
    )
    mu = np.clip(mean, 1e-300, _LARGEST)
    k = np.clip(count, 1, _LARGEST)
    excess = np.clip(dispersion - 1, _POISSON, _LARGEST)
    with np.errstate(all="ignore"):
        negative_binomial = betainc(k, mu / excess, excess / (1 + excess))
        poisson = gammainc(k, mu)
    tail = np.where(dispersion - 1 > _POISSON, negative_binomial, poisson)
    tail = np.where(count <= 0, 1.0, np.where(mean <= 0, 0.0, tail))
    return np.where(np.isnan(mean) | np.isnan(dispersion) | np.isnan(count), np.nan, tail)


def quantile(alpha: float, mean: ArrayLike, dispersion: ArrayLike) -> Floats:
    """The smallest whole u with P(X > u) <= alpha. NaN where mean or dispersion is NaN; 0 where the mean is 0."""
    mean, dispersion = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(dispersion, np.float64))
    mu, phi = np.maximum(mean, 0).ravel(), np.clip(dispersion, 1, _LARGEST).ravel()
    out = np.full(mu.shape, np.nan)
    # Beyond all real counts the normal approximation is exact to more digits than a count has.
    with np.errstate(invalid="ignore", over="ignore"):
        huge = mu > _LARGEST / 1e3
        out[huge] = np.floor(mu - ndtri(alpha) * np.sqrt(phi * mu))[huge]
    live = np.flatnonzero(~np.isnan(mu) & ~np.isnan(phi) & ~huge)
    if not len(live):
        return out.reshape(mean.shape)
    z = -ndtri(alpha)
    mu, phi = mu[live], phi[live]
    # Cornish-Fisher: sd * (z + skewness / 6 * (z^2 - 1)), then whole steps to the exact value.
    guess = np.maximum(np.floor(mu + z * np.sqrt(phi * mu) + (2 * phi - 1) * (z * z - 1) / 6), 0)
    level = alpha * (1 + 1e-12)
    low, high = _bracket(guess, mu, phi, level)
    open_ = np.flatnonzero(high - low > 1)
    while len(open_):
        middle = np.floor((low[open_] + high[open_]) / 2)
        enough = tail_probability(middle + 1, mu[open_], phi[open_]) <= level
        high[open_] = np.where(enough, middle, high[open_])
        low[open_] = np.where(enough, low[open_], middle)
        open_ = open_[high[open_] - low[open_] > 1]
    out[live] = high
    return out.reshape(mean.shape)


def _bracket(guess: Floats, mu: Floats, phi: Floats, level: float) -> tuple[Floats, Floats]:
    """low (too small, or -1) and high (large enough) around each guess, found by doubling steps where it was not near."""
    low, high = guess - 1.0, guess.copy()
    short = tail_probability(high + 1, mu, phi) > level
    up, step = np.flatnonzero(short), 1.0
    while len(up):
        low[up] = high[up]
        high[up] = np.minimum(high[up] + step, _LARGEST)
        up = up[(tail_probability(high[up] + 1, mu[up], phi[up]) > level) & (high[up] < _LARGEST)]
        step *= 2
    # Where the guess was short, the step below is known to be.
    down, step = np.flatnonzero(~short & (low >= 0)), 1.0
    while len(down):
        down = down[tail_probability(low[down] + 1, mu[down], phi[down]) <= level]
        high[down] = low[down]
        low[down] = np.maximum(low[down] - step, -1.0)
        down = down[low[down] >= 0]
        step *= 2
    return low, high
