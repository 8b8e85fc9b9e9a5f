"""Commands that ask a running service where people sign in: with a token of a role that may, from a file or the environment."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.conftest import Running, body, write_town


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("closed")
    write_town(folder, '\n[access]\nmode = "accounts"\n')
    running = Running(folder)
    yield running
    running.stop()


def run(folder: Path, *words: str, token: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "earlywarning", *words]
    environment = {**os.environ, "EARLYWARNING_TOKEN": token}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120, env=environment)


def made(service: Running, *words: str) -> str:
    done = run(service.folder, "tokens", "add", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_without_a_token_the_command_says_what_to_do_and_with_one_of_too_little_that_it_is_not_enough(service: Running) -> None:
    words = ("outbox", "retry", "--to", service.address)
    refused = run(service.folder, *words)
    assert refused.returncode == 1
    assert "--token-file or EARLYWARNING_TOKEN" in refused.stderr
    reader = run(service.folder, *words, token=made(service, "prometheus", "--reads"))
    assert (reader.returncode, "did not accept the token" in reader.stderr) == (1, True)
    (service.folder / "token").write_text(made(service, "cron", "--role", "administrator") + "\n")
    done = run(service.folder, *words, "--token-file", "token")
    assert (done.returncode, done.stdout) == (0, "No message was given up; nothing is tried again.\n")


def test_a_supplier_feeds_its_files_and_an_administrator_tries_again_what_was_refused(service: Running) -> None:
    (service.folder / "news.jsonl").write_text(
        "\n".join(json.dumps(body(n, source=s)) for n, s in ((1, "wardens"), (2, "schools")))
    )
    bound = made(service, "wardens", "--source", "wardens")
    fed = run(service.folder, "ingest", "news.jsonl", "--to", service.address, token=bound)
    assert fed.returncode == 0, fed.stderr
    assert "token-source" in fed.stderr + fed.stdout
    replay = ("dead-letters", "replay", "--to", service.address)
    told = run(service.folder, *replay, token=made(service, "chief", "--role", "administrator"))
    assert told.stdout == "1 taken in again, 0 go on waiting\n"
