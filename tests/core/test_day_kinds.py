"""Kinds of days: few classes, right dates, breaks of the right place, and words for them."""

from collections.abc import Sequence
from datetime import date, timedelta
from importlib import resources
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.day_kinds import (
    COLUMNS,
    EVE,
    HALF_DAY,
    MAJOR,
    NO_BREAK,
    ORDINARY,
    PUBLIC,
    SUMMER_BREAK,
    TERM_BREAK,
    DayCalendar,
    LocalEvent,
)
from earlywarning.core.registers import RegisterError
from earlywarning.core.school_breaks import SchoolBreak, breaks_of, read_breaks, with_own, years_covered
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.settings import SettingsError, parse_settings

TABLE = read_breaks(
    resources.files("earlywarning.data").joinpath("school_breaks.csv").read_text(encoding="utf-8"), file="school_breaks.csv"
)
VALBORG = LocalEvent("Valborg", yearly=((4, 30),), before=1, after=1, areas=("A1",))
SWEDEN = DayCalendar("SE", breaks_of(TABLE, "0380"), [VALBORG])
UPPSALA = '[municipality]\ncode = "0380"\nname = "Uppsala"\n'


def class_on(day: date, calendar: DayCalendar = SWEDEN) -> int:
    return int(calendar.classes(day_number(day), day_number(day))[0][0])


def break_on(day: date, calendar: DayCalendar = SWEDEN) -> int:
    return int(calendar.classes(day_number(day), day_number(day))[1][0])


def columns_on(day: date, calendar: DayCalendar = SWEDEN) -> set[str]:
    (row,) = calendar.columns(day_number(day), day_number(day))
    return {name for name, value in zip(calendar.names, row, strict=True) if value}


def words(first: date, last: date, calendar: DayCalendar = SWEDEN, areas: Sequence[str] = ()) -> list[tuple[str, str]]:
    notes = calendar.notes(day_number(first), day_number(last), areas)
    return [(n.words("sv"), n.words("en")) for n in notes]


# ---- holidays ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (date(2025, 1, 1), MAJOR),
        (date(2025, 1, 5), EVE),
        (date(2025, 1, 6), PUBLIC),
        (date(2025, 1, 7), ORDINARY),
        (date(2025, 4, 17), EVE),
        (date(2025, 4, 18), PUBLIC),
        (date(2025, 4, 19), EVE),
        (date(2025, 4, 20), PUBLIC),
        (date(2025, 4, 21), PUBLIC),
        (date(2025, 4, 30), EVE),
        (date(2025, 5, 1), PUBLIC),
        (date(2025, 5, 2), HALF_DAY),  # a Friday between 1 May and a Saturday
        (date(2025, 5, 28), HALF_DAY),
        (date(2025, 5, 29), PUBLIC),
        (date(2025, 5, 30), HALF_DAY),
        (date(2025, 6, 6), PUBLIC),
        (date(2025, 6, 19), HALF_DAY),
        (date(2025, 6, 20), MAJOR),
        (date(2025, 6, 21), MAJOR),
        (date(2024, 6, 21), MAJOR),  # Midsummer's Eve moves with its Friday
        (date(2024, 6, 20), HALF_DAY),
        (date(2025, 6, 22), ORDINARY),
        (date(2025, 10, 31), EVE),
        (date(2025, 11, 1), PUBLIC),
        (date(2025, 12, 23), HALF_DAY),
        (date(2025, 12, 24), MAJOR),
        (date(2025, 12, 25), MAJOR),
        (date(2025, 12, 26), PUBLIC),
        (date(2025, 12, 31), MAJOR),
        (date(2023, 6, 5), HALF_DAY),  # a Monday before the National Day
        (date(2024, 9, 15), ORDINARY),  # a Sunday is a weekday, not a holiday
    ],
)
def test_each_swedish_day_has_its_class(day: date, kind: int) -> None:
    assert class_on(day) == kind


@pytest.mark.parametrize("year", range(2014, 2031))
def test_each_class_comes_a_few_times_every_year(year: int) -> None:
    holiday, school = SWEDEN.classes(day_number(date(year, 1, 1)), day_number(date(year, 12, 31)))
    counts = np.bincount(holiday, minlength=5)
    assert counts[MAJOR] == 6
    assert counts[MAJOR] + counts[PUBLIC] in (15, 16)  # thirteen public ones and three eves; Pentecost may be 6 June
    assert 5 <= counts[EVE] <= 7
    assert 3 <= counts[HALF_DAY] <= 10
    assert 25 <= (school == TERM_BREAK).sum() <= 40
    assert 60 <= (school == SUMMER_BREAK).sum() <= 75


