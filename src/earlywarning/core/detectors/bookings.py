"""How events were booked: the columns that artefacts are told from, and what a recognised artefact says.

An artefact is a rise that comes from how events are booked, not from what happened. Whatever is said here about an
arrival day follows from the rows that had arrived by its end and nothing else, so that it is the same after a restart,
and however the rows were cut into batches.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.status import DetectorError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
ANY = -1  # of a finding's area or category: it is about all of them
YEAR = 364  # days of a sender's past that say what is usual for it: whole weeks
FEWEST_DAYS = 56  # of such a past, below which nothing is called unusual
SPREAD = 2.0  # variance over mean of a sender's daily counts that is still usual

What = Literal["date-heap", "hour-heap", "burst", "backlog", "gap-filled", "place-coding"]
Done = Literal["calendar effect", "counted once", "left out of alerts", "kept on their days", "counted without place", "noted"]


class Bookings(NamedTuple):
    """Rows that were part of the counts at the close of some day, one array of n whole numbers for each column.

    kind, source, area, category: numbers; area 0 is the municipality as a whole. day, last_day: local days on which it
    may first and last have happened. hour: local hour of the first, 0..23. recorded: hours since the epoch. arrived: local
    day of the clock on which it came. There is no column about a person.
    """

    kind: Ints
    source: Ints
    area: Ints
    category: Ints
    day: Ints
    last_day: Ints
    hour: Ints
    recorded: Ints
    arrived: Ints

    @property
    def size(self) -> int:
        """How many rows."""
        return len(self.arrived)

    @property
    def sender(self) -> Ints:
        """A source and the kind of what it sends, as one number."""
        return self.source * 2 + self.kind

    def take(self, rows: Ints | Bools) -> "Bookings":
        """Some of the rows."""
        return Bookings(*[column[rows] for column in self])


NO_ROWS = Bookings(*[np.empty(0, dtype=np.int64)] * 9)


class Artefact(NamedTuple):
    """What was recognised, of which source, and what is done about it.

    first_day, last_day: local days of arrival (burst, backlog); from which the change stands and on which it could be told
    (place-coding); those that were missing (gap-filled); those of the history that it was learned from (heaps). events:
    rows it is about; expected: how many there usually are of them; share: heaps: share of the events of such a day or hour
    that are there by default; burst and backlog: of what the sender sent on that day; gap-filled: of what was missing;
    place-coding: of the sender's rows since then. hour: of an hour-heap, else -1; new_year: whether a date-heap is that
    of 1 January.
    """

    what: What
    done: Done
    kind: int
    source: int
    area: int
    category: int
    first_day: int
    last_day: int
    events: int
    expected: float
    share: float
    p_value: float
    hour: int = -1
    new_year: bool = False


class Found(NamedTuple):
    """Artefacts among rows, and what follows for each row, (n,) booleans each.

    left_out: it may not raise alerts. late: it says nothing of how late its source usually is.
    """

    artefacts: tuple[Artefact, ...]
    left_out: Bools
    late: Bools


def nothing(rows: int) -> Found:
    """Nothing was recognised."""
    no = np.zeros(rows, dtype=bool)
    return Found((), no, no.copy())


def check(rows: Bookings) -> None:
    """Raises DetectorError for columns of unequal length, rows that end before they begin, and hours outside 0..23."""
    lengths = {name: len(column) for name, column in zip(rows._fields, rows, strict=True)}
    if len(set(lengths.values())) > 1:
        raise DetectorError(f"columns of bookings must be of one length, not {lengths}")
    if rows.size and (rows.last_day < rows.day).any():
        at = int(np.flatnonzero(rows.last_day < rows.day)[0])
        raise DetectorError(f"row {at}: last_day {rows.last_day[at]} lies before day {rows.day[at]}")
    if rows.size and not (rows.hour.min() >= 0 and rows.hour.max() <= 23):
        at = int(np.flatnonzero((rows.hour < 0) | (rows.hour > 23))[0])
        raise DetectorError(f"row {at}: hour {rows.hour[at]} is none of a local day, 0 to 23")


class Past:
    """Counts of rows by group and arrival day, asked for windows of days.

    group, arrived: (n,) whole numbers, groups not negative.
    """

    def __init__(self, group: Ints, arrived: Ints) -> None:
        self._low = int(arrived.min()) if len(arrived) else 0
        # A day more at either end, so that windows of one group never reach into the next.
        self._span = (int(arrived.max()) - self._low if len(arrived) else 0) + 3
        self._keys = np.sort(group * self._span + (arrived - self._low + 1))

    def between(self, group: Ints, first: Ints, last: Ints) -> Ints:
        """Rows of each group that arrived on the days first..last: (m,)."""
        begin = group * self._span + np.clip(first - self._low + 1, 0, self._span - 1)
        stop = group * self._span + np.clip(last - self._low + 1, -1, self._span - 1)
        counted = np.searchsorted(self._keys, stop, side="right") - np.searchsorted(self._keys, begin, side="left")
        return np.asarray(np.maximum(counted, 0), dtype=np.int64)

    def known(self, group: Ints, day: Ints) -> Ints:
        """Days from a group's first row of the YEAR before each day to that day, 0 without any: (m,), 0..YEAR."""
        begin = group * self._span + np.clip(day - YEAR - self._low + 1, 0, self._span - 1)
        at = np.searchsorted(self._keys, begin, side="left")
        keys = np.append(self._keys, np.iinfo(np.int64).max)[at]
        first = keys - group * self._span + self._low - 1
        return np.asarray(np.where((keys < (group + 1) * self._span) & (first < day), day - first, 0), dtype=np.int64)


def grouped(*columns: Ints) -> tuple[Ints, Ints, Ints]:
    """Rows with equal values in all columns: (first row of each group, group of each row, rows in each group)."""
    number = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        values, which = np.unique(column, return_inverse=True)
        # Numbered anew each time, so that products of many columns stay small.
        _, number = np.unique(number * max(len(values), 1) + which, return_inverse=True)
    _, first, which, counts = np.unique(number, return_index=True, return_inverse=True, return_counts=True)
    return first, which.astype(np.int64), counts.astype(np.int64)
