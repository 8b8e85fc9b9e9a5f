"""A real service as a process, a supplier that sends until it is answered, and what an undisturbed run would have kept.

Short by default. EARLYWARNING_TORTURE=1 makes every fault last as long as it does in life, EARLYWARNING_KILLS says how often the
service is killed, and EARLYWARNING_TORTURE_OUT names a file to which each test adds what it saw: see tests/faults/torture.py.
"""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import httpx
import msgspec
import pytest

from earlywarning.core.events import Decoded
from earlywarning.runtimes.embedded import Service
from earlywarning.settings import load_settings
from earlywarning.sources.supply import Supply
from tests.core.town import CODE, NOW, history, merged, surge
from tests.kafka.town import Kept, kept
from tests.web.conftest import Running, write_town

LONG = os.environ.get("EARLYWARNING_TORTURE") == "1"
KILLS = int(os.environ.get("EARLYWARNING_KILLS", "5"))
PATIENCE = 60.0
FIRST_LIVE = 440  # days from the town's beginning; what is earlier is there when the service starts

Event = dict[str, object]


class Base(NamedTuple):
    """folder: with settings, registers and a store of 440 days; live: batches for the service; wanted: what they leave behind."""

    folder: Path
    live: list[list[Event]]
    wanted: Kept


def until(true: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Ask until the answer is true; a service that does not answer says no."""
    deadline = time.monotonic() + patience
    while True:
        with suppress(httpx.TransportError):
            if found := true():
                return found
        assert time.monotonic() < deadline, f"{what} did not come about in {patience:g} s"
        time.sleep(0.05)


def wire(event: object) -> Event:
    return {k: v for k, v in msgspec.to_builtins(event).items() if v is not None}


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("faults")
    write_town(folder)
    events = merged(history(3, days=500), surge(430), surge(455), surge(470, area="A4", category="C1"), surge(490, area="A2"))
    cut = next(i for i, e in enumerate(events) if (e.recorded_at - events[0].recorded_at).days >= FIRST_LIVE)
    live = [events[i : i + 2] for i in range(cut, len(events), 2)]
    take(folder, [events[:cut]])
    calm = tmp_path_factory.mktemp("undisturbed")
    shutil.copytree(folder, calm, dirs_exist_ok=True)
    take(calm, live)
    wanted = kept(f"sqlite:///{calm / 'store.db'}", CODE)
    before = kept(f"sqlite:///{folder / 'store.db'}", CODE)
    assert len(wanted.alerts) >= len(before.alerts) + 3, "or nothing is tested"
    return Base(folder, [[wire(e) for e in batch] for batch in live], wanted)


def take(folder: Path, batches: Sequence[Sequence[Any]]) -> None:
    """Into its store, in this process."""
    service = Service.open(load_settings(folder / "earlywarning.toml"))
    try:
        for batch in batches:
            service.take([Supply(Decoded(list(batch), list(range(len(batch))), []), "http")], NOW)
    finally:
        service.stop()


class Starter(Protocol):
    """Starts services that are ended with the test."""

    def __call__(self, folder: Path, **how: Any) -> Running: ...


@pytest.fixture
def start() -> Iterator[Starter]:
    started: list[Running] = []

    def begin(folder: Path, **how: Any) -> Running:
        started.append(Running(folder, **how))
        return started[-1]

    yield begin
    for service in started:
        if service.process.poll() is None:
            service.kill()


@pytest.fixture
def town(base: Base, tmp_path: Path) -> Path:
    """A folder of its own with the store of 440 days."""
    folder = tmp_path / "town"
    shutil.copytree(base.folder, folder)
    return folder


def settings(folder: Path, old: str, new: str) -> None:
    """Change the settings file."""
    file = folder / "earlywarning.toml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


class Supplier:
    """Sends batches in their order, each until it is taken, as the documentation asks suppliers to; keeps every answer."""

    def __init__(self, service: Running, batches: Sequence[Sequence[Event]]) -> None:
        self.service, self.batches = service, batches
        self.taken = 0  # batches
        self.refusals: list[tuple[int, str]] = []  # (status, text); status 0: no answer
        self.accepted: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def post(self, batch: Sequence[Event], timeout: float = 60) -> httpx.Response | None:
        """One attempt; None without an answer."""
        try:
            answer = httpx.post(f"{self.service.address}/v1/events", json=batch, timeout=timeout)
        except httpx.TransportError as error:
            self.refusals.append((0, type(error).__name__))
            return None
        if answer.status_code != 207:
            self.refusals.append((answer.status_code, answer.text))
            return answer
        for result in answer.json()["results"]:
            assert result["outcome"] in ("accepted", "repeated"), result
            self.accepted.add(result["event_id"])
        return answer

    def send(self, batch: Sequence[Event]) -> None:
        """Until it is taken."""
        while not self._stop.is_set():
            answer = self.post(batch)
            if answer is not None and answer.status_code == 207:
                self.taken += 1
                return
            self._stop.wait(0.1)

    def send_rest(self, most: int | None = None) -> None:
        """All that is left, or so many batches of it."""
        for batch in self.batches[self.taken :][:most]:
            self.send(batch)

    def start(self) -> None:
        self._thread.start()

    def join(self, patience: float = PATIENCE) -> None:
        self._thread.join(patience)
        assert not self._thread.is_alive(), f"{len(self.batches) - self.taken} batches are left; last refusal {self.refusals[-1:]}"

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)

    def _run(self) -> None:
        for batch in self.batches:
            if not self._stop.is_set():
                self.send(batch)

    def all_kept(self) -> None:
        """What was accepted is there: sent once more, each is found to be a repetition."""
        done = [event for batch in self.batches[: self.taken] for event in batch]
        if done:
            answer = httpx.post(f"{self.service.address}/v1/events", json=done, timeout=60)
            assert answer.status_code == 207, answer.text
            assert answer.json()["counts"] == {"repeated": len(done)}, "what was accepted is not there"


def same(folder: Path, base: Base, url: str = "") -> None:
    """The store holds what an undisturbed run leaves: each event once, the same pages, alerts, history and notes."""
    got = kept(url or f"sqlite:///{folder / 'store.db'}", CODE)
    want = base.wanted
    assert got.alerts == want.alerts
    assert [h for h in got.history if h[1] not in ("withdrawn", "reopened")] == [
        h for h in want.history if h[1] not in ("withdrawn", "reopened")
    ]
    assert got.pages == want.pages
    assert got.clock == want.clock
    assert got.notes == want.notes
    assert got.letters == want.letters


def log_of(service: Running) -> str:
    return (service.folder / "log").read_text()


def problem_of(answer: httpx.Response) -> str:
    """What a refusal says."""
    return str(answer.json()["problem"])


@pytest.fixture
def told(request: pytest.FixtureRequest) -> Callable[..., None]:
    """told(fault=, seen=, lost=, well_after=): a row of the table in docs/reliability.md."""

    def add(fault: str, *, seen: str, lost: str = "nothing", well_after: float, **more: object) -> None:
        row: Mapping[str, object] = {
            "fault": fault, "seen": seen, "lost": lost, "well_after_seconds": round(well_after, 1), "test": request.node.nodeid,
            **more,
        }  # fmt: skip
        if out := os.environ.get("EARLYWARNING_TORTURE_OUT"):
            with Path(out).open("a") as file:
                file.write(json.dumps(row) + "\n")

    return add
