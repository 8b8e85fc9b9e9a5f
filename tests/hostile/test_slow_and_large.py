"""Clients that are slow, many, or talk too much: the service goes on answering the others, and lets go of these."""

import gzip
import json
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from earlywarning.web import serving
from tests.web.conftest import Running, body
from tests.web.conftest import shared as service

__all__ = ["service"]  # the fixture
PATIENCE = 3 * serving.HEAD_SECONDS


def connect(service: Running) -> socket.socket:
    port = int(service.address.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def said(connection: socket.socket) -> bytes:
    """All that comes until the other side ends."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionError:
        pass  # it ended while we were still talking
    connection.close()
    return b"".join(parts)


def alive(service: Running) -> None:
    assert service.client.get("/healthz").json()["status"] == "alive"


def test_heads_and_bodies_that_drip_hold_up_nobody_and_are_ended(service: Running) -> None:
    heads = [connect(service) for _ in range(40)]
    for number, connection in enumerate(heads):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n" if number % 2 else b"")
    bodies = [connect(service) for _ in range(10)]
    for connection in bodies:
        connection.sendall(b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n[")
    assert service.send(body("drip")).json()["counts"] == {"accepted": 1}
    alive(service)
    for connection in heads:
        assert said(connection).startswith(b"HTTP/1.1 408 ")
    for connection in bodies:
        connection.close()
    alive(service)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nx: " + b"a" * (8 << 20),
        b"GET /" + b"a" * (8 << 20),
        b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: 1\r\n" % i for i in range(200_000)),
    ],
    ids=["one header", "the address", "many headers"],
)
def test_a_head_without_end_is_refused_before_it_fills_the_memory(service: Running, head: bytes) -> None:
    connection = connect(service)
    with suppress(ConnectionError):  # it may be refused while we are still talking
        connection.sendall(head)
    answer = said(connection)
    assert answer == b"" or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
    alive(service)


def test_too_many_connections_are_turned_away_and_the_service_recovers(service: Running) -> None:
    held: list[socket.socket] = []
    refused = 0
    for _ in range(serving.MOST_CONNECTIONS + 20):
        try:
            held.append(connect(service))
        except OSError:
            refused += 1
    held[-1].settimeout(PATIENCE)
    assert refused or held[-1].recv(100).startswith(b"HTTP/1.1 503 ")
    for connection in held:
        connection.close()
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with httpx.Client(base_url=service.address, timeout=PATIENCE) as client:
                if client.get("/healthz").status_code == 200:
                    break
        except httpx.HTTPError:
            pass
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    "request_",
    [
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 6\r\ntransfer-encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nabcde",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding : chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\nx: a\r\n b\r\nbad header\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=[
        "both lengths",
        "two lengths",
        "unknown coding",
        "space before colon",
        "negative",
        "huge chunk",
        "folded",
        "raw bytes",
        "tls",
    ],
)
def test_what_could_be_read_as_two_requests_is_one_refusal(service: Running, request_: bytes) -> None:
    connection = connect(service)
    connection.sendall(request_)
    answer = said(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    alive(service)


def test_a_body_larger_than_the_limit_is_refused_however_its_length_is_said(service: Running) -> None:
    large = b"[" + b" " * (1 << 20) + b"]"

    def pieces() -> Iterator[bytes]:
        for begin in range(0, len(large), 65_536):
            yield large[begin : begin + 65_536]

    headers = {"content-type": "application/json"}
    assert service.client.post("/v1/events", content=large, headers=headers).status_code == 413
    assert service.client.post("/v1/events", content=pieces(), headers=headers).status_code == 413
    alive(service)


def test_a_zipped_body_is_not_unpacked_so_a_bomb_stays_small(service: Running) -> None:
    bomb = gzip.compress(b" " * (200 << 20), 9)
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    answer = service.client.post("/v1/events", content=bomb, headers=headers)
    assert answer.status_code in (400, 415)
    assert "Traceback" not in answer.text
    alive(service)


_DEEP = "[" * 50_000
_HUGE = "9" * 100_000
_NUMBERS = ["1e999", "-1e999", "NaN", "Infinity", _HUGE, "1" + "0" * 30, "0.1e-9999"]


@pytest.mark.parametrize("number", _NUMBERS, ids=lambda n: n[:10])
@pytest.mark.parametrize("field", ["severity", "revision", "latitude", "occurred_at"])
def test_numbers_beyond_all_bounds_are_refused_with_the_event_alone(service: Running, field: str, number: str) -> None:
    bad = json.dumps(body("n", **{field: "@"})).replace('"@"', number)
    lines = f"{bad}\n{json.dumps(body(f'{field}-{number[:4]}'))}\n"
    answer = service.send(lines, "application/x-ndjson")
    outcomes = [r["outcome"] for r in answer.json()["results"]]
    assert (answer.status_code, outcomes[0]) == (207, "rejected")
    assert outcomes[1] in ("accepted", "repeated")


_DOORS = [
    ("/v1/events", "application/json"),
    ("/v1/events", "application/x-ndjson"),
    ("/v1/mutes", "application/json"),
    ("/v1/mutes/m-1/end", "application/json"),
    ("/v1/outbox/retry", "application/json"),
    ("/v1/briefing/send", "application/json"),
    ("/v1/alerts/x/answers", "application/json"),
    ("/v1/plan?actor=x", "text/plain"),
    ("/v1/plan?actor=x&file=p.csv", "text/csv"),
    ("/answer/x", "application/x-www-form-urlencoded"),
    ("/sign-in", "application/x-www-form-urlencoded"),
    ("/sign-in", "multipart/form-data; boundary=x"),
    ("/sign-in", "multipart/form-data"),
    ("/alerts/x", "multipart/form-data; boundary=" + "x" * 300),
]
_BODIES = {
    "deep list": _DEEP.encode(),
    "deep object": b'{"a":' * 50_000,
    "no utf-8": b"\xff\xfe\x00",
    "half a character": b'"\\ud800"',
    "digits": _HUGE.encode(),
    "nul": b'{"who": "\\u0000"}',
    "deep toml": b"a = " + _DEEP.encode(),
    "digits in toml": b"a = " + b"9" * 5_000,
    "one field": b"a=" * 10_000,
    "many fields": b"a=1&" * 10_000,
    "many parts": b"--x\r\n" * 5_000,
    "a revision of many digits": b"revision=" + b"9" * 5_000 + b"&choice=acknowledge",
}


@pytest.mark.parametrize(("path", "kind"), _DOORS)
@pytest.mark.parametrize("content", _BODIES.values(), ids=_BODIES)
def test_no_body_at_any_door_is_an_error_of_the_service(service: Running, path: str, kind: str, content: bytes) -> None:
    answer = service.client.post(path, content=content, headers={"content-type": kind})
    assert answer.status_code < 500, answer.text[:300]
    assert "Traceback" not in answer.text
