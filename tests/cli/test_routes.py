"""Who gets what, from the command line: the recipients, a dry run over the history, and mutes with their preview."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.changes import Changes
from earlywarning.settings import load_settings
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from earlywarning.store.mutes import Mutes
from tests.cli.told import command
from tests.core.routed import TUESDAY, alert, case, mute
from tests.core.town import CODE
from tests.web.conftest import write_town

LOCAL = ZoneInfo("Europe/Stockholm")
RECIPIENTS = """
[recipients.coordination]
role = "coordinator"
channel = "mail"
escalates_to = "steering"
escalate_after_hours = 4
[recipients.steering]
role = "steering group"
channel = "sms"
at_once = "none"
digest = "none"
[recipients.housing]
role = "housing"
channel = "chat"
areas = ["D1"]
at_once = "all"
hours = "7-18"
digest = "daily"
[reporters.school]
source = "school"
channel = "mail"
"""
GRAVE = alert("grave", tendency="severe")
GRAFFITI = alert("graffiti", areas=("A4",))


@pytest.fixture
def town(tmp_path: Path) -> Path:
    write_town(tmp_path, RECIPIENTS)
    keep(tmp_path, GRAVE, GRAFFITI)
    return tmp_path


def keep(folder: Path, *opened: Alert) -> None:
    history = [AlertChange("opened", a.opened_on, a) for a in opened]
    history += [AlertChange("updated", a.opened_on, a) for a in opened]
    changes = Changes(
        municipality=CODE, pages={}, page_events={}, alerts=list(opened), history=history, clock_day=0, clock_hour=0
    )  # fmt: skip
    with Store.open(load_settings(folder / "earlywarning.toml").store_url, writer=True) as store:
        store.commit(changes, also=[Cases(store).keep([case(a) for a in opened])])


def dry_run(folder: Path, *words: str) -> list[dict[str, str]]:
    asked = ("routes", "test", "--since", "2026-03-01", "--until", "2026-03-10", "--format", "json")
    found: list[dict[str, str]] = json.loads(command(folder, *asked, *words))
    return [row for row in found if row["change"] == "opened"]


def test_a_dry_run_says_who_would_have_got_what_when_by_which_channel_and_why_not(town: Path) -> None:
    rows = {(r["recipient"], r["alert_id"].rsplit("-", 1)[1], r["way"]): r for r in dry_run(town)}
    told = {key: (r["at"], r["channel"], r["why"]) for key, r in rows.items()}
    assert told == {
        ("coordination", "grave", "at-once"): ("2026-03-03T21:00:00+00:00", "mail", "severe"),
        ("coordination", "graffiti", "digest"): ("2026-03-04T07:00:00+00:00", "mail", "gathered"),
        ("steering", "grave", "none"): ("2026-03-03T21:00:00+00:00", "sms", "no-digest"),
        ("steering", "grave", "escalation"): ("2026-03-04T01:00:00+00:00", "sms", "escalated"),
        ("steering", "graffiti", "none"): ("2026-03-03T21:00:00+00:00", "sms", "no-digest"),
        ("housing", "grave", "none"): ("2026-03-03T21:00:00+00:00", "chat", "other-area"),
        ("housing", "graffiti", "later"): ("2026-03-04T06:00:00+00:00", "chat", "hours"),
    }
    escalated = rows["steering", "grave", "escalation"]["reason"]
    assert escalated == "nobody has acknowledged it since Tuesday 3 March at 22:00, when coordination was told"


def test_the_table_is_told_in_swedish_and_csv_has_the_same_rows(town: Path) -> None:
    said = command(town, "routes", "test", "--since", "2026-03-01", "--until", "2026-03-10", "--language", "sv")
    assert "skickas genast: den är allvarlig och sällsynt" in said
    assert "samlas till sammanställningen onsdag 4 mars kl. 08.00" in " ".join(said.replace("│", " ").split())
    assert "Sammanställningar" in said
    assert "coordination: genast 1, sammanställningar 1" in said
    text = command(town, "routes", "test", "--since", "2026-03-01", "--until", "2026-03-10", "--format", "csv")
    assert len([r for r in csv.DictReader(io.StringIO(text)) if r["change"] == "opened"]) == len(dry_run(town))


def test_an_acknowledged_alert_would_not_have_been_escalated(town: Path) -> None:
    with Store.open(load_settings(town / "earlywarning.toml").store_url, writer=True) as store:
        seen = case(GRAVE, stage="acknowledged", acknowledged_at=TUESDAY + timedelta(hours=2))
        store.commit(None, also=[Cases(store).keep([seen])])
    assert "escalation" not in {r["way"] for r in dry_run(town)}


def test_a_dry_run_takes_mutes_into_account(town: Path) -> None:
    with Store.open(load_settings(town / "earlywarning.toml").store_url, writer=True) as store:
        Mutes(store).add(mute(areas=("D1",)))
    (row,) = (r for r in dry_run(town) if (r["recipient"], r["alert_id"]) == ("housing", GRAFFITI.alert_id))
    assert (row["way"], row["why"]) == ("digest", "muted")
    assert row["reason"].startswith("not sent: muted until Sunday 8 March (festival)")


def test_recipients_are_listed_with_when_they_hear_next(town: Path) -> None:
    said = command(town, "routes", "list")
    for word in ("Next meeting: Thursday", "coordination", "steering (4 h)", "D1", "answers about reports from school"):
        assert word in said
    listed = json.loads(command(town, "routes", "list", "--format", "json"))
    assert [r["name"] for r in listed["recipients"]] == ["coordination", "steering", "housing"]


def test_areas_of_which_nobody_would_get_severe_alerts_are_named(tmp_path: Path) -> None:
    write_town(tmp_path, '[recipients.housing]\nrole = "housing"\nchannel = "chat"\nareas = ["A1", "D1"]\n')
    assert "Nobody gets severe alerts at once about: Area 0 and Area 2." in command(tmp_path, "routes", "list")


def test_unknown_areas_of_recipients_are_found_when_settings_are_checked(tmp_path: Path) -> None:
    write_town(tmp_path, '[recipients.housing]\nrole = "housing"\nchannel = "chat"\nareas = ["D9"]\n')
    assert "recipients.housing.areas: the register of areas has no 'D9'" in command(tmp_path, "settings", "check", code=1)


def test_a_mute_is_previewed_made_listed_and_ended(tmp_path: Path) -> None:
    write_town(tmp_path, RECIPIENTS)
    today = datetime.now(LOCAL).date()
    last_year = alert("then", opened=datetime.now(UTC) - timedelta(days=364), areas=("A4",), state="settled")
    keep(tmp_path, alert("now", opened=datetime.now(UTC), areas=("A4",)), last_year, alert("else", opened=datetime.now(UTC)))
    words = (
        "--first", today.isoformat(), "--last", (today + timedelta(days=5)).isoformat(), "--reason", "festival", "--who",
        "coordinator", "--area", "D1", "--note", "Valborg",
    )  # fmt: skip
    said = command(tmp_path, "mute", "add", *words, "--preview")
    assert "One open alert lies within it" in said
    assert "One alert came within it on the same days last year" in said
    assert last_year.alert_id in said
    assert "only a preview" in said
    assert json.loads(command(tmp_path, "mute", "list", "--format", "json")) == []
    assert "Muted as m-" in command(tmp_path, "mute", "add", *words)
    (kept,) = json.loads(command(tmp_path, "mute", "list", "--format", "json"))
    assert (kept["areas"], kept["reason"], kept["who"]) == (["D1"], "festival", "coordinator")
    assert "ended on" in command(tmp_path, "mute", "end", kept["mute_id"], "--who", "coordinator")
    assert json.loads(command(tmp_path, "mute", "list", "--format", "json")) == []
    assert "was ended already" in command(tmp_path, "mute", "end", kept["mute_id"], "--who", "coordinator", code=1)
    with Store.open(load_settings(tmp_path / "earlywarning.toml").store_url) as store:
        assert [(e.actor, e.action) for e in Cases(store).audit(CODE)] == [("coordinator", "unmute"), ("coordinator", "mute")]


def test_a_mute_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    write_town(tmp_path)
    today = datetime.now(LOCAL).date()
    words = ("--first", today.isoformat(), "--last", (today + timedelta(days=60)).isoformat(), "--reason", "festival")
    assert "61 days are too long" in command(tmp_path, "mute", "add", *words, "--who", "coordinator", "--area", "D1", code=1)
