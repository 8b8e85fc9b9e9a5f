"""The installed command, as operators, analysts and suppliers use it."""

import csv
import io
import json
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest

from tests.cli.told import command
from tests.core.town import history, surge
from tests.web.conftest import body, write_town
from tests.web.test_events_by_http import _wire as wire

MAPPING = """
[mappings.wardens]
columns = { event_id = "Nr", occurred_at = "Tid", category = "Typ", area = "Plats" }
constants = { kind = "incident", source = "wardens", municipality = "0999" }
timestamp_format = "%Y-%m-%d %H:%M"
delimiter = ";"
[mappings.wardens.values]
category = { "Klotter" = "C0" }
"""


@pytest.fixture
def town(tmp_path: Path) -> Path:
    write_town(tmp_path, MAPPING)
    return tmp_path


def test_help_shows_each_audience_its_commands(tmp_path: Path) -> None:
    text = command(tmp_path, "--help")
    for word in ("Operators", "analysts", "Suppliers", "ingest", "alerts", "counts", "schema", "settings", "dead-letters", "run"):
        assert word in text


def test_schemas_are_valid_and_versioned(tmp_path: Path) -> None:
    for kind in ("incident", "report"):
        document = json.loads(command(tmp_path, "schema", kind))
        jsonschema.Draft202012Validator.check_schema(document)
        assert document["$id"] == f"urn:earlywarning:{kind}:1"
        assert document["additionalProperties"] is False


def test_csv_and_json_lines_become_alerts_that_are_listed_in_every_format(town: Path) -> None:
    lines = "\n".join(json.dumps(wire(e)) for e in history(5, days=440) + surge(440))
    (town / "past.jsonl").write_text(lines)
    said = command(town, "ingest", "past.jsonl")
    assert "accepted" in said
    rows = list(csv.DictReader(io.StringIO(command(town, "alerts", "--format", "csv"))))
    assert rows
    wanted = "alert_id opened_on first_day last_day areas categories tendency observed expected upper_bound recurrence_days state"
    assert set(wanted.split()) <= set(rows[0])
    alert = next(r for r in rows if r["areas"] == "A0" and r["opened_on"] == "2024-03-17")
    assert float(alert["observed"]) > float(alert["upper_bound"])
    assert alert["alert_id"] in command(town, "alerts")
    assert alert["alert_id"] in {a["alert_id"] for a in json.loads(command(town, "alerts", "--format", "json"))}
    explained = command(town, "alerts", alert["alert_id"], "--language", "sv")
    assert explained.startswith("I Area 0 registrerades")
    assert "Samma veckor tidigare år" in explained


def test_counts_come_as_csv_and_parquet_with_the_same_figures(town: Path) -> None:
    (town / "e.jsonl").write_text("\n".join(json.dumps(body(i, area=f"A{i % 3}")) for i in range(9)))
    command(town, "ingest", "e.jsonl")
    asked = ("counts", "--first", "2024-02-25", "--area", "level:2", "--category", "C0", "--window", "7")
    text = list(csv.DictReader(io.StringIO(command(town, *asked, "--format", "csv"))))
    command(town, *asked, "--format", "parquet", "--out", "counts.parquet")
    table = pq.read_table(town / "counts.parquet").to_pylist()
    assert [(r["day"], r["area"], float(r["count"])) for r in text] == [
        (r["day"].isoformat(), r["area"], r["count"]) for r in table
    ]
    assert {r["area"]: r["count"] for r in text} == {"A0": "3", "A1": "3", "A2": "3"}


def test_dead_letters_are_replayed_once_the_mapping_is_mended(town: Path) -> None:
    rows = "Nr;Tid;Typ;Plats;Anteckning\n1;2024-03-01 10:00;Klotter;A0;fri text\n2;2024-03-01 11:00;Fönsterkross;A1;Anna sa\n"
    (town / "wardens.csv").write_text(rows, encoding="utf-8")
    command(town, "ingest", "wardens.csv", "--mapping", "wardens")
    letters = json.loads(command(town, "dead-letters", "--format", "json"))
    assert [(x["rule"], x["event_id"], x["position"]) for x in letters] == [("unknown-category", "2", 3)]
    assert "Anna" not in json.dumps(letters), "a column that is not mapped is never kept"
    file = town / "earlywarning.toml"
    file.write_text(file.read_text().replace('"Klotter" = "C0"', '"Klotter" = "C0", "Fönsterkross" = "C1"'))
    assert "1 taken in again, 0 go on waiting" in command(town, "dead-letters", "replay")
    text = command(town, "counts", "--first", "2024-03-01", "--area", "level:2", "--category", "level:2", "--format", "csv")
    assert {(r["area"], r["category"]) for r in csv.DictReader(io.StringIO(text))} == {("A0", "C0"), ("A1", "C1")}


def test_settings_are_checked_as_a_whole_shown_and_compared(town: Path) -> None:
    assert "fine" in command(town, "settings", "check")
    (town / "e.jsonl").write_text(json.dumps(body(1)))
    command(town, "ingest", "e.jsonl")
    file = town / "earlywarning.toml"
    file.write_text(file.read_text() + "[alerts]\nfalse_alarms_per_week = 2.5\n")
    assert "alerts.false_alarms_per_week: 1.0 -> 2.5" in command(town, "settings", "diff")
    assert "alerts.false_alarms_per_week = 2.5" in command(town, "settings", "show")
    (town / "categories.csv").write_text("code,parent\n")
    file.write_text(file.read_text().replace("min_years = 1", "min_years = 99"))
    said = command(town, "settings", "check", code=1)
    assert "detection.min_years" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("alerts",), "earlywarning.toml"),
        (("ingest", "none.jsonl", "-s", "nowhere.toml"), "no settings file nowhere.toml"),
        (("run", "--municipality", "9999"), "not a Swedish municipality code"),
    ],
)
def test_what_cannot_be_done_is_said_in_words(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    assert said in command(tmp_path, *words, code=1)
