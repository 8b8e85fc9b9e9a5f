"""Laws of the engine: what is counted, judged and alerted does not depend on batches, repeats, order or restarts."""

from copy import deepcopy
from datetime import timedelta
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.alert_record import Alert
from earlywarning.core.calendar import UNIT
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from earlywarning.core.intake import Outcome
from earlywarning.core.tendencies import TendencySettings
from tests.core.town import BEGIN, NOW, engine, event, feed, history, merged, surge


@pytest.fixture(scope="module")
def ordinary() -> list[AnyEvent]:
    return history(1, days=480)


@pytest.fixture(scope="module")
def eventful() -> list[AnyEvent]:
    """Ordinary days with late records, two surges, revisions and retractions."""
    events = merged(history(2, days=470, lag_days=1.5), surge(430), surge(445, area="A4", category="C2"))
    rng = np.random.default_rng(3)
    corrected = []
    for i in rng.choice(len(events), 60, replace=False).tolist():
        e = events[i]
        changed = {"revision": 2, "recorded_at": e.recorded_at + timedelta(days=float(rng.uniform(0, 20)))}
        if rng.random() < 0.4:
            changed["retraction"] = True
        else:
            changed["area"] = f"A{rng.integers(6)}"
        corrected.append(type(e)(**{f: getattr(e, f) for f in e.__struct_fields__} | changed))
    return merged(events, corrected)


@pytest.fixture(scope="module")
def begun(ordinary: list[AnyEvent]) -> Engine:
    """An engine that has taken the ordinary days before day 424; tests take copies."""
    e = engine()
    feed(e, [x for x in ordinary if x.recorded_at < BEGIN + timedelta(days=424)])
    return e


@pytest.fixture(scope="module")
def later(ordinary: list[AnyEvent]) -> list[AnyEvent]:
    """The ordinary days from day 424 on."""
    return [x for x in ordinary if x.recorded_at >= BEGIN + timedelta(days=424)]


class Fed(NamedTuple):
    """What an engine said of some events, and the engine."""

    engine: Engine
    outcomes: list[Outcome]
    alerts: dict[str, Alert]
    pages: dict[int, bytes]


@pytest.fixture(scope="module")
def at_once(eventful: list[AnyEvent]) -> Fed:
    """All eventful days in one batch."""
    e = engine()
    return Fed(e, *feed(e, eventful, len(eventful)))


CUTS = (0.5, 0.9, 0.931, 0.955, 0.98)


@pytest.fixture(scope="module")
def parts(eventful: list[AnyEvent]) -> dict[float, Fed]:
    """The eventful days up to each cut, in batches of forty."""
    e, alerts, pages, done, out = engine(), dict[str, Alert](), dict[int, bytes](), 0, {}
    for at in CUTS:
        cut = int(len(eventful) * at)
        _, more, newer = feed(e, eventful[done:cut], 40)
        alerts, pages, done = {**alerts, **more}, {**pages, **newer}, cut
        out[at] = Fed(deepcopy(e), [], alerts, pages)
    return out


def counts(of: Engine) -> np.ndarray:
    assert of.cube.first_day is not None
    return of.cube.daily(np.arange(len(of.space)), of.cube.first_day, of.cube.last_day)


def about(alerts: dict[str, Alert], day: int) -> Alert:
    """The alert about area A0 that was opened on a day."""
    (alert,) = [a for a in alerts.values() if a.opened_on == (BEGIN + timedelta(days=day)).date() and "A0" in a.areas]
    return alert


def test_a_surge_in_one_area_becomes_one_alert_about_that_area(begun: Engine, later: list[AnyEvent]) -> None:
    _, alerts, _ = feed(deepcopy(begun), merged(later, surge(440)))
    about_it = [a for a in alerts.values() if a.opened_on == (BEGIN + timedelta(days=440)).date() and "A0" in a.areas]
    assert len(about_it) == 1
    (alert,) = about_it
    assert alert.areas == ("A0",)
    assert alert.categories == ("C0",)
    assert alert.kind == "incident"
    assert alert.observed >= 9
    assert alert.expected < 1 < alert.upper_bound < alert.observed
    assert {s.areas for s in alert.signals} == {("A0",)}, "district and municipality rise with it and are covered by it"
    assert alert.signals[-1].role == "opening"
    assert alert.signals[-1].observed < alert.observed, "raised at the event that crossed, not at the end of the day"


