"""What would the settings have given? A history is judged day by day with what had been recorded by then."""

import csv
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import IO, NamedTuple

from earlywarning.core.alert_record import Alert
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar, date_of, day_number, instant_of
from earlywarning.core.categories import ROOT, CategoryTree
from earlywarning.core.detectors.pattern import Scorer
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from earlywarning.core.tallies import EngineSettings
from earlywarning.core.watch import DayKinds
from earlywarning.lab.backtest_files import Refused

ALERT_COLUMNS = (
    "alert_id", "opened_on", "areas", "categories", "tendency", "kind", "window", "first_day", "last_day", "observed",
    "expected", "upper_bound", "p_value", "recurrence_days", "state", "areas_in_the_end", "categories_in_the_end",
)  # fmt: skip
_BATCH = 20_000
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)  # a back-test has no present against which an event could lie in the future


class BacktestError(ValueError):
    """A back-test that cannot say anything; says why, and the way out."""


class Opened(NamedTuple):
    """An alert as it was when it was opened, and in the end."""

    first: Alert
    last: Alert


class Backtest(NamedTuple):
    """alerts: those opened on the days first..last, in order. events: how many were recorded until then."""

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
    recorded before `first` is history: it makes baselines, and raises nothing. Raises BacktestError when nothing can be
    judged.
    """
    if not events:
        raise BacktestError("there are no events to judge; see why they were left out, or name other files")
    oldest, newest = (date_of(calendar.day_at(events[i].recorded_at)) for i in (0, -1))
    if last is not None and last < first:
        raise BacktestError(f"the last judged day, {last}, lies before the first, {first}; turn --from and --to round")
    if not oldest < first <= newest:
        raise BacktestError(f"the first judged day, {first}, must lie within what was recorded: after {oldest}, up to {newest}")
    end = min(last or newest, newest)
    stop = bisect_right(events, day_number(end), key=lambda e: calendar.day_at(e.recorded_at))
    chosen = settings._replace(watch=settings.watch._replace(first_judged=day_number(first)))
    engine = Engine(register, tree, calendar, chosen, day_kinds, model)
    refused = Refused.none()
    for begin in range(0, stop, _BATCH):
        for rejection in engine.ingest(events[begin : min(begin + _BATCH, stop)], _LATEST).rejections:
            refused.add(rejection, f"event {rejection.event_id} of source {rejection.source}")
    if refused.counts.total() == stop:
        raise BacktestError("\n".join(["none of the events could be used", *refused.words()]))
    engine.advance(instant_of(int(calendar.first_hour(day_number(end) + 1))))
    if not engine.watch.ready:
        need = chosen.watch.min_years
        raise BacktestError(
            f"nothing could be judged by {end}: less than {need} years of history lie before it (detection.min_years); "
            f"the first event was recorded on {oldest}"
        )
    return Backtest(_opened(engine, first, end), stop, refused, first, end)


def _opened(engine: Engine, first: date, last: date) -> list[Opened]:
    """The alerts that the engine noted. Asked once, in the end: then they say what they said at their opening, too."""
    changes = engine.changes()
    in_the_end = {a.alert_id: a for a in changes.alerts}
    noted = [c.alert for c in changes.history if c.change == "opened" and first <= c.on <= last]
    noted.sort(key=lambda a: (a.opened_at, a.alert_id))
    return [Opened(a, in_the_end.get(a.alert_id, a)) for a in noted]


def write_alerts(found: Backtest, register: AreaRegister, out: IO[str]) -> None:
    """Alerts as CSV, as they were when they were opened. Lists are ;-separated codes, * is everything."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(ALERT_COLUMNS)

    def codes(values: Sequence[str]) -> str:
        return ";".join("*" if v in (ROOT, register.municipality) else v for v in values)

    for a, end in found.alerts:
        writer.writerow(
            [
                a.alert_id, a.opened_on.isoformat(), codes(a.areas), codes(a.categories), a.tendency, a.kind, a.window,
                a.first_day.isoformat(), a.last_day.isoformat(), f"{a.observed:g}", f"{a.expected:.3f}",
                f"{a.upper_bound:g}", f"{a.p_value:.3g}", f"{a.recurrence_days:.1f}", end.state, codes(end.areas),
                codes(end.categories),
            ]
        )  # fmt: skip
