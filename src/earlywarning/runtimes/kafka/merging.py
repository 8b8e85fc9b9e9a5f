"""Which message is taken next: those of one municipality in the order in which they were recorded, over both topics.

Incidents and reports come on two topics, and a day closes for both. Of a municipality's next incident and next report
message the one recorded first is taken, and while only one of them is known the other topic is read on until nothing is left
of it: so
a backlog gives what reading along would have given. (Kafka Streams orders its inputs in the same way.)
"""

from collections import deque
from collections.abc import Callable, Iterator

from earlywarning.runtimes.kafka.messages import Arrived
from earlywarning.runtimes.kafka.topics import EVENTS

MOST_WAITING = 1_000  # messages of one topic and partition read ahead; beyond it, reading pauses
MOST_EVENTS_WAITING = 40_000  # events in them: some 40 MB

Place = tuple[str, int]  # incidents or reports, partition


class Waiting:
    """Messages that were read and not taken yet."""

    def __init__(self) -> None:
        self._queues: dict[tuple[int, str], dict[str, deque[Arrived]]] = {}
        self._read: dict[Place, int] = {}
        self._events: dict[Place, int] = {}

    def add(self, message: Arrived) -> None:
        """A message was read."""
        queues = self._queues.setdefault((message.partition, message.municipality), {})
        queues.setdefault(message.topic, deque()).append(message)
        at = (message.topic, message.partition)
        self._read[at] = self._read.get(at, 0) + 1
        self._events[at] = self._events.get(at, 0) + len(message.decoded.events)

    def clear(self) -> None:
        """Forget all: they will be read again by whoever has their partitions."""
        self._queues, self._read, self._events = {}, {}, {}

    def __len__(self) -> int:
        return sum(self._read.values())

    def full(self, at: Place) -> bool:
        """Whether enough is read ahead of a topic's partition."""
        return self._read.get(at, 0) >= MOST_WAITING or self._events.get(at, 0) >= MOST_EVENTS_WAITING

    def partitions(self) -> set[int]:
        """Partitions of which messages wait."""
        return {partition for partition, _ in self._queues}

    def ready(self, at_end: Callable[[Place], bool], most: int) -> list[Arrived]:
        """The next messages of one municipality, at most so many, taken out; empty while it must be waited for others.

        at_end: whether nothing is left to read of a topic's partition. News come before history.
        """
        choices = [(queues, key) for key, queues in self._queues.items() if self._next(queues, key[0], at_end) is not None]
        if not choices:
            choices = [(queues, key) for key, queues in self._queues.items() if self._stuck(key[0], at_end)]
        if not choices:
            return []
        queues, key = min(choices, key=lambda c: min((q[0].history, q[0].newest) for q in c[0].values()))
        taken = list(self._take(queues, key[0], at_end, most))
        if not queues:
            del self._queues[key]
        return taken

    def _next(self, queues: dict[str, deque[Arrived]], partition: int, at_end: Callable[[Place], bool]) -> str | None:
        if any(not queues.get(topic) and not at_end((topic, partition)) for topic in EVENTS):
            return None
        return self._first(queues)

    @staticmethod
    def _first(queues: dict[str, deque[Arrived]]) -> str:
        return min((t for t in EVENTS if queues.get(t)), key=lambda t: (queues[t][0].newest, EVENTS.index(t)))

    def _stuck(self, partition: int, at_end: Callable[[Place], bool]) -> bool:
        """Whether nothing more will be read before something is taken: then what is there is taken in the order that is known.

        One topic that has paused is no reason: the other is read on, and brings what is waited for, or its end.
        """
        return all(self.full((topic, partition)) or at_end((topic, partition)) for topic in EVENTS)

    def _take(
        self, queues: dict[str, deque[Arrived]], partition: int, at_end: Callable[[Place], bool], most: int
    ) -> Iterator[Arrived]:
        topic: str | None = self._next(queues, partition, at_end) or self._first(queues)
        for _ in range(most):
            if topic is None:
                return
            message = queues[topic].popleft()
            yield message
            self._read[topic, partition] -= 1
            self._events[topic, partition] -= len(message.decoded.events)
            if not queues[topic]:
                del queues[topic]
            topic = self._next(queues, partition, at_end) if queues else None
