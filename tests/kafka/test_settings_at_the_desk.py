"""Settings put in force at the desk: published for all workers, kept once with who and why, also when the desk starts anew."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from earlywarning.core.settings_draft import DraftError
from earlywarning.runtimes.kafka.counter import Counter
from earlywarning.runtimes.settings_changes import apply, back, save
from earlywarning.store.settings_drafts import Drafts
from earlywarning.store.settings_versions import SettingsVersions
from tests.core.town import CODE
from tests.kafka.town import Cluster
from tests.web.conftest import write_town

PATIENCE = 60.0


@pytest.fixture
def cluster(tmp_path: Path, brokers: str) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster", brokers, f"d{time.time_ns() % 10**9}")
    (tmp_path / "town").mkdir()
    write_town(tmp_path / "town")
    try:
        made.publish([tmp_path / "town"])
        yield made
    finally:
        made.close()


def counter(cluster: Cluster) -> Counter:
    deadline = time.monotonic() + PATIENCE
    while CODE not in cluster.desk.counters or not cluster.desk.caught_up.is_set():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return cluster.desk.counters[CODE]


def told(cluster: Cluster) -> list[tuple[str, str]]:
    return [(v.actor, v.reason) for v in SettingsVersions(cluster.desk.store, CODE).every()]


def test_a_draft_at_the_desk_is_published_and_one_click_brings_back_what_was(cluster: Cluster) -> None:
    front = counter(cluster)
    version = front.settings.version
    draft = save(front, {"detection.min_count": 6, "budget.district_weights": {"A0": 2}}, "brus", "eva")
    other = save(front, {"detection.min_count": 9}, "mer brus", "eva")
    assert apply(front, draft.draft_id, 1, 1, "bo") == 2
    now = cluster.desk.counters[CODE]
    assert now.settings.detection.min_count == 6
    kept = Drafts(now.store, CODE).get(draft.draft_id)
    assert kept is not None
    assert (kept.state, kept.number) == ("applied", 2)
    with pytest.raises(DraftError) as caught:
        apply(front, other.draft_id, 1, 1, "någon")  # by a page that shows what was in force before
    assert caught.value.rule == "stale"
    assert back(now, None, 2, "bo", "för få") == 3
    assert cluster.desk.counters[CODE].settings.version == version
    assert told(cluster) == [("", ""), ("bo", "brus"), ("bo", "för få")]
    # A desk that starts again reads the topic from its beginning: the same settings in force, no version twice.
    cluster.reopen_desk()
    again = counter(cluster)
    assert again.settings.version == version
    assert told(cluster) == [("", ""), ("bo", "brus"), ("bo", "för få")]
