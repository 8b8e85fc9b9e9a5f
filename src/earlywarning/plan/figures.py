"""From a plan and counts to figures: standing of each priority, effect of each action, promises, measures."""

from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.action_plan import Action, ActionPlan, Kind, Priority, Promise
from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.casework import Casework
from earlywarning.core.data_notes import DataNote
from earlywarning.core.displacement import Difference, e_test, weighted_displacement_difference
from earlywarning.core.effect import effect
from earlywarning.core.standing import Daily, kept, standing
from earlywarning.plan.record import ActionFigures, CountSource, FollowUp, PriorityFigures, PromiseFigures, Taken, Windows

LONGEST_BEFORE = 156  # weeks of the past that an action is compared with
_FEWEST = 8  # weeks on either side of a simple difference
_DISTURBING = ("place-coding", "backlog", "gap-filled", "burst")


def goal_kind(priority: Priority) -> Kind:
    """The kind of events that a priority's goal counts."""
    return priority.goal.kind or priority.kinds[0]


def priority_figures(
    priority: Priority, source: CountSource, notes: Iterable[DataNote] = (), until: date | None = None
) -> PriorityFigures:
    """Where a priority stands on the last complete day, or on `until` where that is earlier."""
    kind, goal = goal_kind(priority), priority.goal
    counts = source.daily(priority.areas, priority.categories, kind, priority.origins)
    through = _through(source.complete(priority.categories, kind), until)
    first, last = day_number(goal.baseline_first), min(through, day_number(goal.target_last))
    disturbing = tuple(n for n in notes if n.kind == kind and _concerns(n, priority.areas, priority.categories, first, last))
    new = tuple(source.new_sources(kind, first + 28, last))
    return PriorityFigures(priority, standing(goal, counts, through, source.residents(priority.areas)), counts, disturbing, new)


def action_figures(action: Action, source: CountSource, notes: Iterable[DataNote], until: date | None = None) -> ActionFigures:
    """What the data say about an action by its end, the last complete day, or `until`."""

    def counts(areas: Sequence[str]) -> Daily:
        return source.daily(areas, action.categories, action.kind, action.origins)

    complete = _through(source.complete(action.categories, action.kind), until)
    through = min(complete, day_number(action.ends)) if action.ends else complete
    treated = counts(action.areas)
    others = counts(action.comparison) if action.comparison else None
    weeks = _Weeks.of(treated.first_day, day_number(action.begins), through)
    told = effect(weeks.sums(treated), weeks.sums(others) if others else None, weeks.after)
    buffer = counts(action.buffer) if action.buffer else None
    beside = counts(action.buffer_comparison) if action.buffer_comparison else others
    around = effect(weeks.sums(buffer), weeks.sums(beside) if beside else None, weeks.after) if buffer else None
    windows = weeks.windows()
    difference, before_after = None, None
    if windows is not None:
        before = _pair(treated, windows)
        before_after = e_test(round(before[1]), round(before[0]))
        if others is not None:
            spread = told.dispersion if told.dispersion >= 1 else 1.0
            apart = counts(action.buffer_comparison) if buffer and action.buffer_comparison else None
            difference = _difference(before, _pair(others, windows), buffer, apart, windows, spread)
    first = weeks.first
    areas = (*action.areas, *action.comparison, *action.buffer, *action.buffer_comparison)
    disturbing = tuple(n for n in notes if n.kind == action.kind and _concerns(n, areas, action.categories, first, through))
    new = tuple(source.new_sources(action.kind, first + 28, through))
    return ActionFigures(
        action, told, around, difference, windows, before_after, date_of(through), disturbing, new, treated, others
    )


def follow_up(
    plan: ActionPlan,
    source: CountSource,
    cases: Iterable[Casework],
    notes: Sequence[DataNote],
    *,
    municipality: str,
    name: str,
    year: int,
    made_on: date,
) -> FollowUp:
    """The figures of a year's follow-up, as things stood on its last day or stand now."""
    first, last = date(year, 1, 1), date(year, 12, 31)

    def on(promise: Promise) -> date:
        """Evidence of a promise whose time is over may come in later; one that goes on is seen as the year ended."""
        return made_on if promise.last_day <= last else min(last, made_on)

    return FollowUp(
        municipality, name, year, made_on, plan,
        tuple(priority_figures(p, source, notes, last) for p in plan.priorities),
        tuple(
            action_figures(a, source, notes, last)
            for a in plan.actions
            if a.begins <= last and (a.ends is None or a.ends >= first)
        ),
        tuple(PromiseFigures(p, kept(p, on(p))) for p in plan.promises if p.first_day <= last and p.last_day >= first),
        tuple(measures_taken(cases, first, last)),
        tuple(n for n in notes if n.first_day <= last and n.noted_on >= first),
    )  # fmt: skip


