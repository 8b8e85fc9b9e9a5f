"""What a worker sends: alerts, dead letters, changed pages, messages that belong elsewhere."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import faust
import msgspec

from earlywarning.monitoring import Metrics
from earlywarning.runtimes.kafka.journal import Outgoing
from earlywarning.runtimes.kafka.messages import ClockMessage, PageMessage
from earlywarning.runtimes.kafka.municipality import Municipality
from earlywarning.runtimes.kafka.passing import Parcel
from earlywarning.runtimes.kafka.topics import ALERTS, DEAD_LETTERS, EVENTS, STATISTICS, partition_of, topic_name
from earlywarning.settings import Kafka


class Outlet:
    """The topics that a worker writes to, beside its table's changelog."""

    def __init__(self, app: faust.App, settings: Kafka, metrics: Metrics) -> None:
        self._settings, self._metrics = settings, metrics
        self._topics = {
            what: app.topic(
                topic_name(settings, what), key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
            )
            for what in (ALERTS, STATISTICS, DEAD_LETTERS, *EVENTS)
        }
        self._clocks: dict[str, ClockMessage] = {}  # as published

    def partition(self, code: str) -> int:
        """The partition of a municipality."""
        return partition_of(code, self._settings.partitions)

    def forget(self) -> None:
        """Another worker may have published since: publish every clock again."""
        self._clocks.clear()

    async def hand_on(self, municipality: Municipality, messages: Sequence[Outgoing]) -> None:
        """Send messages whose journal is kept, one after the other, and take them off the journal."""
        partition = self.partition(municipality.engine.register.municipality)
        for message in messages:
            await (
                await self._topics[message.where].send(key=message.key.encode(), value=message.value or None, partition=partition)
            )
            municipality.journal.sent(message.number)

    async def pass_on(self, parcels: Sequence[Parcel]) -> Awaitable[None]:
        """Send what no engine here takes; what is returned waits until it is on the brokers."""
        sent = []
        for p in parcels:
            if p.letter is not None:
                self._metrics.rejected.labels(p.letter.rule).inc()
            sent.append(await self._topics[p.topic].send(key=p.key, value=p.value, partition=p.partition, headers=p.headers))
        return wait_for_all(sent)

    async def publish(self, code: str, municipality: Municipality, pages: Sequence[PageMessage], clock: ClockMessage) -> None:
        """Publish pages and clock as they were after a step that is kept."""
        sent = [await self._state(code, f"day/{page.day}", page) for page in pages]
        if self._clocks.get(code) != clock and clock.clock_day:
            sent.append(await self._state(code, "clock", clock))
            self._clocks[code] = clock
        await asyncio.gather(*sent)
        for page in pages:
            municipality.published(page)

    async def _state(self, code: str, what: str, message: PageMessage | ClockMessage) -> Awaitable[Any]:
        key, value = f"{code}/{what}".encode(), msgspec.msgpack.encode(message)
        sent: Awaitable[Any] = await self._topics[STATISTICS].send(key=key, value=value, partition=self.partition(code))
        return sent


async def wait_for_all(sent: Sequence[Awaitable[Any]]) -> None:
    """Wait until all of it is on the brokers."""
    await asyncio.gather(*sent)
