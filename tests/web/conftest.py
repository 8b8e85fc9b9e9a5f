"""A real service in a process of its own, on a free loopback port, ended by the process that was started."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from litestar.testing import TestClient
from playwright.sync_api import Browser, Page, expect

from earlywarning.core.events import Decoded
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.lab_recordings import Recordings
from earlywarning.settings import load_settings
from earlywarning.sources.supply import Supply
from earlywarning.web.api import make_app
from tests.core.town import CATEGORIES, CODE, NOW, areas_text, history, merged, surge
from tests.web.browser import Open, axe_source, chromium

SETTINGS = f"""
[municipality]
code = "{CODE}"
name = "Testby"
language = "en"
[registers]
areas = "areas.geojson"
categories = "categories.csv"
[service]
clock = "events"
max_body_megabytes = 1
[store]
url = "sqlite:///store.db"
[events]
oldest = 2020-01-01
lateness_days = 3
[detection]
years = 2
min_years = 1
"""


PASSWORD = "tre ord utan samband"


class Running:
    """A running service: its folder, its address, and a client for it.

    environment: more of it; program: in place of `-m earlywarning`; before: a command that starts it in its turn.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str] | None = None, program: Sequence[str] = ("-m", "earlywarning"),
        before: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.folder, self.environment, self.program, self.before = folder, environment or {}, program, before
        self.start()

    def launch(self) -> None:
        """Start the process, and wait for nothing."""
        self.process = subprocess.Popen(
            [*self.before, sys.executable, *self.program, "run", "--port", "0"],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=(self.folder / "log").open("ab"), text=True,
            env={**os.environ, **self.environment},
        )  # fmt: skip

    def start(self) -> None:
        self.launch()
        assert self.process.stdout is not None
        said = ""
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+)/v1/events", said)):
            line = self.process.stdout.readline()
            assert line, f"the service ended: {(self.folder / 'log').read_text()[-2000:]}"
            said += line
        self.address = found.group(1)
        self.client = httpx.Client(base_url=self.address, timeout=30)

    def stop(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(timeout=60)  # it ends in order: on a busy machine that takes its time

    def kill(self) -> None:
        self.client.close()
        self.process.kill()
        self.process.wait()

    def send(self, body: object, content_type: str = "application/json") -> httpx.Response:
        headers = {"content-type": content_type}
        if isinstance(body, bytes | str):
            return self.client.post("/v1/events", content=body, headers=headers)
        return self.client.post("/v1/events", json=body)

    def metric(self, name: str) -> float:
        """The value of one sample of /metrics, 0 when there is none."""
        for line in self.client.get("/metrics").text.splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0


def write_town(folder: Path, extra: str = "") -> None:
    (folder / "areas.geojson").write_text(areas_text())
    (folder / "categories.csv").write_text(CATEGORIES)
    (folder / "earlywarning.toml").write_text(SETTINGS + extra)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    write_town(tmp_path)
    service = Running(tmp_path)
    yield service
    if service.process.poll() is None:
        service.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service of a town without events, for tests that do not mind what others have sent."""
    folder = tmp_path_factory.mktemp("shared")
    write_town(folder)
    service = Running(folder)
    yield service
    if service.process.poll() is None:
        service.stop()


def body(number: int | str, **fields: object) -> dict[str, object]:
    """An incident as a supplier would send it."""
    event = {
        "kind": "incident",
        "event_id": f"w-{number}x",
        "source": "wardens",
        "category": "C0",
        "municipality": CODE,
        "area": "A0",
        "occurred_at": "2024-03-01T12:00:00+01:00",
        "recorded_at": "2024-03-01T13:00:00+01:00",
        **fields,
    }
    return {k: v for k, v in event.items() if v is not None}


@pytest.fixture(scope="session")
def town_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town with a year of events and two alerts, made once; `town` gives each test a copy of its own."""
    folder = tmp_path_factory.mktemp("town")
    write_town(folder)
    service = Service.open(load_settings(folder / "earlywarning.toml"))
    events = merged(history(3, days=460), surge(430), surge(458, area="A4", category="C1"))
    for begin in range(0, len(events), 1000):
        part = events[begin : begin + 1000]
        service.take([Supply(Decoded(part, list(range(len(part))), []), "test")], NOW)
    service.stop()
    return folder


@pytest.fixture(scope="session")
def lab_town(town_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The town with the lab's recording of its last weeks beside its store, made in the background as a service does."""
    folder = copied(town_folder, tmp_path_factory.mktemp("lab"))
    service = Service.open(load_settings(folder / "earlywarning.toml"))
    recordings = Recordings(service)
    assert recordings.state().state == "none"
    assert recordings.begin("eva", date(2024, 3, 1), (2,))
    assert not recordings.begin("bo"), "one at a time"
    assert recordings.state().state == "making"
    until(lambda: recordings.state().state != "making")
    service.stop()
    return folder


def until(true: Callable[[], bool], seconds: float = 600) -> None:
    """Wait for what a process of its own brings about."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


@pytest.fixture
def town(town_folder: Path, tmp_path: Path) -> Path:
    """The folder of a town that the test may change."""
    return copied(town_folder, tmp_path)


def copied(town_folder: Path, to: Path) -> Path:
    """A copy of the town's folder."""
    shutil.copytree(town_folder, to / "town")
    return to / "town"


def open_town(folder: Path, access: str = "") -> Service:
    """Its service, in this process, with an [access] section of so many lines."""
    file = folder / "earlywarning.toml"
    file.write_text(file.read_text() + f"\n[access]\n{access}\n")
    return Service.open(load_settings(file))


@pytest.fixture
def client(service: Service) -> Iterator[TestClient[Litestar]]:
    """Asks a service that runs in this process, as the tests that name this have it for `service`."""
    with TestClient(make_app(service), raise_server_exceptions=False) as opened:
        opened.follow_redirects = False
        yield opened


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def axe() -> str:
    return axe_source()


@pytest.fixture(scope="module")
def served_town(town_folder: Path) -> Path:
    """What `service` and `closed` have copies of."""
    return town_folder


@pytest.fixture(scope="module")
def service(served_town: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = Running(copied(served_town, tmp_path_factory.mktemp("open")))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def closed(served_town: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The same with accounts."""
    folder = copied(served_town, tmp_path_factory.mktemp("closed"))
    (folder / "earlywarning.toml").open("a").write('\n[access]\nmode = "accounts"\n')
    running = Running(folder)
    yield running
    running.stop()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Open]:
    """Opens a page as somebody new; anything the browser complains of fails the test."""
    contexts, complaints = [], []

    def opened(address: str, **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    # What is refused on purpose, and lines that are cut on purpose.
    assert [c for c in complaints if "status of 4" not in c and "ERR_INTERNET_DISCONNECTED" not in c] == []


def alert_ids(service: Running, state: str = "all") -> list[str]:
    """The newest first."""
    return [a["alert_id"] for a in service.client.get("/v1/alerts").json()["alerts"] if state in ("all", a["state"])]


def account(service: Running, name: str, role: str) -> str:
    """Makes an account with the command, while the service runs; returns its one-time address."""
    command = [sys.executable, "-m", "earlywarning", "accounts", "add", name, "--role", role]
    made = subprocess.run(command, cwd=service.folder, capture_output=True, text=True, check=True)
    found = re.search(r"/set-up/[\w-]+", made.stdout)
    assert found, made.stdout
    return service.address + found.group()


def signed_in(visit: Open, service: Running, name: str, role: str = "coordinator") -> Page:
    """A new account's page after its one-time link."""
    page = visit(account(service, name, role))
    for field in ("#password", "#again"):
        page.fill(field, PASSWORD)
    page.click("main button")
    expect(page.locator(".who")).to_contain_text(name)
    return page
