"""GLR-CUSUM to the letter of R's surveillance 1.20.3, also where its search for the change runs away.

R looks for the change of each onset by Newton steps from that of the onset before, which on counts far above a small
expectation leave for minus infinity and count as no change; with a window its Poisson chart leaves out the newest onset that
Mtilde allows, without one Mtilde only delays the first judgement; a chart of known change alarms above its threshold, not at it.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_LOWEST, _NEAR, _STEPS = -18.0, 1e-6, 1000


class Best(NamedTuple):
    """(series,) each: the largest log likelihood ratio, its onset (-1: none) and its change."""

    statistic: Floats
    onset: Ints
    change: Floats


def poisson_now(y: Floats, mu: Floats, n: int, start: Ints, window: int, shortest: int) -> Best:
    """The chart's value at step n. y, mu: (series, steps); start: (series,) first step since the last alarm."""
    oldest = 0 if window < 0 else max(n - window, 0)
    newest = n if window < 0 else n - shortest
    if newest < oldest:
        return _none(len(y))
    x = np.cumsum(y[:, oldest : n + 1][:, ::-1], 1)[:, ::-1][:, : newest - oldest + 1]
    m = np.cumsum(mu[:, oldest : n + 1][:, ::-1], 1)[:, ::-1][:, : newest - oldest + 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.maximum(np.log(x / m), 0.0)
        ratio = change * x + (1 - np.exp(change)) * m
    k = np.arange(oldest, newest + 1)
    judged = (n - start >= (shortest - 1 if window < 0 else shortest))[:, None]
    ratio = np.where((k >= start[:, None]) & judged & ~np.isnan(ratio), ratio, -np.inf)
    best, row = ratio.argmax(1), np.arange(len(y))
    found = ratio[row, best]
    live = found > 0
    return Best(np.maximum(found, 0), np.where(live, k[best], -1), np.where(live, change[row, best], 0.0))


def negative_binomial_now(y: Floats, mu: Floats, alpha: Floats, n: int, start: Ints, window: int, shortest: int) -> Best:
    """As poisson_now, with variance mu + alpha mu^2 (alpha above 0)."""
    out = _none(len(y))
    low = start if window < 0 else np.maximum(start, n - window)
    low = np.where(n - start >= shortest - 1, low, n + 1)
    kappa = np.full(len(y), 0.5)
    for k in range(int(low.min(initial=n + 1)), n - shortest + 2):
        rows = np.flatnonzero(low <= k)
        x, m, a = y[rows, k : n + 1], mu[rows, k : n + 1], alpha[rows][:, None]
        new = np.maximum(_newton(x, m, a, kappa[rows]), 0.0)
        kappa[rows] = np.where(np.isnan(new), 0.0, new)
        with np.errstate(all="ignore"):
            raised = m * np.exp(kappa[rows])[:, None]
            ratio = (kappa[rows][:, None] * x + (x + 1 / a) * np.log((1 + a * m) / (1 + a * raised))).sum(1)
        better = ratio > out.statistic[rows]
        which = rows[better]
        out.statistic[which], out.onset[which], out.change[which] = ratio[better], k, kappa[which]
    return out


def _newton(x: Floats, m: Floats, a: Floats, begin: Floats) -> Floats:
    old, new = np.full(len(x), 0.4), begin.copy()
    with np.errstate(all="ignore"):
        for _ in range(_STEPS):
            go = np.flatnonzero((new > _LOWEST) & (np.abs(new - old) > _NEAR))
            if not len(go):
                break
            old[go] = new[go]
            raised = m[go] * np.exp(old[go])[:, None]
            below = 1 + a[go] * raised
            score = ((x[go] - raised) / below).sum(1)
            new[go] = old[go] + score / (raised * (a[go] * x[go] + 1) / below**2).sum(1)
    return new


def _none(n: int) -> Best:
    return Best(np.zeros(n), np.full(n, -1), np.zeros(n))
