"""The feedback topic: the group's answers, and what they say to the baselines, for the workers.

Others put *answers* there, which the desk takes. The desk puts *verdicts* there, which every worker hears: they are few, so each
worker reads the whole topic and keeps in its journals those of its municipalities. A verdict heard twice changes nothing.
"""

from collections.abc import Awaitable, Callable

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from earlywarning.core.casework import Answer, Verdict
from earlywarning.runtimes.kafka.connection import client_options
from earlywarning.runtimes.kafka.topics import FEEDBACK, topic_name
from earlywarning.settings import ClusterSettings


class AnswerMessage(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """An answer, as it comes by the topic."""

    municipality: str
    answer: Answer
    format: int = 1


class VerdictMessage(msgspec.Struct, frozen=True, kw_only=True, tag="verdict"):
    """A verdict of the desk."""

    municipality: str
    verdict: Verdict
    format: int = 1


feedback = msgspec.json.Decoder(AnswerMessage | VerdictMessage)
# What decoding may raise: beside msgspec's own, bytes that are not UTF-8, and nesting without end.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


async def follow_verdicts(cluster: ClusterSettings, heard: Callable[[VerdictMessage], Awaitable[None]]) -> None:
    """Read the topic from its beginning and go on for ever."""
    consumer = AIOKafkaConsumer(**client_options(cluster), auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        tps = [TopicPartition(topic_name(cluster.kafka, FEEDBACK), n) for n in range(cluster.kafka.partitions)]
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        while True:
            for messages in (await consumer.getmany(*tps, timeout_ms=500)).values():
                for message in messages:
                    if (said := _verdict(message.value)) is not None:
                        await heard(said)
    finally:
        await consumer.stop()


def _verdict(value: bytes | None) -> VerdictMessage | None:
    try:
        said = feedback.decode(value or b"")
    except UNREADABLE:
        return None  # the desk keeps it as a dead letter
    return said if isinstance(said, VerdictMessage) else None
