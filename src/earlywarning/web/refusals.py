"""How the HTTP interface says no: in its own words, never a trace, never a value that was sent; and the headers of all answers."""

import traceback
from pathlib import Path
from typing import Any

import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, Scope, Send

from earlywarning.core.pages import PageError
from earlywarning.store import StoreError
from earlywarning.web.json_answers import problem
from earlywarning.web.pages.site import problem_page, wants_page

log = structlog.get_logger(__name__)
_SAFE = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
)


def refused(request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    """Errors in the service's own words: never a trace, never a value that was sent. People get a page, programs JSON."""
    response = _refused(request, error)
    for name, value in _SAFE:  # no middleware is passed on the way to an address that is not there
        response.headers.setdefault(name.decode(), value.decode())
    return response


def _refused(request: Request[Any, Any, State], error: Exception) -> Response[bytes]:
    status = (
        error.status_code
        if isinstance(error, HTTPException)
        else 503
        if isinstance(error, StoreError | PageError | MemoryError)
        else 500
    )
    if wants_page(request):
        return problem_page(request, status, error)
    if isinstance(error, HTTPException):
        extra = [
            {"key": e.get("key"), "problem": "not of the kind that the API document says"}
            for e in (error.extra if isinstance(error.extra, list) else [])
            if isinstance(e, dict)
        ]
        words = {
            400: "the request does not fit the API",
            401: error.detail,
            403: error.detail,
            404: "there is nothing at this address",
            405: "this address takes other methods",
            408: error.detail,
            413: "the body is too large",
        }
        response = problem(
            error.status_code,
            words.get(error.status_code, error.__class__.__name__),
            **({"fields": extra} if extra else {}),
        )
        if error.status_code == 401:
            response.headers["www-authenticate"] = "Bearer"
        return response
    if isinstance(error, StoreError | PageError):  # a damaged page: better no figure than a wrong one
        return problem(503, str(error))
    if isinstance(error, MemoryError):
        log.error("a request needs more memory than there is")
        return problem(503, "the service is short of memory; ask for less, or later")
    place = traceback.extract_tb(error.__traceback__)[-1]
    # Where, and of which kind; never what was sent.
    log.error("a request failed", error=type(error).__name__, file=Path(place.filename).name, line=place.lineno)
    return problem(500, f"an error of the service ({type(error).__name__})")


def no_sniffing(app: ASGIApp) -> ASGIApp:
    """Answers are data: no browser is to guess another type or put them in a frame."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in _SAFE if h[0] not in own)]
            await send(message)

        await app(scope, receive, with_headers)

    return wrapped
