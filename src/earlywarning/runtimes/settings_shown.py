"""Drafts and versions of settings as the HTTP interface and the commands tell them."""

from typing import Any

import msgspec

from earlywarning.core.settings_draft import Draft, compared, standing
from earlywarning.runtimes.front import Place
from earlywarning.runtimes.settings_changes import Shown
from earlywarning.settings_drafting import values_of
from earlywarning.store.settings_drafts import Drafts


def shown_draft(place: Place, draft: Draft) -> dict[str, Any]:
    """A draft with its comparison."""
    in_force = values_of(place.settings)
    lines = compared(draft, in_force) if draft.state == "draft" else []
    return {
        **msgspec.to_builtins(draft),
        "standing": standing(draft, in_force),
        "comparison": [line._asdict() for line in lines],
        "clashes": [line.key for line in lines if line.clash],
    }


def drafts_shown(place: Place, limit: int | None) -> list[dict[str, Any]]:
    """The newest drafts, also those that are settled."""
    drafts = Drafts(place.store, place.register.municipality).every(limit=limit)
    return [shown_draft(place, draft) for draft in drafts]


def shown_version(shown: Shown) -> dict[str, Any]:
    """A version with what differs from the one before."""
    v = shown.version
    return {
        "number": v.number, "version": v.version, "applied_at": v.applied_at, "actor": v.actor, "reason": v.reason,
        "draft_id": v.draft_id, "in_force": shown.in_force,
        "difference": [{"key": key, "old": old, "new": new} for key, old, new in shown.difference],
    }  # fmt: skip
