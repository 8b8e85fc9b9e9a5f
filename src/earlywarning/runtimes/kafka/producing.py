"""Events onto the topics as a supplier sends them: batches of one municipality and kind, cut where the local day turns."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError as ClientError

from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.events import AnyEvent, Incident
from earlywarning.core.settings_draft import Decision
from earlywarning.runtimes.kafka.connection import KafkaError, client_options
from earlywarning.runtimes.kafka.feedback import AnswerMessage, VerdictMessage
from earlywarning.runtimes.kafka.messages import HISTORY, encode_events, pack_settings
from earlywarning.runtimes.kafka.topics import FEEDBACK, INCIDENTS, MOST_BYTES, REPORTS, SETTINGS, topic_name
from earlywarning.settings import ClusterSettings, Settings

MOST_EVENTS = 1_000  # of a message: some 300 kB


class Producer:
    """Sends events and settings. `send` gathers, `flush` sends the rest and waits until all is on the brokers."""

    def __init__(self, cluster: ClusterSettings, *, as_history: bool = False, most_events: int = MOST_EVENTS) -> None:
        """Raises KafkaError when no broker answers."""
        self._kafka, self._history, self._most = cluster.kafka, as_history, most_events
        try:
            self._producer = KafkaProducer(
                **client_options(cluster), acks="all", linger_ms=5, max_request_size=MOST_BYTES, max_block_ms=30_000
            )
        except ClientError as error:
            raise KafkaError(f"no broker answers at {cluster.kafka.brokers} ({type(error).__name__}): {error}") from error
        self._calendar = LocalCalendar()
        self._gathered: dict[tuple[str, str], list[AnyEvent]] = {}
        self._day: dict[str, int] = {}
        self._sent: list[Any] = []
        self.messages = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, events: Iterable[AnyEvent]) -> Counter[str]:
        """Gather events in their order of recording; full batches go out. Returns how many there were by topic."""
        counts: Counter[str] = Counter()
        for event in events:
            topic = INCIDENTS if type(event) is Incident else REPORTS
            counts[topic] += 1
            code, day = event.municipality, self._calendar.day_at(event.recorded_at)
            if self._day.setdefault(code, day) != day:
                # A day closes with the first event of the next one: what belongs to it goes out before.
                self._day[code] = day
                for what in (INCIDENTS, REPORTS):
                    self._out(code, what)
            batch = self._gathered.setdefault((code, topic), [])
            batch.append(event)
            if len(batch) >= self._most:
                self._out(code, topic)
        return counts

    def _out(self, code: str, topic: str) -> None:
        batch = self._gathered.pop((code, topic), None)
        if not batch:
            return
        headers = [HISTORY] if self._history else []
        name = topic_name(self._kafka, topic)
        self._sent.append(self._producer.send(name, key=code.encode(), value=encode_events(batch), headers=headers))
        self.messages += 1
        if len(self._sent) >= 1_000:
            self._confirm()

    def flush(self) -> None:
        """Send what is gathered; returns when the brokers have all. Raises KafkaError when they do not take it."""
        for code, topic in list(self._gathered):
            self._out(code, topic)
        self._confirm()

    def _confirm(self) -> None:
        # Forgotten also when they fail: who sent them is told once, and what comes later must not fail with them.
        waiting, self._sent = self._sent, []
        try:
            for sent in waiting:
                sent.get(timeout=60)
        except ClientError as error:
            raise KafkaError(f"the brokers did not take the events ({error}); send them again: repeats count once") from error

    def publish(self, all_settings: Sequence[Settings], decision: Decision | None = None) -> None:
        """Put settings in force in every worker. decision: who decided it, and why. Raises KafkaError, SettingsError."""
        for settings in all_settings:
            name, key = topic_name(self._kafka, SETTINGS), settings.municipality.code.encode()
            self._sent.append(self._producer.send(name, key=key, value=pack_settings(settings, decision)))
        self._confirm()

    def answer(self, message: AnswerMessage | VerdictMessage) -> None:
        """Send an answer or a verdict. Raises KafkaError when the brokers do not take it."""
        name, key = topic_name(self._kafka, FEEDBACK), message.municipality.encode()
        self._sent.append(self._producer.send(name, key=key, value=msgspec.json.encode(message)))
        self._confirm()

    def close(self) -> None:
        """Let go of the connection."""
        self._producer.close(timeout=30)
