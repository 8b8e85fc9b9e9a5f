"""How a store is opened: its URL becomes an engine, and its schema is brought up to date."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from earlywarning import __version__
from earlywarning.store.errors import WRITE_ACCESS, StoreError

log = structlog.get_logger(__name__)
WRITTEN_BY = "written-by"  # of source_state: the version that wrote last
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
        cursor.execute("pragma secure_delete=on")  # what is deleted is overwritten, not left on free pages
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("begin immediate" if writes else "begin")

    return engine


def schema_of(connection: sa.Connection) -> str | None:
    """The revision of a store's schema, None for one that is empty."""
    return MigrationContext.configure(connection).get_current_revision()


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


def known_schemas() -> list[str]:
    """The revisions that this version knows, the oldest first."""
    return [s.revision for s in ScriptDirectory.from_config(_migrations()).walk_revisions()][::-1]


def bring_up_to_date(connection: sa.Connection, *, writer: bool) -> None:
    """Make or migrate the schema in one transaction; a reader only checks it. A file is copied aside before it is migrated.

    Raises StoreError when it cannot be used. Call it with no transaction begun.
    """
    shown = connection.engine.url.render_as_string(hide_password=True)
    config, known = _migrations(), known_schemas()
    config.attributes["connection"] = connection
    with connection.begin():
        now = schema_of(connection)
        if now == known[-1]:
            if writer:
                _say_who_writes(connection)
            return
        if now is not None and now not in known:
            raise StoreError(_too_new(connection, shown, now, known[-1]))
        if not writer:
            what = "is empty" if now is None else f"has the older schema {now}"
            raise StoreError(f"the store {shown} {what}; {_START}")
        if now is not None:
            _copy_aside(connection, known[-1])
        command.upgrade(config, "head")
        _say_who_writes(connection)


def make_tables(connection: sa.Connection) -> None:
    """Make the tables of the newest schema, in the caller's transaction."""
    config = _migrations()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def migrate(url: str, schema: str) -> None:
    """Bring a database that nobody else uses to a schema, or to "head". Raises StoreError, SQLAlchemyError."""
    engine = make_engine(url, writer=False)
    config = _migrations()
    try:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, schema)
    finally:
        engine.dispose()


def _migrations() -> Config:
    config = Config()
    # Doubled, since Alembic reads the option with interpolation.
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config


def _say_who_writes(connection: sa.Connection) -> None:
    """Keep which version wrote the store last: an older one that meets a newer schema tells it."""
    t = sa.table("source_state", sa.column("name"), sa.column("body"))
    kept = connection.execute(sa.select(t.c.body).where(t.c.name == WRITTEN_BY)).scalar()
    if kept is None:
        connection.execute(t.insert().values(name=WRITTEN_BY, body=__version__))
    elif kept != __version__:
        connection.execute(t.update().where(t.c.name == WRITTEN_BY).values(body=__version__))


def _too_new(connection: sa.Connection, shown: str, schema: str, newest: str) -> str:
    try:
        wrote = connection.execute(sa.text("select body from source_state where name = :name"), {"name": WRITTEN_BY}).scalar()
    except SQLAlchemyError:  # the newer schema may keep it elsewhere
        wrote = None
    by = f"earlywarning {wrote}" if wrote else "a newer version of earlywarning"
    return (
        f"the store {shown} has schema {schema}, made by {by}; this is earlywarning {__version__}, which knows schema {newest}: "
        f"start {by} again, or restore what was backed up before the upgrade (earlywarning restore)"
    )


def _copy_aside(connection: sa.Connection, newest: str) -> None:
    """Keep a SQLite store as it is before it is migrated, in a file beside it. Raises StoreError when there is no room."""
    database = connection.engine.url.database
    if connection.dialect.name != "sqlite" or not database or database == ":memory:":
        return
    aside = Path(f"{database}.before-{newest}")
    try:
        copy_sqlite(Path(database), aside)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"the store {database} could not be copied to {aside} before its upgrade ({error}); make room") from error
    log.info("the store was copied before its schema is upgraded", copy=str(aside), schema=newest)


def copy_sqlite(database: Path, to: Path) -> None:
    """Copy a SQLite database, as one committed state, also while it is written to. The copy appears whole or not at all.

    Raises OSError, sqlite3.Error.
    """
    part = to.with_name(f".{to.name}.{os.getpid()}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        from_it = sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=30)
        with closing(from_it) as source, closing(sqlite3.connect(part)) as target:
            source.backup(target)  # all pages in one step: one read transaction, so one state
            target.execute("pragma journal_mode=delete")  # one file, without a log beside it
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(to)
    finally:
        part.unlink(missing_ok=True)
