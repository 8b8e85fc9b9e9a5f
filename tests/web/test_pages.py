"""What the pages show: the picture as it was known then, the inbox and its answers, areas, operations."""

import asyncio
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
from litestar import Litestar, Request
from litestar.testing import TestClient

from earlywarning.core.areas import load_areas, municipality_only
from earlywarning.core.calendar import date_of
from earlywarning.core.casework import Answer
from earlywarning.core.events import Decoded
from earlywarning.monitoring import Metrics
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.known import Known
from earlywarning.sources.supply import Supply
from earlywarning.web.api import make_app
from earlywarning.web.drawing.outlines import town_of
from earlywarning.web.drawing.series import chart_of
from earlywarning.web.many import make_many
from earlywarning.web.pages.frame import own_path
from earlywarning.web.pages.front_door import front_door
from tests.core.town import BEGIN, CODE, NOW, event, register
from tests.web.conftest import open_town, write_town

PAGE = {"accept": "text/html"}
Client = TestClient[Litestar]


@pytest.fixture
def service(town: Path) -> Iterator[Service]:
    opened = open_town(town)
    yield opened
    opened.stop()


def page(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == status, answer.text[-2_000:]
    return answer.text


def row(text: str, area: str) -> list[str]:
    """The cells of an area's row in the table behind the map."""
    found = re.search(rf'<th scope="row"><a[^>]*>{area}</a></th>(.*?)</tr>', text, re.S)
    assert found, text[-3_000:]
    return re.findall(r"<td[^>]*>(.*?)</td>", found.group(1))


def known_now(client: Client) -> int:
    """How many events of A2 on day 440 are known by now."""
    question = f"/v1/counts?first={day(440)}&last={day(440)}&area=A2&category=all&kind=incident&format=csv"
    return sum(int(line.rsplit(",", 1)[1]) for line in client.get(question).text.splitlines()[1:])


def day(number: int) -> str:
    return (BEGIN + timedelta(days=number)).date().isoformat()


def test_the_application_is_made_without_what_its_framework_gives_up(service: Service) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        make_app(service).openapi_schema.to_schema()


def test_a_surge_stands_out_on_the_map_in_the_table_and_in_its_lane(client: Client) -> None:
    text = page(client, f"/picture?window=1&day={day(458)}&category=C1&kind=incident")
    observed, _, _, compared, alerts = row(text, "Area 4")
    assert int(observed) >= 9
    assert compared == "far more"
    assert int(alerts) >= 1
    assert row(text, "Area 3")[3] == "as expected"
    assert re.search(r'<path id="m\d+" class="a m3"', text)
    assert "Area 4: 9, expected" in text or f"Area 4: {observed}, expected" in text


def test_the_picture_of_an_earlier_day_knows_nothing_of_what_came_later(client: Client, service: Service) -> None:
    late = [
        event(f"late{i}", BEGIN + timedelta(days=440, minutes=i), area="A2", recorded_at=BEGIN + timedelta(days=459))
        for i in range(9)
    ]
    service.take([Supply(Decoded(late, list(range(9)), []), "test")], NOW)
    then = page(client, f"/picture?window=1&day={day(440)}")
    assert "as it was known when" in then
    assert int(row(then, "Area 2")[0]) < 9
    assert known_now(client) >= 9
    assert "as it was known when" not in page(client, "/picture")


def test_alerts_of_an_earlier_day_are_those_that_were_open_then(client: Client, service: Service) -> None:
    first = next(a for a in service.store.alerts() if a.areas == ("A0",))
    assert first.alert_id in page(client, f"/picture?day={first.opened_on.isoformat()}")
    assert first.alert_id not in page(client, f"/picture?day={(first.opened_on - timedelta(days=2)).isoformat()}")


def test_levels_and_kinds_of_sources_are_kept_apart(client: Client) -> None:
    fine = page(client, f"/picture?day={day(430)}&kind=incident")
    assert row(fine, "Area 0")[0] != "0"
    assert [row(fine, f"Area {i}")[0] for i in (1, 3, 5)] == ["0"] * 3  # odd areas send reports only
    assert "D0" in page(client, f"/picture?day={day(430)}&level=1")
    assert row(page(client, f"/picture?day={day(430)}&level=0"), "Testby")[0] != "0"


@pytest.mark.parametrize(
    "query", ["day=x&window=99&level=-1&category=NIL&kind=moon", "day=1900-01-01", "day=2999-01-01", "level=9"]
)
def test_a_choice_that_is_not_there_becomes_the_usual_one(client: Client, query: str) -> None:
    page(client, f"/picture?{query}")
    page(client, f"/areas/A0?{query}")
    page(client, f"/alerts?which={query}&group=x&tendency=y&area=z&q=%00%22")


def test_the_area_page_shows_series_alarms_and_neighbours(client: Client, service: Service) -> None:
    text = page(client, f"/areas/A0?day={day(445)}&category=C0&kind=incident")
    alert = next(a for a in service.store.alerts() if a.areas == ("A0",))
    assert f'href="/alerts/{alert.alert_id}"' in text
    assert 'class="alarm"' in text
    assert 'class="line expected"' in text
    assert 'href="/areas/A1?' in text
    page(client, "/areas/NOWHERE", 404)


def test_an_alert_goes_from_new_to_closed_by_its_forms(client: Client, service: Service) -> None:
    alert_id = service.store.alerts()[0].alert_id
    address = f"/alerts/{alert_id}"
    steps: list[dict[str, str]] = [
        {"action": "acknowledge"},
        {"action": "assess", "choice": "confirmed:new-problem", "note": "Sett på plats"},
        {"action": "picture", "situation": "Klotter vid skolan"},
        {"action": "cause", "cause": "lighting"},
        {
            "action": "measure",
            "answers": "1",
            "what": "Ny belysning",
            "owner": "Gatukontoret",
            "due": "2030-01-01",
            "goal": "Inget klotter",
        },
        {"action": "follow-up", "measure": "1", "outcome": "done"},
        {"action": "close", "reason": "acted-on"},
    ]
    for step in steps:
        text = page(client, address)
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text)) | step
        hidden["answer_id"] = f"{hidden['answer_id'].rsplit('-', 1)[0]}-{step['action']}"
        answer = client.post(address, data=hidden)
        assert (answer.status_code, step["action"]) == (303, step["action"]), answer.text[-1_500:]
    text = page(client, address + "?saved=1")
    for words in ("Ny belysning", "Gatukontoret", "Klotter vid skolan", "Sett på plats", "The answer is kept"):
        assert words in text
    assert alert_id in page(client, "/alerts?which=ended")
    assert alert_id not in page(client, "/alerts")


