"""Kinds of days: public holidays, eves and bridge days, school breaks and local events, as columns of a baseline.

A day has one holiday class; a school break is a second factor, a local event a third. The classes are few on purpose: in five
years a class must have come often enough for its effect to be learned. The dates of Swedish holidays, of the eves that are
holidays in practice (Midsummer's Eve, Christmas Eve, New Year's Eve) and of half-days are those of the package `holidays`.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

import holidays
import numpy as np
from holidays.countries.sweden import Sweden
from numpy.typing import NDArray

from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.school_breaks import NAMES, SUMMER, SchoolBreak

Floats = NDArray[np.float64]
Classes = NDArray[np.int8]
Language = Literal["sv", "en"]
Factor = Literal["holiday", "school", "event"]
SWEDEN = "SE"

ORDINARY, HALF_DAY, EVE, PUBLIC, MAJOR = range(5)
CLASS_NAMES = {
    ORDINARY: ("vanlig dag", "ordinary day"),
    HALF_DAY: ("halvdag eller klämdag", "half-day or bridge day"),
    EVE: ("helgdagsafton", "eve of a holiday"),
    PUBLIC: ("helgdag", "public holiday"),
    MAJOR: ("storhelg", "major holiday"),
}
NO_BREAK, TERM_BREAK, SUMMER_BREAK = range(3)
COLUMNS = ("free weekday", "major holiday", "eve", "half-day or bridge day", "school break", "summer break")
_BRIDGE = ("Klämdag", "Bridge day")
_FACTOR_NAMES: dict[Factor, tuple[str, str]] = {"school": ("skollov", "school break"), "event": ("lokal händelse", "local event")}
_DAY = timedelta(days=1)


class LocalEvent(NamedTuple):
    """Something that brings people together: on days of the calendar, or every year on a (month, day).

    before, after: how many days around it are unlike others, too. areas: codes of those it is in; none: all.
    """

    name: str
    dates: tuple[date, ...] = ()
    yearly: tuple[tuple[int, int], ...] = ()
    before: int = 0
    after: int = 0
    areas: tuple[str, ...] = ()


class DayNote(NamedTuple):
    """What is special about the days first..last (local days, included). names: Swedish and English."""

    factor: Factor
    kind: tuple[str, str]
    names: tuple[str, str]
    first: int
    last: int
    areas: tuple[str, ...] = ()

    def words(self, language: Language) -> str:
        """For people, such as "public holiday: Ascension Day" or "skollov: sportlov"."""
        i = 0 if language == "sv" else 1
        return self.kind[i] if not self.names[i] else f"{self.kind[i]}: {self.names[i]}"


class _Year(NamedTuple):
    """A year's holiday classes, and Swedish and English names where there are any."""

    classes: Mapping[date, int]
    names: Mapping[date, tuple[str, str]]


