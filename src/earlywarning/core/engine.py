"""The core's one face: events in, changes out. A runtime's whole duty is to keep the changes together.

The engine holds one municipality. Its clock is event time: it moves on with the recorded times of the events and with
`advance`, never by itself. Days close as the clock passes midnight, so what is counted and judged does not depend on
how the events were cut into batches.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.core.admission import AdmissionRules, EventBatch, admit
from earlywarning.core.alert_record import Alert, Uncertainty
from earlywarning.core.alerts import AlertBook, AlertSettings, Case, Member, rank
from earlywarning.core.areas import AreaRegister
from earlywarning.core.arrivals import Arrivals
from earlywarning.core.calendar import UNIT, LocalCalendar, date_of, hour_of
from earlywarning.core.categories import CategoryTree
from earlywarning.core.changes import Changes
from earlywarning.core.counts import CountCube, SeriesSpace
from earlywarning.core.detectors.threshold import chance, status_note
from earlywarning.core.events import KINDS, AnyEvent, Rejection, rejection
from earlywarning.core.explain import explain
from earlywarning.core.ledger import CONTENT, STANDING, Ledger
from earlywarning.core.pages import decode_page, encode_page, join_pages
from earlywarning.core.watch import Standing, Watch, WatchSettings

Ints = NDArray[np.int64]
Outcome = Literal["accepted", "repeated", "replaced", "rejected"]
NOTED_SHARE = 0.02  # a share of late events below this is not worth a person's attention


class EngineSettings(NamedTuple):
    """What the municipality's settings say to the core. origins: numbers of the origins that may raise alerts."""

    admission: AdmissionRules = AdmissionRules()
    watch: WatchSettings = WatchSettings()
    alerts: AlertSettings = AlertSettings()
    origins: tuple[int, ...] = (0,)
    kinds: tuple[int, ...] = (0, 1)
    silence_recurrence_days: float = 365.0


class Ingested(NamedTuple):
    """What became of each event of a batch, in its order, and why some were rejected.

    tally: how many events let in had which (kind, source, outcome).
    lateness: for the kinds of the events let in, how many hours later than it happened each was recorded.
    newest: by source, the hour (since the epoch) of its newest recording.
    """

    outcomes: list[Outcome]
    rejections: list[Rejection]
    tally: Mapping[tuple[str, str, str], int] = {}
    lateness: tuple[NDArray[np.int8], Ints] = (np.empty(0, np.int8), np.empty(0, np.int64))
    newest: Mapping[str, int] = {}


class _Entries(NamedTuple):
    """What a batch does to the counts, one row for each event and day: units are negative where a revision is replaced."""

    position: Ints
    kind: Ints
    area: Ints
    category: Ints
    day: Ints
    units: Ints


