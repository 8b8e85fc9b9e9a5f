"""Keeps every version of the settings that was put in force: when, by whom and why, with its entry in the audit log."""

from datetime import datetime
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from earlywarning.core.settings_draft import Decision
from earlywarning.store import tables as t
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.store.settings_drafts import Drafts
from earlywarning.store.source_states import last_event, settings_clock
from earlywarning.store.store import Store


class Version(NamedTuple):
    """Settings that were put in force. actor: empty when the file was edited."""

    number: int
    version: str
    applied_at: datetime
    text: str
    actor: str
    reason: str
    draft_id: int | None


class SettingsVersions:
    """The versions of one municipality's settings in a store."""

    def __init__(self, store: Store, municipality: str) -> None:
        self._store, self._own = store, municipality

    def add(self, version: str, text: str, at: datetime, decision: Decision | None = None) -> int:
        """Keep settings that are put in force; returns their number. The same text as the last is not kept twice.

        decision: who decided it; the draft that it says is then put in force as well. Raises StoreError.
        """
        actor, reason = (decision.actor, decision.reason) if decision else ("", "")
        draft_id = decision.draft_id if decision else None
        with self._store.writing() as c:
            s = t.settings_versions.c
            newest = sa.select(s.number, s.version, s.text).where(s.municipality == self._own).order_by(s.number.desc()).limit(1)
            last = c.execute(newest).first()
            if last is not None and (last.version, last.text) == (version, text):
                return int(last.number)
            row = {
                "version": version, "applied_at": at, "text": text, "municipality": self._own, "actor": actor, "reason": reason,
                "draft_id": draft_id,
            }  # fmt: skip
            key = c.execute(t.settings_versions.insert().values(**row)).inserted_primary_key
            number = int(key[0]) if key else 0
            # Where the engine's clock stood: in a replay the wall clock says nothing of which days the settings judged.
            e = t.engine_state.c
            clock = c.execute(sa.select(e.clock_day, e.clock_hour).where(e.municipality == self._own)).first()
            if clock is not None:
                before = sa.select(t.source_state.c.body).where(t.source_state.c.name == last_event(self._own))
                place = f"{clock[0]} {clock[1]} {c.execute(before).scalar() or ''}".rstrip()
                self._store.upsert(c, t.source_state, [{"name": settings_clock(number), "body": place}])
            if decision is not None and draft_id is not None:
                Drafts(self._store, self._own).settle(c, draft_id, decision.revision, number, actor, at)
            if last is not None or decision is not None:  # the first settings of all are no change
                back = decision is not None and decision.back_to is not None
                body = {"number": number, "version": version, "draft": draft_id, "back_to": decision.back_to if decision else None}
                action = "settings-back" if back else "settings"
                said = msgspec.json.encode(body).decode()
                Cases(self._store).keep([], [AuditEntry(self._own, at, actor, action, f"settings/{number}", "", reason, said)])(c)
            return number

    def every(self) -> list[Version]:
        """All versions, the oldest first."""
        s = t.settings_versions.c
        query = sa.select(*(s[name] for name in Version._fields)).where(s.municipality == self._own).order_by(s.number)
        with self._store.reading() as c:
            return [Version(*row) for row in c.execute(query)]

    def newest(self) -> Version | None:
        """The version in force, None when none was kept yet."""
        s = t.settings_versions.c
        query = sa.select(*(s[name] for name in Version._fields)).where(s.municipality == self._own)
        with self._store.reading() as c:
            row = c.execute(query.order_by(s.number.desc()).limit(1)).first()
        return None if row is None else Version(*row)
