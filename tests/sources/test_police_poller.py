"""Laws of polling the police's feed, at a real server on the loopback that fails in the ways that servers fail."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import stamina
from prometheus_client import CollectorRegistry, Counter
from structlog.testing import capture_logs

from earlywarning.settings import parse_settings
from earlywarning.sources.police_feed import from_json
from earlywarning.sources.police_poller import MOST_PER_HOUR, PolicePoller
from earlywarning.sources.supply import Supply

NOW = datetime(2026, 8, 22, 18, tzinfo=UTC)


class Answer(NamedTuple):
    """What the server does with one request. pause: seconds between single bytes of the body."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = {}
    pause: float = 0.0


def payload(*names: str, published: str = "2026-08-22 7:51:41 +02:00") -> bytes:
    return json.dumps([
        {
            "id": number, "datetime": published, "name": name, "summary": "Anna Andersson, Storgatan 5", "url": "/x",
            "type": "Brand", "location": {"name": "Uppsala län", "gps": "59.8,17.6"},
        }
        for number, name in enumerate(names, 1)
    ]).encode()  # fmt: skip


ONE = payload("22 augusti 07.10, Brand, Uppsala")
MOVED = payload("22 augusti 07.10, Brand, Knivsta", published="2026-08-21 7:51:41 +02:00")


class Server:
    """Gives its answers in order, then 500s, and notes each request."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
                answer = outer.answers.pop(0) if outer.answers else Answer(500)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                pieces = [answer.body[i : i + 1] for i in range(len(answer.body))] if answer.pause else [answer.body]
                try:
                    for piece in pieces:
                        self.wfile.write(piece)
                        time.sleep(answer.pause)
                except OSError:
                    self.close_connection = True  # the poller hung up, as it should

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/api/events"
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class Town:
    """Takes what the poller hands on, and keeps its memory, as the service does in one transaction."""

    def __init__(self, url: str, *, every_minutes: int = 5, timeout: float = 2.0) -> None:
        text = f"""
