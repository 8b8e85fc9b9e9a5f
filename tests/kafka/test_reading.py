"""Every message that is in the log is read, once and in order, whatever Faust does with its consumer meanwhile."""

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from faust.exceptions import ConsumerNotStarted
from faust.types import TP
from msgspec import structs

from earlywarning.core.pages import decode_page
from earlywarning.runtimes.kafka.application import make_app
from earlywarning.runtimes.kafka.looking import first_in_log, left_in_log
from earlywarning.runtimes.kafka.messages import encode_events
from earlywarning.runtimes.kafka.reading import Reader, SkippedMessagesError
from earlywarning.runtimes.kafka.topics import INCIDENTS, REPORTS, partition_of, topic_name
from tests.kafka.town import PARTITIONS, Cluster, Message, made_events, write_registers

CODE = "0904"
OWN = partition_of(CODE, PARTITIONS)

# A worker whose first fetches of events come to nothing, as when Faust drops them.
LOSING = """
import sys
from pathlib import Path
from earlywarning.runtimes.kafka import application, worker
from earlywarning.settings import load_cluster_settings

worker.OVERDUE, fetches, lost = 1.0, int(sys.argv[2]), 0
fetch = application._Thread._fetch_records

async def losing(*words, **more):
    global lost
    got = await fetch(*words, **more)
    if lost < fetches and any(tp.topic.endswith(".incidents") for tp in got):
        lost += 1
        return {}
    return got

application._Thread._fetch_records = losing
worker.run_worker(load_cluster_settings(Path(sys.argv[1])))
"""

# A worker that has to let go of its partitions, and gets them back, while it makes its first engine.
LETTING_GO = """
import sys
import time
from pathlib import Path
from earlywarning.runtimes.kafka import worker
from earlywarning.settings import load_cluster_settings

started, restore, made = [], worker.Municipality.restore, []
begin = worker.Worker.__init__

def begun(self, *words):
    begin(self, *words)
    started.append(self)

def lasting(*words):
    engine = restore(*words)
    if not made:
        made.append(engine)
        self, before = started[0], started[0]._generation
        thread = self.app.consumer._thread
        thread.thread_loop.call_soon_threadsafe(thread._consumer._coordinator.request_rejoin)
        while self._generation == before:
            time.sleep(0.01)
    return engine

worker.Worker.__init__, worker.Municipality.restore = begun, lasting
worker.run_worker(load_cluster_settings(Path(sys.argv[1])))
"""


@pytest.fixture
def cluster(tmp_path: Path, brokers: str) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster", brokers, f"r{time.time_ns() % 10**9}")
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def town(tmp_path: Path) -> Path:
    write_registers(tmp_path / CODE, CODE, ["a", "b"], ["theft", "assault"])
    return tmp_path / CODE


@asynccontextmanager
async def _reading(cluster: Cluster) -> AsyncIterator[tuple[Any, AIOKafkaConsumer, TP]]:
    """Faust's consumer, not started, aiokafka's consumer below it, and the partition that it has."""
    tp = TP(topic_name(cluster.settings.kafka, INCIDENTS), OWN)
    faust: Any = make_app(cluster.settings).consumer
    consumer = AIOKafkaConsumer(bootstrap_servers=cluster.settings.kafka.brokers, group_id="looking", auto_offset_reset="earliest")
    await consumer.start()
    try:
        faust._thread.fetched = {}
        consumer.assign([TopicPartition(*tp)])
        yield faust, consumer, tp
    finally:
        await consumer.stop()


def test_partitions_that_are_held_back_are_not_read(cluster: Cluster) -> None:
    cluster.send([Message(INCIDENTS, CODE, b"{}", history=False)] * 5)

    async def fetch() -> None:
        async with _reading(cluster) as (faust, consumer, tp):
            may_be_read = {tp}
            waiting = asyncio.ensure_future(faust._thread._fetch_records(consumer, may_be_read, 1.0))
            await asyncio.sleep(0)
            may_be_read.clear()  # while the fetch waits, as when a table is rebuilt
            assert not await waiting
            assert await consumer.position(TopicPartition(*tp)) == 0
            may_be_read.add(tp)
            assert len((await faust._thread._fetch_records(consumer, may_be_read, 5.0))[tp]) == 5

    asyncio.run(fetch())


