"""The service in one process: one municipality, one store, one writer; events in, changes kept, in one transaction."""

import queue
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
from earlywarning.core.alerts import followed, last_noted
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar, day_number
from earlywarning.core.casework import Answer, Casework
from earlywarning.core.categories import CategoryTree
from earlywarning.core.changes import Changes, DeadLetter, Ingested
from earlywarning.core.engine import Engine
from earlywarning.core.events import decode_mappings
from earlywarning.monitoring import Metrics
from earlywarning.monitoring_answers import AnswerMetrics
from earlywarning.runtimes.answering import Answering
from earlywarning.runtimes.assembly import engine_settings, make_engine
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.runtimes.dispatching import DispatchLoop
from earlywarning.runtimes.forgetting import Forgetting, daily, last_run, refuse_before
from earlywarning.runtimes.learned import answered
from earlywarning.runtimes.links import Links, links_of
from earlywarning.runtimes.replaying import items_again
from earlywarning.runtimes.sending import contents_of, sending_of
from earlywarning.runtimes.taking import Taken, measure_events, newest_recorded, standing, take_supplies
from earlywarning.settings import ClusterSettings, Settings, SettingsError
from earlywarning.settings_watch import watch_settings
from earlywarning.sources.police_poller import PolicePoller
from earlywarning.sources.supply import ItemResult, Supply
from earlywarning.store import Store, StoredDeadLetter, StoreError

