"""Feeds that readers subscribe to, and the action plan that alerts name, on a real service."""

from collections.abc import Iterator

import pytest
from icalendar import Calendar
from lxml import etree

from earlywarning.runtimes.kafka.messages import encode_events
from tests.cli.told import command
from tests.core.town import CODE, history, merged, surge
from tests.plan.plans import TOML
from tests.web.conftest import Running, write_town

ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("feeds")
    write_town(folder)
    (folder / "plan.toml").write_text(TOML, encoding="utf-8")
    running = Running(folder)
    yield running
    running.stop()


def test_a_plan_is_put_in_force_while_the_service_runs_and_alerts_name_its_priorities(service: Running) -> None:
    said = command(service.folder, "plan", "import", "plan.toml", "--actor", "Styrgruppen", "--to", service.address)
    assert "in force as version 1" in said
    assert "nothing has changed" in command(service.folder, "plan", "import", "plan.toml", "--to", service.address)
    service.send(encode_events(merged(history(3, days=460), surge(430))), "application/x-ndjson")
    shown = service.client.get("/v1/plan").json()
    codes = {p["code"] for p in shown["plan"]["priorities"]}
    assert len(shown["versions"]) == 1
    assert {row["responsible"] for row in shown["standing"]} <= {p["responsible"] for p in shown["plan"]["priorities"]}
    alerts = service.client.get("/v1/alerts").json()["alerts"]
    touched = [service.client.get(f"/v1/alerts/{a['alert_id']}").json()["casework"]["touched"] for a in alerts]
    assert {t["code"] for own in touched for t in own} <= codes
    assert {t["responsible"] for own in touched for t in own} <= {"Fastighetsenheten", "Socialtjänsten"}
    assert any(touched)


def test_what_is_wrong_with_a_plan_is_all_said_and_nothing_changes(service: Running) -> None:
    broken = TOML.replace('"D0"', '"A77"').encode()
    answer = service.client.post("/v1/plan", params={"actor": "Styrgruppen", "file": "plan.toml"}, content=broken)
    assert answer.status_code == 422
    assert any("A77" in problem for problem in answer.json()["problems"])
    personal = service.client.post("/v1/plan", params={"actor": "anna@example.se", "file": "plan.toml"}, content=TOML.encode())
    assert personal.status_code == 422
    assert "anna" not in personal.text
    assert len(service.client.get("/v1/plan").json()["versions"]) == 1


@pytest.mark.parametrize("language", ["sv", "en"])
def test_feeds_hold_the_alerts(service: Running, language: str) -> None:
    names = {a["alert_id"] for a in service.client.get("/v1/alerts").json()["alerts"]}
    assert names
    for kind in ("atom", "cap"):
        feed = service.client.get(f"/v1/feeds/{kind}", params={"language": language})
        assert feed.headers["content-type"].startswith("application/atom+xml")
        entries = etree.fromstring(feed.content).findall(f"{ATOM}entry")
        assert {e.findtext(f"{ATOM}id", "").rsplit(":", 1)[1] for e in entries} == names
    calendar = Calendar.from_ical(service.client.get("/v1/feeds/calendar", params={"language": language}).content)
    assert {str(e["UID"]).split("@")[0] for e in calendar.walk("VEVENT")} == names
    assert CODE in next(iter(names))
