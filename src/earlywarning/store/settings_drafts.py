"""Keeps drafts of settings; each change of one is written with its entry in the audit log.

The writer's lock does not guard them: the revision says who was first.
"""

from datetime import datetime

import msgspec
import sqlalchemy as sa

from earlywarning.core.settings_draft import Draft, DraftError, State, applied
from earlywarning.store import tables as t
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.store.store import Store

_draft = msgspec.json.Decoder(Draft)


class Drafts:
    """The drafts of one municipality's settings in a store."""

    def __init__(self, store: Store, municipality: str) -> None:
        self._store, self._own = store, municipality

    def add(self, draft: Draft) -> Draft:
        """Keep a new draft; returns it with its number. Raises StoreError."""
        with self._store.aside() as c:
            key = c.execute(t.settings_drafts.insert().values(**self._row(draft))).inserted_primary_key
            kept = msgspec.structs.replace(draft, draft_id=int(key[0]) if key else 0)
            self._put(c, kept, draft.revision)
            self._log(c, kept, "settings-draft")
        return kept

    def replace(self, draft: Draft) -> None:
        """Keep a draft in place of its revision before. Raises DraftError when somebody else was first, StoreError."""
        with self._store.aside() as c:
            if not self._put(c, draft, draft.revision - 1):
                raise DraftError("stale", "somebody has changed the draft since; look at it again")
            self._log(c, draft, "settings-withdrawn" if draft.state == "withdrawn" else "settings-draft")

    def settle(self, c: sa.Connection, draft_id: int, revision: int, number: int, who: str, at: datetime) -> None:
        """Mark a draft as put in force, in the caller's transaction. One that was changed in that moment stays a draft."""
        d = t.settings_drafts.c
        body = c.execute(sa.select(d.body).where(d.municipality == self._own, d.draft_id == draft_id)).scalar()
        if body is not None and (draft := _draft.decode(body)).state == "draft":
            self._put(c, applied(draft, number, who, at), revision)

    def get(self, draft_id: int) -> Draft | None:
        """One draft, None when there is none of that number."""
        d = t.settings_drafts.c
        with self._store.reading() as c:
            body = c.execute(sa.select(d.body).where(d.municipality == self._own, d.draft_id == draft_id)).scalar()
        return None if body is None else _draft.decode(body)

    def every(self, states: tuple[State, ...] = (), limit: int | None = None) -> list[Draft]:
        """Drafts, the newest first."""
        d = t.settings_drafts.c
        query = sa.select(d.body).where(d.municipality == self._own).order_by(d.draft_id.desc()).limit(limit)
        if states:
            query = query.where(d.state.in_(states))
        with self._store.reading() as c:
            return [_draft.decode(body) for body in c.execute(query).scalars()]

    def _put(self, c: sa.Connection, draft: Draft, revision: int) -> bool:
        d = t.settings_drafts.c
        ours = (d.municipality == self._own, d.draft_id == draft.draft_id, d.revision == revision)
        return bool(c.execute(t.settings_drafts.update().where(*ours).values(**self._row(draft))).rowcount)

    def _row(self, draft: Draft) -> dict[str, object]:
        body = msgspec.json.encode(draft).decode()
        return {"municipality": self._own, "state": draft.state, "revision": draft.revision, "body": body}

    def _log(self, c: sa.Connection, draft: Draft, action: str) -> None:
        body = msgspec.json.encode({"changes": draft.changes, "base": draft.base}).decode()
        entry = AuditEntry(
            self._own, draft.changed_at, draft.changed_by, action, f"draft/{draft.draft_id}", "", draft.reason, body
        )  # fmt: skip
        Cases(self._store).keep([], [entry])(c)
