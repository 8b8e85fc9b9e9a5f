"""The SQL store: pages, alerts and their history, settings versions, dead letters."""

from earlywarning.store.errors import StoreError, StoreLocked
from earlywarning.store.store import Store, StoredDeadLetter

__all__ = ["Store", "StoreError", "StoreLocked", "StoredDeadLetter"]
