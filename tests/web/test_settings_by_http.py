"""Drafts of settings over HTTP and on the pages: who may do what, who was first, and what is in force afterwards."""

import re
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.settings_changes import apply, save
from earlywarning.settings import load_settings
from earlywarning.store import StoreError
from earlywarning.store.cases import Cases
from earlywarning.store.settings_versions import SettingsVersions
from earlywarning.web.api import make_app
from tests.core.town import CODE
from tests.web.conftest import open_town, write_town
from tests.web.test_access import PAGE, Client, accounts_of, form, sign_in

FEWER = {"changes": {"detection.min_count": 6, "alerts.false_alarms_per_week": 2}, "reason": "för många varningar i vår"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_town(tmp_path, "# agreed with the group\n")
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Service]]:
    opened: list[Service] = []

    def begin(access: str = 'mode = "accounts"') -> Service:
        service = open_town(folder, access)
        service.settings_file = folder / "earlywarning.toml"
        opened.append(service)
        return service

    yield begin
    for service in opened:
        service.stop()


@pytest.fixture
def service(start: Callable[..., Service]) -> Service:
    return start("")


def seen(client: Client) -> int:
    return int(client.get("/v1/settings").json()["number"])


def put(client: Client, draft: dict[str, Any], **more: Any) -> Any:
    step = {"revision": draft["revision"], "seen": seen(client), **more}
    return client.post(f"/v1/settings/drafts/{draft['draft_id']}/apply", json=step)


def test_a_draft_is_saved_compared_put_in_force_and_taken_back(client: Client, service: Service, folder: Path) -> None:
    file = folder / "earlywarning.toml"
    before, version = file.read_text(), service.settings.version
    file.chmod(0o640)
    draft = client.post("/v1/settings/drafts", json=FEWER).json()
    assert [(c["key"], c["now"], c["after"]) for c in draft["comparison"]] == [
        ("alerts.false_alarms_per_week", 1.0, 2.0), ("detection.min_count", 3, 6),
    ]  # fmt: skip
    assert file.read_text() == before  # a draft changes nothing
    answer = put(client, draft, actor="driften")
    assert answer.status_code == 200, answer.text
    told = client.get("/v1/settings").json()
    assert {k["key"]: k["value"] for k in told["keys"]}["detection.min_count"] == 6
    assert service.engine.settings.watch.min_count == 6
    # The file says it, with its comments and its mode, and so does a service that starts anew.
    assert "# agreed with the group" in file.read_text()
    assert load_settings(file).detection.min_count == 6
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []
    assert client.get(f"/v1/settings/drafts/{draft['draft_id']}").json()["standing"] == "in-force"
    newest, first = client.get("/v1/settings/versions").json()["versions"]
    assert (newest["actor"], newest["reason"], newest["draft_id"]) == ("driften", FEWER["reason"], draft["draft_id"])
    assert {d["key"]: (d["old"], d["new"]) for d in newest["difference"]}["detection.min_count"] == (3, 6)
    assert (first["actor"], newest["in_force"]) == ("", True)

    answer = client.post("/v1/settings/back", json={"seen": told["number"], "reason": "det blev för få"})
    assert answer.status_code == 200, answer.text
    assert service.settings.version == version
    assert file.read_text().replace("\n\n", "\n").strip().startswith(before.replace("\n\n", "\n").strip())
    assert client.get(f"/v1/settings/drafts/{draft['draft_id']}").json()["standing"] == "superseded"
    told = [(e.action, e.actor, e.subject, e.note) for e in reversed(Cases(service.store).audit(CODE))]
    who = "administrator"
    assert told == [
        ("settings-draft", who, "draft/1", FEWER["reason"]),
        ("settings", "driften", "settings/2", FEWER["reason"]),
        ("settings-back", who, "settings/3", "det blev för få"),
    ]
    # One click more undoes the way back.
    assert client.post("/v1/settings/back", json={"seen": 3}).status_code == 200
    assert service.settings.detection.min_count == 6


