"""Forgets what has been kept for as long as it may be, in the transaction of whoever asks; and has its bytes gone."""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, time

import msgspec
import sqlalchemy as sa

from earlywarning.core.calendar import day_number
from earlywarning.core.casework import ENDED, Casework
from earlywarning.core.forgetting import months_before
from earlywarning.core.marked_events import MarkedEvent
from earlywarning.core.settings_draft import Draft
from earlywarning.store import tables as t
from earlywarning.store.store import Store

# What is counted as forgotten, in this order.
KINDS = (
    "events", "alerts", "data-notes", "casework-notes", "mutes", "audit", "messages", "dead-letters", "accounts", "sessions",
    "tokens", "plan-names", "plans", "settings-names", "settings", "settings-drafts", "known-events",
)  # fmt: skip
_AUDIT_MONTHS = 24  # as the triggers of the table have it
_case = msgspec.json.Decoder(Casework)
_draft = msgspec.json.Decoder(Draft)
_mark = msgspec.json.Decoder(MarkedEvent)


def forget(
    store: Store,
    municipality: str,
    before: Mapping[str, date],
    sessions_before: datetime,
    in_force: Collection[str],
    said: dict[str, int],
    *,
    by_provider: bool = False,
) -> Callable[[sa.Connection], None]:
    """What `Store.commit` writes to forget.

    before: by events, alerts, names, messages, dead-letters, accounts, versions: what is older than that local day goes.
    An alert that is open stays, and so does one whose days are still in a baseline: its casework says what was explained.
    in_force: versions of settings that stay whatever their age. by_provider: people may come in without a password of ours, so that
    an account that has none may be in use. said: filled with how many rows of each of KINDS went.
    """
    events, alerts = before["events"], min(before["alerts"], before["events"])
    names, versions = _moment(before["names"]), _moment(before["versions"])
    p, a, n, m, o, d = t.pages.c, t.alerts.c, t.data_notes.c, t.mutes.c, t.outbox.c, t.dead_letters.c

    def write(c: sa.Connection) -> None:
        def gone(what: str, statement: sa.Delete | sa.Update) -> None:
            said[what] = int(c.execute(statement).rowcount)

        gone("events", t.pages.delete().where(p.municipality == municipality, p.day < day_number(events)))
        old = (a.municipality == municipality, a.state != "open", a.last_day < alerts, a.opened_on < alerts)
        ids = sa.select(a.alert_id).where(*old)
        c.execute(t.alert_history.delete().where(t.alert_history.c.alert_id.in_(ids)))
        c.execute(t.casework.delete().where(t.casework.c.alert_id.in_(ids)))
        c.execute(t.outbox.delete().where(o.municipality == municipality, o.alert_id.in_(ids)))  # they hold what the alert said
        gone("alerts", t.alerts.delete().where(*old))
        gone("data-notes", t.data_notes.delete().where(n.municipality == municipality, n.noted_on < alerts))
        said["casework-notes"] = _blank_casework(c, municipality, names)
        gone("mutes", t.mutes.delete().where(m.municipality == municipality, m.last_day < before["names"]))
        # A clock that runs ahead must not stop all the rest at the trigger that guards young entries.
        young = _moment(months_before(datetime.now(UTC).date(), _AUDIT_MONTHS))
        gone("audit", t.audit.delete().where(t.audit.c.municipality == municipality, t.audit.c.at < min(names, young)))
        still_open = sa.select(a.alert_id).where(a.municipality == municipality, a.state == "open")
        aged = (o.municipality == municipality, o.created_at < _moment(before["messages"]))
        gone("messages", t.outbox.delete().where(*aged, o.alert_id.not_in(still_open)))
        aged_letters = (d.municipality == municipality, d.received_at < _moment(before["dead-letters"]))
        gone("dead-letters", t.dead_letters.delete().where(*aged_letters))
        people = _people(municipality, _moment(before["accounts"]), sessions_before, by_provider=by_provider)
        for what, statement in [*people, *_versions(municipality, names, versions, in_force)]:
            gone(what, statement)
        k = t.marked_events.c
        gone("known-events", t.marked_events.delete().where(k.municipality == municipality, k.first_day < alerts))
        _unname_marks(c, municipality, names)
        said["settings-drafts"] = _forget_drafts(c, municipality, names)

    return write


