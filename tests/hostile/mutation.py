"""Inputs that almost fit: a mutator that knows how JSON, tables, TOML and packed records are built, for the fuzzed parsers.

A seed is taken apart as its form says, one or a few of its parts are exchanged for values that parsers stumble over, and it is put
together again. Every other time, or where it cannot be taken apart, its bytes are changed.
"""

import gzip
import json
import random
import re
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import msgspec

Form = Literal["json", "lines", "text", "gzip", "packed", "bytes"]
LONGEST = 8_192

# What has broken parsers elsewhere: edges of number types, characters that are not what they seem, other languages' syntax.
WORDS: tuple[str, ...] = (
    "", " ", "0", "-0", "1", "-1", "1e999", "-1e999", "1e-999", "NaN", "nan", "Infinity", "-inf", "2147483648", "-2147483649",
    "9223372036854775808", "18446744073709551616", "1" * 400, "9" * 4301, "0x10", "1_000", "1,5", "\u0663", "\u00bd",
    "\u2460", "\u2212" + "5", "true", "false", "null", "None", "[]", "{}", "\x00", "\u202e", "\ufeff", "\u0301" * 40,
    "e\u0301", "\u0410\u0430", "\U0001f469\u200d\U0001f467", "\ud800", "\udfff", "=cmd|' /C calc'!A0", "+1+1", "@SUM(1)",
    "' OR 1=1 --", "'; DROP TABLE alerts; --", "<script>alert(1)</script>", "\r\nSet-Cookie: a=b", "%00", "%ff",
    "../../etc/passwd", "..\\..\\x", "/dev/null", "{{7*7}}", "${jndi:ldap://x}", "%s%n", "$(id)", "2024-02-30T00:00:00Z",
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31", "0001-01-01", "2024-03-31T02:30:00",
    "2024-10-27T02:30:00", "24.00", "29 februari 24.00, Brand, Uppsala", "A" * 65, "A" * 129, "a" * 2_001, "level:-1",
    "level:99", "incident", "report", "0999", "A0", "C0", "\u2028", "\x85", "\t", '"', "'", ";", ",", "\\", "\\u0000",
    "\\ud800",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 5, 6, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 2**64, 10**30, 10**400, 0.5, 1e308, 5e-324,
    float("nan"), float("inf"), float("-inf"), "", [], {}, [[]], [None], {"": None}, [[[[[[[[]]]]]]]], {"code": "A0"},
    "2024-03-01T12:00:00+01:00",
)  # fmt: skip
_PIECE = re.compile(r"([\s,;:=&?/%\"'\[\]{}|.#-])")


def mutated(data: bytes, form: Form, rng: random.Random) -> bytes:
    """One to four changes of `data`, at most LONGEST bytes of it."""
    for _ in range(1 + (rng.random() < 0.5) + rng.randrange(3) // 2):
        structured = rng.random() < 0.7 and (changed := _CHANGES[form](data, rng)) is not None
        data = changed if structured else _bytes(data, rng)
    return data[:LONGEST]


def _text_of(value: Any, rng: random.Random) -> bytes:
    text = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def _json(data: bytes, rng: random.Random) -> bytes | None:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    with suppress(ValueError, RecursionError):
        return _text_of(_node(value, rng), rng)
    return None


def _lines(data: bytes, rng: random.Random) -> bytes | None:
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    how = rng.random()
    if how < 0.2:
        lines.insert(at, rng.choice(lines))
    elif how < 0.3:
        del lines[at]
    else:
        lines[at] = _json(lines[at], rng) or _bytes(lines[at], rng)
    return b"\n".join(lines)


def _text(data: bytes, rng: random.Random) -> bytes | None:
    text = data.decode("utf-8", "replace")
    if rng.random() < 0.25:
        lines = text.split("\n")
        one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        how = rng.randrange(3)
        if how == 0:
            lines.insert(one, lines[other])
        elif how == 1:
            del lines[one]
        else:
            lines[one], lines[other] = lines[other], lines[one]
        return "\n".join(lines).encode("utf-8", "surrogatepass")
    pieces = _PIECE.split(text)
    pieces[rng.randrange(len(pieces))] = rng.choice(WORDS) if rng.random() < 0.8 else rng.choice(pieces)
    return "".join(pieces).encode("utf-8", "surrogatepass")


def _gzip(data: bytes, rng: random.Random) -> bytes | None:
    try:
        inner = gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        return None
    return gzip.compress(_lines(inner[: 4 * LONGEST], rng) or inner, 1, mtime=0)


def _packed(data: bytes, rng: random.Random) -> bytes | None:
    try:
        value = msgspec.msgpack.decode(zlib.decompress(data))
        return zlib.compress(msgspec.msgpack.encode(_node(value, rng)), 1)
    except (zlib.error, msgspec.DecodeError, ValueError, OverflowError, TypeError, RecursionError):
        return None


def _node(value: Any, rng: random.Random) -> Any:
    """The value with one of its nodes exchanged, doubled, left out or renamed."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        how = rng.random()
        if how < 0.12:
            return {k: v for k, v in value.items() if k != key}
        if how < 0.22:
            return {(rng.choice(WORDS) if k == key else k): v for k, v in value.items()}
        if how < 0.3:
            return {**value, rng.choice(WORDS): rng.choice(_VALUES)}
        if how < 0.4:
            return {**value, key: value[rng.choice(list(value))]}
        return {**value, key: _node(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        how = rng.random()
        if how < 0.12:
            return value[:at] + value[at + 1 :]
        if how < 0.25:
            return [*value, value[at]]
        if how < 0.3:
            return value[::-1]
        return [*value[:at], _node(value[at], rng), *value[at + 1 :]]
    if isinstance(value, bytes):
        return _bytes(value, rng)
    if isinstance(value, str) and value and rng.random() < 0.3:
        at = rng.randrange(len(value) + 1)
        return value[:at] + rng.choice(WORDS) + value[at:]
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.4:
        with suppress(OverflowError):
            return value + rng.choice((-1, 1, 0.5, 90, -360, 1e6))
    return rng.choice(WORDS) if rng.random() < 0.6 else rng.choice(_VALUES)


def _bytes(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    end = min(len(data), at + 1 + int(rng.expovariate(0.2)))
    how = rng.randrange(6)
    if how == 0:
        return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
    if how == 1:
        return data[:at] + data[end:]
    if how == 2:
        return data[:at] + data[at:end] * rng.choice((2, 2, 40)) + data[end:]
    if how == 3:
        return data[:at] + rng.choice(WORDS).encode("utf-8", "surrogatepass") + data[at:]
    if how == 4:
        return data[:at]
    return (
        data[:at]
        + rng.choice((b"[", b"{", b"(", b'"', b"\n", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"[[[[[[", b"\x1f\x8b"))
        + data[end:]
    )


_CHANGES: dict[Form, Callable[[bytes, random.Random], bytes | None]] = {
    "json": _json, "lines": _lines, "text": _text, "gzip": _gzip, "packed": _packed, "bytes": _bytes,
}  # fmt: skip