def test_where_nothing_was_committed_reading_goes_back_to_the_beginning(cluster: Cluster) -> None:
    cluster.send([Message(INCIDENTS, CODE, b"{}", history=False)] * 5)

    async def rewind() -> None:
        async with _reading(cluster) as (faust, consumer, tp):
            at = TopicPartition(*tp)
            await consumer.getmany(at, timeout_ms=5_000)
            assert await consumer.position(at) == 5
            await faust._thread._rewind(consumer)
            assert await consumer.position(at) == 0
            await consumer.commit({at: 2})
            await faust._thread._rewind(consumer)
            assert await consumer.position(at) == 2

    asyncio.run(rewind())


def test_a_partition_that_has_no_position_yet_ends_nobody(cluster: Cluster) -> None:
    """As just after it was assigned; Faust looks at all of them every few seconds."""

    async def look() -> None:
        async with _reading(cluster) as (faust, consumer, tp):
            faust._thread._consumer, faust._thread.time_started = consumer, time.monotonic()
            state = consumer._subscription.subscription.assignment.state_value(TopicPartition(*tp))
            state._position, state.timestamp = None, time.monotonic() * 1000  # asked for lately
            faust._assignment = lambda: {tp}
            await faust.verify_all_partitions_active()

    asyncio.run(look())


def test_nothing_flows_until_faust_has_gone_back(cluster: Cluster) -> None:
    app = make_app(cluster.settings)
    consumer: Any = app.consumer
    consumer.resume_partitions({TP(topic_name(cluster.settings.kafka, INCIDENTS), 0)})
    assert not consumer.flow_active
    consumer.resume_flow()
    assert consumer.flow_active


def test_a_worker_lays_nothing_where_it_was_started(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty := tmp_path / "empty").mkdir()
    monkeypatch.chdir(empty)
    asyncio.run(make_app(cluster.settings).on_first_start())
    assert not list(empty.iterdir())


def test_a_message_that_was_skipped_ends_the_worker_and_one_that_was_read_is_passed_over(cluster: Cluster) -> None:
    cluster.send([Message(INCIDENTS, CODE, b"{}", history=False)] * 5)
    tp = TP(topic_name(cluster.settings.kafka, INCIDENTS), OWN)

    async def look() -> None:
        reader = Reader(make_app(cluster.settings), cluster.settings, lambda: None)
        reader._next[tp] = 2
        assert await reader._in_order(tp, 2)
        assert not await reader._in_order(tp, 1)
        with pytest.raises(SkippedMessagesError, match="4 came where 2 should have"):
            await reader._in_order(tp, 4)

    asyncio.run(look())


def _counted(cluster: Cluster) -> int:
    return sum(len(decode_page(page)) for _, page in cluster.desk.store.pages(CODE))


def _until_counted(cluster: Cluster, n: int) -> None:
    deadline = time.monotonic() + 300
    while _counted(cluster) < n:
        assert time.monotonic() < deadline, cluster.log()
        time.sleep(0.2)


def test_messages_that_do_not_come_are_gone_back_to(cluster: Cluster, town: Path) -> None:
    cluster.publish([town])
    cluster.start_program(LOSING, "1")
    cluster.send([Message(INCIDENTS, CODE, encode_events(made_events(7, CODE)), history=False)])
    _until_counted(cluster, 7)
    assert "reading goes back" in cluster.log()
    assert _counted(cluster) == 7


def test_a_worker_to_whom_messages_never_come_ends_and_its_successor_reads_them(cluster: Cluster, town: Path) -> None:
    cluster.publish([town])
    deaf = cluster.start_program(LOSING, "1000000")
    cluster.send([Message(INCIDENTS, CODE, encode_events(made_events(7, CODE)), history=False)])
    assert deaf.wait(300) == 75
    assert "does not come" in cluster.log()
    cluster.workers.remove(deaf)
    cluster.start_worker()
    _until_counted(cluster, 7)


