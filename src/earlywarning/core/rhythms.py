"""When what comes at set times comes next: meetings, digests, hours in which people may be told.

Times are hours of the wall clock in the municipality's zone. On the night when the clock is put forward, an hour that does not
exist is the one after it; on the night when it is put back, an hour that comes twice is the first of the two.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

WEEK = 7
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class Rhythm(NamedTuple):
    """Every so many days, counted from `anchor`, at an hour of the wall clock."""

    anchor: date
    every_days: int
    hour: int
    timezone: str

    def last(self, now: datetime) -> datetime:
        """The newest of its moments that is not after `now` (aware); in UTC."""
        turn = (local_day(now, self.timezone) - self.anchor).days // self.every_days
        moment = self._moment(turn)
        return moment if moment <= now else self._moment(turn - 1)

    def next(self, now: datetime) -> datetime:
        """The first of its moments after `now` (aware); in UTC."""
        turn = (local_day(now, self.timezone) - self.anchor).days // self.every_days
        moment = self._moment(turn)
        return moment if moment > now else self._moment(turn + 1)

    def _moment(self, turn: int) -> datetime:
        return instant_at(self.anchor + timedelta(days=turn * self.every_days), self.hour, self.timezone)


def instant_at(day: date, hour: int, timezone: str) -> datetime:
    """The instant (UTC) of an hour of a local day."""
    return datetime.combine(day, time(hour), tzinfo=ZoneInfo(timezone)).astimezone(UTC)


def local_day(now: datetime, timezone: str) -> date:
    """The local day of an aware instant."""
    return now.astimezone(ZoneInfo(timezone)).date()


def daily(hour: int, timezone: str) -> Rhythm:
    """Every day at an hour."""
    return Rhythm(date(2024, 1, 1), 1, hour, timezone)


def weekly(weekday: str, hour: int, timezone: str, every_weeks: int = 1, counted_from: date = date(2024, 1, 1)) -> Rhythm:
    """On a weekday of every so many weeks; counted_from: a day of a week (from Monday) in which it is."""
    monday = counted_from - timedelta(days=counted_from.weekday())
    return Rhythm(monday + timedelta(days=WEEKDAYS.index(weekday)), WEEK * every_weeks, hour, timezone)


def day_before(rhythm: Rhythm, hour: int) -> Rhythm:
    """At an hour of the day before each of its moments."""
    return rhythm._replace(anchor=rhythm.anchor - timedelta(days=1), hour=hour)


def within_hours(now: datetime, hours: tuple[int, int] | None, timezone: str) -> datetime:
    """`now` when it lies within hours of the wall clock, else the moment when they next begin.

    hours: the first one, and the one after the last; over midnight where the second is the smaller. None: all hours.
    """
    if hours is None:
        return now
    begin, end = hours
    local = now.astimezone(ZoneInfo(timezone))
    inside = begin <= local.hour < end if begin < end else local.hour >= begin or local.hour < end
    return now if inside else daily(begin, timezone).next(now)
