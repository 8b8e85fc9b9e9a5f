"""A request's body becomes a supply, or a problem that says what would be taken."""

import json

import pytest

from earlywarning.sources.http_body import BodyProblem, supply_from_body

ONE = {
    "kind": "report",
    "event_id": "a",
    "source": "school",
    "recorded_at": "2024-01-01T12:00:00Z",
    "category": "FIRE",
    "municipality": "0380",
}


def body(*ids: str) -> list[bytes]:
    return [json.dumps({**ONE, "event_id": i}).encode() for i in ids]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (body("a")[0], "application/json"),
        (body("a")[0], ""),
        (body("a")[0], "Application/JSON; charset=utf-8"),
        (b" [" + body("a")[0] + b"]", "application/json"),
        (body("a")[0], "application/x-ndjson"),
        (body("a")[0] + b"\r\n", "application/jsonl"),
    ],
)
def test_one_event_an_array_and_lines_are_taken(content: bytes, kind: str) -> None:
    supply = supply_from_body(content, kind)
    assert [e.event_id for e in supply.decoded.events] == ["a"]
    assert (supply.way, supply.format) == ("http", "event")


def test_a_bad_item_never_drops_its_neighbours() -> None:
    good = body("a", "c")
    for content, kind in (
        (b"[" + good[0] + b",7," + good[1] + b"]", "application/json"),
        (good[0] + b"\n7\n" + good[1], "application/x-ndjson"),
        (good[0] + b"\n\xff\xfe\n" + good[1], "application/x-ndjson"),
    ):
        decoded = supply_from_body(content, kind).decoded
        assert [e.event_id for e in decoded.events] == ["a", "c"]
        assert [r.index for r in decoded.rejections] == [1]


@pytest.mark.parametrize(
    ("content", "kind", "status", "words"),
    [
        (b"x", "text/csv", 415, "send application/json or application/x-ndjson"),
        (b"x", "x" * 5000, 415, "is not taken"),
        (b" \n", "application/json", 400, "empty"),
        (b"", "application/x-ndjson", 400, "empty"),
        (b"[1,", "application/json", 400, "not JSON"),
        (b"[" + body("a")[0] + b"] trailing", "application/json", 400, "not JSON"),
        (b"[\xff]", "application/json", 400, "not JSON"),
        (b"[" * 100_000, "application/json", 400, "nested too deeply"),
    ],
)
def test_a_body_that_holds_no_events_is_refused_as_a_whole_in_words(content: bytes, kind: str, status: int, words: str) -> None:
    with pytest.raises(BodyProblem, match=words) as problem:
        supply_from_body(content, kind)
    assert problem.value.status == status
    assert len(str(problem.value)) < 300


def test_nothing_of_the_body_is_repeated_in_the_problem() -> None:
    with pytest.raises(BodyProblem) as problem:
        supply_from_body(b'["anna@example.se", anna@example.se]', "application/json")
    assert "anna" not in str(problem.value)
