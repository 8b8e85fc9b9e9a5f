"""Dispatch: what a change of alerts, and what time itself, puts into the outbox; in both runtimes alike.

A runtime asks `of_changes` before it keeps a batch's changes, and keeps the answer in the same transaction. What falls due by the
clock (digests, escalations, what reporters hear, casework that expires) is asked once a minute, see DispatchLoop.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, timedelta
from typing import Self

import msgspec
import structlog
from sqlalchemy import Connection

from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import date_of
from earlywarning.core.casework import CHAIN, Answer, Casework, Touched, answer
from earlywarning.core.categories import CategoryTree
from earlywarning.core.changes import Changes
from earlywarning.core.digests import digest
from earlywarning.core.kinship import Kinship
from earlywarning.core.outgoing import AlertContent, Kind, Outgoing, key_of
from earlywarning.core.returning import LOOK_BACK, earlier_alerts
from earlywarning.core.rhythms import local_day
from earlywarning.core.routing import ENDS, Decision, Recipient, Told, escalations, route
from earlywarning.runtimes.recipients import meeting_of, recipients_of, rules_of
from earlywarning.runtimes.reporting_back import Place, Reports
from earlywarning.settings import Settings
from earlywarning.store import Store, StoreError
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.store.mutes import Mutes
from earlywarning.store.outbox import Outbox
from earlywarning.store.sent import Sent, SentMessage

log = structlog.get_logger(__name__)
ACTOR = "earlywarning"  # who lets casework expire
_EVERY = 60.0  # seconds between two looks at what is due


class DigestPlace(msgspec.Struct, frozen=True):
    """Up to when a recipient's digests reach: the moment, and the number of the last entry of a history that they told."""

    at: datetime
    number: int


