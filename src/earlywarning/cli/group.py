"""Commands of the coordination group: answer an alert, what the answers tell, the weekly picture."""

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from earlywarning.cli.options import LanguageOption, SettingsFile, TokenFile


def answer(
    alert_id: str,
    action: Literal["acknowledge", "assess", "picture", "cause", "measure", "follow-up", "close", "reopen", "merge", "note"],
    *,
    settings: SettingsFile = None,
    actor: Annotated[str, Parameter(help="Who answers (default: who is logged in).")] = "",
    assessment: Literal["confirmed", "known-cause", "false-alarm", "data-fault"] | None = None,
    reason: Annotated[str, Parameter(help="Of an assessment, a closing, a reopening; a wrong one lists those allowed.")] = "",
    note: Annotated[str, Parameter(help="About places and situations, never about persons.")] = "",
    situation: str = "",
    target: str = "",
    motivation: str = "",
    cause: Annotated[str, Parameter(help="Of the analysis; a wrong one lists those allowed.")] = "",
    answers: Annotated[int | None, Parameter(help="The cause, by its number, that a measure answers.")] = None,
    what: str = "",
    owner: Annotated[str, Parameter(help="Of a measure: a function or unit.")] = "",
    begins: date | None = None,
    due: date | None = None,
    goal: str = "",
    measure: Annotated[int | None, Parameter(help="The measure, by its number, that is followed up.")] = None,
    outcome: str = "",
    into: Annotated[str, Parameter(help="The alert that this one is part of.")] = "",
    to: Annotated[str, Parameter(help="A running service, such as http://127.0.0.1:8620; without it, the store.")] = "",
    token_file: TokenFile = None,
    language: LanguageOption = None,
) -> None:
    """Answer an alert: acknowledge, assess, describe the problem, name causes, decide and follow up measures, close."""
    from earlywarning.cli.answers import answer_alert  # noqa: PLC0415  # a command loads only what it needs

    picture = {"situation": situation, "target": target, "motivation": motivation}
    fields = {
        "alert_id": alert_id, "action": action, "actor": actor, "assessment": assessment, "reason": reason, "note": note,
        "picture": picture if any(picture.values()) else None, "cause": cause, "answers": answers, "what": what, "owner": owner,
        "begins": begins, "due": due, "goal": goal, "measure": measure, "outcome": outcome, "into": into,
    }  # fmt: skip
    answer_alert(settings, to, token_file, fields, language)


def learning(
    *,
    settings: SettingsFile = None,
    since: Annotated[date | None, Parameter(help="Alerts opened since.")] = None,
    format: Literal["table", "json"] = "table",  # the option's name
    language: LanguageOption = None,
) -> None:
    """What the group's answers tell: precision, time to acknowledge, alerts a week, a recommendation."""
    from earlywarning.cli.answers import show_learning  # noqa: PLC0415  # a command loads only what it needs

    show_learning(settings, since, format, language)


def briefing(
    *,
    settings: SettingsFile = None,
    week: Annotated[str, Parameter(help="ISO week, such as 2026-W12; without it the newest that is over.")] = "",
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="Folder for the files.")] = Path(),
    format: Annotated[str, Parameter(help="Some of html,pdf,json,mail.")] = "html,pdf",  # the option's name
    language: LanguageOption = None,
    audience: Annotated[
        Literal["group", "outside"], Parameter(name="--for", help="Outside the group small counts are hidden ([disclosure]).")
    ] = "group",
    send: Annotated[bool, Parameter(help="Put it into the outbox, for those who want it.", negative="")] = False,
    to: Annotated[tuple[str, ...], Parameter(help="Who gets it in their place: recipients of the settings.", negative="")] = (),
    service: Annotated[str, Parameter(help="A running service that sends it, such as http://127.0.0.1:8620.")] = "",
    token_file: TokenFile = None,
) -> None:
    """The weekly situational picture (lägesbild): what is new, alerts, map, what rose and fell, as page, PDF and mail."""
    from earlywarning.cli.briefing import write_briefing  # noqa: PLC0415  # a command loads only what it needs

    write_briefing(settings, week, out, format, language, audience, send, to, service, token_file)
