"""Drafts of settings: only what differs is kept, clashes are told, and nobody overrules what they have not seen."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.settings_draft import (
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


def test_true_is_no_number() -> None:
    assert not same(True, 1)
    assert same(1, 1.0)


def test_a_draft_travels_as_json() -> None:
    made = draft({"detection.min_count": 4}, IN_FORCE)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Draft) == made
