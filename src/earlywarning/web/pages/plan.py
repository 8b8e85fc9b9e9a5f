"""The action plan: where each priority and action stands, the alerts that touch it, promises, versions."""

import asyncio
from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial
from math import isnan
from typing import Any, NamedTuple

from litestar import Response, get
from litestar.datastructures import State

from earlywarning.core.action_plan import Priority, in_words, priorities_of
from earlywarning.core.alert_record import Alert
from earlywarning.core.casework import Casework
from earlywarning.core.roles import suffices
from earlywarning.core.standing import kept
from earlywarning.locale import Language, Names, headline
from earlywarning.locale.refused import Told
from earlywarning.plan.bars import Bars, action_bars, priority_bars, priority_levels
from earlywarning.plan.figures import goal_kind
from earlywarning.plan.record import ActionFigures, PriorityFigures
from earlywarning.plan.words import (
    Teller,
    action_place,
    change_words,
    disturbances,
    effect_sentences,
    goal_sentence,
    outcome_words,
    promise_sentence,
    say,
    span_words,
    standing_sentences,
    verdict_words,
)
from earlywarning.plan.writing import plan_differences
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.plan_standing import PlanStanding, Standings
from earlywarning.store.cases import Cases
from earlywarning.store.plans import Plans, PlanVersion
from earlywarning.web.drawing.standing import Columns, Interval, columns_of, interval_of
from earlywarning.web.pages.frame import Asking, language_of, render
from earlywarning.web.pages.inbox import case_now, today_of
from earlywarning.web.pages.looking import drawn_of

_READ = 1_000  # newest alerts that are looked through
_ALERTS, _VERSIONS, _CHANGES = 6, 10, 60

BarRow = tuple[date, date, float]
FigureRow = tuple[str, str]


class Touching(NamedTuple):
    """An alert that touches a priority, and how far the group has come with it."""

    alert: Alert
    case: Casework
    words: str


class Shown(NamedTuple):
    """What is drawn and told of a priority or an action. figures: rows of the table behind the interval."""

    sentences: list[str]
    interval: Interval | None
    figures: list[FigureRow]
    columns: Columns | None
    weeks: int
    rows: list[BarRow]


class ActionView(NamedTuple):
    """An action whose effect is looked for."""

    name: str
    responsible: str
    place: str
    areas: list[tuple[str, str]]
    verdict: str
    kind: str
    shown: Shown
    cells: list[tuple[str, str, str]]


class PriorityView(NamedTuple):
    """A priority. alerts: the newest that touch it; open_alerts, more: how many are open, and how many are not shown."""

    priority: Priority
    name: str
    focus: str
    areas: list[tuple[str, str]]
    categories: str
    goal: str
    baseline: str
    kind: str
    verdict: str
    verdict_words: str
    shown: Shown
    commitments: list[tuple[str, str, date, str, str]]
    timetable: list[tuple[date, str]]
    alerts: list[Touching]
    open_alerts: int
    more: int
    actions: list[ActionView]


@get("/plan", include_in_schema=False)
async def plan_page(request: Asking, state: State) -> Response[bytes]:
    """The plan in force."""
    return await asyncio.to_thread(shown_plan, request, state)


def shown_plan(
    request: Asking, state: State, *, problems: Sequence[Told] = (), status: int = 200, saved: int = 0
) -> Response[bytes]:
    """The page. problems: what was wrong with a file that was to be imported; saved: number of a version just put in force."""
    service: Front = state.service
    language, own = language_of(request), service.register.municipality
    may = request.user.role is not None and suffices(request.user.role, "administrator")
    around: dict[str, Any] = {"here": "plan", "may": may, "problems": problems, "saved": saved, "say": partial(say, language)}
    if "standings" not in state:
        state.standings = Standings(service)
    standings: Standings = state.standings
    standing = standings.now(drawn_of(state).known.events())
    versions = _versions(Plans(service.store), own)
    if standing is None:
        return render(request, "plan.html", status=status, plan=None, versions=versions, **around)
    plan, today = standing.plan, today_of(service)
    tell = Teller(Names.from_registers(service.register, service.tree), language)
    promises = [
        (p, in_words(p, "text", language), promise_sentence(kept(p, today), language), _places(p.areas, tell),
         [(e.on, in_words(e, "text", language), e.count) for e in p.evidence])
        for p in plan.promises
    ]  # fmt: skip
    codes = {p.code for p in plan.priorities}
    return render(
        request, "plan.html", status=status, plan=plan, version=standing.version, title=in_words(plan, "title", language),
        priorities=_priorities(request, service, standing, tell), period=span_words(plan.first_day, plan.last_day),
        apart=[_action(a, tell) for a in standing.actions if a.action.priority not in codes],
        promises=promises, versions=versions, years=range(plan.first_day.year, min(plan.last_day.year, today.year) + 1),
        counted=bool(standing.priorities), through=standing.priorities[0].standing.through if standing.priorities else None,
        **around,
    )  # fmt: skip


def _versions(plans: Plans, own: str) -> list[tuple[PlanVersion, list[tuple[str, str, str]]]]:
    """The newest versions, each with what it changed."""
    every = plans.versions(own)
    kept_plans = {v.number: plans.get(own, v.number) for v in every[-_VERSIONS - 1 :]}
    out = []
    for before, version in zip([None, *every], every, strict=False):
        if version.number not in kept_plans or len(every) - every.index(version) > _VERSIONS:
            continue
        old, new = kept_plans.get(before.number) if before else None, kept_plans[version.number]
        out.append((version, plan_differences(old, new)[:_CHANGES] if old and new else []))
    return out[::-1]


