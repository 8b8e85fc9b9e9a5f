"""The settings of all municipalities, followed on their topic; put in force as they come."""

import tempfile
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from earlywarning.monitoring import Metrics
from earlywarning.runtimes.kafka.connection import client_options
from earlywarning.runtimes.kafka.messages import unpack_settings
from earlywarning.runtimes.kafka.topics import SETTINGS, topic_name
from earlywarning.settings import ClusterSettings, Settings, SettingsError

log = structlog.get_logger(__name__)


class PublishedSettings:
    """By municipality, the newest settings that could be put in force."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.of: dict[str, Settings] = {}
        self._metrics = metrics or Metrics()
        self._refused: set[str] = set()  # municipalities whose newest settings are not in force
        self._folder = Path(tempfile.mkdtemp(prefix="earlywarning-settings-"))

    def take(self, municipality: str, value: bytes | None) -> Settings | None:
        """A message of the topic; None when it puts nothing in force."""
        if value is None:
            return None  # a municipality that has left: what it has stays until the workers start anew
        try:
            settings = unpack_settings(value, self._folder / municipality / sha256(value).hexdigest()[:16])
        except SettingsError as error:
            self.refuse(municipality)
            log.error("published settings refused", municipality=municipality, problems=list(error.problems))
            return None
        if settings.municipality.code != municipality:
            self.refuse(municipality)
            log.error("published settings refused", municipality=municipality, problems=["they are of another municipality"])
            return None
        self.of[municipality] = settings
        self._refused.discard(municipality)
        self._metrics.settings_refused.set(len(self._refused))
        return settings

    def refuse(self, municipality: str) -> None:
        """Count settings that cannot be put in force: what was in force before stays so."""
        self._refused.add(municipality)
        self._metrics.settings_errors.inc()
        self._metrics.settings_refused.set(len(self._refused))


async def follow_settings(
    cluster: ClusterSettings, published: PublishedSettings, complete: Callable[[], None], changed: Callable[[str], Awaitable[None]]
) -> None:
    """Read the topic from its beginning and go on for ever. complete: called once, when all that is there has been read."""
    at = TopicPartition(topic_name(cluster.kafka, SETTINGS), 0)
    consumer = AIOKafkaConsumer(**client_options(cluster), auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign([at])
        await consumer.seek_to_beginning(at)
        end = (await consumer.end_offsets([at]))[at]
        told = False
        while True:
            if not told and await consumer.position(at) >= end:
                told = True
                complete()
            for messages in (await consumer.getmany(at, timeout_ms=500)).values():
                for message in messages:
                    municipality = (message.key or b"").decode(errors="replace")
                    if published.take(municipality, message.value) is not None and told:
                        log.info("settings in force", municipality=municipality, version=published.of[municipality].version)
                        await changed(municipality)
    finally:
        await consumer.stop()
