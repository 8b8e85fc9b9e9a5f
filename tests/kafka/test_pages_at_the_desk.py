"""The desk's pages beside a real broker and a worker: refused events tried again, and the lab on what workers counted."""

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar.testing import TestClient
from playwright.sync_api import expect

from earlywarning.cli.serve import listen
from earlywarning.core.pages import decode_page
from earlywarning.locale.catalogue import number_words
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.kafka.messages import encode_events
from earlywarning.runtimes.kafka.topics import INCIDENTS
from earlywarning.runtimes.replaying import Chosen, replay_chosen
from earlywarning.settings import load_settings
from earlywarning.store import StoreError
from earlywarning.web.api import make_app
from earlywarning.web.many import make_many
from earlywarning.web.serving import server_of
from tests.core.town import BEGIN, history, merged, surge
from tests.core.town import CODE as LAB_CODE
from tests.kafka.town import Cluster, Message, embedded, kept, made_events, messages, until, write_registers
from tests.web.browser import Open
from tests.web.conftest import browser, visit, write_town  # noqa: F401  # the same browser
from tests.web.test_access import form

CODE = "0904"
PATIENCE = 150.0
FIRST = date(2024, 3, 1)
PAGE = {"accept": "text/html"}


class AtTheDesk:
    """Topics, a worker, a desk and its address; two municipalities, one of them with a year of events."""

    def __init__(self, folder: Path, brokers: str) -> None:
        self.town, self.lab_town = folder / CODE, folder / "lab"
        write_registers(self.town, CODE, ["a", "b"], ["theft", "assault"])
        self.lab_town.mkdir()
        write_town(self.lab_town)
        events = merged(history(3, days=460), surge(430), surge(458, area="A4", category="C1"))
        self.sent = messages(events, BEGIN + timedelta(days=300))
        self.cluster = Cluster(folder / "cluster", brokers, f"p{time.time_ns() % 10**9}")
        self.cluster.publish([self.town, self.lab_town])
        self.cluster.send(self.sent)
        self.cluster.start_worker()
        self.serve()

    def serve(self) -> None:
        """Answer at an address, for the desk that there is now."""
        self.listening, desk = listen("127.0.0.1", 0), self.cluster.desk
        self.address = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.server = server_of(make_many(desk.counters, desk.metrics, desk.show_state, lambda: desk.alive))
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listening]}, daemon=True)
        self.thread.start()

    def shut(self) -> None:
        """Answer no more."""
        self.server.should_exit = True
        self.thread.join(60)
        self.listening.close()

    def close(self) -> None:
        self.shut()
        self.cluster.close()

    def counted(self) -> int:
        """How many events of the small town its workers have counted, by their pages."""
        return sum(len(decode_page(page)) for _, page in self.cluster.desk.store.pages(CODE))


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory, brokers: str) -> Iterator[AtTheDesk]:
    made = AtTheDesk(tmp_path_factory.mktemp("desk"), brokers)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def client(at: AtTheDesk) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=at.address, timeout=60) as opened:
        yield opened


# ---- refused events, tried again --------------------------------------------------------------------------------------


def waiting(client: httpx.Client) -> list[tuple[str, str]]:
    found = client.get(f"/{CODE}/v1/dead-letters").json()["dead_letters"]
    return sorted((d["rule"], d["event_id"]) for d in found)


def try_again(client: httpx.Client, **fields: str) -> str:
    """By the form of the page, in Swedish."""
    sent = form(client, f"/{CODE}/dead-letters", **fields)  # type: ignore[arg-type]  # it only gets and reads
    answer = client.post(f"/{CODE}/dead-letters", params={"language": "sv"}, data=sent, headers=PAGE)
    assert answer.status_code == 200, answer.text
    return " ".join(re.findall(r'role="status">(.*?)</div>', answer.text, re.S))