[municipality]
code = "0380"
name = "Uppsala"
[police_feed]
enabled = true
url = "{url}"
user_agent = "earlywarning test"
every_minutes = {every_minutes}
timeout_seconds = {timeout}
"""
        self.settings = parse_settings(text, file="x", folder=Path())
        self.events: list[tuple[str, int, bool]] = []
        self.kept: dict[str, str] = {}
        self.broken = False
        self.registry = CollectorRegistry()
        self.polls = Counter("polls", "Polls.", ["status"], registry=self.registry)
        self.poller = self.restarted()

    def take(self, supplies: Sequence[Supply], _now: datetime, state: Mapping[str, str] | None) -> None:
        if self.broken:
            raise OSError("disk full")
        self.events += [(e.event_id, e.revision, e.retraction) for s in supplies for e in s.decoded.events]
        self.kept |= state or {}

    def restarted(self) -> PolicePoller:
        return PolicePoller(self.settings, self.take, self.kept.get, self.polls)

    def polls_of(self, status: str) -> float | None:
        return self.registry.get_sample_value("polls_total", {"status": status})


@pytest.fixture
def server() -> Iterator[Server]:
    it = Server()
    with stamina.set_testing(True, attempts=3):  # three tries as ever, without waiting between them
        yield it
    it.close()


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (Answer(200, b""), "empty"),
        (Answer(200, b"<html>Underhall</html>"), "not-json"),
        (Answer(200, ONE[:-20]), "not-json"),
        (Answer(200, b"\xff\xfe\x00"), "not-json"),
        (Answer(200, b"[" * 100_000), "not-json"),
        (Answer(200, b"[]"), "stale"),
        (Answer(200, MOVED), "stale"),
        (Answer(500), "failed"),
        (Answer(404), "failed"),
        (Answer(302, b"", {"Location": "ftp://x/y"}), "failed"),
        (Answer(200, b"not gzip", {"Content-Encoding": "gzip"}), "failed"),
    ],
)
def test_a_bad_poll_is_counted_and_neither_adds_nor_takes_away(server: Server, answer: Answer, status: str) -> None:
    town = Town(server.url)
    server.answers = [Answer(200, ONE), answer, answer, answer]
    town.poller.poll_once(NOW)
    memory = dict(town.kept)
    assert town.poller.poll_once(NOW + timedelta(minutes=5)).status == status
    assert town.polls_of(status) == 1
    assert (town.events, town.kept) == ([("1", 1, False)], memory)
    server.answers = [Answer(200, payload("22 augusti 07.10, Brand, Uppsala", "22 augusti 07.30, Brand, Uppsala"))]
    town.poller.poll_once(NOW + timedelta(minutes=10))
    assert town.events == [("1", 1, False), ("2", 1, False)]


@pytest.mark.parametrize(("status", "requests"), [(500, 3), (503, 3), (400, 1), (403, 1), (404, 1), (429, 1)])
def test_a_feed_that_refuses_us_is_not_asked_again_at_once(server: Server, status: int, requests: int) -> None:
    server.answers = [Answer(status)] * 5
    assert Town(server.url).poller.poll_once(NOW).status == "failed"
    assert len(server.asked) == requests


def test_nobody_at_the_address_is_a_failed_poll() -> None:
    server = Server()
    server.close()
    with stamina.set_testing(True, attempts=3):
        assert Town(server.url).poller.poll_once(NOW).status == "failed"


def test_a_feed_that_drips_is_given_up_in_time(server: Server) -> None:
    server.answers = [Answer(200, ONE, pause=0.05)] * 3  # some 15 s each, with a byte well within each read's timeout
    begun = time.monotonic()
    assert Town(server.url, timeout=0.3).poller.poll_once(NOW).status == "failed"
    assert time.monotonic() - begun < 5


def test_an_endless_payload_is_given_up(server: Server) -> None:
    server.answers = [Answer(200, b" " * 17_000_000)]
    assert Town(server.url).poller.poll_once(NOW).status == "failed"
    assert len(server.asked) == 1


def test_only_changes_are_asked_for_with_the_marks_of_the_last_good_answer(server: Server) -> None:
    town = Town(server.url)
    marks = {"ETag": '"a"', "Last-Modified": "Sat, 22 Aug 2026 17:00:00 GMT"}
    server.answers = [Answer(200, ONE, marks), Answer(304), Answer(200, b"", {"ETag": '"empty"'}), Answer(304)]
    statuses = [town.poller.poll_once(NOW + timedelta(minutes=5 * i)).status for i in range(4)]
    assert statuses == ["short", "unchanged", "empty", "unchanged"]
    assert "if-none-match" not in server.asked[0]
    for request in server.asked[1:]:
        assert (request["if-none-match"], request["if-modified-since"]) == ('"a"', marks["Last-Modified"])
    assert {request["user-agent"] for request in server.asked} == {"earlywarning test"}


def test_what_could_not_be_kept_is_asked_for_and_handed_on_again(server: Server) -> None:
    town = Town(server.url)
    server.answers = [Answer(200, ONE, {"ETag": '"a"'}), Answer(200, ONE, {"ETag": '"a"'})]
    town.broken = True
    with pytest.raises(OSError, match="disk full"):
        town.poller.poll_once(NOW)
    town.broken = False
    assert town.poller.poll_once(NOW + timedelta(minutes=5)).events == 1
    assert "if-none-match" not in server.asked[1]
    assert town.events == [("1", 1, False)]


def test_a_restart_neither_repeats_nor_forgets(server: Server) -> None:
    town = Town(server.url)
    server.answers = [Answer(200, ONE), Answer(200, ONE), Answer(200, payload("22 augusti 07.10, Brand, Knivsta"))]
    town.poller.poll_once(NOW)
    assert town.restarted().poll_once(NOW + timedelta(minutes=5)).events == 0
    town.restarted().poll_once(NOW + timedelta(minutes=10))
    assert town.events == [("1", 1, False), ("1", 2, True)]
    assert set(from_json(town.kept["police-feed"])[0]) == {"1"}


def test_a_redirect_is_followed_and_an_endless_one_is_not(server: Server) -> None:
    town = Town(server.url)
    away = Answer(301, b"", {"Location": "/api/new"})
    server.answers = [away, Answer(200, ONE)]
    assert town.poller.poll_once(NOW).status == "short"
    assert [request["path"] for request in server.asked] == ["/api/events", "/api/new"]
    server.answers = [away] * 50
    assert town.poller.poll_once(NOW + timedelta(minutes=5)).status == "failed"
    assert len(server.asked) < 20


@pytest.mark.parametrize("answer", [Answer(200, ONE), Answer(500), Answer(301, b"", {"Location": "/on"})])
def test_no_hour_sees_more_than_sixty_requests_with_retries_and_redirects_counted(server: Server, answer: Answer) -> None:
    town = Town(server.url, every_minutes=1)
    server.answers = [answer] * 1000
    per_minute = []
    for minute in range(130):
        before = len(server.asked)
        town.poller.poll_once(NOW + timedelta(minutes=minute))
        per_minute.append(len(server.asked) - before)
    # The sixtieth minute's end is the first's: windows of 59 whole minutes are wholly within an hour.
    assert max(sum(per_minute[i : i + 60]) for i in range(len(per_minute))) == MOST_PER_HOUR
    assert sum(per_minute) >= 2 * MOST_PER_HOUR


def test_the_log_holds_neither_titles_nor_free_text(server: Server) -> None:
    body: list[Any] = json.loads(ONE)
    body += [
        {**body[0], "id": "Anna"},
        {**body[0], "id": 7, "name": "Anna, Storgatan, Uppsala"},
        {**body[0], "id": 8, "datetime": "Anna"},
    ]
    server.answers = [Answer(200, json.dumps(body).encode()), Answer(200, b"<p>Anna</p>"), Answer(500, b"Anna")]
    town = Town(server.url)
    with capture_logs() as lines:
        for i in range(3):
            town.poller.poll_once(NOW + timedelta(minutes=5 * i))
    assert len(lines) >= 3
    text = json.dumps(lines, default=str) + json.dumps(town.kept)
    for word in ("Anna", "Storgatan", "Underhall", "59.8", "Brand,"):
        assert word not in text


def test_the_thread_outlives_a_failing_poll_and_ends_when_told(server: Server) -> None:
    town = Town(server.url)
    town.broken = True
    server.answers = [Answer(200, ONE)]
    stop = threading.Event()
    with capture_logs() as lines:
        thread = threading.Thread(target=town.poller.run, args=(stop,))
        thread.start()
        end = time.monotonic() + 5
        while not lines and time.monotonic() < end:
            stop.wait(0.01)
        assert thread.is_alive()
        stop.set()
        thread.join(timeout=5)
    assert not thread.is_alive()
    assert [line["error"] for line in lines if line["log_level"] == "error"] == ["OSError"]
