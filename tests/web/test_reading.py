"""What the group's tools read over HTTP."""

import csv
import io
import select

import jsonschema
import pytest

from earlywarning.core.events import schema
from tests.web.conftest import Running, body


def test_counts_come_for_any_level_window_and_format(running: Running) -> None:
    running.send([body(1), body(2, area="A1"), body(3, area="A4", category="C2"), body(4, kind="report", area="A0")])
    ask = running.client.get

    def rows(**params: object) -> list[tuple[object, ...]]:
        answer = ask("/v1/counts", params={"first": "2024-03-01", "last": "2024-03-02", **params}).json()["rows"]
        return [(r["day"], r["area"], r["category"], r["kind"], r["count"]) for r in answer]

    assert rows(area="D0", category="G0", kind="incident") == [("2024-03-01", "D0", "G0", "incident", 2)]
    assert rows(area="0999", category="all") == [
        ("2024-03-01", "0999", "all", "incident", 3),
        ("2024-03-01", "0999", "all", "report", 1),
    ]
    assert rows(area="0999", category="all", kind="incident", window=7)[-1] == ("2024-03-02", "0999", "all", "incident", 3)
    assert len(rows(area="level:2", category="C0", kind="report")) == 1
    text = ask("/v1/counts", params={"first": "2024-03-01", "format": "csv", "category": "all", "area": "0999"}).text
    assert [r["count"] for r in csv.DictReader(io.StringIO(text))] == ["3", "1"]
    assert ask("/v1/counts", params={"area": "nowhere"}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/v1/alerts?limit=x",
        "/v1/alerts?since=yesterday",
        "/v1/alerts?state=bad",
        "/v1/counts?window=0",
        "/v1/alerts/none",
        "/nothing",
    ],
)
def test_a_bad_question_gets_an_answer_in_words_and_no_trace(shared: Running, path: str) -> None:
    response = shared.client.get(path)
    assert response.status_code in (400, 404)
    assert response.json()["problem"]
    assert "Traceback" not in response.text


def test_the_openapi_document_describes_events_by_their_published_schemas(shared: Running) -> None:
    document = shared.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert "/v1/counts" in document["paths"]
    content = document["paths"]["/v1/events"]["post"]["requestBody"]["content"]
    assert set(content) == {"application/json", "application/x-ndjson"}
    assert shared.client.get("/v1/schemas/incident").json() == schema("incident")


@pytest.mark.parametrize("kind", ["incident", "report"])
def test_what_the_schema_takes_the_service_takes_and_what_it_refuses_is_refused(shared: Running, kind: str) -> None:
    check = jsonschema.Draft202012Validator(schema(kind))
    good = body(f"{kind}1", kind=kind)
    position = body(f"{kind}2", kind=kind, area=None, latitude=59.805, longitude=17.01)
    interval = body(
        f"{kind}3", kind=kind, occurred_at=None, occurred_from="2024-02-28T08:00:00Z", occurred_to="2024-03-01T08:00:00Z"
    )
    for event in (good, position, interval):
        assert check.is_valid(event), list(check.iter_errors(event))
        assert shared.send(event).json()["counts"] == {"accepted": 1}
    for wrong in (
        body(4, kind=kind, comment="x"),
        body(5, kind=kind, area=None),
        body(6, kind=kind, severity=9),
        body(7, kind=kind, occurred_at=None),
    ):
        assert not check.is_valid(wrong)
        assert shared.send(wrong).json()["counts"] == {"rejected": 1}


def test_health_and_readiness_answer(shared: Running) -> None:
    assert shared.client.get("/healthz").status_code == 200
    assert shared.client.get("/readyz").json()["status"] == "ready"


def test_settings_changed_in_the_file_take_effect_without_a_restart(running: Running) -> None:
    before = running.client.get("/readyz").json()["settings_version"]
    file = running.folder / "earlywarning.toml"
    file.write_text(file.read_text() + "[alerts]\nfalse_alarms_per_week = 3.0\n")
    for _ in range(200):
        if (now := running.client.get("/readyz").json()["settings_version"]) != before:
            break
        running.client.get("/healthz")
        _wait(running)
    assert now != before
    file.write_text("[alerts\n")
    for _ in range(200):
        if running.metric("earlywarning_settings_errors_total") >= 1:
            break
        _wait(running)
    assert running.metric("earlywarning_settings_errors_total") >= 1
    assert running.client.get("/readyz").json()["settings_version"] == now, "a broken file leaves the old settings in force"


def _wait(running: Running) -> None:
    """Let the service's own threads go on: ask something that takes a moment."""
    select.select([], [], [], 0.05)
    running.client.get("/v1/areas")


def test_data_quality_notes_come_over_http_in_both_languages(shared: Running) -> None:
    ask = shared.client.get
    assert ask("/v1/data-quality").json() == {"notes": []}
    assert ask("/v1/data-quality?since=never").status_code == 400
    assert "/v1/data-quality" in ask("/openapi.json").json()["paths"]
