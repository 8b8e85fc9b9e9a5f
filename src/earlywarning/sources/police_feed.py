"""The Swedish police's public event feed, read: which of its items are new or changed events of one municipality.

`datetime` of an item is when it was published; the real time and place stand only in its title, "22 augusti 17.59,
Brand, Kävlinge", without the year. `location` may name the county only. The same id returns when an item is revised,
without saying so: a fingerprint of each item tells. Summaries and free text are never read on.
"""

import csv
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from hashlib import blake2b
from importlib import resources
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from earlywarning.core.calendar import hour_of

SOURCE = "polisen"
FULL = 500  # items of a whole payload
_ZONE = ZoneInfo("Europe/Stockholm")
_MONTHS = (
    "januari", "februari", "mars", "april", "maj", "juni", "juli", "augusti", "september", "oktober", "november", "december",
)  # fmt: skip
_TITLE = re.compile(r"\s*(\d{1,2})\s+([a-zåäö]+)\s+(\d{1,2})[.:](\d{2}),\s*(.*)", re.IGNORECASE)
_PUBLISHED = re.compile(r"(\d{4}-\d{2}-\d{2}) (\d{1,2}):(\d{2}):(\d{2}) ([+-]\d{2}:\d{2})")
Status = Literal["ok", "empty", "short", "stale", "not-json"]


