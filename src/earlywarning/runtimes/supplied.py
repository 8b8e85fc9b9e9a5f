"""The suppliers' files as their events came: what a rebuild from files takes, in which order, and on which days.

Files keep the order of events. They do not keep on which day an event came, where that was later than it was recorded: the wall
clock had closed the day, or the event was refused first and taken when somebody replayed it. Nor do they keep how two
suppliers' events came among each other. For that the store's pages are asked, which say on which local day each event came.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.core.admission import digest
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.events import AnyEvent
from earlywarning.core.pages import Rows
from earlywarning.core.reenacting import Came, Happening
from earlywarning.settings import Settings
from earlywarning.sources.files import EventFile
from earlywarning.store.store import StoredDeadLetter

Ints = NDArray[np.int64]
Marks = NDArray[np.uint64]
_AT_ONCE = 5_000  # events of a batch, where they are put in another order than their files have


class _Read(NamedTuple):
    """All events of the files, one after the other: key and revision, one number for both, second of recording, file."""

    key: Marks
    revision: Ints
    mark: Marks
    recorded: Ints
    file: Ints


class Supplied:
    """Events of files beside what a store says of them. notes: what was done to their order, and why.

    rows: of the store's pages. letters: the store's dead letters, of any state. Raises FileProblem.
    """

    def __init__(
        self, files: Sequence[Path], settings: Settings, mapping: str, rows: Rows, letters: Sequence[StoredDeadLetter]
    ) -> None:
        self._files, self._settings, self._mapping = files, settings, mapping
        self.notes: list[str] = []
        read = self._read_through()
        self._marks = np.unique(read.mark)
        self._days = _came_on(read, rows)
        self._refused = (self._days < 0) & np.isin(
            read.mark, np.array([m for one in letters for m in _marks_of(one)], dtype=np.uint64)
        )
        if self._refused.any():
            self.notes.append(f"{int(self._refused.sum())} events of the files were refused when they came, and were left out")
        self._order = self._ordered(read)

    def place(self, happenings: Sequence[Happening]) -> list[Happening]:
        """Happenings as they are to be placed: by the event before, where the files have it, else by the hour."""
        known = [h.after is not None and _mark(*h.after) in self._marks for h in happenings]
        return [h if is_known else h._replace(after=None) for h, is_known in zip(happenings, known, strict=True)]

    def batches(self) -> Iterator[Came]:
        """The events in the order in which they came, each with the day on which it did. Raises FileProblem."""
        if self._order is None:
            begin = 0
            for events in self._parts():
                stop = begin + len(events)
                taken = np.flatnonzero(~self._refused[begin:stop])
                yield Came([events[i] for i in taken.tolist()], self._days[begin:stop][taken].tolist())
                begin = stop
            return
        every = [event for events in self._parts() for event in events]
        order = self._order[~self._refused[self._order]]
        for begin in range(0, len(order), _AT_ONCE):
            part = order[begin : begin + _AT_ONCE]
            yield Came([every[i] for i in part.tolist()], self._days[part].tolist())

    # ---- reading --------------------------------------------------------------------------------------------------

    def _parts(self) -> Iterator[list[AnyEvent]]:
        for path in self._files:
            yield from self._parts_of(path)

    def _parts_of(self, path: Path) -> Iterator[list[AnyEvent]]:
        mapping = self._settings.mappings.get(self._mapping)
        zone = self._settings.municipality.timezone
        for supply in EventFile(path, mapping=mapping, mapping_name=self._mapping, default_timezone=zone):
            yield supply.decoded.events

    def _read_through(self) -> _Read:
        key, revision, recorded, file = ([np.empty(0, dtype=np.int64)] for _ in range(4))
        for number, path in enumerate(self._files):
            for events in self._parts_of(path):
                keys = b"".join([digest(e.source, e.event_id) for e in events])
                key.append(np.frombuffer(keys, dtype="<u8").view(np.int64))
                revision.append(np.array([e.revision for e in events], dtype=np.int64))
                recorded.append(np.array([int(e.recorded_at.timestamp()) for e in events], dtype=np.int64))
                file.append(np.full(len(events), number))
        keys_of, revisions = np.concatenate(key).view(np.uint64), np.concatenate(revision)
        return _Read(
            keys_of, revisions, _mark(keys_of, revisions.astype(np.uint64)), np.concatenate(recorded), np.concatenate(file)
        )

    # ---- order ----------------------------------------------------------------------------------------------------

    def _ordered(self, read: _Read) -> Ints | None:
        """Places of the events in the order in which they came; None for that of the files, one after the other."""
        every = np.arange(len(read.mark))
        order, backwards = every, _backwards(self._days)
        if backwards and len(self._files) > 1:
            reached = np.concatenate([np.maximum.accumulate(read.recorded[read.file == n]) for n in range(len(self._files))])
            among = np.lexsort((every, reached))
            if _backwards(self._days[among]) < backwards:
                order, backwards = among, _backwards(self._days[among])
                self.notes.append("the files' events came among each other; they were taken in the order of their recording")
        if backwards:
            order = self._to_their_days(order)
        days = LocalCalendar(self._settings.municipality.timezone).day_of(read.recorded // 3600)[order]
        later = int((self._days[order] > np.maximum.accumulate(days, out=days)).sum()) if len(order) else 0
        if later:
            self.notes.append(f"{later} events came on a later day than they were recorded on; the day is that of the pages")
        return None if order is every else order

    @property
    def as_given(self) -> bool:
        """Whether the order is that of the files; else it is told by pages and times, and not known within an hour."""
        return self._order is None

    def _to_their_days(self, order: Ints) -> Ints:
        days = self._days[order]
        known = days >= 0
        rest = np.where(known, days, np.iinfo(np.int64).max)
        after = np.append(np.minimum.accumulate(rest[::-1])[::-1][1:], np.iinfo(np.int64).max)
        moved = known & (days > after)  # what stands behind it came before it
        self.notes.append(f"{int(moved.sum())} events came later than their place in the files says, on the days of the pages")
        place = np.where(moved, days, np.maximum.accumulate(np.where(known & ~moved, days, -1)))
        return order[np.argsort(place, kind="stable")]


def _mark(key: int | Marks, revision: int | Marks) -> Marks:
    """One number for an event's key and revision."""
    with np.errstate(over="ignore"):
        return np.asarray(np.asarray(key, np.uint64) ^ (np.asarray(revision, np.uint64) * np.uint64(0x9E3779B97F4A7C15)), np.uint64)


