"""First occurrences: something turns up in an area where it has not been seen for long, and would seldom be.

"Not seen for a year" alone is common: among thousands of pairs of area and category some first occurrence comes nearly
every day. What counts is the rate that area and municipality together make likely (see rare_rates). On the day a first
occurrence has a known chance, fixed when the day before closed, so warning at the event costs nothing beyond warning at
the close; the second and third within a month are judged by the tail of their number, which also only rises.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earlywarning.core.detectors.negative_binomial import quantile, tail_probability
from earlywarning.core.detectors.rare_rates import RareRates, recurrence_anywhere
from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
FEWEST_REPEATED = 2  # one event in the window is a first occurrence, not a repetition


class FirstOccurrences(NamedTuple):
    """(areas, categories) each: what an event of the category in the area would mean tomorrow.

    new: not seen for long enough. chance: probability of one or more tomorrow (p-value of a first occurrence), NaN
    where not new. recurrence_days: how seldom a first occurrence as rare comes anywhere, NaN where not new.
    waiting_days: median number of days until the next one.
    """

    new: Bools
    chance: Floats
    recurrence_days: Floats
    waiting_days: Floats


class Repeated(NamedTuple):
    """(areas, categories) each. p_value: 1 where fewer than two were seen or the category was not new."""

    expectation: Floats
    p_value: Floats


def first_occurrences(rates: RareRates, days_since: ArrayLike, absent_days: int) -> FirstOccurrences:
    """What a first occurrence would mean on the next day.

    rates: fitted on the history up to the close of today. days_since: (areas, categories) days since the last event,
    infinite where there was none in the history. absent_days: days without one after which the next is a first. Raises
    DetectorError when absent_days is below 1 or the shapes differ.
    """
    since = np.asarray(days_since, dtype=np.float64)
    if absent_days < 1:
        raise DetectorError(f"absent_days = {absent_days}: at least 1 day without an event makes the next one a first")
    if since.shape != rates.shape.shape:
        raise DetectorError(f"days_since is of shape {since.shape}, the rates of {rates.shape.shape}; they must agree")
    new = since >= absent_days
    chance = np.where(new, rates.chance(1.0), np.nan)
    # Median of the waiting time (Lomax): P(none in d days) = (days / (days + d)) ** shape.
    with np.errstate(over="ignore"):
        waiting = rates.days * np.expm1(np.log(2) / rates.shape)
    return FirstOccurrences(new, chance, recurrence_anywhere(chance), waiting)


def repeated_occurrences(
    observed: ArrayLike, before: RareRates, new: Bools, window_days: int, dispersion: ArrayLike = 1.0
) -> Repeated:
    """How unlikely the number seen in the last `window_days` days is, where the category was new before them.

    observed: (areas, categories) events in the window, today's included. before, new: as they were when the window
    began, so that the events themselves do not explain themselves away. dispersion: variance over mean of such counts
    beside the uncertainty of the rate (events come in bunches). Raises DetectorError for a window below 1 day,
    dispersions below 1 and negative counts.
    """
    count = np.asarray(observed, dtype=np.float64)
    expectation, spread = _repeated_law(before, window_days, dispersion)
    if (count < 0).any():
        raise DetectorError("observed: counts must not be negative")
    p_value = tail_probability(np.floor(count + 1e-9), expectation, spread)
    return Repeated(expectation, np.where(new & (count >= FEWEST_REPEATED), p_value, 1.0))


def repeated_bound(before: RareRates, new: Bools, window_days: int, alpha: float, dispersion: ArrayLike = 1.0) -> Floats:
    """The number in the window from which on a repetition stands out at level alpha; infinite where not new.

    As repeated_occurrences, for thresholds that are set when a day closes and looked up at each event.
    """
    if not 0 < alpha < 1:
        raise DetectorError(f"alpha = {alpha}: must lie between 0 and 1")
    expectation, spread = _repeated_law(before, window_days, dispersion)
    return np.where(new, np.maximum(quantile(alpha, expectation, spread) + 1, FEWEST_REPEATED), np.inf)


def _repeated_law(before: RareRates, window_days: int, dispersion: ArrayLike) -> tuple[Floats, Floats]:
    phi = np.asarray(dispersion, dtype=np.float64)
    if window_days < 1:
        raise DetectorError(f"window_days = {window_days}: a window has at least 1 day")
    if not (phi >= 1).all():
        raise DetectorError("dispersion: must be at least 1")
    return before.expected(window_days), before.dispersion(window_days) + phi - 1
