"""What a recognised artefact says to people: a plain frozen record, the same in store, API and command line."""

from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from typing import Literal

import msgspec

from earlywarning.core.calendar import date_of
from earlywarning.core.detectors.bookings import ANY, Done, What
from earlywarning.core.quality import Noted


class DataNote(msgspec.Struct, frozen=True, kw_only=True):
    """An artefact of booking: of which source, what it is about, and what is done about it.

    noted_on: local day at whose close it was recognised. area, category: codes, None for all. The figures are those of
    core/detectors/bookings.py: events that it is about; expected, how many there usually are; share, 0..1.
    hour: of an hour-heap; new_year: whether a date-heap is that of 1 January.
    """

    note_id: str
    municipality: str
    noted_on: date
    what: What
    done: Done
    kind: Literal["incident", "report"]
    source: str
    area: str | None
    category: str | None
    first_day: date
    last_day: date
    events: int
    expected: float
    share: float
    p_value: float
    hour: int | None = None
    new_year: bool = False


def data_note(noted: Noted, municipality: str, codes: Mapping[str, Sequence[str]]) -> DataNote:
    """The record of an artefact. codes: area, category and source codes by number."""
    a = noted.artefact
    kind: Literal["incident", "report"] = "report" if a.kind else "incident"
    source, area = codes["source"][a.source], None if a.area == ANY else codes["area"][a.area]
    category = None if a.category == ANY else codes["category"][a.category]
    return DataNote(
        note_id=_note_id(noted, municipality, (kind, source, area or "", category or "")),
        municipality=municipality,
        noted_on=date_of(noted.day),
        what=a.what,
        done=a.done,
        kind=kind,
        source=source,
        area=area,
        category=category,
        first_day=date_of(a.first_day),
        last_day=date_of(a.last_day),
        events=a.events,
        expected=round(a.expected, 4),
        share=round(a.share, 4),
        p_value=a.p_value,
        hour=a.hour if a.hour >= 0 else None,
        new_year=a.new_year,
    )


def _note_id(noted: Noted, municipality: str, about: tuple[str, ...]) -> str:
    """A heap that is found again a year later is the same note; what fills a gap on two days makes two."""
    a = noted.artefact
    when = f"{a.hour}|{a.new_year}" if a.what.endswith("heap") else f"{a.first_day}|{a.last_day}|{noted.day}"
    return f"{a.what}-{sha256('|'.join((municipality, a.what, *about, when)).encode()).hexdigest()[:10]}"
