"""The examples for suppliers and recipients, run as their README files say, against the real service."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from tests.channels.receivers import HttpReceiver, http_receiver
from tests.cli.told import command
from tests.examples.conftest import EXAMPLES
from tests.web.conftest import Running, body, write_town

SEND = EXAMPLES / "send_events" / "send_events.py"
RECEIVE = EXAMPLES / "receive_webhook"


def _send(address: str, file: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SEND), address, str(file), *words], capture_output=True, text=True, check=False, timeout=120
    )


def _lines(file: Path, *events: object) -> Path:
    file.write_text("".join(json.dumps(e) + "\n" for e in events))
    return file


def test_events_are_sent_in_batches_and_what_was_refused_is_told_by_its_line(service: Running, tmp_path: Path) -> None:
    events: list[object] = [body(f"x{i}") for i in range(600)]
    events[555] = body("x555", category="NOPE")
    file = _lines(tmp_path / "events.jsonl", *events)
    first = _send(service.address, file)
    assert first.returncode == 1, first.stderr
    refused, totals = first.stdout.splitlines()
    assert refused.startswith("line 556: category: unknown-category: ")
    assert json.loads(totals) == {"accepted": 599, "rejected": 1}
    events[555] = body("x555")
    again = _send(service.address, _lines(file, *events))
    assert (again.returncode, json.loads(again.stdout)) == (0, {"accepted": 1, "repeated": 599})


@pytest.fixture
def moody() -> Iterator[HttpReceiver]:
    with http_receiver() as made:
        yield made


def test_a_batch_is_sent_again_when_the_service_cannot_take_it_now(moody: HttpReceiver, tmp_path: Path) -> None:
    said = json.dumps({"counts": {"accepted": 1}, "results": [{"index": 1, "outcome": "accepted"}]}).encode()
    answers = iter([(503, {"retry-after": "0"}, b"{}"), "reset", (207, {}, said)])
    moody.answer = lambda got: next(answers)
    token = tmp_path / "token"
    token.write_text("ew_secret\n")
    done = _send(f"http://127.0.0.1:{moody.port}/", _lines(tmp_path / "e.jsonl", body(1)), "--token-file", str(token))
    assert done.returncode == 0, done.stderr
    assert "attempt 1: 503; again in 0 s" in done.stderr
    assert [got.path for got in moody.got] == ["/v1/events"] * 3
    assert len({got.body for got in moody.got}) == 1
    assert moody.got[0].headers["authorization"] == "Bearer ew_secret"


def test_what_would_be_refused_again_is_not_sent_again(moody: HttpReceiver, tmp_path: Path) -> None:
    moody.answer = lambda got: (401, {}, b"no token")
    done = _send(f"http://127.0.0.1:{moody.port}", _lines(tmp_path / "e.jsonl", body(1)))
    assert done.returncode == 2
    assert done.stderr == "lines 1 to 1 were not taken: 401: no token\n"
    assert len(moody.got) == 1


# ---- the receiver of webhooks -------------------------------------------------------------------------------------------


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The example's address and process."""
    (tmp_path / "webhook.key").write_text("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")
    words = [sys.executable, str(RECEIVE / "receiver.py"), "--key-file", str(tmp_path / "webhook.key"), "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        process.terminate()


def test_a_message_of_the_service_is_taken_once_and_others_are_refused(
    receiver: tuple[str, "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    address, process = receiver
    (shown,) = re.findall(r"```toml\n(.*?)```", (RECEIVE / "README.md").read_text(), re.DOTALL)
    write_town(tmp_path, "\n" + shown.replace("http://127.0.0.1:8700", address))
    command(tmp_path, "settings", "check")
    command(tmp_path, "channels", "test", "system")
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    assert told["kind"] == "test"

    text = json.dumps({"key": "k1", "kind": "alert"})
    webhook, now = Webhook("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), datetime.now(UTC)

    def post(sent: str, at: datetime = now, key: str = "k1") -> int:
        headers = {
            "webhook-id": key,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": webhook.sign("k1", at, text),
        }
        return httpx.post(address, content=sent, headers=headers).status_code

    old = now - timedelta(minutes=6)
    assert [post(text + " "), post(text, key="k2"), post(text, at=old), httpx.post(address, content=text).status_code] == [401] * 4
    assert [post(text), post(text)] == [200, 200]
    process.terminate()
    assert [json.loads(line)["key"] for line in process.stdout] == ["k1"], "once, however often it came"


# ---- the CSV file with a mapping ----------------------------------------------------------------------------------------


def test_a_csv_file_with_columns_of_its_own_is_read_by_its_mapping(tmp_path: Path) -> None:
    source = EXAMPLES / "csv_mapping"
    for file in source.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    shown = re.findall(r"^    earlywarning (.*?)(?:\s+#.*)?$", (source / "README.md").read_text(), re.MULTILINE)
    check, ingest, letters, counts = (line.split() for line in shown)
    command(tmp_path, *check)
    said = command(tmp_path, *ingest)
    assert "unknown-category" in said
    (letter,) = json.loads(command(tmp_path, *letters, "--format", "json"))
    assert (letter["rule"], letter["event_id"]) == ("unknown-category", "P-1004")
    table = command(tmp_path, *counts, "--format", "csv")
    rows = [line.split(",") for line in table.splitlines()[1:]]
    assert [(r[0], r[5]) for r in rows if r[2] == "GRAFFITI"] == [("2026-03-02", "1"), ("2026-03-05", "1")]
    settings = tmp_path / "earlywarning.toml"
    settings.write_text(
        settings.read_text().replace('"Trasig lampa" = "LIGHTING"', '"Trasig lampa" = "LIGHTING", "Nedskräpning" = "LITTER"')
    )
    with (tmp_path / "categories.csv").open("a") as categories:
        categories.write("LITTER,,Nedskräpning,Litter,1,reported\n")
    command(tmp_path, "dead-letters", "replay")
    assert json.loads(command(tmp_path, *letters, "--format", "json")) == []
