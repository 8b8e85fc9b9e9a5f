"""Retention as the service enforces it: once a local day, whatever is older than the settings allow is forgotten.

What was forgotten is not taken again: events from before the first day kept are refused as too old, and that day stands in the
store beside the last run. Whole months of day pages go at once, and the engine is then made anew from what is left, as
after a restart: nothing of it is changed in place, so that forgetting looks like nothing else.
"""

import dataclasses
from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta

import msgspec
import structlog
from sqlalchemy import Connection, select

from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.engine import Engine
from earlywarning.core.forgetting import limits
from earlywarning.core.rhythms import local_day
from earlywarning.monitoring import Metrics
from earlywarning.settings import Settings
from earlywarning.settings_retention import events_months
from earlywarning.store import Store, StoreError
from earlywarning.store.forgetting import forget, forget_strays, scrub
from earlywarning.store.tables import source_state

log = structlog.get_logger(__name__)


class Forgot(msgspec.Struct, frozen=True, kw_only=True):
    """The last run: on which local day, what is kept from which day on, and how many rows went, by kind.

    events_before, alerts_before: the day before which events and alerts have gone, in this run or an earlier one; None when none
    ever went. events_gone_on: the day on which events went last; None also where an earlier version of the program noted it.
    """

    on: date
    at: datetime
    kept_from: dict[str, date]
    rows: dict[str, int]
    events_before: date | None = None
    alerts_before: date | None = None
    events_gone_on: date | None = None
    format: int = 1

    @property
    def engine_changed(self) -> bool:
        """Whether something went that an engine is made from."""
        return bool(self.rows.get("events") or self.rows.get("alerts"))


_forgot = msgspec.json.Decoder(Forgot)


def last_run(store: Store, municipality: str) -> Forgot | None:
    """The last run for a municipality, None when there was none."""
    body = store.source_state(_name(municipality))
    return None if body is None else _forgot.decode(body)


def runs_of(connection: Connection) -> dict[str, Forgot]:
    """The last run of each municipality of a store."""
    s = source_state.c
    rows = connection.execute(select(s.name, s.body).where(s.name.like(f"{_name('')}%")))
    return {name.partition(":")[2]: _forgot.decode(body) for name, body in rows}


def _name(municipality: str) -> str:
    return f"retention:{municipality}"


def months_of(settings: Settings) -> dict[str, int]:
    """By what is kept, for how many months at most."""
    r = settings.retention
    return {
        "events": events_months(r, settings.detection), "alerts": r.alerts_months, "names": r.names_months,
        "messages": r.messages_months, "dead-letters": r.dead_letters_months, "accounts": r.accounts_months,
        "versions": r.versions_months,
    }  # fmt: skip


def first_day_kept(settings: Settings, today: int) -> int:
    """The first local day whose events are kept on the day `today`; both since 1970-01-01."""
    return day_number(limits(date_of(today), {"events": months_of(settings)["events"]})["events"])


def refuse_before(engine: Engine, day: int) -> None:
    """Have an engine refuse events from before a local day, which it has forgotten."""
    rules = engine.settings.admission
    oldest = max(rules.oldest, int(engine.calendar.first_hour(day)) * 3600)
    engine.settings = engine.settings._replace(admission=dataclasses.replace(rules, oldest=oldest))


def refuse_forgotten(engine: Engine, store: Store) -> None:
    """Have an engine refuse events from before what the last run has kept."""
    if (forgot := last_run(store, engine.register.municipality)) is not None:
        refuse_before(engine, day_number(forgot.kept_from["events"]))


