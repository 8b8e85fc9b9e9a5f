"""Who gets what, when, and why: only the severity rule interrupts people, all else is gathered unless someone asks otherwise."""

from datetime import UTC, date, datetime, timedelta
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.alert_record import Change
from earlywarning.core.routing import Escalation, Recipient, Rules, Told, escalations, mismatch, route
from tests.core.routed import KIN, MORNINGS, TUESDAY, ZONE, alert, change, decide, mute, recipient

SEVERE = {"tendency": "severe"}
WEDNESDAY_MORNING = datetime(2026, 3, 4, 7, tzinfo=UTC)


# what: (alert's fields, change, recipient's fields, told of the opening before) -> (way, why)
CASES: dict[str, tuple[dict[str, Any], Change, dict[str, Any], bool, str, str]] = {
    "a severe alert interrupts": (SEVERE, "opened", {}, False, "at-once", "severe"),
    "all else is gathered": ({}, "opened", {}, False, "digest", "gathered"),
    "unless someone asks for all at once": ({}, "opened", {"at_once": "all"}, False, "at-once", "asked"),
    "but within their hours": ({}, "opened", {"at_once": "all", "hours": (7, 18)}, False, "later", "hours"),
    "a severe alert does not wait for hours": (SEVERE, "opened", {"hours": (7, 18)}, False, "at-once", "severe"),
    "nobody is interrupted who asks not to be": (SEVERE, "opened", {"at_once": "none"}, False, "digest", "gathered"),
    "without a digest nothing is gathered": ({}, "opened", {"digest": None}, False, "none", "no-digest"),
    "an update is gathered": ({}, "updated", {"at_once": "all"}, True, "digest", "gathered"),
    "that it is over is told to those who were told": ({}, "settled", {"at_once": "all"}, True, "at-once", "told-before"),
    "and not at once to others": ({}, "settled", {"at_once": "all"}, False, "digest", "gathered"),
    "that a severe one is over wakes nobody": (SEVERE, "settled", {"hours": (7, 18)}, True, "later", "hours"),
    "that it was taken back does": (SEVERE, "withdrawn", {"hours": (7, 18)}, True, "at-once", "told-before"),
    "and that it is there again": (SEVERE, "reopened", {"hours": (7, 18)}, True, "at-once", "told-before"),
    "a severe one that is there again interrupts": (SEVERE, "reopened", {}, False, "at-once", "severe"),
    "those told of it hear of its end wherever it went": ({"areas": ("A4",)}, "settled", {"areas": ("A1",)}, True, "at-once",
                                                          "told-before"),
    "another district": ({}, "opened", {"areas": ("D1",)}, False, "none", "other-area"),
    "a district has its areas": ({}, "opened", {"areas": ("D0",)}, False, "digest", "gathered"),
    "an area hears of its district": ({"areas": ("D0",)}, "opened", {"areas": ("A1",)}, False, "digest", "gathered"),
    "another category": ({}, "opened", {"categories": ("G1",)}, False, "none", "other-category"),
    "a group has its categories": ({}, "opened", {"categories": ("G0",)}, False, "digest", "gathered"),
    "another tendency": ({}, "opened", {"tendencies": frozenset({"drift"})}, False, "none", "other-tendency"),
    "not grave enough": ({}, "opened", {"least_severity": 2.0}, False, "none", "not-grave"),
    "not rare enough": ({}, "opened", {"least_recurrence_days": 9999.0}, False, "none", "not-rare"),
    "a severe one is grave and rare": (SEVERE, "opened", {"least_severity": 2e6, "least_recurrence_days": 9e4}, False, "at-once",
                                       "severe"),
}  # fmt: skip


@pytest.mark.parametrize("rule", CASES)
def test_the_rules(rule: str) -> None:
    about, what, fields, told, way, why = CASES[rule]
    to = recipient(**fields)
    decision = decide(change(what, alert(**about)), to, told=(to.name,) if told else ())
    assert (decision.way, decision.why) == (way, why)


def test_what_waits_says_until_when() -> None:
    assert decide(change("opened"), recipient(at_once="all", hours=(7, 18))).at == datetime(2026, 3, 4, 6, tzinfo=UTC)
    assert decide(change("opened"), recipient()).at == WEDNESDAY_MORNING


def test_a_muted_alert_is_told_apart_in_the_digest_and_says_by_which_mute() -> None:
    decision = decide(change("opened"), recipient(at_once="all"), mute())
    assert (decision.way, decision.why, decision.at, decision.mute) == ("digest", "muted", WEDNESDAY_MORNING, mute())


def test_a_decision_says_of_whom_by_what_and_of_which_change_it_is() -> None:
    decision = decide(change("updated", on=date(2026, 3, 4)), recipient("police"))
    told = (decision.recipient, decision.channel, decision.alert_id, decision.change, decision.on)
    assert told == ("police", "mail", "0999-260303-1", "updated", date(2026, 3, 4))


def test_grave_and_rare_enough_is_what_reaches_the_limit() -> None:
    about = alert()
    exactly = recipient(least_severity=KIN.gravest(about.categories), least_recurrence_days=about.recurrence_days)
    assert mismatch(about, exactly, KIN) is None


