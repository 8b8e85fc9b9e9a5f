"""What every way in hands to the service: a decoded batch with where it came from, and what comes back for each item."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from earlywarning.core.events import Decoded


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
    `events.lateness_days` after it happened, and so raises no alert.
    """

    index: int
    outcome: Literal["accepted", "repeated", "replaced", "rejected", "queued"]
    event_id: str | None = None
    source: str | None = None
    field: str | None = None
    rule: str | None = None
    problem: str | None = None
    late: bool = False
