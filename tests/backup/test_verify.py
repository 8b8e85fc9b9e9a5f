"""What `verify` finds: each sort of damage by name; and whether the state follows from the events, by a rebuild."""

import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from earlywarning.core.alert_record import Alert
from earlywarning.runtimes.archive import BackupError
from earlywarning.runtimes.backing_up import back_up
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.verifying import Verified, Wanted, verify_backup, verify_store
from earlywarning.settings import load_settings, parse_settings
from tests.backup.conftest import Town, feed
from tests.core.town import BEGIN, event, history, merged, surge
from tests.runtimes.test_embedded import supply
from tests.web.conftest import write_town


def problems(found: Verified) -> str:
    return "\n".join(p for check in found.checks for p in check.problems)


def test_a_sound_store_and_its_backup_are_well(lived: Town, made: Path) -> None:
    for found in (verify_store(lived.settings), verify_backup(made)):
        assert problems(found) == ""
        assert found.fine
        assert {"database", "pages", "alerts", "casework", "outbox", "audit", "clock", "settings"} <= {c.what for c in found.checks}


UNGUARDED = "drop trigger audit_is_kept; drop trigger audit_is_not_cut;"
GUARDS = (
    "create trigger audit_is_kept before update on audit begin select 1; end;"
    "create trigger audit_is_not_cut before delete on audit begin select 1; end;"
)
DAMAGE = {
    "update pages set page = x'00' where day = (select min(day) from pages)": "page 0999/2023-.*cannot be read",
    "update pages set page = (select page from pages order by day desc limit 1) where day = (select min(day) from pages)":
        "is stored under another day than its own",
    "update pages set events = events + 1 where day = (select min(day) from pages)": "another number of events than is stored",
    "update alerts set body = '{}' where state = 'settled'": "alert 0999-.*cannot be read",
    "update alerts set observed = observed + 1": "alert 0999-.*observed is not what its record says",
    "update alerts set state = 'open', body = replace(body, '\"state\":\"settled\"', '\"state\":\"open\"') where state = 'settled'":
        "is open, but its history ends otherwise",
    "delete from alert_history where change = 'opened'": "its history does not begin with its opening",
    "delete from alert_history": "has no history",
    "delete from alerts where alert_id = (select min(alert_id) from alerts)": "tells of an alert that is not there",
    "delete from alerts": "casework 0999-.*is of an alert that is not there",
    "update casework set stage = 'new' where assessment is not null": "casework .*stage is not what its record says",
    UNGUARDED + "delete from audit where id = 2;" + GUARDS: "audit: 1 entries are missing after number 1",  # noqa: S608
    UNGUARDED + "delete from audit where answer_id = 'a1';" + GUARDS: "has changed more often than the audit log tells",  # noqa: S608
    UNGUARDED + "update audit set answer_id = 'a0' where answer_id = 'a1';" + GUARDS: "answer a0: was taken twice",  # noqa: S608
    UNGUARDED: "its guards audit_is_kept, audit_is_not_cut are gone",
    "update outbox set state = 'lost'": "message .*is in a state that there is not",
    "update engine_state set clock_day = clock_day - 30": "stands before the day or hour on which an event arrived",
    "update engine_state set clock_hour = clock_hour - 900": "on which an event was recorded",
    "delete from engine_state": "municipality 0999: has pages, but no clock",
    "update dead_letters set state = 'gone'": "dead letter 1: is in a state that there is not",
    "drop table mutes": "the table mutes is missing",
    "alter table plans drop column actor": "plans has no actor",
}  # fmt: skip


@pytest.mark.parametrize("statements", DAMAGE)
def test_each_sort_of_damage_is_found_and_named(town: Town, statements: str) -> None:
    with closing(sqlite3.connect(town.folder / "store.db")) as c:
        if "outbox" in statements:
            c.execute(
                "insert into outbox (key, municipality, channel, recipient, kind, alert_id, language, body, created_at, state,"
                " attempts, next_at, problem) values ('k', '0999', 'c', 'r', 'x', '', 'sv', '{}', '2026-01-01', 'waiting', 0,"
                " '2026-01-01', '')"
            )
            c.commit()
        c.executescript(statements)
    found = verify_store(town.settings)
    assert not found.fine
    assert any(re.search(DAMAGE[statements], line) for line in problems(found).split("\n")), problems(found)


