"""A worker: a Faust application that drives the engines of the municipalities whose partitions it has.

Messages are read ahead into `merging.Waiting`; one task takes them from there, step by step, in a thread of its own, so that
heartbeats go on. A step's records go to the table's changelog, then its alerts and dead letters go out, and then its
messages are acknowledged. Where something fails that must not lose data, the process ends without having acknowledged: its
successor stands where the last complete step left off.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import faust
import msgspec
import structlog
from faust.types import TP

from earlywarning.monitoring import Metrics
from earlywarning.runtimes.kafka.application import make_app
from earlywarning.runtimes.kafka.connection import KafkaError
from earlywarning.runtimes.kafka.health import serve_health
from earlywarning.runtimes.kafka.journal import Outgoing
from earlywarning.runtimes.kafka.merging import TopicPartition, Waiting
from earlywarning.runtimes.kafka.messages import Arrived, PageMessage, arrived
from earlywarning.runtimes.kafka.municipality import Municipality, Step
from earlywarning.runtimes.kafka.passing import UNKNOWN, Parcel, forwarded, refused, unknown_municipality
from earlywarning.runtimes.kafka.published import PublishedSettings, follow_settings
from earlywarning.runtimes.kafka.topics import (
    ALERTS,
    DEAD_LETTERS,
    EVENTS,
    STATISTICS,
    TABLE,
    partition_of,
    topic_name,
    topic_problems,
)
from earlywarning.runtimes.taking import measure_events
from earlywarning.settings import ClusterSettings

log = structlog.get_logger(__name__)
MOST_MESSAGES = 64  # of one municipality in one step
MOST_IN_FLIGHT = 64  # steps whose records are on their way
MOST_BUFFERED = 1_000  # records in the producer's buffer; Faust's own 100 holds every step up
LOOK = 0.02  # seconds between looks at a topic whose end must be known
TICK = 30.0  # seconds between looks at the wall clock
PUBLISH = 1.0  # seconds between publications of changed pages
STALLED = 120.0  # seconds without progress, while messages wait, after which the process ends
SUSPENDED = 0.8  # of the session's timeout: who was away for longer may have a successor, and writes nothing more

END_FAULT, END_STALLED, END_SUSPENDED = 70, 75, 76  # exit codes


def end(code: int, why: str, **more: object) -> None:
    """End the process now, without acknowledging anything."""
    log.error(why, **more)
    os._exit(code)


class Worker:
    """The state of one worker process."""

    def __init__(self, cluster: ClusterSettings, metrics: Metrics) -> None:
        self.cluster, self.metrics = cluster, metrics
        k = cluster.kafka
        self.app: faust.App = make_app(cluster)
        self.table = self.app.Table(TABLE, key_type=bytes, value_type=bytes, partitions=k.partitions)
        self._what = {topic_name(k, topic): topic for topic in EVENTS}
        self._sends = {what: self._topic(what) for what in (ALERTS, STATISTICS, DEAD_LETTERS, *EVENTS)}
        self.open: dict[str, Municipality] = {}
        self.waiting = Waiting()
        self.published = PublishedSettings()
        self._settings_known, self._wake = asyncio.Event(), asyncio.Event()
        self._changed: deque[str] = deque()
        self._keys: dict[str, set[bytes]] = {}
        self._next: dict[TP, int] = {}  # the offset after the last message that was read
        self._gaps: dict[TP, int] = {}
        self._paused: set[TopicPartition] = set()
        self._active = False
        self._generation = 0
        self._engines = ThreadPoolExecutor(1, thread_name_prefix="engines")
        self._in_flight: asyncio.Queue[tuple[int, Awaitable[Any], list[Arrived]]] = asyncio.Queue(MOST_IN_FLIGHT)
        self._pulse = self._progress = time.monotonic()
        self._wire()

    def _topic(self, what: str) -> Any:
        name = topic_name(self.cluster.kafka, what)
        return self.app.topic(name, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

    def _wire(self) -> None:
        source = self.app.topic(*self._what, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        self.app.agent(source, concurrency=1, name="events")(self._read)
        for task in (self._work, self._settle, self._watch, self._follow, self._serve):
            self.app.task(self._guarded(task))
        self.app.on_partitions_revoked.connect(self._revoked, weak=False)
        self.table.on_recover(self._recovered)

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
        return self._active and self._settings_known.is_set()

    # ---- reading --------------------------------------------------------------------------------------------------

    async def _read(self, stream: Any) -> None:
        async for event in stream.noack().events():
            m = event.message
            tp = TP(m.topic, m.partition)
            if not self._active or m.generation_id != self.app.consumer_generation_id or not await self._in_order(tp, m.offset):
                continue
            self._next[tp] = m.offset + 1
            message = arrived(self._what[m.topic], m.partition, m.offset, m.key, m.value, m.headers)._replace(handle=event)
            self.waiting.add(message)
            if self.waiting.full((message.topic, m.partition)):
                self._paused.add((message.topic, m.partition))
                self.app.consumer.pause_partitions({tp})
            self._wake.set()

    async def _in_order(self, tp: TP, offset: int) -> bool:
        """Whether this is the next message of its partition. Faust may drop some while it rebalances: they are read again."""
        expected = self._next.get(tp, offset)
        if offset <= expected or self._gaps.get(tp) == offset:
            self._gaps.pop(tp, None)
            return offset >= expected
        if tp not in self._gaps:
            self._gaps[tp] = offset  # where it is there the second time as well, the log itself has a gap
            await self.app.consumer.seek(tp, expected)
        return False

    def _at_end(self, at: TopicPartition) -> bool:
        """Whether nothing is left to read of a topic's partition."""
        tp = TP(topic_name(self.cluster.kafka, at[0]), at[1])
        consumer = self.app.consumer
        if tp not in consumer.assignment():
            return False
        newest, read = consumer.highwater(tp), self._next.get(tp)
        return newest is not None and read is not None and read >= newest

    async def _revoked(self, *_: object, **__: object) -> None:
        """Let go of everything: another worker may have it by now."""
        self._active = False
        self._generation += 1
        self.waiting.clear()
        self._next.clear()
        self._gaps.clear()
        self._paused.clear()
        self.open.clear()
        self._keys.clear()

    async def _recovered(self) -> None:
        """The table holds the state of the partitions that are this worker's now."""
        n = self.cluster.kafka.partitions
        own = {tp.partition for tp in self.app.consumer.assignment() if tp.topic in self._what}
        self._keys.clear()
        for key in list(self.table.data):
            municipality = _municipality(key)
            if partition_of(municipality, n) in own:
                self._keys.setdefault(municipality, set()).add(key)
            else:
                del self.table.data[key]
        self._progress = time.monotonic()
        await self._find_begin()
        self._active = True
        self._wake.set()
        log.info("state is there", partitions=sorted(own), municipalities=len(self._keys))

    async def _find_begin(self) -> None:
        """Where reading begins: also of partitions of which nothing new may ever come."""
        consumer = self.app.consumer
        tps = [tp for tp in consumer.assignment() if tp.topic in self._what]
        earliest = await consumer.earliest_offsets(*tps) if tps else {}
        committed = await consumer.seek_to_committed() if tps else {}  # type: ignore[attr-defined]  # there, not in the type
        self._next = {tp: max(committed.get(tp) or 0, earliest.get(tp) or 0) for tp in tps}

    # ---- working --------------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        await self._settings_known.wait()
        self.app.producer.buffer.max_messages = MOST_BUFFERED
        ticked = published = time.monotonic()
        while True:
            while self._changed:
                await self._configure(self._changed.popleft())
            worked = self._active and await self._take()
            now = time.monotonic()
            if self._active and now - ticked > TICK and self.cluster.kafka.clock == "wall":
                ticked = now
                await self._tick()
            if self._active and now - published > PUBLISH:
                published = now
                await self._publish()
            if not worked:
                self._wake.clear()
                await _wait(self._wake, LOOK if len(self.waiting) else PUBLISH)

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._engines, work)

    async def _take(self) -> bool:
        """Take the next messages, if there are any that can be taken."""
        generation = self._generation
        messages = self.waiting.ready(self._at_end, MOST_MESSAGES)
        if not messages:
            return False
        code, partition = messages[0].municipality, messages[0].partition
        await self._resume()
        if partition_of(code, self.cluster.kafka.partitions) != partition:
            await self._pass_on([forwarded(m, partition_of(code, self.cluster.kafka.partitions)) for m in messages], messages)
            return True
        if code not in self.published.of:
            await self._pass_on([refused(m, UNKNOWN, unknown_municipality(m)) for m in messages], messages)
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
        if code not in self.open:
            begun, prefix = time.monotonic(), len(code) + 1
            records = {key.decode()[prefix:]: self.table.data[key] for key in self._keys.get(code, ())}
            settings = self.published.of[code]
            made = await self._in_thread(lambda: Municipality.restore(settings, records, datetime.now(UTC)))
            self.open[code] = made
            self.metrics.rebuild.observe(time.monotonic() - begun)
            for message in made.journal.entry.outgoing:
                await self._hand_on(made, message)
        return self.open[code]

    async def _configure(self, code: str) -> None:
        municipality = self.open.get(code)
        if municipality is None or not self._active:
            return
        prefix = len(code) + 1
        records = {key.decode()[prefix:]: self.table.data[key] for key in self._keys.get(code, ())}
        settings = self.published.of[code]
        try:
            self.open[code] = await self._in_thread(lambda: municipality.configure(settings, datetime.now(UTC), records))
        except ValueError as error:
            self.metrics.settings_errors.inc()
            log.error("settings refused", municipality=code, problem=str(error))
            self.published.of[code] = municipality.settings

    async def _tick(self) -> None:
        """Close days that are over by the wall clock, of all of whom nothing waits to be read."""
        now = datetime.now(UTC)
        for code in list(self._keys):
            partition = partition_of(code, self.cluster.kafka.partitions)
            if code not in self.published.of or not all(self._at_end((topic, partition)) for topic in EVENTS) or len(self.waiting):
                continue
            generation = self._generation
            municipality = await self._municipality(code)
            step = await self._in_thread(partial(municipality.advance, now))
            if step is not None:
                await self._keep(generation, code, municipality, [step], [])

    # ---- writing --------------------------------------------------------------------------------------------------

    async def _keep(
        self, generation: int, code: str, municipality: Municipality, steps: Sequence[Step], messages: list[Arrived]
    ) -> None:
        """Write what steps have changed; what they send goes out, and their messages are acknowledged, when that is kept."""
        if generation != self._generation or self.open.get(code) is not municipality:
            return  # the partition is another worker's now, which takes the messages again
        self._not_suspended()
        partition = partition_of(code, self.cluster.kafka.partitions)
        for step in steps:
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
            last = step is steps[-1]
            await self._in_flight.put((generation, self._after(written, municipality, step), messages if last else []))
            self._measure(step)

    async def _after(self, written: Sequence[Awaitable[Any]], municipality: Municipality, step: Step) -> None:
        await asyncio.gather(*written)
        for message in step.outgoing:
            await self._hand_on(municipality, message)
        if step.outgoing and step.changes.history:
            self.metrics.count_changes(step.changes.history)

    async def _hand_on(self, municipality: Municipality, message: Outgoing) -> None:
        partition = partition_of(municipality.engine.register.municipality, self.cluster.kafka.partitions)
        await (await self._sends[message.where].send(key=message.key.encode(), value=message.value, partition=partition))
        municipality.journal.sent(message.number)

    async def _settle(self) -> None:
        """In the order of the steps: wait until they are kept, then acknowledge their messages."""
        while True:
            generation, kept, messages = await self._in_flight.get()
            await kept
            self._progress = time.monotonic()
            if generation == self._generation:
                for message in messages:
                    message.handle.ack()

    async def _pass_on(self, parcels: Sequence[Sequence[Parcel]], messages: list[Arrived]) -> None:
        """Send on what no engine here takes, and acknowledge it when that is on the brokers."""
        sent = []
        for parcel in (p for each in parcels for p in each):
            if parcel.letter is not None:
                self.metrics.rejected.labels(parcel.letter.rule).inc()
            topic = self._sends[parcel.topic]
            sent.append(await topic.send(key=parcel.key, value=parcel.value, partition=parcel.partition, headers=parcel.headers))
        await self._in_flight.put((self._generation, _all(sent), messages))

    async def _publish(self) -> None:
        """Publish pages that have changed, once the steps that changed them are kept."""
        if not self._in_flight.empty():
            return
        for code, municipality in list(self.open.items()):
            for page in municipality.unsent_pages():
                await self._publish_page(code, municipality, page)

    async def _publish_page(self, code: str, municipality: Municipality, page: PageMessage) -> None:
        partition = partition_of(code, self.cluster.kafka.partitions)
        key, value = f"{code}/day/{page.day}".encode(), msgspec.msgpack.encode(page)
        sent = await self._sends[STATISTICS].send(key=key, value=value, partition=partition)
        sent.add_done_callback(lambda done: municipality.published(page) if not done.exception() else None)

    # ---- watching over itself -------------------------------------------------------------------------------------

    async def _resume(self) -> None:
        """Read on where enough was read ahead. Faust drops what it had fetched of a partition that pauses: it is read again."""
        for at in [at for at in self._paused if not self.waiting.full(at)]:
            self._paused.discard(at)
            tp = TP(topic_name(self.cluster.kafka, at[0]), at[1])
            if tp in self.app.consumer.assignment() and tp in self._next:
                self._gaps.pop(tp, None)
                await self.app.consumer.seek(tp, self._next[tp])
                self.app.consumer.resume_partitions({tp})

    def _not_suspended(self) -> None:
        away = time.monotonic() - self._pulse
        if away > SUSPENDED * self.app.conf.broker_session_timeout:
            end(END_SUSPENDED, "the process was suspended for longer than its session lasts", seconds=round(away, 1))
        self._pulse = time.monotonic()

    async def _watch(self) -> None:
        """Beat, and end a process in which nothing moves while messages wait."""
        while True:
            await asyncio.sleep(0.5)
            self._not_suspended()
            if not len(self.waiting) and self._in_flight.empty():
                self._progress = time.monotonic()
            elif time.monotonic() - self._progress > STALLED:
                end(END_STALLED, "nothing moves while messages wait", waiting=len(self.waiting))

    async def _follow(self) -> None:
        async def changed(code: str) -> None:
            self._changed.append(code)
            self._wake.set()

        await follow_settings(self.cluster, self.published, self._settings_known.set, changed)

    async def _serve(self) -> None:
        k = self.cluster.kafka
        await serve_health(k.worker_host, k.worker_port, self.metrics, lambda: self.ready)

    def _measure(self, step: Step) -> None:
        measure_events(self.metrics, step.taken, step.result)
        for note in step.changes.notes:
            self.metrics.data_notes.labels(note.what).inc()


async def _all(sent: Sequence[Awaitable[Any]]) -> None:
    await asyncio.gather(*sent)


def _steps(municipality: Municipality, messages: Sequence[Arrived]) -> list[Step]:
    return list(municipality.take(messages, datetime.now(UTC)))


def _municipality(key: bytes) -> str:
    return key.split(b"/", 1)[0].decode()


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def run_worker(cluster: ClusterSettings) -> None:
    """Run a worker until it is told to end. Raises SettingsError, KafkaError when it cannot begin."""
    if problems := topic_problems(cluster):
        raise KafkaError("; ".join(problems))
    worker = Worker(cluster, Metrics())
    faust.Worker(worker.app, loglevel="WARNING", quiet=True, redirect_stdouts=False).execute_from_commandline()
