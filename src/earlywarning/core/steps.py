"""What a batch does to the counts, event by event: so that an alert is opened at the event that raises it."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


class Steps(NamedTuple):
    """Entries in the order of their events: position of the event in the batch, series, day, units (negative: taken away)."""

    position: Ints
    series: Ints
    day: Ints
    units: Ints

    def taken(self) -> "Steps | None":
        """What is taken away, None when nothing is."""
        less = self.units < 0
        return Steps._make([column[less] for column in self]) if less.any() else None

    def edges(self) -> Ints:
        """Where each event's entries begin, and where the last one's end: (events + 1,)."""
        first = np.flatnonzero(np.append(True, self.position[1:] != self.position[:-1]))
        return np.append(first, len(self.position)).astype(np.int64)

    def runs(self) -> Iterator[tuple[int, int]]:
        """Runs of events (numbers from, to) that only add; an event that takes something away is a run of its own."""
        edges = self.edges()
        less = np.add.reduceat((self.units < 0).astype(np.int64), edges[:-1]) > 0
        begin = 0
        for event in np.flatnonzero(less).tolist():
            if event > begin:
                yield begin, event
            yield event, event + 1
            begin = event + 1
        if begin < len(less):
            yield begin, len(less)
