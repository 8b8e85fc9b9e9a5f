"""The ledger as a log of events: taken once more, in the order in which they came, by an engine that has seen nothing.

A row says on which local day it arrived, and in which hour it was recorded; within an hour the order of arrival is not kept,
and a revision that was replaced on the day it arrived has left no row. So what is re-enacted is exact in all that days and
hours decide, and may differ in what the order within an hour decided: see `Reenacted`.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.admission import EventBatch, digest
from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.calendar import LocalCalendar, instant_of
from earlywarning.core.casework import Verdict
from earlywarning.core.data_notes import DataNote
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from earlywarning.core.ledger import STANDING, Ledger
from earlywarning.core.pages import encode_page, ledger_rows

Columns = dict[str, NDArray[Any]]
_EVENT = ("key", "revision", "start", "end", "recorded", "area", "category", "source", "kind", "origin", "severity", "concern")


class Happening(NamedTuple):
    """Something else than an event: on which local day, in which hour (since 1970), and what it does to the engine.

    after: key and revision of the last event before it, where that is known; pages keep no order in which to find it.
    """

    day: int
    hour: int
    happen: Callable[[Engine], None]
    after: tuple[int, int] | None = None


class Came(NamedTuple):
    """Events in the order in which they came. days: the local day on which each did; -1 where that is not known, or was the day of
    its recording."""

    events: Sequence[AnyEvent]
    days: Sequence[int]


class Reenacted:
    """What came of it: alerts as they last stood, their history, pages of all days, notes, and the clock."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.alerts: dict[str, Alert] = {}
        self.history: list[AlertChange] = []
        self.notes: dict[str, DataNote] = {}

    def keep(self) -> None:
        """Take over what the engine has changed."""
        changes = self.engine.changes()
        self.alerts.update({a.alert_id: a for a in changes.alerts})
        self.history += changes.history
        self.notes.update({n.note_id: n for n in changes.notes})

    def pages(self) -> dict[int, bytes]:
        """The pages of all days."""
        ledger = self.engine.ledger
        held = {day: ledger.on_day(day) for day in ledger.days()}
        return {day: encode_page(day, rows, self.engine.codes) for day, rows in held.items() if len(rows)}

    @property
    def clock(self) -> tuple[int, int]:
        """Local day and hour."""
        return self.engine.today or 0, self.engine.clock_hour


def heard(verdicts: Iterable[Verdict], day_of: Callable[[Verdict], int], calendar: LocalCalendar) -> list[Happening]:
    """Verdicts of the group as happenings of the days on which they were given: a fit heeds those of the days before it."""

    def hear(verdict: Verdict) -> Callable[[Engine], None]:
        def happen(engine: Engine) -> None:
            engine.answer([verdict])

        return happen

    return [Happening(day_of(v), int(calendar.first_hour(day_of(v))), hear(v)) for v in verdicts]


def reenact_pages(
    engine: Engine,
    pages: Sequence[bytes],
    happenings: Sequence[Happening],
    judged_from: int,
    clock: tuple[int, int],
    opened: Sequence[int] = (),
) -> Reenacted:
    """Take the rows of pages once more, day by day.

    engine: a fresh one with the settings that were in force on day `judged_from`, the first that is judged; what arrived
    before is taken as known then. clock: day and hour at which it ends. opened: days before `judged_from` on which alerts about
    counts were opened. Raises PageError.
    """
    rows = ledger_rows(pages, engine.codes, engine.number_of_source)
    columns: Columns = {name: values if name == "key" else values.astype(np.int64) for name, values in rows.items()}
    before: NDArray[np.bool_] = np.asarray(columns["arrived"] < judged_from)
    happenings = sorted(happenings, key=lambda h: (h.day, h.hour))
    out = Reenacted(engine)
    if before.any():
        known = {name: values[before] for name, values in columns.items()}
        known["superseded"] = np.where(known["superseded"] >= judged_from, STANDING, known["superseded"])
        last = int(columns["recorded"][before].max())
        engine.restore(_pages_of(engine, known), [], {}, judged_from - 1, last, opened)
    for h in happenings:
        if h.day < judged_from:
            h.happen(engine)
    if before.any():
        engine.advance(instant_of(int(engine.calendar.first_hour(judged_from))))
        _forget(engine, judged_from, out)
    later = {name: values[~before] for name, values in columns.items()}
    happenings = [h for h in happenings if h.day >= judged_from]
    for day in sorted({*np.unique(later["arrived"]).tolist(), *(h.day for h in happenings)}):
        if engine.today is not None:
            engine.advance(instant_of(int(engine.calendar.first_hour(day))))
        _one_day(engine, _of_day(later, day), [h for h in happenings if h.day == day])
        out.keep()
    _end(out, clock)
    return out


