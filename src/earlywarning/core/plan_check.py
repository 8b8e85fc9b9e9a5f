"""Whether an action plan fits the registers: codes, dates, goals, overlaps, personal data; all errors at once."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.core.action_plan import Action, ActionPlan, Goal, Priority
from earlywarning.core.areas import AreaRegister
from earlywarning.core.categories import CategoryTree
from earlywarning.core.screening import RULE_TEXT, PersonalRule, find_personal_data

Path = tuple[str | int, ...]
PlanRule = Literal[
    PersonalRule,
    "missing", "before", "period", "twice", "unknown-area", "unknown-category", "unknown-priority", "one-measure", "overlap",
    "range", "not-of-priority", "no-population", "no-buffer",
]  # fmt: skip
_LONGEST = 10 * 366  # days of a period: what is longer is a wrong year


class PlanProblem(NamedTuple):
    """One error. path: from the plan down to the field, as ("priorities", 0, "goal", "rate"); rule: a short name."""

    path: Path
    rule: PlanRule
    text: str


class PlanError(ValueError):
    """A plan that cannot be put in force; `problems` says what is wrong and where, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems))


def check_plan(plan: ActionPlan, register: AreaRegister, tree: CategoryTree) -> list[PlanProblem]:
    """Everything that is wrong with a plan, in the order in which it stands there."""
    found = list(_period((), "first_day", plan.first_day, "last_day", plan.last_day))
    if not plan.priorities:
        found.append(PlanProblem(("priorities",), "missing", "the plan has no priority; it needs at least one"))
    for name, records in (("priorities", plan.priorities), ("promises", plan.promises), ("actions", plan.actions)):
        found += _twice(name, [r.code for r in records])
    for i, priority in enumerate(plan.priorities):
        found += _priority(("priorities", i), priority, plan, register, tree)
    for i, promise in enumerate(plan.promises):
        path: Path = ("promises", i)
        found += _codes((*path, "areas"), promise.areas, register.codes, "area")
        found += _codes((*path, "categories"), promise.categories, tree.codes, "category")
        found += _period(path, "first_day", promise.first_day, "last_day", promise.last_day)
        for j, shown in enumerate(promise.evidence):
            if shown.on < promise.first_day:
                words = f"the evidence is of {shown.on}, before the promise begins ({promise.first_day})"
                found.append(PlanProblem((*path, "evidence", j, "on"), "before", words))
    for i, action in enumerate(plan.actions):
        found += _action(("actions", i), action, plan, register, tree)
    return found + list(_personal_data((), msgspec.to_builtins(plan)))


def node_set(codes: Iterable[str], register_codes: Sequence[str], ancestors: NDArray[np.int32]) -> tuple[str, ...]:
    """The codes without those that lie inside another of them, so that nothing is counted twice; none: the root."""
    number = {code: i for i, code in enumerate(register_codes)}
    nodes = {number[c] for c in codes if c in number} or {0}
    return tuple(register_codes[n] for n in sorted(nodes) if not nodes & {a for a in ancestors[n, 1:].tolist() if a >= 0})


def _priority(
    path: Path, priority: Priority, plan: ActionPlan, register: AreaRegister, tree: CategoryTree
) -> Iterator[PlanProblem]:
    yield from _codes((*path, "areas"), priority.areas, register.codes, "area")
    yield from _codes((*path, "categories"), priority.categories, tree.codes, "category")
    for j, commitment in enumerate(priority.commitments):
        if not plan.first_day <= commitment.by:
            yield _early((*path, "commitments", j, "by"), commitment.by, plan)
    for j, step in enumerate(priority.timetable):
        if not plan.first_day <= step.by:
            yield _early((*path, "timetable", j, "by"), step.by, plan)
    yield from _goal((*path, "goal"), priority.goal, priority, register)


def _early(path: Path, day: date, plan: ActionPlan) -> PlanProblem:
    return PlanProblem(path, "before", f"{day} lies before the plan's first day, {plan.first_day}")


