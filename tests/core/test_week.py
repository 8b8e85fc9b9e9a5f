"""What is listed as a change is one, with its interval; what is as usual is left in peace."""

import numpy as np
import pytest
from numpy.typing import NDArray

from earlywarning.core.arrivals import Arrivals
from earlywarning.core.categories import ancestor_table
from earlywarning.core.counts import SeriesSpace
from earlywarning.core.scope import Scope
from earlywarning.core.week import WINDOWS, Compared, WeekSettings, compare
from earlywarning.core.week_counts import WeekCounts

AREAS, GROUPS = 12, 3
SUNDAY = 20_000 - 20_000 % 7 + 3  # 1970-01-01 was a Thursday


def town(
    seed: int, rate: float = 0.6, days: int = 1100, change: dict[tuple[int, int], float] | None = None, weeks: int = 1
) -> WeekCounts:
    """Poisson counts of one kind, leaf areas by leaf categories, added up; some of them changed in the last weeks."""
    rng = np.random.default_rng(seed)
    area_tree = ancestor_table([-1, *[0] * AREAS])
    category_tree = ancestor_table([-1, *[0] * GROUPS])
    mean = np.full((days, AREAS, GROUPS), rate)
    for (area, group), ratio in (change or {}).items():
        mean[-7 * weeks :, area, group] *= ratio
    leaves = rng.poisson(mean)
    counts = np.zeros((days, 2, AREAS + 1, GROUPS + 1), dtype=np.float32)
    counts[:, 0, 1:, 1:] = leaves
    counts[:, 0, 0, 1:], counts[:, 0, 1:, 0] = leaves.sum(1), leaves.sum(2)
    counts[:, 0, 0, 0] = leaves.sum((1, 2))
    arrivals = Arrivals(category_tree.astype(np.int64))
    events = np.ones(500, dtype=np.int64)
    arrivals.add(SUNDAY - 60, 0 * events, events, 0 * events, 0 * events)
    arrivals.begin_day(SUNDAY - 59)
    space = SeriesSpace(area_tree, category_tree)
    return WeekCounts(space, SUNDAY - days + 1, SUNDAY, SUNDAY + 30, counts, np.zeros(counts.shape[1:]), arrivals, ())


def scope(known: WeekCounts) -> Scope:
    return Scope(known.space, ((),) * known.space.areas, np.ones(known.space.categories))


def judged(known: WeekCounts) -> Compared:
    found = compare(known, scope(known))
    assert found is not None
    return found


def at(c: Compared, area: int, category: int, window: int = 7) -> int:
    return int(np.flatnonzero((c.area == area) & (c.category == category) & (c.window == window))[0])


def test_where_nothing_changes_next_to_nothing_is_listed() -> None:
    listed = [int((judged(town(seed)).way != 0).sum()) for seed in range(12)]
    assert sum(n > 0 for n in listed) <= 5  # a family of six has a chance of 0.1 each, and is listed together


def test_a_rise_is_listed_in_its_place_with_a_true_interval() -> None:
    c = judged(town(3, change={(4, 1): 5.0}))
    i = at(c, 5, 2)
    assert c.way[i] == 1
    assert c.low[i] > 1
    assert c.low[i] < 5 < c.high[i] * 1.3
    assert np.isnan(c.low[at(c, 1, 1)])


def test_a_fall_is_listed_too() -> None:
    c = judged(town(4, rate=3.0, change={(2, 0): 0.05}))
    assert c.way[at(c, 3, 1)] == -1
    assert c.high[at(c, 3, 1)] < 1


def test_an_interval_leaves_out_no_change_exactly_where_it_is_listed() -> None:
    for seed in range(6):
        c = judged(town(seed, change={(1, 1): 4.0, (7, 2): 0.1}))
        listed = c.way != 0
        assert ((c.low[listed] > 1) | (c.high[listed] < 1)).all()
        assert (c.tested[listed]).all()


def test_a_sum_that_only_repeats_its_part_is_not_told_again() -> None:
    c = judged(town(5, change={(4, 1): 9.0}))
    told = (c.way != 0) & ~c.part & (c.window == 7)
    assert told.sum() == 1
    assert c.category[told][0] == 2


def test_four_weeks_see_what_one_week_cannot() -> None:
    c = judged(town(6, change={(4, 1): 2.6}, weeks=4))
    assert c.way[at(c, 5, 2, 28)] == 1
    assert c.way[at(c, 5, 2, 7)] == 0


def test_the_smallest_rise_told_is_seen_about_four_times_in_five() -> None:
    base = judged(town(0))
    i = at(base, 5, 2)
    ratio = float(base.seen_from[i] / base.expected[i])
    seen = sum(c.way[at(c, 5, 2)] == 1 for c in (judged(town(100 + s, change={(4, 1): ratio})) for s in range(25)))
    assert 14 <= seen <= 25


def test_the_usual_range_holds_nine_in_ten() -> None:
    inside: list[NDArray[np.bool_]] = []
    for seed in range(8):
        c = judged(town(seed))
        leaf = (c.area > 0) & (c.category > 0)
        inside.append((c.observed >= c.usual_low)[leaf] & (c.observed <= c.usual_high)[leaf])
    share = np.concatenate(inside).mean()
    assert 0.86 <= share <= 0.98


def test_what_is_usually_late_is_not_taken_for_a_fall() -> None:
    known = town(7, rate=4.0)
    arrivals = Arrivals(known.space.category_ancestors)
    n = np.ones(2000, dtype=np.int64)
    lag = np.random.default_rng(1).geometric(0.25, 2000) - 1
    arrivals.add(SUNDAY - 60, 0 * n, n, lag, 0 * n)
    arrivals.begin_day(SUNDAY - 59)
    thinned = known.counts.copy()
    for back in range(7):  # of each day only what has come in by Sunday evening
        thinned[-1 - back] = np.round(thinned[-1 - back] * (lag <= back).mean())
    whole = compare(WeekCounts(**{**vars(known), "counts": thinned, "known_day": SUNDAY, "arrivals": arrivals}), scope(known))
    assert whole is not None
    i = at(whole, 0, 0)
    assert whole.share[i] == pytest.approx(np.mean([(lag <= b).mean() for b in range(7)]), abs=0.05)
    assert whole.way[i] == 0


def test_without_a_year_of_history_nothing_is_compared() -> None:
    known = town(8, days=200)
    assert compare(known, scope(known)) is None
    assert compare(known, scope(known), WeekSettings(min_days=20 * 7)) is not None


def test_nothing_in_the_history_gives_nothing_to_compare() -> None:
    known = town(9, rate=0.0)
    assert compare(known, scope(known)) is None
    assert WINDOWS == (7, 28)
