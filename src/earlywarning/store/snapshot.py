"""A store as one SQLite file, and back: the portable form that backups hold, whichever database the store is in.

One committed state, taken while the store is written to. Of PostgreSQL the rows are copied in one read-only transaction that
sees one state throughout, not by pg_dump: such a file can be looked into without a server, restored on either database and
by any later version of PostgreSQL, and needs no program that must not be older than the server.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from earlywarning.settings_text import without_password
from earlywarning.store import tables as t
from earlywarning.store.errors import StoreError, advice
from earlywarning.store.opening import copy_sqlite, known_schemas, make_engine, migrate, schema_of

LINK_KEY = "link-key"  # of source_state: what signs the links in messages
_CHUNK = 1_000  # rows


def take_snapshot(url: str, to: Path) -> str:
    """Copy a store of any schema that this version knows into a new SQLite file, readable by its owner only.

    Returns the schema. Raises StoreError.
    """
    engine = make_engine(url, writer=False)
    shown = engine.url.render_as_string(hide_password=True)
    try:
        with engine.connect() as connection:
            schema = _known(schema_of(connection), shown)
        if engine.dialect.name == "sqlite":
            copy_sqlite(Path(str(engine.url.database)), to)
        else:
            _copy_rows(engine, schema, to)
    except (SQLAlchemyError, OSError, sqlite3.Error) as error:
        raise StoreError(advice(shown, error)) from error
    finally:
        engine.dispose()
    return schema


def _known(schema: str | None, shown: str) -> str:
    if schema is None:
        raise StoreError(f"the store {shown} is empty; there is nothing to copy")
    if schema not in known_schemas():
        raise StoreError(f"the store {shown} has schema {schema}, which this version does not know; use the version that made it")
    return schema


@contextmanager
def opened(file: Path) -> Iterator[sa.Connection]:
    """A connection to a snapshot, in one transaction."""
    engine = sa.create_engine(f"sqlite:///{file}", poolclass=sa.NullPool)
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    finally:
        engine.dispose()


def _copy_rows(source: sa.Engine, schema: str, to: Path) -> None:
    to.touch(0o600, exist_ok=False)
    migrate(f"sqlite:///{to}", schema)
    options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    held = sa.MetaData()
    with source.connect().execution_options(**options) as here, here.begin(), opened(to) as there:
        held.reflect(there)
        for table in _data(held):
            there.execute(table.delete())
            columns: list[sa.ColumnElement[Any]] = [sa.column(c.name) for c in table.columns]
            query = sa.select(*columns).select_from(sa.table(table.name)).execution_options(yield_per=_CHUNK)
            for rows in here.execute(query).mappings().partitions(_CHUNK):
                there.execute(table.insert(), [_without_zones(dict(row)) for row in rows])


def _without_zones(row: dict[str, Any]) -> dict[str, Any]:
    """As the store itself keeps moments on SQLite: in UTC, without a zone."""
    return {k: v.astimezone(UTC).replace(tzinfo=None) if isinstance(v, datetime) and v.tzinfo else v for k, v in row.items()}


def _data(metadata: sa.MetaData) -> list[sa.Table]:
    return [table for name, table in sorted(metadata.tables.items()) if name != "alembic_version"]


def counts(file: Path) -> dict[str, int]:
    """How many rows each table of a snapshot holds."""
    held = sa.MetaData()
    with opened(file) as connection:
        held.reflect(connection)
        return {x.name: connection.execute(sa.select(sa.func.count()).select_from(x)).scalar_one() for x in _data(held)}


def leave_out_secrets(file: Path, *, passwords: bool) -> list[str]:
    """Take out of a snapshot what would let its reader in somewhere; returns what was left out, in words.

    passwords: whether the accounts' argon2id hashes stay. Tokens stay: the SHA-256 of a long random one gives nothing away.
    """
    said = [
        "sessions: all must sign in again",
        "one-time links of accounts",
        "sign-ins that failed lately, which are counted against guessing",
        "the key that signs links in messages, where the store made it: links sent before are not valid afterwards",
    ]
    with closing(sqlite3.connect(file, isolation_level=None)) as c:
        c.execute("pragma secure_delete=on")
        c.execute("begin immediate")
        present = {row[0] for row in c.execute("select name from sqlite_master where type = 'table'")}
        if "sessions" in present:
            c.execute("delete from sessions")
            c.execute("update accounts set set_up_hash = null, set_up_until = null")
            if not passwords:
                c.execute("update accounts set password_hash = null")
                said.append("passwords (their hashes): give each account a new link with `earlywarning accounts add`")
        if "sign_in_attempts" in present:
            c.execute("delete from sign_in_attempts")
        c.execute("delete from source_state where name = ?", (LINK_KEY,))
        for number, text in c.execute("select number, text from settings_versions where text like '%://%:%@%'").fetchall():
            c.execute("update settings_versions set text = ? where number = ?", (without_password(text), number))
        c.execute("commit")
        c.execute("vacuum")  # what was deleted, now or earlier, is in no free page of the copy
    return said


def is_empty(connection: sa.Connection) -> bool:
    """Whether a store holds nothing that somebody would miss."""
    present = set(sa.inspect(connection).get_table_names())
    if not present:
        return True
    if not {"pages", "alerts", "settings_versions"} <= present:
        return False  # something else's
    passed_over = ("source_state", "settings_versions", "alembic_version", "sessions", "sign_in_attempts")
    return all(
        connection.execute(sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1)).first() is None
        for name in present & set(t.metadata.tables)
        if name not in passed_over
    )


def fill(connection: sa.Connection, file: Path) -> None:
    """Put the rows of a snapshot of the newest schema into empty tables of the newest schema, in the caller's transaction."""
    with opened(file) as source:
        for table in t.metadata.sorted_tables:
            result = source.execute(sa.select(table).execution_options(yield_per=_CHUNK))
            for rows in result.mappings().partitions(_CHUNK):
                connection.execute(table.insert(), [dict(row) for row in rows])
    if connection.dialect.name == "postgresql":
        _count_on(connection, t.metadata.sorted_tables)


def _count_on(connection: sa.Connection, tables: Sequence[sa.Table]) -> None:
    """Numbers that the database gives go on behind the highest one."""
    for table in tables:
        column = table.autoincrement_column
        if column is None or not column.autoincrement or column.name not in ("id", "number"):
            continue
        highest = connection.execute(sa.select(sa.func.max(column))).scalar()
        if highest is not None:
            place = {"table": table.name, "column": column.name, "highest": highest}
            connection.execute(sa.text("select setval(pg_get_serial_sequence(:table, :column), :highest)"), place)