def measures_taken(cases: Iterable[Casework], first: date, last: date) -> list[Taken]:
    """Measures of the casework that ran between two days, the earliest first."""
    taken = [
        Taken(case.alert_id, m, case.priorities)
        for case in cases
        for m in case.measures
        if m.begins <= last and max(m.due, m.followed_up_on or m.due) >= first
    ]
    return sorted(taken, key=lambda t: (t.measure.begins, t.alert_id, t.measure.number))


def _through(complete: int, until: date | None) -> int:
    return complete if until is None else min(complete, day_number(until))


class _Weeks:
    """Monday weeks around a start; the week in which it falls is left out unless it begins on a Monday."""

    def __init__(self, starts: NDArray[np.int64], after: NDArray[np.bool_], begins: int) -> None:
        self.starts, self.after, self._begins = starts, after, begins
        self.first = int(starts[0]) if len(starts) else begins

    @classmethod
    def of(cls, held: int, begins: int, through: int) -> "_Weeks":
        """held: first day that counts are held of; through: last day that counts."""
        monday = begins - (begins + 3) % 7  # 1970-01-01 was a Thursday
        later = monday if monday == begins else monday + 7
        earliest = max(held + (-(held + 3)) % 7, monday - 7 * LONGEST_BEFORE)
        before = np.arange(earliest, monday - 6, 7)
        behind = np.arange(later, through - 5, 7)
        return cls(np.concatenate([before, behind]).astype(np.int64), np.arange(len(before) + len(behind)) >= len(before), begins)

    def sums(self, counts: Daily) -> NDArray[np.float64]:
        """Counts of each week; days that are not held count as none."""
        return np.array([counts.between(s, s + 6).sum() for s in self.starts.tolist()], dtype=np.float64)

    def windows(self) -> Windows | None:
        """Equally long spans before and after: the first year at most, against the same weeks of the year before if held."""
        before, after = self.starts[~self.after], self.starts[self.after][:52]
        if len(before) < _FEWEST or len(after) < _FEWEST:
            return None
        back = after - 364
        if back[-1] > before[-1]:  # a start within a week: its own week is in neither
            after, back = after[:-1], back[:-1]
        season = bool(back[0] >= before[0])
        if not season:
            n = min(len(before), len(after))
            back, after = before[-n:], after[:n]
        (b0, b1), (a0, a1) = ((int(w[0]), int(w[-1]) + 6) for w in (back, after))
        return Windows((date_of(b0), date_of(b1)), (date_of(a0), date_of(a1)), season)


def _pair(counts: Daily, windows: Windows) -> tuple[float, float]:
    (b0, b1), (a0, a1) = ((day_number(x), day_number(y)) for x, y in (windows.before, windows.after))
    return float(counts.between(b0, b1).sum()), float(counts.between(a0, a1).sum())


def _difference(
    treated: tuple[float, float],
    comparison: tuple[float, float],
    buffer: Daily | None,
    apart: Daily | None,
    windows: Windows,
    spread: float,
) -> Difference:
    """With the same comparison for both, it stands for the areas around as well only where it has a buffer of its own."""
    return weighted_displacement_difference(
        treated, comparison,
        _pair(buffer, windows) if buffer else (0, 0),
        _pair(apart, windows) if apart else (0, 0),
        dispersion=spread,
    )  # fmt: skip


def _concerns(note: DataNote, areas: Sequence[str], categories: Sequence[str], first: int, last: int) -> bool:
    """Whether an artefact of booking falls into the time, areas and categories of a comparison; none given: all."""
    if note.what not in _DISTURBING or day_number(note.first_day) > last or day_number(note.last_day) < first:
        return False
    return (note.area is None or not areas or note.area in areas) and (
        note.category is None or not categories or note.category in categories
    )
