"""Real receivers on loopback: an HTTP server that can misbehave, and an SMTP server that keeps what it gets."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from aiosmtpd.controller import Controller

PATIENCE = 15.0


def until(true: Callable[[], object], what: str = "", seconds: float = PATIENCE) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited in vain {what}"
        time.sleep(0.01)


class Got(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers.get("webhook-id") or self.headers.get("x-earlywarning-key", "")


class HttpReceiver:
    """A server; `answer(got)` gives a status, or (status, headers, body), or "hang", "reset" or "drip"."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: Callable[[Got], Any] = lambda got: 200
        self.released = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                got = Got(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                said = receiver.answer(got)
                receiver.got.append(got)
                if said == "hang":
                    receiver.released.wait(PATIENCE * 2)
                    self.close_connection = True
                    return
                if said == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                    return
                status, headers, text = said if isinstance(said, tuple) else (said, {}, b"")
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

            def finish(self) -> None:
                with suppress(OSError, ValueError):
                    super().finish()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # resets are meant
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/in"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def all_keys(self) -> list[str]:
        return [got.key for got in list(self.got)]

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def http_receiver() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    try:
        yield receiver
    finally:
        receiver.close()


class MailReceiver:
    """An SMTP server. `refuse`: what it answers to recipients that hold a word."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.refuse: dict[str, str] = {}
        self.refuse_data = ""

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        for word, said in self.refuse.items():
            if word in address:
                return said
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse_data:
            return self.refuse_data
        self.raw.append(envelope.content)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        mail["X-Envelope-To"] = ",".join(envelope.rcpt_tos)
        self.mails.append(mail)
        return "250 taken"


@contextmanager
def mail_receiver(port: int = 0, **how: Any) -> Iterator[tuple[MailReceiver, int]]:
    """how: more of aiosmtpd's controller, such as its TLS."""
    receiver = MailReceiver()
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    controller = Controller(receiver, hostname="127.0.0.1", port=port, **how)
    controller.start()
    try:
        yield receiver, port
    finally:
        controller.stop()