def test_a_refused_answer_says_why_and_loses_nothing(client: Client, service: Service) -> None:
    address = f"/alerts/{service.store.alerts()[0].alert_id}"
    hidden = dict(re.findall(r'<input type="hidden" name="(csrf|revision)" value="([^"]*)">', page(client, address)))
    answer = client.post(
        address, data={**hidden, "action": "assess", "choice": "confirmed:new-problem", "note": "ring 070-123 45 67"}
    )
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert 'value="confirmed:new-problem" selected' in answer.text
    assert client.post(address, data={**hidden, "action": "acknowledge"}).status_code == 303
    stale = client.post(address, data={**hidden, "action": "note", "note": "sent a"})
    assert stale.status_code == 409
    assert "sent a" in stale.text
    assert client.post(address, data={**hidden, "action": "fly"}).status_code == 422
    page(client, "/alerts/0999-nothing", 404)


@pytest.mark.parametrize(
    ("step", "english", "swedish"),
    [
        ({"action": "close", "reason": "acted-on"}, "a measure was not followed up", "en åtgärd är inte uppföljd"),
        (
            {"action": "merge", "into": "1480-240301-0a1b2c3d"},
            "there is no alert of that id",
            "det finns ingen varning med det numret",
        ),
        (
            {"action": "measure", "answers": "1", "what": "Klippning", "owner": "Parkenheten", "due": "2020-01-01", "goal": "Sikt"},
            "done before it begins",
            "klar innan den börjar",
        ),
    ],
)
def test_a_refused_answer_is_told_in_the_readers_language(
    client: Client, service: Service, step: dict[str, str], english: str, swedish: str
) -> None:
    alert_id = service.store.alerts()[0].alert_id
    given: dict[str, object] = {"answer_id": "", "alert_id": alert_id, "actor": "samordnaren", "at": datetime.now(UTC)}
    measure = {"answers": 1, "what": "Ny belysning", "owner": "Gatukontoret", "due": "2030-01-01", "goal": "Inget klotter"}
    for i, more in enumerate(
        (
            {"action": "assess", "assessment": "confirmed", "reason": "new-problem"},
            {"action": "picture", "picture": {"situation": "Klotter vid skolan"}},
            {"action": "cause", "cause": "lighting"},
            {"action": "measure", **measure},
        )
    ):
        service.answer(msgspec.convert({**given, **more, "answer_id": f"a{i}"}, Answer))
    for language, words in (("en", english), ("sv", swedish)):
        text = page(client, f"/alerts/{alert_id}?language={language}")
        hidden = dict(re.findall(r'<input type="hidden" name="(csrf|revision)" value="([^"]*)">', text))
        answer = client.post(f"/alerts/{alert_id}", data={**hidden, **step})
        assert answer.status_code == 422
        notice = re.search(r'role="alert"><p>(.*?)</p>', answer.text, re.S)
        assert notice
        assert words in notice.group(1)


