"""Farrington flexible: a quasi-Poisson baseline with trend and seasonal levels, past outbreaks weighted down.

log mu[t] = level(season of t) + slope * t over the past b years, where the 2w + 1 weeks around the judged week of each
year are one season and the rest of each year is cut into no_periods - 1 more; the last weeks are left out.
Farrington et al. 1996, Journal of the Royal Statistical Society A 159:547; Noufaily et al. 2013, Statistics in Medicine
32:1206. `r_compat` repeats what R's surveillance 1.20.3 computes, also where that departs from the papers: its standard
errors take sum(omega * ((y - mu) / mu)^2) / df for the dispersion after reweighting, and its score for the negative
binomial bounds mixes link and count scale.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from earlywarning.core.detectors.farrington_baseline import Baseline, thresholds, transformed
from earlywarning.core.detectors.farrington_settings import FarringtonSettings, reference_steps
from earlywarning.core.detectors.negative_binomial import tail_probability
from earlywarning.core.detectors.status import DetectorError, Status

__all__ = [
    "Baseline", "Bounds", "DetectorError", "FarringtonSettings", "Status", "farrington_flexible", "farrington_threshold",
    "farrington_weeks", "reference_steps",
]  # fmt: skip
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]


class Bounds(NamedTuple):
    """A judged step of each series: arrays of shape (series,), or (series, steps).

    score is (observed - expectation) / (bound - expectation).
    """

    observed: Floats
    expectation: Floats
    upper_bound: Floats
    dispersion: Floats
    p_value: Floats
    score: Floats
    trend: Bools
    slope: Floats
    alarm: Bools
    status: NDArray[np.int8]


def farrington_threshold(counts: Floats, at: int, settings: FarringtonSettings, population: Floats | None = None) -> Baseline:
    """Expectation and upper bound of step `at` for every series, before its count is known.

    counts: (series, steps) not negative, fractions allowed, NaN for not observed; only columns before `at` are read.
    population: (series, steps), needed with population_offset. Raises DetectorError for shapes, signs and settings.
    """
    settings.check()
    steps = np.array([at])
    base = thresholds(_checked(counts, steps, at), steps, settings, population)
    return Baseline._make([column[:, 0] for column in base])


def farrington_flexible(counts: Floats, at: int, settings: FarringtonSettings, population: Floats | None = None) -> Bounds:
    """Judge step `at` of every series against the baseline of its past.

    counts: as for farrington_threshold, with the judged step in column `at`. With fewer than limit[0] events in the
    last limit[1] steps there is no alarm (status TOO_FEW; with r_compat expectation and bound are NaN, as in R).
    """
    judged = farrington_weeks(counts, np.array([at]), settings, population)
    return Bounds._make([column[:, 0] for column in judged])


def farrington_weeks(
    counts: Floats,
    steps: NDArray[np.int64],
    settings: FarringtonSettings,
    population: Floats | None = None,
    dates: Sequence[date] | None = None,
) -> Bounds:
    """Judge many steps of every series, each against the baseline of its own past: arrays of shape (series, len(steps)).

    dates: of every step, for settings.by_date. As farrington_flexible; weeks and series are fitted side by side, since every
    week has the same design.
    """
    settings.check()
    return judged(counts, steps, settings, lambda c, s: thresholds(c, s, settings, population, dates))


def judged(counts: Floats, steps: Ints, settings: FarringtonSettings, baselines: Callable[[Floats, Ints], Baseline]) -> Bounds:
    """Hold the counts of some steps against their baselines, which are made of the checked counts and the steps."""
    steps = np.asarray(steps, dtype=np.int64)
    counts = _checked(counts, steps, int(steps.max(initial=0)) + 1)
    base = baselines(counts, steps)
    observed = counts[:, steps]
    status = base.status.copy()
    add = np.add if settings.r_compat else _add_observed
    recent = observed if settings.r_compat else np.nan_to_num(observed)
    for back in range(1, settings.limit[1]):
        earlier = np.where(steps >= back, counts[:, np.maximum(steps - back, 0)], 0.0)
        recent = add(recent, earlier)
    enough = recent >= settings.limit[0]
    p_value = _p_value(observed, base, settings)
    with np.errstate(all="ignore"):
        if settings.r_compat and settings.threshold_method != "delta":
            link = np.log(base.expectation)
            score = (observed - link) / (base.upper_bound - link)
        else:
            score = (observed - base.expectation) / (base.upper_bound - base.expectation)
        if not settings.r_compat:
            # A bound at or below the expectation (both near 0) leaves no scale: a count beyond it is infinitely far.
            no_scale = base.upper_bound <= base.expectation
            score = np.where(no_scale & ~np.isnan(observed), np.where(observed > base.upper_bound, np.inf, 0.0), score)
        beyond = score > 1 if settings.r_compat else observed > base.upper_bound
    alarm = np.asarray(beyond & enough & (observed != 0) & ~np.isnan(observed))
    status[~enough & (status == Status.OK)] = Status.TOO_FEW
    status[np.isnan(observed)] = Status.MISSING
    expectation, upper = base.expectation, base.upper_bound
    if settings.r_compat:
        failed = status == Status.NOT_CONVERGED
        upper = np.where(enough & ~failed, upper, np.nan)
        expectation = np.where(failed, 0.0, np.where(enough & ~np.isnan(base.upper_bound), expectation, np.nan))
    return Bounds(observed, expectation, upper, base.dispersion, p_value, score, base.trend, base.slope, alarm, status)


def _add_observed(total: Floats, more: Floats) -> Floats:
    return total + np.nan_to_num(more)


def _checked(counts: Floats, steps: Ints, end: int) -> Floats:
    """The counts as float64, after the rules for their shape and for the values before column `end`."""
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 2:
        raise DetectorError(f"counts must be (series, steps), not of {counts.ndim} dimensions")
    if len(steps) and (steps.min() <= 0 or end > counts.shape[1]):
        wrong = steps.min() if steps.min() <= 0 else steps.max()
        raise DetectorError(f"step {wrong} lies outside the {counts.shape[1]} steps of the counts")
    read = counts[:, :end]
    if read.size and read.min() >= 0 and read.max() < np.inf:  # the least of any with NaN is NaN, which fails here
        return counts
    with np.errstate(invalid="ignore"):
        wrong_values = (read < 0) | np.isinf(read)
    if wrong_values.any():
        i, step = np.argwhere(wrong_values)[0].tolist()
        raise DetectorError(f"series {i} has the count {read[i, step]:g} in step {step}; counts are finite and not negative")
    return counts


def _p_value(observed: Floats, base: Baseline, settings: FarringtonSettings) -> Floats:
    """Probability of a count as high as observed, by the threshold's own method."""
    if settings.threshold_method != "delta":
        unbounded = np.isinf(base.mu_bound) & settings.r_compat
        return tail_probability(observed, np.where(unbounded, np.nan, base.mu_bound), base.dispersion)
    with np.errstate(all="ignore"):
        variance = (base.standard_error / base.expectation) ** 2
        exponent, error = transformed(base.expectation, base.dispersion, variance, settings)
        return np.asarray(1 - ndtr((observed**exponent - base.expectation**exponent) / error))