@given(st.dates(date(2013, 1, 1), date(2031, 1, 1)), st.integers(0, 900), st.integers(0, 900))
def test_a_day_is_of_the_same_kind_whatever_span_it_is_asked_with(day: date, before: int, after: int) -> None:
    n = day_number(day)
    whole = SWEDEN.columns(n - before, n + after)
    assert whole.shape == (before + after + 1, len(SWEDEN.names))
    assert (whole[before] == SWEDEN(n, n)[0]).all()
    assert set(np.unique(whole)) <= {0.0, 1.0}


def test_a_public_holiday_on_a_weekend_is_a_weekend_and_a_major_one_is_more() -> None:
    assert columns_on(date(2025, 5, 1)) == {"free weekday", "Valborg"}  # a Thursday
    assert columns_on(date(2025, 4, 20)) == set()  # Easter Sunday
    assert columns_on(date(2025, 11, 1)) == set()  # All Saints' Day, a Saturday
    assert columns_on(date(2025, 6, 20)) == {"free weekday", "major holiday", "summer break"}  # a Friday
    assert columns_on(date(2025, 6, 21)) == {"major holiday", "summer break"}  # a Saturday
    assert columns_on(date(2025, 4, 17)) == {"eve", "school break"}


def test_no_column_is_another_one_again() -> None:
    rows = SWEDEN.columns(day_number(date(2020, 1, 1)), day_number(date(2025, 12, 31)))
    assert np.linalg.matrix_rank(np.column_stack([np.ones(len(rows)), rows])) == 1 + len(SWEDEN.names)


def test_without_a_country_there_are_no_holidays_and_another_country_has_its_own() -> None:
    none = DayCalendar("")
    assert not none.columns(day_number(date(2025, 1, 1)), day_number(date(2025, 12, 31))).any()
    assert none.notes(day_number(date(2025, 1, 1)), day_number(date(2025, 12, 31))) == []
    ontario = DayCalendar("CA-ON")
    assert class_on(date(2021, 7, 1), ontario) == PUBLIC
    assert class_on(date(2021, 12, 25), ontario) == MAJOR
    assert class_on(date(2021, 6, 25), ontario) == ORDINARY
    with pytest.raises(ValueError, match="holidays of 'XX' are not known"):
        DayCalendar("XX")


# ---- school breaks ----------------------------------------------------------------------------------------------------


def test_the_bundled_table_covers_every_county_and_year() -> None:
    counties = {b.region for b in TABLE if len(b.region) == 2}
    assert len(counties) == 21
    for county in (*counties, "0380", "0184"):
        breaks = breaks_of(TABLE, county)
        assert years_covered(breaks) == (2013, 2031)
        for year in range(2014, 2031):
            named = [b.name for b in breaks if b.year == year]
            assert sorted(named) == sorted(["sportlov", "påsklov", "sommarlov", "höstlov", "jullov"])
        assert all(a.last < b.first for a, b in pairwise(breaks))


@pytest.mark.parametrize(("region", "week"), [("1480", 7), ("0680", 7), ("1280", 8), ("0180", 9), ("2480", 10), ("0380", 8)])
def test_the_winter_break_is_that_of_the_place(region: str, week: int) -> None:
    for year in (2019, 2025):
        (one,) = [b for b in breaks_of(TABLE, region) if b.year == year and b.name == "sportlov"]
        assert date_of(one.first).isocalendar()[1] == week


def test_what_a_municipality_published_goes_before_the_rule() -> None:
    # Uppsala closed its schools after Easter in 2024 and before it in 2026, where the rule says after.
    assert break_on(date(2024, 4, 2)) == TERM_BREAK
    assert break_on(date(2026, 4, 1)) == TERM_BREAK
    assert break_on(date(2026, 4, 8)) == NO_BREAK
    stockholm = DayCalendar("SE", breaks_of(TABLE, "0180"))
    assert break_on(date(2026, 4, 8), stockholm) == TERM_BREAK
    assert {b.basis for b in breaks_of(TABLE, "0380") if b.year == 2025} == {"fact"}
    assert {b.basis for b in breaks_of(TABLE, "0180")} == {"rule"}


def test_a_place_without_a_row_of_its_own_has_those_of_the_country() -> None:
    everywhere = breaks_of(TABLE, "")
    assert {b.name for b in everywhere} == {"påsklov", "sommarlov", "höstlov", "jullov"}


