"""Drafts of settings: what somebody would change and why, held against what is in force; who comes second is told so.

A value is what TOML and JSON have in common: bool, int, float, str, a list of these, or a dict of them. `in_force` is always the
values of all keys that a draft may change, defaults included.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple

import msgspec

from earlywarning.core.screening import find_personal_data

# What decides how counts are judged, and nothing else: a version before brings all of it back. What has left the group
# ([disclosure]), who comes in, where messages go and where data lie cannot be called back by a click: they stay with the file.
SECTIONS = ("detection", "alerts", "budget")
LONGEST_REASON = 2_000

Values = Mapping[str, Any]
State = Literal["draft", "applied", "withdrawn"]
DraftRule = Literal[
    "unknown", "unknown-key", "no-change", "stale", "clash", "settled", "no-reason", "reason", "personal-data", "actor", "invalid",
    "no-file", "file-differs", "unwritable",
]  # fmt: skip
Standing = Literal["draft", "in-force", "superseded", "withdrawn"]


class DraftError(ValueError):
    """Why a draft cannot be kept or put in force. rule: "stale" and "clash" say that somebody else was first.

    problems: what is wrong, by key; "" for what no single key has done.
    """

    def __init__(self, rule: DraftRule, problem: str, problems: Mapping[str, str] | None = None) -> None:
        self.rule, self.problem, self.problems = rule, problem, dict(problems or {})
        super().__init__(problem if not self.problems else "; ".join(f"{k}: {v}" if k else v for k, v in self.problems.items()))


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """Keys with new values, and what they were in the version on which the draft is based.

    base: that version's number. revision: counts what was done to the draft. number: of the version that it became.
    """

    draft_id: int = 0
    municipality: str
    base: int
    before: dict[str, Any]
    changes: dict[str, Any]
    reason: str = ""
    author: str
    made_at: datetime
    changed_by: str
    changed_at: datetime
    revision: int = 1
    state: State = "draft"
    number: int | None = None


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Who puts settings in force, and why. draft_id, revision: of the draft they come from; back_to: of the version they repeat."""

    actor: str
    reason: str
    draft_id: int | None = None
    revision: int = 0
    back_to: int | None = None


class Line(NamedTuple):
    """One key of a comparison. before: when the draft was made; now: in force; after: as the draft has it."""

    key: str
    before: Any
    now: Any
    after: Any
    clash: bool


def changed(wanted: Values, in_force: Values) -> dict[str, Any]:
    """What of the wanted values differs from those in force. Raises DraftError for a key that no draft may change."""
    if unknown := {key: "no draft may change this key" for key in wanted if key not in in_force}:
        raise DraftError("unknown-key", f"a draft may change keys of {', '.join(f'[{s}]' for s in SECTIONS)}", unknown)
    return {key: value for key, value in sorted(wanted.items()) if not same(value, in_force[key])}


def same(one: Any, other: Any) -> bool:
    """Whether two values are alike to the service: the order of a list says nothing, true is no number."""
    if isinstance(one, list) and isinstance(other, list):
        return sorted(map(repr, one)) == sorted(map(repr, other))
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def begun(municipality: str, wanted: Values, in_force: Values, base: int, reason: str, who: str, at: datetime) -> Draft:
    """A new draft. Raises DraftError when it changes nothing or may not be kept."""
    held = _held(wanted, in_force, reason)
    return Draft(municipality=municipality, base=base, author=who, made_at=at, changed_by=who, changed_at=at, **held)


def revised(draft: Draft, wanted: Values, in_force: Values, base: int, reason: str, who: str, at: datetime) -> Draft:
    """The draft with other values, based on what is in force now. Raises DraftError."""
    _must_be_open(draft)
    return _next(draft, who, at, base=base, **_held(wanted, in_force, reason))


