"""The outbox: messages are kept in the transaction that made them necessary, and stay until they are delivered."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from earlywarning.core.outgoing import Outgoing
from earlywarning.store import tables as t
from earlywarning.store.store import Store

_NAMES = tuple(f.name for f in msgspec.structs.fields(Outgoing) if f.name != "not_before")


class Waiting(msgspec.Struct, frozen=True):
    """A message of the outbox with its number, and how often it was tried."""

    id: int
    message: Outgoing
    attempts: int
    state: str
    next_at: datetime
    problem: str


class Outbox:
    """The outbox of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, messages: Sequence[Outgoing]) -> Callable[[sa.Connection], None]:
        """What `Store.commit` writes for them. A message whose key is there already is not kept twice."""

        def write(c: sa.Connection) -> None:
            rows = [_row(m) for m in messages]
            if rows:
                c.execute(self._store.insert(t.outbox).on_conflict_do_nothing(index_elements=["key"]), rows)

        return write

    def due(self, channel: str, now: datetime, limit: int) -> list[Waiting]:
        """Messages of a channel that may be tried now, in their order: of each alert and recipient only the first that waits."""
        o = t.outbox.c
        mine = (o.channel == channel, o.state == "waiting")
        # One pass over what waits, without its bodies: asking for each message whether an earlier one waits is quadratic.
        first = sa.select(sa.func.min(o.id)).where(*mine, o.alert_id != "").group_by(o.alert_id, o.recipient)
        chosen = (
            sa.select(o.id).where(*mine, o.next_at <= now, sa.or_(o.alert_id == "", o.id.in_(first))).order_by(o.id).limit(limit)
        )
        with self._store.reading() as c:
            numbers = c.execute(chosen).scalars().all()
            query = sa.select(t.outbox).where(o.id.in_(numbers)).order_by(o.id)
            return [_read(row) for row in c.execute(query).mappings()] if numbers else []

    def settle(self, outcomes: Sequence[tuple[int, str, str]], now: datetime) -> None:
        """Messages that were delivered, given up (dead) or dropped: (number, state, problem)."""
        rows = [{"number": n, "to": state, "why": why[:2_000], "now": now} for n, state, why in outcomes]
        if rows:
            with self._store.writing() as c:
                c.execute(
                    t.outbox.update()
                    .where(t.outbox.c.id == sa.bindparam("number"))
                    .values(state=sa.bindparam("to"), problem=sa.bindparam("why"), settled_at=sa.bindparam("now"),
                            attempts=t.outbox.c.attempts + 1),
                    rows,
                )  # fmt: skip

    def postpone(self, outcomes: Sequence[tuple[int, datetime, str]]) -> None:
        """Messages that could not be delivered and are tried again: (number, when, problem)."""
        rows = [{"number": n, "when": when, "why": why[:2_000]} for n, when, why in outcomes]
        if rows:
            with self._store.writing() as c:
                c.execute(
                    t.outbox.update()
                    .where(t.outbox.c.id == sa.bindparam("number"))
                    .values(next_at=sa.bindparam("when"), problem=sa.bindparam("why"), attempts=t.outbox.c.attempts + 1),
                    rows,
                )

    def again(self, numbers: Sequence[int], now: datetime) -> int:
        """Have messages that were given up tried again; returns how many there were."""
        with self._store.writing() as c:
            o = t.outbox.c
            done = c.execute(
                t.outbox.update()
                .where(o.id.in_(numbers), o.state == "dead")
                .values(state="waiting", attempts=0, next_at=now, settled_at=None)
            )
            return int(done.rowcount)

    def messages(
        self, municipality: str | None = None, states: Sequence[str] = (), alert_id: str | None = None, limit: int | None = None
    ) -> list[Waiting]:
        """Messages, the newest first."""
        o = t.outbox.c
        query = sa.select(t.outbox).order_by(o.id.desc()).limit(limit)
        if municipality is not None:
            query = query.where(o.municipality == municipality)
        if states:
            query = query.where(o.state.in_(states))
        if alert_id is not None:
            query = query.where(o.alert_id == alert_id)
        with self._store.reading() as c:
            return [_read(row) for row in c.execute(query).mappings()]

    def counts(self) -> list[tuple[str, str, int]]:
        """(channel, state, how many)."""
        o = t.outbox.c
        with self._store.reading() as c:
            rows = c.execute(sa.select(o.channel, o.state, sa.func.count()).group_by(o.channel, o.state))
            return [(r[0], r[1], r[2]) for r in rows]

    def oldest(self, now: datetime) -> dict[str, datetime]:
        """By channel, since when the oldest message waits of those that are due or were tried."""
        o = t.outbox.c
        since = sa.case((o.attempts == 0, o.next_at), else_=o.created_at)
        query = sa.select(o.channel, sa.func.min(since)).where(o.state == "waiting", sa.or_(o.attempts > 0, o.next_at <= now))
        with self._store.reading() as c:
            rows = c.execute(query.group_by(o.channel))
            return {row[0]: row[1] if row[1].tzinfo else row[1].replace(tzinfo=UTC) for row in rows}


def _row(m: Outgoing) -> dict[str, Any]:
    row = {name: getattr(m, name) for name in _NAMES}
    return {**row, "state": "waiting", "attempts": 0, "next_at": m.not_before or m.created_at, "settled_at": None, "problem": ""}


def _read(row: Any) -> Waiting:
    message = Outgoing(**{name: row[name] for name in _NAMES})
    return Waiting(row["id"], message, row["attempts"], row["state"], row["next_at"], row["problem"])
