"""A store is made, migrated or refused when it is opened; an error says what to do."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from earlywarning.core.changes import Changes
from earlywarning.store import Store, StoreError, opening
from earlywarning.store.tables import metadata

MakeChanges = Callable[..., Changes]
_NEWEST = max(p.name[:4] for p in (Path(opening.__file__).parent / "migrations/versions").glob("0*.py"))
on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def _connect(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.NullPool)


def test_the_migrations_make_what_the_tables_say(store: Store, url: str) -> None:
    store.ping()
    with _connect(url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_an_older_store_is_migrated_and_keeps_what_it_holds(
    url: str, changes: MakeChanges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(url, writer=True) as store:
        store.commit(changes(pages={1: b"one"}))
    _with_a_further_migration(tmp_path, monkeypatch, "op.add_column('pages', sa.Column('note', sa.Text))")
    with pytest.raises(StoreError, match=f"has the older schema {_NEWEST}; start the service once"):
        Store.open(url)
    with Store.open(url, writer=True) as store:
        assert list(store.pages("0380")) == [(1, b"one")]
    with _connect(url).connect() as connection:
        assert connection.execute(sa.text("select day, note from pages")).all() == [(1, None)]
        assert connection.execute(sa.text("select version_num from alembic_version")).scalar() == "9000"


def test_a_migration_that_fails_midway_leaves_the_store_as_it_was(
    url: str, changes: MakeChanges, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Store.open(url, writer=True) as store:
        store.commit(changes(pages={1: b"one"}))
    with monkeypatch.context() as patched:
        _with_a_further_migration(tmp_path, patched, "op.drop_table('alerts'); op.execute('insert into no_such_table values (1)')")
        with pytest.raises(StoreError, match="no_such_table"):
            Store.open(url, writer=True)
    with Store.open(url, writer=True) as store:  # as the version before
        assert list(store.pages("0380")) == [(1, b"one")]
        assert store.alerts() == []


def _with_a_further_migration(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """As if the installed version had one more migration than that which made the store."""
    ours = Path(opening.__file__).parent / "migrations"
    theirs = folder / "package" / "migrations"
    (theirs / "versions").mkdir(parents=True)
    for path in (Path("env.py"), *(Path("versions") / p.name for p in (ours / "versions").glob("0*.py"))):
        (theirs / path).write_text((ours / path).read_text())
    (theirs / "versions" / "9000_further.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n"
        f"revision, down_revision, branch_labels, depends_on = '9000', '{_NEWEST}', None, None\n\n\n"
        f"def upgrade():\n    {body}\n"
    )
    monkeypatch.setattr(opening, "__file__", str(theirs.parent / "opening.py"))


def test_a_newer_store_is_refused_by_writer_and_reader(url: str) -> None:
    Store.open(url, writer=True).close()
    with _connect(url).begin() as connection:
        connection.execute(sa.text("update alembic_version set version_num = '9999'"))
    for writer in (True, False):
        with pytest.raises(StoreError, match=f"schema 9999, made by .*which knows schema {_NEWEST}: start"):
            Store.open(url, writer=writer)


_INTERRUPTED = """
import os, signal, sys
import sqlalchemy as sa
from earlywarning.store import Store

@sa.event.listens_for(sa.Engine, "before_cursor_execute")
def stop(connection, cursor, statement, *rest):
    if "CREATE TABLE dead_letters" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

