"""Commands for the group's answers: answer an alert, and what the answers tell."""

import getpass
import json
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.table import Table

from earlywarning.cli.place import OperatorError, load
from earlywarning.cli.service_call import ask
from earlywarning.core.casework import Answer, Casework
from earlywarning.core.learning import FEWEST, Precision, Rate, Recommendation, Waiting
from earlywarning.locale import Language, Names
from earlywarning.locale.catalogue import number_words, percent_words, text
from earlywarning.runtimes.answering import Answering
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.runtimes.learned import learned
from earlywarning.settings import Settings
from earlywarning.store import Store

_PATIENCE = 30.0  # seconds


def answer_alert(
    settings_file: Path | None, to: str, token_file: Path | None, fields: dict[str, Any], language: Language | None
) -> None:
    """Send an answer to a running service, or put it into the store where none runs."""
    settings = load(settings_file)
    words = language or settings.municipality.language
    given = {k: v for k, v in fields.items() if v not in (None, "")}
    given = {"answer_id": uuid.uuid4().hex, "actor": getpass.getuser(), **given}
    if to:
        case = _sent(to, token_file, given)
    else:
        try:
            said = msgspec.convert({**given, "at": datetime.now(UTC)}, Answer)
        except msgspec.ValidationError as error:
            raise OperatorError(f"this is no answer: {error}") from error
        with Store.open(settings.store_url, writer=True) as store:
            case = Answering(store).take(said, settings.municipality.code, timezone=settings.municipality.timezone)
    print(text(words, "thanks", "answer", stage=text(words, case.stage, "stage")))


def _sent(to: str, token_file: Path | None, given: dict[str, Any]) -> Casework:
    alert_id = given.pop("alert_id")
    status, body = ask(
        to, f"/v1/alerts/{alert_id}/answers", token_file, content=msgspec.json.encode(given), patience=_PATIENCE
    )  # fmt: skip
    if status != 200:
        raise OperatorError(str(body.get("problem", status)))
    return msgspec.convert(body["casework"], Casework)


def show_learning(
    settings_file: Path | None, since: date | None, form: Literal["table", "json"], language: Language | None
) -> None:
    """What the answers tell."""
    settings = load(settings_file)
    words = language or settings.municipality.language
    with Store.open(settings.store_url) as store:
        told = learned(store, settings, since)
    if form == "json":
        print(json.dumps(msgspec.to_builtins(told), indent=1, ensure_ascii=False))
        return
    _print(told, settings, words)


def _print(told: dict[str, Any], settings: Settings, language: Language) -> None:
    def t(key: str, **values: object) -> str:
        return text(language, key, "learning", **values)

    def n(value: float) -> str:
        return number_words(value, language)

    console = Console(highlight=False)
    names = Names.from_registers(area_register(settings), category_tree(settings))
    called = {
        "tendency": lambda key: text(language, key, "label"), "area": lambda key: names.area(key, language),
        "category": lambda key: names.category(key, language), "settings": lambda key: key,
    }  # fmt: skip
    rate: Rate = told["rate"]
    waiting: Waiting = told["acknowledged"]
    console.print(
        t(
            "rate",
            n=rate.alerts,
            weeks=n(rate.weeks),
            rate=n(rate.per_week),
            low=n(rate.low),
            high=n(rate.high),
            budget=n(rate.budget),
        )
    )
    if waiting.acknowledged:
        hours = {"median": n(waiting.median_hours), "p90": n(waiting.p90_hours)}
        console.print(t("acknowledged", n=waiting.acknowledged, waiting=waiting.waiting, **hours))
    else:
        console.print(t("unacknowledged", waiting=waiting.waiting))
    advice: Recommendation = told["recommendation"]
    assessed = max((c.assessed for c in advice.evidence), default=0)
    if not assessed:
        console.print(t("empty"))
    else:
        for what, rows in told["precision"].items():
            console.print(_table(t(f"by_{what}"), rows, called[what], language))
    console.print(t(advice.verdict, budget=n(advice.budget), level=percent_words(advice.level, language), n=assessed, least=FEWEST))
    if advice.verdict != "wait":
        for c in advice.evidence:
            console.print("  " + t("candidate", budget=n(c.budget), assessed=c.assessed, confirmed=c.confirmed, missed=c.missed))
        console.print(t("decide"))


def _table(title: str, rows: list[Precision], called: Any, language: Language) -> Table:
    def t(key: str) -> str:
        return text(language, key, "learning")

    table = Table(title=title, title_justify="left")
    table.add_column("", overflow="fold", ratio=1)
    others = " / ".join(t(key) for key in ("known-cause", "false-alarm", "data-fault"))
    for heading in (t("alerts"), t("assessed"), t("confirmed"), others, t("share")):
        table.add_column(heading, justify="right", overflow="fold")
    for r in rows:
        interval = (
            f"{percent_words(r.share, language)}\n({percent_words(r.low, language)}\N{EN DASH}{percent_words(r.high, language)})"
        )
        other = f"{r.known_cause} / {r.false_alarm} / {r.data_fault}" if r.assessed else ""
        table.add_row(called(r.key), str(r.alerts), str(r.assessed), str(r.confirmed), other, interval if r.assessed else "")
    return table
