"""The digest: what is gathered for a meeting's agenda, instead of interrupting anyone."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from earlywarning.core.alert_record import Alert, Change
from earlywarning.core.casework import CHAIN, ENDED, Casework
from earlywarning.core.kinship import Kinship
from earlywarning.core.mutes import SEVERE, Mute, muted_by
from earlywarning.core.outgoing import AlertContent, DigestContent
from earlywarning.core.routing import Recipient, mismatch

OLDEST_OPEN = timedelta(days=60)  # an open alert is looked at at least this often; what is older belongs to a replayed past
_ORDER = ("opened", "reopened", "updated", "settled", "withdrawn")


class Happened(NamedTuple):
    """An entry of an alert's history. number: rises with each entry that the store keeps."""

    number: int
    alert_id: str
    change: Change
    on: date


def digest(
    happened: Iterable[Happened],
    alerts: Mapping[str, Alert],
    cases: Mapping[str, Casework],
    recipient: Recipient,
    mutes: Sequence[Mute],
    kin: Kinship,
    *,
    first_day: date,
    last_day: date,
    at: datetime,
    send_within: int,
    meeting: datetime | None = None,
) -> DigestContent:
    """What a recipient reads: all that happened since the last digest to alerts that concern them, and what still goes on.

    happened: entries since the last digest, the oldest first, each of which goes into one digest only. alerts: those that they
    are about, those that are open, and those that the group works on, as they are now. What happened earlier than `send_within`
    days before first_day, as in a replay of the past, is left out. What the group has closed is told once, when it is new.
    """
    changes: dict[str, list[Change]] = {}
    for h in happened:
        if (first_day - h.on).days <= send_within:
            changes.setdefault(h.alert_id, []).append(h.change)
    news: list[AlertContent] = []
    ongoing: list[AlertContent] = []
    muted: list[AlertContent] = []
    for alert_id, alert in alerts.items():
        case = cases.get(alert_id)
        if case is None or mismatch(alert, recipient, kin) is not None:
            continue
        own = changes.get(alert_id, [])
        new = "opened" in own
        change: Change = "opened" if new else own[-1] if own else "updated"
        if case.stage in ENDED and not new and change != "reopened":
            continue
        if not own and not _goes_on(alert, case, last_day):
            continue
        mute = muted_by(alert, alert.opened_on, at, mutes, kin)
        held = mute is not None and (new or mute.last_day >= last_day)
        (muted if held else news if own else ongoing).append(AlertContent(alert=alert, change=change, casework=case))
    for part in (news, ongoing, muted):
        part.sort(key=lambda c: c.alert.opened_at, reverse=True)
        part.sort(key=lambda c: (_ORDER.index(c.change), c.alert.tendency != SEVERE))
    return DigestContent(first_day=first_day, last_day=last_day, alerts=news, ongoing=ongoing, muted=muted, meeting=meeting)


def _goes_on(alert: Alert, case: Casework, today: date) -> bool:
    if case.stage in CHAIN:
        return True
    return alert.state == "open" and today - alert.last_day <= OLDEST_OPEN
