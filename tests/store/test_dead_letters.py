"""The life of a dead letter: it waits, is not kept twice, and is settled once its event was taken."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from earlywarning.core.changes import DeadLetter
from earlywarning.store import Store, StoreError

MakeLetter = Callable[..., DeadLetter]


def test_a_dead_letter_waits_until_it_is_settled(store: Store, letter: MakeLetter) -> None:
    store.commit(None, [letter(n) for n in (1, 2, 3)])
    one, two, three = store.dead_letters()
    assert [x.letter.position for x in (one, two, three)] == [1, 2, 3]
    before = datetime.now(UTC)
    store.commit(None, settled={one.id: "replayed", three.id: "refused again"})
    assert store.dead_letters() == [two]
    (replayed,) = store.dead_letters(state="replayed")
    assert replayed.letter == letter(1)
    assert replayed.settled_at is not None
    assert before <= replayed.settled_at <= datetime.now(UTC)
    assert [x.id for x in store.dead_letters(state="refused again")] == [three.id]
    assert [x.id for x in store.dead_letters(state=None)] == [one.id, two.id, three.id]


def test_dead_letters_are_found_by_rule_and_source_and_in_portions(store: Store, letter: MakeLetter) -> None:
    rules, sources = ("unknown-area", "future"), ("wardens", "schools", None)
    store.commit(None, [letter(n, rule=rules[n % 2], source=sources[n % 3]) for n in range(12)])

    def positions(**asked: Any) -> list[int]:
        return [x.letter.position for x in store.dead_letters(**asked)]

    assert positions(rule="future") == [1, 3, 5, 7, 9, 11]
    assert positions(source="schools") == [1, 4, 7, 10]
    assert positions(rule="future", source="schools") == [1, 7]
    seen: list[int] = []
    after = 0
    while portion := store.dead_letters(after_id=after, limit=5):
        assert len(portion) <= 5
        seen += [x.letter.position for x in portion]
        after = portion[-1].id
    assert seen == list(range(12))


def test_dead_letters_are_counted_by_rule_field_source_and_state(store: Store, letter: MakeLetter) -> None:
    store.commit(None, [*(letter(n) for n in range(3)), letter(9, source=None, rule="future", field="happened_at")])
    store.commit(None, settled={store.dead_letters()[0].id: "replayed"})
    assert store.dead_letter_counts()[0] == ("unknown-category", "category", "wardens", "waiting", 2)
    assert sorted(store.dead_letter_counts()[1:]) == [
        ("future", "happened_at", "", "waiting", 1),
        ("unknown-category", "category", "wardens", "replayed", 1),
    ]


def test_a_file_fed_again_brings_no_dead_letter_twice_while_it_waits(store: Store, letter: MakeLetter) -> None:
    file = [letter(n) for n in range(5)]
    store.commit(None, file)
    store.commit(None, [*file, letter(5), letter(1, rule="future")])
    assert len(store.dead_letters()) == 7
    store.commit(None, settled={x.id: "replayed" for x in store.dead_letters()})
    store.commit(None, file[:1])
    assert len(store.dead_letters()) == 1


def test_events_by_http_are_not_taken_for_each_other_by_their_position(store: Store, letter: MakeLetter) -> None:
    store.commit(None, [letter(1, way="http")])
    store.commit(None, [letter(1, way="http")])
    assert len(store.dead_letters()) == 2


def test_when_it_was_received_is_the_same_moment_from_any_zone(store: Store, letter: MakeLetter) -> None:
    local = datetime(2024, 7, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    store.commit(None, [letter(received_at=local)])
    (kept,) = store.dead_letters()
    assert kept.letter.received_at == local
    assert kept.letter.received_at.utcoffset() == timedelta(0)


def test_a_moment_without_a_zone_is_refused(store: Store, letter: MakeLetter) -> None:
    with pytest.raises(StoreError, match="no time zone"):
        store.commit(None, [letter(received_at=datetime(2024, 7, 1))])  # noqa: DTZ001  # the very thing refused
    assert store.dead_letters() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_id", "x" * 5000),
        ("event_id", "nul \0 inside"),
        ("source", "y" * 5000),
        ("field", "z" * 5000),
        ("kind", "k" * 5000),
        ("way", "w" * 5000),
        ("problem", "half a pair \ud800"),
        ("payload", "p" * 2_000_000),
        ("field", "fält'; drop table pages; --"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) and value.isascii() and "\0" not in value else "odd",
)
def test_whatever_a_refused_event_holds_its_neighbours_are_kept(store: Store, letter: MakeLetter, field: str, value: str) -> None:
    odd = letter(2, **{field: value})
    store.commit(None, [letter(1), odd, letter(3)])
    assert [x.letter.position for x in store.dead_letters()] == [1, 2, 3]
    kept = getattr(store.dead_letters()[1].letter, field)
    assert kept[:4] == value[:4]
    store.commit(None, [letter(1), odd, letter(3)])  # cut or mended, it is still known again
    assert len(store.dead_letters()) == 3
