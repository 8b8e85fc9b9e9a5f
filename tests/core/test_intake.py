"""What an event says beside the held revision of it, and which rows come and go: without an engine around it."""

from datetime import timedelta

import numpy as np
import pytest

from earlywarning.core.admission import AdmissionRules, EventBatch, admit
from earlywarning.core.events import AnyEvent
from earlywarning.core.intake import came_late, conflicts, ledger_columns, take_in, tally
from earlywarning.core.ledger import CONTENT, STANDING, Ledger
from tests.core.town import BEGIN, NOW, event, register, tree

_REGISTER, _TREE = register(), tree()


def _batch(*events: AnyEvent) -> EventBatch:
    batch, refused = admit(list(events), register=_REGISTER, tree=_TREE, rules=AdmissionRules(), now=NOW)
    assert refused == []
    return batch


def _take(ledger: Ledger, *events: AnyEvent, day: int = 100) -> tuple[EventBatch, dict[str, list[object]]]:
    batch = _batch(*events)
    arrived = np.full(len(events), day, dtype=np.int64)
    taken = take_in(ledger, batch.key, ledger_columns(batch, arrived, range(9)[: len(batch.sources)]), arrived)
    return batch, {name: np.asarray(values).tolist() for name, values in taken._asdict().items()}


def _one(number: int = 1, **fields: object) -> AnyEvent:
    return event(number, BEGIN, **{"revision": 1, **fields})


def test_new_events_are_rows_that_stand_from_their_day() -> None:
    ledger = Ledger()
    _, taken = _take(ledger, _one(1), _one(2))
    assert taken == {"said": ["accepted"] * 2, "added": [0, 1], "added_at": [0, 1], "removed": [], "removed_at": []}
    assert ledger.column("arrived").tolist() == [100, 100]
    assert ledger.column("superseded").tolist() == [STANDING, STANDING]


def test_a_higher_revision_replaces_and_the_row_before_it_ends_on_its_day() -> None:
    ledger = Ledger()
    _take(ledger, _one(1), _one(2))
    _, taken = _take(ledger, _one(2, revision=3, area="A4"), day=107)
    assert taken == {"said": ["replaced"], "added": [2], "added_at": [0], "removed": [1], "removed_at": [0]}
    assert ledger.column("superseded").tolist() == [STANDING, 107, STANDING]
    assert ledger.column("arrived").tolist() == [100, 100, 107]
    _, again = _take(ledger, _one(2, revision=2, area="A3"), _one(2, revision=3, area="A4"), day=108)
    assert again["said"] == ["repeated", "repeated"], "what is older than the held revision, and the held one"
    assert len(ledger) == 3


def test_of_one_batch_the_events_of_an_id_are_taken_in_their_order() -> None:
    ledger = Ledger()
    second, third = _one(1, revision=2, area="A1"), _one(1, revision=3, area="A2")
    _, taken = _take(ledger, _one(1), _one(2), _one(1), second, third, second)
    assert taken["said"] == ["accepted", "accepted", "repeated", "replaced", "replaced", "repeated"]
    assert taken["added_at"] == [0, 1, 3, 4]
    assert (taken["removed"], taken["removed_at"]) == ([0, 2], [3, 4])


def test_many_revisions_of_many_ids_in_one_batch_are_each_taken_in_their_order() -> None:
    ledger = Ledger()
    sent = [_one(number, revision=revision, area=f"A{revision % 6}") for revision in range(1, 31) for number in range(7)]
    _, taken = _take(ledger, *sent)
    assert taken["said"] == ["accepted"] * 7 + ["replaced"] * 203
    assert np.flatnonzero(ledger.column("superseded") == STANDING).size == 7


_OTHER: dict[str, dict[str, object]] = {
    "start": {"occurred_at": None, "occurred_from": BEGIN - timedelta(hours=2), "occurred_to": BEGIN},
    "end": {"occurred_at": None, "occurred_from": BEGIN, "occurred_to": BEGIN + timedelta(hours=2)},
    "area": {"area": "A1"},
    "category": {"category": "C1"},
    "kind": {"kind": "report"},
    "origin": {"origin": "discovered"},
    "severity": {"severity": 4},
    "concern": {"kind": "report", "concern": 4},
    "retracted": {"retraction": True},
}


def test_every_column_that_counts_as_content_is_tried() -> None:
    assert tuple(_OTHER) == CONTENT


@pytest.mark.parametrize("column", CONTENT)
def test_the_same_revision_with_other_content_is_a_conflict_that_says_what_to_do(column: str) -> None:
    ledger = Ledger()
    late = {"recorded_at": BEGIN + timedelta(hours=5)}
    held = {"kind": "report"} if column == "concern" else {}
    _take(ledger, _one(1, **held, **late))
    other = _one(1, **late, **_OTHER[column])
    batch, taken = _take(ledger, _one(7), other)
    assert taken["said"] == ["accepted", "rejected"]
    (told,) = conflicts(batch, np.array(taken["said"]), [_one(7), other])
    assert (told.index, told.field, told.rule, told.event_id) == (1, "revision", "revision-conflict", "e1")
    assert told.problem == "revision 1 is held with other content; raise the revision with each correction"
    assert len(ledger) == 2


def test_when_it_was_recorded_is_no_content() -> None:
    ledger = Ledger()
    _take(ledger, _one(1))
    _, taken = _take(ledger, _one(1, recorded_at=BEGIN + timedelta(days=3)))
    assert taken["said"] == ["repeated"]


def test_a_batch_is_told_by_kind_source_and_outcome() -> None:
    sent = [_one(1), _one(2, source="parks"), _one(3, source="parks", kind="report"), _one(4), _one(5, source="parks")]
    said = np.array(["accepted", "accepted", "repeated", "rejected", "accepted"])
    assert tally(_batch(*sent), said) == {
        ("incident", "wardens", "accepted"): 1, ("incident", "parks", "accepted"): 2, ("report", "parks", "repeated"): 1,
        ("incident", "wardens", "rejected"): 1,
    }  # fmt: skip


def test_late_is_what_counts_and_came_more_days_after_its_end_than_are_waited_for() -> None:
    batch = _batch(*(_one(n) for n in range(5)))
    said, days = np.array(["accepted", "replaced", "repeated", "rejected", "accepted"]), np.array([4, 4, 4, 4, 3])
    assert came_late(batch, said, days, lateness=3) == {0, 1}


def test_an_empty_batch_changes_nothing() -> None:
    ledger = Ledger()
    _, taken = _take(ledger)
    assert taken["said"] == []
    assert len(ledger) == 0
