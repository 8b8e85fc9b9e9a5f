"""What others write is shown as what it is, and nowhere runs: in pages, feeds, calendars, tables, mails, logs, addresses."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from icalendar import Calendar
from litestar import Litestar
from litestar.testing import TestClient
from lxml import etree

from earlywarning.core.areas import load_areas
from earlywarning.core.categories import load_categories
from earlywarning.core.events import Decoded
from earlywarning.core.registers import RegisterError
from earlywarning.lab.cells import cell
from earlywarning.runtimes.embedded import Service
from earlywarning.settings import load_settings
from earlywarning.sources.supply import Supply
from earlywarning.web.api import make_app
from tests.core.town import CODE, areas_text, history, merged, surge
from tests.web.conftest import body, write_town

PAGE = {"accept": "text/html"}
SCRIPT = "<script>alert(1)</script>"
NAMES = {"area": f'"><img src=x onerror=alert(1)>{SCRIPT}', "sv": "=cmd|' /C calc'!A0", "en": "{{ 7*7 }}${7*7}%s%n' OR 1=1 --"}
Client = TestClient[Litestar]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A town whose names are attacks, with an alert in the area and category that bear them."""
    folder = tmp_path_factory.mktemp("injection")
    write_town(folder)
    named = json.loads((folder / "areas.geojson").read_text())
    named["features"][0]["properties"]["name"] = NAMES["area"]
    (folder / "areas.geojson").write_text(json.dumps(named))
    categories = (folder / "categories.csv").read_text()
    (folder / "categories.csv").write_text(categories.replace("Klotter,Graffiti", f"{NAMES['sv']},{NAMES['en']}"))
    opened = Service.open(load_settings(folder / "earlywarning.toml"))
    events = merged(history(3, days=460), surge(458))
    opened.take([Supply(Decoded(events, list(range(len(events))), []), "test")], datetime(2030, 1, 1, tzinfo=UTC))
    opened.start(folder / "earlywarning.toml")
    yield opened
    opened.stop()


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with TestClient(make_app(service), raise_server_exceptions=False) as opened:
        opened.follow_redirects = False
        yield opened


@pytest.fixture(scope="module")
def alert(service: Service, client: Client) -> str:
    found = service.store.alerts(limit=1)[0]
    assert (found.areas, found.categories) == (("A0",), ("C0",))
    said = {"answer_id": "i1", "action": "note", "actor": SCRIPT, "note": f"{SCRIPT}\r\nSet-Cookie: a=b\r\n=1+1"}
    assert client.post(f"/v1/alerts/{found.alert_id}/answers", json=said).status_code == 200
    return found.alert_id


@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.parametrize(
    "page", ["/picture", "/areas/A0", "/alerts?which=all", "/alerts/{}", "/operations", "/v1/briefing?week=2024-W14"]
)
def test_pages_show_markup_as_text(client: Client, alert: str, page: str, language: str) -> None:
    sign = "&" if "?" in page else "?"
    answer = client.get(page.format(alert) + f"{sign}language={language}", headers=PAGE)
    assert answer.status_code == 200, answer.text[:300]
    assert "<script>alert" not in answer.text
    assert not re.search(r"<img[^>]*onerror", answer.text)
    assert "49" not in re.findall(r"\{\{.*?\}\}|\$\{.*?\}", answer.text)


def test_the_page_of_the_alert_names_the_attack_as_the_name_that_it_is(client: Client, alert: str) -> None:
    text = client.get(f"/alerts/{alert}?language=en", headers=PAGE).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "{{ 7*7 }}" in text


@pytest.mark.parametrize(
    "asked", ["which", "q", "area", "tendency", "group", "category", "level", "day", "window", "kind", "language", "next"]
)
@pytest.mark.parametrize(
    "attack", [SCRIPT, '"onfocus="alert(1)', "'; DROP TABLE alerts; --", "javascript:alert(1)", "\u202e", "a\r\nx: y"]
)
def test_what_an_address_asks_for_never_comes_back_as_markup(client: Client, alert: str, asked: str, attack: str) -> None:
    for page in ("/alerts", "/picture", "/areas/A0", "/sign-in"):
        answer = client.get(page, params={asked: attack}, headers=PAGE)
        assert answer.status_code < 500
        assert "<script>alert" not in answer.text
        assert '"onfocus="' not in answer.text
        assert not answer.headers.get("location", "").startswith(("javascript:", "//", "http"))
        assert "x" not in answer.headers
    assert client.get("/v1/alerts").json()["alerts"], "the table is still there"


@pytest.mark.parametrize("path", ["/v1/feeds/atom", "/v1/feeds/cap"])
@pytest.mark.parametrize("language", ["sv", "en"])
def test_feeds_stay_well_formed(client: Client, alert: str, path: str, language: str) -> None:
    root = etree.fromstring(client.get(path, params={"language": language}).content)
    assert not root.xpath("//*[local-name()='script' or local-name()='img']")
    said = "".join(root.itertext())
    assert NAMES[language] in said
    assert NAMES["area"] in said


