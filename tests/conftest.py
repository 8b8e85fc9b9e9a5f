"""A real PostgreSQL for all tests that want one: a throw-away cluster on loopback, started once a session.

No drawn case fails for having taken long: Hypothesis' own deadline of 200 ms is lifted, as a busy machine exceeds it.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import psycopg
import pytest

hypothesis.settings.register_profile("untimed", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("untimed")

_INSTALL = "PostgreSQL is not installed; on Debian: apt-get install postgresql"
_PATIENCE = 30.0  # seconds for the server to start or to stop

# What takes longest begins first, so that no process is left alone with it at the end.
_LONGEST = (
    "kafka/test_equal_results.py", "faults/test_store.py", "kafka/test_service.py", "core/test_quality.py", "core/test_budget.py",
    "faults/test_broker.py", "core/test_lateness.py", "web/test_browser.py", "web/test_events_by_http.py",
    "web/test_browser_paths.py", "cli/test_commands.py", "faults/test_load.py", "faults/test_clock.py", "web/test_reading.py",
    "kafka/test_reading.py", "kafka/test_pages_at_the_desk.py", "faults/test_killed.py", "cli/test_killed_while_ingesting.py",
    "backup/test_while_it_runs.py", "cli/test_routes.py", "cli/test_outbox_commands.py", "core/test_online_fdr.py",
    "core/test_engine.py", "kafka/test_feedback.py",
)  # fmt: skip


def pytest_xdist_auto_num_workers() -> int:
    """Two processes more than there are cores: many tests wait for brokers, browsers and clocks."""
    return (os.cpu_count() or 1) + 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring the longest files to the front; within a file the order stays."""
    rank = {Path(__file__).parent / name: i for i, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


def _programs() -> Path:
    """The folder of initdb and postgres, of the newest version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: float(p.parts[-3]))
    on_path = shutil.which("postgres")
    if found:
        return found[-1].parent
    if on_path and shutil.which("initdb"):
        return Path(on_path).parent
    left_out(_INSTALL)


def left_out(why: str) -> NoReturn:
    """Leave a test out for want of something; in CI, where everything must be there, it fails instead."""
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def _unprivileged() -> dict[str, Any]:
    """Whom the server runs as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    left_out("tests run as root, PostgreSQL refuses root, and there is no user postgres or nobody")


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _await_answer(server: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
            return
        except psycopg.OperationalError as error:
            if server.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"PostgreSQL did not start ({error}): {log.read_text()[-2000:]}")
            time.sleep(0.05)


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """URL of an empty database of a real PostgreSQL server, which lives as long as the session. No fsync: tests only."""
    programs = _programs()
    account = _unprivileged()
    folder = Path(tempfile.mkdtemp(prefix="earlywarning-postgresql-"))
    if account:
        os.chown(folder, account["user"], account["group"])
    data, log = folder / "data", folder / "log"
    quiet: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "cwd": folder,
        "env": {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
    }
    make: list[str | Path] = [programs / "initdb", "-D", data, "-U", "earlywarning", "-A", "trust", "-E", "UTF8", "--no-sync"]
    try:
        made = subprocess.run(make, capture_output=True, text=True, check=False, **quiet, **account)
        if made.returncode:
            pytest.fail(f"initdb: {made.stderr}")
        port = _free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "shared_buffers": "32MB",
            "timezone": "Europe/Stockholm",  # not UTC: so that what depends on the server's zone is found
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with log.open("wb") as out:
            start: list[str | Path] = [programs / "postgres", "-D", data, "-p", str(port), *options]
            server: subprocess.Popen[bytes] = subprocess.Popen(start, stdout=out, stderr=out, **quiet, **account)
        try:
            url = f"postgresql://earlywarning@127.0.0.1:{port}/postgres"
            _await_answer(server, url, log)
            yield url
        finally:
            server.send_signal(2)  # SIGINT: the fast shutdown, which does not wait for clients
            try:
                server.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def debian_program(name: str, package: str) -> str:
    """The path of a program that a test cannot do without. In CI it must be there; elsewhere the test is left out."""
    found = shutil.which(name)
    if found:
        return found
    left_out(f"{name} is not installed; on Debian: apt-get install {package}")
