"""Local days, daylight saving, and the spread of intervals."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.calendar import UNIT, CalendarError, LocalCalendar, date_of, day_number, hour_of, instant_of

STOCKHOLM = LocalCalendar()


@pytest.mark.parametrize("zone", ["Europe/Stockholm", "America/Toronto", "Asia/Tokyo", "UTC"])
def test_every_day_begins_at_its_local_midnight(zone: str) -> None:
    calendar = LocalCalendar(zone)
    days = np.arange(day_number(date(2020, 1, 1)), day_number(date(2031, 1, 1)))
    first = calendar.first_hour(days)
    assert (calendar.day_of(first) == days).all()
    assert (calendar.day_of(first - 1) == days - 1).all()
    local = instant_of(int(first[200])).astimezone(ZoneInfo(zone))
    assert (local.date(), local.hour) == (date_of(int(days[200])), 0)


def test_the_nights_of_daylight_saving_make_days_of_23_and_25_hours() -> None:
    spring, autumn = day_number(date(2026, 3, 29)), day_number(date(2026, 10, 25))
    lengths = np.diff(STOCKHOLM.first_hour(np.array([spring - 1, spring, spring + 1, autumn, autumn + 1])))
    assert lengths[0] == 24
    assert lengths[1] == 23
    assert lengths[3] == 25


@given(st.datetimes(datetime(1975, 1, 1), datetime(2095, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001  # zone beside
def test_the_day_of_an_instant_is_the_date_on_a_clock_in_the_municipality(when: datetime) -> None:
    assert date_of(STOCKHOLM.day_at(when)) == when.astimezone(ZoneInfo("Europe/Stockholm")).date()


@given(st.lists(st.tuples(st.integers(0, 1_000_000), st.integers(0, 9000)), min_size=1, max_size=8))
def test_an_interval_is_spread_in_whole_units_that_sum_to_one_event(spans: list[tuple[int, int]]) -> None:
    start = np.array([a for a, _ in spans])
    end = start + np.array([b for _, b in spans])
    event, day, units = STOCKHOLM.spread(start, end)
    assert (np.bincount(event, units) == UNIT).all()
    assert (units >= 0).all()
    for i in range(len(spans)):
        assert day[event == i].tolist() == list(range(int(STOCKHOLM.day_of(start[i])), int(STOCKHOLM.day_of(end[i])) + 1))


def test_a_days_share_is_its_share_of_the_hours() -> None:
    begin = hour_of(datetime(2026, 3, 28, 18, tzinfo=ZoneInfo("Europe/Stockholm")))
    # Six hours of Saturday and the 23 of Sunday, 29 March 2026.
    _, _, units = STOCKHOLM.spread(np.array([begin]), np.array([begin + 28]))
    assert units.tolist() == [round(UNIT * 6 / 29), UNIT - round(UNIT * 6 / 29)]


def test_unknown_zones_and_half_hours_are_named() -> None:
    with pytest.raises(CalendarError, match="Nowhere"):
        LocalCalendar("Europe/Nowhere")
    with pytest.raises(CalendarError, match="whole number of hours"):
        LocalCalendar("Asia/Kolkata")


def test_hours_and_instants_are_each_others_inverse() -> None:
    when = datetime(2026, 7, 1, 13, 59, tzinfo=UTC)
    assert instant_of(hour_of(when)) == when.replace(minute=0)
    assert hour_of(when + timedelta(minutes=1)) == hour_of(when) + 1
