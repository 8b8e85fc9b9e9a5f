"""A surge that is put into the history is found on the day on which the service would have found it."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from earlywarning.core.calendar import LocalCalendar, day_number
from earlywarning.core.events import AnyEvent
from earlywarning.lab.backtest import backtest
from earlywarning.lab.bench import SHAPES, Choice, LabError, Recording, Surge, inject
from earlywarning.lab.surges import draw_surge, weights, with_surge
from tests.core.town import BEGIN, event, merged, register, settings, tree
from tests.lab.conftest import LAB_FIRST, on


def put(**fields: Any) -> Surge:
    given = {"areas": ("A2",), "categories": ("C1",), "begin": on(452), "days": 10, "total": 16, **fields}
    return Surge(**given)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_shares_a_surge_out_over_its_days(shape: str) -> None:
    for days in (1, 2, 9, 30):
        w = weights(shape, days)
        assert len(w) == days
        assert w.sum() == pytest.approx(1)
        assert (w >= 0).all()
    ten = weights(shape, 10)
    rising = {"step": [], "ramp": [9], "spike": [0], "outbreak": [1, 2]}[shape]
    assert not rising or int(ten.argmax()) in rising


def test_a_surge_has_as_many_events_as_was_said_in_its_places_on_its_days(recording: Recording) -> None:
    surge = put(areas=("D0",), categories=("G0",), total=40)
    drawn = draw_surge(recording, surge, day_number(surge.begin))
    assert len(drawn.day) == 40
    assert set(drawn.area) <= {recording.meta.areas.index(f"A{i}") for i in range(3)}
    assert set(drawn.category) <= {recording.meta.categories.index(c) for c in ("C0", "C1")}
    assert min(drawn.day) >= day_number(surge.begin)
    assert max(drawn.day) < day_number(surge.begin) + 10
    assert drawn == draw_surge(recording, surge, day_number(surge.begin)), "drawn alike each time"
    # Once all is recorded, the longest window of the whole municipality has just that many more.
    at = int(np.searchsorted(recording.days, max(np.array(drawn.day) + np.array(drawn.lag))))
    fit = recording.fits[int(recording.fit_of[at])]
    place = at - fit.first
    more = with_surge(recording, fit, place, int(recording.days[at]), drawn, 0) - fit.counts[place]
    top = int(np.flatnonzero((fit.watched.kind == 0) & (fit.watched.category == recording.meta.categories.index("G0")))[0])
    assert more[-1, 0, top] == 40


def test_the_day_on_which_a_surge_is_found_is_that_of_a_replay(recording: Recording, lab_events: list[AnyEvent]) -> None:
    surge = put(total=14, shape="step")
    (told,) = inject(recording, surge)
    drawn = draw_surge(recording, surge, day_number(surge.begin))
    added = []
    for i, (day, area, category, lag) in enumerate(zip(drawn.day, drawn.area, drawn.category, drawn.lag, strict=True)):
        when = BEGIN + timedelta(days=day - day_number(BEGIN.date()))
        codes = {"area": recording.meta.areas[area], "category": recording.meta.categories[category], "origin": "reported"}
        added.append(event(f"put{i}", when, recorded_at=when + timedelta(days=lag, hours=1), **codes))
    exact = backtest(
        register(), tree(), LocalCalendar(), settings(), merged(lab_events, added), LAB_FIRST, surge.begin + timedelta(days=24)
    )
    places = {"A2", "D0", "0999"}
    found = [a.first.opened_on for a in exact.alerts if places & set(a.first.areas) and a.first.opened_on >= surge.begin]
    assert told.each[0].found_on == min(found)
    assert told.each[0].days == (min(found) - surge.begin).days
    assert told.each[0].events == sum(d + lag <= day_number(min(found)) for d, lag in zip(drawn.day, drawn.lag, strict=True))


def test_a_large_surge_is_found_at_once_and_one_of_a_single_event_is_not(recording: Recording) -> None:
    choices = [Choice(), Choice(budget=0.1)]
    for told in inject(recording, put(total=60, shape="spike"), choices, repeats=2):
        assert told.share == 1
        assert told.within[3] == 1
        assert len({one.begin for one in told.each}) == 2
    for told in inject(recording, put(total=1), choices):
        assert told.found == 0
        assert told.each[0].alert is None


def test_size_may_be_said_as_a_multiple_of_what_is_usual(recording: Recording) -> None:
    (told,) = inject(recording, put(areas=("D0",), categories=("G0",), total=None, factor=6.0, days=14))
    usual = told.each[0].expected
    assert usual > 0
    assert told.each[0].added == pytest.approx(5 * usual, rel=0.6)


@pytest.mark.parametrize(
    ("surge", "repeats", "said"),
    [
        (put(areas=()), 1, "areas: a surge needs a place"),
        (put(categories=("C9",)), 1, "categories: there is no 'C9' in the register"),
        (put(days=0), 1, "days: a surge of 0 days cannot be put in"),
        (put(factor=2.0), 1, "total, factor: give the surge's size as one of them"),
        (put(total=0), 1, "total: 0 events cannot be put in"),
        (put(total=None, factor=1.0), 1, "factor: 1 times the expected cannot be put in"),
        (put(begin=on(100)), 1, "begin: 2023-04-12 cannot be judged; choose 2024-03-07 to"),
        (put(), 0, "repeats: 0 is not allowed"),
        (put(areas=("A1",), kind="incident", categories=("C3",), shape="wave"), 1, "shape: there is no 'wave'"),
    ],
)
def test_what_cannot_be_put_in_is_said_with_what_can(recording: Recording, surge: Surge, repeats: int, said: str) -> None:
    with pytest.raises(LabError, match=said):
        inject(recording, surge, repeats=repeats)
