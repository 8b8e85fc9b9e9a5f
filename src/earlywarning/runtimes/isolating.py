"""What waits is taken as one batch; an event on which the service itself fails is found by halving, refused and kept."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Literal

import msgspec
import structlog

from earlywarning.core.events import Decoded, rejection
from earlywarning.sources.supply import ItemResult, Supply
from earlywarning.store import StoreError

log = structlog.get_logger(__name__)
_RULE: Literal["internal-error"] = "internal-error"  # as the workers on Kafka call it
_MOST = 8  # events refused so in one batch: each costs an engine made anew, and more of them are no fault of events

Waiting = tuple[Supply, "Future[list[ItemResult]]"]
Take = Callable[[Sequence[Supply]], list[list[ItemResult]]]


def answer(batch: Sequence[Waiting], take: Take) -> int:
    """Take what waits, and answer each of those who sent it; returns how many got an error instead.

    take: keeps supplies wholly or not at all, and says what became of each item; what it took is on disk. StoreError and
    MemoryError are no event's fault: all of the batch get them, and send again. After any other error each supply is taken by
    itself, so that it reaches only the sender of the event at fault, and him as a rejection of that event.
    """
    try:
        taken = take([supply for supply, _ in batch])
    except (StoreError, MemoryError) as error:
        words = {"problem": str(error)} if isinstance(error, StoreError) else {}
        log.error("a batch could not be taken", error=type(error).__name__, supplies=len(batch), **words)
        for _, future in batch:
            _settle(future, None, error)
        return len(batch)
    except Exception as error:  # noqa: BLE001  # every waiting sender gets an answer, whatever it is
        log.error("a batch could not be taken", error=type(error).__name__, supplies=len(batch))
        apart, failed = _Apart(take), 0
        for supply, future in batch:
            try:
                _settle(future, apart.take(supply, error if len(batch) == 1 else None))
            except Exception as own:  # noqa: BLE001  # as above
                failed += 1
                _settle(future, None, own)
        return failed
    for (_, future), items in zip(batch, taken, strict=True):
        _settle(future, items)
    return 0


def _settle(future: "Future[list[ItemResult]]", items: list[ItemResult] | None, error: Exception | None = None) -> None:
    """A sender who has gone meanwhile has cancelled it."""
    if not future.running() and not future.set_running_or_notify_cancel():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(items or [])


class _Apart:
    """Takes supplies in parts, until too many events of one batch have failed."""

    def __init__(self, take: Take) -> None:
        self._take, self._left = take, _MOST

    def take(self, supply: Supply, failure: Exception | None = None) -> list[ItemResult]:
        """failure: with which the supply has just failed as a whole. What is taken before an error is found to be repeated when it
        is sent again."""
        if failure is None:
            try:
                return self._take([supply])[0]
            except (StoreError, MemoryError):
                raise
            except Exception as error:  # noqa: BLE001  # whatever the service fails on
                failure = error
        decoded = supply.decoded
        if not decoded.events or not self._left:
            raise failure
        if len(decoded.events) == 1:
            self._left -= 1
            return self._take([_refused(supply, failure)])[0]
        half = len(decoded.events) // 2
        first = Decoded(decoded.events[:half], decoded.positions[:half], decoded.rejections)
        second = Decoded(decoded.events[half:], decoded.positions[half:], [])
        items = self.take(supply._replace(decoded=first)) + self.take(supply._replace(decoded=second))
        return sorted(items, key=lambda item: item.index)


def _refused(supply: Supply, failure: Exception) -> Supply:
    """The supply with its one event refused: its dead letter can be replayed when the service is mended."""
    decoded, kind = supply.decoded, type(failure).__name__
    number = decoded.positions[0]
    log.error("the service failed on an event; it is kept as a dead letter", error=kind, way=supply.way, item=number + supply.first)
    problem = f"the service failed on it ({kind}); it is kept: report this, and replay it when mended"
    fields: dict[str, Any] = msgspec.to_builtins(decoded.events[0])
    refused = rejection(number, fields, "", _RULE, problem)
    return supply._replace(decoded=Decoded([], [], sorted([*decoded.rejections, refused], key=lambda r: r.index)))
