"""CountCube: rolling counts of every series, at every level of both trees, kept as running sums over days.

A series is (kind of source, area of any level, category of any level). Counts are whole units of 1/UNIT event, so that
sums are exact and do not depend on the order in which events arrive.
"""

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.calendar import UNIT

Ints = NDArray[np.int64]


class SeriesSpace:
    """Numbers the series of two trees and two kinds: series = (kind * areas + area) * categories + category.

    area_ancestors, category_ancestors: (n, depth), column 0 the node itself, then its parents, padded with -1.
    """

    def __init__(self, area_ancestors: NDArray[np.int32], category_ancestors: NDArray[np.int32], kinds: int = 2) -> None:
        self.areas, self.categories, self.kinds = len(area_ancestors), len(category_ancestors), kinds
        self.area_ancestors = area_ancestors.astype(np.int64)
        self.category_ancestors = category_ancestors.astype(np.int64)

    def __len__(self) -> int:
        return self.kinds * self.areas * self.categories

    def number(self, kind: Ints | int, area: Ints | int, category: Ints | int) -> Ints:
        """Series of kind, area and category."""
        return np.asarray((np.asarray(kind, np.int64) * self.areas + area) * self.categories + category, dtype=np.int64)

    def parts(self, series: Ints | int) -> tuple[Ints, Ints, Ints]:
        """(kind, area, category) of each series."""
        rest, category = np.divmod(np.asarray(series, dtype=np.int64), self.categories)
        kind, area = np.divmod(rest, self.areas)
        return kind, area, category

    def depth(self, series: int) -> int:
        """How specific a series is: levels of its area and of its category below their roots."""
        _, area, category = self.parts(series)
        levels = (self.area_ancestors[area] >= 0).sum() + (self.category_ancestors[category] >= 0).sum()
        return int(levels) - 2

    def expand(self, kind: Ints, area: Ints, category: Ints) -> tuple[Ints, Ints]:
        """All series that an event at (kind, area, category) counts in: (entry, series), grouped by level."""
        entries, series = [], []
        every = np.arange(len(kind))
        for a in range(self.area_ancestors.shape[1]):
            above = self.area_ancestors[area, a]
            for c in range(self.category_ancestors.shape[1]):
                group = self.category_ancestors[category, c]
                real = (above >= 0) & (group >= 0)
                if real.all():
                    entries.append(every)
                    series.append(self.number(kind, above, group))
                elif real.any():
                    entries.append(every[real])
                    series.append(self.number(kind[real], above[real], group[real]))
        if not entries:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        return np.concatenate(entries), np.concatenate(series)


class CountCube:
    """Running sums by day of every series.

    Row i of `sums` holds, for each series, the units of all days before day `first_day + i`; so the units of days a..b
    are sums[b + 1] - sums[a]. Memory: 8 bytes x series x days.
    """

    def __init__(self, series: int) -> None:
        self.series = series
        self.first_day: int | None = None
        self.last_day = -1
        self._sums = np.zeros((0, series), dtype=np.int64)

    @property
    def begun(self) -> bool:
        return self.first_day is not None

    def extend(self, first_day: int, last_day: int) -> None:
        """Make room for days first_day..last_day, with counts of zero."""
        if self.first_day is None:
            self.first_day, self.last_day = first_day, first_day - 1
            self._sums = np.zeros((64, self.series), dtype=np.int64)
        if first_day < self.first_day:
            ahead = self.first_day - first_day
            self._sums = np.concatenate([np.zeros((ahead, self.series), np.int64), self._sums])
            self.first_day = first_day
        rows = last_day - self.first_day + 2
        if rows > len(self._sums):
            room = max(rows + 64, len(self._sums) * 3 // 2)
            # Rows behind the last day are filled as days are added, not before.
            grown = np.empty((room, self.series), dtype=np.int64)
            grown[: self.last_day - self.first_day + 2] = self._sums[: self.last_day - self.first_day + 2]
            self._sums = grown
        if last_day > self.last_day:
            at = self.last_day - self.first_day + 1
            self._sums[at + 1 : rows] = self._sums[at]
            self.last_day = last_day

    def add(self, series: Ints, day: Ints, units: Ints) -> None:
        """Add units (which may be negative: a correction) to series on days. All arrays (n,)."""
        if not len(series):
            return
        self.extend(int(day.min()), int(day.max()))
        assert self.first_day is not None  # noqa: S101  # extend() has set it; for the type checker
        row = day - self.first_day + 1
        begin, stop = int(row.min()), self.last_day - self.first_day + 2
        behind = stop - row  # an event raises each running sum behind its day
        if int(behind.sum()) < 2 * (stop - begin) * self.series:
            entry = np.repeat(np.arange(len(row)), behind)
            step = np.arange(len(entry)) - np.repeat(np.cumsum(behind) - behind, behind)
            np.add.at(self._sums.reshape(-1), (row[entry] + step) * self.series + series[entry], units[entry])
            return
        block = np.zeros((stop - begin, self.series), dtype=np.int64)
        np.add.at(block.reshape(-1), (row - begin) * self.series + series, units)
        np.cumsum(block, axis=0, out=block)
        self._sums[begin:stop] += block

    def upto(self, days: Ints) -> Ints:
        """Row number of the running sum that includes each day; days outside the cube give its nearest end."""
        assert self.first_day is not None  # noqa: S101  # callers ask `begun` first
        return np.clip(np.asarray(days, np.int64) - self.first_day + 1, 0, self.last_day - self.first_day + 1)

    def window(self, series: Ints, last_days: Ints, length: int) -> Ints:
        """Units in windows of `length` days ending on last_days: (len(last_days), len(series))."""
        last_days = np.asarray(last_days, np.int64)
        return np.asarray(
            self._sums[np.ix_(self.upto(last_days), series)] - self._sums[np.ix_(self.upto(last_days - length), series)]
        )

    def window_all(self, last_day: int, length: int) -> Ints:
        """Units in the window ending on last_day, for all series: (series,)."""
        assert self.first_day is not None  # noqa: S101  # callers ask `begun` first
        most = self.last_day - self.first_day + 1
        high, low = (min(max(day - self.first_day + 1, 0), most) for day in (last_day, last_day - length))
        return np.asarray(self._sums[high] - self._sums[low])

    def daily(self, series: Ints, first_day: int, last_day: int) -> NDArray[np.float64]:
        """Events (not units) of each day: (len(series), days)."""
        days = np.arange(first_day, last_day + 1)
        return self.window(series, days, 1).T / UNIT

    def daily_all(self, series: Ints, first_day: int, last_day: int) -> NDArray[np.float32]:
        """Events (not units) of each day, days first: (days, len(series))."""
        sums = self._sums[self.upto(np.arange(first_day - 1, last_day + 1))][:, series]
        return np.asarray(np.diff(sums, axis=0) / UNIT, dtype=np.float32)