def test_a_refused_event_is_counted_once_when_what_was_wrong_is_mended_and_it_is_tried_again(
    at: AtTheDesk, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = at.cluster
    until(lambda: CODE in cluster.desk.counters and cluster.desk.alive, "the desk", cluster)
    events = made_events(6, CODE)
    new = [msgspec.structs.replace(e, event_id=f"n{i}", category="vandalism") for i, e in enumerate(events[:3])]
    lost = msgspec.structs.replace(events[3], event_id="lost", area="unheard-of")
    # At the counter of the desk, and by the topic, where a worker refuses it.
    sent = client.post(f"/{CODE}/v1/events", json=msgspec.to_builtins([*events[:2], *new[:2], lost]))
    assert sent.json()["counts"] == {"queued": 2, "rejected": 3}
    cluster.send([Message(INCIDENTS, CODE, encode_events([new[2]]), False)])
    refused = [("unknown-area", "lost"), *(("unknown-category", f"n{i}") for i in range(3))]
    until(lambda: waiting(client) == refused, "four refused events", cluster)
    until(lambda: at.counted() == 2, "two events", cluster)

    # Before anything is mended it is refused again, and waits.
    told = try_again(client, rule="unknown-category")
    assert "avvisas fortfarande: 3" in told
    assert "kategorin &#39;vandalism&#39; finns inte i kategoriträdet" in told
    assert waiting(client) == refused

    with (at.town / "categories.csv").open("a") as file:
        file.write("vandalism,,Skadegörelse,Vandalism,2,reported\n")
    cluster.publish([at.town])
    until(lambda: "vandalism" in cluster.desk.counters[CODE].tree.codes, "the new category at the desk", cluster)
    until(lambda: "settings in force" in cluster.log(), "the new category in the worker", cluster)

    # The broker has them and the store does not answer: as after a crash they wait on, and are sent a second time.
    front = cluster.desk.counters[CODE]
    with monkeypatch.context() as patch:
        patch.setattr(front.store, "commit", _no_answer)
        with pytest.raises(StoreError, match="no answer"):
            replay_chosen(front.store, CODE, Chosen((), "unknown-category"), front.replay)
    assert waiting(client) == refused
    assert "skickade vidare, räknas av en arbetare; det som ändå inte går kommer tillbaka hit: 3" in try_again(
        client, rule="unknown-category"
    )
    assert waiting(client) == [("unknown-area", "lost")]
    until(lambda: at.counted() == 5, "the three events", cluster)

    # The command finds nothing more to do with them; what was not mended goes on waiting.
    command = [sys.executable, "-m", "earlywarning", "dead-letters", "replay", "--to", f"{at.address}/{CODE}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout.startswith("0 taken in again, 1 go on waiting\n  1: area 'unheard-of' is not in"), done.stdout + done.stderr
    assert "Det fanns inget att pröva." in try_again(client, rule="unknown-category")
    # One more event behind all of them: when it is counted, whatever was sent twice has been taken, too.
    client.post(f"/{CODE}/v1/events", json=msgspec.to_builtins([events[4]]))
    until(lambda: at.counted() >= 6, "the last event", cluster)
    cluster.wait_until_done(PATIENCE)
    assert at.counted() == 6
    assert waiting(client) == [("unknown-area", "lost")]


def _no_answer(*_: object, **__: object) -> None:
    raise StoreError("no answer")


# ---- the lab ----------------------------------------------------------------------------------------------------------


def record(client: Any, at: str = "") -> None:
    """As the page's button does, and until it is made."""
    answer = client.post(f"{at}/lab/recording", data=form(client, f"{at}/lab", first=FIRST.isoformat(), windows="2"))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{at}/lab"), answer.text
    deadline = time.monotonic() + 4 * PATIENCE
    while (told := client.get(f"{at}/v1/lab/recording").json())["state"] == "making":
        assert time.monotonic() < deadline, told
        time.sleep(0.2)
    assert told["state"] == "ready", told


def answers(client: Any, at: str = "") -> dict[str, Any]:
    """All that the lab tells of some choices."""
    asked = {
        "today": "", "tried": "budget=4&min_count=2&windows=1,2,7", "placed": "areas=D1&tendencies=surge,cluster",
    }  # fmt: skip
    told = {name: client.get(f"{at}/v1/lab?{query}").json() for name, query in asked.items()}
    told["surge"] = client.get(f"{at}/v1/lab/surge?place=A2&category=C1&begin=2024-03-10&total=15").json()
    told["file"] = client.get(f"{at}/lab/export?as=csv&what=alerts&{asked['tried']}").text
    return told


def test_the_lab_at_the_desk_tells_what_the_lab_in_one_process_tells(
    at: AtTheDesk, client: httpx.Client, visit: Open  # noqa: F811
) -> None:  # fmt: skip
    cluster = at.cluster
    cluster.wait_until_done(PATIENCE)
    embedded(at.lab_town, at.sent)
    own = Service.open(load_settings(at.lab_town / "earlywarning.toml"))
    try:
        with TestClient(make_app(own)) as alone:
            alone.follow_redirects = False
            record(alone)
            wanted = answers(alone)
    finally:
        own.stop()
    assert kept(cluster.settings.store_url, LAB_CODE).pages == kept(own.settings.store_url, LAB_CODE).pages

    for language, words in (("sv", "Labbet behöver historiken inspelad en gång"), ("en", "needs the history recorded once")):
        assert words in client.get(f"/{LAB_CODE}/lab", params={"language": language}, headers=PAGE).text
    record(client, f"/{LAB_CODE}")
    found = answers(client, f"/{LAB_CODE}")
    assert len(wanted["tried"]["tried"]["outcome"]["alerts"]) > 2
    assert json.dumps(found) == json.dumps(wanted)

    # A desk that starts anew has the recording still, and its page says the same.
    at.shut()
    cluster.reopen_desk()
    at.serve()
    until(lambda: LAB_CODE in cluster.desk.counters and cluster.desk.alive, "the desk", cluster)
    told = wanted["tried"]["tried"]["outcome"]
    for language, title in (("sv", "Labb"), ("en", "Lab")):
        page = visit(f"{at.address}/{LAB_CODE}/lab?language={language}&budget=4&min_count=2&windows=1,2,7")
        expect(page.locator("h1")).to_have_text(title)
        expect(page.locator(".main-figure")).to_contain_text(number_words(told["per_week"], language, 2))
        expect(page.locator("[role=alert]")).to_have_count(0)
