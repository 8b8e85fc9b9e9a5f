"""The SQL store: pages, alerts and their history, settings versions, dead letters."""

from earlywarning.store.lock import StoreLocked
from earlywarning.store.store import Store, StoredDeadLetter, StoreError

__all__ = ["Store", "StoreError", "StoreLocked", "StoredDeadLetter"]
