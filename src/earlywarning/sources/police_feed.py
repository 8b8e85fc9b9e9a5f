"""The Swedish police's public event feed, read: which of its items are new or changed events of one municipality.

`datetime` of an item is when it was published; the real time and place stand only in its title, "22 augusti 17.59,
Brand, Kävlinge", without the year. `location` may name the county only. The same id returns when an item is revised,
without saying so: a fingerprint of each item tells. Summaries and free text are never read on.
"""

import csv
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
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
_AHEAD = timedelta(minutes=10)  # a time so little after the publication is taken as it stands, as by the service's door
_DAY = timedelta(days=1)
_HALF_A_YEAR = timedelta(days=184)
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


@cache
def _places() -> Mapping[str, Place]:
    return {_spelling(row["name"]): Place(row["code"], row["county"]) for row in _table("municipalities.csv")}


def _spelling(name: str) -> str:
    """A place name without what its writers vary: case, hyphens, spaces, a full stop, composed or combining letters."""
    return " ".join(unicodedata.normalize("NFKC", name).lower().replace("-", " ").strip(" .").split())


def _municipality(name: str) -> Place | None:
    """The municipality of that name, also as "Göteborgs stad", "Hofors kommun" or "Region Gotland"."""
    spelt = _spelling(name)
    short = spelt.removesuffix(" kommun").removesuffix(" stad").removeprefix("region ")
    return _places().get(spelt) or _places().get(short) or _places().get(short.removesuffix("s"))


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
    """The time that an item's title says, in the year that brings it nearest to its publication. Raises ValueError."""
    match = _TITLE.match(title)
    if not match or match.group(2).lower() not in _MONTHS:
        raise ValueError("the title does not begin with a day and time")
    day, month = int(match.group(1)), _MONTHS.index(match.group(2).lower()) + 1
    hour, minute = int(match.group(3)), int(match.group(4))
    if (hour, minute) > (24, 0) or minute > 59:
        raise ValueError("the title names a time of day that does not exist")
    local = published.astimezone(_ZONE)
    candidates = []
    for year in (local.year - 1, local.year, local.year + 1):
        try:
            candidates.append(datetime(year, month, day, hour % 24, minute, tzinfo=_ZONE) + _DAY * (hour // 24))
        except ValueError:
            continue  # 29 February of another year
    nearest = min(candidates, key=lambda when: abs(when - published), default=None)
    if nearest is None or abs(nearest - published) > _HALF_A_YEAR:
        raise ValueError("the title names a day that does not exist")
    return nearest


def happened_at(said: datetime, published: datetime) -> datetime:
    """When it happened: what the title says, mended where that lies after the publication. Raises ValueError.

    Some 3 in 1,000 titles name a time that had not yet come. Most were written in the early hours about the evening
    before, with the new day's date; where the police mended such a title, they set it back by a day. Others are
    slips of the hour: what is published has happened. The answer depends on the item alone, never on when it is read.
    """
    ahead = said - published
    if ahead <= _AHEAD:
        return said
    if ahead > _DAY:
        raise ValueError("the title names a time more than a day after its publication")
    local = published.astimezone(_ZONE)
    if local.hour < 12 and said.hour >= 17:
        return said - _DAY
    return local


def place_of(title: str, location: str) -> str | None:
    """Code of the municipality an item is about: the title's last part, or the location; None when only a county."""
    found = _municipality(title.rsplit(",", 1)[-1])
    if found:
        county = " ".join(location.split())
        # A place of that name in another county is not the municipality.
        if not county.endswith(" län") or found.county == county:
            return found.code
    named = _municipality(location)
    return named.code if named else None


def parse_feed(
    payload: bytes, *, municipality: str, known: Mapping[str, KnownItem], newest: str = "", fetched_at: datetime
) -> FeedResult:
    """Read one payload: events that are new or changed since `known`, as field mappings.

    newest: the latest publication time seen before, to tell a stale payload: it brings nothing, as it holds old versions
    of its items. A changed item that is now elsewhere comes as a retraction. An id that is missing from the payload
    says nothing: payloads may be short or stale.
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
    present: set[str] = set()
    latest = ""
    for item in items:
        try:
            number, title, kind, location, published = _fields(item, fetched_at)
            # A clock that runs ahead must not make all later payloads look stale.
            latest = max(latest, min(published, fetched_at).astimezone(UTC).isoformat())
            present.add(number)
            before = remembered.get(number)  # an id may stand twice in one payload
            if place_of(title, location) != municipality:
                elsewhere += 1
                if before is not None and not before.event["retraction"]:
                    events.append(_retraction(number, before, remembered, fetched_at))
                continue
            category = feed_types().get(kind, feed_types().get("*", ""))
            if not category:
                summaries += 1
                continue
            when = happened_at(occurred_at(title, published), published)
        except (ValueError, OverflowError) as error:
            unreadable.append(f"item {_shown(item)}: {error}")
            continue
        event = _event(number, when, published, category, municipality, fetched_at)
        mark = blake2b(repr((when.isoformat(), category, published.isoformat())).encode(), digest_size=8).hexdigest()
        if before is not None and before.fingerprint == mark:
            continue
        event["revision"] = before.revision + 1 if before else 1
        if before is not None:
            event["recorded_at"] = _later(before.event["recorded_at"], event["recorded_at"])
        remembered[number] = KnownItem(mark, event["revision"], event)
        events.append(event)
    if newest and latest < newest:
        return FeedResult("stale", [], dict(known), newest, len(items), elsewhere, summaries, unreadable)
    status: Status = "short" if len(items) < FULL * 0.9 else "ok"
    # The oldest first, as they were published: the feed lists the newest first.
    events.sort(key=lambda e: (datetime.fromisoformat(e["recorded_at"]), e["event_id"]))
    return FeedResult(
        status,
        events,
        _pruned(remembered, present, fetched_at),
        max(newest, latest),
        len(items),
        elsewhere,
        summaries,
        unreadable,
    )


def _fields(item: Any, fetched_at: datetime) -> tuple[str, str, str, str, datetime]:
    if not isinstance(item, dict):
        raise ValueError("it is not an object")
    number, title, kind = item.get("id"), item.get("name"), item.get("type")
    location = item.get("location") or {}
    place = location.get("name", "") if isinstance(location, dict) else ""
    if isinstance(number, bool) or not isinstance(number, int | str) or not str(number).isdecimal():
        raise ValueError("its id is not a number")
    if not isinstance(title, str) or not isinstance(kind, str) or not isinstance(place, str):
        raise ValueError("its name, type or place is not a text")
    published = published_at(str(item.get("datetime")))
    if published - fetched_at > _DAY:
        raise ValueError("it is said to be published in the future")
    return str(number), title, kind.strip(), place, published


def _shown(item: Any) -> str:
    """An item's id for the log: digits only, as anything else might be free text."""
    number = str(item.get("id")) if isinstance(item, dict) else ""
    return number[:20] if number.isdecimal() else "without a number"


def _later(one: str, other: str) -> str:
    return max(one, other, key=datetime.fromisoformat)


def _event(
    number: str, when: datetime, published: datetime, category: str, municipality: str, fetched_at: datetime
) -> dict[str, Any]:
    # The feed's clock may run ahead of ours: nothing is recorded, or happens, after it was read.
    recorded = min(published, fetched_at)
    return {
        "kind": "incident",
        "event_id": number,
        "source": SOURCE,
        "occurred_at": min(when, recorded + _AHEAD).astimezone(_ZONE).isoformat(),
        "recorded_at": recorded.astimezone(_ZONE).isoformat(),
        "category": category,
        "municipality": municipality,
        "area": municipality,
        "revision": 1,
        "retraction": False,
    }


def _retraction(number: str, before: KnownItem, remembered: dict[str, KnownItem], now: datetime) -> dict[str, Any]:
    event = {**before.event, "revision": before.revision + 1, "retraction": True}
    event["recorded_at"] = _later(before.event["recorded_at"], now.astimezone(_ZONE).isoformat(timespec="seconds"))
    remembered[number] = KnownItem("elsewhere", before.revision + 1, event)
    return event


def _pruned(known: Mapping[str, KnownItem], present: set[str], now: datetime) -> dict[str, KnownItem]:
    """Items of this payload and of the last 60 days: the feed itself reaches back some ten, now and then farther."""
    oldest = hour_of(now) - 60 * 24
    return {
        number: item
        for number, item in known.items()
        if number in present or hour_of(datetime.fromisoformat(item.event["recorded_at"])) > oldest
    }


def to_json(known: Mapping[str, KnownItem], newest: str) -> str:
    """What is remembered, as text for the store."""
    return msgspec.json.encode([dict(known), newest]).decode()


def from_json(text: str | None) -> tuple[dict[str, KnownItem], str]:
    """What was remembered; nothing when there is no text."""
    if not text:
        return {}, ""
    return msgspec.json.decode(text, type=tuple[dict[str, KnownItem], str])
