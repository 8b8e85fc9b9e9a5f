"""What every way in hands to the service: a decoded batch with where it came from, and what comes back for each item."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from earlywarning.core.events import Decoded, Rejection, rejection


class Supply(NamedTuple):
    """A decoded batch. `first` is the number that a person gives to position 0 (line 1 of a file, item 1 of an array).

    raw: by position, the mapped columns of a file's row as they stood there, kept with a dead letter so that it can be
    replayed when the mapping is mended; `format` is then "mapping:NAME".
    """

    decoded: Decoded
    way: str
    first: int = 1
    format: str = "event"
    raw: Mapping[int, Mapping[str, str]] = {}


class ItemResult(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one item of a batch; field, rule and problem only when it was rejected.

    queued: checked, and safe on the brokers; a worker counts it, and tells repeats from news. late: it counts, but came later than
    `events.lateness_days` after it happened, and so raises no alert. status: 403 for an event that its sender may not send.
    """

    index: int
    outcome: Literal["accepted", "repeated", "replaced", "rejected", "queued"]
    event_id: str | None = None
    source: str | None = None
    field: str | None = None
    rule: str | None = None
    problem: str | None = None
    late: bool = False
    status: int = 0


_FORBIDDEN: Literal["token-source"] = "token-source"  # the rule


def refused_item(rejection: Rejection, first: int) -> ItemResult:
    """What is answered for an item that was refused."""
    r = rejection
    status = 403 if r.rule == _FORBIDDEN else 0
    return ItemResult(r.index + first, "rejected", r.event_id, r.source, r.field, r.rule, r.problem, status=status)


def bound_to(supply: Supply, source: str) -> Supply:
    """The batch with only a source's events; those of others are refused, since whoever sends it may send for that one only."""
    decoded = supply.decoded
    if all(event.source == source for event in decoded.events):
        return supply
    own = [i for i, event in enumerate(decoded.events) if event.source == source]
    problem = f"the token may send events of the source {source!r} only; ask the administrator for one of your own"
    refused = [
        rejection(position, msgspec.to_builtins(event), "source", _FORBIDDEN, problem)
        for event, position in zip(decoded.events, decoded.positions, strict=True)
        if event.source != source
    ]
    kept = Decoded([decoded.events[i] for i in own], [decoded.positions[i] for i in own], [*decoded.rejections, *refused])
    return supply._replace(decoded=kept)
