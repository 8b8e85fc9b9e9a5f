"""`earlywarning briefing` as a coordinator runs it: files, errors that say the way out, and the outbox."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from earlywarning.briefing import BriefingError
from earlywarning.cli.briefing import write_briefing
from earlywarning.cli.place import OperatorError
from earlywarning.core.iso_week import WeekError
from earlywarning.store import Store
from earlywarning.store.outbox import Outbox
from tests.cli.told import command
from tests.core.town import history
from tests.web.conftest import write_town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    write_town(
        folder, '[recipients.group]\nrole = "coordinator"\nchannel = "mail"\naddress = "group@example.se"\nlanguage = "sv"\n'
    )
    (folder / "events.jsonl").write_bytes(b"\n".join(msgspec.json.encode(e) for e in history(5, 40)))
    command(folder, "ingest", "events.jsonl")
    return folder


def test_without_a_week_it_is_the_newest_that_is_over(town: Path) -> None:
    said = command(town, "briefing", "--out", "pictures", "--format", "html,pdf,json,mail")
    files = [town / line for line in said.splitlines()]
    assert [f.suffix for f in files] == [".html", ".pdf", ".json", ".html", ".txt"]
    assert json.loads(files[2].read_text())["week"] == "2023-W05"
    assert files[1].read_bytes().startswith(b"%PDF")


def test_language_and_readers_are_chosen_and_stand_in_the_name(town: Path) -> None:
    said = command(
        town, "briefing", "--week", "2023-W04", "--language", "en", "--for", "outside", "--out", "outside", "--format", "html"
    )
    assert said.strip().endswith("briefing-0999-2023-W04-en-outside.html")
    assert "Situational picture of" in (town / said.strip()).read_text()


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"week": "vecka 4"}, "write the year and the ISO week, such as 2026-W12"),
        ({"week": "2023-W53"}, "2023 has the weeks 1 to 52"),
        ({"week": "2023-W40"}, "week 2023-W40 has not begun for this store"),
        ({"forms": "html,docx"}, "'docx' is not known; it is some of html,pdf,json,mail"),
        ({"send": True}, "nobody wants the picture: set briefing = true for a recipient"),
        ({"send": True, "to": ("mail",)}, "there is no such recipient in the settings; there are: group"),
        ({"to": ("group",)}, "add --send"),
        ({"out": Path("earlywarning.toml/below")}, "choose another folder with --out"),
    ],
)
def test_errors_say_the_way_out(town: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], error: str) -> None:
    monkeypatch.chdir(town)
    chosen = {"week": "", "out": Path("wrong"), "forms": "html", "send": False, "to": (), **given}
    with pytest.raises((OperatorError, WeekError, BriefingError)) as caught:
        write_briefing(None, chosen["week"], chosen["out"], chosen["forms"], None, "group", chosen["send"], chosen["to"], "")
    assert error in str(caught.value)


def test_on_the_command_line_an_error_is_one_line(town: Path) -> None:
    said = command(town, "briefing", "--week", "vecka 4", code=1)
    assert said.startswith("earlywarning: week 'vecka 4' is not understood")


def test_sent_twice_it_lies_in_the_outbox_once(town: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(town)
    for _ in range(2):
        write_briefing(None, "2023-W04", Path("sent"), "json", None, "group", True, ["group"], "")
    store = next(town.glob("*.db"))
    with Store.open(f"sqlite:///{store}") as opened:
        messages = [w.message for w in Outbox(opened).messages()]
    assert [(m.kind, m.channel, m.recipient) for m in messages] == [("briefing", "mail", "group")]
