"""One writer for a store: a lock that the system itself releases when the holder dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from earlywarning.store.errors import StoreLocked

_KEY = 20230196  # of PostgreSQL's advisory lock; it counts within one database
_HOLDER = sa.text(
    "select activity.application_name from pg_locks held join pg_stat_activity activity using (pid)"
    " where held.locktype = 'advisory' and held.classid = 0 and held.objid = :key and held.granted"
    " and held.database = (select oid from pg_database where datname = current_database())"
)


class WriterLock:
    """Held from creation to `release`. SQLite: a lock on a file beside the database; PostgreSQL: an advisory lock.

    holder: where the holder can be reached; told to those who find the store in use. Raises StoreLocked.
    """

    def __init__(self, engine: sa.Engine, holder: str) -> None:
        self._engine, self._holder = engine, f"process {os.getpid()} {holder}".strip()
        self._connection: sa.Connection | None = None
        self._file: int | None = None
        if engine.dialect.name == "postgresql":
            self._connection = self._take_advisory()
        elif engine.url.database and engine.url.database != ":memory:":
            self._file = self._take_file(engine.url.database)

    def _take_file(self, database: str) -> int:
        file = os.open(Path(f"{database}.lock"), os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            known = os.pread(file, 200, 0).decode(errors="replace").strip()
            os.close(file)
            raise StoreLocked(database, known) from error
        os.ftruncate(file, 0)
        os.pwrite(file, self._holder.encode(), 0)
        return file

    def _take_advisory(self) -> sa.Connection:
        connection = self._engine.connect()
        # Out of the pool: a connection given back to the pool stays open, and its lock would outlive the release.
        connection.detach()
        try:
            name = {"name": self._holder[:63]}  # as long as PostgreSQL keeps it
            connection.execute(sa.text("select set_config('application_name', :name, false)"), name)
            taken = connection.execute(sa.text("select pg_try_advisory_lock(:key)"), {"key": _KEY}).scalar()
            known = "" if taken else connection.execute(_HOLDER, {"key": _KEY}).scalar() or ""
            connection.commit()
        except BaseException:
            connection.close()
            raise
        if not taken:
            connection.close()
            raise StoreLocked(self._engine.url.render_as_string(hide_password=True), known)
        return connection

    @contextmanager
    def session(self) -> Iterator[sa.Connection]:
        """The connection to write on, to be used by one thread at a time.

        On PostgreSQL it is the one that holds the lock, so that a writer whose lock is lost with its connection cannot
        write beside its successor; a lost one is taken anew. Raises StoreLocked when another was quicker.
        """
        if self._connection is None:
            with self._engine.connect() as connection:
                yield connection.execution_options(writes=True)
            return
        try:
            self._connection.execute(sa.text("select 1"))
            self._connection.rollback()
        except SQLAlchemyError:
            with suppress(SQLAlchemyError):
                self._connection.close()
            self._connection = self._take_advisory()
        yield self._connection

    def release(self) -> None:
        """Let the next writer in."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
