"""Drafts and versions of settings from the command line: on store and file, or through a running service."""

import getpass
import json
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earlywarning.cli.place import OperatorError, find_settings
from earlywarning.core.settings_draft import Decision
from earlywarning.locale import Language
from earlywarning.locale.pages import page_text
from earlywarning.runtimes import settings_changes as changes
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.runtimes.settings_file import Rewrite, put_in_file
from earlywarning.runtimes.settings_shown import drafts_shown, shown_draft, shown_version
from earlywarning.settings import Settings, load_settings
from earlywarning.store import Store, StoreLocked
from earlywarning.store.settings_versions import SettingsVersions

_PATIENCE = 120.0  # seconds: counts and thresholds are made anew before the answer comes


class Alone:
    """A municipality without a running service: its file and its store."""

    def __init__(self, file: Path, settings: Settings, store: Store) -> None:
        self.settings, self.store, self._file = settings, store, file
        self.register, self.tree = area_register(settings), category_tree(settings)

    def put_in_force(self, rewrite: Rewrite, decision: Decision) -> int:
        """Into the file; the service reads it when it starts. Raises DraftError, SettingsError, StoreError."""
        return put_in_file(self._file, self.settings, rewrite, decision, self.keep)

    def keep(self, settings: Settings, decision: Decision | None) -> int:
        """Keep settings as a version."""
        versions = SettingsVersions(self.store, settings.municipality.code)
        return versions.add(settings.version, settings.text, datetime.now(UTC), decision)


@contextmanager
def _alone(named: Path | None, *, writer: bool) -> Iterator[Alone]:
    file = find_settings(named)
    settings = load_settings(file)
    try:
        store = Store.open(settings.store_url, writer=writer, holder="earlywarning settings")
    except StoreLocked as error:
        stated = f"http://{settings.service.host}:{settings.service.port}"
        address = next((word for word in error.holder.split() if word.startswith("http")), stated)
        raise OperatorError(f"{error}: add --to {address}") from error
    with store:
        yield Alone(file, settings, store)


