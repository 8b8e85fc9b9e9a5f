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
    while (open_ := high - low > 1).any():
        middle = np.floor((low + high) / 2)
        enough = tail_probability(middle + 1, mu, phi) <= level
        high = np.where(open_ & enough, middle, high)
        low = np.where(open_ & ~enough, middle, low)
    out[live] = high
    return out.reshape(mean.shape)


def _bracket(guess: Floats, mu: Floats, phi: Floats, level: float) -> tuple[Floats, Floats]:
    """low (too small, or -1) and high (large enough) around each guess, found by doubling steps."""
    low, high = guess - 1.0, guess.copy()
    step = np.ones_like(guess)
    while (short := tail_probability(high + 1, mu, phi) > level).any():
        low = np.where(short, high, low)
        high = np.where(short, np.minimum(high + step, _LARGEST), high)
        step *= 2
        if (high[short] >= _LARGEST).all():
            break
    step = np.ones_like(guess)
    while (long := (low >= 0) & (tail_probability(low + 1, mu, phi) <= level)).any():
        high = np.where(long, low, high)
        low = np.where(long, np.maximum(low - step, -1.0), low)
        step *= 2
    return low, high
