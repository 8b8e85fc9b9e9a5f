"""Commands for who gets what: the recipients, a dry run of routing, and mutes for planned events."""

from datetime import date
from typing import Annotated, Literal

from cyclopts import App, Parameter

from earlywarning.cli.options import LanguageOption, SettingsFile, TokenFile

_GROUP = "Coordinators and analysts"
routes_app = App(name="routes", help="Who gets which alerts, when and by which channel.", group=_GROUP)
mute_app = App(name="mute", help="Mutes for planned events: alerts are kept and shown, but not sent.", group=_GROUP)

_Service = Annotated[str, Parameter(help="A running service, such as http://127.0.0.1:8620.")]


@routes_app.command(name="list")
def routes_list(
    *,
    settings: SettingsFile = None,
    format: Literal["table", "json"] = "table",  # the option's name
    language: LanguageOption = None,
) -> None:
    """Recipients and reporters as the settings have them, and when each hears next."""
    from earlywarning.cli.routes_shown import list_routes  # noqa: PLC0415  # a command loads only what it needs

    list_routes(settings, format, language)


@routes_app.command(name="test")
def routes_test(
    *,
    since: Annotated[date, Parameter(help="First day of the history that is gone through.")],
    until: Annotated[date | None, Parameter(help="Last day (default: today).")] = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative="", help="In the table also what is not sent for lack of a match.")
    ] = False,
    settings: SettingsFile = None,
    format: Literal["table", "csv", "json"] = "table",  # the option's name
    language: LanguageOption = None,
) -> None:
    """A dry run: who would have got what, when and by which channel, and why others would not. Nothing is sent."""
    from earlywarning.cli.routes_shown import test_routes  # noqa: PLC0415  # a command loads only what it needs

    test_routes(settings, since, until, format, language, everything=all_)


@mute_app.command(name="add")
def mute_add(
    *,
    first: Annotated[date, Parameter(help="First day.")],
    last: Annotated[date, Parameter(help="Last day, up to 60 days in all.")],
    reason: Annotated[str, Parameter(help="festival, sports, demonstration, market, school-holiday, public-holiday, ...")],
    who: Annotated[str, Parameter(help="The function that mutes, such as coordinator.")],
    area: Annotated[tuple[str, ...], Parameter(negative="", help="Code of an area, with all in it.")] = (),
    category: Annotated[tuple[str, ...], Parameter(negative="", help="Code of a category, with all in it.")] = (),
    note: str = "",
    preview: Annotated[bool, Parameter(negative="", help="Only show what it would hit.")] = False,
    to: _Service = "",
    token_file: TokenFile = None,
    settings: SettingsFile = None,
    language: LanguageOption = None,
) -> None:
    """Mute areas and categories for some days, and show which open alerts and which of last year's it hits."""
    from earlywarning.cli.mutes import MuteWords, add_mute  # noqa: PLC0415  # a command loads only what it needs

    words = MuteWords(areas=area, categories=category, first_day=first, last_day=last, reason=reason, note=note, who=who)
    add_mute(settings, words, to, token_file, language, only_preview=preview)


@mute_app.command(name="list")
def mute_list(
    *,
    all_: Annotated[bool, Parameter(name="--all", negative="", help="Also those that are over.")] = False,
    settings: SettingsFile = None,
    format: Literal["table", "json"] = "table",  # the option's name
    language: LanguageOption = None,
) -> None:
    """Mutes that last or are still to come."""
    from earlywarning.cli.mutes import list_mutes  # noqa: PLC0415  # a command loads only what it needs

    list_mutes(settings, format, language, everything=all_)


@mute_app.command(name="end")
def mute_end(
    mute_id: str,
    *,
    who: Annotated[str, Parameter(help="The function that ends it.")],
    to: _Service = "",
    token_file: TokenFile = None,
    settings: SettingsFile = None,
    language: LanguageOption = None,
) -> None:
    """End a mute before its last day."""
    from earlywarning.cli.mutes import end_mute  # noqa: PLC0415  # a command loads only what it needs

    end_mute(settings, mute_id, who, to, token_file, language)
