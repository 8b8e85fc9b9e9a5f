"""The Faust application: its settings, each for a reason, and what must be mended in how Faust reads.

While Faust rebuilds a table it holds back the topics that the agents read, by a set of partitions that may be read. Three things
in that lose messages for good, and a worker that lost the last ones of a partition waits for them for ever:

- aiokafka takes an empty set for all partitions. A fetch that waits while the set becomes empty reads everything that is held back,
  and Faust drops it, since it is held back (`_MayBeRead`).
- Afterwards Faust goes back to what the group has committed, but where nothing was committed yet it stays behind what
  was dropped (`_rewind`).
- Flow goes on before Faust has gone back, and what came meanwhile is thrown away when flow is resumed (`resume_partitions`).

And a rebuild goes on after its partitions were taken away, while the group waits for other members: at its end Faust calls the
state complete and has messages flow, and nobody says again that the partitions are gone (`_Recovery`).
"""

import os
from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, ClassVar

# Faust reads these when it is imported.
os.environ.setdefault("F_NODELAY", "1")
import faust
import structlog
from faust.auth import SASLCredentials, SSLCredentials
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport
from faust.types import TP

from earlywarning.runtimes.kafka.connection import password, tls
from earlywarning.runtimes.kafka.topics import MOST_BYTES, MOST_STATE_BYTES, group
from earlywarning.settings import ClusterSettings

log = structlog.get_logger(__name__)

# Milliseconds that a fetch waits at the broker. While one waits for quiet partitions, no other is sent to the same broker: with
# Faust's own 1500 a message waits as long before it is read.
LONGEST_FETCH = 50


class _MayBeRead:
    """The partitions that may be read, as they are when they are looked at; true also while there are none."""

    def __init__(self, tps: Container[TP]) -> None:
        self._tps = tps

    def __contains__(self, tp: object) -> bool:
        return tp in self._tps


class _Thread(AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = LONGEST_FETCH  # Faust has no setting for it
        # By partition: the offset after the last message that was fetched, and the position, which is behind gaps after it.
        self.fetched: dict[TP, tuple[int, int]] = {}
        return consumer

    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: float | None = None, max_records: int | None = None
    ) -> Any:
        before = _positions(consumer)
        got = await super()._fetch_records(consumer, _MayBeRead(active_partitions), timeout, max_records)  # type: ignore[arg-type]
        for tp, position in _positions(consumer).items():
            begun = before.get(tp, position)
            after, reached = self.fetched.get(tp, (begun, begun))
            if tp in got:
                after = got[tp][-1].offset + 1
            elif reached != begun:  # the position was moved
                after = begun
            self.fetched[tp] = after, position
        return got

    async def seek_to_committed(self) -> Mapping[TP, int]:
        found: Mapping[TP, int] = await self.call_thread(self._rewind, self._ensure_consumer())
        return found

    async def _rewind(self, consumer: Any) -> Mapping[TP, int]:
        """Go back to what is committed, and to the beginning where nothing is."""
        committed: Mapping[TP, int] = await consumer.seek_to_committed()
        # A changelog is never committed, and is being read while Faust may call this.
        fresh = [tp for tp, offset in committed.items() if not offset and tp.topic not in self.app.tables.changelog_topics]
        if fresh:
            await consumer.seek_to_beginning(*fresh)
        return committed


def _positions(consumer: Any) -> dict[TP, int]:
    subscription = consumer._subscription.subscription
    states = subscription.assignment._tp_state if subscription and subscription.assignment else {}
    return {TP(*tp): state.position for tp, state in states.items() if state.has_valid_position}


class _Consumer(Consumer):
    _thread: _Thread

    def past_gap(self, tp: TP, offset: int) -> int:
        """`offset`, or the end of the gap that begins there: a transaction's end takes an offset that no message has."""
        after, reached = self._thread.fetched.get(tp, (offset, offset))
        return reached if offset == after else offset

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Let partitions be read; those of the agents when flow is resumed, which Faust does once it has gone back."""
        tps = set(tps)
        if any(not self._is_changelog_tp(tp) for tp in tps):
            self.stop_flow()
        super().resume_partitions(tps)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Nothing: Faust only logs here, and ends the worker where a partition has no position yet. watching.py looks."""

    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _Transport(Transport):
    Consumer: ClassVar[Any] = _Consumer


class _Recovery(Recovery):
    """A rebuild that comes to an end only while the partitions that it is for are this worker's."""

    app: "_App"
    _taken_away = False

    def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Partitions are about to be another worker's; what runs is for nothing."""
        self._taken_away = True
        self.app.let_go()
        super().on_partitions_revoked(revoked)

    async def on_rebalance(self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0) -> None:
        """Partitions were given out anew."""
        self._taken_away = False
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        """Begin to work, or leave it to the rebuild that follows the next assignment."""
        if self._taken_away or generation_id != self.app.consumer_generation_id:
            log.info("a rebuild is given up, since its partitions were taken away", generation=generation_id)
            return
        await super().on_recovery_completed(generation_id)


class _Tables(TableManager):
    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = _Recovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


class _App(faust.App):
    # Called at once when partitions are taken away, before what was written is flushed: nothing may be written after it.
    let_go: Callable[[], None] = staticmethod(lambda: None)

    def _create_directories(self) -> None:
        """None: tables are in memory, and Faust would leave an empty folder wherever a worker was started."""


def make_app(cluster: ClusterSettings, let_go: Callable[[], None] = lambda: None) -> faust.App:
    """The application of the workers' group. Raises SettingsError for a missing password or certificate.

    let_go: called when partitions are taken away, before all that was written until then is brought to the brokers.
    """
    k = cluster.kafka
    app = _App(
        group(k),
        broker=[f"kafka://{address}" for address in k.brokers.split(",")],
        broker_credentials=_credentials(cluster),
        store="memory://",  # the engine needs the rows in memory anyway, and state is small: see docs/architecture.md
        topic_allow_declare=False,  # `earlywarning topics create` makes them, as they must be
        topic_disable_leader=True,
        table_standby_replicas=0,  # a standby would hold every page twice; a rebuild takes seconds
        web_enabled=False,
        processing_guarantee="at_least_once",  # exactness comes from the journal, see journal.py
        broker_session_timeout=float(k.session_seconds),
        broker_heartbeat_interval=k.session_seconds / 5,
        broker_request_timeout=60.0,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=2 * MOST_BYTES,
        producer_linger=0.005,
        producer_max_request_size=MOST_STATE_BYTES,
        producer_max_batch_size=256 * 1024,
        producer_acks=-1,
        stream_buffer_maxsize=256,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        worker_redirect_stdouts=False,
        TableManager=_Tables,
    )
    app.transport = _Transport(app.conf.broker_consumer, app)
    app.let_go = let_go
    return app


def _credentials(cluster: ClusterSettings) -> Any:
    k, context = cluster.kafka, tls(cluster)
    if k.security.startswith("sasl"):
        return SASLCredentials(username=k.username, password=password(cluster), ssl_context=context, mechanism=k.mechanism)
    return SSLCredentials(context) if context is not None else None
