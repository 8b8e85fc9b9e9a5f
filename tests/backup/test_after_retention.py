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
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A town that has kept 30 months: alerts of before and after the day from which on it can be judged anew."""
    folder = tmp_path_factory.mktemp("forgetful")
    write_town(folder)
    file = folder / "earlywarning.toml"
    file.write_text(file.read_text() + "[retention]\nevents_months = 30\n")
    service = Service.open(load_settings(file))
    events = merged(history(6, days=DAYS, rate=0.04), surge(905), surge(960, area="A4", category="C2"), surge(985, area="A1"))
    (folder / "events.jsonl").write_bytes(b"\n".join(msgspec.json.encode(e) for e in events))
    past = [e for e in events if e.recorded_at < TURN]
    service.take([supply(past)], NOW, history=True)
    service.take([supply(events[len(past) :])], NOW)
    service.forget(NOW)
    service.stop()
    return load_settings(file)


def told(found: Verified) -> tuple[list[str], list[str]]:
    assert found.compared is not None
    return found.compared.differences, found.compared.notes


def test_a_store_that_has_forgotten_is_well_and_says_from_where_on_it_was_compared(forgetful: Settings, tmp_path: Path) -> None:
    found = verify_store(forgetful, Wanted())
    differences, notes = told(found)
    assert differences == []
    assert found.fine
    with Store.open(forgetful.store_url) as store:
        run, alerts = last_run(store, CODE), store.alerts()
        assert run is not None
        assert run.events_before is not None
        assert min(day for day, _ in store.pages(CODE)) >= day_number(run.events_before)
    assert found.compared is not None
    since = next(m for note in notes if (m := re.search(r"alerts are compared from (\S+) on", note)))
    after = [a for a in alerts if str(a.opened_on) >= since.group(1) and a.tendency in SCANNED]
    assert found.compared.exact + found.compared.by_order == len(after) >= 2
    assert len(alerts) > len(after)  # those of before cannot be remade, and are no difference
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


def test_an_altered_figure_is_found_also_in_a_store_that_has_forgotten(forgetful: Settings, tmp_path: Path) -> None:
    with Store.open(forgetful.store_url) as store:
        alert = max((a for a in store.alerts() if a.tendency in SCANNED), key=lambda a: a.opened_on)
    forged = msgspec.structs.replace(alert, observed=alert.observed + 1)
    copy = tmp_path / "store.db"
    with closing(sqlite3.connect(forgetful.store_url.removeprefix("sqlite:///"))) as here, closing(sqlite3.connect(copy)) as there:
        here.backup(there)
        body = msgspec.json.encode(forged).decode()
        there.execute("update alerts set observed = ?, body = ? where alert_id = ?", (forged.observed, body, alert.alert_id))
        there.commit()
    found = verify_store(
        msgspec.structs.replace(forgetful, store=msgspec.structs.replace(forgetful.store, url=f"sqlite:///{copy}")), Wanted()
    )
    assert any(alert.alert_id in line for line in told(found)[0])


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