def test_the_inbox_is_filtered_searched_and_grouped(client: Client, service: Service) -> None:
    one, other = (next(a for a in service.store.alerts() if a.areas == (code,)).alert_id for code in ("A0", "A4"))
    assert one in page(client, "/alerts?which=all")
    text = page(client, "/alerts?which=all&area=A4")
    assert (one in text, other in text) == (False, True)
    assert one not in page(client, "/alerts?which=all&q=broken+windows")
    assert '<h2 id="g1">Area 0' in page(client, "/alerts?which=all&group=area&area=A0")
    assert "Nothing to show" in page(client, "/alerts?which=working")


def test_the_language_is_chosen_once_and_kept(client: Client) -> None:
    assert '<html lang="en">' in page(client, "/picture")
    assert '<html lang="sv">' in page(client, "/picture?language=sv")
    assert "Lägesbild" in page(client, "/picture")
    assert '<html lang="sv">' in page(client, "/picture?language=fi")


def test_the_operations_page_tells_sources_refusals_settings_and_who_did_what(client: Client, service: Service) -> None:
    text = page(client, "/operations")
    assert "wardens" in text
    assert service.settings.version in text
    alert_id = service.store.alerts()[0].alert_id
    hidden = dict(re.findall(r'<input type="hidden" name="(csrf|revision)" value="([^"]*)">', page(client, f"/alerts/{alert_id}")))
    client.post(f"/alerts/{alert_id}", data={**hidden, "action": "acknowledge"})
    assert "<td>acknowledged</td>" in page(client, "/operations")


def test_what_is_kept_is_on_the_pages_soon_without_reading_all_anew(service: Service) -> None:
    known = Known(service)
    before = len(known.events())
    service.take([Supply(Decoded([event("n1", BEGIN + timedelta(days=459))], [0], []), "test")], NOW)
    assert len(known.events()) == before  # rests for a few seconds while events flow
    known._looked = 0.0
    assert len(known.events()) == before + 1


def test_a_browser_at_the_root_is_shown_the_picture_and_a_program_what_there_is(client: Client) -> None:
    assert client.get("/", headers=PAGE).headers["location"] == "/picture"
    assert client.get("/").json()["service"] == "earlywarning"
    assert "There is no such page" in page(client, "/nothing", 404)
    assert client.get("/nothing").json() == {"problem": "there is nothing at this address"}


def many(service: Service, host: str, *paths: str) -> list[httpx.Response]:
    """What a desk answers that serves one municipality among others."""
    app = make_many({CODE: service}, Metrics(), lambda: None, lambda: True, host=host)

    async def asked() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk", headers=PAGE) as client:  # type: ignore[arg-type]
            return [await client.get(path) for path in paths]

    return asyncio.run(asked())


def test_among_many_municipalities_links_begin_with_their_own_code(service: Service) -> None:
    shown, root = many(service, "127.0.0.1", f"/{CODE}/picture", f"/{CODE}/")
    addresses = re.findall(r'(?:href|src|action)="(/[^"]*)"', shown.text)
    assert len(addresses) > 20
    assert all(a.startswith(f"/{CODE}/") for a in addresses)
    assert root.headers["location"] == f"/{CODE}/picture"
    (style,) = many(service, "127.0.0.1", re.findall(r'href="([^"]*page.css[^"]*)"', shown.text)[0])
    assert style.status_code == 200


