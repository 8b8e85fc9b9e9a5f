"""What was sent to whom, and what has happened since: what routing asks of the store."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from earlywarning.core.alert_record import Alert, AlertChange, Change
from earlywarning.core.casework import Casework, Stage
from earlywarning.core.digests import Happened
from earlywarning.store import tables as t
from earlywarning.store.store import Store

_alert = msgspec.json.Decoder(Alert)
_case = msgspec.json.Decoder(Casework)
_AT_ONCE = 500  # ids in one question


class SentMessage(NamedTuple):
    """A message of the outbox about an alert, without its body."""

    alert_id: str
    recipient: str
    kind: str
    created_at: datetime
    state: str


class Sent:
    """What a store knows of messages and of what they are about."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def about(self, channels: Sequence[str], alert_ids: Sequence[str]) -> list[SentMessage]:
        """Messages about alerts that went by one of these channels, in their order."""
        o = t.outbox.c
        out: list[SentMessage] = []
        with self._store.reading() as c:
            for begin in range(0, len(alert_ids), _AT_ONCE):
                these = alert_ids[begin : begin + _AT_ONCE]
                query = (
                    sa.select(o.alert_id, o.recipient, o.kind, o.created_at, o.state)
                    .where(o.channel.in_(channels), o.alert_id.in_(these), o.kind.in_(("alert", "escalation")))
                    .order_by(o.id)
                )
                out += [SentMessage(*row) for row in c.execute(query)]
        return out

    def happened(self, municipality: str, after: int) -> list[Happened]:
        """Entries of the histories of alerts behind a number, the oldest first."""
        h, a = t.alert_history.c, t.alerts.c
        query = (
            sa.select(h.id, h.alert_id, h.change, h.changed_on)
            .join(t.alerts, a.alert_id == h.alert_id)
            .where(a.municipality == municipality, h.id > after)
            .order_by(h.id)
        )
        with self._store.reading() as c:
            return [Happened(*row) for row in c.execute(query)]

    def changes(self, municipality: str, since: date, until: date) -> list[AlertChange]:
        """What happened to alerts on some local days, each with the alert as it then was, the oldest first."""
        h, a = t.alert_history.c, t.alerts.c
        query = (
            sa.select(h.change, h.changed_on, h.body)
            .join(t.alerts, a.alert_id == h.alert_id)
            .where(a.municipality == municipality, h.changed_on.between(since, until))
            .order_by(h.id)
        )
        with self._store.reading() as c:
            return [AlertChange(change, on, _alert.decode(body)) for change, on, body in c.execute(query)]

    def number_before(self, municipality: str, day: date) -> int:
        """Number of the newest entry of what happened before a local day; 0 for none."""
        h, a = t.alert_history.c, t.alerts.c
        query = (
            sa.select(sa.func.max(h.id))
            .join(t.alerts, a.alert_id == h.alert_id)
            .where(a.municipality == municipality, h.changed_on < day)
        )
        with self._store.reading() as c:
            return int(c.execute(query).scalar() or 0)

    def times(self, alert_id: str, change: Change, on: date) -> int:
        """How often a history tells this change on this day."""
        h = t.alert_history.c
        query = sa.select(sa.func.count()).where(h.alert_id == alert_id, h.change == change, h.changed_on == on)
        with self._store.reading() as c:
            return int(c.execute(query).scalar_one())

    def alerts(self, alert_ids: Sequence[str]) -> dict[str, Alert]:
        """Alerts by their ids."""
        out: dict[str, Alert] = {}
        with self._store.reading() as c:
            for begin in range(0, len(alert_ids), _AT_ONCE):
                query = sa.select(t.alerts.c.body).where(t.alerts.c.alert_id.in_(alert_ids[begin : begin + _AT_ONCE]))
                out |= {alert.alert_id: alert for alert in map(_alert.decode, c.execute(query).scalars())}
        return out

    def cases(self, municipality: str, stages: Sequence[Stage], states: Sequence[str]) -> list[tuple[Casework, Alert]]:
        """Casework in some stages of alerts in some states, the oldest first."""
        w, a = t.casework.c, t.alerts.c
        query = (
            sa.select(w.body, a.body)
            .join(t.alerts, a.alert_id == w.alert_id)
            .where(w.municipality == municipality, w.stage.in_(stages), a.state.in_(states))
            .order_by(w.opened_at, w.alert_id)
        )
        with self._store.reading() as c:
            return [(_case.decode(case), _alert.decode(alert)) for case, alert in c.execute(query)]

    def refused(self, municipality: str, source: str, since: datetime, until: datetime) -> int:
        """How many events of a source were refused from `since` to before `until`."""
        d = t.dead_letters.c
        query = sa.select(sa.func.count()).where(
            d.municipality == municipality, d.source == source, d.received_at >= since, d.received_at < until
        )
        with self._store.reading() as c:
            return int(c.execute(query).scalar_one())
