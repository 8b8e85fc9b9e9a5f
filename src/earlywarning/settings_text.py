"""Settings in words: what is wrong with a value and what is allowed, and values as lines to show and compare."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Protocol, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from earlywarning.core.events import FIELDS, KINDS, Report

_FIELD_TYPES = {f.name: f.type for f in msgspec.structs.fields(Report)}
_SAMPLE = datetime(2021, 11, 23, 17, 0)  # noqa: DTZ001  # only to try a pattern out
LONGEST_BREAK = 100  # days of a school break, at most
_PASSWORD = re.compile(r"(?<=://)([^:/@\s]*):[^@\s]*(?=@)")


class _Mapping(Protocol):
    """What a mapping in the settings says (see settings.Mapping)."""

    @property
    def columns(self) -> dict[str, str]: ...
    @property
    def constants(self) -> dict[str, str]: ...
    @property
    def values(self) -> dict[str, dict[str, str]]: ...
    @property
    def timestamp_format(self) -> str: ...
    @property
    def encoding(self) -> str: ...


def value_problems(key: str, value: Any, kind: Any) -> list[str]:
    """Everything in a value that its type does not allow, each with its key (down to the item) and what is allowed."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        inner: list[str] = []
        if get_origin(bare) is dict and isinstance(value, dict):
            names, values = get_args(bare)
            for name, item in value.items():
                unknown = value_problems(f"{key}.{name}", name, names)
                inner += unknown or value_problems(f"{key}.{name}", item, values)
        elif get_origin(bare) is list and isinstance(value, list):
            for i, item in enumerate(value):
                inner += value_problems(f"{key}[{i}]", item, get_args(bare)[0])
        return inner or [f"{key}: {_short(value)} is not allowed; allowed: {allowed_words(kind)}"]
    return []


