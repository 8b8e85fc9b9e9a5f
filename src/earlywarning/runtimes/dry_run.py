"""A dry run of routing: who would have got what, when and why, over the history that a store holds."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple

from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.areas import AreaRegister
from earlywarning.core.casework import Casework
from earlywarning.core.categories import CategoryTree
from earlywarning.core.kinship import Kinship
from earlywarning.core.rhythms import instant_at
from earlywarning.core.routing import Escalation, Recipient, Told, escalations, route
from earlywarning.locale import Language, Names, headline
from earlywarning.locale.routes import escalation_sentence, route_sentence
from earlywarning.runtimes.recipients import recipients_of, rules_of
from earlywarning.settings import Settings
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from earlywarning.store.mutes import Mutes
from earlywarning.store.sent import Sent

_BEFORE = timedelta(days=60)  # days before the first that are gone through, so that it is known who was told of what
COLUMNS = ("at", "recipient", "role", "channel", "way", "change", "alert_id", "headline", "why", "reason")


class Row(NamedTuple):
    """What one recipient would have heard of one change. at: when, or when the change was; way: at-once, later, digest,
    escalation, none; why: a code; reason: the same in words."""

    at: datetime
    recipient: str
    role: str
    channel: str
    way: str
    change: str
    alert_id: str
    headline: str
    why: str
    reason: str


def dry_run(
    store: Store, settings: Settings, register: AreaRegister, tree: CategoryTree, *, since: date, until: date, language: Language
) -> list[Row]:
    """A row for each change from since to until and each recipient, by the settings and mutes of now, in the order of time.

    When a change was is known to the hour for an opening; else it is taken to be the end of its day, as most are. Escalations
    follow from when an alert was really acknowledged, up to the end of the last day. Raises SettingsError, StoreError.
    """
    kin, timezone = Kinship.from_registers(register, tree), settings.municipality.timezone
    names = Names.from_registers(register, tree)
    recipients = recipients_of(settings, kin)
    roles = {r.name: r.role for r in recipients}
    history = Sent(store).changes(register.municipality, since - _BEFORE, until)
    mutes = Mutes(store).every(register.municipality)
    cases = Cases(store).of(sorted({h.alert.alert_id for h in history}))
    rules, end = rules_of(settings), instant_at(until + timedelta(days=1), 0, timezone)
    told: dict[str, frozenset[str]] = {}
    rows: list[Row] = []
    for change in sorted(history, key=lambda h: _moment(h, timezone)):
        moment, alert = _moment(change, timezone), change.alert
        said = headline(alert, names, language)

        def row(at: datetime, to: str, channel: str, way: str, why: str, reason: str, told_of: tuple[AlertChange, str]) -> Row:
            of, words = told_of
            return Row(at, to, roles[to], channel, way, of.change, of.alert.alert_id, words, why, reason)

        sent: list[Told] = []
        for d in route([change], recipients, mutes, kin, now=moment, told=told, rules=rules):
            if d.way in ("at-once", "later"):
                told[alert.alert_id] = told.get(alert.alert_id, frozenset()) | {d.recipient}
                sent.append(Told(d.recipient, d.at or moment))
            if change.on >= since:
                words = route_sentence(d, language, timezone)
                rows.append(row(d.at or moment, d.recipient, d.channel, d.way, d.why, words, (change, said)))
        if change.change == "opened" and change.on >= since:
            named = {r.name: r for r in recipients}
            for e in _escalated(alert, sent, cases.get(alert.alert_id), named, settings, end):
                reason = escalation_sentence(e, language, timezone)
                rows.append(row(e.at, e.to, named[e.to].channel, "escalation", "escalated", reason, (change, said)))
    return sorted(rows, key=lambda r: (r.at, r.alert_id, r.recipient))


def _moment(change: AlertChange, timezone: str) -> datetime:
    if change.change == "opened":
        return change.alert.opened_at
    return instant_at(change.on + timedelta(days=1), 0, timezone)


def _escalated(
    alert: Alert, sent: list[Told], case: Casework | None, named: Mapping[str, Recipient], settings: Settings, end: datetime
) -> list[Escalation]:
    """The chain of an alert, up to `end`, for as long as nobody acknowledged it."""
    rules, out = rules_of(settings), list[Escalation]()
    told = list(sent)
    acknowledged = case.acknowledged_at if case else None
    while True:
        waits = [t.at + named[t.recipient].escalate_after for t in told if named[t.recipient].escalates_to]
        for at in sorted(waits):
            if at >= end or (acknowledged is not None and acknowledged <= at):
                continue
            if more := escalations(alert, told, [e.to for e in out], named, at, rules):
                out += more
                told += [Told(e.to, e.at) for e in more]
                break
        else:
            return out


def gathered(rows: list[Row]) -> list[tuple[datetime, str, str, int]]:
    """The digests of a dry run: when, recipient, channel, and how many alerts each has to read."""
    found: dict[tuple[datetime, str, str], set[str]] = {}
    for row in rows:
        if row.way == "digest":
            found.setdefault((row.at, row.recipient, row.channel), set()).add(row.alert_id)
    return [(*key, len(alerts)) for key, alerts in sorted(found.items())]
