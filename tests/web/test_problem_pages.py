"""The pages that say what did not work look like the others: language, menu for who is signed in, and nothing for who is not."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from earlywarning.runtimes.embedded import Service
from earlywarning.store import StoreError
from earlywarning.store.accounts import Accounts
from earlywarning.web.api import make_app
from tests.core.town import CODE
from tests.web.conftest import open_town, write_town
from tests.web.test_access import form, sign_in

Client = TestClient[Litestar]
PAGE = {"accept": "text/html"}


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    write_town(tmp_path)
    opened = open_town(tmp_path, 'mode = "accounts"')
    yield opened
    opened.stop()


def menu(text: str) -> list[str]:
    """The addresses of a page's menu."""
    found = re.search(r"<nav .*?</nav>", text, re.S)
    return re.findall(r'href="([^"]+)"', found.group()) if found else []


def at(client: Client, path: str, status: int, language: str = "sv", **kept: Any) -> str:
    answer = client.get(path, params={"language": language}, headers=PAGE, **kept)
    assert answer.status_code == status, answer.text
    assert f'<html lang="{language}">' in answer.text
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert answer.headers.get_list("x-content-type-options") == ["nosniff"]
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert 'href="/picture"' in answer.text  # the way back
    return answer.text


def test_who_is_signed_in_finds_the_menu_where_nothing_is(client: Client, service: Service) -> None:
    sign_in(client, service, "administrator")
    usual = menu(client.get("/operations", headers=PAGE).text)
    assert "/accounts" in usual
    for path in ("/nothing", "/alerts/x/y", "/sign-out"):  # the last one takes no GET
        text = at(client, path, 404 if path != "/sign-out" else 405)
        assert menu(text) == usual, path
        assert "Inloggad som administrator, administratör" in text
        assert "Sidan finns inte, eller är inte din att se." in text
    # Its form to sign out is as good as any other.
    assert client.post("/sign-out", data=form(client, "/nothing")).status_code == 303
    assert menu(at(client, "/nothing", 404)) == []


def test_a_menu_shows_no_more_than_the_account_may_see(client: Client, service: Service) -> None:
    sign_in(client, service, "coordinator", ("D0",))
    assert menu(at(client, "/nothing", 404)) == menu(client.get("/alerts", headers=PAGE).text) == ["/picture", "/alerts"]


@pytest.mark.parametrize("cookies", [{}, {"ew_session": "x" * 43}])
def test_a_stranger_is_told_nothing_and_gets_no_cookie(client: Client, service: Service, cookies: dict[str, str]) -> None:
    sign_in(client, service, "administrator")
    client.cookies.clear()
    client.cookies.update(cookies)
    answer = client.get("/nothing", headers=PAGE)
    assert answer.status_code == 404
    assert menu(answer.text) == []
    assert "administrator" not in answer.text
    assert "set-cookie" not in answer.headers
    assert client.get("/alerts", headers=PAGE).status_code == 303


def test_in_open_mode_everybody_has_the_menu(tmp_path: Path) -> None:
    write_town(tmp_path)
    opened = open_town(tmp_path)
    with TestClient(make_app(opened)) as client:
        assert menu(at(client, "/nothing", 404, "en")) == menu(client.get("/picture", headers=PAGE).text) != []
    opened.stop()


def test_what_an_account_may_not_do_is_said_in_its_language(client: Client, service: Service) -> None:
    sign_in(client, service, "reader")
    text = at(client, "/accounts", 403)
    assert "det kräver rollen administratör" in text
    assert menu(text) == menu(client.get("/picture", headers=PAGE).text)
    assert "it needs the role administrator" in at(client, "/accounts", 403, "en")
    client.post("/sign-out", data=form(client, "/picture"))
    sign_in(client, service, "analyst", ("D0",))
    assert "begränsat till vissa distrikt" in at(client, "/operations", 403)
    # To programs it is said as before.
    assert client.get("/operations").json() == {
        "problem": "this tells of the whole municipality, and the account is limited to districts"
    }


def test_a_form_that_cannot_be_taken_is_not_called_an_error_of_the_service(client: Client, service: Service) -> None:
    sign_in(client, service, "administrator")
    old = client.post("/dead-letters?language=sv", data={"csrf": "0" * 64}, headers=PAGE)
    assert old.status_code == 403
    assert "Formuläret är för gammalt" in old.text
    large = client.post("/plan?language=sv", data=form(client, "/accounts", x="x" * (2 << 20)), headers=PAGE)
    assert large.status_code == 413
    assert "för stort" in large.text
    assert "Ett fel i tjänsten" not in old.text + large.text
    assert menu(old.text) == menu(large.text) != []


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [(StoreError("no answer"), 503, "Lagret svarar inte just nu"), (ZeroDivisionError(), 500, "Ett fel i tjänsten. Det är loggat")],
)
def test_a_page_that_fails_keeps_its_menu(
    client: Client, service: Service, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, words: str
) -> None:
    sign_in(client, service, "administrator")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(service.store, "data_notes", fail)
    text = at(client, "/operations", status)
    assert words in text
    assert menu(text) == menu(client.get("/picture", headers=PAGE).text)
    # A store that cannot even say who asks: no menu, and still a page.
    monkeypatch.setattr(Accounts, "of_session", fail)
    assert menu(at(client, "/operations", status)) == []
    if status == 503:
        assert menu(at(client, "/nothing", 404)) == []


def test_a_session_that_is_over_has_no_menu_any_more(client: Client, service: Service) -> None:
    sign_in(client, service, "administrator")
    assert menu(at(client, "/nothing", 404))
    accounts = Accounts(service.store, CODE)
    accounts.disable("administrator", datetime.now(UTC))
    assert menu(at(client, "/nothing", 404)) == []