def forget_strays(known: Collection[str], before: date) -> Callable[[sa.Connection], None]:
    """Refused events that name no municipality of ours (known): nobody else's retention reaches them."""
    d = t.dead_letters.c
    statement = t.dead_letters.delete().where(d.municipality.not_in(known), d.received_at < _moment(before))

    def write(c: sa.Connection) -> None:
        c.execute(statement)

    return write


def _moment(day: date) -> datetime:
    return datetime.combine(day, time(), tzinfo=UTC)


def _blank_casework(c: sa.Connection, municipality: str, before: datetime) -> int:
    """Casework that has ended loses who took it and what was written in own words; what was done stays with the alert."""
    w = t.casework.c
    chosen = sa.select(w.alert_id, w.body).where(w.municipality == municipality, w.opened_at < before, w.stage.in_(ENDED))
    blank = 0
    for alert_id, body in c.execute(chosen).all():
        case = _case.decode(body)
        causes = tuple(msgspec.structs.replace(cause, note="") for cause in case.causes)
        without = msgspec.structs.replace(case, acknowledged_by="", picture=None, causes=causes)
        if without != case:
            text = msgspec.json.encode(without).decode()
            c.execute(t.casework.update().where(w.alert_id == alert_id).values(body=text))
            blank += 1
    return blank


def _unname_marks(c: sa.Connection, municipality: str, before: datetime) -> None:
    """Known events lose who marked them."""
    k = t.marked_events.c
    for number, body in c.execute(sa.select(k.mark_id, k.body).where(k.municipality == municipality)).all():
        mark = _mark.decode(body)
        if mark.made_at < before and mark.who:
            text = msgspec.json.encode(msgspec.structs.replace(mark, who="")).decode()
            c.execute(t.marked_events.update().where(k.mark_id == number).values(body=text))


def _forget_drafts(c: sa.Connection, municipality: str, before: datetime) -> int:
    """Drafts of settings that nobody has touched since: what came of one stands in its version."""
    d = t.settings_drafts.c
    kept = c.execute(sa.select(d.draft_id, d.body).where(d.municipality == municipality)).all()
    old = [number for number, body in kept if _draft.decode(body).changed_at < before]
    c.execute(t.settings_drafts.delete().where(d.draft_id.in_(old)))
    return len(old)


def _people(
    municipality: str, before: datetime, sessions_before: datetime, *, by_provider: bool
) -> list[tuple[str, sa.Delete | sa.Update]]:
    a, s, k = t.accounts.c, t.sessions.c, t.tokens.c
    unused = sa.and_(a.password_hash.is_(None), a.set_up_until.is_not(None), a.set_up_until < before)
    disabled = sa.and_(a.disabled_at.is_not(None), a.disabled_at < before)
    ended = disabled if by_provider else sa.or_(disabled, unused)
    return [
        ("sessions", t.sessions.delete().where(s.municipality == municipality, s.begun_at < sessions_before)),
        ("accounts", t.accounts.delete().where(a.municipality == municipality, ended)),
        ("tokens", t.tokens.delete().where(k.municipality == municipality, k.revoked_at.is_not(None), k.revoked_at < before)),
    ]


def _versions(
    municipality: str, names: datetime, before: datetime, in_force: Collection[str]
) -> list[tuple[str, sa.Delete | sa.Update]]:
    p, s = t.plans.c, t.settings_versions.c
    newest = sa.select(sa.func.max(p.number)).where(p.municipality == municipality).scalar_subquery()
    own = s.municipality == municipality
    aged = (own, s.applied_at < before, s.version.not_in(in_force))
    return [
        (
            "plan-names",
            t.plans.update().where(p.municipality == municipality, p.applied_at < names, p.actor != "").values(actor=""),
        ),
        ("plans", t.plans.delete().where(p.municipality == municipality, p.applied_at < before, p.number != newest)),
        (
            "settings-names",
            t.settings_versions.update().where(own, s.applied_at < names, s.actor != "").values(actor="", reason=""),
        ),
        ("settings", t.settings_versions.delete().where(*aged)),
    ]


def scrub(store: Store, *, whole: bool = False) -> bool:
    """After something was forgotten: have no copy of it left in SQLite's log, or in PostgreSQL's dead rows.

    whole: SQLite's file is written anew, for what was deleted before deleted bytes were overwritten. False when a reader kept
    SQLite's log from being emptied: ask again. Raises StoreError.
    """
    if store.dialect == "postgresql":
        store.maintain(f"vacuum {', '.join(t.metadata.tables)}")
        return True
    if whole:
        store.maintain("vacuum")
    return not store.maintain("pragma wal_checkpoint(truncate)")[0]
