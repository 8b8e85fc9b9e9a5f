"""The service in one process: one municipality, one store, one writer; events in, changes kept, in one transaction."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import structlog

from earlywarning.channels import Delivery
from earlywarning.core.alert_record import AlertChange
from earlywarning.core.alerts import last_noted
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar, day_number, instant_of
from earlywarning.core.casework import Answer, Casework
from earlywarning.core.categories import CategoryTree
from earlywarning.core.changes import Changes, DeadLetter, Ingested
from earlywarning.core.engine import Engine
from earlywarning.core.pages import PageError
from earlywarning.core.settings_draft import Decision
from earlywarning.monitoring import Metrics
from earlywarning.monitoring_answers import AnswerMetrics
from earlywarning.runtimes.answering import Answering
from earlywarning.runtimes.assembly import engine_settings, make_engine
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.runtimes.dispatching import DispatchLoop
from earlywarning.runtimes.following import still_followed
from earlywarning.runtimes.forgetting import Forgetting, daily, refuse_forgotten
from earlywarning.runtimes.keeping import Keeping, show
from earlywarning.runtimes.learned import answered
from earlywarning.runtimes.links import Links, links_of
from earlywarning.runtimes.replaying import Replayed, events_again, refused_again, settled_by
from earlywarning.runtimes.sending import contents_of, sending_of
from earlywarning.runtimes.settings_file import Rewrite, put_in_file
from earlywarning.runtimes.steady_clock import SteadyClock, running
from earlywarning.runtimes.taking import Taken, measure_events, newest_recorded, standing, take_supplies
from earlywarning.runtimes.writer import Writer
from earlywarning.settings import ClusterSettings, Settings, SettingsError
from earlywarning.settings_watch import watch_settings
from earlywarning.sources.police_poller import PolicePoller
from earlywarning.sources.supply import ItemResult, Supply
from earlywarning.store import Store, StoredDeadLetter, StoreError
from earlywarning.store.methods import note_method
from earlywarning.store.settings_versions import SettingsVersions

log = structlog.get_logger(__name__)
_DAYS_OFF = 2  # days that a service may have been away before the clock is doubted


class Service:
    """The embedded service. `take` may be called from any thread; with `start` it also lives by itself."""

    def __init__(self, settings: Settings, store: Store, engine: Engine, metrics: Metrics) -> None:
        self.settings, self.store, self.engine, self.metrics = settings, store, engine, metrics
        self.answering = Answering(store)
        metrics.registry.register(AnswerMetrics(partial(answered, store)))
        self.sending = sending_of(store, settings, engine.register, engine.tree)
        self._dispatching = DispatchLoop(lambda: [self.sending.dispatch], self.answering.one_at_a_time)
        contents = contents_of(lambda code: self.sending if code == settings.municipality.code else None)
        self._delivery = Delivery(store, settings.channels, contents, metrics, kafka=self._kafka_options)
        self.keeping, self._steady = Keeping(), SteadyClock()
        self.forgetting = Forgetting(store, metrics)
        self.ready = self._behind = False
        self.settings_file: Path | None = None
        self._shown: tuple[Engine, int | None, int | None, str] | None = None  # of which the standing is shown
        self._writing = threading.RLock()
        self.writer = Writer(self)
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @classmethod
    def open(cls, settings: Settings, *, holder: str = "", metrics: Metrics | None = None) -> Self:
        """Open the store for writing and rebuild the engine from its pages.

        Raises SettingsError, RegisterError, StoreLocked, StoreError.
        """
        now = datetime.now(UTC)
        engine = make_engine(settings, now)
        store = Store.open(settings.store_url, writer=True, holder=holder)
        try:
            service = cls(settings, store, engine, metrics or Metrics())
            begun = time.perf_counter()
            service._restore(engine)
            service.metrics.rebuild.observe(time.perf_counter() - begun)
            service.metrics.show_newest(newest_recorded(engine))
            service._show_standing()
            today = service.engine.today
            service._steady = SteadyClock(in_doubt=today is not None and service.calendar.day_at(now) - today > _DAYS_OFF)
            service._steady.believed(datetime.now(UTC), running())  # a jump is one from here on
            versions = SettingsVersions(store, settings.municipality.code)
            last = versions.newest()
            if versions.add(settings.version, settings.text, now) != (last and last.number):
                service.advance(instant_of(service.engine.clock_hour))  # keep what they change about alerts
        except BaseException:
            store.close()
            raise
        service.ready = True
        return service

    @property
    def alive(self) -> bool:
        """Whether events can be taken: the engine is rebuilt and the writer runs."""
        return self.ready and self.writer.alive

    @property
    def trouble(self) -> str:
        """Why no events can be taken; empty when they can."""
        return self.writer.trouble or self.keeping.problem

    @property
    def register(self) -> AreaRegister:
        return self.engine.register

    @property
    def calendar(self) -> LocalCalendar:
        return self.engine.calendar

    @property
    def links(self) -> Links:
        return links_of(self.settings, self.store)

    @property
    def tree(self) -> CategoryTree:
        return self.engine.tree

    def _kafka_options(self) -> Mapping[str, Any]:
        from earlywarning.runtimes.kafka.connection import client_options  # noqa: PLC0415  # an extra, for channels of kind kafka

        return client_options(ClusterSettings(kafka=self.settings.kafka, folder=self.settings.folder))

    def _restore(self, engine: Engine) -> None:
        municipality = engine.register.municipality
        note_method(self.store, municipality)
        if (state := self.store.engine_state(municipality)) is None:
            return
        clock_day, clock_hour = state
        kept = self.store.alerts(municipality=municipality, states=("open", "withdrawn"))
        alerts = still_followed(self.store, kept, clock_day, engine.settings.alerts, self.settings.folder)
        noted = {a.alert_id: last_noted(self.store.history(a.alert_id)) for a in alerts}
        pages, opened = [page for _, page in self.store.pages(municipality)], self.store.opening_days(municipality)
        verdicts = [v for case in self.answering.cases.every(municipality) for v in case.verdicts]
        try:
            engine.restore(pages, alerts, noted, clock_day, clock_hour, [day_number(day) for day in opened], verdicts)
        except PageError as error:
            raise StoreError(str(error)) from error
        refuse_forgotten(engine, self.store)

    # ---- events in ------------------------------------------------------------------------------------------------

    def take(
        self,
        supplies: Sequence[Supply],
        now: datetime,
        source_state: Mapping[str, str] | None = None,
        *,
        history: bool = False,
    ) -> list[Taken]:
        """Ingest batches and keep all that they change in one transaction. history: no day of theirs is judged.

        When this returns, everything accepted is on disk. Raises StoreError when it could not be kept: then nothing of
        these batches was taken.
        """
        begun = time.perf_counter()
        with self._writing:
            self._catch_up()
            try:
                taken, result, letters = take_supplies(self.engine, supplies, now, history=history)
                changes = self.engine.changes()
                self._commit(changes, letters, source_state)
            except BaseException:
                self._fell_behind()
                raise
            self._show_standing()
        self._measure(taken, result, changes, time.perf_counter() - begun)
        return taken

    def _commit(
        self,
        changes: Changes,
        letters: Sequence[DeadLetter] = (),
        source_state: Mapping[str, str] | None = None,
        settled: Mapping[int, str] | None = None,
    ) -> None:
        """Keep what has changed, and what it sends, in one transaction. Raises StoreError."""
        try:
            also = self.sending.dispatch.kept_with(changes, datetime.now(UTC))
            self.store.commit(changes, letters, source_state, settled, also)
        except StoreError as error:
            self.keeping.failed(error)
            raise
        self.keeping.succeeded()

    def _fell_behind(self) -> None:
        """The engine has run ahead of what is kept: it is made anew from the store before anything else is taken."""
        self._behind = True
        with suppress(StoreError):
            self._catch_up()

    def _catch_up(self) -> None:
        """Rebuild an engine that has run ahead, as after a crash. Raises StoreError while the store does not answer."""
        if self._behind:
            engine = make_engine(self.settings, datetime.now(UTC))
            self._restore(engine)
            self.engine, self._behind = engine, False

    def replay(self, letters: Sequence[StoredDeadLetter]) -> dict[int, Replayed]:
        """Feed dead letters again; those that are taken now are settled, the others go on waiting. Raises StoreError.

        Returns what became of each, by the letter's number.
        """
        again = events_again(letters, self.settings)
        with self._writing:
            self._catch_up()
            try:
                result = self.engine.ingest(again.decoded.events, datetime.now(UTC))
                refused = {r.index: refused_again(r) for r in result.rejections}
                told = again.told | {
                    again.numbers[position]: refused.get(i) or Replayed(outcome)
                    for i, (position, outcome) in enumerate(zip(again.decoded.positions, result.outcomes, strict=True))
                }
                self._commit(self.engine.changes(), settled=settled_by(told))
            except BaseException:
                self._fell_behind()
                raise
        return told

    def answer(self, said: Answer) -> Casework:
        """Take an answer of the group. Raises AnswerError, StoreError."""
        with self._writing:
            self._catch_up()
            try:
                return self.answering.take(
                    said, self.register.municipality, self.engine.answer, self.settings.municipality.timezone
                )
            except StoreError:
                self._fell_behind()
                raise

    # ---- time and settings ----------------------------------------------------------------------------------------

    def advance(self, to: datetime) -> None:
        """Close the days that are over at `to`, and keep what that changes."""
        with self._writing:
            self._catch_up()
            try:
                self.engine.advance(to)
                changes = self.engine.changes()
                if changes.alerts or changes.history or changes.clock_day:
                    self._commit(changes)
            except BaseException:
                self._fell_behind()
                raise
            self._show_standing()
        self._tell(changes.history)

    def forget(self, now: datetime) -> None:
        """Forget what the settings' retention has ended for, once a local day; the engine is then made anew from what is left."""
        with self._writing, self.answering.one_at_a_time:
            self._catch_up()
            forgot = daily(self.forgetting, self.settings, now)
            if forgot is not None and forgot.engine_changed:
                self._fell_behind()
            elif forgot is not None:
                refuse_forgotten(self.engine, self.store)

    def put_in_force(self, rewrite: Rewrite, decision: Decision) -> int:
        """Put rewritten settings in force, and in their file. Raises DraftError, SettingsError, StoreError."""
        with self._writing:  # the watcher of the file waits as well, and finds nothing new
            return put_in_file(self.settings_file, self.settings, rewrite, decision, self.reload)

    def reload(self, settings: Settings, decision: Decision | None = None) -> int:
        """Put new settings in force and keep their version; returns its number. Raises what `open` raises."""
        now = datetime.now(UTC)
        with self._writing:
            old = self.settings
            if (settings.municipality, settings.registers) != (old.municipality, old.registers):
                engine = make_engine(settings, now)
                self._restore(engine)
                self.engine = engine
            else:
                self.engine.configure(engine_settings(settings, now, self.register, self.tree), day_calendar(settings))
                refuse_forgotten(self.engine, self.store)
            self.sending = sending_of(self.store, settings, self.register, self.tree)
            self.settings = settings
            self._delivery.configure(settings.channels)
            number = SettingsVersions(self.store, settings.municipality.code).add(settings.version, settings.text, now, decision)
            self.advance(instant_of(self.engine.clock_hour))  # keep what they change about alerts
        self.metrics.settings_refused.set(0)
        log.info("settings in force", version=settings.version)
        return number

    # ---- living by itself -----------------------------------------------------------------------------------------

    def start(self, settings_file: Path | None = None) -> None:
        """Start the writer, the clock, the settings watcher and the police feed, as the settings say."""
        self.writer.start()
        self._dispatching.start()
        self._delivery.start()
        self.settings_file = settings_file
        if settings_file is not None:
            self._spawn("settings", lambda: watch_settings(settings_file, self._changed, self._broken, self._stop))
        if self.settings.police_feed.enabled:
            poller = PolicePoller(self.settings, self.take, self.store.source_state, self.metrics.polls)
            self._spawn("police feed", lambda: poller.run(self._stop))

    def _spawn(self, name: str, target: object) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)  # type: ignore[arg-type]  # a plain callable
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Take in what is queued, then end; the store is closed."""
        self.ready = False
        self._stop.set()
        self.writer.stop()
        for thread in self._threads:
            thread.join(timeout=10)
        self._dispatching.stop()
        self._delivery.stop()
        self.store.close()

    def submit(self, supply: Supply) -> Future[list[ItemResult]]:
        """Hand a batch to the writer; the result comes when it is on disk, WriterEnded when nothing is taken any more."""
        return self.writer.submit(supply)

    def tidy(self) -> None:
        """Write SQLite's log back, in an idle moment."""
        self.store.tidy()

    def idle(self) -> None:
        """Nothing waits: see whether a store that failed keeps again."""
        self.keeping.try_again(self.store)

    def look_at_the_clock(self, now: datetime) -> None:
        """Close the days that are over, and forget what is to be forgotten: when the clock can be believed. Raises StoreError."""
        if not self._steady.believed(now, running()):
            self.metrics.failures.labels("clock").inc()
            return
        if self.settings.service.clock == "wall":
            self.advance(now)
        self.forget(now)

    def _changed(self, settings: Settings) -> None:
        try:
            with self._writing:
                if settings.text != self.settings.text:
                    self.reload(settings)
            self.metrics.settings_refused.set(0)
        except (ValueError, StoreError) as error:
            self._count_refusal()
            log.error("settings refused", problem=str(error))

    def _broken(self, error: SettingsError) -> None:
        self._count_refusal()
        log.error("settings refused", problems=list(error.problems))

    def _count_refusal(self) -> None:
        self.metrics.settings_errors.inc()
        self.metrics.settings_refused.set(1)

    # ---- what is shown --------------------------------------------------------------------------------------------

    def _show_standing(self) -> None:
        """Show how the engine stands, when a day or the settings have changed. Called by whoever holds the engine."""
        now = (self.engine, self.engine.today, self.engine.watch.fitted_on, self.settings.text)
        if self._shown != now:
            self._shown = now
            self.metrics.show_standing(self.register.municipality, standing(self.engine))

    def _measure(self, taken: Sequence[Taken], result: Ingested, changes: Changes, seconds: float) -> None:
        m = self.metrics
        measure_events(m, taken, result)
        for note in changes.notes:
            m.data_notes.labels(note.what).inc()
        if changes.history:
            m.to_alert.observe(seconds, {"alert_id": changes.history[-1].alert.alert_id})
            self._tell(changes.history)

    def _tell(self, history: Sequence[AlertChange]) -> None:
        """Count what happened to alerts, and log it once the service lives: a replay of years would fill the log."""
        self.metrics.count_changes(history)
        for said in history if self.writer.alive else ():
            if said.change != "updated":
                log.info("alert", change=said.change, alert_id=said.alert.alert_id, tendency=said.alert.tendency)

    def show_state(self) -> None:
        """Bring the gauges up to date with the store, before someone reads the metrics."""
        self.metrics.say_what_runs("embedded", self.settings.service.clock)
        show(self.metrics, self.alive and not self.keeping.problem, self._show_kept)

    def _show_kept(self) -> None:
        self._delivery.show_state()
        self.metrics.show_alerts(self.store.alert_counts())
        waiting = sum(n for *_, state, n in self.store.dead_letter_counts() if state == "waiting")
        self.metrics.dead_letters.set(waiting)
