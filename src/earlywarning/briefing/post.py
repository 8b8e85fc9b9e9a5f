"""The picture as a mail: its gist as HTML that mail programs show, and as plain text; the whole of it is the PDF attached."""

from base64 import b64encode
from typing import NamedTuple

from earlywarning.briefing.drawing import map_png
from earlywarning.briefing.page import shared_words, templates
from earlywarning.briefing.record import AreaMap, Briefing, Shade
from earlywarning.briefing.words import listing, say
from earlywarning.core.iso_week import parse_week
from earlywarning.locale import Language


class Mail(NamedTuple):
    """Subject, plain text and HTML; the HTML's styles stand in its tags."""

    subject: str
    text: str
    html: str


def render_mail(briefing: Briefing, *, pictures: bool = False) -> Mail:
    """The mail that goes out before the meeting.

    pictures: the maps as pictures inside the HTML. Some large mail services neither show such pictures nor long mails, so by
    default the areas that stand out are told, and the maps are left to the PDF.
    """
    words = shared_words(briefing)
    maps = [
        (m, _standing_out(m, briefing.language), b64encode(map_png(m)).decode() if pictures else "")
        for m in briefing.maps
        if m.drawn
    ]
    html = templates().get_template("mail.html.j2").render(**words, maps=maps)
    plain = templates().get_template("mail.txt.j2").render(**words, maps=maps)
    return Mail(_subject(briefing), plain, html)


def _standing_out(one: AreaMap, language: Language) -> list[tuple[str, str]]:
    """What a shade means and the areas that have it, of those that are not as usual."""
    said = dict(one.legend)
    out = []
    shades: tuple[Shade, ...] = ("more", "rather-more", "rather-fewer", "fewer")
    for shade in shades:
        if names := [a.name for a in one.areas if a.shade == shade]:
            out.append((said[shade], listing(names, language)))
    return out or [(say(language, "shade", "usual"), say(language, "text", "all_areas"))]


def _subject(briefing: Briefing) -> str:
    """The week and the first thing that is new, on one line."""
    first = briefing.headlines[0].rstrip(".") if briefing.headlines else briefing.municipality_name
    return say(briefing.language, "title", "subject", number=parse_week(briefing.week).number, short=first[:1].lower() + first[1:])
