"""The same messages give the same counts and alerts in one process and on Kafka, whatever dies meanwhile."""

import random
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from earlywarning.core.pages import decode_page, encode_page
from earlywarning.runtimes.kafka.municipality import Municipality
from earlywarning.runtimes.kafka.topics import partition_of
from earlywarning.settings import load_settings
from tests.kafka.town import CODES, PARTITIONS, Cluster, Kept, Message, embedded, interleaved, kept, messages, municipalities

HISTORY_UNTIL = datetime(2019, 1, 1, tzinfo=UTC)  # a year of history, then eight months that are judged
UNTIL = datetime(2019, 9, 1, tzinfo=UTC)
KILLS = 20
PATIENCE = 900.0

# A worker that fetches no reports while a file is there, as happens by chance on a busy machine.
REPORTS_LATE = """
import sys
from pathlib import Path
from earlywarning.runtimes.kafka import application, worker
from earlywarning.settings import load_cluster_settings

fetch = application._Thread._fetch_records

async def late(self, consumer, active, *words, **more):
    hidden = {tp for tp in active if tp.topic.endswith(".reports")} if Path(sys.argv[2]).exists() else set()
    return await fetch(self, consumer, active - hidden if hidden else active, *words, **more)

application._Thread._fetch_records = late
worker.run_worker(load_cluster_settings(Path(sys.argv[1])))
"""


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Message]]:
    folder = tmp_path_factory.mktemp("towns")
    return {
        code: messages([e for e in events if e.recorded_at < UNTIL], HISTORY_UNTIL)
        for code, events in municipalities(folder, 4, (2018, 2019)).items()
    }


