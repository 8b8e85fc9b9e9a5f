"""What rose and what fell: each area and category in a week, and in the four weeks to its end, against its own past.

What is expected comes from the baseline that also raises alerts (detectors/expectation.py), fitted on what lies before the
four weeks. A change is listed where chance alone would seldom give it, with many series looked at: the false discovery rate
at each level of areas (Benjamini & Hochberg 1995, Journal of the Royal Statistical Society B 57:289). Its interval has the
false coverage rate of Benjamini & Yekutieli 2005, Journal of the American Statistical Association 100:71, so that an interval
leaves out "no change" exactly where the change is listed.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.expectation import ExpectationSettings, fit_expectation, profile, profile_variance
from earlywarning.core.detectors.negative_binomial import quantile, tail_probability
from earlywarning.core.detectors.scan import window_dispersion
from earlywarning.core.observed_days import booking_days, observed_days
from earlywarning.core.scope import Scope, Watched
from earlywarning.core.week_counts import WeekCounts

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
WEEK = 7
WINDOWS = (7, 28)
LEAST_EXPECTED = 1.0  # events: below that a comparison with "as usual" says nothing, and the alerts' own windows look
FALSE_SHARE = 0.1  # of the listed changes that may be chance, on the average
_USUAL = 0.05  # on either side of what is called usual
_POWER = 0.8  # with which a change is said to be one that would have been seen
_FEWEST = 8.0  # events in the history of a category that is compared
_FEWEST_DAYS = 16 * WEEK
_HALVINGS = 40
_LARGEST_RATIO = 1e4


class WeekSettings(NamedTuple):
    """years of history used; min_days of it that are needed; guard: newest days kept out of the baseline."""

    min_days: int = 52 * WEEK
    guard: int = 28
    false_share: float = FALSE_SHARE


class Compared(NamedTuple):
    """Series beside their own past, as columns of equal length n; ratios are of what is there to what was expected.

    kind, area, category: numbers; window: days ending with the week. observed, expected: events, of the part of the window
    that usually has been recorded by now; share: of the whole window's expectation, how much that is (0..1). usual_low,
    usual_high: between which nine in ten counts lie where nothing changes. way: 1 more, -1 fewer, 0 as usual, for
    listed changes; edge: the same for counts outside the usual range. low, high: interval of the ratio, of listed ones (NaN
    for others). seen_from: the true count a window that would have been listed as a rise four times in five; seen_to: as a
    fall (NaN: even nothing at all would not). tested: whether it was looked at for a change. part: whether a listed change
    is the same as one listed for a larger or smaller part.
    """

    kind: Ints
    area: Ints
    category: Ints
    window: Ints
    observed: Floats
    expected: Floats
    share: Floats
    usual_low: Floats
    usual_high: Floats
    way: Ints
    edge: Ints
    low: Floats
    high: Floats
    seen_from: Floats
    seen_to: Floats
    tested: Bools
    part: Bools

    def __len__(self) -> int:
        return len(self.kind)


def compare(
    known: WeekCounts,
    scope: Scope,
    settings: WeekSettings = WeekSettings(),
    day_kinds: Callable[[int, int], Floats] | None = None,
) -> Compared | None:
    """Every series with an expectation beside its past; None while there is too little history to expect anything.

    day_kinds: first and last day -> (days, kinds) columns of days unlike others.
    """
    monday = known.last_day - WEEK + 1
    days = monday - known.first_day
    if days < max(settings.min_days, _FEWEST_DAYS):
        return None
    history = known.counts[:days]
    total = history[:, :, 0, :].sum(0, dtype=np.float64)
    watched = Watched.of(scope, total, _FEWEST)
    if not len(watched.kind):
        return None
    counts = np.ascontiguousarray(history[:, watched.kind, :, watched.category].transpose(1, 2, 0))

    def kinds_of(first: int, last: int) -> Floats:
        booked = booking_days(first, last)
        return booked if day_kinds is None else np.concatenate([day_kinds(first, last), booked], axis=1)

    fit = fit_expectation(
        counts, known.first_day, kinds_of(known.first_day, monday - 1), parent_column=watched.parent, rank=scope.rank,
        settings=ExpectationSettings(guard=max(settings.guard, WINDOWS[-1] - WEEK)), known=observed_days(counts[:, 0], watched),
    )  # fmt: skip
    longest = max(WINDOWS)
    day = np.arange(known.last_day - longest + 1, known.last_day + 1)
    kinds = kinds_of(int(day[0]), known.last_day)
    shape = profile(fit, day, kinds)
    shares = known.arrivals.shares(watched.kind, watched.category)
    lag = known.known_day - day
    arrived = np.where(lag[:, None] >= 0, shares[:, np.clip(lag, 0, shares.shape[1] - 1)].T, 0.0)
    common = np.where(scope.rank[:, None] == 0, fit.common[1], np.where(scope.rank[:, None] == 1, fit.common[0], 0.0))
    parts = []
    for length in WINDOWS:
        whole, recorded = shape[-length:].sum(0), (shape[-length:] * arrived[-length:]).sum(0)
        share = recorded / np.maximum(whole, 1e-12)
        phi = 1 + share * (window_dispersion(fit.dispersion, length) - 1)
        relative = fit.level_variance + common + profile_variance(fit, day[-length:], kinds[-length:])
        recent = known.counts[-length:].sum(0, dtype=np.float64)
        observed = recent[watched.kind, :, watched.category].T
        parts.append((length, observed, fit.level * recorded, share, phi, relative))
    return _compared(parts, watched, scope, settings)


def _compared(
    parts: Sequence[tuple[int, Floats, Floats, Floats, Floats, Floats]], watched: Watched, scope: Scope, settings: WeekSettings
) -> Compared:
    shape = parts[0][1].shape
    area, column = (np.tile(i.ravel(), len(parts)) for i in np.indices(shape))
    window = np.repeat([p[0] for p in parts], shape[0] * shape[1])
    figures = [[np.broadcast_to(values, shape).ravel() for values in part[1:]] for part in parts]
    observed, expected, share, phi, relative = (np.concatenate(columns) for columns in zip(*figures, strict=True))
    mean = np.maximum(expected, 1e-9)
    spread = Spread(phi, relative)
    above, below = spread.at_least(observed, mean), spread.at_most(observed, mean)
    p = np.minimum(2 * np.minimum(above, below), 1.0)
    tested = expected >= LEAST_EXPECTED
    listed, level = np.zeros(len(p), dtype=bool), np.full(len(p), settings.false_share)
    for length in WINDOWS:
        for rank in range(3):  # the few sums of the whole municipality do not pay for the many small areas
            family = np.flatnonzero((window == length) & (scope.rank[area] == rank))
            listed[family], level[family] = _listed(p[family], tested[family], settings.false_share)
    up = above < below
    way = np.where(listed, np.where(up, 1, -1), 0)
    edge = np.where(above <= _USUAL, 1, np.where(below <= _USUAL, -1, 0))
    low, high = np.full(len(p), np.nan), np.full(len(p), np.nan)
    at = np.flatnonzero(listed)
    low[at], high[at] = _interval(observed[at], mean[at], spread.of(at), level[at] / 2)
    seen_from, seen_to = np.full(len(p), np.nan), np.full(len(p), np.nan)
    looked = np.flatnonzero(tested)
    seen_from[looked], seen_to[looked] = _seen(mean[looked], spread.of(looked), level[looked] / 2)
    dispersion = phi + relative * mean
    usual_low = _lowest(_USUAL, mean, dispersion)
    usual_high = quantile(_USUAL, mean, dispersion)
    kind, category = watched.kind[column], watched.category[column]
    part = _told_elsewhere(kind, area, category, window, way, p, scope)
    return Compared(
        kind, area, category, window, observed, expected, share, usual_low, usual_high, way, edge, low, high, seen_from, seen_to,
        tested, part,
    )  # fmt: skip


class Spread(NamedTuple):
    """How counts vary about their mean: variance = phi * mean + relative * mean^2."""

    phi: Floats
    relative: Floats

    def of(self, which: Ints) -> "Spread":
        """That of some series."""
        return Spread(self.phi[which], self.relative[which])

    def at_least(self, count: Floats, mean: Floats) -> Floats:
        """P(X >= count)."""
        return tail_probability(count, mean, self.phi + self.relative * mean)

    def at_most(self, count: Floats, mean: Floats) -> Floats:
        """P(X <= count)."""
        return np.asarray(1 - tail_probability(np.floor(count + 1e-9) + 1, mean, self.phi + self.relative * mean))


def _listed(p: Floats, tested: Bools, false_share: float) -> tuple[Bools, float]:
    """Which are listed (Benjamini & Hochberg), and the level that each of them is held to."""
    m = int(tested.sum())
    if not m:
        return np.zeros(len(p), dtype=bool), false_share
    ordered = np.sort(p[tested])
    fine = np.flatnonzero(ordered <= false_share * np.arange(1, m + 1) / m)
    found = int(fine[-1]) + 1 if len(fine) else 0
    level = false_share * max(found, 1) / m
    return tested & (p <= (level if found else -1.0)), level


def _interval(observed: Floats, mean: Floats, spread: Spread, alpha: Floats) -> tuple[Floats, Floats]:
    """Ratios to the mean that leave at most alpha on either side of what was observed: both limits, by halving."""

    def limit(enough: Callable[[Floats], Bools]) -> Floats:
        low, high = np.full(len(mean), -np.log(_LARGEST_RATIO)), np.full(len(mean), np.log(_LARGEST_RATIO))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            over = enough(np.exp(middle) * mean)
            low, high = np.where(over, low, middle), np.where(over, middle, high)
        return np.asarray(np.exp((low + high) / 2))

    lower = limit(lambda mu: spread.at_least(observed, mu) > alpha)
    upper = limit(lambda mu: spread.at_most(observed, mu) <= alpha)
    return np.asarray(np.where(observed < 0.5, 0.0, lower)), upper


def _seen(mean: Floats, spread: Spread, alpha: Floats) -> tuple[Floats, Floats]:
    """The true means from which a rise, and down to which a fall, would be listed four times in five."""
    dispersion = spread.phi + spread.relative * mean
    bound = np.zeros(len(mean))
    for level in np.unique(alpha).tolist():
        at = alpha == level
        bound[at] = quantile(level, mean[at], dispersion[at])
    floor = _lowest(alpha, mean, dispersion)  # counts below it would be listed
    low, high = np.zeros(len(mean)), np.full(len(mean), np.log(_LARGEST_RATIO))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        over = spread.at_least(bound + 1, np.exp(middle) * mean) >= _POWER
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    rise = np.exp(high) * mean
    low, high = np.full(len(mean), -np.log(_LARGEST_RATIO)), np.zeros(len(mean))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        over = spread.at_most(floor - 1, np.exp(middle) * mean) >= _POWER
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    return rise, np.where(floor > 0, np.exp(low) * mean, np.nan)


def _lowest(alpha: float | Floats, mean: Floats, dispersion: Floats) -> Floats:
    """The smallest count that is not unusually low: the smallest k with P(X <= k) > alpha."""
    low, high = np.full(len(mean), -1.0), np.ceil(mean) + 1
    while (open_ := high - low > 1).any():
        middle = np.where(open_, np.floor((low + high) / 2), high)
        enough = 1 - tail_probability(middle + 1, mean, dispersion) > alpha
        low, high = np.where(open_ & ~enough, middle, low), np.where(open_ & enough, middle, high)
    return high


def _told_elsewhere(kind: Ints, area: Ints, category: Ints, window: Ints, way: Ints, p: Floats, scope: Scope) -> Bools:
    """Listed changes that are a part, or a sum, of one which stands out more: they need not be told again."""
    out = np.zeros(len(p), dtype=bool)
    at = np.flatnonzero(way)
    told: list[int] = []
    for i in at[np.lexsort((category[at], area[at], p[at]))].tolist():
        t = np.array(told, dtype=np.int64)
        same = (kind[t] == kind[i]) & (window[t] == window[i]) & (way[t] == way[i])
        inside = scope.inside[area[t], area[i]] & scope.part[category[t], category[i]]
        around = scope.inside[area[i], area[t]] & scope.part[category[i], category[t]]
        if (same & (inside | around)).any():
            out[i] = True
        else:
            told.append(i)
    return out