def _short(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def allowed_words(kind: Any) -> str:
    """What a value of this type may be, in words."""
    info = msgspec.inspect.type_info(kind)
    if isinstance(info, msgspec.inspect.Metadata):
        return str((info.extra_json_schema or {}).get("description") or _allowed_by(info.type))
    return _allowed_by(info)


def _allowed_by(info: msgspec.inspect.Type) -> str:
    match info:
        case msgspec.inspect.LiteralType(values=values):
            return ", ".join(map(str, values))
        case msgspec.inspect.ListType(item_type=item, min_length=low):
            return f"a list of {_allowed_by(item)}{', not empty' if low else ''}"
        case msgspec.inspect.DictType(value_type=item, min_length=low):
            return f"names, each with {_allowed_by(item)}{', not empty' if low else ''}"
        case msgspec.inspect.BoolType():
            return "true, false"
        case msgspec.inspect.StrType(min_length=low, max_length=high):
            return f"text{f' of {low or 0} to {high} characters' if high else ', not empty' if low else ''}"
        case msgspec.inspect.IntType(ge=low, le=high):
            return f"whole numbers from {low} to {high}" if low is not None and high is not None else "whole numbers"
        case msgspec.inspect.FloatType(ge=low, gt=above, le=high):
            return f"numbers {f'above {above:g}' if low is None else f'from {low:g}'} to {high:g}"
        case msgspec.inspect.DateType():
            return "a day such as 2015-01-01"
        case msgspec.inspect.DateTimeType():
            return "a time with an offset such as 2015-01-01T17:00+01:00"
        case msgspec.inspect.UnionType(types=types):
            return " or ".join(_allowed_by(t) for t in types if not isinstance(t, msgspec.inspect.NoneType))
        case msgspec.inspect.Metadata(type=inner):
            return _allowed_by(inner)
    return type(info).__name__.removesuffix("Type").lower()


def mapping_problems(mapping: _Mapping) -> list[str]:
    """What a mapping says that cannot become events, each with its key within the mapping."""
    problems = []
    for part in ("columns", "constants", "values"):
        for field in getattr(mapping, part):
            if field not in FIELDS:
                problems.append(f"{part}.{field}: is no event field; allowed: {', '.join(FIELDS)}")
    for field, constant in mapping.constants.items():
        if field in mapping.columns:
            problems.append(f"constants.{field}: is also in columns; keep one of the two")
        elif field == "event_id":
            problems.append("constants.event_id: all rows would be one event; name a column, or leave it out")
        elif problem := _field_value_problem(field, constant):
            problems.append(f"constants.{field}: {problem}")
    for field, translated in mapping.values.items():
        if field in FIELDS and field not in mapping.columns:
            problems.append(f"values.{field}: there is no columns.{field} whose values these could be; add it there")
        for raw, meant in translated.items():
            if meant and (problem := _field_value_problem(field, meant)):
                problems.append(f"values.{field}.{raw}: {problem}")
    if problem := _time_pattern_problem(mapping.timestamp_format):
        problems.append(f"timestamp_format: {problem}")
    if problem := _encoding_problem(mapping.encoding):
        problems.append(f"encoding: {problem}")
    return problems


def _field_value_problem(field: str, text: str) -> str:
    """What is wrong with a text as the value of an event field; empty when nothing is, or the field is unknown."""
    if field == "kind":
        return "" if text in KINDS else f"{_short(text)} is not allowed; allowed: {', '.join(KINDS)}"
    if field not in _FIELD_TYPES:
        return ""
    try:
        msgspec.convert(text, _FIELD_TYPES[field], strict=False)
    except msgspec.ValidationError:
        allowed = _allowed_by(msgspec.inspect.type_info(_FIELD_TYPES[field]))
        return f"{_short(text)} is not allowed; allowed: {allowed}"
    return ""


def _time_pattern_problem(pattern: str) -> str:
    """Why times cannot be read by this strptime pattern; empty when they can. An empty pattern means ISO 8601."""
    if not pattern:
        return ""
    try:
        read = datetime.strptime(_SAMPLE.strftime(pattern), pattern)  # noqa: DTZ007  # only to try the pattern out
    except ValueError as error:
        return f"{error}; write it as in %Y-%m-%d %H:%M, or leave it empty for ISO 8601"
    except re.error:  # strptime makes a regular expression of it, with a group for each part
        return f"{_short(pattern)} holds a part twice; write it as in %Y-%m-%d %H:%M, or leave it empty for ISO 8601"
    if read.date() != _SAMPLE.date():
        return f"{_short(pattern)} does not hold year, month and day; write it as in %Y-%m-%d %H:%M"
    return ""


def _encoding_problem(name: str) -> str:
    """Why a file cannot be read with this encoding; empty when it can."""
    try:
        "".encode(name)
    except (LookupError, ValueError):
        return f"{_short(name)} is not a known encoding; allowed: such as utf-8, cp1252 or iso-8859-1"
    return ""


def days_of(text: str) -> tuple[date, date]:
    """First and last day of a span such as 2025-02-17..2025-02-21. Raises ValueError saying what it must be."""
    try:
        first, last = (date.fromisoformat(part) for part in text.split(".."))
    except ValueError:
        raise ValueError(f"{_short(text)} is not a span of days; allowed: such as 2025-02-17..2025-02-21") from None
    if not 0 <= (last - first).days < LONGEST_BREAK:
        raise ValueError(f"{_short(text)} ends before it begins or lasts too long; allowed: 1 to {LONGEST_BREAK} days")
    return first, last


def day_of_year(text: str) -> date | tuple[int, int]:
    """A day such as 2025-05-17, or the month and day of one that comes every year, such as 04-30. Raises ValueError."""
    try:
        if len(text) != 5:
            return date.fromisoformat(text)
        yearly = date.fromisoformat(f"2024-{text}")  # a leap year: 29 February is a day
    except ValueError:
        raise ValueError(f"{_short(text)} is not a day; allowed: such as 2025-05-17, or every year 04-30") from None
    return yearly.month, yearly.day


def calendar_problems(own_breaks: dict[str, list[str]], events: dict[str, list[str]]) -> list[str]:
    """What days of a calendar cannot be, each with its key within it. events: the days of each."""
    problems = []
    for name, spans in own_breaks.items():
        for i, span in enumerate(spans):
            try:
                days_of(span)
            except ValueError as error:
                problems.append(f"own_breaks.{name}[{i}]: {error}")
    for name, days in events.items():
        for i, day in enumerate(days):
            try:
                day_of_year(day)
            except ValueError as error:
                problems.append(f"events.{name}.on[{i}]: {error}")
    return problems


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
