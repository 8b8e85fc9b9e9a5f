"""How a store is opened: its URL becomes an engine, and its schema is brought up to date."""

import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from earlywarning.store.errors import WRITE_ACCESS, StoreError

_PATIENCE = 10.0  # seconds that a commit waits for another program; then who sends is told to come again
_START = "start the service once (earlywarning run) or ingest a file"


def make_engine(url: str, *, writer: bool) -> sa.Engine:
    """The engine of a store's URL. SQLite: WAL, full sync, foreign keys; a reader makes no file. Raises StoreError."""
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg://" + url.removeprefix("postgresql://")
    try:
        parsed = sa.make_url(url)
        backend = parsed.get_backend_name()
    except SQLAlchemyError as error:
        raise StoreError("store.url is not a database URL; write sqlite:///file.db or postgresql://...") from error
    shown = parsed.render_as_string(hide_password=True)
    if backend == "postgresql":
        try:
            return sa.create_engine(parsed, pool_pre_ping=True)
        except ModuleNotFoundError as error:
            raise StoreError("PostgreSQL needs the extra: pip install 'earlywarning[postgresql]'") from error
    if backend != "sqlite":
        raise StoreError(f"store {shown}: {backend} is not supported; write sqlite:///file.db or postgresql://...")
    if parsed.database and parsed.database != ":memory:":
        path = Path(parsed.database)
        if writer:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not os.access(path, os.W_OK):
                # SQLite would write its log beside the file, and fail only when the log is written back.
                raise StoreError(f"store {shown}: the file may not be written; {WRITE_ACCESS}")
        elif not path.exists():
            raise StoreError(f"there is no store {shown}; {_START}")
    return _sqlite(parsed, writer=writer)


def _sqlite(url: sa.URL, *, writer: bool) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": _PATIENCE})

    @sa.event.listens_for(engine, "connect")
    def _set_up(connection: Any, _: object) -> None:
        # The driver's own transactions leave DDL and reads outside; ours begin below. So a migration is whole or
        # not at all, also when the process is killed in its midst.
        connection.isolation_level = None
        cursor = connection.cursor()
        if writer:
            cursor.execute("pragma journal_mode=wal")
            # The log is written back in idle moments (Store.tidy), not in the middle of a commit: 80 MB at the most.
            cursor.execute("pragma wal_autocheckpoint=20000")
        cursor.execute("pragma synchronous=full")
        cursor.execute("pragma foreign_keys=on")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("begin immediate" if writes else "begin")

    return engine


def check_sound(connection: sa.Connection) -> None:
    """SQLite: look through the whole file once, before a writer trusts it. Raises StoreError when it is damaged.

    A damaged page is else found when somebody happens to read it, and written over meanwhile. The long check and not the quick one:
    only it finds a row whose key has changed, such as a day page that has moved to another day. Call it with no transaction begun.
    """
    if connection.dialect.name != "sqlite":
        return
    try:
        found = connection.exec_driver_sql("pragma integrity_check(1)").scalar()
    except UnicodeDecodeError:
        found = "its names are no text"
    connection.rollback()
    if found != "ok":
        shown = connection.engine.url.render_as_string(hide_password=True)
        raise StoreError(f"store {shown}: the file is damaged ({' '.join(str(found).split())[:200]}); restore it from a backup")


def bring_up_to_date(connection: sa.Connection, *, writer: bool) -> None:
    """Make or migrate the schema in one transaction; a reader only checks it. Raises StoreError when it cannot be used.

    Call it with no transaction begun.
    """
    shown = connection.engine.url.render_as_string(hide_password=True)
    config = Config()
    # Doubled, since Alembic reads the option with interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    script = ScriptDirectory.from_config(config)
    newest = script.get_current_head()
    with connection.begin():
        now = MigrationContext.configure(connection).get_current_revision()
        if now == newest:
            return
        if now is not None and now not in {s.revision for s in script.walk_revisions()}:
            raise StoreError(f"the store {shown} has schema {now}, made by a newer version; this version knows {newest}: upgrade")
        if not writer:
            what = "is empty" if now is None else f"has the older schema {now}"
            raise StoreError(f"the store {shown} {what}; {_START}")
        command.upgrade(config, "head")
