"""Accounts and tokens on the command line, and where a service without sign-in may listen."""

import re
from pathlib import Path

import pytest

from earlywarning.settings_access import open_problem
from tests.cli.told import earlywarning as run
from tests.web.conftest import write_town


def test_an_account_is_made_listed_and_disabled(tmp_path: Path) -> None:
    write_town(tmp_path, '\n[access]\nmode = "accounts"\nset_up_hours = 5\n')
    made = run(tmp_path, "accounts", "add", "Åsa", "--role", "coordinator", "--district", "D0")
    assert re.search(r"Åsa \(coordinator\).*within 5 hours:\nhttp://127\.0\.0\.1:8620/set-up/[\w-]{43}\n$", made.stdout)
    assert "waits for a password" in run(tmp_path, "accounts", "list").stdout
    assert run(tmp_path, "accounts", "disable", "Åsa").returncode == 0
    unknown = run(tmp_path, "accounts", "disable", "Eva")
    assert (unknown.returncode, "no account 'Eva'" in unknown.stderr) == (1, True)
    wrong = run(tmp_path, "accounts", "add", "Eva", "--role", "reader", "--district", "D9")
    assert "'D9' is no area of the register" in wrong.stderr


def test_a_token_is_shown_once_and_revoked(tmp_path: Path) -> None:
    write_town(tmp_path)
    token = run(tmp_path, "tokens", "add", "wardens").stdout.splitlines()[-1]
    assert re.fullmatch(r"ew_[\w-]{43}", token)
    run(tmp_path, "tokens", "add", "prometheus", "--reads")
    listed = run(tmp_path, "tokens", "list").stdout
    assert token not in listed
    assert "reading" in listed
    assert run(tmp_path, "tokens", "revoke", "wardens").returncode == 0
    assert run(tmp_path, "tokens", "revoke", "wardens").returncode == 1


def test_a_service_without_sign_in_does_not_listen_to_others(tmp_path: Path) -> None:
    write_town(tmp_path)
    refused = run(tmp_path, "run", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 1
    assert 'mode = "accounts"' in refused.stderr


@pytest.mark.parametrize(
    ("mode", "host", "allowed"),
    [("open", "127.0.0.1", True), ("open", "::1", True), ("open", "localhost", True), ("open", "127.1.2.3", True),
     ("open", "0.0.0.0", False), ("open", "::", False), ("open", "10.0.0.1", False), ("open", "est.example.se", False),
     ("accounts", "0.0.0.0", True)],
)  # fmt: skip
def test_open_is_for_loopback_only(mode: str, host: str, allowed: bool) -> None:
    assert (open_problem(mode, host) == "") is allowed
