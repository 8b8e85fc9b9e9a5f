"""Who is let in where: every route with every role and without one; sign-in, links, tokens, forms of other sites."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from earlywarning.core.roles import ROLES, suffices
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.settings_changes import save
from earlywarning.store.accounts import Accounts
from earlywarning.web.access import ROUTES, SESSION, check_table, route_key
from earlywarning.web.api import make_app
from earlywarning.web.passwords import hashed
from tests.core.town import CODE
from tests.web.conftest import body, open_town

PASSWORD = "korrekt häst batteri klammer"
HASHED = hashed(PASSWORD)
PAGE = {"accept": "text/html"}
Client = TestClient[Litestar]
# What answers are about and this service does not have: a plan in force, a recording.
NOT_THERE = ("/v1/plan/follow-up", "/v1/lab", "/v1/lab/curve", "/v1/lab/surge", "/lab/export")


@pytest.fixture
def service(town: Path) -> Iterator[Service]:
    opened = open_town(town, 'mode = "accounts"\nattempts = 3')
    yield opened
    opened.stop()


def accounts_of(service: Service) -> Accounts:
    return Accounts(service.store, CODE)


def account(service: Service, name: str, role: Any = "reader", districts: tuple[str, ...] = ()) -> None:
    now = datetime.now(UTC)
    secret = accounts_of(service).add(name, role, districts, now, 1)
    assert accounts_of(service).set_password(secret, HASHED, now) is not None


def sign_in(client: Client, service: Service, role: str, districts: tuple[str, ...] = ()) -> None:
    """As after signing in, without the tenth of a second that a password takes."""
    account(service, role, role, districts)
    client.cookies.clear()
    client.cookies.set(SESSION, accounts_of(service).begin(role, datetime.now(UTC)))


def form(client: Client, page: str, **fields: str) -> dict[str, str]:
    """What a form on that page sends."""
    text = client.get(page, headers=PAGE).text
    found = re.search(r'name="csrf" value="(\w+)"', text)
    assert found, text[:500]
    return {"csrf": found.group(1), **fields}


def path_of(key: str, alert_id: str) -> str:
    key = key.replace("{draft_id:int}", "1")
    filled = {
        "alert_id": alert_id,
        "kind": "incident",
        "token": "x",
        "name": "page.css",
        "code": "A0",
        "secret": "x",
        "mute_id": "m-0",
    }
    return re.sub(r"\{(\w+):str\}", lambda m: filled[m.group(1)], key.split(" ", 1)[1])


def routes(app: Litestar) -> set[str]:
    found = set()
    for route in app.routes:
        for handler in getattr(route, "route_handlers", ()):
            if handler.owner is app:
                found |= {route_key(handler, method) for method in handler.http_methods - {"OPTIONS"}}
    return found


def test_the_table_names_every_route_and_no_other(client: Client) -> None:
    assert routes(client.app) == set(ROUTES)


def test_a_route_that_the_table_does_not_name_keeps_the_service_from_starting(service: Service, monkeypatch: Any) -> None:
    app = make_app(service)
    monkeypatch.setattr("earlywarning.web.access.ROUTES", {k: v for k, v in ROUTES.items() if k != "GET /alerts"})
    with pytest.raises(RuntimeError, match="GET /alerts is missing in ROUTES"):
        check_table(app)


@pytest.mark.parametrize("role", [None, *ROLES])
def test_every_route_lets_in_whom_the_table_says_and_nobody_else(client: Client, service: Service, role: str | None) -> None:
    if role is not None:
        sign_in(client, service, role)
    alert_id = service.store.alerts()[0].alert_id
    save(service, {"detection.min_count": 4}, "", "eva")
    for key, (least, _) in ROUTES.items():
        method, path = key.split(" ", 1)[0], path_of(key, alert_id)
        if path in ("/live", "/sign-out"):  # a stream without an end, and the end of the session
            continue
        status = client.request(method, path).status_code
        if least == "supplier":
            assert status == 401, key
        elif least in ("anyone", "link"):
            assert status not in (401,), key
        elif role is None:
            assert status == 401, key
        elif not suffices(role, "administrator" if least == "decider" else least):  # type: ignore[arg-type]
            assert status == 403, key
        elif method == "GET":
            assert status == (404 if path in NOT_THERE else 200), (key, status)
        else:
            assert status == 403, key  # without the form's token


def test_a_page_without_sign_in_leads_to_it_and_back(client: Client, service: Service) -> None:
    account(service, "eva", "coordinator")
    answer = client.get("/alerts?which=all", headers=PAGE)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sign-in?next=/alerts%3Fwhich%3Dall"
    sent = form(client, answer.headers["location"], name="eva", password=PASSWORD, next="/alerts?which=all")
    answer = client.post("/sign-in", data=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?which=all")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "eva" in client.get("/alerts?which=all", headers=PAGE).text
    answer = client.post("/sign-out", data=form(client, "/alerts"))
    assert client.get("/alerts", headers=PAGE).status_code == 303


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_sign_in_never_leads_to_another_site(client: Client, service: Service, target: str) -> None:
    account(service, "eva")
    sent = form(client, "/sign-in", name="eva", password=PASSWORD, next=target)
    assert client.post("/sign-in", data=sent).headers["location"] == "/"


def test_the_cookie_is_for_encrypted_connections_only_where_the_service_has_one(town: Path) -> None:
    file = town / "earlywarning.toml"
    file.write_text(file.read_text().replace("[service]", '[service]\npublic_url = "https://est.example.se"'))
    service = open_town(town, 'mode = "accounts"')
    with TestClient(make_app(service)) as client:
        assert "secure" in client.get("/sign-in", headers=PAGE).headers["set-cookie"].lower()
    service.stop()


def test_wrong_passwords_are_answered_alike_and_soon_not_at_all(client: Client, service: Service) -> None:
    account(service, "eva")
    for name in ("eva", "nobody"):
        answers = [client.post("/sign-in", data=form(client, "/sign-in", name=name, password=f"fel{i}")) for i in range(4)]
        assert [a.status_code for a in answers] == [403, 403, 403, 429]
        assert "Name or password is not right" in answers[0].text
    assert client.post("/sign-in", data=form(client, "/sign-in", name="eva", password=PASSWORD)).status_code == 429
    refused = [e for e in service.answering.cases.audit(CODE) if e.action == "sign-in-refused"]
    assert {e.subject for e in refused} == {"account:eva", "account:unknown"}


def test_a_set_up_link_works_once(client: Client, service: Service) -> None:
    secret = accounts_of(service).add("eva", "analyst", (), datetime.now(UTC), 1)
    page = f"/set-up/{secret}"
    short = client.post(page, data=form(client, page, password="kort", again="kort"))
    assert short.status_code == 422
    differ = client.post(page, data=form(client, page, password=PASSWORD, again=PASSWORD + "x"))
    assert differ.status_code == 422
    done = client.post(page, data=form(client, page, password=PASSWORD, again=PASSWORD))
    assert done.headers["location"] == "/picture"
    assert "analyst" in client.get("/picture", headers=PAGE).text
    client.cookies.clear()
    assert client.get(page, headers=PAGE).status_code == 410
    stored = accounts_of(service).account("eva")
    assert stored is not None
    assert PASSWORD not in str(stored)


def test_a_session_ends_when_it_is_idle_when_it_is_long_and_when_the_account_is_disabled(service: Service) -> None:
    account(service, "eva")
    accounts, now = accounts_of(service), datetime.now(UTC)
    idle, longest = timedelta(minutes=30), timedelta(hours=2)
    session = accounts.begin("eva", now)
    assert accounts.of_session(session, now + timedelta(minutes=29), idle, longest) is not None
    assert accounts.of_session(session, now + timedelta(minutes=58), idle, longest) is not None  # used in between
    assert accounts.of_session(session, now + timedelta(minutes=90), idle, longest) is None
    for minutes in range(0, 120, 20):
        accounts.of_session(session, now + timedelta(minutes=minutes), idle, longest)
    assert accounts.of_session(session, now + timedelta(minutes=121), idle, longest) is None
    session = accounts.begin("eva", now)
    accounts.disable("eva", now)
    assert accounts.of_session(session, now, idle, longest) is None


def test_a_form_of_another_site_changes_nothing(client: Client, service: Service) -> None:
    sign_in(client, service, "coordinator")
    page = f"/alerts/{service.store.alerts()[0].alert_id}"
    good = form(client, page, action="acknowledge")
    for data, headers in (
        ({"action": "acknowledge"}, {}),
        ({**good, "csrf": "0" * 64}, {}),
        (good, {"origin": "https://evil.example"}),
        (good, {"sec-fetch-site": "cross-site"}),
    ):
        answer = client.post(page, data=data, headers={**PAGE, **headers})
        assert answer.status_code == 403
    assert {case.revision for case in service.answering.cases.every(CODE)} == {0}
    assert client.post(page, data=good, headers={"sec-fetch-site": "same-origin"}).status_code == 303
    assert service.answering.cases.every(CODE)[0].acknowledged_by == "coordinator"


def test_the_api_takes_no_answer_by_a_cookie_alone_and_signs_it_with_the_account(client: Client, service: Service) -> None:
    sign_in(client, service, "coordinator")
    alert_id = service.store.alerts()[0].alert_id
    body = {"answer_id": "a1", "action": "acknowledge", "actor": "somebody else"}
    assert client.post(f"/v1/alerts/{alert_id}/answers", json=body).status_code == 403
    token = form(client, f"/alerts/{alert_id}")["csrf"]
    answer = client.post(f"/v1/alerts/{alert_id}/answers", json=body, headers={"x-csrf-token": token})
    assert answer.json()["casework"]["acknowledged_by"] == "coordinator"


def test_a_token_is_for_its_own_use_and_ends_when_it_is_revoked(client: Client, service: Service) -> None:
    accounts, now = accounts_of(service), datetime.now(UTC)
    sends = {"authorization": f"Bearer {accounts.add_token('wardens', 'events', now)}"}
    reads = {"authorization": f"Bearer {accounts.add_token('prometheus', 'reading', now)}"}
    assert client.get("/v1/alerts", headers=sends).status_code == 401
    assert client.get("/metrics", headers=reads).status_code == 200
    assert client.post("/v1/events", content=b"[]", headers={**reads, "content-type": "application/json"}).status_code == 401
    assert client.post("/v1/events", content=b"x", headers={**sends, "content-type": "text/plain"}).status_code == 415
    accounts.revoke_tokens("wardens", now)
    assert client.post("/v1/events", content=b"x", headers={**sends, "content-type": "text/plain"}).status_code == 401


def test_an_account_limited_to_a_district_sees_nothing_beyond_it(client: Client, service: Service) -> None:
    sign_in(client, service, "administrator", ("D0",))
    inside = next(a for a in service.store.alerts() if a.areas == ("A0",))
    outside = next(a for a in service.store.alerts() if a.areas == ("A4",))
    assert client.get(f"/alerts/{inside.alert_id}").status_code == 200
    assert client.get(f"/alerts/{outside.alert_id}").status_code == 404
    assert client.post(f"/alerts/{outside.alert_id}", data=form(client, f"/alerts/{inside.alert_id}")).status_code == 404
    assert client.get("/areas/A1").status_code == 200
    assert client.get("/areas/A4").status_code == 404
    inbox = client.get("/alerts?which=all", headers=PAGE).text
    assert inside.alert_id in inbox
    assert outside.alert_id not in inbox
    picture = client.get("/picture?all=1", headers=PAGE).text
    assert "Area 2" in picture
    assert "Area 4" not in picture
    for whole in ("/v1/counts", "/v1/alerts", "/operations", "/accounts", "/metrics"):
        assert client.get(whole).status_code == 403, whole


def test_an_administrator_makes_accounts_and_tokens_on_the_page(client: Client, service: Service) -> None:
    sign_in(client, service, "administrator")
    made = client.post("/accounts", data=form(client, "/accounts", action="add", name="Åsa", role="coordinator", districts="D1"))
    link = re.search(r"/set-up/[\w-]+", made.text)
    assert link
    assert client.get(link.group(), headers=PAGE).status_code == 200
    assert accounts_of(service).every()[1].districts == ("D1",)
    wrong = client.post("/accounts", data=form(client, "/accounts", action="add", name="x", role="reader", districts="D9"))
    assert wrong.status_code == 422
    assert "“D9” is no area of the register" in wrong.text
    client.get("/accounts?language=sv")
    swedish = client.post("/accounts", data=form(client, "/accounts", action="token", name="x", use="reading", source="wardens"))
    assert "Det gick inte: bara en nyckel som skickar händelser kan bindas till en källa" in swedish.text
    token = client.post("/accounts", data=form(client, "/accounts", action="token", name="wardens", use="events"))
    assert re.search(r"ew_[\w-]{40,}", token.text)
    assert "ew_" not in client.get("/accounts", headers=PAGE).text
    client.post("/accounts", data=form(client, "/accounts", action="disable", name="Åsa"))
    assert accounts_of(service).account("Åsa").disabled_at is not None  # type: ignore[union-attr]
    client.post("/accounts", data=form(client, "/accounts", action="disable", name="administrator"))
    assert accounts_of(service).account("administrator").disabled_at is None  # type: ignore[union-attr]


def test_pages_carry_a_strict_policy_and_no_script_or_style_of_their_own(client: Client, service: Service) -> None:
    sign_in(client, service, "administrator")
    alert_id = service.store.alerts()[0].alert_id
    for page in ("/picture", "/areas/A0", "/alerts", f"/alerts/{alert_id}", "/operations", "/accounts", "/accessibility"):
        answer = client.get(page, headers=PAGE)
        policy = answer.headers["content-security-policy"]
        assert "script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert not re.search(r"<style|<script(?! src)| style=| on\w+=\"", answer.text), page
        assert not re.search(r"https?://(?!www\.w3\.org|testserver)", answer.text), page


def test_open_mode_needs_no_sign_in_and_yet_takes_no_form_of_another_site(town: Path) -> None:
    service = open_town(town)
    with TestClient(make_app(service)) as client:
        page = f"/alerts/{service.store.alerts()[0].alert_id}"
        assert client.get("/operations", headers=PAGE).status_code == 200
        assert client.post(page, data={"action": "acknowledge"}).status_code == 403
        body = {"answer_id": "a1", "action": "acknowledge", "actor": "x"}
        evil = {"sec-fetch-site": "cross-site"}
        assert client.post(f"/v1{page}/answers", json=body, headers=evil).status_code == 403
        assert client.post(f"/v1{page}/answers", json=body).status_code == 200
    service.stop()


def test_a_token_that_is_bound_to_a_source_sends_that_source_only(client: Client, service: Service) -> None:
    service.start()
    token = accounts_of(service).add_token("wardens", "events", datetime.now(UTC), "wardens")
    headers = {"authorization": f"Bearer {token}"}
    answer = client.post("/v1/events", json=[body(1), body(2, source="schools"), body(3)], headers=headers)
    assert answer.status_code == 207
    own, other, _ = answer.json()["results"]
    assert own["outcome"] == "accepted"
    assert (other["outcome"], other["status"], other["field"], other["rule"]) == ("rejected", 403, "source", "token-source")
    assert (other["event_id"], other["source"]) == ("w-2x", "schools")
    assert "'wardens' only" in other["problem"]
    (letter,) = service.store.dead_letters(municipality=CODE)
    assert (letter.letter.field, letter.letter.rule, letter.letter.source) == ("source", "token-source", "schools")
    free = accounts_of(service).add_token("all", "events", datetime.now(UTC))
    sent = client.post("/v1/events", json=[body(4, source="schools")], headers={"authorization": f"Bearer {free}"})
    assert sent.json()["counts"] == {"accepted": 1}


def test_a_token_may_over_the_api_what_its_role_may(client: Client, service: Service) -> None:
    def headers(use: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {accounts_of(service).add_token(use, use, datetime.now(UTC))}"}

    assert client.post("/v1/outbox/retry", headers=headers("coordinator")).status_code == 403
    assert client.post("/v1/outbox/retry", headers=headers("administrator")).status_code == 200
    assert client.post("/v1/events", json=[body(1)], headers=headers("administrator")).status_code == 401
    assert client.get("/v1/dead-letters", headers=headers("reading")).status_code == 403
    assert client.get("/v1/dead-letters", headers=headers("analyst")).status_code == 200