class KnownItem(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of an item that was handed on: its fingerprint, revision, and the event as last sent."""

    fingerprint: str
    revision: int
    event: dict[str, Any]


class FeedResult(NamedTuple):
    """What one payload brought. events: fields of events, ready to be decoded; elsewhere, summaries: items passed over."""

    status: Status
    events: list[dict[str, Any]]
    known: dict[str, KnownItem]
    newest: str
    seen: int
    elsewhere: int
    summaries: int
    unreadable: list[str]


class Place(NamedTuple):
    """A municipality's code and county, by its name."""

    code: str
    county: str


@cache
def _table(name: str) -> list[dict[str, str]]:
    text = resources.files("earlywarning.data").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@cache
def municipalities() -> Mapping[str, Place]:
    """Sweden's municipalities by name in lower case."""
    return {row["name"].lower(): Place(row["code"], row["county"]) for row in _table("municipalities.csv")}


@cache
def feed_types() -> Mapping[str, str]:
    """Category of each item type; empty = not an event."""
    return {row["type"].strip(): row["category"] for row in _table("police_feed_types.csv")}


def municipality_name(code: str) -> str | None:
    """The name of a municipality, None for an unknown code."""
    return next((row["name"] for row in _table("municipalities.csv") if row["code"] == code), None)


def published_at(text: str) -> datetime:
    """When an item was published; the hour may have one digit. Raises ValueError."""
    match = _PUBLISHED.fullmatch(text.strip())
    if not match:
        raise ValueError("datetime is not of the form 2025-12-19 7:28:14 +01:00")
    day, hour, minute, second, offset = match.groups()
    return datetime.fromisoformat(f"{day}T{int(hour):02}:{minute}:{second}{offset}")


def occurred_at(title: str, published: datetime) -> datetime:
    """The real time from an item's title, in the year that lies nearest before its publication. Raises ValueError."""
    match = _TITLE.match(title)
    if not match or match.group(2).lower() not in _MONTHS:
        raise ValueError("the title does not begin with a day and time")
    day, month = int(match.group(1)), _MONTHS.index(match.group(2).lower()) + 1
    hour, minute = int(match.group(3)), int(match.group(4))
    local = published.astimezone(_ZONE)
    candidates = []
    for year in (local.year - 1, local.year, local.year + 1):
        try:
            when = datetime(year, month, day, hour % 24, minute, tzinfo=_ZONE) + timedelta(days=hour // 24)
        except ValueError:
            continue  # 29 February of another year
        if when <= local + timedelta(days=2):
            candidates.append(when)
    if not candidates:
        raise ValueError("the title names a day that does not exist")
    return max(candidates)


def place_of(title: str, location: str) -> str | None:
    """Code of the municipality an item is about: the title's last part, or the location; None when only a county."""
    last = title.rsplit(",", 1)[-1].strip().lower()
    found = municipalities().get(last) or municipalities().get(last.removesuffix(" kommun").removesuffix("s"))
    if found:
        county = location.strip()
        # A place of that name in another county is not the municipality.
        if not county.endswith(" län") or found.county == county:
            return found.code
    named = municipalities().get(location.strip().lower())
    return named.code if named else None


def parse_feed(
    payload: bytes, *, municipality: str, known: Mapping[str, KnownItem], newest: str = "", fetched_at: datetime
) -> FeedResult:
    """Read one payload: events that are new or changed since `known`, as field mappings.

    newest: the latest publication time seen before, to tell a stale payload. A changed item that is now elsewhere comes
    as a retraction. An id that is missing from the payload says nothing: payloads may be short or stale.
    """
    nothing = FeedResult("empty", [], dict(known), newest, 0, 0, 0, [])
    if not payload.strip():
        return nothing
    try:
        items = msgspec.json.decode(payload)
    except (ValueError, RecursionError):
        return nothing._replace(status="not-json")
    if not isinstance(items, list):
        return nothing._replace(status="not-json")
    events: list[dict[str, Any]] = []
    unreadable: list[str] = []
    remembered = dict(known)
    elsewhere = summaries = 0
    latest = ""
    for item in items:
        try:
            number, title, kind, location, published = _fields(item)
            latest = max(latest, published.astimezone(ZoneInfo("UTC")).isoformat())
            before = known.get(number)
            if place_of(title, location) != municipality:
                elsewhere += 1
                if before is not None and not before.event["retraction"]:
                    events.append(_retraction(number, before, remembered, fetched_at))
                continue
            category = feed_types().get(kind, feed_types().get("*", ""))
            if not category:
                summaries += 1
                continue
            event = _event(number, title, published, category, municipality, fetched_at)
        except (ValueError, TypeError, KeyError) as error:
            number = str(item.get("id", "?"))[:20] if isinstance(item, dict) else "?"
            unreadable.append(f"item {number}: {error}")
            continue
        mark = blake2b(repr((event["occurred_at"], category, published.isoformat())).encode(), digest_size=8).hexdigest()
        if before is not None and before.fingerprint == mark:
            continue
        event["revision"] = before.revision + 1 if before else 1
        if before is not None and before.event["recorded_at"] > event["recorded_at"]:
            event["recorded_at"] = before.event["recorded_at"]
        remembered[number] = KnownItem(mark, event["revision"], event)
        events.append(event)
    status: Status = "ok"
    if newest and latest < newest:
        status = "stale"
    elif len(items) < FULL * 0.9:
        status = "short"
    # The oldest first, as they were published: the feed lists the newest first.
    events.sort(key=lambda e: (e["recorded_at"], e["event_id"]))
    return FeedResult(
        status,
        events,
        _pruned(remembered, fetched_at),
        max(newest, latest),
        len(items),
        elsewhere,
        summaries,
        unreadable,
    )


def _fields(item: Any) -> tuple[str, str, str, str, datetime]:
    if not isinstance(item, dict):
        raise ValueError("it is not an object")
    number, title, kind = item["id"], item["name"], item["type"]
    location = item.get("location") or {}
    place = location.get("name", "") if isinstance(location, dict) else ""
    if isinstance(number, bool) or not isinstance(number, int | str):
        raise ValueError("its id is not a number")
    if not isinstance(title, str) or not isinstance(kind, str) or not isinstance(place, str):
        raise ValueError("its name, type or place is not a text")
    return str(number), title, kind.strip(), place, published_at(str(item["datetime"]))


def _event(number: str, title: str, published: datetime, category: str, municipality: str, fetched_at: datetime) -> dict[str, Any]:
    when = occurred_at(title, published)
    # Some items carry a time a little after their publication: what is published has happened.
    recorded = min(max(published, when), max(fetched_at, published))
    return {
        "kind": "incident",
        "event_id": number,
        "source": SOURCE,
        "occurred_at": min(when, recorded).isoformat(),
        "recorded_at": recorded.isoformat(),
        "category": category,
        "municipality": municipality,
        "area": municipality,
        "revision": 1,
        "retraction": False,
    }


def _retraction(number: str, before: KnownItem, remembered: dict[str, KnownItem], now: datetime) -> dict[str, Any]:
    event = {**before.event, "revision": before.revision + 1, "retraction": True}
    event["recorded_at"] = max(before.event["recorded_at"], now.isoformat(timespec="seconds"))
    remembered[number] = KnownItem("elsewhere", before.revision + 1, event)
    return event


def _pruned(known: Mapping[str, KnownItem], now: datetime) -> dict[str, KnownItem]:
    """Items of the last 60 days: the feed itself reaches back some ten."""
    oldest = hour_of(now) - 60 * 24
    return {number: item for number, item in known.items() if hour_of(datetime.fromisoformat(item.event["recorded_at"])) > oldest}


def to_json(known: Mapping[str, KnownItem], newest: str) -> str:
    """What is remembered, as text for the store."""
    return msgspec.json.encode([dict(known), newest]).decode()


def from_json(text: str | None) -> tuple[dict[str, KnownItem], str]:
    """What was remembered; nothing when there is no text."""
    if not text:
        return {}, ""
    return msgspec.json.decode(text, type=tuple[dict[str, KnownItem], str])
