"""Where a goal stands is said only when the interval allows it, over the same weeks of the year, without a projection."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.action_plan import Evidence, Goal, Promise
from earlywarning.core.calendar import day_number
from earlywarning.core.standing import Daily, Standing, kept, settling_days, standing

BEGIN, END = day_number(date(2023, 1, 1)), day_number(date(2024, 12, 31))


def _goal(**given: object) -> Goal:
    fields: dict[str, object] = {
        "baseline_first": date(2023, 1, 1), "baseline_last": date(2023, 12, 31), "target_first": date(2024, 1, 1),
        "target_last": date(2024, 12, 31),
    }  # fmt: skip
    if not {"change", "count", "rate"} & set(given):
        fields["change"] = -0.2
    return Goal(**{**fields, **given})  # type: ignore[arg-type]


def _counts(before: float, after: float, seed: int = 1, days: int = END - BEGIN + 1) -> Daily:
    rng = np.random.default_rng(seed)
    rate = np.where(np.arange(days) < 365, before, after)
    return Daily(BEGIN, rng.poisson(rate).astype(float))


@pytest.mark.parametrize(
    ("before", "after", "goal", "through", "verdict", "why"),
    [
        (3.0, 1.5, {}, END, "reached", ""),
        (3.0, 1.5, {}, END - 120, "on-the-way", "so-far"),
        (3.0, 2.55, {}, END - 90, "on-the-way", "moving"),
        (6.0, 5.4, {"change": -0.3}, END - 30, "on-the-way", "moving-short"),
        (6.0, 5.4, {"change": -0.3}, END, "not-seen", "moved"),
        (3.0, 3.1, {}, END, "not-seen", ""),
        (0.2, 0.18, {}, END, "cannot-be-said", "wide"),
        (3.0, 1.0, {}, day_number(date(2024, 1, 20)), "cannot-be-said", "too-early"),
        (3.0, 1.0, {}, day_number(date(2023, 12, 20)), "cannot-be-said", "not-begun"),
        (0.01, 0.01, {}, END, "cannot-be-said", "too-few-events"),
        (3.0, 3.0, {"baseline_first": date(2022, 1, 1)}, END, "cannot-be-said", "no-history"),
        (3.0, 1.5, {"count": 700.0}, END, "reached", ""),
        (3.0, 3.2, {"count": 700.0}, END, "not-seen", ""),
        (3.0, 6.0, {"change": 0.5, "direction": "more"}, END, "reached", ""),
        (3.0, 2.9, {"change": 0.5, "direction": "more"}, END, "not-seen", ""),
    ],
)
def test_verdicts(before: float, after: float, goal: dict[str, object], through: int, verdict: str, why: str) -> None:
    told = standing(_goal(**goal), _counts(before, after), through)
    assert (told.verdict, told.why) == (verdict, why)
    assert told.finished == (through >= END)


def test_a_rate_is_a_count_for_these_residents_over_these_days() -> None:
    told = standing(_goal(rate=10.0), _counts(3.0, 2.0), END, residents=50_000.0)
    assert told.goal_count == pytest.approx(10 * 50 * 366 / 365.25)
    assert told.met is False


def test_half_a_year_is_compared_with_the_same_weeks_and_the_goal_has_their_share() -> None:
    """Summer has thrice the events: half a year of summer must not look like a rise."""
    days = np.arange(END - BEGIN + 1)
    summer = np.where((days % 364 > 150) & (days % 364 < 240), 6.0, 2.0)
    counts = Daily(BEGIN, np.random.default_rng(3).poisson(summer).astype(float))
    through = day_number(date(2024, 8, 20))
    told = standing(_goal(count=float(summer[:365].sum())), counts, through)
    assert told.season_matched
    assert 0.9 < told.ratio < 1.1
    assert told.goal_so_far == pytest.approx(float(summer[: through - day_number(date(2024, 1, 1)) + 1].sum()), rel=0.08)
    assert told.goal_so_far > told.goal_count * told.days / 366 * 1.1


def test_a_baseline_without_the_same_season_says_so() -> None:
    told = standing(_goal(baseline_last=date(2023, 6, 30)), _counts(2.0, 2.0), END)
    assert not told.season_matched
    assert 0.85 < told.ratio < 1.15


def test_two_years_of_baseline_are_both_used() -> None:
    counts = Daily(BEGIN - 364, np.random.default_rng(2).poisson(2.0, END - BEGIN + 365).astype(float))
    one = standing(_goal(), counts, END)
    two = standing(_goal(baseline_first=date(2022, 1, 2)), counts, END)
    assert two.high - two.low < one.high - one.low


def test_days_after_the_last_complete_one_do_not_count() -> None:
    counts = _counts(2.0, 2.0)
    cut = counts.counts.copy()
    cut[-10:] = 0  # not recorded yet
    through = END - 10
    assert standing(_goal(), Daily(BEGIN, cut), through) == standing(_goal(), counts, through)


def test_nothing_is_claimed_where_nothing_changed() -> None:
    told = [standing(_goal(), _counts(1.0, 1.0, seed), END) for seed in range(200)]
    assert sum(t.verdict in ("reached", "on-the-way") for t in told) <= 18  # 5 % by chance, doubled by luck
    assert np.mean([t.low <= 1 <= t.high for t in told]) >= 0.86


def test_overdispersed_counts_get_wider_intervals() -> None:
    rng = np.random.default_rng(8)
    bursts = Daily(BEGIN, 4.0 * rng.poisson(0.5, END - BEGIN + 1))
    told, plain = standing(_goal(), bursts, END), standing(_goal(), _counts(2.0, 2.0), END)
    assert told.dispersion > 3
    assert np.log(told.high / told.low) > 1.5 * np.log(plain.high / plain.low)


def test_a_change_that_came_is_not_taken_for_restlessness() -> None:
    assert standing(_goal(), _counts(4.0, 1.0), END).dispersion < 1.4


@given(st.lists(st.integers(0, 80), max_size=200), st.integers(0, 30))
def test_a_day_is_complete_when_nearly_all_of_it_is_recorded(lags: list[int], otherwise: int) -> None:
    wait = settling_days(np.array(lags, dtype=np.int64), otherwise)
    if len(lags) < 30:
        assert wait == otherwise
    else:
        assert wait == 56 or np.mean(np.array(lags) <= wait) >= 0.98


def _promise(activities: int | None, *done: int) -> Promise:
    shown = tuple(Evidence(on=date(2024, 3, 1 + i), text_sv="vandring", count=n) for i, n in enumerate(done))
    return Promise(
        code="P", text_sv="vi går", first_day=date(2024, 1, 1), last_day=date(2024, 6, 30), responsible="kommunen",
        activities=activities, evidence=shown,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("promise", "on", "state", "done"),
    [
        (_promise(4, 2, 2), date(2024, 5, 1), "kept", 4),
        (_promise(4, 2, 1), date(2024, 5, 1), "under-way", 3),
        (_promise(4, 2, 2), date(2024, 3, 1), "under-way", 2),
        (_promise(4, 2), date(2024, 7, 1), "not-kept", 2),
        (_promise(None, 0), date(2024, 7, 1), "shown", 0),
        (_promise(None), date(2024, 7, 1), "nothing-shown", 0),
    ],
)
def test_promises_are_kept_by_what_is_shown(promise: Promise, on: date, state: str, done: int) -> None:
    found = kept(promise, on)
    assert (found.state, found.done) == (state, done)


def test_figures_are_nan_not_wrong_where_nothing_is_known() -> None:
    told: Standing = standing(_goal(), Daily(0, np.empty(0)), END)
    assert told.why == "no-history"
    assert np.isnan(told.ratio)
