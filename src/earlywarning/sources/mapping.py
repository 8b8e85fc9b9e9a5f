"""A supplier's columns become event fields: names, constants, translated values, times and decimal commas."""

from collections.abc import Callable, Sequence
from collections.abc import Mapping as Map
from datetime import UTC, datetime
from hashlib import blake2b
from re import fullmatch
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from earlywarning.core.events import FIELDS, POSITION_FIELDS
from earlywarning.core.screening import find_personal_data

TIME_FIELDS = ("occurred_at", "occurred_from", "occurred_to", "recorded_at")
Row = Map[str, str]
_LONGEST_KEPT = 200  # characters of a value in a dead letter; longer ones are free text
_REMEMBERED = 1 << 15  # texts of a column whose meaning is kept at hand
_DIGITS_AS_LETTERS = str.maketrans("0123456789", "ghijklmnop")


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
    """Turns rows into mappings of event field to value.

    columns: those that are looked at, each once; the rows of a file are given as their texts in this order.
    """

    def __init__(self, mapping: ColumnMapping, default_timezone: str) -> None:
        self.mapping = mapping
        zone = ZoneInfo(mapping.timezone or default_timezone)
        self.columns = tuple(dict.fromkeys((*mapping.columns.values(), *mapping.skip)))
        place = {column: i for i, column in enumerate(self.columns)}
        self._skip = [(place[column], frozenset(map(str.strip, texts))) for column, texts in mapping.skip.items()]
        # Texts that come again and again are understood once: times, and what is translated.
        self._remembered: list[tuple[str, int, dict[str, Any]]] = []
        self._texts: list[tuple[str, int]] = []
        self._numbers: list[tuple[str, int]] = []
        for field, column in mapping.columns.items():
            if field in TIME_FIELDS or field in mapping.values:
                pattern = mapping.timestamp_format if field in TIME_FIELDS else None
                memory = _Memory(_reader_of(field, mapping.values.get(field, {}), pattern, zone))
                self._remembered.append((field, place[column], memory))
            elif field in POSITION_FIELDS:
                self._numbers.append((field, place[column]))
            else:
                self._texts.append((field, place[column]))
        positions = {column for field, column in mapping.columns.items() if field in POSITION_FIELDS}
        self._kept = [column for column in dict.fromkeys(mapping.columns.values()) if column not in positions]

    def skipped(self, texts: Sequence[str]) -> bool:
        """Whether the mapping leaves a row out. texts: of `columns`."""
        return any(texts[i].strip() in left_out for i, left_out in self._skip)

    def fields(self, row: Row) -> dict[str, Any]:
        """The event's fields from texts by column, such as those of a dead letter after its mapping was mended."""
        return self.fields_of([row.get(column, "") for column in self.columns])

    def fields_of(self, texts: Sequence[str]) -> dict[str, Any]:
        """The event's fields from the texts of `columns`; empty texts are left out.

        A value that cannot be read is passed on as it stands, and refused when the event is decoded.
        """
        out: dict[str, Any] = dict(self.mapping.constants)
        for field, i, memory in self._remembered:
            value = memory[texts[i]]
            if value is not None:
                out[field] = value
        for field, i in self._texts:
            if text := texts[i].strip():
                out[field] = text
        for field, i in self._numbers:
            if text := texts[i].strip():
                out[field] = _decimal_point(text)
        if "recorded_at" not in out:
            # Without a recording time the event counts as recorded when it had happened.
            known = out.get("occurred_at") or out.get("occurred_to")
            if known is not None:
                out["recorded_at"] = known
        return out

    def keepable(self, texts: Sequence[str]) -> dict[str, str]:
        """By column, what may be kept of a row with a dead letter: no coordinates, no personal data, no long texts."""
        kept = {}
        for column, text in zip(self.columns, texts, strict=True):
            if column in self._kept and text and len(text) <= _LONGEST_KEPT and not find_personal_data(text):
                kept[column] = text
        return kept


def identity(header: list[str]) -> dict[str, str]:
    """Columns that are event fields by name."""
    return {name: name for name in header if name in FIELDS}


def id_prefix(file_name: str) -> str:
    """What, with a row's number behind it, is the id of a row that brings none.

    The name without .csv and the like, so that the same file gives the same ids, zipped or not. A name that cannot be
    part of an id (too long, or with personal data in it) is replaced by its digest.
    """
    stem = file_name
    for ending in (".gz", ".csv", ".tsv", ".txt"):
        if stem.lower().endswith(ending):
            stem = stem[: -len(ending)]
    if fullmatch(r"[A-Za-z_]{4,40}", stem):
        return f"{stem}-"
    # The letter keeps a date before it and the number behind it from reading as a personal identity number.
    prefix = f"{stem}-r"
    if 3 <= len(prefix) <= 100 and prefix.isprintable() and not find_personal_data(f"{prefix}1"):
        return prefix
    digest = blake2b(stem.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    return f"file_{digest.translate(_DIGITS_AS_LETTERS)}-"


class _Memory(dict[str, Any]):
    """Remembers what a function makes of a text; forgets all when it is full."""

    def __init__(self, understand: Callable[[str], Any]) -> None:
        super().__init__()
        self._understand = understand

    def __missing__(self, text: str) -> Any:
        if len(self) >= _REMEMBERED:
            self.clear()
        value = self[text] = self._understand(text)
        return value


def _reader_of(field: str, table: dict[str, str], pattern: str | None, zone: ZoneInfo) -> Callable[[str], Any]:
    def understand(text: str) -> Any:
        text = text.strip()
        text = table.get(text, text)
        if not text:
            return None
        if pattern is not None:
            return _instant(text, pattern, zone)
        return _decimal_point(text) if field in POSITION_FIELDS else text

    return understand


def _decimal_point(text: str) -> str:
    return text.replace(",", ".") if "," in text and "." not in text else text


def _instant(text: str, pattern: str, zone: ZoneInfo) -> datetime | str:
    """An aware time; the text itself when it is none.

    Of an hour that the autumn night has twice the first is meant; an hour that the spring night leaves out is moved on
    by what is missing, as clocks are.
    """
    try:
        when = datetime.strptime(text, pattern) if pattern else datetime.fromisoformat(text)  # noqa: DTZ007  # zone below
        if when.tzinfo is not None:
            return when
        return when.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    except (ValueError, OverflowError):
        # A bare number would be taken for seconds since 1970 when the event is decoded: 2024 is not such a time.
        return f"{text} (a number)" if text.lstrip("+-").replace(".", "", 1).isdecimal() else text
