"""The false-alarm budget: how many alerts a week chance alone may cause, turned into one threshold for all blocks.

How often chance raises an alert depends on how blocks overlap, how sparse the counts are and how one day's window resembles
the next: no formula says it. So weeks in which nothing happens are drawn from the fitted baseline, recorded late as usual,
scanned like real days and grouped into alerts; the threshold is the score that as many of their alerts reach as the budget
allows. Draws are seeded by the day of the fit.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.expectation import Expectation, profile
from earlywarning.core.detectors.scan import Zones, scan
from earlywarning.core.scope import Scope, Watched

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
WEEKS = 16  # that are drawn
QUIET = 7  # days without a signal after which a simulated alert is over
GRID = np.arange(-0.5, 4.01, 0.25)  # scores at which simulated alerts are counted
ENOUGH = 12  # alerts that a count must rest on to be read as it is
_SLOPE, _SLOPE_WEIGHT = 1.0, 40.0  # powers of ten in rate for one of score: what to expect, and worth how many alerts
_SEED = 2023_196
_DAYS_AT_ONCE = 4


class Threshold(NamedTuple):
    """score: what a block must reach. slope: powers of ten by which alerts get rarer for each one of score."""

    score: float
    slope: float
    false_alarms_per_week: float

    def recurrence_days(self, score: float) -> float:
        """How seldom chance alone raises an alert that is beyond the threshold by `score`: once in so many days.

        Kleinman et al. 2004, American Journal of Epidemiology 159:217.
        """
        return float(7 / self.false_alarms_per_week * 10.0 ** min(self.slope * max(score, 0.0), 12.0))


def calibrate(
    fitted: Expectation,
    scope: Scope,
    zones: Zones,
    watched: Watched,
    *,
    first_day: int,
    kinds: Floats,
    shares: Floats,
    windows: tuple[int, ...],
    min_count: float,
    false_alarms_per_week: float,
) -> Threshold:
    """The threshold at which chance alone raises as many alerts a week as the budget says.

    kinds: day kinds of the days that are drawn: from first_day - max(windows) on, until WEEKS weeks after first_day.
    shares: (K, lags) of a day's events that have arrived so many days later. Raises ValueError for a budget of 0 or less.
    """
    if not false_alarms_per_week > 0:
        raise ValueError(f"a false-alarm budget of {false_alarms_per_week} alerts a week cannot be met; give more than 0")
    found = draw_signals(fitted, scope, zones, watched, first_day, kinds, shares, windows, min_count).signals
    alerts = np.array([alerts_at(found, float(score)) for score in GRID], dtype=np.float64)
    return threshold_for(GRID, alerts, WEEKS, false_alarms_per_week)


class Signals(NamedTuple):
    """Simulated signals in the order of their days, the most unusual of a day first. areas, columns: sets, as bits."""

    day: list[int]
    areas: list[int]
    columns: list[int]
    score: Floats


class Drawn(NamedTuple):
    """Signals with the number of their window and their events. A signal is there whatever other windows are scanned."""

    signals: Signals
    window: Ints
    observed: Floats


def alerts_at(signals: Signals, score: float) -> int:
    """How many alerts the signals with at least this score make: one that meets an alert which is still open belongs to it."""
    alerts: list[list[int]] = []
    total = 0
    for i in np.flatnonzero(signals.score >= score).tolist():
        today, areas, columns = signals.day[i], signals.areas[i], signals.columns[i]
        for alert in alerts:
            if today - alert[2] <= QUIET and alert[0] & areas and alert[1] & columns:
                alert[2] = today
                break
        else:
            total += 1
            alerts = [a for a in alerts if today - a[2] <= QUIET]
            alerts.append([areas, columns, today])
    return total


def threshold_for(scores: Floats, alerts: Floats, weeks: float, per_week: float) -> Threshold:
    """The score with per_week alerts a week. scores: rising; alerts: how many had at least each of them, in so many weeks.

    Beyond the scores at hand alerts get rarer by a power of ten for each `slope` of score: as far as the counts tell, and
    else as probabilities do.
    """
    wanted = per_week * weeks
    # At low scores what higher ones keep apart joins into fewer, longer alerts: that makes no lower threshold.
    alerts = np.maximum.accumulate(alerts[::-1])[::-1]
    enough = int((alerts >= ENOUGH).sum())
    if not enough:
        return Threshold(float(scores[0]), _SLOPE, per_week)
    # Poisson regression of the counts between the scores would see them as independent: the two ends say what they say.
    first, last = max(enough - 5, 0), enough - 1
    fall = np.log10(alerts[first] / alerts[last])
    span = scores[last] - scores[first]
    slope = (alerts[first] * fall + _SLOPE_WEIGHT * _SLOPE * span) / ((alerts[first] + _SLOPE_WEIGHT) * span) if span else _SLOPE
    if wanted >= alerts[0]:
        return Threshold(float(scores[0]), float(slope), per_week)
    if wanted < alerts[last]:
        return Threshold(float(scores[last] + np.log10(alerts[last] / wanted) / slope), float(slope), per_week)
    logs = np.log10(alerts[:enough])
    return Threshold(float(np.interp(-np.log10(wanted), -logs, scores[:enough])), float(slope), per_week)


def draw_signals(
    fitted: Expectation,
    scope: Scope,
    zones: Zones,
    watched: Watched,
    first_day: int,
    kinds: Floats,
    shares: Floats,
    windows: tuple[int, ...],
    min_count: float,
) -> Drawn:
    """Signals of WEEKS weeks in which nothing happens, with the arguments of `calibrate`: scores down to the lowest of GRID."""
    longest = max(windows)
    days = WEEKS * 7
    span = np.arange(first_day - longest, first_day + days)
    shape = profile(fitted, span, kinds)[:, watched.leaves]
    mean = fitted.level[scope.fine][:, watched.leaves] * shape[:, None]  # (span, fine, leaves)
    phi = fitted.dispersion[0, watched.leaves]
    rng = np.random.default_rng([_SEED, first_day])
    extra = np.maximum(phi - 1, 1e-6)
    counts = rng.poisson(rng.gamma(np.maximum(mean / extra, 1e-12), extra))
    arrived = shares[watched.leaves]
    observed = _recorded(counts, arrived, windows, longest, rng)
    expectation, whole = _expected(mean, arrived, windows, longest)
    share = expectation / np.maximum(whole, 1e-12)
    variance = expectation * (1 + share * (phi - 1))
    inside, contains = scope.inside[:, scope.fine].astype(np.float64), watched.contains
    areas = _bits(scope.inside[:, scope.fine])
    columns = _bits((contains > 0).T)
    members = [(int(a), int(b)) for a, b in watched.scanned.members]
    scanned = [columns[a] | (columns[b] if b >= 0 else 0) for a, b in members]
    nothing = np.zeros(len(members))
    parts: list[tuple[Ints, list[int], list[int], Floats, Ints, Floats]] = []
    for begin in range(0, days, _DAYS_AT_ONCE):
        part = slice(begin, min(begin + _DAYS_AT_ONCE, days))
        o, e, v = (
            watched.scanned.sums(inside @ values[:, part].reshape(-1, *values.shape[2:]) @ contains)
            for values in (observed, expectation, variance)
        )
        found = scan(o, e, v, nothing, zones, watched.scanned, float(GRID[0]), min_count)
        window, day = np.divmod(found.window, part.stop - part.start)
        day += begin
        order = np.lexsort((-found.score, day))
        where = [_union(areas, row) for row in found.areas[order].tolist()]
        what = [scanned[c] for c in found.column[order].tolist()]
        parts.append((day[order], where, what, found.score[order], window[order], found.observed[order]))
    signals = Signals(
        np.concatenate([p[0] for p in parts]).tolist(),
        [a for p in parts for a in p[1]],
        [c for p in parts for c in p[2]],
        np.concatenate([p[3] for p in parts]),
    )
    return Drawn(signals, np.concatenate([p[4] for p in parts]), np.concatenate([p[5] for p in parts]))


def _union(areas: list[int], block: list[int]) -> int:
    out = 0
    for a in block:
        out |= areas[a] if a >= 0 else 0
    return out


def _recorded(
    counts: NDArray[np.int64], arrived: Floats, windows: tuple[int, ...], longest: int, rng: np.random.Generator
) -> Floats:
    """Events of each window that have been recorded by its last day: (windows, days, fine, leaves)."""
    span, fine, leaves = counts.shape
    day, area, column = np.nonzero(counts)
    times = counts[day, area, column]
    day, area, column = (np.repeat(x, times) for x in (day, area, column))
    lag = (rng.random(len(day))[:, None] > arrived[column]).sum(1)
    out = np.zeros((len(windows), span + longest + 1, fine, leaves))
    for w, length in enumerate(windows):
        now = lag < length
        np.add.at(out[w], (day[now] + lag[now], area[now], column[now]), 1.0)
        np.add.at(out[w], (day[now] + length, area[now], column[now]), -1.0)
    return np.cumsum(out, axis=1)[:, longest:span]


def _expected(mean: Floats, arrived: Floats, windows: tuple[int, ...], longest: int) -> tuple[Floats, Floats]:
    """What should have been recorded of each window by its last day, and what belongs to it: (windows, days, ...)."""
    days = len(mean) - longest
    recorded, whole = np.zeros((days, *mean.shape[1:])), np.zeros((days, *mean.shape[1:]))
    out = []
    for age in range(longest):
        part = mean[longest - age : longest - age + days]
        whole += part
        recorded += part * arrived[:, min(age, arrived.shape[1] - 1)]
        if age + 1 in windows:
            out.append((recorded.copy(), whole.copy()))
    order = np.argsort(np.argsort(windows))
    return np.stack([out[i][0] for i in order]), np.stack([out[i][1] for i in order])


def _bits(table: NDArray[np.bool_]) -> list[int]:
    """Each row as a whole number whose bits are its entries."""
    return [sum(1 << i for i in np.flatnonzero(row).tolist()) for row in table]
