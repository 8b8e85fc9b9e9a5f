"""A Kafka topic on a real broker: the webhook's JSON, keyed by alert, with the message's key as a header."""

import json

from kafka import KafkaConsumer
from kafka.admin import KafkaAdminClient, NewTopic

from earlywarning.settings_channels import KafkaChannel
from tests.channels.conftest import Post
from tests.channels.messages import CODE, a_test, content, message
from tests.channels.receivers import until
from tests.kafka.conftest import brokers  # noqa: F401  # the fixture


def test_messages_stand_on_the_topic_in_order_with_their_keys(post: Post, brokers: str) -> None:  # noqa: F811
    admin = KafkaAdminClient(bootstrap_servers=brokers)
    admin.create_topics([NewTopic("est.alerts", 2, 1)])
    admin.close()
    made = [message(1, content(1, change), channel="topic", key=change) for change in ("opened", "updated", "settled")]
    post.put(*made, a_test("topic", key="t"))
    post.start(topic=KafkaChannel(topic="est.alerts", brokers=brokers, timeout_seconds=30, retry_seconds=0.05))
    until(lambda: post.states() == ["delivered"] * 4, seconds=60)
    consumer = KafkaConsumer("est.alerts", bootstrap_servers=brokers, auto_offset_reset="earliest", consumer_timeout_ms=4000)
    got = []
    for record in consumer:
        got.append(record)
        if len(got) == 4:
            break
    consumer.close()
    keys = [dict(r.headers)["earlywarning-key"].decode() for r in got]
    assert sorted(keys) == ["opened", "settled", "t", "updated"]
    assert [k for k in keys if k != "t"] == ["opened", "updated", "settled"]
    opened = next(r for r in got if dict(r.headers)["earlywarning-key"] == b"opened")
    assert opened.key.decode() == f"{CODE}-20260412-1"
    assert json.loads(opened.value)["type"] == "alert.opened"


def test_brokers_that_do_not_answer_are_waited_for(post: Post) -> None:
    post.put(message(1, channel="topic"))
    post.start(topic=KafkaChannel(topic="x", brokers="127.0.0.1:9", timeout_seconds=1, attempts=2, retry_seconds=0.01))
    until(lambda: post.states() == ["dead"], seconds=40)
    assert post.all()[0].problem.startswith("given up after 2 attempts: ")


def test_without_brokers_the_way_out_is_told(post: Post) -> None:
    post.put(message(1, channel="topic"))
    post.start(topic=KafkaChannel(topic="x", attempts=1))
    until(lambda: post.states() == ["dead"])
    assert "no brokers are named" in post.all()[0].problem
