"""A store that an older program decided otherwise is no store that is wrong; what the present one decided is held to it."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from kafka import TopicPartition

from earlywarning import __version__
from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.changes import Changes
from earlywarning.core.method import METHOD
from earlywarning.monitoring import Metrics
from earlywarning.runtimes.backing_up import back_up
from earlywarning.runtimes.comparable import limits_of
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.kafka.desk import Desk
from earlywarning.runtimes.kafka.messages import ClockMessage
from earlywarning.runtimes.kafka.municipality import Municipality
from earlywarning.runtimes.kafka.topics import STATISTICS, topic_name
from earlywarning.runtimes.rebuilding import rebuild
from earlywarning.runtimes.restoring import restore
from earlywarning.runtimes.verifying import Verified, Wanted, verify_backup, verify_store
from earlywarning.settings import ClusterSettings, load_settings
from earlywarning.store import Store, StoreError
from earlywarning.store.methods import InForce, methods_of
from tests.backup.conftest import Town, feed
from tests.core.town import BEGIN, CODE, NOW, event, history, merged, surge
from tests.runtimes.test_embedded import supply
from tests.web.conftest import write_town

CHANGED = date(2024, 4, 1)  # amid the alerts of the town
EARLIER = METHOD - 1


def note(file: Path, *methods: InForce) -> None:
    """Have a store say by which methods it was decided."""
    with closing(sqlite3.connect(file)) as c, c:
        c.execute("delete from source_state where name = ?", (f"method:{CODE}",))
        if methods:
            body = msgspec.json.encode(methods).decode()
            c.execute("insert into source_state (name, body) values (?, ?)", (f"method:{CODE}", body))


def rewrite(file: Path, alert: Alert, **change: object) -> str:
    """Alter an alert in a store; returns its name."""
    forged = msgspec.structs.replace(alert, **change)
    with closing(sqlite3.connect(file)) as c, c:
        body = msgspec.json.encode(forged).decode()
        c.execute(
            "update alerts set observed = ?, expected = ?, body = ? where alert_id = ?",
            (forged.observed, forged.expected, body, alert.alert_id),
        )
    return alert.alert_id


def take_away(file: Path, alert_id: str) -> None:
    with closing(sqlite3.connect(file)) as c, c:
        for table in ("alerts", "alert_history", "casework"):
            c.execute(f"delete from {table} where alert_id = ?", (alert_id,))  # noqa: S608


def told(found: Verified) -> tuple[list[str], str]:
    assert found.compared is not None
    return found.compared.differences, "\n".join(found.compared.notes)


@pytest.fixture
def older(town: Town) -> tuple[Town, list[Alert]]:
    """A town whose alerts up to a day were decided by an earlier method, which expected twice as much; and those since."""
    file = town.folder / "store.db"
    with Store.open(f"sqlite:///{file}") as store:
        alerts = store.alerts()
    before, since = [a for a in alerts if a.opened_on <= CHANGED], [a for a in alerts if a.opened_on > CHANGED]
    assert min(len(before), len(since)) >= 2
    for alert in before:
        rewrite(file, alert, expected=alert.expected * 2)
    note(file, InForce(EARLIER, None, "0.0.1"), InForce(METHOD, CHANGED, __version__))
    return town, since


def test_alerts_that_an_earlier_method_decided_are_no_difference(older: tuple[Town, list[Alert]], work: Path) -> None:
    town, since = older
    for found in (
        verify_store(town.settings, Wanted()),
        verify_store(town.settings, Wanted((town.folder / "events.jsonl",))),
        verify_backup(back_up(town.settings, work / "b.zip")[0], Wanted()),
    ):
        differences, notes = told(found)
        assert differences == []
        assert found.fine
        assert found.compared is not None
        assert found.compared.exact + found.compared.by_order == len(since)
        assert f"since {CHANGED} alerts have been decided by method {METHOD} of the program, by method {EARLIER} before" in notes
        assert "are compared as a whole" in notes


def test_an_alert_that_was_altered_after_the_change_is_found(older: tuple[Town, list[Alert]]) -> None:
    (town, since), (first, last) = older, (older[1][-1], older[1][0])
    altered = rewrite(town.folder / "store.db", last, expected=last.expected + 1)
    take_away(town.folder / "store.db", first.alert_id)
    differences, _ = told(verify_store(town.settings, Wanted()))
    assert len(differences) == 2, since
    assert any(f"alert {altered}: expected" in line for line in differences)
    assert f"alert {first.alert_id} is rebuilt, but not stored" in differences


def test_of_alerts_of_an_earlier_method_the_counts_are_compared(older: tuple[Town, list[Alert]]) -> None:
    town, _ = older
    file = town.folder / "store.db"
    with Store.open(f"sqlite:///{file}") as store:
        before = [a for a in store.alerts(until=CHANGED) if a.signals[0].role == "peak"]
    altered = rewrite(file, before[0], observed=before[0].observed + 3)
    take_away(file, before[-1].alert_id)  # one that the earlier method did not open
    (line,) = told(verify_store(town.settings, Wanted()))[0]
    assert f"alert {altered}: observed {before[0].observed + 3} is stored" in line


@pytest.mark.parametrize(
    ("noted", "said"),
    [
        ((), "alerts were decided by a method of the program that nobody noted, and this one decides"),
        ((InForce(EARLIER, None, "0.0.1"),), f"alerts were decided by method {EARLIER} of the program, and this one decides"),
    ],
)
def test_a_store_of_before_is_compared_by_its_counts_and_its_first_start_notes_the_method(
    older: tuple[Town, list[Alert]], noted: tuple[InForce, ...], said: str
) -> None:
    town, since = older
    rewrite(town.folder / "store.db", since[0], expected=1.0)
    note(town.folder / "store.db", *noted)
    differences, notes = told(verify_store(town.settings, Wanted()))
    assert differences == []
    assert f"{said} by method {METHOD}; no alert can be compared as a whole" in notes
    for _ in range(2):  # the second adds nothing
        service = Service.open(town.settings)
        today, methods = service.engine.today, methods_of(service.store, CODE)
        service.stop()
        assert today is not None
        assert methods == (*noted, InForce(METHOD, date_of(today), __version__))
    with Store.open(town.settings.store_url) as store:
        (limit,) = limits_of(store, CODE, None, date_of(today + 9))
    assert limit.rests_from == date_of(today + 1)
    assert f"since {date_of(today)} alerts have been decided by method {METHOD}" in limit.said
    assert ("before by one that nobody noted" in limit.said) == (not noted)


def test_an_empty_store_is_of_the_present_method_from_the_beginning(work: Path) -> None:
    write_town(work)
    chosen = load_settings(work / "earlywarning.toml")
    begun = (InForce(METHOD, None, __version__),)
    for earlier in ((), (InForce(EARLIER, None, "0.0.1"),), begun):
        Service.open(chosen).stop()
        note(work / "store.db", *earlier)
        service = Service.open(chosen)
        assert methods_of(service.store, CODE) == begun
        service.stop()
    service = Service.open(chosen)
    service.take([supply([event("one", NOW)])], NOW)
    service.stop()
    Service.open(chosen).stop()
    back_up(chosen, work / "b.zip")
    with Store.open(restore(work / "b.zip", into=work / "restored").store) as store:
        assert methods_of(store, CODE) == begun


def test_days_on_which_an_earlier_method_found_something_count_for_a_false_discovery_rate(lived: Town, work: Path) -> None:
    """What is found earns levels for later days: the rebuild is told of what the store found before the change."""
    write_town(work)
    file = work / "earlywarning.toml"
    file.write_text(file.read_text() + "[budget]\nfalse_discovery_rate = 0.1\n")
    chosen = load_settings(file)
    events = merged(history(21, days=470), surge(450), surge(462, area="A4", category="C2"))
    turn = BEGIN + timedelta(days=440)
    service = Service.open(chosen)
    feed(service, [e for e in events if e.recorded_at < turn])
    with Store.open(lived.settings.store_url) as store:
        like = next(a for a in store.alerts() if a.tendency == "surge")
    found = []
    for day in range(405, 420):
        on = (BEGIN + timedelta(days=day)).date()
        found.append(msgspec.structs.replace(like, alert_id=f"{CODE}-{on:%y%m%d}-0", opened_on=on, last_day=on, state="settled"))
    told_of = [AlertChange("settled", a.opened_on + timedelta(days=9), a) for a in found]
    service.store.commit(
        Changes(municipality=CODE, pages={}, page_events={}, alerts=found, history=told_of, clock_day=0, clock_hour=0)
    )
    service.stop()
    note(work / "store.db", InForce(EARLIER, None, "0.0.1"))
    service = Service.open(chosen)
    feed(service, [e for e in events if e.recorded_at >= turn])
    service.stop()
    with Store.open(chosen.store_url) as store:
        compared = rebuild(store, chosen)
    assert compared.differences == []
    assert compared.exact + compared.by_order >= 2


def test_a_note_that_cannot_be_read_is_named(work: Path) -> None:
    with Store.open(f"sqlite:///{work / 'store.db'}", writer=True) as store:
        store.commit(None, source_state={f"method:{CODE}": "{}"})
        with pytest.raises(StoreError, match=f"method:{CODE} in source_state cannot be read"):
            methods_of(store, CODE)


def test_the_desk_notes_by_which_method_the_worker_of_a_municipality_decides(work: Path) -> None:
    write_town(work)
    cluster = ClusterSettings()
    own = Municipality(load_settings(work / "earlywarning.toml"), datetime.now(UTC)).clock()
    assert (own.method, own.program) == (METHOD, __version__)
    at = TopicPartition(topic_name(cluster.kafka, STATISTICS), 0)
    first, later = day_number(date(2024, 3, 1)), day_number(date(2024, 3, 9))
    with Store.open(f"sqlite:///{work / 'store.db'}", writer=True) as store:
        desk = Desk(cluster, store, Metrics())

        def hear(day: int, method: int, program: str) -> tuple[InForce, ...]:
            clock = ClockMessage(municipality=CODE, clock_day=day, clock_hour=day * 24, method=method, program=program)
            message = SimpleNamespace(key=f"{CODE}/clock".encode(), value=msgspec.msgpack.encode(clock), offset=day)
            desk._keep(at, [message])
            assert store.engine_state(CODE) == (day, day * 24)
            return tuple(methods_of(store, CODE))

        begun = InForce(1, None, "1.0")
        assert hear(first, 1, "1.0") == (begun,)
        assert hear(first + 1, 1, "1.1") == (begun,)
        assert hear(first + 2, 0, "") == (begun,), "a worker of before says nothing"
        for _ in range(2):
            assert hear(later, 2, "2.0") == (begun, InForce(2, date_of(later), "2.0"))
