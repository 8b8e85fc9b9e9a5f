"""Events as columns that any question about counts is quickly answered from, also as they were known on an earlier day."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import UNIT, LocalCalendar
from earlywarning.core.categories import CategoryTree
from earlywarning.core.pages import Rows

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_LATEST = 28  # days: what is recorded later than this was brought in afterwards, and says nothing about lateness


class KnownEvents(NamedTuple):
    """One entry for each event and each day that it may have happened on, by day; (n,) all. units: of UNIT."""

    day: NDArray[np.int32]
    units: NDArray[np.int32]
    area: NDArray[np.int32]
    category: NDArray[np.int32]
    kind: NDArray[np.int8]
    origin: NDArray[np.int8]
    arrived: NDArray[np.int32]
    superseded: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.day)


def known_events(rows: Rows, *, register: AreaRegister, tree: CategoryTree, calendar: LocalCalendar) -> KnownEvents:
    """The entries of ledger rows; those of areas and categories that the registers no longer have are left out."""
    columns = rows.columns
    area = np.asarray(register.resolve(rows.codes["area"]), dtype=np.int32)[columns["area"]]
    category = np.asarray(tree.resolve(rows.codes["category"]), dtype=np.int32)[columns["category"]]
    counts = np.flatnonzero(~columns["retracted"] & (area >= 0) & (category >= 0))
    start, end = columns["start"][counts].astype(np.int64), columns["end"][counts].astype(np.int64)
    event, day, units = calendar.spread(start, end)
    order = np.argsort(day, kind="stable")
    event = counts[event[order]]
    return KnownEvents(
        day[order].astype(np.int32), units[order].astype(np.int32), area[event], category[event],
        columns["kind"][event].astype(np.int8), columns["origin"][event].astype(np.int8),
        columns["arrived"][event].astype(np.int32), columns["superseded"][event].astype(np.int32),
    )  # fmt: skip


class Question(NamedTuple):
    """What to count. column: (areas,) which column an event of each area counts in, -1 for none. categories: (categories,) true
    for those that count. kind: index into KINDS; origins: indices into ORIGINS. known_on: the local day at whose close the
    events were known."""

    column: Ints
    categories: NDArray[np.bool_]
    kind: int
    origins: tuple[int, ...]
    known_on: int


def at_level(register: AreaRegister, level: int) -> tuple[Ints, Ints]:
    """Areas of a level, and for each area of the register the place of the one of them that it lies in (-1: in none)."""
    areas = np.flatnonzero(np.asarray(register.levels) == level)
    place = np.full(len(register.codes) + 1, -1, dtype=np.int64)
    place[areas] = np.arange(len(areas))
    return areas, np.asarray(place[register.ancestors].max(axis=1), dtype=np.int64)


def below(tree: CategoryTree, category: int) -> NDArray[np.bool_]:
    """(categories,) true for a category and all below it."""
    return np.asarray((tree.ancestors == category).any(axis=1))


def daily_counts(events: KnownEvents, asked: Question, first_day: int, last_day: int) -> Floats:
    """Events of each day: (days, columns)."""
    columns = int(asked.column.max()) + 1
    begin, stop = np.searchsorted(events.day, [first_day, last_day + 1])
    part = slice(int(begin), int(stop))
    column = asked.column[events.area[part]]
    chosen = (column >= 0) & asked.categories[events.category[part]] & (events.kind[part] == asked.kind)
    chosen &= np.isin(events.origin[part], asked.origins)
    chosen &= (events.arrived[part] <= asked.known_on) & (events.superseded[part] > asked.known_on)
    place = (events.day[part][chosen].astype(np.int64) - first_day) * columns + column[chosen]
    counts = np.bincount(place, weights=events.units[part][chosen], minlength=(last_day - first_day + 1) * columns)
    return np.asarray(counts / UNIT).reshape(-1, columns)


def recorded_share(events: KnownEvents, asked: Question, days: int = 200) -> Floats:
    """Of the events of a day, which share is usually recorded so many days later: (29,), 1 at the end.

    From the events of `days` days that lie far enough back to be complete; all 1 where there are fewer than 50 of them.
    """
    last = asked.known_on - _LATEST
    begin, stop = np.searchsorted(events.day, [last - days, last + 1])
    part = slice(int(begin), int(stop))
    delay = events.arrived[part].astype(np.int64) - events.day[part]
    chosen = asked.categories[events.category[part]] & (events.kind[part] == asked.kind) & (delay >= 0) & (delay <= _LATEST)
    seen = np.bincount(delay[chosen], minlength=_LATEST + 1)
    if seen.sum() < 50:
        return np.ones(_LATEST + 1)
    return np.asarray(np.cumsum(seen) / seen.sum())
