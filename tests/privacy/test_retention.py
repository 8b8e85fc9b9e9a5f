"""What the settings' retention says is forgotten: by moving the clock, on both databases, to the last byte."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import psycopg
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.casework import Answer, Casework, Picture, answer
from earlywarning.core.changes import DeadLetter
from earlywarning.core.engine import Engine
from earlywarning.core.forgetting import first_day_kept, months_before
from earlywarning.core.marked_events import MarkedEvent
from earlywarning.core.mutes import Mute
from earlywarning.core.outgoing import Outgoing
from earlywarning.core.settings_draft import Decision, Draft
from earlywarning.monitoring import Metrics
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.forgetting import Forgetting, daily, last_run, months_of
from earlywarning.runtimes.forgetting import first_day_kept as first_day
from earlywarning.runtimes.kafka.desk import Desk
from earlywarning.runtimes.kafka.journal import Journal
from earlywarning.runtimes.kafka.municipality import Municipality, Step
from earlywarning.runtimes.sending import sending_of
from earlywarning.settings import ClusterSettings, SettingsError, load_settings, parse_settings
from earlywarning.settings_retention import Retention, months_needed
from earlywarning.store import Store, StoreError
from earlywarning.store import tables as t
from earlywarning.store.accounts import Accounts
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.store.forgetting import KINDS
from earlywarning.store.marked_events import MarkedEvents
from earlywarning.store.mutes import Mutes
from earlywarning.store.outbox import Outbox
from earlywarning.store.settings_drafts import Drafts
from earlywarning.store.settings_versions import SettingsVersions
from tests.core.town import BEGIN, CODE, NOW, engine, event, feed, history, merged, register, surge, tree
from tests.runtimes.test_embedded import supply
from tests.runtimes.test_municipality import _Log, _messages
from tests.store.conftest import _alert, _changes
from tests.web.conftest import write_town

KEPT = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    server: str = request.getfixturevalue("postgresql_url")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("drop database if exists retention with (force)")
        admin.execute("create database retention")
    return server.rsplit("/", 1)[0] + "/retention"


def town(tmp_path: Path, url: str = "", more: str = "") -> Any:
    if not (tmp_path / "earlywarning.toml").exists():
        write_town(tmp_path)
    text = load_settings(tmp_path / "earlywarning.toml").text
    text = text.replace("sqlite:///store.db", url) if url else text
    return parse_settings(text + more, file="x", folder=tmp_path)


def one_of_everything(store: Store, settings: Any) -> None:
    """One row of each kind that is kept, of the day KEPT, and its words."""
    day = KEPT.date()
    alert = _alert(
        f"{CODE}-2026-0001", municipality=CODE, state="settled", opened_on=day, last_day=day, first_day=day, updated_on=day
    )
    case = Casework(alert_id=alert.alert_id, municipality=CODE, opened_at=KEPT)
    steps: list[dict[str, Any]] = [
        {"action": "acknowledge"},
        {"action": "assess", "assessment": "confirmed", "reason": "new-problem"},
        {"action": "picture", "picture": Picture(situation="casework-words")},
        {"action": "close", "reason": "handled-elsewhere"},
    ]
    for number, step in enumerate(steps):
        case = answer(case, Answer(answer_id=f"a{number}", alert_id=alert.alert_id, actor="casework-name", at=KEPT, **step))
    changes = _changes({day_number(day): b"page-bytes" * 30}, [alert], municipality=CODE, clock_day=day_number(day), clock_hour=0)
    letter = DeadLetter(
        received_at=KEPT, municipality=CODE, way="http", position=1, field="area", rule="r", problem="p", payload="letter-words"
    )
    message = Outgoing(
        key="k", municipality=CODE, channel="mail", recipient="r", kind="test", created_at=KEPT, body="message-words"
    )
    entries = [AuditEntry(CODE, datetime(2020, 1, 1, tzinfo=UTC), "audit-name", "acknowledge", "x")]
    store.commit(changes, [letter], also=[Cases(store).keep([case], entries), Outbox(store).put([message])])
    Mutes(store).add(
        Mute(
            mute_id="m", municipality=CODE, first_day=day, last_day=day, reason="festival", note="mute-words", who="f", made_at=KEPT
        )
    )
    accounts = Accounts(store, CODE)
    accounts.add("account-name", "reader", [], KEPT, 48)
    accounts.begin("account-name", KEPT)
    accounts.add("another-name", "reader", [], KEPT, 48)
    accounts.disable("another-name", KEPT)
    accounts.add_token("token-name", "events", KEPT)
    accounts.revoke_tokens("token-name", KEPT)
    versions, drafts = SettingsVersions(store, CODE), Drafts(store, CODE)
    versions.add("000000000000", "settings-words", KEPT, Decision(actor="settings-actor", reason="settings-reason"))
    versions.add(settings.version, settings.text, KEPT)
    marked = MarkedEvent(
        municipality=CODE, name="mark-words", first=day, last=day, areas=("*",), categories=("*",), who="mark-name", made_at=KEPT
    )
    MarkedEvents(store, CODE).add([marked])
    drafts.add(
        Draft(
            municipality=CODE, base=1, before={}, changes={}, reason="draft-words", author="draft-name", made_at=KEPT,
            changed_by="draft-name", changed_at=KEPT,
        )
    )  # fmt: skip
    with store.writing() as c:
        note = {"note_id": "n", "municipality": CODE, "noted_on": day, "what": "burst", "source": "s", "body": "note-words"}
        c.execute(t.data_notes.insert(), [note])
        for number in (1, 2):
            plan = {
                "municipality": CODE,
                "version": f"v{number}",
                "applied_at": KEPT,
                "actor": "plan-name",
                "body": f"plan-{number}",
            }
            c.execute(t.plans.insert(), [plan])
        # What earlier steps noted is of today's audit log, and is not old yet.
        c.execute(sa.text("drop trigger if exists audit_is_not_cut") if store.dialect == "sqlite" else sa.text("select 1"))


def kept(store: Store) -> dict[str, int]:
    tables = [x for x in t.metadata.sorted_tables if x.name not in ("engine_state", "source_state", "audit")]
    with store.reading() as c:
        return {x.name: int(c.execute(sa.select(sa.func.count()).select_from(x)).scalar_one()) for x in tables}


def run(store: Store, settings: Any, at: datetime) -> dict[str, int]:
    with store.writing() as c:
        c.execute(t.engine_state.update().values(clock_day=day_number(at.date())))
    made = daily(Forgetting(store, Metrics()), settings, at)
    assert made is not None
    return {what: n for what, n in made.rows.items() if n}


def months_later(months: int) -> datetime:
    """The first moment at which what is kept for so many months is too old."""
    day = months_before(KEPT.date(), -months) + timedelta(days=1)
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def test_each_kind_goes_when_its_months_are_over_and_not_a_day_sooner(url: str, tmp_path: Path) -> None:
    settings = town(tmp_path, url, "[retention]\nevents_months = 40\n")
    with Store.open(url, writer=True) as store:
        one_of_everything(store, settings)
        gone: dict[str, dict[str, int]] = {}
        months = months_of(settings)
        assert months["events"] == 40
        for name, n in sorted(months.items(), key=lambda item: item[1]):
            # Events go by whole months: by the end of the month before, at the latest.
            early = datetime(2026, 3, 10, tzinfo=UTC) if name == "events" else months_later(n) - timedelta(days=1)
            soon = set(run(store, settings, early)) if name != "events" else set()
            gone[name] = run(store, settings, months_later(n))
            # An account that nobody has ever used ends with its link, two days later than one that was disabled at once.
            assert soon <= {"audit", "sessions", *(["accounts"] if name == "messages" else [])}, (name, soon)
        assert gone["dead-letters"].keys() == {"dead-letters", "accounts", "tokens"}
        assert gone["messages"] == {"messages": 1}
        assert gone["names"] == {"casework-notes": 1, "mutes": 1, "plan-names": 2, "settings-names": 1, "settings-drafts": 1}
        assert gone["events"] == {"events": 1}
        assert gone["alerts"] == {"alerts": 1, "data-notes": 1, "known-events": 1}
        assert gone["versions"] == {"plans": 1, "settings": 1}
        left = {name: n for name, n in kept(store).items() if n}
        assert left == {"plans": 1, "settings_versions": 1}  # those in force


def test_nothing_is_kept_for_longer_than_its_months_also_events() -> None:
    for year, month, day in ((2026, 1, 1), (2026, 1, 31), (2024, 2, 29), (2025, 12, 31)):
        today = date(year, month, day)
        for months in (1, 2, 25, 64):
            first = first_day_kept(today, months)
            assert months_before(today, months) < first <= months_before(today, months - 1)
            assert first.day == 1


def test_of_what_is_forgotten_not_a_byte_stays_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "store.db"
    settings = town(tmp_path, f"sqlite:///{file}", "[retention]\nevents_months = 40\n")
    words = [b"page-bytes", b"casework-words", b"casework-name", b"mute-words", b"message-words", b"letter-words", b"note-words",
             b"account-name", b"another-name", b"token-name", b"audit-name", b"settings-words", b"plan-1",
             b"settings-actor", b"settings-reason", b"draft-words", b"draft-name", b"mark-words", b"mark-name"]  # fmt: skip

    def on_disk() -> bytes:
        return b"".join(f.read_bytes() for f in tmp_path.glob("store.db*"))

    with Store.open(f"sqlite:///{file}", writer=True) as store:
        one_of_everything(store, settings)
        assert all(word in on_disk() for word in words)
        with store.writing() as c:  # as entries that are old enough by the real clock
            c.execute(t.audit.delete().where(t.audit.c.at > datetime(2025, 1, 1, tzinfo=UTC)))
        run(store, settings, months_later(121))
        assert [word for word in words if word in on_disk()] == []
        # And later ones, which no VACUUM follows any more.
        store.commit(None, [DeadLetter(received_at=KEPT, municipality=CODE, way="http", position=2, field="a", rule="r",
                                       problem="p", payload="second-letter" * 900)])  # fmt: skip
        assert b"second-letter" in on_disk()
        run(store, settings, months_later(122))
        assert b"second-letter" not in on_disk()


def test_the_audit_log_goes_after_two_years_and_its_table_refuses_sooner(url: str, tmp_path: Path) -> None:
    settings = town(tmp_path, url)
    now = datetime.now(UTC)
    with Store.open(url, writer=True) as store:
        entries = [AuditEntry(CODE, now - timedelta(days=d), "f", "acknowledge", f"{d}") for d in (100, 720, 745, 2000)]
        store.commit(None, also=[Cases(store).keep([], entries)])
        settings = msgspec.structs.replace(settings, service=msgspec.structs.replace(settings.service, clock="wall"))
        daily(Forgetting(store, Metrics()), settings, now)
        assert [e.subject for e in Cases(store).audit(CODE)] == ["720", "100"]
        # A clock that runs ahead takes no young entry, and hinders nothing else.
        assert daily(Forgetting(store, Metrics()), settings, now + timedelta(days=3000)) is not None
        assert [e.subject for e in Cases(store).audit(CODE)] == ["720", "100"]


def test_open_alerts_and_alerts_whose_days_are_still_in_a_baseline_stay(url: str, tmp_path: Path) -> None:
    settings = town(tmp_path, url, "[retention]\nevents_months = 60\nalerts_months = 12\n")
    day = KEPT.date()
    given = {"municipality": CODE, "opened_on": day, "last_day": day, "first_day": day}
    alerts = [_alert(f"{CODE}-{state}", state=state, **given) for state in ("open", "settled", "withdrawn")]
    with Store.open(url, writer=True) as store:
        store.commit(_changes({}, alerts, municipality=CODE))
        assert run(store, settings, months_later(13)) == {}
        assert run(store, settings, months_later(61)) == {"alerts": 2}
        assert [a.state for a in store.alerts()] == ["open"]


def test_a_run_is_noted_counted_and_not_repeated_the_same_day(tmp_path: Path) -> None:
    settings, metrics = town(tmp_path), Metrics()
    with Store.open(settings.store_url, writer=True) as store:
        one_of_everything(store, settings)
        forgetting, at = Forgetting(store, metrics), months_later(200)
        with store.writing() as c:
            c.execute(t.engine_state.update().values(clock_day=day_number(at.date())))
        assert daily(forgetting, settings, at) is not None
        assert daily(forgetting, settings, at) is None
        noted = last_run(store, CODE)
        assert noted is not None
        assert noted.on == at.date()
        assert noted.rows["events"] == 1
        assert set(noted.rows) == set(KINDS)
        page = metrics.page()[0].decode()
        assert 'earlywarning_forgotten_total{what="events"} 1.0' in page
        assert metrics.registry.get_sample_value("earlywarning_retention_run_timestamp_seconds") == at.timestamp()
        # A shorter retention is in force at once, not tomorrow.
        assert daily(forgetting, town(tmp_path, more="[retention]\ndead_letters_months = 1\n"), at) is not None


def test_a_run_that_fails_is_counted_said_without_values_and_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, metrics = town(tmp_path), Metrics()
    with Store.open(settings.store_url, writer=True) as store:
        one_of_everything(store, settings)
        forgetting, at = Forgetting(store, metrics), months_later(200)
        for number, error in enumerate((StoreError("disk full"), KeyError("anna.andersson@example.se")), start=1):

            def fails(*_: object, why: Exception = error, **__: object) -> None:
                raise why

            with monkeypatch.context() as patch, capture_logs() as said:
                patch.setattr(store, "commit", fails)
                assert daily(forgetting, settings, at) is None
            (entry,) = said
            assert (entry["event"], entry["log_level"]) == ("retention could not be enforced", "error")
            assert entry["problem"] == ("disk full" if number == 1 else "KeyError")
            assert metrics.registry.get_sample_value("earlywarning_failures_total", {"what": "retention"}) == number
            assert last_run(store, CODE) is None
        assert daily(forgetting, settings, at) is not None
        assert last_run(store, CODE) is not None


def test_an_account_without_a_password_stays_where_people_come_in_by_a_provider(tmp_path: Path) -> None:
    plain = town(tmp_path)
    access = msgspec.structs.replace(plain.access, oidc_issuer="https://id.example.se")
    with Store.open(plain.store_url, writer=True) as store:
        one_of_everything(store, plain)
        run(store, msgspec.structs.replace(plain, access=access), months_later(5))
        assert [a.name for a in Accounts(store, CODE).every()] == ["account-name"]
        run(store, plain, months_later(5) + timedelta(days=1))
        assert Accounts(store, CODE).every() == []


def test_the_desk_forgets_for_each_municipality_and_what_belongs_to_none(tmp_path: Path) -> None:
    settings = town(tmp_path)
    with Store.open(settings.store_url, writer=True) as store:
        one_of_everything(store, settings)
        stray = DeadLetter(received_at=KEPT, municipality="9999", way="kafka:x/0", position=1, field="f", rule="r", problem="p")
        store.commit(None, [stray])
        desk = Desk(ClusterSettings(), store, Metrics())
        wall = msgspec.structs.replace(settings, service=msgspec.structs.replace(settings.service, clock="wall"))
        desk.sending[CODE] = sending_of(store, wall, register(), tree())
        desk.forget(KEPT + timedelta(days=1))
        assert store.page_span(CODE) is not None
        assert len(store.dead_letters(state=None)) == 2
        desk.forget(months_later(100))
        assert store.page_span(CODE) is None
        assert store.dead_letters(state=None) == []
        assert store.settings_versions()


# ---- events: nothing looks different afterwards -----------------------------------------------------------------------

_DAYS = 1000  # of history, of which two years and the guard are needed


def state_of(e: Engine) -> dict[str, object]:
    """Where an engine stands: its counts, baseline, threshold, lateness, artefacts and alerts."""
    w, q = e.watch, e.tallies.quality
    assert e.today is not None
    assert w.fitted is not None
    return {
        "clock": (e.today, e.clock_hour),
        "counts": e.cube.daily_all(np.arange(len(e.space)), e.today - 900, e.today).tobytes(),
        "fit": (w.fitted_on, w.fitted.level.tobytes(), w.fitted.dispersion.tobytes(), repr(w.threshold)),
        "lateness": e.tallies.arrivals.shares(np.zeros(4, np.int64), np.arange(4)).tobytes(),
        "artefacts": (q.noted, q.moves, q.heaps_of),
        "alerts": [e.book.record(case, e.settings.alerts, w) for case in e.book.cases.values()],
        "oldest": e.settings.admission.oldest,
    }


def test_a_service_that_has_forgotten_stands_where_one_does_that_was_started_anew(tmp_path: Path) -> None:
    settings = town(tmp_path)
    months = months_of(settings)["events"]
    assert months == months_needed(settings.detection)
    service = Service.open(settings)
    events = merged(history(6, days=_DAYS), surge(_DAYS - 3))
    past = [e for e in events if e.recorded_at < BEGIN + timedelta(days=_DAYS - 10)]
    service.take([supply(past)], NOW, history=True)
    service.take([supply(events[len(past) :])], NOW)
    before = service.engine
    alerts, notes = service.store.alerts(), service.store.data_notes()
    first = min(day for day, _ in service.store.pages(CODE))
    sent = len(Outbox(service.store).messages())
    service.forget(NOW)
    assert service.engine is not before
    floor = day_number(first_day_kept(date_of(service.engine.today or 0), months))
    assert first < floor == min(day for day, _ in service.store.pages(CODE))
    # No alert, no note, no message comes of it: forgetting looks like no rise, no fall, no burst of booking.
    changed = service.engine.changes()
    assert (changed.history, changed.notes) == ([], [])
    assert (service.store.alerts(), service.store.data_notes()) == (alerts, notes)
    assert len(Outbox(service.store).messages()) == sent
    running = state_of(service.engine)
    # What is forgotten is not taken again, and what is held is still known.
    old = service.take([supply(events[:200])], NOW)[0]
    assert {i.outcome for i in old.items()} == {"rejected"}
    assert {i.rule for i in old.items()} == {"too-old"}
    assert {i.outcome for i in service.take([supply(events[-50:])], NOW)[0].items()} == {"repeated"}
    service.stop()
    again = Service.open(settings)
    assert state_of(again.engine) == running
    assert {i.outcome for i in again.take([supply(events[:200])], NOW)[0].items()} == {"rejected"}
    # Both go on alike: the next days give the same alerts as in a service that has not forgotten.
    later = merged(surge(_DAYS + 2, area="A4"), surge(_DAYS + 9, area="A1", n=14))
    again.take([supply(later)], NOW)
    fresh = [a for a in again.store.alerts() if a.alert_id not in {x.alert_id for x in alerts}]
    again.stop()
    whole = engine()
    whole.ingest(past, NOW, history=True)
    _, every, _ = feed(whole, [*events[len(past) :], *later])
    same = {(a.opened_on, a.areas, a.tendency) for a in every.values() if a.opened_on > date_of(day_number(BEGIN.date()) + _DAYS)}
    assert {(a.opened_on, a.areas, a.tendency) for a in fresh} & same


def test_what_happened_over_several_days_is_kept_until_its_last_one_goes(tmp_path: Path) -> None:
    settings = town(tmp_path)
    service = Service.open(settings)
    end = BEGIN + timedelta(days=1000)
    floor = datetime.combine(first_day_kept(end.date(), months_of(settings)["events"]), BEGIN.timetz())
    over = event("over", BEGIN, occurred_at=None, occurred_from=floor - timedelta(days=3), occurred_to=floor + timedelta(days=3),
                 recorded_at=floor + timedelta(days=4))  # fmt: skip
    just = event("just", floor - timedelta(days=1))
    service.take([supply([just, over, event("now", end)])], NOW)
    service.forget(NOW)
    days = [day for day, _ in service.store.pages(CODE)]
    assert min(days) == day_number(floor.date())
    outcomes = [i.outcome for i in service.take([supply([just, event("now", end)])], NOW)[0].items()]
    assert outcomes == ["rejected", "repeated"]
    service.stop()


def test_a_backup_put_back_is_forgotten_from_at_the_first_look(tmp_path: Path) -> None:
    settings = town(tmp_path)
    service = Service.open(settings)
    service.take([supply(history(3, days=_DAYS, rate=0.02))], NOW, history=True)
    before = list(service.store.pages(CODE))
    service.forget(NOW)
    with service.store.writing() as c:  # what an older copy holds
        rows = [{"municipality": CODE, "day": day, "page": page, "events": 1} for day, page in before]
        service.store.upsert(c, t.pages, rows)
    service.stop()
    again = Service.open(settings)
    again.forget(NOW)
    assert min(day for day, _ in again.store.pages(CODE)) > before[0][0]
    again.stop()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[retention]\nevents_months = 24\n", "retention.events_months: 24 is less than the 28"),
        ("[retention]\nnames_months = 6\n", "retention.names_months"),
        ("[retention]\nyears = 6\n", "retention.years: there is no such key"),
    ],
)
def test_a_retention_that_cannot_be_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        town(tmp_path, more=text)
    assert said in str(refused.value)


def test_the_default_keeps_events_for_no_longer_than_the_baselines_need(tmp_path: Path) -> None:
    short = town(tmp_path)
    five = parse_settings(f'[municipality]\ncode = "{CODE}"\nname = "T"\n', file="x", folder=tmp_path)
    ten = parse_settings(f'[municipality]\ncode = "{CODE}"\nname = "T"\n[detection]\nyears = 10\n', file="x", folder=tmp_path)
    assert [months_of(s)["events"] for s in (short, five, ten)] == [28, 64, 125]
    assert Retention().events_months == 0


# ---- on Kafka ---------------------------------------------------------------------------------------------------------


def put(log: _Log, own: Municipality, step: Step) -> None:
    for write in step.writes:
        log.write(write)
    log.send(own, step)


def days_in(log: _Log) -> list[int]:
    return sorted(int(key[4:]) for key in Journal.read(log.held)[1] if key.startswith("day/"))


def test_a_worker_takes_forgotten_days_out_of_its_records_and_off_the_topic(tmp_path: Path) -> None:
    settings, log, days = town(tmp_path), _Log(), 1000
    own = Municipality(settings, NOW)
    events = history(4, days=days, rate=0.02)
    for step in own.take(_messages(events, 500, days), NOW):
        put(log, own, step)
    floor, held = first_day(settings, own.engine.today or 0), days_in(log)
    assert held[0] < floor
    taken_back = []
    while (step_back := own.forget()) is not None:
        taken_back += [o for o in step_back.outgoing if not o.value]
        put(log, own, step_back)
        own = Municipality.restore(settings, log.held, NOW)
    assert days_in(log) == own.engine.ledger.days() == [d for d in held if d >= floor]
    assert {o.key for o in taken_back} == {f"{CODE}/day/{d}" for d in held if d < floor}
    again = own.take(_messages(events[:10], 500, days), NOW)  # of offsets that were read: passed over
    assert all(not step.result.outcomes for step in again)
    result = own.engine.ingest(events[:10], NOW, history=True)
    assert {r.rule for r in result.rejections} == {"too-old"}
