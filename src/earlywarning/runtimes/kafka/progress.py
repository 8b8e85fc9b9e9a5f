"""How far the topics are done with, for the consumer group: everything before the oldest message that is not kept yet.

Messages of different municipalities overtake each other, so Faust's own bookkeeping of acknowledgements, which wants them in
the order of the log, is not used. A group offset that lags behind costs a repetition, which the journals know; one that ran ahead
would cost a message.
"""

from collections import deque

from faust.types import TP


class Progress:
    """By topic and partition: which messages were read, and which of them are done."""

    def __init__(self) -> None:
        self._open: dict[TP, deque[int]] = {}
        self._done: dict[TP, set[int]] = {}
        self._next: dict[TP, int] = {}
        self._told: dict[TP, int] = {}

    def clear(self) -> None:
        """Forget all partitions."""
        self._open, self._done, self._next, self._told = {}, {}, {}, {}

    def read(self, tp: TP, offset: int) -> None:
        """A message was read."""
        self._open.setdefault(tp, deque()).append(offset)
        self._next[tp] = offset + 1

    def done(self, tp: TP, offset: int) -> None:
        """A message is done with: all that it led to is on the brokers."""
        waiting, finished = self._open.get(tp), self._done.setdefault(tp, set())
        finished.add(offset)
        while waiting and waiting[0] in finished:
            finished.discard(waiting.popleft())

    def news(self) -> dict[TP, int]:
        """Offsets to commit: of the next message that is not done, where that has changed."""
        now = {tp: waiting[0] if waiting else self._next[tp] for tp, waiting in self._open.items()}
        changed = {tp: offset for tp, offset in now.items() if self._told.get(tp) != offset}
        self._told.update(changed)
        return changed
