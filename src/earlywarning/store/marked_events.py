"""Keeps known events that were marked; each change is written with its entry in the audit log.

The writer's lock does not guard them: they are only added and taken away.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
import sqlalchemy as sa

from earlywarning.core.marked_events import MarkedEvent, MarkError
from earlywarning.store import tables as t
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.store.store import Store

_event = msgspec.json.Decoder(MarkedEvent)


class MarkedEvents:
    """The marked events of one municipality in a store."""

    def __init__(self, store: Store, municipality: str) -> None:
        self._store, self._own = store, municipality

    def add(self, events: Sequence[MarkedEvent]) -> list[MarkedEvent]:
        """Keep events that were checked (core.marked_events.checked), all or none; those that are there already are passed over.

        Returns the new ones with their numbers. Raises StoreError.
        """
        known = {_same(e) for e in self.every()}
        out = []
        with self._store.aside() as c:
            for event in events:
                if _same(event) in known:
                    continue
                known.add(_same(event))
                key = c.execute(t.marked_events.insert().values(**self._row(event))).inserted_primary_key
                kept = msgspec.structs.replace(event, mark_id=int(key[0]) if key else 0)
                m = t.marked_events.c
                c.execute(t.marked_events.update().where(m.mark_id == kept.mark_id).values(**self._row(kept)))
                self._log(c, kept, "known-event-added", kept.who, kept.made_at)
                out.append(kept)
        return out

    def remove(self, mark_id: int, who: str, at: datetime) -> MarkedEvent:
        """Take one away. Raises MarkError when there is none of that number, StoreError."""
        m = t.marked_events.c
        ours = (m.municipality == self._own, m.mark_id == mark_id)
        with self._store.aside() as c:
            body = c.execute(sa.select(m.body).where(*ours)).scalar()
            if body is None or not c.execute(t.marked_events.delete().where(*ours)).rowcount:
                raise MarkError("mark_id", "unknown", f"there is no known event {mark_id}")
            event = _event.decode(body)
            self._log(c, event, "known-event-removed", who, at)
        return event

    def every(self) -> list[MarkedEvent]:
        """All, the newest first."""
        m = t.marked_events.c
        query = sa.select(m.body).where(m.municipality == self._own).order_by(m.first_day.desc(), m.mark_id)
        with self._store.reading() as c:
            return [_event.decode(body) for body in c.execute(query).scalars()]

    def _row(self, event: MarkedEvent) -> dict[str, object]:
        return {"municipality": self._own, "first_day": event.first, "body": msgspec.json.encode(event).decode()}

    def _log(self, c: sa.Connection, event: MarkedEvent, action: str, who: str, at: datetime) -> None:
        body = msgspec.json.encode(event).decode()
        Cases(self._store).keep([], [AuditEntry(self._own, at, who, action, f"known/{event.mark_id}", "", event.name, body)])(c)


def _same(event: MarkedEvent) -> tuple[object, ...]:
    return event.name, event.first, event.last, event.areas, event.categories, event.kind, event.true
