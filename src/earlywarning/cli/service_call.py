"""What commands ask of a running service, with the token that it wants where people sign in."""

import os
from pathlib import Path
from typing import Any

import httpx

from earlywarning.cli.place import OperatorError

VARIABLE = "EARLYWARNING_TOKEN"


def token_headers(token_file: Path | None) -> dict[str, str]:
    """The header with the token of a file, or else of the environment; empty where there is none. Raises OperatorError."""
    token = os.environ.get(VARIABLE, "").strip()
    if token_file is not None:
        try:
            token = token_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise OperatorError(f"--token-file {token_file} cannot be read ({type(error).__name__})") from error
        if not token:
            raise OperatorError(f"--token-file {token_file} is empty; put into it what `earlywarning tokens add` printed")
    if not token.isprintable() or " " in token or not token.isascii():
        raise OperatorError(
            f"the token of --token-file or {VARIABLE} is none: it is one word, as `earlywarning tokens add` prints it"
        )
    return {"authorization": f"Bearer {token}"} if token else {}


def no_entry(to: str, status: int, said: dict[str, Any], token_file: Path | None) -> OperatorError:
    """What to do when a service lets a command not in."""
    problem = said.get("problem", f"it answered {status}")
    if token_headers(token_file):
        return OperatorError(f"{to} did not accept the token: {problem}")
    return OperatorError(
        f"{to} wants a token: {problem}; make one with `earlywarning tokens add NAME --role ROLE`, "
        f"and give it with --token-file or {VARIABLE}"
    )


def ask(
    to: str, path: str, token_file: Path | None, *, content: bytes, query: dict[str, str] | None = None, patience: float = 60.0
) -> tuple[int, dict[str, Any]]:
    """Post to a running service; its status and what it says. Raises OperatorError where it does not answer, or lets nobody in
    without a token of a role that may."""
    try:
        answer = httpx.post(
            f"{to.rstrip('/')}{path}", content=content, params=query, headers=token_headers(token_file), timeout=patience
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise OperatorError(
            f"{to} did not answer ({type(error).__name__}); is the service running there? Its address is such as "
            "http://127.0.0.1:8620"
        ) from error
    try:
        said = answer.json()
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    if answer.status_code in (401, 403):
        raise no_entry(to, answer.status_code, said, token_file)
    return answer.status_code, said