Store.open(sys.argv[1], writer=True)
"""


def test_a_store_whose_making_was_killed_is_made_anew(url: str) -> None:
    killed = subprocess.run([sys.executable, "-c", _INTERRUPTED, url], check=False)
    assert killed.returncode == -signal.SIGKILL
    with Store.open(url, writer=True) as store:
        store.ping()
        assert store.dead_letters() == []


def test_a_reader_does_not_make_a_store(url: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="start the service once"):
        Store.open(url)
    assert list(tmp_path.glob("*.db*")) == []


def test_a_writer_makes_the_folder_of_its_store(tmp_path: Path) -> None:
    with Store.open(f"sqlite:///{tmp_path}/var/lib/store.db", writer=True) as store:
        store.ping()


@on_sqlite
def test_the_file_is_in_wal_mode_and_synced_in_full(store: Store) -> None:
    with store._engine.connect() as connection:
        asked = [
            connection.exec_driver_sql(f"pragma {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert asked == ["wal", 2, 1, 10_000]


@on_sqlite
@pytest.mark.parametrize("writer", [True, False])
def test_a_file_that_is_no_database_is_named(url: str, tmp_path: Path, writer: bool) -> None:
    (tmp_path / "store.db").write_bytes(b"no database, only words" * 100)
    with pytest.raises(StoreError, match=r"store\.db: file is not a database; .*restore it from a backup"):
        Store.open(url, writer=writer)
    assert (tmp_path / "store.db").read_bytes().startswith(b"no database")


@on_sqlite
def test_a_damaged_database_is_named(url: str, tmp_path: Path, changes: MakeChanges) -> None:
    with Store.open(url, writer=True) as store:
        store.commit(changes(pages={day: bytes(3000) for day in range(100)}))
    file = tmp_path / "store.db"
    size = file.stat().st_size
    with file.open("r+b") as f:
        f.seek(8192)
        f.write(b"\xff" * (size - 8192))
    with pytest.raises(StoreError, match="restore it from a backup"), Store.open(url, writer=True) as store:
        list(store.pages("0380"))


@on_sqlite
def test_an_alert_that_cannot_be_read_is_an_error_of_the_store(
    store: Store, url: str, alert: Callable[..., object], changes: MakeChanges
) -> None:
    store.commit(changes(alerts=[alert()]))
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("update alerts set body = '{}'")
    connection.close()
    with pytest.raises(StoreError, match="cannot be read"):
        store.alerts()


@contextmanager
def _as_a_common_user() -> Iterator[Path]:
    """A folder that may not be written to; root, who may write anywhere, becomes nobody for a while."""
    folder = Path(tempfile.mkdtemp(prefix="earlywarning-readonly-"))
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_a_folder_that_may_not_be_written_to_is_named() -> None:
    with _as_a_common_user() as folder:
        with pytest.raises(StoreError, match=rf"{folder}.*give the service's user write access"):
            Store.open(f"sqlite:///{folder}/store.db", writer=True)
        with pytest.raises(StoreError, match=rf"{folder}.*give the service's user write access"):
            Store.open(f"sqlite:///{folder}/further/store.db", writer=True)


@on_sqlite
def test_a_full_disk_keeps_nothing_of_the_commit_and_says_so(store: Store, changes: MakeChanges) -> None:
    store.commit(changes(pages={1: b"one"}))

    @sa.event.listens_for(store._engine, "checkout")
    def _limit(connection: sqlite3.Connection, *_: object) -> None:
        pages = connection.execute("pragma page_count").fetchone()[0]
        connection.execute(f"pragma max_page_count = {pages}")

    with pytest.raises(StoreError, match="is full; free space on the disk"):
        store.commit(changes(pages={1: bytes(100_000), 2: bytes(100_000)}))
    assert list(store.pages("0380")) == [(1, b"one")]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_server_that_does_not_answer_is_named_without_its_password(url: str) -> None:
    for wrong in ("postgresql://someone:secret@127.0.0.1:1/store", url.replace("/store_", "/missing_")):
        with pytest.raises(StoreError, match=r"check that the database server runs and that store\.url is right") as told:
            Store.open(wrong, writer=True)
        assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [("nonsense", "is not a database URL"), ("mysql://host/db", "not supported"), ("sqlite:", "is not a database URL")],
)
def test_a_url_of_no_store_is_refused_with_what_to_write(wrong: str, told: str) -> None:
    with pytest.raises(StoreError, match=rf"{told}.*(write sqlite:///file\.db or postgresql://)"):
        Store.open(wrong, writer=True)


@on_sqlite
def test_a_store_that_vanishes_does_not_answer_the_ping(store: Store, tmp_path: Path) -> None:
    store.ping()
    store._engine.dispose()
    (tmp_path / "store.db").write_bytes(b"overwritten by something else" * 500)
    for beside in ("store.db-wal", "store.db-shm"):
        (tmp_path / beside).unlink(missing_ok=True)
    with pytest.raises(StoreError):
        store.ping()


def test_a_database_of_something_else_is_left_alone(url: str) -> None:
    with _connect(url).begin() as connection:
        connection.execute(sa.text("create table alerts (theirs int)"))
        connection.execute(sa.text("insert into alerts values (1)"))
    with pytest.raises(StoreError, match="holds tables of something else"):
        Store.open(url, writer=True)
    with _connect(url).connect() as connection:
        assert sa.inspect(connection).get_table_names() == ["alerts"]
        assert connection.execute(sa.text("select * from alerts")).all() == [(1,)]
