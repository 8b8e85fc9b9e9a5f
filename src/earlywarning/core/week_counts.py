"""What a week's figures are made from: the standing events of the pages as daily counts of every series, and who sent what.

Counts are those that were known at the close of one day, so that the picture of a week can be made anew as it was.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.areas import AreaRegister
from earlywarning.core.arrivals import RECENT, Arrivals
from earlywarning.core.calendar import UNIT, LocalCalendar
from earlywarning.core.categories import CategoryTree
from earlywarning.core.counts import SeriesSpace
from earlywarning.core.events import KINDS
from earlywarning.core.pages import Rows

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_ARRIVALS = 730  # days of arrivals that say how late events are
_BEFORE = 8  # weeks before the week, that say how much a source usually sends


class SourceWeek(NamedTuple):
    """One source in a week: events received in it, mean of the eight weeks before, hours from happening to recording
    (median and ninetieth percentile, NaN without events), and since which day it is silent (-1: it is not)."""

    source: str
    received: int
    usual: float
    median_hours: float
    slow_hours: float
    silent_since: int


@dataclass(frozen=True)
class WeekCounts:
    """counts: (days, kinds, areas, categories) events from first_day to last_day, of the origins that raise alerts. others:
    (kinds, areas, categories) events of the week of other origins. arrivals: lateness as known. sources: of the week."""

    space: SeriesSpace
    first_day: int
    last_day: int
    known_day: int
    counts: NDArray[np.float32]
    others: Floats
    arrivals: Arrivals
    sources: tuple[SourceWeek, ...]


def count_week(
    rows: Rows,
    last_day: int,
    known_day: int,
    *,
    register: AreaRegister,
    tree: CategoryTree,
    calendar: LocalCalendar,
    origins: tuple[int, ...] = (0,),
    longest_days: int = 5 * 371,
    silence_recurrence_days: float = 365.0,
) -> WeekCounts:
    """Daily counts up to the week that ends on `last_day`, as known at the close of `known_day`.

    longest_days: of history looked at, at most. origins: numbers of the origins that are compared with their past.
    """
    space = SeriesSpace(register.ancestors, tree.ancestors)
    columns = rows.columns
    area = np.asarray(register.resolve(rows.codes["area"]), dtype=np.int64)[columns["area"].astype(np.int64)]
    category = np.asarray(tree.resolve(rows.codes["category"]), dtype=np.int64)[columns["category"].astype(np.int64)]
    known = (columns["arrived"] <= known_day) & (columns["superseded"] > known_day) & (area >= 0) & (category >= 0)
    stands = known & ~columns["retracted"].astype(bool)
    event, day, units = calendar.spread(columns["start"][stands].astype(np.int64), columns["end"][stands].astype(np.int64))
    kind, its_area, its_category = columns["kind"][stands].astype(np.int64), area[stands], category[stands]
    compared = np.isin(columns["origin"][stands], origins)
    first_day = max(int(day.min(initial=last_day)), last_day - longest_days + 1)
    inside = (day >= first_day) & (day <= last_day)
    event, day, units = event[inside], day[inside], units[inside]

    def count(some: NDArray[np.bool_], first: int, days: int) -> Floats:
        entry, series = space.expand(kind[event[some]], its_area[event[some]], its_category[event[some]])
        place = (day[some][entry] - first) * len(space) + series if days > 1 else series
        total = np.bincount(place, weights=units[some][entry], minlength=days * len(space))
        return (total / UNIT).reshape(days, space.kinds, space.areas, space.categories)

    this_week = day > last_day - 7
    return WeekCounts(
        space, first_day, last_day, known_day,
        count(compared[event], first_day, last_day - first_day + 1).astype(np.float32),
        count(~compared[event] & this_week, last_day, 1)[0],
        *_arrivals(rows, stands, category, last_day, known_day, calendar, tree, silence_recurrence_days),
    )  # fmt: skip


def _arrivals(
    rows: Rows,
    stands: NDArray[np.bool_],
    category: Ints,
    last_day: int,
    known_day: int,
    calendar: LocalCalendar,
    tree: CategoryTree,
    recurrence_days: float,
) -> tuple[Arrivals, tuple[SourceWeek, ...]]:
    """Lateness and sources, from what had arrived by the end of the week or was known of it, whichever was sooner."""
    until = min(last_day, known_day)
    columns = rows.columns
    recent = stands & (columns["arrived"] > until - _ARRIVALS) & (columns["arrived"] <= until)
    column = {name: columns[name][recent].astype(np.int64) for name in ("arrived", "recorded", "end", "kind", "source")}
    hours = column["recorded"] - column["end"]
    lag = calendar.day_of(column["recorded"]) - calendar.day_of(column["end"])
    arrivals = Arrivals(tree.ancestors.astype(np.int64), len(KINDS))
    order = np.argsort(column["arrived"], kind="stable")
    for these in np.split(order, np.flatnonzero(np.diff(column["arrived"][order])) + 1):
        if len(these):
            day = int(column["arrived"][these[0]])
            arrivals.add(day, column["kind"][these], category[recent][these], lag[these], column["source"][these])
    arrivals.begin_day(until + 1)
    silent = {one.source: one.since for kind in range(len(KINDS)) for one in arrivals.silent(kind, until + 1, recurrence_days)}
    week = column["arrived"] > last_day - 7
    before = (column["arrived"] <= last_day - 7) & (column["arrived"] > last_day - 7 * (_BEFORE + 1))
    lately = column["arrived"] > until - RECENT
    found = []
    for number, source in sorted(enumerate(rows.codes["source"]), key=lambda pair: pair[1]):
        its = column["source"] == number
        if not (its & lately).any() and number not in silent:
            continue
        late = hours[its & week]
        median, slow = (float(np.percentile(late, q)) if len(late) else float("nan") for q in (50, 90))
        usual = float((its & before).sum() / _BEFORE)
        found.append(SourceWeek(source, int((its & week).sum()), usual, median, slow, silent.get(number, -1)))
    return arrivals, tuple(found)
