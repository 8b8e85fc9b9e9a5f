"""Reading ahead: from Faust's stream into `merging.Waiting`, each message once and in order, whatever Faust drops meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP

from earlywarning.runtimes.kafka.connection import client_options
from earlywarning.runtimes.kafka.merging import Place, Waiting
from earlywarning.runtimes.kafka.messages import Arrived, arrived
from earlywarning.runtimes.kafka.progress import Progress
from earlywarning.runtimes.kafka.topics import EVENTS, topic_name
from earlywarning.settings import ClusterSettings

LONGEST_LOOK = 30.0  # seconds to look a message up in the log


class SkippedMessagesError(RuntimeError):
    """Messages were not read that are in the log: the process must end, and its successor read them."""


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

    def stop(self) -> None:
        """Forget all: the partitions may be another worker's by now."""
        self.active = False
        self.waiting.clear()
        self.progress.clear()
        self._next, self._paused = {}, set()

    async def start(self) -> set[int]:
        """Find where reading begins, also of partitions of which nothing new may ever come; returns the partitions."""
        consumer = self._app.consumer
        tps = self._own()
        earliest = await consumer.earliest_offsets(*tps) if tps else {}
        committed = await consumer.seek_to_committed() if tps else {}  # type: ignore[attr-defined]  # there, not in the type
        self._next = {tp: max(committed.get(tp) or 0, earliest.get(tp) or 0) for tp in tps}
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
        if offset > expected and await self._first_in_log(tp, expected) != offset:
            raise SkippedMessagesError(f"{tp.topic}/{tp.partition}: {offset} came where {expected} should have")
        return offset >= expected

    async def _first_in_log(self, tp: TP, offset: int) -> int:
        """The offset of the first message from `offset` on: a log has gaps where transactions end."""
        consumer = AIOKafkaConsumer(**client_options(self._cluster), enable_auto_commit=False)
        await consumer.start()
        try:
            at = TopicPartition(tp.topic, tp.partition)
            consumer.assign([at])
            consumer.seek(at, offset)
            return int((await asyncio.wait_for(consumer.getone(at), LONGEST_LOOK)).offset)
        finally:
            await consumer.stop()

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
        newest, read = self._app.consumer.highwater(tp), self._next.get(tp)
        return newest is not None and read is not None and read >= newest

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
        consumer = self._app.consumer
        left = {f"{tp.topic}/{tp.partition}": (self._next.get(tp), consumer.highwater(tp)) for tp in self._own()}
        return {
            "rebuilt": self.active, "waiting": len(self.waiting), "next_and_end": left, "passed_over": self.passed_over,
            "paused": sorted(self._paused), "flow": getattr(consumer, "flow_active", None), "recovering": self._app.in_recovery,
            "fetched": sorted(f"{tp.topic}/{tp.partition}" for tp in consumer._get_active_partitions()),  # type: ignore[attr-defined]
        }  # fmt: skip

    def done(self, message: Arrived) -> None:
        """A message is done with."""
        self.progress.done(self._tp((message.topic, message.partition)), message.offset)

    async def commit(self) -> None:
        """Tell the consumer group how far this worker is."""
        if offsets := self.progress.news():
            await self._app.consumer._commit(offsets)  # type: ignore[attr-defined]  # `commit` looks at Faust's own acks
