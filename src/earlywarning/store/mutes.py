"""Keeps mutes; each is written with its entry in the audit log."""

from datetime import date, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from earlywarning.core.mutes import Mute, MuteError, checked_who
from earlywarning.store import tables as t
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.store.store import Store

_mute = msgspec.json.Decoder(Mute)


class Mutes:
    """The mutes of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, mute: Mute) -> None:
        """Keep a mute that was checked (core.mutes.checked). The same one again changes nothing."""
        with self._store.writing() as c:
            if c.execute(sa.select(t.mutes.c.mute_id).where(t.mutes.c.mute_id == mute.mute_id)).first() is None:
                c.execute(t.mutes.insert(), [_row(mute)])
                self._log(c, mute, "mute", mute.who, mute.made_at)

    def end(self, mute_id: str, municipality: str, who: str, at: datetime) -> Mute:
        """End a mute before its last day. Raises MuteError when there is none of that id that lasts."""
        who = checked_who(who)
        with self._store.writing() as c:
            m = t.mutes.c
            body = c.execute(sa.select(m.body).where(m.mute_id == mute_id, m.municipality == municipality)).scalar()
            if body is None:
                raise MuteError("mute_id", "unknown", f"there is no mute {mute_id[:40]!r}; `earlywarning mute list` names them")
            mute = _mute.decode(body)
            if mute.ended_at is not None:
                raise MuteError("mute_id", "ended", f"was ended already, on {mute.ended_at.date()} by {mute.ended_by}")
            ended = msgspec.structs.replace(mute, ended_at=at, ended_by=who)
            self._store.upsert(c, t.mutes, [_row(ended)])
            self._log(c, ended, "unmute", who, at)
            return ended

    def every(self, municipality: str, lasting_on: date | None = None) -> list[Mute]:
        """Mutes, those with the newest last day first. lasting_on: only those that end on this day or later."""
        m = t.mutes.c
        query = sa.select(m.body).where(m.municipality == municipality).order_by(m.last_day.desc(), m.mute_id)
        if lasting_on is not None:
            query = query.where(m.last_day >= lasting_on)
        with self._store.reading() as c:
            return [_mute.decode(body) for body in c.execute(query).scalars()]

    def _log(self, c: sa.Connection, mute: Mute, action: str, who: str, at: datetime) -> None:
        entry = AuditEntry(
            mute.municipality,
            at,
            who,
            action,
            mute.mute_id,
            reason=mute.reason,
            note=mute.note,
            body=msgspec.json.encode(mute).decode(),
        )
        Cases(self._store).keep([], [entry])(c)


def _row(mute: Mute) -> dict[str, Any]:
    names = [column.name for column in t.mutes.columns if column.name != "body"]
    return {**{name: getattr(mute, name) for name in names}, "body": msgspec.json.encode(mute).decode()}
