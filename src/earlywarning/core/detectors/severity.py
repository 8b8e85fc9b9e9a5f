"""Severe and rare: one shooting matters though no count is unusual, and so does harm that adds up over days.

Three rules. (1) One event of a severe category where such an event is rare raises at once (`severe_rule`). (2) The sum
of harm in a window against its own compound Poisson distribution (`harm_tail`, `harm_bound`). (3) A cluster of severe
events in a window (`severe_cluster`). All rest on expectations fixed when a day closes, and harm sums and counts only
rise within a day: warning at the event raises what the close of the day would raise.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earlywarning.core.detectors.negative_binomial import quantile, tail_probability
from earlywarning.core.detectors.rare_rates import recurrence_anywhere
from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
FEWEST_CLUSTERED = 2  # severe events that can make a cluster
_CELLS = 4096  # of the lattice on which the sum of harm is computed; half of them hold sums, half catch what lies beyond
_CHUNK = 256  # series computed together: about 10 MB


class SevereRule(NamedTuple):
    """(areas, categories) each: which events raise an alert at once.

    raises: an event of this category here raises. recurrence_days: how seldom chance gives one as rare anywhere,
    NaN where the rule does not hold. per_week: alerts a week that the rule gives when nothing unusual happens.
    """

    raises: Bools
    recurrence_days: Floats
    per_week: float


class HarmTail(NamedTuple):
    """(series,) each. harm, expectation: sum of harm in the window and its mean. p_value: P(sum >= harm)."""

    harm: Floats
    expectation: Floats
    p_value: Floats


class HarmBound(NamedTuple):
    """(series,) each. A series stands out when harm_sum(counts, harm, unit) >= bound. unit: step of its lattice."""

    bound: Floats
    unit: Floats


def severe_rule(chance: Floats, harm: Floats, harm_limit: float, rare_days: float) -> SevereRule:
    """The plain rule: harm at or above a limit, and expected here less than once in `rare_days` days.

    chance: (areas, categories) probability of one event or more on a day (RareRates.chance). harm: (categories,) weights.
    The alert says that this rule raised it. Raises DetectorError for limits not above 0 and shapes that differ.
    """
    weights = _weights(harm, chance.shape[-1])
    if not harm_limit > 0:
        raise DetectorError(f"harm_limit = {harm_limit}: must be above 0, or every event would be severe")
    if not rare_days > 0:
        raise DetectorError(f"rare_days = {rare_days}: must be above 0")
    raises = (weights >= harm_limit) & (chance <= 1 / rare_days)
    watched = np.where(raises, chance, np.nan)
    return SevereRule(raises, recurrence_anywhere(watched), float(7 * np.nansum(watched)))


def severe_cluster(observed: ArrayLike, expectation: ArrayLike, dispersion: ArrayLike) -> Floats:
    """P(as many severe events or more) in a window, for counts of all categories at or above the harm limit together.

    All arguments broadcast; one event alone is no cluster and gets 1. Negative binomial with variance dispersion * mean.
    """
    count = np.floor(np.asarray(observed, dtype=np.float64) + 1e-9)
    return np.where(count >= FEWEST_CLUSTERED, tail_probability(count, expectation, dispersion), 1.0)


def severe_cluster_bound(expectation: ArrayLike, dispersion: ArrayLike, alpha: float) -> Floats:
    """The number of severe events in a window from which on they are a cluster at level alpha, at least two."""
    if not 0 < alpha < 1:
        raise DetectorError(f"alpha = {alpha}: must lie between 0 and 1")
    return np.maximum(quantile(alpha, expectation, dispersion) + 1, FEWEST_CLUSTERED)


def harm_tail(counts: Floats, expected: Floats, harm: Floats, variance: ArrayLike = 0.0) -> HarmTail:
    """How unlikely the sum of harm in a window is.

    counts, expected: (series, categories) events in the window, leaf categories only, so that none counts twice. harm:
    (categories,) weights. variance: (series,) relative variance of a gamma factor that the rates of a series share (busy
    and quiet times, uncertain level); 0 is compound Poisson. The distribution of the sum is exact on a lattice: weights
    are rounded to its step (harm_unit), which is below 1 for all but the busiest series. Sums beyond the lattice
    get the probability of its end, which is no smaller. Raises DetectorError for negative or missing figures.
    Embrechts & Frei 2009, Mathematical Methods of Operations Research 69:497 (compound distributions by FFT).
    """
    expected, weights, v = _checked(expected, harm, variance)
    counts = np.asarray(counts, dtype=np.float64)
    if counts.shape != expected.shape or not (np.isfinite(counts) & (counts >= 0)).all():
        raise DetectorError(f"counts must be finite, not negative and of the shape of the expectations {expected.shape}")
    unit = harm_unit(expected, weights, v)
    cell = np.floor(harm_sum(counts, weights, unit) / unit + 1e-6).astype(np.int64)
    p_value = np.ones(len(expected))
    for begin in range(0, len(expected), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        tails = _lattice_tails(expected[part], weights, v[part], unit[part])
        p_value[part] = tails[np.arange(len(tails)), np.minimum(cell[part], tails.shape[1] - 1)]
    return HarmTail(counts @ weights, expected @ weights, p_value)


def harm_bound(expected: Floats, harm: Floats, alpha: float, variance: ArrayLike = 0.0) -> HarmBound:
    """The sum of harm from which on a series stands out at level alpha; arguments as in harm_tail.

    Infinite where no sum on the lattice is as rare. For thresholds set at the close of a day.
    """
    if not 0 < alpha < 1:
        raise DetectorError(f"alpha = {alpha}: must lie between 0 and 1")
    expected, weights, v = _checked(expected, harm, variance)
    unit = harm_unit(expected, weights, v)
    bound = np.full(len(expected), np.inf)
    for begin in range(0, len(expected), _CHUNK):
        part = slice(begin, begin + _CHUNK)
        rare = _lattice_tails(expected[part], weights, v[part], unit[part]) <= alpha
        bound[part] = np.where(rare.any(1), rare.argmax(1) * unit[part], np.inf)
    return HarmBound(bound, unit)


def harm_sum(counts: Floats, harm: Floats, unit: Floats) -> Floats:
    """(series,) sums of harm with weights rounded to each series' lattice. counts: (series, categories)."""
    return np.asarray((counts * np.rint(harm / unit[:, None])).sum(1) * unit)


