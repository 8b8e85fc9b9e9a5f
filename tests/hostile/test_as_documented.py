"""The OpenAPI document against the running service: every answer is one that it names, and none is a fault of the service."""

import re
import subprocess
import sys
from pathlib import Path

from tests.web.conftest import Running, write_town
from tests.web.conftest import shared as service

__all__ = ["service"]  # the fixture
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def asked(address: str, *more: str) -> list[str]:
    """The command that asks a service all that its document allows; the same questions each time."""
    return [
        str(Path(sys.executable).parent / "schemathesis"), "run", f"{address}/openapi.json", "--checks", CHECKS,
        "--generation-deterministic", "--no-color", "--warnings", "off", "--request-timeout", "60", "--continue-on-failure", *more,
    ]  # fmt: skip


def test_every_answer_is_one_that_the_document_names(service: Running, tmp_path: Path) -> None:
    command = asked(service.address, "--phases", "examples,fuzzing", "--max-examples", "10")
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-4_000:]


def test_an_address_says_which_methods_it_takes(service: Running) -> None:
    document = service.client.get("/openapi.json").json()
    for path in document["paths"]:
        answer = service.client.options(re.sub(r"{\w+}", "1", path))
        assert answer.status_code == 204, path
        assert "OPTIONS" in answer.headers["allow"], path


if __name__ == "__main__":  # the long form, for `make fuzz`: python -m tests.hostile.test_as_documented FOLDER
    home = Path(sys.argv[1])
    home.mkdir(parents=True, exist_ok=True)
    write_town(home)
    started = Running(home)
    try:
        sys.exit(subprocess.run(asked(started.address, "--max-examples", "200"), check=False).returncode)
    finally:
        started.stop()
