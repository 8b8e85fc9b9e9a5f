"""Mutes over HTTP: made, previewed, listed and ended while the service runs, also from the command line."""

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from tests.cli.told import command
from tests.web.conftest import Running

LOCAL = ZoneInfo("Europe/Stockholm")


def test_mutes_are_made_and_ended_while_the_service_runs(running: Running) -> None:
    today = datetime.now(LOCAL).date()
    said = {
        "areas": ["D0"], "first_day": today.isoformat(), "last_day": (today + timedelta(days=3)).isoformat(),
        "reason": "school-holiday", "who": "coordinator",
    }  # fmt: skip
    post = running.client.post
    preview = post("/v1/mutes", json=said, params={"preview": True})
    assert (preview.status_code, preview.json()["open"], preview.json()["last_year"]) == (200, [], [])
    assert running.client.get("/v1/mutes").json() == {"mutes": []}
    made = post("/v1/mutes", json=said, params={"language": "sv"})
    assert made.status_code == 201
    assert made.json()["sentence"].startswith("D0, alla kategorier: tystat från och med")
    number = made.json()["mute_id"]
    assert [m["mute_id"] for m in running.client.get("/v1/mutes").json()["mutes"]] == [number]
    assert post("/v1/mutes/m-0/end", json={"who": "coordinator"}).status_code == 404
    assert post(f"/v1/mutes/{number}/end", json={}).status_code == 400
    assert post(f"/v1/mutes/{number}/end", json={"who": "coordinator"}).status_code == 200
    assert post(f"/v1/mutes/{number}/end", json={"who": "coordinator"}).status_code == 409
    assert running.client.get("/v1/mutes").json() == {"mutes": []}
    assert len(running.client.get("/v1/mutes", params={"over": True}).json()["mutes"]) == 1


def test_a_mute_that_cannot_be_made_is_refused_with_its_field(running: Running) -> None:
    day = datetime.now(LOCAL).date().isoformat()
    said = {"areas": ["D9"], "first_day": day, "last_day": day, "reason": "festival", "who": "coordinator"}
    answer = running.client.post("/v1/mutes", json=said)
    assert (answer.status_code, answer.json()["field"], answer.json()["rule"]) == (422, "areas", "unknown")
    assert running.client.post("/v1/mutes", json={"colour": "red"}).status_code == 400


def test_the_command_says_that_the_store_is_in_use_and_goes_through_the_service(running: Running) -> None:
    today = datetime.now(LOCAL).date().isoformat()
    words = ("mute", "add", "--first", today, "--last", today, "--reason", "sports", "--who", "coordinator", "--category", "G0")
    assert f"--to {running.address}" in command(running.folder, *words, code=1)
    said = command(running.folder, *words, "--to", running.address)
    assert "all areas, vandalism: muted on" in said
    number = re.findall(r"m-[0-9a-f]{10}", said)[0]
    assert "ended on" in command(running.folder, "mute", "end", number, "--who", "coordinator", "--to", running.address)
