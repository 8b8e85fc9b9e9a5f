"""Slow drift: has the level of a series moved steadily, up or down, over the last months?

A score test on a straight ramp of the log-rate: it adds up what each week departs from its expectation, weighted by how
far along the ramp it lies, and asks how large such a sum gets when nothing but noise is there: counting noise, noise
that lasts for weeks, and the uncertainty of the expectation itself. Evaluated once a week when the week is closed: a
drift of months cannot be news of the hour, and the statistic of an unfinished week would favour falls.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaincc, ndtr, ndtri

from earlywarning.core.detectors.status import DetectorError, Status

Floats = NDArray[np.float64]
FEWEST_WEEKS = 8
_LEAST = 1e-9
_LAGS = 8  # weeks of autocovariance that the slow noise is read from
# What fades faster than 0.3 a week is no slow noise: its variance would be read many times too large from lag 1.
_CORRELATIONS = np.arange(0.3, 0.96, 0.05)
_CHUNK = 4096  # series solved together


class SlowNoise(NamedTuple):
    """Noise of the log-rate that lasts: variance, and correlation from one week to the next; scalars or (series,)."""

    variance: Floats
    correlation: Floats


class Drift(NamedTuple):
    """(series,) each.

    p_value: two-sided. direction: 1 rising, -1 falling. change: rate at the end of the ramp over its expectation
    (1 no change), with its interval lower..upper, never below 0. largest_share: how much of the evidence one single
    week gives; near 1 it is that week and no drift. status: OK, NO_HISTORY (nothing is expected) or MISSING (fewer
    than 8 weeks observed); p_value is then 1.
    """

    p_value: Floats
    direction: NDArray[np.int8]
    change: Floats
    lower: Floats
    upper: Floats
    largest_share: Floats
    status: NDArray[np.int8]


def drift(
    observed: Floats,
    expected: Floats,
    *,
    dispersion: ArrayLike = 1.0,
    error: ArrayLike = 0.0,
    noise: SlowNoise | None = None,
    confidence: float = 0.95,
) -> Drift:
    """Test each series for a ramp that begins with the first week given and lasts to the last.

    observed: (series, weeks) counts of whole weeks, oldest first, NaN for not observed; 26 weeks are usual. expected:
    of the same shape, from a baseline that knows nothing of these weeks (the trend it extrapolates is then part of "its
    own past"). dispersion: (series,) variance over mean of a week's count beside the slow noise. error: (series,)
    relative standard error of the level of the expectations. noise: as slow_noise() learns it.

    With V = diag(dispersion * E) + E E' * (error^2 + variance * correlation^lag) and ramp r, the score is
    (rE)' V^-1 (y - E), its variance (rE)' V^-1 (rE). Skewness is that of negative binomial counts around lognormal
    noise; the tail is Pearson's type III with these three moments. Raises DetectorError for shapes that differ, fewer
    than 8 weeks, negative counts or expectations, and dispersions below 1.
    Cox & Hinkley 1974, Theoretical Statistics, section 9.3 (score tests); Zhang & Lin 2003, Biostatistics 4:57.
    """
    y, e, phi, se = _checked(observed, expected, dispersion, error)
    if not 0 < confidence < 1:
        raise DetectorError(f"confidence = {confidence}: must lie between 0 and 1")
    series, weeks = y.shape
    seen = ~np.isnan(y + e)
    y, e = np.where(seen, y, 0.0), np.where(seen, e, 0.0)
    enough = seen.sum(1) >= FEWEST_WEEKS
    live = enough & (e.sum(1) > 0)

    ramp = np.arange(1, weeks + 1) / weeks
    variance, correlation = _noise(noise, series)
    lag = np.abs(np.arange(weeks)[:, None] - np.arange(weeks))
    weight, third = np.zeros((series, weeks)), np.zeros(series)
    for begin in range(0, series, _CHUNK):
        part = slice(begin, begin + _CHUNK)
        slow = variance[part, None, None] * correlation[part, None, None] ** lag + (se[part] ** 2)[:, None, None]
        covariance = e[part, :, None] * e[part, None, :] * slow
        covariance[:, np.arange(weeks), np.arange(weeks)] += np.maximum(phi[part, None] * e[part], _LEAST)
        w = np.linalg.solve(covariance, (ramp * e[part])[:, :, None])[:, :, 0] * seen[part]
        weight[part], third[part] = w, _third_cumulant(w, e[part], phi[part], slow)
    information = np.maximum((weight * ramp * e).sum(1), _LEAST)
    parts = weight * (y - e)
    score = parts.sum(1)
    z = score / np.sqrt(information)
    lower_tail, upper_tail = _pearson_three(z, third / information**1.5)

    change, reach = 1 + score / information, -ndtri((1 - confidence) / 2) / np.sqrt(information)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(score != 0, np.maximum((parts * np.sign(score)[:, None]).max(1) / np.abs(score), 0.0), 0.0)
    blank = np.where(live, 0.0, np.nan)
    status = np.select([~enough, ~live], [int(Status.MISSING), int(Status.NO_HISTORY)], int(Status.OK)).astype(np.int8)
    return Drift(
        np.where(live, np.minimum(2 * np.minimum(lower_tail, upper_tail), 1.0), 1.0),
        np.where(live, np.sign(score), 0).astype(np.int8),
        np.maximum(change, 0.0) + blank,
        np.maximum(change - reach, 0.0) + blank,
        np.maximum(change + reach, 0.0) + blank,
        np.where(live, np.minimum(share, 1.0), 0.0),
        status,
    )


def slow_noise(observed: Floats, expected: Floats, group: NDArray[np.int64] | None = None) -> SlowNoise:
    """Learn from past weeks how much of the noise lasts: pooled over the series of each group.

    observed, expected: (series, weeks), the more weeks the better (a year or more), NaN for not observed; expectations
    that are not fitted to these very weeks. group: (series,) numbers from 0, series that are thought to share their
    noise (a district); None: all are one group. Returns (series,) arrays.

    The covariance of y - E at a lag of k weeks is E E' variance correlation^k whatever the counting noise, so that
    lags 1..8 give both without a word about dispersion. A positive variance is kept only where lag 1 shows it.
    """
    y, e, _, _ = _checked(observed, expected, 1.0, 0.0)
    seen = ~np.isnan(y + e)
    rest, e = np.where(seen, y - e, 0.0), np.where(seen, e, 0.0)
    member = np.zeros(len(y), dtype=np.int64) if group is None else np.asarray(group, dtype=np.int64)
    groups = int(member.max(initial=0)) + 1
    last = min(_LAGS, y.shape[1] - 1)
    covariance, weight = np.zeros((groups, last)), np.zeros((groups, last))
    # A series counts by its expected events, not by their square: the busiest would speak for all.
    scale = 1 / np.maximum(e.mean(1), _LEAST)
    for k in range(1, last + 1):
        np.add.at(covariance[:, k - 1], member, (rest[:, k:] * rest[:, :-k]).sum(1) * scale)
        np.add.at(weight[:, k - 1], member, (e[:, k:] * e[:, :-k]).sum(1) * scale)
    weight = np.maximum(weight, _LEAST)
    curve = covariance / weight  # (groups, lags): estimates of variance * correlation ** lag
    shape = _CORRELATIONS[:, None] ** np.arange(1, last + 1)
    fitted = (curve * weight) @ shape.T / np.maximum(weight @ (shape**2).T, _LEAST)
    fitted = np.maximum(fitted, 0.0)
    gain = fitted**2 * (weight @ (shape**2).T)  # how much of the curve each correlation explains
    best = gain.argmax(1)
    variance = fitted[np.arange(groups), best]
    variance = np.where(curve[:, 0] > 0, variance, 0.0)
    correlation = np.where(variance > 0, _CORRELATIONS[best], 0.0)
    return SlowNoise(variance[member], correlation[member])


def _noise(noise: SlowNoise | None, series: int) -> tuple[Floats, Floats]:
    if noise is None:
        return np.zeros(series), np.zeros(series)
    variance = np.broadcast_to(np.asarray(noise.variance, dtype=np.float64), (series,))
    correlation = np.broadcast_to(np.asarray(noise.correlation, dtype=np.float64), (series,))
    if not ((variance >= 0).all() and np.isfinite(variance).all() and ((correlation >= 0) & (correlation < 1)).all()):
        raise DetectorError("noise: variance must be finite and not negative, correlation at least 0 and below 1")
    return variance, correlation


def _third_cumulant(weight: Floats, e: Floats, phi: Floats, slow: Floats) -> Floats:
    """Of the sum weight * y: skewness of the counts, of the lognormal slow noise, and of counts that vary with it."""
    lasting = weight * e
    drawn = np.matmul(slow, lasting[:, :, None])[:, :, 0]
    counting = (weight**3 * e).sum(1) * phi * (2 * phi - 1)
    return np.asarray(counting + 3 * (lasting * drawn**2).sum(1) + 3 * phi * (weight**2 * e * drawn).sum(1))


def _pearson_three(z: Floats, skewness: Floats) -> tuple[Floats, Floats]:
    """P(Z <= z) and P(Z >= z) of a standardised variable of that skewness: a shifted gamma, the normal at 0."""
    skew = np.abs(skewness)
    side = np.where(skewness < 0, -z, z)
    shape = 4 / np.maximum(skew, 1e-4) ** 2
    at = np.maximum(shape + side * np.sqrt(shape), 0.0)
    normal = skew < 1e-3
    below = np.where(normal, ndtr(side), gammainc(shape, at))
    above = np.where(normal, ndtr(-side), gammaincc(shape, at))
    return np.where(skewness < 0, above, below), np.where(skewness < 0, below, above)


def _checked(observed: Floats, expected: Floats, dispersion: ArrayLike, error: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    y, e = np.asarray(observed, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if y.ndim != 2 or y.shape != e.shape:
        raise DetectorError(f"observed {y.shape} and expected {e.shape} must both be (series, weeks)")
    if y.shape[1] < FEWEST_WEEKS:
        raise DetectorError(f"{y.shape[1]} weeks given: a drift needs at least {FEWEST_WEEKS}")
    with np.errstate(invalid="ignore"):
        wrong = ((y < 0) | (e < 0) | np.isinf(y) | np.isinf(e)).any(1)
    if wrong.any():
        raise DetectorError(f"series {int(np.flatnonzero(wrong)[0])} has a negative or infinite count or expectation")
    phi = np.broadcast_to(np.asarray(dispersion, dtype=np.float64), (len(y),))
    se = np.broadcast_to(np.asarray(error, dtype=np.float64), (len(y),))
    if not ((phi >= 1) & np.isfinite(phi)).all():
        raise DetectorError("dispersion: must be finite and at least 1")
    if not ((se >= 0) & np.isfinite(se)).all():
        raise DetectorError("error: must be finite and not negative")
    return y, e, phi, se