def _held(wanted: Values, in_force: Values, reason: str) -> dict[str, Any]:
    """What a draft holds of the wanted values: those that differ, what they are now, and why."""
    changes = changed(wanted, in_force)
    if not changes:
        raise DraftError("no-change", "nothing differs from what is in force; change at least one key")
    return {"before": {key: in_force[key] for key in changes}, "changes": changes, "reason": checked_reason(reason)}


def rebased(draft: Draft, in_force: Values, base: int, who: str, at: datetime) -> Draft:
    """The same changes, now as changes of what is in force: who does this has seen the comparison. Raises DraftError."""
    return revised(draft, draft.changes, in_force, base, draft.reason, who, at)


def withdrawn(draft: Draft, who: str, at: datetime) -> Draft:
    """The draft, given up. Raises DraftError when it is settled already."""
    _must_be_open(draft)
    return _next(draft, who, at, state="withdrawn")


def applied(draft: Draft, number: int, who: str, at: datetime) -> Draft:
    """The draft, put in force as the version of that number."""
    return _next(draft, who, at, state="applied", number=number)


def ready(draft: Draft, in_force: Values, revision: int) -> dict[str, Any]:
    """The changes, when the draft may be put in force as it was seen. Raises DraftError."""
    _must_be_open(draft)
    if draft.revision != revision:
        raise DraftError("stale", f"{draft.changed_by} has changed the draft since; look at it again")
    if not draft.reason.strip():
        raise DraftError("no-reason", "a reason is missing; say why, for those who ask in a year")
    if found := clashes(draft, in_force):
        said = dict.fromkeys(found, "has been changed since the draft was made; compare it with what is in force now")
        raise DraftError("clash", "what is in force has changed since the draft was made", said)
    changes = changed(draft.changes, in_force)
    if not changes:
        raise DraftError("no-change", "all of it is in force already")
    return changes


def compared(draft: Draft, in_force: Values) -> list[Line]:
    """Key by key, what the draft would change; clashes among them."""
    clashing = set(clashes(draft, in_force))
    return [Line(k, draft.before.get(k), in_force.get(k), v, k in clashing) for k, v in sorted(draft.changes.items())]


def clashes(draft: Draft, in_force: Values) -> list[str]:
    """Keys of the draft that somebody else has changed since, to another value than the draft's."""
    return [
        key
        for key, value in sorted(draft.changes.items())
        if not same(in_force.get(key), draft.before.get(key)) and not same(in_force.get(key), value)
    ]


def standing(draft: Draft, in_force: Values) -> Standing:
    """Where a draft stands: one that was put in force is superseded as soon as one of its keys has another value."""
    if draft.state != "applied":
        return draft.state
    return "in-force" if all(same(in_force.get(key), value) for key, value in draft.changes.items()) else "superseded"


def difference(old: Values, new: Values) -> list[tuple[str, Any, Any]]:
    """(key, old, new) of every key that differs between two versions; None where a version does not know the key."""
    return [(k, old.get(k), new.get(k)) for k in sorted(old.keys() | new.keys()) if not same(old.get(k), new.get(k))]


def checked_reason(reason: str) -> str:
    """The reason without spaces around it. Raises DraftError when it is too long or holds personal data."""
    reason = reason.strip()
    if len(reason) > LONGEST_REASON:
        raise DraftError("reason", f"the reason has {len(reason)} characters; allowed: {LONGEST_REASON}")
    if (found := find_personal_data(reason)) is not None:
        raise DraftError("personal-data", f"the reason holds personal data ({found.rule}); name functions, and no persons")
    return reason


def _must_be_open(draft: Draft) -> None:
    if draft.state != "draft":
        done = "put in force" if draft.state == "applied" else "withdrawn"
        raise DraftError("settled", f"the draft was {done} already, by {draft.changed_by}; begin a new one")


def _next(draft: Draft, who: str, at: datetime, **values: Any) -> Draft:
    return msgspec.structs.replace(draft, changed_by=who, changed_at=at, revision=draft.revision + 1, **values)
