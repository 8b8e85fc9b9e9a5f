"""The action plan and the weekly picture as pages, and a new plan by form: problems, preview, in force."""

import re
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from pypdf import PdfReader

from earlywarning.core.iso_week import week_of
from earlywarning.runtimes.embedded import Service
from earlywarning.store.cases import Cases
from earlywarning.store.plans import Plans
from earlywarning.web.api import make_app
from tests.core.town import CODE
from tests.plan.plans import TOML
from tests.web.conftest import open_town, write_town

PAGE = {"accept": "text/html"}
Client = TestClient[Litestar]


@pytest.fixture
def service(town: Path) -> Iterator[Service]:
    opened = open_town(town)
    yield opened
    opened.stop()


def read(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == status, answer.text[-2_000:]
    return answer.text


def csrf(text: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', text)
    assert found
    return found.group(1)


def hidden(text: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    assert found, name
    return found.group(1)


def upload(client: Client, toml: str, name: str = "plan.toml", note: str = "") -> tuple[int, str]:
    data = {"csrf": csrf(read(client, "/plan")), "note": note}
    answer = client.post("/plan", data=data, files={"file": (name, toml.encode(), "text/plain")}, headers=PAGE)
    return answer.status_code, answer.text


def confirm(client: Client, preview: str, note: str = "") -> tuple[int, str]:
    data = {name: hidden(preview, name) for name in ("csrf", "name", "base", "content")}
    answer = client.post("/plan", data={**data, "note": note}, headers=PAGE)
    return answer.status_code, answer.headers.get("location", "") or answer.text


def put(client: Client, toml: str = TOML) -> None:
    assert client.post("/v1/plan", params={"actor": "Styrgruppen"}, content=toml.encode()).status_code == 200


def test_the_page_tells_each_priority_with_its_figures_and_leads_to_areas_and_alerts(client: Client, service: Service) -> None:
    put(client, TOML.replace("baseline_first = 2023-01-02", "baseline_first = 2023-02-01"))  # all of it is held
    text = read(client, "/plan?language=en")
    for words in (
        "Graffiti in the east",
        "Fastighetsenheten",
        "Cleans within a day",
        "30% fewer",
        "Quick removal",
        "We walk the area",
    ):
        assert words in text, words
    assert 'href="/areas/D0?category=C0&amp;kind=incident"' in text
    touching = re.findall(r'href="/alerts/(0999-[^"]+)"', text)
    assert touching
    assert all(service.store.alert(i) is not None for i in touching)
    level = re.search(r"Level against the comparison</th><td>([^<]+)</td>", text)
    assert level
    assert re.search(r"fewer|more|as many", level.group(1))
    assert "Table behind the charts" in text


def test_the_bars_in_the_table_are_the_counts_of_the_store(client: Client) -> None:
    put(client)
    text = read(client, "/plan?language=en")
    cells = re.search(r'<th scope="row">(\d+ \w+ \d{4})</th><td>(\d+ \w+ \d{4})</td><td class="n">(\d+)</td>', text)
    assert cells
    days = [_day(cells.group(n)) for n in (1, 2)]
    question = f"/v1/counts?first={days[0]}&last={days[1]}&area=D0&category=C0&kind=incident&origin=reported&format=csv"
    rows = client.get(question).text.splitlines()[1:]
    assert sum(int(row.rsplit(",", 1)[1]) for row in rows) == int(cells.group(3)) > 0


def _day(words: str) -> str:
    day, month, year = words.split()
    number = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sept", "Oct", "Nov", "Dec"].index(month) + 1
    return f"{year}-{number:02}-{int(day):02}"


def test_a_file_with_errors_changes_nothing_and_every_error_is_said(client: Client, service: Service) -> None:
    status, text = upload(client, TOML.replace('"D0"', '"A77"').replace('categories = ["G1"]', 'categories = ["G99"]'))
    assert status == 422
    assert "A77" in text
    assert "G99" in text
    assert upload(client, TOML, "plan.xls")[0] == 422
    assert upload(client, "")[0] == 422
    status, text = upload(client, TOML, note="ring anna@example.se")
    assert status == 422
    assert "anna" not in text
    assert Plans(service.store).versions(CODE) == []
    read(client, "/plan?language=sv")
    status, text = upload(client, TOML.replace('areas = ["D0"]', 'areas = ["A77"]').replace("by = 2024-03-01", "by = 2020-03-01"))
    assert status == 422
    assert "(KLOTTER), areas[1]: området &#39;A77&#39; finns inte i registret" in text
    assert "2020-03-01 ligger före planens första dag, 2024-01-01" in text
    assert "is not in the register" not in text
    assert "ingen fil är vald" in upload(client, "")[1]


def test_a_plan_takes_effect_only_after_its_preview_has_been_confirmed(client: Client, service: Service) -> None:
    status, preview = upload(client, TOML)
    assert status == 200
    assert Plans(service.store).versions(CODE) == []
    assert confirm(client, preview, "beslut") == (303, "/plan?saved=1")
    changed = TOML.replace("change = -0.3", "change = -0.4")
    _, preview = upload(client, changed)
    assert re.search(r"priorities\[KLOTTER\]\.goal\.change</code></th><td>-0\.3</td><td>-0\.4</td>", preview)
    assert confirm(client, preview)[0] == 303
    plan = Plans(service.store).current(CODE)
    assert plan is not None
    assert plan.priorities[0].goal.change == -0.4
    assert [e.note for e in Cases(service.store).audit(CODE) if e.action == "plan"] == ["", "beslut"]
    assert 'name="content"' not in upload(client, changed)[1]  # the same again: nothing to confirm
    assert "-0.3" in read(client, "/plan")  # what the version changed


def test_a_plan_that_somebody_else_has_put_in_force_since_the_preview_is_not_run_over(client: Client, service: Service) -> None:
    put(client)
    _, preview = upload(client, TOML.replace("change = -0.3", "change = -0.4"))
    put(client, TOML.replace("change = -0.3", "change = -0.5"))
    status, text = confirm(client, preview)
    assert status == 409
    assert re.search(r"<td>-0\.5</td><td>-0\.4</td>", text)
    assert len(Plans(service.store).versions(CODE)) == 2


def test_the_plan_is_downloaded_as_the_file_that_it_was_and_followed_up_as_pdf(client: Client) -> None:
    assert client.get("/v1/plan?format=toml").status_code == 404
    put(client)
    file = client.get("/v1/plan?format=toml").text
    assert client.post("/v1/plan", params={"actor": "x"}, content=file.encode()).json()["changed"] is False
    made = client.get("/v1/plan/follow-up?year=2024&language=sv")
    assert made.headers["content-type"] == "application/pdf"
    assert "Klotter i öster" in "".join(p.extract_text() for p in PdfReader(BytesIO(made.content)).pages)
    assert client.get("/v1/plan/follow-up?year=1999").status_code == 404
    assert "year=2024" in read(client, "/plan")


def test_the_weekly_picture_stands_in_the_frame_and_its_alerts_lead_to_their_pages(client: Client, service: Service) -> None:
    alert = min(service.store.alerts(municipality=CODE), key=lambda a: a.opened_on)
    week = week_of(alert.opened_on)
    missing = read(client, "/briefing?week=1999-W01&language=en", 404)
    assert "There is no picture of 1999-W01" in missing
    assert f'href="/briefing?week={week}"' in missing  # the archive stays
    text = read(client, f"/briefing?week={week}&language=en")
    assert f'<option value="{week}" selected' in text
    assert f'href="/alerts/{alert.alert_id}"' in text
    assert 'aria-current="page">Weekly picture' in text
    for side, words in ((-7, "a week earlier"), (7, "a week later")):
        beside = week_of(week.first + timedelta(days=side))
        assert re.search(rf'href="/briefing\?week={beside}">Week \d+, {words}', text)
    assert re.search(rf'href="/v1/briefing\?week={week}&amp;form=pdf', text)


def test_without_a_plan_or_an_event_the_pages_say_so(tmp_path: Path) -> None:

    write_town(tmp_path)
    service = open_town(tmp_path)
    try:
        with TestClient(make_app(service)) as client:
            assert "There is no action plan yet" in read(client, "/plan?language=en")
            assert "There are no events yet" in read(client, "/briefing?language=en")
            put(client)
            assert "Graffiti in the east" in read(client, "/plan?language=en")
    finally:
        service.stop()
