"""What an engine answers with: what became of each event, and what a runtime keeps together or not at all."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.data_notes import DataNote
from earlywarning.core.events import Rejection
from earlywarning.core.intake import Outcome

Ints = NDArray[np.int64]


class Ingested(NamedTuple):
    """What became of each event of a batch, in its order, and why some were rejected.

    tally: how many events let in had which (kind, source, outcome).
    lateness: for the kinds of the events let in, how many hours later than it happened each was recorded.
    newest: by source, the hour (since the epoch) of its newest recording. late: places of events that count, but came later
    than the allowed lateness after they happened: they raise nothing, and reopen nothing.
    """

    outcomes: list[Outcome]
    rejections: list[Rejection]
    tally: Mapping[tuple[str, str, str], int] = {}
    lateness: tuple[NDArray[np.int8], Ints] = (np.empty(0, np.int8), np.empty(0, np.int64))
    newest: Mapping[str, int] = {}
    late: frozenset[int] = frozenset()


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event that was refused: where it came in, which field broke which rule, and what may be kept of it.

    way: file name, "http" or "police-feed". position: line, row or item, from 1. payload: JSON of what a replay needs;
    format says how to read it: "event", or "mapping:NAME" for a file's raw columns.
    """

    received_at: datetime
    municipality: str
    way: str
    position: int
    field: str
    rule: str
    problem: str
    source: str | None = None
    event_id: str | None = None
    kind: str | None = None
    payload: str | None = None
    format: str = "event"


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch changed. pages: local day (since 1970-01-01) to page; page_events: how many rows each holds.

    last_event: key and revision of the last event that changed anything; None where none has since the engine was made.
    """

    municipality: str
    pages: dict[int, bytes]
    page_events: dict[int, int]
    alerts: list[Alert]
    history: list[AlertChange]
    clock_day: int
    clock_hour: int
    notes: list[DataNote] = []
    last_event: tuple[int, int] | None = None
