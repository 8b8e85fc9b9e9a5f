"""One municipality on Kafka: messages in, records and outgoing messages out. No connection and no clock of its own."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Self

import msgspec

from earlywarning import __version__
from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.alerts import SCANNED, last_noted
from earlywarning.core.calendar import day_number
from earlywarning.core.casework import Verdict
from earlywarning.core.changes import Changes, DeadLetter, Ingested
from earlywarning.core.engine import Engine
from earlywarning.core.events import Decoded
from earlywarning.core.method import METHOD
from earlywarning.runtimes.assembly import engine_settings, make_engine
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.runtimes.forgetting import first_day_kept, refuse_before
from earlywarning.runtimes.kafka.journal import Journal, Outgoing, Position, Write
from earlywarning.runtimes.kafka.messages import AlertMessage, Arrived, ClockMessage, LetterMessage, PageMessage
from earlywarning.runtimes.taking import Taken, take_supplies
from earlywarning.settings import Settings
from earlywarning.sources.supply import Supply

MOST_EVENTS, MOST_DAYS = 5_000, 200  # of one step, so that its journal stays a few megabytes
_DAY = 86_400


class KeptAlert(msgspec.Struct, frozen=True):
    """An alert that is followed. noted: the leading count that its history last told."""

    alert: Alert
    noted: float


class Step(NamedTuple):
    """One step of the state: records to write, in this order, then messages to send; and what is measured of it."""

    writes: list[Write]
    outgoing: list[Outgoing]
    changes: Changes
    taken: Sequence[Taken] = ()
    result: Ingested = Ingested([], [])


_kept = msgspec.json.Decoder(KeptAlert)
_verdicts = msgspec.json.Decoder(list[Verdict])


class Municipality:
    """An engine with its journal."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        self.settings = settings
        self.engine: Engine = make_engine(settings, now)
        self.journal = Journal()
        self._noted: dict[str, float] = {}
        self._pages: dict[int, bytes] = {}  # changed, not published yet

    @classmethod
    def restore(cls, settings: Settings, records: Mapping[str, bytes], now: datetime) -> Self:
        """From its records (key within the municipality to value) as after its last step.

        Raises JournalError, PageError, and what the settings can raise.
        """
        self = cls(settings, now)
        self.journal, state = Journal.read(records)
        entry = self.journal.entry
        alerts = []
        for key, value in state.items():
            if key.startswith("alert/"):
                kept = _kept.decode(value)
                alerts.append(kept.alert)
                self._noted[kept.alert.alert_id] = kept.noted
        pages = {int(key.removeprefix("day/")): value for key, value in state.items() if key.startswith("day/")}
        self._pages = {day: pages[day] for day in entry.unsent}
        if entry.clock_day:
            in_order = [pages[day] for day in sorted(pages)]
            alerts.sort(key=lambda a: a.alert_id)
            verdicts = [v for key, value in state.items() if key.startswith("verdict/") for v in _verdicts.decode(value)]
            self.engine.restore(in_order, alerts, self._noted, entry.clock_day, entry.clock_hour, entry.opened, verdicts)
        self._refuse_forgotten()
        return self

    def read(self, topic: str) -> Position:
        """How far a topic was read for this municipality."""
        return self.journal.entry.positions.get(topic, Position(0))

    # ---- steps ----------------------------------------------------------------------------------------------------

    def take(self, messages: Sequence[Arrived], now: datetime) -> Iterator[Step]:
        """Take messages in their order; those that were taken before change nothing. One step for each few thousand events."""
        for part in _cut([m for m in messages if m.offset >= self.read(m.topic).offset], self.read):
            supplies = [Supply(p.decoded, f"kafka:{p.message.topic}/{p.message.partition}@{p.message.offset}") for p in part]
            taken, result, letters = take_supplies(self.engine, supplies, now, history=part[0].message.history)
            for p in part:
                self.journal.entry.positions[p.message.topic] = p.after
            yield self._step(letters, taken, result)

    def heed(self, verdicts: Sequence[Verdict]) -> Step | None:
        """Heed what the group has explained; None when all of it was known."""
        new = self.engine.answer(verdicts)
        if not new:
            return None
        for name in {v.alert_id for v in new}:
            of_alert = [v for v in self.engine.tallies.left_out.verdicts if v.alert_id == name]
            self.journal.keep(f"verdict/{name}", msgspec.json.encode(of_alert))
        return self._step()

    def advance(self, to: datetime) -> Step | None:
        """Close the days that are over at `to`; None when that changes nothing."""
        if self.engine.today is None or self.engine.calendar.day_at(to) <= self.engine.today:
            return None
        self.engine.advance(to)
        return self._step()

    def forget(self) -> Step | None:
        """Take out days whose events have been kept long enough; None when there are none.

        The engine still has them: it is to be made anew from the records (`restore`) once this step is written.
        """
        engine = self.engine
        if engine.today is None:
            return None
        floor = first_day_kept(self.settings, engine.today)
        if floor <= self.journal.entry.floor:
            return None  # what happened over several days stands on earlier ones as well, until its last one goes
        days = [day for day in engine.ledger.days() if day < floor][:MOST_DAYS]
        if not days:
            return None
        self.journal.entry.floor = max(self.journal.entry.floor, min(floor, days[-1] + 1))
        for day in days:
            self.journal.keep(f"day/{day}", None)
            self.journal.entry.unsent.pop(day, None)
            self._pages.pop(day, None)
        return self._step(taken_back=days)

    def _refuse_forgotten(self) -> None:
        if self.journal.entry.floor:
            refuse_before(self.engine, self.journal.entry.floor)

    def configure(self, settings: Settings, now: datetime, records: Mapping[str, bytes]) -> Self:
        """Put new settings in force; returns the municipality that has them. Raises what the settings can raise."""
        old = self.settings
        if (settings.municipality, settings.registers) != (old.municipality, old.registers) or settings.folder != old.folder:
            return type(self).restore(settings, records, now)
        engine = self.engine
        engine.configure(engine_settings(settings, now, engine.register, engine.tree), day_calendar(settings))
        self.settings = settings
        self._refuse_forgotten()
        return self

    def refuse(self, message: Arrived, letters: Sequence[DeadLetter]) -> Step:
        """Pass over a message that cannot be taken: it becomes dead letters."""
        self.journal.entry.positions[message.topic] = Position(message.offset + 1)
        return self._step(letters)

    # ---- what is written ------------------------------------------------------------------------------------------

    def _step(
        self,
        letters: Sequence[DeadLetter] = (),
        taken: Sequence[Taken] = (),
        result: Ingested | None = None,
        taken_back: Sequence[int] = (),
    ) -> Step:
        changes = self.engine.changes()
        entry, journal = self.journal.entry, self.journal
        before = entry.number
        entry.clock_day, entry.clock_hour = changes.clock_day, changes.clock_hour
        for day, page in changes.pages.items():
            journal.keep(f"day/{day}", page)
            entry.unsent[day] = changes.page_events[day]
            self._pages[day] = page
        self._keep_alerts(changes)
        for letter in letters:
            message = LetterMessage(letter=letter, number=journal.next_number())
            journal.send("dead-letters", changes.municipality, msgspec.json.encode(message))
        for note in changes.notes:
            journal.next_number()
            journal.send("statistics", f"{changes.municipality}/note/{note.note_id}", msgspec.json.encode(note))
        for day in taken_back:
            journal.next_number()
            journal.send("statistics", f"{changes.municipality}/day/{day}", b"")
        writes = list(journal.writes())
        return Step(writes, [o for o in entry.outgoing if o.number > before], changes, taken, result or Ingested([], []))

    def _keep_alerts(self, changes: Changes) -> None:
        entry = self.journal.entry
        history: dict[str, list[AlertChange]] = {}
        for change in changes.history:
            history.setdefault(change.alert.alert_id, []).append(change)
            if change.change == "opened" and change.alert.tendency in SCANNED:
                day = day_number(change.alert.opened_on)
                entry.opened = sorted({*entry.opened, day})
        latest = {name: told[-1].alert for name, told in history.items()} | {a.alert_id: a for a in changes.alerts}
        for name, alert in latest.items():
            told = history.get(name, [])
            self._noted[name] = last_noted(told, self._noted.get(name, -1.0))
            self.journal.keep(f"alert/{name}", msgspec.json.encode(KeptAlert(alert, self._noted[name])))
            number = self.journal.next_number()
            message = AlertMessage(municipality=changes.municipality, number=number, alert=alert, changes=told)
            self.journal.send("alerts", name, msgspec.json.encode(message))
        for name in [name for name in self._noted if name not in self.engine.book.cases]:  # settled, or let go in silence
            del self._noted[name]
            self.journal.keep(f"alert/{name}", None)

    def unsent_pages(self) -> list[PageMessage]:
        """Pages that have changed since they were last published."""
        entry, municipality = self.journal.entry, self.engine.register.municipality
        return [
            PageMessage(municipality=municipality, day=day, events=events, page=self._pages[day])
            for day, events in sorted(entry.unsent.items())
        ]

    def clock(self) -> ClockMessage:
        """Where the clock stands."""
        entry, municipality = self.journal.entry, self.engine.register.municipality
        return ClockMessage(
            municipality=municipality, clock_day=entry.clock_day, clock_hour=entry.clock_hour, method=METHOD, program=__version__
        )

    def published(self, page: PageMessage) -> None:
        """A page is on the brokers; one that has changed since stays to be published."""
        if self._pages.get(page.day) is page.page:
            del self._pages[page.day], self.journal.entry.unsent[page.day]


