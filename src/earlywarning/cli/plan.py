"""Commands for the action plan: import, show, versions, differences, export, follow-up."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from earlywarning.cli.options import LanguageOption, SettingsFile, TokenFile

plan_app = App(
    name="plan",
    help="The action plan: import it, see where its priorities stand, follow it up.",
    group="Coordinators and analysts",
)


@plan_app.command(name="import")
def import_(
    file: Path,
    *,
    settings: SettingsFile = None,
    actor: Annotated[str, Parameter(help="Who puts it in force: a function or a user, for the audit log.")] = "command line",
    note: Annotated[str, Parameter(help="Why it was changed, for the audit log.")] = "",
    check: Annotated[bool, Parameter(help="Only say whether the file is right.", negative="")] = False,
    to: Annotated[str, Parameter(help="A running service, such as http://127.0.0.1:8620; without it, the store.")] = "",
    token_file: TokenFile = None,
) -> None:
    """Check a plan in TOML or CSV against the registers, and put it in force as a new version."""
    from earlywarning.cli.planning import import_plan  # noqa: PLC0415  # a command loads only what it needs

    import_plan(settings, file, actor, note, check_only=check, to=to, token_file=token_file)


@plan_app.command
def show(*, settings: SettingsFile = None, number: int | None = None, language: LanguageOption = None) -> None:
    """Where each priority of the plan in force (or of a version) stands."""
    from earlywarning.cli.planning import show_plan  # noqa: PLC0415  # a command loads only what it needs

    show_plan(settings, number, language)


@plan_app.command
def versions(*, settings: SettingsFile = None) -> None:
    """All versions of the plan: when, and by whom, they were put in force."""
    from earlywarning.cli.planning import list_versions  # noqa: PLC0415  # a command loads only what it needs

    list_versions(settings)


@plan_app.command
def diff(old: int | None = None, new: int | None = None, *, settings: SettingsFile = None) -> None:
    """What differs between two versions; without numbers, between the last two."""
    from earlywarning.cli.planning import diff_plans  # noqa: PLC0415  # a command loads only what it needs

    diff_plans(settings, old, new)


@plan_app.command
def export(
    *,
    settings: SettingsFile = None,
    number: int | None = None,
    out: Annotated[
        Path, Parameter(name=["--out", "-o"], allow_leading_hyphen=True, help="TOML file; - for standard output.")
    ] = Path("-"),
) -> None:
    """Write the plan in force (or a version) as TOML, to be changed and imported again."""
    from earlywarning.cli.planning import export_plan  # noqa: PLC0415  # a command loads only what it needs

    export_plan(settings, number, out)


@plan_app.command(name="follow-up")
def follow_up(
    *,
    year: int,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="Folder for page and PDF.")],
    settings: SettingsFile = None,
    language: LanguageOption = None,
    smallest: Annotated[
        int | None, Parameter(help="Counts below this are not shown (default: disclosure.least_count); 1 shows all, for the group.")
    ] = None,
) -> None:
    """The yearly follow-up as HTML page and tagged PDF; without --language in both languages."""
    from earlywarning.cli.planning import write_follow_up  # noqa: PLC0415  # a command loads only what it needs

    write_follow_up(settings, year, out, language, smallest, datetime.now(UTC))
