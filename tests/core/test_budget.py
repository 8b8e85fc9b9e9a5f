"""The budget: the threshold at which quiet weeks raise as many alerts as were stated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.budget import Signals, Threshold, alerts_at, threshold_for
from earlywarning.core.engine import Engine
from tests.core.town import BEGIN, engine, feed, history

GRID = np.arange(-0.5, 4.01, 0.25)


def test_signals_that_meet_an_open_alert_belong_to_it_and_others_open_their_own() -> None:
    signals = Signals([0, 0, 3, 12, 3], [0b1, 0b10, 0b1, 0b1, 0b1], [0b1] * 4 + [0b10], np.ones(5))
    assert alerts_at(signals, 0.5) == 4, "another area; long after; another category"
    assert alerts_at(signals, 1.5) == 0


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 15), st.integers(1, 15), st.floats(0, 3)), max_size=40))
def test_no_more_alerts_than_signals_and_none_without(rows: list[tuple[int, int, int, float]]) -> None:
    rows.sort()
    signals = Signals([r[0] for r in rows], [r[1] for r in rows], [r[2] for r in rows], np.array([r[3] for r in rows]))
    for score in (0.0, 1.0, 2.0):
        assert 0 <= alerts_at(signals, score) <= (signals.score >= score).sum()


@pytest.mark.parametrize("per_week", [0.1, 0.25, 1.0, 4.0])
def test_the_threshold_of_an_exact_tail_is_found_within_and_beyond_the_counts(per_week: float) -> None:
    weeks, slope = 16.0, 0.85
    alerts = np.floor(400 * 10 ** (-slope * (GRID + 0.5)))
    found = threshold_for(GRID, alerts, weeks, per_week)
    exact = -0.5 + np.log10(400 / (weeks * per_week)) / slope
    assert found.score == pytest.approx(exact, abs=0.12)
    assert found.slope == pytest.approx(slope, abs=0.12)


def test_a_smaller_budget_never_has_a_lower_threshold() -> None:
    alerts = np.floor(300 * 10 ** (-0.8 * (GRID + 0.5)))
    scores = [threshold_for(GRID, alerts, 16, b).score for b in (8, 4, 1, 0.5, 0.1, 0.01)]
    assert scores == sorted(scores)


def test_the_recurrence_interval_at_the_threshold_is_the_budgets_and_grows_with_the_score() -> None:
    threshold = Threshold(1.2, 0.9, 0.5)
    assert threshold.recurrence_days(0.0) == pytest.approx(14)
    assert threshold.recurrence_days(1.0) == pytest.approx(14 * 10**0.9)
    assert np.isfinite(threshold.recurrence_days(300.0))


def alerts_a_week(budget: float, seeds: range) -> float:
    """Alerts a week on quiet towns, events recorded late, over the time that is judged."""
    total, weeks = 0, 0.0
    for seed in seeds:
        e: Engine = engine(false_alarms_per_week=budget)
        _, alerts, _ = feed(e, history(seed, days=900, lag_days=1.0, rate=0.2))
        judged = e.watch.fit_day(e.calendar.day_at(BEGIN) + (52 + 3) * 7 + 28 + 27)
        found = [a for a in alerts.values() if a.tendency in ("surge", "cluster", "shift")]
        total += len(found)
        assert e.today is not None
        weeks += (e.today - judged) / 7
    return total / weeks


def test_quiet_towns_raise_about_as_many_alerts_as_the_budget_says() -> None:
    """Small counts cannot spend a budget to the last alert; more than it would be broken."""
    realised = alerts_a_week(1.0, range(100, 103))
    assert 0.5 < realised / 0.94 < 1.35


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be met; give more than 0"):
        feed(engine(false_alarms_per_week=0.0), history(1, days=480))
