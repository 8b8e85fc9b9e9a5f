"""What a choice would have given: its alerts as plain values, their number a week, and where that is an approximation."""

from bisect import bisect_left, bisect_right
from datetime import date, timedelta

import msgspec

from earlywarning.core.alerts import SHIFT_DAYS
from earlywarning.core.calendar import date_of
from earlywarning.lab.choices import Settled, chosen_codes
from earlywarning.lab.recording import Recording
from earlywarning.lab.regroup import Follow, Signal

NOTES = ("days-as-they-closed", "rest-not-searched-anew", "corrections-do-not-withdraw")  # of every answer; see docs/lab.md
RATE_NOTE = "false-discovery-rate-not-held"  # the settings in force hold a share of false alerts, the lab a number a week


class TriedAlert(msgspec.Struct, frozen=True):
    """An alert that would have been opened: as it was then, and its block in the end.

    window: days; first_day: of that window; score: powers of ten beyond the threshold (0 beside counts).
    """

    number: int
    opened_on: date
    tendency: str
    kind: str
    areas: tuple[str, ...]
    categories: tuple[str, ...]
    window: int
    first_day: date
    observed: float
    expected: float
    score: float
    recurrence_days: float
    areas_in_the_end: tuple[str, ...]
    categories_in_the_end: tuple[str, ...]
    last_day: date
    most_observed: float


class WeekCount(msgspec.Struct, frozen=True):
    """Alerts opened in the week that begins on monday; days: of it that were judged."""

    monday: date
    alerts: int
    days: int


class Outcome(msgspec.Struct, frozen=True):
    """What one choice gives. choice: with all its values; threshold: mean score that counts had to reach.

    tendencies: alerts by tendency; notes: what differs from a replay event by event.
    """

    choice: Settled
    weeks: float
    per_week: float
    alerts: list[TriedAlert]
    by_week: list[WeekCount]
    tendencies: dict[str, int]
    threshold: float
    notes: tuple[str, ...]


def outcome(recording: Recording, choice: Settled, followed: list[Follow], threshold: float) -> Outcome:
    """The alerts of a choice that touch its areas, categories and tendencies."""
    m = recording.meta
    areas = chosen_codes(m.areas, recording.scope.inside, choice.areas)
    categories = chosen_codes(m.categories, recording.scope.part, choice.categories)
    alerts: list[TriedAlert] = []
    for f in followed:
        block = recording.blocks[f.opening.block]
        if areas.isdisjoint(block.areas) or categories.isdisjoint(block.categories):
            continue
        one = tried(recording, f, len(alerts))
        if one.tendency in choice.tendencies:
            alerts.append(one)
    weeks = ((choice.last - choice.first).days + 1) / 7
    counted: dict[str, int] = {}
    for a in alerts:
        counted[a.tendency] = counted.get(a.tendency, 0) + 1
    notes = NOTES + ((RATE_NOTE,) if m.false_discovery_rate else ())
    return Outcome(
        choice, weeks, len(alerts) / weeks, alerts, weekly([a.opened_on for a in alerts], choice.first, choice.last), counted,
        threshold, notes,
    )  # fmt: skip


def tried(recording: Recording, f: Follow, number: int) -> TriedAlert:
    """One alert as a plain value."""
    m, opening = recording.meta, f.opening
    block, end = recording.blocks[opening.block], recording.blocks[f.block]
    window = days_of_signal(recording, opening)
    tendency = f.tendency or ("shift" if window >= SHIFT_DAYS else "cluster" if len(block.areas) > 1 else "surge")
    lead = f.lead
    return TriedAlert(
        number, date_of(f.day), tendency, "report" if block.kind else "incident", tuple(m.areas[a] for a in block.areas),
        tuple(m.categories[c] for c in block.categories), window, date_of(f.window_last - window + 1), opening.observed,
        opening.expectation, opening.score, f.recurrence, tuple(m.areas[a] for a in end.areas),
        tuple(m.categories[c] for c in end.categories), date_of(max(f.last_day, f.day)), max(lead.observed, opening.observed),
    )  # fmt: skip


def days_of_signal(recording: Recording, signal: Signal) -> int:
    """Length of its window: a number of those recorded, or (below 0) days."""
    return -signal.window if signal.window < 0 else recording.meta.windows[signal.window]


def weekly(days: list[date], first: date, last: date) -> list[WeekCount]:
    """How many of the days lie in each week of first..last."""
    monday = first - timedelta(days=first.weekday())
    ordered, out = sorted(days), []
    while monday <= last:
        sunday = monday + timedelta(days=6)
        judged = (min(sunday, last) - max(monday, first)).days + 1
        out.append(WeekCount(monday, bisect_right(ordered, sunday) - bisect_left(ordered, monday), judged))
        monday = sunday + timedelta(days=1)
    return out
