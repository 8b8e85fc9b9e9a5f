"""What the answers tell: shares with honest intervals, and a recommendation that a person decides on."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy import stats

from earlywarning.core.casework import Assessment, Casework
from earlywarning.core.learning import (
    FEWEST,
    Known,
    Precision,
    Rate,
    Waiting,
    precision,
    recommend,
    share_interval,
    waiting,
    weekly_rate,
)
from tests.core.routed import alert as an_alert

AT = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.fixture(scope="module")
def alert() -> object:
    return an_alert()


def _known(alert: Any, n: int, assessment: Assessment | None, recurrence: float = 30.0, hours: float = 2.0) -> list[Known]:
    out = []
    for i in range(n):
        opened = date(2026, 3, 1 + i % 28)
        a = msgspec.structs.replace(alert, alert_id=f"0999-260301-{i}", recurrence_days=recurrence, opened_on=opened)
        told = {"assessment": assessment, "stage": "assessed", "acknowledged_at": AT + timedelta(hours=hours)} if assessment else {}
        case = Casework(alert_id=a.alert_id, municipality="0999", opened_at=AT, **told)  # type: ignore[arg-type]
        out.append(Known(a, case))
    return out


def test_precision_counts_what_was_assessed_and_tells_the_kinds_apart(alert: object) -> None:
    known = (
        _known(alert, 6, "confirmed") + _known(alert, 2, "known-cause") + _known(alert, 2, "false-alarm") + _known(alert, 5, None)
    )
    (p,) = precision(known, lambda k: [k.alert.tendency])
    assert (p.alerts, p.assessed, p.confirmed, p.known_cause, p.false_alarm) == (15, 10, 6, 2, 2)
    assert p.share == 0.6
    assert p.low < 0.6 < p.high
    assert precision([], lambda k: [""]) == []


def test_the_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    for true in (0.2, 0.5, 0.85):
        inside = [low <= true <= high for low, high in (share_interval(int(r), 20) for r in rng.binomial(20, true, 4000))]
        assert np.mean(inside) == pytest.approx(0.90, abs=0.05)


def test_the_rate_stands_beside_the_budget(alert: object) -> None:
    rate = weekly_rate(_known(alert, 8, None), date(2026, 3, 1), date(2026, 3, 28), 1.0)
    assert (rate.weeks, rate.alerts, rate.per_week, rate.budget) == (4, 8, 2, 1.0)
    assert rate.low < 2 < rate.high
    assert weekly_rate([], date(2026, 3, 1), date(2026, 3, 28), 1.0).low == 0


def test_how_soon_alerts_are_seen(alert: object) -> None:
    told = waiting(_known(alert, 9, "confirmed", hours=3.0) + _known(alert, 1, "confirmed", hours=99.0) + _known(alert, 2, None))
    assert (told.acknowledged, told.median_hours, told.waiting) == (10, 3.0, 2)


def test_too_few_answers_recommend_nothing(alert: object) -> None:
    assert recommend(_known(alert, FEWEST - 1, "false-alarm"), 1.0, 0.5).verdict == "wait"
    assert recommend(_known(alert, 50, None), 1.0, 0.5).verdict == "wait"


def test_many_false_ones_speak_for_the_largest_budget_that_reaches_the_level(alert: object) -> None:
    known = _known(alert, 30, "false-alarm", recurrence=8.0) + _known(alert, 8, "confirmed", recurrence=20.0)
    advice = recommend(known, 1.0, 0.5)
    assert (advice.verdict, advice.budget) == ("lower", 0.5)
    half = next(c for c in advice.evidence if c.budget == 0.5)
    assert (half.assessed, half.confirmed, half.missed) == (8, 8, 0)


def test_right_ones_allow_more_and_middling_ones_change_nothing(alert: object) -> None:
    assert recommend(_known(alert, 30, "confirmed"), 1.0, 0.5).verdict == "raise"
    mixed = _known(alert, 10, "confirmed") + _known(alert, 10, "false-alarm")
    assert (recommend(mixed, 1.0, 0.5).verdict, recommend(mixed, 1.0, 0.5).budget) == ("keep", 1.0)


@pytest.mark.parametrize(("right", "of"), [(1, 1), (0, 1), (3, 10), (9, 10), (10, 10), (0, 10), (1, 20)])
def test_an_interval_is_jeffreys_with_the_ends_of_the_scale_where_all_or_none_are_right(right: int, of: int) -> None:
    low, high = stats.beta.ppf([0.05, 0.95], right + 0.5, of - right + 0.5)
    assert share_interval(right, of) == pytest.approx((low if right else 0.0, high if right < of else 1.0))


def test_nothing_assessed_is_a_share_that_may_be_anything(alert: object) -> None:
    assert share_interval(0, 0) == (0.0, 1.0)
    (p,) = precision(_known(alert, 3, None), lambda _: ["A0"])
    assert p == Precision("A0", 3, 0, 0, 0, 0, 0, 0.0, 0.0, 1.0)


def test_an_alert_counts_under_each_of_its_keys_once_and_keys_come_in_order(alert: object) -> None:
    told = precision(_known(alert, 2, "data-fault") + _known(alert, 1, "confirmed"), lambda _: ["B", "A", "A"])
    assert [(p.key, p.alerts, p.assessed, p.confirmed, p.data_fault) for p in told] == [("A", 3, 3, 1, 2), ("B", 3, 3, 1, 2)]


def test_the_rate_has_garwoods_interval_and_counts_first_and_last_day_but_nothing_withdrawn(alert: object) -> None:
    known = _known(alert, 28, None)  # one opened each day
    gone = [k._replace(alert=msgspec.structs.replace(k.alert, state="withdrawn")) for k in known[:3]]
    rate = weekly_rate([*gone, *known[3:]], date(2026, 3, 2), date(2026, 3, 8), 0.5)
    low, high = stats.chi2.ppf(0.05, 10) / 2, stats.chi2.ppf(0.95, 12) / 2
    assert rate == Rate(1.0, 5, 5.0, pytest.approx(low), pytest.approx(high), 0.5)
    fortnight = weekly_rate(known, date(2026, 3, 1), date(2026, 3, 14), 0.5)
    assert (fortnight.per_week, fortnight.high) == (7.0, pytest.approx(stats.chi2.ppf(0.95, 30) / 4))
    assert weekly_rate(known, date(2026, 3, 1), date(2026, 3, 1), 0.5).weeks == pytest.approx(1 / 7)
    none = weekly_rate([], date(2026, 3, 1), date(2026, 3, 7), 1.0)
    assert (none.low, none.high) == (0.0, pytest.approx(stats.chi2.ppf(0.95, 2) / 2))


def test_of_nobody_who_has_acknowledged_there_are_no_hours(alert: object) -> None:
    assert waiting(_known(alert, 2, None)) == Waiting(0, 0.0, 0.0, 2)
    assert waiting(_known(alert, 1, "confirmed", hours=-1.0)).median_hours == 0.0
    mixed = waiting(_known(alert, 9, "confirmed", hours=1.0) + _known(alert, 2, "confirmed", hours=20.0))
    assert (mixed.median_hours, mixed.p90_hours) == (1.0, 20.0)


def test_the_evidence_compares_the_budget_in_force_with_its_half_and_its_quarter(alert: object) -> None:
    """An alert of so many days' recurrence is kept by a budget that allows one in as many."""
    known = [
        *_known(alert, 5, "confirmed", recurrence=28.0), *_known(alert, 5, "false-alarm", recurrence=14.0),
        *_known(alert, 5, "false-alarm", recurrence=13.99), *_known(alert, 1, "confirmed", recurrence=1.0),
    ]  # fmt: skip
    advice = recommend(known, 1.0, 0.37)
    quarter, half, now = advice.evidence
    assert (quarter.budget, quarter.assessed, quarter.confirmed, quarter.missed, quarter.share) == (0.25, 5, 5, 1, 1.0)
    assert (half.budget, half.assessed, half.confirmed, half.missed, half.share) == (0.5, 10, 5, 1, 0.5)
    assert (now.budget, now.assessed, now.confirmed, now.missed, now.share) == (1.0, 16, 6, 0, 6 / 16)
    assert (now.low, now.high) == share_interval(6, 16)
    assert (advice.verdict, advice.budget, advice.level) == ("keep", 1.0, 0.37)


