"""Sources drifting apart: residents report more (or less) against what is recorded than the two used to agree on.

Both kinds of source are compared with their own baselines, and one test asks whether their *ratio* has moved. Given
the total of the two, the share that is reports is beta-binomial around its expected share, so that what moves both
alike (a busy month, a holiday) moves nothing here. The ratio is not monotone in the counts: the test belongs to the
close of the day, when all of the day's events stand, and is not made at each event.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainc, gammaln, ndtri

from earlywarning.core.detectors.status import DetectorError, Status

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_MOST_ENUMERATED = 4000  # totals above this are judged by a beta distribution of the same variance
_CHUNK = 2_000_000  # outcomes enumerated at once
_SURE = 1e7  # prior events of a share that is known exactly: beta-binomial and binomial then agree to 1e-6


class SourcesApart(NamedTuple):
    """Arrays of the shape of the counts.

    p_value: two-sided, that the ratio has not moved. direction: 1 reports have grown against incidents, -1 they have
    fallen, 0 neither. log_ratio: natural logarithm of (reports over their expectation) over (incidents over theirs),
    with its interval lower..upper. opposed: one kind is above its expectation and the other below. status: OK,
    NO_HISTORY (an expectation is 0) or MISSING (a source is silent, or a figure is not known); p_value is then 1.
    """

    p_value: Floats
    direction: NDArray[np.int8]
    log_ratio: Floats
    lower: Floats
    upper: Floats
    opposed: Bools
    status: NDArray[np.int8]


def sources_apart(
    reports: ArrayLike,
    incidents: ArrayLike,
    *,
    report_expectation: ArrayLike,
    incident_expectation: ArrayLike,
    report_dispersion: ArrayLike = 1.0,
    incident_dispersion: ArrayLike = 1.0,
    report_error: ArrayLike = 0.0,
    incident_error: ArrayLike = 0.0,
    silent: ArrayLike = False,
    confidence: float = 0.95,
) -> SourcesApart:
    """Test, for each pair of series, whether reports and incidents still keep their usual ratio.

    All arguments broadcast, for instance to (series, windows). Counts and expectations are events in one window; where
    part of the window was not observed, the expectation must be that of the observed days. Dispersion: variance of the
    count over its mean, at least 1. Error: relative standard error of the expectation. silent: a source of either kind
    is dead in the window; such a pair is never tested.

    With variances of the two rates v = (dispersion - 1) / expectation + error^2 and expected share pi, the share is
    Beta(pi m, (1 - pi) m), m = 1 / (pi (1 - pi) (v_reports + v_incidents)): exact where both rates are gamma with one
    scale. Spread counts (parts of an event) are rounded so that the test gets no smaller. Raises DetectorError for
    negative or infinite counts, dispersions below 1 and confidence outside 0..1.
    Przyborowski & Wilenski 1940, Biometrika 31:313 (the conditional test); Skellam 1948, JRSS B 10:257 (beta-binomial).
    """
    if not 0 < confidence < 1:
        raise DetectorError(f"confidence = {confidence}: must lie between 0 and 1")
    r, i, er, ei, dr, di, sr, si = (
        np.asarray(a, dtype=np.float64)
        for a in np.broadcast_arrays(
            reports, incidents, report_expectation, incident_expectation,
            report_dispersion, incident_dispersion, report_error, incident_error,
        )
    )  # fmt: skip
    _check("reports", r, 0)
    _check("incidents", i, 0)
    _check("report_expectation", er, 0)
    _check("incident_expectation", ei, 0)
    _check("report_dispersion", dr, 1 - 1e-9)
    _check("incident_dispersion", di, 1 - 1e-9)
    _check("report_error", sr, 0)
    _check("incident_error", si, 0)
    dead = np.broadcast_to(np.asarray(silent, dtype=np.bool_), r.shape)
    unknown = dead | np.isnan(r + i + er + ei + dr + di + sr + si)
    bare = ~unknown & ((er <= 0) | (ei <= 0))
    live = ~unknown & ~bare

    er_, ei_ = np.where(live, er, 1.0), np.where(live, ei, 1.0)
    r_, i_ = np.where(live, r, 0.0), np.where(live, i, 0.0)
    spread = np.where(live, (dr - 1) / er_ + sr**2 + (di - 1) / ei_ + si**2, 0.0)
    share = er_ / (er_ + ei_)
    lower_tail, upper_tail = _tails(r_, i_, share, np.maximum(spread, 0.0))
    p_value = np.where(live, np.minimum(2 * np.minimum(lower_tail, upper_tail), 1.0), 1.0)

    # Half an event on each side keeps the logarithm finite and takes away most of its bias.
    log_ratio = np.log((r_ + 0.5) / (er_ + 0.5)) - np.log((i_ + 0.5) / (ei_ + 0.5))
    reach = -ndtri((1 - confidence) / 2) * np.sqrt(1 / (r_ + 0.5) + 1 / (i_ + 0.5) + np.maximum(spread, 0.0))
    side = np.where(upper_tail < lower_tail, 1, -1)
    direction = np.where(live & (upper_tail != lower_tail), side, 0).astype(np.int8)
    opposed = live & ((r_ - er_) * (i_ - ei_) < 0)
    blank = np.where(live, 0.0, np.nan)
    status = np.select([unknown, bare], [int(Status.MISSING), int(Status.NO_HISTORY)], int(Status.OK)).astype(np.int8)
    return SourcesApart(
        p_value, direction, log_ratio + blank, log_ratio - reach + blank, log_ratio + reach + blank, opposed, status
    )


def _check(name: str, values: Floats, least: float) -> None:
    with np.errstate(invalid="ignore"):
        wrong = (values < least) | np.isinf(values)
    if wrong.any():
        at = tuple(int(x) for x in np.argwhere(wrong)[0])
        raise DetectorError(f"{name}{list(at)} = {values[at]}: must be finite and at least {round(least, 3):g}")


def _tails(reports: Floats, incidents: Floats, share: Floats, spread: Floats) -> tuple[Floats, Floats]:
    """P(X <= reports) and P(X >= reports), given the total, for a share of that mean and relative spread."""
    shape = reports.shape
    total = np.rint(reports + incidents).ravel()
    # Parts of an event are rounded towards the expectation in either tail, so that neither is too small.
    at_least = np.clip(np.floor(reports.ravel() + 1e-9), 0, total)
    at_most = np.clip(np.ceil(reports.ravel() - 1e-9), 0, total)
    pi = np.clip(share.ravel(), 1e-9, 1 - 1e-9)
    prior = np.minimum(1 / np.maximum(pi * (1 - pi) * spread.ravel(), 1 / _SURE), _SURE)
    lower, upper = np.ones(len(total)), np.ones(len(total))

    large = np.flatnonzero(total > _MOST_ENUMERATED)
    n, p = total[large], pi[large]
    strength = n * (prior[large] + 1) / (prior[large] + n) - 1
    a, b = p * strength, (1 - p) * strength
    lower[large] = betainc(a, b, np.clip((at_most[large] + 0.5) / n, 0, 1))
    upper[large] = betainc(b, a, np.clip(1 - (at_least[large] - 0.5) / n, 0, 1))

    small = np.flatnonzero(total <= _MOST_ENUMERATED)
    begin = 0
    ends = np.cumsum(total[small] + 1)
    while begin < len(small):
        done = ends[begin - 1] if begin else 0
        stop = max(int(np.searchsorted(ends, done + _CHUNK, side="right")), begin + 1)
        part = small[begin:stop]
        lower[part], upper[part] = _enumerated(
            at_most[part], at_least[part], total[part], pi[part] * prior[part], (1 - pi[part]) * prior[part]
        )
        begin = stop
    return lower.reshape(shape), upper.reshape(shape)


def _enumerated(at_most: Floats, at_least: Floats, total: Floats, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Beta-binomial tails by adding up all outcomes 0..total of every pair, laid end to end."""
    size = total.astype(np.int64) + 1
    pair = np.repeat(np.arange(len(size)), size)
    first = np.cumsum(size) - size
    k = np.arange(len(pair), dtype=np.float64) - first[pair]
    left = total[pair] - k
    log = gammaln(k + a[pair]) - gammaln(k + 1) + gammaln(left + b[pair]) - gammaln(left + 1)
    weight = np.exp(log - np.maximum.reduceat(log, first)[pair])
    whole = np.add.reduceat(weight, first)
    # Mid-p: half of the outcome itself. The whole of it would halve the false alarms that small totals may cause.
    below = np.bincount(pair, weight * ((k <= at_most[pair]) - 0.5 * (k == at_most[pair])), len(size))
    above = np.bincount(pair, weight * ((k >= at_least[pair]) - 0.5 * (k == at_least[pair])), len(size))
    return np.minimum(below / whole, 1.0), np.minimum(above / whole, 1.0)