def test_an_alert_carries_the_facts_that_explain_it(begun: Engine, later: list[AnyEvent]) -> None:
    _, alerts, _ = feed(deepcopy(begun), merged(later, surge(440)))
    alert = about(alerts, 440)
    assert sum(d.observed for d in alert.days) == alert.observed
    assert alert.earlier_years[0].last_day == alert.signals[0].last_day - timedelta(days=364)
    assert alert.settings_version == "0123456789ab"
    assert any(u.kind == "short-history" for u in alert.uncertainties)


def test_an_alert_settles_when_it_is_over(begun: Engine, later: list[AnyEvent]) -> None:
    _, alerts, _ = feed(deepcopy(begun), merged(later, surge(430)))
    alert = about(alerts, 430)
    assert alert.state == "settled"
    assert alert.settled_on is not None
    assert (alert.settled_on - alert.last_day).days == 4


def test_without_a_year_of_history_nothing_is_judged() -> None:
    _, alerts, _ = feed(engine(), merged(history(4, days=200), surge(150, n=30)))
    assert not alerts


def test_the_same_events_fed_again_change_nothing(eventful: list[AnyEvent], at_once: Fed) -> None:
    e = deepcopy(at_once.engine)
    before = counts(e)
    outcomes, again, pages = feed(e, eventful)
    assert set(outcomes) == {"repeated"}
    assert not again
    assert not pages
    assert (counts(e) == before).all()


@pytest.mark.parametrize("batch", [1, 7, 250])
def test_how_events_are_cut_into_batches_changes_nothing(eventful: list[AnyEvent], at_once: Fed, batch: int) -> None:
    cut_engine = engine()
    cut = Fed(cut_engine, *feed(cut_engine, eventful, batch))
    assert cut[1:] == at_once[1:]
    assert (counts(at_once.engine) == counts(cut_engine)).all()


@pytest.mark.parametrize("at", CUTS)
def test_an_engine_rebuilt_from_its_pages_goes_on_as_if_nothing_had_happened(
    eventful: list[AnyEvent], parts: dict[float, Fed], at: float
) -> None:
    cut = int(len(eventful) * at)
    first, _, alerts, pages = parts[at]
    rest = feed(deepcopy(first), eventful[cut:])
    changes = first.changes()
    assert first.today is not None
    live = [a for a in alerts.values() if a.alert_id in first.book.cases]
    rebuilt = engine()
    noted = {case.alert_id: case.noted for case in first.book.cases.values()}
    rebuilt.restore(list(pages.values()), live, noted, changes.clock_day, changes.clock_hour)
    assert (counts(rebuilt)[:, -5:] == counts(first)[:, -5:]).all()
    outcomes, after, later_pages = feed(rebuilt, eventful[cut:], 40)
    assert outcomes == rest[0]
    assert after == rest[1]
    assert later_pages == rest[2]


def test_an_engine_to_which_nothing_has_come_for_more_than_a_year_can_be_rebuilt() -> None:
    first = engine()
    _, _, pages = feed(first, [event(1, BEGIN)])
    first.advance(BEGIN + timedelta(days=800))
    changes = first.changes()
    rebuilt = engine()
    rebuilt.restore(list(pages.values()), [], {}, changes.clock_day, changes.clock_hour)
    late = event(2, BEGIN + timedelta(days=801))
    assert rebuilt.ingest([event(1, BEGIN), late], NOW).outcomes == ["repeated", "accepted"]
    first.ingest([late], NOW)
    assert (counts(rebuilt).sum(), len(rebuilt.ledger)) == (counts(first)[:, -len(counts(rebuilt)[0]) :].sum(), 2)


def test_warning_at_the_event_gives_exactly_the_alarms_of_closing_the_day(ordinary: list[AnyEvent]) -> None:
    """Each event alone, against the whole day's counts looked at once, with what open alerts covered that morning."""
    events = merged(ordinary, surge(425, n=6), surge(440), surge(441, n=5, area="A3", category="C1"))
    e = engine(false_alarms_per_week=10.0)
    by_day: dict[int, list[AnyEvent]] = {}
    for one in events:
        by_day.setdefault(e.calendar.day_at(one.recorded_at), []).append(one)
    at_events, at_close = set(), set()
    for day in sorted(by_day):
        e.advance(by_day[day][0].recorded_at)  # opens the day
        covered, followed_before = e.book.covered(), set(e.book.cases)
        for one in by_day[day]:
            e.ingest([one], NOW)
        if set(e.book.cases) - followed_before:
            at_events.add(day)
        if e.watch.ready and e.watch.beyond(e.watch.cover(covered)) is not None:
            at_close.add(day)
    assert len(at_events) > 5
    assert at_events == at_close