class Forgetting:
    """Retention in one store; one for all municipalities of a process."""

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._store, self._metrics = store, metrics
        self._ran: dict[str, tuple[date, str]] = {}
        self._unscrubbed: dict[str, bool] = {}

    def due(self, settings: Settings, now: datetime) -> date | None:
        """The local day for which to run, None when that was done with these settings. Raises StoreError."""
        code = settings.municipality.code
        today = local_day(now, settings.municipality.timezone)
        state = self._store.engine_state(code)
        if settings.service.clock == "events":
            if state is None or not state[0]:
                return None
            today = min(today, date_of(state[0]))  # a replayed past is forgotten by its own clock
        chosen = (today, repr(settings.retention) + repr(settings.detection))
        return None if self._ran.get(code) == chosen else today

    def run(self, settings: Settings, today: date, now: datetime, in_force: Collection[str] = ()) -> Forgot:
        """Forget, in one transaction with the note of it. Raises StoreError: then nothing was forgotten."""
        code = settings.municipality.code
        before = limits(today, months_of(settings))
        earlier = last_run(self._store, code)
        first_ever = earlier is None
        known = earlier or Forgot(on=today, at=now, kept_from=before, rows={})
        rows: dict[str, int] = {}
        # Sessions end by their length at the latest, by the real clock also where events have one of their own.
        ended = now - timedelta(hours=settings.access.session_hours)
        by_provider = bool(settings.access.oidc_issuer)
        also = [forget(self._store, code, before, ended, {settings.version, *in_force}, rows, by_provider=by_provider)]
        made = Forgot(on=today, at=now, kept_from=before, rows=rows)

        def note(c: Connection) -> None:  # when all else is done, so that it says how much that was
            events, alerts = rows["events"], rows["alerts"]
            noted = msgspec.structs.replace(
                made,
                events_before=before["events"] if events else known.events_before,
                alerts_before=max(min(before["alerts"], before["events"]), known.alerts_before or date.min)
                if alerts
                else known.alerts_before,
                events_gone_on=today if events else known.events_gone_on,
            )
            self._store.upsert(c, source_state, [{"name": _name(code), "body": msgspec.json.encode(noted).decode()}])

        self._store.commit(None, also=[*also, note])
        self._ran[code] = (today, repr(settings.retention) + repr(settings.detection))
        gone = {what: n for what, n in rows.items() if n}
        if gone or first_ever:
            self._unscrubbed[code] = first_ever or self._unscrubbed.get(code, False)
        for what, n in rows.items():
            self._metrics.forgotten.labels(what).inc(n)
        self._metrics.retention_run.set(now.timestamp())
        log.info("retention", municipality=code, day=today.isoformat(), **{w.replace("-", "_"): n for w, n in gone.items()})
        self.scrub()
        return made

    def strays(self, known: Collection[str], months: int, now: datetime) -> None:
        """Forget refused events of no municipality of ours; a failure is logged and counted."""
        before = limits(now.astimezone(UTC).date(), {"dead-letters": months})["dead-letters"]
        try:
            self._store.commit(None, also=[forget_strays(known, before)])
        except StoreError as error:
            self.failed()
            log.error("refused events of no municipality could not be forgotten", problem=str(error))

    def failed(self) -> None:
        """Count a run that failed."""
        self._metrics.failures.labels("retention").inc()

    def scrub(self) -> None:
        """Have the bytes of what was forgotten gone; what a reader hinders is tried again the next time."""
        if not self._unscrubbed:
            return
        try:
            if scrub(self._store, whole=any(self._unscrubbed.values())):
                self._unscrubbed.clear()
        except StoreError as error:
            log.warning("what was forgotten is not overwritten yet", problem=str(error))


def daily(forgetting: Forgetting, settings: Settings, now: datetime, in_force: Collection[str] = ()) -> Forgot | None:
    """Forget if that is due; None when it is not. A failure is logged, counted and tried again the next time."""
    try:
        today = forgetting.due(settings, now)
        if today is None:
            forgetting.scrub()
            return None
        return forgetting.run(settings, today, now, in_force)
    except Exception as error:  # noqa: BLE001  # who runs it must live on: what is wrong with one row must not stop the service
        forgetting.failed()
        problem = str(error) if isinstance(error, StoreError) else type(error).__name__
        log.error("retention could not be enforced", municipality=settings.municipality.code, problem=problem)
        return None
