"""Many municipalities behind one address: /0380/v1/alerts is Uppsala's; one that is alone is at the root as well.

Else a browser is shown their names at the root, and a program their codes.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar.types import ASGIApp, Receive, Scope, Send

from earlywarning.monitoring import Metrics
from earlywarning.runtimes.front import Front
from earlywarning.settings_access import open_problem
from earlywarning.web.api import make_app
from earlywarning.web.pages.front_door import Sent, front_door, static_at_the_door
from earlywarning.web.pages.site import wants_page

_OPEN = ("/healthz", "/readyz", "/metrics")


def make_many(
    fronts: Mapping[str, Front],
    metrics: Metrics,
    show_state: Callable[[], None],
    alive: Callable[[], bool],
    host: str = "127.0.0.1",
) -> ASGIApp:
    """The ASGI application of a desk. fronts: by code; it may grow and change while the application runs.

    host: where the desk listens; a municipality without sign-in is served on loopback only.
    """
    made: dict[str, tuple[Front, Litestar]] = {}

    def of(code: str) -> Litestar | None:
        front = fronts.get(code)
        if front is None:
            return None
        if code not in made or made[code][0] is not front:
            made[code] = (front, make_app(front))
        return made[code][1]

    def shut(code: str) -> str:
        front = fronts.get(code)
        return "" if front is None else open_problem(front.settings.access.mode, host)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        first, _, rest = path.lstrip("/").partition("/")
        if (problem := shut(first)) or (len(fronts) == 1 and path not in _OPEN and (problem := shut(next(iter(fronts))))):
            await _answer(send, 403, {"problem": problem})
        elif (own := of(first)) is not None:
            inner = {
                **scope,
                "path": f"/{rest}",
                "raw_path": f"/{rest}".encode(),
                "root_path": f"{scope.get('root_path', '')}/{first}",
            }
            await own(inner, receive, send)  # type: ignore[arg-type]
        elif path == "/healthz":
            await _answer(send, 200, {"status": "alive"})
        elif path == "/readyz":
            there = alive()
            await _answer(send, 200 if there else 503, {"status": "ready" if there else "reading"})
        elif path == "/metrics":
            show_state()
            page, content_type = metrics.page(dict(scope["headers"]).get(b"accept", b"").decode("latin-1"))
            await _answer(send, 200, page, content_type.encode())
        elif len(fronts) == 1 and (own := of(next(iter(fronts)))) is not None:
            await own(scope, receive, send)
        else:
            await _at_the_door(Request(scope), send, {code: front.settings.municipality.name for code, front in fronts.items()})

    return app


async def _at_the_door(request: Request[Any, Any, Any], send: Send, names: Mapping[str, str]) -> None:
    """An address of no municipality. names: by code."""
    path = str(request.scope["path"])
    if (file := static_at_the_door(path)) is not None:
        await _send(send, file)
    elif wants_page(request):
        await _send(send, front_door(request, names))
    elif path == "/":
        await _answer(send, 200, {"service": "earlywarning", "municipalities": sorted(names)})
    else:
        problem = "there is nothing at this address; begin it with the code of a municipality, such as /0380/v1/alerts"
        await _answer(send, 404, {"problem": problem, "municipalities": sorted(names)})


async def _answer(send: Send, status: int, body: object, kind: bytes = b"application/json") -> None:
    content = body if isinstance(body, bytes) else msgspec.json.encode(body)
    policy = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
    await _send(send, Sent(status, [(b"content-type", kind), policy], content))


async def _send(send: Send, answer: Sent) -> None:
    headers = [*answer.headers, (b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})
