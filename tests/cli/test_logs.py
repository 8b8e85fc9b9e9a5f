"""Logs: objects that a machine can read, which name alerts and never repeat what a supplier sent."""

import io
import json
import logging
import subprocess
import sys
from pathlib import Path

import msgspec
import structlog

from earlywarning.cli.logs import configure_logs
from earlywarning.core.events import FIELDS as EVENT_FIELDS
from tests.core.town import history, merged, surge
from tests.web.conftest import Running, body, write_town

# Each is personal data, or stands for a text that a supplier should not have sent.
SECRETS = {
    "personal number": "19121212-1212",
    "short personal number": "811228-9874",
    "coordination number": "701063-2391",
    "e-mail": "anna.andersson@example.se",
    "telephone": "070-174 06 05",
    "plate": "ABC 123",
    "name": "Zebedeus Quaggström",
    "address": "Storgatan 17 lgh 1203",
    "words": "mannen i lägenheten ovanför",
    "line break": "rad ett\nrad två Zebedeus",
    "escape": "\x1b[31mZebedeus\x1b[0m",
    "long": "Zebedeus " * 300,
}
FIELDS = (
    "event_id", "source", "category", "municipality", "area", "occurred_at", "recorded_at", "ended_at", "origin", "premises",
    "kind", "revision", "latitude", "comment",
)  # fmt: skip


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def hostile() -> list[dict[str, object]]:
    """Events with one such value in each field, and with it as a field's name."""
    events = [body(f"{i}", **{field: value}) for i, value in enumerate(SECRETS.values()) for field in FIELDS]
    return events + [body(f"n{i}", **{value: "x"}) for i, value in enumerate(SECRETS.values())]


def marks() -> list[str]:
    """What must not be found anywhere: each value as it is and as JSON would write it."""
    values = {v for secret in SECRETS.values() for v in (secret.strip(), secret.split("\n")[-1].strip())} | {"Zebedeus", "Quaggstr"}
    return sorted(values | {json.dumps(v)[1:-1] for v in values})


def test_nothing_that_was_sent_is_in_the_logs_of_a_hostile_run(tmp_path: Path) -> None:
    write_town(tmp_path)
    service = Running(tmp_path)
    said = []
    try:
        events = hostile()
        service.send(events)
        service.send("\n".join(json.dumps(e) for e in events), "application/x-ndjson")
        for value in SECRETS.values():
            service.send(json.dumps({"kind": value})[:-3], "application/json")  # broken within the value
            service.send(value.encode(), "application/json")
            service.send(value.encode("utf-16"), "application/json")
            ascii_only = "".join(c if c.isascii() and c.isprintable() else "?" for c in value)[:200]
            service.client.post("/v1/events", content=b"[]", headers={"content-type": ascii_only, "x-from": ascii_only})
            for path in ("/v1/alerts/", "/v1/schemas/", "/"):
                service.client.get(
                    path + ascii_only.replace(" ", "%20").replace("?", "%3F"), params={"since": value, "rule": value}
                )
        service.client.get("/v1/dead-letters", params={"source": SECRETS["name"]})
        (tmp_path / "e.jsonl").write_text("\n".join(json.dumps(e) for e in events) + "\n" + SECRETS["name"] + "\n")
        named = tmp_path / "e.csv"
        columns = [f for f in FIELDS if f in EVENT_FIELDS]
        rows = [",".join(f'"{e.get(f, "")}"' for f in columns) for e in events]
        named.write_text(",".join(columns) + "\n" + "\n".join(rows) + "\n")
        service.stop()
        # Into the store directly: the log of this process is the command's error stream.
        for file in ("e.jsonl", "e.csv"):
            done = subprocess.run(
                [sys.executable, "-m", "earlywarning", "ingest", file], cwd=tmp_path, capture_output=True, text=True, check=False
            )
            assert "rejected" in done.stdout
            said.append(done.stderr)
    finally:
        if service.process.poll() is None:
            service.stop()
    log = (tmp_path / "log").read_text() + "".join(said)
    for mark in marks():
        assert mark not in log, mark


def test_the_log_is_json_and_names_alerts(tmp_path: Path) -> None:
    write_town(tmp_path)
    service = Running(tmp_path)
    try:
        past = merged(history(5, days=440), surge(440))
        text = "\n".join(json.dumps({k: v for k, v in msgspec.to_builtins(e).items() if v is not None}) for e in past)
        service.send(text, "application/x-ndjson")
        (tmp_path / "areas.geojson").write_text("{}")
        alerts = {a["alert_id"] for a in service.client.get("/v1/alerts").json()["alerts"]}
    finally:
        service.stop()
    log = lines((tmp_path / "log").read_text())
    assert alerts
    assert {entry["alert_id"] for entry in log if entry["event"] == "alert" and entry["change"] == "opened"} == alerts
    assert all(isinstance(entry["timestamp"], str) and entry["level"] for entry in log)


def test_logs_of_libraries_are_lines_of_the_same_kind_and_traces_hold_no_values() -> None:
    kept, factory = structlog.get_config(), logging.getLogger().handlers[:]
    out = io.StringIO()
    try:
        configure_logs(out)
        logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
        logging.getLogger("quiet").info("not said")
        held = SECRETS["name"]  # a local variable, as an event would be
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            structlog.get_logger("x").exception("failed")
            logging.getLogger("y").exception("failed")
        assert held
    finally:
        structlog.configure(**kept)
        logging.getLogger().handlers[:] = factory
        logging.getLogger().setLevel(logging.WARNING)
    first, *traces = lines(out.getvalue())
    assert (first["event"], first["level"], first["logger"]) == ("Invalid HTTP request received.", "warning", "uvicorn.error")
    assert ["RuntimeError: broken" in str(trace["exception"]) for trace in traces] == [True, True]
    assert held not in out.getvalue()


def test_a_library_that_says_the_same_all_the_time_is_told_once_a_minute() -> None:
    kept, factory = structlog.get_config(), logging.getLogger().handlers[:]
    out = io.StringIO()
    clients = logging.getLogger("clients")
    try:
        configure_logs(out)
        (handler,) = logging.getLogger().handlers
        for second in range(130):
            for node in (1, 2):
                record = clients.makeRecord("clients", logging.ERROR, "x.py", 1, "no connection to %s", (node,), None)
                record.created = 1_000_000.0 + second
                handler.handle(record)
        for _ in range(2):
            try:
                raise ConnectionResetError(104, "Connection reset by peer")
            except ConnectionResetError:
                clients.exception("closing socket")
            # What is no lost connection keeps its trace.
            for broken in (RuntimeError("broken"), OSError(28, "No space left on device")):
                try:
                    raise broken
                except (RuntimeError, OSError):
                    clients.exception("failed")
        for number in range(2000):  # none of them is lost, and none remembered for ever
            clients.warning("line %d", number)
        assert len(vars(handler)["_told"]) <= 500
    finally:
        structlog.configure(**kept)
        logging.getLogger().handlers[:] = factory
        logging.getLogger().setLevel(logging.WARNING)
    log = lines(out.getvalue())
    told = [(entry["event"], entry.get("held_back")) for entry in log if str(entry["event"]).startswith("no connection")]
    assert told == [(f"no connection to {node}", before) for before in (None, 59, 59) for node in (1, 2)]
    assert [entry["event"] for entry in log].count("closing socket: ConnectionResetError: Connection reset by peer") == 1
    assert ["exception" in entry for entry in log if entry["event"] == "failed"] == [True] * 4
    assert sum(str(entry["event"]).startswith("line ") for entry in log) == 2000
