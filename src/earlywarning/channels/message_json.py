"""A message as versioned JSON, for webhooks and Kafka, and the JSON Schema of it."""

from datetime import date, datetime
from typing import Any, Literal

import msgspec

from earlywarning.channels.contents import Letter
from earlywarning.core.casework import Casework
from earlywarning.core.outgoing import AlertContent, BriefingContent, DigestContent, Kind, ReporterContent, TestContent

FORMAT: Literal[1] = 1
_URN = "urn:earlywarning:schema:message:1"


class LedToWords(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that a reporter's events counted in: where and what, and what became of it. No counts."""

    alert_id: str
    areas: tuple[str, ...]
    categories: tuple[str, ...]
    opened_on: date
    stage: str
    measures: list[str]


class ReporterWords(msgspec.Struct, frozen=True, kw_only=True):
    """How many events of a reporter came in, and what they led to."""

    source: str
    first_day: date
    last_day: date
    accepted: int
    rejected: int
    led_to: list[LedToWords] = []


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message: what happened, in words and as data.

    type: the kind, and for alerts the change, such as "alert.opened". key: the same whenever the message is repeated.
    words: paragraphs in the message's language. Exactly one of alert, digest, reporter, briefing and test is there.
    """

    format: Literal[1]
    key: str
    type: str
    kind: Kind
    municipality: str
    recipient: str
    language: Literal["sv", "en"]
    timestamp: datetime
    subject: str
    words: list[str]
    alert: AlertContent | None = None
    digest: DigestContent | None = None
    reporter: ReporterWords | None = None
    briefing: BriefingContent | None = None
    test: TestContent | None = None


def message_json(letter: Letter) -> bytes:
    """The message as UTF-8 JSON; the same letter gives the same bytes. Who of the group answered is left out."""
    m, content = letter.message, letter.content
    told = [*letter.paragraphs]
    for one in letter.alerts:
        told += [words for words in (one.headline or one.about, one.sentence, one.stage, one.measures) if words]
    kind = f"{m.kind}.{content.change}" if isinstance(content, AlertContent) and m.kind == "alert" else m.kind
    data: dict[str, Any] = {}
    match content:
        case AlertContent():
            data["alert"] = _without_actor(content)
        case DigestContent():
            data["digest"] = msgspec.structs.replace(content, alerts=[_without_actor(a) for a in content.alerts])
        case ReporterContent():
            data["reporter"] = _outside(content)
        case BriefingContent():
            data["briefing"] = content
        case TestContent():
            data["test"] = content
    return msgspec.json.encode(
        Message(
            format=FORMAT, key=m.key, type=kind, kind=m.kind, municipality=m.municipality, recipient=m.recipient,
            language=m.language, timestamp=m.created_at, subject=letter.subject, words=told, **data,
        )
    )  # fmt: skip


def _outside(content: ReporterContent) -> ReporterWords:
    """What a reporter may know: reporters stand outside the group, so they are told no counts but of their own."""
    led_to = [
        LedToWords(
            alert_id=led.alert.alert_id, areas=led.alert.areas, categories=led.alert.categories, opened_on=led.alert.opened_on,
            stage=led.stage, measures=led.measures,
        )
        for led in content.led_to
    ]  # fmt: skip
    return ReporterWords(
        source=content.source, first_day=content.first_day, last_day=content.last_day, accepted=content.accepted,
        rejected=content.rejected, led_to=led_to,
    )  # fmt: skip


def _without_actor(content: AlertContent) -> AlertContent:
    case: Casework = msgspec.structs.replace(content.casework, acknowledged_by="")
    return msgspec.structs.replace(content, casework=case)


def message_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a message."""
    (schema,), defs = msgspec.json.schema_components([Message], ref_template="#/$defs/{name}")
    body = defs.pop("Message")
    assert schema  # noqa: S101  # the reference to Message
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": _URN, **body, "$defs": defs}
