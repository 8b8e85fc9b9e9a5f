"""Bursts: many like items of one source about one area, filed in one go; they count as one.

While a day runs, of items that are alike to the hour of recording only a handful count (senders.py): the others wait for
the close of the day. Then the day as a whole says whether it was one reporter's round, of which one item counts, or
many people's, all of which count.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.bookings import (
    FEWEST_DAYS,
    SPREAD,
    YEAR,
    Artefact,
    Bookings,
    Bools,
    Found,
    Ints,
    Past,
    check,
    grouped,
    nothing,
)
from earlywarning.core.detectors.negative_binomial import tail_probability

Floats = NDArray[np.float64]
HANDFUL = 3  # like items of one hour that always count at once
LEAST = 20  # items of one source, area and category in a day, below which it is never called a burst
_TIMES = 8.0  # as many times the usual, at least
_ALPHA = 1e-6  # chance of one cell and day: a municipality has some 10^5 of them in a year
_GO = 2  # hours of recording in which ...
_FILED_IN_ONE_GO = 0.5  # ... this share was filed
_WITHOUT_ELSEWHERE = 0.9  # the same where the area cannot be compared with others
_ALONE = 3.0  # times as much beyond the usual as the same category elsewhere: weather comes to many areas
MOST_OF_IT = 0.5  # an area with more than this share of a sender's rows has no elsewhere; an hour: it gives no hours


class _Usual(NamedTuple):
    """What is usual of some cells before a day, (m,) each: events a day here and of the same category elsewhere; elsewhere on
    the day itself; days that the sender is known; whether it has other areas; whether its hours of recording say anything."""

    here: Floats
    elsewhere: Floats
    elsewhere_now: Ints
    known: Ints
    has_elsewhere: Bools
    has_hours: Bools

    @property
    def judgeable(self) -> Bools:
        """Cells of which one could know a burst from what happened."""
        return np.asarray((self.known >= FEWEST_DAYS) & (self.has_elsewhere | self.has_hours))


def find_bursts(rows: Bookings, first: int, last: int, aside: Bools | None = None) -> Found:
    """Bursts among the rows that arrived on the days first..last, judged with what had arrived by each day's end.

    rows: all that arrived up to `last`, at least from YEAR days before `first`. A burst has LEAST items and _TIMES the usual of
    its source, area and category, would come by chance in less than _ALPHA of cells and days (negative binomial, variance
    SPREAD times the mean, the mean raised by as much as the category is raised elsewhere that day), is not matched by the
    same category in other areas, and was filed for at least half within _GO hours. An area that has most of its source's
    rows cannot be compared with others: there the hours of recording must say it. What the source filed besides about
    the area on that day belongs to the round, of which one item counts. A source known for less than
    FEWEST_DAYS has no burst. aside: rows that are not asked, as those of a filled gap; they are part of the usual all the same.
    """
    check(rows)
    out = nothing(rows.size)
    asked = (rows.arrived >= first) & (rows.arrived <= last)
    judged = np.flatnonzero(asked if aside is None else asked & ~aside)
    if len(judged) < LEAST:
        return out
    these = rows.take(judged)
    starts, which, counts = grouped(these.sender, these.area, these.category, these.arrived)
    many = np.flatnonzero(counts >= LEAST)
    if not len(many):
        return out
    heads, n = these.take(starts[many]), counts[many]
    usual = _usual(rows, heads)
    # A day on which the category rises everywhere raises what is expected here as well.
    lift = np.maximum(1.0, (usual.elsewhere_now + 1) / (usual.elsewhere + 1))
    expected = np.maximum(usual.here * lift, 1 / YEAR)
    p = tail_probability(n, expected, SPREAD)
    likely = usual.judgeable & (n >= _TIMES * expected) & (p < _ALPHA)
    likely &= n - usual.here >= _ALONE * np.maximum(usual.elsewhere_now - usual.elsewhere, 0)
    artefacts, kept = [], []
    for i in np.flatnonzero(likely).tolist():
        items = judged[which == many[i]]
        if _in_one_go(rows.recorded[items]) < (_FILED_IN_ONE_GO if usual.has_elsewhere[i] else _WITHOUT_ELSEWHERE):
            continue
        sender, area, day = int(heads.sender[i]), int(heads.area[i]), int(heads.arrived[i])
        of_day = (these.sender == sender) & (these.arrived == day)
        out.left_out[judged[of_day & (these.area == area)]] = True
        kept.append(_earliest(rows, items))
        cell = (sender % 2, sender // 2, area, int(heads.category[i]))
        share = len(items) / int(of_day.sum())
        artefacts.append(Artefact("burst", "counted once", *cell, day, day, len(items), float(expected[i]), share, float(p[i])))
    out.left_out[kept] = False
    return out._replace(artefacts=tuple(artefacts))


def _usual(rows: Bookings, heads: Bookings) -> _Usual:
    """What is usual of each head's cell, from the rows that arrived in the YEAR before the head did."""
    n, day = rows.size, heads.arrived
    both = Bookings(*[np.concatenate([a, b]) for a, b in zip(rows, heads, strict=True)])
    _, cell, _ = grouped(both.sender, both.area, both.category)
    _, sort, _ = grouped(both.sender, both.category)
    _, place, _ = grouped(both.sender, both.area)
    of_cell, of_sort = Past(cell[:n], rows.arrived), Past(sort[:n], rows.arrived)
    of_place, of_sender = Past(place[:n], rows.arrived), Past(rows.sender, rows.arrived)
    known = of_sender.known(heads.sender, day)
    days = np.maximum(known, 1)
    before = (day - days, day - 1)
    here, everywhere = of_cell.between(cell[n:], *before), of_sort.between(sort[n:], *before)
    sent = np.maximum(of_sender.between(heads.sender, *before), 1)
    return _Usual(
        here / days,
        (everywhere - here) / days,
        of_sort.between(sort[n:], day, day) - of_cell.between(cell[n:], day, day),
        known,
        np.asarray(of_place.between(place[n:], *before) <= MOST_OF_IT * sent),
        _has_hours(rows, heads, sent, before),
    )


def _has_hours(rows: Bookings, heads: Bookings, sent: Ints, before: tuple[Ints, Ints]) -> Bools:
    """Whether no hour of the day has most of what each head's sender recorded: (m,)."""
    past = Past(rows.sender * 24 + rows.recorded % 24, rows.arrived)
    most = np.zeros(heads.size, dtype=np.int64)
    for hour in range(24):
        most = np.maximum(most, past.between(heads.sender * 24 + hour, *before))
    return np.asarray(most <= MOST_OF_IT * sent)


def _in_one_go(recorded: Ints) -> float:
    """The largest share of items that were recorded within _GO neighbouring hours."""
    hours = np.sort(recorded)
    behind = np.searchsorted(hours, hours + _GO - 1, side="right") - np.arange(len(hours))
    return float(behind.max() / len(hours))


def _earliest(rows: Bookings, items: Ints) -> int:
    """The earliest of some items; which one of equal ones does not matter."""
    return int(items[np.lexsort((rows.recorded[items], rows.last_day[items], rows.day[items]))[0]])