def _sent(to: str, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        answer = httpx.request(method, f"{to.rstrip('/')}{path}", json=body, timeout=_PATIENCE)
        said: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise OperatorError(f"{to} did not answer ({type(error).__name__}); is the service running?") from error
    if answer.status_code == 401:
        raise OperatorError("the service asks who you are: where people sign in, drafts are put in force on its page /settings")
    if answer.is_error:
        raise OperatorError(str(said.get("problem", f"{to} answers {answer.status_code}")))
    return said


def _words(named: Path | None, wanted: Language | None) -> Language:
    return wanted or load_settings(find_settings(named)).municipality.language


def _values(words: Sequence[str]) -> dict[str, Any]:
    """Values as in TOML; a text may go without quotes."""
    out = {}
    for word in words:
        key, equals, written = word.partition("=")
        if not equals:
            raise OperatorError(f"{word!r} is no key with a value; write it as detection.min_count=4")
        try:
            out[key.strip()] = tomllib.loads(f"value = {written}")["value"]
        except tomllib.TOMLDecodeError:
            out[key.strip()] = written.strip()
    return out


def save_draft(
    named: Path | None, words: Sequence[str], reason: str, number: int | None, actor: str, to: str, wanted: Language | None
) -> None:
    """Save a new draft, or another revision of one, and compare it."""
    if not words:
        raise OperatorError("name at least one key with its value: earlywarning settings draft save detection.min_count=4")
    values, who = _values(words), actor or getpass.getuser()
    if to:
        body = {"changes": values, "reason": reason, "actor": who}
        path = "/v1/settings/drafts"
        if number is not None:
            body["revision"] = _sent(to, "GET", f"{path}/{number}")["revision"]
            path = f"{path}/{number}"
        said = _sent(to, "POST", path, body)
    else:
        with _alone(named, writer=False) as place:
            revision = changes.get(place, number).revision if number is not None else 0
            said = shown_draft(place, changes.save(place, values, reason, who, number, revision))
    _print_draft(said, _words(named, wanted))


def list_drafts(named: Path | None, to: str, form: Literal["table", "json"], wanted: Language | None) -> None:
    """All drafts."""
    if to:
        drafts = _sent(to, "GET", "/v1/settings/drafts")["drafts"]
    else:
        with _alone(named, writer=False) as place:
            drafts = drafts_shown(place, None)
    if form == "json":
        print(json.dumps(msgspec.to_builtins(drafts), indent=1, ensure_ascii=False))
        return
    language = _words(named, wanted)
    table = _table(language, "nr", "state", "changes", "reason", "who")
    for d in drafts:
        said = "\n".join(f"{k} = {json.dumps(v)}" for k, v in d["changes"].items())
        table.add_row(
            str(d["draft_id"]), page_text(language, "standing", d["standing"]), Text(said), Text(d["reason"]), Text(d["author"])
        )
    Console().print(table)


def show_draft(named: Path | None, number: int, to: str, form: Literal["table", "json"], wanted: Language | None) -> None:
    """One draft, compared."""
    said = _draft(named, number, to)
    if form == "json":
        print(json.dumps(msgspec.to_builtins(said), indent=1, ensure_ascii=False))
    else:
        _print_draft(said, _words(named, wanted))


def _draft(named: Path | None, number: int, to: str) -> dict[str, Any]:
    if to:
        return _sent(to, "GET", f"/v1/settings/drafts/{number}")
    with _alone(named, writer=False) as place:
        return shown_draft(place, changes.get(place, number))


def apply_draft(named: Path | None, number: int, actor: str, to: str, wanted: Language | None) -> None:
    """Put a draft in force."""
    who = actor or getpass.getuser()
    if to:
        seen = _sent(to, "GET", "/v1/settings")["number"]
        revision = _sent(to, "GET", f"/v1/settings/drafts/{number}")["revision"]
        body = {"revision": revision, "seen": seen, "actor": who}
        new = _sent(to, "POST", f"/v1/settings/drafts/{number}/apply", body)["number"]
    else:
        new = _decided(
            named, lambda place, seen: changes.apply(place, number, changes.get(place, number).revision, seen, who)
        )  # fmt: skip
    print(page_text(_words(named, wanted), "settings", "saved_version", number=new))


def withdraw_draft(named: Path | None, number: int, actor: str, to: str, wanted: Language | None) -> None:
    """Give a draft up."""
    who = actor or getpass.getuser()
    if to:
        revision = _sent(to, "GET", f"/v1/settings/drafts/{number}")["revision"]
        _sent(to, "POST", f"/v1/settings/drafts/{number}/withdraw", {"revision": revision, "actor": who})
    else:
        with _alone(named, writer=False) as place:
            changes.withdraw(place, number, changes.get(place, number).revision, who)
    print(page_text(_words(named, wanted), "settings", "saved_withdraw"))


def go_back(named: Path | None, number: int | None, reason: str, actor: str, to: str, wanted: Language | None) -> None:
    """Put a version before in force again."""
    who = actor or getpass.getuser()
    if to:
        seen = _sent(to, "GET", "/v1/settings")["number"]
        body = {"seen": seen, "to": number, "reason": reason, "actor": who}
        new = _sent(to, "POST", "/v1/settings/back", body)["number"]
    else:
        new = _decided(named, lambda place, seen: changes.back(place, number, seen, who, reason))
    print(page_text(_words(named, wanted), "settings", "saved_version", number=new))


def _decided(named: Path | None, decide: Callable[[Alone, int], int]) -> int:
    with _alone(named, writer=True) as place:
        # The file may have been changed since the service ended: that is a version of its own, before this one.
        seen = place.keep(place.settings, None)
        return decide(place, seen)


def list_versions(named: Path | None, to: str, limit: int, form: Literal["table", "json"], wanted: Language | None) -> None:
    """The newest versions."""
    if to:
        found = _sent(to, "GET", f"/v1/settings/versions?limit={limit}")["versions"]
    else:
        with _alone(named, writer=False) as place:
            found = [shown_version(v) for v in changes.versions(place, limit)]
    found = msgspec.to_builtins(found)
    if form == "json":
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return
    language = _words(named, wanted)
    table = _table(language, "nr", "since", "who", "reason", "difference")
    for v in found:
        said = "\n".join(f"{d['key']}: {json.dumps(d['old'])} -> {json.dumps(d['new'])}" for d in v["difference"])
        at = datetime.fromisoformat(v["applied_at"]).strftime("%Y-%m-%d %H:%M UTC")
        table.add_row(
            str(v["number"]), at, Text(v["actor"] or page_text(language, "settings", "by_file")), Text(v["reason"]), Text(said)
        )
    Console().print(table)


def _print_draft(said: dict[str, Any], language: Language) -> None:
    console = Console(highlight=False)
    title = page_text(language, "settings", "draft_nr", number=said["draft_id"])
    standing = page_text(language, "standing", said["standing"])
    console.print(f"{title} ({standing}): {said['reason'] or '-'}", markup=False, soft_wrap=True)
    for line in said["comparison"]:
        clash = f"  ({page_text(language, 'settings', 'clashes')})" if line["clash"] else ""
        text = f"{line['key']}: {json.dumps(line['now'])} -> {json.dumps(line['after'])}{clash}"
        console.print(f"  {text}", markup=False, soft_wrap=True)
        console.print(f"    {page_text(language, 'setting', line['key'])}", markup=False, soft_wrap=True)


def _table(language: Language, *keys: str) -> Table:
    table = Table(show_lines=True)
    for key in keys:
        table.add_column(page_text(language, "settings", key), overflow="fold")
    return table
