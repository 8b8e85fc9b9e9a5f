"""What the store keeps it gives back, all of a commit or nothing."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.changes import Changes, DeadLetter
from earlywarning.store import Store, StoreError
from earlywarning.store.settings_versions import SettingsVersions

MakeAlert = Callable[..., Alert]
MakeChanges = Callable[..., Changes]
MakeLetter = Callable[..., DeadLetter]


def _everything(store: Store) -> tuple[Any, ...]:
    return (
        list(store.pages("0380")),
        store.engine_state("0380"),
        store.alerts(),
        store.history("0380-2024-0001"),
        store.dead_letters(state=None),
        store.source_state("police-feed"),
    )


def test_what_a_commit_brings_is_read_back_alike(store: Store, alert: MakeAlert, changes: MakeChanges, letter: MakeLetter) -> None:
    page = bytes(range(256)) * 40
    kept, opened = alert(), AlertChange("opened", date(2024, 5, 7), alert(observed=11.0))
    store.commit(
        changes(pages={19850: page, 19849: b""}, alerts=[kept], history=[opened], clock_day=19851, clock_hour=476424),
        [letter(3)],
        {"police-feed": '{"newest": "2024-05-07"}'},
    )
    pages, clock, alerts, history, letters, feed = _everything(store)
    assert pages == [(19849, b""), (19850, page)]
    assert clock == (19851, 476424)
    assert alerts == [kept]
    assert history == [opened]
    assert [(x.letter, x.state, x.settled_at) for x in letters] == [(letter(3), "waiting", None)]
    assert feed == '{"newest": "2024-05-07"}'


def test_it_outlives_the_process_that_wrote_it(url: str, alert: MakeAlert, changes: MakeChanges) -> None:
    with Store.open(url, writer=True) as store:
        store.commit(changes(pages={1: b"one"}, alerts=[alert()]))
    with Store.open(url) as reader:
        assert list(reader.pages("0380")) == [(1, b"one")]
        assert reader.alert("0380-2024-0001") == alert()


def test_an_empty_store_holds_nothing(store: Store) -> None:
    assert _everything(store) == ([], None, [], [], [], None)
    assert store.page_span("0380") is None
    assert store.alert("0380-2024-0001") is None
    assert store.alert_counts() == []
    assert store.dead_letter_counts() == []
    assert store.settings_versions() == []


@pytest.mark.parametrize("broken", ["page", "alert", "dead letter"])
def test_a_failure_inside_a_commit_leaves_nothing_of_it(
    store: Store, alert: MakeAlert, changes: MakeChanges, letter: MakeLetter, broken: str
) -> None:
    store.commit(changes(pages={1: b"before"}), source_state={"police-feed": "before"})
    before = _everything(store)
    bad = {
        "page": (changes(pages={1: b"after", 2: b"x"}, page_events={1: 1, 2: None}, alerts=[alert()]), [letter()]),
        "alert": (
            changes(pages={1: b"after"}, alerts=[alert(), alert("0380-2024-0002", opened_on=None)], clock_day=19999),
            [letter()],
        ),
        "dead letter": (
            changes(
                pages={1: b"after"},
                alerts=[alert()],
                history=[AlertChange("opened", date(2024, 5, 7), alert())],
                clock_day=19999,
            ),
            [letter(1), letter(2, problem=None)],
        ),
    }[broken]
    with pytest.raises(StoreError):
        store.commit(*bad, {"police-feed": "after"})
    assert _everything(store) == before
    store.commit(changes(pages={1: b"after"}))  # and the store goes on working
    assert list(store.pages("0380")) == [(1, b"after")]


def test_a_page_kept_twice_is_the_later_one_and_its_neighbours_stay(store: Store, changes: MakeChanges) -> None:
    store.commit(changes(pages={1: b"one", 2: b"two"}))
    store.commit(changes(pages={2: b"two, corrected"}))
    store.commit(changes(pages={2: b"of another town"}, municipality="0381"))
    assert list(store.pages("0380")) == [(1, b"one"), (2, b"two, corrected")]


def test_pages_come_in_the_order_of_days_and_only_those_asked_for(store: Store, changes: MakeChanges) -> None:
    store.commit(changes(pages={day: str(day).encode() for day in (12, 10, 300, 11, -5)}))
    assert [day for day, _ in store.pages("0380")] == [-5, 10, 11, 12, 300]
    assert [day for day, _ in store.pages("0380", 11, 299)] == [11, 12]
    assert [day for day, _ in store.pages("0380", last_day=10)] == [-5, 10]
    assert store.page_span("0380") == (-5, 300)
    assert list(store.pages("0381")) == []


def test_alerts_are_found_by_municipality_state_and_day_the_newest_first(
    store: Store, alert: MakeAlert, changes: MakeChanges
) -> None:
    first = date(2024, 5, 1)
    kept = [
        alert(
            f"A{n}",
            opened_on=first + timedelta(days=n),
            state=("open", "settled", "withdrawn")[n % 3],
            municipality="0381" if n == 4 else "0380",
        )
        for n in range(6)
    ]
    store.commit(changes(alerts=kept))

    def ids(**asked: Any) -> list[str]:
        return [a.alert_id for a in store.alerts(**asked)]

    assert ids() == ["A5", "A4", "A3", "A2", "A1", "A0"]
    assert ids(municipality="0381") == ["A4"]
    assert ids(states=("open",)) == ["A3", "A0"]
    assert ids(states=("open", "withdrawn")) == ["A5", "A3", "A2", "A0"]
    assert ids(since=first + timedelta(days=2), until=first + timedelta(days=4)) == ["A4", "A3", "A2"]
    assert ids(limit=2) == ["A5", "A4"]
    assert sorted(store.alert_counts()) == [("surge", "open", 2), ("surge", "settled", 2), ("surge", "withdrawn", 2)]


def test_an_alert_kept_again_is_replaced_and_its_history_grows(store: Store, alert: MakeAlert, changes: MakeChanges) -> None:
    opened = AlertChange("opened", date(2024, 5, 7), alert())
    settled_alert = alert(state="settled", settled_on=date(2024, 5, 20))
    settled = AlertChange("settled", date(2024, 5, 20), settled_alert)
    store.commit(changes(alerts=[alert()], history=[opened]))
    store.commit(changes(alerts=[settled_alert], history=[settled]))
    assert store.alerts() == [settled_alert]
    assert store.alerts(states=("open",)) == []
    assert store.history("0380-2024-0001") == [opened, settled]
    assert store.history("another") == []


def test_the_engines_clock_is_kept_for_each_municipality(store: Store, changes: MakeChanges) -> None:
    store.commit(changes(clock_day=10, clock_hour=240))
    store.commit(changes(municipality="0381", clock_day=5, clock_hour=120))
    store.commit(changes(clock_day=11, clock_hour=264))
    assert (store.engine_state("0380"), store.engine_state("0381")) == ((11, 264), (5, 120))


def test_settings_in_force_get_a_number_and_the_same_again_does_not(store: Store) -> None:
    at = datetime(2024, 5, 7, 8, tzinfo=timezone(timedelta(hours=2)))
    versions = SettingsVersions(store, "0380")
    assert versions.add("aaaaaaaaaaaa", "a = 1", at) == 1
    assert versions.add("aaaaaaaaaaaa", "a = 1", at + timedelta(days=1)) == 1
    assert versions.add("bbbbbbbbbbbb", "a = 2", at) == 2
    assert versions.add("aaaaaaaaaaaa", "a = 1", at) == 3  # back to the first: in force anew
    assert versions.add("aaaaaaaaaaaa", "a = 1 # commented", at) == 4
    assert store.settings_versions()[1:3] == [
        (2, "bbbbbbbbbbbb", at.astimezone(UTC), "a = 2"),
        (3, "aaaaaaaaaaaa", at.astimezone(UTC), "a = 1"),
    ]


def test_a_sources_state_is_the_last_one_kept(store: Store) -> None:
    store.commit(None, source_state={"police-feed": "one", "other": "x"})
    store.commit(None, source_state={"police-feed": "two"})
    assert (store.source_state("police-feed"), store.source_state("other")) == ("two", "x")
    assert store.source_state("unknown") is None


def test_a_store_opened_for_reading_refuses_to_write(url: str, changes: MakeChanges) -> None:
    Store.open(url, writer=True).close()
    with Store.open(url) as reader, pytest.raises(StoreError, match="opened for reading"):
        reader.commit(changes(pages={1: b"one"}))