def _forget(engine: Engine, judged_from: int, out: Reenacted) -> None:
    """Alerts of days that are not judged."""
    book = engine.book
    book.cases = {name: case for name, case in book.cases.items() if case.opened_day >= judged_from}
    out.keep()
    out.alerts = {name: alert for name, alert in out.alerts.items() if name in book.cases}
    out.history = [change for change in out.history if change.alert.alert_id in book.cases]


def _of_day(columns: Columns, day: int) -> Columns:
    its = np.flatnonzero(columns["arrived"] == day)
    order = its[np.lexsort((columns["key"][its], columns["recorded"][its]))]
    return {name: values[order] for name, values in columns.items()}


def _one_day(engine: Engine, columns: Columns, happenings: Sequence[Happening]) -> None:
    begin, size = 0, len(columns["key"])
    for h in happenings:
        stop = int(np.searchsorted(columns["recorded"], h.hour, side="left"))
        _take(engine, {name: values[begin:stop] for name, values in columns.items()})
        begin = max(begin, stop)
        h.happen(engine)
    if begin < size:
        _take(engine, {name: values[begin:] for name, values in columns.items()})


def _take(engine: Engine, columns: Columns) -> None:
    if not len(columns["key"]):
        return
    given = {name: columns[name] for name in _EVENT}
    batch = EventBatch(
        position=np.arange(len(columns["key"])),
        retraction=columns["retracted"].astype(bool),
        sources=tuple(engine.codes["source"]),
        **given,
    )
    engine.take(batch, [], [], False)


def _pages_of(engine: Engine, columns: Columns) -> list[bytes]:
    ledger = Ledger()
    numbers = ledger.append(columns)
    event, day, _ = engine.calendar.spread(columns["start"].astype(np.int64), columns["end"].astype(np.int64))
    ledger.stand_on(numbers[event], day)
    return [encode_page(d, ledger.on_day(d), engine.codes) for d in ledger.days()]


def reenact_events(
    engine: Engine,
    batches: Iterable[Came],
    happenings: Sequence[Happening],
    judged_from: int,
    clock: tuple[int, int],
) -> Reenacted:
    """Take events once more as the suppliers sent them, in their order; those recorded before `judged_from` as history."""
    out = Reenacted(engine)
    waiting = sorted((h for h in happenings if h.after is None), key=lambda h: (h.day, h.hour))
    placed: dict[tuple[int, int], list[Happening]] = {}
    for h in happenings:
        if h.after is not None:
            placed.setdefault(h.after, []).append(h)
    now = instant_of(max(clock[1], int(engine.calendar.first_hour(clock[0]))) + 48)
    reached = reached_day = -1

    def happen(happening: Happening) -> None:
        if engine.today is not None and happening.day > engine.today:
            engine.advance(instant_of(int(engine.calendar.first_hour(happening.day))))
        happening.happen(engine)

    for events, days in batches:
        begin = 0
        for i, event in enumerate(events):
            hour = int(event.recorded_at.timestamp()) // 3600
            later = days[i] > reached_day and days[i] > engine.calendar.day_at(event.recorded_at)
            reached = max(reached, hour, int(engine.calendar.first_hour(days[i])) if later else hour)
            if later or (waiting and waiting[0].hour <= reached):
                _ingest(engine, events[begin:i], now, judged_from)
                begin = i
                while waiting and waiting[0].hour <= reached:
                    happen(waiting.pop(0))
            if later:
                reached_day = days[i]
                engine.advance(instant_of(int(engine.calendar.first_hour(reached_day))))
            if placed and (key := (_key(event), event.revision)) in placed:
                _ingest(engine, events[begin : i + 1], now, judged_from)
                begin = i + 1
                for happening in placed.pop(key):
                    happen(happening)
        _ingest(engine, events[begin:], now, judged_from)
        out.keep()
    for happening in waiting:
        happen(happening)
    _end(out, clock)
    return out


def _key(event: AnyEvent) -> int:
    return int.from_bytes(digest(event.source, event.event_id), "little")


def _ingest(engine: Engine, events: Sequence[AnyEvent], now: datetime, judged_from: int) -> None:
    past = [engine.calendar.day_at(e.recorded_at) < judged_from for e in events]
    begin = 0
    for i in range(1, len(events) + 1):
        if i == len(events) or past[i] != past[begin]:
            engine.ingest(events[begin:i], now, history=past[begin])
            begin = i


def _end(out: Reenacted, clock: tuple[int, int]) -> None:
    engine, (day, hour) = out.engine, clock
    if engine.today is not None and day > engine.today:
        engine.advance(instant_of(int(engine.calendar.first_hour(day))))
    engine.clock_hour = max(engine.clock_hour, hour)
    out.keep()
