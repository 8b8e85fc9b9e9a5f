"""Polls the Swedish police's public feed: seldom, with a name, and calm when it fails."""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import httpx
import stamina
import structlog
from prometheus_client import Counter

from earlywarning.core.events import decode_mappings
from earlywarning.settings import Settings
from earlywarning.sources.police_feed import from_json, parse_feed, to_json
from earlywarning.sources.supply import Supply

log = structlog.get_logger(__name__)
MOST_PER_HOUR = 60  # the feed's own limit
_TRIES = 3
_STATE = "police-feed"


class PollOutcome(NamedTuple):
    """What one poll brought. status: of the payload, or "unchanged", "failed", "held back"."""

    status: str
    events: int = 0
    unreadable: int = 0


class PolicePoller:
    """Polls for one municipality and hands new and changed events on, with its own memory, in one transaction.

    take: as runtimes.embedded.Service.take; load: reads what was kept under a name.
    """

    def __init__(
        self,
        settings: Settings,
        take: Callable[[Sequence[Supply], datetime, Mapping[str, str] | None], Any],
        load: Callable[[str], str | None],
        polls: Counter | None = None,
        client: httpx.Client | None = None,
    ) -> None:
        self._feed, self._municipality = settings.police_feed, settings.municipality.code
        self._take, self._polls = take, polls
        self._client = client or httpx.Client(timeout=self._feed.timeout_seconds, follow_redirects=True)
        self._headers = {"User-Agent": self._feed.user_agent, "Accept": "application/json"}
        self._etag = ""
        self._asked: deque[datetime] = deque()
        self._known, self._newest = from_json(load(_STATE))

    def poll_once(self, now: datetime) -> PollOutcome:
        """Ask once (a failing request up to three times), and hand on what is new. Never raises for a failing feed."""
        try:
            response = self._ask(now)
        except httpx.HTTPError as error:
            log.warning("police feed failed", error=type(error).__name__)
            return self._count(PollOutcome("failed"))
        if response is None:
            return self._count(PollOutcome("held back"))
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return self._count(PollOutcome("unchanged"))
        self._etag = response.headers.get("etag", "")
        result = parse_feed(
            response.content, municipality=self._municipality, known=self._known, newest=self._newest, fetched_at=now
        )
        if result.unreadable:
            log.warning("police feed items not readable", count=len(result.unreadable), first=result.unreadable[0])
        if result.events:
            decoded = decode_mappings(result.events)
            state = to_json(result.known, result.newest)
            # What is remembered is kept with the events: after a crash neither is ahead of the other.
            self._take([Supply(decoded, "police-feed")], now, {_STATE: state})
        self._known, self._newest = result.known, result.newest
        log.info("police feed", status=result.status, items=result.seen, events=len(result.events))
        return self._count(PollOutcome(result.status, len(result.events), len(result.unreadable)))

    def _ask(self, now: datetime) -> httpx.Response | None:
        headers = {**self._headers, "If-None-Match": self._etag} if self._etag else self._headers
        for attempt in stamina.retry_context(on=httpx.HTTPError, attempts=_TRIES, wait_initial=0.5, wait_max=10.0):
            with attempt:
                if not self._allowed(now):
                    return None
                response = self._client.get(self._feed.url, headers=headers)
                if response.status_code != httpx.codes.NOT_MODIFIED:
                    response.raise_for_status()
                return response
        return None

    def _allowed(self, now: datetime) -> bool:
        while self._asked and (now - self._asked[0]).total_seconds() >= 3600:
            self._asked.popleft()
        if len(self._asked) >= MOST_PER_HOUR:
            return False
        self._asked.append(now)
        return True

    def _count(self, outcome: PollOutcome) -> PollOutcome:
        if self._polls is not None:
            self._polls.labels(outcome.status).inc()
        return outcome

    def run(self, stop: threading.Event) -> None:
        """Poll at the settings' pace until `stop`."""
        while not stop.is_set():
            try:
                self.poll_once(datetime.now(UTC))
            except Exception as error:  # noqa: BLE001  # the next poll may work: the thread must live on
                log.error("police feed events could not be taken", error=type(error).__name__)
            stop.wait(self._feed.every_minutes * 60)
