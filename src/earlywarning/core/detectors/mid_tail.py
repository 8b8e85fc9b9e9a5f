"""Mid-p tails of negative binomial counts: P(X > x) + P(X = x) / 2, and the bound that goes with a level.

Of whole counts the plain tail P(X >= x) is too careful: its mean over chance is above one half, and the share of false alarms
falls short of its level. The mid-p has mean one half at every expectation, which is what ranking series of different
expectation needs. Lancaster 1961, Journal of the American Statistical Association 56:223.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from earlywarning.core.detectors.negative_binomial import tail_probability

Floats = NDArray[np.float64]
_LARGEST = 1e12


def mid_probability(observed: ArrayLike, mean: ArrayLike, dispersion: ArrayLike) -> Floats:
    """P(X > observed) + P(X = observed) / 2; arguments broadcast, fractions are rounded up. NaN where an argument is NaN."""
    count = np.ceil(np.asarray(observed, np.float64) - 1e-9)
    return (tail_probability(count, mean, dispersion) + tail_probability(count + 1, mean, dispersion)) / 2


def mid_bound(level: ArrayLike, mean: ArrayLike, dispersion: ArrayLike) -> Floats:
    """The smallest whole u whose next count has a mid-p of at most level: a count above u has it, u has not.

    Arguments broadcast. NaN where mean or dispersion is NaN.
    """
    level, mean, dispersion = np.broadcast_arrays(
        np.asarray(level, np.float64), np.asarray(mean, np.float64), np.asarray(dispersion, np.float64)
    )
    out = np.full(mean.shape, np.nan)
    live = ~np.isnan(mean) & ~np.isnan(dispersion)
    a, mu, phi = level[live], np.clip(mean[live], 0, _LARGEST), np.maximum(dispersion[live], 1.0)
    z = -ndtri(a)
    # Cornish-Fisher's guess of the quantile, then a bracket of doubling steps around it, halved to one whole count.
    guess = np.maximum(np.floor(mu + z * np.sqrt(phi * mu) + (2 * phi - 1) * (z * z - 1) / 6), 0)
    low, high = guess - 1, guess.copy()  # low does not suffice (or is -1), high does
    step = np.ones_like(guess)
    short = np.flatnonzero(mid_probability(high + 1, mu, phi) > a)
    while len(short):
        low[short] = high[short]
        high[short] += step[short]
        step[short] *= 2
        short = short[(mid_probability(high[short] + 1, mu[short], phi[short]) > a[short]) & (high[short] < 2 * _LARGEST)]
    step[:] = 1
    long = np.flatnonzero(low >= 0)
    long = long[mid_probability(low[long] + 1, mu[long], phi[long]) <= a[long]]
    while len(long):
        high[long] = low[long]
        low[long] = np.maximum(low[long] - step[long], -1)
        step[long] *= 2
        long = long[low[long] >= 0]
        long = long[mid_probability(low[long] + 1, mu[long], phi[long]) <= a[long]]
    open_ = np.flatnonzero(high - low > 1)
    while len(open_):
        middle = np.floor((low[open_] + high[open_]) / 2)
        enough = mid_probability(middle + 1, mu[open_], phi[open_]) <= a[open_]
        high[open_[enough]] = middle[enough]
        low[open_[~enough]] = middle[~enough]
        open_ = open_[high[open_] - low[open_] > 1]
    out[live] = high
    return out
