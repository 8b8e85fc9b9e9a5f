"""A series in bars of whole weeks: the shortest that show no count that is too small to be shown."""

from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.standing import Daily
from earlywarning.plan.record import ActionFigures, PriorityFigures
from earlywarning.plan.words import Teller

_LENGTHS = (4, 13, 52)  # weeks in a bar
_MOST_BARS = 60
_BEFORE = 7 * 104  # days before an action's start that are shown


class Bars(NamedTuple):
    """starts: first day of each bar; counts: events in it; weeks: how long each is."""

    starts: list[date]
    counts: NDArray[np.float64]
    weeks: int


def priority_bars(figures: PriorityFigures, tell: Teller) -> Bars | None:
    """The counts since the baseline began; None where every length of bar would show a count too small to be shown."""
    goal = figures.priority.goal
    first = max(day_number(goal.baseline_first), figures.counts.first_day)
    return bars_between(figures.counts, first, min(day_number(figures.standing.through), day_number(goal.target_last)), tell)


def action_bars(figures: ActionFigures, tell: Teller) -> Bars | None:
    """The counts of the action's areas from two years before its start; None as for a priority."""
    first = max(day_number(figures.action.begins) - _BEFORE, figures.counts.first_day)
    return bars_between(figures.counts, first, day_number(figures.through), tell)


def priority_levels(figures: PriorityFigures, bars: Bars, tell: Teller) -> tuple[float, float]:
    """Events per bar in the baseline period and at the goal, as they may be told; nan with less than four weeks of a baseline,
    or no goal known."""
    goal, days = figures.priority.goal, 7 * bars.weeks
    held = figures.counts.between(day_number(goal.baseline_first), day_number(goal.baseline_last))
    base = float(held.mean()) * days if len(held) >= 28 else float("nan")
    aim = figures.standing.goal_count / ((goal.target_last - goal.target_first).days + 1) * days
    return tell.step(base), tell.step(aim)


def bars_between(counts: Daily, first: int, through: int, tell: Teller) -> Bars | None:
    """Whole bars up to `through` (local day numbers), the shortest that show no count that is too small."""
    for weeks in _LENGTHS:
        length = 7 * weeks
        n = (through - first + 1) // length
        if n < 2 or n > _MOST_BARS:
            continue
        begin = through - n * length + 1
        sums = counts.between(begin, through).reshape(n, length).sum(1)
        if not tell.hides(*sums.tolist()):
            shown = np.array([tell.step(float(s)) for s in sums])
            return Bars([date_of(begin + i * length) for i in range(n)], shown, weeks)
    return None
