"""Messages that no engine here takes: sent on to where they belong, or kept as dead letters."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import msgspec

from earlywarning.core.changes import DeadLetter
from earlywarning.core.events import Rejection, Rule, rejection
from earlywarning.runtimes.kafka.messages import HISTORY, Arrived, LetterMessage, encode_events
from earlywarning.runtimes.kafka.topics import DEAD_LETTERS
from earlywarning.runtimes.taking import dead_letter
from earlywarning.sources.supply import Supply

UNKNOWN: Literal["unknown-municipality"] = "unknown-municipality"


class Parcel(NamedTuple):
    """A message to be sent: events on their way, or a dead letter."""

    topic: str
    key: bytes
    value: bytes
    partition: int | None = None
    headers: dict[str, bytes] | None = None
    letter: DeadLetter | None = None


def forwarded(message: Arrived, partition: int) -> list[Parcel]:
    """A message of a producer with another partitioner, for the partition in which its municipality's state is."""
    parcels = _letters(message, message.decoded.rejections)
    if message.decoded.events:
        headers = dict([HISTORY]) if message.history else {}
        value = encode_events(message.decoded.events)
        parcels.append(Parcel(message.topic, message.municipality.encode(), value, partition, headers))
    return parcels


def refused(message: Arrived, rule: Rule, problem: str) -> list[Parcel]:
    """A message that cannot be taken, as dead letters: one for each event, so that each can be replayed."""
    rejections = list(message.decoded.rejections)
    for position, event in zip(message.decoded.positions, message.decoded.events, strict=True):
        rejections.append(rejection(position, msgspec.to_builtins(event), "municipality", rule, problem))
    return _letters(message, rejections)


def unknown_municipality(message: Arrived) -> str:
    """The problem of a message whose municipality no settings are published for."""
    who = message.municipality[:12]
    return f"no settings are published for municipality {who!r}; publish them (earlywarning settings publish), then replay"


def _letters(message: Arrived, rejections: Sequence[Rejection]) -> list[Parcel]:
    supply = Supply(message.decoded, f"kafka:{message.topic}/{message.partition}@{message.offset}")
    letters = [dead_letter(supply, r, datetime.now(UTC), message.municipality[:12]) for r in rejections]
    return [
        Parcel(DEAD_LETTERS, e.municipality.encode(), msgspec.json.encode(LetterMessage(letter=e)), None, {}, e) for e in letters
    ]
