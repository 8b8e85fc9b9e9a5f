"""What a runtime keeps: the pages and alerts that changed, and the dead letters, together or not at all."""

from datetime import datetime

import msgspec

from earlywarning.core.alert_record import Alert, AlertChange


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
    """What a batch changed. pages: local day (since 1970-01-01) to page; page_events: how many rows each holds."""

    municipality: str
    pages: dict[int, bytes]
    page_events: dict[int, int]
    alerts: list[Alert]
    history: list[AlertChange]
    clock_day: int
    clock_hour: int
