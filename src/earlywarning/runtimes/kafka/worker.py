"""A worker: a Faust application that drives the engines of the municipalities whose partitions it has.

Messages are read ahead into `merging.Waiting`; one task takes them from there, step by step, in a thread of its own, so that
heartbeats go on. A step's records go to the table's changelog, then its alerts and dead letters go out, and then its
messages are done with. Where something fails that must not lose data, the process ends: its successor stands where the last
complete step left off.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any

import faust
import structlog
from aiokafka.errors import IllegalStateError

from earlywarning.core.casework import Verdict
from earlywarning.monitoring import Metrics
from earlywarning.runtimes.kafka.application import make_app
from earlywarning.runtimes.kafka.connection import KafkaError
from earlywarning.runtimes.kafka.feedback import VerdictMessage, follow_verdicts
from earlywarning.runtimes.kafka.health import serve_health
from earlywarning.runtimes.kafka.messages import Arrived
from earlywarning.runtimes.kafka.municipality import Municipality, Step
from earlywarning.runtimes.kafka.outlet import Outlet, wait_for_all
from earlywarning.runtimes.kafka.passing import UNKNOWN, Parcel, forwarded, refused, unknown_municipality
from earlywarning.runtimes.kafka.published import PublishedSettings, follow_settings
from earlywarning.runtimes.kafka.reading import Reader
from earlywarning.runtimes.kafka.topics import EVENTS, TABLE, topic_name, topic_problems
from earlywarning.runtimes.kafka.watching import END_FAULT, Watchdog, end
from earlywarning.runtimes.taking import measure_events, newest_recorded, standing
from earlywarning.settings import ClusterSettings

log = structlog.get_logger(__name__)
MOST_MESSAGES = 250  # of one municipality in one step
MOST_IN_FLIGHT = 64  # steps whose records are on their way
MOST_BUFFERED = 1_000  # records in the producer's buffer; Faust's own 100 holds every step up
LOOK = 0.02  # seconds between looks at a topic whose end must be known
TICK = 10.0  # seconds between looks at the wall clock
PUBLISH = 1.0  # seconds between publications of changed pages


class Worker:
    """The state of one worker process."""

    def __init__(self, cluster: ClusterSettings, metrics: Metrics) -> None:
        self.cluster, self.metrics = cluster, metrics
        k = cluster.kafka
        self.app: faust.App = make_app(cluster, self._let_go)
        self.table = self.app.Table(TABLE, key_type=bytes, value_type=bytes, partitions=k.partitions)
        self._wake = asyncio.Event()
        self.reader = Reader(self.app, cluster, self._wake.set)
        self.outlet = Outlet(self.app, k, metrics)
        self.open: dict[str, Municipality] = {}
        self.published = PublishedSettings(metrics)
        self._shown: dict[str, tuple[int | None, int | None, str]] = {}  # of which the standing is shown
        self._settings_known = asyncio.Event()
        self._changed: deque[str] = deque()
        self._verdicts: dict[str, list[Verdict]] = {}
        self._explained: deque[str] = deque()  # municipalities of which verdicts have come since
        self._keys: dict[str, set[bytes]] = {}
        self._generation = 0
        self._engines = ThreadPoolExecutor(1, thread_name_prefix="engines")
        self._in_flight: asyncio.Queue[tuple[int, Awaitable[Any], list[Arrived]]] = asyncio.Queue(MOST_IN_FLIGHT)
        self.watchdog = Watchdog(self.reader, self._in_flight.qsize, float(self.app.conf.broker_session_timeout))
        self._wire()

    def _wire(self) -> None:
        names = [topic_name(self.cluster.kafka, topic) for topic in EVENTS]
        source = self.app.topic(*names, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        self.app.agent(source, concurrency=1, name="events")(self._read)
        for task in (self._work, self._settle, self.watchdog.watch, self.watchdog.look, self._follow, self._listen, self._serve):
            self.app.task(self._guarded(task))
        self.app.on_partitions_revoked.connect(self._revoked, weak=False)
        self.table.on_recover(self._recovered)

    async def _read(self, stream: Any) -> None:
        try:
            await self.reader.read(stream)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001  # as in `_guarded`: Faust would start the agent anew, and go on behind
            end(END_FAULT, "the worker ends", task="read", error=f"{type(error).__name__}: {error}")

    def _guarded(self, task: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            try:
                await task()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, the process must not go on half alive
                end(END_FAULT, "the worker ends", task=task.__name__, error=f"{type(error).__name__}: {error}")

        return run

    @property
    def ready(self) -> bool:
        """Whether state is rebuilt and messages are taken."""
        return self.reader.active and self._settings_known.is_set()

    # ---- partitions come and go -----------------------------------------------------------------------------------

    async def _revoked(self, *_: object, **__: object) -> None:
        """Wait until all that was written is on the brokers: what came there later, the next worker would not know of."""
        self._let_go()
        await self._in_flight.join()

    def _let_go(self) -> None:
        """Let go of everything: another worker may have it by now."""
        self.reader.stop()
        self.outlet.forget()
        self._generation += 1
        self.open.clear()
        self._keys.clear()
        self._shown.clear()
        self.metrics.forget_standing()

    async def _recovered(self) -> None:
        """The table holds the state of the partitions that are this worker's now."""
        self._let_go()  # what was read and made before has nothing to do with it
        try:
            own = await self.reader.start()
        except IllegalStateError:  # partitions were taken away again meanwhile
            return
        except Exception as error:  # noqa: BLE001  # as in `_guarded`: Faust would go on, and nothing would be taken
            end(END_FAULT, "the worker ends", task="recovered", error=f"{type(error).__name__}: {error}")
        if own is None:
            return
        # Whoever has begun to make an engine meanwhile has made it from nothing.
        self._generation += 1
        self.open.clear()
        self._keys.clear()
        for key in list(self.table.data):
            municipality = _municipality(key)
            if self.outlet.partition(municipality) in own:
                self._keys.setdefault(municipality, set()).add(key)
            else:
                del self.table.data[key]
        self.watchdog.begin()
        self.watchdog.moved()
        self._wake.set()
        log.info("state is there", partitions=sorted(own), municipalities=len(self._keys))

    # ---- working --------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        await self._settings_known.wait()
        self.app.producer.buffer.max_messages = MOST_BUFFERED
        ticked = published = time.monotonic()
        while True:
            while self._changed:
                await self._configure(self._changed.popleft())
            while self._explained:
                await self._heed(self._explained.popleft())
            worked = self.reader.active and await self._take()
            now = time.monotonic()
            if self.reader.active and now - ticked > TICK and self.cluster.kafka.clock == "wall":
                ticked = now
                await self._tick()
            if self.reader.active and now - published > PUBLISH:
                published = now
                await self._publish()
                await self.reader.commit()
            if not worked:
                self._wake.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), LOOK if len(self.reader.waiting) else PUBLISH)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._engines, work)

    async def _take(self) -> bool:
        """Take the next messages, if there are any that can be taken."""
        generation = self._generation
        messages = self.reader.waiting.ready(self.reader.at_end, MOST_MESSAGES)
        if not messages:
            return False
        code, partition = messages[0].municipality, messages[0].partition
        self.reader.resume()
        if self.outlet.partition(code) != partition:
            await self._pass_on([p for m in messages for p in forwarded(m, self.outlet.partition(code))], messages)
            return True
        if code not in self.published.of:
            await self._pass_on([p for m in messages for p in refused(m, UNKNOWN, unknown_municipality(m))], messages)
            return True
        try:
            municipality = await self._municipality(code)
            steps = await self._in_thread(partial(_steps, municipality, messages))
        except Exception as error:  # noqa: BLE001  # a message must not stop its neighbours, whatever it holds
            log.error("messages could not be taken", municipality=code, error=type(error).__name__, offset=messages[0].offset)
            await self._one_by_one(code, messages, generation)
            return True
        await self._keep(generation, code, municipality, steps, messages)
        return True

    async def _one_by_one(self, code: str, messages: Sequence[Arrived], generation: int) -> None:
        """After a fault: the engine is made anew, and what still fails becomes a dead letter."""
        for message in messages:
            if generation != self._generation:
                return
            self.open.pop(code, None)
            municipality = await self._municipality(code)
            try:
                steps = await self._in_thread(partial(_steps, municipality, [message]))
            except Exception as error:  # noqa: BLE001  # see above
                self.open.pop(code, None)
                municipality = await self._municipality(code)
                problem = f"the service failed on it ({type(error).__name__}); it is kept: report this, and replay it when mended"
                letters = [p.letter for p in refused(message, "internal-error", problem) if p.letter]
                steps = [await self._in_thread(partial(municipality.refuse, message, letters))]
            await self._keep(generation, code, municipality, steps, [message])

    async def _municipality(self, code: str) -> Municipality:
        """The municipality with its engine, rebuilt from the table where it is not there yet."""
        if code in self.open:
            return self.open[code]
        begun, prefix, generation = time.monotonic(), len(code) + 1, self._generation
        records = {key.decode()[prefix:]: self.table.data[key] for key in self._keys.get(code, ())}
        settings = self.published.of[code]
        made: Municipality = await self._in_thread(lambda: Municipality.restore(settings, records, datetime.now(UTC)))
        if generation != self._generation:
            return made  # taken away meanwhile: what it takes now is not kept, so nobody may go on with it
        self.open[code] = made
        self.metrics.rebuild.observe(time.monotonic() - begun)
        if code in self._verdicts:
            self._explained.append(code)
        self.metrics.show_newest(newest_recorded(made.engine))
        self._show_standing(code)
        await self.outlet.hand_on(made, list(made.journal.entry.outgoing))
        return made

    async def _configure(self, code: str) -> None:
        municipality = self.open.get(code)
        if municipality is None or not self.reader.active:
            return
        prefix = len(code) + 1
        records = {key.decode()[prefix:]: self.table.data[key] for key in self._keys.get(code, ())}
        settings, generation = self.published.of[code], self._generation
        try:
            made = await self._in_thread(lambda: municipality.configure(settings, datetime.now(UTC), records))
            if generation == self._generation:
                self.open[code] = made
        except ValueError as error:
            self.published.refuse(code)
            log.error("settings refused", municipality=code, problem=str(error))
            self.published.of[code] = municipality.settings

    async def _heed(self, code: str) -> None:
        """Have an engine heed what the group has explained; one that is not there yet does when it is rebuilt."""
        municipality, generation = self.open.get(code), self._generation
        if municipality is not None and self.reader.active:
            step = await self._in_thread(partial(municipality.heed, list(self._verdicts[code])))
            if step is not None:
                await self._keep(generation, code, municipality, [step], [])

    async def _tick(self) -> None:
        """Close days that are over by the wall clock, of all of whom nothing waits to be read."""
        now = datetime.now(UTC)
        for code in list(self._keys):
            partition = self.outlet.partition(code)
            if (
                code not in self.published.of
                or not all(self.reader.at_end((topic, partition)) for topic in EVENTS)
                or len(self.reader.waiting)
            ):
                continue
            generation = self._generation
            municipality = await self._municipality(code)
            step = await self._in_thread(partial(municipality.advance, now))
            if step is not None:
                await self._keep(generation, code, municipality, [step], [])
            step = await self._in_thread(municipality.forget)
            if step is not None:
                await self._keep(generation, code, municipality, [step], [])
                self.open.pop(code, None)  # made anew from what is left when it is next needed

    # ---- writing --------------------------------------------------------------------------------------------------

    async def _keep(
        self, generation: int, code: str, municipality: Municipality, steps: Sequence[Step], messages: list[Arrived]
    ) -> None:
        """Write what steps have changed; what they send goes out, and their messages are done with, when that is kept."""
        if generation != self._generation or self.open.get(code) is not municipality:
            return  # the partition is another worker's now, which takes the messages again
        self.watchdog.not_suspended()
        partition = self.outlet.partition(code)
        for step in steps:
            if generation != self._generation:
                return  # taken away while others were on their way: what is written after it would overtake its successor
            written = []
            for name, value in step.writes:
                key = f"{code}/{name}".encode()
                if value is None:
                    self.table.data.pop(key, None)
                    self._keys.get(code, set()).discard(key)
                else:
                    self.table.data[key] = value
                    self._keys.setdefault(code, set()).add(key)
                written.append(self.table.send_changelog(partition, key, value))
            await self._in_flight.put((generation, self._after(generation, written, municipality, step), []))
            self._measure(step)
        if generation == self._generation:
            self._show_standing(code)
        await self._in_flight.put((generation, wait_for_all(()), messages))  # also of messages that were taken before

    async def _after(self, generation: int, written: Sequence[Awaitable[Any]], municipality: Municipality, step: Step) -> None:
        await asyncio.gather(*written)
        if generation != self._generation:
            return  # it stands in the journal, and is sent by whoever has that now
        await self.outlet.hand_on(municipality, step.outgoing)
        if step.outgoing and step.changes.history:
            self.metrics.count_changes(step.changes.history)

    async def _settle(self) -> None:
        """In the order of the steps: wait until they are kept; their messages are then done with."""
        while True:
            generation, kept, messages = await self._in_flight.get()
            await kept
            self.watchdog.moved()
            if generation == self._generation:
                for message in messages:
                    self.reader.done(message)
            self._in_flight.task_done()

    async def _pass_on(self, parcels: Sequence[Parcel], messages: list[Arrived]) -> None:
        """Send on what no engine here takes, which is done with when that is on the brokers."""
        await self._in_flight.put((self._generation, await self.outlet.pass_on(parcels), messages))

    async def _publish(self) -> None:
        """Have pages that have changed published, as they are now, when the steps that changed them are kept."""
        generation = self._generation
        for code, municipality in list(self.open.items()):
            if generation != self._generation:
                return
            pages, clock = municipality.unsent_pages(), municipality.clock()
            await self._in_flight.put((generation, self.outlet.publish(code, municipality, pages, clock), []))

    # ---- beside the work ------------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        async def changed(code: str) -> None:
            self._changed.append(code)
            self._wake.set()

        await follow_settings(self.cluster, self.published, self._settings_known.set, changed)

    async def _listen(self) -> None:
        async def heard(said: VerdictMessage) -> None:
            self._verdicts.setdefault(said.municipality, []).append(said.verdict)
            self._explained.append(said.municipality)
            self._wake.set()

        await follow_verdicts(self.cluster, heard)

    async def _serve(self) -> None:
        k = self.cluster.kafka
        self.metrics.say_what_runs("worker", k.clock)
        await serve_health(k.worker_host, k.worker_port, self.metrics, lambda: self.ready, self._show_state)

    def _show_state(self) -> None:
        """Bring the gauges up to date, before someone reads the metrics."""
        self.metrics.ready.set(self.ready)
        for topic, messages in self.reader.lag().items():
            self.metrics.lag.labels(topic).set(messages)

    def _show_standing(self, code: str) -> None:
        """Show how an engine stands, when a day or the settings have changed. No step of it runs meanwhile."""
        municipality = self.open[code]
        now = (municipality.engine.today, municipality.engine.watch.fitted_on, municipality.settings.text)
        if self._shown.get(code) != now:
            self._shown[code] = now
            self.metrics.show_standing(code, standing(municipality.engine))

    def _measure(self, step: Step) -> None:
        measure_events(self.metrics, step.taken, step.result)
        for note in step.changes.notes:
            self.metrics.data_notes.labels(note.what).inc()


def _steps(municipality: Municipality, messages: Sequence[Arrived]) -> list[Step]:
    return list(municipality.take(messages, datetime.now(UTC)))


def _municipality(key: bytes) -> str:
    return key.split(b"/", 1)[0].decode()


def run_worker(cluster: ClusterSettings) -> None:
    """Run a worker until it is told to end. Raises SettingsError, KafkaError when it cannot begin."""
    if problems := topic_problems(cluster):
        raise KafkaError("; ".join(problems))
    process = faust.Worker(Worker(cluster, Metrics()).app, quiet=True, redirect_stdouts=False, override_logging=False)
    process.spinner = None  # it hides the cursor, in files too
    process.execute_from_commandline()
