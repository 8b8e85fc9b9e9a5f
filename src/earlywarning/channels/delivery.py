"""Delivery: takes what waits in the outbox to its channels, each with a worker of its own, at least once."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from threading import Event, Lock, Thread

import structlog

from earlywarning.channels.contents import Contents
from earlywarning.channels.kinds import KafkaOptions, sender_of
from earlywarning.channels.picture import Pictures
from earlywarning.channels.sending import Sender
from earlywarning.channels.worker import STATES, Worker
from earlywarning.monitoring import Metrics
from earlywarning.settings_channels import AnyChannel
from earlywarning.store.errors import StoreError
from earlywarning.store.outbox import Outbox
from earlywarning.store.store import Store

log = structlog.get_logger(__name__)
_LOOK = 5.0  # seconds between looks for messages of channels that do not exist
_AT_ONCE = 500


def _utc() -> datetime:
    return datetime.now(UTC)


class Delivery:
    """The delivery of one store. A channel that hangs or is down slows no other."""

    def __init__(
        self, store: Store, channels: Mapping[str, AnyChannel], contents: Contents, metrics: Metrics, *,
        kafka: KafkaOptions | None = None, now: Callable[[], datetime] = _utc,
    ) -> None:  # fmt: skip
        """store: open for writing. kafka: how clients reach the brokers of [kafka], for channels that name none."""
        self._outbox, self._contents, self._metrics, self._kafka, self._now = Outbox(store), contents, metrics, kafka, now
        self._channels = dict(channels)
        self._pictures = Pictures()
        self._taken: dict[str, frozenset[str]] = {}  # see MailSender: a sender lives no longer than its connection
        self._workers: dict[str, Worker] = {}
        self._leaving: list[Worker] = []
        self._changing = Lock()
        self._stop, self._look = Event(), Event()
        self._thread = Thread(target=self._watch, name="delivery", daemon=True)
        self._shown: set[str] = set()

    def start(self) -> None:
        """Begin to deliver."""
        with self._changing:
            for name, channel in self._channels.items():
                self._begin(name, channel)
        self._thread.start()

    def stop(self, seconds: float = 10.0) -> None:
        """Finish the messages that are being sent and end; what a receiver holds up is left and sent again later."""
        self._stop.set()
        self._look.set()
        until = time.monotonic() + seconds
        with self._changing:
            workers = [*self._workers.values(), *self._leaving]
            for worker in workers:
                worker.tell_to_stop()
            for worker in workers:
                if not worker.join(until - time.monotonic()):
                    log.warning("a channel still waits for its receiver", channel=worker.name)
            self._workers.clear()
        if self._thread.ident is not None:
            self._thread.join(max(until - time.monotonic(), 0.1))

    def wake(self) -> None:
        """Look into the outbox now, as after a commit with messages; without it, within a second."""
        for worker in list(self._workers.values()):
            worker.wake()

    def configure(self, channels: Mapping[str, AnyChannel], contents: Contents | None = None) -> None:
        """Put other channels or contents in force. Channels that stay as they are go on undisturbed."""
        with self._changing:
            if contents is not None:
                self._contents = contents
            self._channels = dict(channels)
            for name, worker in list(self._workers.items()):
                if channels.get(name) != worker.channel:
                    worker.tell_to_stop()
                    self._leaving.append(self._workers.pop(name))
            self._look.set()

    def show_state(self) -> None:
        """Bring the gauges up to date, before someone reads the metrics."""
        counts = {(channel, state): n for channel, state, n in self._outbox.counts()}
        now = self._now()
        oldest = self._outbox.oldest(now)
        # Messages may name channels that do not exist; only those of the settings become labels, the rest one.
        known = {*self._channels}
        self._shown |= known
        for name in self._shown:
            for state in ("waiting", "dead"):
                self._metrics.messages_kept.labels(name, state).set(counts.get((name, state), 0))
            since = oldest.get(name)
            self._metrics.oldest_message.labels(name).set(max((now - since).total_seconds(), 0.0) if since else 0.0)
            worker = self._workers.get(name)
            for breaker_state in STATES:
                self._metrics.breaker.labels(name, breaker_state).set(bool(worker and worker.state == breaker_state))
        for state in ("waiting", "dead"):
            unknown = sum(n for (channel, s), n in counts.items() if s == state and channel not in self._shown)
            self._metrics.messages_kept.labels("unknown", state).set(unknown)

    # ---- the workers and who has none -----------------------------------------------------------------------------

    def _begin(self, name: str, channel: AnyChannel) -> None:
        worker = Worker(
            name, channel, outbox=self._outbox, contents=lambda: self._contents, metrics=self._metrics,
            sender_of=self._sender_of, now=self._now,
        )  # fmt: skip
        self._workers[name] = worker
        worker.start()

    def _sender_of(self, channel: AnyChannel) -> Sender:
        return sender_of(channel, kafka=self._kafka, pictures=self._pictures, taken=self._taken)

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._look.clear()
            with self._changing:
                # A changed channel begins anew when its old worker is gone: else two would send the same message.
                self._leaving = [w for w in self._leaving if not w.join(0.0)]
                leaving = {w.name for w in self._leaving}
                for name in self._channels.keys() - self._workers.keys() - leaving:
                    if not self._stop.is_set():
                        self._begin(name, self._channels[name])
            try:
                self._refuse_unknown()
            except StoreError as error:
                log.error("the outbox cannot be read or kept", problem=str(error))
            self._look.wait(0.2 if self._leaving else _LOOK)

    def _refuse_unknown(self) -> None:
        """Messages for channels that the settings do not have are given up, where a person sees them."""
        waiting = {channel for channel, state, _ in self._outbox.counts() if state == "waiting"}
        for name in waiting - self._channels.keys():
            problem = f"there is no channel {name!r} in the settings; add [channels.{name}], then: earlywarning outbox retry"
            while due := self._outbox.due(name, self._now(), _AT_ONCE):
                self._outbox.settle([(w.id, "dead", problem) for w in due], self._now())
                self._metrics.messages.labels("unknown", "dead").inc(len(due))
                log.error("messages are given up", problem=problem, messages=len(due))
