"""The service's own store gives the lab the history that it took, as it became known."""

from datetime import timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.events import AnyEvent
from earlywarning.core.pages import decode_page, join_pages
from earlywarning.lab.bench import Choice, LabError, record, retune
from earlywarning.runtimes.lab_supply import events_of, first_judged, record_of_store
from earlywarning.settings import parse_settings
from earlywarning.store import Store
from tests.core.town import (
    BEGIN,
    CATEGORIES,
    CODE,
    NOW,
    areas_text,
    engine,
    event,
    history,
    merged,
    register,
    settings,
    surge,
    tree,
)

DAYS = 440


def corrected() -> list[AnyEvent]:
    """A history with a surge, an event that is taken back, one that is corrected, and one that is known only to a day."""
    when = BEGIN + timedelta(days=425)
    day = {"occurred_at": None, "occurred_from": when, "occurred_to": when + timedelta(hours=20)}
    later = {"recorded_at": when + timedelta(days=3), "revision": 2, "origin": "reported"}
    return merged(
        history(7, days=DAYS, lag_days=0.7), surge(430),
        [event("a", when, origin="reported"), event("a", when, **later, retraction=True)],
        [event("b", when, origin="reported"), event("b", when, **later, category="C1")],
        [event("c", when, **day, recorded_at=when + timedelta(days=1), origin="reported")],
    )  # fmt: skip


def test_pages_give_the_recording_that_their_events_give() -> None:
    events = corrected()
    live, pages = engine(), {}
    for begin in range(0, len(events), 500):
        live.ingest(events[begin : begin + 500], NOW)
        pages.update(live.changes().pages)
    again = events_of(join_pages(decode_page(p) for p in pages.values()), CODE, LocalCalendar())
    assert len(again) == len(events)
    place, first = (register(), tree(), LocalCalendar(), settings()), BEGIN.date() + timedelta(days=422)
    one, other = record(*place, events, first), record(*place, again, first)
    for a, b in zip(one.fits, other.fits, strict=True):
        assert np.array_equal(a.counts, b.counts)
        assert np.allclose(a.level, b.level)
    assert msgspec.json.encode(retune(one, Choice())) == msgspec.json.encode(retune(other, Choice()))


def test_without_a_first_day_the_last_year_is_judged_or_half_of_a_shorter_history() -> None:
    short, long = ([event(1, BEGIN), event(2, BEGIN + timedelta(days=days))] for days in (100, 900))
    assert first_judged(short, LocalCalendar()) == BEGIN.date() + timedelta(days=50)
    assert first_judged(long, LocalCalendar()) == BEGIN.date() + timedelta(days=900 - 364)


def test_a_store_without_events_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "areas.geojson").write_text(areas_text())
    (tmp_path / "categories.csv").write_text(CATEGORIES)
    text = (
        f'[municipality]\ncode = "{CODE}"\nname = "Testby"\n[registers]\nareas = "areas.geojson"\ncategories = "categories.csv"\n'
    )
    empty = pytest.raises(LabError, match="holds no events of municipality 0999")
    with Store.open(f"sqlite:///{tmp_path}/store.db", writer=True) as store, empty:
        record_of_store(store, parse_settings(text, file="town", folder=tmp_path))
