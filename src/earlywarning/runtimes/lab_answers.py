"""What the lab answers a person: a choice beside today's settings, with known events, answers of the group and the real alerts."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from earlywarning.core.alert_record import Alert
from earlywarning.core.calendar import date_of
from earlywarning.lab.agreement import pairs
from earlywarning.lab.bench import (
    TENDENCIES,
    Choice,
    CurvePoint,
    Injection,
    Judgement,
    Label,
    Outcome,
    Recording,
    Surge,
    curve,
    inject,
    judge,
    retune,
)
from earlywarning.lab.curves import rate_interval
from earlywarning.lab.recorder import SHARES, USUAL_SHARE
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.lab_supply import labels_of

TODAY, TRIED = "today", "tried"
BUDGETS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of a curve that somebody waits for: larger ones take longer than all of these
_KEYS = {
    "budget": "alerts.false_alarms_per_week", "windows": "detection.windows", "min_count": "detection.min_count",
    "settle_after": "alerts.settle_after_days",
}  # fmt: skip


class Side(NamedTuple):
    """One of the two. low, high: 90 % interval of its alerts a week; only: numbers of alerts that the other lacks; real: alert ids
    of those that the service opened in truth, by number."""

    outcome: Outcome
    judged: Judgement
    low: float
    high: float
    only: frozenset[int]
    real: dict[int, str]


class Beside(NamedTuple):
    """Both sides. both: alerts that both have; lost: labels whose codes the registers no longer have, which are left out."""

    today: Side
    tried: Side
    both: int
    labels: list[Label]
    lost: list[Label]


class Known(NamedTuple):
    """What is known from the store: labels, and the real alerts of the recorded time."""

    labels: list[Label]
    lost: list[Label]
    alerts: list[Alert]


def known_of_lab(front: Front, recording: Recording) -> Known:
    """Known events and answers as labels, and the real alerts, as far as the recording's registers have their codes."""
    m, own = recording.meta, front.register.municipality
    areas, categories = {*m.areas, "*"}, {*m.categories, "*"}

    def told(record: Label | Alert) -> bool:
        return areas.issuperset(record.areas) and categories.issuperset(record.categories)

    labels = labels_of(front.store, own)
    since = date_of(m.first) - timedelta(days=1)
    alerts = [a for a in front.store.alerts(municipality=own, since=since) if a.state != "withdrawn" and told(a)]
    return Known([v for v in labels if told(v)], [v for v in labels if not told(v)], alerts)


def beside(recording: Recording, choice: Choice, known: Known) -> Beside:
    """A choice and today's settings on the same days and places. Raises LabError for what cannot be tried."""
    today, tried = retune(recording, today_of(choice)), retune(recording, msgspec.structs.replace(choice, name=TRIED))
    shared = pairs(tried.alerts, today.alerts, recording)
    mine = {tried.alerts[i].number for i in shared}
    theirs = {today.alerts[j].number for j in shared.values()}
    return Beside(
        _side(recording, today, known, theirs), _side(recording, tried, known, mine), len(shared), known.labels, known.lost
    )  # fmt: skip


def today_of(choice: Choice) -> Choice:
    """Today's settings, shown for the days and places of a choice."""
    return Choice(name=TODAY, first=choice.first, last=choice.last, areas=choice.areas, categories=choice.categories)


def _side(recording: Recording, outcome: Outcome, known: Known, shared: Collection[int]) -> Side:
    real = {outcome.alerts[j].number: known.alerts[i].alert_id for i, j in pairs(known.alerts, outcome.alerts, recording).items()}
    return Side(
        outcome, judge(outcome, known.labels, recording), *rate_interval(len(outcome.alerts), outcome.weeks),
        frozenset(a.number for a in outcome.alerts if a.number not in shared), real,
    )  # fmt: skip


def curve_beside(recording: Recording, choice: Choice, known: Known) -> list[CurvePoint]:
    """The curve of a choice over budgets. Raises LabError when no known event lies within the days."""
    return curve(recording, known.labels, choice, BUDGETS)


def surge_beside(recording: Recording, surge: Surge, choice: Choice, repeats: int) -> tuple[Injection, Injection]:
    """A surge under today's settings and under a choice. Raises LabError for what cannot be put in."""
    today, tried = inject(recording, surge, [today_of(choice), choice], repeats)
    return today, tried


def draft_changes(recording: Recording, choice: Choice) -> dict[str, Any]:
    """The keys of settings that a choice changes, with their values: what a draft of it says."""
    m = recording.meta
    in_force = {"budget": m.budget, "windows": m.windows_in_force, "min_count": m.min_count, "settle_after": m.settle_after}
    out: dict[str, Any] = {}
    for field, now in in_force.items():
        value = getattr(choice, field)
        if value not in (None, (), now):
            out[_KEYS[field]] = list(value) if isinstance(value, tuple) else value
    if choice.tendencies:
        for name, share in m.shares.items():
            on = name in choice.tendencies
            if on != (share > 0):
                out[f"budget.{name}_share"] = USUAL_SHARE if on else 0.0
    return out


def fields_of_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The way back: fields of the choice that settings with these values are. values: of every key that a draft may change."""
    out: dict[str, Any] = {field: values[key] for field, key in _KEYS.items()}
    off = {name for name in SHARES if not values[f"budget.{name}_share"]}
    out["tendencies"] = [name for name in TENDENCIES if name not in off]
    return out
