"""The JSON that webhooks and Kafka get follows its published schema, and does not tell who of the group answered."""

import json
from datetime import date
from typing import Any

import jsonschema
import msgspec
import pytest

from earlywarning.channels.message_json import message_json, message_schema
from earlywarning.core.outgoing import BriefingContent, DigestContent, LedTo, ReporterContent
from earlywarning.core.outgoing import TestContent as Trial  # by its own name pytest would take it for a test
from tests.channels.messages import CONTENTS, MADE, alert, content, message

PERIOD = {"first_day": date(2026, 4, 6), "last_day": date(2026, 4, 12)}
BODIES: list[tuple[str, msgspec.Struct]] = [
    ("alert", content(1, links={"open": "https://est.example/1"})),
    ("escalation", content(1, waiting_since=MADE)),
    ("digest", DigestContent(alerts=[content(1), content(2)], **PERIOD)),
    ("receipt", ReporterContent(source="skolan", accepted=3, rejected=0, **PERIOD)),
    ("led-to", ReporterContent(source="skolan", accepted=3, rejected=0, led_to=[LedTo(alert(), "closed", ["x"])], **PERIOD)),
    ("briefing", BriefingContent(week="2026-W15", subject="s", text="t", html="h", pdf=b"%PDF")),
    ("test", Trial(sent_by="x")),
]


def written(kind: Any, body: msgspec.Struct) -> Any:
    return json.loads(message_json(CONTENTS.letter(message(1, body, kind=kind))))


@pytest.mark.parametrize(("kind", "body"), BODIES, ids=[k for k, _ in BODIES])
def test_every_kind_follows_the_schema(kind: str, body: msgspec.Struct) -> None:
    said = written(kind, body)
    jsonschema.Draft202012Validator(message_schema()).validate(said)
    assert said["kind"] == kind
    assert len({"alert", "digest", "reporter", "briefing", "test"} & set(said)) == 1


def test_the_schema_refuses_another_format() -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(message_schema()).validate({**written(*BODIES[0]), "format": 2})


def test_who_answered_stays_in_the_group() -> None:
    said = content(1, case={"stage": "acknowledged", "acknowledged_by": "Åsa Öberg", "acknowledged_at": MADE})
    digest = DigestContent(alerts=[said], **PERIOD)
    assert "Åsa" not in json.dumps([written("alert", said), written("digest", digest)], ensure_ascii=False)


def test_the_same_message_gives_the_same_bytes() -> None:
    assert message_json(CONTENTS.letter(message())) == message_json(CONTENTS.letter(message()))