def test_who_has_no_digest_is_not_told_of_what_is_muted_and_the_decision_says_by_which_mute() -> None:
    decision = decide(change("opened"), recipient(at_once="all", digest=None), mute())
    assert (decision.way, decision.why, decision.at, decision.mute) == ("none", "muted", None, mute())


def test_a_severe_alert_is_sent_in_spite_of_a_mute() -> None:
    assert decide(change("opened", alert(**SEVERE)), recipient(), mute()).why == "severe"


def test_of_what_happened_long_ago_nobody_is_told() -> None:
    old = change("opened", alert(**SEVERE), on=date(2026, 2, 23))
    assert (decide(old, recipient()).way, decide(old, recipient()).why) == ("none", "past")
    assert decide(old, recipient(), send_within=8).why == "severe"


def test_an_end_in_the_same_batch_follows_its_opening() -> None:
    about = alert(**SEVERE)
    changes = [change("opened", about), change("withdrawn", about)]
    to = [recipient(), recipient("housing", areas=("D1",))]
    ways = [d.way for d in route(changes, to, [], KIN, now=TUESDAY, told={}, rules=Rules())]
    assert ways == ["at-once", "none", "at-once", "none"]


def test_an_area_that_the_register_has_no_longer_is_about_itself_only() -> None:
    gone = alert(areas=("OLD",))
    assert mismatch(gone, recipient(areas=("D0",)), KIN) == "other-area"
    assert mismatch(gone, recipient(areas=("OLD",)), KIN) is None


RECIPIENTS = st.builds(
    recipient,
    at_once=st.sampled_from(("severe", "all")),
    hours=st.none() | st.tuples(st.integers(0, 11), st.integers(12, 23)),
    digest=st.none() | st.just(MORNINGS),
    least_severity=st.floats(0, 1e6),
    least_recurrence_days=st.floats(0, 1e4),
    areas=st.sampled_from(((), ("D0",), ("A1",), ("0999",))),
)
NOW = st.datetimes(datetime(2026, 3, 3), datetime(2026, 3, 8), timezones=st.just(UTC))  # noqa: DTZ001  # made aware here


@given(RECIPIENTS, NOW, st.booleans())
def test_nothing_holds_a_severe_alert_back(to: Recipient, now: datetime, muted: bool) -> None:
    decision = decide(change("opened", alert(**SEVERE)), to, *([mute(areas=("0999",))] if muted else []), now=now)
    assert (decision.way, decision.at) == ("at-once", now)


@given(RECIPIENTS, NOW, st.sampled_from(get_args(Change)), st.booleans())
def test_every_decision_has_a_time_or_is_none(to: Recipient, now: datetime, what: Change, told: bool) -> None:
    decision = decide(change(what), to, now=now, told=(to.name,) if told else ())
    assert (decision.at is None) == (decision.way == "none")
    assert decision.at is None or decision.at >= now


# ---- escalation ---------------------------------------------------------------------------------------------------------

CHAIN = {
    r.name: r
    for r in (
        recipient("first", escalates_to="second", escalate_after=timedelta(hours=4)),
        recipient("second", escalates_to="third", escalate_after=timedelta(hours=2), hours=(7, 18)),
        recipient("third"),
    )
}


def escalated(told: list[Told], done: list[str], after_hours: float, **fields: Any) -> list[Escalation]:
    now = TUESDAY + timedelta(hours=after_hours)
    return escalations(alert(**{**SEVERE, **fields}), told, done, CHAIN, now, Rules(timezone=ZONE))


def test_nobody_acknowledges_so_the_next_is_told_once_and_then_the_one_after() -> None:
    first = [Told("first", TUESDAY)]
    assert escalated(first, [], 3.9) == []
    (one,) = escalated(first, [], 4)
    assert (one.of, one.to, one.since, one.at) == ("first", "second", TUESDAY, TUESDAY + timedelta(hours=4))
    both = [*first, Told("second", TUESDAY + timedelta(hours=4))]
    assert escalated(both, ["second"], 5.9) == []
    (two,) = escalated(both, ["second"], 6)
    assert (two.of, two.to, two.since) == ("second", "third", TUESDAY)
    assert escalated(both, ["second", "third"], 99) == []


def test_what_could_not_be_delivered_is_escalated_without_waiting() -> None:
    assert [e.to for e in escalated([Told("first", TUESDAY, given_up=True)], [], 0.1)] == ["second"]


def test_what_is_not_severe_waits_for_the_hours_of_the_next() -> None:
    (one,) = escalated([Told("first", TUESDAY)], [], 4, tendency="surge")  # two at night
    assert one.at == datetime(2026, 3, 4, 6, tzinfo=UTC)


def test_the_time_to_acknowledge_begins_with_the_hours_of_who_was_told() -> None:
    told = [Told("second", TUESDAY)]  # ten in the evening: reads it from 7
    assert escalated(told, [], 10.9, tendency="surge") == []
    assert [e.to for e in escalated(told, [], 11, tendency="surge")] == ["third"]
