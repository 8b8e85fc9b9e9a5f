"""Settings in words: what is wrong with a value and what is allowed, and values as lines to show and compare."""

import re
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import msgspec

from earlywarning.core.events import KINDS, Report

_FIELD_TYPES = {f.name: f.type for f in msgspec.structs.fields(Report)}
_SAMPLE = datetime(2021, 11, 23, 17, 0)  # noqa: DTZ001  # only to try a pattern out
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@\s]*(?=@)")


def problem_words(key: str, message: str, value: Any, kind: Any) -> str:
    """One problem: the key (down to the item that is wrong), the value's problem, and what is allowed.

    message: as msgspec words it; kind: the type that the value was checked against.
    """
    what, _, where = message.partition(" - at ")
    path = where.strip("`").removeprefix("key in ").strip("`").removeprefix("$")
    words = what.replace("`", "")
    shown, inner = value, _inner(kind)
    for step in re.findall(r"\[(\d+|\.{3})\]", path):
        # An item of a list has its number in the path; a dictionary's item shows only as "...".
        if isinstance(shown, list) and step.isdigit():
            key, shown, inner = f"{key}[{step}]", shown[int(step)], _item(inner)
    got = "" if isinstance(shown, dict) else f", got {_short(shown)}"
    return f"{key}: {words[:1].lower()}{words[1:]}{got}{_allowed(inner)}"


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _inner(kind: Any) -> Any:
    info = msgspec.inspect.type_info(kind)
    return info.type if isinstance(info, msgspec.inspect.Metadata) else info


def _item(info: Any) -> Any:
    return info.item_type if isinstance(info, msgspec.inspect.ListType) else info


def _allowed(info: Any) -> str:
    """What a value of this type may be, as the end of a sentence."""
    match info:
        case msgspec.inspect.LiteralType(values=values):
            return f"; allowed: {', '.join(map(str, values))}"
        case msgspec.inspect.ListType(item_type=item):
            return f"; allowed: a list{_allowed(item).replace('; allowed:', ' of')}"
        case msgspec.inspect.DictType(key_type=msgspec.inspect.LiteralType(values=values)):
            return f"; allowed keys: {', '.join(map(str, values))}, each with a text"
        case msgspec.inspect.DictType():
            return "; allowed: texts by name"
        case msgspec.inspect.BoolType():
            return "; allowed: true, false"
        case msgspec.inspect.StrType(pattern=str(pattern)):
            return f"; allowed: text like {pattern}"
        case msgspec.inspect.StrType(min_length=low, max_length=high):
            return f"; allowed: text{f' of {low} to {high} characters' if high else ''}"
        case msgspec.inspect.IntType(ge=low, le=high):
            return f"; allowed: {low} to {high}"
        case msgspec.inspect.FloatType(ge=None, gt=low, le=high):
            return f"; allowed: above {low:g}, up to {high:g}"
        case msgspec.inspect.FloatType(ge=low, le=high):
            return f"; allowed: {low:g} to {high:g}"
        case msgspec.inspect.UnionType():
            return "; allowed: a day such as 2015-01-01"
    return ""


def field_value_problem(field: str, text: str) -> str:
    """What is wrong with a text as the value of an event field; empty when nothing is, or the field is unknown."""
    if field == "kind":
        return "" if text in KINDS else f"{_short(text)} is not a kind; allowed: {', '.join(KINDS)}"
    if field not in _FIELD_TYPES:
        return ""
    try:
        msgspec.convert(text, _FIELD_TYPES[field], strict=False)
    except msgspec.ValidationError as error:
        values = getattr(_without_none(_FIELD_TYPES[field]), "values", ())
        allowed = f"; allowed: {', '.join(map(str, values))}" if values else ""
        return f"{str(error).replace('`', '')}, got {_short(text)}{allowed}"
    return ""


def _without_none(kind: Any) -> Any:
    info = _inner(kind)
    if isinstance(info, msgspec.inspect.UnionType):
        return next(t for t in info.types if not isinstance(t, msgspec.inspect.NoneType))
    return info


def time_pattern_problem(pattern: str) -> str:
    """Why times cannot be read by this strptime pattern; empty when they can. An empty pattern means ISO 8601."""
    if not pattern:
        return ""
    try:
        read = datetime.strptime(_SAMPLE.strftime(pattern), pattern)  # noqa: DTZ007  # only to try the pattern out
    except ValueError as error:
        return f"{error}; write it as in %Y-%m-%d %H:%M, or leave it empty for ISO 8601"
    if read.date() != _SAMPLE.date():
        return f"{_short(pattern)} does not hold year, month and day; write it as in %Y-%m-%d %H:%M"
    return ""


def encoding_problem(name: str) -> str:
    """Why a file cannot be read with this encoding; empty when it can."""
    try:
        "".encode(name)
    except (LookupError, ValueError):
        return f"{_short(name)} is not a known encoding; allowed: such as utf-8, cp1252 or iso-8859-1"
    return ""


def address_problem(url: str) -> str:
    """Why this is no web address; empty when it is one."""
    try:
        parts = urlsplit(url)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        fine = False
    return "" if fine else f"{_short(url)} is not a web address; allowed: https://..."


def flatten(tree: dict[str, Any]) -> dict[str, str]:
    """Every leaf by its dotted path, as JSON."""
    out: dict[str, str] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, item in value.items():
                walk(f"{prefix}.{key}" if prefix else key, item)
        else:
            out[prefix] = msgspec.json.encode(value).decode()

    walk("", tree)
    return out


def without_password(text: str) -> str:
    """The text with the password of a URL starred out."""
    return _PASSWORD.sub(r"\1:***", text)
