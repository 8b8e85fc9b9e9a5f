"""The example of a supplier to Kafka, against a real broker: what it sends is what the service reads."""

import json
import subprocess
import sys
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from earlywarning.runtimes.kafka.messages import arrived
from earlywarning.runtimes.kafka.topics import partition_of
from tests.examples.conftest import EXAMPLES
from tests.kafka.conftest import brokers  # noqa: F401  # a fixture
from tests.web.conftest import body

PARTITIONS = 4


def test_a_supplier_sends_what_the_service_reads(brokers: str, tmp_path: Path) -> None:  # noqa: F811
    prefix = f"example{tmp_path.stat().st_ino}"
    client = KafkaAdminClient(bootstrap_servers=brokers)
    client.create_topics([NewTopic(f"{prefix}.{what}", PARTITIONS, 1) for what in ("incidents", "reports")])
    client.close()
    events = [body(i, kind="report" if i % 3 == 0 else "incident") for i in range(1100)]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    words = [brokers, "0999", str(tmp_path / "events.jsonl"), "--prefix", prefix, "--as-history"]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "kafka_supplier" / "supplier.py"), *words],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "3 messages\n"), done.stderr

    partition = partition_of("0999", PARTITIONS)
    consumer = KafkaConsumer(bootstrap_servers=brokers, auto_offset_reset="earliest", consumer_timeout_ms=20_000)
    got: dict[str, list[str]] = {"incidents": [], "reports": []}
    consumer.assign([TopicPartition(f"{prefix}.{what}", partition) for what in got])
    for _, record in zip(range(3), consumer, strict=False):  # in this order: a fourth is not waited for
        what = record.topic.removeprefix(f"{prefix}.")
        message = arrived(what, record.partition, record.offset, record.key, record.value, record.headers)
        assert message.history
        assert message.decoded.rejections == []
        got[what] += [e.event_id for e in message.decoded.events]
    consumer.close()
    assert got["incidents"] == [e["event_id"] for e in events if e["kind"] == "incident"]
    assert got["reports"] == [e["event_id"] for e in events if e["kind"] == "report"]
