"""What a request's body or form says, read so that nothing a sender can write stops the service or comes back in its answer."""

import re
from typing import Any, TypeVar

import msgspec

from earlywarning.core.screening import find_personal_data

T = TypeVar("T")
_UNKNOWN = re.compile(r"unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"missing required field `(\w+)`")
_AT = re.compile(r" - at `\$\.?([^`]*)`\Z")
_MOST_DIGITS = 9


class BodyError(ValueError):
    """A body that is not what the API document says: names the field, the rule it breaks, and the problem, never a value."""

    def __init__(self, field: str, rule: str, problem: str) -> None:
        self.field, self.rule, self.problem = field, rule, problem
        super().__init__(problem)


def read_body(body: bytes, kind: type[T]) -> T:
    """A JSON body as a record. Raises BodyError."""
    try:
        if b"\\u0000" in body:  # PostgreSQL has no NUL in texts
            raise BodyError("", "characters", "the body holds a NUL character; leave it out")
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _described(str(error)) from error
    except RecursionError as error:
        raise BodyError("", "json", "the body is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyError("", "json", "the body is not JSON in UTF-8") from error


def as_kind(given: object, kind: type[T]) -> T:
    """What a body holds as a record, after the service has set fields of it. Raises BodyError."""
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise _described(str(error)) from error


def _described(message: str) -> BodyError:
    at = _AT.search(message)
    field = at.group(1) if at else ""
    if unknown := _UNKNOWN.search(message):
        name = unknown.group(1)
        shown = "(name left out: it holds personal data)" if find_personal_data(name) else name[:64]
        return BodyError(shown, "unknown-field", f"field '{shown}' is not part of it; leave it out")
    if missing := _MISSING.search(message):
        name = missing.group(1)
        return BodyError(name, "missing-field", f"field '{name}' is missing")
    text = _AT.sub("", message)
    # The decoder quotes a value here and there, behind the words that say what it wanted.
    text = re.sub(r"['\"].*", "(value left out)", text, flags=re.DOTALL)
    return BodyError(field, "value", f"{field or 'the body'}: {text[:1].lower()}{text[1:200]}")


def whole_number(text: str | None) -> int | None:
    """A whole number of a form or an address; None where there is none, or one of more digits than anything here has."""
    return int(text) if text and text.isdecimal() and len(text) <= _MOST_DIGITS else None


def as_json(error: BodyError) -> dict[str, Any]:
    """What is told of it."""
    return {"problem": error.problem, "field": error.field, "rule": error.rule}
