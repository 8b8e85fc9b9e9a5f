"""A clock that jumps closes days that are not over, and nothing opens them again: it is believed when it has stood still."""

import time
from datetime import datetime

import structlog

log = structlog.get_logger(__name__)
JUMP = 60.0  # seconds that a clock may be put forward or back between two looks
STEADY = 600.0  # seconds after a jump in which it must not jump again


def running() -> float:
    """Seconds that the machine runs, also while it sleeps; no setting of the clock changes them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class SteadyClock:
    """Says whether the clock can be believed: it has gone as fast as the machine has run for the last ten minutes.

    A service that starts is in doubt as well when the clock is days ahead of what it kept, as on a machine whose clock is set only
    after the start: then days are closed ten minutes later, which nobody notices.
    """

    def __init__(self, in_doubt: bool = False) -> None:
        self._offset: float | None = None
        self._in_doubt = in_doubt
        self._steady_from = 0.0

    def believed(self, now: datetime, runs: float) -> bool:
        """now: what the clock says, aware; runs: seconds that the machine runs."""
        offset = now.timestamp() - runs
        if self._offset is None:
            if self._in_doubt:
                self._doubt(runs, "the clock is days ahead of what was kept last; days are closed when it has been steady")
        elif abs(jump := offset - self._offset) > JUMP:
            self._doubt(runs, "the machine's clock jumped; days are closed when it has been steady", seconds=round(jump))
        self._offset = offset
        return runs >= self._steady_from

    def _doubt(self, runs: float, words: str, **more: object) -> None:
        self._steady_from = runs + STEADY
        log.error(words, steady_for=round(STEADY), **more)
