"""Laws of data quality in the engine: artefacts raise nothing and are told; batches and restarts change nothing."""

from collections.abc import Sequence
from copy import deepcopy
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pytest

from earlywarning.core.alert_record import Alert
from earlywarning.core.data_notes import DataNote
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from tests.core.town import BEGIN, NOW, engine, event, feed, history, merged

DAY = 440


@pytest.fixture(scope="module")
def ordinary() -> list[AnyEvent]:
    return history(1, days=480, rate=0.2, lag_days=0.4)


def a_round(n: int = 50, areas: Sequence[str] = ("A1",), minutes: int = 1, day: int = DAY) -> list[AnyEvent]:
    """One reporter's round: n like reports, so many minutes apart."""
    at = BEGIN + timedelta(days=day, hours=-3)
    return [
        event(f"r{day}-{i}", at + timedelta(minutes=minutes * i), area=areas[i % len(areas)], kind="report", origin="reported",
              recorded_at=at + timedelta(minutes=minutes * i + 1))
        for i in range(n)
    ]  # fmt: skip


def backlog(n: int = 40, day: int = DAY) -> list[AnyEvent]:
    """n incidents of the last months entered in one morning."""
    rng = np.random.default_rng(5)
    at = BEGIN + timedelta(days=day, hours=-2)
    return [
        event(f"b{i}", at - timedelta(days=float(rng.uniform(6, 26))), area=f"A{2 * (i % 3)}", category="C1", origin="reported",
              recorded_at=at + timedelta(minutes=i))
        for i in range(n)
    ]  # fmt: skip


def told(to: Engine, events: Sequence[AnyEvent], batch: int = 1000) -> tuple[list[str], list[DataNote]]:
    """What was opened on DAY or the day after and not taken back when DAY closed, and all notes."""
    opened, notes, back = [], [], set()
    for begin in range(0, len(events), batch):
        to.ingest(events[begin : begin + batch], NOW)
        changes = to.changes()
        days = [(BEGIN + timedelta(days=d)).date() for d in (DAY, DAY + 1)]
        opened += [h.alert.alert_id for h in changes.history if h.change == "opened" and h.alert.opened_on in days]
        back |= {h.alert.alert_id for h in changes.history if h.change == "withdrawn" and h.on == days[0]}
        notes += changes.notes
    return [a for a in opened if a not in back], notes


class Lived(NamedTuple):
    """An engine that has taken some events, and the alerts and pages that are kept of them."""

    engine: Engine
    alerts: dict[str, Alert]
    pages: dict[int, bytes]


@pytest.fixture(scope="module")
def begun(ordinary: list[AnyEvent]) -> Lived:
    """Up to the day before DAY."""
    e = engine()
    _, alerts, pages = feed(e, [x for x in ordinary if x.recorded_at < BEGIN + timedelta(days=DAY - 1)])
    return Lived(e, alerts, pages)


@pytest.fixture(scope="module")
def tail(ordinary: list[AnyEvent]) -> list[AnyEvent]:
    """What is ordinary from the day before DAY on."""
    return [x for x in ordinary if x.recorded_at >= BEGIN + timedelta(days=DAY - 1)]


@pytest.fixture(scope="module")
def usual(begun: Lived, tail: list[AnyEvent]) -> list[str]:
    """The alerts of those days without anything more."""
    opened, notes = told(deepcopy(begun.engine), tail)
    assert notes == []
    return opened


def test_of_fifty_items_of_one_reporter_a_handful_can_raise_until_midnight_and_they_are_told(
    begun: Lived, tail: list[AnyEvent], usual: list[str]
) -> None:
    opened, notes = told(deepcopy(begun.engine), merged(tail, a_round()), 7)
    assert opened == usual
    (note,) = notes
    assert (note.what, note.source, note.area, note.category, note.kind) == ("burst", "wardens", "A1", "C0", "report")
    assert note.noted_on == (BEGIN + timedelta(days=DAY)).date()
    assert note.events >= 50


def test_many_peoples_reports_of_one_day_raise_an_alert_and_no_note(begun: Lived, tail: list[AnyEvent], usual: list[str]) -> None:
    opened, notes = told(deepcopy(begun.engine), merged(tail, a_round(15, minutes=50)))
    assert len(opened) > len(usual)
    assert notes == []


def test_a_backlog_raises_nothing_and_is_told_and_counts_where_people_read(
    begun: Lived, ordinary: list[AnyEvent], tail: list[AnyEvent], usual: list[str]
) -> None:
    entered = backlog()
    e = deepcopy(begun.engine)
    opened, notes = told(e, merged(tail, entered), 3)
    assert opened == usual
    assert [n.what for n in notes] == ["backlog"]
    kept = {int(k) for d in e.ledger.days() for k in e.ledger.on_day(d).columns["key"].tolist()}
    assert len(kept) == len(ordinary) + len(entered)


def test_later_revisions_of_what_is_left_out_are_left_out_too(begun: Lived, tail: list[AnyEvent], usual: list[str]) -> None:
    again = [
        type(x)(**{f: getattr(x, f) for f in x.__struct_fields__}
                | {"revision": 2, "category": "C1", "recorded_at": x.recorded_at + timedelta(days=2)})
        for x in a_round()
    ]  # fmt: skip
    plain, revised = deepcopy(begun.engine), deepcopy(begun.engine)
    told(plain, merged(tail, a_round()))
    opened, _ = told(revised, merged(tail, a_round(), again))
    assert opened == usual
    series = np.arange(len(plain.space))
    first = plain.cube.first_day
    assert first is not None
    last = plain.cube.last_day
    # Of fifty one item counts, before as C0 and then as C1.
    assert plain.cube.daily(series, first, last).sum() == revised.cube.daily(series, first, last).sum()


