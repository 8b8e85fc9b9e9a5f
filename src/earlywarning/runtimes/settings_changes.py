"""What people do to settings, in both runtimes: keep drafts, compare them, put one in force, go back to a version before."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from earlywarning.core import settings_draft as core
from earlywarning.core.settings_draft import Decision, Draft, DraftError
from earlywarning.runtimes.assembly import engine_settings
from earlywarning.runtimes.front import Place
from earlywarning.settings import Settings, SettingsError
from earlywarning.settings_drafting import refusal, restoring, rewritten, tried, values_of, version_values
from earlywarning.store.settings_drafts import Drafts
from earlywarning.store.settings_versions import SettingsVersions, Version


class Shown(NamedTuple):
    """A version as it is shown: with what it changed, compared with the version before."""

    version: Version
    difference: list[tuple[str, Any, Any]]
    in_force: bool


def number_in_force(front: Place) -> int:
    """The number of the version in force."""
    newest = SettingsVersions(front.store, front.register.municipality).newest()
    return newest.number if newest else 0


def versions(front: Place, most: int) -> list[Shown]:
    """The newest versions, the newest first."""
    kept = SettingsVersions(front.store, front.register.municipality).every()[-most - 1 :]
    values = [version_values(v.text, front.settings.folder) for v in kept]
    out = [
        Shown(v, core.difference(values[i - 1], values[i]) if i and values[i] and values[i - 1] else [], in_force=v is kept[-1])
        for i, v in enumerate(kept)
    ]
    return out[::-1][:most]


def problems(front: Place, wanted: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with wanted values, by key; empty when they could be put in force."""
    try:
        _checked(front, front.settings, core.changed(wanted, values_of(front.settings)))
    except DraftError as error:
        return error.problems or {"": error.problem}
    return {}


def save(front: Place, wanted: Mapping[str, Any], reason: str, who: str, draft_id: int | None = None, revision: int = 0) -> Draft:
    """Keep a new draft, or another revision of one. Raises DraftError, StoreError."""
    drafts, now = Drafts(front.store, front.register.municipality), datetime.now(UTC)
    in_force, base = values_of(front.settings), number_in_force(front)
    wanted = _plain(front, wanted)
    if draft_id is None:
        return drafts.add(core.begun(front.register.municipality, wanted, in_force, base, reason, who, now))
    draft = core.revised(_seen(front, draft_id, revision), wanted, in_force, base, reason, who, now)
    drafts.replace(draft)
    return draft


def rebase(front: Place, draft_id: int, revision: int, who: str) -> Draft:
    """Base a draft on what is in force now. Raises DraftError, StoreError."""
    seen = _seen(front, draft_id, revision)
    draft = core.rebased(seen, values_of(front.settings), number_in_force(front), who, datetime.now(UTC))
    Drafts(front.store, front.register.municipality).replace(draft)
    return draft


def withdraw(front: Place, draft_id: int, revision: int, who: str) -> Draft:
    """Give a draft up. Raises DraftError, StoreError."""
    draft = core.withdrawn(_seen(front, draft_id, revision), who, datetime.now(UTC))
    Drafts(front.store, front.register.municipality).replace(draft)
    return draft


def apply(front: Place, draft_id: int, revision: int, seen: int, who: str) -> int:
    """Put a draft in force; returns the number of the new version.

    seen: the version against which it was compared. Raises DraftError (rule "stale" when that is in force no more), SettingsError,
    StoreError.
    """
    draft = get(front, draft_id)

    def rewrite(settings: Settings) -> str:
        _still(front, seen)
        changes = core.ready(get(front, draft_id), values_of(settings), revision)
        _checked(front, settings, changes)
        return rewritten(settings.text, changes)

    decision = Decision(actor=who, reason=draft.reason, draft_id=draft_id, revision=revision)
    return front.put_in_force(rewrite, decision)


def back(front: Place, to: int | None, seen: int, who: str, reason: str = "") -> int:
    """Put in force again what an earlier version said of the keys that a draft may change; returns the new version's number.

    to: without it, the newest version before that differs in them. Raises as `apply`.
    """
    kept = SettingsVersions(front.store, front.register.municipality).every()
    chosen = _before(front, kept) if to is None else next((v for v in kept if v.number == to), None)
    if chosen is None:
        raise DraftError("unknown", "there is no such version to go back to")
    reason = core.checked_reason(reason)

    def rewrite(settings: Settings) -> str:
        _still(front, seen)
        changes = restoring(settings.text, chosen.text)
        _checked(front, settings, changes)
        text = rewritten(settings.text, changes)
        if not changes or text == settings.text:
            raise DraftError("no-change", f"version {chosen.number} says the same of these keys as what is in force")
        return text

    return front.put_in_force(rewrite, Decision(actor=who, reason=reason, back_to=chosen.number))


def get(front: Place, draft_id: int) -> Draft:
    """A draft. Raises DraftError when there is none of that number, StoreError."""
    draft = Drafts(front.store, front.register.municipality).get(draft_id)
    if draft is None:
        raise DraftError("unknown", f"there is no draft {draft_id}")
    return draft


def before(front: Place) -> int | None:
    """The number of the version to which one click goes back, None when there is none."""
    found = _before(front, SettingsVersions(front.store, front.register.municipality).every())
    return found.number if found else None


def _before(front: Place, kept: list[Version]) -> Version | None:
    now = values_of(front.settings)
    for version in reversed(kept[:-1]):
        then = version_values(version.text, front.settings.folder)
        if then and core.difference(then, now):
            return version
    return None


def _seen(front: Place, draft_id: int, revision: int) -> Draft:
    draft = get(front, draft_id)
    if draft.revision != revision:
        raise DraftError("stale", f"{draft.changed_by} has changed the draft since; look at it again")
    return draft


def _still(front: Place, seen: int) -> None:
    if (now := number_in_force(front)) != seen:
        raise DraftError("stale", f"version {now} was put in force since; compare again and decide anew")


def _plain(front: Place, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Wanted values as the settings would hold them: 2 for a number is 2.0."""
    _, held = _checked(front, front.settings, core.changed(wanted, values_of(front.settings)))
    return {key: held[key] for key in wanted}


def _checked(front: Place, settings: Settings, changes: Mapping[str, Any]) -> tuple[Settings, dict[str, Any]]:
    """The settings with these changes, and their values. Raises DraftError for what a service could not run with."""
    new = tried(settings, changes)
    try:
        engine_settings(new, datetime.now(UTC), front.register, front.tree)
    except SettingsError as error:
        raise refusal(error) from error
    return new, values_of(new)
