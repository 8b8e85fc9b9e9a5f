"""A store of every earlier schema comes to the newest with all that it held; no way leads back, a crash leaves the old one."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from earlywarning import __version__
from earlywarning.core.alert_record import Alert
from earlywarning.core.engine import Engine
from earlywarning.runtimes.embedded import Service
from earlywarning.settings import parse_settings
from earlywarning.store import Store, StoreError, opening
from earlywarning.store.rows import json_text
from tests.core.town import CODE, engine, event, feed, history, merged, surge
from tests.runtimes.test_embedded import take
from tests.store.test_opening import _connect, on_sqlite
from tests.web.conftest import SETTINGS, write_town

SCHEMAS = opening.known_schemas()
EARLIER = SCHEMAS[:-1]
AT = datetime(2024, 3, 1, 12, tzinfo=UTC)
# Rows that a service adds when it starts: who wrote last, the key of links, since when settings and method are in force.
ADDED_TO = {"source_state": 4, "settings_versions": 1}


@pytest.fixture(scope="module")
def lived() -> tuple[Engine, dict[str, Alert], dict[int, bytes]]:
    """An engine that has seen a year and an open alert, with its alerts and pages."""
    e = engine()
    _, alerts, pages = feed(e, merged(history(3, days=440), surge(430), surge(438, area="A4", category="C1")))
    assert any(a.state == "open" for a in alerts.values())
    return e, alerts, pages


def _rows(lived: tuple[Engine, dict[str, Alert], dict[int, bytes]]) -> dict[str, list[dict[str, Any]]]:
    """Rows of every table as an earlier version would have written them: what a schema did not have yet is passed over."""
    e, alerts, pages = lived
    some = next(iter(sorted(alerts)))
    names = ("alert_id", "municipality", "opened_on", "first_day", "last_day", "state", "tendency", "kind", "observed", "expected",
             "upper_bound", "recurrence_days", "settings_version")  # fmt: skip
    return {
        "pages": [{"municipality": CODE, "day": d, "page": p, "events": len(e.ledger.on_day(d))} for d, p in pages.items()],
        "alerts": [{**{n: getattr(a, n) for n in names}, "body": json_text(a)} for a in alerts.values()],
        "alert_history": [
            {"alert_id": a.alert_id, "change": "opened", "changed_on": a.opened_on, "body": json_text(a)} for a in alerts.values()
        ],
        "settings_versions": [
            {"version": "0123456789ab", "applied_at": AT, "text": "# as it was", "municipality": "", "actor": "A", "reason": "r"}
        ],
        "marked_events": [{"municipality": CODE, "first_day": date(2024, 3, 1), "body": "{}"}],
        "settings_drafts": [{"municipality": CODE, "state": "draft", "revision": 1, "body": "{}"}],
        "dead_letters": [
            {"received_at": AT, "municipality": CODE, "way": "http", "position": 1, "field": "area", "rule": "unknown-area",
             "problem": "åäö", "format": "event", "state": "waiting"}
        ],
        "engine_state": [{"municipality": CODE, "clock_day": e.today, "clock_hour": e.clock_hour}],
        "source_state": [{"name": "police", "body": "etag"}],
        "data_notes": [
            {"note_id": "burst-1", "municipality": CODE, "noted_on": date(2024, 2, 1), "what": "burst", "source": "x", "body": "{}"}
        ],
        "casework": [
            {"alert_id": some, "municipality": CODE, "stage": "new", "opened_at": AT, "revision": 0,
             "body": f'{{"alert_id":"{some}","municipality":"0999","opened_at":"2024-03-01T12:00:00Z"}}'}
        ],
        "audit": [
            {"municipality": CODE, "at": AT, "actor": "A", "action": "note", "subject": some, "reason": "", "note": "n",
             "body": "{}"}
        ],
        "outbox": [
            {"key": "k1", "municipality": CODE, "channel": "mail", "recipient": "r", "kind": "alert", "alert_id": some,
             "language": "sv", "body": "{}", "created_at": AT, "state": "delivered", "attempts": 1, "next_at": AT, "problem": ""}
        ],
        "mutes": [
            {"mute_id": "m", "municipality": CODE, "first_day": date(2024, 3, 1), "last_day": date(2024, 3, 2), "body": "{}"}
        ],
        "plans": [{"municipality": CODE, "version": "v1", "applied_at": AT, "actor": "A", "body": "{}"}],
    }  # fmt: skip


def make_earlier(url: str, schema: str, rows: dict[str, list[dict[str, Any]]]) -> tuple[dict[str, list[Any]], sa.MetaData]:
    """A store of an earlier schema, made by its own migrations and filled by plain SQL; returns what it holds, and its tables."""
    with _connect(url).connect() as connection:
        config = opening._migrations()
        config.attributes["connection"] = connection
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("pragma journal_mode=wal")
            connection.rollback()
        with connection.begin():
            command.upgrade(config, schema)
        held = sa.MetaData()
        held.reflect(connection)
        connection.rollback()
        with connection.begin():
            for name, given in rows.items():
                if name in held.tables:
                    known = [{n: v for n, v in row.items() if n in held.tables[name].columns} for row in given]
                    connection.execute(held.tables[name].insert(), known)
        return contents(connection, held), held


def contents(connection: sa.Connection, held: sa.MetaData) -> dict[str, list[Any]]:
    return {
        name: connection.execute(sa.select(table).order_by(*table.primary_key)).all()
        for name, table in held.tables.items()
        if name != "alembic_version"
    }


@pytest.mark.parametrize("schema", EARLIER)
def test_a_store_of_an_earlier_schema_is_upgraded_with_all_that_it_held_and_the_service_goes_on(
    url: str, schema: str, lived: tuple[Engine, dict[str, Alert], dict[int, bytes]], tmp_path: Path
) -> None:
    held, tables = make_earlier(url, schema, _rows(lived))
    assert len(held["pages"]) > 400
    write_town(tmp_path)
    text = SETTINGS.replace("sqlite:///store.db", url)
    Store.open(url, writer=True).close()
    with _connect(url).connect() as connection:
        assert opening.schema_of(connection) == SCHEMAS[-1]
        now = contents(connection, tables)
    for name, before in held.items():
        assert set(before) <= set(now[name]), name
    service = Service.open(parse_settings(text, file="x", folder=tmp_path))
    try:
        with _connect(url).connect() as connection:
            now = contents(connection, tables)
        for name, before in held.items():
            assert len(now[name]) - len(before) == ADDED_TO.get(name, 0), name
        # It goes on as the one that wrote it would have: the same alerts are open, and repeats are known.
        assert {a.alert_id for a in service.store.alerts(states=["open"])} == set(service.engine.book.cases)
        events = [*surge(430)[:3], event("new", datetime(2024, 3, 20, 12, tzinfo=UTC))]
        assert take(service, events).outcomes == ["repeated"] * 3 + ["accepted"]
    finally:
        service.stop()
    with Store.open(url) as reader:
        assert reader.source_state(opening.WRITTEN_BY) == __version__


@pytest.mark.parametrize("schema", EARLIER)
def test_no_way_leads_back_to_an_earlier_schema(url: str, schema: str) -> None:
    Store.open(url, writer=True).close()
    with _connect(url).connect() as connection, connection.begin():
        config = opening._migrations()
        config.attributes["connection"] = connection
        with pytest.raises(StoreError, match=r"not downgraded.*earlywarning restore"):
            command.downgrade(config, schema)
    Store.open(url, writer=True).close()


@pytest.mark.parametrize("writer", [True, False])
def test_an_older_program_names_both_versions_and_the_way_out(url: str, writer: bool) -> None:
    Store.open(url, writer=True).close()
    with _connect(url).begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
        connection.execute(sa.text("update source_state set body = '7.1.0' where name = 'written-by'"))
    told = rf"has schema 9999, made by earlywarning 7\.1\.0; this is earlywarning {__version__}.* knows schema {SCHEMAS[-1]}"
    with pytest.raises(StoreError, match=told) as refused:
        Store.open(url, writer=writer)
    assert "start earlywarning 7.1.0 again, or restore what was backed up before the upgrade" in str(refused.value)


@on_sqlite
@pytest.mark.parametrize("schema", EARLIER)
def test_a_file_is_copied_aside_before_it_is_upgraded(
    url: str, schema: str, lived: tuple[Engine, dict[str, Alert], dict[int, bytes]], tmp_path: Path
) -> None:
    held, _ = make_earlier(url, schema, _rows(lived))
    Store.open(url, writer=True).close()
    aside = tmp_path / f"store.db.before-{SCHEMAS[-1]}"
    assert aside.stat().st_mode & 0o777 == 0o600
    with _connect(f"sqlite:///{aside}").connect() as connection:
        assert opening.schema_of(connection) == schema
        held_aside = sa.MetaData()
        held_aside.reflect(connection)
        assert contents(connection, held_aside) == held
    assert list(tmp_path.glob(".*.part")) == []


@on_sqlite
def test_a_store_that_cannot_be_copied_aside_is_not_upgraded(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_earlier(url, EARLIER[0], {})

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(opening.os, "fsync", full)
    with pytest.raises(StoreError, match=r"could not be copied to .* before its upgrade"):
        Store.open(url, writer=True)
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert connection.execute("select version_num from alembic_version").fetchall() == [(EARLIER[0],)]
    assert sorted(p.name for p in tmp_path.iterdir() if "before" in p.name) == []


_KILLED = """
import os, signal, sys
import sqlalchemy as sa
from earlywarning.store import Store

@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def stop(connection, cursor, statement, *rest):
    if sys.argv[2] in statement:
        os.kill(os.getpid(), signal.SIGKILL)

Store.open(sys.argv[1], writer=True)
"""


@pytest.mark.parametrize("moment", ["CREATE TABLE outbox", "INSERT INTO source_state"])  # amid it, and just before the commit
def test_an_upgrade_that_is_killed_leaves_the_old_schema_whole(
    url: str, moment: str, lived: tuple[Engine, dict[str, Alert], dict[int, bytes]]
) -> None:
    held, _ = make_earlier(url, EARLIER[0], _rows(lived))
    killed = subprocess.run([sys.executable, "-c", _KILLED, url, moment], check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    with _connect(url).connect() as connection:
        assert opening.schema_of(connection) == EARLIER[0]
        now = sa.MetaData()
        now.reflect(connection)
        assert contents(connection, now) == held
    with Store.open(url, writer=True) as store:
        store.ping()
        assert len(list(store.pages(CODE))) == len(held["pages"])
