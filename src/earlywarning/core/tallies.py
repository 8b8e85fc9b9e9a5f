"""The counts, thresholds and arrivals that follow from a ledger: brought forward event by event, or made anew from it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.admission import AdmissionRules
from earlywarning.core.alerts import AlertSettings
from earlywarning.core.arrivals import Arrivals
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.counts import CountCube
from earlywarning.core.detectors.pattern import Scorer
from earlywarning.core.known_causes import LeftOut
from earlywarning.core.ledger import Ledger
from earlywarning.core.quality import Move, Quality
from earlywarning.core.scope import Scope
from earlywarning.core.tendencies import Tendencies, TendencySettings
from earlywarning.core.watch import DayKinds, Watch, WatchSettings

Ints = NDArray[np.int64]


class EngineSettings(NamedTuple):
    """What the municipality's settings say to the core. origins: numbers of the origins that may raise alerts.

    trained_model: whether unusual mixtures are scored by the model, where there is one.
    """

    admission: AdmissionRules = AdmissionRules()
    watch: WatchSettings = WatchSettings()
    tendencies: TendencySettings = TendencySettings()
    alerts: AlertSettings = AlertSettings()
    origins: tuple[int, ...] = (0,)
    kinds: tuple[int, ...] = (0, 1)
    silence_recurrence_days: float = 365.0
    trained_model: bool = True


class Entries(NamedTuple):
    """What a batch does to the counts, one row for each event and day: units are negative where a revision is replaced."""

    position: Ints
    kind: Ints
    area: Ints
    category: Ints
    day: Ints
    units: Ints


class Tallies:
    """One ledger's counts. cube: of what may raise alerts; watch: their thresholds; arrivals: lateness and silence."""

    def __init__(
        self,
        scope: Scope,
        ledger: Ledger,
        calendar: LocalCalendar,
        settings: EngineSettings,
        day_kinds: DayKinds | None = None,
        model: Scorer | None = None,
        *,
        left_out: LeftOut,
    ) -> None:
        self._scope, self._space, self._ledger, self._calendar = scope, scope.space, ledger, calendar
        self.day_kinds, self._model = day_kinds, model
        self.discoveries: list[int] = []  # days on which the scan opened an alert
        self.left_out = left_out
        self._begin(settings)

    def _begin(self, settings: EngineSettings) -> None:
        self._settings = settings
        self.cube = CountCube(len(self._space))
        budget = settings.watch.false_alarms_per_week * (1 - settings.tendencies.share)
        self.watch = Watch(self._scope, self.cube, settings.watch._replace(false_alarms_per_week=budget), self.day_kinds)
        self.watch.discoveries = self.discoveries
        self.watch.explained = self.left_out.blocks
        model = self._model if settings.trained_model else None
        self.arrivals = Arrivals(self._space.category_ancestors, self._space.kinds)
        self.tendencies = Tendencies(self._scope, self.cube, settings.tendencies, settings.watch.false_alarms_per_week, model)
        self.quality = Quality(self._ledger, self._calendar, self._speaks)
        self._arriving: list[Ints] = []  # rows that arrived today
        self._late = np.empty(0, dtype=np.int64)  # rows that say nothing of how late their source usually is

    def _speaks(self, kind: Ints, area: Ints, category: Ints) -> NDArray[np.bool_]:
        return self.tendencies.speaks(kind, area, category)

    # ---- event by event -------------------------------------------------------------------------------------------

    def stand_on(self, rows: Ints) -> list[int]:
        """Note the days on which new rows stand; returns them."""
        event, day, _ = self._spread(rows)
        self._ledger.stand_on(rows[event], day)
        return [int(d) for d in np.unique(day)]

    def days_of(self, rows: Ints) -> list[int]:
        """Days on which rows stand."""
        return [int(d) for d in np.unique(self._spread(rows)[1])]

    def take(self, new: Ints, new_at: Ints, gone: Ints, gone_at: Ints, day: int) -> Entries:
        """Rows that arrived today, and rows that were replaced; returns what they do to the counts, in the order of their places.

        new_at, gone_at: places in the batch of the events that did it. day: today.
        """
        # Later revisions of one batch come after all first ones: what waits must be asked in the order of arrival.
        order, gone_order = np.argsort(new_at, kind="stable"), np.argsort(gone_at, kind="stable")
        new, new_at, gone, gone_at = new[order], new_at[order], gone[gone_order], gone_at[gone_order]
        self._arriving.append(new)
        if len(gone):
            row_at = np.full(int(max(new_at.max(), gone_at.max())) + 1, -1)
            row_at[new_at] = new
            self.quality.revise(gone, row_at[gone_at], day)
        counts, gone_counts = self._counting(new), self._counting(gone)
        new, new_at, gone, gone_at = new[counts], new_at[counts], gone[gone_counts], gone_at[gone_counts]
        come, come_at, went, went_at = ([np.empty(0, dtype=np.int64)] for _ in range(4))
        # What came today and goes again may let another row count at that moment.
        edges = np.unique(gone_at[self._column("arrived", gone) == day])
        begin = begin_gone = 0
        for edge in [*edges.tolist(), None]:
            stop, stop_gone = (
                len(at) if edge is None else int(np.searchsorted(at, edge, side="right")) for at in (new_at, gone_at)
            )
            its, its_at, lost, lost_at = (
                new[begin:stop],
                new_at[begin:stop],
                gone[begin_gone:stop_gone],
                gone_at[begin_gone:stop_gone],
            )
            begin, begin_gone = stop, stop_gone
            waits = self.quality.wait(its, day)
            counted, released = self.quality.withdraw(lost, day)
            come += [its[~waits], np.array(released, dtype=np.int64)]
            come_at += [its_at[~waits], np.full(len(released), 0 if edge is None else edge)]
            went, went_at = [*went, lost[counted]], [*went_at, lost_at[counted]]
        rows, at = np.concatenate([*come, *went]), np.concatenate([*come_at, *went_at])
        return self._entries(rows, at, sum(map(len, went)))

    def _entries(self, rows: Ints, at: Ints, removed: int) -> Entries:
        """What counting rows do to the counts, in the order of `at`; the last `removed` of them are taken away."""
        sign = np.ones(len(rows), dtype=np.int64)
        sign[len(rows) - removed :] = -1
        event, day, units = self._spread(rows)
        order = np.argsort(at[event], kind="stable")
        event, day, units = event[order], day[order], units[order]
        kind, area, category = (self._column(name, rows[event]) for name in ("kind", "area", "category"))
        if self.quality.moves:
            area = self.quality.areas(rows[event], area)
        return Entries(at[event], kind, area, category, day, units * sign[event])

    def close_day(self, day: int) -> bool:
        """Day `day` is over: rows that waited count, or are left out for good. Returns whether the counts have changed."""
        rows = np.concatenate([np.empty(0, dtype=np.int64), *self._arriving])
        stands = self._counting(rows) & (self._column("superseded", rows) > day)
        moves = len(self.quality.moves)
        late_count, left_out, self._late = self.quality.close_day(day, rows[stands])
        self._count(late_count, 1)
        self._count(left_out, -1, checked=True)
        for move in self.quality.moves[moves:]:
            self._move(move, day)
        return bool(len(late_count) or len(left_out) or len(self.quality.moves) > moves)

    def _move(self, move: Move, day: int) -> None:
        """Rows that tell no place any more, as they stand at the close of `day`, count in the municipality as a whole."""
        every = np.arange(len(self._ledger))
        its = (self._column("source", every) == move.source) & (self._column("area", every) == move.area)
        arrived = self._column("arrived", every)
        rows = every[its & (arrived >= move.since) & (arrived <= day) & (self._column("superseded", every) > day)]
        self.quality.moves.remove(move)
        self._count(rows, -1)
        self.quality.moves.append(move)
        self._count(rows, 1)

    def begin_day(self, day: int) -> None:
        """Day `day` begins, all before it are closed."""
        # What was replaced on the day it arrived is not known after a restart: only what the day closed with counts.
        self._count_arrivals(np.concatenate([np.empty(0, dtype=np.int64), *self._arriving]))
        self._arriving, self._late = [], np.empty(0, dtype=np.int64)
        self._open(day)
        due = self.quality.heap_day(day)
        if due is not None and due != self.quality.heaps_of:
            self._look_for_heaps(due)

    def _look_for_heaps(self, day: int) -> None:
        every = np.arange(len(self._ledger))
        known = every[(self._column("arrived", every) < day) & (self._column("superseded", every) >= day)]
        self.quality.look_for_heaps(day, known[self._counting(known)])

    def _open(self, day: int) -> None:
        self.cube.extend(day, day)
        self.arrivals.begin_day(day)
        self.watch.begin_day(day, self.arrivals)
        self.tendencies.begin_day(day)

    def _spread(self, rows: Ints) -> tuple[Ints, Ints, Ints]:
        return self._calendar.spread(self._column("start", rows), self._column("end", rows))

    def _column(self, name: str, rows: Ints) -> Ints:
        return self._ledger.column(name)[rows].astype(np.int64)

    def _counting(self, rows: Ints) -> NDArray[np.bool_]:
        """Which rows count towards alerts: not retracted, of an origin and kind that may raise them, in the registers."""
        return np.asarray(
            (self._column("retracted", rows) == 0)
            & np.isin(self._column("origin", rows), self._settings.origins)
            & np.isin(self._column("kind", rows), self._settings.kinds)
            & (self._column("area", rows) < self._space.areas)
            & (self._column("category", rows) < self._space.categories)
            & ~self.quality.left_out(rows)
        )

    # ---- anew from the ledger -------------------------------------------------------------------------------------

    def recount(self, clock_day: int, settings: EngineSettings) -> None:
        """Counts, thresholds and lateness as they stand on clock_day, from the ledger.

        The days since the last fit are gone through in the order in which things were learned, because a baseline stands
        on what was known when it was fitted, and a day's expectation on what was known when it began.
        """
        self._begin(settings)
        every = np.arange(len(self._ledger))
        arrived, superseded = self._column("arrived", every), self._column("superseded", every)
        first_revision = self._first_revisions(superseded > arrived)
        stood = self._counting(every) & first_revision
        self._late, moves = self.quality.rebuild(every[stood & (arrived < clock_day)], clock_day - 1)
        started = int(arrived.min()) if len(arrived) else clock_day
        first = max(Watch.fit_day(clock_day), started)
        self.quality.moves = [m for m in moves if m.told < first]
        self._count(every[(arrived < first) & (superseded >= first)], 1)
        self._count_arrivals(every[arrived < first])
        for day in range(first, clock_day + 1):
            self._open(day)
            self._count(every[(superseded == day) & (arrived < day)], -1)
            if day == clock_day:
                break
            self._count(every[(arrived == day) & (superseded > day)], 1)
            for move in moves:
                if move.told == day:
                    self.quality.moves.append(move)
                    self._move(move, day)
            self._count_arrivals(every[arrived == day])
        heap_day = self.quality.heap_day(clock_day)
        if heap_day is not None:
            self._look_for_heaps(heap_day)
        self.quality.fresh_notes = []
        today = every[(arrived == clock_day) & (superseded > clock_day)]
        self.quality.revise_today(today[~first_revision[today]])
        self._late = np.empty(0, dtype=np.int64)
        self._apply(self.take(today, np.zeros(len(today), dtype=np.int64), every[:0], every[:0], clock_day))

    def _first_revisions(self, stood: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Rows that are the first of their event, of those that stood at the close of the day on which they arrived."""
        rows = np.flatnonzero(stood)
        key = self._ledger.column("key")[rows]
        order = np.lexsort((self._column("revision", rows), self._column("arrived", rows), key))
        first = np.append(True, key[order][1:] != key[order][:-1])[: len(rows)]
        out = np.zeros(len(stood), dtype=bool)
        out[rows[order[first]]] = True
        return out

    def _count(self, rows: Ints, sign: int, *, checked: bool = False) -> None:
        """Add rows to the counts (sign 1) or take them out (-1). checked: they count, whatever is known of them now."""
        rows = rows if checked else rows[self._counting(rows)]
        self._apply(self._entries(rows, np.zeros(len(rows), dtype=np.int64), len(rows) if sign < 0 else 0))

    def _apply(self, entries: Entries) -> None:
        if len(entries.day):
            index, series = self._space.expand(entries.kind, entries.area, entries.category)
            self.cube.add(series, entries.day[index], entries.units[index])

    def _count_arrivals(self, rows: Ints) -> None:
        rows = rows[self._column("superseded", rows) > self._column("arrived", rows)]
        rows = rows[self._column("category", rows) < self._space.categories]
        arrived = self._column("arrived", rows)
        lag = self._calendar.day_of(self._column("recorded", rows)) - self._calendar.day_of(self._column("end", rows))
        usual = ~np.isin(rows, self._late)
        for day in np.unique(arrived).tolist():
            now = arrived == day
            kind, category, source = (self._column(name, rows[now]) for name in ("kind", "category", "source"))
            self.arrivals.add(day, kind, category, lag[now], source, usual[now])
