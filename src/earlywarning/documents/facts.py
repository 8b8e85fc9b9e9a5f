"""What is true of a municipality's service now: from its settings and its store, never made up."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime

import msgspec
import sqlalchemy as sa

from earlywarning.core.alert_record import Alert
from earlywarning.core.calendar import date_of
from earlywarning.core.casework import Casework
from earlywarning.settings import Settings
from earlywarning.settings_retention import AUDIT_MONTHS, Retention, events_months
from earlywarning.store import Store
from earlywarning.store import tables as t
from earlywarning.store.accounts import Accounts
from earlywarning.store.cases import Cases
from earlywarning.store.plans import Plans, PlanVersion

RETENTION_KEYS = tuple(f.name for f in msgspec.structs.fields(Retention))


class Year(msgspec.Struct, frozen=True):
    """Alerts opened in a year, and how far the group came with them."""

    year: int
    alerts: int
    assessed: int
    confirmed: int
    with_measure: int
    followed_up: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the documents say of one service. first_event, last_event: None before any event. last_picture: the week of
    the picture that was sent last, or empty. retention: by key, months in force. forgotten: of the last run, as it noted it."""

    settings: Settings
    made_on: date
    first_event: date | None
    last_event: date | None
    events: int
    years: Sequence[Year]
    roles: Mapping[str, int]
    plans: Sequence[PlanVersion]
    versions: Sequence[tuple[str, datetime]]
    last_picture: str
    retention: Mapping[str, int]
    forgotten: Mapping[str, object]


def gather(settings: Settings, store: Store, made_on: date) -> Facts:
    """The facts as they are now. Raises StoreError."""
    own = settings.municipality.code
    span = store.page_span(own)
    with store.reading() as c:
        p = t.pages.c
        events = c.execute(sa.select(sa.func.coalesce(sa.func.sum(p.events), 0)).where(p.municipality == own)).scalar_one()
    cases = {case.alert_id: case for case in Cases(store).every(own)}
    noted = store.source_state(f"retention:{own}")
    r = settings.retention
    retention = {key: getattr(r, key) for key in RETENTION_KEYS} | {"events_months": events_months(r, settings.detection)}
    retention["names_months"] = max(retention["names_months"], AUDIT_MONTHS)
    return Facts(
        settings=settings,
        made_on=made_on,
        first_event=date_of(span[0]) if span else None,
        last_event=date_of(span[1]) if span else None,
        events=int(events),
        years=_years(store.alerts(municipality=own), cases),
        roles=Counter(a.role for a in Accounts(store, own).every() if a.disabled_at is None),
        plans=Plans(store).versions(own),
        versions=[(version, at) for _, version, at, _ in store.settings_versions()],
        last_picture=store.source_state(f"briefing:{own}") or "",
        retention=retention,
        forgotten=msgspec.json.decode(noted) if noted else {},
    )


def _years(alerts: Sequence[Alert], cases: Mapping[str, Casework]) -> list[Year]:
    out = []
    for year in sorted({a.opened_on.year for a in alerts}):
        these = [a for a in alerts if a.opened_on.year == year]
        worked = [cases[a.alert_id] for a in these if a.alert_id in cases]
        out.append(
            Year(
                year, len(these), sum(w.assessment is not None for w in worked), sum(w.assessment == "confirmed" for w in worked),
                sum(bool(w.measures) for w in worked), sum(any(m.followed_up_on for m in w.measures) for w in worked),
            )
        )  # fmt: skip
    return out