def _goal(path: Path, goal: Goal, priority: Priority, register: AreaRegister) -> Iterator[PlanProblem]:
    given = [name for name in ("change", "count", "rate") if getattr(goal, name) is not None]
    if len(given) != 1:
        said = " and ".join(given) if given else "none of them"
        yield PlanProblem(path, "one-measure", f"a goal is exactly one of change, count and rate; this one has {said}")
    yield from _period(path, "baseline_first", goal.baseline_first, "baseline_last", goal.baseline_last)
    yield from _period(path, "target_first", goal.target_first, "target_last", goal.target_last)
    if goal.target_first <= goal.baseline_last:
        words = f"the target period begins on {goal.target_first}, before the baseline period is over ({goal.baseline_last})"
        yield PlanProblem((*path, "target_first"), "overlap", words)
    if goal.change is not None and not (-1 <= goal.change < 0 if goal.direction == "fewer" else 0 < goal.change <= 10):
        rule = "between -1 and 0, as -0.2 for a fifth fewer" if goal.direction == "fewer" else "above 0, as 0.2 for a fifth more"
        yield PlanProblem(
            (*path, "change"), "range", f"a change of {goal.change:g} where {goal.direction} is wanted; it must be {rule}"
        )
    for name in ("count", "rate"):
        if (value := getattr(goal, name)) is not None and not 0 <= value < 1e7:
            yield PlanProblem((*path, name), "range", f"{value:g} is not a number of 0 or more")
    if goal.kind is None and len(set(priority.kinds)) > 1:
        words = "say which kind the goal counts, incident or report: they measure different things and are never added"
        yield PlanProblem((*path, "kind"), "missing", words)
    elif goal.kind is not None and goal.kind not in priority.kinds:
        yield PlanProblem(
            (*path, "kind"), "not-of-priority", f"{goal.kind!r} is not one of the priority's kinds, {', '.join(priority.kinds)}"
        )
    if goal.rate is not None:
        number = {code: i for i, code in enumerate(register.codes)}
        areas = [number[a] for a in priority.areas if a in number] or [0]
        if unknown := [register.codes[a] for a in areas if not register.exposure[a] > 0]:
            words = f"the register has no population of {', '.join(unknown)}; put it there, or give the goal as count or change"
            yield PlanProblem((*path, "rate"), "no-population", words)


def _action(path: Path, action: Action, plan: ActionPlan, register: AreaRegister, tree: CategoryTree) -> Iterator[PlanProblem]:
    for name in ("areas", "comparison", "buffer", "buffer_comparison"):
        yield from _codes((*path, name), getattr(action, name), register.codes, "area")
    yield from _codes((*path, "categories"), action.categories, tree.codes, "category")
    if action.priority and plan.priority(action.priority) is None:
        known = ", ".join(p.code for p in plan.priorities) or "none"
        yield PlanProblem(
            (*path, "priority"), "unknown-priority", f"{action.priority!r} is not a priority of this plan; there are {known}"
        )
    if action.ends is not None:
        yield from _period(path, "begins", action.begins, "ends", action.ends)
    for one, other in (("areas", "comparison"), ("areas", "buffer"), ("buffer", "comparison"), ("areas", "buffer_comparison"),
                       ("buffer", "buffer_comparison")):  # fmt: skip
        if shared := _overlap(getattr(action, one), getattr(action, other), register):
            words = f"{' and '.join(sorted(shared))} lie in one another, or stand both in {one} and {other}; they must be apart"
            yield PlanProblem((*path, other), "overlap", words)
    if action.buffer_comparison and not action.buffer:
        yield PlanProblem((*path, "buffer_comparison"), "no-buffer", "there are areas to compare a buffer with, but no buffer")


def _overlap(one: Iterable[str], other: Iterable[str], register: AreaRegister) -> set[str]:
    number = {code: i for i, code in enumerate(register.codes)}
    first, second = ([number[c] for c in codes if c in number] for codes in (one, other))
    for a in first:
        for b in second:
            if a in register.ancestors[b].tolist() or b in register.ancestors[a].tolist():
                return {register.codes[a], register.codes[b]}
    return set()


def _codes(path: Path, codes: Sequence[str], known: Sequence[str], what: Literal["area", "category"]) -> Iterator[PlanProblem]:
    there = set(known)
    unknown: PlanRule = "unknown-area" if what == "area" else "unknown-category"
    for i, code in enumerate(codes):
        if code not in there:
            near = [k for k in known if k.casefold() == code.casefold()]
            hint = f"; did you mean {near[0]!r}?" if near else ""
            yield PlanProblem((*path, i), unknown, f"{what} {code!r} is not in the register{hint}")
        elif code in codes[:i]:
            yield PlanProblem((*path, i), "twice", f"{what} {code!r} stands twice")


def _twice(name: str, codes: Sequence[str]) -> Iterator[PlanProblem]:
    for i, code in enumerate(codes):
        if code in codes[:i]:
            yield PlanProblem((name, i, "code"), "twice", f"code {code!r} stands twice; codes must be unique")


def _period(path: Path, first_name: str, first: date, last_name: str, last: date) -> Iterator[PlanProblem]:
    if last < first:
        yield PlanProblem((*path, last_name), "period", f"{last_name} {last} lies before {first_name} {first}")
    elif (last - first).days > _LONGEST:
        yield PlanProblem((*path, last_name), "period", f"{first} to {last} is longer than ten years; look at the year")


def _personal_data(path: Path, value: object) -> Iterator[PlanProblem]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _personal_data((*path, key), inner)
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _personal_data((*path, i), inner)
    elif isinstance(value, str) and (found := find_personal_data(value)) is not None:
        said = RULE_TEXT[found.rule].split(";", 1)[0].split(" (", 1)[0]
        yield PlanProblem(path, found.rule, f"{said}; a plan names functions and units, never persons: leave it out")
