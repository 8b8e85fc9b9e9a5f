"""What a batch does to the counts, event by event: so that what happens to alerts happens at the event that brings it about."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.counts import SeriesSpace
from earlywarning.core.judged import Touched
from earlywarning.core.tallies import Entries

Ints = NDArray[np.int64]


class Steps(NamedTuple):
    """Entries in the order of their events: position of the event in the batch, series, day, units (negative: taken away).

    entries: of which they are, with one row for each event and day. edges: where each event's steps begin, and where the last
    one's end: (events + 1,).
    """

    entries: Entries
    position: Ints
    series: Ints
    day: Ints
    units: Ints
    edges: Ints

    @classmethod
    def of(cls, entries: Entries, space: SeriesSpace) -> "Steps":
        """The steps of entries, which are in the order of their positions."""
        index, series = space.expand(entries.kind, entries.area, entries.category)
        order = np.argsort(entries.position[index], kind="stable")
        index, series = index[order], series[order]
        position = entries.position[index]
        first = np.flatnonzero(np.append(True, position[1:] != position[:-1]))
        edges = np.append(first, len(position)).astype(np.int64)
        return cls(entries, position, series, entries.day[index], entries.units[index], edges)

    def __len__(self) -> int:
        return len(self.edges) - 1

    def less(self) -> NDArray[np.bool_]:
        """Which steps take something away."""
        return np.asarray(self.units < 0)

    def part(self, begin: int, stop: int) -> slice:
        """The steps of events `begin` up to `stop`."""
        return slice(int(self.edges[begin]), int(self.edges[stop]))

    def entries_of(self, begin: int, stop: int) -> Entries:
        """The entries of events `begin` up to `stop`."""
        first, last = self.position[self.edges[begin]], self.position[self.edges[stop] - 1]
        low, high = np.searchsorted(self.entries.position, first), np.searchsorted(self.entries.position, last, side="right")
        return Entries(*[column[low:high] for column in self.entries])

    def touched(self, begin: int, stop: int, since: int) -> Touched | None:
        """What events `begin` up to `stop` touch on the days from `since` on; None when that is nothing."""
        its = self.entries_of(begin, stop)
        new = its.day >= since
        if not new.any():
            return None
        kinds, categories = np.unique(np.stack([its.kind[new], its.category[new]]), axis=1)
        return Touched(np.unique(its.area[new]), kinds, categories)

    def runs(self) -> Iterator[tuple[int, int]]:
        """Runs of events (numbers from, to) that only add; an event that takes something away is a run of its own."""
        less = np.add.reduceat(self.less().astype(np.int64), self.edges[:-1]) > 0
        begin = 0
        for event in np.flatnonzero(less).tolist():
            if event > begin:
                yield begin, event
            yield event, event + 1
            begin = event + 1
        if begin < len(less):
            yield begin, len(less)


def first_moment(low: int, stop: int, count: Callable[[int, int, int], None], happens: Callable[[int, int], bool]) -> int | None:
    """The number of the event, low < number <= stop, with which something first happens; None when nothing does.

    count: counts events from, to, with a sign; afterwards those up to the answer are counted, or all of them. happens: whether it
    has happened with events from, to counted. Where they only add, what has happened stays so: it is found by halving.
    """
    count(low, stop, 1)
    if not happens(low, stop):
        return None
    known, high = low, stop  # happened at high, not at known
    if high - known > 1:
        count(low, stop, -1)
        while high - known > 1:
            middle = (known + high) // 2
            count(low, middle, 1)
            already = happens(low, middle)
            count(low, middle, -1)
            known, high = (known, middle) if already else (middle, high)
        count(low, high, 1)
    return high