class Engine:
    """Counts, thresholds and alerts of one municipality."""

    def __init__(self, register: AreaRegister, tree: CategoryTree, calendar: LocalCalendar, settings: EngineSettings) -> None:
        self.register, self.tree, self.calendar, self.settings = register, tree, calendar, settings
        self.codes = {"area": list(register.codes), "category": list(tree.codes), "source": list[str]()}
        self._source_number: dict[str, int] = {}
        self.ledger = Ledger()
        self.space = SeriesSpace(register.ancestors, tree.ancestors)
        self.book = AlertBook(self.space, register.municipality, (register.codes, tree.codes))
        self.today: int | None = None
        self.clock_hour = 0
        self._dirty_days: set[int] = set()
        self._finished: dict[str, Alert] = {}
        self._begin_counting()

    def _begin_counting(self) -> None:
        self.cube = CountCube(len(self.space))
        self.watch = Watch(self.space, self.cube, self.settings.watch)
        self.arrivals = Arrivals()
        self._arriving: list[Ints] = []  # rows that arrived today

    # ---- events in ------------------------------------------------------------------------------------------------

    def ingest(self, events: Sequence[AnyEvent], now: datetime) -> Ingested:
        """Take a batch of decoded events in their order of arrival.

        now: aware wall time, against which "in the future" is judged. Applying an event twice changes nothing.
        """
        if not events:
            return Ingested([], [])
        batch, rejections = admit(events, register=self.register, tree=self.tree, rules=self.settings.admission, now=now)
        outcomes: list[Outcome] = ["rejected"] * len(events)
        tally: dict[tuple[str, str, str], int] = {}
        if len(batch.position):
            said = self._take(batch, events, rejections)
            tally = _tally(batch, said)
            if len(said) == len(events):
                outcomes = said.tolist()
            else:
                for position, outcome in zip(batch.position.tolist(), said.tolist(), strict=True):
                    outcomes[position] = outcome
        newest = {name: int(batch.recorded[batch.source == i].max(initial=0)) for i, name in enumerate(batch.sources)}
        lateness = (batch.kind, np.maximum(batch.recorded - batch.end, 0))
        return Ingested(outcomes, sorted(rejections, key=lambda r: r.index), tally, lateness, newest)

    def _take(self, batch: EventBatch, events: Sequence[AnyEvent], rejections: list[Rejection]) -> NDArray[np.str_]:
        arrived = np.maximum.accumulate(self.calendar.day_of(batch.recorded))
        if self.today is None:
            self._start(int(arrived[0]))
        assert self.today is not None  # noqa: S101  # _start has set it; for the type checker
        arrived = np.maximum(arrived, self.today)
        columns = self._columns(batch, arrived)
        said = np.empty(len(batch.position), dtype="<U8")
        added, added_at, removed, removed_at = ([np.empty(0, dtype=np.int64)] for _ in range(4))
        # Events of one id are taken one after the other: all first ones together, then all second ones, and so on.
        for at in _rounds(batch.key):
            held = self.ledger.index.find(batch.key[at])
            says = self._compare(columns, at, held)
            said[at] = says
            for i in at[says == "rejected"].tolist():
                rejections.append(_conflict(int(batch.position[i]), int(batch.revision[i]), events[batch.position[i]]))
            new, replaced = at[(says == "accepted") | (says == "replaced")], says == "replaced"
            rows = self.ledger.append({name: values[new] for name, values in columns.items()})
            self.ledger.index.put(batch.key[new], rows)
            self.ledger.supersede(held[replaced], arrived[at[replaced]])
            added.append(rows)
            added_at.append(new)
            removed.append(held[replaced])
            removed_at.append(at[replaced])
        gone = np.concatenate(removed)
        entries = self._entries(
            np.concatenate([*added, gone]),
            np.concatenate([*added_at, *removed_at]),
            len(gone),
        )
        self._run(batch, arrived, entries, np.concatenate(added))
        return said

    def _compare(self, columns: Mapping[str, NDArray[np.generic]], at: Ints, held: Ints) -> NDArray[np.str_]:
        """What each event says beside the held revision of it: accepted, repeated, replaced or rejected."""
        says = np.full(len(at), "accepted", dtype="<U8")
        known = held >= 0
        rows, these = held[known], at[known]
        new, old = columns["revision"][these].astype(np.int64), self.ledger.column("revision")[rows].astype(np.int64)
        same = np.ones(len(rows), dtype=bool)
        for name in CONTENT:
            same &= self.ledger.column(name)[rows] == columns[name][these]
        says[known] = np.where(new > old, "replaced", np.where((new < old) | same, "repeated", "rejected"))
        return says

    def _columns(self, batch: EventBatch, arrived: Ints) -> dict[str, NDArray[np.generic]]:
        sources = np.array([self._source(name) for name in batch.sources], dtype=np.int64)
        return {
            "key": batch.key,
            "revision": batch.revision,
            "start": batch.start,
            "end": batch.end,
            "recorded": batch.recorded,
            "arrived": arrived,
            "superseded": np.full(len(arrived), STANDING),
            "area": batch.area,
            "category": batch.category,
            "source": sources[batch.source],
            "kind": batch.kind,
            "origin": batch.origin,
            "severity": batch.severity,
            "concern": batch.concern,
            "retracted": batch.retraction,
        }

    def _source(self, name: str) -> int:
        number = self._source_number.get(name)
        if number is None:
            number = self._source_number[name] = len(self.codes["source"])
            self.codes["source"].append(name)
        return number

    def _entries(self, rows: Ints, at: Ints, removed: int) -> _Entries:
        """What ledger rows do to the counts; the last `removed` rows are taken away. Notes the pages that change."""
        column = self.ledger.column
        sign = np.ones(len(rows), dtype=np.int64)
        sign[len(rows) - removed :] = -1
        event, day, units = self.calendar.spread(column("start")[rows].astype(np.int64), column("end")[rows].astype(np.int64))
        new = sign[event] > 0
        self.ledger.stand_on(rows[event[new]], day[new])
        self._dirty_days.update(np.unique(day).tolist())
        counts = self._counting(rows)[event]
        event, day, units = event[counts], day[counts], units[counts] * sign[event[counts]]
        order = np.argsort(at[event], kind="stable")
        event, day, units = event[order], day[order], units[order]
        row = rows[event]
        kind, area, category = (column(name)[row].astype(np.int64) for name in ("kind", "area", "category"))
        return _Entries(at[event], kind, area, category, day, units)

    def _counting(self, rows: Ints) -> NDArray[np.bool_]:
        """Which rows count towards alerts: not retracted, of an origin and kind that may raise them, in the registers."""
        column = self.ledger.column
        return np.asarray(
            ~column("retracted")[rows].astype(bool)
            & np.isin(column("origin")[rows], self.settings.origins)
            & np.isin(column("kind")[rows], self.settings.kinds)
            & (column("area")[rows].astype(np.int64) < self.space.areas)
            & (column("category")[rows].astype(np.int64) < self.space.categories)
        )

    # ---- time -----------------------------------------------------------------------------------------------------

    def _start(self, day: int) -> None:
        self.today = day
        self.cube.extend(day, day)
        self.watch.begin_day(day)

    def advance(self, to: datetime) -> None:
        """Move the clock to an aware instant: days that are over are closed."""
        if self.today is None:
            return
        day = self.calendar.day_at(to)
        if day > self.today:
            self._roll_to(day)
        self.clock_hour = max(self.clock_hour, hour_of(to))

    def fit_next(self) -> bool:
        """Fit the next slice of the new day's baselines; False when all are fitted. For a runtime's idle moments."""
        return self.watch.fit_next()

    def _roll_to(self, day: int) -> None:
        assert self.today is not None  # noqa: S101  # callers have started
        settings = self.settings.watch
        quiet = self.today + max(settings.windows) + settings.lateness + self.settings.alerts.settle_after + 1
        while self.today < day:
            self._close_day(self.today)
            # After so many days without any event nothing stands any more: go on near the new day.
            next_day = self.today + 1 if self.today < quiet else max(self.today + 1, day - settings.lateness - 1)
            self._begin_day(next_day)

    def _close_day(self, day: int) -> None:
        members = self.book.member_series()
        if len(members):
            self._refresh(members, self.watch.standing(members))
        for case in self.book.close_day(day, self.settings.alerts):
            self._finished[case.alert_id] = self._explained(case)

    def _begin_day(self, day: int) -> None:
        # What was replaced on the day it arrived is not known after a restart: only what the day closed with counts.
        self._recount_arrivals(np.concatenate([np.empty(0, dtype=np.int64), *self._arriving]))
        self._arriving = []
        self.today = day
        self.cube.extend(day, day)
        self.arrivals.begin_day(day)
        self.watch.begin_day(day)
        every = np.arange(len(self.space))
        standing = self.watch.standing(every, np.array([day]))
        hour = int(self.calendar.first_hour(day))
        self._raise([(-1, i) for i in range(len(standing.series))], standing, hour, None)

    # ---- judging --------------------------------------------------------------------------------------------------

    def _run(self, batch: EventBatch, arrived: Ints, entries: _Entries, new: Ints) -> None:
        """Apply a batch's entries, day by day of the clock, and judge what they touched. new: rows that it added."""
        clock = arrived[entries.position]
        new_on = self.ledger.column("arrived")[new].astype(np.int64)
        for day in np.unique(arrived).tolist():
            assert self.today is not None  # noqa: S101  # started
            if day > self.today:
                self._roll_to(day)
            now = np.flatnonzero(arrived == day)
            self._arriving.append(new[new_on == day])
            self.clock_hour = max(self.clock_hour, int(batch.recorded[now].max()))
            begin, stop = np.searchsorted(clock, [day, day + 1]).tolist()
            if stop > begin:
                self._judge(_Entries(*[column[begin:stop] for column in entries]), batch.recorded)

    def _judge(self, entries: _Entries, recorded: Ints) -> None:
        assert self.today is not None  # noqa: S101  # started
        index, series = self.space.expand(entries.kind, entries.area, entries.category)
        day, units, position = entries.day[index], entries.units[index], entries.position[index]
        self.cube.add(series, day, units)
        self.watch.note_late(self.today, series, day, units)
        touched = np.unique(series)
        taken = None
        if (less := units < 0).any():
            taken = np.zeros(len(touched), dtype=np.int64)
            np.add.at(taken, np.searchsorted(touched, series[less]), -units[less])
        standing = self.watch.standing(touched, removed=taken)
        crossings = []
        for i in range(len(standing.series)):
            if self.book.holds(int(standing.series[i]), int(standing.window[i])):
                continue
            end, length = int(standing.last_day[i]), int(standing.window[i])
            inside = (series == standing.series[i]) & (day <= end) & (day > end - length)
            crossed = self._crossing(standing, i, position[inside], units[inside])
            if crossed is not None:
                crossings.append((*crossed, i))
        self._raise([(p, i) for p, _, i in crossings], standing, 0, recorded, {i: observed for _, observed, i in crossings})
        if taken is not None:
            standing = standing.without(touched, taken, self.settings.watch.min_count)
        self._refresh(touched, standing)

    def _crossing(self, standing: Standing, i: int, position: Ints, units: Ints) -> tuple[int, float] | None:
        """At which event of the batch a series first stood beyond its threshold, and with which count."""
        order = np.argsort(position, kind="stable")
        path = np.cumsum(units[order])
        series, end = standing.series[i : i + 1], standing.last_day[i : i + 1]
        now = int(self.cube.window(series, end, int(standing.window[i]))[0, 0])
        counts = (now - int(units.sum()) + path) / UNIT
        beyond = (counts > standing.upper_bound[i]) & (counts >= self.settings.watch.min_count)
        # One event may replace another: only the count after the whole event is a count that ever stood.
        whole = np.append(position[order][1:] != position[order][:-1], True)
        at = np.flatnonzero(beyond & whole)
        if not len(at):
            return None
        return int(position[order][at[0]]), float(counts[at[0]])

    def _raise(
        self,
        crossings: list[tuple[int, int]],
        standing: Standing,
        hour: int,
        recorded: Ints | None,
        observed: Mapping[int, float] | None = None,
    ) -> None:
        """Raise the signals that crossed, in the order of the events that made them cross; of one event the most
        unusual first."""
        assert self.today is not None  # noqa: S101  # started
        if not crossings:
            return
        which = np.array([i for _, i in crossings], dtype=np.int64)
        counts = np.array([observed[i] if observed else standing.observed[i] for i in which.tolist()], dtype=np.float64)
        p_values = chance(counts, standing.expectation[which], standing.dispersion[which])
        depths = [self.space.depth(int(n)) for n in standing.series[which]]
        ranks = [
            rank(float(p), depth, int(n), int(w))
            for p, depth, n, w in zip(p_values, depths, standing.series[which], standing.window[which], strict=True)
        ]
        order = sorted(range(len(crossings)), key=lambda j: (crossings[j][0], *ranks[j], -standing.last_day[which[j]]))
        for j in order:
            i, position = int(which[j]), crossings[j][0]
            series, window = int(standing.series[i]), int(standing.window[i])
            if self.book.holds(series, window):
                continue
            end, count = int(standing.last_day[i]), float(counts[j])
            member = Member(
                series, depths[j], window, end, hour if recorded is None else int(recorded[position]), end, count,
                float(standing.expectation[i]), float(standing.upper_bound[i]), float(standing.dispersion[i]),
                float(p_values[j]), int(standing.status[i]),
            )  # fmt: skip
            self.book.raise_signal(member, self.today, self.settings.alerts)

    def _refresh(self, series: Ints, standing: Standing) -> None:
        assert self.today is not None  # noqa: S101  # started
        oldest = self.today - self.settings.watch.lateness
        leads = {case.lead.series: case for case in self.book.cases.values()}
        self.book.refresh(series, standing, self.today, oldest, self.settings.alerts)
        touched = set(series.tolist())
        for case in self.book.cases.values():
            # Facts about the leading series change with any event in it, also with one outside the open windows.
            if case.lead.series in touched or leads.get(case.lead.series) is not case:
                case.dirty = True
            if case.updated_day == self.today:
                case.uncertainties = self._uncertainties(case)

    def _uncertainties(self, case: Case) -> tuple[Uncertainty, ...]:
        assert self.today is not None  # noqa: S101  # started
        lead = case.lead
        kind = int(self.space.parts(lead.series)[0])
        found: list[Uncertainty] = []
        share = self.arrivals.missing_share(kind, lead.end - lead.window + 1, lead.end, self.today)
        if share >= NOTED_SHARE:
            found.append(Uncertainty("late-data", share=round(share, 3)))
        for silent in self.arrivals.silent(kind, self.today, self.settings.silence_recurrence_days):
            name = self.codes["source"][silent.source]
            found.append(Uncertainty("silent-source", name, 0.0, date_of(silent.since), round(silent.recurrence_days)))
        if self.watch.years_at(lead.end) < min(3, self.settings.watch.years):
            found.append(Uncertainty("short-history", note=f"{self.watch.years_at(lead.end)}"))
        if note := status_note(lead.status):
            found.append(Uncertainty("model-fallback", note=note))
        return tuple(found)

    # ---- changes out ----------------------------------------------------------------------------------------------

    def _explained(self, case: Case) -> Alert:
        record = self.book.record(case, self.settings.alerts)
        return explain(record, case, watch=self.watch, cube=self.cube, space=self.space, register=self.register, tree=self.tree)

    def changes(self) -> Changes:
        """What has changed since the last call: to be kept together, or not at all."""
        alerts = self._finished
        for case in self.book.cases.values():
            if case.dirty:
                alerts[case.alert_id] = self._explained(case)
                case.dirty = False
        pages, events = {}, {}
        for day in sorted(self._dirty_days):
            rows = self.ledger.on_day(day)
            pages[day] = encode_page(day, rows, self.codes)
            events[day] = len(rows)
        history, self.book.changes = self.book.changes, []
        self._finished, self._dirty_days = {}, set()
        return Changes(
            municipality=self.register.municipality,
            pages=pages,
            page_events=events,
            alerts=list(alerts.values()),
            history=history,
            clock_day=self.today if self.today is not None else 0,
            clock_hour=self.clock_hour,
        )

    # ---- rebuilding -----------------------------------------------------------------------------------------------

    def restore(
        self,
        pages: Sequence[bytes],
        alerts: Sequence[Alert],
        noted: Mapping[str, float],
        clock_day: int,
        clock_hour: int,
    ) -> None:
        """Rebuild the engine from its pages and the alerts that are still followed, on the clock's day.

        Raises PageError when a page is damaged.
        """
        rows = join_pages(decode_page(page) for page in pages)
        columns = dict(rows.columns)
        for name in ("area", "category"):
            columns[name] = self._numbers(name, rows.codes[name])[columns[name]]
        columns["source"] = np.array([self._source(s) for s in rows.codes["source"]], dtype=np.int64)[columns["source"]]
        numbers = self.ledger.append(columns)
        order = np.argsort(columns["revision"], kind="stable")  # the highest revision is put last and found
        self.ledger.index.put(columns["key"][order].astype(np.uint64), numbers[order])
        event, day, _ = self.calendar.spread(columns["start"].astype(np.int64), columns["end"].astype(np.int64))
        self.ledger.stand_on(numbers[event], day)
        self.clock_hour = clock_hour
        self._recount(clock_day)
        self.book.restore(list(alerts), noted)

    def _numbers(self, name: str, codes: Sequence[str]) -> Ints:
        """Numbers of codes; one that the registers no longer know keeps a number beyond them, and is not counted."""
        known = {code: number for number, code in enumerate(self.codes[name])}
        for code in codes:
            if code not in known:
                known[code] = len(self.codes[name])
                self.codes[name].append(code)
        return np.array([known[c] for c in codes], dtype=np.int64)

    def configure(self, settings: EngineSettings) -> None:
        """Put new settings in force: counts and thresholds are made anew from the ledger, alerts go on."""
        self.settings = settings
        if self.today is not None:
            self._recount(self.today)

    def _recount(self, clock_day: int) -> None:
        """Counts, thresholds and lateness as they stand on clock_day, from the ledger.

        The last days are gone through in the order in which things were learned, because a window's threshold stands
        on what was known before the window's last day.
        """
        self._begin_counting()
        column = self.ledger.column
        every = np.arange(len(self.ledger))
        arrived, superseded = column("arrived").astype(np.int64), column("superseded").astype(np.int64)
        started = int(arrived.min()) if len(arrived) else clock_day
        first = max(clock_day - self.settings.watch.lateness, started)
        held = every[(arrived < first) & (superseded >= first)]
        self._recount_rows(held, 1, None)
        self._recount_arrivals(every[arrived < first])
        if not self.cube.begun:
            self.cube.extend(first, first)
        for day in range(first, clock_day + 1):
            self.today = day
            self.cube.extend(day, day)
            self.arrivals.begin_day(day)
            self.watch.begin_day(day)
            self._recount_rows(every[(superseded == day) & (arrived < day)], -1, day)
            self._recount_rows(every[(arrived == day) & (superseded > day)], 1, day)
            if day < clock_day:
                self._recount_arrivals(every[arrived == day])
        self._arriving = [every[arrived == clock_day]]

    def _recount_rows(self, rows: Ints, sign: int, day: int | None) -> None:
        rows = rows[self._counting(rows)]
        if not len(rows):
            return
        column = self.ledger.column
        event, days, units = self.calendar.spread(column("start")[rows].astype(np.int64), column("end")[rows].astype(np.int64))
        row = rows[event]
        kind, area, category = (column(name)[row].astype(np.int64) for name in ("kind", "area", "category"))
        index, series = self.space.expand(kind, area, category)
        self.cube.add(series, days[index], units[index] * sign)
        if day is not None:
            self.watch.note_late(day, series, days[index], units[index] * sign)

    def _recount_arrivals(self, rows: Ints) -> None:
        column = self.ledger.column
        rows = rows[column("superseded")[rows].astype(np.int64) > column("arrived")[rows].astype(np.int64)]
        arrived = column("arrived")[rows].astype(np.int64)
        lag = self.calendar.day_of(column("recorded")[rows].astype(np.int64)) - self.calendar.day_of(
            column("end")[rows].astype(np.int64)
        )
        for day in np.unique(arrived).tolist():
            now = arrived == day
            kind, source = (column(name)[rows][now].astype(np.int64) for name in ("kind", "source"))
            self.arrivals.add(day, kind, lag[now], source)


