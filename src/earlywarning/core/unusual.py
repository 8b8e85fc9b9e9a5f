"""How unusual counts are against the same place's own past: for maps and lanes, not for alerts.

A window is held against windows of the same length around the same date of earlier years, two weeks to either side, on the
same weekdays (52 weeks a year back): the reference windows of Farrington et al. 1996 (JRSS A 159:547). The count that is foreseen
from them is negative binomial with their mean and, for being foreseen from few, a variance larger by one part in their number.
Alerts come from the detectors, with thresholds that hold a budget; this only says how far from usual a picture is.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.negative_binomial import quantile, tail_probability

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

YEAR = 364  # days: 52 weeks, so that weekdays agree
AROUND = 2  # weeks to either side
LEVELS = (0.05, 0.01, 0.001)  # two-sided probabilities at which a count is called somewhat, clearly, far from usual
_POOLED = 10.0  # reference windows' worth of what all series together say about dispersion
_MOST = 8.0  # times as spread as Poisson: beyond it is a change, no spread


class Unusual(NamedTuple):
    """Of each series and last day, (days, series) all.

    observed: events in the window. expected: that were to be recorded by then, NaN without reference; dispersion: variance over
    mean of what is foreseen. step: -3 (far fewer) .. 0 (as usual) .. 3 (far more). years: earlier years in the comparison, (days,).
    """

    observed: Floats
    expected: Floats
    dispersion: Floats
    step: NDArray[np.int8]
    years: Ints


def reference_span(last_day: int, window: int, years: int) -> int:
    """The first day that a comparison looks at."""
    return last_day - years * YEAR - 7 * AROUND - window + 1


def unusual(daily: Floats, first_day: int, days: Ints, window: int, years: int, begun: int, share: Floats | None = None) -> Unusual:
    """Hold the windows that end on `days` against earlier years.

    daily: (n, series) events of the days from first_day on. window: days. begun: the first day with data: windows that reach
    before it are no reference. share: (len(days),) of the windows' events, how many are recorded by now (default: all).
    """
    sums = np.concatenate([np.zeros((1, daily.shape[1])), np.cumsum(daily, axis=0)])

    def windows(ends: Ints) -> Floats:
        stop = np.clip(ends - first_day + 1, 0, len(daily))
        return np.asarray(sums[stop] - sums[np.maximum(stop - window, 0)])

    observed = windows(days)
    steps = (np.arange(1, years + 1)[:, None] * YEAR + 7 * np.arange(-AROUND, AROUND + 1)[None, :]).reshape(-1)
    ends = days[:, None] - steps[None, :]  # (days, references)
    real = ends - window + 1 >= max(begun, first_day)
    weight = real.astype(np.float64)
    found = weight.sum(axis=1)
    past = windows(ends.reshape(-1)).reshape(len(days), len(steps), -1) * weight[:, :, None]
    # Windows of four weeks, a week apart, overlap: fewer of them are on their own.
    alone = found * min(1.0, (window + 14 * AROUND) / window / (2 * AROUND + 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = past.sum(axis=1) / found[:, None]
        expected = (mean * alone[:, None] + 0.5) / alone[:, None]
        spread = (((past - mean[:, None, :]) ** 2) * weight[:, :, None]).sum(axis=1) / expected
        dispersion = _dispersion(spread, found) * (1 + 1 / alone[:, None])
    expected = expected * (1.0 if share is None else share[:, None])
    step = _steps(observed, expected, dispersion)
    reached = real.reshape(len(days), years, -1).any(axis=2).sum(axis=1)
    return Unusual(observed, expected, dispersion, step, np.asarray(reached, dtype=np.int64))


def usual_range(found: Unusual, column: int | slice, days: slice) -> tuple[Floats, Floats]:
    """Between which counts, both included, nineteen of twenty windows lie, of some columns and days."""
    expected, dispersion = found.expected[days, column], found.dispersion[days, column]
    return quantile(0.975, expected, dispersion), quantile(0.025, expected, dispersion)


def _dispersion(spread: Floats, found: Floats) -> Floats:
    """Variance over mean of each day and series, drawn towards that of all series together. spread: sums of squares over mean."""
    free = np.maximum(found - 1, 0)
    together = np.where(found > 0, np.nan_to_num(spread).mean(axis=1), 0.0) / np.maximum(free, 1)
    own = (spread + _POOLED * together[:, None]) / (free[:, None] + _POOLED)
    return np.asarray(np.clip(own, 1.0, _MOST))


def _steps(observed: Floats, expected: Floats, dispersion: Floats) -> NDArray[np.int8]:
    """The step of each count, from its mid-P probability to either side: half of the count's own belongs to each."""
    whole = np.round(observed)
    at_least, above = (tail_probability(whole + more, expected, dispersion) for more in (0, 1))
    more = (at_least + above) / 2
    step = np.zeros(observed.shape, dtype=np.int8)
    for level in LEVELS:
        step += (2 * more <= level).astype(np.int8)
        step -= (2 * (1 - more) <= level).astype(np.int8)
    return np.where(np.isnan(expected), np.int8(0), step)
