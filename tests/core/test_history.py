"""History is counted as known from when it was recorded, and none of its days is judged."""

from datetime import timedelta

import numpy as np
import pytest

from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from tests.core.town import BEGIN, NOW, engine, event

YEAR = 460


def _quiet(first: int, last: int, seed: int, surge: int | None = None) -> list[AnyEvent]:
    rng = np.random.default_rng(seed)
    out = []
    for day in range(first, last):
        for n in range(rng.poisson(3) + (14 if surge is not None and surge <= day < surge + 3 else 0)):
            when = BEGIN + timedelta(days=day, hours=int(rng.integers(0, 10)))
            area = "A1" if n >= 8 else f"A{rng.integers(6)}"
            out.append(event(f"{day}-{n}", when, area=area, category=f"C{rng.integers(2)}"))
    return sorted(out, key=lambda e: e.recorded_at)


def _feed(e: Engine, events: list[AnyEvent], size: int, *, history: bool = False) -> dict[str, list[str]]:
    """Feed in batches; returns the alerts' ids by what became of them."""
    told: dict[str, list[str]] = {}
    for begin in range(0, len(events), size):
        e.ingest(events[begin : begin + size], NOW, history=history)
        for change in e.changes().history:
            told.setdefault(change.change, []).append(change.alert.alert_id)
    return told


def test_a_surge_of_the_past_raises_nothing_and_one_of_today_does() -> None:
    past, today = _quiet(0, YEAR, 1, surge=440), _quiet(YEAR, YEAR + 20, 2, surge=YEAR + 12)
    judged = engine()
    assert _feed(judged, past, 200)["opened"]  # live, it would have been told
    e = engine()
    assert _feed(e, past, 200, history=True) == {}
    opened = _feed(e, today, 10)["opened"]
    assert opened
    assert all(name > f"0999-{BEGIN + timedelta(days=YEAR):%y%m%d}" for name in opened)


@pytest.mark.parametrize("size", [7, 1000])
def test_history_in_any_batches_leaves_what_living_through_it_leaves(size: int) -> None:
    past, today = _quiet(0, YEAR, 1), _quiet(YEAR, YEAR + 15, 2, surge=YEAR + 8)
    told, lived = engine(), engine()
    _feed(told, past, size, history=True)
    _feed(lived, past, 100)
    assert _feed(told, today, 5)["opened"] == _feed(lived, today, 5)["opened"]
    assert told.cube.window_all(told.today or 0, 28).tolist() == lived.cube.window_all(lived.today or 0, 28).tolist()


def test_history_that_comes_late_counts_as_known_when_it_was_recorded() -> None:
    past, today = _quiet(0, YEAR, 1), _quiet(YEAR, YEAR + 3, 2)
    late, first = engine(), engine()
    _feed(late, today, 50)
    _feed(late, past, 300, history=True)
    _feed(first, past, 300, history=True)
    _feed(first, today, 50)
    for e in (late, first):
        e.advance(BEGIN + timedelta(days=YEAR + 3, hours=1))
    assert late.watch.ready
    assert first.watch.ready
    assert late.cube.window_all(late.today or 0, 28).tolist() == first.cube.window_all(first.today or 0, 28).tolist()
    assert np.allclose(late.watch.base_window(2)[1], first.watch.base_window(2)[1])


def test_events_beyond_the_allowed_lateness_never_bring_a_settled_alert_back() -> None:
    e = engine()
    _feed(e, _quiet(0, YEAR, 1), 200, history=True)
    opened = _feed(e, _quiet(YEAR, YEAR + 30, 2, surge=YEAR + 5), 10)
    settled = set(opened["settled"])
    assert settled
    when = BEGIN + timedelta(days=YEAR + 6)
    recorded = BEGIN + timedelta(days=YEAR + 30)
    more = [
        event(f"late{i}", when - timedelta(hours=i), recorded_at=recorded + timedelta(hours=i), area=f"A{i % 3}", category="C1")
        for i in range(6)
    ]
    day = int(e.calendar.day_at(when))
    before = len(e.ledger.on_day(day))
    assert e.ingest([event("in-time", recorded - timedelta(hours=3), recorded_at=recorded)], NOW).late == frozenset()
    assert e.ingest(more[:2], NOW).late == {0, 1}  # they are marked,
    assert e.ingest(more[:2], NOW).late == frozenset()  # once
    told = _feed(e, more, 1)
    e.advance(recorded + timedelta(days=2))
    told |= {change.change: [change.alert.alert_id] for change in e.changes().history}
    assert len(e.ledger.on_day(day)) == before + len(more)  # counted,
    assert not settled & {name for names in told.values() for name in names}
