"""Why events are refused, in both languages: each refusal is made by the code that makes it, and told in words with its details."""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from datetime import timedelta
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Any, NamedTuple, get_args

import msgspec

from earlywarning.core.admission import AdmissionRules, admit
from earlywarning.core.casework import AnswerRule
from earlywarning.core.changes import DeadLetter
from earlywarning.core.events import FIELDS, LONGEST_EVENT, Decoded, Rule, decode_array, decode_lines, decode_mappings
from earlywarning.locale import LANGUAGES
from earlywarning.locale.refused import Told, problem_words, refused_texts, rule_name
from earlywarning.runtimes.isolating import answer
from earlywarning.runtimes.kafka.messages import arrived
from earlywarning.runtimes.kafka.passing import UNKNOWN, refused, unknown_municipality
from earlywarning.runtimes.replaying import ReplayRule, items_again
from earlywarning.settings import parse_settings
from earlywarning.sources.csv_rows import BadRow, read_rows
from earlywarning.sources.supply import ItemResult, Supply, bound_to, refused_item
from earlywarning.store import StoredDeadLetter
from tests.core.town import BEGIN, CODE, NOW, engine, event, register, tree

RULES = (*get_args(Rule), *get_args(ReplayRule))
NAMED = {*RULES, *get_args(AnswerRule)}
AT = BEGIN.isoformat()
GOOD: dict[str, Any] = {
    "kind": "incident", "event_id": "e1x", "source": "wardens", "recorded_at": AT, "occurred_at": AT, "category": "C0",
    "municipality": CODE, "area": "A0",
}  # fmt: skip


class Refusal(NamedTuple):
    rule: str
    field: str
    problem: str


def _admitted() -> Iterator[Refusal]:
    """Refused at the front door."""
    day = timedelta(days=1)
    interval = {"occurred_at": None, "occurred_from": BEGIN, "occurred_to": BEGIN}
    events = [
        event(number, BEGIN, **fields)
        for number, fields in enumerate(
            [
                {"source": "19121212-1212"}, {"source": "19121272-1219"}, {"source": "eva@example.se"}, {"area": "070-174 06 05"},
                {"event_id": "ABC 123"}, {"event_id": "a\u200eb"}, {"municipality": "1480"}, {"premises": "dwelling"},
                {"category": "GONE"}, {"area": "NEW"}, {"area": None}, {"latitude": 59.8, "longitude": 17.0},
                {"area": None, "latitude": 59.8}, {"area": None, "sweref_north": 6_600_000.0},
                {"area": None, "latitude": 40.0, "longitude": 17.0}, {**interval, "occurred_at": BEGIN},
                {**interval, "occurred_to": None}, {**interval, "occurred_from": BEGIN + day},
                {**interval, "occurred_from": BEGIN - 500 * day}, {"occurred_at": None}, {"recorded_at": NOW + day},
                {"occurred_at": NOW + day, "recorded_at": NOW}, {"recorded_at": BEGIN - day}, {"occurred_at": BEGIN - 9_000 * day},
            ]
        )
    ]  # fmt: skip
    rules = AdmissionRules(oldest=int((BEGIN - 5_000 * day).timestamp()))
    _, rejections = admit(events, register=register(), tree=tree(), rules=rules, now=NOW)
    assert len(rejections) == len(events)
    yield from (Refusal(r.rule, r.field, r.problem) for r in rejections)


def _decoded() -> Iterator[Refusal]:
    """Refused before they are events."""
    wrong = [
        {"kind": "rumour"}, {"severity": 9}, {"severity": "much"}, {"occurred_at": "yesterday"},
        {"occurred_at": "2024-01-01T12:00"}, {"origin": "heard"}, {"latitude": 99}, {"name": "Eva"},
        {"category": ""}, {"retraction": "maybe"}, {"revision": 0},
    ]  # fmt: skip
    bodies = [msgspec.json.encode({**GOOD, **one}) for one in wrong]
    less = msgspec.json.encode({k: v for k, v in GOOD.items() if k != "category"})
    for decoded in (
        decode_array(b"[" + b",".join([*bodies, less, b"7"]) + b"]"),
        decode_lines(b'{"kind"\n' + b" " * LONGEST_EVENT + b"7"),
        decode_mappings([{**GOOD, "occurred_at": "\ud800"}]),
    ):
        assert not decoded.events
        yield from (Refusal(r.rule, r.field, r.problem) for r in decoded.rejections)


def _of_files() -> Iterator[Refusal]:
    for text in ("a,b\n1,2,3\n", 'a,b\n"1,2\n', "a,b\n" + '"1\n' * 9):
        found = [r for r in read_rows(io.StringIO(text), ",") if isinstance(r, BadRow)]
        assert found
        yield from (Refusal(r.rule, "", r.problem) for r in found)


