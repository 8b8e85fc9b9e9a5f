"""The HTTP server, with an end to everything that a client can draw out: heads, bodies, connections.

uvicorn waits for ever for the head of a request, lets it grow without bound, and takes as many connections as there are files. A
proxy in front may bound all that; the service does not count on one.
"""

import asyncio
from typing import Any

import uvicorn
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.types import ASGIApp, Receive, Scope, Send

from earlywarning.web.http_protocol import HttpProtocol

HEAD_SECONDS = 10.0  # from the first moment of a connection, or of its next request, until the head is there
BODY_SECONDS = 120.0  # for a whole body: 16 MB need 1.1 Mbit/s
LARGEST_HEAD = 64 << 10  # bytes of request line and headers
MOST_CONNECTIONS = 768  # below the 1,024 files that a process usually may have open
_STATUS = {408: b"Request Timeout", 431: b"Request Header Fields Too Large", 503: b"Service Unavailable"}


class Bounded(HttpProtocol):
    """One connection. Who has not said what he wants in time, or says it at too great length, is told so and left."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head = 0  # bytes of the head that is being read
        self._reading_head = True
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._end(503)
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._reading_head:
            self._head += len(data)
            if self._patience is None:
                self._wait()
        super().data_received(data)
        if self._reading_head and self._head > LARGEST_HEAD and not self.transport.is_closing():
            self._end(431)

    def on_headers_complete(self) -> None:
        self._reading_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._reading_head, self._head = True, 0

    def _wait(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS, self._end, 408)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _end(self, status: int) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            line = b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % (status, _STATUS[status])
            self.transport.write(line)
            self.transport.close()


def bounded(app: ASGIApp) -> ASGIApp:
    """The application, with what no part of it can read kept out, and an end to slow bodies."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        if not scope["query_string"].isascii() or b"%00" in scope["query_string"] or "\0" in scope["path"]:
            await _refuse(send, 400, b'{"problem":"the address holds bytes that no address may hold"}')
            return
        end = asyncio.get_running_loop().time() + BODY_SECONDS
        whole = False

        async def in_time() -> Any:
            nonlocal whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(end):
                    message = await receive()
            except TimeoutError as error:
                raise HTTPException("the body took too long to arrive; nothing of it was taken", status_code=408) from error
            whole = message["type"] != "http.request" or not message.get("more_body", False)
            return message

        await app(scope, in_time, send)

    return wrapped


async def _refuse(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"connection", b"close"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def server_of(app: ASGIApp) -> uvicorn.Server:
    """The server of an application; `run(sockets=[...])` answers on a socket until the process is told to end."""
    config = uvicorn.Config(
        bounded(app), http=Bounded, ws="none", log_level="warning", log_config=None, lifespan="off", timeout_graceful_shutdown=10,
        server_header=False,
    )  # fmt: skip
    return uvicorn.Server(config)
