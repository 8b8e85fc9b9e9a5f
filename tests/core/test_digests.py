"""The digest: changes first, then what goes on; muted apart; each alert is new in one digest only."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.alert_record import Alert
from earlywarning.core.casework import Casework
from earlywarning.core.digests import Happened, digest
from earlywarning.core.mutes import Mute
from earlywarning.core.outgoing import DigestContent
from earlywarning.core.returning import earlier_alerts
from earlywarning.core.routing import Recipient
from tests.core.routed import KIN, TUESDAY, alert, case, mute, recipient

LAST = date(2026, 3, 4)
FIRST = LAST - timedelta(days=7)


def read(
    *happened: tuple[Alert, Any],
    others: tuple[Alert, ...] = (),
    cases: dict[str, Casework] | None = None,
    to: Recipient | None = None,
    mutes: tuple[Mute, ...] = (),
    on: date = LAST,
) -> DigestContent:
    entries = [Happened(i, a.alert_id, what, on) for i, (a, what) in enumerate(happened, 1)]
    alerts = {a.alert_id: a for a in (*[a for a, _ in happened], *others)}
    known = {i: case(a) for i, a in alerts.items()} | (cases or {})
    return digest(
        entries, alerts, known, to or recipient(), mutes, KIN, first_day=FIRST, last_day=LAST, at=TUESDAY, send_within=7
    )  # fmt: skip


def parts(content: DigestContent) -> tuple[list[tuple[str, str]], list[str], list[str]]:
    return (
        [(c.alert.alert_id[-1], c.change) for c in content.alerts],
        [c.alert.alert_id[-1] for c in content.ongoing],
        [c.alert.alert_id[-1] for c in content.muted],
    )


def test_new_ones_come_first_then_what_changed_then_what_is_over_and_severe_ones_lead() -> None:
    a, b, c, d = (alert(i) for i in "abcd")
    severe = alert("s", tendency="severe", opened=TUESDAY - timedelta(hours=5))
    content = read((c, "settled"), (b, "updated"), (a, "opened"), (a, "updated"), (severe, "opened"), (d, "reopened"))
    assert parts(content)[0] == [("s", "opened"), ("a", "opened"), ("d", "reopened"), ("b", "updated"), ("c", "settled")]


def test_what_goes_on_without_news_is_told_apart() -> None:
    assert parts(read((alert("a"), "opened"), others=(alert("b"),))) == ([("a", "opened")], ["b"], [])


def test_what_the_group_works_on_goes_on_though_it_is_over() -> None:
    over = alert("a", state="settled")
    assert parts(read(others=(over,), cases={over.alert_id: case(over, stage="measure")})) == ([], ["a"], [])
    assert parts(read(others=(over,), cases={over.alert_id: case(over, stage="new")})) == ([], [], [])


def test_what_the_group_has_closed_is_told_only_when_it_is_new_or_back() -> None:
    one = alert("a")
    closed = {one.alert_id: case(one, stage="closed")}
    assert parts(read((one, "updated"), cases=closed)) == ([], [], [])
    assert parts(read(others=(one,), cases=closed)) == ([], [], [])
    assert parts(read((one, "opened"), cases=closed))[0] == [("a", "opened")]
    assert parts(read((one, "reopened"), cases=closed))[0] == [("a", "reopened")]


def test_muted_ones_are_told_apart_for_as_long_as_the_mute_lasts() -> None:
    one = alert("a")
    assert parts(read((one, "opened"), mutes=(mute(),))) == ([], [], ["a"])
    assert parts(read(others=(one,), mutes=(mute(),))) == ([], [], ["a"])
    over = mute(last_day=date(2026, 3, 3))
    assert parts(read(others=(one,), mutes=(over,))) == ([], ["a"], [])


def test_what_does_not_concern_the_reader_is_left_out() -> None:
    assert parts(read((alert("a"), "opened"), to=recipient(areas=("D1",)))) == ([], [], [])


def test_a_replayed_past_is_left_out() -> None:
    old = alert("a", opened=datetime(2021, 5, 1, tzinfo=UTC))
    assert parts(read((old, "opened"), on=date(2021, 5, 1))) == ([], [], [])


@given(
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(("A0", "A1", "A4")), st.booleans()), max_size=12),
    st.lists(st.integers(1, 400), min_size=1, max_size=8, unique=True),
)
def test_each_alert_is_new_in_one_digest_only(opened: list[tuple[int, str, bool]], hours: list[int]) -> None:
    """Digests at any hours, and whatever is muted: what was opened before the last of them is in one of them."""
    begin = datetime(2026, 3, 1, tzinfo=UTC)
    alerts = {
        (a := alert(f"{i:02}", opened=begin + timedelta(hours=h), areas=(area,))).alert_id: a
        for i, (h, area, _) in enumerate(sorted(opened))
    }
    history = [Happened(i, a.alert_id, "opened", a.opened_on) for i, a in enumerate(alerts.values(), 1)]
    seen: list[str] = []
    place, before = 0, begin
    for at in (begin + timedelta(hours=h) for h in sorted(hours)):
        entries = [h for h in history if h.number > place and alerts[h.alert_id].opened_at <= at]
        content = digest(
            entries, {i: a for i, a in alerts.items() if a.opened_at <= at}, {i: case(a) for i, a in alerts.items()}, recipient(),
            (mute(),), KIN, first_day=before.date(), last_day=at.date(), at=at, send_within=7,
        )  # fmt: skip
        seen += [c.alert.alert_id for c in (*content.alerts, *content.muted) if c.change == "opened"]
        place, before = entries[-1].number if entries else place, at
    assert sorted(seen) == sorted(i for i, a in alerts.items() if a.opened_at <= before)


def test_what_does_not_belong_holds_back_nothing_that_follows() -> None:
    """Alerts of others, without casework, closed, or over and done with, stand before one that is told."""
    other, unknown, closed, over, told = alert("a", areas=("A4",)), alert("b"), alert("c"), alert("d", state="settled"), alert("e")
    alerts = {a.alert_id: a for a in (other, unknown, closed, over, told)}
    cases = {i: case(a, stage="closed" if a is closed else "new") for i, a in alerts.items() if a is not unknown}
    entries = [Happened(1, closed.alert_id, "updated", LAST), Happened(2, told.alert_id, "opened", LAST)]
    content = digest(
        entries, alerts, cases, recipient(areas=("D0",)), (), KIN, first_day=FIRST, last_day=LAST, at=TUESDAY, send_within=7,
        meeting=TUESDAY + timedelta(days=1),
    )  # fmt: skip
    assert [c.alert for c in content.alerts] == [told]
    assert [c.casework for c in content.alerts] == [cases[told.alert_id]]
    assert (content.ongoing, content.muted) == ([], [])
    assert (content.first_day, content.last_day, content.meeting) == (FIRST, LAST, TUESDAY + timedelta(days=1))


def test_what_happened_just_within_the_days_to_be_sent_is_told() -> None:
    one = alert("a", state="settled")
    assert parts(read((one, "settled"), on=FIRST - timedelta(days=7)))[0] == [("a", "settled")]
    assert parts(read((one, "settled"), on=FIRST - timedelta(days=8))) == ([], [], [])


def test_an_open_alert_goes_on_for_sixty_days_after_its_last_one() -> None:
    for days, there in ((60, ["a"]), (61, [])):
        assert parts(read(others=(alert("a", last_day=LAST - timedelta(days=days)),)))[1] == there


def test_a_mute_holds_on_its_last_day_and_no_longer_than_it_was_ended() -> None:
    one = alert("a")
    assert parts(read(others=(one,), mutes=(mute(last_day=LAST),))) == ([], [], ["a"])
    assert parts(read((one, "opened"), mutes=(mute(ended_at=TUESDAY),))) == ([("a", "opened")], [], [])
    assert parts(read((one, "opened"), mutes=(mute(ended_at=TUESDAY + timedelta(hours=1)),))) == ([], [], ["a"])


def test_of_what_is_alike_the_newest_comes_first() -> None:
    early, late = alert("a", opened=TUESDAY - timedelta(hours=9)), alert("b")
    assert parts(read((early, "opened"), (late, "opened")))[0] == [("b", "opened"), ("a", "opened")]
    assert parts(read(others=(early, late)))[1] == ["b", "a"]


# ---- returning tendencies -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "linked"),
    [
        ({}, True),
        ({"areas": ("D0",)}, True),
        ({"categories": ("G0",)}, True),
        ({"areas": ("A2",)}, False),
        ({"categories": ("C1",)}, False),
        ({"kind": "report"}, False),
        ({"state": "withdrawn"}, False),
        ({"opened": datetime(2025, 3, 2, tzinfo=UTC)}, False),
        ({"opened": datetime(2025, 3, 3, tzinfo=UTC)}, True),  # a year of 365 days before
        ({"opened": TUESDAY}, False),  # in the same hour: neither of them returns
        ({"opened": datetime(2026, 3, 9, tzinfo=UTC)}, False),
    ],
)
def test_a_returning_tendency_links_to_its_earlier_alert(fields: dict[str, Any], linked: bool) -> None:
    earlier = alert("b", **{"opened": datetime(2025, 9, 1, tzinfo=UTC), **fields})
    assert earlier_alerts(alert("a"), [earlier], KIN) == ((earlier.alert_id,) if linked else ())


def test_of_many_earlier_alerts_the_five_newest_are_linked() -> None:
    many = [alert(i, opened=TUESDAY - timedelta(days=10 * i)) for i in range(1, 9)]
    assert earlier_alerts(alert("a"), many, KIN) == tuple(a.alert_id for a in many[:5])
