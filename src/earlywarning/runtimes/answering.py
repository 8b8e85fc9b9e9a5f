"""The group's answers into the store: casework, audit and verdict together, in every runtime."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from threading import RLock
from zoneinfo import ZoneInfo

import msgspec

from earlywarning.core.alert_record import Alert
from earlywarning.core.calendar import date_of
from earlywarning.core.casework import ENDED, Answer, AnswerError, Casework, Verdict, answer, verdict_of
from earlywarning.store import Store
from earlywarning.store.cases import AuditEntry, Cases

Heed = Callable[[Sequence[Verdict]], Sequence[Verdict]]  # tells an engine; returns the verdicts as it keeps them


class Answering:
    """Takes answers for one store. One at a time: of two who answer at once the second is told that the first was there."""

    def __init__(self, store: Store) -> None:
        self._store, self.cases = store, Cases(store)
        self.one_at_a_time = RLock()

    def take(self, said: Answer, municipality: str, heed: Heed = list, timezone: str = "Europe/Stockholm") -> Casework:
        """Apply an answer to an alert of a municipality; one that was taken before changes nothing.

        heed: called with what the answer says to the baselines, before it is kept. timezone: in which the days of the answer are
        days: a measure that is given at half past midnight begins that day, not the day before.
        Raises AnswerError, which the audit log keeps as well; StoreError when it could not be kept.
        """
        said = msgspec.structs.replace(said, at=said.at.astimezone(ZoneInfo(timezone)))
        with self.one_at_a_time:
            alert, case = self._of(said.alert_id, municipality)
            if self.cases.answered(said.answer_id):
                return case
            try:
                self._check_merge(said, municipality)
                after = answer(case, said)
            except AnswerError as error:
                self._store.commit(None, also=[self.cases.keep([], [_refusal(said, municipality, error)])])
                raise
            verdict = verdict_of(alert, case, after, self._today(municipality, said.at))
            if verdict is not None:
                after = msgspec.structs.replace(after, verdicts=(*after.verdicts, *heed([verdict])))
            self._store.commit(None, also=[self.cases.keep([after], [_entry(said, municipality)])])
            return after

    def _of(self, alert_id: str, municipality: str) -> tuple[Alert, Casework]:
        alert = self._store.alert(alert_id)
        if alert is None or alert.municipality != municipality:
            raise AnswerError("alert_id", "unknown-alert", "there is no alert of that id in this municipality")
        case = self.cases.get(alert_id)
        return alert, case or Casework(alert_id=alert_id, municipality=municipality, opened_at=alert.opened_at)

    def _check_merge(self, said: Answer, municipality: str) -> None:
        if said.action != "merge" or not said.into or said.into == said.alert_id:
            return
        try:
            _, into = self._of(said.into, municipality)
        except AnswerError as error:
            raise AnswerError("into", "unknown-alert", error.problem) from error
        if into.stage in ENDED:
            raise AnswerError("into", "ended", f"that alert is {into.stage}; reopen it first, or name another one")

    def _today(self, municipality: str, at: datetime) -> date:
        state = self._store.engine_state(municipality)
        return date_of(state[0]) if state else at.date()


def _entry(said: Answer, municipality: str) -> AuditEntry:
    return AuditEntry(
        municipality, said.at, said.actor, said.action, said.alert_id, said.reason or said.outcome, said.note,
        msgspec.json.encode(said).decode(), said.answer_id,
    )  # fmt: skip


def _refusal(said: Answer, municipality: str, error: AnswerError) -> AuditEntry:
    """Which field of a refused answer broke which rule; nothing of its texts, which may hold what must not be kept."""
    body = msgspec.json.encode({"answer_id": said.answer_id, "action": said.action, "field": error.field, "rule": error.rule})
    return AuditEntry(municipality, said.at, said.actor, "refused", said.alert_id, error.rule, "", body.decode())
