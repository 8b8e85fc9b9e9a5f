"""Keeps what the group does about alerts, and who did what when: casework and the audit log."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from earlywarning.core.casework import Casework
from earlywarning.store import tables as t
from earlywarning.store.store import Store

_case = msgspec.json.Decoder(Casework)


class AuditEntry(NamedTuple):
    """One entry of the audit log: who did what to which subject, why, and the whole of it as JSON."""

    municipality: str
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str = ""
    note: str = ""
    body: str = "{}"
    answer_id: str | None = None


class Cases:
    """The casework of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def keep(self, cases: Sequence[Casework], entries: Sequence[AuditEntry] = ()) -> Callable[[sa.Connection], None]:
        """What `Store.commit` writes for them."""

        def write(c: sa.Connection) -> None:
            if cases:
                self._store.upsert(c, t.casework, [_row(case) for case in cases])
            if entries:
                c.execute(t.audit.insert(), [entry._asdict() for entry in entries])

        return write

    def get(self, alert_id: str) -> Casework | None:
        """The casework of an alert, None when there is none."""
        return self.of([alert_id]).get(alert_id)

    def of(self, alert_ids: Sequence[str]) -> dict[str, Casework]:
        """The casework of alerts, by their ids."""
        c = t.casework.c
        with self._store.reading() as connection:
            bodies = connection.execute(sa.select(c.body).where(c.alert_id.in_(alert_ids))).scalars().all()
        return {case.alert_id: case for case in map(_case.decode, bodies)}

    def every(self, municipality: str, stages: Sequence[str] = ()) -> list[Casework]:
        """All casework of a municipality, the newest first."""
        c = t.casework.c
        query = sa.select(c.body).where(c.municipality == municipality).order_by(c.opened_at.desc(), c.alert_id)
        if stages:
            query = query.where(c.stage.in_(stages))
        with self._store.reading() as connection:
            return [_case.decode(body) for body in connection.execute(query).scalars()]

    def explained(self) -> list[Casework]:
        """Casework of all municipalities that says something to the baselines."""
        c = t.casework.c
        query = sa.select(c.body).where(c.assessment.is_not(None), c.body.not_like('%"verdicts":[]%')).order_by(c.alert_id)
        with self._store.reading() as connection:
            return [_case.decode(body) for body in connection.execute(query).scalars()]

    def counts(self) -> tuple[list[tuple[str, str, int]], list[tuple[str, int]]]:
        """Of all municipalities: (tendency, assessment, how many) of assessed alerts, and (stage, how many)."""
        c, a = t.casework.c, t.alerts.c
        n = sa.func.count()
        joined = t.casework.join(t.alerts, a.alert_id == c.alert_id)
        assessed = sa.select(a.tendency, c.assessment, n).select_from(joined).where(c.assessment.is_not(None))
        with self._store.reading() as connection:
            rows = connection.execute(assessed.group_by(a.tendency, c.assessment))
            told = [(r[0], r[1], r[2]) for r in rows]
            stages = [(r[0], r[1]) for r in connection.execute(sa.select(c.stage, n).group_by(c.stage))]
        return told, stages

    def times_to_acknowledge(self, most: int = 1_000) -> list[float]:
        """Seconds from opening to acknowledgement of the newest alerts that were acknowledged."""
        c = t.casework.c
        query = sa.select(c.opened_at, c.acknowledged_at).where(c.acknowledged_at.is_not(None)).order_by(c.acknowledged_at.desc())
        with self._store.reading() as connection:
            return [(r[1] - r[0]).total_seconds() for r in connection.execute(query.limit(most))]

    def audit(
        self,
        municipality: str,
        subject: str | None = None,
        limit: int | None = None,
        *,
        only: Sequence[str] = (),
        without: Sequence[str] = (),
    ) -> list[AuditEntry]:
        """Entries of the audit log, the newest first. only, without: actions."""
        a = t.audit.c
        columns = [a[name] for name in AuditEntry._fields]
        query = sa.select(*columns).where(a.municipality == municipality).order_by(a.id.desc()).limit(limit)
        if subject is not None:
            query = query.where(a.subject == subject)
        if only:
            query = query.where(a.action.in_(only))
        if without:
            query = query.where(a.action.not_in(without))
        with self._store.reading() as connection:
            return [AuditEntry(*row) for row in connection.execute(query)]

    def answered(self, answer_id: str) -> bool:
        """Whether an answer of that id was taken already."""
        with self._store.reading() as connection:
            found = connection.execute(sa.select(t.audit.c.id).where(t.audit.c.answer_id == answer_id).limit(1)).first()
        return found is not None


def _row(case: Casework) -> dict[str, Any]:
    names = [column.name for column in t.casework.columns if column.name != "body"]
    return {**{name: getattr(case, name) for name in names}, "body": msgspec.json.encode(case).decode()}
