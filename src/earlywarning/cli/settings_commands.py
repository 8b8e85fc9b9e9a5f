"""Commands for drafts and versions of settings."""

from typing import Annotated, Literal

from cyclopts import App, Parameter

from earlywarning.cli.options import LanguageOption, SettingsFile

draft_app = App(name="draft", help="Drafts of settings: save, compare, put in force, withdraw.")
To = Annotated[str, Parameter(help="A running service, such as http://127.0.0.1:8620; without it, the store and the file.")]
Who = Annotated[str, Parameter(help="Who decides (default: who is logged in).")]
Form = Literal["table", "json"]


@draft_app.command(name="save")
def draft_save(
    *values: Annotated[str, Parameter(help="Keys with new values, such as detection.min_count=4 detection.windows=[1,7].")],
    reason: str = "",
    number: Annotated[int | None, Parameter(help="A draft to change; without it, a new one.")] = None,
    actor: Who = "",
    settings: SettingsFile = None,
    to: To = "",
    language: LanguageOption = None,
) -> None:
    """Save a draft: nothing changes until it is put in force. Says how it differs from what is in force."""
    from earlywarning.cli.settings_drafts import save_draft  # noqa: PLC0415  # a command loads only what it needs

    save_draft(settings, values, reason, number, actor, to, language)


@draft_app.command(name="list")
def draft_list(*, settings: SettingsFile = None, to: To = "", format: Form = "table", language: LanguageOption = None) -> None:
    """Drafts, the newest first."""
    from earlywarning.cli.settings_drafts import list_drafts  # noqa: PLC0415  # a command loads only what it needs

    list_drafts(settings, to, format, language)


@draft_app.command(name="show")
def draft_show(
    number: int, *, settings: SettingsFile = None, to: To = "", format: Form = "table", language: LanguageOption = None
) -> None:
    """A draft, key by key beside what is in force."""
    from earlywarning.cli.settings_drafts import show_draft  # noqa: PLC0415  # a command loads only what it needs

    show_draft(settings, number, to, format, language)


@draft_app.command(name="apply")
def draft_apply(
    number: int, *, actor: Who = "", settings: SettingsFile = None, to: To = "", language: LanguageOption = None
) -> None:
    """Put a draft in force, as it stands against what is in force now."""
    from earlywarning.cli.settings_drafts import apply_draft  # noqa: PLC0415  # a command loads only what it needs

    apply_draft(settings, number, actor, to, language)


@draft_app.command(name="withdraw")
def draft_withdraw(
    number: int, *, actor: Who = "", settings: SettingsFile = None, to: To = "", language: LanguageOption = None
) -> None:
    """Give a draft up; it stays to be read."""
    from earlywarning.cli.settings_drafts import withdraw_draft  # noqa: PLC0415  # a command loads only what it needs

    withdraw_draft(settings, number, actor, to, language)


def versions(
    *, settings: SettingsFile = None, to: To = "", limit: int = 20, format: Form = "table", language: LanguageOption = None
) -> None:
    """Versions that were in force: when, by whom, why, and what each changed."""
    from earlywarning.cli.settings_drafts import list_versions  # noqa: PLC0415  # a command loads only what it needs

    list_versions(settings, to, limit, format, language)


def back(
    number: int | None = None,
    *,
    reason: str = "",
    actor: Who = "",
    settings: SettingsFile = None,
    to: To = "",
    language: LanguageOption = None,
) -> None:
    """Put the version before in force again, or the one of a number: of the keys that drafts may change."""
    from earlywarning.cli.settings_drafts import go_back  # noqa: PLC0415  # a command loads only what it needs

    go_back(settings, number, reason, actor, to, language)
