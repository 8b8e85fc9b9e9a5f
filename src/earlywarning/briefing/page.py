"""The picture as one HTML file, or a part of another page: no script, nothing from elsewhere, for screen and print."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from earlywarning.briefing.drawing import map_svgs, swatch_svg
from earlywarning.briefing.record import AlertItem, Briefing, Shade
from earlywarning.briefing.words import say, short_day, texts

_SHADES: tuple[Shade, ...] = ("more", "rather-more", "usual", "rather-fewer", "fewer", "none")


def render_html(briefing: Briefing) -> str:
    """The page, as text to be written as UTF-8."""
    style = resources.files("earlywarning.briefing").joinpath("templates", "page.css").read_text(encoding="utf-8")
    return templates().get_template("page.html.j2").render(**_words(briefing, {}), style=Markup(style))  # noqa: S704  # ours


def render_body(briefing: Briefing, links: Mapping[str, str]) -> Markup:
    """What the page holds below its title, for a page of somebody else's. links: where each alert is answered, by its id."""
    return Markup(templates().get_template("body.html.j2").render(**_words(briefing, links)))  # noqa: S704  # a template escapes


def _words(briefing: Briefing, links: Mapping[str, str]) -> dict[str, Any]:
    maps, legends = [], []
    for number, one in enumerate(briefing.maps):
        pictures = map_svgs(one, briefing.language, name=f"m{number}")
        maps.append((one, [Markup(p) for p in pictures]))  # noqa: S704  # drawn here, its texts escaped
        legends.append([(Markup(swatch_svg(s, f"l{number}")), words) for s, words in one.legend])  # noqa: S704  # drawn here

    def link_of(item: AlertItem) -> str:
        return links.get(item.alert_id, item.link)

    return {**shared_words(briefing), "maps": maps, "legends": legends, "link_of": link_of}


def shared_words(briefing: Briefing) -> dict[str, Any]:
    """What the templates of page and mail both use: the record, and the texts around it."""
    all_texts = texts(briefing.language)

    def opened(item: AlertItem) -> str:
        day = short_day(item.opened_on, briefing.language, year=item.opened_on.year != briefing.last_day.year)
        return say(briefing.language, "text", "opened", day=day)

    return {
        "b": briefing,
        "h": all_texts["heading"],
        "c": all_texts["column"],
        "t": all_texts["text"],
        "sign": {shade: all_texts["shade"][f"sign_{shade}"] for shade in _SHADES},
        "outside": briefing.audience == "outside",
        "audience_note": audience_note(briefing),
        "week_words": say(briefing.language, "text", "changes_7").lower(),
        "opened": opened,
    }


def audience_note(briefing: Briefing) -> str:
    """For whom the picture is."""
    if briefing.audience == "outside":
        return say(briefing.language, "title", "outside", least=briefing.least_count) if briefing.least_count else ""
    return say(briefing.language, "title", "group")


@cache
def templates() -> Environment:
    """The room's templates; a name that is not there is an error, not an empty place."""
    return Environment(
        loader=PackageLoader("earlywarning.briefing"), autoescape=select_autoescape(["html", "html.j2"]), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
