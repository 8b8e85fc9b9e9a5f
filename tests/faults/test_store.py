"""The store fails: its disk is full, another program holds it, it may not be written, it is damaged, two services want it."""

import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from tests.conftest import left_out
from tests.faults.conftest import LONG, Base, Starter, Supplier, log_of, problem_of, same, settings, until
from tests.web.conftest import Running

FAILS = 'earlywarning_failures_total{what="batch"}'


def as_root(*command: str | Path) -> None:
    """A command that only root may give. In CI it must work; elsewhere the test is left out."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    if done.returncode:
        said = f"{command[0]}: {done.stderr.strip()} (this test needs root, mount and chattr)"
        left_out(said)


@contextmanager
def small_disk(at: Path, megabytes: int) -> Iterator[Path]:
    """A disk of its own of so many megabytes."""
    at.mkdir()
    as_root("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", at)
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", at], check=True)


@contextmanager
def immutable(folder: Path) -> Iterator[None]:
    """Files of the store that nobody may change, not even root."""
    files = [folder / name for name in ("store.db", "store.db-wal") if (folder / name).exists()]
    as_root("chattr", "+i", *files)
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


def refused_start(folder: Path) -> str:
    """What a service says that does not start, and that it says it without a trace."""
    done = subprocess.run(
        [sys.executable, "-m", "earlywarning", "run", "--port", "0"], cwd=folder, capture_output=True, text=True, check=False,
        timeout=240,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def send_until_refused(supplier: Supplier) -> httpx.Response:
    """Batches until one is not taken. A log that was longer once has room for some."""
    while True:
        answer = supplier.post(supplier.batches[supplier.taken])
        assert answer is not None
        if answer.status_code != 207:
            return answer
        supplier.taken += 1


def says_that_it_cannot_keep(service: Running, words: str) -> None:
    """Every place where one looks tells the truth; who reads goes on reading."""
    ready = service.client.get("/readyz")
    assert ready.status_code == 503
    assert words in problem_of(ready)
    assert service.client.get("/healthz").status_code == 200
    assert service.client.get("/metrics").status_code == 200
    assert service.metric("earlywarning_ready") == 0
    assert service.metric(FAILS) >= 1
    assert service.client.get("/picture", headers={"accept": "text/html"}).status_code == 200
    assert service.client.get("/v1/alerts").status_code == 200
    log = log_of(service)
    assert "a batch could not be taken" in log
    assert words in log


def well_again(service: Running) -> float:
    """Seconds until it is ready by itself, without anybody sending."""
    begun = time.monotonic()
    until(lambda: service.client.get("/readyz").status_code == 200, "being well")
    assert service.metric("earlywarning_ready") == 1
    assert "the store keeps again" in log_of(service)
    return time.monotonic() - begun


def test_a_full_disk_refuses_with_words_and_takes_by_itself_when_there_is_space(
    base: Base, town: Path, start: Starter, told: Callable[..., None], tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 3) as disk:
        shutil.move(town / "store.db", disk / "store.db")
        url = f"sqlite:///{disk / 'store.db'}"
        settings(town, "sqlite:///store.db", url)
        service = start(town)
        supplier = Supplier(service, base.live)
        supplier.send_rest(len(base.live) // 4)
        with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
            while True:
                filler.write(b"x" * 4096)
        assert shutil.disk_usage(disk).free == 0
        answer = send_until_refused(supplier)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "10"
        assert "nothing of it was taken" in problem_of(answer)
        says_that_it_cannot_keep(service, "free space on the disk; nothing that was accepted is lost")
        if LONG:
            begun = time.monotonic()
            while time.monotonic() - begun < 120:
                assert service.client.get("/healthz").status_code == 200
                assert service.send(supplier.batches[supplier.taken]).status_code == 503
                time.sleep(1)
        (disk / "filler").unlink()
        seconds = well_again(service)
        supplier.all_kept()
        supplier.send_rest()
        service.stop()
        same(town, base, url)
    told(
        "disk full (a tmpfs of 3 MB filled to the last byte)",
        seen="503 with `Retry-After` and the way out; pages as before; /readyz 503 with the reason", well_after=seconds,
    )  # fmt: skip


def test_a_store_that_another_program_holds_is_said_and_waited_for(
    base: Base, town: Path, start: Starter, told: Callable[..., None]
) -> None:
    service = start(town)
    supplier = Supplier(service, base.live)
    supplier.send_rest(10)
    other = sqlite3.connect(town / "store.db", isolation_level=None)
    other.execute("begin immediate")
    answer = supplier.post(supplier.batches[supplier.taken])
    assert answer is not None
    assert answer.status_code == 503
    assert "another program holds the database; close it" in problem_of(answer)
    says_that_it_cannot_keep(service, "another program holds the database; close it")
    if LONG:
        time.sleep(120)
    other.execute("rollback")
    other.close()
    seconds = well_again(service)
    supplier.send_rest()
    service.stop()
    same(town, base)
    told(
        "database locked by another program",
        seen="a commit waits 10 s, then 503 with the reason; pages as before; shorter locks only delay answers", well_after=seconds,
    )  # fmt: skip


def test_a_store_that_may_not_be_written_is_said_running_and_starting(
    base: Base, town: Path, start: Starter, told: Callable[..., None]
) -> None:
    service = start(town)
    supplier = Supplier(service, base.live)
    supplier.send_rest(10)
    with immutable(town):
        answer = send_until_refused(supplier)
        assert answer.status_code == 503
        words = problem_of(answer).split("; ")[1]
        says_that_it_cannot_keep(service, words)
    seconds = well_again(service)
    supplier.send_rest()
    service.stop()
    same(town, base)
    with immutable(town):
        assert "give the service's user write access to the file and its folder" in refused_start(town)
    told(
        "store read-only (files immutable)", seen="503 with the reason; a start is refused with the way out; pages as before",
        well_after=seconds,
    )  # fmt: skip


def test_a_damaged_file_is_said_at_the_start_and_a_backup_is_the_way_out(
    base: Base, town: Path, start: Starter, told: Callable[..., None]
) -> None:
    service = start(town)
    supplier = Supplier(service, base.live)
    supplier.send_rest(20)
    service.stop()
    store, backup = town / "store.db", town / "backup.db"
    shutil.copy(store, backup)
    service.start()
    supplier.send_rest(20)
    service.stop()
    rng = random.Random(5)
    size = store.stat().st_size
    for _ in range(3):  # whole pages of the file, as after a disk's error
        with store.open("r+b") as file:
            file.seek(rng.randrange(1, size // 4096) * 4096)
            file.write(rng.randbytes(4096))
    said = refused_start(town)
    assert "damaged" in said or "not a sound database file" in said
    assert "restore it from a backup" in said
    # The way out: the backup in its place, and suppliers send again what came after it.
    for rest in town.glob("store.db-*"):
        rest.unlink()
    shutil.copy(backup, store)
    begun = time.monotonic()
    service.start()
    seconds = time.monotonic() - begun
    supplier.taken = 20
    supplier.all_kept()
    supplier.send_rest()
    service.stop()
    same(town, base)
    told(
        "corrupted pages, found at the start", seen="the start is refused: the file is damaged, restore it from a backup",
        lost="what came after the backup, until suppliers send it again", well_after=seconds,
    )  # fmt: skip


def test_a_file_damaged_under_a_running_service_gives_no_wrong_figures(
    base: Base, town: Path, start: Starter, told: Callable[..., None]
) -> None:
    service = start(town)
    asked = {"first": "2023-01-02", "area": ["level:2"], "category": ["level:2"]}
    right = service.client.get("/v1/counts", params=asked).json()["rows"]
    assert len(right) > 500
    store = town / "store.db"
    with sqlite3.connect(store) as other:
        other.execute("pragma wal_checkpoint(truncate)")
    rng = random.Random(6)
    with store.open("r+b") as file:
        for page in range(2, store.stat().st_size // 4096):
            file.seek(page * 4096 + rng.randrange(4000))
            file.write(rng.randbytes(40))
    with sqlite3.connect(store) as other:  # so that no connection trusts what it has in memory
        other.execute("pragma user_version=7")
    answer = service.client.get("/v1/counts", params=asked)
    assert answer.status_code == 503, "figures of a damaged store"
    assert "backup" in problem_of(answer)
    page = service.client.get("/areas/A0", headers={"accept": "text/html"})
    assert page.status_code in (200, 503)
    assert service.client.get("/healthz").status_code == 200
    assert service.client.get("/metrics").status_code == 200
    service.stop()
    assert "restore it from a backup" in refused_start(town)
    told(
        "file damaged under the running service", seen="503 with the reason in place of figures; the next start is refused",
        lost="what came after the backup, until suppliers send it again", well_after=0.0,
    )  # fmt: skip


def test_a_second_service_on_the_store_is_refused_and_the_first_unharmed(
    base: Base, town: Path, start: Starter, told: Callable[..., None]
) -> None:
    service = start(town)
    supplier = Supplier(service, base.live)
    supplier.start()
    begun = time.monotonic()
    for _ in range(10 if LONG else 2):
        said = refused_start(town)
        assert "in use by another process" in said
        assert service.address in said
        assert f"process {service.process.pid}" in said
        assert service.client.get("/readyz").status_code == 200
    seconds = time.monotonic() - begun
    supplier.join()
    assert not supplier.refusals
    service.stop()
    same(town, base)
    told(
        "two services on one store", seen="the second ends at once and names the first's process and address; the first goes on",
        well_after=0.0, seconds_of_refusals=round(seconds, 1),
    )  # fmt: skip