def test_an_event_of_a_round_that_is_taken_back_lets_another_count() -> None:
    begun = history(1, days=120, rate=0.2)
    items = a_round(6, day=125)
    e = engine()
    feed(e, merged(begun, items[:5]))
    series = e.space.number(1, list(e.register.codes).index("A1"), list(e.tree.codes).index("C0")).reshape(1)
    day = e.calendar.day_at(items[0].recorded_at)

    def now() -> float:
        return float(e.cube.daily(series, day, day).sum())

    assert now() == 3
    back = {f: getattr(items[0], f) for f in items[0].__struct_fields__} | {"revision": 2, "retraction": True}
    feed(e, [type(items[0])(**back)])
    assert now() == 3
    for item in items[1:4]:
        feed(e, [type(item)(**{f: getattr(item, f) for f in item.__struct_fields__} | {"revision": 2, "retraction": True})])
    assert now() == 1


@pytest.fixture(scope="module")
def events(tail: list[AnyEvent]) -> list[AnyEvent]:
    """What follows, with artefacts of several kinds."""
    return merged(tail, a_round(30), backlog(30), a_round(9, areas=("A3",), day=DAY + 1))


@pytest.fixture(scope="module")
def whole(begun: Lived, events: list[AnyEvent]) -> Lived:
    """All of it without an end between."""
    e = deepcopy(begun.engine)
    _, alerts, pages = feed(e, events)
    return Lived(e, {**begun.alerts, **alerts}, {**begun.pages, **pages})


@pytest.mark.parametrize("batch", [1, 13, 400])
@pytest.mark.parametrize("at", [0.3, 0.9, 1.0])
def test_artefacts_are_the_same_in_any_batches_and_after_a_restart(
    begun: Lived, events: list[AnyEvent], whole: Lived, batch: int, at: float
) -> None:
    begin, stop = (BEGIN + timedelta(days=d) for d in (DAY, DAY + 1))
    middle = [i for i, x in enumerate(events) if begin.date() <= x.recorded_at.date() < stop.date()]
    cut_at = middle[0] + int(at * len(middle))
    first = deepcopy(begun.engine)
    _, more, late_pages = feed(first, events[:cut_at], batch)
    changes = first.changes()
    assert first.today is not None
    live = [a for a in {**begun.alerts, **more}.values() if a.alert_id in first.book.cases]
    rebuilt = engine()
    noted = {case.alert_id: case.noted for case in first.book.cases.values()}
    rebuilt.restore(list({**begun.pages, **late_pages}.values()), live, noted, changes.clock_day, changes.clock_hour)
    _, after, _ = feed(rebuilt, events[cut_at:], batch)
    _, undisturbed, _ = feed(first, events[cut_at:], batch)
    assert after == undisturbed
    assert whole.alerts == {**begun.alerts, **more, **undisturbed}
    assert {n.artefact[:9] for n in whole.engine.tallies.quality.noted} == {n.artefact[:9] for n in rebuilt.tallies.quality.noted}
    for other in (first, rebuilt):
        _same_counts(other, whole.engine)


def test_a_changed_place_coding_moves_what_tells_no_place_to_the_whole() -> None:
    plain = history(3, days=520, rate=0.4)
    changed = []
    for x in plain:
        moved = x.recorded_at >= BEGIN + timedelta(days=DAY)
        changed.append(type(x)(**{f: getattr(x, f) for f in x.__struct_fields__} | ({"area": "A2"} if moved else {})))
    e = engine()
    _, alerts, pages = feed(e, changed)
    notes = [n for n in e.tallies.quality.noted if n.artefact.what == "place-coding"]
    assert len(notes) == 1
    assert e.tallies.quality.moves
    area = list(e.register.codes).index("A2")
    at_place = e.space.number(np.array([0, 1]), area, 0)
    last = e.cube.last_day
    assert e.cube.daily(at_place, last - 20, last - 1).sum() == 0
    whole = e.space.number(np.array([0, 1]), 0, 0)
    assert e.cube.daily(whole, last - 20, last - 1).sum() > 100
    late = [a for a in alerts.values() if a.opened_on > (BEGIN + timedelta(days=DAY + 15)).date() and "A2" in a.areas]
    assert late == []
    rebuilt = engine()
    changes = e.changes()
    rebuilt.restore(list(pages.values()), [], {}, changes.clock_day, changes.clock_hour)
    assert rebuilt.tallies.quality.moves == e.tallies.quality.moves
    _same_counts(rebuilt, e)
    # Also on the days before expectations are made anew, when what was moved is moved again after the start of the rebuild.
    told = BEGIN + (notes[0].day - e.calendar.day_at(BEGIN)) * timedelta(days=1)
    for days in (1, 4):
        begun, again = engine(), engine()
        _, _, pages = feed(begun, [x for x in changed if x.recorded_at < told + timedelta(days=days)])
        changes = begun.changes()
        again.restore(list(pages.values()), [], {}, changes.clock_day, changes.clock_hour)
        assert again.tallies.quality.moves == begun.tallies.quality.moves != []
        _same_counts(again, begun)


def _same_counts(one: Engine, other: Engine) -> None:
    assert other.cube.first_day is not None
    span = np.arange(len(other.space)), other.cube.first_day, other.cube.last_day
    assert (one.cube.daily(*span) == other.cube.daily(*span)).all()