def harm_unit(expected: Floats, harm: Floats, variance: Floats) -> Floats:
    """(series,) step of the lattice: fine enough for the smallest weight where the range of sums allows it."""
    mean, square = expected @ harm, expected @ harm**2
    largest = np.where(expected > 0, harm, 0.0).max(1, initial=0.0)
    reach = mean + 12 * np.sqrt(square + variance * mean**2) + 4 * largest
    positive = harm[harm > 0]
    finest = float(min(positive.min(), 1.0)) if len(positive) else 1.0
    return np.asarray(np.maximum(reach / (_CELLS // 2), finest))


def _lattice_tails(expected: Floats, harm: Floats, variance: Floats, unit: Floats) -> Floats:
    """P(sum >= cell * unit): (series, _CELLS / 2)."""
    cells = np.rint(harm / unit[:, None]).astype(np.int64)  # (series, categories)
    # Mean number of jumps of each length: what the transform of the single events needs.
    jumps = np.zeros((len(expected), _CELLS))
    kept = np.minimum(cells, _CELLS - 1)
    np.add.at(jumps, (np.arange(len(expected))[:, None], kept), expected)
    exponent = np.fft.rfft(jumps, axis=1) - jumps.sum(1, keepdims=True)
    v = variance[:, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        mixed = -np.log1p(-v * exponent) / v
    density = np.fft.irfft(np.exp(np.where(v > 1e-9, mixed, exponent)), _CELLS, axis=1)
    tail = np.cumsum(np.maximum(density, 0.0)[:, ::-1], axis=1)[:, ::-1]
    return np.asarray(np.clip(tail[:, : _CELLS // 2], 1e-13, 1.0))  # below this the transform's rounding is all there is


def _checked(expected: Floats, harm: Floats, variance: ArrayLike) -> tuple[Floats, Floats, Floats]:
    expected = np.asarray(expected, dtype=np.float64)
    if expected.ndim != 2 or not (np.isfinite(expected) & (expected >= 0)).all():
        raise DetectorError("expected must be (series, categories), finite and not negative")
    v = np.broadcast_to(np.asarray(variance, dtype=np.float64), (len(expected),))
    if not (np.isfinite(v) & (v >= 0)).all():
        raise DetectorError("variance must be finite and not negative, one number for each series")
    return expected, _weights(harm, expected.shape[1]), v


def _weights(harm: Floats, categories: int) -> Floats:
    weights = np.asarray(harm, dtype=np.float64)
    if weights.shape != (categories,) or not (np.isfinite(weights) & (weights >= 0)).all():
        raise DetectorError(f"harm must give one weight of 0 or more for each of the {categories} categories")
    return weights
