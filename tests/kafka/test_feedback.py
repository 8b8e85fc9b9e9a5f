"""The group's answers on Kafka: by the desk and by the topic; what they explain reaches the workers, and stays."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from kafka import KafkaProducer

from earlywarning.core.alert_record import Alert
from earlywarning.core.casework import Answer
from earlywarning.runtimes.kafka.feedback import AnswerMessage
from earlywarning.runtimes.kafka.messages import encode_events
from earlywarning.runtimes.kafka.municipality import Municipality
from earlywarning.runtimes.kafka.topics import FEEDBACK, INCIDENTS, REPORTS, topic_name
from earlywarning.settings import load_settings
from tests.core.town import CODE, history, merged, surge
from tests.kafka.town import Cluster, Message, until
from tests.web.conftest import write_town


@pytest.fixture
def cluster(tmp_path: Path, brokers: str) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster", brokers, f"f{time.time_ns() % 10**9}")
    (tmp_path / "town").mkdir()
    write_town(tmp_path / "town")
    try:
        yield made
    finally:
        made.close()


def _an_alert(cluster: Cluster, town: Path) -> Alert:
    from earlywarning.runtimes.kafka.producing import Producer  # noqa: PLC0415

    with Producer(cluster.settings) as producer:
        producer.publish([load_settings(town / "earlywarning.toml")])
    cluster.start_worker()
    events = merged(history(3, days=440), surge(430))
    of_kind = {INCIDENTS: "Incident", REPORTS: "Report"}
    cluster.send(
        [Message(t, CODE, encode_events([e for e in events if type(e).__name__ == k]), history=False) for t, k in of_kind.items()]
    )
    return until(lambda: cluster.desk.store.alerts(municipality=CODE), "an alert", cluster)[0]


def _verdicts(cluster: Cluster) -> list[str]:
    return [key for key in cluster.changelog().get(CODE, {}) if key.startswith("verdict/")] or [
        key for key in _pending(cluster) if key.startswith("verdict/")
    ]


def _pending(cluster: Cluster) -> list[str]:
    """What still stands in the journal alone."""
    records = cluster.changelog().get(CODE, {})
    return list(msgspec.msgpack.decode(records[""])[7]) if "" in records else []


def _said(alert: Alert, answer_id: str, **fields: Any) -> Answer:
    given = {"answer_id": answer_id, "alert_id": alert.alert_id, "actor": "samordnaren", "at": datetime.now(UTC), **fields}
    return msgspec.convert(given, Answer)


EXPLAINED = {"action": "assess", "assessment": "known-cause", "reason": "local-event"}


def test_an_answer_at_the_desk_reaches_the_worker_and_whoever_follows_it(cluster: Cluster, tmp_path: Path) -> None:
    alert = _an_alert(cluster, tmp_path / "town")
    case = cluster.desk.counters[CODE].answer(_said(alert, "a1", **EXPLAINED))
    assert (case.stage, case.assessment) == ("assessed", "known-cause")
    until(lambda: _verdicts(cluster), "a verdict in the changelog", cluster)
    records = cluster.changelog()[CODE]
    rebuilt = Municipality.restore(load_settings(tmp_path / "town" / "earlywarning.toml"), records, datetime.now(UTC))
    (heard,) = rebuilt.engine.tallies.left_out.verdicts
    assert (heard.alert_id, heard.left_out) == (alert.alert_id, True)
    assert rebuilt.heed([case.verdicts[0]]) is None  # the same again changes nothing


def test_answers_come_by_the_topic_too_and_what_is_none_becomes_a_dead_letter(cluster: Cluster, tmp_path: Path) -> None:
    alert = _an_alert(cluster, tmp_path / "town")
    producer = KafkaProducer(bootstrap_servers=cluster.settings.kafka.brokers, acks="all")
    name, key = topic_name(cluster.settings.kafka, FEEDBACK), CODE.encode()

    def send(value: bytes) -> None:
        producer.send(name, key=key, value=value).get(timeout=20)

    good = AnswerMessage(municipality=CODE, answer=_said(alert, "t1", action="acknowledge"))
    for _ in range(2):
        send(msgspec.json.encode(good))
    send(msgspec.json.encode(AnswerMessage(municipality=CODE, answer=_said(alert, "t2", action="close", reason="acted-on"))))
    send(msgspec.json.encode(AnswerMessage(municipality=CODE, answer=_said(alert, "t3", action="note", note="ring 0701234567"))))
    send(b'{"type": "answer", "municipality": "0999", "answer": {"action": "19800101-1234"}}')
    send(b"\xff nonsense")
    producer.close()
    store = cluster.desk.store
    letters = until(lambda: (found := store.dead_letters()) and len(found) >= 4 and found, "dead letters", cluster)
    assert [letter.letter.rule for letter in letters] == ["illegal-transition", "telephone-number", "json", "json"]
    assert [letter.letter.event_id for letter in letters[:2]] == ["t2", "t3"]
    assert not any("0701234567" in repr(letter) or "19800101" in repr(letter) for letter in letters)
    case = cluster.desk.answering.cases.get(alert.alert_id)
    assert case is not None
    assert (case.stage, case.revision, case.acknowledged_by) == ("acknowledged", 1, "samordnaren")


def test_a_verdict_that_was_kept_and_not_sent_goes_out_when_the_desk_reads_again(cluster: Cluster, tmp_path: Path) -> None:
    alert = _an_alert(cluster, tmp_path / "town")
    desk = cluster.desk
    # Kept as by a desk that died before it told the workers.
    desk.answering.take(_said(alert, "d1", **EXPLAINED), CODE)
    assert not _verdicts(cluster)
    cluster.reopen_desk()
    until(lambda: _verdicts(cluster), "a verdict in the changelog", cluster)
