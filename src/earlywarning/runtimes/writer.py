"""The writer of the embedded service: one thread that takes what is queued, and says so when it has ended."""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Protocol

import structlog

from earlywarning.monitoring import Metrics
from earlywarning.runtimes.isolating import answer
from earlywarning.runtimes.taking import Taken
from earlywarning.sources.supply import ItemResult, Supply
from earlywarning.store import StoreError

log = structlog.get_logger(__name__)
_TICK = 30.0  # seconds between looks at the wall clock
_MOST_AT_ONCE = 256  # supplies in one transaction

Entry = tuple[Supply, Future[list[ItemResult]]]


class Keeper(Protocol):
    """What the writer works for."""

    metrics: Metrics

    def take(self, supplies: Sequence[Supply], now: datetime) -> list[Taken]:
        """Take supplies and keep what they change. Raises StoreError."""

    def look_at_the_clock(self, now: datetime) -> None:
        """What falls due by the clock: days that are over, retention that has ended. Raises StoreError."""

    def idle(self) -> None:
        """Nothing waits."""

    def tidy(self) -> None:
        """What can wait for an idle moment."""


class WriterEnded(StoreError):
    """The writer has ended: nothing can be taken until the service is started again."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the writer has ended ({why}); the service must be started again, send it again then")


class Writer:
    """Takes supplies one transaction after the other. A fault of one batch is its senders'; one of its own ends it, and then
    nobody waits for it in vain."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._queue: queue.Queue[Entry | None] = queue.Queue()
        self._thread = threading.Thread(target=self._live, name="writer", daemon=True)
        self._door = threading.Lock()  # between handing in and the end: what is handed in is answered
        self._refusal = ""  # why nothing is taken any more
        self.on_fault: Callable[[], None] = lambda: None
        self.fault = ""  # what ended it before it was told to stop

    @property
    def alive(self) -> bool:
        """Whether it takes what is handed in."""
        return self._thread.is_alive() and not self._refusal

    @property
    def trouble(self) -> str:
        """Why it takes nothing; empty when it does."""
        if self.fault:
            return f"the writer has ended ({self.fault}); the service must be started again"
        return "" if self.alive else "the writer is not running"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def submit(self, supply: Supply) -> Future[list[ItemResult]]:
        """Hand a batch in; the result comes when it is on disk, or WriterEnded at once when nothing is taken any more."""
        future: Future[list[ItemResult]] = Future()
        with self._door:
            if self._refusal:
                future.set_exception(WriterEnded(self._refusal))
            else:
                self._queue.put((supply, future))
        return future

    def stop(self) -> None:
        """Take in what is queued, then end."""
        self._queue.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def _live(self) -> None:
        why = "stopped"
        try:
            self._work()
        except BaseException as error:  # whatever it is: who waits must be told, and the process must end
            why = self.fault = type(error).__name__
            log.critical("the writer has ended", error=why, exc_info=error)
        with self._door:
            self._refusal = why
            self._refuse_waiting()
        if self.fault:
            self.on_fault()

    def _refuse_waiting(self) -> None:
        while True:
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                return
            if entry is not None and entry[1].set_running_or_notify_cancel():
                entry[1].set_exception(WriterEnded(self._refusal))

    def _work(self) -> None:
        looked, untidy = 0.0, False
        while True:
            waiting: list[Entry | None] = []
            try:
                waiting.append(self._queue.get(timeout=1.0))
                while len(waiting) < _MOST_AT_ONCE:
                    waiting.append(self._queue.get_nowait())
            except queue.Empty:
                pass
            # A sender that has hung up will send again; nobody could be told what became of it.
            # (After this call the future can be cancelled no more: to set a cancelled one's result would end this thread.)
            batch = [entry for entry in waiting if entry is not None and entry[1].set_running_or_notify_cancel()]
            if batch:
                self._answer(batch)
                untidy = True
            elif untidy:
                untidy = not self._tidied()
            else:
                self._keeper.idle()
            if None in waiting:
                return
            if time.monotonic() - looked > _TICK:
                looked = time.monotonic()
                self._tick()

    def _answer(self, batch: Sequence[Entry]) -> None:
        try:
            failed = answer(batch, self._take)
        except BaseException as error:  # not one batch's fault: it ends the writer, but who waits is told
            self._keeper.metrics.failures.labels("batch").inc()
            for _, future in batch:
                if not future.done():
                    future.set_exception(WriterEnded(type(error).__name__))
            raise
        self._keeper.metrics.failures.labels("batch").inc(failed > 0)

    def _take(self, supplies: Sequence[Supply]) -> list[list[ItemResult]]:
        return [one.items() for one in self._keeper.take(supplies, datetime.now(UTC))]

    def _tidied(self) -> bool:
        try:
            self._keeper.tidy()
        except Exception as error:  # noqa: BLE001  # it can wait for the next idle moment
            log.warning("the store could not be tidied", error=type(error).__name__)
            return False
        return True

    def _tick(self) -> None:
        try:
            self._keeper.look_at_the_clock(datetime.now(UTC))
        except StoreError as error:
            self._keeper.metrics.failures.labels("day").inc()
            log.error("the day could not be closed", problem=str(error))
        except Exception as error:  # noqa: BLE001  # the writer must live on: what is wrong with one day may end with the next
            self._keeper.metrics.failures.labels("day").inc()
            log.error("the day could not be closed", error=type(error).__name__)