class DispatchState(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered between two looks: by recipient and by reporter."""

    digests: dict[str, DigestPlace] = {}
    reporters: dict[str, Place] = {}
    format: int = 1


_state = msgspec.json.Decoder(DispatchState)


class Dispatch:
    """Who hears what in one municipality. Nothing is written here: callers keep what they get, in one transaction."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        register: AreaRegister,
        tree: CategoryTree,
        *,
        links: Callable[[Alert, Recipient], dict[str, str]] | None = None,
        touched: Callable[[Alert], tuple[Touched, ...]] | None = None,
        pictures: Callable[[datetime], tuple[list[Outgoing], dict[str, str]]] | None = None,
    ) -> None:
        """links: addresses by action that a message about an alert offers a recipient. touched: priorities of the action plan
        that an alert touches. pictures: the weekly pictures that are due, and the state to be kept with them.

        Raises SettingsError for areas and categories that the registers do not have.
        """
        self.store, self.settings = store, settings
        self.kin = Kinship.from_registers(register, tree)
        self.recipients = recipients_of(settings, self.kin)
        self.municipality = settings.municipality.code
        self._named = {r.name: r for r in self.recipients}
        self._channels = sorted({r.channel for r in self.recipients})
        self._rules, self._meeting = rules_of(settings), meeting_of(settings)
        self._links = links or (lambda alert, recipient: {})
        self._touched = touched or (lambda alert: ())
        self._pictures = pictures or (lambda now: ([], {}))
        self._cases, self._sent, self._mutes = Cases(store), Sent(store), Mutes(store)

    # ---- what a batch changed -------------------------------------------------------------------------------------

    def of_changes(self, changes: Changes, now: datetime) -> tuple[list[Casework], list[Outgoing]]:
        """Casework of alerts that have none yet, and the messages that these changes send at once.

        Both are to be kept with the changes: Store.commit(changes, also=[cases.keep(new), outbox.put(messages)]).
        """
        if not changes.history:
            return [], []
        alerts = {h.alert.alert_id: h.alert for h in changes.history} | {a.alert_id: a for a in changes.alerts}
        changed = list(dict.fromkeys(h.alert.alert_id for h in changes.history))
        known = self._cases.of(changed)
        new = self._new_cases([alerts[i] for i in changed if i not in known], alerts.values())
        cases = known | {case.alert_id: case for case in new}
        return new, self._messages(changes.history, alerts, cases, now)

    def kept_with(self, changes: Changes, now: datetime) -> list[Callable[[Connection], None]]:
        """What is written in the transaction that keeps the changes: see `of_changes`."""
        cases, messages = self.of_changes(changes, now)
        return [self._cases.keep(cases), Outbox(self.store).put(messages)] if cases or messages else []

    def _new_cases(self, opened: Sequence[Alert], batch: Iterable[Alert]) -> list[Casework]:
        if not opened:
            return []
        days = [a.opened_on for a in opened]
        kept = self.store.alerts(municipality=self.municipality, since=min(days) - LOOK_BACK, until=max(days))
        others = {a.alert_id: a for a in kept} | {a.alert_id: a for a in batch}
        return [
            Casework(
                alert_id=a.alert_id, municipality=a.municipality, opened_at=a.opened_at,
                earlier=earlier_alerts(a, others.values(), self.kin), touched=self._touched(a),
            )
            for a in opened
        ]  # fmt: skip

    def _messages(
        self, history: Sequence[AlertChange], alerts: Mapping[str, Alert], cases: Mapping[str, Casework], now: datetime
    ) -> list[Outgoing]:
        today = local_day(now, self._rules.timezone)
        news = [h for h in history if (today - h.on).days <= self._rules.send_within]
        if not news or not self.recipients:
            return []
        ended = list({h.alert.alert_id for h in news if h.change in ENDS})
        told: dict[str, set[str]] = {}
        for message in self._sent.about(self._channels, ended) if ended else []:
            if message.kind == "alert":
                told.setdefault(message.alert_id, set()).add(message.recipient)
        mutes = self._mutes.every(self.municipality, lasting_on=min(h.on for h in news))
        decisions = route(
            news,
            self.recipients,
            mutes,
            self.kin,
            now=now,
            told={i: frozenset(names) for i, names in told.items()},
            rules=self._rules,
        )
        messages, turns = [], dict[tuple[str, str, date, str], int]()
        for d in decisions:
            if d.way not in ("at-once", "later"):
                continue
            turn = turns.get(again := (d.alert_id, d.change, d.on, d.recipient), 0)
            turns[again] = turn + 1
            messages.append(self._about(d, turn, alerts[d.alert_id], cases[d.alert_id], now))
        return messages

    def _about(self, d: Decision, turn: int, alert: Alert, case: Casework, now: datetime) -> Outgoing:
        # What comes and goes within a day is told each time that it does; all else comes once.
        turn += self._sent.times(d.alert_id, d.change, d.on) if d.change in ("withdrawn", "reopened") else 0
        key = key_of(d.alert_id, d.change, d.on.isoformat(), d.recipient, *([str(turn)] if turn else []))
        recipient = self._named[d.recipient]
        content = AlertContent(alert=alert, change=d.change, casework=case, links=self._links(alert, recipient))
        return self._outgoing(key, "alert", recipient, content, now, d.alert_id, d.at if d.way == "later" else None)

    def _outgoing(
        self,
        key: str,
        kind: Kind,
        to: Recipient,
        content: msgspec.Struct,
        now: datetime,
        alert_id: str = "",
        at: datetime | None = None,
    ) -> Outgoing:
        return Outgoing(
            key=key, municipality=self.municipality, channel=to.channel, recipient=to.name, kind=kind, created_at=now,
            body=msgspec.json.encode(content).decode(), alert_id=alert_id, language=to.language, not_before=at,
        )  # fmt: skip

    # ---- what time brings -----------------------------------------------------------------------------------------

    def due(self, now: datetime) -> tuple[list[Outgoing], dict[str, str]]:
        """Digests, escalations and what reporters hear, as far as they are due; and the state to be kept with them.

        Store.commit(None, source_state=state, also=[outbox.put(messages)]); both are empty when nothing is due.
        """
        name = f"dispatch:{self.municipality}"
        body = self.store.source_state(name)
        before = _state.decode(body) if body else DispatchState()
        messages, digests = self._digests(before.digests, now)
        messages += self._escalations(now)
        reports = Reports(self.store, self.settings, self.kin, now)
        reporters = {}
        for reporter, section in self.settings.reporters.items():
            more, reporters[reporter] = reports.due(reporter, section, before.reporters.get(reporter, Place()))
            messages += more
        after = DispatchState(digests=digests, reporters=reporters)
        return messages, {} if after == before else {name: msgspec.json.encode(after).decode()}

    def _digests(self, places: Mapping[str, DigestPlace], now: datetime) -> tuple[list[Outgoing], dict[str, DigestPlace]]:
        messages: list[Outgoing] = []
        kept: dict[str, DigestPlace] = {}
        for recipient in self.recipients:
            if recipient.digest is None:
                continue
            last = recipient.digest.last(now)
            place = places.get(recipient.name)
            if place is None:  # new: the first digest tells what happened since the last one would have come
                day = local_day(last, self._rules.timezone)
                place = DigestPlace(last, self._sent.number_before(self.municipality, day))
            if last > place.at:
                message, place = self._digest(recipient, place, last, now)
                messages += message
            kept[recipient.name] = place
        return messages, kept

    def _digest(
        self, recipient: Recipient, place: DigestPlace, last: datetime, now: datetime
    ) -> tuple[list[Outgoing], DigestPlace]:
        happened = self._sent.happened(self.municipality, place.number)
        alerts = {a.alert_id: a for a in self.store.alerts(municipality=self.municipality, states=("open",))}
        worked = self._sent.cases(self.municipality, CHAIN, ("open", "settled", "withdrawn"))
        alerts |= {a.alert_id: a for _, a in worked}
        first_day, last_day = local_day(place.at, self._rules.timezone), local_day(last, self._rules.timezone)
        recent = [h.alert_id for h in happened if (first_day - h.on).days <= self._rules.send_within]
        alerts |= self._sent.alerts([i for i in dict.fromkeys(recent) if i not in alerts])
        content = digest(
            happened, alerts, self._cases.of(list(alerts)), recipient, self._mutes.every(self.municipality), self.kin,
            first_day=first_day, last_day=last_day, at=now, send_within=self._rules.send_within, meeting=self._meeting.next(last),
        )  # fmt: skip
        told = DigestPlace(last, happened[-1].number if happened else place.number)
        # A week without news is news for a meeting, a day without is not.
        if not (recipient.weekly or content.alerts or content.muted):
            return [], told
        key = key_of(self.municipality, "digest", recipient.name, last.isoformat())
        return [self._outgoing(key, "digest", recipient, content, now)], told

    def _escalations(self, now: datetime) -> list[Outgoing]:
        if not any(r.escalates_to for r in self.recipients):
            return []
        waiting = {case.alert_id: (case, alert) for case, alert in self._sent.cases(self.municipality, ("new",), ("open",))}
        messages: dict[str, list[SentMessage]] = {}
        for message in self._sent.about(self._channels, list(waiting)) if waiting else []:
            messages.setdefault(message.alert_id, []).append(message)
        out = []
        for alert_id, sent in messages.items():
            case, alert = waiting[alert_id]
            told = [Told(m.recipient, m.created_at, m.state == "dead") for m in sent]
            done = [m.recipient for m in sent if m.kind == "escalation"]
            for e in escalations(alert, told, done, self._named, now, self._rules):
                to = self._named[e.to]
                content = AlertContent(
                    alert=alert, change="opened", casework=case, links=self._links(alert, to), waiting_since=e.since
                )
                key = key_of(alert_id, "escalation", e.to)
                out.append(self._outgoing(key, "escalation", to, content, now, alert_id, e.at if e.at > now else None))
        return out

    def expired(self, now: datetime) -> tuple[list[Casework], list[AuditEntry]]:
        """Casework of alerts that are over and that nobody has assessed in time: expired, with entries for the audit log."""
        today = local_day(now, self._rules.timezone)
        if self.settings.service.clock == "events":
            state = self.store.engine_state(self.municipality)
            today = min(today, date_of(state[0])) if state else today
        after = timedelta(days=self.settings.routing.expire_after_days)
        cases, entries = [], []
        for case, alert in self._sent.cases(self.municipality, ("new", "acknowledged"), ("settled", "withdrawn")):
            if today - (alert.settled_on or alert.updated_on) < after:
                continue
            said = Answer(
                answer_id=key_of(case.alert_id, "expire", str(case.revision)), alert_id=case.alert_id, action="expire", actor=ACTOR,
                at=now, revision=case.revision,
            )  # fmt: skip
            cases.append(answer(case, said))
            body = msgspec.json.encode(said).decode()
            entries.append(AuditEntry(self.municipality, now, ACTOR, "expire", case.alert_id, body=body, answer_id=said.answer_id))
        return cases, entries

    def tick(self, now: datetime, answering: AbstractContextManager[object] | None = None) -> int:
        """Keep all that is due; returns how many messages that were.

        answering: held meanwhile, so that nobody answers an alert between the look at its casework and its expiry.
        """
        with answering or nullcontext():
            messages, state = self.due(now)
            cases, entries = self.expired(now)
            if messages or state or cases:
                also = [self._cases.keep(cases, entries), Outbox(self.store).put(messages)]
                self.store.commit(None, source_state=state, also=also)
        # By themselves, and without holding up answers: a picture takes seconds, and one that fails must not stop the others.
        pictures, made = self._pictures(now)
        if pictures or made:
            self.store.commit(None, source_state=made, also=[Outbox(self.store).put(pictures)])
        return len(messages) + len(pictures)


class DispatchLoop:
    """Looks once a minute what is due, in a thread of its own, for one municipality or many."""

    def __init__(
        self,
        dispatches: Callable[[], Iterable[Dispatch]],
        answering: AbstractContextManager[object] | None = None,
        every: float = _EVERY,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        beside: Callable[[datetime], None] = lambda now: None,
    ) -> None:
        """dispatches: those in force now. answering: see Dispatch.tick; must be one that can be held again and again.
        beside: what else is looked after each time; raises nothing."""
        self._dispatches, self._answering, self._every, self._clock = dispatches, answering, every, clock
        self._beside = beside
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dispatch", daemon=True)

    def start(self) -> Self:
        """Begin with a look at once."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End after the look that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stop.is_set():
            for dispatch in list(self._dispatches()):
                try:
                    dispatch.tick(self._clock(), self._answering)
                except (StoreError, ValueError) as error:  # a damaged page or state must not stop the others' messages
                    log.error("what is due could not be sent", municipality=dispatch.municipality, problem=str(error))
            self._beside(self._clock())
            self._stop.wait(self._every)
