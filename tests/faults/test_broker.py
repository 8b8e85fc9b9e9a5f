"""The broker is gone for minutes: what was queued is counted, what could not be is refused, and all goes on by itself."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from kafka.errors import KafkaTimeoutError

from earlywarning.runtimes.kafka.connection import KafkaError
from earlywarning.runtimes.kafka.producing import Producer
from earlywarning.settings import load_cluster_settings
from tests.faults.conftest import LONG, until
from tests.kafka.conftest import brokers, own_broker, single_node
from tests.kafka.town import made_events, write_registers

__all__ = ["brokers", "own_broker"]  # the fixtures
CODE = "0904"
AWAY = 300 if LONG else 20  # seconds


@contextmanager
def processes(folder: Path, file: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """A worker and a desk, as an operator starts them."""
    with (folder / "log").open("ab") as log:
        running = {
            what: subprocess.Popen([sys.executable, "-m", "earlywarning", what, "--settings", str(file)], stdout=log, stderr=log)
            for what in ("worker", "desk")
        }
    try:
        yield running
    finally:
        for process in running.values():
            process.send_signal(signal.SIGKILL)
            process.wait()


class Lost:
    """A message that the brokers did not take in time."""

    def get(self, timeout: float) -> None:
        raise KafkaTimeoutError(f"not within {timeout} s")


def test_what_the_brokers_did_not_take_is_told_once_and_spoils_nothing_that_comes_later(brokers: str, tmp_path: Path) -> None:
    """Such a message is given up after two minutes, which is longer than a test; the long one of this module waits for it."""
    file = tmp_path / "cluster.toml"
    file.write_text(f'[kafka]\nbrokers = "{brokers}"\n')
    with Producer(load_cluster_settings(file)) as producer:
        producer._sent.append(Lost())
        with pytest.raises(KafkaError, match="send them again: repeats count once"):
            producer.flush()
        producer.flush()


def test_without_a_broker_events_are_refused_with_words_and_all_goes_on_by_itself(
    own_broker: Any,
    tmp_path: Path,
    told: Callable[..., None],
) -> None:
    write_registers(tmp_path / CODE, CODE, ["a", "b"], ["theft", "assault"])
    port, worker_port = single_node.free_port(), single_node.free_port()
    kafka = (
        f'[kafka]\nbrokers = "{own_broker.address}"\nprefix = "gone"\npartitions = 4\nworker_port = {worker_port}\n'
        'clock = "events"\nsession_seconds = 6\n'
    )
    file, own = tmp_path / "cluster.toml", tmp_path / CODE / "earlywarning.toml"
    file.write_text(f'{kafka}[service]\nport = {port}\n[store]\nurl = "sqlite:///desk.db"\n')
    own.write_text(own.read_text() + kafka)
    for words in (["topics", "create", "--settings", file], ["settings", "publish", own, "--settings", file]):
        subprocess.run([sys.executable, "-m", "earlywarning", *map(str, words)], check=True, capture_output=True, timeout=120)
    desk, worker = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{worker_port}"
    events = made_events(40, CODE)

    def send(some: list[Any]) -> httpx.Response:
        body, kind = msgspec.json.encode(some), {"content-type": "application/json"}
        return httpx.post(f"{desk}/v1/events", content=body, headers=kind, timeout=120)

    def counted() -> float:
        rows = httpx.get(f"{desk}/{CODE}/v1/counts?area=level:2&category=all", timeout=60).json()["rows"]
        return float(sum(r["count"] for r in rows))

    with processes(tmp_path, file) as running:
        until(lambda: httpx.get(f"{desk}/readyz", timeout=5).status_code == 200, "the desk", 120)
        assert send(events[:20]).json()["counts"] == {"queued": 20}
        until(lambda: counted() == 20, "the first counts", 120)
        assert send(events[20:25]).json()["counts"] == {"queued": 5}
        own_broker.kill()
        gone = time.monotonic()
        refused = send(events[25:30])
        waited = time.monotonic() - gone
        assert refused.status_code == 503, refused.text
        assert "send them again" in refused.text
        while time.monotonic() - gone < AWAY:
            assert httpx.get(f"{desk}/healthz", timeout=30).status_code == 200
            assert httpx.get(f"{worker}/healthz", timeout=30).status_code == 200
            assert httpx.get(f"{desk}/metrics", timeout=30).status_code == 200
            page = httpx.get(f"{desk}/{CODE}/picture", headers={"accept": "text/html"}, timeout=60)
            assert page.status_code == 200  # what is known is shown
            time.sleep(1)
        assert {name: process.poll() for name, process in running.items()} == {"worker": None, "desk": None}
        own_broker.start()
        back = time.monotonic()
        until(lambda: send(events[25:]).status_code == 207, "events being taken", 180)
        until(lambda: counted() == 40, "all counts", 180)  # five were queued before, five perhaps twice
        seconds = time.monotonic() - back
        assert httpx.get(f"{worker}/readyz", timeout=30).status_code == 200
    log = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]  # those of the libraries too
    assert not [entry for entry in log if "exception" in entry]
    assert len(log) < 200 + 4 * AWAY, "the clients say the same all the time, and that drowns the rest"
    told(
        f"broker gone for {AWAY} s", seen="the desk answers 503 with the reason; pages as before; worker and desk live on",
        well_after=seconds, seconds_until_refused=round(waited, 1),
    )  # fmt: skip
