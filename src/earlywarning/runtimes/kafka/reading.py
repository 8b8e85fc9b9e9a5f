"""Reading ahead: from Faust's stream into `merging.Waiting`, each message once and in order, whatever Faust drops meanwhile."""

from collections.abc import Callable
from typing import Any

import faust
import structlog
from faust.types import TP

from earlywarning.runtimes.kafka.looking import first_in_log, left_in_log
from earlywarning.runtimes.kafka.merging import Place, Waiting
from earlywarning.runtimes.kafka.messages import Arrived, arrived
from earlywarning.runtimes.kafka.progress import Progress
from earlywarning.runtimes.kafka.topics import EVENTS, topic_name
from earlywarning.settings import ClusterSettings

log = structlog.get_logger(__name__)


class SkippedMessagesError(RuntimeError):
    """Messages were not read that are in the log: the process must end, and its successor read them."""


class UndeliveredError(RuntimeError):
    """Messages are in the log that never come, nor after having gone back to them: the process must end."""


class Reader:
    """The messages that were read and are not taken yet, and how far each partition was read."""

    def __init__(self, app: faust.App, cluster: ClusterSettings, wake: Callable[[], None]) -> None:
        self._app, self._cluster, self._wake = app, cluster, wake
        settings = cluster.kafka
        self._name = {topic: topic_name(settings, topic) for topic in EVENTS}
        self._topic = {name: topic for topic, name in self._name.items()}
        self.waiting, self.progress = Waiting(), Progress()
        self.active = False
        self.passed_over = 0  # messages of former assignments, or read before
        self._next: dict[TP, int] = {}  # the offset after the last message that was read
        self._paused: set[Place] = set()
        self._stops = 0
        self._late: dict[TP, int] = {}  # messages that were in the log at the last look, and not read
        self._gone_back: dict[TP, int] = {}
        self._ends: dict[TP, int] = {}  # the furthest end that the brokers have named

    def stop(self) -> None:
        """Forget all: the partitions may be another worker's by now."""
        self.active = False
        self._stops += 1
        self.waiting.clear()
        self.progress.clear()
        self._next, self._paused, self._late, self._gone_back, self._ends = {}, set(), {}, {}, {}

    async def start(self) -> set[int] | None:
        """Find where reading begins, also of partitions of which nothing new may ever come.

        Returns the partitions; None when `stop` came meanwhile, since then others are on their way.
        """
        consumer, stops = self._app.consumer, self._stops
        tps = self._own()
        earliest = await consumer.earliest_offsets(*tps) if tps else {}
        # A fetch may name too early an end: a leader that has just begun does not know how far the others are. Asked for the end
        # alone, it answers only when it knows.
        ends = await consumer.highwaters(*tps) if tps else {}
        committed = await consumer.seek_to_committed() if tps else {}  # type: ignore[attr-defined]  # there, not in the type
        if stops != self._stops:
            return None
        self._next = {tp: max(committed.get(tp) or 0, earliest.get(tp) or 0) for tp in tps}
        self._ends = {tp: ends.get(tp) or 0 for tp in tps}
        self.active = True
        return {tp.partition for tp in tps}

    def _own(self) -> list[TP]:
        return [tp for tp in self._app.consumer.assignment() if tp.topic in self._topic]

    async def read(self, stream: Any) -> None:
        """Faust's agent: it never acknowledges, see progress.py."""
        async for event in stream.noack().events():
            m = event.message
            tp = TP(m.topic, m.partition)
            if not self.active or m.generation_id != self._app.consumer_generation_id or not await self._in_order(tp, m.offset):
                self.passed_over += 1
                continue
            self._next[tp] = m.offset + 1
            message = arrived(self._topic[m.topic], m.partition, m.offset, m.key, m.value, m.headers)
            self.progress.read(tp, m.offset)
            self.waiting.add(message)
            if self.waiting.full((message.topic, m.partition)):
                self._paused.add((message.topic, m.partition))
                # Not pause_partitions, which drops what was fetched already.
                self._app.consumer.on_buffer_full(tp)
            self._wake()

    async def _in_order(self, tp: TP, offset: int) -> bool:
        """Whether this is the next message of its partition; one that was read already is passed over.

        Raises SkippedMessagesError when messages before it were not read.
        """
        expected = self._next.get(tp, offset)
        if offset > expected and await first_in_log(self._cluster, tp, expected) != offset:
            raise SkippedMessagesError(f"{tp.topic}/{tp.partition}: {offset} came where {expected} should have")
        return offset >= expected

    async def look(self) -> bool:
        """Ask the brokers whether messages are left that do not come; returns whether nothing is left there.

        To be called at intervals in which every message should have come. What stood there at the last look as well is
        gone back to. Raises UndeliveredError when that was done already, aiokafka's KafkaError and TimeoutError when no
        broker answers.
        """
        stops, read = self._stops, dict(self._next)
        left = await left_in_log(self._cluster, read)
        if stops != self._stops:
            return False
        # Where nothing is left the log ends, also one that has lost its newest messages with a broker.
        self._ends.update({tp: offset for tp, offset in read.items() if tp not in left and self._next.get(tp) == offset})
        held_up = {self._tp(at) for at in self._paused}
        before, self._late = self._late, {tp: o for tp, o in left.items() if self._next.get(tp) == read[tp] and tp not in held_up}
        if stuck := {tp: o for tp, o in self._late.items() if before.get(tp) == o}:
            if again := [tp for tp, o in stuck.items() if self._gone_back.get(tp) == o]:
                raise UndeliveredError(", ".join(f"{tp.topic}/{tp.partition}@{stuck[tp]} does not come" for tp in again))
            self._gone_back.update(stuck)
            log.warning("messages do not come, reading goes back", **self.standing())
            await self._app.consumer.seek_wait({tp: read[tp] for tp in stuck})
        return not left

    def resume(self) -> None:
        """Read on where enough was read ahead."""
        for at in [at for at in self._paused if not self.waiting.full(at)]:
            self._paused.discard(at)
            self._app.consumer.on_buffer_drop(self._tp(at))

    def _tp(self, at: Place) -> TP:
        return TP(self._name[at[0]], at[1])

    def at_end(self, at: Place) -> bool:
        """Whether nothing is left to read of a topic's partition."""
        return self._tp(at) in self._app.consumer.assignment() and self._read_to_end(self._tp(at))

    def _read_to_end(self, tp: TP) -> bool:
        consumer: Any = self._app.consumer
        newest, read = consumer.highwater(tp), self._next.get(tp)
        if newest is None or read is None:
            return False
        # A log's end does not go back, but for a leader that does not know it yet (see `start`).
        end = self._ends[tp] = max(newest, self._ends.get(tp, 0))
        return read >= end or bool(consumer.past_gap(tp, read) >= end)

    def idle(self) -> bool:
        """Whether everything that is there was read and taken."""
        return self.active and not len(self.waiting) and all(self._read_to_end(tp) for tp in self._own())

    def lag(self) -> dict[str, int]:
        """By topic, the messages of this worker's partitions that are not read yet, as far as the brokers have told it."""
        left = dict.fromkeys(EVENTS, 0)
        for tp in self._own() if self.active else ():
            newest, read = self._app.consumer.highwater(tp), self._next.get(tp)
            if newest is not None and read is not None:
                left[self._topic[tp.topic]] += max(newest - read, 0)
        return left

    def standing(self) -> dict[str, object]:
        """Where reading stands, for the log of a worker in which nothing moves."""
        consumer: Any = self._app.consumer
        left = {f"{tp.topic}/{tp.partition}": (self._next.get(tp), consumer.highwater(tp)) for tp in self._own()}
        return {
            "rebuilt": self.active, "waiting": len(self.waiting), "next_and_end": left, "passed_over": self.passed_over,
            "paused": sorted(self._paused), "flow": consumer.flow_active, "recovering": self._app.in_recovery,
            "fetched": sorted(f"{tp.topic}/{tp.partition}" for tp in consumer._get_active_partitions()),
        }  # fmt: skip

    def done(self, message: Arrived) -> None:
        """A message is done with."""
        self.progress.done(self._tp((message.topic, message.partition)), message.offset)

    async def commit(self) -> None:
        """Tell the consumer group how far this worker is."""
        if offsets := self.progress.news():
            await self._app.consumer._commit(offsets)  # type: ignore[attr-defined]  # `commit` looks at Faust's own acks
