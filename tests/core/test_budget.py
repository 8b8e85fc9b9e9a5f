"""The budget: the threshold at which quiet weeks raise as many alerts as were stated."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from earlywarning.core.budget import WEEKS, Drawn, Signals, Threshold, alerts_at, calibrate, draw_signals, threshold_for
from earlywarning.core.detectors.expectation import Expectation
from earlywarning.core.engine import Engine
from earlywarning.core.scope import Watched
from tests.core.town import BEGIN, engine, feed, history

GRID = np.arange(-0.5, 4.01, 0.25)


# signals as (day, areas, columns), in their order -> alerts
MEETINGS: dict[str, tuple[list[tuple[int, int, int]], int]] = {
    "the same once more": ([(0, 0b10, 0b1), (3, 0b10, 0b1)], 1),
    "one of its areas and one of its columns": ([(0, 0b110, 0b11), (3, 0b1010, 0b110)], 1),
    "another area": ([(0, 0b1, 0b1), (0, 0b10, 0b1)], 2),
    "another column": ([(0, 0b1, 0b1), (3, 0b1, 0b10)], 2),
    "a week later": ([(0, 1, 1), (7, 1, 1)], 1),
    "more than a week later": ([(0, 1, 1), (8, 1, 1)], 2),
    "each time within a week of the last": ([(0, 1, 1), (7, 1, 1), (14, 1, 1), (22, 1, 1), (29, 1, 1)], 2),
    "an older one, after another was opened": ([(10, 1, 1), (10, 2, 1), (11, 1, 1)], 2),
    "an older one on its last day, after another was opened": ([(0, 1, 1), (7, 2, 1), (7, 1, 1)], 2),
}


@pytest.mark.parametrize("what", MEETINGS)
def test_a_signal_that_meets_an_alert_which_is_still_open_belongs_to_it_and_others_open_their_own(what: str) -> None:
    rows, alerts = MEETINGS[what]
    days, areas, columns = (list(column) for column in zip(*rows, strict=True))
    signals = Signals(days, areas, columns, np.ones(len(rows)))
    assert alerts_at(signals, 1.0) == alerts
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


@given(st.lists(st.integers(0, 400), min_size=len(GRID), max_size=len(GRID)))
def test_whatever_was_counted_no_score_beyond_the_threshold_had_more_alerts_than_the_budget(counted: list[int]) -> None:
    """Also where few long alerts at a low score are many short ones at a higher one."""
    alerts = np.array(counted, dtype=np.float64)
    budgets = (24, 8, 4, 2, 1, 0.75)  # of which all are told from at least as many alerts as a count must rest on
    found = [threshold_for(GRID, alerts, 16, b).score for b in budgets]
    assert found == sorted(found)
    for score, budget in zip(found, budgets, strict=True):
        assert (alerts[score + 1e-9 < GRID] <= budget * 16).all()


# alerts at scores 0, 1, 2, ... in 10 weeks, budget -> (score, slope)
COUNTED: dict[str, tuple[list[int], float, float, float]] = {
    "too few to tell anything": ([11, 3], 0.5, 0.0, 1.0),
    "just enough at one score, and the budget has as many": ([12, 11], 1.2, 0.0, 1.0),
    "beyond the only score that tells": ([12, 11], 0.12, 1.0, 1.0),
    "more than there ever were": ([100, 20], 10.1, 0.0, (100 * np.log10(5) + 40) / 140),
    "as many as at the two lowest": ([20, 20, 5], 2.0, 0.0, 40 / 60),
    "exactly what a score had": ([960, 96, 12], 9.6, 1.0, (960 * np.log10(80) / 2 + 40) / 1000),
    "between two scores, straight in the logarithm": ([1000, 100, 3], np.sqrt(1000), 0.5, 1.0),
    "beyond the counts by their slope, which forty alerts at one for one hold back": (
        [6000, 60, 2], 0.6, 1 + 1 / ((6000 * 2 + 40) / 6040), (6000 * 2 + 40) / 6040),
    "by the slope of the last five": (
        [9000, 2000, 1000, 500, 200, 100, 1], 1.0, 5 + 1 / ((2000 * np.log10(20) + 160) / 8160),
        (2000 * np.log10(20) + 160) / 8160),
    "few long alerts below many": ([20, 10, 30, 15, 5], 2.5, 2 + np.log(30 / 25) / np.log(2), (30 * np.log10(2) + 120) / 210),
}  # fmt: skip


@pytest.mark.parametrize("what", COUNTED)
def test_the_threshold_of_a_few_counts(what: str) -> None:
    counted, per_week, score, slope = COUNTED[what]
    found = threshold_for(np.arange(len(counted), dtype=np.float64), np.array(counted, dtype=np.float64), 10, per_week)
    assert found[:2] == pytest.approx((score, slope))
    assert found.false_alarms_per_week == per_week


def test_the_recurrence_interval_at_the_threshold_is_the_budgets_and_grows_with_the_score() -> None:
    threshold = Threshold(1.2, 0.9, 0.5)
    assert threshold.recurrence_days(0.0) == pytest.approx(14)
    assert threshold.recurrence_days(1.0) == pytest.approx(14 * 10**0.9)
    assert threshold.recurrence_days(-1.0) == threshold.recurrence_days(0.0), "what is below it is told as at it"
    assert threshold.recurrence_days(300.0) == pytest.approx(14e12)


# ---- weeks in which nothing happens --------------------------------------------------------------------------------------

TOWN = engine()
PLACES = TOWN.scope
MONDAY = TOWN.calendar.day_at(BEGIN)
AT_ONCE, SLOWLY = [1.0, 1.0, 1.0], [0.5, 0.8, 1.0]
WATCHED = Watched.of(PLACES, PLACES.part.sum(1) * np.array([[1.0], [0.0]]), 1.0)
FINEST = len(WATCHED.leaves)


def quiet(
    rates: NDArray[np.float64],
    *,
    weekdays: Sequence[float] = (1, 1, 1, 1, 1, 1, 1),
    closed: Sequence[int] = (),
    shares: Sequence[float] = AT_ONCE,
    windows: tuple[int, ...] = (1, 3),
    first_day: int = MONDAY,
    min_count: float = 1,
    dispersion: float = 4.0,
    over_weeks: float = 9.0,
) -> dict[str, Any]:
    """Weeks in which nothing happens, as they are asked for.

    rates: (finest areas, finest columns) events a day; weekdays: by what they are multiplied, from Monday on; closed: days,
    counted from the first, on which nothing happens.
    """
    columns = len(WATCHED.category)
    level = np.zeros((len(PLACES.inside), columns))
    level[np.ix_(PLACES.fine, WATCHED.leaves)] = rates
    logs = np.log(np.maximum([1.0, *weekdays, 1.0, 0.0], 1e-13))  # no season, no trend, and the day kind of being closed
    kinds = np.zeros((max(windows) + WEEKS * 7, 1))
    kinds[np.array(closed, dtype=np.int64) + max(windows)] = 1
    nothing = np.zeros((columns, len(logs), len(logs)))
    over_days = np.outer([dispersion, over_weeks, over_weeks], np.ones(columns))  # of counts over 1, 7 and 28 days
    fitted = Expectation(
        np.tile(logs, (columns, 1)), level, level * 0, over_days, np.zeros((2, columns)), MONDAY, 0,
        level > 0, nothing, logs * 0,
    )  # fmt: skip
    return {
        "fitted": fitted, "scope": PLACES, "zones": PLACES.zones, "watched": WATCHED, "first_day": first_day, "kinds": kinds,
        "shares": np.tile(shares, (columns, 1)), "windows": windows, "min_count": min_count,
    }  # fmt: skip


def drawn(rates: NDArray[np.float64], **asked: Any) -> Drawn:
    return draw_signals(**quiet(rates, **asked))


EVERYWHERE = np.full((len(PLACES.fine), FINEST), 60.0)


ALL = len(PLACES.inside) * len(WATCHED.category)  # blocks of one area, of any level, and one column


def single_blocks(found: Drawn, window: int, score: float) -> int:
    """Signals of one finest area and one finest column in a window."""
    blocks = zip(found.signals.areas, found.signals.columns, found.window, found.signals.score, strict=True)
    return sum(a.bit_count() == c.bit_count() == 1 and w == window and s >= score for a, c, w, s in blocks)


@pytest.mark.parametrize(("shares", "dispersion"), [(AT_ONCE, 4.0), (SLOWLY, 4.0), (SLOWLY, 1.0)])
def test_of_quiet_weeks_each_score_is_reached_as_often_as_chance_says(shares: list[float], dispersion: float) -> None:
    """A score is how many powers of ten rarer than once a day a block is among all of its sort; late events included."""
    found = drawn(EVERYWHERE, shares=shares, dispersion=dispersion)
    for window in (0, 1):
        for score in (GRID[0], 0.0):
            expected = WEEKS * 7 * 10**-score * EVERYWHERE.size / ALL
            assert single_blocks(found, window, score) == pytest.approx(expected, rel=0.3)


def test_where_little_is_expected_chance_reaches_no_score_more_often_than_it_says() -> None:
    """And clearly less often where hardly anything is expected, and a count is 0 or far above it."""
    for rate, at_most in ((0.6, 1.0), (0.1, 0.75)):
        found = drawn(EVERYWHERE / 60 * rate, shares=SLOWLY)
        for window in (0, 1):
            assert single_blocks(found, window, GRID[0]) < at_most * WEEKS * 7 * 10 ** -GRID[0] * EVERYWHERE.size / ALL


def test_signals_come_in_the_order_of_days_the_most_unusual_first_and_count_what_was_asked() -> None:
    found = drawn(EVERYWHERE / 600, min_count=3)
    told = list(zip(found.signals.day, (-found.signals.score).tolist(), strict=True))
    assert told == sorted(told)
    assert found.observed.min() == 3
    assert found.signals.score.min() >= GRID[0]


def test_the_same_day_draws_the_same_and_another_day_other_weeks() -> None:
    one, again, other = drawn(EVERYWHERE), drawn(EVERYWHERE), drawn(EVERYWHERE, first_day=MONDAY + 7)
    assert one.signals.score.tolist() == again.signals.score.tolist()
    assert one.signals.score.tolist() != other.signals.score.tolist()
    assert (one.signals.day[0], one.signals.day[-1]) == (0, WEEKS * 7 - 1)


def test_days_vary_as_counts_of_single_days_do() -> None:
    """How much whole weeks vary says nothing of the days that are drawn."""
    little, much = (drawn(EVERYWHERE, over_weeks=over).observed.tolist() for over in (1.0, 16.0))
    assert little == much


def by_window(found: Drawn, window: int) -> list[tuple[object, ...]]:
    rows = zip(*found.signals[:3], found.signals.score.tolist(), found.observed.tolist(), found.window.tolist(), strict=True)
    return [row[:-1] for row in rows if row[-1] == window]


def test_a_signal_is_there_whatever_other_windows_are_scanned_and_in_whatever_order() -> None:
    short_first, long_first, alone = (drawn(EVERYWHERE, shares=SLOWLY, windows=w) for w in ((1, 3), (3, 1), (3,)))
    assert by_window(short_first, 1) == by_window(long_first, 0) == by_window(alone, 0)
    assert by_window(short_first, 0) == by_window(long_first, 1) != []


def test_signals_name_the_areas_and_columns_that_count_and_what_counts_together_adds_up() -> None:
    rates = EVERYWHERE * 0
    rates[1, 2:] = rates[2, 2:] = 3.0
    found = drawn(rates, windows=(1, 2, 3, 4, 5, 6, 7))
    counted: dict[tuple[int, int], dict[tuple[int, int], float]] = {}
    for day, areas, columns, observed, window in zip(
        *found.signals[:3], found.observed.tolist(), found.window.tolist(), strict=True
    ):
        assert areas & 0b110
        assert columns & 0b1100
        counted.setdefault((day, window), {})[areas & 0b110, columns & 0b1100] = observed
    sums = 0
    for seen in counted.values():
        for part, whole in ((1, 0b1100), (0, 0b110)):
            for both in [k for k in seen if k[part] == whole]:
                halves = [seen.get((both[0], h) if part else (h, both[1])) for h in ((0b100, 0b1000) if part else (0b10, 0b100))]
                if None not in halves:
                    assert seen[both] == sum(h for h in halves if h is not None)
                    sums += 1
    assert sums > 10


def days_of(found: Drawn, window: int) -> set[int]:
    return {d for d, w in zip(found.signals.day, found.window.tolist(), strict=True) if w == window}


def weekdays_of(found: Drawn, window: int, first_day: int = MONDAY) -> set[int]:
    return {(first_day + d + 3) % 7 for d in days_of(found, window)}  # 1970-01-01 was a Thursday


@pytest.mark.parametrize("first_day", [MONDAY, MONDAY + 3])
def test_weeks_are_drawn_by_the_weekdays_and_day_kinds_of_the_baseline(first_day: int) -> None:
    found = drawn(EVERYWHERE, weekdays=(1, 1, 1, 1, 1, 0, 0), first_day=first_day)
    assert weekdays_of(found, 0, first_day) == {0, 1, 2, 3, 4}
    few = {0, 1, 2, 50, 51, 52, 109, 110, 111}
    closed = [d for d in range(WEEKS * 7) if d not in few]
    days = days_of(drawn(EVERYWHERE, closed=closed, first_day=first_day), 0)
    assert days <= few
    assert len(days) > 6


def test_the_weeks_that_are_drawn_have_the_day_kinds_of_their_own_days() -> None:
    told: list[dict[str, Any]] = []

    def noting(*_: object, **asked: Any) -> Threshold:
        told.append(asked)
        return Threshold(9.0, 1.0, 1.0)

    e = engine()
    e.watch.calibrate = noting
    feed(e, history(1, days=460))
    asked = told[0]
    first, longest = asked["first_day"], max(asked["windows"])
    np.testing.assert_array_equal(asked["kinds"], e.watch.kinds_of(first - longest, first + WEEKS * 7 - 1))
    assert asked["kinds"].any(), "some of these days begin a month"


def test_a_window_counts_what_has_been_recorded_by_its_last_day() -> None:
    mondays = (1, 0, 0, 0, 0, 0, 0)
    at_once = drawn(EVERYWHERE, weekdays=mondays, windows=(1, 2, 3))
    assert [weekdays_of(at_once, w) for w in range(3)] == [{0}, {0, 1}, {0, 1, 2}]
    late = drawn(EVERYWHERE, weekdays=mondays, windows=(2, 3, 5), shares=[0, 0, 1])  # all of it two days later
    assert [weekdays_of(late, w) for w in range(3)] == [set(), {2}, {2, 3, 4}]


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
    realised = alerts_a_week(1.0, range(100, 106))
    assert 0.5 < realised / 0.94 < 1.35


def test_of_the_weeks_that_were_drawn_chance_alone_raises_about_as_many_alerts_as_the_budget_says() -> None:
    asked = quiet(EVERYWHERE, shares=SLOWLY)
    signals = draw_signals(**asked).signals
    for budget in (1.5, 1.0, 0.75):
        found = calibrate(**asked, false_alarms_per_week=budget)
        assert found.false_alarms_per_week == budget
        assert alerts_at(signals, found.score) == pytest.approx(budget * WEEKS, rel=0.25)


@pytest.mark.parametrize("budget", [0.0, -1.0, np.nan])
def test_a_budget_of_nothing_is_refused(budget: float) -> None:
    words = rf"^a false-alarm budget of {budget} alerts a week cannot be met; give more than 0$"
    with pytest.raises(ValueError, match=words):
        calibrate(**quiet(EVERYWHERE), false_alarms_per_week=budget)
