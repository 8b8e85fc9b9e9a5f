"""Whether what is taken can be kept: a store that fails is said where one looks, and tried until it keeps again."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from earlywarning.monitoring import Metrics
from earlywarning.store import Store, StoreError

log = structlog.get_logger(__name__)
_PROBE = "kept-again-at"  # source state
_EVERY = 2.0  # seconds between attempts


class Keeping:
    """What stands between a batch and the disk, in words; empty when nothing is known to.

    A full disk can still be read, so a look at the store does not find it: what the last commit said counts until one succeeds.
    Suppliers that heed /readyz send nothing meanwhile; so the writer tries by itself.
    """

    def __init__(self) -> None:
        self.problem = ""
        self._since = self._tried = 0.0

    def failed(self, error: StoreError) -> None:
        """A commit failed."""
        if not self.problem:
            self._since = time.monotonic()
        self.problem, self._tried = str(error), time.monotonic()

    def succeeded(self) -> None:
        """A commit was kept."""
        if self.problem:
            log.info("the store keeps again", seconds=round(time.monotonic() - self._since, 1))
            self.problem = ""

    def try_again(self, store: Store) -> None:
        """When the last attempt is some seconds ago: write a few bytes, and see. For the writer's idle moments."""
        if not self.problem or time.monotonic() - self._tried < _EVERY:
            return
        try:
            store.commit(None, source_state={_PROBE: datetime.now(UTC).isoformat(timespec="seconds")})
        except StoreError as error:
            self.failed(error)
        else:
            self.succeeded()


def show(metrics: Metrics, ready: bool, from_store: Callable[[], None]) -> None:
    """Metrics must be told above all when the store is not there: what is read from it then stays as it was last."""
    metrics.ready.set(ready)
    try:
        from_store()
    except StoreError as error:
        metrics.ready.set(False)
        log.warning("the metrics show the store as it was", problem=str(error))
