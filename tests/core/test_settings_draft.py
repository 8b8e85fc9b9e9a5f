"""Drafts of settings: only what differs is kept, clashes are told, and nobody overrules what they have not seen."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.settings_draft import (
    LONGEST_REASON,
    Draft,
    DraftError,
    applied,
    begun,
    clashes,
    compared,
    difference,
    ready,
    rebased,
    revised,
    same,
    standing,
    withdrawn,
)

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
KEYS = ("detection.min_count", "detection.windows", "alerts.false_alarms_per_week", "budget.mixture")
numbers = st.integers(1, 4)
values = st.fixed_dictionaries(
    {
        KEYS[0]: numbers,
        KEYS[1]: st.lists(numbers, min_size=1, max_size=3, unique=True),
        KEYS[2]: numbers,
        KEYS[3]: st.sampled_from("mp"),
    }
)
some = st.dictionaries(st.sampled_from(KEYS), st.none()).map(sorted)


def draft(wanted: Mapping[str, Any], in_force: Mapping[str, Any], reason: str = "för många varningar") -> Draft:
    return begun("0380", wanted, in_force, 7, reason, "eva", AT)


def refused(rule: str, call: Any, *given: Any) -> DraftError:
    with pytest.raises(DraftError) as caught:
        call(*given)
    assert caught.value.rule == rule
    return caught.value


@settings(deadline=None)
@given(values, values)
def test_a_draft_holds_what_differs_and_put_in_force_gives_what_was_wanted(
    in_force: dict[str, Any], wanted: dict[str, Any]
) -> None:
    differing = [k for k in KEYS if not same(in_force[k], wanted[k])]
    if not differing:
        refused("no-change", draft, wanted, in_force)
        return
    made = draft(wanted, in_force)
    assert set(made.changes) == set(differing)
    assert ready(made, in_force, made.revision) == made.changes
    after = {**in_force, **made.changes}
    assert difference(after, wanted) == []
    settled = applied(made, 8, "bo", AT)
    assert standing(settled, after) == "in-force"
    assert standing(settled, in_force) == "superseded"


@settings(deadline=None)
@given(values, values, values)
def test_a_clash_is_a_key_that_somebody_else_gave_a_third_value(
    base: dict[str, Any], wanted: dict[str, Any], now: dict[str, Any]
) -> None:
    if not difference(base, wanted):
        return
    made = draft(wanted, base)
    found = clashes(made, now)
    third = {k for k in made.changes if not same(now[k], base[k]) and not same(now[k], wanted[k])}
    assert set(found) == third
    assert {line.key for line in compared(made, now) if line.clash} == third
    if third:
        assert set(refused("clash", ready, made, now, made.revision).problems) == third
    if difference({k: now[k] for k in made.changes}, made.changes):
        anew = rebased(made, now, 9, "bo", AT + timedelta(days=1))
        assert clashes(anew, now) == []
        # The wanted values stay; what somebody else has changed beside them stays as well.
        after = {**now, **ready(anew, now, anew.revision)}
        assert difference(after, {**now, **{k: wanted[k] for k in made.changes}}) == []
        assert (anew.base, anew.changed_by, anew.author) == (9, "bo", "eva")
    else:
        refused("no-change", rebased, made, now, 9, "bo", AT)


@settings(deadline=None)
@given(values)
def test_the_order_of_a_list_is_no_change(in_force: dict[str, Any]) -> None:
    turned = {**in_force, KEYS[1]: in_force[KEYS[1]][::-1]}
    assert difference(in_force, turned) == []
    refused("no-change", draft, turned, in_force)


IN_FORCE = {"detection.min_count": 3, "alerts.false_alarms_per_week": 1.0}


def test_who_has_not_seen_the_newest_draft_cannot_put_it_in_force() -> None:
    made = draft({"detection.min_count": 4}, IN_FORCE)
    again = revised(made, {"detection.min_count": 5}, IN_FORCE, 7, "hellre så", "bo", AT)
    assert "bo has changed" in refused("stale", ready, again, IN_FORCE, made.revision).problem
    assert ready(again, IN_FORCE, again.revision) == {"detection.min_count": 5}


def test_a_settled_draft_is_not_settled_again() -> None:
    made = draft({"detection.min_count": 4}, IN_FORCE)
    for settled in (withdrawn(made, "bo", AT), applied(made, 8, "bo", AT)):
        refused("settled", ready, settled, IN_FORCE, settled.revision)
        refused("settled", withdrawn, settled, "eva", AT)
        refused("settled", revised, settled, {"detection.min_count": 5}, IN_FORCE, 7, "", "eva", AT)


def test_a_draft_without_a_reason_can_be_saved_and_not_put_in_force() -> None:
    made = draft({"detection.min_count": 4}, IN_FORCE, "  ")
    refused("no-reason", ready, made, IN_FORCE, made.revision)


@pytest.mark.parametrize("reason", ["ring 070-174 06 05", "eva@example.se vill det"])
def test_a_reason_holds_no_personal_data(reason: str) -> None:
    assert reason not in str(refused("personal-data", draft, {"detection.min_count": 4}, IN_FORCE, reason))


def test_no_draft_changes_channels_or_who_comes_in() -> None:
    error = refused("unknown-key", draft, {"access.mode": "open", "detection.min_count": 4}, IN_FORCE)
    assert set(error.problems) == {"access.mode"}


def test_true_is_no_number_and_a_list_of_one_is_not_the_one() -> None:
    assert not same(True, 1)
    assert same(1, 1.0)
    assert not same("m", ["m"])
    assert not same(["m"], "m")


MADE = draft({"detection.min_count": 4}, IN_FORCE, " ")
TAKEN_BACK, IN_USE = withdrawn(MADE, "bo", AT), applied(MADE, 8, "bo", AT)
LONG = "x" * LONGEST_REASON

# what is done -> (rule, words)
REFUSALS: dict[str, tuple[Callable[[], Any], str, str]] = {
    "nothing differs": (
        lambda: draft(IN_FORCE, IN_FORCE), "no-change", "nothing differs from what is in force; change at least one key"),
    "keys that are no draft's": (
        lambda: draft({"web.port": 1, "access.mode": "open"}, IN_FORCE), "unknown-key",
        "web.port: no draft may change this key; access.mode: no draft may change this key"),
    "too long a reason": (
        lambda: draft({"detection.min_count": 4}, IN_FORCE, LONG + "x"), "reason", "the reason has 2001 characters; allowed: 2000"),
    "personal data": (
        lambda: draft({"detection.min_count": 4}, IN_FORCE, "ring 070-174 06 05"), "personal-data",
        "the reason holds personal data (telephone-number); name functions, and no persons"),
    "withdrawn before": (
        lambda: withdrawn(TAKEN_BACK, "eva", AT), "settled", "the draft was withdrawn already, by bo; begin a new one"),
    "in force before": (
        lambda: ready(IN_USE, IN_FORCE, 2), "settled", "the draft was put in force already, by bo; begin a new one"),
    "another revision": (
        lambda: ready(MADE, IN_FORCE, 2), "stale", "eva has changed the draft since; look at it again"),
    "no reason": (
        lambda: ready(MADE, IN_FORCE, 1), "no-reason", "a reason is missing; say why, for those who ask in a year"),
    "somebody was first": (
        lambda: ready(draft({"detection.min_count": 4}, IN_FORCE), {**IN_FORCE, "detection.min_count": 5}, 1), "clash",
        "detection.min_count: has been changed since the draft was made; compare it with what is in force now"),
    "somebody else wanted the same": (
        lambda: ready(draft({"detection.min_count": 4}, IN_FORCE), {**IN_FORCE, "detection.min_count": 4}, 1), "no-change",
        "all of it is in force already"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refusal_says_what_to_do(what: str) -> None:
    call, rule, words = REFUSALS[what]
    assert str(refused(rule, call)) == words


def test_a_refusal_of_keys_says_also_what_is_wrong_with_the_whole() -> None:
    error = refused("unknown-key", draft, {"access.mode": "open"}, IN_FORCE)
    assert error.problem == "a draft may change keys of [detection], [alerts], [budget]"
    clash = refused("clash", ready, draft({"detection.min_count": 4}, IN_FORCE), {**IN_FORCE, "detection.min_count": 5}, 1)
    assert clash.problem == "what is in force has changed since the draft was made"
    assert str(DraftError("refused", "two things", {"": "both ends are needed", "a.b": "is no number"})) == (
        "both ends are needed; a.b: is no number"
    )


def test_the_longest_reason_is_kept_and_spaces_around_it_do_not_count() -> None:
    assert draft({"detection.min_count": 4}, IN_FORCE, f"  {LONG}\n").reason == LONG


def test_a_draft_says_who_did_what_to_it_and_when() -> None:
    """Each step counts one revision, and names who took it; who began it stays its author."""
    first, later = AT, AT + timedelta(hours=5)
    made = draft({"detection.min_count": 4}, IN_FORCE, "för många")
    assert made == Draft(
        municipality="0380", base=7, before={"detection.min_count": 3}, changes={"detection.min_count": 4}, reason="för många",
        author="eva", made_at=first, changed_by="eva", changed_at=first, revision=1, state="draft", number=None,
    )  # fmt: skip
    by_bo = {"changed_by": "bo", "changed_at": later, "revision": 2}
    assert withdrawn(made, "bo", later) == msgspec.structs.replace(made, state="withdrawn", **by_bo)
    assert applied(made, 8, "bo", later) == msgspec.structs.replace(made, state="applied", number=8, **by_bo)
    moved = {**IN_FORCE, "detection.min_count": 2}
    again = rebased(made, moved, 9, "bo", later)
    assert again == msgspec.structs.replace(made, base=9, before={"detection.min_count": 2}, **by_bo)
    assert standing(withdrawn(made, "bo", later), IN_FORCE) == "withdrawn"


def test_a_comparison_shows_what_was_what_is_and_what_would_be() -> None:
    made = draft({"detection.min_count": 4, "alerts.false_alarms_per_week": 2.0}, IN_FORCE)
    now = {"detection.min_count": 5, "alerts.false_alarms_per_week": 1.0}
    assert compared(made, now) == [("alerts.false_alarms_per_week", 1.0, 1.0, 2.0, False), ("detection.min_count", 3, 5, 4, True)]
    assert compared(made, {}) == [("alerts.false_alarms_per_week", 1.0, None, 2.0, True), ("detection.min_count", 3, None, 4, True)]


def test_two_versions_differ_also_in_keys_that_one_of_them_does_not_know() -> None:
    assert difference({"a": 1, "b": 2, "c": [1, 2]}, {"b": 3, "c": [2, 1], "d": 4}) == [("a", 1, None), ("b", 2, 3), ("d", None, 4)]


def test_a_draft_travels_as_json() -> None:
    made = draft({"detection.min_count": 4}, IN_FORCE)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Draft) == made
