"""Messages on their way out: what the outbox keeps in the transaction that made them necessary."""

from datetime import date, datetime
from hashlib import sha256
from typing import Literal

import msgspec

from earlywarning.core.alert_record import Alert
from earlywarning.core.casework import Casework

Kind = Literal["alert", "digest", "escalation", "receipt", "led-to", "briefing", "test"]


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message for one recipient by one channel.

    key: what a receiver may drop repeats by; the same message always has the same. channel, recipient: names in the settings.
    alert_id: whose messages keep their order, empty for none. body: JSON of the kind's content (below). not_before: when it
    may go out at the earliest.
    """

    key: str
    municipality: str
    channel: str
    recipient: str
    kind: Kind
    created_at: datetime
    body: str
    alert_id: str = ""
    language: Literal["sv", "en"] = "sv"
    not_before: datetime | None = None


def key_of(*parts: str) -> str:
    """The idempotency key of a message that these parts tell apart from all others: 32 hexadecimal digits."""
    return sha256("\x1f".join(parts).encode()).hexdigest()[:32]


class AlertContent(msgspec.Struct, frozen=True, kw_only=True):
    """Of kind "alert" and "escalation": an alert as it is, what happened to it, and what the group has done.

    change: as in AlertChange, or an action of the casework. links: what the mail offers, by action ("open", "acknowledge",
    ...); each is an address. waiting_since: of an escalation.
    """

    alert: Alert
    change: str
    casework: Casework
    links: dict[str, str] = {}
    waiting_since: datetime | None = None
    format: int = 1


class DigestContent(msgspec.Struct, frozen=True, kw_only=True):
    """Of kind "digest": alerts gathered for the week's (or day's) agenda, from first to last day.

    alerts: new ones (change "opened") and those that changed, in the order in which they are to be read. ongoing: those without
    news that are still open, or that the group is working on. muted: held back by a mute, told apart. meeting: the next one.
    """

    first_day: date
    last_day: date
    alerts: list[AlertContent]
    ongoing: list[AlertContent] = []
    muted: list[AlertContent] = []
    meeting: datetime | None = None
    format: int = 1


class LedTo(msgspec.Struct, frozen=True):
    """One alert that a reporter's events counted in, and what became of it."""

    alert: Alert
    stage: str
    measures: list[str]


class ReporterContent(msgspec.Struct, frozen=True, kw_only=True):
    """Of kind "receipt" and "led-to": how many events of a source came in a period, and what they led to."""

    source: str
    first_day: date
    last_day: date
    accepted: int
    rejected: int
    led_to: list[LedTo] = []
    format: int = 1


class BriefingContent(msgspec.Struct, frozen=True, kw_only=True):
    """Of kind "briefing": the weekly picture as subject, plain text, HTML, and a PDF (bytes)."""

    week: str
    subject: str
    text: str
    html: str
    pdf: bytes
    format: int = 1


class TestContent(msgspec.Struct, frozen=True, kw_only=True):
    """Of kind "test": whether a channel works."""

    sent_by: str
    format: int = 1
