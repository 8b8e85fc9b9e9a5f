"""`earlywarning tune`, as analysts use it: settings side by side, from files and from the store, in every form."""

import contextlib
import csv
import io
import json
from datetime import date, timedelta
from pathlib import Path

import pytest

from earlywarning.cli.app import app
from earlywarning.cli.place import OperatorError
from earlywarning.lab.bench import LabError
from tests.cli.test_backtest import FILES, FIRST, folder  # noqa: F401  # the same town
from tests.cli.told import command
from tests.core.town import BEGIN

SURGE = BEGIN.date() + timedelta(days=440)
LABELS = f"name,first,last,areas,categories\nthe surge,{SURGE},{SURGE},A0,C0\nnothing,{SURGE},{SURGE},A5,C3\n"
TOWN = (
    '[municipality]\ncode = "0999"\nname = "Testby"\n[registers]\nareas = "areas.geojson"\ncategories = "categories.csv"\n'
    '[service]\nclock = "events"\n[events]\noldest = 2020-01-01\n[alerts]\nfalse_alarms_per_week = 0.5\n'
)


@pytest.fixture
def kept(folder: Path) -> Path:  # noqa: F811
    """The town with its settings and known events, and a recording that is made once it is asked for."""
    (folder / "earlywarning.toml").write_text(TOWN)
    (folder / "labels.csv").write_text(LABELS)
    return folder


def tune(folder: Path, *words: str) -> str:  # noqa: F811
    """What the command prints; in this process, since starting one takes longer than the work."""
    shown = io.StringIO()
    with contextlib.chdir(folder), contextlib.redirect_stdout(shown):
        app(["tune", *words], exit_on_error=False, result_action="return_value")
    return shown.getvalue()


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_combination_stands_beside_todays_settings_in_every_form(kept: Path) -> None:
    asked = (*FILES, "-s", "earlywarning.toml", "--from", FIRST, "--labels", "labels.csv", "--recording", "town.npz")
    grid = ("--budget", "0.5", "--budget", "4", "--windows", "1-7", "--windows", "1-3-7-14-28", "--min-count", "3")
    tune(kept, *asked, *grid, "--out", "tried.csv", "--alerts", "alerts.json")
    tried = rows(kept / "tried.csv")
    assert [(r["setting"], r["budget"], r["windows"]) for r in tried] == [
        ("today", "0.5", "1-3-7-14-28"), ("1", "0.5", "1-7"), ("2", "0.5", "1-3-7-14-28"), ("3", "4", "1-7"),
        ("4", "4", "1-3-7-14-28"),
    ]  # fmt: skip
    assert all((r["labels"], r["found"], r["missed"], r["median_days"]) == ("2", "1", "1", "0") for r in tried[:2])
    assert float(tried[4]["per_week"]) >= float(tried[2]["per_week"])
    assert tried[2] == {**tried[0], "setting": "2"}, "today's settings go the same way"
    alerts = json.loads((kept / "alerts.json").read_text())
    mine = [a for a in alerts if a["setting"] == "today" and a["areas"] == ["A0"]]
    assert [(a["opened_on"], a["feedback"]) for a in mine if a["categories"] == ["C0"]] == [(SURGE.isoformat(), "right")]
    # The recording is used again, for other questions and forms.
    tune(kept, *asked, "--out", "tried.json", "--inject", f"areas=A2 categories=C1 begin={FIRST} days=8 total=20 shape=ramp")
    (told,) = json.loads((kept / "tried.json").read_text())
    assert (told["surges"], told["surges_found"]) == (1, 1)
    assert 0 <= told["surge_median_days"] <= 8
    parquet = pytest.importorskip("pyarrow.parquet")
    tune(kept, *asked, "--in", "D1", "--out", "tried.parquet", "--alerts", "alerts.parquet")
    (row,) = parquet.read_table(kept / "tried.parquet").to_pylist()
    assert row["first"] == date.fromisoformat(FIRST)
    assert all(set(a["areas"]) & {"0999", "D1", "A3", "A4", "A5"} for a in parquet.read_table(kept / "alerts.parquet").to_pylist())
    with pytest.raises(OperatorError, match=r"town\.npz: it was made for municipality 0999 with settings"):
        tune(kept, *asked, "--set", "detection.min_count=4")
    with pytest.raises(LabError, match="windows: 2 days were not recorded"):
        tune(kept, *asked, "--windows", "2-7")


def test_the_services_own_store_gives_history_and_answers(kept: Path) -> None:
    command(kept, "ingest", "events.jsonl")
    opened = json.loads(command(kept, "alerts", "--format", "json"))
    its = next(a for a in opened if a["areas"] == ["A0"] and a["categories"] == ["C0"] and a["opened_on"] >= FIRST)
    command(kept, "answer", its["alert_id"], "acknowledge", "--actor", "analyst")
    command(kept, "answer", its["alert_id"], "assess", "--actor", "analyst", "--assessment", "confirmed", "--reason", "new-problem")
    tune(kept, "--from", FIRST, "--out", "tried.csv")
    (told,) = rows(kept / "tried.csv")
    assert (told["labels"], told["found"], told["right"], told["wrong"], told["precision"]) == ("1", "1", "1", "0", "1")
    shown = tune(kept, "--from", FIRST, "--budget", "2", "--recording", "town.npz")
    assert all(words in shown for words in ("Budget: falsklarm per vecka", "Kända händelser", "i dag"))


def test_alerts_a_week_are_told_of_the_days_that_could_be_judged(kept: Path) -> None:
    asked = (*FILES, "-s", "earlywarning.toml", "--recording", "town.npz", "--out", "tried.csv")
    for words in ((), ("--budget", "2")):  # recorded, and out of the file
        tune(kept, *asked, "--from", (BEGIN.date() + timedelta(days=200)).isoformat(), *words)
        for row in rows(kept / "tried.csv"):
            first, last, weeks = date.fromisoformat(row["first"]), date.fromisoformat(row["last"]), float(row["weeks"])
            assert first > BEGIN.date() + timedelta(days=360), "a year makes the baselines"
            assert weeks == pytest.approx(((last - first).days + 1) / 7)
            assert float(row["per_week"]) == pytest.approx(int(row["alerts"]) / weeks)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--areas", "areas.geojson"), "files: give --areas, --categories and --events together"),
        ((*FILES, "--windows", "1,7"), "--windows 1,7: write days joined by hyphens"),
        ((*FILES, "--windows", "0-7"), "each 1 to 56"),
        ((*FILES, "--out", "tried.xlsx"), "--out tried.xlsx: the ending says the form; write .csv, .parquet or .json"),
        ((*FILES, "--alerts", "nowhere/a.csv"), "--alerts nowhere/a.csv: cannot be written"),
        ((*FILES, "--labels", "none.csv"), "--labels none.csv: cannot be read"),
        ((*FILES, "--inject", "place=A2"), "--inject place=A2: write words NAME=VALUE of areas, categories, begin"),
        ((*FILES, "--inject", "areas=A2 categories=C1 begin=soon"), "--inject: "),
        ((*FILES, "--from", "2031-01-01"), "must lie within what was recorded"),
    ],
)
def test_what_cannot_be_done_is_said_in_words_and_leaves_no_file(kept: Path, words: tuple[str, ...], said: str) -> None:
    before = set(kept.iterdir())
    with pytest.raises((OperatorError, LabError)) as caught:
        tune(kept, *words)
    assert said in str(caught.value)
    assert set(kept.iterdir()) == before
