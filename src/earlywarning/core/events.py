"""Incident and Report: the fields an event may have, and how a batch of JSON becomes events and rejections.

An event tells that something happened at a place of a category: never who. There is no free text field, and a field
that is not listed here is refused by name. `schema` publishes the same as JSON Schema (2020-12), versioned.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from earlywarning.core.screening import PersonalRule, find_personal_data

SCHEMA_VERSION = 1
KINDS = ("incident", "report")
ORIGINS = ("reported", "discovered", "tasked")
LONGEST_EVENT = 16_384  # bytes of one event's JSON; a complete event needs some 500

Code = Annotated[str, Meta(min_length=1, max_length=64)]
Instant = Annotated[datetime, Meta(tz=True)]
Premises = Literal["outside", "commercial", "educational", "transit", "public", "dwelling", "other"]


class Kind(IntEnum):
    """What a series counts: events of one kind of source are never added to those of the other."""

    INCIDENT = 0
    REPORT = 1


class Origin(IntEnum):
    """How an event came to be known: someone reported it, a patrol found it, or it was looked for by task."""

    REPORTED = 0
    DISCOVERED = 1
    TASKED = 2


class Event(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", gc=False):
    """What incidents and reports have in common. Times need an offset; they are kept to the hour."""

    event_id: Annotated[str, Meta(min_length=1, max_length=128, description="The supplier's own id of the event.")]
    source: Annotated[str, Meta(min_length=1, max_length=64, description="Who sends it, as agreed with the service.")]
    recorded_at: Annotated[datetime, Meta(tz=True, description="When the supplier recorded it (this revision of it).")]
    category: Annotated[str, Meta(min_length=1, max_length=64, description="A code of the category tree.")]
    municipality: Annotated[str, Meta(min_length=2, max_length=12, description="Municipality code, such as 0380.")]
    occurred_at: Annotated[Instant | None, Meta(description="When it happened; or give occurred_from and _to.")] = None
    occurred_from: Annotated[Instant | None, Meta(description="It happened at this time or later ...")] = None
    occurred_to: Annotated[Instant | None, Meta(description="... and at this time or earlier.")] = None
    area: Annotated[Code | None, Meta(description="A code of the area register; or give coordinates.")] = None
    latitude: Annotated[
        Annotated[float, Meta(ge=-90, le=90)] | None,
        Meta(description="WGS 84. Finds the area and is then forgotten."),
    ] = None
    longitude: Annotated[Annotated[float, Meta(ge=-180, le=180)] | None, Meta(description="WGS 84.")] = None
    sweref_north: Annotated[
        Annotated[float, Meta(ge=6_000_000, le=7_800_000)] | None,
        Meta(description="SWEREF 99 TM, metres. Finds the area and is then forgotten."),
    ] = None
    sweref_east: Annotated[Annotated[float, Meta(ge=200_000, le=1_000_000)] | None, Meta(description="SWEREF 99 TM, metres.")] = (
        None
    )
    origin: Annotated[
        Literal["reported", "discovered", "tasked"] | None,
        Meta(description="How it came to be known; the category's own default when left out."),
    ] = None
    premises: Annotated[Premises | None, Meta(description="The kind of place. Events inside a dwelling are refused.")] = None
    severity: Annotated[Annotated[int, Meta(ge=1, le=5)] | None, Meta(description="1 (slight) to 5 (grave).")] = None
    revision: Annotated[int, Meta(ge=1, le=2_000_000_000, description="Raised with each correction; the highest one counts.")] = 1
    retraction: Annotated[
        bool, Meta(description="true: the event did not happen or was wrong; give a higher revision with it.")
    ] = False


class Incident(Event, frozen=True, kw_only=True, tag="incident", gc=False):
    """Something that the police, wardens or the rescue service recorded."""


class Report(Event, frozen=True, kw_only=True, tag="report", gc=False):
    """Something that a resident, school, housing company or municipal employee told."""

    concern: Annotated[Annotated[int, Meta(ge=1, le=5)] | None, Meta(description="How worried the reporter is, 1 to 5.")] = None


AnyEvent = Incident | Report
FIELDS: tuple[str, ...] = ("kind", *(f.name for f in msgspec.structs.fields(Report)))
POSITION_FIELDS = ("latitude", "longitude", "sweref_north", "sweref_east")


# Why an event is refused. Each has its words in both languages in locale/refused_*.toml.
Rule = Literal[
    PersonalRule,
    "size", "json", "encoding", "csv", "columns", "unknown-field", "missing-field", "kind", "value", "characters",
    "municipality", "unknown-municipality", "token-source", "inside-dwelling",
    "time-twice", "half-interval", "impossible-interval", "long-interval", "future", "recorded-before", "too-old",
    "unknown-area", "place-twice", "half-position", "outside", "unknown-category", "revision-conflict", "internal-error",
]  # fmt: skip


class Rejection(msgspec.Struct, frozen=True):
    """Why one event was refused: the field, the rule, the problem in words, and what may be kept of the event.

    `payload` is what a later replay needs, as a mapping of field to value, without the values that must not be kept
    (personal data, coordinates, unknown fields); it is None when nothing can be kept.
    """

    index: int
    field: str
    rule: Rule
    problem: str
    event_id: str | None = None
    source: str | None = None
    kind: str | None = None
    payload: dict[str, Any] | None = None


class Decoded(NamedTuple):
    """events[i] stood at positions[i] of the batch; the rest of the batch is in `rejections`."""

    events: list[AnyEvent]
    positions: list[int]
    rejections: list[Rejection]


_decoder = msgspec.json.Decoder(AnyEvent)
_list_decoder = msgspec.json.Decoder(list[AnyEvent])
_raw_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])


def decode_lines(data: bytes) -> Decoded:
    """Decode JSON Lines, one event a line; empty lines are passed over and positions count lines from 0.

    The whole chunk is decoded at once; only a chunk with a bad line is gone through line by line, so that one bad
    event never drops its neighbours.
    """
    lines = data.split(b"\n")
    if max(map(len, lines)) > LONGEST_EVENT:
        return decode_each(lines)
    try:
        events = _decoder.decode_lines(data)
    except (ValueError, RecursionError):
        return decode_each(lines)
    if len(events) == data.count(b"\n") + (not data.endswith(b"\n") and bool(data)):
        return Decoded(events, list(range(len(events))), [])
    return decode_each(lines)


def decode_array(data: bytes) -> Decoded:
    """Decode one JSON event or an array of them; positions are those of the array.

    Raises msgspec.DecodeError when the body as a whole is not JSON.
    """
    first = data.lstrip()[:1]
    if first == b"{":
        return decode_each([data])
    if first != b"[":
        raise msgspec.DecodeError("neither an object nor an array")
    try:
        events = _list_decoder.decode(data)
    except (msgspec.ValidationError, RecursionError):
        return decode_each([bytes(raw) for raw in _raw_list_decoder.decode(data)])
    return Decoded(events, list(range(len(events))), [])


def decode_each(items: Sequence[bytes]) -> Decoded:
    """Decode items one by one; blank items are passed over."""
    events: list[AnyEvent] = []
    positions: list[int] = []
    rejections: list[Rejection] = []
    for index, item in enumerate(items):
        if not item.strip():
            continue
        if len(item) > LONGEST_EVENT:
            problem = f"the event is {len(item)} bytes long; at most {LONGEST_EVENT} are taken"
            rejections.append(Rejection(index, "", "size", problem))
            continue
        try:
            events.append(_decoder.decode(item))
            positions.append(index)
        except msgspec.ValidationError as error:
            rejections.append(_rejection(index, _loose(item), str(error)))
        except (ValueError, RecursionError) as error:
            # Nothing of an undecodable text is kept: what stands in it cannot be told from free text.
            problem = f"not JSON in UTF-8: {_without_values(str(error))} ({len(item)} bytes)"
            rejections.append(Rejection(index, "", "json", problem))
    return Decoded(events, positions, rejections)


def decode_mappings(items: Sequence[Mapping[str, Any]]) -> Decoded:
    """Decode events given as mappings of field to text or value, as from a CSV row; texts are turned into numbers."""
    events: list[AnyEvent] = []
    positions: list[int] = []
    rejections: list[Rejection] = []
    for index, item in enumerate(items):
        try:
            events.append(msgspec.convert(item, AnyEvent, strict=False))
            positions.append(index)
        except msgspec.ValidationError as error:
            rejections.append(_rejection(index, dict(item), str(error)))
        except UnicodeError:
            problem = "the event holds half a character (a lone surrogate); mend the encoding"
            rejections.append(Rejection(index, "", "encoding", problem))
    return Decoded(events, positions, rejections)


def keepable(item: Mapping[str, Any]) -> dict[str, Any]:
    """What may be kept of a refused event: known fields only, no coordinates, no value with personal data."""
    kept: dict[str, Any] = {}
    for field in FIELDS:
        value = item.get(field)
        if value is None or field in POSITION_FIELDS:
            continue
        if isinstance(value, str):
            if len(value) > 128 or find_personal_data(value):
                continue
        elif not isinstance(value, bool | int | float) or find_personal_data(str(value)):
            continue
        kept[field] = value
    return kept


def _loose(item: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(item)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


_UNKNOWN = re.compile(r"unknown field `(.*)`", re.DOTALL)
_MISSING = re.compile(r"missing required field `(\w+)`")
_AT = re.compile(r" - at `\$\.?([^`]*)`\Z")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)


def _without_values(text: str) -> str:
    """An error's words without any quoted value, which might hold what must not be logged."""
    return _QUOTED.sub("(value left out)", text)[:300]