def test_what_cannot_be_is_said_by_key_and_nothing_is_kept(client: Client, service: Service) -> None:
    wrong = {"detection.min_count": 0, "detection.windows": [], "budget.district_weights": {"A0": "x"}, "detection.min_years": 9}
    answer = client.post("/v1/settings/drafts", json={"changes": wrong})
    assert answer.status_code == 422
    assert set(answer.json()["problems"]) == set(wrong)
    answer = client.post("/v1/settings/drafts", json={"changes": {"budget.district_weights": {"nowhere": 2}}})
    assert "nowhere" in answer.json()["problems"]["budget.district_weights"]
    for changes in ({"access.mode": "open"}, {"store.url": "sqlite:///x"}, {"channels.a.kind": "mail"}):
        assert client.post("/v1/settings/drafts", json={"changes": changes}).status_code == 422
    assert client.post("/v1/settings/drafts", json={"changes": {"detection.min_count": 3}}).json()["rule"] == "no-change"
    assert client.post("/v1/settings/drafts", content=b"{").status_code == 400
    reason = "ring 070-174 06 05"
    answer = client.post("/v1/settings/drafts", json={"changes": {"detection.min_count": 4}, "reason": reason})
    assert (answer.status_code, answer.json()["rule"]) == (422, "personal-data")
    assert reason not in answer.text
    assert client.get("/v1/settings/drafts").json()["drafts"] == []
    assert client.get("/v1/settings/drafts/9").status_code == 404


def test_a_reason_is_needed_to_put_a_draft_in_force_and_not_to_save_it(client: Client) -> None:
    draft = client.post("/v1/settings/drafts", json={"changes": {"detection.min_count": 4}}).json()
    assert put(client, draft).json()["rule"] == "no-reason"
    body = {"changes": {"detection.min_count": 4}, "reason": "ja", "revision": draft["revision"]}
    draft = client.post(f"/v1/settings/drafts/{draft['draft_id']}", json=body).json()
    assert put(client, draft).status_code == 200


def test_a_clash_is_told_and_the_draft_rebased(client: Client, service: Service) -> None:
    one = client.post("/v1/settings/drafts", json=FEWER).json()
    two = client.post(
        "/v1/settings/drafts", json={"changes": {"detection.min_count": 9, "detection.years": 3}, "reason": "b"}
    ).json()
    before = seen(client)
    assert put(client, two).status_code == 200
    answer = put(client, one, seen=before)  # compared with what is in force no more
    assert (answer.status_code, answer.json()["rule"]) == (409, "stale")
    answer = put(client, one)
    assert (answer.status_code, answer.json()["rule"], list(answer.json()["problems"])) == (409, "clash", ["detection.min_count"])
    shown = client.get(f"/v1/settings/drafts/{one['draft_id']}").json()
    assert shown["clashes"] == ["detection.min_count"]
    rebased = client.post(f"/v1/settings/drafts/{one['draft_id']}/rebase", json={"revision": shown["revision"]}).json()
    assert rebased["clashes"] == []
    assert put(client, one).json()["rule"] == "stale"  # the revision before
    assert put(client, rebased).status_code == 200
    d, a = service.settings.detection, service.settings.alerts
    assert (d.min_count, d.years, a.false_alarms_per_week) == (6, 3, 2.0)  # what the other has changed beside stays


