"""Answers over HTTP: by the API, and by the signed link of a message, on a real service."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import URLSafeTimedSerializer

from earlywarning.core.casework import REASONS
from earlywarning.core.events import AnyEvent
from earlywarning.runtimes.kafka.messages import encode_events
from earlywarning.runtimes.links import KEY, Links
from tests.core.town import CODE, history, merged, surge
from tests.web.conftest import Running, write_town

SECRET = "a key of the test"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("answers")
    write_town(folder)
    file = folder / "earlywarning.toml"
    file.write_text(file.read_text().replace("[service]", '[service]\npublic_url = "https://est.example.se"'))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(KEY, SECRET)
        running = Running(folder)
    events: list[AnyEvent] = merged(history(3, days=460), surge(430), surge(445, area="A4", category="C1"))
    running.send(encode_events(events), "application/x-ndjson")
    yield running
    running.stop()


def _alerts(service: Running) -> list[dict[str, Any]]:
    return list(service.client.get("/v1/alerts").json()["alerts"])


def _answer(service: Running, alert_id: str, **fields: Any) -> Any:
    return service.client.post(f"/v1/alerts/{alert_id}/answers", json={"actor": "samordnaren", **fields})


def _token(alert_id: str) -> str:
    links = Links(f"{CODE}:{SECRET}", "https://est.example.se", 14)
    made = links.make(alert_id, "vakten")
    assert made["answer"].startswith("https://est.example.se/answer/")
    return made["answer"].removeprefix("https://est.example.se")


def test_an_alert_goes_from_new_to_closed_by_the_api(service: Running) -> None:
    name = _alerts(service)[0]["alert_id"]
    shown = service.client.get(f"/v1/alerts/{name}").json()
    assert shown["casework"]["stage"] == "new"
    assert shown["possible"][:2] == ["acknowledge", "assess"]
    steps: list[dict[str, Any]] = [
        {"action": "acknowledge"},
        {"action": "assess", "assessment": "confirmed", "reason": "new-problem", "note": "Sedd på plats"},
        {"action": "picture", "picture": {"situation": "Klotter vid skolan"}},
        {"action": "cause", "cause": "lighting"},
        {"action": "measure", "answers": 1, "what": "Belysning", "owner": "Gatukontoret", "due": "2030-01-31", "goal": "Halverat"},
        {"action": "follow-up", "measure": 1, "outcome": "done"},
        {"action": "close", "reason": "acted-on"},
    ]
    for number, step in enumerate(steps):
        response = _answer(service, name, answer_id=f"s{number}", revision=number, **step)
        assert response.status_code == 200, response.text
    shown = service.client.get(f"/v1/alerts/{name}").json()
    assert (shown["casework"]["stage"], shown["casework"]["closed_as"]) == ("closed", "acted-on")
    assert [e["action"] for e in shown["audit"]] == [s["action"] for s in steps]
    told = service.client.get("/v1/learning").json()
    assert sum(p["confirmed"] for p in told["precision"]["tendency"]) == 1
    assert told["recommendation"]["verdict"] == "wait"
    tendency = _alerts(service)[0]["tendency"]
    assert service.metric(f'earlywarning_alerts_assessed{{assessment="confirmed",tendency="{tendency}"}}') == 1
    assert service.metric('earlywarning_alerts_by_stage{stage="closed"}') == 1


def test_what_cannot_be_taken_is_answered_in_words(service: Running) -> None:
    name = _alerts(service)[-1]["alert_id"]
    stale = _answer(service, name, answer_id="x1", action="acknowledge", revision=7)
    assert (stale.status_code, stale.json()["rule"]) == (409, "stale")
    illegal = _answer(service, name, answer_id="x2", action="measure")
    assert (illegal.status_code, illegal.json()["rule"]) == (409, "illegal-transition")
    wrong = _answer(service, name, answer_id="x3", action="assess", assessment="false-alarm", reason="because")
    assert wrong.status_code == 422
    assert wrong.json()["problem"].endswith("allowed: " + ", ".join(REASONS["false-alarm"]))
    assert _answer(service, f"{CODE}-200101-00000000", answer_id="x4", action="acknowledge").status_code == 404
    odd = _answer(service, name, answer_id="x5", action="dance with 19800101-1234")
    assert odd.status_code == 400
    assert odd.json() == {"problem": "action: invalid enum value (value left out)", "field": "action", "rule": "value"}
    assert service.client.post(f"/v1/alerts/{name}/answers", json={"action": "acknowledge"}).json()["rule"] == "missing-field"
    personal = _answer(service, name, answer_id="x6", action="note", note="fråga 0701234567")
    assert personal.status_code == 422
    assert "0701234567" not in personal.text
    for nonsense in (b"", b"[]", b"\xff", b"{" * 5000):
        assert service.client.post(f"/v1/alerts/{name}/answers", content=nonsense).status_code == 400


def test_a_link_of_a_message_shows_a_form_and_only_its_sending_changes_anything(service: Running) -> None:
    name = _alerts(service)[-1]["alert_id"]
    path = _token(name)
    page = service.client.get(path)
    assert page.status_code == 200
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert "You answer as vakten." in page.text
    assert service.client.get(f"/v1/alerts/{name}").json()["casework"]["revision"] == 0
    form = {"revision": "0", "choice": "known-cause:local-event", "note": "Marknad"}
    done = service.client.post(path, data=form)
    assert done.status_code == 200
    assert "The answer is kept. The alert is assessed now." in done.text
    again = service.client.post(path, data=form)  # a form that is sent twice
    assert again.status_code == 200
    case = service.client.get(f"/v1/alerts/{name}").json()["casework"]
    assert (case["revision"], case["assessment"], case["acknowledged_by"]) == (1, "known-cause", "vakten")
    swedish = service.client.get(path, params={"language": "sv"})
    assert "Den bedömdes som förklarad av en känd orsak: ett lokalt evenemang." in swedish.text
    told = service.client.post(
        path, data={"revision": "1", "choice": "false-alarm:chance", "note": "0701234567"}, params={"language": "sv"}
    )
    assert told.status_code == 422
    assert "skriv om platser och situationer" in told.text
    late = service.client.post(path, data={"revision": "0", "choice": "acknowledge"})
    assert late.status_code == 409
    assert "someone has answered since" in late.text


def test_forged_and_expired_links_are_refused_in_words(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    name = _alerts(service)[-1]["alert_id"]
    path = _token(name)
    for forged in (path[:-2] + "xx", "/answer/nonsense", path.replace("/answer/", "/answer/A")):
        response = service.client.post(forged, data={"revision": "0", "choice": "acknowledge"})
        assert response.status_code == 403
        assert "no valid link" in response.text

    class Old(URLSafeTimedSerializer):
        """Signs as fifteen days ago."""

    signer = Old(f"{CODE}:{SECRET}", salt="answer")
    before = int((datetime.now(UTC) - timedelta(days=15)).timestamp())
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda _: before)
    response = service.client.get(f"/answer/{signer.dumps([name, 'vakten'])}")
    assert response.status_code == 410
    assert "links work for 14 days" in response.text


def test_a_settings_folder_without_a_key_gets_one_that_stays(tmp_path: Path) -> None:
    from earlywarning.runtimes.links import link_key  # noqa: PLC0415
    from earlywarning.store import Store  # noqa: PLC0415

    with Store.open(f"sqlite:///{tmp_path / 's.db'}", writer=True) as store:
        made = link_key(store, None)
        assert len(made) > 40
        assert link_key(store, None) == made
        (tmp_path / "key").write_text("of a file\n")
        assert link_key(store, tmp_path / "key") == "of a file"