class _Part(NamedTuple):
    message: Arrived
    decoded: Decoded
    after: Position


def _cut(messages: Sequence[Arrived], read: object) -> Iterator[list[_Part]]:
    """Messages as steps of a bounded number of events and days, each of history or of news only."""
    part: list[_Part] = []
    events, days, history = 0, set[int](), False
    begun: dict[str, Position] = {}
    for message in messages:
        done = begun.setdefault(message.topic, read(message.topic))  # type: ignore[operator]
        first = done.events if done.offset == message.offset else 0
        for decoded, after in _pieces(message, first):
            told = {_day(e) for e in decoded.events}
            if part and (events + len(decoded.events) > MOST_EVENTS or len(days | told) > MOST_DAYS or history != message.history):
                yield part
                part, events, days = [], 0, set()
            part.append(_Part(message, decoded, after))
            events, days, history = events + len(decoded.events), days | told, message.history
    if part:
        yield part


def _pieces(message: Arrived, first: int) -> Iterator[tuple[Decoded, Position]]:
    """The events of a message from the first one not taken yet, in pieces that a step can hold."""
    events, positions, rejections = message.decoded
    begin, days = first, set[int]()
    for i in range(first, len(events)):
        days.add(_day(events[i]))
        if i > begin and (len(days) > MOST_DAYS or i - begin >= MOST_EVENTS):
            yield Decoded(events[begin:i], positions[begin:i], rejections if begin == 0 else []), Position(message.offset, i)
            begin, days = i, {_day(events[i])}
    yield Decoded(events[begin:], positions[begin:], rejections if begin == 0 else []), Position(message.offset + 1)


def _day(event: object) -> int:
    when = event.occurred_at or event.occurred_from or event.recorded_at  # type: ignore[attr-defined]
    return int(when.timestamp()) // _DAY
