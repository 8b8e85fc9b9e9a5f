"""Local days: which day of the municipality an instant belongs to, and how an interval is spread over its days.

Instants are whole hours since 1970-01-01T00:00Z (times are kept to the hour); days are whole numbers since 1970-01-01
in the municipality's own time zone, so that a local day has 23, 24 or 25 hours.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Hours = NDArray[np.int64]
Days = NDArray[np.int64]

UNIT = 5040  # one event, in whole units: divisible by 1..10 and by 24, so that common spreads come out exact
_EPOCH = date(1970, 1, 1)
_FIRST_YEAR, _LAST_YEAR = 1970, 2100


class CalendarError(ValueError):
    """A time zone that local days cannot be built from."""


class LocalCalendar:
    """The days of one time zone.

    Raises CalendarError when the zone is unknown or its offset from UTC is not a whole number of hours.
    """

    def __init__(self, timezone: str = "Europe/Stockholm") -> None:
        self.timezone = timezone
        self._changes, self._offsets = _transitions(timezone)

    def day_of(self, hours: Hours | int) -> Days:
        """Local day of each hour. hours: any shape, whole hours since the epoch (UTC)."""
        hours = np.asarray(hours, dtype=np.int64)
        offset = self._offsets[np.searchsorted(self._changes, hours, side="right") - 1]
        return np.asarray((hours + offset) // 24, dtype=np.int64)

    def first_hour(self, days: Days | int) -> Hours:
        """First hour (UTC, since the epoch) of each local day."""
        days = np.asarray(days, dtype=np.int64)
        # Start from the offset in force at UTC noon before, then step over a change that falls in between.
        guess = days * 24 - self._offsets[np.searchsorted(self._changes, days * 24 - 12, side="right") - 1]
        earlier, later = guess - 1, guess + 1
        out = np.where(self.day_of(guess) < days, later, guess)
        return np.asarray(np.where(self.day_of(earlier) == days, earlier, out), dtype=np.int64)

    def day_at(self, instant: datetime) -> int:
        """Local day of one aware instant."""
        return int(self.day_of(hour_of(instant)))

    def spread(self, start: Hours, end: Hours) -> tuple[NDArray[np.int64], Days, NDArray[np.int64]]:
        """Spread each event over the local days that it may belong to (aoristic weights).

        start, end: (n,) first and last hour in which it may have happened, start <= end. Returns (event, day, units),
        one row for each event and day, in the order of the events and their days; the units of an event always
        add up to UNIT, and a day's share is its share of the hours.
        Ratcliffe & McCullagh 1998, International Journal of Geographical Information Science 12:751.
        """
        first, last = self.day_of(start), self.day_of(end)
        spans = last - first + 1
        if (spans == 1).all():
            return np.arange(len(start)), first, np.full(len(start), UNIT, dtype=np.int64)
        event = np.repeat(np.arange(len(start)), spans)
        within = np.arange(len(event)) - np.repeat(np.cumsum(spans) - spans, spans)
        day = first[event] + within
        hours = end - start + 1
        # Rounding the running total, not each share, keeps the sum exactly one event.
        upto = np.minimum(self.first_hour(day + 1), end[event] + 1) - start[event]
        since = np.maximum(self.first_hour(day), start[event]) - start[event]
        total = 2 * hours[event]
        units = (2 * UNIT * upto + hours[event]) // total - (2 * UNIT * since + hours[event]) // total
        return event, day, units


@lru_cache(maxsize=64)
def _transitions(timezone: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    try:
        zone = ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise CalendarError(f"time zone {timezone!r} is not known; write it as in Europe/Stockholm") from error

    def offset(hour: int) -> int:
        seconds = (datetime.fromtimestamp(hour * 3600, tz=UTC).astimezone(zone).utcoffset() or timedelta(0)).total_seconds()
        if seconds % 3600:
            raise CalendarError(f"time zone {timezone!r} is not a whole number of hours from UTC; times are kept to the hour")
        return int(seconds // 3600)

    begin = int(datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp()) // 3600
    end = int(datetime(_LAST_YEAR, 1, 1, tzinfo=UTC).timestamp()) // 3600
    changes, offsets = [np.iinfo(np.int64).min], [offset(begin)]
    step = 24 * 7
    for low in range(begin, end, step):
        if offset(low + step) != offsets[-1]:
            a, b = low, low + step
            while b - a > 1:
                middle = (a + b) // 2
                a, b = (middle, b) if offset(middle) == offsets[-1] else (a, middle)
            changes.append(b)
            offsets.append(offset(b))
    return np.array(changes, dtype=np.int64), np.array(offsets, dtype=np.int64)


def hour_of(instant: datetime) -> int:
    """Whole hours since the epoch of an aware instant, rounded down."""
    return int(instant.timestamp() // 3600)


def instant_of(hour: int) -> datetime:
    """The UTC instant of a whole hour since the epoch."""
    return datetime.fromtimestamp(hour * 3600, tz=UTC)


def date_of(day: int) -> date:
    """The calendar date of a local day."""
    return _EPOCH + timedelta(days=int(day))


def day_number(day: date) -> int:
    """The local day of a calendar date."""
    return (day - _EPOCH).days


def dates_of(days: Sequence[int]) -> list[date]:
    """The calendar dates of local days."""
    return [date_of(d) for d in days]
