"""The picture as a mail: its gist as HTML that mail programs show, and as plain text; the whole of it is the PDF attached."""

from base64 import b64encode
from typing import NamedTuple

from earlywarning.briefing.drawing import map_png
from earlywarning.briefing.page import shared_words, templates
from earlywarning.briefing.record import Briefing
from earlywarning.briefing.words import say
from earlywarning.core.iso_week import parse_week


class Mail(NamedTuple):
    """Subject, plain text and HTML. Styles stand in the tags, and the map is a picture inside the text."""

    subject: str
    text: str
    html: str


def render_mail(briefing: Briefing) -> Mail:
    """The mail that goes out before the meeting."""
    words = shared_words(briefing)
    pictures = [(m, b64encode(map_png(m)).decode()) for m in briefing.maps if m.drawn]
    html = templates().get_template("mail.html.j2").render(**words, pictures=pictures)
    plain = templates().get_template("mail.txt.j2").render(**words)
    return Mail(_subject(briefing), plain, html)


def _subject(briefing: Briefing) -> str:
    """The week and the first thing that is new, on one line."""
    first = briefing.headlines[0].rstrip(".") if briefing.headlines else briefing.municipality_name
    return say(briefing.language, "title", "subject", number=parse_week(briefing.week).number, short=first[:1].lower() + first[1:])
