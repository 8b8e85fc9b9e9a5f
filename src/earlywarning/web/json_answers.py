"""Answers of the HTTP interface in JSON, and the headers of documents that stand alone."""

from typing import Any

import msgspec
from litestar import Response

_JSON = {"content-type": "application/json"}
# A document with its own style sheet in it is one file that can be handed on; nothing else is let in.
OWN_STYLE = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'",
}


def json_answer(value: Any, status: int = 200) -> Response[bytes]:
    """Anything as JSON."""
    return Response(msgspec.json.encode(value), status_code=status, headers=_JSON)


def problem(status: int, problem: str, **more: Any) -> Response[bytes]:
    """What is wrong, in words for whoever asked."""
    return json_answer({"problem": problem, **more}, status)
