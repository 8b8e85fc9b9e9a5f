"""A worker that watches over itself: it ends when it was suspended for too long, or when nothing moves though messages wait."""

import asyncio
import os
import time
from collections.abc import Callable
from typing import NoReturn

import structlog
from aiokafka.errors import KafkaError as ClientError

from earlywarning.runtimes.kafka.reading import Reader, UndeliveredError

log = structlog.get_logger(__name__)
OVERDUE = 12.0  # seconds in which a message that is in the log should come: after twice that, reading goes back to it
STALLED = 120.0  # seconds without progress, while messages wait, after which the process ends
SUSPENDED = 0.8  # of the session's timeout: who was away for longer may have a successor, and writes nothing more

END_FAULT, END_STALLED, END_SUSPENDED = 70, 75, 76  # exit codes


def end(code: int, why: str, **more: object) -> NoReturn:
    """End the process now, without telling the group anything more."""
    log.error(why, **more)
    os._exit(code)


class Watchdog:
    """session_seconds: how long the group waits for a silent worker. in_flight: how many steps are on their way to the brokers."""

    def __init__(self, reader: Reader, in_flight: Callable[[], int], session_seconds: float) -> None:
        self._reader, self._in_flight, self._session = reader, in_flight, session_seconds
        self._pulse: float | None = None  # when the event loop was last seen to move
        self._progress = time.monotonic()

    def moved(self) -> None:
        """Something was done with, or there is nothing to do."""
        self._progress = time.monotonic()

    def not_suspended(self) -> None:
        """End a process that was away for so long that it may have a successor."""
        now = time.monotonic()
        if self._pulse is not None and now - self._pulse > SUSPENDED * self._session:
            end(END_SUSPENDED, "the process was suspended for longer than its session lasts", seconds=round(now - self._pulse, 1))
        if self._pulse is not None:
            self._pulse = now

    def begin(self) -> None:
        """From here on an absence is noticed. Faust starts its tasks, `watch` among them, a while after the state is there."""
        if self._pulse is None:
            self._pulse = time.monotonic()

    async def watch(self) -> None:
        """Beat, and end a process in which nothing moves while messages wait."""
        self.begin()
        while True:
            await asyncio.sleep(0.5)
            self.not_suspended()
            if self._reader.idle() and not self._in_flight():
                self.moved()
            elif time.monotonic() - self._progress > STALLED:
                end(END_STALLED, "nothing moves", **self._reader.standing(), in_flight=self._in_flight())

    async def look(self) -> None:
        """See to it that what is in the log is read, even if Faust's consumer does not bring it."""
        while True:
            await asyncio.sleep(OVERDUE)
            try:
                nothing_left = await self._reader.look()
            except UndeliveredError as error:
                end(END_STALLED, "messages do not come", problem=str(error), **self._reader.standing())
            except (ClientError, TimeoutError, OSError) as error:
                log.warning("no broker answers", error=f"{type(error).__name__}: {error}")
                self.moved()  # nothing can move, and a new process would help nobody
                continue
            if nothing_left and self._reader.active and not len(self._reader.waiting) and not self._in_flight():
                self.moved()
