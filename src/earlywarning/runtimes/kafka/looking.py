"""Looking into the log by a connection of its own, whatever has become of the one that reads."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP

from earlywarning.runtimes.kafka.connection import client_options
from earlywarning.settings import ClusterSettings

LONGEST = 30.0  # seconds


async def first_in_log(cluster: ClusterSettings, tp: TP, offset: int) -> int:
    """The offset of the first message from `offset` on, the log's end where there is none: it has gaps where transactions end.

    Raises aiokafka's KafkaError, TimeoutError.
    """
    async with _consumer(cluster) as consumer:
        at = TopicPartition(*tp)
        return await _first(consumer, at, offset, (await consumer.end_offsets([at]))[at])


async def left_in_log(cluster: ClusterSettings, read: Mapping[TP, int]) -> dict[TP, int]:
    """Of partitions that were read so far, those that hold further messages, with the offset of the next. Raises as above."""
    async with _consumer(cluster) as consumer:
        ends = await consumer.end_offsets([TopicPartition(*tp) for tp in read]) if read else {}
        behind = {TopicPartition(*tp): offset for tp, offset in read.items() if offset < ends[TopicPartition(*tp)]}
        first = {at: await _first(consumer, at, offset, ends[at]) for at, offset in behind.items()}
        return {TP(*at): offset for at, offset in first.items() if offset < ends[at]}


@asynccontextmanager
async def _consumer(cluster: ClusterSettings) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(**client_options(cluster), enable_auto_commit=False)
    try:
        async with asyncio.timeout(LONGEST):
            await consumer.start()
            yield consumer
    finally:
        await consumer.stop()


async def _first(consumer: AIOKafkaConsumer, at: TopicPartition, offset: int, end: int) -> int:
    consumer.assign([at])
    consumer.seek(at, offset)
    while await consumer.position(at) < end:
        if found := (await consumer.getmany(at, timeout_ms=500)).get(at):
            return int(found[0].offset)
    return max(offset, end)
