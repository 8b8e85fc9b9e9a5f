"""How late events are recorded, and which sources have gone silent: what makes the newest counts uncertain."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
LONGEST_LAG = 28  # days; what is later than that counts as this late
RECENT = 56  # days of a source's past that say how often it usually sends
_FEWEST = 8  # events in that time, below which silence says nothing
FEW = 50
_SHORTEST = 2  # days: a source is never called silent for less


class Silent(NamedTuple):
    """A source that has sent nothing since day `since`; by chance that happens once in `recurrence_days`."""

    source: int
    since: int
    recurrence_days: float


class Arrivals:
    """Events by lag between happening and being recorded, and by source and day of arrival.

    What is asked about a day is answered from what had arrived before that day began, so that the answer is the same
    at any moment of the day.
    """

    def __init__(self, category_ancestors: Ints, kinds: int = 2) -> None:
        self._ancestors = category_ancestors
        self._shape = (kinds, len(category_ancestors), LONGEST_LAG + 1)
        self._lags: dict[int, Ints] = {}  # by day of arrival: (kinds, categories, LONGEST_LAG + 1) events
        self._lags_before = np.zeros(self._shape, dtype=np.int64)
        self._by_source: dict[int, dict[int, int]] = {}  # the last RECENT days on which it sent
        self._first: dict[int, int] = {}
        self._kinds: dict[int, set[int]] = {}

    def add(self, day: int, kind: Ints, category: Ints, lag: Ints, source: Ints, usual: NDArray[np.bool_] | None = None) -> None:
        """Events that arrive on `day`: kind and category numbers, lag in days from happening to recording, source numbers.

        usual: False for those that say nothing of how late events usually are, as a backlog.
        """
        table = self._lags.setdefault(day, np.zeros(self._shape, dtype=np.int64))
        late = np.clip(lag, 0, LONGEST_LAG)
        for above in self._ancestors[category].T:
            real = above >= 0 if usual is None else (above >= 0) & usual
            np.add.at(table, (kind[real], above[real], late[real]), 1)
        numbers, events = np.unique(source * 2 + kind, return_counts=True)
        for number, n in zip(numbers.tolist(), events.tolist(), strict=True):
            days = self._by_source.setdefault(number // 2, {})
            days[day] = days.get(day, 0) + n
            self._first.setdefault(number // 2, day)
            self._kinds.setdefault(number // 2, set()).add(number % 2)

    def begin_day(self, day: int) -> None:
        """Days before `day` are closed: their lags are what is known from now on."""
        for closed in [d for d in self._lags if d < day]:
            self._lags_before += self._lags.pop(closed)
        for days in self._by_source.values():
            last = max(days)
            for old in [d for d in days if d <= last - RECENT - 1]:
                del days[old]

    def shares(self, kind: Ints, category: Ints) -> NDArray[np.float64]:
        """Share of events that are recorded so many days after they happened, or sooner: (n, LONGEST_LAG + 1), rising to 1.

        kind, category: (n,). A category with few events leans on its kind of source: as if FEW of that had been seen in it.
        """
        lags = self._lags_before[kind, category].astype(np.float64)
        pooled = self._lags_before[kind, 0].astype(np.float64)
        total = pooled.sum(1, keepdims=True)
        pooled = np.where(total > 0, pooled / np.maximum(total, 1), np.eye(1, LONGEST_LAG + 1))
        lags = lags + FEW * pooled
        return np.asarray(np.minimum(np.cumsum(lags, 1) / lags.sum(1, keepdims=True), 1.0))

    def silent(self, kind: int, today: int, recurrence_days: float) -> list[Silent]:
        """Sources of this kind whose silence before `today` chance would give less often than once in recurrence_days."""
        found = []
        for source, days in sorted(self._by_source.items()):
            closed = [d for d in days if d < today]
            if kind not in self._kinds[source] or not closed:
                continue
            last = max(closed)
            gap = today - 1 - last
            if gap < _SHORTEST:
                continue
            begin = max(self._first[source], last - RECENT + 1)
            sent = sum(n for d, n in days.items() if begin <= d <= last)
            if sent < _FEWEST:
                continue
            # A Poisson stream of that rate pauses for `gap` days about rate * exp(-rate * gap) times a day.
            rate = sent / (last - begin + 1)
            chance = min(rate, 1.0) * np.exp(-rate * gap)
            if chance * recurrence_days < 1:
                found.append(Silent(source, last, float(1 / max(chance, 1e-12))))
        return found