def test_each_recommendation_names_its_budget_level_and_evidence(alert: object) -> None:
    def told(known: list[Known], level: float) -> tuple[str, float, float, int]:
        advice = recommend(known, 2.0, level)
        return advice.verdict, advice.budget, advice.level, len(advice.evidence)

    assert told(_known(alert, FEWEST - 1, "false-alarm"), 0.5) == ("wait", 2.0, 0.5, 3)
    assert told(_known(alert, FEWEST, "false-alarm"), 0.5) == ("lower", 0.5, 0.5, 3), "none reaches the level: the least"
    assert told(_known(alert, FEWEST, "confirmed"), 0.5) == ("raise", 4.0, 0.5, 3)
    even = _known(alert, 5, "confirmed") + _known(alert, 5, "false-alarm")
    low, high = share_interval(5, 10)
    assert told(even, low) == ("keep", 2.0, low, 3)
    assert told(even, high) == ("keep", 2.0, high, 3)
    # A level is reached by who is just at it; of those that reach it, the largest budget.
    seldom = _known(alert, 2, "confirmed", recurrence=20.0) + _known(alert, 2, "false-alarm", recurrence=20.0)
    often = _known(alert, 40, "false-alarm", recurrence=4.0)
    assert told([*seldom, *often], 0.5) == ("lower", 1.0, 0.5, 3)
    assert told([*_known(alert, 3, "confirmed", recurrence=20.0), *often], 0.5) == ("lower", 1.0, 0.5, 3)
    assert recommend(_known(alert, 20, "false-alarm", recurrence=1.0), 1.0, 0.5).evidence[0].share == 0.0
