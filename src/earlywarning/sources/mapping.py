"""A supplier's columns become event fields: names, constants, translated values, times and decimal commas."""

from collections.abc import Mapping as Map
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from earlywarning.core.events import FIELDS, POSITION_FIELDS
from earlywarning.core.screening import find_personal_data

TIME_FIELDS = ("occurred_at", "occurred_from", "occurred_to", "recorded_at")
Row = Map[str, str]


class ColumnMapping(Protocol):
    """What a mapping in the settings says (see settings.Mapping)."""

    @property
    def columns(self) -> dict[str, str]: ...
    @property
    def constants(self) -> dict[str, str]: ...
    @property
    def values(self) -> dict[str, dict[str, str]]: ...
    @property
    def skip(self) -> dict[str, list[str]]: ...
    @property
    def timestamp_format(self) -> str: ...
    @property
    def timezone(self) -> str: ...
    @property
    def delimiter(self) -> str: ...
    @property
    def encoding(self) -> str: ...


class RowMapper:
    """Turns rows, as mappings of column to text, into mappings of event field to value."""

    def __init__(self, mapping: ColumnMapping, default_timezone: str) -> None:
        self.mapping = mapping
        zone = ZoneInfo(mapping.timezone or default_timezone)
        self._time = lru_cache(maxsize=200_000)(lambda text: _instant(text, mapping.timestamp_format, zone))
        self._skip = {column: frozenset(values) for column, values in mapping.skip.items()}

    def skipped(self, row: Row) -> bool:
        """Whether the mapping leaves the row out."""
        return any(row.get(column) in values for column, values in self._skip.items())

    def fields(self, row: Row) -> dict[str, Any]:
        """The event's fields; empty texts are left out. A time that cannot be read is passed on as it stands."""
        out: dict[str, Any] = dict(self.mapping.constants)
        for field, column in self.mapping.columns.items():
            text = row.get(column, "").strip()
            if not text:
                continue
            translate = self.mapping.values.get(field)
            if translate is not None:
                text = translate.get(text, text)
            if field in TIME_FIELDS:
                out[field] = self._time(text)
            elif field in POSITION_FIELDS and "," in text and "." not in text:
                out[field] = text.replace(",", ".")
            elif text:
                out[field] = text
        if "recorded_at" not in out:
            # Without a recording time the event counts as recorded when it had happened.
            known = out.get("occurred_at") or out.get("occurred_to")
            if known is not None:
                out["recorded_at"] = known
        return out

    def keepable(self, row: Row) -> dict[str, str]:
        """The mapped columns of a row that may be kept with a dead letter: no coordinates, no personal data."""
        kept = {}
        for field, column in self.mapping.columns.items():
            text = row.get(column, "")
            if text and field not in POSITION_FIELDS and len(text) <= 200 and not find_personal_data(text):
                kept[column] = text
        return kept


def identity(header: list[str]) -> dict[str, str]:
    """Columns that are event fields by name."""
    return {name: name for name in header if name in FIELDS}


def _instant(text: str, pattern: str, zone: ZoneInfo) -> datetime | str:
    try:
        when = datetime.strptime(text, pattern) if pattern else datetime.fromisoformat(text)  # noqa: DTZ007  # zone below
    except ValueError:
        return text
    if when.tzinfo is not None:
        return when
    local = when.replace(tzinfo=zone)
    # A time that the spring night leaves out is moved on by the missing hour, as clocks are.
    there_and_back = local.astimezone(ZoneInfo("UTC")).astimezone(zone)
    if there_and_back.replace(tzinfo=None) != when:
        return there_and_back if there_and_back > local else local + timedelta(hours=1)
    return local
