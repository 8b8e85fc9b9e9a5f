"""One writer for a store: a lock that the system itself releases when the holder dies."""

import fcntl
import os
from pathlib import Path

from sqlalchemy import Connection, Engine, text


class StoreLocked(RuntimeError):
    """Another process writes to the store; `holder` says which, when that is known."""

    def __init__(self, url: str, holder: str) -> None:
        self.holder = holder
        who = f" ({holder})" if holder else ""
        super().__init__(f"the store {url} is in use by another process{who}; stop it, or send to it over HTTP")


class WriterLock:
    """Held from creation to `release`. SQLite: a lock on a file beside the database; PostgreSQL: an advisory lock."""

    def __init__(self, engine: Engine, holder: str) -> None:
        self._connection: Connection | None = None
        self._file: int | None = None
        url = engine.url
        if url.get_backend_name() == "postgresql":
            self._connection = engine.connect()
            taken = self._connection.execute(text("select pg_try_advisory_lock(20230196)")).scalar()
            self._connection.commit()
            if not taken:
                self._connection.close()
                raise StoreLocked(url.render_as_string(hide_password=True), "")
            return
        if not url.database or url.database == ":memory:":
            return
        path = Path(f"{url.database}.lock")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            known = os.pread(self._file, 200, 0).decode(errors="replace").strip()
            os.close(self._file)
            raise StoreLocked(url.database, known) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"process {os.getpid()} {holder}".encode(), 0)

    def release(self) -> None:
        """Let the next writer in."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
