"""Keeps the action plan in versions: each import is one, with who put it in force; none is ever changed."""

from datetime import datetime
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from earlywarning.core.action_plan import ActionPlan
from earlywarning.store import tables as t
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.store.errors import StoreError
from earlywarning.store.store import Store

_plan = msgspec.json.Decoder(ActionPlan)


class PlanVersion(NamedTuple):
    """A version of the plan: its number in this store, what it says in 12 digits, when and by whom it was put in force."""

    number: int
    version: str
    applied_at: datetime
    actor: str


class Plans:
    """The action plans of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(self, municipality: str, plan: ActionPlan, actor: str, at: datetime, note: str = "") -> int:
        """Put a plan in force, with its entry in the audit log, in one transaction; returns its number.

        The same plan as the one in force is not kept twice. Raises StoreError.
        """
        now = self.versions(municipality)
        if now and now[-1].version == plan.version:
            return now[-1].number
        number = 0
        row = {
            "municipality": municipality, "version": plan.version, "applied_at": at, "actor": actor,
            "body": msgspec.json.encode(plan).decode(),
        }  # fmt: skip

        def write(c: sa.Connection) -> None:
            nonlocal number
            key = c.execute(t.plans.insert().values(**row)).inserted_primary_key
            number = int(key[0]) if key else 0
            body = msgspec.json.encode({"number": number, "version": plan.version}).decode()
            entry = AuditEntry(municipality, at, actor, "plan", f"plan/{number}", "import", note, body)
            Cases(self._store).keep([], [entry])(c)

        self._store.commit(None, also=[write])
        return number

    def current(self, municipality: str) -> ActionPlan | None:
        """The plan in force, None when there is none."""
        p = t.plans.c
        query = sa.select(p.body).where(p.municipality == municipality).order_by(p.number.desc()).limit(1)
        with self._store.reading() as c:
            body = c.execute(query).scalar()
        return None if body is None else _read(body)

    def get(self, municipality: str, number: int) -> ActionPlan | None:
        """The plan of a number, None when there is none."""
        p = t.plans.c
        with self._store.reading() as c:
            body = c.execute(sa.select(p.body).where(p.municipality == municipality, p.number == number)).scalar()
        return None if body is None else _read(body)

    def versions(self, municipality: str) -> list[PlanVersion]:
        """All versions, the oldest first."""
        p = t.plans.c
        query = sa.select(p.number, p.version, p.applied_at, p.actor).where(p.municipality == municipality).order_by(p.number)
        with self._store.reading() as c:
            return [PlanVersion(*row) for row in c.execute(query)]


def _read(body: str) -> ActionPlan:
    try:
        return _plan.decode(body)
    except msgspec.DecodeError as error:
        raise StoreError(f"an action plan in the store cannot be read ({error}); import it again, or restore a backup") from error
