"""The Faust application: its settings, each for a reason."""

import os
from typing import Any, ClassVar

# Faust reads these when it is imported.
os.environ.setdefault("F_NODELAY", "1")
import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

from earlywarning.runtimes.kafka.connection import password, tls
from earlywarning.runtimes.kafka.topics import MOST_BYTES, MOST_STATE_BYTES, group
from earlywarning.settings import ClusterSettings

# Milliseconds that a fetch waits at the broker. While one waits for quiet partitions, no other is sent to the same broker: with
# Faust's own 1500 a message waits as long before it is read.
LONGEST_FETCH = 50


class _Thread(AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = LONGEST_FETCH  # Faust has no setting for it
        return consumer


class _Consumer(Consumer):
    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


class _Transport(Transport):
    Consumer: ClassVar[Any] = _Consumer


def make_app(cluster: ClusterSettings) -> faust.App:
    """The application of the workers' group. Raises SettingsError for a missing password or certificate."""
    k = cluster.kafka
    app = faust.App(
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
        broker_commit_livelock_soft_timeout=600.0,
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
    )
    app.transport = _Transport(app.conf.broker_consumer, app)
    return app


def _credentials(cluster: ClusterSettings) -> Any:
    k, context = cluster.kafka, tls(cluster)
    if k.security.startswith("sasl"):
        return SASLCredentials(username=k.username, password=password(cluster), ssl_context=context, mechanism=k.mechanism)
    return SSLCredentials(context) if context is not None else None
