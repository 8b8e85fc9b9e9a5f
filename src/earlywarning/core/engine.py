"""The core's one face: events in, changes out. A runtime's whole duty is to keep the changes together.

The engine holds one municipality. Its clock is event time: it moves on with the recorded times of the events and with
`advance`, never by itself. Days close as the clock passes midnight, so what is counted and judged does not depend on
how the events were cut into batches.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.admission import EventBatch, admit
from earlywarning.core.alert_record import Alert
from earlywarning.core.alerts import AlertBook, Case
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import UNIT, LocalCalendar, hour_of
from earlywarning.core.casework import Verdict
from earlywarning.core.categories import CategoryTree
from earlywarning.core.changes import Changes, Ingested
from earlywarning.core.counts import CountCube, SeriesSpace
from earlywarning.core.data_notes import data_note
from earlywarning.core.detectors.pattern import Scorer
from earlywarning.core.detectors.scan import Blocks
from earlywarning.core.events import AnyEvent, Rejection
from earlywarning.core.explain import explain, uncertainties
from earlywarning.core.intake import Intake, Outcome, came_late, conflicts, last_taken, ledger_columns, take_in, tally
from earlywarning.core.judged import Touched
from earlywarning.core.known_causes import LeftOut
from earlywarning.core.ledger import Ledger
from earlywarning.core.pages import encode_page, ledger_rows
from earlywarning.core.scope import Scope
from earlywarning.core.steps import Steps, first_moment
from earlywarning.core.tallies import EngineSettings, Entries, Tallies
from earlywarning.core.watch import DayKinds, Watch

Ints = NDArray[np.int64]


class Engine:
    """Counts, thresholds and alerts of one municipality."""

    def __init__(
        self,
        register: AreaRegister,
        tree: CategoryTree,
        calendar: LocalCalendar,
        settings: EngineSettings,
        day_kinds: DayKinds | None = None,
        model: Scorer | None = None,
    ) -> None:
        self.register, self.tree, self.calendar, self.settings = register, tree, calendar, settings
        self.codes = {"area": list(register.codes), "category": list(tree.codes), "source": list[str]()}
        self._source_number: dict[str, int] = {}
        self.ledger = Ledger()
        self.space = SeriesSpace(register.ancestors, tree.ancestors)
        self.scope = Scope(self.space, register.neighbours, tree.harm)
        self.book = AlertBook(self.scope, register.municipality, (register.codes, tree.codes))
        self.today: int | None = None
        self.clock_hour = 0
        self._dirty_days, self._finished = set[int](), dict[str, Alert]()
        self._behind = False  # history has come that is not counted yet
        self._last_event: tuple[int, int] | None = None
        left_out = LeftOut((register.codes, tree.codes))
        self.tallies = Tallies(self.scope, self.ledger, calendar, settings, day_kinds, model, left_out=left_out)

    @property
    def cube(self) -> CountCube:
        """The counts of what may raise alerts."""
        return self.tallies.cube

    @property
    def watch(self) -> Watch:
        """The standing thresholds."""
        return self.tallies.watch

    # ---- events in ------------------------------------------------------------------------------------------------

    def ingest(self, events: Sequence[AnyEvent], now: datetime, *, history: bool = False) -> Ingested:
        """Take a batch of decoded events in their order of arrival.

        now: aware wall time, against which "in the future" is judged. history: they tell of the past, as when a municipality
        joins: each counts as known from the day on which it was recorded, and no day of theirs is judged. Applying an
        event twice changes nothing.
        """
        if not events:
            return Ingested([], [])
        if not history:
            self._catch_up()
        batch, rejections = admit(events, register=self.register, tree=self.tree, rules=self.settings.admission, now=now)
        outcomes: list[Outcome] = ["rejected"] * len(events)
        counted: dict[tuple[str, str, str], int] = {}
        late = frozenset[int]()
        if len(batch.position):
            before = 0 if history or self.today is None else self.today
            said = self.take(batch, events, rejections, history)
            counted = tally(batch, said)
            for position, outcome in zip(batch.position.tolist(), said.tolist(), strict=True):
                outcomes[position] = outcome
            arrived = np.maximum(self.calendar.day_of(batch.recorded), before)
            late = came_late(batch, said, arrived - self.calendar.day_of(batch.end), self.settings.watch.lateness)
        newest = {name: int(batch.recorded[batch.source == i].max(initial=0)) for i, name in enumerate(batch.sources)}
        lateness = (batch.kind, np.maximum(batch.recorded - batch.end, 0))
        return Ingested(outcomes, sorted(rejections, key=lambda r: r.index), counted, lateness, newest, late)

    def take(self, batch: EventBatch, events: Sequence[AnyEvent], rejections: list[Rejection], history: bool) -> NDArray[np.str_]:
        """Take events that were let in; returns the outcome of each. events: what the batch's positions point into."""
        arrived = self.calendar.day_of(batch.recorded)
        if not history:
            arrived = np.maximum.accumulate(arrived)
            if self.today is None:
                self._start(int(arrived[0]))
            assert self.today is not None  # noqa: S101  # _start has set it; for the type checker
            arrived = np.maximum(arrived, self.today)
        columns = ledger_columns(batch, arrived, [self.number_of_source(name) for name in batch.sources])
        took = take_in(self.ledger, batch.key, columns, arrived)
        rejections += conflicts(batch, took.said, events)
        self._last_event = last_taken(batch, took.said) or self._last_event
        self._dirty_days.update(self.tallies.stand_on(took.added))
        self._dirty_days.update(self.tallies.days_of(took.removed))
        if history:
            self._stand_after(int(arrived.max()), int(batch.recorded.max()))
        else:
            self._run(batch, arrived, took)
        return took.said

    def number_of_source(self, name: str) -> int:
        """The engine's number of a source; a new one gets the next."""
        number = self._source_number.get(name)
        if number is None:
            number = self._source_number[name] = len(self.codes["source"])
            self.codes["source"].append(name)
        return number

    # ---- time -----------------------------------------------------------------------------------------------------

    def _start(self, day: int) -> None:
        self.today = day
        self.tallies.begin_day(day)

    def advance(self, to: datetime) -> None:
        """Move the clock to an aware instant: days that are over are closed."""
        self._catch_up()
        if self.today is None:
            return
        day = self.calendar.day_at(to)
        if day > self.today:
            self._roll_to(day)
        self.clock_hour = max(self.clock_hour, hour_of(to))

    def _stand_after(self, day: int, hour: int) -> None:
        """History up to `day` is in the ledger; counts and thresholds follow when they are next needed."""
        if self.book.cases and self.today is not None and day > self.today:
            self._catch_up()
            self._roll_to(day)  # followed alerts are brought through every day
        self.today = max(day, self.today or day)
        self.clock_hour = max(self.clock_hour, hour)
        self._behind = True

    def _catch_up(self) -> None:
        """Make counts and thresholds anew after history has come."""
        if self._behind and self.today is not None:
            self._behind = False
            self.tallies.recount(self.today, self.settings)
            self._follow()

    def _roll_to(self, day: int) -> None:
        assert self.today is not None  # noqa: S101  # callers have started
        settings = self.settings.watch
        quiet = self.today + max(settings.windows) + settings.lateness + self.settings.alerts.settle_after + 1
        while self.today < day:
            self._close_day(self.today)
            # After so many days without any event nothing stands any more: go on from the last fit before the new day.
            near = min(day - settings.lateness - 1, self.watch.fit_day(day))
            self._begin_day(self.today + 1 if self.today < quiet else max(self.today + 1, near))

    def _close_day(self, day: int) -> None:
        if self.tallies.close_day(day) and self.watch.ready:
            self._open_alerts(int(self.calendar.first_hour(day + 1)) - 1)
        self._follow()
        if (day + 3) % 7 == 6:  # Sunday
            self._close_week()
        self._look_at_uncertainties()
        for case in self.book.close_day(day, self.watch, self.settings.alerts):
            self._finished[case.alert_id] = self._explained(case)
        self._record_changed()  # as they stood when the day closed, wherever a batch ends

    def _begin_day(self, day: int) -> None:
        self.today = day
        self.tallies.begin_day(day)
        self._open_alerts(int(self.calendar.first_hour(day)))
        self._follow()

    # ---- judging --------------------------------------------------------------------------------------------------

    def _run(self, batch: EventBatch, arrived: Ints, took: Intake) -> None:
        """Apply what a batch did to the ledger, day by day of the clock, and judge what it touched."""
        new_on, gone_on = arrived[took.added_at], arrived[took.removed_at]
        for day in np.unique(arrived).tolist():
            assert self.today is not None  # noqa: S101  # started
            if day > self.today:
                self._roll_to(day)
            self.clock_hour = max(self.clock_hour, int(batch.recorded[arrived == day].max()))
            new, gone = np.flatnonzero(new_on == day), np.flatnonzero(gone_on == day)
            entries = self.tallies.take(took.added[new], took.added_at[new], took.removed[gone], took.removed_at[gone], day)
            if len(entries.day):
                self._judge(entries, batch.recorded)

    def _judge(self, entries: Entries, recorded: Ints) -> None:
        """Count entries of one day; what they do to alerts happens at the event that brings it about, however they were cut."""
        steps = Steps.of(entries, self.space)
        runs, scanned = self._runs(steps)
        for begin, stop in runs:
            self._step(steps, begin, stop, recorded, scanned)
        moved = set(np.unique(steps.series).tolist())
        for case in self.book.cases.values():
            # Facts about the leading block change with any event in it, also with one outside today's windows.
            case.dirty = case.dirty or not moved.isdisjoint(self.scope.series(case.lead.block).tolist())

    def _runs(self, steps: Steps) -> tuple[list[tuple[int, int]], bool]:
        """The runs of events that can be taken at once, and whether any block could be beyond its threshold meanwhile.

        Within one counts only rise, or what is taken away makes no difference to any alert.
        """
        less = steps.less()
        if not less.any():
            return [(0, len(steps))], True
        scanned = False
        if (touched := self._touched(steps, 0, len(steps))) is not None:
            self.cube.add(steps.series[~less], steps.day[~less], steps.units[~less])
            scanned = self._beyond(touched) is not None
            self.cube.add(steps.series[~less], steps.day[~less], -steps.units[~less])
        followed = {s for c in self.book.cases.values() for b in {c.block, c.lead.block} for s in self.scope.series(b).tolist()}
        its = steps.entries
        alone = scanned or not followed.isdisjoint(np.unique(steps.series[less]).tolist())
        alone = alone or bool(self.tallies.tendencies.speaks(its.kind, its.area, its.category).any())
        return list(steps.runs()) if alone else [(0, len(steps))], scanned

    def _hear(self, entries: Entries, recorded: Ints) -> None:
        """Open an alert for each event that says something by itself: severe and rare, or the first of its sort."""
        assert self.today is not None  # noqa: S101  # started
        fresh = (entries.units > 0) & (entries.day > self.today - self.settings.watch.lateness)
        if self.today < self.settings.watch.first_judged or not fresh.any():
            return
        fresh &= self.tallies.tendencies.speaks(entries.kind, entries.area, entries.category)
        for i in np.flatnonzero(fresh).tolist():
            kind, area, category, day = (int(c[i]) for c in (entries.kind, entries.area, entries.category, entries.day))
            said = self.tallies.tendencies.at_event(kind, area, category, day, float(entries.units[i] / UNIT))
            if said is not None and not self.book.heard(said.tendency, said.block, day):
                hour = int(recorded[int(entries.position[i])])
                self.book.open(said, self.today, hour, self.settings.alerts, self.watch)

    def _close_week(self) -> None:
        """Open alerts for what a whole week says."""
        assert self.today is not None  # noqa: S101  # started
        if not self.watch.ready:
            return
        recurrence, hour = self.settings.silence_recurrence_days, int(self.calendar.first_hour(self.today + 1)) - 1
        silent = any(self.tallies.arrivals.silent(kind, self.today + 1, recurrence) for kind in range(self.space.kinds))
        for said in self.tallies.tendencies.at_week(self.watch, silent):
            if not self.book.heard(said.tendency, said.block, self.today):
                self.book.open(said, self.today, hour, self.settings.alerts, self.watch)

    def _touched(self, steps: Steps, begin: int, stop: int) -> Touched | None:
        """What some events touch that lies in a window that ends today; None when that is nothing, or nothing is judged."""
        assert self.today is not None  # noqa: S101  # started
        return steps.touched(begin, stop, self.today - max(self.settings.watch.windows) + 1) if self.watch.ready else None

    def _beyond(self, touched: Touched | None) -> Blocks | None:
        """Blocks around what is touched beyond the threshold that no followed alert covers, the most unusual first."""
        blocks = self.book.covered()
        return self.watch.beyond(self.watch.cover(blocks) if blocks and self.watch.ready else None, touched)

    def _step(self, steps: Steps, begin: int, stop: int, recorded: Ints, scanned: bool) -> None:
        """Count a run of events as far as needed to open each alert, and to have one come back, at the event that does it."""

        def count(low: int, high: int, sign: int) -> None:
            part = steps.part(low, high)
            self.cube.add(steps.series[part], steps.day[part], sign * steps.units[part])

        def happens(low: int, high: int) -> bool:
            touched = self._touched(steps, low, high) if scanned else None
            return (touched is not None and self._beyond(touched) is not None) or self.book.comes_back(self.watch, self._reached)

        while begin < stop:
            moment = first_moment(begin, stop, count, happens)
            high = stop if moment is None else moment
            if scanned and moment is not None and (touched := self._touched(steps, begin, high)) is not None:
                self._open_alerts(int(recorded[int(steps.position[steps.edges[high] - 1])]), touched)
            self._hear(steps.entries_of(begin, high), recorded)
            self._follow()
            begin = high

    def _open_alerts(self, hour: int, touched: Touched | None = None) -> None:
        """Open an alert for each signal that none covers, the most unusual first."""
        assert self.today is not None  # noqa: S101  # started
        while (found := self._beyond(touched)) is not None:
            self.book.open(self.watch.signal(found, self.watch.leading(found)), self.today, hour, self.settings.alerts, self.watch)
            self.tallies.discoveries.append(self.today)

    @property
    def _reached(self) -> int:
        """The first day that corrections still reach."""
        assert self.today is not None  # noqa: S101  # started
        return self.today - self.settings.watch.lateness

    def _follow(self) -> None:
        assert self.today is not None  # noqa: S101  # started
        self.book.follow(self.watch, self.today, self._reached, self.settings.alerts)

    def _look_at_uncertainties(self) -> None:
        """What is uncertain about the alerts that changed today: known from closed days, so the same all day."""
        assert self.today is not None  # noqa: S101  # started
        for case in self.book.cases.values():
            if case.dirty and case.updated_day == self.today:
                silent = self.tallies.arrivals.silent(case.lead.block.kind, self.today, self.settings.silence_recurrence_days)
                case.uncertainties = uncertainties(case.lead, self.watch, silent, self.codes["source"], self.tallies.quality)

    # ---- changes out ----------------------------------------------------------------------------------------------

    def _explained(self, case: Case) -> Alert:
        record = self.book.record(case, self.settings.alerts, self.watch)
        return explain(record, case, watch=self.watch, register=self.register, tree=self.tree)

    def _record_changed(self) -> None:
        for case in self.book.cases.values():
            if case.dirty:
                self._finished[case.alert_id] = self._explained(case)
                case.dirty = False

    def changes(self) -> Changes:
        """What has changed since the last call: to be kept together, or not at all."""
        if self.today is not None:
            self._look_at_uncertainties()
        self._record_changed()
        pages, events = {}, {}
        for day in sorted(self._dirty_days):
            rows = self.ledger.on_day(day)
            pages[day] = encode_page(day, rows, self.codes)
            events[day] = len(rows)
        history, self.book.changes = self.book.changes, []
        noted, self.tallies.quality.fresh_notes = self.tallies.quality.fresh_notes, []
        finished, self._finished, self._dirty_days = self._finished, {}, set()
        return Changes(
            municipality=self.register.municipality,
            pages=pages,
            page_events=events,
            alerts=list(finished.values()),
            history=history,
            clock_day=self.today if self.today is not None else 0,
            clock_hour=self.clock_hour,
            notes=[data_note(n, self.register.municipality, self.codes) for n in noted],
            last_event=self._last_event,
        )

    # ---- the group's answers --------------------------------------------------------------------------------------

    def answer(self, verdicts: Sequence[Verdict]) -> list[Verdict]:
        """Heed what the group has explained, from the next fit on. Returns what is new of it, as it is to be kept."""
        return self.tallies.left_out.hear(verdicts, self.today)

    # ---- rebuilding -----------------------------------------------------------------------------------------------

    def restore(
        self,
        pages: Sequence[bytes],
        alerts: Sequence[Alert],
        noted: Mapping[str, float],
        clock_day: int,
        clock_hour: int,
        opened: Sequence[int] = (),
        verdicts: Sequence[Verdict] = (),
    ) -> None:
        """Rebuild the engine from its pages and the alerts that are still followed, on the clock's day.

        opened: local days on which alerts about counts were ever opened; they matter where a false discovery rate is held.
        verdicts: all that were given, in their order. Raises PageError when a page is damaged.
        """
        columns = ledger_rows(pages, self.codes, self.number_of_source)
        numbers = self.ledger.append(columns)
        order = np.argsort(columns["revision"], kind="stable")  # the highest revision is put last and found
        self.ledger.index.put(columns["key"][order].astype(np.uint64), numbers[order])
        self.tallies.stand_on(numbers)
        self.clock_hour = clock_hour
        self.today = clock_day
        self.tallies.discoveries[:] = opened
        self.tallies.left_out.hear(verdicts, None)
        self.tallies.recount(clock_day, self.settings)
        self.book.restore(list(alerts), noted)
        self._follow()

    def configure(self, settings: EngineSettings, day_kinds: DayKinds | None = None) -> None:
        """Put new settings in force: counts and thresholds are made anew from the ledger, alerts go on."""
        self.settings = settings
        self.tallies.day_kinds = day_kinds
        if self.today is not None:
            self._behind = False
            self.tallies.recount(self.today, settings)
            self._follow()  # at once, as after a restart with them
