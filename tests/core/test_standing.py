"""Where a goal stands is said only when the interval allows it, over the same weeks of the year, without a projection."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.action_plan import Evidence, Goal, Promise
from earlywarning.core.calendar import day_number
from earlywarning.core.dispersion import mean_interval, ratio_interval
from earlywarning.core.standing import Daily, Kept, Standing, _verdict, kept, settling_days, standing

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


# ---- figures to the digit -----------------------------------------------------------------------------------------------

NEW_YEAR = day_number(date(2024, 1, 1))


def steady(before: float, after: float, days: int = END - BEGIN + 1) -> Daily:
    """The same number every day of 2023, and another every day after."""
    return Daily(BEGIN, np.where(np.arange(days) < 365, before, after))


def test_what_is_held_of_some_days() -> None:
    held = Daily(10, np.arange(20))
    assert held.between(12, 15).tolist() == [2, 3, 4, 5]
    assert held.between(5, 12).tolist() == [0, 1, 2]
    assert held.between(10, 10).tolist() == [0]
    assert held.between(0, 9).tolist() == []
    weeks = held.weekly(25)  # sixteen days
    assert weeks.tolist() == [sum(range(2, 9)), sum(range(9, 16))]
    assert weeks.dtype == np.float64
    assert held.weekly(23).tolist() == [sum(range(7)), sum(range(7, 14))]


@pytest.mark.parametrize(
    ("lags", "wait"),
    [([3] * 29, 8), ([3] * 30, 3), ([0] * 98 + [5] * 2, 5), ([0] * 99 + [5], 0), ([80] * 40, 56), ([55] * 40, 55)],
)
def test_days_until_a_day_is_complete(lags: list[int], wait: int) -> None:
    assert settling_days(np.array(lags), 8) == wait


@pytest.mark.parametrize(("direction", "change"), [("fewer", -0.2), ("more", 0.2)])
def test_every_figure_of_a_quarter(direction: str, change: float) -> None:
    through = day_number(date(2024, 3, 31))
    told = standing(_goal(change=change, direction=direction), steady(4.0, 3.0), through)
    assert (told.events, told.days, told.through, told.baseline) == (273.0, 91, date(2024, 3, 31), 364.0)
    assert (told.ratio, told.goal_ratio) == pytest.approx((0.75, 1 + change))
    assert (told.goal_count, told.goal_so_far) == pytest.approx((366 * 4 * (1 + change), 364 * (1 + change)))
    assert (told.season_matched, told.finished, told.met, told.dispersion) == (True, False, None, 1.0)
    sign = -1 if direction == "fewer" else 1
    assert told.visible == pytest.approx(np.exp(sign * (1.645 + 0.842) * np.sqrt(2 / 364)))
    assert (told.low, told.high) == pytest.approx(ratio_interval(273.0, 364.0, 1.0, 1.0))
    assert (told.count_low, told.count_high) == pytest.approx(mean_interval(273.0, 1.0))


def test_a_level_of_ones_own_gives_intervals_of_that_level() -> None:
    wide, usual = (standing(_goal(), steady(4.0, 3.0), END, level=level) for level in (0.99, 0.9))
    assert (wide.low, wide.high) == pytest.approx(ratio_interval(wide.events, 366 * 4.0, 1.0, wide.dispersion, 0.99))
    assert (wide.count_low, wide.count_high) == pytest.approx(mean_interval(wide.events, wide.dispersion, 0.99))
    assert wide.high > usual.high


def test_before_its_first_day_a_goal_has_its_count_and_nothing_else() -> None:
    told = standing(_goal(), steady(4.0, 3.0), day_number(date(2023, 12, 20)))
    nothing = [told.baseline, told.ratio, told.low, told.high, told.count_low, told.count_high, told.goal_ratio, told.visible]
    assert np.isnan([*nothing, told.goal_so_far]).all()
    assert (told.verdict, told.why, told.events, told.days) == ("cannot-be-said", "not-begun", 0.0, 0)
    assert (told.through, told.goal_count) == (date(2023, 12, 20), pytest.approx(366 * 4 * 0.8))
    assert (told.season_matched, told.finished, told.met, told.dispersion) == (False, False, None, 1.0)


def test_without_history_what_is_counted_is_told() -> None:
    told = standing(_goal(baseline_first=date(2022, 1, 1)), steady(4.0, 3.0), day_number(date(2024, 1, 10)))
    assert (told.why, told.events, told.days, told.through) == ("no-history", 30.0, 10, date(2024, 1, 10))
    assert np.isnan([told.baseline, told.goal_count, told.visible]).all()
    assert (told.season_matched, told.finished, told.met) == (False, False, None)


def test_the_goal_so_far_goes_by_the_season_and_where_there_is_none_by_the_days() -> None:
    through = day_number(date(2024, 3, 31))
    told = standing(_goal(count=5.0), steady(0.0, 1.0), through)
    assert (told.why, told.goal_so_far) == ("too-few-events", pytest.approx(5 * 91 / 366))
    one = steady(0.0, 1.0)
    one.counts[40] = 1.0  # the only one of the year before, in its first quarter
    told = standing(_goal(count=5.0), one, through)
    assert (told.baseline, told.goal_so_far, told.met) == (1.0, 5.0, None)


@pytest.mark.parametrize(
    ("goal", "after", "met"),
    [
        ({"count": 366.0}, 1.0, True), ({"count": 365.0}, 1.0, False), ({"count": 366.0, "direction": "more"}, 1.0, True),
        ({"count": 367.0, "direction": "more"}, 1.0, False), ({"count": 365.0, "direction": "more"}, 1.0, True),
    ],
)  # fmt: skip
def test_a_goal_is_met_by_the_count_itself_once_the_period_is_over(goal: dict[str, object], after: float, met: bool) -> None:
    assert standing(_goal(**goal), steady(2.0, after), END).met is met
    assert standing(_goal(**goal), steady(2.0, after), END - 1).met is None


def test_ten_events_in_the_baseline_and_four_weeks_of_the_target_are_enough() -> None:
    for events, why in ((10, ""), (9, "too-few-events")):
        counts = Daily(BEGIN, np.zeros(END - BEGIN + 1))
        counts.counts[5 : 5 + events] = 1.0
        assert (standing(_goal(), counts, END).why == "too-few-events") is (why == "too-few-events")
    for days, early in ((28, False), (27, True)):
        assert (standing(_goal(), steady(4.0, 3.0), NEW_YEAR + days - 1).why == "too-early") is early
    for days, early in ((10, False), (9, True)):  # a target of ten days
        short = _goal(target_last=date(2024, 1, 10))
        assert (standing(short, steady(4.0, 3.0), NEW_YEAR + days - 1).why == "too-early") is early


def test_a_baseline_of_other_days_is_scaled_by_its_length() -> None:
    half = standing(_goal(baseline_last=date(2023, 6, 30)), steady(4.0, 3.0), END)
    assert (half.season_matched, half.baseline, half.goal_count) == (False, 366 * 4.0, pytest.approx(366 * 4 * 0.8))
    day = standing(_goal(baseline_first=date(2023, 3, 3), baseline_last=date(2023, 3, 3)), steady(12.0, 3.0), END)
    assert day.baseline == 366 * 12.0


def test_the_season_is_matched_when_the_baseline_holds_each_day_a_whole_number_of_years_back() -> None:
    first, last = date(2024, 4, 1), date(2024, 4, 30)
    back = [d - timedelta(days=364) for d in (first, last)]
    one = timedelta(days=1)
    for begins, ends, matched in (
        (back[0], back[1], True), (back[0] + one, back[1], False), (back[0], back[1] - one, False),
    ):  # fmt: skip
        goal = _goal(baseline_first=begins, baseline_last=ends, target_first=first, target_last=last)
        assert standing(goal, steady(4.0, 3.0), END).season_matched is matched


def test_of_several_years_each_counts_once() -> None:
    """Three a day in the newest year of the baseline, one in the year before it."""
    counts = Daily(BEGIN - 364, np.where(np.arange(END - BEGIN + 365) < 364, 1.0, 3.0))
    told = standing(_goal(baseline_first=date(2022, 1, 2)), counts, day_number(date(2024, 3, 31)))
    assert told.baseline == 2 * 91
    assert (told.ratio, told.high) == pytest.approx((1.5, ratio_interval(273.0, 4 * 91.0, 0.5, told.dispersion)[1]))


@pytest.mark.parametrize(
    ("direction", "low", "high", "finished", "said"),
    [  # a goal at 0.8 or 1.2 of the baseline
        ("fewer", 0.6, 0.8, True, ("reached", "")), ("fewer", 0.6, 0.81, True, ("on-the-way", "moving")),
        ("fewer", 0.6, 0.8, False, ("on-the-way", "so-far")), ("fewer", 0.7, 1.0, True, ("cannot-be-said", "wide")),
        ("fewer", 0.8, 1.0, True, ("cannot-be-said", "wide")), ("fewer", 0.81, 1.0, True, ("not-seen", "")),
        ("fewer", 0.81, 0.99, True, ("not-seen", "moved")), ("fewer", 0.81, 0.99, False, ("on-the-way", "moving-short")),
        ("fewer", 0.8, 0.99, True, ("on-the-way", "moving")),
        ("more", 1.2, 1.5, True, ("reached", "")), ("more", 1.19, 1.5, True, ("on-the-way", "moving")),
        ("more", 1.0, 1.5, True, ("cannot-be-said", "wide")), ("more", 1.0, 1.19, True, ("not-seen", "")),
        ("more", 1.0, 1.2, True, ("cannot-be-said", "wide")), ("more", 1.01, 1.19, True, ("not-seen", "moved")),
        ("more", 1.01, 1.2, True, ("on-the-way", "moving")),
    ],
)  # fmt: skip
def test_what_an_interval_says_of_a_goal(direction: str, low: float, high: float, finished: bool, said: tuple[str, str]) -> None:
    at = 0.8 if direction == "fewer" else 1.2
    told = standing(_goal(), steady(4.0, 3.0), END)._replace(low=low, high=high, finished=finished, goal_ratio=at)
    assert _verdict(_goal(change=at - 1, direction=direction), told) == said


def test_a_rate_of_nothing_is_a_count_of_nothing() -> None:
    assert standing(_goal(rate=0.0), steady(4.0, 3.0), END, residents=1000.0).goal_count == 0.0


def test_a_promise_names_what_it_rests_on_and_lasts_through_its_last_day() -> None:
    assert kept(_promise(None, 1, 2), date(2024, 7, 1)) == Kept("shown", 3, None, 2)
    assert kept(_promise(4, 2, 1), date(2024, 6, 30)) == Kept("under-way", 3, 4, 2)
    assert kept(_promise(4, 2, 1), date(2024, 7, 1)) == Kept("not-kept", 3, 4, 2)
