"""Records as rows, and back."""

from typing import Any

import msgspec

from earlywarning.core.alert_record import Alert
from earlywarning.core.changes import DeadLetter
from earlywarning.store import tables as t
from earlywarning.store.errors import StoreError

_alert = msgspec.json.Decoder(Alert)


def json_text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def read_alert(body: str) -> Alert:
    try:
        return _alert.decode(body)
    except msgspec.DecodeError as error:
        raise StoreError(f"an alert in the store cannot be read ({error}); restore the store from a backup") from error


def alert_row(alert: Alert) -> dict[str, Any]:
    names = [c.name for c in t.alerts.columns if c.name != "body"]
    return {**{name: getattr(alert, name) for name in names}, "body": json_text(alert)}


def dead_letter_row(letter: DeadLetter) -> dict[str, Any]:
    """A refused event may hold anything: what no column takes is mended here, so that it cannot stop its neighbours."""
    row = msgspec.structs.asdict(letter)
    for name, value in row.items():
        if isinstance(value, str):
            row[name] = _storable(value)[: getattr(t.dead_letters.c[name].type, "length", None)]
    return {**row, "state": "waiting"}


def _storable(text: str) -> str:
    """PostgreSQL has no NUL in texts, and neither database takes halves of surrogate pairs."""
    return text.encode(errors="replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