def severe(day: int, number: int = 0, **fields: object) -> AnyEvent:
    """An event of the gravest category, which is rare in the town."""
    return event(f"grave{number}", BEGIN + timedelta(days=day, hours=3), category="C3", origin="reported", **fields)


GRAVE = TendencySettings(harm_limit=5.0, rare_days=200.0)


def without_grave(events: list[AnyEvent]) -> list[AnyEvent]:
    return [e for e in events if e.category not in ("C2", "C3")]


def test_one_severe_and_rare_event_raises_an_alert_at_the_event_though_no_count_is_unusual(ordinary: list[AnyEvent]) -> None:
    e = engine(tendencies=GRAVE)
    _, alerts, _ = feed(e, merged(without_grave(ordinary), [severe(450)]))
    (alert,) = [a for a in alerts.values() if a.tendency == "severe"]
    assert (alert.areas, alert.categories, alert.observed) == (("A0",), ("C3",), 1)
    assert alert.opened_at.hour == severe(450).recorded_at.hour
    assert alert.recurrence_days > 200


def test_a_severe_event_that_is_taken_back_takes_its_alert_back(ordinary: list[AnyEvent]) -> None:
    again = severe(450, revision=2, retraction=True, recorded_at=BEGIN + timedelta(days=451))
    _, alerts, _ = feed(engine(tendencies=GRAVE), merged(without_grave(ordinary), [severe(450), again]))
    assert [a.state for a in alerts.values() if a.tendency == "severe"] == ["withdrawn"]


def test_the_first_event_of_a_category_in_a_year_is_told_and_the_second_is_not(ordinary: list[AnyEvent]) -> None:
    common = [e for e in ordinary if e.category != "C1" or e.area != "A0"]
    first, second = (event(f"new{d}", BEGIN + timedelta(days=d), category="C1") for d in (450, 455))
    chosen = TendencySettings(first_share=0.5)
    _, alerts, _ = feed(engine(tendencies=chosen, false_alarms_per_week=20.0), merged(common, [first, second]))
    told = [a for a in alerts.values() if a.tendency == "first" and a.areas == ("A0",) and a.categories == ("C1",)]
    assert [a.opened_on for a in told] == [(BEGIN + timedelta(days=450)).date()]


@pytest.mark.parametrize("batch", [1, 9])
def test_what_events_say_by_themselves_does_not_depend_on_batches_or_restarts(eventful: list[AnyEvent], batch: int) -> None:
    events = merged(without_grave(eventful), [severe(450), severe(450, 1), severe(452, 2, area="A4")])
    whole, cut = feed(engine(tendencies=GRAVE), events, len(events)), feed(engine(tendencies=GRAVE), events, batch)
    assert any(a.tendency == "severe" for a in whole[1].values())
    assert whole[1] == cut[1]
    at = next(i for i, e in enumerate(events) if e.event_id == "egrave2") + 1
    first = engine(tendencies=GRAVE)
    _, alerts, pages = feed(first, events[:at], batch)
    changes = first.changes()
    assert first.today is not None
    live = [a for a in alerts.values() if a.alert_id in first.book.cases]
    rebuilt = engine(tendencies=GRAVE)
    noted = {case.alert_id: case.noted for case in first.book.cases.values()}
    rebuilt.restore(list(pages.values()), live, noted, changes.clock_day, changes.clock_hour)
    _, after, _ = feed(rebuilt, events[at:], batch)
    _, undisturbed, _ = feed(first, events[at:], batch)
    assert after == undisturbed


def test_a_later_revision_replaces_the_earlier_one_in_any_order() -> None:
    first = event(1, BEGIN)
    second = event(1, BEGIN, area="A4", revision=2, recorded_at=BEGIN + timedelta(hours=5))
    third = event(1, BEGIN, category="C1", revision=3, recorded_at=BEGIN + timedelta(hours=9))
    want = None
    for order in ([first, second, third], [third, first, second], [second, third, first], [third, second, first]):
        e = engine()
        e.ingest(order[:2], NOW)
        e.ingest(order[2:], NOW)
        now = counts(e)
        want = now if want is None else want
        assert (now == want).all()
        assert now.max() == 1


