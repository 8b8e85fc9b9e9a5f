"""One channel's worker: what is due is sent in order, what became of it is kept, and a channel that is down is left to rest."""

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from threading import Event, Thread
from typing import Any

import structlog
from pybreaker import STATE_CLOSED, STATE_HALF_OPEN, STATE_OPEN, CircuitBreaker, CircuitBreakerError
from tenacity import RetryCallState, Retrying, wait_random_exponential

from earlywarning.channels.contents import Contents, Earlier
from earlywarning.channels.refusals import NotNow, Undeliverable
from earlywarning.channels.sending import Sender
from earlywarning.monitoring import Metrics
from earlywarning.settings_channels import AnyChannel
from earlywarning.store.errors import StoreError
from earlywarning.store.outbox import Outbox, Waiting

log = structlog.get_logger(__name__)
STATES = (STATE_CLOSED, STATE_OPEN, STATE_HALF_OPEN)
_AT_ONCE = 100  # messages that are read and held at once
_KEPT_AFTER = 1.0  # seconds after which outcomes are kept, so that a crash repeats little
_LOOK = 1.0  # seconds between looks into the outbox when nothing is due
_EXPONENT = 60  # doublings after which the wait is at its longest in any case


class Worker:
    """Delivers one channel's messages in a thread of its own."""

    def __init__(
        self, name: str, channel: AnyChannel, *, outbox: Outbox, contents: Callable[[], Contents], metrics: Metrics,
        sender_of: Callable[[AnyChannel], Sender], now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        """contents: those in force. now: the time, aware."""
        self.name, self.channel = name, channel
        self._outbox, self._contents, self._metrics, self._sender_of, self._now = outbox, contents, metrics, sender_of, now
        self._sender: Sender | None = None
        not_of_the_channel: list[Any] = [Undeliverable, lambda error: isinstance(error, NotNow) and not error.channel]
        self._breaker = CircuitBreaker(
            fail_max=channel.rest_after, reset_timeout=channel.rest_seconds, throw_new_error_on_trip=False,
            exclude=not_of_the_channel,
        )  # fmt: skip
        self._wait = wait_random_exponential(multiplier=channel.retry_seconds, max=channel.longest_retry_seconds)
        self._rest_until, self._soonest = 0.0, 0.0  # monotonic seconds; soonest: of another attempt
        self._settled: list[tuple[int, str, str]] = []
        self._postponed: list[tuple[int, datetime, str]] = []
        self._stop, self._wake = Event(), Event()
        self._thread = Thread(target=self._run, name=f"channel {name}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """Look into the outbox now."""
        self._wake.set()

    def tell_to_stop(self) -> None:
        """Finish the message that is being sent, and end."""
        self._stop.set()
        self._wake.set()

    def join(self, seconds: float) -> bool:
        """Wait for the end; False when a receiver still holds it."""
        if self._thread.ident is not None:
            self._thread.join(max(seconds, 0.0))
        return not self._thread.is_alive()

    @property
    def state(self) -> str:
        """The breaker's state: closed, open or half-open."""
        return str(self._breaker.current_state)

    # ---- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                more = self._round()
            except StoreError as error:
                log.error("the outbox cannot be read or kept", channel=self.name, problem=str(error))
                more = False
            except Exception as error:  # noqa: BLE001  # a worker that ended would leave its channel without delivery
                log.error("a round of delivery failed", channel=self.name, error=type(error).__name__)
                more = False
            self._wake.clear()
            resting = self._rest_until - time.monotonic()
            if resting > 0:
                self._stop.wait(resting)
            elif not more and not self._stop.is_set():
                self._wake.wait(self._pause())
        self._hang_up()

    def _pause(self) -> float:
        """Seconds until the outbox is looked into again: at the latest when a message is to be tried again."""
        left = self._soonest - time.monotonic()
        return min(left + 0.001, _LOOK) if left > 0 else _LOOK

    def _round(self) -> bool:
        """Send what is due; returns whether there may be more."""
        self._keep()  # what could not be kept before: until it is, nothing is sent again
        at_once = 1 if self._breaker.current_state != STATE_CLOSED else _AT_ONCE
        waiting = self._outbox.due(self.name, self._now(), at_once)
        if not waiting:
            if self._sender is not None and self._breaker.current_state == STATE_CLOSED:
                self._hang_up()
            return False
        kept_at = time.monotonic()
        try:
            for one in waiting:
                if self._stop.is_set() or not self._try(one):
                    break
                if time.monotonic() - kept_at > _KEPT_AFTER:
                    self._keep()
                    kept_at = time.monotonic()
        finally:
            self._keep()
        return True

    def _try(self, waiting: Waiting) -> bool:
        """One attempt; False when the channel is to be left alone for now."""
        try:
            rendered = self._render(waiting)
        except Undeliverable as error:
            self._give_up(waiting, str(error))
            return True
        except NotNow as error:
            return self._failed(waiting, error)
        try:
            self._breaker.call(self._send, waiting, rendered)
        except CircuitBreakerError:
            self._rest_until = time.monotonic() + _LOOK
            return False
        except Undeliverable as error:
            self._give_up(waiting, str(error))
        except NotNow as error:
            return self._failed(waiting, error)
        else:
            self._settled.append((waiting.id, "delivered", ""))
            self._metrics.messages.labels(self.name, "delivered").inc()
        return True

    def _render(self, waiting: Waiting) -> object:
        try:
            sender = self._connected()
        except NotNow as error:
            raise self._counted(error) from None
        earlier = self._earlier(waiting) if sender.wants_earlier and waiting.message.alert_id else ()
        try:
            return sender.render(self._contents().letter(waiting.message, earlier))
        except (Undeliverable, NotNow):
            raise
        except Exception as error:  # noqa: BLE001  # one message that cannot be written must not hold up the others
            log.error("a message cannot be written", channel=self.name, key=waiting.message.key, error=type(error).__name__)
            raise Undeliverable(f"the message cannot be written ({type(error).__name__}); the log has its key") from None

    def _counted(self, error: NotNow) -> NotNow:
        """The error, after the breaker has counted it: a channel without its secret is down as well."""

        def fail() -> None:
            raise error

        with suppress(CircuitBreakerError, NotNow):
            self._breaker.call(fail)
        return error

    def _send(self, waiting: Waiting, rendered: object) -> None:
        sender = self._connected()
        try:
            sender.send(waiting, rendered)
        except (Undeliverable, NotNow):
            raise
        except Exception as error:  # noqa: BLE001  # whatever a library throws: it may name addresses and secrets
            log.error("a message cannot be sent", channel=self.name, key=waiting.message.key, error=type(error).__name__)
            raise NotNow(f"an error while sending ({type(error).__name__})") from None

    def _earlier(self, waiting: Waiting) -> list[Earlier]:
        m = waiting.message
        found = [
            Earlier(w.message.key, w.message.created_at)
            for w in self._outbox.messages(m.municipality, ["delivered"], m.alert_id)
            if w.id < waiting.id and (w.message.channel, w.message.recipient) == (m.channel, m.recipient)
        ]
        return found[::-1]

    def _connected(self) -> Sender:
        if self._sender is None:
            self._sender = self._sender_of(self.channel)
        return self._sender

    def _hang_up(self) -> None:
        """Connections are made anew, and secrets read anew, the next time."""
        sender, self._sender = self._sender, None
        if sender is not None:
            try:
                sender.close()
            except Exception as error:  # noqa: BLE001  # the receiver is gone already
                log.info("a connection did not close in order", channel=self.name, error=type(error).__name__)

    # ---- what became of it ----------------------------------------------------------------------------------------

    def _failed(self, waiting: Waiting, error: NotNow) -> bool:
        if waiting.attempts + 1 >= self.channel.attempts:
            self._give_up(waiting, f"given up after {waiting.attempts + 1} attempts: {error}")
        else:
            seconds = max(self._wait(_attempt(waiting.attempts + 1)), error.after)
            now = time.monotonic()
            self._soonest = min(self._soonest if self._soonest > now else now + _LOOK, now + seconds)
            self._postponed.append((waiting.id, self._now() + timedelta(seconds=seconds), str(error)))
            self._metrics.messages.labels(self.name, "failed").inc()
            log.warning("a message waits", channel=self.name, key=waiting.message.key, problem=str(error))
        if not error.channel:
            return True
        self._hang_up()
        rest = error.after
        if self._breaker.current_state == STATE_OPEN:
            rest = max(rest, self.channel.rest_seconds)
        if rest:
            self._rest_until = time.monotonic() + rest
        return not rest

    def _give_up(self, waiting: Waiting, problem: str) -> None:
        self._settled.append((waiting.id, "dead", problem))
        self._metrics.messages.labels(self.name, "dead").inc()
        log.error("a message is given up", channel=self.name, key=waiting.message.key, problem=problem)

    def _keep(self) -> None:
        """Write down what became of messages. Raises StoreError; they are then kept the next time."""
        if self._settled:
            self._outbox.settle(self._settled, self._now())
            self._settled = []
        if self._postponed:
            self._outbox.postpone(self._postponed)
            self._postponed = []


def _attempt(number: int) -> RetryCallState:
    """An attempt as tenacity counts them, from 1. The schedule itself is durable: it stands in the outbox."""
    state = RetryCallState(Retrying(), None, (), {})
    state.attempt_number = min(number, _EXPONENT)
    return state
