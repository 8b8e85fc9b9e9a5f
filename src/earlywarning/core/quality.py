"""Data quality: which rows may raise alerts, and what was recognised as an artefact of booking.

While a day runs, rows wait that may turn out to be one (senders.py). When it closes, what they were is known: they count, or
are left out for good, with all their later revisions. All of it follows from the rows that were part of the counts
at the close of each day, so that it is the same after a restart and however events were cut into batches.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.calendar import LocalCalendar, dates_of
from earlywarning.core.detectors.artefacts import Artefact, Bookings, Found, find_artefacts, find_heaps, find_place_coding, nothing
from earlywarning.core.detectors.bookings import ANY
from earlywarning.core.detectors.place_coding import NEW, may_have_moved
from earlywarning.core.ledger import Ledger
from earlywarning.core.senders import Senders

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
HEAP_CYCLE = 13 * 28  # days between looks for heaps, and of history before the first one
_LONGEST_HEAP_HISTORY = 5 * 364


class Noted(NamedTuple):
    """An artefact, and the local day at whose close (heaps: beginning) it was recognised."""

    day: int
    artefact: Artefact


class Move(NamedTuple):
    """A source's rows at an area that arrived from day `since` on tell no place; known since the close of day `told`."""

    source: int
    area: int
    since: int
    told: int


