"""Where a priority stands: from a baseline period towards a goal, with intervals, in days that are complete. No projection.

What is said, is said of the level behind the counts, and only when its 90 % interval allows it. Baseline and target are
compared on the same weeks of the year wherever the baseline holds them (52 weeks back, so that weekdays agree).
"""

from datetime import date, timedelta
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.action_plan import Goal, Promise
from earlywarning.core.calendar import day_number
from earlywarning.core.dispersion import LEVEL, history_dispersion, mean_interval, ratio_interval

Array = NDArray[np.float64]
_YEAR = 364  # days: whole weeks
FEWEST_DAYS = 28  # of the target period
FEWEST_EVENTS = 10  # in the baseline
_RECORDED = 0.98  # share of a day's events that must usually be in for the day to count as complete
_LONGEST = 56  # days
_FEW = 30  # events, below which the usual lateness is not known
_VISIBLE = 1.645 + 0.842  # standard errors that are seen four times in five

Verdict = Literal["reached", "on-the-way", "not-seen", "cannot-be-said"]
Why = Literal["", "so-far", "moving", "moving-short", "moved", "not-begun", "too-early", "no-history", "too-few-events", "wide"]


class Daily(NamedTuple):
    """Counts by local day: counts[i] is of day first_day + i, whole history of what is held."""

    first_day: int
    counts: Array

    def between(self, first: int, last: int) -> Array:
        """Counts of the days first..last that are held."""
        return self.counts[max(first - self.first_day, 0) : max(last - self.first_day + 1, 0)]

    def weekly(self, through: int) -> Array:
        """Sums of whole weeks that end on `through`, the oldest first."""
        held = self.between(self.first_day, through)
        weeks = len(held) // 7
        return np.asarray(held[len(held) - 7 * weeks :].reshape(weeks, 7).sum(1), dtype=np.float64)


class Standing(NamedTuple):
    """Figures behind a verdict.

    why: of "on-the-way", whether the level is at the goal so far, or moving towards it (surely short of it so far); of
    "not-seen", whether it moved at all. baseline: events in the compared part
    of the baseline, per length of the target so far; events: of the target so far, in `days` complete days through
    `through`. ratio, low, high: level now over baseline, with interval; count_low, count_high: interval of the mean behind
    `events`. goal_ratio: ratio at which the goal lies; goal_count: events in the whole target period that it means;
    goal_so_far: of the days so far. met: whether the count itself kept to the goal, once the period is over. visible: ratio
    that would have been seen four times in five. Figures are nan where not known.
    """

    verdict: Verdict
    why: Why
    baseline: float
    events: float
    days: int
    through: date
    ratio: float
    low: float
    high: float
    count_low: float
    count_high: float
    goal_ratio: float
    goal_count: float
    goal_so_far: float
    season_matched: bool
    finished: bool
    met: bool | None
    dispersion: float
    visible: float


def settling_days(lags: NDArray[np.int64], otherwise: int) -> int:
    """How many days to wait until a day is complete: 98 % of its events are recorded. lags: days from event to record."""
    if len(lags) < _FEW:
        return otherwise
    return int(min(np.quantile(lags, _RECORDED, method="higher"), _LONGEST))


