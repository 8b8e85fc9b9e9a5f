"""The topics: their names, what each must be like, and making and checking them."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic
from kafka.errors import KafkaError as ClientError
from kafka.errors import TopicAlreadyExistsError
from kafka.partitioner.default import murmur2

from earlywarning.runtimes.kafka.connection import KafkaError, client_options
from earlywarning.settings import ClusterSettings, Kafka

INCIDENTS, REPORTS = "incidents", "reports"
EVENTS = (INCIDENTS, REPORTS)  # of equal times, incidents are taken first
ALERTS, STATISTICS, DEAD_LETTERS = "alerts", "statistics", "dead-letters"
FEEDBACK, SETTINGS, STATE = "feedback", "settings", "state"
TABLE = "state"
DAY = 86_400_000  # milliseconds
LONGEST_SPREAD = 30.0  # seconds until all brokers know a topic that was made
MOST_BYTES = 4 * 2**20  # of a message of events
MOST_STATE_BYTES = 16 * 2**20  # of a record of state


@dataclass(frozen=True)
class Topic:
    """What a topic must be like."""

    name: str
    partitions: int
    configs: dict[str, str] = field(default_factory=dict)


def topic_name(settings: Kafka, what: str) -> str:
    """The full name of a topic; the state's is given by Faust: the changelog of the workers' table."""
    return f"{group(settings)}-{TABLE}-changelog" if what == STATE else f"{settings.prefix}.{what}"


def group(settings: Kafka) -> str:
    """The workers' consumer group, which is also their Faust application's id."""
    return f"{settings.prefix}-worker"


def partition_of(municipality: str, partitions: int) -> int:
    """The partition of a municipality: Kafka's default for its code as key (murmur2, as Java's and Python's clients have it)."""
    return int((murmur2(municipality.encode()) & 0x7FFFFFFF) % partitions)


def wanted(settings: Kafka) -> list[Topic]:
    """All topics. Those with a municipality's events, state and results have equally many partitions."""
    kept = {"cleanup.policy": "delete", "retention.ms": str(settings.retention_days * DAY), "max.message.bytes": str(MOST_BYTES)}
    # The time between two cleanings is also how long a consumer may be away without missing a change in between.
    compact = {"cleanup.policy": "compact", "max.message.bytes": str(MOST_BYTES)}
    n = settings.partitions

    def named(what: str, partitions: int, configs: dict[str, str]) -> Topic:
        return Topic(topic_name(settings, what), partitions, configs)

    state = {**compact, "max.message.bytes": str(MOST_STATE_BYTES), "min.cleanable.dirty.ratio": "0.2", "segment.ms": str(DAY // 4)}
    return [
        # Their time stamps are when they were sent, whatever old events they hold: time stamps decide what is retained.
        *(named(what, n, {**kept, "message.timestamp.type": "LogAppendTime"}) for what in EVENTS),
        named(ALERTS, n, {**compact, "min.compaction.lag.ms": str(settings.retention_days * DAY)}),
        named(STATISTICS, n, compact),
        named(DEAD_LETTERS, n, kept),
        named(FEEDBACK, n, kept),
        named(SETTINGS, 1, compact),
        named(STATE, n, state),
    ]


def admin(cluster: ClusterSettings) -> KafkaAdminClient:
    """A client for making and looking at topics. Raises KafkaError when no broker answers."""
    try:
        return KafkaAdminClient(**client_options(cluster), client_id=f"{cluster.kafka.prefix}-topics", bootstrap_timeout_ms=10_000)
    except ClientError as error:
        raise KafkaError(f"no broker answers at {cluster.kafka.brokers} ({type(error).__name__}): {error}") from error


def create_topics(cluster: ClusterSettings) -> list[str]:
    """Make the topics that are missing; returns their names once the brokers know them. Raises KafkaError."""
    client = admin(cluster)
    try:
        there = set(client.list_topics())
        made = []
        for topic in wanted(cluster.kafka):
            if topic.name in there:
                continue
            new = NewTopic(topic.name, topic.partitions, cluster.kafka.replication, topic_configs=_configs(topic, cluster.kafka))
            try:
                client.create_topics([new])
                made.append(topic.name)
            except TopicAlreadyExistsError:
                continue
        _wait_until_known(client, made)
    except ClientError as error:
        raise KafkaError(f"topic {topic.name} could not be made: {error}") from error
    finally:
        client.close()
    return made


def _wait_until_known(client: KafkaAdminClient, names: list[str]) -> None:
    # A topic is made when the controller has it; the brokers hear of it a little later.
    deadline = time.monotonic() + LONGEST_SPREAD
    while missing := set(names) - set(client.list_topics()):
        if time.monotonic() > deadline:
            raise KafkaError(
                f"topics were made, but the brokers do not know them yet: {', '.join(sorted(missing))}; check them again"
            )
        time.sleep(0.05)


def _configs(topic: Topic, settings: Kafka) -> dict[str, str]:
    # With three copies one broker may be away and nothing that was acknowledged is on one disk only.
    safe = {"min.insync.replicas": "2"} if settings.replication > 2 else {}
    return {**topic.configs, **safe}


def topic_problems(cluster: ClusterSettings) -> list[str]:
    """What is wrong with the topics, in words with the way out; empty when all is well. Raises KafkaError."""
    client = admin(cluster)
    try:
        there = {t["name"]: t for t in client.describe_topics()}
        named = [t for t in wanted(cluster.kafka) if t.name in there]
        found = (
            client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, t.name) for t in named], config_filter="all")
            if named
            else {}
        )
    except ClientError as error:
        raise KafkaError(f"the topics could not be looked at: {error}") from error
    finally:
        client.close()
    problems = []
    for topic in wanted(cluster.kafka):
        if topic.name not in there:
            problems.append(f"topic {topic.name} is missing; make it with: earlywarning topics create")
            continue
        n = len(there[topic.name]["partitions"])
        if n != topic.partitions:
            problems.append(
                f"topic {topic.name} has {n} partitions, kafka.partitions says {topic.partitions}: a municipality would stand in "
                "another partition than its state; set kafka.partitions to the number that the topics have"
            )
        problems += [
            f"topic {topic.name}: {name} is {held}, not {value}; mend it with kafka-configs --alter"
            for name, value in topic.configs.items()
            if (held := _value(found, topic.name, name)) != value and name in ("cleanup.policy", "max.message.bytes")
        ]
    return problems


def _value(found: Mapping[str, Any], topic: str, name: str) -> str:
    return str(found["topic"][topic][name]["value"])
