"""Grafana's dashboards: the committed files are what the code makes, and every question in them has an answer.

Each query is put to a real Prometheus that reads a real service which has taken events. What only a worker, the outbox, a
machine's exporter or a municipality with such data has is read from a second page, filled by the same metrics.
"""

import http.server
import importlib.util
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import promql_parser
import pytest
import yaml

from earlywarning.monitoring import Metrics
from tests.core.town import history, merged, surge
from tests.deploy.servers import Prometheus, until
from tests.deploy.test_manifests import COMPOSE, DEPLOY
from tests.web.conftest import Running, body, write_town

FOLDER = DEPLOY / "grafana"
LANGUAGES = ("sv", "en")
FILES = sorted(FOLDER.glob("*/*.json"))
# Of node_exporter, as it names them; the rest is the service's own.
NEIGHBOURS = """
node_filesystem_avail_bytes{fstype="ext4",mountpoint="/"} 60
node_filesystem_size_bytes{fstype="ext4",mountpoint="/"} 100
"""
ELSEWHERE = {
    "earlywarning_outbox_messages", "earlywarning_outbox_oldest_seconds", "earlywarning_deliveries_total",
    "earlywarning_channel_breaker",
    "node_filesystem_avail_bytes", "node_filesystem_size_bytes", "earlywarning_kafka_lag_messages",
    "earlywarning_police_feed_polls_total", "earlywarning_data_notes_total",
}  # fmt: skip


def _code() -> Any:
    spec = importlib.util.spec_from_file_location("dashboards", FOLDER / "dashboards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def panels() -> Iterator[tuple[str, str]]:
    """Every query with the dashboard and panel that asks it. The languages ask the same."""
    for path in FILES:
        if path.parent.name == "en":
            for panel in json.loads(path.read_text())["panels"]:
                for target in panel.get("targets", []):
                    yield f"{path.stem}: {panel['title']} {target['refId']}", target["expr"]


QUERIES = dict(panels())


def test_the_committed_dashboards_are_what_the_code_makes() -> None:
    made = {FOLDER / path: content for path, content in _code().files().items()}
    assert set(made) == set(FILES), "python deploy/grafana/dashboards.py, and remove what it does not make"
    for path, content in made.items():
        assert path.read_text() == content, f"{path.name}: python deploy/grafana/dashboards.py"


def test_there_are_the_four_dashboards_in_both_languages_with_the_same_questions() -> None:
    names = {"service-health", "situation", "detection-quality", "suppliers"}
    for language in LANGUAGES:
        assert {p.stem for p in FILES if p.parent.name == language} == names
    for name in names:
        sv, en = (json.loads((FOLDER / language / f"{name}.json").read_text()) for language in LANGUAGES)
        assert sv["uid"] != en["uid"]
        assert [p.get("targets") for p in sv["panels"]] == [p.get("targets") for p in en["panels"]]
        for one, other in zip(sv["panels"], en["panels"], strict=True):
            assert one["title"] != other["title"]


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_panels_stand_beside_each_other_and_not_upon_each_other(path: Path) -> None:
    places = [p["gridPos"] for p in json.loads(path.read_text())["panels"]]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_promql_and_asks_only_for_the_chosen_services(name: str) -> None:
    expr = QUERIES[name].replace("$__rate_interval", "1m")
    promql_parser.parse(expr)
    for metric, matchers in re.findall(r"\b((?:earlywarning|process)_\w+|up)\b(\{[^}]*\})?", expr):
        assert 'job=~"$job"' in matchers, metric


def test_no_query_asks_by_area_or_category_since_metrics_know_none() -> None:
    for expr in QUERIES.values():
        assert not re.search(r"\b(area|category|municipality)\b", expr)


def test_compose_provisions_the_dashboards_and_their_source() -> None:
    grafana = COMPOSE["services"]["grafana"]
    mounted = {
        c["target"]: yaml.safe_load((DEPLOY / COMPOSE["configs"][c["source"]]["file"]).read_text()) for c in grafana["configs"]
    }
    folders = {v.split(":")[1]: v.split(":")[0] for v in grafana["volumes"]}
    for provider in mounted["/etc/grafana/provisioning/dashboards/earlywarning.yml"]["providers"]:
        assert list((DEPLOY / folders[provider["options"]["path"]]).glob("*.json"))
    (source,) = mounted["/etc/grafana/provisioning/datasources/earlywarning.yml"]["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)


class _Page(http.server.BaseHTTPRequestHandler):
    content = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    """Address of a page with what one service alone does not have."""
    metrics = Metrics()
    for topic in ("incidents", "reports"):
        metrics.lag.labels(topic).set(3)
    metrics.polls.labels("ok").inc(3)
    metrics.data_notes.labels("burst").inc()
    metrics.messages.labels("mail", "delivered").inc(7)
    metrics.messages_kept.labels("mail", "waiting").set(2)
    metrics.oldest_message.labels("mail").set(40)
    metrics.breaker.labels("mail", "open").set(1)
    _Page.content = metrics.page()[0] + NEIGHBOURS.encode()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, elsewhere: str) -> Iterator[Prometheus]:
    """Prometheus that has read the metrics of a service before and after it took events, alerts among them."""
    folder = tmp_path_factory.mktemp("grafana")
    write_town(folder)
    service = Running(folder)
    server = None
    try:
        targets = {"earlywarning": service.address.removeprefix("http://"), "earlywarning-worker": elsewhere}
        server = Prometheus(folder, targets)
        past = merged(history(5, days=440))
        service.send("\n".join(_line(e) for e in past[:-60]), "application/x-ndjson")
        until(lambda: server.ask('earlywarning_events_total{job="earlywarning"} > 0'), "a first scrape", server.log)
        seen = server.ask('sum(earlywarning_events_total{job="earlywarning"})')[0]["value"][1]
        for event in [*past[-60:], *merged(surge(440))]:
            service.send(_line(event), "application/x-ndjson")
        service.send([body(1, category="NOPE"), body(2, kind="x", source="nobody")])
        for alert in service.client.get("/v1/alerts").json()["alerts"][:2]:
            for said in ({"action": "acknowledge"}, {"action": "assess", "assessment": "confirmed", "reason": "new-problem"}):
                answer = {"actor": "samordnaren", "answer_id": f"{said['action']}-{alert['alert_id']}", **said}
                assert service.client.post(f"/v1/alerts/{alert['alert_id']}/answers", json=answer).status_code == 200
        refused = 'count_over_time(earlywarning_events_total{job="earlywarning",outcome="rejected"}[1m]) > 1'
        taken = f'sum(earlywarning_events_total{{job="earlywarning"}}) > {seen}'
        until(lambda: server.ask(refused) and server.ask(taken), "a second scrape", server.log)
        yield server
    finally:
        if server is not None:
            server.stop()
        service.stop()


def _line(event: object) -> str:
    return json.dumps({k: v for k, v in msgspec.to_builtins(event).items() if v is not None})


@pytest.mark.parametrize("name", QUERIES)
def test_every_panel_has_something_to_show(prometheus: Prometheus, name: str) -> None:
    expr = QUERIES[name]
    metrics = set(re.findall(r"\b((?:earlywarning|process|node)_\w+)", expr))
    job = "earlywarning-worker" if metrics & ELSEWHERE else "earlywarning"
    assert not metrics & ELSEWHERE or metrics <= ELSEWHERE
    found = prometheus.ask(expr.replace("$__rate_interval", "1m").replace("$job", job))
    assert found, expr
    assert any(series["value"][1] != "NaN" for series in found), f"{expr}: {found}"
