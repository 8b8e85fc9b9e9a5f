"""How long things are kept: from a local day and months to the days before which they are forgotten."""

from calendar import monthrange
from collections.abc import Mapping
from datetime import date

WHOLE_MONTHS = "events"  # forgotten a month at a time: each time the engine is made anew


def months_before(day: date, months: int) -> date:
    """The same day of the month so many months earlier, or the last one that month has."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def first_day_kept(day: date, months: int) -> date:
    """The first day of the oldest month that is still kept on `day`, so that nothing is kept for longer than `months`."""
    return months_before(day.replace(day=1), months - 1)


def limits(day: date, months: Mapping[str, int]) -> dict[str, date]:
    """By what is kept, the first day of which it still is, on the local day `day`."""
    return {what: first_day_kept(day, n) if what == WHOLE_MONTHS else months_before(day, n) for what, n in months.items()}
