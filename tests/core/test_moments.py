"""What happens to alerts happens at the event that brings it about, however events are cut, and whenever an engine is made anew."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta

import msgspec
import numpy as np
import pytest

from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.alerts import SCANNED, last_noted, let_go
from earlywarning.core.arrivals import Silent
from earlywarning.core.calendar import day_number
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from earlywarning.core.explain import uncertainties
from earlywarning.core.tendencies import TendencySettings
from tests.core.town import BEGIN, NOW, engine, event, history, surge
from tests.core.troubled import again, troubled

FIRST = 400  # day from which on it is judged
SPEAKING = TendencySettings(harm_limit=5.0, rare_days=20.0, first_share=0.2, absent_days=60, harm_share=0.2)


class Kept:
    """What a runtime keeps of an engine, and the engine made anew from that."""

    def __init__(self, of: Callable[[], Engine]) -> None:
        self.make = of
        self.engine = of()
        self.alerts: dict[str, Alert] = {}
        self.history: dict[str, list[AlertChange]] = {}
        self.pages: dict[int, bytes] = {}

    def take(self, events: Sequence[AnyEvent], *, past: bool = False) -> None:
        self.engine.ingest(events, NOW, history=past)
        self.keep()

    def keep(self) -> None:
        changes = self.engine.changes()
        self.alerts.update({a.alert_id: a for a in changes.alerts})
        for change in changes.history:
            self.history.setdefault(change.alert.alert_id, []).append(change)
        self.pages.update(changes.pages)
        self.clock = changes.clock_day, changes.clock_hour

    def restart(self) -> None:
        alerts = [a for a in self.alerts.values() if a.alert_id in self.engine.book.cases]
        self.engine = self.make()
        noted = {a.alert_id: last_noted(self.history[a.alert_id]) for a in alerts}
        opened = sorted(day_number(a.opened_on) for a in self.alerts.values() if a.tendency in SCANNED)
        self.engine.restore(list(self.pages.values()), alerts, noted, *self.clock, opened)

    @property
    def state(self) -> tuple[object, ...]:
        return self.alerts, self.history, self.pages, self.clock


def lived(seed: int, cut: Callable[[np.random.Generator], int], restarts: float) -> Kept:
    """A town in troubled weeks. cut: how many events come at once; restarts: how likely one is after each of them."""
    rng = np.random.default_rng(seed)
    made = Kept(lambda: engine(SPEAKING, false_alarms_per_week=3.0))
    before = BEGIN + timedelta(days=FIRST - 1)
    made.take([e for e in history(seed, days=FIRST, lag_days=0.7) if e.recorded_at < before], past=True)
    events, how = troubled(rng, FIRST, 14), np.random.default_rng(seed + 1)
    begin = 0
    while begin < len(events):
        stop = begin + cut(how)
        made.take(events[begin:stop])
        begin = stop
        if how.random() < restarts:
            made.restart()
    made.engine.advance(BEGIN + timedelta(days=FIRST + 20))
    made.keep()
    return made


@pytest.mark.parametrize("seed", [2])
def test_neither_batches_nor_restarts_change_anything_in_troubled_weeks(seed: int) -> None:
    one_by_one = lived(seed, lambda _: 1, 0)
    assert len(one_by_one.alerts) > 4
    assert any(h.change == "withdrawn" for told in one_by_one.history.values() for h in told)
    assert lived(seed, lambda _: 10_000, 0).state == one_by_one.state
    assert lived(seed, lambda how: int(how.choice([1, 2, 5, 20])), 0.1).state == one_by_one.state


@pytest.fixture(scope="module")
def past() -> list[AnyEvent]:
    return history(1, days=440)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_an_alert_that_goes_and_comes_back_within_a_batch_is_told_as_it_went_and_came(past: list[AnyEvent], size: int) -> None:
    burst = surge(440, 12)
    first, rest = burst[:7], burst[7:]
    at = first[-1].recorded_at
    back = [again(e, revision=2, retraction=True, recorded_at=at) for e in first[1:]]
    kept = Kept(engine)
    kept.take([e for e in past if e.recorded_at < first[0].recorded_at], past=True)
    events = [*first, *back, *rest]
    for begin in range(0, len(events), size):
        kept.take(events[begin : begin + size])
    (told,) = [h for h in kept.history.values() if h[0].alert.areas == ("A0",)]
    assert [(h.change, h.alert.observed) for h in told] == [("opened", 3), ("withdrawn", 3), ("reopened", 3)]


def test_what_is_spread_over_days_is_not_like_another_however_it_comes(past: list[AnyEvent]) -> None:
    """Spans of days do not have single events of the same hour wait for the close of the day."""
    when = BEGIN + timedelta(days=440)
    span = {"occurred_at": None, "occurred_from": when - timedelta(days=1), "occurred_to": when}
    events = [event(f"p{i}", when, origin="reported", **(span if i < 3 else {})) for i in range(6)]
    counted = []
    for size in (1, 6):
        kept = Kept(engine)
        kept.take([e for e in past if e.recorded_at < when - timedelta(days=1)], past=True)
        for begin in range(0, len(events), size):
            kept.take(events[begin : begin + size])
        counted.append(kept.engine.cube.window_all(kept.engine.today or 0, 1).tolist())
    assert counted[0] == counted[1]


def test_silent_sources_are_told_in_the_same_order_whichever_came_first() -> None:
    e = engine()
    e.ingest(history(1, days=420), NOW, history=True)
    e.ingest(surge(421), NOW)
    (case, *_) = e.book.cases.values()
    silent = [Silent(0, day_number(date(2024, 2, 1)), 400.0), Silent(1, day_number(date(2024, 2, 1)), 500.0)]
    told = [
        [u.source for u in uncertainties(case.lead, e.watch, silent, names, e.tallies.quality) if u.kind == "silent-source"]
        for names in (["police", "wardens"], ["wardens", "police"])
    ]
    assert told == [["police", "wardens"]] * 2


def test_settings_that_no_longer_raise_an_alert_take_it_back_at_once_as_a_restart_with_them_does(past: list[AnyEvent]) -> None:
    kept = Kept(engine)
    kept.take(past, past=True)
    kept.take(surge(441, 5))
    strict = engine(false_alarms_per_week=0.0001)
    open_before = {case.alert_id for case in kept.engine.book.cases.values() if case.state == "open"}
    kept.engine.configure(strict.settings)
    kept.keep()
    gone = {name for name, told in kept.history.items() if told[-1].change == "withdrawn"}
    assert gone & open_before


@pytest.mark.parametrize(
    ("waited", "on", "gone"),
    [
        ([(0, 7)], 107, False),  # the seventh day after its last signal is still open
        ([(0, 7)], 108, True),
        ([(0, 7), (105, 30)], 120, False),  # longer patience came while it was followed
        ([(0, 7), (109, 30)], 120, True),  # and too late: what was let go does not come back
        ([(0, 30), (110, 7)], 110, False),
        ([(0, 30), (110, 7)], 111, True),  # at the close of the day on which less patience came
    ],
)
def test_a_withdrawn_alert_is_let_go_by_the_settings_of_the_day_that_closes(
    waited: list[tuple[int, int]], on: int, gone: bool, past: list[AnyEvent]
) -> None:
    made = Kept(engine)
    made.take([*past, *surge(440, 12)])
    alert = next(iter(made.alerts.values()))
    last = date(1970, 1, 1) + timedelta(days=100)
    assert let_go(msgspec.structs.replace(alert, state="withdrawn", last_day=last), waited, on) is gone
