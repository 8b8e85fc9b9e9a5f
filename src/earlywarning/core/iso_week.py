"""Weeks as people name them (2026-W12), and when the picture of a week is due before the weekly meeting."""

import re
from datetime import date, datetime, timedelta
from typing import NamedTuple

from earlywarning.core.calendar import day_number
from earlywarning.core.rhythms import Rhythm, day_before, local_day

_FORM = re.compile(r"(\d{4})-?[Ww](\d{1,2})")
_FIRST_YEAR, _LAST_YEAR = 1990, 2099
EVENING = 18  # the hour, on the day before the meeting, from which its picture is made


class WeekError(ValueError):
    """A text that names no week; says how a week is written and which weeks the year has."""


class Week(NamedTuple):
    """An ISO 8601 week: from Monday to Sunday."""

    year: int
    number: int

    @property
    def first(self) -> date:
        """Its Monday."""
        return date.fromisocalendar(self.year, self.number, 1)

    @property
    def last(self) -> date:
        """Its Sunday."""
        return date.fromisocalendar(self.year, self.number, 7)

    @property
    def first_day(self) -> int:
        """Its Monday as a local day."""
        return day_number(self.first)

    @property
    def last_day(self) -> int:
        """Its Sunday as a local day."""
        return day_number(self.last)

    def __str__(self) -> str:
        return f"{self.year}-W{self.number:02}"


def week_of(day: date) -> Week:
    """The week that a day lies in."""
    year, number, _ = day.isocalendar()
    return Week(year, number)


def parse_week(text: str) -> Week:
    """The week that a text such as 2026-W12 names. Raises WeekError."""
    found = _FORM.fullmatch(text.strip())
    if found is None:
        raise WeekError(f"week {text[:20]!r} is not understood; write the year and the ISO week, such as 2026-W12")
    year, number = int(found[1]), int(found[2])
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise WeekError(f"week {text[:20]!r}: the year must lie between {_FIRST_YEAR} and {_LAST_YEAR}")
    most = date(year, 12, 28).isocalendar().week  # 28 December always lies in the last week
    if not 1 <= number <= most:
        raise WeekError(f"week {text[:20]!r}: {year} has the weeks 1 to {most}; the form is {year}-W{most}")
    return Week(year, number)


def due_week(now: datetime, meeting: Rhythm, made: str = "") -> Week | None:
    """The week whose picture must be made now, None when it is not due: from the evening before a meeting until it begins.

    now: aware. made: the last week that a picture was made of ("" for none), so that none is made twice. The week is the
    newest whose Sunday is over, or ends that evening.
    """
    eve = day_before(meeting, EVENING).last(now)
    if now >= meeting.next(eve):
        return None
    week = week_of(local_day(eve, meeting.timezone) - timedelta(days=6))
    return None if str(week) <= made else week