def test_own_days_replace_the_break_of_their_year_only() -> None:
    own = with_own(breaks_of(TABLE, "0380"), {"sportlov": [(date(2025, 3, 3), date(2025, 3, 7))], "lov": []})
    calendar = DayCalendar("SE", own)
    assert break_on(date(2025, 3, 5), calendar) == TERM_BREAK
    assert break_on(date(2025, 2, 19), calendar) == NO_BREAK
    assert break_on(date(2024, 2, 20), calendar) == TERM_BREAK


def test_breaks_of_the_past_and_summer_are_told_apart() -> None:
    assert break_on(date(2025, 7, 10)) == SUMMER_BREAK
    assert break_on(date(2025, 10, 29)) == TERM_BREAK
    assert break_on(date(2025, 12, 31)) == break_on(date(2026, 1, 2)) == TERM_BREAK
    assert break_on(date(2025, 9, 10)) == NO_BREAK


HEAD = "year,break,region,first,last,basis\n"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("2025,sportlov,3,2025-02-17,2025-02-21,rule", "field region: '3' must be empty, a county"),
        ("2025,,03,2025-02-17,2025-02-21,rule", "field break: is empty"),
        ("2025,sportlov,03,2025-02-30,2025-02-21,rule", "field first: '2025-02-30' is not a day"),
        ("2025,sportlov,03,2025-02-17,2025-02-16,rule", "field last: 2025-02-16 must lie 0 to 99 days after 2025-02-17"),
        ("2024,sportlov,03,2025-02-17,2025-02-21,rule", "field year: '2024' must be the year of the first day, 2025"),
        ("2025,sportlov,03,2025-02-17,2025-02-21,guess", "field basis: 'guess' is not one of rule, fact"),
        ("2025,sportlov,03,2025-02-17", "there must be 6 columns"),
        ("2025,höstlov,,2025-10-27,2025-10-31,rule", "stands twice (first in line 3)"),
    ],
)
def test_a_bad_row_of_the_table_is_named_by_line_field_and_rule(row: str, said: str) -> None:
    text = f"# remark\n{HEAD}2025,höstlov,,2025-10-27,2025-10-31,rule\n{row}\n"
    with pytest.raises(RegisterError) as caught:
        read_breaks(text, file="breaks.csv")
    assert str(caught.value).startswith("breaks.csv, line 4: ")
    assert said in str(caught.value)


def test_a_table_with_other_columns_is_refused() -> None:
    with pytest.raises(RegisterError, match=r"breaks\.csv, line 1: the header is week,break"):
        read_breaks("week,break\n7,sportlov\n", file="breaks.csv")
    assert read_breaks(HEAD, file="breaks.csv") == ()
    assert years_covered(()) is None


# ---- local events and words -------------------------------------------------------------------------------------------


@given(st.integers(0, 5), st.integers(0, 5), st.dates(date(2015, 1, 1), date(2030, 12, 31)))
def test_a_yearly_event_is_on_its_day_and_so_many_around_it(before: int, after: int, day: date) -> None:
    calendar = DayCalendar("", events=[LocalEvent("x", yearly=((12, 31),), before=before, after=after)])
    near = [date(y, 12, 31) for y in (day.year - 1, day.year)]
    expected = any(-before <= (day - d).days <= after for d in near)
    assert ("x" in columns_on(day, calendar)) == expected


def test_a_dated_event_comes_once_and_a_leap_day_only_in_leap_years() -> None:
    calendar = DayCalendar("", events=[LocalEvent("fair", dates=(date(2025, 9, 6),)), LocalEvent("leap", yearly=((2, 29),))])
    assert columns_on(date(2025, 9, 6), calendar) == {"fair"}
    assert columns_on(date(2026, 9, 6), calendar) == set()
    assert columns_on(date(2024, 2, 29), calendar) == {"leap"}
    year = calendar.columns(day_number(date(2025, 1, 1)), day_number(date(2025, 12, 31)))
    assert year[:, len(COLUMNS) + 1].sum() == 0


def test_days_are_explained_in_both_languages() -> None:
    assert words(date(2025, 5, 29), date(2025, 5, 30)) == [
        ("helgdag: Kristi himmelsfärdsdag", "public holiday: Ascension Day"),
        ("klämdag", "bridge day"),
    ]
    assert words(date(2025, 2, 18), date(2025, 2, 19)) == [("skollov: sportlov", "school break: winter sports break")]
    assert words(date(2025, 6, 18), date(2025, 6, 20))[1:] == [
        ("halvdag: Dag före Midsommarafton", "half-day: Day before Midsummer Eve"),
        ("storhelg: Midsommarafton", "major holiday: Midsummer Eve"),
    ]
    assert words(date(2025, 9, 10), date(2025, 9, 12)) == []


