"""What travels on the topics: batches of events in, alerts, statistics and dead letters out, settings for all workers."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.changes import DeadLetter
from earlywarning.core.events import AnyEvent, Decoded, Rejection, decode_array, decode_lines
from earlywarning.core.settings_draft import Decision
from earlywarning.settings import Settings, SettingsError, load_settings

HISTORY = ("as-history", b"1")  # header of a message whose events tell of the past
FORMAT = 1
LARGEST_SETTINGS = 256 << 20  # bytes, with the registers; a few kilobytes on the topic may unpack to gigabytes
Headers = Mapping[str, bytes] | Sequence[tuple[str, bytes]] | None


class Arrived(NamedTuple):
    """A message of events. newest: when the newest of them was recorded, in seconds since the epoch."""

    topic: str  # incidents or reports
    partition: int
    offset: int
    municipality: str
    decoded: Decoded
    history: bool
    newest: float


class AlertMessage(msgspec.Struct, frozen=True, kw_only=True):
    """An alert as it stands, and what happened to it since the message before.

    number: rises with each message of a municipality.
    """

    municipality: str
    number: int
    alert: Alert
    changes: list[AlertChange]
    format: int = FORMAT


class LetterMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A refused event. number: as in AlertMessage; 0 where no worker has numbered it."""

    letter: DeadLetter
    number: int = 0
    format: int = FORMAT


class PageMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A day page (core/pages.py) with the number of its rows."""

    municipality: str
    day: int
    events: int
    page: bytes
    format: int = FORMAT


class ClockMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Where the clock of a municipality's engine stands: all days before have closed.

    method, program: by which method its worker decides, and the worker's version; 0 where an earlier version does not say.
    """

    municipality: str
    clock_day: int
    clock_hour: int
    method: int = 0
    program: str = ""
    format: int = FORMAT


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """A municipality's settings with the register files that they name, for machines that do not have them.

    decision: who put them in force on a page of the desk, and why; none when they were published from a file.
    """

    text: str
    files: dict[str, bytes]
    decision: Decision | None = None
    format: int = FORMAT


def encode_events(events: Iterable[AnyEvent]) -> bytes:
    """The value of a message: JSON Lines."""
    return b"\n".join(msgspec.json.encode(event) for event in events)


def decode_events(value: bytes | None) -> Decoded:
    """The events of a message: one event, an array, or JSON Lines; what is none of them is one rejection."""
    body = value or b""
    try:
        if body.lstrip()[:1] == b"[":
            return decode_array(body)
        if body.strip():
            return decode_lines(body)
        problem = "the message is empty; send one event, an array of events, or one event a line"
    except (ValueError, RecursionError) as error:
        problem = f"not JSON in UTF-8 ({type(error).__name__}, {len(body)} bytes)"
    return Decoded([], [], [Rejection(0, "", "json", problem)])


def arrived(topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, headers: Headers) -> Arrived:
    """A Kafka message decoded. Its municipality is its key; without one, that of its first event."""
    decoded = decode_events(value)
    given = dict(headers.items() if isinstance(headers, Mapping) else headers or ())
    own = key.decode(errors="replace") if key else decoded.events[0].municipality if decoded.events else ""
    newest = max((e.recorded_at.timestamp() for e in decoded.events), default=0.0)
    return Arrived(topic, partition, offset, own, decoded, given.get(HISTORY[0]) == HISTORY[1], newest)


def by_municipality(events: Sequence[AnyEvent]) -> dict[str, list[AnyEvent]]:
    """Events by the municipality that they name."""
    found: dict[str, list[AnyEvent]] = {}
    for event in events:
        found.setdefault(event.municipality, []).append(event)
    return found


def pack_settings(settings: Settings, decision: Decision | None = None) -> bytes:
    """The message that puts settings in force. Raises SettingsError when a named file cannot be read."""
    files = {}
    for key in ("areas", "categories"):
        name = getattr(settings.registers, key)
        if name and not name.startswith("builtin:"):
            try:
                files[name] = (settings.folder / name).read_bytes()
            except OSError as error:
                raise SettingsError([f"registers.{key}: {name} cannot be read ({error.strerror})"]) from error
    return zlib.compress(msgspec.msgpack.encode(Bundle(text=settings.text, files=files, decision=decision)))


def decision_of(value: bytes) -> Decision | None:
    """Who decided what a message that `unpack_settings` can read puts in force; None for those published from a file."""
    return msgspec.msgpack.decode(zlib.decompress(value), type=Bundle).decision


def unpack_settings(value: bytes, folder: Path) -> Settings:
    """Settings as they were published, with their files below folder. Raises SettingsError."""
    try:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(value, LARGEST_SETTINGS)
        if unpacker.unconsumed_tail or not unpacker.eof:
            raise SettingsError([f"the published settings are cut off, or larger than {LARGEST_SETTINGS >> 20} MB"])
        bundle = msgspec.msgpack.decode(content, type=Bundle)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError([f"the published settings cannot be read ({error}); publish them again"]) from error
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in bundle.files.items():
        try:
            path = (folder / name).resolve()
            if not path.is_relative_to(folder.resolve()):
                raise SettingsError([f"the published settings hold the file {name[:80]!r}, which lies outside their folder"])
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        except SettingsError:
            raise
        except (OSError, ValueError) as error:  # a name that is a folder's, is too long, or holds NUL
            raise SettingsError([f"the published settings hold the file {name[:80]!r}, which cannot be kept"]) from error
    own = folder / "earlywarning.toml"
    own.write_text(bundle.text, encoding="utf-8")
    return load_settings(own)