class DayCalendar:
    """The kinds of days of one municipality; called with two days it gives the columns of a baseline.

    country: ISO code, or one with a part such as CA-ON; "" knows no holidays. breaks: those of the municipality
    (school_breaks.breaks_of). Raises ValueError for a country that the package does not know.
    """

    def __init__(self, country: str = SWEDEN, breaks: Sequence[SchoolBreak] = (), events: Sequence[LocalEvent] = ()) -> None:
        self.country, self.breaks, self.events = country, tuple(breaks), tuple(events)
        if country:
            _dates(country, "public", 2020, "")

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called: COLUMNS, then each local event."""
        return (*COLUMNS, *(e.name for e in self.events))

    def classes(self, first_day: int, last_day: int) -> tuple[Classes, Classes]:
        """Holiday class (ORDINARY..MAJOR) and school break (NO_BREAK..SUMMER_BREAK) of each day: (days,) both."""
        days = last_day - first_day + 1
        holiday = np.zeros(days, dtype=np.int8)
        for year in range(date_of(first_day).year, date_of(last_day).year + 1):
            for day, number in (_year(self.country, year).classes if self.country else {}).items():
                if 0 <= (i := day_number(day) - first_day) < days:
                    holiday[i] = number
        school = np.zeros(days, dtype=np.int8)
        for one in self.breaks:
            kind = SUMMER_BREAK if one.name == SUMMER else TERM_BREAK
            school[max(one.first - first_day, 0) : max(one.last - first_day + 1, 0)] = kind
        return holiday, school

    def columns(self, first_day: int, last_day: int) -> Floats:
        """Day kinds as columns: (days, len(names)), 0 or 1.

        A public holiday on a Saturday or Sunday is that weekday and no more: the baseline knows weekends. A major holiday is
        one on any weekday, and on a weekday a free day besides, so that both effects add up.
        """
        holiday, school = self.classes(first_day, last_day)
        weekday = (np.arange(first_day, last_day + 1) + 3) % 7 < 5
        events = [self._at(e, first_day, last_day) for e in self.events]
        parts = [
            (holiday >= PUBLIC) & weekday, holiday == MAJOR, holiday == EVE, holiday == HALF_DAY, school == TERM_BREAK,
            school == SUMMER_BREAK, *events,
        ]  # fmt: skip
        return np.stack(parts, axis=1).astype(np.float64)

    __call__ = columns

    def _at(self, event: LocalEvent, first_day: int, last_day: int) -> NDArray[np.bool_]:
        on = np.zeros(last_day - first_day + 1, dtype=bool)
        for first, last in _spans(event, first_day, last_day):
            on[max(first - first_day, 0) : max(last - first_day + 1, 0)] = True
        return on

    def notes(self, first_day: int, last_day: int, areas: Sequence[str] = ()) -> list[DayNote]:
        """What is special about these days, in their order; a break or event that goes on beyond them as a whole.

        areas: codes; events of other areas are left out (default: none is).
        """
        found: list[DayNote] = []
        for year in range(date_of(first_day).year, date_of(last_day).year + 1):
            known = _year(self.country, year) if self.country else _Year({}, {})
            for day, number in known.classes.items():
                n = day_number(day)
                if first_day <= n <= last_day:
                    bridge = known.names[day] == _BRIDGE
                    kind = (_BRIDGE[0].lower(), _BRIDGE[1].lower()) if bridge else _kind(number)
                    found.append(DayNote("holiday", kind, ("", "") if bridge else known.names[day], n, n))
        for one in self.breaks:
            if one.first <= last_day and one.last >= first_day:
                names = NAMES.get(one.name, (one.name, one.name))
                found.append(DayNote("school", _FACTOR_NAMES["school"], names, one.first, one.last))
        for event in self.events:
            if areas and event.areas and not set(areas) & set(event.areas):
                continue
            for first, last in _spans(event, first_day, last_day):
                names = (event.name, event.name)
                found.append(DayNote("event", _FACTOR_NAMES["event"], names, first, last, event.areas))
        return sorted(found, key=lambda n: (n.first, n.factor, n.names))


def _kind(number: int) -> tuple[str, str]:
    return ("halvdag", "half-day") if number == HALF_DAY else CLASS_NAMES[number]


def _spans(event: LocalEvent, first_day: int, last_day: int) -> list[tuple[int, int]]:
    """First and last day of each time of an event that touches first_day..last_day."""
    years = range(date_of(first_day).year - 1, date_of(last_day).year + 2)
    days = {day_number(d) for d in event.dates}
    days |= {day_number(date(y, m, d)) for m, d in event.yearly for y in years if _exists(y, m, d)}
    spans = [(day - event.before, day + event.after) for day in sorted(days)]
    return [(a, b) for a, b in spans if a <= last_day and b >= first_day]


def _exists(year: int, month: int, day: int) -> bool:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return (month, day) != (2, 29) or leap


# ---- holidays ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2048)
def _dates(country: str, category: str, year: int, language: str) -> Mapping[date, str]:
    """Days of one category and year by the package. Raises ValueError for a country that it does not know."""
    code, _, part = country.partition("-")
    try:
        if code == SWEDEN:
            return dict(Sweden(years=year, categories=(category,), language=language or None, include_sundays=False, expand=False))
        return dict(holidays.country_holidays(code, subdiv=part or None, years=year, categories=(category,), expand=False))
    except (NotImplementedError, ValueError) as error:
        raise ValueError(f"holidays of {country!r} are not known; write it as in SE or CA-ON, or leave it empty") from error


def _named(country: str, category: str, year: int) -> dict[date, tuple[str, str]]:
    """Days of one category and year with Swedish and English names."""
    if country != SWEDEN:
        return {d: (name, name) for d, name in _dates(country, category, year, "").items()}
    english = _dates(country, category, year, "en_US")
    # A half-day is "... (from 2pm)"; that is what its class says.
    return {
        d: (re.sub(r" \([^)]*\)$", "", name), re.sub(r" \([^)]*\)$", "", english[d]))
        for d, name in _dates(country, category, year, "sv").items()
    }  # fmt: skip


@lru_cache(maxsize=256)
def _year(country: str, year: int) -> _Year:
    """Holiday classes of one year."""
    around = range(year - 1, year + 2)
    public: dict[date, tuple[str, str]] = {}
    eves: dict[date, tuple[str, str]] = {}
    halves: dict[date, tuple[str, str]] = {}
    great: set[date] = set()
    for y in around:
        public |= _named(country, "public", y)
        if country == SWEDEN:
            de_facto = _named(country, "de_facto", y)
            public |= de_facto
            # Midsummer's Eve, Christmas Eve and New Year's Eve, each with the day that it leads to.
            great |= {d + step for d in de_facto for step in (timedelta(0), _DAY)}
            eves |= _named(country, "optional", y)
            halves |= _named(country, "bank", y)
        else:
            great |= {date(y, 1, 1), date(y, 12, 25)}
    classes: dict[date, int] = {}
    names: dict[date, tuple[str, str]] = {}

    def put(day: date, number: int, name: tuple[str, str]) -> None:
        if day.year == year and day not in classes:
            classes[day], names[day] = number, name

    for day, name in public.items():
        put(day, MAJOR if day in great else PUBLIC, name)
    for day, name in eves.items():
        if day + _DAY in public:  # else it is a bridge day by the package's list
            put(day, EVE, name)
    for day, name in halves.items():
        put(day, HALF_DAY, name)
    day = date(year, 1, 1)
    while day.year == year:
        if not _free(day, public) and _free(day - _DAY, public) and _free(day + _DAY, public):
            put(day, HALF_DAY, _BRIDGE)
        day += _DAY
    order = sorted(classes)
    return _Year({d: classes[d] for d in order}, {d: names[d] for d in order})


def _free(day: date, public: Mapping[date, tuple[str, str]]) -> bool:
    """Whether offices are closed: a weekend or a holiday."""
    return day.weekday() >= 5 or day in public
