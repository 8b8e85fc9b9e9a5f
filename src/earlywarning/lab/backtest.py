"""What would the settings have given? A history is judged day by day with what had been recorded by then."""

import csv
from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import IO, Any, NamedTuple

from earlywarning.core.alert_record import Alert
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar, day_number
from earlywarning.core.categories import ROOT, CategoryTree
from earlywarning.core.changes import Ingested
from earlywarning.core.detectors.pattern import Scorer
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from earlywarning.core.tallies import EngineSettings
from earlywarning.core.watch import DayKinds
from earlywarning.lab.backtest_files import Refused
from earlywarning.lab.judged_days import LabError, feed, judged_days

ALERT_TYPES: dict[str, type] = {
    "alert_id": str, "opened_on": date, "areas": list, "categories": list, "tendency": str, "kind": str, "window": int,
    "first_day": date, "last_day": date, "observed": float, "expected": float, "upper_bound": float, "p_value": float,
    "recurrence_days": float, "state": str, "areas_in_the_end": list, "categories_in_the_end": list,
}  # fmt: skip
ALERT_COLUMNS = tuple(ALERT_TYPES)


class Opened(NamedTuple):
    """An alert as it was when it was opened, and in the end."""

    first: Alert
    last: Alert


class Backtest(NamedTuple):
    """alerts: those opened on the days first..last, in order. events: how many were recorded until then.

    first: the day that was asked for, or the first of them before which there was history enough.
    """

    alerts: list[Opened]
    events: int
    refused: Refused
    first: date
    last: date

    @property
    def weeks(self) -> float:
        """Length of the judged time."""
        return ((self.last - self.first).days + 1) / 7

    @property
    def per_week(self) -> float:
        """Alerts a week."""
        return len(self.alerts) / self.weeks

    @property
    def tendencies(self) -> Counter[str]:
        """How many alerts were opened for each tendency."""
        return Counter(a.first.tendency for a in self.alerts)


def backtest(
    register: AreaRegister,
    tree: CategoryTree,
    calendar: LocalCalendar,
    settings: EngineSettings,
    events: Sequence[AnyEvent],
    first: date,
    last: date | None = None,
    day_kinds: DayKinds | None = None,
    model: Scorer | None = None,
) -> Backtest:
    """Feed events in their order of recording to an engine of its own, and keep the alerts opened on first..last.

    events: sorted by recorded_at; those recorded after `last` (default: the newest day) are not looked at. What was
    recorded before `first` is history: it makes baselines, and raises nothing; days before there is history enough raise
    nothing either. Raises LabError when nothing can be judged.
    """
    days = judged_days(events, calendar, first, last)
    chosen = settings._replace(watch=settings.watch._replace(first_judged=day_number(first)))
    engine = Engine(register, tree, calendar, chosen, day_kinds, model)
    refused = Refused.none()

    def heard(said: Ingested) -> None:
        for rejection in said.rejections:
            refused.add(rejection, f"event {rejection.event_id} of source {rejection.source}")

    feed(engine, events, days, heard)
    if refused.counts.total() == days.events:
        raise LabError("\n".join(["none of the events could be used", *refused.words()]))
    able = days.that_could_be_judged(engine.watch)
    return Backtest(_opened(engine, able.first, able.last), able.events, refused, able.first, able.last)


def _opened(engine: Engine, first: date, last: date) -> list[Opened]:
    """The alerts that the engine noted. Asked once, in the end: then they say what they said at their opening, too."""
    changes = engine.changes()
    in_the_end = {a.alert_id: a for a in changes.alerts}
    noted = [c.alert for c in changes.history if c.change == "opened" and first <= c.on <= last]
    noted.sort(key=lambda a: (a.opened_at, a.alert_id))
    return [Opened(a, in_the_end.get(a.alert_id, a)) for a in noted]


def alert_rows(found: Backtest, register: AreaRegister) -> list[dict[str, Any]]:
    """Alerts as rows of ALERT_TYPES, as they were when they were opened. Lists of codes; * is everything."""

    def codes(values: Sequence[str]) -> list[str]:
        return ["*" if v in (ROOT, register.municipality) else v for v in values]

    return [
        {
            **{name: getattr(a, name) for name in ALERT_COLUMNS[:14]}, "areas": codes(a.areas), "categories": codes(a.categories),
            "state": end.state, "areas_in_the_end": codes(end.areas), "categories_in_the_end": codes(end.categories),
        }
        for a, end in found.alerts
    ]  # fmt: skip


def write_alerts(found: Backtest, register: AreaRegister, out: IO[str]) -> None:
    """The same as CSV; lists are ;-separated."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(ALERT_COLUMNS)
    shown = {"observed": "g", "expected": ".3f", "upper_bound": "g", "p_value": ".3g", "recurrence_days": ".1f"}
    for row in alert_rows(found, register):
        cells = {name: ";".join(value) if isinstance(value, list) else value for name, value in row.items()}
        writer.writerow([format(cells[name], shown.get(name, "")) for name in ALERT_COLUMNS])