def _rejection(index: int, item: dict[str, Any], message: str) -> Rejection:
    """One rejection from msgspec's message, naming field and rule."""
    at = _AT.search(message)
    field = at.group(1) if at else ""
    text = _without_values(_AT.sub("", message))
    rule: Rule
    if unknown := _UNKNOWN.search(message):
        name = unknown.group(1)
        shown = "(name left out: it holds personal data)" if find_personal_data(name) else name[:64]
        field, rule = shown, "unknown-field"
        problem = f"field '{shown}' is not part of an event; leave it out"
    elif missing := _MISSING.search(message):
        field, rule = missing.group(1), "missing-field"
        problem = f"field '{field}' is missing"
    elif field == "kind":
        rule, problem = "kind", "kind must be 'incident' or 'report'"
    else:
        rule, problem = "value", f"{field or 'the event'}: {text[:1].lower()}{text[1:]}"
    return rejection(index, item, field, rule, problem)


def rejection(index: int, item: Mapping[str, Any], field: str, rule: Rule, problem: str) -> Rejection:
    """A rejection of an event given as a mapping, with what may be kept of it."""
    kept = keepable(item)

    def text(name: str) -> str | None:
        value = kept.get(name)
        return value if isinstance(value, str) else None

    return Rejection(index, field, rule, problem, text("event_id"), text("source"), text("kind"), kept)


def schema(kind: str) -> dict[str, Any]:
    """The published JSON Schema (2020-12) of an incident or a report.

    Raises KeyError for another kind.
    """
    struct = {"incident": Incident, "report": Report}[kind]
    _, components = msgspec.json.schema_components([struct], ref_template="#/$defs/{name}")
    body = dict(components[struct.__name__])
    body["anyOf"] = [{"required": ["occurred_at"]}, {"required": ["occurred_from", "occurred_to"]}]
    body["oneOf"] = [
        {"required": ["area"]},
        {"required": ["latitude", "longitude"]},
        {"required": ["sweref_north", "sweref_east"]},
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:earlywarning:{kind}:{SCHEMA_VERSION}",
        **body,
    }
