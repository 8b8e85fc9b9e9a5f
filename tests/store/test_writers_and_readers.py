"""One writer, any number of readers; a dead writer does not keep the store."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from earlywarning.core.changes import Changes
from earlywarning.store import Store, StoreError, StoreLocked

MakeChanges = Callable[..., Changes]

_HOLD = """
import sys, threading
from earlywarning.store import Store
store = Store.open(sys.argv[1], writer=True, holder="127.0.0.1:9999")
print("held", flush=True)
threading.Event().wait()
"""


def test_a_second_writer_is_refused_and_told_who_holds_the_store(store: Store, url: str) -> None:
    with pytest.raises(StoreLocked, match=rf"process {os.getpid()} 127\.0\.0\.1:8080") as refused:
        Store.open(url, writer=True, holder="127.0.0.1:8081")
    assert refused.value.holder == f"process {os.getpid()} 127.0.0.1:8080"
    assert isinstance(refused.value, StoreError)
    store.ping()  # the first one goes on


def test_the_next_writer_gets_in_once_the_store_is_closed(url: str, changes: MakeChanges) -> None:
    for day in range(3):
        with Store.open(url, writer=True, holder=f"number {day}") as store:
            store.commit(changes(pages={day: b"x"}))
    with Store.open(url) as reader:
        assert len(list(reader.pages("0380"))) == 3


def test_a_writer_that_is_killed_leaves_the_lock_free(url: str) -> None:
    holder = subprocess.Popen([sys.executable, "-c", _HOLD, url], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreLocked, match=rf"process {holder.pid} 127\.0\.0\.1:9999"):
            Store.open(url, writer=True)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    _free(url).close()


def _free(url: str) -> Store:
    """PostgreSQL notices a killed client when the kernel closes its socket, a moment after the process is gone."""
    for _ in range(100):
        try:
            return Store.open(url, writer=True)
        except StoreLocked:
            threading.Event().wait(0.05)
    return Store.open(url, writer=True)


def test_a_reader_sees_what_is_kept_while_a_writer_works(store: Store, url: str, changes: MakeChanges) -> None:
    store.commit(changes(pages={1: b"one", 2: b"two"}))
    with Store.open(url) as reader:
        reading = reader.pages("0380")
        assert next(reading) == (1, b"one")
        store.commit(changes(pages={2: b"changed", 3: b"three"}))  # does not wait for the reader
        assert list(reading) == [(2, b"two")]  # one reading is of one moment
        assert list(reader.pages("0380")) == [(1, b"one"), (2, b"changed"), (3, b"three")]


def test_threads_of_the_writer_take_turns(store: Store, changes: MakeChanges) -> None:
    def write(first: int) -> None:
        for day in range(first, first + 10):
            store.commit(changes(pages={day: b"x"}), source_state={"last": str(day)})

    threads = [threading.Thread(target=write, args=(100 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(store.pages("0380"))) == 40


def _cut_all_connections(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_writer_whose_connection_is_cut_takes_its_lock_anew(store: Store, url: str, changes: MakeChanges) -> None:
    store.commit(changes(pages={1: b"one"}))
    _cut_all_connections(url)
    store.commit(changes(pages={2: b"two"}))
    with pytest.raises(StoreLocked):
        Store.open(url, writer=True)
    assert [day for day, _ in store.pages("0380")] == [1, 2]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_writer_that_lost_its_lock_to_another_keeps_nothing(store: Store, url: str, changes: MakeChanges) -> None:
    _cut_all_connections(url)
    with Store.open(url, writer=True, holder="the successor") as successor:
        successor.commit(changes(pages={1: b"successor"}))
        for _ in range(2):
            with pytest.raises(StoreLocked, match="the successor"):
                store.commit(changes(pages={1: b"late"}))
    assert list(store.pages("0380")) == [(1, b"successor")]
    store.commit(changes(pages={1: b"back"}))  # once the other is gone
    assert list(store.pages("0380")) == [(1, b"back")]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_commit_during_which_the_lock_is_lost_keeps_nothing(store: Store, url: str, changes: MakeChanges) -> None:
    def lose_the_lock(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith("INSERT INTO pages"):
            with psycopg.connect(url, autocommit=True) as other:
                other.execute(
                    "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
                    " and database = (select oid from pg_database where datname = current_database())"
                )

    sa.event.listen(store._engine, "before_cursor_execute", lose_the_lock)
    with pytest.raises(StoreError):
        store.commit(changes(pages={1: b"one"}))
    sa.event.remove(store._engine, "before_cursor_execute", lose_the_lock)
    assert list(store.pages("0380")) == []


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_commit_holds_the_database_from_its_start(store: Store, tmp_path: Path) -> None:
    """So that a program that heeds no lock, such as the sqlite3 shell, waits, and does not break a commit midway."""
    with store.writing():
        shell = sqlite3.connect(tmp_path / "store.db", timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            shell.execute("begin immediate")
        shell.close()


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_lock_stands_beside_the_file(store: Store, tmp_path: Path) -> None:
    assert (tmp_path / "store.db.lock").read_text() == f"process {os.getpid()} 127.0.0.1:8080"


def test_who_sees_that_something_was_kept_finds_the_days_that_it_touched(store: Store, changes: MakeChanges) -> None:
    missed, seen = [], 0
    writer = threading.Thread(target=lambda: [store.commit(changes(pages={n: b"page"}, page_events={n: 1})) for n in range(1, 41)])
    writer.start()
    while seen < 40:
        now = store.commits
        missed += sorted(set(range(seen + 1, now + 1)) - set(store.touched("0380", seen)))
        seen = now
    writer.join()
    assert missed == []
    assert store.touched("0380", 39) == [40]
    assert store.touched("0180", 0) == []