log = structlog.get_logger(__name__)
_TICK = 30.0  # seconds between looks at the wall clock
_MOST_AT_ONCE = 256  # supplies in one transaction


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
        self.forgetting = Forgetting(store, metrics)
        self.ready = self._behind = False
        self._shown: tuple[Engine, int | None, int | None, str] | None = None  # of which the standing is shown
        self._writing = threading.RLock()
        self._queue: queue.Queue[tuple[Supply, Future[list[ItemResult]]] | None] = queue.Queue()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    @classmethod
    def open(cls, settings: Settings, *, holder: str = "", metrics: Metrics | None = None) -> Self:
        """Open the store for writing and rebuild the engine from its pages.

        Raises SettingsError, RegisterError, StoreLocked, StoreError, PageError.
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
            store.add_settings_version(settings.version, settings.text, now)
        except BaseException:
            store.close()
            raise
        service.ready = True
        return service

    @property
    def alive(self) -> bool:
        """Whether events can be taken: the engine is rebuilt and the writer runs."""
        return self.ready and any(t.name == "writer" and t.is_alive() for t in self._threads)

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

        s = self.settings
        return client_options(ClusterSettings(kafka=s.kafka, folder=s.folder))

    def _restore(self, engine: Engine) -> None:
        municipality = engine.register.municipality
        state = self.store.engine_state(municipality)
        if state is None:
            return
        clock_day, clock_hour = state
        kept = self.store.alerts(municipality=municipality, states=("open", "withdrawn"))
        alerts = [a for a in kept if followed(a, clock_day, engine.settings.alerts)]
        noted = {a.alert_id: last_noted(self.store.history(a.alert_id)) for a in alerts}
        pages = [page for _, page in self.store.pages(municipality)]
        opened = [day_number(day) for day in self.store.opening_days(municipality)]
        verdicts = [v for case in self.answering.cases.every(municipality) for v in case.verdicts]
        engine.restore(pages, alerts, noted, clock_day, clock_hour, opened, verdicts)
        self._refuse_forgotten(engine)

    def _refuse_forgotten(self, engine: Engine) -> None:
        forgot = last_run(self.store, engine.register.municipality)
        if forgot is not None:
            refuse_before(engine, day_number(forgot.kept_from["events"]))

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
        also = self.sending.dispatch.kept_with(changes, datetime.now(UTC))
        self.store.commit(changes, letters, source_state, settled, also)

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

    def replay(self, letters: Sequence[StoredDeadLetter], now: datetime) -> dict[int, str]:
        """Feed dead letters again; those that are taken now are settled, the others go on waiting.

        Returns, by the letter's number, "replayed" or the problem that remains.
        """
        items, outcome = items_again(letters, self.settings)
        with self._writing:
            self._catch_up()
            decoded = decode_mappings([item for _, item in items])
            for r in decoded.rejections:
                outcome[items[r.index][0]] = r.problem
            try:
                result = self.engine.ingest(decoded.events, now)
                refused = {r.index: r.problem for r in result.rejections}
                for i, position in enumerate(decoded.positions):
                    outcome[items[position][0]] = refused.get(i, "replayed")
                settled = {number: "replayed" for number, words in outcome.items() if words == "replayed"}
                self._commit(self.engine.changes(), settled=settled)
            except BaseException:
                self._fell_behind()
                raise
        return outcome

    def answer(self, said: Answer) -> Casework:
        """Take an answer of the group. Raises AnswerError, StoreError."""
        with self._writing:
            self._catch_up()
            try:
                return self.answering.take(said, self.register.municipality, self.engine.answer)
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
                self._refuse_forgotten(self.engine)

    def reload(self, settings: Settings) -> None:
        """Put new settings in force and keep their version. Raises what `open` raises; the old ones then stay."""
        now = datetime.now(UTC)
        with self._writing:
            old = self.settings
            if (settings.municipality, settings.registers) != (old.municipality, old.registers):
                engine = make_engine(settings, now)
                self._restore(engine)
                self.engine = engine
            else:
                self.engine.configure(engine_settings(settings, now, self.register, self.tree), day_calendar(settings))
                self._refuse_forgotten(self.engine)
            self.sending = sending_of(self.store, settings, self.register, self.tree)
            self.settings = settings
            self._delivery.configure(settings.channels)
            self.store.add_settings_version(settings.version, settings.text, now)
            self._show_standing()
        self.metrics.settings_refused.set(0)
        log.info("settings in force", version=settings.version)

    # ---- living by itself -----------------------------------------------------------------------------------------

    def start(self, settings_file: Path | None = None) -> None:
        """Start the writer, the clock, the settings watcher and the police feed, as the settings say."""
        self._spawn("writer", self._write)
        self._dispatching.start()
        self._delivery.start()
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
        self._queue.put(None)
        for thread in self._threads:
            thread.join(timeout=10)
        self._dispatching.stop()
        self._delivery.stop()
        self.store.close()

    def submit(self, supply: Supply) -> Future[list[ItemResult]]:
        """Hand a batch to the writer; the result comes when it is on disk."""
        future: Future[list[ItemResult]] = Future()
        self._queue.put((supply, future))
        return future

    def _write(self) -> None:
        looked, untidy = 0.0, False
        while True:
            waiting = []
            try:
                waiting.append(self._queue.get(timeout=1.0))
                while len(waiting) < _MOST_AT_ONCE:
                    waiting.append(self._queue.get_nowait())
            except queue.Empty:
                pass
            batch = [entry for entry in waiting if entry is not None]
            if batch:
                self._answer(batch)
                untidy = True
            elif untidy:
                self.store.tidy()
                untidy = False
            if None in waiting:
                return
            if time.monotonic() - looked > _TICK:
                looked = time.monotonic()
                if self.settings.service.clock == "wall":
                    self._tick()
                self.forget(datetime.now(UTC))

    def _answer(self, batch: Sequence[tuple[Supply, Future[list[ItemResult]]]]) -> None:
        try:
            taken = self.take([supply for supply, _ in batch], datetime.now(UTC))
        except Exception as error:  # noqa: BLE001  # every waiting sender gets the error, whatever it is
            self.metrics.failures.labels("batch").inc()
            log.error("a batch could not be taken", error=type(error).__name__, supplies=len(batch))
            for _, future in batch:
                future.set_exception(error)
            return
        for (_, future), one in zip(batch, taken, strict=True):
            future.set_result(one.items())

    def _tick(self) -> None:
        try:
            self.advance(datetime.now(UTC))
        except StoreError as error:
            self.metrics.failures.labels("day").inc()
            log.error("the day could not be closed", problem=str(error))
        except Exception as error:  # noqa: BLE001  # the writer must live on: what is wrong with one day may end with the next
            self.metrics.failures.labels("day").inc()
            log.error("the day could not be closed", error=type(error).__name__)

    def _changed(self, settings: Settings) -> None:
        try:
            self.reload(settings)
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
        for said in history if self._threads else ():
            if said.change != "updated":
                log.info("alert", change=said.change, alert_id=said.alert.alert_id, tendency=said.alert.tendency)

    def show_state(self) -> None:
        """Bring the gauges up to date with the store, before someone reads the metrics."""
        self._delivery.show_state()
        self.metrics.say_what_runs("embedded", self.settings.service.clock)
        self.metrics.ready.set(self.alive)
        self.metrics.show_alerts(self.store.alert_counts())
        waiting = sum(n for *_, state, n in self.store.dead_letter_counts() if state == "waiting")
        self.metrics.dead_letters.set(waiting)
