"""From settings to the calendar of days that are unlike others: holidays, school breaks, local events."""

from datetime import date
from importlib import resources

from earlywarning.core.day_kinds import DayCalendar, LocalEvent
from earlywarning.core.school_breaks import SchoolBreak, breaks_of, read_breaks, with_own
from earlywarning.settings import CalendarEvent, Settings
from earlywarning.settings_text import day_of_year, days_of

TABLE = "school_breaks.csv"


def day_calendar(settings: Settings) -> DayCalendar:
    """The calendar that the settings say. Raises RegisterError when the bundled table of school breaks is damaged."""
    chosen = settings.calendar
    events = [_event(name, event) for name, event in chosen.events.items()]
    return DayCalendar(chosen.holidays, school_breaks(settings), events)


def school_breaks(settings: Settings) -> tuple[SchoolBreak, ...]:
    """The municipality's school breaks: its own, and of the others what the bundled table says of its place."""
    chosen = settings.calendar
    known: tuple[SchoolBreak, ...] = ()
    if chosen.school_breaks:
        text = resources.files("earlywarning.data").joinpath(TABLE).read_text(encoding="utf-8")
        known = breaks_of(read_breaks(text, file=TABLE), chosen.region or settings.municipality.code)
    return with_own(known, {name: [days_of(span) for span in spans] for name, spans in chosen.own_breaks.items()})


def _event(name: str, event: CalendarEvent) -> LocalEvent:
    days = [day_of_year(text) for text in event.on]
    dates = tuple(d for d in days if isinstance(d, date))
    yearly = tuple(d for d in days if isinstance(d, tuple))
    return LocalEvent(name, dates, yearly, event.days_before, event.days_after, tuple(event.areas))
