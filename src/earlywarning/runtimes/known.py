"""The events of a municipality as the pages look at them: read once from the store, and brought forward as pages change."""

import time
from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.areas import AreaRegister
from earlywarning.core.known_events import KnownEvents, known_events
from earlywarning.core.pages import Page, Rows, decode_page, join_pages
from earlywarning.runtimes.front import Front

_REST = 5.0  # seconds for which what was read stands, while events flow in: putting all together takes a part of one ...
_SHARE = 10  # ... but seconds where there are millions of events: it then stands for so many times as long as that took
_OF_SOURCES = ("source", "kind", "end", "recorded", "arrived")


class Known:
    """Holds the decoded pages of one municipality, about 50 bytes an event."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._pages: dict[int, Page] = {}
        self._events: KnownEvents | None = None
        self._register: AreaRegister | None = None
        self._commit, self._looked, self._rest = -1, 0.0, _REST
        self._lock = Lock()
        self._rows: Rows | None = None

    def sources(self) -> tuple[Mapping[str, NDArray[Any]], list[str]]:
        """The rows' columns source (index into the names), kind, end, recorded, arrived; and the names. Raises StoreError."""
        self.events()
        if self._rows is None:
            return {name: np.empty(0, dtype=np.int64) for name in _OF_SOURCES}, []
        return {name: self._rows.columns[name] for name in _OF_SOURCES}, self._rows.codes["source"]

    def events(self) -> KnownEvents:
        """All events, at most five seconds old, longer where there are millions; what was there, while another reads what is new.

        Raises StoreError, PageError.
        """
        held = self._events
        if not self._lock.acquire(blocking=held is None or self._register is not self._front.register):
            assert held is not None  # noqa: S101  # for the type checker
            return held
        try:
            return self._brought_forward()
        finally:
            self._lock.release()

    def _brought_forward(self) -> KnownEvents:
        front = self._front
        store, own = front.store, front.register.municipality
        fresh = self._events is not None and self._register is front.register
        rested = time.monotonic() - self._looked >= self._rest
        if fresh and self._events is not None and (self._commit == store.commits or not rested):
            return self._events
        now, begun = store.commits, time.monotonic()
        if self._commit < 0:
            self._pages = {day: decode_page(page) for day, page in store.pages(own)}
            touched = bool(self._pages)
        else:
            days = store.touched(own, self._commit)
            touched = bool(days)
            for day in days:
                self._pages.update({d: decode_page(page) for d, page in store.pages(own, day, day)})
        if touched or not fresh:
            self._rows = rows = join_pages(self._pages[day] for day in sorted(self._pages))
            self._events = known_events(rows, register=front.register, tree=front.tree, calendar=front.calendar)
            self._register = front.register
        self._commit, self._looked = now, time.monotonic()
        self._rest = max(_REST, _SHARE * (self._looked - begun))
        assert self._events is not None  # noqa: S101  # set above; for the type checker
        return self._events