@pytest.fixture(scope="module")
def folders(towns: dict[str, list[Message]], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    base = next(p for p in tmp_path_factory.getbasetemp().iterdir() if p.name.startswith("towns"))
    return [base / code for code in CODES]


@pytest.fixture(scope="module")
def wanted(towns: dict[str, list[Message]], folders: list[Path]) -> dict[str, Kept]:
    out = {}
    for folder in folders:
        embedded(folder, towns[folder.name])
        out[folder.name] = kept(f"sqlite:///{folder / 'store.db'}", folder.name)
    return out


@pytest.fixture
def cluster(tmp_path: Path, brokers: str, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster", brokers, f"t{abs(hash(request.node.name)) % 10**8}-{time.time_ns() % 10**6}")
    try:
        yield made
    finally:
        made.close()


def _compare(got: Kept, want: Kept, *, letters: bool = True) -> None:
    assert len(want.alerts) > 40
    assert len(want.pages) > 500
    assert sorted(got.alerts) == sorted(want.alerts)
    assert got.alerts == want.alerts
    assert _lasting(got) == _lasting(want)
    assert got.pages == want.pages
    assert got.clock == want.clock
    assert got.notes == want.notes
    if letters:
        assert got.letters == want.letters


def _lasting(held: Kept) -> list[Any]:
    """The history without what lasted for a moment: an alert may be withdrawn and come back between two events of one batch."""
    return [entry for entry in held.history if entry[1] not in ("withdrawn", "reopened")]


def _url(cluster: Cluster) -> str:
    return cluster.settings.store_url


def test_three_workers_give_what_one_process_gives(
    cluster: Cluster, towns: dict[str, list[Message]], folders: list[Path], wanted: dict[str, Kept]
) -> None:
    cluster.publish(folders)
    cluster.send(interleaved(list(towns.values()), 5))
    for _ in range(3):
        cluster.start_worker()
    cluster.wait_until_done(PATIENCE)
    cluster.desk.stop()
    for code in CODES:
        _compare(kept(_url(cluster), code), wanted[code])
    _rebuild(cluster, folders, wanted)


def _rebuild(cluster: Cluster, folders: list[Path], wanted: dict[str, Kept]) -> None:
    """From the changelog alone comes the state that the last step left."""
    records = cluster.changelog()
    for folder in folders:
        rebuilt = Municipality.restore(load_settings(folder / "earlywarning.toml"), records[folder.name], datetime.now(UTC))
        engine, want = rebuilt.engine, wanted[folder.name]
        assert engine.today == want.clock[0] if want.clock else False
        days = sorted(want.pages)
        assert [encode_page(day, engine.ledger.on_day(day), engine.codes) for day in days] == [want.pages[day] for day in days]
        assert set(engine.book.cases) == {a.alert_id for a in want.alerts.values() if a.state == "open"} | {
            name for name in engine.book.cases if want.alerts[name].state == "withdrawn"
        }


def test_killed_twenty_times_with_every_message_twice_and_the_broker_away_it_gives_the_same(
    own_broker: Any, tmp_path: Path, towns: dict[str, list[Message]], folders: list[Path], wanted: dict[str, Kept]
) -> None:
    cluster = Cluster(tmp_path / "cluster", own_broker.address, "rough", 'clock = "events"\nsession_seconds = 6\n')
    rng = random.Random(20)
    try:
        cluster.publish(folders)
        cluster.send(interleaved(list(towns.values()), 6), twice=True, spoil=500)
        for _ in range(2):
            cluster.start_worker()
        for kill in range(KILLS):
            # While the group settles, for which it waits for six seconds, and in every third round while it works.
            time.sleep(rng.uniform(7.0, 10.0) if kill % 3 == 2 else rng.uniform(0.3, 4.0))
            if kill == 5:
                cluster.start_worker()  # one is added on the way ...
            if kill == 10:
                cluster.end_worker(cluster.workers[0])  # ... and one removed, in order
            if kill == 14:
                own_broker.kill()
                time.sleep(2)
                own_broker.start()
            victim = rng.choice(cluster.workers)
            cluster.end_worker(victim, signal.SIGKILL)
            cluster.start_worker()
        cluster.wait_until_done(PATIENCE, most_restarts=KILLS)
        cluster.desk.stop()
        for code in CODES:
            got = kept(_url(cluster), code)
            _compare(got, wanted[code], letters=False)
            # Each refused event came twice, and is refused each time; what is no event at all is kept beside them.
            spoiled = [letter for letter in got.letters if letter[0] == "json"]
            assert spoiled
            refused = [letter for letter in got.letters if letter[0] != "json"]
            assert refused == sorted(wanted[code].letters * 2)
    finally:
        cluster.close()


def test_after_real_compaction_a_rebuild_gives_the_same(
    cluster: Cluster, towns: dict[str, list[Message]], folders: list[Path], wanted: dict[str, Kept]
) -> None:
    """Records of the changelog that newer ones supersede are gone, and everything goes on as if they were there."""
    cluster.compact_soon()
    cluster.publish(folders)
    sent = towns[CODES[0]]
    parts = [sent[i * len(sent) // 5 : (i + 1) * len(sent) // 5] for i in range(5)]
    for part in parts[:4]:
        # Each is on the brokers whole before it is read: a worker that reads along may be told of an incident before a report
        # that was recorded earlier, and rightly counts that as late.
        cluster.send(part)
        worker = cluster.start_worker()
        cluster.wait_until_done(PATIENCE, most_restarts=0)
        cluster.end_worker(worker, signal.SIGKILL if part is parts[3] else signal.SIGTERM)
    before, records = cluster.changelog(), cluster.changelog_records()
    journals = lambda: [r for r in records if r.key == f"{CODES[0]}/".encode()]  # noqa: E731
    deadline = time.monotonic() + PATIENCE
    while len(journals()) > 1 and journals()[0].offset < records[-1].offset // 2:
        assert time.monotonic() < deadline, f"{len(journals())} journals are left of {records[-1].offset} records"
        cluster.begin_segment(CODES[0])  # the newest segment is never compacted
        time.sleep(1.5)
        records = cluster.changelog_records()
    assert len(records) < records[-1].offset  # what newer records supersede is gone from the log
    assert cluster.changelog() == before
    cluster.send(parts[4])
    cluster.start_worker()
    cluster.wait_until_done(PATIENCE, most_restarts=0)
    cluster.desk.stop()
    _compare(kept(_url(cluster), CODES[0]), wanted[CODES[0]])


def test_a_back_fill_raises_nothing_while_its_neighbour_s_alerts_come_as_ever(
    cluster: Cluster, towns: dict[str, list[Message]], folders: list[Path], wanted: dict[str, Kept]
) -> None:
    """Both lie in one partition, so one worker has both and reads their messages mixed; incidents long before reports."""
    live, filled = CODES[0], CODES[1]
    assert partition_of(live, PARTITIONS) == partition_of(filled, PARTITIONS)
    cluster.publish(folders)
    past = [m for m in towns[live] if m.history]
    cluster.send(past)
    late = cluster.folder / "reports-are-late"
    worker = cluster.start_worker()
    cluster.wait_until_done(PATIENCE, most_restarts=0)
    cluster.end_worker(worker)
    late.touch()
    history = [m._replace(history=True) for m in towns[filled]]
    cluster.send(interleaved([towns[live][len(past) :], history], 7))
    cluster.start_program(REPORTS_LATE, str(late))
    deadline = time.monotonic() + PATIENCE
    while cluster.log().count("state is there") < 2:
        assert time.monotonic() < deadline, cluster.log()
        time.sleep(0.2)
    time.sleep(5)  # incidents are read ahead as far as it goes
    late.unlink()
    cluster.wait_until_done(PATIENCE, most_restarts=0)
    cluster.desk.stop()
    _compare(kept(_url(cluster), live), wanted[live])
    got = kept(_url(cluster), filled)
    assert wanted[filled].alerts
    assert not got.alerts
    assert not got.history
    # The same rows; what differs is only which of them the close of a day knew, which nobody asked of the past.
    assert sum(len(decode_page(p)) for p in got.pages.values()) == sum(len(decode_page(p)) for p in wanted[filled].pages.values())