def test_of_two_who_put_in_force_at_once_the_second_is_told(client: Client, service: Service) -> None:
    drafts = [save(service, {"detection.min_count": n}, "b", "eva") for n in (4, 5)]
    ready, told = threading.Barrier(2), []

    def decide(n: int) -> None:
        ready.wait(timeout=20)
        answer = client.post(f"/v1/settings/drafts/{drafts[n].draft_id}/apply", json={"revision": 1, "seen": 1})
        told.append((answer.status_code, n))

    threads = [threading.Thread(target=decide, args=(n,)) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    (first, winner), (second, _) = sorted(told)
    assert (first, second) == (200, 409)
    assert service.settings.detection.min_count == (4, 5)[winner]


def test_a_withdrawn_draft_stays_to_be_read_and_can_do_nothing(client: Client) -> None:
    draft = client.post("/v1/settings/drafts", json=FEWER).json()
    gone = client.post(f"/v1/settings/drafts/{draft['draft_id']}/withdraw", json={"revision": 1}).json()
    assert gone["standing"] == "withdrawn"
    assert (put(client, gone).status_code, put(client, gone).json()["rule"]) == (409, "settled")
    assert client.get("/v1/settings/drafts").json()["drafts"][0]["reason"] == FEWER["reason"]


def test_a_file_that_cannot_be_written_is_said_and_nothing_changes(
    client: Client, service: Service, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = client.post("/v1/settings/drafts", json=FEWER).json()
    version, text = service.settings.version, (folder / "earlywarning.toml").read_text()

    def refuse(*_: object) -> None:
        raise OSError(16, "Device or resource busy")  # as a file has it that is mounted by itself

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refuse)
        answer = put(client, draft)
    assert (answer.status_code, answer.json()["rule"]) == (503, "unwritable")
    assert "earlywarning.toml cannot be replaced" in answer.json()["problem"]
    assert (service.settings.version, (folder / "earlywarning.toml").read_text()) == (version, text)
    assert service.engine.settings.watch.min_count == 3
    assert len(client.get("/v1/settings/versions").json()["versions"]) == 1
    assert [p.name for p in folder.iterdir() if p.name.startswith(".")] == []
    service.settings_file = None
    assert put(client, draft).json()["rule"] == "no-file"


def test_what_was_changed_by_hand_is_not_overwritten(client: Client, service: Service, folder: Path) -> None:
    draft = client.post("/v1/settings/drafts", json=FEWER).json()
    file = folder / "earlywarning.toml"
    file.write_text(file.read_text() + "[nonsense]\n")  # by hand, and refused
    answer = put(client, draft)
    assert (answer.status_code, answer.json()["rule"]) == (409, "file-differs")
    assert "[nonsense]" in file.read_text()


def test_a_link_to_the_file_stays_one(client: Client, folder: Path) -> None:
    file, elsewhere = folder / "earlywarning.toml", folder / "kept.toml"
    file.rename(elsewhere)
    file.symlink_to(elsewhere)
    draft = client.post("/v1/settings/drafts", json=FEWER).json()
    assert put(client, draft).status_code == 200
    assert file.is_symlink()
    assert load_settings(elsewhere).detection.min_count == 6


def test_analysts_save_and_the_role_that_the_settings_name_decides(start: Callable[..., Service]) -> None:
    service = start('mode = "accounts"')
    with TestClient(make_app(service)) as client:
        client.follow_redirects = False
        sign_in(client, service, "analyst")
        fields = {"detection.min_count": "5", "detection.origins": "reported", "detection.kinds": "incident", "reason": "färre"}
        answer = client.post("/settings/drafts", data=form(client, "/settings/drafts/new", **fields))
        assert answer.status_code == 303, answer.text
        page = answer.headers["location"].partition("?")[0]
        text = client.get(page, headers=PAGE).text
        assert f'{page}/apply"' not in text
        sent = form(client, page, revision="1", seen="1")
        assert client.post(f"{page}/apply", data=sent).status_code == 403
        token = {"x-csrf-token": sent["csrf"]}
        assert client.post("/v1/settings/back", json={"seen": 1}, headers=token).status_code == 403
        assert client.get("/v1/settings/drafts/1").json()["author"] == "analyst"
        sign_in(client, service, "administrator")
        answer = client.post(f"{page}/apply", data=form(client, page, revision="1", seen="1"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/settings?saved=2")
        assert SettingsVersions(service.store, CODE).every()[-1].actor == "administrator"
        sign_in(client, service, "reader")
        assert client.get("/settings", headers=PAGE).status_code == 403


def test_analysts_decide_where_the_settings_say_so(start: Callable[..., Service]) -> None:
    service = start('mode = "accounts"\nsettings_role = "analyst"')
    with TestClient(make_app(service)) as client:
        client.follow_redirects = False
        sign_in(client, service, "analyst")
        draft = save(service, {"detection.min_count": 5}, "färre", "analyst")
        page = f"/settings/drafts/{draft.draft_id}"
        assert client.post(f"{page}/apply", data=form(client, page, revision="1", seen="1")).status_code == 303
        assert service.settings.detection.min_count == 5


def test_the_laboratory_links_to_a_new_draft_with_its_values(client: Client) -> None:
    page = client.get(
        "/settings/drafts/new?detection.min_count=4&detection.windows=1,14&budget.district_weights=A0%3D1,5", headers=PAGE
    )
    assert page.status_code == 200
    assert re.search(r'name="detection.min_count" value="4"', page.text)
    assert re.search(r'name="detection.windows" value="1, 14"', page.text)
    assert "A0 = 1.5" in page.text
    page = client.get("/settings/drafts/new?detection.min_count=0&access.mode=open", headers=PAGE)
    assert page.status_code == 422
    assert 'aria-invalid="true"' in page.text


def test_a_form_that_is_refused_loses_nothing(client: Client) -> None:
    sent = form(client, "/settings/drafts/new", **{"detection.windows": "1, 99", "detection.min_count": "many", "reason": "därför"})
    page = client.post("/settings/drafts", data=sent, headers=PAGE)
    assert page.status_code == 422
    for kept in ('value="1, 99"', 'value="many"', "därför</textarea>", 'id="detection-origins-problem"'):
        assert kept in page.text


def test_what_accounts_see_and_fetch_is_in_the_log_once_an_hour(start: Callable[..., Service], monkeypatch: Any) -> None:
    service = start('mode = "accounts"')
    with TestClient(make_app(service)) as client:
        sign_in(client, service, "analyst")
        for _ in range(3):
            client.get("/areas/A0", headers=PAGE)
            client.get("/v1/counts?format=csv")
        client.get("/areas/nowhere", headers=PAGE)
        told = [(e.actor, e.action, e.subject) for e in Cases(service.store).audit(CODE, only=("viewed-area", "exported"))]
        assert told == [("analyst", "exported", "counts"), ("analyst", "viewed-area", "area:A0")]
        changes, access = (client.get(f"/operations?log={log}", headers=PAGE).text for log in ("changes", "access"))
        assert "fetched a table" in access
        assert "fetched a table" not in changes
        assert accounts_of(service).account("analyst") is not None


def test_a_draft_put_in_force_is_in_force_after_a_restart(folder: Path, start: Callable[..., Service]) -> None:
    service = start("")
    draft = save(service, {"budget.district_weights": {"A0": 2.0}}, "ny polisstation", "eva")
    apply(service, draft.draft_id, 1, 1, "bo")
    service.stop()
    again = Service.open(load_settings(folder / "earlywarning.toml"))
    assert again.settings.budget.district_weights == {"A0": 2.0}
    assert [v.actor for v in SettingsVersions(again.store, CODE).every()] == ["", "bo"]  # the start is no new version
    again.stop()


def test_settings_that_the_store_cannot_keep_are_not_in_force(
    client: Client, service: Service, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = client.post("/v1/settings/drafts", json=FEWER).json()
    text = (folder / "earlywarning.toml").read_text()

    def refuse(*_: object) -> int:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(SettingsVersions, "add", refuse)
        assert put(client, draft).status_code == 503
    assert (service.settings.detection.min_count, service.engine.settings.watch.min_count) == (3, 3)
    assert (folder / "earlywarning.toml").read_text() == text
    assert put(client, draft).status_code == 200