class Quality:
    """What is recognised among the rows of one ledger. speaks: (kind, area, category) -> which cells never wait."""

    def __init__(self, ledger: Ledger, calendar: LocalCalendar, speaks: Callable[[Ints, Ints, Ints], Bools]) -> None:
        self._ledger, self._calendar, self._speaks = ledger, calendar, speaks
        self._senders = Senders()
        self._left_out: set[int] = set()  # keys
        self._left_keys = np.empty(0, dtype=np.uint64)
        self._waiting: set[int] = set()  # rows
        self._revised: set[int] = set()  # rows that arrived today for an event that was known before
        self._begun: int | None = None
        self.heaps_of: int | None = None  # the day as of which heaps were looked for
        self.moves: list[Move] = []
        self.noted: list[Noted] = []
        self.fresh_notes: list[Noted] = []  # not yet told

    # ---- rows -----------------------------------------------------------------------------------------------------

    def bookings(self, rows: Ints) -> Bookings:
        """Ledger rows as columns."""
        column = {name: self._ledger.column(name)[rows].astype(np.int64) for name in _USED}
        day, last_day = self._calendar.day_of(column["start"]), self._calendar.day_of(column["end"])
        hour = np.clip(column["start"] - self._calendar.first_hour(day), 0, 23)  # an autumn day has 25
        kind, source, area, category = (column[name] for name in ("kind", "source", "area", "category"))
        return Bookings(kind, source, area, category, day, last_day, hour, column["recorded"], column["arrived"])

    def left_out(self, rows: Ints) -> Bools:
        """Which rows never count towards alerts: (n,)."""
        if not self._left_out:
            return np.zeros(len(rows), dtype=bool)
        if len(self._left_keys) != len(self._left_out):
            self._left_keys = np.sort(np.fromiter(self._left_out, dtype=np.uint64, count=len(self._left_out)))
        return np.asarray(np.isin(self._ledger.column("key")[rows], self._left_keys))

    def areas(self, rows: Ints, area: Ints) -> Ints:
        """The areas in which rows count: the municipality as a whole where a source's place cannot be trusted."""
        for move in self.moves:
            source, arrived = (self._ledger.column(name)[rows].astype(np.int64) for name in ("source", "arrived"))
            area = np.where((area == move.area) & (source == move.source) & (arrived >= move.since), 0, area)
        return area

    # ---- while a day runs -----------------------------------------------------------------------------------------

    def revise(self, old: Ints, new: Ints, day: int) -> None:
        """Rows `new` replaced rows `old`: events that were known before are not judged again. day: today."""
        known = self._ledger.column("arrived")[old].astype(np.int64) < day
        for was, now, before in zip(old.tolist(), new.tolist(), known.tolist(), strict=True):
            if before or was in self._revised:
                self._revised.add(now)

    def revise_today(self, rows: Ints) -> None:
        """Rows that arrived today are later revisions of events that were known before."""
        self._revised.update(rows.tolist())

    def wait(self, rows: Ints, day: int) -> Bools:
        """Which of the counting rows that arrived today do not count yet: (n,)."""
        waits = np.zeros(len(rows), dtype=bool)
        fresh = self._fresh(rows)
        b = self.bookings(rows[fresh])
        waits[fresh] = self._senders.wait(rows[fresh], b, day) & ~self._speaks(b.kind, b.area, b.category)
        self._waiting.update(rows[waits].tolist())
        return waits

    def withdraw(self, rows: Ints, day: int) -> tuple[Bools, list[int]]:
        """Rows that are replaced: which of them counted, and rows that need not wait any more."""
        counted = np.array([r not in self._waiting for r in rows.tolist()], dtype=bool)
        released = []
        today = self._ledger.column("arrived")[rows].astype(np.int64) == day
        for row in rows[today & self._fresh(rows)].tolist():
            self._waiting.discard(row)
            other = self._senders.withdrawn(row, self.bookings(np.array([row])), day)
            if other is not None and other in self._waiting:
                self._waiting.discard(other)
                released.append(other)
        return counted, released

    def _fresh(self, rows: Ints) -> Bools:
        if not self._revised:
            return np.ones(len(rows), dtype=bool)
        return np.array([r not in self._revised for r in rows.tolist()], dtype=bool)

    # ---- when it closes -------------------------------------------------------------------------------------------

    def close_day(self, day: int, rows: Ints) -> tuple[Ints, Ints, Ints]:
        """Day `day` is over; rows: those that arrived on it, count, and stand. Returns rows that count after all, rows that
        counted and are left out, and rows that say nothing of how late their source usually is."""
        rows = rows[self._fresh(rows)]
        b = self.bookings(rows)
        found = self._look(day, b)
        waited = np.array([r in self._waiting for r in rows.tolist()], dtype=bool)
        self._leave_out(rows[found.left_out])
        self._waiting, self._revised = set(), set()
        self._senders.close_day(day, b)
        self._begun = day if self._begun is None else self._begun
        self._note(Noted(day, a) for a in found.artefacts)
        self._look_at_places(day)
        return rows[waited & ~found.left_out], rows[~waited & found.left_out], rows[found.late]

    def _look(self, day: int, b: Bookings) -> Found:
        if not self._senders.suspicious(day, b):
            return nothing(b.size)
        before = self._senders.recent()
        both = Bookings(*[np.concatenate(pair) for pair in zip(before, b, strict=True)])
        found = find_artefacts(both, day, day)
        return Found(found.artefacts, *[mask[before.size :] for mask in found[1:]])

    def _leave_out(self, rows: Ints) -> None:
        self._left_out.update(self._ledger.column("key")[rows].tolist())

    def _note(self, notes: Iterable[Noted]) -> None:
        for note in notes:
            self.noted.append(note)
            self.fresh_notes.append(note)

    def _look_at_places(self, day: int) -> None:
        known = {(move.source, move.area) for move in self.moves} | {
            (n.artefact.source, n.artefact.area) for n in self.noted if n.artefact.what == "place-coding"
        }
        if not may_have_moved(self._senders.since(day - NEW + 1), known):
            return
        for a in find_place_coding(self._senders.recent()):
            if (a.source, a.area) not in known:
                self._move(Noted(day, a._replace(last_day=day)))

    def _move(self, note: Noted) -> None:
        self._note([note])
        if note.artefact.area > 0:
            self.moves.append(Move(note.artefact.source, note.artefact.area, note.artefact.first_day, note.day))

    # ---- anew from the ledger -------------------------------------------------------------------------------------

    def rebuild(self, rows: Ints, upto: int) -> tuple[Ints, list[Move]]:
        """Fill a new one with the closed days up to `upto`. Returns late rows (see close_day) and moves, which are not made yet.

        rows: of all those days, those that count, first revisions only, that stood at the close of the day of their arrival.
        """
        key, arrived = (self._ledger.column(name)[rows] for name in ("key", "arrived"))
        rows = rows[np.lexsort((key, arrived))]
        b = self.bookings(rows)
        if not b.size:
            return rows, []
        self._begun = int(b.arrived[0])
        found = find_artefacts(b, self._begun, upto)
        self._leave_out(rows[found.left_out])
        self.noted = [Noted(a.last_day if a.what != "gap-filled" else _filled_on(b, a), a) for a in found.artefacts]
        self._senders.fill(b, upto)
        places = find_place_coding(b)
        self.noted += [Noted(a.last_day, a) for a in places]
        moves = [Move(a.source, a.area, a.first_day, a.last_day) for a in places if a.area > 0]
        return rows[found.late], sorted(moves, key=lambda m: (m.told, m.source, m.area))

    # ---- heaps ----------------------------------------------------------------------------------------------------

    def heap_day(self, day: int) -> int | None:
        """The last day, up to `day`, on which heaps are looked for: once in HEAP_CYCLE days, after as many of history."""
        if self._begun is None:
            return None
        cycles = (day - self._begun) // HEAP_CYCLE
        return self._begun + cycles * HEAP_CYCLE if cycles else None

    def look_for_heaps(self, day: int, rows: Ints) -> None:
        """Recognise booking heaps as of the beginning of `day`. rows: those that count and stand then."""
        b = self.bookings(rows)
        self.heaps_of = day
        if not b.size:
            return
        begin = max(int(b.day.min()), day - _LONGEST_HEAP_HISTORY)
        dates = dates_of(range(begin, day))
        first = np.array([d.day == 1 for d in dates], dtype=bool)
        year = np.array([(d.month, d.day) == (1, 1) for d in dates], dtype=bool)
        self.noted = [n for n in self.noted if not n.artefact.what.endswith("heap")]
        self._note(Noted(day, a) for a in find_heaps(b, first, year, begin))


_USED = ("kind", "source", "area", "category", "start", "end", "recorded", "arrived")


def _filled_on(b: Bookings, a: Artefact) -> int:
    """The first day on which a gap was filled: the sender's first day of arrival after it."""
    after = b.arrived[(b.source == a.source) & (b.kind == a.kind) & (b.arrived > a.last_day)]
    return int(after.min())


def concerns(a: Artefact, kind: int, areas: Bools, categories: Bools) -> bool:
    """Whether an artefact is about any of these areas and categories, (areas,) and (categories,), and that kind."""
    return a.kind == kind and (a.area == ANY or bool(areas[a.area])) and (a.category == ANY or bool(categories[a.category]))
