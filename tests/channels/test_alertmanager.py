"""Alerts in a real Prometheus Alertmanager, asked through its own API."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from earlywarning.core.outgoing import DigestContent, ReporterContent
from earlywarning.settings_channels import AlertmanagerChannel
from tests.channels.conftest import Post
from tests.channels.messages import CODE, a_test, content, message
from tests.channels.receivers import until
from tests.conftest import left_out

_INSTALL = "Alertmanager is not installed; on Debian: apt-get install prometheus-alertmanager"
_CONFIG = "route: {receiver: none}\nreceivers: [{name: none}]\n"


def _program() -> str:
    found = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if found:
        return found
    left_out(_INSTALL)


@pytest.fixture(scope="module")
def alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program, folder = _program(), tmp_path_factory.mktemp("alertmanager")
    (folder / "config.yml").write_text(_CONFIG)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command: list[str | Path] = [
        program, f"--config.file={folder / 'config.yml'}", f"--storage.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        assert server.poll() is None, (folder / "log").read_text()[-2000:]
        try:
            return httpx.get(f"{url}/-/ready").is_success
        except httpx.TransportError:
            return False

    try:
        until(ready, "for Alertmanager")
        yield url
    finally:
        server.terminate()
        server.wait(20)


def known(url: str, alert_id: str) -> list[dict[str, Any]]:
    """What Alertmanager's API tells of an alert that is active."""
    answer = httpx.get(f"{url}/api/v2/alerts", params={"filter": f'alert_id="{alert_id}"'})
    found: list[dict[str, Any]] = answer.json()
    return found


def channel(url: str) -> AlertmanagerChannel:
    return AlertmanagerChannel(url=url, labels={"team": "est"}, retry_seconds=0.01, longest_retry_seconds=0.02)


def now(number: int, change: str = "opened", **fields: Any) -> Any:
    """A message made now: Alertmanager holds what is over against its own clock."""
    return message(number, content(number, change, **fields), channel="am", created_at=datetime.now(UTC), key=f"{number}-{change}")


def test_an_open_alert_is_active_and_one_that_is_over_is_resolved(post: Post, alertmanager: str) -> None:
    post.put(now(1, links={"open": "https://est.example/alerts/1"}))
    post.start(am=channel(alertmanager))
    until(lambda: post.states() == ["delivered"])
    (found,) = known(alertmanager, f"{CODE}-20260412-1")
    assert found["status"]["state"] == "active"
    assert found["labels"] == {
        "alertname": "EarlyWarningSurge", "alert_id": f"{CODE}-20260412-1", "municipality": CODE, "tendency": "surge",
        "severity": "warning", "team": "est",
    }  # fmt: skip
    assert found["annotations"]["areas"] == "Gåsöga östra"
    assert found["annotations"]["key"] == "1-opened"
    assert found["annotations"]["description"].startswith("I Gåsöga östra registrerades 14 händelser")
    assert found["generatorURL"] == "https://est.example/alerts/1"
    assert (datetime.fromisoformat(found["endsAt"]) - datetime.now(UTC)).days in (29, 30)

    post.put(now(1, "settled", of={"state": "settled"}))
    until(lambda: post.states() == ["delivered"] * 2)
    until(lambda: known(alertmanager, f"{CODE}-20260412-1") == [])


def test_an_alert_that_the_group_has_closed_is_resolved(post: Post, alertmanager: str) -> None:
    post.put(now(2))
    post.start(am=channel(alertmanager))
    until(lambda: known(alertmanager, f"{CODE}-20260412-2"))
    post.put(now(2, "close", case={"stage": "closed"}))
    until(lambda: known(alertmanager, f"{CODE}-20260412-2") == [])


def test_the_same_message_twice_is_one_alert(post: Post, alertmanager: str) -> None:
    post.put(now(3), msgspec.structs.replace(now(3), key="3-again"))
    post.start(am=channel(alertmanager))
    until(lambda: post.states() == ["delivered"] * 2)
    assert len(known(alertmanager, f"{CODE}-20260412-3")) == 1


def test_a_digest_is_all_its_alerts_and_a_test_is_a_test(post: Post, alertmanager: str) -> None:
    digest = DigestContent(first_day=date(2026, 4, 6), last_day=date(2026, 4, 12), alerts=[content(4), content(5)])
    post.put(
        message(4, digest, channel="am", kind="digest", created_at=datetime.now(UTC)), a_test("am", created_at=datetime.now(UTC))
    )
    post.start(am=channel(alertmanager))
    until(lambda: post.states() == ["delivered"] * 2)
    assert known(alertmanager, f"{CODE}-20260412-4")
    assert known(alertmanager, f"{CODE}-20260412-5")
    names = {a["labels"]["alertname"] for a in httpx.get(f"{alertmanager}/api/v2/alerts").json()}
    assert "EarlyWarningTest" in names


def test_what_holds_no_alert_is_given_up_with_the_way_out(post: Post, alertmanager: str) -> None:
    receipt = ReporterContent(source="x", first_day=date(2026, 4, 6), last_day=date(2026, 4, 12), accepted=1, rejected=0)
    post.put(message(6, receipt, channel="am", kind="receipt"))
    post.start(am=channel(alertmanager))
    until(lambda: post.states() == ["dead"])
    assert post.all()[0].problem == "an Alertmanager takes alerts, not messages of kind 'receipt'; send those by email"
