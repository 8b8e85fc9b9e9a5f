"""From a fault to Alertmanager: the real service, a real Prometheus with the shipped rules, a real Alertmanager."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.servers import Prometheus, Server, alertmanager, until
from tests.deploy.test_manifests import DEPLOY
from tests.deploy.test_prometheus_rules import RULES
from tests.web.conftest import Running, body, write_town


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Running]:
    write_town(tmp_path)
    running = Running(tmp_path)
    yield running
    if running.process.poll() is None:
        running.stop()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Server]:
    server = alertmanager(tmp_path, DEPLOY / "compose" / "alertmanager.yml")
    yield server
    server.stop()


@pytest.fixture
def prometheus(tmp_path: Path, service: Running, receiver: Server) -> Iterator[Prometheus]:
    rules = yaml.safe_load(RULES.read_text())
    for group in rules["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            rule.pop("for", None)  # nobody waits here; how long each must last is told by the cases for promtool
    quick = tmp_path / "quick.rules.yml"
    quick.write_text(yaml.safe_dump(rules))
    target = service.address.removeprefix("http://")
    server = Prometheus(tmp_path, {"earlywarning": target}, [quick], [receiver.address.removeprefix("http://")])
    yield server
    server.stop()


def told(receiver: Server, name: str) -> list[dict[str, Any]]:
    answer = receiver.client.get("/api/v2/alerts", params={"filter": f'alertname="{name}"', "active": "true"})
    return list(answer.json())


def test_refused_events_and_then_a_killed_service_are_told_to_alertmanager(
    service: Running, prometheus: Prometheus, receiver: Server
) -> None:
    assert service.send([body(1)]).status_code == 207
    until(lambda: prometheus.ask("earlywarning_ready == 1 and earlywarning_dead_letters_waiting == 0"), "a scrape", prometheus.log)
    assert not told(receiver, "EarlywarningDown")
    assert not told(receiver, "EarlywarningDeadLettersRising")

    def refused_again() -> list[dict[str, Any]]:
        service.send([body(i, category="NOPE") for i in range(10)])
        return told(receiver, "EarlywarningDeadLettersRising")

    (rising,) = until(refused_again, "the alert about dead letters", receiver.log)
    assert rising["labels"]["job"] == "earlywarning"
    assert rising["annotations"]["runbook_url"] == "docs/operations.md#earlywarningdeadlettersrising"
    assert rising["annotations"]["summary_sv"].endswith("väntar på en människa.")

    service.kill()
    (down,) = until(lambda: told(receiver, "EarlywarningDown"), "the alert about the killed service", receiver.log)
    assert down["labels"]["severity"] == "page"
    assert [r["name"] for r in down["receivers"]] == ["operators"]
