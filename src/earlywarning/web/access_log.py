"""Who looked at what, in the audit log: alerts and areas that were seen, tables that were fetched; by the account's name alone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

from litestar.datastructures import State

from earlywarning.store import Store
from earlywarning.store.cases import AuditEntry, Cases
from earlywarning.web.access import Visitor

# Actions of the audit log that change nothing.
ACCESS = ("signed-in", "sign-in-refused", "viewed-alert", "viewed-area", "exported")
AGAIN = timedelta(hours=1)  # the same by the same account within this is one entry: pages load anew, machines ask every minute
_MOST = 10_000


class AccessLog:
    """Writes what accounts look at; where nobody signs in there is nobody to name."""

    def __init__(self, store: Store, municipality: str, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store, self._own, self._clock = store, municipality, clock
        self._noted: dict[tuple[str, str, str], datetime] = {}
        self._lock = Lock()

    def note(self, visitor: Visitor, action: str, subject: str) -> None:
        """Write it down before it is shown: what cannot be written is not shown. Raises StoreError."""
        if not visitor.name:
            return
        now, key = self._clock(), (visitor.name, action, subject)
        with self._lock:
            if now - self._noted.get(key, now - AGAIN) < AGAIN:
                return
        with self._store.aside() as c:
            Cases(self._store).keep([], [AuditEntry(self._own, now, visitor.name, action, subject[:96])])(c)
        with self._lock:
            if len(self._noted) >= _MOST:
                self._noted = {k: at for k, at in self._noted.items() if now - at < AGAIN}
            self._noted[key] = now


def log_of(state: State) -> AccessLog:
    """The log of an application."""
    log: AccessLog = state.access_log
    return log
