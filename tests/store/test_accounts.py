"""Accounts, sessions and tokens on both databases: no secret is kept, also beside a writer, each municipality for itself."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from earlywarning.store import Store
from earlywarning.store.accounts import AccountError, Accounts, digest
from earlywarning.store.cases import Cases

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def accounts(store: Store) -> Accounts:
    return Accounts(store, "0380")


def everything(store: Store) -> str:
    with store.reading() as c:
        tables = ("accounts", "sessions", "tokens", "audit")
        return " ".join(str(row) for name in tables for row in c.execute(sa.text(f"select * from {name}")))  # noqa: S608


def test_an_account_is_made_gets_its_password_once_and_is_read_back(accounts: Accounts) -> None:
    secret = accounts.add("Åsa", "analyst", ["D1", "D2"], NOW, 24)
    waiting = accounts.of_set_up(secret, NOW + 23 * HOUR)
    assert waiting is not None
    assert (waiting.name, waiting.role, waiting.districts, waiting.password_hash) == ("Åsa", "analyst", ("D1", "D2"), None)
    assert accounts.of_set_up(secret, NOW + 25 * HOUR) is None
    assert accounts.set_password(secret, "hash", NOW) is not None
    assert accounts.set_password(secret, "another", NOW) is None
    assert accounts.account("Åsa").password_hash == "hash"  # type: ignore[union-attr]


def test_no_secret_is_kept_in_clear(accounts: Accounts, store: Store) -> None:
    link = accounts.add("eva", "reader", [], NOW, 24)
    accounts.set_password(link, "hash", NOW)
    secrets = [link, accounts.begin("eva", NOW), accounts.add_token("wardens", "events", NOW)]
    kept = everything(store)
    assert not any(secret in kept for secret in secrets)
    assert digest(secrets[1]) in kept
    assert all(len(secret) >= 43 for secret in secrets)


def test_a_new_link_ends_sessions_and_the_old_password(accounts: Accounts) -> None:
    accounts.set_password(accounts.add("eva", "reader", [], NOW, 24), "hash", NOW)
    session = accounts.begin("eva", NOW)
    accounts.add("eva", "administrator", [], NOW, 24)
    assert accounts.of_session(session, NOW, HOUR, HOUR) is None
    again = accounts.account("eva")
    assert again is not None
    assert (again.role, again.password_hash) == ("administrator", None)


def test_each_municipality_has_its_own(accounts: Accounts, store: Store) -> None:
    other = Accounts(store, "0180")
    link = accounts.add("eva", "administrator", [], NOW, 24)
    token = accounts.add_token("wardens", "events", NOW)
    session = accounts.begin("eva", NOW)
    assert other.account("eva") is None
    assert other.of_set_up(link, NOW) is None
    assert other.set_password(link, "hash", NOW) is None
    assert other.of_token(token) is None
    assert other.of_session(session, NOW, HOUR, HOUR) is None
    assert not other.disable("eva", NOW)
    assert other.revoke_tokens("wardens", NOW) == 0
    assert accounts.of_token(token) is not None


def test_a_command_beside_the_running_service_makes_accounts_at_once(accounts: Accounts, store: Store, url: str) -> None:
    with Store.open(url) as beside:
        link = Accounts(beside, "0380").add("eva", "reader", [], NOW, 24)
    assert accounts.of_set_up(link, NOW) is not None
    store.commit(None, source_state={"a": "b"})  # the writer goes on


def test_what_happens_to_accounts_stands_in_the_audit_log(accounts: Accounts, store: Store) -> None:
    accounts.set_password(accounts.add("eva", "reader", ["D1"], NOW, 24), "hash", NOW)
    accounts.begin("eva", NOW)
    accounts.refused("eva", NOW)
    accounts.refused("mistyped-password", NOW)
    accounts.disable("eva", NOW)
    accounts.add_token("wardens", "events", NOW)
    accounts.revoke_tokens("wardens", NOW)
    told = [entry.action for entry in reversed(Cases(store).audit("0380"))]
    assert told == [
        "account-added", "password-set", "signed-in", "sign-in-refused", "sign-in-refused", "account-disabled", "token-added",
        "token-revoked",
    ]  # fmt: skip
    assert "mistyped-password" not in everything(store)


@pytest.mark.parametrize("name", ["", " eva", "x" * 81, "a\nb"])
def test_a_name_that_nobody_could_write_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(AccountError, match="an account's name has 1 to 80 printable"):
        accounts.add(name, "reader", [], NOW, 24)
    with pytest.raises(AccountError, match="a token's name has 1 to 80 printable"):
        accounts.add_token(name, "events", NOW)


def test_a_token_is_bound_to_a_source_or_may_what_a_role_may(accounts: Accounts) -> None:
    bound = accounts.of_token(accounts.add_token("wardens", "events", NOW, "wardens-app"))
    coordinator = accounts.of_token(accounts.add_token("cron", "coordinator", NOW))
    assert bound is not None
    assert coordinator is not None
    assert (bound.source, bound.role) == ("wardens-app", None)
    assert (coordinator.source, coordinator.role) == (None, "coordinator")
    with pytest.raises(AccountError, match="only a token that sends events"):
        accounts.add_token("cron", "administrator", NOW, "wardens-app")
    with pytest.raises(AccountError, match="1 to 64 printable"):
        accounts.add_token("wardens", "events", NOW, " x")
    assert {(k.name, k.source) for k in accounts.tokens()} == {("wardens", "wardens-app"), ("cron", None)}


def test_ended_sessions_are_swept(accounts: Accounts, store: Store) -> None:
    accounts.add("eva", "reader", [], NOW, 24)
    accounts.begin("eva", NOW - 5 * HOUR)
    accounts.begin("eva", NOW)
    accounts.sweep(NOW, 4 * HOUR)
    with store.reading() as c:
        assert c.execute(sa.text("select count(*) from sessions")).scalar() == 1
