"""The writer of the embedded service: a sender that hangs up does not end it, and when it ends nobody waits in vain."""

from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from structlog.testing import capture_logs

from earlywarning.runtimes import writer
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.writer import WriterEnded
from earlywarning.settings import load_settings
from earlywarning.store import StoreError
from earlywarning.web.api import make_app
from tests.core.town import BEGIN, event
from tests.runtimes.test_embedded import supply
from tests.web.conftest import Running, body, write_town


class Death(BaseException):
    """What no thread survives."""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    write_town(tmp_path)
    opened = Service.open(load_settings(tmp_path / "earlywarning.toml"))
    yield opened
    opened.stop()


def test_a_sender_that_hangs_up_does_not_end_the_writer(service: Service) -> None:
    gone = service.submit(supply([event(1, BEGIN)]))
    assert gone.cancel()
    service.start()
    (item,) = service.submit(supply([event(2, BEGIN)])).result(timeout=60)
    assert item.outcome == "accepted"
    assert service.alive
    assert service.trouble == ""


def test_a_store_that_cannot_be_tidied_does_not_end_the_writer(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = Event()

    def fails() -> None:
        tried.set()
        raise OSError("disk i/o error")

    monkeypatch.setattr(service.store, "tidy", fails)
    service.start()
    service.submit(supply([event(1, BEGIN)])).result(timeout=60)
    assert tried.wait(60)
    (item,) = service.submit(supply([event(2, BEGIN)])).result(timeout=60)
    assert item.outcome == "accepted"


def test_a_day_that_cannot_be_closed_is_counted_and_said_and_tried_again(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, left = Event(), [StoreError("disk full"), KeyError("a value")]

    def look(_: object) -> None:
        if left:
            raise left.pop(0)
        closed.set()

    counted = lambda: service.metrics.registry.get_sample_value("earlywarning_failures_total", {"what": "day"})  # noqa: E731
    monkeypatch.setattr(service, "look_at_the_clock", look)
    monkeypatch.setattr(writer, "_TICK", 0.1)
    with capture_logs() as said:
        service.start()
        (item,) = service.submit(supply([event(1, BEGIN)])).result(timeout=60)
        assert closed.wait(60)
    assert item.outcome == "accepted"
    assert counted() == 2
    told = [entry for entry in said if entry["event"] == "the day could not be closed"]
    assert [entry.get("problem") or entry.get("error") for entry in told] == ["disk full", "KeyError"]
    assert service.alive


def test_when_the_writer_ends_all_who_wait_are_told_and_later_ones_at_once(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, begun, go = Event(), Event(), Event()

    def dies(*_: Any, **__: Any) -> None:
        begun.set()
        go.wait(60)
        raise Death

    monkeypatch.setattr(service, "take", dies)
    service.writer.on_fault = ended.set
    service.start()
    first = service.submit(supply([event(1, BEGIN)]))
    assert begun.wait(60)
    queued = service.submit(supply([event(2, BEGIN)]))
    go.set()
    assert ended.wait(60)
    for future in (first, queued, service.submit(supply([event(3, BEGIN)]))):
        with pytest.raises(WriterEnded, match=r"the writer has ended \(Death\)"):
            future.result(timeout=60)
    with TestClient(make_app(service)) as client:
        asked = client.get("/readyz")
        assert asked.status_code == 503
        assert "the writer has ended (Death)" in asked.json()["problem"]
        refused = client.post("/v1/events", json=body(4))
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "10"
        assert "nothing of it was taken: the writer has ended (Death)" in refused.json()["problem"]


def test_a_service_that_stops_refuses_what_comes_after(service: Service) -> None:
    service.start()
    taken = service.submit(supply([event(1, BEGIN)]))
    service.writer.stop()
    assert taken.result(timeout=60)[0].outcome == "accepted"
    with pytest.raises(WriterEnded, match="stopped"):
        service.submit(supply([event(2, BEGIN)])).result(timeout=60)


DRIVER = """
import sys
from earlywarning.cli import main
from earlywarning.runtimes.embedded import Service

class Death(BaseException):
    pass

take = Service.take

def mortal(self, supplies, now, *rest, **more):
    if any(e.event_id == "w-diex" for s in supplies for e in s.decoded.events):
        raise Death
    return take(self, supplies, now, *rest, **more)

Service.take = mortal
sys.argv = ["earlywarning", "run", "--port", "0"]
main()
"""


def test_a_service_whose_writer_has_ended_answers_and_ends_with_a_code_so_that_it_is_started_again(tmp_path: Path) -> None:
    write_town(tmp_path)
    mortal = Running(tmp_path, program=("-c", DRIVER))
    try:
        assert mortal.send(body(1)).json()["counts"] == {"accepted": 1}
        answer = mortal.send(body("die"))
        assert answer.status_code == 503
        assert mortal.process.wait(timeout=60) == 70
        with pytest.raises(httpx.TransportError):
            mortal.send(body(2))
        assert "the writer has ended" in (tmp_path / "log").read_text()
    finally:
        if mortal.process.poll() is None:
            mortal.kill()
    again = Running(tmp_path)
    try:
        assert again.send([body(1), body("die")]).json()["counts"] == {"accepted": 1, "repeated": 1}
    finally:
        again.stop()
