"""The lab as a page and over HTTP: a recording in the background, answers beside today's, known events, files, drafts."""

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyarrow.parquet as pq
import pytest
from litestar.testing import TestClient

from earlywarning.core.marked_events import MarkedEvent, MarkError, checked
from earlywarning.lab.bench import LabError
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.lab_recordings import Recordings, RecordingState, folder_of
from earlywarning.runtimes.lab_supply import labels_of
from earlywarning.settings import load_settings
from earlywarning.store.cases import Cases
from earlywarning.store.marked_events import MarkedEvents
from earlywarning.web.api import make_app
from tests.core.town import CODE
from tests.web.conftest import copied, open_town, until, write_town
from tests.web.test_access import PAGE, Client, form, sign_in

TRIED = "budget=4&min_count=2&windows=1,7,28"
EVENTS = """name,first,last,areas,categories,kind,true
Graffiti at the station,2024-03-06,2024-03-08,A0,C0,incident,true
Nothing at all,2024-02-20,2024-02-22,A2,*,report,false
"""


@pytest.fixture(scope="module")
def service(lab_town: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    opened = open_town(copied(lab_town, tmp_path_factory.mktemp("page")), "")
    yield opened
    opened.stop()


@pytest.fixture
def marked(client: Client, service: Service) -> Iterator[MarkedEvents]:
    """The known events of EVENTS, taken in from a file, and gone afterwards."""
    files = {"file": ("known.csv", EVENTS.encode(), "text/csv")}
    answer = client.post("/lab/known", data=form(client, "/lab/known", action="import"), files=files)
    assert (answer.status_code, answer.headers["location"]) == (303, "/lab/known?saved=2"), answer.text
    kept = MarkedEvents(service.store, CODE)
    yield kept
    for event in kept.every():
        kept.remove(event.mark_id, "eva", datetime.now(UTC))


def page(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path, headers=PAGE)
    assert answer.status_code == status, answer.text[:2000]
    return answer.text


# ---- the recording ----------------------------------------------------------------------------------------------------


def test_a_recording_outlives_the_service_that_began_it_and_one_that_stopped_half_way_says_so(
    lab_town: Path, tmp_path: Path
) -> None:
    service = Service.open(load_settings(copied(lab_town, tmp_path) / "earlywarning.toml"))
    try:
        recordings = Recordings(service)
        told = recordings.state()
        assert (told.state, told.who, told.windows) == ("ready", "eva", (1, 2, 3, 7, 14, 28))
        assert recordings.fits(told)
        assert recordings.get()[0] is Recordings(service).get()[0], "it is held in memory once"
        file = folder_of(service.store.url) / f"{CODE}.json"
        file.write_bytes(file.read_bytes().replace(b'"ready"', b'"making"'))
        again = recordings.state()
        assert (again.state, again.problem, again.there) == ("failed", "interrupted", True)
        assert recordings.begin("bo"), "the next one may"
        recordings.stop()
        until(lambda: recordings.state().state == "failed")
        assert recordings.state().problem.startswith("ended"), recordings.state()
        assert recordings.get()[0].meta.events > 0, "the earlier one can still be used"
    finally:
        service.stop()


def test_a_store_without_events_says_why_nothing_was_recorded(tmp_path: Path) -> None:
    write_town(tmp_path)
    service = open_town(tmp_path)
    try:
        with TestClient(make_app(service)) as client:
            client.follow_redirects = False
            assert "needs the history recorded once" in page(client, "/lab")
            assert client.get("/v1/lab").json()["problem"].startswith("nothing has been recorded yet")
            wrong = client.post("/lab/recording", data=form(client, "/lab", windows="1, x"), headers=PAGE)
            assert wrong.status_code == 422
            assert "whole numbers from 1 to 56" in wrong.text
            assert client.post("/lab/recording", data=form(client, "/lab")).headers["location"] == "/lab"
            until(lambda: client.get("/v1/lab/recording").json()["state"] != "making")
            assert "the store holds no events" in page(client, "/lab")
    finally:
        service.stop()


def test_settings_that_differ_only_in_what_is_tried_need_no_new_recording(lab_town: Path, tmp_path: Path) -> None:
    folder = copied(lab_town, tmp_path)
    file = folder / "earlywarning.toml"
    text = file.read_text()
    for change, fits in (("min_count = 5\nwindows = [1, 7]", True), ("windows = [1, 21]", False), ("guard_days = 14", False)):
        file.write_text(text + change + "\n")  # the last section is [detection]
        service = Service.open(load_settings(file))
        recordings = Recordings(service)
        assert recordings.fits(recordings.state()) == fits, change
        if fits:
            m = recordings.get()[0].meta
            assert (m.min_count, m.windows_in_force, m.settings) == (5, (1, 7), service.settings.version)
        else:
            with pytest.raises(LabError, match="other settings"):
                recordings.get()
        service.stop()


def test_where_recordings_lie(monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_of("sqlite:////srv/x/store.db") == Path("/srv/x/lab")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/x/cache")
    assert folder_of("postgresql+psycopg://x@db/earlywarning") == Path("/home/x/cache/earlywarning")
    monkeypatch.setenv("EARLYWARNING_CACHE", "/var/cache/x")
    assert folder_of("sqlite:////srv/x/store.db") == Path("/var/cache/x")


# ---- the page ---------------------------------------------------------------------------------------------------------


def test_what_the_script_fetches_is_the_pages_own_part(client: Client, marked: MarkedEvents) -> None:
    whole = page(client, f"/lab?{TRIED}&curve=1&inject=1&place=A4&category=C1&language=en")
    for part in ("answer", "curve", "surge"):
        fragment = page(client, f"/lab?{TRIED}&inject=1&place=A4&category=C1&part={part}")
        assert len(fragment) > 300
        assert fragment in whole, part
    assert "<html" not in page(client, f"/lab?{TRIED}&part=answer")
    assert "Graffiti at the station" in whole


def test_a_wrong_field_is_named_and_everything_else_stays(client: Client) -> None:
    text = page(client, "/lab?budget=abc&min_count=0&from=2024-13-01&to=1999-01-01&windows=5&areas=A0,nowhere&language=en", 422)
    for field, words in (
        ("budget", "False alarms a week: cannot be tried"), ("min_count", "Fewest events: cannot be tried"),
        ("from", "From: write the day"), ("to", "To: lies outside"), ("windows", "Windows in days: is not in the recording"),
        ("areas", "Areas: is not in the recording"),
    ):  # fmt: skip
        assert f'<a href="#lab-{field}">{words}' in text
    assert re.search(r'name="areas" value="A0" checked', text)
    assert "choose at least one" in page(client, "/lab?tried=1&budget=2&windows=1&part=answer")
    surge = page(client, "/lab?part=surge&begin=2020-01-01&total=900")
    assert 'href="#lab-begin"' in surge
    assert 'href="#lab-total"' in surge
    said = client.get("/v1/lab?budget=abc").json()["problem"]
    assert said == "budget: is no number that is allowed"


def test_alerts_lead_to_the_real_ones_and_areas_to_their_pages(client: Client, service: Service) -> None:
    told = client.get("/v1/lab").json()
    real = set(told["today"]["real_alerts"].values())
    assert real
    assert real <= {a.alert_id for a in service.store.alerts()}
    assert told["draft"] == {}
    assert told["both"] == len(told["today"]["outcome"]["alerts"])
    text = page(client, "/lab?part=answer&language=en")
    assert all(f'href="/alerts/{alert_id}"' in text for alert_id in real)
    assert 'href="/areas/A4?' in text
    assert "Nothing differs from today" in text


def test_a_choice_becomes_a_draft_of_what_differs_and_the_draft_leads_back(client: Client) -> None:
    text = page(client, f"/lab?{TRIED}&areas=A4&tendencies=surge,cluster,shift,severe,first,apart,drift,mixture&part=answer")
    href = re.search(r'class="button" href="([^"]+)"', text)
    assert href
    asked = parse_qs(urlsplit(href.group(1).replace("&amp;", "&")).query)
    assert {k: v for k, v in asked.items() if k != "lab"} == {
        "alerts.false_alarms_per_week": ["4"], "detection.min_count": ["2"], "detection.windows": ["1, 7, 28"],
        "budget.harm_share": ["0"],
    }  # fmt: skip
    draft = page(client, href.group(1).replace("&amp;", "&"))
    back = re.search(r'href="/lab\?([^"]+)"', draft)
    assert back
    asked = parse_qs(back.group(1).replace("&amp;", "&"))
    assert (asked["budget"], asked["windows"], asked["min_count"], asked["areas"]) == (["4"], ["1,7,28"], ["2"], ["A4"])
    assert "harm" not in asked["tendencies"][0]
    there = page(client, f"/lab?{back.group(1).replace('&amp;', '&')}&part=answer")
    assert href.group(1) in there or "detection.min_count=2" in there


@pytest.mark.parametrize("what", ["settings", "alerts", "curve"])
def test_files_say_what_the_page_says(client: Client, marked: MarkedEvents, what: str) -> None:
    path = f"/lab/export?what={what}&{TRIED}"
    rows = client.get(f"{path}&as=json").json()
    table = list(csv.DictReader(io.StringIO(client.get(f"{path}&as=csv").text)))
    parquet = pq.read_table(io.BytesIO(client.get(f"{path}&as=parquet").content)).to_pylist()
    assert len(rows) == len(table) == len(parquet) > 1
    told = client.get(f"/v1/lab?{TRIED}").json()
    if what == "settings":
        assert [r["setting"] for r in rows] == ["today", "tried"]
        assert [r["alerts"] for r in rows] == [len(told[s]["outcome"]["alerts"]) for s in ("today", "tried")]
        assert rows[1]["labels"] == 1
    elif what == "alerts":
        assert [r["setting"] for r in rows].count("tried") == len(told["tried"]["outcome"]["alerts"])
    else:
        assert rows == json.loads(client.get(f"/v1/lab/curve?{TRIED}").text)["points"]
    assert client.get("/lab/export?as=xml").status_code == 400
    assert client.get("/lab/export?budget=0").status_code == 422


def test_a_surge_is_told_for_both(client: Client) -> None:
    told = client.get("/v1/lab/surge?place=A4&category=C1&begin=2024-03-10&days=7&total=40&repeats=2&budget=0.5").json()
    assert (told["today"]["choice"]["budget"], told["tried"]["choice"]["budget"]) == (1.0, 0.5)
    first = told["today"]["each"][0]
    assert first["found_on"] is not None
    assert 0 < first["events"] <= 40
    assert client.get("/v1/lab/surge?begin=2024-02-10").status_code == 422, "before the recorded days"
    assert client.get("/v1/lab/surge?total=0").status_code == 422


# ---- known events -----------------------------------------------------------------------------------------------------


def test_known_events_come_from_a_file_and_go_back_into_one(client: Client, service: Service, marked: MarkedEvents) -> None:
    exported = client.get("/lab/known/export").text
    assert sorted(exported.splitlines()[1:]) == sorted(EVENTS.splitlines()[1:])
    files = {"file": ("known.csv", exported.encode(), "text/csv")}
    again = client.post("/lab/known", data=form(client, "/lab/known", action="import"), files=files)
    assert again.headers["location"] == "/lab/known?saved=0"
    assert [(v.name, v.true) for v in labels_of(service.store, CODE)] == [
        ("Graffiti at the station", True), ("Nothing at all", False),
    ]  # fmt: skip
    assert client.get("/v1/lab").json()["today"]["judgement"]["labels"] == 1
    assert Cases(service.store).audit(CODE)[0].action == "known-event-added"
    bad = EVENTS.replace("A0", "A99").replace("2024-02-20", "soon")
    refused = client.post(
        "/lab/known", data=form(client, "/lab/known", action="import"), files={"file": ("known.csv", bad.encode())}
    )
    assert refused.status_code == 422
    assert "line 3, field first" in refused.text
    assert len(marked.every()) == 2


def test_a_known_event_is_marked_and_taken_away_and_names_no_person(client: Client, service: Service) -> None:
    fields = {"action": "add", "area": "A4", "category": "C1", "kind": "", "first": "2024-04-03", "last": "", "true": "1"}
    wrong = client.post("/lab/known", data=form(client, "/lab/known?language=en", name="Rutor, ring 070-123 45 67", **fields))
    assert wrong.status_code == 422
    assert "holds personal data" in wrong.text
    assert 'value="2024-04-03"' in wrong.text
    kept = MarkedEvents(service.store, CODE)
    assert kept.every() == []
    wrong = client.post("/lab/known", data=form(client, "/lab/known", name="Rutor", **{**fields, "last": "2024-04-01"}))
    assert "Last day: lies before the first." in wrong.text
    assert client.post("/lab/known", data={"name": "Rutor", **fields}).status_code == 403
    answer = client.post("/lab/known", data=form(client, "/lab/known", name="Rutor", **fields))
    assert answer.headers["location"] == "/lab/known?saved=added"
    event = client.get("/v1/lab/known").json()["known"][0]
    assert (event["name"], event["areas"], event["first"], event["last"]) == ("Rutor", ["A4"], "2024-04-03", "2024-04-03")
    assert "Rutor" in page(client, "/lab?part=answer")
    gone = form(client, "/lab/known", action="remove", mark_id=str(event["mark_id"]))
    assert client.post("/lab/known", data=gone).headers["location"] == "/lab/known?saved=removed"
    assert client.post("/lab/known", data=gone).status_code == 409
    told = [e for e in Cases(service.store).audit(CODE) if e.action.startswith("known-event")][:2]
    assert [(e.action, e.note) for e in told] == [("known-event-removed", "Rutor"), ("known-event-added", "Rutor")]


@pytest.mark.parametrize(
    ("change", "field", "rule"),
    [
        ({"name": " "}, "name", "missing"), ({"name": "x" * 121}, "name", "missing"), ({"areas": ()}, "areas", "missing"),
        ({"categories": ("nothing",)}, "categories", "unknown"), ({"kind": "rumour"}, "kind", "not-allowed"),
        ({"last": datetime(2025, 3, 7, tzinfo=UTC).date()}, "last", "too-long"),
    ],
)  # fmt: skip
def test_what_a_known_event_may_be(change: dict[str, Any], field: str, rule: str) -> None:
    day = datetime(2024, 3, 6, tzinfo=UTC).date()
    given: dict[str, Any] = {
        "municipality": CODE, "name": "Graffiti", "first": day, "last": day, "areas": ("A0",), "categories": ("*",), "who": "eva",
        "made_at": datetime.now(UTC),
    }  # fmt: skip
    assert checked(MarkedEvent(**given), ["A0"], ["C0"]).name == "Graffiti"
    with pytest.raises(MarkError) as refused:
        checked(MarkedEvent(**{**given, **change}), ["A0"], ["C0"])
    assert (refused.value.field, refused.value.rule) == (field, rule)


def test_the_lab_is_for_analysts_who_see_the_whole_municipality(lab_town: Path, tmp_path: Path) -> None:
    service = open_town(copied(lab_town, tmp_path), 'mode = "accounts"')
    try:
        with TestClient(make_app(service), raise_server_exceptions=False) as client:
            client.follow_redirects = False

            def look() -> tuple[int, bool]:
                picture = client.get("/picture", headers=PAGE).text
                return client.get("/lab", headers=PAGE).status_code, 'href="/lab"' in picture

            sign_in(client, service, "coordinator")
            assert look() == (403, False)
            sign_in(client, service, "analyst")
            assert look() == (200, True)
            assert client.get("/lab/export").status_code == 200
            assert any(e.action == "exported" and e.subject == "lab/alerts" for e in Cases(service.store).audit(CODE))
            sign_in(client, service, "administrator", ("D0",))
            assert look() == (403, False)
    finally:
        service.stop()


def test_a_recording_that_is_being_made_tells_how_far_it_has_come(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    half = RecordingState(state="making", who="eva", begun_at=now, day=datetime(2023, 8, 1, tzinfo=UTC).date(),
                          last=datetime(2024, 4, 5, tzinfo=UTC).date())  # fmt: skip
    monkeypatch.setattr(Recordings, "state", lambda _: half)
    text = page(client, "/lab?part=recording&language=en")
    done = re.search(r'<progress max="100" value="(\d+)"', text)
    assert done
    assert 20 < int(done.group(1)) < 80
    assert f"{done.group(1)} % done, has reached 1 Aug 2023" in text
    assert "<form" not in text
