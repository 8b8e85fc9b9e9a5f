"""A Kafka topic: the same JSON as a webhook's, keyed by alert so that its messages keep their order."""

from collections.abc import Mapping
from typing import Any

from earlywarning import __version__
from earlywarning.channels.contents import Letter
from earlywarning.channels.message_json import message_json
from earlywarning.channels.refusals import NotNow, Undeliverable
from earlywarning.settings_channels import KafkaChannel
from earlywarning.store.outbox import Waiting

_HEADER = "earlywarning-key"


class KafkaSender:
    """Writes to one topic, and waits until all in-sync brokers have it."""

    wants_earlier = False

    def __init__(self, channel: KafkaChannel, options: Mapping[str, Any]) -> None:
        """options: how kafka-python's clients reach the brokers. Raises NotNow when none answers, or the extra is missing."""
        try:
            from kafka import KafkaProducer  # noqa: PLC0415  # an extra
            from kafka.errors import KafkaError, MessageSizeTooLargeError  # noqa: PLC0415  # likewise
        except ModuleNotFoundError:
            raise NotNow("a Kafka channel needs the extra: pip install 'earlywarning[kafka]'") from None
        self._error, self._too_large = KafkaError, MessageSizeTooLargeError
        self._topic, self._seconds = channel.topic, channel.timeout_seconds
        reached = {**options, "bootstrap_servers": channel.brokers.split(",")} if channel.brokers else dict(options)
        if not reached.get("bootstrap_servers"):
            raise NotNow("no brokers are named; write them to the channel's brokers or to [kafka]")
        milliseconds = int(self._seconds * 1000)
        if "bootstrap_timeout_ms" in KafkaProducer.DEFAULT_CONFIG:  # since kafka-python 3
            reached.setdefault("bootstrap_timeout_ms", milliseconds)
        try:
            self._producer = KafkaProducer(
                **reached, acks="all", max_block_ms=milliseconds, client_id=f"earlywarning-{__version__}",
                request_timeout_ms=milliseconds, delivery_timeout_ms=milliseconds + 100, linger_ms=0,
            )  # fmt: skip
        except KafkaError as error:
            raise NotNow(f"no broker answers ({type(error).__name__})") from None

    def render(self, letter: Letter) -> bytes:
        """The message as JSON."""
        return message_json(letter)

    def send(self, waiting: Waiting, rendered: bytes) -> None:
        """Write it, keyed by alert, with the message's key as a header."""
        m = waiting.message
        try:
            sent = self._producer.send(
                self._topic, key=(m.alert_id or m.key).encode(), value=rendered, headers=[(_HEADER, m.key.encode())]
            )
            sent.get(timeout=self._seconds)
        except self._too_large:
            raise Undeliverable(
                f"topic {self._topic}: the message of {len(rendered):,} bytes is larger than the brokers take"
            ) from None
        except self._error as error:
            raise NotNow(f"topic {self._topic}: not written ({type(error).__name__})") from None

    def close(self) -> None:
        """Let go of the connections."""
        self._producer.close(timeout=1)