def test_an_event_is_explained_to_the_areas_it_is_in() -> None:
    eve = ("helgdagsafton: Valborgsmässoafton", "eve of a holiday: Walpurgis Night")
    event = ("lokal händelse: Valborg", "local event: Valborg")
    day = date(2025, 4, 30)
    assert words(day, day) == [event, eve]
    assert words(day, day, areas=["A1", "A2"]) == [event, eve]
    assert words(day, day, areas=["A2"]) == [eve]


def test_a_break_that_goes_on_beyond_the_days_asked_for_is_told_as_a_whole() -> None:
    (note,) = [n for n in SWEDEN.notes(day_number(date(2025, 7, 1)), day_number(date(2025, 7, 7))) if n.factor == "school"]
    assert (date_of(note.first), date_of(note.last)) == (date(2025, 6, 13), date(2025, 8, 18))


# ---- settings ---------------------------------------------------------------------------------------------------------


def parse(text: str) -> DayCalendar:
    return day_calendar(parse_settings(UPPSALA + text, file="t.toml", folder=Path()))


def test_settings_say_region_own_breaks_and_events() -> None:
    plain = parse("")
    assert (plain.country, plain.breaks, plain.events) == ("SE", breaks_of(TABLE, "0380"), ())
    text = '[calendar]\nregion = "24"\nown_breaks = { sportlov = ["2025-03-10..2025-03-14"] }\n'
    text += '[calendar.events.valborg]\non = ["04-30", "2025-05-17"]\ndays_after = 1\nareas = ["A1"]\n'
    own = parse(text)
    assert SchoolBreak(2025, "sportlov", "", *(day_number(date(2025, 3, d)) for d in (10, 14)), "fact") in own.breaks
    assert date_of(next(b.first for b in own.breaks if b.name == "sportlov" and b.year == 2024)).isocalendar()[1] == 10
    assert own.events == (LocalEvent("valborg", (date(2025, 5, 17),), ((4, 30),), 0, 1, ("A1",)),)
    off = parse('[calendar]\nholidays = ""\nschool_breaks = false\n')
    assert not off.columns(day_number(date(2025, 1, 1)), day_number(date(2025, 12, 31))).any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[calendar]\nholidays = "Sverige"', "calendar.holidays: 'Sverige' is not allowed; allowed: a country such as \"SE\""),
        ('[calendar]\nholidays = "XX"', "calendar.holidays: holidays of 'XX' are not known"),
        ("[calendar]\nregion = 380", "calendar.region: 380 is not allowed; allowed: a county of 2 digits"),
        ('[calendar]\nown_breaks = { lov = ["v8"] }', "calendar.own_breaks.lov[0]: 'v8' is not a span of days"),
        ('[calendar]\nown_breaks = { lov = ["2025-03-10..2025-03-01"] }', "ends before it begins"),
        ('[calendar.events.x]\non = ["30 april"]', "calendar.events.x.on[0]: '30 april' is not a day; allowed: such as 2025-05-17"),
        ('[calendar.events.x]\non = ["02-30"]', "calendar.events.x.on[0]: '02-30' is not a day"),
        ("[calendar.events.x]\ndays_after = 1", "calendar.events.x.on: is missing; it must be given"),
        (
            '[calendar.events.x]\non = ["04-30"]\nlength = 2',
            "calendar.events.x.length: there is no such key; keys are on, days_before",
        ),
        ("[calendar]\nevents = 3", "calendar.events: must be a section with keys"),
        ("calendar = 3", "calendar: must be a section with keys"),
    ],
)
def test_a_calendar_that_cannot_be_is_named_by_its_key(text: str, said: str) -> None:
    whole = text + "\n" + UPPSALA if text.startswith("calendar") else f"{UPPSALA}{text}\n"
    with pytest.raises(SettingsError) as caught:
        parse_settings(whole, file="t.toml", folder=Path())
    assert said in str(caught.value)


def test_the_calendar_is_part_of_what_judges() -> None:
    def version(text: str) -> str:
        return parse_settings(UPPSALA + text, file="t.toml", folder=Path()).version

    assert version("") == version("[calendar]\nschool_breaks = true\n") != version("[calendar]\nschool_breaks = false\n")
    assert version("") != version('[calendar.events.valborg]\non = ["04-30"]\n')


def test_every_day_of_a_year_belongs_to_its_weekday() -> None:
    # The free weekdays are those on which offices are closed: never a Saturday or Sunday.
    first = date(2025, 1, 1)
    free = SWEDEN.columns(day_number(first), day_number(date(2025, 12, 31)))[:, COLUMNS.index("free weekday")]
    assert all((first + timedelta(days=int(i))).weekday() < 5 for i in np.flatnonzero(free))
