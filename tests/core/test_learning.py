"""What the answers tell: shares with honest intervals, and a recommendation that a person decides on."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest

from earlywarning.core.casework import Assessment, Casework
from earlywarning.core.learning import FEWEST, Known, precision, recommend, share_interval, waiting, weekly_rate
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
