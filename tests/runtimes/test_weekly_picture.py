"""The weekly picture by itself before a meeting, and over HTTP; with the plan's standing in it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from earlywarning.core.outgoing import BriefingContent
from earlywarning.runtimes.kafka.messages import encode_events
from earlywarning.runtimes.weekly_picture import due_pictures
from earlywarning.settings import load_settings
from earlywarning.store import Store
from tests.core.town import history
from tests.web.conftest import Running, write_town

WANTS = '[recipients.group]\nrole = "coordinator"\nchannel = "mail"\nlanguage = "{}"\nbriefing = true\n'
BOTH = WANTS.format("sv") + WANTS.format("en").replace("recipients.group", "recipients.english")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("picture")
    write_town(folder, BOTH)
    running = Running(folder)
    running.send(encode_events(history(5, 40)), "application/x-ndjson")
    yield running
    running.stop()


def test_it_comes_as_page_pdf_and_data(service: Running) -> None:
    page = service.client.get("/v1/briefing", params={"week": "2023-W05", "language": "sv"})
    assert page.status_code == 200, page.text
    assert "Lägesbild" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert service.client.get("/v1/briefing", params={"form": "pdf"}).content.startswith(b"%PDF")
    assert json.loads(service.client.get("/v1/briefing", params={"form": "json"}).content)["week"] == "2023-W05"
    wrong = service.client.get("/v1/briefing", params={"week": "2023-W53"})
    assert (wrong.status_code, "2023 has the weeks 1 to 52" in wrong.json()["problem"]) == (400, True)


def test_before_a_meeting_each_reader_gets_it_once_in_their_language(service: Running, tmp_path: Path) -> None:
    settings = load_settings(service.folder / "earlywarning.toml")
    eve = datetime(2023, 2, 8, 17, 30, tzinfo=UTC)  # Wednesday, half past six in the evening; meetings are on Thursdays
    with Store.open(settings.store_url) as store:
        assert due_pictures(store, settings, datetime(2023, 2, 8, 16, tzinfo=UTC)) == ([], {})
        messages, state = due_pictures(store, settings, eve)
        assert state == {"briefing:0999": "2023-W05"}
        told = {m.recipient: msgspec.json.decode(m.body, type=BriefingContent) for m in messages}
        assert told["group"].subject.startswith("Lägesbild")
        assert told["english"].subject.startswith("Situational picture")
        assert all(content.pdf.startswith(b"%PDF") for content in told.values())
        # In a store that stands before the week nothing is due, whatever the clock on the wall says.
        assert due_pictures(store, settings, datetime(2026, 3, 25, 18, tzinfo=UTC)) == ([], {})


def test_it_is_sent_on_request_and_only_once(service: Running) -> None:
    for _ in range(2):
        answer = service.client.post("/v1/briefing/send", json={"to": ["group"], "week": "2023-W05"})
        assert (answer.status_code, answer.json()) == (202, {"week": "2023-W05", "to": ["group"]})
    kept = service.client.get("/v1/outbox", params={"state": ["waiting", "dead", "delivered"]}).json()["messages"]
    assert [m["recipient"] for m in kept if m["kind"] == "briefing"] == ["group"]
    unknown = service.client.post("/v1/briefing/send", json={"to": ["nobody"]})
    assert (unknown.status_code, "there are: group, english" in unknown.json()["problem"]) == (422, True)