def test_at_the_root_of_many_municipalities_a_browser_is_shown_their_names_and_a_program_their_codes(service: Service) -> None:
    app = make_many({CODE: service, "0380": service}, Metrics(), lambda: None, lambda: True)

    async def asked(path: str, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk", headers=headers) as client:  # type: ignore[arg-type]
            return await client.get(path)

    def told(path: str, **headers: str) -> httpx.Response:
        return asyncio.run(asked(path, **headers))

    door = told("/", **PAGE)
    assert (door.status_code, door.headers["content-language"]) == (200, "sv")
    assert "Välj kommun" in door.text
    for code in (CODE, "0380"):
        assert f'<a href="/{code}/picture">Testby</a>' in door.text
    for file in re.findall(r'(?:href|src)="(/static/[^"]*)"', door.text):
        assert told(file).status_code == 200
    bare: Any = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    shown = front_door(Request(bare), {"1": "Övik", "2": "Ängelholm", "3": "Zinkgruvan", "4": "Åmål", "5": "Ale"}).body.decode()
    assert re.findall(r"picture\">(\w+)", shown) == ["Ale", "Zinkgruvan", "Åmål", "Ängelholm", "Övik"]
    assert "publicerade" in front_door(Request(bare), {}).body.decode()
    assert "Choose a municipality" in told("/", **PAGE, **{"accept-language": "fr;q=0.9, en-GB, sv"}).text
    assert "Välj kommun" in told("/?language=sv", **PAGE, **{"accept-language": "en"}).text
    lost = told("/nothing/<script>", **PAGE)
    assert (lost.status_code, "Sidan finns inte" in lost.text, "<script>" in lost.text) == (404, True, False)
    assert "script" not in door.headers["content-security-policy"].replace("script-src 'self'", "")
    assert told("/").json() == {"service": "earlywarning", "municipalities": ["0380", CODE]}
    assert told("/v1/alerts", **PAGE).json()["municipalities"] == ["0380", CODE], "data is data, for a browser too"
    assert told("/nothing").json()["municipalities"] == ["0380", CODE]
    assert told("/static/nothing").status_code == 404


def test_a_desk_that_others_reach_serves_no_municipality_without_sign_in(service: Service) -> None:
    *shut, health = many(service, "0.0.0.0", f"/{CODE}/v1/alerts", "/v1/alerts", f"/{CODE}/picture", "/healthz")
    assert [answer.status_code for answer in shut] == [403] * 3
    assert all("earlywarning accounts add" in answer.json()["problem"] for answer in shut)
    assert health.status_code == 200


def test_pages_before_the_first_event_say_what_to_do(tmp_path: Path) -> None:
    write_town(tmp_path)
    service = open_town(tmp_path)
    with TestClient(make_app(service)) as client:
        assert "earlywarning ingest FILE" in page(client, "/picture")
        for path in ("/areas/A0", "/alerts", "/operations"):
            page(client, path)
    service.stop()


# ---- drawing ------------------------------------------------------------------------------------------------------------


def test_the_map_fits_its_box_and_enlarges_a_town_that_is_small_beside_its_land() -> None:
    town = town_of(register())
    assert town is not None
    assert town.inset is None
    assert set(town.paths) == set(range(len(register().codes)))
    uppsala = load_areas(_uppsala(), file="areas.geojson", municipality="0380")
    town = town_of(uppsala)
    assert town is not None
    assert town.inset is not None
    assert town.inset.width < town.box.width / 2
    assert sum(map(len, town.paths.values())) < 70_000


def _uppsala() -> bytes:
    return resources.files("earlywarning.data").joinpath("uppsala", "areas.geojson").read_bytes()


def test_a_chart_of_nothing_is_still_a_chart() -> None:
    nothing = np.full(3, np.nan)
    days = [date_of(20_000 + i) for i in range(3)]
    chart = chart_of(days, np.zeros(3), nothing, nothing, nothing, [(1, nothing)], [], [], 1)
    assert (chart.band, chart.expected) == ("", "")
    assert chart.tail


@pytest.mark.parametrize("path", ["", "x", "//e", "/\\e", "https://e", "/a\nb", "/a\x00"])
def test_only_paths_of_this_service_are_gone_to(path: str) -> None:
    assert own_path(path) == "/"
    assert own_path("/alerts?q=1") == "/alerts?q=1"


def test_a_register_without_outlines_has_no_map() -> None:
    assert town_of(municipality_only(CODE, "Testby")) is None