def test_a_calendar_gets_no_lines_of_its_own(client: Client, alert: str) -> None:
    content = client.get("/v1/feeds/calendar").content
    events = Calendar.from_ical(content).walk("VEVENT")
    assert any(NAMES["area"] in str(e["summary"]) for e in events)
    assert not re.search(rb"^Set-Cookie", content, re.MULTILINE)


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_of_a_table_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(-2.5) == -2.5
    assert cell("A0") == "A0"


def test_exported_counts_hold_no_formula(client: Client, alert: str) -> None:
    rows = list(csv.reader(io.StringIO(client.get("/v1/counts?format=csv&first=2024-03-01").text)))
    assert len(rows) > 1
    assert not [c for row in rows for c in row if c.startswith(("=", "+", "-", "@", "\t"))]


ATTACKS = {
    "right to left": "\u202eA0", "nul": "A\0", "cyrillic": "\u04100", "full width": "\uff210", "combining": "A\u03010",
    "zero width": "A\u200b0", "sql": "A0' OR '1'='1", "path": "../A0", "formula": "=A0", "newline": "A0\n", "case": "a0",
}  # fmt: skip


@pytest.mark.parametrize("code", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("field", ["area", "category"])
def test_a_code_that_only_looks_like_one_is_unknown(client: Client, field: str, code: str) -> None:
    answer = client.post("/v1/events", json=body(f"look-{field}-{len(code)}", **{field: code}))
    (result,) = answer.json()["results"]
    assert (result["outcome"], result["rule"]) == ("rejected", f"unknown-{field}")
    assert client.get("/v1/counts", params={field: code, "first": "2024-03-01"}).status_code == 400
    assert client.get(f"/areas/{code.replace('/', '%2f').encode().hex()}", headers=PAGE).status_code == 404


@pytest.mark.parametrize("name", ["A\x00", "A\u202eB", "\ud800", "A\x1b[31m", "A\nB"])
def test_registers_take_no_name_that_cannot_be_shown(name: str) -> None:
    with pytest.raises(RegisterError, match="cannot be shown"):
        load_areas(areas_text().replace('"Area 0"', json.dumps(name)), file="a.geojson", municipality=CODE)
    header = "code,parent,name_sv,name_en,harm_weight,default_origin\n"
    if "\ud800" not in name:
        with pytest.raises(RegisterError, match="cannot be shown"):
            load_categories(f'{header}C0,,"{name}",x,1,\n', file="c.csv")


PATHS = [
    "/static/../../etc/passwd", "/static/..%2f..%2f..%2fetc%2fpasswd", "/static/%2e%2e/%2e%2e/etc/passwd",
    "/static/..\\..\\etc\\passwd", "/static//etc/passwd", "/static/page.css%00.svg", "/areas/..%2f..%2foperations", "/areas/%2e%2e",
    "/v1/alerts/..%2f..%2foperations", f"/v1/alerts/{CODE}-%27%20OR%201=1", "/v1/schemas/..%2fincident",
    "/answer/..%2f..%2foperations",
    "/set-up/..%2f", "/0380/v1/alerts", "/v1/briefing?week=../../etc/passwd", "/v1/briefing?week=2024-W14/../x",
    "/v1/briefing?week=9999-W99", "/v1/briefing?week=%00", "//evil.example/%2e%2e", "/alerts/..%2f..%2fetc%2fpasswd",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_address_leads_out_of_what_is_served(client: Client, path: str) -> None:
    answer = client.get(path, headers=PAGE)
    assert answer.status_code in (303, 400, 404, 405, 403, 410), answer.status_code
    assert "root:" not in answer.text
    assert not answer.headers.get("location", "/").startswith("//")
    assert "/operations" not in answer.text or "<title>" in answer.text


@pytest.mark.parametrize("file", ["../../etc/passwd.csv", "/etc/passwd.toml", "plan.toml\0.csv", "plan.toml\r\nx: y"])
def test_the_name_of_a_plans_file_opens_nothing(client: Client, file: str) -> None:
    answer = client.post("/v1/plan", params={"actor": "est", "file": file}, content=b"x")
    assert answer.status_code == 422
    assert "root:" not in answer.text
    assert "x" not in answer.headers


def test_nothing_that_was_sent_stands_in_the_log(
    client: Client, service: Service, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = "x\n2030-01-01 [info] forged line"
    client.post("/v1/events", json=body("log", source=forged, category=forged))
    client.post("/v1/mutes", json={forged: 1})
    client.get("/v1/dead-letters", params={"source": forged})
    client.get(f"/v1/alerts/{forged.encode().hex()}", headers={"user-agent": forged.replace("\n", " "), "accept": "text/html"})
    written = capsys.readouterr()
    assert "forged line" not in written.out + written.err + caplog.text