def test_a_retraction_takes_the_event_out_also_when_it_comes_first() -> None:
    said = event(1, BEGIN)
    taken_back = event(1, BEGIN, revision=2, retraction=True)
    for order in ([said, taken_back], [taken_back, said]):
        e = engine()
        e.ingest(order, NOW)
        assert counts(e).sum() == 0


def test_a_retraction_withdraws_the_alert_it_carried(begun: Engine, later: list[AnyEvent]) -> None:
    e = deepcopy(begun)
    burst = surge(440)
    upto = [x for x in later if x.recorded_at < burst[0].recorded_at]
    feed(e, merged(upto, burst))
    at = burst[-1].recorded_at + timedelta(hours=1)
    back = [
        type(x)(**{f: getattr(x, f) for f in x.__struct_fields__} | {"revision": 2, "retraction": True, "recorded_at": at})
        for x in burst
    ]
    _, alerts, _ = feed(e, back)
    alert = about(alerts, 440)
    assert alert.state == "withdrawn"


def test_one_revision_with_two_contents_is_refused_and_named() -> None:
    e = engine()
    e.ingest([event(1, BEGIN)], NOW)
    result = e.ingest([event(1, BEGIN, area="A1")], NOW)
    assert result.outcomes == ["rejected"]
    assert result.rejections[0].rule == "revision-conflict"
    assert result.rejections[0].event_id == "e1"


def test_what_patrols_discover_is_kept_but_raises_no_alert(begun: Engine, later: list[AnyEvent]) -> None:
    found = [type(x)(**{f: getattr(x, f) for f in x.__struct_fields__} | {"origin": "discovered"}) for x in surge(440)]
    outcomes, alerts, _ = feed(deepcopy(begun), merged(later, found))
    assert set(outcomes) == {"accepted"}
    assert not [a for a in alerts.values() if a.opened_on == (BEGIN + timedelta(days=440)).date() and "A0" in a.areas]


def test_an_origin_left_out_is_the_categorys_default() -> None:
    e = engine()
    e.ingest([event(1, BEGIN, category="C3"), event(2, BEGIN, category="C2"), event(3, BEGIN)], NOW)
    assert e.ledger.column("origin").tolist() == [1, 0, 0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3), st.integers(0, 3), st.booleans()), max_size=30), st.randoms())
def test_events_in_any_order_give_the_counts_of_their_highest_revisions(
    said: list[tuple[int, int, int, bool]], random: object
) -> None:
    once = {(n, r): (n, r, area, gone) for n, r, area, gone in said}  # one content for each revision
    want = np.zeros(6)
    for n in {n for n, _ in once}:
        _, _, area, gone = once[n, max(r for m, r in once if m == n)]
        want[area] += not gone
    shuffled = list(once.values())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    events = [event(n, BEGIN, area=f"A{area}", revision=r, retraction=gone) for n, r, area, gone in shuffled]
    e = engine()
    for begin in range(0, len(events), 4):
        e.ingest(events[begin : begin + 4], NOW)
    if not events:
        return
    series = e.space.number(0, e.register.resolve([f"A{i}" for i in range(6)]), int(e.tree.resolve(["C0"])[0]))
    assert (counts(e)[series].sum(1) == want).all()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 400)), min_size=1, max_size=20))
def test_an_event_known_to_an_interval_counts_once_over_its_days(spans: list[tuple[int, int]]) -> None:
    events = [
        event(
            i, BEGIN, occurred_at=None, occurred_from=BEGIN + timedelta(hours=a), occurred_to=BEGIN + timedelta(hours=a + b),
            recorded_at=BEGIN + timedelta(hours=a + b),
        )
        for i, (a, b) in enumerate(spans)
    ]  # fmt: skip
    e = engine()
    result = e.ingest(events, NOW)
    assert set(result.outcomes) == {"accepted"}
    assert e.cube.first_day is not None
    total = e.cube.window(np.array([int(e.space.number(0, 0, 0))]), np.array([e.cube.last_day]), 10_000)
    assert int(total[0, 0]) == len(spans) * UNIT


def test_a_long_silence_is_passed_over_quickly_and_settles_what_was_open(begun: Engine, later: list[AnyEvent]) -> None:
    e = deepcopy(begun)
    feed(e, merged(later, surge(479)))
    e.advance(BEGIN + timedelta(days=479 + 2500))
    changes = e.changes()
    assert changes.clock_day == e.calendar.day_at(BEGIN + timedelta(days=479 + 2500))
    assert not [a for a in changes.alerts if a.state == "open"]
