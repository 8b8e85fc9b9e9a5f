"""Set times: by the wall clock, also on the nights when it is changed, and every second week where a town meets so."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.rhythms import daily, day_before, instant_at, local_day, weekly, within_hours

ZONE = "Europe/Stockholm"
MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # made aware here
HOURS = st.integers(0, 23)


def local(at: datetime) -> str:
    return f"{at.astimezone(ZoneInfo(ZONE)):%a %Y-%m-%d %H:%M}"


def test_the_digest_comes_on_the_day_before_the_meeting() -> None:
    meeting = weekly("thursday", 9, ZONE)
    now = datetime(2026, 3, 3, 21, tzinfo=UTC)
    assert local(meeting.next(now)) == "Thu 2026-03-05 09:00"
    assert local(day_before(meeting, 8).next(now)) == "Wed 2026-03-04 08:00"


def test_the_digest_of_a_monday_meeting_comes_on_sunday() -> None:
    assert local(day_before(weekly("monday", 9, ZONE), 17).next(datetime(2026, 3, 3, tzinfo=UTC))) == "Sun 2026-03-08 17:00"


def test_a_small_town_meets_every_second_week_also_over_a_year_of_53_weeks() -> None:
    meeting = weekly("thursday", 9, ZONE, every_weeks=2, counted_from=date(2026, 12, 10))
    at, days = datetime(2026, 12, 1, tzinfo=UTC), []
    for _ in range(4):
        at = meeting.next(at)
        days.append(at.date().isoformat())
    assert days == ["2026-12-10", "2026-12-24", "2027-01-07", "2027-01-21"]


@pytest.mark.parametrize(
    ("day", "hour", "instant"),
    [
        (date(2026, 3, 29), 1, "2026-03-29T00:00:00+00:00"),
        (date(2026, 3, 29), 2, "2026-03-29T01:00:00+00:00"),  # does not exist: it is 3 o'clock then
        (date(2026, 3, 29), 3, "2026-03-29T01:00:00+00:00"),
        (date(2026, 10, 25), 2, "2026-10-25T00:00:00+00:00"),  # comes twice: the first of the two
        (date(2026, 10, 25), 3, "2026-10-25T02:00:00+00:00"),
    ],
)
def test_hours_of_the_nights_when_the_clock_is_changed(day: date, hour: int, instant: str) -> None:
    at = instant_at(day, hour, ZONE)
    assert at.isoformat() == instant
    assert at.tzinfo is UTC  # whatever the zone of the machine


@given(MOMENTS, HOURS, st.sampled_from((1, 7, 14)))
def test_moments_follow_one_another_without_gap_or_repetition(now: datetime, hour: int, every: int) -> None:
    rhythm = daily(hour, ZONE)._replace(every_days=every)
    last, following = rhythm.last(now), rhythm.next(now)
    assert last <= now < following
    assert rhythm.next(last) == following
    assert rhythm.last(following) == following
    assert (local_day(following, ZONE) - local_day(last, ZONE)).days == every


@given(MOMENTS, HOURS, HOURS)
def test_who_is_told_within_hours_is_told_within_a_day(now: datetime, begin: int, end: int) -> None:
    if begin == end:
        return
    at = within_hours(now, (begin, end), ZONE)
    hour = at.astimezone(ZoneInfo(ZONE)).hour
    inside = begin <= hour < end if begin < end else hour >= begin or hour < end
    gap = local_day(at, ZONE).month == 3 and begin == 2  # an hour that the night does not have
    assert inside or gap
    assert timedelta(0) <= at - now <= timedelta(hours=25)


def test_without_hours_nobody_waits() -> None:
    now = datetime(2026, 3, 3, 2, tzinfo=UTC)
    assert within_hours(now, None, ZONE) == now


@pytest.mark.parametrize(("hours", "told"), [((7, 18), "Wed 2026-03-04 07:00"), ((22, 6), "Tue 2026-03-03 22:00")])
def test_hours_may_go_over_midnight(hours: tuple[int, int], told: str) -> None:
    assert local(within_hours(datetime(2026, 3, 3, 21, tzinfo=UTC), hours, ZONE)) == told


@pytest.mark.parametrize(
    ("hours", "hour", "minute", "waits_until"),
    [
        ((7, 18), 7, 0, None),
        ((7, 18), 6, 59, "Tue 2026-03-03 07:00"),
        ((7, 18), 17, 59, None),
        ((7, 18), 18, 0, "Wed 2026-03-04 07:00"),
        ((22, 6), 22, 0, None),
        ((22, 6), 21, 59, "Tue 2026-03-03 22:00"),
        ((22, 6), 5, 59, None),
        ((22, 6), 6, 0, "Tue 2026-03-03 22:00"),
        ((7, 7), 6, 30, None),  # from seven to seven: all hours
        ((7, 7), 7, 0, None),
    ],
)
def test_the_first_hour_belongs_to_those_of_telling_and_the_last_does_not(
    hours: tuple[int, int], hour: int, minute: int, waits_until: str | None
) -> None:
    now = datetime(2026, 3, 3, hour, minute, tzinfo=ZoneInfo(ZONE))
    told = within_hours(now, hours, ZONE)
    assert told == now if waits_until is None else local(told) == waits_until
