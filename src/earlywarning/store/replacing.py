"""Puts a snapshot in place as a store: never over one that holds something, unless that is kept aside first."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from earlywarning.store import tables as t
from earlywarning.store.errors import StoreError, advice
from earlywarning.store.folders import keep_folder
from earlywarning.store.lock import WriterLock
from earlywarning.store.opening import copy_sqlite, make_engine, make_tables, schema_of
from earlywarning.store.snapshot import fill, is_empty


def put_in_place(snapshot: Path, url: str, aside: str, *, replace: bool, keep_old: Callable[[], None]) -> str:
    """Make a store of a snapshot of the newest schema; whole or not at all.

    aside: how what was there is called from then on, added to a file's name. keep_old: what keeps the old rows of a
    PostgreSQL store, before they are dropped. replace: whether a store that holds something may be replaced. Returns where
    the old one is now ("" when there was none). Raises StoreLocked when a service has it open, StoreError.
    """
    engine = make_engine(url, writer=True)
    shown = engine.url.render_as_string(hide_password=True)
    lock = None
    try:
        lock = WriterLock(engine, "earlywarning restore")
        if engine.dialect.name == "sqlite":
            return _into_file(snapshot, Path(str(engine.url.database)), shown, aside, replace=replace)
        return _into_database(snapshot, engine, lock, shown, replace=replace, keep_old=keep_old)
    except (SQLAlchemyError, OSError, sqlite3.Error) as error:
        raise StoreError(advice(shown, error)) from error
    finally:
        if lock is not None:
            lock.release()
        engine.dispose()


def _refusal(shown: str) -> StoreError:
    return StoreError(f"the store {shown} holds something; name another one, or add --replace, which keeps the old one aside")


def _into_file(snapshot: Path, file: Path, shown: str, aside: str, *, replace: bool) -> str:
    """snapshot: on the same file system. One rename puts the new store in the old one's place."""
    kept = ""
    if file.exists():
        if not _empty_file(file):
            if not replace:
                raise _refusal(shown)
            kept = f"{file}{aside}"
        _set_aside(file, Path(kept) if kept else None)
    snapshot.replace(file)
    keep_folder(file.parent)
    return kept


def _empty_file(file: Path) -> bool:
    engine = make_engine(f"sqlite:///{file}", writer=False)
    try:
        with engine.connect() as connection:
            return is_empty(connection)
    except SQLAlchemyError:
        return False  # damaged: what can be saved of it is somebody's
    finally:
        engine.dispose()


def _set_aside(file: Path, kept: Path | None) -> None:
    """Copy the old store, and take its log away: a log beside the new file would be read as the new file's."""
    try:
        if kept is not None:
            copy_sqlite(file, kept)
        with closing(sqlite3.connect(file, timeout=2, isolation_level=None)) as old:
            # Refused as locked while anyone reads it: the first where it has no log, the second where it has one.
            old.execute("begin exclusive")
            old.execute("rollback")
            old.execute("pragma journal_mode=delete")
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        # Damaged, so that it cannot be copied by its own means: its files are put aside as they are.
        for suffix in ("-wal", "-shm", ""):
            beside = Path(f"{file}{suffix}")
            if kept is not None and beside.exists():
                beside.rename(f"{kept}{suffix}")


def _into_database(
    snapshot: Path, engine: sa.Engine, lock: WriterLock, shown: str, *, replace: bool, keep_old: Callable[[], None]
) -> str:
    with engine.connect() as connection:
        there = set(sa.inspect(connection).get_table_names()) & {*t.metadata.tables, "alembic_version"}
        empty = not there or is_empty(connection)
        if there and schema_of(connection) is None:
            raise StoreError(f"the database {shown} holds tables of something else; give the store a database of its own")
    if not empty:
        if not replace:
            raise _refusal(shown)
        keep_old()
    # One transaction: whoever reads sees the old store until the new one is whole.
    with lock.session() as connection, connection.begin():
        for name in sorted(there):
            connection.execute(sa.text(f'drop table "{name}"'))
        connection.execute(sa.text("drop function if exists audit_guard()"))
        make_tables(connection)
        fill(connection, snapshot)
    return "" if empty else "kept"