def _of_runtimes() -> Iterator[Refusal]:
    """Refused by who hands events on."""
    one = Decoded([event(1, BEGIN)], [0], [])
    yield from (Refusal(r.rule, r.field, r.problem) for r in bound_to(Supply(one, "http"), "schools").decoded.rejections)
    own = engine()
    own.ingest(one.events, NOW)
    yield from (Refusal(r.rule, r.field, r.problem) for r in own.ingest([event(1, BEGIN, area="A1")], NOW).rejections)

    message = arrived("incidents", 0, 1, b"1480", msgspec.json.encode(event(1, BEGIN)), None)
    for parcel in refused(message, UNKNOWN, unknown_municipality(message)):
        assert parcel.letter
        yield Refusal(parcel.letter.rule, parcel.letter.field, parcel.letter.problem)
    (empty,) = arrived("incidents", 0, 1, b"1480", b"", None).decoded.rejections
    yield Refusal(empty.rule, empty.field, empty.problem)

    told: list[Refusal] = []

    def take(supplies: Sequence[Supply]) -> list[list[ItemResult]]:
        if any(s.decoded.events for s in supplies):
            raise ZeroDivisionError
        told.extend(Refusal(r.rule, r.field, r.problem) for s in supplies for r in s.decoded.rejections)
        return [[refused_item(r, s.first) for r in s.decoded.rejections] for s in supplies]

    answer([(Supply(one, "http"), Future())], take)
    yield from told

    kept = {"received_at": NOW, "municipality": CODE, "way": "x.csv", "position": 1, "field": "", "rule": "value", "problem": ""}
    letters = [
        StoredDeadLetter(number, DeadLetter(**kept, payload=payload, format="mapping:old"), "waiting", None)
        for number, payload in enumerate((None, "{}"))
    ]
    settings = parse_settings('[municipality]\ncode = "0999"\nname = "T"\n', file="earlywarning.toml", folder=Path())
    _, whys = items_again(letters, settings)
    yield from (Refusal(*why) for why in whys.values())


@cache
def every() -> tuple[Refusal, ...]:
    return (*_admitted(), *_decoded(), *_of_files(), *_of_runtimes())


def test_every_rule_is_met_here_and_has_a_name_in_both_languages() -> None:
    assert {r.rule for r in every()} == set(RULES)
    for language in LANGUAGES:
        assert set(refused_texts(language)["rule"]) == NAMED
        names = [rule_name(rule, language) for rule in NAMED]
        assert len(set(names)) == len(NAMED)


def test_each_refusal_is_told_in_swedish_and_as_it_is_in_english() -> None:
    told = {refusal: problem_words(*refusal, "sv") for refusal in every()}
    assert [r for r, swedish in told.items() if swedish.foreign or "{" in swedish.words or swedish.words == r.problem] == []
    assert all(problem_words(*refusal, "en") == Told(refusal.problem) for refusal in told)


def test_both_languages_tell_of_the_same_problems_with_no_detail_that_there_is_not() -> None:
    english, swedish = refused_texts("en")["problem"], refused_texts("sv")["problem"]
    assert english.keys() == swedish.keys()
    for key, words in swedish.items():
        wanted = {place for _, place, _, _ in Formatter().parse(words) if place}
        assert wanted <= {place for _, place, _, _ in Formatter().parse(english[key]) if place} | {"wanted"}, key
    assert set(refused_texts("sv")["wants"]) == {*FIELDS} - {"kind"}  # kind has a rule of its own


def test_details_are_kept() -> None:
    said = {r: problem_words(*r, "sv").words for r in every()}
    told = set(said.values())
    assert "området 'NEW' finns inte i områdesregistret; använd en av dess koder" in told
    assert "fältet ”category” saknas" in told
    assert "severity: värdet går inte att ta emot; fältet ska innehålla ett heltal från 1 till 5" in told
    assert "tidsintervallet är längre än 366 dygn; skicka händelsen när tiden är bättre känd" in told
    assert "3 kolumner, men rubrikraden har 2; se efter skiljetecken och citattecken" in told
    assert "kolumnmallen 'old' finns inte längre i inställningarna" in told
    assert any("(ZeroDivisionError)" in words for words in told)


def test_what_there_are_no_words_for_stays_in_english_and_is_marked() -> None:
    assert problem_words("moon-phase", "area", "the moon is full", "sv") == Told("the moon is full", foreign=True)
    assert rule_name("moon-phase", "sv") == "moon-phase"
    # Words of an earlier version of the service, of a rule that is still there.
    assert problem_words("future", "area", "it lies ahead", "sv").foreign
    # A value of a field that nobody has described.
    assert problem_words("value", "mood", "mood: expected `int`, got `str`", "sv").foreign


def test_an_answer_that_came_by_a_topic_is_told_as_answers_are() -> None:
    assert problem_words("stale", "revision", "someone has answered since: ...", "sv").words.startswith("någon har svarat")
    assert "personuppgifter" in problem_words("telephone-number", "note", "it holds personal data; ...", "sv").words
    assert "`$.answer`" in problem_words("json", "answer", "is no answer as the schema says, at `$.answer`", "sv").words
