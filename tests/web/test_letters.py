"""Refused events are tried again from the page and over HTTP: what is taken then, what is still refused, who may."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from earlywarning.core.changes import DeadLetter
from earlywarning.runtimes.embedded import Service
from earlywarning.settings import load_settings
from earlywarning.store.cases import Cases
from earlywarning.web.api import make_app
from tests.core.town import CODE, NOW, areas_text
from tests.web.conftest import body, open_town, write_town

PAGE = {"accept": "text/html"}
Client = TestClient[Litestar]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A town whose register lacks an area that a supplier knows."""
    write_town(tmp_path)
    opened = open_town(tmp_path)
    opened.start()
    yield opened
    opened.stop()


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with TestClient(make_app(service)) as opened:
        yield opened


def mend(service: Service, folder: Path) -> None:
    """Area A5 takes the name that the supplier uses: what was refused for it can be taken."""
    (folder / "mended.geojson").write_text(areas_text().replace('"A5"', '"NEW"'))
    file = folder / "earlywarning.toml"
    file.write_text(file.read_text().replace("areas.geojson", "mended.geojson"))
    service.reload(load_settings(file))


def refuse(client: Client) -> None:
    sent = [
        body(1, area="NEW"), body(2, area="NEW", source="schools"), body(3, category="NONE"),
        body(4, source="19121212-1212", area="NEW"), body(5),
    ]  # fmt: skip
    counts = client.post("/v1/events", json=sent).json()["counts"]
    assert counts == {"accepted": 1, "rejected": 4}


def waiting(client: Client) -> list[dict[str, object]]:
    return list(client.get("/v1/dead-letters").json()["dead_letters"])


def token_of(client: Client) -> str:
    token = re.search(r'name="csrf" value="([^"]+)"', client.get("/dead-letters", headers=PAGE).text)
    assert token
    return token.group(1)


def post(client: Client, **fields: object) -> str:
    answer = client.post("/dead-letters", data={"csrf": token_of(client), **fields}, headers=PAGE)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_after_mending_all_of_a_rule_are_tried_and_what_became_of_them_is_told(
    client: Client, service: Service, tmp_path: Path
) -> None:
    refuse(client)
    told = post(client, rule="unknown-area")
    assert "still refused: 2" in told
    mend(service, tmp_path)
    told = post(client, rule="unknown-area")
    assert "taken: 2" in told
    assert sorted(str(w["rule"]) for w in waiting(client)) == ["personal-identity-number", "unknown-category"]
    # Its number again: it does not wait any more, so nothing is tried.
    assert client.post("/v1/dead-letters/replay", json={"ids": [1]}).json() == {"outcomes": {}, "problems": {}, "left": 0}
    entries = [e for e in Cases(service.store).audit(CODE) if e.action == "replay"]
    assert [e.reason for e in entries] == ["", "unknown-area", "unknown-area"]
    assert entries[1].note == "accepted 2"


def test_over_http_one_is_tried_and_nothing_is_tried_by_mistake(client: Client, service: Service, tmp_path: Path) -> None:
    refuse(client)
    mend(service, tmp_path)
    for mistake in (b"", b"{}", b'{"ruel": "unknown-area"}', b"[]"):
        assert client.post("/v1/dead-letters/replay", content=mistake).status_code == 400
    assert len(waiting(client)) == 4
    (schools,) = [w["id"] for w in waiting(client) if w["source"] == "schools"]
    told = client.post("/v1/dead-letters/replay", json={"ids": [schools]}).json()
    assert told["outcomes"] == {"accepted": 1}
    told = client.post("/v1/dead-letters/replay", json={"all": True}).json()
    assert told["outcomes"] == {"accepted": 1, "rejected": 2}
    assert sum(told["problems"].values()) == 2
    assert len(waiting(client)) == 2


def test_what_came_meanwhile_by_another_way_is_told_as_a_repeat(client: Client, service: Service, tmp_path: Path) -> None:
    refuse(client)
    mend(service, tmp_path)
    client.post("/v1/events", json=[body(1, area="NEW")])
    told = client.post("/v1/dead-letters/replay", json={"source": "wardens", "rule": "unknown-area"}).json()
    assert told["outcomes"] == {"repeated": 1}


def test_the_page_filters_and_shows_no_value_that_may_name_a_person(client: Client) -> None:
    refuse(client)
    text = client.get("/dead-letters", headers=PAGE).text
    assert "19121212" not in text
    assert "4 events wait" in text
    assert "1 event waits" in client.get("/dead-letters?source=schools", headers=PAGE).text
    assert '"payload"' not in text
    assert json.dumps("w-1x") not in text
    assert 'href="/dead-letters?rule=unknown-area' in client.get("/operations", headers=PAGE).text


def test_a_swedish_reader_reads_swedish_and_programs_english_as_before(client: Client, service: Service) -> None:
    refuse(client)
    client.post("/v1/events", json=[body(6, severity=9), body(7, name="Eva")])
    swedish = {"params": {"language": "sv"}, "headers": PAGE}
    text = client.get("/dead-letters", **swedish).text
    assert "området &#39;NEW&#39; finns inte i områdesregistret; använd en av dess koder" in text
    assert "severity: värdet går inte att ta emot; fältet ska innehålla ett heltal från 1 till 5" in text
    assert "fältet ”name” hör inte till en händelse; utelämna det" in text
    assert "source: det läses som ett personnummer" in text
    assert ">okänt område</a> <code" in text
    assert ">okänt område</a> <code" in client.get("/operations", **swedish).text
    told = client.post("/dead-letters?language=sv", data={"csrf": token_of(client), "rule": "unknown-category"}, headers=PAGE).text
    assert re.search(r"Det som fortfarande avvisas:</p>\s*<ul><li>1: kategorin &#39;NONE&#39; finns inte", told)
    english = ("is not in the", "expected `int`", "is not part of", "reads as")
    assert not any(words in text + told for words in english)
    problems = " ".join(str(w["problem"]) for w in waiting(client))
    assert all(words in problems for words in english)
    assert "area &#39;NEW&#39; is not in the area register" in client.get("/dead-letters?language=en", headers=PAGE).text


def test_words_that_there_is_no_swedish_for_are_marked_as_english(client: Client, service: Service) -> None:
    letter = DeadLetter(
        received_at=NOW, municipality=CODE, way="http", position=1, field="area", rule="moon-phase", problem="the moon is full"
    )
    service.store.commit(None, [letter])
    assert '<span lang="en">the moon is full</span>' in client.get("/dead-letters?language=sv", headers=PAGE).text
    assert "<td>the moon is full</td>" in client.get("/dead-letters?language=en", headers=PAGE).text
