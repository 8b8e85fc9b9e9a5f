"""Which events are held: every revision that ever counted, with the local days between which it was held.

The ledger is bitemporal: a row says when the event happened and from which day (arrived) to which day (superseded) it
was part of the counts. So the counts *as they were known* at the close of any day follow from it, and everything that
was ever fitted or judged can be recomputed.
"""

from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_FEW = 2_000  # keys that are put one by one, as live events are
STANDING = 2**31 - 1  # superseded: not yet

COLUMNS: dict[str, str] = {
    "key": "<u8",
    "revision": "<i4",
    "start": "<i4",
    "end": "<i4",
    "recorded": "<i4",
    "arrived": "<i4",
    "superseded": "<i4",
    "area": "<u2",
    "category": "<u2",
    "source": "<u2",
    "kind": "u1",
    "origin": "u1",
    "severity": "u1",
    "concern": "u1",
    "retracted": "?",
}
CONTENT = ("start", "end", "area", "category", "kind", "origin", "severity", "concern", "retracted")


class KeyIndex:
    """From an event's key to the row of its highest revision: a sorted base and a small recent part."""

    def __init__(self) -> None:
        self._keys = np.empty(0, dtype=np.uint64)
        self._rows = np.empty(0, dtype=np.int64)
        self._recent: dict[int, int] = {}

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Row of each key, -1 where it is not held."""
        found = np.full(len(keys), -1, dtype=np.int64)
        if len(self._keys):
            at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            same = self._keys[at] == keys
            found[same] = self._rows[at[same]]
        if self._recent:
            get = self._recent.get
            recent = np.array([get(k, -1) for k in keys.tolist()], dtype=np.int64)
            found = np.where(recent >= 0, recent, found)
        return found

    def put(self, keys: NDArray[np.uint64], rows: NDArray[np.int64]) -> None:
        """Point keys to rows; a key that is held already points to the new row."""
        if len(keys) < _FEW:
            self._recent.update(zip(keys.tolist(), rows.tolist(), strict=True))
            if len(self._recent) < _FEW * 10:
                return
            keys, rows = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
        recent_keys = np.fromiter(self._recent.keys(), dtype=np.uint64, count=len(self._recent))
        recent_rows = np.fromiter(self._recent.values(), dtype=np.int64, count=len(self._recent))
        keys, rows = np.concatenate([recent_keys, keys]), np.concatenate([recent_rows, rows])
        order = np.argsort(keys, kind="stable")
        keys, rows = np.concatenate([self._keys, keys[order]]), np.concatenate([self._rows, rows[order]])
        # Two sorted runs: a stable sort merges them, and of equal keys the newer row stands last and is kept.
        order = np.argsort(keys, kind="stable")
        keys, rows = keys[order], rows[order]
        last = np.append(keys[1:] != keys[:-1], True)
        self._keys, self._rows, self._recent = keys[last], rows[last], {}


@dataclass(frozen=True, slots=True)
class Held:
    """Ledger rows taken out: one array per column, all of equal length."""

    columns: dict[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.columns["key"])


class Ledger:
    """The events of one municipality, in memory, column by column."""

    def __init__(self) -> None:
        self._size = 0
        self._columns = {name: np.zeros(1024, dtype=dtype) for name, dtype in COLUMNS.items()}
        self._days: dict[int, array[int]] = {}
        self.index = KeyIndex()

    def __len__(self) -> int:
        return self._size

    def column(self, name: str) -> NDArray[np.generic]:
        """One column of all rows (a view)."""
        return self._columns[name][: self._size]

    def append(self, columns: dict[str, NDArray[np.generic]]) -> NDArray[np.int64]:
        """Add rows; returns their numbers. The caller says on which days they stand (`stand_on`) and indexes them."""
        n = len(columns["key"])
        if self._size + n > len(self._columns["key"]):
            # Grow by half, not double: at a million rows the slack would cost more than the copying.
            room = max(self._size + n, self._size * 3 // 2)
            self._columns = {name: np.concatenate([c, np.zeros(room - len(c), c.dtype)]) for name, c in self._columns.items()}
        for name, values in columns.items():
            self._columns[name][self._size : self._size + n] = values
        rows = np.arange(self._size, self._size + n)
        self._size += n
        return rows

    def stand_on(self, rows: NDArray[np.int64], days: NDArray[np.int64]) -> None:
        """Note that row rows[i] belongs to the page of day days[i]."""
        if not len(rows):
            return
        order = np.argsort(days, kind="stable")
        rows, days = rows[order].astype(np.uint32), days[order]
        starts = np.flatnonzero(np.append(True, days[1:] != days[:-1]))
        for begin, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(days)], strict=True):
            self._days.setdefault(int(days[begin]), array("I")).frombytes(rows[begin:stop].tobytes())

    def supersede(self, rows: NDArray[np.int64], days: NDArray[np.int64]) -> None:
        """The rows are no longer part of the counts from these days on."""
        self._columns["superseded"][rows] = days

    def days(self) -> list[int]:
        """Local days that have a page, in order."""
        return sorted(self._days)

    def on_day(self, day: int) -> Held:
        """The rows of one day's page, in the order of key and revision, without those that were never part of a close.

        A row that was superseded on the day it arrived leaves no trace: no day ever closed with it.
        """
        rows = np.frombuffer(self._days.get(day, array("I")), dtype=np.uint32)
        rows = rows[self._columns["superseded"][rows] > self._columns["arrived"][rows]]
        order = np.lexsort((self._columns["arrived"][rows], self._columns["revision"][rows], self._columns["key"][rows]))
        rows = rows[order]
        return Held({name: column[rows] for name, column in self._columns.items()})
