"""Mutes from the command line: on the store itself, or through a running service."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earlywarning.cli.place import OperatorError, load
from earlywarning.cli.service_call import ask
from earlywarning.core.rhythms import local_day
from earlywarning.locale import Language, Names, label
from earlywarning.locale.catalogue import counted_text, text
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.runtimes.muting import MuteWords, mute, shown, shown_mute
from earlywarning.settings import Settings
from earlywarning.store import Store, StoreLocked
from earlywarning.store.mutes import Mutes

__all__ = ["MuteWords", "add_mute", "end_mute", "list_mutes"]


def add_mute(
    settings_file: Path | None, words: MuteWords, to: str, token_file: Path | None, wanted: Language | None, *, only_preview: bool
) -> None:
    """Make a mute and say what it hits."""
    settings = load(settings_file)
    language = wanted or settings.municipality.language
    if to:
        said = _send(
            to, token_file, "/v1/mutes", msgspec.json.encode(words), {"preview": str(only_preview).lower(), "language": language}
        )
    else:
        register, tree = area_register(settings), category_tree(settings)
        with _store(settings, writer=not only_preview) as store:
            timezone = settings.municipality.timezone
            result = mute(store, register, tree, words, datetime.now(UTC), timezone, keep=not only_preview)
        said = shown(result, Names.from_registers(register, tree), language)
    console = Console(highlight=False)
    console.print(said["sentence"], markup=False, soft_wrap=True)
    for key in ("open", "last_year"):
        alerts = said[key]
        none = text(language, f"mute_{key}_none", "route")
        heading = counted_text(language, f"mute_{key}", len(alerts), "route") if alerts else none
        console.print(heading, markup=False, soft_wrap=True)
        for alert in alerts:
            console.print(f"  {alert['opened_on']}  {alert['alert_id']}  {alert['headline']}", markup=False, soft_wrap=True)
    if only_preview:
        console.print(text(language, "mute_preview", "route"))
    else:
        console.print(text(language, "mute_kept", "route", mute_id=said["mute_id"]), soft_wrap=True)


def end_mute(settings_file: Path | None, mute_id: str, who: str, to: str, token_file: Path | None, wanted: Language | None) -> None:
    """End a mute and say which."""
    settings = load(settings_file)
    language = wanted or settings.municipality.language
    if to:
        said = _send(to, token_file, f"/v1/mutes/{mute_id}/end", msgspec.json.encode({"who": who}), {"language": language})
    else:
        names = Names.from_registers(area_register(settings), category_tree(settings))
        with _store(settings, writer=True) as store:
            said = shown_mute(Mutes(store).end(mute_id, settings.municipality.code, who, datetime.now(UTC)), names, language)
    Console(highlight=False).print(said["sentence"], markup=False, soft_wrap=True)


def list_mutes(settings_file: Path | None, form: Literal["table", "json"], wanted: Language | None, *, everything: bool) -> None:
    """Mutes, those with the newest last day first."""
    settings = load(settings_file)
    language = wanted or settings.municipality.language
    names = Names.from_registers(area_register(settings), category_tree(settings))
    today = local_day(datetime.now(UTC), settings.municipality.timezone)
    with Store.open(settings.store_url) as store:
        mutes = Mutes(store).every(settings.municipality.code, None if everything else today)
    mutes = [m for m in mutes if everything or m.ended_at is None]
    if form == "json":
        print(json.dumps([shown_mute(m, names, language) for m in mutes], indent=1, ensure_ascii=False))
        return
    table = Table(show_lines=True)
    table.add_column(label("mute_id", language), no_wrap=True)
    table.add_column(label("what", language), ratio=1)
    table.add_column(label("who", language))
    for m in mutes:
        table.add_row(m.mute_id, Text(shown_mute(m, names, language)["sentence"] + (f"\n{m.note}" if m.note else "")), m.who)
    Console().print(table)


def _store(settings: Settings, *, writer: bool) -> Store:
    try:
        return Store.open(settings.store_url, writer=writer, holder="earlywarning mute")
    except StoreLocked as error:
        stated = f"http://{settings.service.host}:{settings.service.port}"
        address = next((word for word in error.holder.split() if word.startswith("http")), stated)
        raise OperatorError(f"{error}: add --to {address}") from error


def _send(to: str, token_file: Path | None, path: str, body: bytes, query: dict[str, str]) -> dict[str, Any]:
    status, said = ask(to, path, token_file, content=body, query=query, patience=30)
    if status >= 400:
        raise OperatorError(str(said.get("problem", f"{to} answers {status}")))
    return said
