"""The front door: which decoded events are let in, as columns, and why the others are refused.

Order of the checks: personal data first, then municipality, time, place, category. Coordinates find the area here and
go no further; times go on as whole hours.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.core.areas import AreaRegister
from earlywarning.core.categories import CategoryTree
from earlywarning.core.events import ORIGINS, POSITION_FIELDS, AnyEvent, Incident, Rejection, Report, Rule, rejection
from earlywarning.core.screening import RULE_TEXT, screen_values
from earlywarning.core.sweref import wgs84_from_sweref99tm

_ORIGIN_NUMBER: dict[str | None, int] = {None: -1} | {name: number for number, name in enumerate(ORIGINS)}
_CONTROL = "".join(map(chr, [*range(32), 127]))


@dataclass(frozen=True, slots=True)
class AdmissionRules:
    """What the municipality's settings say about events.

    future_tolerance: seconds that a supplier's clock may be ahead; longest_interval: days between occurred_from and
    occurred_to; oldest: instant (seconds since the epoch) before which nothing is taken.
    """

    future_tolerance: int = 600
    longest_interval: int = 366
    oldest: int = 0


class EventBatch(NamedTuple):
    """Events that were let in, as columns of equal length n.

    position: place in the batch they came in. key: 64-bit digest of supplier and event id. start, end, recorded: whole
    hours since the epoch (UTC). area, category: indices of the registers. source: index into `sources`.
    """

    position: NDArray[np.int64]
    key: NDArray[np.uint64]
    revision: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    recorded: NDArray[np.int64]
    area: NDArray[np.int64]
    category: NDArray[np.int64]
    source: NDArray[np.int64]
    kind: NDArray[np.int8]
    origin: NDArray[np.int8]
    severity: NDArray[np.int8]
    concern: NDArray[np.int8]
    retraction: NDArray[np.bool_]
    sources: tuple[str, ...]


def digest(source: str, event_id: str) -> bytes:
    """By which an event is known again: 8 bytes of its supplier and id, the lowest first."""
    return blake2b(f"{source}\x1f{event_id}".encode(), digest_size=8).digest()


class _Refusals:
    """Collects the first reason for which each event of a batch is refused."""

    def __init__(self, events: Sequence[AnyEvent]) -> None:
        self._events = events
        self.reasons: dict[int, Rejection] = {}
        self.areas_found: dict[int, str] = {}

    def refuse(self, index: int, field: str, rule: Rule, problem: str, *, keep: bool = True) -> None:
        if index in self.reasons:
            return
        event = self._events[index]
        item = msgspec.to_builtins(event)
        if index in self.areas_found:
            item["area"] = self.areas_found[index]
        if not keep:
            item = {name: item[name] for name in ("kind", "event_id", "source") if name in item}
        self.reasons[index] = rejection(index, item, field, rule, problem)

    def refuse_all(self, which: NDArray[np.bool_], field: str, rule: Rule, problem: str, *, keep: bool = True) -> None:
        for index in np.flatnonzero(which).tolist():
            self.refuse(index, field, rule, problem, keep=keep)


def admit(
    events: Sequence[AnyEvent],
    *,
    register: AreaRegister,
    tree: CategoryTree,
    rules: AdmissionRules,
    now: datetime,
) -> tuple[EventBatch, list[Rejection]]:
    """Check events and turn those that pass into columns.

    now: aware instant against which "in the future" is judged. The rejections' indices and the batch's positions are
    places in `events`.
    """
    refusals = _Refusals(events)
    _screen(events, refusals)
    n = len(events)

    municipalities = [e.municipality for e in events]
    if municipalities.count(register.municipality) != n:
        for i, code in enumerate(municipalities):
            if code != register.municipality:
                problem = f"municipality {code!r} is not served here; this service serves {register.municipality!r}"
                refusals.refuse(i, "municipality", "municipality", problem)

    premises = [e.premises for e in events]
    if "dwelling" in premises:
        inside = np.array([p == "dwelling" for p in premises], dtype=bool)
        problem = "it happened inside a dwelling; such events are not kept here"
        refusals.refuse_all(inside, "premises", "inside-dwelling", problem, keep=False)

    start, end, recorded = _times(events, refusals, rules, now)
    area = _areas(events, refusals, register)
    categories = [e.category for e in events]
    category = np.asarray(tree.resolve(categories), dtype=np.int64)
    for i in np.flatnonzero(category <= 0).tolist():
        problem = f"category {categories[i]!r} is not in the category tree; use one of its codes"
        refusals.refuse(i, "category", "unknown-category", problem)

    source_names = [e.source for e in events]
    sources = tuple(dict.fromkeys(source_names))
    source_number = {name: number for number, name in enumerate(sources)}
    origin = np.array([_ORIGIN_NUMBER[e.origin] for e in events], dtype=np.int8)
    origin = np.where(origin < 0, tree.default_origin[category], origin).astype(np.int8)
    kind = np.array([0 if type(e) is Incident else 1 for e in events], dtype=np.int8)
    # An event is known again by a 64-bit digest of supplier and id. Two of ten million share one with a probability of
    # about 3 in a million; they would then meet as two contents of one revision, which is refused and kept, never dropped.
    keys = b"".join([digest(source, e.event_id) for source, e in zip(source_names, events, strict=True)])

    batch = EventBatch(
        position=np.arange(n),
        key=np.frombuffer(keys, dtype="<u8").astype(np.uint64),
        revision=np.array([e.revision for e in events], dtype=np.int64),
        start=start,
        end=end,
        recorded=recorded,
        area=area,
        category=category,
        source=np.array([source_number[s] for s in source_names], dtype=np.int64),
        kind=kind,
        origin=origin,
        severity=np.array([e.severity or 0 for e in events], dtype=np.int8),
        concern=np.array([(e.concern or 0) if type(e) is Report else 0 for e in events], dtype=np.int8),
        retraction=np.array([e.retraction for e in events], dtype=bool),
        sources=sources,
    )
    if not refusals.reasons:
        return batch, []
    passed = np.ones(n, dtype=bool)
    passed[list(refusals.reasons)] = False
    batch = EventBatch._make([*[column[passed] for column in batch[:-1]], sources])
    return batch, [refusals.reasons[i] for i in sorted(refusals.reasons)]


def _screen(events: Sequence[AnyEvent], refusals: _Refusals) -> None:
    """Refuse what holds personal data in any text, or control characters in an id."""
    ids = [e.event_id for e in events]
    for field, values in (
        ("event_id", ids),
        ("source", [e.source for e in events]),
        ("category", [e.category for e in events]),
        ("municipality", [e.municipality for e in events]),
        ("area", [e.area or "" for e in events]),
    ):
        if field == "event_id":
            found = screen_values(values)
        else:
            distinct = list(dict.fromkeys(values))
            bad = {distinct[i]: rule for i, rule in screen_values(distinct).items()}
            found = {i: bad[v] for i, v in enumerate(values) if v in bad} if bad else {}
        for index, rule in found.items():
            refusals.refuse(index, field, rule, f"{field}: {RULE_TEXT[rule]}")
    joined = "".join(ids)
    if not joined.isprintable() or any(c in joined for c in _CONTROL):
        for index, value in enumerate(ids):
            if not value.isprintable():
                refusals.refuse(index, "event_id", "characters", "event_id holds characters that cannot be shown", keep=False)


def _seconds(values: list[datetime | None]) -> NDArray[np.float64]:
    if None not in values:
        return np.array(list(map(datetime.timestamp, values)), dtype=np.float64)  # type: ignore[arg-type]  # none is None
    return np.array([np.nan if v is None else v.timestamp() for v in values], dtype=np.float64)


def _times(
    events: Sequence[AnyEvent], refusals: _Refusals, rules: AdmissionRules, now: datetime
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    at = _seconds([e.occurred_at for e in events])
    recorded = _seconds([e.recorded_at for e in events])
    since = [e.occurred_from for e in events]
    until = [e.occurred_to for e in events]
    start = end = at
    if since.count(None) + until.count(None) != 2 * len(events):
        start, end = _seconds(since), _seconds(until)
        both = ~np.isnan(at) & ~(np.isnan(start) & np.isnan(end))
        refusals.refuse_all(both, "occurred_at", "time-twice", "give occurred_at, or occurred_from and occurred_to, not both")
        half = np.isnan(start) != np.isnan(end)
        refusals.refuse_all(half, "occurred_from", "half-interval", "an interval needs both occurred_from and occurred_to")
        start, end = np.where(np.isnan(at), start, at), np.where(np.isnan(at), end, at)
        refusals.refuse_all(start > end, "occurred_to", "impossible-interval", "occurred_to lies before occurred_from")
        long = end - start > rules.longest_interval * 86_400
        problem = f"the interval is longer than {rules.longest_interval} days; send it when the time is better known"
        refusals.refuse_all(long, "occurred_to", "long-interval", problem)
    missing = np.isnan(start)
    refusals.refuse_all(missing, "occurred_at", "missing-field", "occurred_at (or occurred_from and occurred_to) is missing")
    latest = now.timestamp() + rules.future_tolerance
    refusals.refuse_all(recorded > latest, "recorded_at", "future", "recorded_at lies in the future; check the clock or offset")
    refusals.refuse_all(end > latest, "occurred_at", "future", "it is said to happen in the future; check the clock or offset")
    early = end > recorded + rules.future_tolerance
    refusals.refuse_all(early, "recorded_at", "recorded-before", "it was recorded before it is said to have happened")
    refusals.refuse_all(start < rules.oldest, "occurred_at", "too-old", "it happened before the earliest day that is taken")
    with np.errstate(invalid="ignore"):
        hours = [np.floor(np.nan_to_num(v) / 3600).astype(np.int64) for v in (start, end, recorded)]
    return hours[0], hours[1], hours[2]


def _areas(events: Sequence[AnyEvent], refusals: _Refusals, register: AreaRegister) -> NDArray[np.int64]:
    codes = [e.area for e in events]
    if None not in codes and not _any_position(events):
        area = np.asarray(register.resolve([c or "" for c in codes]), dtype=np.int64)
    else:
        area = _locate(events, codes, refusals, register)
    for i in np.flatnonzero(area == -1).tolist():
        problem = f"area {codes[i]!r} is not in the area register; use one of its codes"
        refusals.refuse(i, "area", "unknown-area", problem)
    return area


def _any_position(events: Sequence[AnyEvent]) -> bool:
    return any(
        e.latitude is not None or e.longitude is not None or e.sweref_north is not None or e.sweref_east is not None for e in events
    )


def _locate(events: Sequence[AnyEvent], codes: list[str | None], refusals: _Refusals, register: AreaRegister) -> NDArray[np.int64]:
    latitude, longitude, north, east = (
        np.array([np.nan if (v := getattr(e, field)) is None else v for e in events], dtype=np.float64) for field in POSITION_FIELDS
    )
    coded = np.array([c is not None for c in codes], dtype=bool)
    known = ~np.isnan(np.stack([latitude, longitude, north, east]))
    wgs, sweref = known[0] | known[1], known[2] | known[3]
    ways = coded.astype(int) + wgs + sweref
    refusals.refuse_all(ways == 0, "area", "missing-field", "the place is missing: give area, or coordinates")
    problem = "the place is given in two ways; give area, or latitude and longitude, or sweref_north and sweref_east"
    refusals.refuse_all(ways > 1, "area", "place-twice", problem)
    refusals.refuse_all(known[0] != known[1], "latitude", "half-position", "latitude and longitude belong together")
    refusals.refuse_all(known[2] != known[3], "sweref_north", "half-position", "sweref_north and sweref_east belong together")

    area = np.full(len(events), -2, dtype=np.int64)
    plain = coded & (ways == 1)
    area[plain] = register.resolve([codes[i] or "" for i in np.flatnonzero(plain).tolist()])
    if (metric := known[2] & known[3]).any():
        longitude[metric], latitude[metric] = wgs84_from_sweref99tm(north[metric], east[metric])
    placed = (ways == 1) & ((known[0] & known[1]) | metric)
    if placed.any():
        found = np.asarray(register.locate(longitude[placed], latitude[placed]), dtype=np.int64)
        places = np.flatnonzero(placed)
        area[places] = np.where(found < 0, -2, found)
        refusals.areas_found.update((i, register.codes[a]) for i, a in zip(places.tolist(), found.tolist(), strict=True) if a >= 0)
        outside = np.zeros(len(events), dtype=bool)
        outside[places] = found < 0
        problem = f"the coordinates lie outside the areas of municipality {register.municipality}"
        refusals.refuse_all(outside, "latitude", "outside", problem)
    return area
