"""The counts, thresholds and arrivals that follow from a ledger: brought forward event by event, or made anew from it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.admission import AdmissionRules
from earlywarning.core.alerts import AlertSettings
from earlywarning.core.arrivals import Arrivals
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.counts import CountCube
from earlywarning.core.ledger import Ledger
from earlywarning.core.scope import Scope
from earlywarning.core.tendencies import Tendencies, TendencySettings
from earlywarning.core.watch import DayKinds, Watch, WatchSettings

Ints = NDArray[np.int64]


class EngineSettings(NamedTuple):
    """What the municipality's settings say to the core. origins: numbers of the origins that may raise alerts."""

    admission: AdmissionRules = AdmissionRules()
    watch: WatchSettings = WatchSettings()
    tendencies: TendencySettings = TendencySettings()
    alerts: AlertSettings = AlertSettings()
    origins: tuple[int, ...] = (0,)
    kinds: tuple[int, ...] = (0, 1)
    silence_recurrence_days: float = 365.0


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
        self, scope: Scope, ledger: Ledger, calendar: LocalCalendar, settings: EngineSettings, day_kinds: DayKinds | None = None
    ) -> None:
        self._scope, self._space, self._ledger, self._calendar = scope, scope.space, ledger, calendar
        self.day_kinds = day_kinds
        self._begin(settings)

    def _begin(self, settings: EngineSettings) -> None:
        self._settings = settings
        self.cube = CountCube(len(self._space))
        budget = settings.watch.false_alarms_per_week * (1 - settings.tendencies.share)
        self.watch = Watch(self._scope, self.cube, settings.watch._replace(false_alarms_per_week=budget), self.day_kinds)
        self.arrivals = Arrivals(self._space.category_ancestors, self._space.kinds)
        self.tendencies = Tendencies(self._scope, self.cube, settings.tendencies, settings.watch.false_alarms_per_week)
        self._arriving: list[Ints] = []  # rows that arrived today

    # ---- event by event -------------------------------------------------------------------------------------------

    def stand_on(self, rows: Ints) -> list[int]:
        """Note the days on which new rows stand; returns them."""
        event, day, _ = self._spread(rows)
        self._ledger.stand_on(rows[event], day)
        return [int(d) for d in np.unique(day)]

    def days_of(self, rows: Ints) -> list[int]:
        """Days on which rows stand."""
        return [int(d) for d in np.unique(self._spread(rows)[1])]

    def entries(self, rows: Ints, at: Ints, removed: int) -> Entries:
        """What rows do to the counts, in the order of `at`; the last `removed` of them are taken away."""
        sign = np.ones(len(rows), dtype=np.int64)
        sign[len(rows) - removed :] = -1
        counts = self._counting(rows)
        rows, at, sign = rows[counts], at[counts], sign[counts]
        event, day, units = self._spread(rows)
        order = np.argsort(at[event], kind="stable")
        event, day, units = event[order], day[order], units[order]
        kind, area, category = (self._column(name, rows[event]) for name in ("kind", "area", "category"))
        return Entries(at[event], kind, area, category, day, units * sign[event])

    def arrive(self, rows: Ints) -> None:
        """Rows that arrived today; what is known of lateness and silence is that of closed days."""
        self._arriving.append(rows)

    def begin_day(self, day: int) -> None:
        """Day `day` begins, all before it are closed."""
        # What was replaced on the day it arrived is not known after a restart: only what the day closed with counts.
        self._count_arrivals(np.concatenate([np.empty(0, dtype=np.int64), *self._arriving]))
        self._arriving = []
        self._open(day)

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
        started = int(arrived.min()) if len(arrived) else clock_day
        first = max(Watch.fit_day(clock_day), started)
        self._count(every[(arrived < first) & (superseded >= first)], 1)
        self._count_arrivals(every[arrived < first])
        for day in range(first, clock_day + 1):
            self._open(day)
            self._count(every[(superseded == day) & (arrived < day)], -1)
            self._count(every[(arrived == day) & (superseded > day)], 1)
            if day < clock_day:
                self._count_arrivals(every[arrived == day])
        self._arriving = [every[arrived == clock_day]]

    def _count(self, rows: Ints, sign: int) -> None:
        """Add rows to the counts (sign 1) or take them out (-1)."""
        entries = self.entries(rows, np.arange(len(rows)), len(rows) if sign < 0 else 0)
        if not len(entries.day):
            return
        index, series = self._space.expand(entries.kind, entries.area, entries.category)
        self.cube.add(series, entries.day[index], entries.units[index])

    def _count_arrivals(self, rows: Ints) -> None:
        rows = rows[self._column("superseded", rows) > self._column("arrived", rows)]
        rows = rows[self._column("category", rows) < self._space.categories]
        arrived = self._column("arrived", rows)
        lag = self._calendar.day_of(self._column("recorded", rows)) - self._calendar.day_of(self._column("end", rows))
        for day in np.unique(arrived).tolist():
            now = arrived == day
            kind, category, source = (self._column(name, rows[now]) for name in ("kind", "category", "source"))
            self.arrivals.add(day, kind, category, lag[now], source)
