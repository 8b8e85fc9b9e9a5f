"""`earlywarning backtest`, as analysts use it: files in, alerts and a short summary out, errors in words."""

import contextlib
import csv
import json
import re
from datetime import date, timedelta
from pathlib import Path

import pytest

from earlywarning.cli.app import app
from tests.cli.told import command
from tests.core.town import BEGIN, CATEGORIES, areas_text, history, merged, surge
from tests.web.test_events_by_http import _wire as wire

FIRST = (BEGIN.date() + timedelta(days=430)).isoformat()
SURGE = (BEGIN.date() + timedelta(days=440)).isoformat()
FILES = ("--areas", "areas.geojson", "--categories", "categories.csv", "--events", "events.jsonl")
SETTINGS = '[municipality]\ncode = "0999"\nname = "Testby"\n[alerts]\nfalse_alarms_per_week = 0.5\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "areas.geojson").write_text(areas_text())
    (tmp_path / "categories.csv").write_text(CATEGORIES)
    lines = "\n".join(json.dumps(wire(e)) for e in merged(history(5, days=450), surge(440)))
    (tmp_path / "events.jsonl").write_text(lines)
    return tmp_path


def alerts(folder: Path, *words: str) -> list[dict[str, str]]:
    command(folder, "backtest", *FILES, "--from", FIRST, "--out", "alerts.csv", *words)
    with (folder / "alerts.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_without_settings_the_municipality_is_that_of_the_events(folder: Path) -> None:
    found = alerts(folder, "--budget", "1")
    assert ("A0", "C0", SURGE) in {(a["areas"], a["categories"], a["opened_on"]) for a in found}
    assert sorted(p.name for p in folder.iterdir()) == ["alerts.csv", "areas.geojson", "categories.csv", "events.jsonl"]


def test_settings_of_a_file_and_keys_beside_it_are_in_force(folder: Path) -> None:
    (folder / "town.toml").write_text(SETTINGS)
    assert alerts(folder, "-s", "town.toml")
    assert alerts(folder, "-s", "town.toml", "--set", "detection.min_count=500", "--set", "detection.kinds=['incident']") == []
    assert alerts(folder, "-s", "town.toml", "--to", (BEGIN.date() + timedelta(days=438)).isoformat()) == []


def test_the_summary_and_the_alerts_go_to_different_streams(folder: Path) -> None:
    out = command(folder, "backtest", *FILES, "--from", FIRST)
    assert out.startswith("alert_id,opened_on,areas,categories,")
    assert "a week" not in out


def test_days_that_could_not_be_judged_are_told_and_not_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = (BEGIN.date() + timedelta(days=200)).isoformat()
    with contextlib.chdir(folder):
        app(["backtest", *FILES, "--from", asked, "--out", "alerts.csv"], exit_on_error=False, result_action="return_value")
    told = re.search(
        r"judged (\S+) to (\S+), each day.*\n(\d+) alerts in ([\d.]+) weeks, ([\d.]+) a week", said := capsys.readouterr().err
    )
    assert told, said
    first, last = (date.fromisoformat(day) for day in told.groups()[:2])
    assert first > BEGIN.date() + timedelta(days=360), "a year makes the baselines"
    weeks = ((last - first).days + 1) / 7
    assert told.groups()[2:] == (told[3], f"{weeks:.1f}", f"{int(told[3]) / weeks:.2f}")
    assert f"nothing could be judged before {first}: less than 1 years of history lie before it" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--from", FIRST, "--budget", "-1"),
            "alerts.false_alarms_per_week: -1.0 is not allowed; allowed: numbers above 0 to 1000",
        ),
        (("--from", FIRST, "--set", "min_count"), "--set min_count: write it as NAME=VALUE"),
        (("--from", FIRST, "--set", "min_count=3"), "min_count: is no key; write section.key"),
        (("--from", FIRST, "--set", "detection.min=3"), "detection.min: there is no such key; keys are windows, years"),
        (("--from", FIRST, "--settings", "none.toml"), "none.toml: cannot be read"),
        (("--from", FIRST, "--mapping", "wardens"), "there is no mapping 'wardens' in the settings"),
        (("--from", FIRST, "--out", "nowhere/alerts.csv"), "--out nowhere/alerts.csv: cannot be written"),
        (("--from", FIRST, "--out", "."), "--out .: is a folder"),
        (("--from", "2031-01-01"), "must lie within what was recorded"),
        (("--from", FIRST, "--events", "none.csv"), "none.csv: cannot be"),
    ],
)
def test_what_cannot_be_done_is_said_in_words_and_leaves_no_file(folder: Path, words: tuple[str, ...], said: str) -> None:
    before = set(folder.iterdir())
    assert said in command(folder, "backtest", *FILES, *words, code=1)
    assert set(folder.iterdir()) == before


def test_events_of_which_none_can_be_read_are_an_error_with_the_first_of_each_rule(folder: Path) -> None:
    (folder / "events.jsonl").write_text('{"kind": "incident"}\n{"kind": "theft"}\n')
    said = command(folder, "backtest", *FILES, "--from", FIRST, code=1)
    assert "there are no events to judge" in said
    assert "events.jsonl, line 1" in said


def test_alerts_are_written_in_the_form_that_the_ending_says(folder: Path) -> None:
    found = alerts(folder, "--budget", "1")
    for ending in ("json", "parquet"):
        command(folder, "backtest", *FILES, "--from", FIRST, "--budget", "1", "--out", f"alerts.{ending}")
    told = json.loads((folder / "alerts.json").read_text())
    assert [a["alert_id"] for a in told] == [a["alert_id"] for a in found]
    assert [";".join(a["areas"]) for a in told] == [a["areas"] for a in found]
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(folder / "alerts.parquet")
    assert [d.isoformat() for d in table["opened_on"].to_pylist()] == [a["opened_on"] for a in told]
    assert table["observed"].to_pylist() == [a["observed"] for a in told]
    assert "--out alerts.xlsx: the ending says the form" in command(
        folder, "backtest", *FILES, "--from", FIRST, "--out", "alerts.xlsx", code=1
    )
