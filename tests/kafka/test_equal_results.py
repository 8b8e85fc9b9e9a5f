"""The same messages give the same counts and alerts in one process and on Kafka, whatever dies meanwhile."""

import random
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.kafka.town import CODES, Cluster, Kept, Message, embedded, interleaved, kept, messages, municipalities

HISTORY_UNTIL = datetime(2019, 1, 1, tzinfo=UTC)  # a year of history, then a year that is judged
KILLS = 20
PATIENCE = 240.0


@pytest.fixture(scope="module")
def towns(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Message]]:
    folder = tmp_path_factory.mktemp("towns")
    return {code: messages(events, HISTORY_UNTIL) for code, events in municipalities(folder, 6, (2018, 2019)).items()}


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
    assert len(want.alerts) > 20
    assert sum(len(p) for p in want.pages.values()) > 10_000
    assert sorted(got.alerts) == sorted(want.alerts)
    assert got.alerts == want.alerts
    assert got.history == want.history
    assert got.pages == want.pages
    assert got.clock == want.clock
    assert got.notes == want.notes
    if letters:
        assert got.letters == want.letters


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


def test_killed_twenty_times_with_every_message_twice_and_the_broker_away_it_gives_the_same(
    own_broker: Any, tmp_path: Path, towns: dict[str, list[Message]], folders: list[Path], wanted: dict[str, Kept]
) -> None:
    cluster = Cluster(tmp_path / "cluster", own_broker.address, "rough")
    rng = random.Random(20)
    try:
        cluster.publish(folders)
        cluster.send(interleaved(list(towns.values()), 6), twice=True, spoil=500)
        for _ in range(2):
            cluster.start_worker()
        for kill in range(KILLS):
            time.sleep(rng.uniform(1.5, 5.0))
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
        cluster.keep_alive(PATIENCE)
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