def _came_on(read: _Read, rows: Rows) -> Ints:
    """The local day on which the store says that each event came; -1 where it says nothing, and for repeats."""
    days = np.full(len(read.mark), -1, dtype=np.int64)
    columns = {name: rows.columns[name] for name in ("key", "revision", "arrived")}
    order = np.lexsort((columns["revision"], columns["key"]))
    key, revision, arrived = (columns[name][order] for name in ("key", "revision", "arrived"))
    marks, first = np.unique(read.mark, return_index=True)
    held = _mark(key.astype(np.uint64), revision.astype(np.uint64))
    at = np.minimum(np.searchsorted(marks, held), max(len(marks) - 1, 0))
    there = marks[at] == held if len(marks) else np.zeros(len(held), dtype=bool)
    days[first[at[there]]] = arrived[there]
    # A revision that was replaced on the day it came has left no row; it came on the day of the next one that has.
    place = np.where(there, first[at], -1) if len(marks) else np.empty(0, dtype=np.int64)
    low, high = (np.searchsorted(key, read.key[first], side=side) for side in ("left", "right"))
    for i in np.flatnonzero((days[first] < 0) & (high > low)).tolist():
        event = int(first[i])
        after = int(low[i] + np.searchsorted(revision[low[i] : high[i]], read.revision[event], side="right"))
        if after < high[i] and place[after] > event:
            days[event] = arrived[after]
    return days


def _backwards(days: Ints) -> int:
    """How often a day comes before one that has been."""
    known = days[days >= 0]
    return int((known < np.maximum.accumulate(known)).sum())


def _marks_of(one: StoredDeadLetter) -> list[int]:
    """The mark of a refused event; none where the letter does not keep what it takes."""
    letter = one.letter
    if letter.source is None or letter.event_id is None:
        return []
    try:
        payload = msgspec.json.decode(letter.payload or "{}")
    except msgspec.DecodeError:
        return []
    revision = payload.get("revision", 1) if isinstance(payload, dict) else 1
    key = int.from_bytes(digest(letter.source, letter.event_id), "little")
    return [int(_mark(key, revision))] if isinstance(revision, int) and 0 <= revision < 2**32 else []
