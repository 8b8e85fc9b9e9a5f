"""Messages of a made-up town to be delivered."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from earlywarning.channels import Addressee, Contents
from earlywarning.core.alert_record import Alert, DayCount, EarlierYear
from earlywarning.core.casework import Casework
from earlywarning.core.outgoing import AlertContent, Outgoing, TestContent, key_of
from earlywarning.locale import Names
from tests.locale.said import NAMES
from tests.locale.said import alert as said

CODE = "0999"
MADE = datetime(2026, 4, 12, 10, 30, tzinfo=UTC)
TOWN = Names({**NAMES.areas, "A1": "Gåsöga östra"}, NAMES.categories)
ADDRESSES = {"group": ("est@testby.example",), "nobody": ()}
CONTENTS = Contents(
    lambda code: TOWN if code == CODE else None,
    lambda _, recipient: Addressee(ADDRESSES[recipient]) if recipient in ADDRESSES else None,
)


def alert(number: int = 1, **fields: Any) -> Alert:
    """A surge of graffiti in Gåsöga östra, with a week of days and four earlier years."""
    counts = [0, 3, 1, 0, 2, 5, 3]
    parts: dict[str, Any] = {
        "alert_id": f"{CODE}-20260412-{number}",
        "days": tuple(DayCount(date(2026, 4, 6) + timedelta(days=i), float(n)) for i, n in enumerate(counts)),
        "earlier_years": tuple(EarlierYear(i, date(2026 - i, 4, 13), float(n)) for i, n in enumerate((4, 6, 3, 5), start=1)),
        **fields.pop("parts", {}),
    }
    return said(parts=parts, **fields)


def content(number: int = 1, change: str = "opened", **fields: Any) -> AlertContent:
    about = fields.pop("alert", None) or alert(number, **fields.pop("of", {}))
    case = Casework(alert_id=about.alert_id, municipality=CODE, opened_at=about.opened_at, **fields.pop("case", {}))
    return AlertContent(alert=about, change=change, casework=case, **fields)


def message(number: int = 1, body: msgspec.Struct | None = None, **fields: Any) -> Outgoing:
    """Message `number` about alert `number`, unless fields say otherwise."""
    body = body or content(number)
    given: dict[str, Any] = {
        "key": key_of("message", str(number), str(fields.get("channel", "hook"))),
        "municipality": CODE, "channel": "hook", "recipient": "group", "kind": "alert", "created_at": MADE,
        "alert_id": f"{CODE}-20260412-{number}" if isinstance(body, AlertContent) else "",
        "body": msgspec.json.encode(body).decode(),
    }  # fmt: skip
    return Outgoing(**{**given, **fields})


def a_test(channel: str, **fields: Any) -> Outgoing:
    return message(0, TestContent(sent_by="Åsa"), channel=channel, kind="test", **fields)
