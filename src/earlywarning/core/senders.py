"""What is usual of each sender: running counts of the last year of arrivals, and which rows wait for the close of a day.

A sender is a source and the kind of what it sends. Two sorts of rows wait: those that are later than all but a few of
their sender's, since they may be a backlog, and those beyond a handful that are alike to the hour, since they may be one
reporter's round. When the day closes it is known what they were (see artefacts.py). What happened yesterday can
wait an hour; what is told once or thrice never waits. So within a day counts only rise, and fifty items raise nothing.
"""

from math import ceil, sqrt

import numpy as np

from earlywarning.core.detectors.artefacts import LOOK_BACK
from earlywarning.core.detectors.backlogs import FILLED_WITHIN, LAGS, LEAST, SHORTEST_GAP, TIMES, seldom_late
from earlywarning.core.detectors.bookings import FEWEST_DAYS, NO_ROWS, SPREAD, YEAR, Bookings, Bools, Ints
from earlywarning.core.detectors.bursts import HANDFUL, MOST_OF_IT
from earlywarning.core.detectors.bursts import LEAST as LEAST_ALIKE

_ALL = 10**9
_HOURS = 4096  # of recording that one day's rows may span; wider apart they only meet by chance


class Senders:
    """Counts of the rows that arrived in the YEAR before today, by sender, and by cell of it."""

    def __init__(self) -> None:
        self._days: dict[int, Bookings] = {}  # of LOOK_BACK
        self._counted: set[int] = set()  # those of the last YEAR
        self._cells: dict[int, int] = {}  # rows by sender, area and category
        self._places: dict[int, int] = {}  # rows by sender and area
        self._sent = np.zeros(0, dtype=np.int64)
        self._late = np.zeros((len(LAGS), 0), dtype=np.int64)  # rows at least so late
        self._hours = np.zeros((0, 24), dtype=np.int64)  # rows by hour of recording
        self._first = np.zeros(0, dtype=np.int64)  # day of the first row ever
        self._last = np.zeros(0, dtype=np.int64)  # and of the last one
        self._after_pause = np.full(0, -(10**9))  # the last day that ended a pause
        self._alike: dict[int, int] = {}  # today's rows by cell, day and hour of recording
        self._waiting: dict[int, list[int]] = {}  # those of them that wait

    # ---- days -----------------------------------------------------------------------------------------------------

    def close_day(self, day: int, rows: Bookings) -> None:
        """Day `day` is over with these rows: they are part of what is usual from the next one on."""
        self._alike, self._waiting = {}, {}
        for old in [d for d in self._counted if d <= day - YEAR]:
            self._counted.discard(old)
            self._add(self._days[old], -1)
        for old in [d for d in self._days if d <= day - LOOK_BACK]:
            del self._days[old]
        if not rows.size:
            return
        self._days[day] = rows
        self._counted.add(day)
        self._add(rows, 1)
        here = np.unique(rows.sender)
        new = self._first[here] < 0
        self._first[here[new]] = day
        paused = ~new & (day - self._last[here] > SHORTEST_GAP)
        self._after_pause[here[paused]] = day
        self._last[here] = day

    def fill(self, rows: Bookings, last: int) -> None:
        """Fill new ones up to day `last`, with all rows that arrived until then, in the order of their arrival."""
        if not rows.size:
            return
        self._grow(int(rows.sender.max()) + 1)
        edges = np.flatnonzero(np.append(True, rows.arrived[1:] != rows.arrived[:-1]))
        for begin, stop in zip(edges.tolist(), [*edges[1:].tolist(), rows.size], strict=True):
            day = int(rows.arrived[begin])
            if day > last - LOOK_BACK:
                self._days[day] = rows.take(np.arange(begin, stop))
        self._counted = {d for d in self._days if d > last - YEAR}
        self._add(rows.take(rows.arrived > last - YEAR), 1)
        sender, day_of = np.unique(np.stack([rows.sender, rows.arrived]), axis=1)
        first = np.append(True, sender[1:] != sender[:-1])
        self._first[sender[first]] = day_of[first]
        self._last[sender] = day_of  # in order: the last one stays
        paused = ~first & (np.diff(day_of, prepend=0) > SHORTEST_GAP)
        self._after_pause[sender[paused]] = day_of[paused]

    def recent(self) -> Bookings:
        """The rows of the last LOOK_BACK days, in the order of arrival."""
        return self.since(0)

    def since(self, day: int) -> Bookings:
        """The rows that arrived from `day` on."""
        days = [self._days[d] for d in sorted(self._days) if d >= day]
        return Bookings(*[np.concatenate(c) for c in zip(*days, strict=True)]) if days else NO_ROWS

    def _add(self, rows: Bookings, sign: int) -> None:
        if not rows.size:  # nothing has come for a year
            return
        sender = rows.sender
        self._grow(int(sender.max()) + 1)
        for counts, keys in ((self._cells, _cell(rows)), (self._places, _place(rows))):
            for key, n in zip(*(a.tolist() for a in np.unique(keys, return_counts=True)), strict=True):
                left = counts.get(key, 0) + sign * n
                if left:
                    counts[key] = left
                else:
                    del counts[key]
        n = len(self._sent)
        self._sent += sign * np.bincount(sender, minlength=n)
        self._hours += sign * np.bincount(sender * 24 + rows.recorded % 24, minlength=24 * n).reshape(n, 24)
        lag = rows.arrived - rows.last_day
        for k, least in enumerate(LAGS.tolist()):
            late = lag >= least
            if not late.any():
                break
            self._late[k] += sign * np.bincount(sender[late], minlength=n)

    def _grow(self, senders: int) -> None:
        more = senders - len(self._sent)
        if more <= 0:
            return
        self._sent = np.append(self._sent, np.zeros(more, np.int64))
        self._late = np.pad(self._late, ((0, 0), (0, more)))
        self._hours = np.pad(self._hours, ((0, more), (0, 0)))
        self._first = np.append(self._first, np.full(more, -1))
        self._last = np.append(self._last, np.full(more, -1))
        self._after_pause = np.append(self._after_pause, np.full(more, -(10**9)))

    def _known(self, today: int) -> Ints:
        """Days that each sender is known, at most a YEAR."""
        return np.where(self._first < 0, 0, np.minimum(today - self._first, YEAR))

    # ---- what waits -----------------------------------------------------------------------------------------------

    def wait(self, number: Ints, rows: Bookings, today: int) -> Bools:
        """Which rows that arrive today wait for its close. number: (n,) of the rows in the ledger."""
        out = np.zeros(rows.size, dtype=bool)
        if not rows.size:
            return out
        self._grow(int(rows.sender.max()) + 1)
        lag = today - rows.last_day
        if (lag >= LAGS[0]).any():
            bound = seldom_late(self._late, self._sent, self._known(today))[rows.sender]
            out |= (bound >= 0) & (lag >= LAGS[np.maximum(bound, 0)])
        whole = np.flatnonzero(rows.day == rows.last_day)  # what is spread over days is not like another
        unique, which, counts = np.unique(_alike(rows.take(whole), today), return_inverse=True, return_counts=True)
        before = [self._alike.get(key, 0) for key in unique.tolist()]
        for key, n, more in zip(unique.tolist(), before, counts.tolist(), strict=True):
            self._alike[key] = n + more
        # A sender without hours gives what it has of a day at once: being alike to the hour says nothing, two are a handful.
        hourless = self._hours.max(1) > MOST_OF_IT * np.maximum(self._sent, 1)
        least = np.where(hourless, 1, HANDFUL)
        first = np.empty(len(unique), dtype=np.int64)
        first[which] = rows.sender[whole]
        for i in np.flatnonzero(np.array(before) + counts > least[first]).tolist():
            items = whole[which == i]
            most = self._handful(rows, int(items[0]), today, int(least[first[i]]))
            beyond = items[max(most - before[i], 0) :]
            beyond = beyond[~out[beyond]]
            out[beyond] = True
            self._waiting.setdefault(int(unique[i]), []).extend(number[beyond].tolist())
        return out

    def withdrawn(self, number: int, rows: Bookings, today: int) -> int | None:
        """A row that arrived today is gone again; `rows` is that one. Returns the number of one that need not wait any more."""
        if rows.day[0] != rows.last_day[0]:
            return None
        key = int(_alike(rows, today)[0])
        waiting = self._waiting.get(key, [])
        self._alike[key] = self._alike.get(key, 1) - 1
        if number in waiting:
            waiting.remove(number)
            return None
        return waiting.pop(0) if waiting else None

    def _handful(self, rows: Bookings, i: int, today: int, least: int) -> int:
        """How many rows like the i-th count at once: `least`, or what its sender's past makes usual for a whole day."""
        one = rows.take(np.array([i]))
        sender, known = int(one.sender[0]), int(self._known(today)[int(one.sender[0])])
        sent = max(int(self._sent[sender]), 1)
        has_elsewhere = self._places.get(int(_place(one)[0]), 0) <= MOST_OF_IT * sent
        if known < FEWEST_DAYS or not (has_elsewhere or least == HANDFUL):
            return _ALL  # no burst could be told of it
        here = self._cells.get(int(_cell(one)[0]), 0) / known
        return max(least, ceil(here + 3 * sqrt(SPREAD * here)))

    # ---- what is worth a look -------------------------------------------------------------------------------------

    def suspicious(self, day: int, rows: Bookings) -> bool:
        """Whether the rows that arrived on `day` could hold a burst, a backlog or a filled gap: never False when they do."""
        if not rows.size:
            return False
        _, counts = np.unique(_cell(rows), return_counts=True)
        if counts.max() >= LEAST_ALIKE:
            return True
        lag = rows.arrived - rows.last_day
        late = lag >= LAGS[0]
        if int(late.sum()) < LEAST:
            return False
        self._grow(int(rows.sender.max()) + 1)
        n = len(self._sent)
        for k, least in enumerate(LAGS.tolist()):
            now = np.bincount(rows.sender[lag >= least], minlength=n)
            if ((now >= LEAST) & (now >= TIMES * self._late[k] / YEAR)).any():
                return True
        # A gap that ends today is not noted before the day closes.
        paused = (day - self._last > SHORTEST_GAP) | (self._after_pause > day - FILLED_WITHIN)
        return bool((np.bincount(rows.sender[late], minlength=n)[paused] >= LEAST).any())


def _cell(rows: Bookings) -> Ints:
    return np.asarray((rows.sender << 32) | (rows.area << 16) | rows.category, dtype=np.int64)


def _place(rows: Bookings) -> Ints:
    return np.asarray((rows.sender << 16) | rows.area, dtype=np.int64)


def _alike(rows: Bookings, today: int) -> Ints:
    """One number for each sender, area, category, day and hour of recording: (n,). Equal for rows that are alike."""
    cells = _cell(rows).astype(np.uint64)
    day = (today - rows.day).astype(np.uint64)
    hour = (rows.recorded % _HOURS).astype(np.uint64)
    # Mixed, since five columns do not fit beside one another in 64 bits (finaliser of SplitMix64: Steele et al. 2014, OOPSLA 453).
    x = cells * np.uint64(0x9E3779B97F4A7C15) + (day * np.uint64(_HOURS) + hour) * np.uint64(0xD1342543DE82EF95)
    x ^= x >> np.uint64(30)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    return x.view(np.int64)
