"""Reading ahead: from Faust's stream into `merging.Waiting`, each message once and in order, whatever Faust drops meanwhile."""

from collections.abc import Callable
from typing import Any

import faust
from faust.types import TP

from earlywarning.runtimes.kafka.merging import TopicPartition, Waiting
from earlywarning.runtimes.kafka.messages import Arrived, arrived
from earlywarning.runtimes.kafka.progress import Progress
from earlywarning.runtimes.kafka.topics import EVENTS, topic_name
from earlywarning.settings import Kafka


class Reader:
    """The messages that were read and are not taken yet, and how far each partition was read."""

    def __init__(self, app: faust.App, settings: Kafka, wake: Callable[[], None]) -> None:
        self._app, self._wake = app, wake
        self._name = {topic: topic_name(settings, topic) for topic in EVENTS}
        self._topic = {name: topic for topic, name in self._name.items()}
        self.waiting, self.progress = Waiting(), Progress()
        self.active = False
        self._next: dict[TP, int] = {}  # the offset after the last message that was read
        self._gaps: dict[TP, int] = {}
        self._paused: set[TopicPartition] = set()

    def stop(self) -> None:
        """Forget all: the partitions may be another worker's by now."""
        self.active = False
        self.waiting.clear()
        self.progress.clear()
        self._next, self._gaps, self._paused = {}, {}, set()

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
                continue
            self._next[tp] = m.offset + 1
            message = arrived(self._topic[m.topic], m.partition, m.offset, m.key, m.value, m.headers)
            self.progress.read(tp, m.offset)
            self.waiting.add(message)
            if self.waiting.full((message.topic, m.partition)):
                self._paused.add((message.topic, m.partition))
                self._app.consumer.pause_partitions({tp})
            self._wake()

    async def _in_order(self, tp: TP, offset: int) -> bool:
        """Whether this is the next message of its partition. Faust may drop some while it rebalances: they are read again."""
        expected = self._next.get(tp, offset)
        if offset <= expected or self._gaps.get(tp) == offset:
            self._gaps.pop(tp, None)
            return offset >= expected
        if tp not in self._gaps:
            self._gaps[tp] = offset  # where it is there the second time as well, the log itself has a gap
            await self._app.consumer.seek(tp, expected)
        return False

    async def resume(self) -> None:
        """Read on where enough was read ahead. Faust drops what it had fetched of a partition that pauses: it is read again."""
        for at in [at for at in self._paused if not self.waiting.full(at)]:
            self._paused.discard(at)
            tp = self._tp(at)
            if tp in self._app.consumer.assignment() and tp in self._next:
                self._gaps.pop(tp, None)
                await self._app.consumer.seek(tp, self._next[tp])
                self._app.consumer.resume_partitions({tp})

    def _tp(self, at: TopicPartition) -> TP:
        return TP(self._name[at[0]], at[1])

    def at_end(self, at: TopicPartition) -> bool:
        """Whether nothing is left to read of a topic's partition."""
        return self._tp(at) in self._app.consumer.assignment() and self._read_to_end(self._tp(at))

    def _read_to_end(self, tp: TP) -> bool:
        newest, read = self._app.consumer.highwater(tp), self._next.get(tp)
        return newest is not None and read is not None and read >= newest

    def idle(self) -> bool:
        """Whether everything that is there was read and taken."""
        return self.active and not len(self.waiting) and all(self._read_to_end(tp) for tp in self._own())

    def done(self, message: Arrived) -> None:
        """A message is done with."""
        self.progress.done(self._tp((message.topic, message.partition)), message.offset)

    async def commit(self) -> None:
        """Tell the consumer group how far this worker is."""
        if offsets := self.progress.news():
            await self._app.consumer._commit(offsets)  # type: ignore[attr-defined]  # `commit` looks at Faust's own acks
