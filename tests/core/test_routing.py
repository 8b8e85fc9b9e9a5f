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
    "that it is over is kept for the digest of who asks not to be interrupted": (
        SEVERE, "settled", {"at_once": "none"}, True, "digest", "gathered"),
    "one that is not severe is taken back in their hours": ({}, "withdrawn", {"at_once": "all", "hours": (7, 18)}, True, "later",
                                                                "hours"),
    "one that is there again is no news to who was not told": ({}, "reopened", {"at_once": "all"}, False, "digest", "gathered"),
    "one that is taken back is none either": (SEVERE, "withdrawn", {}, False, "digest", "gathered"),
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


def test_of_what_happened_as_many_days_ago_as_are_sent_people_are_told_counted_in_days_of_the_place() -> None:
    old = change("opened", alert(**SEVERE), on=date(2026, 2, 24))
    assert decide(old, recipient(), now=datetime(2026, 3, 3, 22, 59, tzinfo=UTC)).why == "severe"
    assert decide(old, recipient(), now=datetime(2026, 3, 3, 23, tzinfo=UTC)).why == "past", "in Stockholm it is the 4th"


@pytest.mark.parametrize(
    ("opened", "what", "on", "muted"),
    [
        (date(2026, 2, 27), "reopened", date(2026, 3, 3), True),  # news on a day of the mute
        (date(2026, 3, 3), "reopened", date(2026, 3, 9), False),
        (date(2026, 3, 3), "updated", date(2026, 3, 9), True),  # all else is as the alert was when it was opened
        (date(2026, 2, 27), "updated", date(2026, 3, 3), False),
    ],
)
def test_a_mute_is_of_what_becomes_news_on_its_days(opened: date, what: Change, on: date, muted: bool) -> None:
    about = alert(opened=datetime(opened.year, opened.month, opened.day, 12, tzinfo=UTC))
    now = datetime(on.year, on.month, on.day, 12, tzinfo=UTC)
    decision = decide(change(what, about, on), recipient(), mute(), now=now)
    assert (decision.way, decision.why) == ("digest", "muted" if muted else "gathered")


@pytest.mark.parametrize("what", ["opened", "updated"])
def test_a_mute_that_was_ended_holds_nothing_back_from_then_on(what: Change) -> None:
    ended, still = mute(ended_at=TUESDAY), mute(ended_at=TUESDAY + timedelta(hours=1))
    assert [decide(change(what), recipient(), m).why for m in (ended, still)] == ["gathered", "muted"]


def test_who_was_told_in_a_batch_is_kept_alert_by_alert_and_also_when_it_is_told_later() -> None:
    one, other = alert(1), alert(2)
    to = recipient(at_once="all", hours=(7, 18))
    changes = [change("opened", one), change("withdrawn", other), change("withdrawn", one)]
    decided = route(changes, [to], [], KIN, now=TUESDAY, told={}, rules=Rules())
    assert [(d.way, d.why) for d in decided] == [("later", "hours"), ("digest", "gathered"), ("later", "hours")]


def test_hours_and_days_are_those_of_the_zone_that_the_rules_name() -> None:
    to, what = recipient(at_once="all", hours=(7, 18)), change("opened")
    (there,) = route([what], [to], [], KIN, now=TUESDAY, told={}, rules=Rules(timezone="America/New_York"))
    assert (there.way, there.at) == ("at-once", TUESDAY), "four in the afternoon"


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


def test_an_escalation_names_its_alert_and_the_first_time_anybody_was_told() -> None:
    told = [Told("second", TUESDAY + timedelta(hours=3)), Told("third", TUESDAY - timedelta(hours=1))]
    assert escalated(told, [], 6) == [
        Escalation(
            alert_id="0999-260303-1", of="second", to="third", since=TUESDAY - timedelta(hours=1), at=TUESDAY + timedelta(hours=6)
        )
    ]


def test_who_has_left_or_has_nobody_after_them_holds_the_others_up_no_more_than_who_was_escalated_to_before() -> None:
    early = [Told("third", TUESDAY), Told("left", TUESDAY), Told("first", TUESDAY)]
    late = [*early, Told("second", TUESDAY + timedelta(hours=1))]
    assert [(e.of, e.to) for e in escalated(late, [], 9)] == [("first", "second"), ("second", "third")]
    assert [(e.of, e.to) for e in escalated(late, ["second"], 9)] == [("second", "third")]
    assert [(e.of, e.to) for e in escalated(late, [], 3)] == [("second", "third")], "the first still has an hour"


def test_to_one_who_stands_behind_several_it_is_escalated_once_of_who_was_told_first() -> None:
    both = {n: recipient(n, escalates_to="duty", escalate_after=timedelta(hours=1)) for n in ("a", "b")} | {
        "duty": recipient("duty")
    }
    for told in ([Told("b", TUESDAY), Told("a", TUESDAY)], [Told("a", TUESDAY), Told("b", TUESDAY + timedelta(minutes=1))]):
        (one,) = escalations(alert(**SEVERE), told, [], both, TUESDAY + timedelta(hours=2), Rules(timezone=ZONE))
        assert (one.of, one.to) == ("a", "duty")


def test_hours_of_an_escalation_are_those_of_the_zone_that_the_rules_name() -> None:
    told, now = [Told("second", TUESDAY)], TUESDAY + timedelta(hours=2)
    (one,) = escalations(alert(), told, [], CHAIN, now, Rules(timezone="America/New_York"))  # told at four, and six is not over
    assert (one.of, one.to, one.at) == ("second", "third", now)
    (two,) = escalations(
        alert(), [Told("first", TUESDAY)], [], CHAIN, TUESDAY + timedelta(hours=6), Rules(timezone="America/New_York")
    )
    assert two.at == datetime(2026, 3, 4, 12, tzinfo=UTC), "seven there"
