"""Polls the Swedish police's public feed: seldom, with a name, and calm when it fails."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
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
_HOUR = timedelta(hours=1)
_TRIES = 3
_HOPS = 3  # a redirect is a request too
_LONGEST = 16_000_000  # bytes; a whole payload has some 200,000
_STATE = "police-feed"


class _HeldBack(Exception):
    """The hour's requests are used up."""


class _Answer(NamedTuple):
    changed: bool
    body: bytes
    marks: dict[str, str]  # what the next request says to hear only of changes


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
        self._client = client or httpx.Client(timeout=self._feed.timeout_seconds)
        self._headers = {"User-Agent": self._feed.user_agent, "Accept": "application/json"}
        self._marks: dict[str, str] = {}
        self._asked: deque[datetime] = deque()
        self._known, self._newest = from_json(load(_STATE))

    def poll_once(self, now: datetime) -> PollOutcome:
        """Ask once (a failing request up to three times), and hand on what is new. Never raises for a failing feed."""
        begun = time.monotonic()
        try:
            answer = self._ask(lambda: now + timedelta(seconds=time.monotonic() - begun))
        except _HeldBack:
            return self._count(PollOutcome("held back"))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.warning("police feed failed", error=type(error).__name__)
            return self._count(PollOutcome("failed"))
        if not answer.changed:
            return self._count(PollOutcome("unchanged"))
        result = parse_feed(answer.body, municipality=self._municipality, known=self._known, newest=self._newest, fetched_at=now)
        if result.unreadable:
            log.warning("police feed items not readable", count=len(result.unreadable), first=result.unreadable[0])
        if result.events:
            decoded = decode_mappings(result.events)
            state = to_json(result.known, result.newest)
            # What is remembered is kept with the events: after a crash neither is ahead of the other.
            self._take([Supply(decoded, "police-feed")], now, {_STATE: state})
        self._known, self._newest = result.known, result.newest
        if result.status in ("ok", "short"):
            # Only now: an answer that was not taken must be given again.
            self._marks = answer.marks
        log.info("police feed", status=result.status, items=result.seen, events=len(result.events))
        return self._count(PollOutcome(result.status, len(result.events), len(result.unreadable)))

    def _ask(self, clock: Callable[[], datetime]) -> _Answer:
        """The feed's answer. Raises httpx.HTTPError when it fails, _HeldBack when it may not be asked now."""
        for attempt in stamina.retry_context(on=_may_pass, attempts=_TRIES, wait_initial=0.5, wait_max=10.0):
            with attempt:
                url = self._feed.url
                for _ in range(1 + _HOPS):
                    self._note_request(clock())
                    answer = self._get(url)
                    if isinstance(answer, _Answer):
                        return answer
                    url = answer
                raise httpx.TooManyRedirects("the feed's address leads on and on")
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _get(self, url: str) -> _Answer | str:
        """One request: the answer, or the address to ask instead. Raises httpx.HTTPError."""
        # The client's timeout is for each read: a server that drips needs an end as well.
        end = time.monotonic() + self._feed.timeout_seconds
        with self._client.stream("GET", url, headers=self._headers | self._marks, follow_redirects=False) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED:
                return _Answer(changed=False, body=b"", marks={})
            if response.next_request is not None:
                return str(response.next_request.url)
            response.raise_for_status()
            body = bytearray()
            for piece in response.iter_bytes():
                body += piece
                if len(body) > _LONGEST:
                    raise httpx.DecodingError("the answer is too long for the feed")
                if time.monotonic() > end:
                    raise httpx.ReadTimeout("the answer takes too long as a whole")
        given = {"If-None-Match": response.headers.get("etag"), "If-Modified-Since": response.headers.get("last-modified")}
        return _Answer(changed=True, body=bytes(body), marks={name: value for name, value in given.items() if value})

    def _note_request(self, now: datetime) -> None:
        while self._asked and now - self._asked[0] >= _HOUR:
            self._asked.popleft()
        if len(self._asked) >= MOST_PER_HOUR:
            raise _HeldBack
        self._asked.append(now)

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


def _may_pass(error: Exception) -> bool:
    """Whether asking again at once may help: not when the feed refuses us (4xx), or sends what is too long."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.is_server_error
    return isinstance(error, httpx.TransportError) and not isinstance(error, httpx.UnsupportedProtocol)