def test_a_damaged_file_is_found_by_the_database(town: Town) -> None:
    file = town.folder / "store.db"
    with closing(sqlite3.connect(file)) as c:
        c.execute("pragma wal_checkpoint(truncate)")
        c.execute("pragma journal_mode=delete")
        (root,) = c.execute("select rootpage from sqlite_master where name = 'ix_alerts_state'").fetchone()
        (size,) = c.execute("pragma page_size").fetchone()
    with file.open("r+b") as f:
        f.seek((root - 1) * size + size // 2)
        f.write(b"\xff" * (size // 2))
    assert "database:" in problems(verify_store(town.settings))


# ---- rebuild ------------------------------------------------------------------------------------------------------


def test_a_rebuild_from_the_pages_gives_the_stored_state(lived: Town, made: Path) -> None:
    """With late events, revisions, retractions, an explained alert and settings that changed on the way."""
    found = verify_backup(made, Wanted())
    assert found.compared is not None
    assert found.compared.differences == []
    assert found.fine
    assert found.compared.exact + found.compared.by_order > 8
    assert found.compared.exact > found.compared.by_order
    assert found.compared.changes > 20
    assert any("1 changes of the settings" in note for note in found.compared.notes)
    assert any("1 answers that explain days" in note for note in found.compared.notes)


def test_a_rebuild_from_the_suppliers_files_gives_the_stored_state_to_the_last_digit(lived: Town) -> None:
    found = verify_store(lived.settings, Wanted((lived.folder / "events.jsonl",)))
    assert found.compared is not None
    assert found.compared.differences == []
    assert found.compared.by_order == 0
    assert found.compared.exact > 8


def test_a_rebuild_finds_an_event_that_is_missing(lived: Town, work: Path) -> None:
    lines = (lived.folder / "events.jsonl").read_bytes().split(b"\n")
    (work / "fewer.jsonl").write_bytes(b"\n".join(lines[:700] + lines[701:]))
    found = verify_store(lived.settings, Wanted((work / "fewer.jsonl",)))
    assert found.compared is not None
    assert any("rows are stored" in line and line.startswith("page of") for line in found.compared.differences)
    assert not found.fine


def _forge(town: Town, change: dict[str, object], *, drop: bool = False) -> str:
    """Alter the newest settled alert in all places alike, so that only a rebuild can tell."""
    with closing(sqlite3.connect(town.folder / "store.db")) as c, c:
        alert_id, body = c.execute("select alert_id, body from alerts where state = 'settled' order by opened_on desc").fetchone()
        if drop:
            for table in ("alerts", "alert_history", "casework"):
                c.execute(f"delete from {table} where alert_id = ?", (alert_id,))  # noqa: S608
            return str(alert_id)
        forged = msgspec.structs.replace(msgspec.json.decode(body, type=Alert), **change)
        c.execute("update alerts set body = ?, observed = ? where alert_id = ?",
                  (msgspec.json.encode(forged).decode(), forged.observed, alert_id))  # fmt: skip
    return str(alert_id)


def test_a_rebuild_finds_a_figure_that_was_altered_and_an_alert_that_was_taken_away(town: Town) -> None:
    gone, altered = _forge(town, {}, drop=True), _forge(town, {"observed": 99.0})
    assert verify_store(town.settings).fine, "they are altered wherever they stand, so that nothing disagrees"
    # A backup is made of it as it is, and tells the same.
    for found in (verify_store(town.settings, Wanted()), verify_backup(back_up(town.settings, town.folder / "b.zip")[0], Wanted())):
        assert found.compared is not None
        assert any(f"alert {altered}: observed 99.0 is stored" in line for line in found.compared.differences)
        assert f"alert {gone} is rebuilt, but not stored" in found.compared.differences
        assert not found.fine


def test_history_is_not_judged_in_a_rebuild_either(work: Path) -> None:
    write_town(work)
    chosen = load_settings(work / "earlywarning.toml")
    service = Service.open(chosen)
    events = merged(history(3, days=460), surge(410), surge(455, area="A4"))
    turn = BEGIN + timedelta(days=439, hours=11)  # a local midnight: judging begins with a whole day
    past, live = [e for e in events if e.recorded_at < turn], [e for e in events if e.recorded_at >= turn]
    service.take([supply(past)], BEGIN + timedelta(days=500), history=True)
    feed(service, live)
    opened = {a.opened_on for a in service.store.alerts()}
    service.advance(BEGIN + timedelta(days=475))
    service.stop()
    assert opened
    assert min(opened) >= turn.date()
    found = verify_store(chosen, Wanted())
    assert found.compared is not None
    assert found.compared.differences == []
    with pytest.raises(BackupError, match="judge from that day, or from an earlier one"):
        verify_store(chosen, Wanted(judged_from=max(opened) + timedelta(days=1)))
    # Who has the days judged that were history gets the alerts that nobody was told.
    earlier = verify_store(chosen, Wanted(judged_from=(BEGIN + timedelta(days=400)).date()))
    assert earlier.compared is not None
    assert any("is rebuilt, but not stored" in line for line in earlier.compared.differences)


def test_an_empty_store_has_nothing_to_rebuild(work: Path) -> None:
    write_town(work)
    chosen = load_settings(work / "earlywarning.toml")
    Service.open(chosen).stop()
    assert verify_store(chosen).fine
    with pytest.raises(BackupError, match="holds no events yet"):
        verify_store(chosen, Wanted())


def test_events_of_areas_that_are_gone_are_rebuilt_as_they_stand(work: Path) -> None:
    write_town(work)
    chosen = load_settings(work / "earlywarning.toml")
    service = Service.open(chosen)
    feed(service, merged(history(3, days=40), [event("x", BEGIN + timedelta(days=20), area="A5")]))
    service.stop()
    document = msgspec.json.decode((work / "areas.geojson").read_bytes())
    document["features"] = document["features"][:-1]
    (work / "fewer.geojson").write_bytes(msgspec.json.encode(document))
    fewer = parse_settings(chosen.text.replace("areas.geojson", "fewer.geojson"), file="x", folder=work)
    found = verify_store(fewer, Wanted())
    assert found.compared is not None
    assert found.compared.differences == []