def _rounds(keys: NDArray[np.uint64]) -> Iterator[Ints]:
    """Places of the first events of each key, then of the second ones, and so on."""
    order = np.argsort(keys, kind="stable")
    first = np.append(True, keys[order][1:] != keys[order][:-1])[: len(keys)]
    begin = np.maximum.accumulate(np.where(first, np.arange(len(keys)), 0))
    rank = np.empty(len(keys), dtype=np.int64)
    rank[order] = np.arange(len(keys)) - begin
    for number in range(int(rank.max(initial=-1)) + 1):
        yield np.flatnonzero(rank == number)


def _tally(batch: EventBatch, said: NDArray[np.str_]) -> dict[tuple[str, str, str], int]:
    """Events by kind, source and outcome."""
    names, which = np.unique(said, return_inverse=True)
    numbers, counts = np.unique((which * len(batch.sources) + batch.source) * 2 + batch.kind, return_counts=True)
    out: dict[tuple[str, str, str], int] = {}
    for number, n in zip(numbers.tolist(), counts.tolist(), strict=True):
        rest, kind = divmod(number, 2)
        outcome, source = divmod(rest, len(batch.sources))
        out[KINDS[kind], batch.sources[source], str(names[outcome])] = n
    return out


def _conflict(position: int, revision: int, event: AnyEvent) -> Rejection:
    item = msgspec.to_builtins(event)
    problem = f"revision {revision} is held with other content; raise the revision with each correction"
    return rejection(position, item, "revision", "revision-conflict", problem)


def followed(alert: Alert, clock_day: int, settings: EngineSettings) -> bool:
    """Whether an alert that was kept is still followed on clock_day."""
    if alert.state == "open":
        return True
    over = alert.last_day + timedelta(days=settings.alerts.settle_after)
    return alert.state == "withdrawn" and date_of(clock_day) <= over
