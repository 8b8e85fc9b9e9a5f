"""Sign-in by a real OpenID Connect provider on loopback: the code flow, and every way in which it must fail."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import oidc_provider_mock
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from earlywarning.runtimes.embedded import Service
from earlywarning.store.accounts import Accounts
from earlywarning.web.api import make_app
from earlywarning.web.provider import SECRET
from tests.core.town import CODE
from tests.web.conftest import open_town

PAGE = {"accept": "text/html"}
Client = TestClient[Litestar]


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    with oidc_provider_mock.run_server_in_thread(require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def service(town: Path, issuer: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setenv(SECRET, "the client's secret")
    lines = f'mode = "accounts"\noidc_issuer = "{issuer}"\noidc_client_id = "earlywarning"\noidc_claim = "sub"'
    opened = open_town(town, lines)
    yield opened
    opened.stop()


def leave(client: Client, target: str = "/alerts?which=all") -> str:
    """To the provider; returns its address."""
    answer = client.get("/sign-in/provider", params={"next": target})
    assert answer.status_code == 303, answer.text[-1_000:]
    return str(answer.headers["location"])


def agree(address: str, name: str) -> str:
    """What the person does there; returns where the provider sends the browser back to, without the host."""
    answer = httpx.post(address, data={"sub": name})
    assert answer.status_code in (302, 303), answer.text[:500]
    back = urlsplit(answer.headers["location"])
    return f"{back.path}?{back.query}"


def account(service: Service, name: str) -> None:
    Accounts(service.store, CODE).add(name, "coordinator", (), datetime.now(UTC), 1)


def test_who_signs_in_at_the_provider_gets_the_account_of_that_name(client: Client, service: Service) -> None:
    account(service, "eva@example.se")
    assert "/sign-in/provider" in client.get("/sign-in", headers=PAGE).text
    address = leave(client)
    asked = parse_qs(urlsplit(address).query)
    assert asked["code_challenge_method"] == ["S256"]
    assert {"state", "nonce", "code_challenge", "redirect_uri"} <= asked.keys()
    answer = client.get(agree(address, "eva@example.se"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?which=all")
    assert "eva@example.se, coordinator" in client.get("/alerts", headers=PAGE).text


def test_who_has_no_account_or_a_disabled_one_stays_outside(client: Client, service: Service) -> None:
    assert client.get(agree(leave(client), "nobody@example.se"), headers=PAGE).status_code == 403
    account(service, "eva@example.se")
    Accounts(service.store, CODE).disable("eva@example.se", datetime.now(UTC))
    assert client.get(agree(leave(client), "eva@example.se"), headers=PAGE).status_code == 403
    assert client.get("/alerts").status_code == 401


def test_an_answer_that_was_not_asked_for_here_is_refused(client: Client, service: Service) -> None:
    account(service, "eva@example.se")
    back = agree(leave(client), "eva@example.se")
    for path in (re.sub(r"state=[^&]+", "state=forged", back), re.sub(r"code=[^&]+", "code=forged", back), "/sign-in/return"):
        assert client.get(path, headers=PAGE).status_code == 502, path
    client.cookies.clear()  # another browser
    assert client.get(back, headers=PAGE).status_code == 502
    assert client.get("/alerts").status_code == 401


def test_a_token_for_another_sign_in_or_another_service_is_refused(client: Client, service: Service) -> None:
    account(service, "eva@example.se")
    address = leave(client)
    other_nonce = agree(re.sub(r"nonce=[^&]+", "nonce=another", address), "eva@example.se")
    assert client.get(other_nonce, headers=PAGE).status_code == 502
    other_client = agree(re.sub(r"client_id=[^&]+", "client_id=another", leave(client)), "eva@example.se")
    assert client.get(other_client, headers=PAGE).status_code == 502


def test_a_provider_that_does_not_answer_is_told_in_words(town: Path) -> None:
    service = open_town(town, 'mode = "accounts"\noidc_issuer = "http://127.0.0.1:1"\noidc_client_id = "x"')
    with TestClient(make_app(service)) as client:
        answer = client.get("/sign-in/provider", headers=PAGE)
        assert answer.status_code == 502
        assert "did not work" in answer.text
    service.stop()
