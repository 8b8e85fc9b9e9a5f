"""What the group and analysts ask on the command line: answers, what they tell, alerts, quality, counts, refused events, mutes."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from earlywarning.cli.app import app
from earlywarning.core.events import Decoded, decode_array
from earlywarning.runtimes.embedded import Service
from earlywarning.settings import load_settings
from earlywarning.sources.supply import Supply
from earlywarning.store import Store
from tests.core.test_quality import a_round
from tests.core.town import NOW, history, merged, surge
from tests.web.conftest import body, copied, write_town


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A town with alerts, a heap of one reporter's, and an event that was refused."""
    folder = tmp_path_factory.mktemp("group")
    write_town(folder)
    service = Service.open(load_settings(folder / "earlywarning.toml"))
    events = merged(history(1, days=480, rate=0.2, lag_days=0.4), surge(430), surge(470, area="A4", category="C1"), a_round())
    for begin in range(0, len(events), 1000):
        part = events[begin : begin + 1000]
        service.take([Supply(Decoded(part, list(range(len(part))), []), "test")], NOW)
    service.take([Supply(decode_array(json.dumps([body(1, category="C9")]).encode()), "test")], NOW)
    service.stop()
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    own = copied(made, tmp_path)
    monkeypatch.chdir(own)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    return own


@pytest.fixture
def say(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs `earlywarning WORDS` in this process, and gives what it prints, or with fine=False the error."""

    def run(*words: str, fine: bool = True) -> str:
        if fine:
            app(words, exit_on_error=False, result_action="return_value")
            return capsys.readouterr().out
        with pytest.raises((ValueError, RuntimeError)) as caught:
            app(words, exit_on_error=False, result_action="return_value")
        return str(caught.value)

    return run


def alert_ids(folder: Path) -> list[str]:
    with Store.open(f"sqlite:///{folder / 'store.db'}") as store:
        return [a.alert_id for a in store.alerts()]


def test_answers_are_put_into_the_store_and_told_in_either_language(folder: Path, say: Callable[..., str]) -> None:
    first, second, *_ = alert_ids(folder)
    before = say("learning")
    assert "No alert has been assessed yet." in before
    assert "None has been acknowledged. Waiting:" in before
    assert "reason" in say("answer", first, "assess", "--assessment", "false-alarm", "--reason", "nope", fine=False)
    assert "this is no answer" in say("answer", first, "acknowledge", "--actor", "x" * 1000, fine=False)
    assert "The alert is acknowledged now." in say("answer", first, "acknowledge", "--actor", "eva")
    for name, word, reason in ((first, "confirmed", "new-problem"), (second, "false-alarm", "chance")):
        said = say("answer", name, "assess", "--assessment", word, "--reason", reason, "--actor", "eva", "--language", "sv")
        assert "Svaret är sparat" in said
    told = json.loads(say("learning", "--format", "json"))
    by_tendency = told["precision"]["tendency"]
    assert [sum(row[what] for row in by_tendency) for what in ("assessed", "confirmed", "false_alarm")] == [2, 1, 1]
    table = say("learning")
    assert f"{told['rate']['alerts']} alerts in" in table
    assert "Too few alerts have been assessed (2 of at least" in table
    for row in told["precision"]["area"]:
        assert {"A0": "Area 0", "A4": "Area 4"}.get(row["key"], "") in table
    assert "Falsklarm" in say("learning", "--language", "sv")
    assert json.loads(say("learning", "--since", "2029-01-01", "--format", "json"))["rate"]["alerts"] == 0


def test_an_alert_is_explained_with_its_history_and_one_that_is_not_there_is_said(folder: Path, say: Callable[..., str]) -> None:
    newest = alert_ids(folder)[0]
    told = json.loads(say("alerts", newest, "--format", "json"))
    assert told["alert_id"] == newest
    assert told["sentence"] in " ".join(say("alerts", newest).split())
    assert told["history"][0]["change"] == "opened"
    assert "there is no alert 'nothing'" in say("alerts", "nothing", fine=False)
    assert newest in say("alerts")


def test_what_was_recognised_in_the_booking_is_told_as_table_and_data(say: Callable[..., str]) -> None:
    (note,) = [n for n in json.loads(say("quality", "--format", "json")) if n["what"] == "burst"]
    assert note["area"] == "A1"
    table = " ".join(say("quality").replace("│", " ").split())
    assert note["noted_on"] in table
    assert note["sentence"] in table
    assert say("quality", "--language", "sv") != say("quality")
    assert json.loads(say("quality", "--until", "2023-01-01", "--format", "json")) == []


def test_counts_are_the_same_as_table_json_and_file(folder: Path, say: Callable[..., str]) -> None:
    chosen = ("counts", "--area", "A0", "--category", "C0", "--first", "2024-03-01", "--last", "2024-04-10")
    rows = json.loads(say(*chosen, "--format", "json"))
    assert rows
    assert sum(row["count"] for row in rows) > 0
    table = [[cell.strip() for cell in line.split("│")[1:-1]] for line in say(*chosen).splitlines() if line.startswith("│")]
    assert table == [[str(value) for value in row.values()] for row in rows]
    say(*chosen, "--format", "json", "--out", "counts.json")
    assert json.loads((folder / "counts.json").read_text()) == rows
    assert "add --out counts.parquet" in say(*chosen, "--format", "parquet", fine=False)


def test_refused_events_are_counted_by_rule_and_listed(say: Callable[..., str]) -> None:
    table = say("dead-letters")
    assert "unknown-category" in table
    assert "w-1x" in table
    (letter,) = json.loads(say("dead-letters", "--format", "json"))
    assert (letter["rule"], letter["event_id"], letter["state"]) == ("unknown-category", "w-1x", "waiting")
    assert json.loads(say("dead-letters", "--rule", "json", "--format", "json")) == []


def test_mutes_are_listed_as_table_and_data(say: Callable[..., str]) -> None:
    today = datetime.now(ZoneInfo("Europe/Stockholm")).date()
    days = ("--first", today.isoformat(), "--last", (today + timedelta(days=10)).isoformat())
    say("mute", "add", *days, "--area", "A0", "--reason", "festival", "--who", "coordinator", "--note", "on the square")
    (mute,) = json.loads(say("mute", "list", "--format", "json"))
    table = " ".join(say("mute", "list").replace("│", " ").split())
    assert mute["mute_id"] in table
    assert "on the square" in table
    assert "coordinator" in table