def _places(codes: Sequence[str], tell: Teller) -> list[tuple[str, str]]:
    return [(code, tell.names.area(code, tell.language)) for code in codes]


def _priorities(request: Asking, service: Front, standing: PlanStanding, tell: Teller) -> list[PriorityView]:
    plan, language = standing.plan, tell.language
    touching = _touching(request, service, standing, tell)
    figures = {f.priority.code: f for f in standing.priorities}
    out = []
    for p in plan.priorities:
        found, alerts = figures.get(p.code), touching[p.code]
        kind = goal_kind(p)
        out.append(
            PriorityView(
                p, in_words(p, "name", language), in_words(p, "focus", language), _places(p.areas, tell),
                tell.categories(p.categories), goal_sentence(p.goal, kind, language),
                span_words(p.goal.baseline_first, p.goal.baseline_last), kind, found.standing.verdict if found else "",
                verdict_words(found.standing, language) if found else "",
                _shown_priority(found, tell) if found else Shown([], None, [], None, 0, []),
                [(c.who, in_words(c, "what", language), c.by, c.status, outcome_words(c.status, language)) for c in p.commitments],
                [(s.by, in_words(s, "what", language)) for s in p.timetable],
                alerts[:_ALERTS], sum(t.alert.state == "open" for t in alerts), max(len(alerts) - _ALERTS, 0),
                [_action(a, tell) for a in standing.actions if a.action.priority == p.code],
            )
        )  # fmt: skip
    return out


def _touching(request: Asking, service: Front, standing: PlanStanding, tell: Teller) -> dict[str, list[Touching]]:
    """Alerts that were not withdrawn by the priority that they touch: open ones first, then the newest."""
    plan, today = standing.plan, today_of(service)
    kept_alerts = service.store.alerts(municipality=service.register.municipality, states=("open", "settled"), limit=_READ)
    cases = Cases(service.store).of([a.alert_id for a in kept_alerts])
    found: dict[str, list[Touching]] = {p.code: [] for p in plan.priorities}
    for alert in sorted(kept_alerts, key=lambda a: (a.state != "open", -a.opened_on.toordinal())):
        codes = priorities_of(alert, plan, service.register, service.tree) if request.user.sees(alert.areas) else ()
        if codes:
            case = case_now(alert, cases.get(alert.alert_id))
            touched = Touching(alert, case, headline(alert, tell.names, tell.language, today))
            for code in codes:
                found[code].append(touched)
    return found


def _shown_priority(f: PriorityFigures, tell: Teller) -> Shown:
    s, goal, language = f.standing, f.priority.goal, tell.language
    bars, columns = priority_bars(f, tell), None
    if bars is not None:
        base, aim = priority_levels(f, bars, tell)
        columns = columns_of(
            bars.starts, bars.counts, bars.weeks, goal.target_first,
            base=None if isnan(base) else (goal.baseline_first, goal.baseline_last, base),
            goal=None if isnan(aim) else (goal.target_first, aim),
        )  # fmt: skip
    figures = [
        ("events", tell.number(s.events)),
        ("days", tell.number(s.days)),
        ("baseline_same", "" if isnan(s.baseline) else tell.number(s.baseline)),
        *_level(s.ratio, s.low, s.high, language),
        ("goal_level", "" if isnan(s.goal_ratio) else change_words(s.goal_ratio, language)),
    ]
    interval = interval_of(s.ratio, s.low, s.high, s.goal_ratio, fewer=goal.direction == "fewer")
    return Shown([*standing_sentences(f, tell), *disturbances(f, tell)], interval, figures, columns, *_rows(bars))


def _level(ratio: float, low: float, high: float, language: Language) -> list[FigureRow]:
    names = (("level", ratio), ("lowest", low), ("highest", high))
    return [(name, "" if isnan(value) else change_words(value, language)) for name, value in names]


def _rows(bars: Bars | None) -> tuple[int, list[BarRow]]:
    if bars is None:
        return 0, []
    last = [day + timedelta(days=7 * bars.weeks - 1) for day in bars.starts]
    return bars.weeks, list(zip(bars.starts, last, bars.counts.tolist(), strict=True))[::-1]


def _action(f: ActionFigures, tell: Teller) -> ActionView:
    told, action, language = f.effect, f.action, tell.language
    bars = action_bars(f, tell)
    columns = None if bars is None else columns_of(bars.starts, bars.counts, bars.weeks, action.begins, mark=True)
    cells = [("in_action", tell.number(told.treated[0]), tell.number(told.treated[1]))]
    if told.method == "comparison":
        cells.append(("in_comparison", tell.number(told.comparison[0]), tell.number(told.comparison[1])))
    return ActionView(
        in_words(action, "name", language), action.responsible, action_place(f, tell), _places(action.areas, tell), told.verdict,
        action.kind,
        Shown([*effect_sentences(f, tell), *disturbances(f, tell)], interval_of(told.ratio, told.low, told.high),
              _level(told.ratio, told.low, told.high, language), columns, *_rows(bars)),
        cells if all(told.weeks) else [],
    )  # fmt: skip
