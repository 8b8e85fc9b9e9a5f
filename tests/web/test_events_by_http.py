"""What a supplier meets at POST /v1/events: an answer for each event, whatever its neighbours are."""

import json
import sqlite3
import subprocess
import sys

import msgspec
import pytest

from tests.core.town import history, merged, surge
from tests.web.conftest import Running, body


def test_each_event_gets_its_own_answer(running: Running) -> None:
    sent = [
        body(1),
        body(1),
        body(1, revision=2, area="A1", recorded_at="2024-03-01T15:00:00+01:00"),
        body(2, category="NOPE"),
        {"kind": "incident"},
        body(3, comment="something"),
        body(4, area=None, latitude=59.805, longitude=17.01),
    ]
    response = running.send(sent)
    assert response.status_code == 207
    results = response.json()["results"]
    assert [r["outcome"] for r in results] == [
        "accepted",
        "repeated",
        "replaced",
        "rejected",
        "rejected",
        "rejected",
        "accepted",
    ]
    assert [r["index"] for r in results] == [1, 2, 3, 4, 5, 6, 7]
    assert (results[3]["rule"], results[3]["field"], results[3]["event_id"]) == ("unknown-category", "category", "w-2x")
    assert (results[5]["rule"], results[5]["field"]) == ("unknown-field", "comment")


def test_one_event_and_json_lines_are_taken_as_well(running: Running) -> None:
    assert running.send(body(1)).json()["counts"] == {"accepted": 1}
    lines = "\n".join(json.dumps(body(i)) for i in range(2, 5)) + "\nnot json\n"
    assert running.send(lines, "application/x-ndjson").json()["counts"] == {"accepted": 3, "rejected": 1}


def test_an_event_sent_again_after_a_kill_counts_once(running: Running) -> None:
    assert running.send([body(1), body(2)]).json()["counts"] == {"accepted": 2}
    running.kill()
    running.start()
    assert running.send([body(1), body(2), body(3)]).json()["counts"] == {"accepted": 1, "repeated": 2}
    rows = running.client.get("/v1/counts", params={"area": "A0", "category": "C0", "first": "2024-03-01"}).json()["rows"]
    assert [(r["day"], r["count"]) for r in rows] == [("2024-03-01", 3)]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/json", 400),
        (b"[1, 2", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"<xml/>", "text/xml", 415),
        (b"[" * 100_000, "application/json", 400),
        (b"x" * 1_100_000, "application/json", 413),
    ],
)
def test_a_body_that_is_no_events_is_refused_in_words_and_nothing_stops(
    shared: Running, content: bytes, kind: str, status: int
) -> None:
    response = shared.send(content, kind)
    assert response.status_code == status
    assert "Traceback" not in response.text
    assert shared.send(body(f"after-{len(content)}-{content[:1].hex()}")).json()["counts"] == {"accepted": 1}


def test_a_file_for_a_running_service_is_sent_to_it(running: Running) -> None:
    (running.folder / "e.jsonl").write_text("\n".join(json.dumps(body(i)) for i in range(30)) + "\nbad\n")
    ingest = [sys.executable, "-m", "earlywarning", "ingest", "e.jsonl"]
    refused = subprocess.run(ingest, cwd=running.folder, capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert f"--to {running.address}" in refused.stderr
    sent = subprocess.run([*ingest, "--to", running.address], cwd=running.folder, capture_output=True, text=True, check=True)
    assert sent.stdout.split()[:2] == ["accepted", "30"]
    rows = running.client.get("/v1/counts", params={"area": "A0", "category": "C0", "first": "2024-03-01"}).json()["rows"]
    assert [r["count"] for r in rows] == [30]


PERSONAL = [
    ("event_id", "19121212-1212", "personal-identity-number"),
    ("event_id", "case 191212121212", "personal-identity-number"),
    ("source", "anna@example.se", "e-mail-address"),
    ("category", "070-174 06 05", "telephone-number"),
    ("area", "ABC 123", "vehicle-registration-number"),
]


def test_personal_data_is_refused_and_is_nowhere_to_be_found_afterwards(running: Running) -> None:
    for number, (field, value, rule) in enumerate(PERSONAL, start=1):
        response = running.send([body(f"fine{number}"), body(f"wrong{number}", **{field: value})])
        first, second = response.json()["results"]
        assert first["outcome"] == "accepted"
        assert (second["outcome"], second["rule"], second["field"]) == ("rejected", rule, field)
        assert value not in response.text
        letters = running.client.get("/v1/dead-letters")
        assert len(letters.json()["dead_letters"]) == number
        assert value not in letters.text
        assert value not in running.client.get("/metrics").text
    running.stop()
    log, kept = (running.folder / "log").read_text(), b"".join(p.read_bytes() for p in running.folder.glob("store.db*"))
    for _, value, _ in PERSONAL:
        assert value not in log
        assert value.encode() not in kept


def test_coordinates_find_the_area_and_are_kept_nowhere(running: Running) -> None:
    sent = [
        body(1, area=None, latitude=59.80512345, longitude=17.01),
        body(2, area=None, latitude=59.80512345, longitude=17.01, category="NOPE"),
        body(3, area=None, latitude=48.12345678, longitude=17.01),
        body(4, area=None, sweref_north=6631404.34, sweref_east=612760.25),
    ]
    outcomes = [r["outcome"] for r in running.send(sent).json()["results"]]
    assert outcomes == ["accepted", "rejected", "rejected", "accepted"]
    letters = running.client.get("/v1/dead-letters").json()["dead_letters"]
    assert json.loads(letters[0]["payload"])["area"] == "A0", "what was located is kept by its area"
    running.stop()
    with sqlite3.connect(running.folder / "store.db") as db:
        text = "\n".join(db.iterdump())
    for number in ("59.805123", "48.123456", "6631404", "612760"):
        assert number not in text


def test_a_surge_sent_event_by_event_is_an_alert_at_once_and_says_why(running: Running) -> None:
    past = history(5, days=440)
    lines = "\n".join(json.dumps(_wire(e)) for e in past)
    assert running.send(lines, "application/x-ndjson").json()["counts"] == {"accepted": len(past)}
    before = {a["alert_id"] for a in running.client.get("/v1/alerts").json()["alerts"]}
    for e in merged(surge(440)):
        assert running.send(_wire(e)).status_code == 207
    new = [a for a in running.client.get("/v1/alerts").json()["alerts"] if a["alert_id"] not in before and a["areas"] == ["A0"]]
    assert len(new) == 1
    one = running.client.get(f"/v1/alerts/{new[0]['alert_id']}", params={"language": "sv"}).json()
    assert one["sentence"].startswith("I Area 0 registrerades")
    assert one["state"] == "open"
    assert one["history"][0]["change"] == "opened"
    assert {d["heading"] for d in one["details"]} >= {"Sedan när", "Samma veckor tidigare år", "Vad som är osäkert"}
    assert running.metric('earlywarning_alert_changes_total{change="opened",tendency="surge"}') >= 1
    assert running.metric('earlywarning_events_total{kind="incident",outcome="accepted",source="wardens"}') > 9


def _wire(event: object) -> dict[str, object]:
    return {k: v for k, v in msgspec.to_builtins(event).items() if v is not None}