def standing(goal: Goal, counts: Daily, through: int, residents: float = np.nan, level: float = LEVEL) -> Standing:
    """Where a goal stands on the last complete day `through` (local day number). residents: for a goal given as a rate."""
    begin, end = day_number(goal.target_first), day_number(goal.target_last)
    base = day_number(goal.baseline_first), day_number(goal.baseline_last)
    last = min(end, through)
    days, finished = max(last - begin + 1, 0), through >= end
    count = float(counts.between(begin, last).sum()) if days else 0.0
    weekly = counts.weekly(through)
    spread = history_dispersion(weekly, max(len(weekly) - (through - begin + 1) // 7, 0))
    nothing = Standing(
        "cannot-be-said", "", np.nan, count, days, date(1970, 1, 1) + timedelta(days=last), *(np.nan,) * 8, False, finished, None,
        spread, np.nan,
    )  # fmt: skip
    if counts.first_day > base[0] or not len(counts.counts):
        return nothing._replace(why="no-history")

    whole, _ = _usual(counts, base, begin, end)
    goal_count = _goal_count(goal, whole, (end - begin + 1), residents)
    if not days:
        return nothing._replace(why="not-begun", goal_count=goal_count)
    (usual, of_events), matched = _usual(counts, base, begin, last), _matches(base, begin, last) > 0
    so_far = goal_count * (usual / whole if whole > 0 else days / (end - begin + 1))
    told = nothing._replace(
        baseline=usual, goal_count=goal_count, goal_so_far=so_far, season_matched=matched,
        met=(count <= goal_count if goal.direction == "fewer" else count >= goal_count) if finished else None,
    )  # fmt: skip
    if of_events < FEWEST_EVENTS:
        return told._replace(why="too-few-events")
    exposure = usual / of_events
    low, high = ratio_interval(count, of_events, exposure, spread, level)
    count_low, count_high = mean_interval(count, spread, level)
    error = np.sqrt(spread * (1 / of_events + 1 / usual))
    sign = -1 if goal.direction == "fewer" else 1
    told = told._replace(
        ratio=count / usual, low=low, high=high, count_low=count_low, count_high=count_high, goal_ratio=so_far / usual,
        visible=float(np.exp(sign * _VISIBLE * error)),
    )  # fmt: skip
    if days < min(FEWEST_DAYS, end - begin + 1):
        return told._replace(why="too-early")
    verdict, why = _verdict(goal, told)
    return told._replace(verdict=verdict, why=why)


def _verdict(goal: Goal, s: Standing) -> tuple[Verdict, Why]:
    """A goal relative to the baseline is held against the ratio, whose interval knows that the baseline is uncertain too; one
    given in events against the interval of the count."""
    if goal.change is not None:
        low, high, at = s.low, s.high, s.goal_ratio
    else:
        low, high, at = s.count_low, s.count_high, s.goal_so_far
    fewer = goal.direction == "fewer"
    there = high <= at if fewer else low >= at
    moved = s.high < 1 if fewer else s.low > 1
    short = low > at if fewer else high < at
    if there:
        return ("reached", "") if s.finished else ("on-the-way", "so-far")
    if moved and short:
        return ("not-seen", "moved") if s.finished else ("on-the-way", "moving-short")
    if moved:
        return "on-the-way", "moving"
    return ("not-seen", "") if short else ("cannot-be-said", "wide")


def _goal_count(goal: Goal, whole: float, days: int, residents: float) -> float:
    if goal.change is not None:
        return whole * (1 + goal.change)
    if goal.count is not None:
        return goal.count
    return (goal.rate or 0.0) / 1000 * residents * days / 365.25


def _matches(base: tuple[int, int], first: int, last: int) -> int:
    """How many whole earlier years of the baseline hold all of the days first..last, whole weeks back."""
    days = np.arange(first, last + 1)
    back = np.arange(1, 12)[:, None] * _YEAR
    held = ((days - back >= base[0]) & (days - back <= base[1])).sum(0)
    return int(held.min()) if len(held) else 0


def _usual(counts: Daily, base: tuple[int, int], first: int, last: int) -> tuple[float, float]:
    """What the baseline has for the days first..last: events scaled to their number, and the events that this rests on."""
    n, years = last - first + 1, _matches(base, first, last)
    if not years:
        held = counts.between(*base)
        total = float(held.sum())
        return total * n / max(base[1] - base[0] + 1, 1), total
    days = np.arange(first, last + 1)
    total = 0.0
    for back in _newest(days, base, years):
        total += float(counts.counts[back - counts.first_day].sum())
    return total / years, total


def _newest(days: NDArray[np.int64], base: tuple[int, int], years: int) -> list[NDArray[np.int64]]:
    """For each of `years`, the day of the baseline that stands for each of `days`: the newest that are not taken yet."""
    found = []
    first_back = np.maximum(np.ceil((days - base[1]) / _YEAR).astype(np.int64), 1)
    for i in range(years):
        found.append(days - (first_back + i) * _YEAR)
    return found


class Kept(NamedTuple):
    """What stands behind a promise: activities done by the day, of how many; how many pieces of evidence.

    state: kept, when all that was promised is done; not-kept, when the period is over and it is not; under-way; shown, when
    no number was promised but there is evidence; nothing-shown.
    """

    state: Literal["kept", "not-kept", "under-way", "shown", "nothing-shown"]
    done: int
    of: int | None
    evidence: int


def kept(promise: Promise, on: date) -> Kept:
    """How far a promise with its evidence has come on a day."""
    shown = [e for e in promise.evidence if e.on <= on]
    done = sum(e.count for e in shown)
    if promise.activities is None:
        return Kept("shown" if shown else "nothing-shown", done, None, len(shown))
    if done >= promise.activities:
        state: Literal["kept", "not-kept", "under-way"] = "kept"
    else:
        state = "not-kept" if on > promise.last_day else "under-way"
    return Kept(state, done, promise.activities, len(shown))
