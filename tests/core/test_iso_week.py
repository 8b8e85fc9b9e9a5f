"""Weeks as people write them, and when the picture of one is due before the meeting."""

import re
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.iso_week import EVENING, Week, WeekError, due_week, parse_week, week_of
from earlywarning.core.rhythms import WEEKDAYS, weekly

STOCKHOLM = ZoneInfo("Europe/Stockholm")
THURSDAY = weekly("thursday", 9, "Europe/Stockholm")
MONDAY = weekly("monday", 9, "Europe/Stockholm")


@given(st.dates(date(1991, 1, 1), date(2098, 12, 31)))
def test_a_day_lies_in_its_week_and_the_week_is_read_as_it_is_written(day: date) -> None:
    week = week_of(day)
    assert week.first <= day <= week.last
    assert week.last_day - week.first_day == 6
    assert parse_week(str(week)) == week


@pytest.mark.parametrize("text", ["2026-W12", "2026W12", " 2026-w12 "])
def test_the_usual_forms_are_understood(text: str) -> None:
    assert parse_week(text) == Week(2026, 12)


def test_a_year_of_53_weeks_has_its_last() -> None:
    assert parse_week("2020-W53").last == date(2021, 1, 3)
    with pytest.raises(WeekError, match="2025 has the weeks 1 to 52"):
        parse_week("2025-W53")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("12", "week '12' is not understood; write the year and the ISO week, such as 2026-W12"),
        (
            "2026-W123456789012345",
            "week '2026-W12345678901234' is not understood; write the year and the ISO week, such as 2026-W12",
        ),
        ("1989-W12", "week '1989-W12': the year must lie between 1990 and 2099"),
        ("2100-W01                       ", "week '2100-W01            ': the year must lie between 1990 and 2099"),
        ("2026-W00", "week '2026-W00': 2026 has the weeks 1 to 53; the form is 2026-W53"),
        ("2025-W53                       ", "week '2025-W53            ': 2025 has the weeks 1 to 52; the form is 2025-W52"),
    ],
)
def test_what_names_no_week_is_refused_with_the_way_out_and_no_more_of_it_than_20_signs(text: str, words: str) -> None:
    with pytest.raises(WeekError, match=f"^{re.escape(words)}$"):
        parse_week(text)


@pytest.mark.parametrize("text", ["1990-W01", "2099-W53", "2026-W1"])
def test_the_first_and_last_weeks_are_read(text: str) -> None:
    assert parse_week(text).year == int(text[:4])


@pytest.mark.parametrize(
    ("now", "week"),
    [
        ((25, 17, 59), None),  # Wednesday, before the evening
        ((25, 18, 0), Week(2026, 12)),
        ((26, 8, 59), Week(2026, 12)),  # the meeting's own morning
        ((26, 9, 0), None),  # it has begun
    ],
)
def test_it_is_due_from_the_evening_before_until_the_meeting(now: tuple[int, int, int], week: Week | None) -> None:
    day, hour, minute = now
    assert due_week(datetime(2026, 3, day, hour, minute, tzinfo=STOCKHOLM), THURSDAY) == week


def test_before_a_meeting_on_monday_it_is_the_week_that_ends_that_evening() -> None:
    assert due_week(datetime(2026, 3, 22, 19, tzinfo=STOCKHOLM), MONDAY) == Week(2026, 12)


def test_none_is_made_twice() -> None:
    now = datetime(2026, 3, 25, 19, tzinfo=STOCKHOLM)
    assert due_week(now, THURSDAY, made="2026-W12") is None
    assert due_week(now, THURSDAY, made="2026-W11") == Week(2026, 12)


@given(
    st.sampled_from(WEEKDAYS), st.integers(0, 23), st.integers(1, 4), st.dates(date(2020, 1, 1), date(2030, 1, 1)),
)  # fmt: skip
def test_any_so_many_weeks_hold_one_meeting_also_over_the_turn_of_the_year(
    weekday: str, hour: int, every: int, start: date
) -> None:
    """Walked hour by hour with what was made kept, each meeting gets one picture, always of a week that is over by then."""
    meeting, made, found = weekly(weekday, hour, "Europe/Stockholm", every), "", []
    for step in range(24 * 7 * every * 2):
        now = datetime(start.year, start.month, start.day, tzinfo=STOCKHOLM) + timedelta(hours=step)
        if (week := due_week(now, meeting, made)) is not None:
            made = str(week)
            found.append((now.date(), week))
            assert week.last <= now.date()
            assert now.hour >= EVENING or WEEKDAYS[now.weekday()] == weekday or step == 0
    assert 1 <= len(found) <= 3
    gaps = {(b[1].first - a[1].first).days for a, b in pairwise(found)}
    assert gaps <= {7 * every}


def test_a_change_of_the_clock_shifts_nothing() -> None:
    for day in (date(2026, 3, 29), date(2026, 10, 25)):  # Sundays on which it changes
        evening = datetime(day.year, day.month, day.day, EVENING, tzinfo=STOCKHOLM)
        assert due_week(evening, MONDAY) == week_of(day)
        assert due_week(evening - timedelta(minutes=1), MONDAY) is None
