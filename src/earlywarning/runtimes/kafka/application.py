"""The Faust application: its settings, each for a reason."""

import os
from typing import Any

# Faust reads these when it is imported.
os.environ.setdefault("F_NODELAY", "1")
import faust
from faust.auth import SASLCredentials, SSLCredentials

from earlywarning.runtimes.kafka.connection import password, tls
from earlywarning.runtimes.kafka.topics import MOST_BYTES, MOST_STATE_BYTES, group
from earlywarning.settings import ClusterSettings


def make_app(cluster: ClusterSettings) -> faust.App:
    """The application of the workers' group. Raises SettingsError for a missing password or certificate."""
    k = cluster.kafka
    return faust.App(
        group(k),
        broker=[f"kafka://{address}" for address in k.brokers.split(",")],
        broker_credentials=_credentials(cluster),
        store="memory://",  # measured beside RocksDB in benchmarks/kafka_state.py: quicker, and the engine needs the rows in memory
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


def _credentials(cluster: ClusterSettings) -> Any:
    k, context = cluster.kafka, tls(cluster)
    if k.security.startswith("sasl"):
        return SASLCredentials(username=k.username, password=password(cluster), ssl_context=context, mechanism=k.mechanism)
    return SSLCredentials(context) if context is not None else None
