"""Answers of the HTTP interface in JSON."""

from typing import Any

import msgspec
from litestar import Response

_JSON = {"content-type": "application/json"}


def json_answer(value: Any, status: int = 200) -> Response[bytes]:
    """Anything as JSON."""
    return Response(msgspec.json.encode(value), status_code=status, headers=_JSON)


def problem(status: int, problem: str, **more: Any) -> Response[bytes]:
    """What is wrong, in words for whoever asked."""
    return json_answer({"problem": problem, **more}, status)
