"""Backup and verify of a store whose oldest months have been forgotten."""

import re
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from earlywarning.core.alerts import SCANNED
from earlywarning.core.calendar import day_number
from earlywarning.core.casework import Casework
from earlywarning.core.settings_draft import Draft
from earlywarning.monitoring import Metrics
from earlywarning.runtimes.archive import BackupError
from earlywarning.runtimes.backing_up import back_up
from earlywarning.runtimes.checking import check_store
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.forgetting import Forgetting, last_run
from earlywarning.runtimes.verifying import Verified, Wanted, verify_backup, verify_store
from earlywarning.settings import Settings, load_settings
from earlywarning.store import Store
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.store.settings_drafts import Drafts
from tests.core.town import CODE, NOW, history, merged, surge
from tests.runtimes.test_embedded import supply
from tests.web.conftest import write_town

DAYS = 1000  # of history
TURN = datetime(2025, 6, 19, 22, tzinfo=UTC)  # a local midnight: from then on the service judged
FIRST = date(2025, 6, 20)
SURGE = date(2025, 8, 15)  # and the next days: one of those that are told of before the last events went
END = datetime(2025, 9, 29, tzinfo=UTC)
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A town that keeps 30 months, where events come late: alerts of before and after the day on which the last of them went."""
    folder = tmp_path_factory.mktemp("forgetful")
    write_town(folder)
    file = folder / "earlywarning.toml"
    file.write_text(file.read_text() + "[retention]\nevents_months = 30\n[budget]\nsevere_harm = 5.0\nsevere_rare_days = 10.0\n")
    service = Service.open(load_settings(file))
    surges = surge(905), surge(960, area="A4", category="C2"), surge(985, area="A1"), surge(993, area="A5")
    events = [e for e in merged(history(7, days=DAYS, rate=0.06, lag_days=1.0), *surges) if e.recorded_at < END]
    (folder / "events.jsonl").write_bytes(b"\n".join(msgspec.json.encode(e) for e in events))
    past = [e for e in events if e.recorded_at < TURN]
    service.take([supply(past)], NOW, history=True)
    live = events[len(past) :]
    for begin in range(0, len(live), 60):
        service.take([supply(live[begin : begin + 60])], NOW)
        service.forget(NOW)
    service.stop()
    return load_settings(file)


def told(found: Verified) -> tuple[list[str], list[str]]:
    assert found.compared is not None
    return found.compared.differences, found.compared.notes


def since_when(notes: list[str]) -> date:
    """The day from which on alerts were compared as a whole."""
    return next(date.fromisoformat(m[1]) for n in notes if (m := re.search(r"alerts opened from (\S+) on are compared", n)))


@pytest.fixture(scope="module")
def found(forgetful: Settings) -> Verified:
    return verify_store(forgetful, Wanted())


def test_a_store_that_has_forgotten_is_well_and_says_from_where_on_it_was_compared(
    forgetful: Settings, found: Verified, tmp_path: Path
) -> None:
    differences, notes = told(found)
    assert differences == []
    assert found.fine
    with Store.open(forgetful.store_url) as store:
        run, alerts = last_run(store, CODE), store.alerts()
        assert run is not None
        assert run.events_before is not None
        assert min(day for day, _ in store.pages(CODE)) >= day_number(run.events_before)
    assert found.compared is not None
    since = since_when(notes)
    after = [a for a in alerts if a.opened_on >= since]
    assert run.events_gone_on is not None
    assert since > run.events_gone_on
    assert found.compared.exact + found.compared.by_order == len(after) >= 2
    assert len(alerts) > len(after)  # those of before rested on more than is kept, and are no difference
    assert {a.tendency in SCANNED for a in after} == {True, False}, "also those that look further back"
    back_up(forgetful, tmp_path / "backup.zip")
    assert verify_backup(tmp_path / "backup.zip", Wanted()).fine


def test_pages_that_were_forgotten_are_no_difference_to_the_suppliers_files(forgetful: Settings) -> None:
    found = verify_store(forgetful, Wanted((forgetful.folder / "events.jsonl",), judged_from=FIRST - timedelta(days=1)))
    assert found.compared is not None
    assert found.compared.pages > 500
    assert [line for line in told(found)[0] if line.startswith("page of")] == []


def test_a_day_that_rests_on_forgotten_events_is_not_judged_anew(forgetful: Settings) -> None:
    with pytest.raises(BackupError, match="have been forgotten, so days can be judged anew from"):
        verify_store(forgetful, Wanted(judged_from=FIRST))


@pytest.fixture
def copy(forgetful: Settings, tmp_path: Path) -> Settings:
    """Settings of a copy of its store."""
    file = tmp_path / "store.db"
    with closing(sqlite3.connect(forgetful.store_url.removeprefix("sqlite:///"))) as here, closing(sqlite3.connect(file)) as there:
        here.backup(there)
    return msgspec.structs.replace(forgetful, store=msgspec.structs.replace(forgetful.store, url=f"sqlite:///{file}"))


@pytest.mark.parametrize("late", [True, False])
def test_an_altered_figure_is_found_also_in_a_store_that_has_forgotten(
    forgetful: Settings, found: Verified, copy: Settings, late: bool
) -> None:
    """Of an alert that is compared as a whole, and of an earlier one, of which only the counts are."""
    since = since_when(told(found)[1])
    with Store.open(forgetful.store_url) as store:
        alerts = [a for a in store.alerts() if a.signals[0].role == "peak" and a.tendency in SCANNED]
        between = [a for a in alerts if a.opened_on >= since] if late else [a for a in alerts if SURGE <= a.opened_on < since]
        alert = min(between, key=lambda a: a.opened_on)
    forged = msgspec.structs.replace(alert, observed=alert.observed + 1)
    with closing(sqlite3.connect(copy.store_url.removeprefix("sqlite:///"))) as c, c:
        body = msgspec.json.encode(forged).decode()
        c.execute("update alerts set observed = ?, body = ? where alert_id = ?", (forged.observed, body, alert.alert_id))
    (line,) = told(verify_store(copy, Wanted()))[0]
    assert f"alert {alert.alert_id}: observed {forged.observed} is stored" in line


def test_an_alert_that_was_taken_away_is_found_also_in_a_store_that_has_forgotten(
    forgetful: Settings, found: Verified, copy: Settings
) -> None:
    since = since_when(told(found)[1])
    with Store.open(forgetful.store_url) as store:
        gone = min((a for a in store.alerts() if a.opened_on >= since), key=lambda a: a.opened_on).alert_id
    with closing(sqlite3.connect(copy.store_url.removeprefix("sqlite:///"))) as c, c:
        for table in ("alerts", "alert_history", "casework"):
            c.execute(f"delete from {table} where alert_id = ?", (gone,))  # noqa: S608
    assert f"alert {gone} is rebuilt, but not stored" in told(verify_store(copy, Wanted()))[0]


@pytest.mark.parametrize(("into", "fine"), [(f"{CODE}-190801-0123abcd", True), (f"{CODE}-250801-0123abcd", False)])
def test_a_case_names_the_alert_it_was_merged_into_or_one_that_retention_may_have_taken(
    copy: Settings, into: str, fine: bool
) -> None:
    with closing(sqlite3.connect(copy.store_url.removeprefix("sqlite:///"))) as c, c:
        alert_id, body = c.execute("select alert_id, body from casework limit 1").fetchone()
        case = msgspec.structs.replace(msgspec.json.decode(body, type=Casework), merged_into=into)
        c.execute("update casework set body = ? where alert_id = ?", (msgspec.json.encode(case).decode(), alert_id))
    found = {c.what: c for c in verify_store(copy).checks}["casework"]
    assert ([p for p in found.problems if "was merged into an alert that is not there" in p] == []) == fine


def test_entries_that_retention_cut_are_no_gap_and_others_are(tmp_path: Path) -> None:
    """Of two municipalities in one store each cuts its own entries; those between stay."""
    write_town(tmp_path)
    settings = load_settings(tmp_path / "earlywarning.toml")
    service = Service.open(settings)
    old, young = datetime(2020, 1, 1, tzinfo=UTC), datetime.now(UTC)
    entries = [AuditEntry(own, at, "A", "plan", "plan/1", body="{}") for at in (old, young) for own in ("1111", CODE) * 2]
    service.store.commit(None, also=[Cases(service.store).keep([], entries)])
    Forgetting(service.store, Metrics()).run(settings, young.date(), young)
    service.stop()
    file = tmp_path / "store.db"
    found = {c.what: c for c in check_store(file, database="sqlite", at=young)}["audit"]
    assert found.problems == []
    assert any("older than retention keeps" in note for note in found.notes)
    with closing(sqlite3.connect(file)) as c:
        guards = c.execute("select name, sql from sqlite_master where type = 'trigger'").fetchall()
        for name, _ in guards:
            c.execute(f"drop trigger {name}")
        c.execute("delete from audit where id = (select max(id) - 1 from audit)")
        for _, text in guards:
            c.execute(text)
        c.commit()
    assert "entries are missing" in "".join({c.what: c for c in check_store(file, database="sqlite", at=young)}["audit"].problems)


def test_a_backup_keeps_drafts_and_leaves_out_failed_sign_ins(tmp_path: Path) -> None:
    write_town(tmp_path)
    settings = load_settings(tmp_path / "earlywarning.toml")
    service = Service.open(settings)
    Drafts(service.store, CODE).add(
        Draft(
            municipality=CODE,
            base=1,
            before={},
            changes={"detection.min_count": 4},
            author="A",
            made_at=AT,
            changed_by="A",
            changed_at=AT,
        )
    )
    service.stop()
    with closing(sqlite3.connect(tmp_path / "store.db")) as c:
        c.execute(
            "insert into sign_in_attempts (municipality, key_hash, at) values (?, ?, '2026-03-10 12:00:00')", (CODE, "f" * 64)
        )
        c.commit()
    back_up(settings, tmp_path / "backup.zip")
    found = verify_backup(tmp_path / "backup.zip")
    assert found.fine
    assert found.manifest is not None
    assert (found.manifest.tables["settings_drafts"], found.manifest.tables["sign_in_attempts"]) == (1, 0)
    assert any("sign-ins that failed" in line for line in found.manifest.left_out)
    with closing(sqlite3.connect(tmp_path / "store.db")) as c:
        c.execute("update settings_drafts set state = 'applied'")
        c.commit()
    assert not verify_store(settings).fine
