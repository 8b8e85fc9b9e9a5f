"""The largest negative binomial likelihood ratio over all onsets: tangents first, Newton only where it can matter.

The log likelihood ratio of an onset is concave in the change, so tangents at a few changes bound its maximum from above, and
its values there from below. Running sums over time give both for all onsets at once; only onsets whose upper bound passes the
best lower bound are maximised, which nearly always are one to three.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_CHANGES = 20  # at which tangents are taken
_NEWTON = 50


class Tangents(NamedTuple):
    """change: (series, changes). value, slope: (series, steps + 1, changes), summed over the steps before each."""

    change: Floats
    value: Floats
    slope: Floats


def tangents(y: Floats, mu: Floats, alpha: Floats) -> Tangents:
    """Of charts with counts y, means mu (series, steps) and variances mu + alpha mu^2, alpha above 0."""
    # No onset has a likelier change than its largest ratio of count to mean.
    most = np.log(np.maximum((y / mu).max(1, initial=0.0), 1.01))
    change = most[:, None] * np.linspace(0, 1, _CHANGES)
    x, m, a = y[:, :, None], mu[:, :, None], alpha[:, None, None]
    raised = m * np.exp(change)[:, None]
    value = x * change[:, None] - (x + 1 / a) * (np.log1p(a * raised) - np.log1p(a * m))
    slope = (x - raised) / (1 + a * raised)
    before = np.zeros((len(y), 1, _CHANGES))
    return Tangents(change, *(np.concatenate([before, np.cumsum(v, 1)], 1) for v in (value, slope)))


def likeliest(
    y: Floats, mu: Floats, alpha: Floats, known: Tangents, n: int, onsets: Ints, start: Ints
) -> tuple[Floats, Ints, Floats]:
    """Statistic, onset (-1: none) and change at step n: (series,) each. onsets: steps in question, in rising order.

    start: (series,) first step since the last alarm.
    """
    series = len(y)
    statistic, onset, change = np.zeros(series), np.full(series, -1), np.zeros(series)
    value = known.value[:, n + 1 : n + 2] - known.value[:, onsets]
    slope = known.slope[:, n + 1 : n + 2] - known.slope[:, onsets]
    # The maximum lies after the last change at which the sum still rises.
    cell = np.clip((slope > 0).sum(2) - 1, 0, _CHANGES - 2)[:, :, None]
    low, high = (np.take_along_axis(value, cell + k, 2)[:, :, 0] for k in (0, 1))
    rise, fall = (np.take_along_axis(slope, cell + k, 2)[:, :, 0] for k in (0, 1))
    width = known.change[:, 1:2]
    with np.errstate(divide="ignore", invalid="ignore"):
        meet = np.clip(np.where(rise > fall, (high - low - fall * width) / (rise - fall), 0.0), 0.0, width)
    usable = (onsets >= start[:, None]) & (rise > 0)
    upper = np.where(usable, low + rise * meet, -np.inf)
    lower = np.where(usable, np.maximum(low, high), -np.inf).max(1)
    slack = 1e-9 * (1 + np.abs(lower))
    rows, which = np.nonzero(upper >= np.maximum(lower - slack, 0)[:, None])
    if not len(rows):
        return statistic, onset, change
    first = int(onsets[which.min()])
    x, m, a = y[rows, first : n + 1], mu[rows, first : n + 1], alpha[rows][:, None]
    inside = (np.arange(first, n + 1) >= onsets[which][:, None]).astype(np.float64)
    left = known.change[rows, cell[rows, which, 0]]
    kappa = left + meet[rows, which]
    kappa = _maximised(x, m, a, inside, kappa, left, left + width[rows, 0])
    raised = m * np.exp(kappa)[:, None]
    ratio = (inside * (x * kappa[:, None] - (x + 1 / a) * (np.log1p(a * raised) - np.log1p(a * m)))).sum(1)
    order = np.lexsort((-which, ratio))  # the best is put last; of equal ones the earliest onset
    order = order[ratio[order] > 0]
    statistic[rows[order]], onset[rows[order]], change[rows[order]] = ratio[order], onsets[which[order]], kappa[order]
    return statistic, onset, change


def _maximised(x: Floats, m: Floats, a: Floats, inside: Floats, kappa: Floats, low: Floats, high: Floats) -> Floats:
    """Newton within the bracket that the slopes leave, halving it where a step would leave it."""
    kappa = kappa.copy()
    go = np.arange(len(kappa))
    low, high = low.copy(), high.copy()
    weighted, over = inside * x, inside * (1 + a * x)
    for _ in range(_NEWTON):
        raised = m[go] * np.exp(kappa[go])[:, None]
        below = 1 + a[go] * raised
        score = ((weighted[go] - inside[go] * raised) / below).sum(1)
        bend = (raised * over[go] / below**2).sum(1)
        low[go], high[go] = np.where(score > 0, kappa[go], low[go]), np.where(score > 0, high[go], kappa[go])
        new = kappa[go] + score / bend
        new = np.where((new >= low[go]) & (new <= high[go]), new, (low[go] + high[go]) / 2)
        moved = np.abs(new - kappa[go])
        kappa[go] = new
        # The error is squared by each step, and again in the ratio, which is flat at its maximum.
        go = go[moved > 1e-6]
        if not len(go):
            break
    return kappa
