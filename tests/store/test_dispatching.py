"""Dispatch on a real store: what is kept with a batch's changes, and what falls due by the clock, once and in one transaction."""

import itertools
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.casework import Answer, Touched, answer
from earlywarning.core.changes import Changes, DeadLetter
from earlywarning.core.outgoing import AlertContent, DigestContent, Outgoing, ReporterContent
from earlywarning.runtimes.dispatching import Dispatch, DispatchLoop
from earlywarning.settings import Settings, SettingsError, parse_settings
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from earlywarning.store.mutes import Mutes
from earlywarning.store.outbox import Outbox
from earlywarning.store.tables import metadata
from tests.core.routed import TUESDAY, alert, change, mute
from tests.core.town import CODE, NOW, engine, event, feed, history, register, surge, tree

TEXT = f"""
[municipality]
code = "{CODE}"
name = "Testby"
[recipients.coordination]
role = "coordinator"
channel = "mail"
escalates_to = "duty"
escalate_after_hours = 4
[recipients.duty]
role = "steering"
channel = "sms"
digest = "none"
at_once = "none"
[recipients.housing]
role = "housing"
channel = "mail"
areas = ["D1"]
digest = "daily"
at_once = "all"
language = "en"
"""
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def on_postgresql(postgresql_url: str) -> Iterator[Store]:
    """One store for the module: making its schema anew for each test would take most of their time."""
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("create database dispatching")
    with Store.open(postgresql_url.removesuffix("postgres") + "dispatching", writer=True) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store, open for writing."""
    if request.param == "sqlite":
        with Store.open(f"sqlite:///{tmp_path / 'store.db'}", writer=True) as opened:
            yield opened
        return
    shared: Store = request.getfixturevalue("on_postgresql")
    yield shared
    with shared.writing() as connection:
        connection.exec_driver_sql(f"truncate {', '.join(metadata.tables)} restart identity")


def settings(more: str = "") -> Settings:
    return parse_settings(TEXT + more, file="earlywarning.toml", folder=Path())


def dispatch(store: Store, more: str = "") -> Dispatch:
    return Dispatch(store, settings(more), register(), tree())


def batch(*history: AlertChange, **fields: Any) -> Changes:
    """What an engine says of these changes of alerts."""
    alerts = {h.alert.alert_id: h.alert for h in history}
    return Changes(
        municipality=CODE, pages={}, page_events={}, alerts=list(alerts.values()), history=list(history), clock_day=0, clock_hour=0,
        **fields,
    )  # fmt: skip


def take(d: Dispatch, *history: AlertChange, now: datetime = TUESDAY) -> list[Outgoing]:
    """As a runtime does: what of_changes answers is kept with the changes."""
    changes = batch(*history)
    cases, messages = d.of_changes(changes, now)
    d.store.commit(changes, also=[Cases(d.store).keep(cases), Outbox(d.store).put(messages)])
    return messages


def told(store: Store) -> list[tuple[str, str, str]]:
    """(recipient, kind, alert) of all messages in the outbox, the oldest first."""
    return [(w.message.recipient, w.message.kind, w.message.alert_id) for w in reversed(Outbox(store).messages())]


def digests(store: Store, name: str) -> list[DigestContent]:
    kept = reversed(Outbox(store).messages())
    return [
        msgspec.json.decode(w.message.body, type=DigestContent)
        for w in kept
        if (w.message.recipient, w.message.kind) == (name, "digest")
    ]


def severe(number: int | str = 1, **parts: Any) -> Alert:
    return alert(number, tendency="severe", **parts)


def acknowledge(store: Store, about: Alert, at: datetime) -> None:
    case = Cases(store).of([about.alert_id])[about.alert_id]
    said = Answer(answer_id="a-1", alert_id=about.alert_id, action="acknowledge", actor="coordinator", at=at)
    store.commit(None, also=[Cases(store).keep([answer(case, said)])])


# ---- changes --------------------------------------------------------------------------------------------------------------


def test_an_opened_alert_gets_casework_and_its_message_in_one_transaction(store: Store) -> None:
    one = severe()
    (message,) = take(dispatch(store), change("opened", one))
    (case,) = Cases(store).every(CODE)
    assert (case.alert_id, case.stage, case.opened_at) == (one.alert_id, "new", one.opened_at)
    content = msgspec.json.decode(message.body, type=AlertContent)
    assert (message.recipient, message.channel, message.language, message.kind) == ("coordination", "mail", "sv", "alert")
    assert (content.alert, content.change, content.casework) == (one, "opened", case)


def test_the_same_changes_again_put_nothing_new_in_the_outbox(store: Store) -> None:
    d = dispatch(store)
    changes = batch(change("opened", severe()))
    for _ in range(2):
        cases, messages = d.of_changes(changes, TUESDAY)
        store.commit(None, also=[Cases(store).keep(cases), Outbox(store).put(messages)])
    assert len(told(store)) == 1


def test_casework_that_is_there_already_stays_as_it_is(store: Store) -> None:
    d, one = dispatch(store), severe()
    take(d, change("opened", one))
    acknowledge(store, one, TUESDAY)
    assert d.of_changes(batch(change("opened", one)), TUESDAY)[0] == []
    assert d.of_changes(batch(change("updated", one)), TUESDAY) == ([], [])


def test_a_batch_without_news_asks_the_store_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    d = dispatch(store)
    monkeypatch.setattr(store, "reading", None)
    assert d.of_changes(batch(), TUESDAY) == ([], [])


def test_a_returning_tendency_links_to_the_alert_before_it(store: Store) -> None:
    d = dispatch(store)
    first, second = alert("a", opened=TUESDAY - timedelta(days=40), state="settled"), alert("b")
    take(d, change("opened", first), change("opened", alert("x", areas=("A4",))))
    take(d, change("opened", second))
    assert Cases(store).of([second.alert_id])[second.alert_id].earlier == (first.alert_id,)


def test_the_end_goes_to_those_who_were_told_also_after_a_restart(store: Store) -> None:
    one = severe()
    take(dispatch(store), change("opened", one))
    take(dispatch(store), change("withdrawn", msgspec.structs.replace(one, state="withdrawn")))
    assert told(store) == [("coordination", "alert", one.alert_id)] * 2
    take(dispatch(store), change("settled", alert("other", state="settled")))
    assert len(told(store)) == 2, "nobody was told at once that the other opened"


def test_what_comes_and_goes_within_a_day_is_told_each_time(store: Store) -> None:
    d, one = dispatch(store), severe()
    take(d, change("opened", one))
    for what in ("withdrawn", "reopened", "withdrawn"):
        take(d, change(what, one))  # type: ignore[arg-type]  # of the three
    take(d, change("reopened", one), change("withdrawn", one), change("reopened", one))
    assert len(told(store)) == 7
    assert len({w.message.key for w in Outbox(store).messages()}) == 7


def test_messages_wait_for_hours_in_the_outbox(store: Store) -> None:
    one = alert("h", areas=("A4",))
    d = dispatch(store, 'hours = "7-18"\n')  # of housing, the last section
    (message,) = take(d, change("opened", one))
    assert (message.recipient, message.language, message.not_before) == ("housing", "en", datetime(2026, 3, 4, 6, tzinfo=UTC))
    assert Outbox(store).due("mail", TUESDAY, 10) == []
    assert len(Outbox(store).due("mail", TUESDAY + 9 * HOUR, 10)) == 1


def test_a_mute_holds_a_message_back_and_not_the_alert(store: Store) -> None:
    Mutes(store).add(mute(areas=("D1",)))
    d, one, grave = dispatch(store), alert("m", areas=("A4",)), severe("s", areas=("A4",))
    take(d, change("opened", one), change("opened", grave))
    assert told(store) == [("coordination", "alert", grave.alert_id), ("housing", "alert", grave.alert_id)]
    assert {a.alert_id for a in store.alerts()} == {one.alert_id, grave.alert_id}
    assert len(Cases(store).every(CODE)) == 2


def test_a_replayed_past_gets_casework_and_no_messages(store: Store) -> None:
    past = [severe(i, opened=TUESDAY - timedelta(days=30 * i)) for i in range(1, 6)]
    assert take(dispatch(store), *[change("opened", a) for a in past]) == []
    assert len(Cases(store).every(CODE)) == 5


def test_links_are_made_for_each_recipient_and_priorities_for_each_alert(store: Store) -> None:
    d = Dispatch(
        store, settings(), register(), tree(),
        links=lambda about, to: {"open": f"https://example.se/{about.alert_id}?{to.name}"},
        touched=lambda _: (Touched("P1", "Ett", "One", "Enheten"),),
    )  # fmt: skip
    one = severe()
    (message,) = take(d, change("opened", one))
    content = msgspec.json.decode(message.body, type=AlertContent)
    assert content.links == {"open": f"https://example.se/{one.alert_id}?coordination"}
    assert content.casework.priorities == ("P1",)


def test_unknown_areas_and_categories_of_recipients_are_named_all_at_once(store: Store) -> None:
    more = '[recipients.x]\nrole = "police"\nchannel = "mail"\nareas = ["D7", "D0"]\ncategories = ["C77"]\n'
    with pytest.raises(SettingsError) as caught:
        dispatch(store, more)
    assert [p.partition(":")[0] for p in caught.value.problems] == ["recipients.x.areas", "recipients.x.categories"]
    assert "'D7'" in caught.value.problems[0]


# ---- digests --------------------------------------------------------------------------------------------------------------


def test_what_was_gathered_comes_in_the_digest_before_the_meeting_and_once(store: Store) -> None:
    d, one = dispatch(store), alert()
    d.tick(TUESDAY - HOUR)  # the service has begun
    take(d, change("opened", one))
    d.tick(TUESDAY + HOUR)
    assert told(store) == []
    wednesday = datetime(2026, 3, 4, 7, 0, tzinfo=UTC)
    for minutes in range(3):
        dispatch(store).tick(wednesday + timedelta(minutes=minutes))
    (digest,) = digests(store, "coordination")
    assert [(c.alert.alert_id, c.change) for c in digest.alerts] == [(one.alert_id, "opened")]
    assert (digest.first_day, digest.last_day) == (date(2026, 2, 25), date(2026, 3, 4))
    assert digest.meeting == datetime(2026, 3, 5, 8, tzinfo=UTC)
    dispatch(store).tick(wednesday + timedelta(days=7))
    _, second = digests(store, "coordination")
    assert (second.alerts, [c.alert.alert_id for c in second.ongoing]) == ([], [one.alert_id])


def test_a_new_service_tells_in_its_first_digest_what_happened_since_the_last_one_would_have_come(store: Store) -> None:
    d, one, older = dispatch(store), alert(), alert("o", opened=TUESDAY - timedelta(days=8), state="settled")
    take(d, change("opened", older), change("opened", one))
    d.tick(TUESDAY + HOUR)
    d.tick(TUESDAY + 12 * HOUR)
    (digest,) = digests(store, "coordination")
    assert [c.alert.alert_id for c in digest.alerts] == [one.alert_id]


def test_after_some_weeks_of_rest_one_digest_tells_it_all(store: Store) -> None:
    d = dispatch(store)
    d.tick(TUESDAY)
    take(d, change("opened", alert()))
    d.tick(TUESDAY + timedelta(days=22))
    (digest,) = digests(store, "coordination")
    assert len(digest.alerts) == 1
    assert digest.last_day == date(2026, 3, 25)


def test_a_day_without_news_has_no_digest(store: Store) -> None:
    d = dispatch(store)
    for day in range(4):
        d.tick(TUESDAY + timedelta(days=day))
        if day == 1:
            take(d, change("opened", alert("h", areas=("A4",)), on=date(2026, 3, 4)), now=TUESDAY + timedelta(days=1))
    assert [len(x.alerts) for x in digests(store, "housing")] == [1]


def test_muted_alerts_stand_apart_in_the_digest(store: Store) -> None:
    Mutes(store).add(mute())
    d = dispatch(store)
    take(d, change("opened", alert()))
    d.tick(TUESDAY)
    d.tick(TUESDAY + 12 * HOUR)
    (digest,) = digests(store, "coordination")
    assert (digest.alerts, len(digest.muted)) == ([], 1)


def test_a_crash_between_making_and_keeping_a_digest_sends_it_once(store: Store) -> None:
    d = dispatch(store)
    d.tick(TUESDAY)
    take(d, change("opened", alert()))
    lost, _ = d.due(TUESDAY + 12 * HOUR)  # never kept
    d.tick(TUESDAY + 13 * HOUR)
    keys = {w.message.key for w in Outbox(store).messages()}
    assert {m.key for m in lost if m.recipient == "coordination"} <= keys
    assert len(digests(store, "coordination")) == 1


# ---- escalation and expiry --------------------------------------------------------------------------------------------------


def test_nobody_acknowledges_and_the_next_is_told_once(store: Store) -> None:
    d, one = dispatch(store), severe()
    take(d, change("opened", one))
    for hours in (1, 3.9, 4.1, 5, 30):
        d.tick(TUESDAY + hours * HOUR)
    sent = [t for t in told(store) if t[1] == "escalation"]
    assert sent == [("duty", "escalation", one.alert_id)]
    (message,) = [w.message for w in Outbox(store).messages() if w.message.kind == "escalation"]
    assert msgspec.json.decode(message.body, type=AlertContent).waiting_since == TUESDAY


def test_acknowledgement_stops_escalation(store: Store) -> None:
    d, one = dispatch(store), severe()
    take(d, change("opened", one))
    acknowledge(store, one, TUESDAY + 3 * HOUR)
    d.tick(TUESDAY + 30 * HOUR)
    assert not [t for t in told(store) if t[1] == "escalation"]


def test_what_was_only_gathered_is_not_escalated(store: Store) -> None:
    d = dispatch(store)
    take(d, change("opened", alert()))
    d.tick(TUESDAY + 30 * HOUR)
    assert not [t for t in told(store) if t[1] == "escalation"]


def test_casework_that_nobody_took_up_expires_with_an_audit_entry_once(store: Store) -> None:
    d = dispatch(store)
    over = alert("o", state="settled", settled_on=date(2026, 3, 10))
    still = alert("s", areas=("A2",))
    take(d, change("opened", over), change("settled", over), change("opened", still))
    d.tick(datetime(2026, 4, 6, 12, tzinfo=UTC))
    assert {c.stage for c in Cases(store).every(CODE)} == {"new"}
    for _ in range(2):
        d.tick(datetime(2026, 4, 7, 12, tzinfo=UTC))
    assert {c.alert_id: c.stage for c in Cases(store).every(CODE)} == {over.alert_id: "expired", still.alert_id: "new"}
    (entry,) = Cases(store).audit(CODE)
    assert (entry.actor, entry.action, entry.subject) == ("earlywarning", "expire", over.alert_id)


def test_what_the_group_works_on_does_not_expire(store: Store) -> None:
    d = dispatch(store)
    over = alert("o", state="settled", settled_on=date(2026, 3, 10))
    take(d, change("opened", over))
    case = Cases(store).of([over.alert_id])[over.alert_id]
    said = Answer(
        answer_id="a", alert_id=over.alert_id, action="assess", actor="c", at=TUESDAY, assessment="confirmed", reason="new-problem"
    )
    store.commit(None, also=[Cases(store).keep([answer(case, said)])])
    assert d.expired(TUESDAY + timedelta(days=99)) == ([], [])


# ---- reporters --------------------------------------------------------------------------------------------------------------

REPORTER = '[reporters.school]\nsource = "school"\nchannel = "mail"\n'
MONDAY = datetime(2026, 3, 9, 6, 30, tzinfo=UTC)  # half past seven, after the week from 2 to 8 March


def keep_events(store: Store, events: Sequence[Any]) -> None:
    _, _, pages = feed(engine(), events)
    changes = batch()
    store.commit(msgspec.structs.replace(changes, pages=pages, page_events=dict.fromkeys(pages, 1)))


def letters(store: Store, kind: str) -> list[ReporterContent]:
    kept = [w.message for w in reversed(Outbox(store).messages()) if w.message.kind == kind]
    return [msgspec.json.decode(m.body, type=ReporterContent) for m in kept]


def school(number: int, when: datetime, **fields: Any) -> Any:
    return event(number, when, source="school", area="A1", origin="reported", **fields)


def test_reporters_get_a_receipt_for_the_week(store: Store) -> None:
    d = dispatch(store, REPORTER + 'led_to = "none"\n')
    d.tick(MONDAY - timedelta(days=7))
    keep_events(
        store,
        [school(i, datetime(2026, 3, 3 + i, 12, tzinfo=UTC)) for i in range(3)] + [event(9, datetime(2026, 3, 7, tzinfo=UTC))],
    )
    fields = {"municipality": CODE, "way": "http", "position": 1, "field": "area", "rule": "unknown-area", "problem": "?"}
    at = datetime(2026, 3, 6, tzinfo=UTC)
    store.commit(None, [DeadLetter(received_at=at, source="school", **fields), DeadLetter(received_at=at, source="x", **fields)])
    d.tick(MONDAY)
    d.tick(MONDAY + HOUR)
    (receipt,) = letters(store, "receipt")
    assert (receipt.source, receipt.first_day, receipt.last_day) == ("school", date(2026, 3, 2), date(2026, 3, 8))
    assert (receipt.accepted, receipt.rejected) == (3, 1)


def test_a_week_without_events_has_no_receipt(store: Store) -> None:
    d = dispatch(store, REPORTER)
    for weeks in range(3):
        d.tick(MONDAY + timedelta(days=7 * weeks))
    assert letters(store, "receipt") == []


def test_daily_receipts_are_about_the_day_before(store: Store) -> None:
    d = dispatch(store, REPORTER + 'receipt = "daily"\nled_to = "none"\n')
    d.tick(datetime(2026, 3, 4, 6, 30, tzinfo=UTC))
    keep_events(store, [school(1, datetime(2026, 3, 4, 12, tzinfo=UTC)), school(2, datetime(2026, 3, 5, 12, tzinfo=UTC))])
    d.tick(datetime(2026, 3, 5, 6, 30, tzinfo=UTC))
    (receipt,) = letters(store, "receipt")
    assert (receipt.first_day, receipt.last_day, receipt.accepted) == (date(2026, 3, 4), date(2026, 3, 4), 1)


def test_reporters_hear_what_their_events_led_to_with_measures_and_without_names(store: Store) -> None:
    d = dispatch(store, REPORTER)
    d.tick(MONDAY - timedelta(days=7))
    begin = datetime(2026, 3, 4, 12, tzinfo=UTC)
    keep_events(store, [school(1, begin), school(2, begin, category="C1")])
    counted = _about_the_week(alert("a"))
    elsewhere = _about_the_week(alert("b", areas=("A4",)))
    take(d, change("opened", counted), change("opened", elsewhere), now=MONDAY)
    _decide_on_light(store, counted)
    d.tick(MONDAY)
    (letter,) = letters(store, "led-to")
    assert letters(store, "receipt") == [], "one letter says both"
    assert (letter.accepted, [(x.alert.alert_id, x.stage) for x in letter.led_to]) == (2, [(counted.alert_id, "measure")])
    assert letter.led_to[0].measures == ["Bättre belysning (klart senast fredag 1 maj 2026)"]
    assert "unit-for-parks" not in Outbox(store).messages()[0].message.body


def test_a_reporter_hears_later_what_became_of_earlier_events_and_only_once(store: Store) -> None:
    d = dispatch(store, REPORTER)
    d.tick(MONDAY - timedelta(days=7))
    keep_events(store, [school(1, datetime(2026, 3, 4, 12, tzinfo=UTC))])
    counted = _about_the_week(alert("a"))
    take(d, change("opened", counted), now=MONDAY)
    d.tick(MONDAY)
    _decide_on_light(store, counted)
    for weeks in (1, 2, 3):
        d.tick(MONDAY + timedelta(days=7 * weeks))
    assert [[x.stage for x in letter.led_to] for letter in letters(store, "led-to")] == [["new"], ["measure"]]


def _about_the_week(one: Alert) -> Alert:
    """The alert with one signal, about graffiti in its areas from 1 to 7 March."""
    lead = msgspec.structs.replace(
        one.signals[0], first_day=date(2026, 3, 1), last_day=date(2026, 3, 7), areas=one.areas, categories=("C0",)
    )
    return msgspec.structs.replace(one, signals=(lead,))


def _decide_on_light(store: Store, about: Alert) -> None:
    case = Cases(store).of([about.alert_id])[about.alert_id]
    steps: list[dict[str, Any]] = [
        {"action": "assess", "assessment": "confirmed", "reason": "new-problem"},
        {"action": "picture", "picture": {"situation": "Glas på skolgården"}},
        {"action": "cause", "cause": "lighting"},
        {
            "action": "measure", "answers": 1, "what": "Bättre belysning", "owner": "unit-for-parks", "begins": "2026-03-10",
            "due": "2026-05-01", "goal": "Färre rutor",
        },
    ]  # fmt: skip
    for i, step in enumerate(steps):
        said = {"answer_id": f"a-{i}", "alert_id": about.alert_id, "actor": "coordinator", "at": MONDAY.isoformat(), **step}
        case = answer(case, msgspec.convert(said, Answer))
    store.commit(None, also=[Cases(store).keep([case])])


# ---- the loop ---------------------------------------------------------------------------------------------------------------


def test_the_loop_keeps_what_is_due_and_goes_on_after_an_error(store: Store) -> None:
    """The first municipality's state is damaged; the second one's digest still goes out, at the second look at the latest."""
    d, one = dispatch(store), alert()
    d.tick(TUESDAY)
    take(d, change("opened", one))
    broken = dispatch(store)
    broken.municipality = "0001"
    store.commit(None, source_state={"dispatch:0001": "{"})
    looked = threading.Event()

    def both() -> list[Dispatch]:
        if digests(store, "coordination"):
            looked.set()
        return [broken, d]

    loop = DispatchLoop(both, threading.RLock(), every=0.01, clock=lambda: TUESDAY + 12 * HOUR).start()
    assert looked.wait(10)
    loop.stop()
    assert len(digests(store, "coordination")) == 1


# ---- as a whole -------------------------------------------------------------------------------------------------------------


def test_alerts_that_an_engine_raises_are_gathered_and_old_ones_are_not(store: Store) -> None:
    """The same events taken as they come, and years later: the same casework, but only the first has a digest with news."""
    now_running, later = dispatch(store), dispatch(store)
    town = engine()
    for events in (history(5, days=440), surge(440)):
        town.ingest(events, NOW)
        changes = town.changes()
        opened = [h for h in changes.history if h.change == "opened"]
        at = opened[-1].alert.opened_at if opened else TUESDAY
        cases, messages = now_running.of_changes(changes, at)
        assert later.of_changes(changes, at + timedelta(days=900)) == (cases, [])
        store.commit(changes, also=[Cases(store).keep(cases), Outbox(store).put(messages)])
    now_running.tick(at)
    now_running.tick(at + timedelta(days=7))
    (digest,) = digests(store, "coordination")
    assert opened[-1].alert.alert_id in {c.alert.alert_id for c in digest.alerts}
    assert {c.alert_id for c in Cases(store).every(CODE)} == {a.alert_id for a in store.alerts()}


STEPS = st.lists(st.sampled_from(("open", "updated", "withdrawn", "reopened", "settled", "again", "tick", "seen")), max_size=14)
_numbers = itertools.count(1_000)


@settings_of_hypothesis(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
)
@given(steps=STEPS)
def test_nobody_is_told_twice_whatever_comes_in_whatever_order(store: Store, steps: list[str]) -> None:
    """An opening and an end are told once to each; after an acknowledgement nothing is escalated."""
    one, at = severe(number := next(_numbers), areas=("A4",)), TUESDAY
    last: Changes | None = None
    seen_at: datetime | None = None
    opened = 0
    for step in steps:
        at += HOUR
        d = dispatch(store)
        if step == "tick":
            d.tick(at)
        elif step == "seen":
            known = Cases(store).of([one.alert_id])
            if known and seen_at is None:
                acknowledge(store, one, at)
                seen_at = at
        elif step == "again" and last is not None:
            cases, messages = d.of_changes(last, at)
            store.commit(None, also=[Cases(store).keep(cases), Outbox(store).put(messages)])
        elif step in ("open", "updated", "settled") or (step in ("withdrawn", "reopened") and opened):
            what = "opened" if step == "open" else step
            opened += step == "open"
            last = batch(change(what, one))  # type: ignore[arg-type]  # of a change
            take(d, change(what, one), now=at)  # type: ignore[arg-type]  # likewise
            last = None if step in ("withdrawn", "reopened") else last
    kept = [w.message for w in Outbox(store).messages(alert_id=one.alert_id)]
    told_of = [(m.recipient, msgspec.json.decode(m.body, type=AlertContent).change) for m in kept if m.kind == "alert"]
    for what in ("opened", "settled"):
        names = [name for name, change_told in told_of if change_told == what]
        assert len(names) == len(set(names)), number
    escalated = [m for m in kept if m.kind == "escalation"]
    assert len(escalated) <= 1
    assert all(seen_at is None or m.created_at <= seen_at for m in escalated)
