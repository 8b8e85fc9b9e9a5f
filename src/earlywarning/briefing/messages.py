"""The picture on its way to those who get it: one message each, the same key however often it is made."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import msgspec

from earlywarning.briefing.paper import render_pdf
from earlywarning.briefing.post import render_mail
from earlywarning.briefing.record import Briefing
from earlywarning.core.outgoing import BriefingContent, Outgoing, key_of


class Addressee(NamedTuple):
    """Who gets it, by which channel: names in the settings."""

    channel: str
    recipient: str


def briefing_messages(
    briefing: Briefing, to: Sequence[Addressee], created_at: datetime, *, not_before: datetime | None = None
) -> list[Outgoing]:
    """Messages for the outbox, for those who read the briefing's language. Without anyone to send to, nothing is drawn.

    The key is of municipality, week and recipient: a picture that is made again is not sent again.
    """
    if not to:
        return []
    mail = render_mail(briefing)
    content = BriefingContent(week=briefing.week, subject=mail.subject, text=mail.text, html=mail.html, pdf=render_pdf(briefing))
    body = msgspec.json.encode(content).decode()
    return [
        Outgoing(
            key=key_of("briefing", briefing.municipality, briefing.week, one.channel, one.recipient),
            municipality=briefing.municipality, channel=one.channel, recipient=one.recipient, kind="briefing",
            created_at=created_at, body=body, language=briefing.language, not_before=not_before,
        )
        for one in to
    ]  # fmt: skip
