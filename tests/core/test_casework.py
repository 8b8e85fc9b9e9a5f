"""The life of an alert in the group: which step may follow which, and what each must say."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.casework import (
    CAUSES,
    ENDED,
    OUTCOMES,
    REASONS,
    Action,
    Answer,
    AnswerError,
    Casework,
    Picture,
    answer,
    possible,
)

AT = datetime(2026, 3, 16, 9, tzinfo=UTC)
ALERT = "0380-260312-0a1b2c3d"
NEW = Casework(alert_id=ALERT, municipality="0380", opened_at=AT - timedelta(days=4))
PICTURE = Picture(situation="Krossade rutor vid skolan på helgkvällar")
MEASURE = {
    "answers": 1,
    "what": "Belysning",
    "owner": "Gatukontoret",
    "due": date(2026, 6, 1),
    "goal": "Färre än två i veckan",
}


def said(action: Action, **fields: Any) -> Answer:
    return Answer(**{"answer_id": "a1", "alert_id": ALERT, "actor": "samordnaren", "at": AT, "action": action, **fields})


def through(*steps: Answer) -> Casework:
    case = NEW
    for step in steps:
        case = answer(case, step)
    return case


CONFIRMED = said("assess", assessment="confirmed", reason="new-problem")
CHAIN = (
    said("acknowledge"), CONFIRMED, said("picture", picture=PICTURE), said("cause", cause="lighting"), said("measure", **MEASURE),
    said("follow-up", measure=1, outcome="done"), said("close", reason="acted-on"),
)  # fmt: skip


def test_the_whole_chain_from_new_to_closed_as_acted_on() -> None:
    case = through(*CHAIN)
    assert (case.stage, case.closed_as, case.revision) == ("closed", "acted-on", 7)
    assert case.acknowledged_by == "samordnaren"
    measure = case.measures[0]
    assert (measure.answers, measure.owner, measure.due, measure.outcome) == (1, "Gatukontoret", date(2026, 6, 1), "done")
    assert possible(case) == ["reopen", "note"]


@pytest.mark.parametrize(
    ("missing", "field"), [("answers", "answers"), ("what", "what"), ("owner", "owner"), ("due", "due"), ("goal", "goal")]
)
def test_a_measure_wants_its_cause_what_owner_date_and_goal(missing: str, field: str) -> None:
    before = through(*CHAIN[:4])
    with pytest.raises(AnswerError) as refused:
        answer(before, said("measure", **{k: v for k, v in MEASURE.items() if k != missing}))
    assert refused.value.field == missing


def test_an_alert_is_not_closed_as_acted_on_without_cause_and_followed_measure() -> None:
    for steps, rule in ((CHAIN[:3], "not-acted-on"), (CHAIN[:4], "not-acted-on"), (CHAIN[:5], "not-followed-up")):
        with pytest.raises(AnswerError) as refused:
            answer(through(*steps), said("close", reason="acted-on"))
        assert refused.value.rule == rule
    assert answer(through(*CHAIN[:4]), said("close", reason="handled-elsewhere")).stage == "closed"


def test_a_confirmed_alert_says_what_became_of_it() -> None:
    with pytest.raises(AnswerError, match="say what became of it"):
        answer(through(CONFIRMED), said("close", reason="assessed"))
    false = through(said("assess", assessment="false-alarm", reason="chance"))
    assert answer(false, said("close", reason="assessed")).closed_as == "assessed"


def test_an_assessment_wants_a_reason_of_its_list() -> None:
    with pytest.raises(AnswerError, match="reason: is missing; allowed: local-event"):
        answer(NEW, said("assess", assessment="known-cause"))
    with pytest.raises(AnswerError, match="'chance' is not allowed"):
        answer(NEW, said("assess", assessment="known-cause", reason="chance"))
    with pytest.raises(AnswerError, match="assessment: is missing"):
        answer(NEW, said("assess"))


def test_only_a_confirmed_alert_becomes_a_problem_picture() -> None:
    explained = through(said("assess", assessment="known-cause", reason="holiday"))
    with pytest.raises(AnswerError, match="assess it as confirmed first"):
        answer(explained, said("picture", picture=PICTURE))


def test_of_two_who_answer_at_once_the_second_is_told() -> None:
    seen = NEW.revision
    first = answer(NEW, said("acknowledge", revision=seen))
    with pytest.raises(AnswerError, match="someone has answered since") as refused:
        answer(first, said("assess", assessment="confirmed", reason="new-problem", revision=seen))
    assert refused.value.rule == "stale"


@pytest.mark.parametrize("field", ["note", "what", "goal", "owner"])
def test_personal_data_is_refused_by_field_and_never_repeated(field: str) -> None:
    before = through(*CHAIN[:4])
    with pytest.raises(AnswerError) as refused:
        answer(before, said("measure", **{**MEASURE, field: "ring 070-123 45 67"}))
    assert refused.value.field == field
    assert "070" not in str(refused.value)


def test_a_reopened_alert_goes_on_where_its_assessment_stands_and_a_wrong_assessment_is_taken_back() -> None:
    closed = through(*CHAIN)
    again = answer(closed, said("reopen", reason="it-returned"))
    assert (again.stage, again.assessment, again.closed_as) == ("assessed", "confirmed", "")
    wrong = answer(closed, said("reopen", reason="assessed-wrongly"))
    assert (wrong.stage, wrong.assessment) == ("acknowledged", None)


def test_merging_names_another_alert_of_the_same_municipality() -> None:
    for into in ("", ALERT, "0381-260312-0a1b2c3d"):
        with pytest.raises(AnswerError) as refused:
            answer(NEW, said("merge", into=into))
        assert refused.value.field == "into"
    merged = answer(NEW, said("merge", into="0380-260301-ffffffff"))
    assert (merged.stage, merged.merged_into) == ("merged", "0380-260301-ffffffff")


_TWO_CAUSES = (*CHAIN[:4], said("cause", cause="other"))
_REFUSED = [
    (CHAIN[:1], said("note", revision=0), "revision", "stale",
     "someone has answered since: it is 1 now, not 0; look at it again"),
    (CHAIN, said("assess"), "action", "illegal-transition",
     "'assess' is not possible while the alert is 'closed'; possible when it is new, acknowledged, assessed"),
    ((), said("note", note="ring 070-123 45 67"), "note", "telephone-number",
     "it holds personal data; write about places and situations, never about persons"),
    (CHAIN[:2], said("picture", picture=PICTURE, note="ring 070-123 45 67"), "note", "telephone-number",
     "it holds personal data; write about places and situations, never about persons"),
    (CHAIN[:2], said("picture", picture=Picture(situation="x", motivation="anna@example.se")), "picture.motivation",
     "e-mail-address", "it holds personal data; write about places and situations, never about persons"),
    ((), said("assess"), "assessment", "missing", "is missing; allowed: confirmed, known-cause, false-alarm, data-fault"),
    ((), said("assess", assessment="false-alarm", reason="x" * 50), "reason", "not-allowed",
     f"{'x' * 40!r} is not allowed; allowed: {', '.join(REASONS['false-alarm'])}"),
    ((), said("assess", assessment="false-alarm"), "reason", "missing",
     f"is missing; allowed: {', '.join(REASONS['false-alarm'])}"),
    ((said("assess", assessment="false-alarm", reason="chance"),), said("picture", picture=PICTURE), "assessment", "not-confirmed",
     "the alert was assessed as false-alarm; assess it as confirmed first"),
    (CHAIN[:2], said("picture"), "picture", "missing",
     "is missing; describe the situation, and the target and motivation where known"),
    (CHAIN[:2], said("picture", picture=Picture(situation=" ")), "picture.situation", "missing",
     "is missing; write it in a few words"),
    (CHAIN[:3], said("cause", cause="unheard-of"), "cause", "not-allowed",
     f"'unheard-of' is not allowed; allowed: {', '.join(CAUSES)}"),
    (_TWO_CAUSES, said("measure", **{**MEASURE, "answers": 3}), "answers", "unknown-cause",
     "must be the number of a cause of this alert: 1, 2"),
    (CHAIN[:4], said("measure", **{**MEASURE, "due": None}), "due", "missing",
     "is missing; a measure has a day on which it is done"),
    (CHAIN[:4], said("measure", **{**MEASURE, "due": date(2026, 3, 15)}), "due", "before-begin",
     "2026-03-15 lies before 2026-03-16, the day on which the measure begins"),
    (CHAIN[:4], said("measure", **{**MEASURE, "what": ""}), "what", "missing", "is missing; write it in a few words"),
    (CHAIN[:4], said("measure", **{**MEASURE, "goal": ""}), "goal", "missing", "is missing; write it in a few words"),
    (CHAIN[:4], said("measure", **{**MEASURE, "owner": "x" * 81}), "owner", "too-long", "is longer than 80 characters"),
    ((*CHAIN[:5], CHAIN[4]), said("follow-up", measure=3, outcome="done"), "measure", "unknown-measure",
     "must be the number of a measure of this alert: 1, 2"),
    (CHAIN[:5], said("follow-up", measure=1, outcome=""), "outcome", "missing", f"is missing; allowed: {', '.join(OUTCOMES)}"),
    (CHAIN[:4], said("close", reason="acted-on"), "reason", "not-acted-on",
     "an alert is closed as acted on with a cause, and a measure with owner and date, only"),
    ((*CHAIN[:5], CHAIN[4]), said("close", reason="acted-on"), "reason", "not-followed-up", "measure 1, 2 was not followed up yet"),
    (CHAIN[:2], said("close", reason="assessed"), "reason", "confirmed",
     "the alert was confirmed: say what became of it (acted-on, handled-elsewhere, ...)"),
    (CHAIN[:2], said("close"), "reason", "missing", f"is missing; allowed: {', '.join(REASONS['close'])}"),
    (CHAIN, said("reopen"), "reason", "missing", f"is missing; allowed: {', '.join(REASONS['reopen'])}"),
    ((), said("merge"), "into", "missing", "must name another alert, which this one is part of"),
    ((), said("merge", into="0381-260312-0a1b2c3d"), "into", "other-municipality", "must name an alert of the same municipality"),
    ((), said("note"), "note", "missing", "is missing; write it in a few words"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("steps", "then", "field", "rule", "words"), _REFUSED, ids=lambda v: v.action if isinstance(v, Answer) else None
)
def test_a_refusal_names_the_field_the_rule_and_what_would_be_right(
    steps: tuple[Answer, ...], then: Answer, field: str, rule: str, words: str
) -> None:
    with pytest.raises(AnswerError) as refused:
        answer(through(*steps), then)
    assert (refused.value.field, refused.value.rule, str(refused.value)) == (field, rule, f"{field}: {words}")


def test_what_was_answered_stands_with_its_day_its_number_and_its_words() -> None:
    second = said("measure", answers=2, what=" Vaktrond ", owner="x" * 80, due=AT.date(), goal="Lugnt\n")
    case = through(*CHAIN[:4], said("cause", cause="other", note="Kön till bussen"), CHAIN[4], second)
    assert [(c.number, c.cause, c.note) for c in case.causes] == [(1, "lighting", ""), (2, "other", "Kön till bussen")]
    assert [(m.number, m.answers, m.what, m.owner, m.begins, m.due, m.goal) for m in case.measures] == [
        (1, 1, "Belysning", "Gatukontoret", AT.date(), date(2026, 6, 1), "Färre än två i veckan"),
        (2, 2, "Vaktrond", "x" * 80, AT.date(), AT.date(), "Lugnt"),
    ]
    assert case.picture == PICTURE
    followed = answer(case, said("follow-up", measure=2, outcome=OUTCOMES[0], at=AT + timedelta(days=9)))
    assert [(m.outcome, m.followed_up_on) for m in followed.measures] == [("", None), (OUTCOMES[0], date(2026, 3, 25))]


def test_a_measure_may_begin_later_and_then_ends_no_earlier() -> None:
    begins = date(2026, 4, 1)
    case = answer(through(*CHAIN[:4]), said("measure", **{**MEASURE, "begins": begins, "due": begins}))
    assert (case.measures[0].begins, case.measures[0].due) == (begins, begins)


def test_who_assesses_has_seen_it_and_who_has_seen_it_stays_the_first() -> None:
    case = answer(NEW, said("assess", assessment="confirmed", reason="new-problem"))
    assert (case.acknowledged_at, case.acknowledged_by, case.assessed_at, case.reason) == (AT, "samordnaren", AT, "new-problem")
    again = answer(answer(NEW, said("acknowledge", actor="a")), said("assess", assessment="confirmed", reason="new-problem"))
    assert again.acknowledged_by == "a"


def test_reopening_takes_back_what_ended_it_and_only_a_wrong_assessment_is_forgotten() -> None:
    closed = through(*CHAIN)
    assert closed.closed_at == AT
    for reason in REASONS["reopen"]:
        case = answer(closed, said("reopen", reason=reason, at=AT + timedelta(days=1)))
        forgotten = reason == "assessed-wrongly"
        assert (case.closed_as, case.closed_at, case.merged_into, case.acknowledged_at) == ("", None, "", AT)
        assert (case.assessment, case.assessed_at, case.reason) == (
            (None, None, "") if forgotten else ("confirmed", AT, "new-problem")
        )
    merged = answer(NEW, said("merge", into="0380-260301-ffffffff"))
    case = answer(merged, said("reopen", reason="it-returned", actor="b"))
    assert (case.stage, case.merged_into, case.acknowledged_at, case.acknowledged_by) == ("acknowledged", "", AT, "b")


_words = st.sampled_from(["", "Mer belysning", "Vid torget"])
_answers = st.builds(
    Answer, answer_id=st.just("a"), alert_id=st.just(ALERT), action=st.sampled_from(get_args(Action)), actor=st.just("gruppen"),
    at=st.just(AT), revision=st.none(), assessment=st.sampled_from([None, "confirmed", "known-cause", "false-alarm", "data-fault"]),
    reason=st.sampled_from(["", *{r for reasons in REASONS.values() for r in reasons}]), note=_words,
    picture=st.sampled_from([None, PICTURE, Picture()]), cause=st.sampled_from(["", "unknown", *CAUSES]),
    answers=st.sampled_from([None, 0, 1, 2]), measure=st.sampled_from([None, 1, 2]), what=_words, owner=_words,
    due=st.sampled_from([None, date(2020, 1, 1), date(2026, 6, 1)]), goal=_words, outcome=st.sampled_from(["", *OUTCOMES]),
    into=st.sampled_from(["", ALERT, "0380-260301-ffffffff"]),
)  # fmt: skip


@given(st.lists(_answers, max_size=30))
def test_whatever_is_answered_the_chain_holds(steps: list[Answer]) -> None:
    case, refused = NEW, set[str]()
    for step in steps:
        before = case
        allowed = possible(case)
        try:
            case = answer(case, step)
        except AnswerError as error:
            refused.add(error.field)
            continue
        assert case.revision == before.revision + 1
        assert step.action in [*allowed, "expire"]
        if case.measures:
            assert case.causes
            assert case.picture is not None
            assert all(m.owner and m.goal and m.due >= m.begins and 1 <= m.answers <= len(case.causes) for m in case.measures)
        if case.closed_as == "acted-on":
            assert all(m.outcome for m in case.measures)
            assert case.measures
        assert (case.stage == "closed") == bool(case.closed_as)
        assert case.stage not in ENDED or not {"assess", "measure"} & set(possible(case))
        assert msgspec.json.decode(msgspec.json.encode(case), type=Casework) == case
    assert refused <= {*Answer.__struct_fields__, "picture.situation"}


def test_people_are_offered_what_the_stage_allows_and_never_to_let_it_expire() -> None:
    ended = answer(NEW, said("merge", into="0380-260301-ffffffff"))
    assert [possible(case) for case in (NEW, through(*CHAIN[:1]), through(*CHAIN[:2]), through(*CHAIN[:6]), ended)] == [
        ["acknowledge", "assess", "merge", "note"],
        ["assess", "merge", "note"],
        ["assess", "picture", "close", "merge", "note"],
        ["picture", "cause", "measure", "follow-up", "close", "merge", "note"],
        ["reopen", "note"],
    ]


def test_what_is_offered_can_be_done() -> None:
    for step, before in zip(CHAIN, (through(*CHAIN[:i]) for i in range(len(CHAIN))), strict=True):
        assert step.action in possible(before)