def test_a_rebuild_whose_partitions_are_taken_away_begins_nothing(cluster: Cluster) -> None:
    """Faust would end it while the group waits for its other members, and read and write what is another worker's."""
    let_go, rebuilt = [], []

    async def rebuild() -> None:
        app = make_app(cluster.settings, lambda: let_go.append(True))

        async def recovered() -> None:
            rebuilt.append(app.consumer_generation_id)

        app.Table("table", partitions=1).on_recover(recovered)
        recovery: Any = app.tables.recovery
        await recovery.on_rebalance(set(), set(), set(), 0)
        app.consumer_generation_id = 1
        recovery.on_partitions_revoked(set())
        assert let_go
        await recovery.on_recovery_completed(1)
        await recovery.on_rebalance(set(), set(), set(), 1)
        await recovery.on_recovery_completed(0)  # of the assignment before
        assert not rebuilt
        with pytest.raises(ConsumerNotStarted):
            await recovery.on_recovery_completed(1)
        assert rebuilt == [1]

    asyncio.run(rebuild())


def test_the_end_of_a_log_does_not_go_back(cluster: Cluster) -> None:
    """A leader that has just begun may name too early an end, until the others have told it how far they are."""
    tp = TP(topic_name(cluster.settings.kafka, INCIDENTS), OWN)
    named = 9

    async def look() -> None:
        nonlocal named
        reader = Reader(make_app(cluster.settings), cluster.settings, lambda: None)
        consumer = SimpleNamespace(assignment=lambda: {tp}, highwater=lambda _: named, past_gap=lambda _, offset: offset)
        reader._app = SimpleNamespace(consumer=consumer)
        reader._next[tp] = 5
        assert not reader.at_end((INCIDENTS, OWN))
        named = 5
        assert not reader.at_end((INCIDENTS, OWN))
        reader._next[tp] = 9
        assert reader.at_end((INCIDENTS, OWN))
        reader._next[tp] = 5
        assert await reader.look()  # the brokers hold nothing there, and say so when they are asked
        assert reader.at_end((INCIDENTS, OWN))

    asyncio.run(look())


def test_what_an_engine_took_when_its_partitions_were_taken_away_is_taken_again(cluster: Cluster, town: Path) -> None:
    """The engine that took it is ahead of what is written, and must not go on: what it refused would never be heard of."""
    cluster.publish([town])
    (refused,) = made_events(1, CODE, name="refused")
    batch = encode_events([*made_events(7, CODE), structs.replace(refused, category="unheard-of")])
    cluster.send([Message(INCIDENTS, CODE, batch, history=False)])
    cluster.start_program(LETTING_GO)
    _until_counted(cluster, 7)
    cluster.wait_until_done(300, most_restarts=0)
    letters = cluster.desk.store.dead_letters(municipality=CODE)
    assert [(d.letter.field, d.letter.event_id) for d in letters] == [("category", "refused0")]
    assert cluster.log().count("state is there") == 2


def test_an_idle_worker_lives(cluster: Cluster, town: Path) -> None:
    """Also beside one that has all partitions with messages, and with none that was ever sent."""
    cluster.publish([town])
    idle = [cluster.start_program(LOSING, "0") for _ in range(2)]
    with pytest.raises(subprocess.TimeoutExpired):
        idle[0].wait(9)
    assert [p.poll() for p in idle] == [None, None]
    assert "goes back" not in cluster.log()


def test_the_ends_of_a_suppliers_transactions_hold_nothing_up(cluster: Cluster, town: Path) -> None:
    """They take offsets that no message has; what is waited for is the end of both topics."""
    cluster.publish([town])
    cluster.start_worker()
    kafka = cluster.settings.kafka
    incidents = TP(topic_name(kafka, INCIDENTS), OWN)

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.brokers, transactional_id=kafka.prefix)
        await producer.start()
        try:
            for i in range(3):
                async with producer.transaction():
                    for topic, value in ((INCIDENTS, encode_events(made_events(2, CODE, name=f"i{i}-"))), (REPORTS, b"[]")):
                        await producer.send_and_wait(topic_name(kafka, topic), value, key=CODE.encode())
        finally:
            await producer.stop()
        assert await first_in_log(cluster.settings, incidents, 1) == 2
        assert await first_in_log(cluster.settings, incidents, 5) == 6
        assert await left_in_log(cluster.settings, {incidents: 3}) == {incidents: 4}
        assert await left_in_log(cluster.settings, {incidents: 5}) == {}

    asyncio.run(send())
    begun = time.monotonic()
    _until_counted(cluster, 6)
    assert time.monotonic() - begun < 8
