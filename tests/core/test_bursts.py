"""Bursts in a history without chance, so that every figure and every limit can be told to the digit."""

import numpy as np
import pytest

from earlywarning.core.detectors.bookings import SPREAD, Artefact, Bookings, Found
from earlywarning.core.detectors.bursts import find_bursts
from earlywarning.core.detectors.negative_binomial import tail_probability

DAY = 20_000
KNOWN = 364
Row = tuple[int, int, int, int, int]  # source, area, category, day, hour of recording


def usual(each: int = 1, areas: int = 4, days: int = KNOWN, source: int = 3, upto: int = DAY) -> list[Row]:
    """So many events of category 1 a day in each area, at another hour each day."""
    return [
        (source, area, 1, day, (7 * day + area) % 24)
        for day in range(upto - days, upto + 1) for area in range(1, areas + 1) for _ in range(each)
    ]  # fmt: skip


def go(n: int, area: int = 1, category: int = 1, source: int = 3, day: int = DAY, hour: int = 10) -> list[Row]:
    """n items of one hour."""
    return [(source, area, category, day, hour)] * n


def bookings(*parts: list[Row]) -> Bookings:
    """Reports, recorded on the day on which they arrived and happened, in the order of arrival."""
    rows = sorted((row for part in parts for row in part), key=lambda r: r[3])
    source, area, category, day, hour = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
    return Bookings(np.ones_like(day), source, area, category, day, day, hour, day * 24 + hour, day)


def found(*parts: list[Row], first: int = DAY, last: int = DAY) -> Found:
    return find_bursts(bookings(*parts), first, last)


def test_a_burst_is_told_with_all_its_figures() -> None:
    got = found(usual(), go(40))
    chance = float(tail_probability(41, 1.0, SPREAD))
    # One a day is usual, and one came that day anyway; of what the sender filed, 41 of 44.
    assert got.artefacts == (Artefact("burst", "counted once", 1, 3, 1, 1, DAY, DAY, 41, 1.0, 41 / 44, chance),)
    assert got.left_out.sum() == 40


def test_what_is_seldom_is_expected_once_a_year() -> None:
    (burst,) = found(usual(), go(40, category=2)).artefacts
    assert (burst.category, burst.events, burst.expected) == (2, 40, pytest.approx(1 / 364))


def test_a_day_on_which_the_category_rises_elsewhere_raises_what_is_expected_here() -> None:
    (burst,) = found(usual(), go(60), go(4, area=2, hour=3)).artefacts
    assert burst.expected == pytest.approx((7 + 1) / (3 + 1))
    (calm,) = found([row for row in usual() if row[1] == 1 or row[3] < DAY], go(60)).artefacts  # nothing elsewhere that day
    assert calm.expected == 1.0
    assert found(usual(), go(60), go(4, area=2, category=2, hour=3)).artefacts[0].expected == 1.0  # of another category


@pytest.mark.parametrize(("n", "there"), [(19, True), (18, False)])
def test_twenty_items_are_the_least(n: int, there: bool) -> None:
    assert bool(found(usual(), go(n)).artefacts) is there


@pytest.mark.parametrize(("n", "there"), [(29, True), (28, False)])
def test_eight_times_the_usual_is_the_least(n: int, there: bool) -> None:
    """Four a day are usual, and four came that day anyway."""
    day = [(3, 1, 1, DAY, 10)] * 3
    rows = [row for row in usual(each=4) if not (row[3] == DAY and row[1] == 1)]
    assert bool(found(rows, day, go(n)).artefacts) is there


def test_what_chance_gives_now_and_then_is_no_burst() -> None:
    """Of three a day eight times as many still come by chance once in 200,000 cells and days."""
    rows = [row for row in usual(each=3) if not (row[3] == DAY and row[1] == 1)]
    least = next(n for n in range(24, 60) if tail_probability(n, 3.0, SPREAD) < 1e-6)
    assert least > 24
    assert found(rows, go(least)).artefacts
    assert not found(rows, go(least - 1)).artefacts


@pytest.mark.parametrize(("elsewhere", "there"), [(13, True), (14, False)])
def test_what_the_same_category_does_elsewhere_is_matched_by_a_third_of_it(elsewhere: int, there: bool) -> None:
    """Forty here where one is usual, against 13 and 14 more elsewhere than the usual three: weather comes to many areas."""
    assert bool(found(usual(), go(39), go(elsewhere, area=2, hour=3)).artefacts) is there


@pytest.mark.parametrize(("together", "there"), [(20, True), (19, False)])
def test_half_of_it_is_filed_within_two_neighbouring_hours(together: int, there: bool) -> None:
    rows = [row for row in usual() if not (row[3] == DAY and row[1] == 1)]
    apart = [(3, 1, 1, DAY, hour) for hour in range(0, 24, 3) if hour != 12 for _ in range(3)][: 40 - together]
    half = together // 2
    assert len(apart) == 40 - together
    assert bool(found(rows, go(half, hour=12), go(together - half, hour=13), apart).artefacts) is there


def test_of_a_sender_with_one_area_the_hours_must_say_it() -> None:
    alone = [row for row in usual(areas=1) if row[3] < DAY]
    assert found(alone, go(36, hour=10), go(4, hour=20)).artefacts  # nine in ten in one go
    assert not found(alone, go(35, hour=10), go(5, hour=20)).artefacts
    one_hour = [(s, a, c, d, 9) for s, a, c, d, _ in alone]  # whose every day is recorded at nine
    assert not found(one_hour, go(40, hour=10)).artefacts
    # With other areas the hour of recording need say nothing.
    assert found([(s, a, c, d, 9) for s, a, c, d, _ in usual()], go(40, hour=10)).artefacts


def test_half_of_the_rows_in_one_area_still_leaves_an_elsewhere_and_half_in_one_hour_still_says_something() -> None:
    two = [row for row in usual(areas=2) if row[3] < DAY]
    at_nine = [(s, a, c, d, 9) for s, a, c, d, _ in two]
    assert found(at_nine, go(40)).artefacts
    assert not found(at_nine, go(40), [(3, 1, 2, DAY - 9, 9)]).artefacts  # one more in the area: more than half
    alone = [row for row in usual(areas=1) if row[3] < DAY]
    even = [(s, a, c, d, 9 if d % 2 else (d // 2) % 24 if (d // 2) % 24 != 9 else 8) for s, a, c, d, _ in alone]
    assert found(even, go(40)).artefacts
    assert not found(even, go(40), [(3, 1, 2, DAY - 9, 9)]).artefacts


def test_a_sender_is_known_after_eight_weeks() -> None:
    for days, there in ((56, True), (55, False)):
        assert bool(found(usual(days=days), go(40)).artefacts) is there


def test_only_the_days_that_are_asked_for_are_judged() -> None:
    rows = (usual(upto=DAY + 2), go(40))
    for first, last, there in ((DAY, DAY, True), (DAY - 3, DAY + 2, True), (DAY + 1, DAY + 2, False), (DAY - 9, DAY - 1, False)):
        got = found(*rows, first=first, last=last)
        assert bool(got.artefacts) is there
        assert got.left_out.any() == there


def test_rows_that_are_set_aside_are_not_asked_and_are_part_of_the_usual() -> None:
    rows = bookings(usual(), go(40))
    burst = (rows.arrived == DAY) & (rows.area == 1)
    assert find_bursts(rows, DAY, DAY, burst).artefacts == ()
    before = rows.arrived < DAY
    (one,) = find_bursts(rows, DAY, DAY, before).artefacts
    assert one.expected == 1.0


def test_what_else_is_filed_about_the_area_that_day_belongs_to_the_round_and_nothing_else_does() -> None:
    """One more of another category there; others of another sender there, of the sender elsewhere, and of the day before."""
    others = [(3, 1, 2, DAY, 15), (4, 1, 1, DAY, 10), (3, 2, 1, DAY, 10), (3, 1, 1, DAY - 1, 10)]
    rows = bookings(usual(), usual(source=4), go(40), others)
    out = find_bursts(rows, DAY, DAY).left_out
    round_of = (rows.source == 3) & (rows.area == 1) & (rows.arrived == DAY)
    assert not out[~round_of].any()
    assert (round_of & ~out).sum() == 1


def test_of_a_round_the_earliest_item_counts() -> None:
    rows = bookings(usual(), go(40, hour=10))
    at = np.flatnonzero((rows.area == 1) & (rows.arrived == DAY))
    last_day, day, recorded = rows.last_day.copy(), rows.day.copy(), rows.recorded.copy()
    day[at[[5, 6, 7]]] -= 1
    last_day[at[[6, 7]]] -= 1
    recorded[at[7]] -= 1
    out = find_bursts(rows._replace(day=day, last_day=last_day, recorded=recorded), DAY, DAY).left_out
    assert np.flatnonzero(~out[at]).tolist() == [7]


def test_many_that_are_no_burst_do_not_hide_one_that_follows() -> None:
    """In area 1 over the whole day, in area 2 in one go: the same many, so that neither is matched by the other."""
    spread = [(3, 1, 1, DAY, hour) for hour in range(24) for _ in range(1)]
    got = found(usual(), spread, go(100, area=2), first=DAY, last=DAY)
    assert [a.area for a in got.artefacts] == [2]
    two = found(usual(), go(40, category=2), go(40, area=3, category=3))
    assert sorted((a.area, a.category) for a in two.artefacts) == [(1, 2), (3, 3)]


def test_each_sender_has_its_own_usual_and_its_own_round() -> None:
    """Another one sends thirty a day from the same place: its usual is not this one's, nor are its items part of the round."""
    busy = usual(each=30, source=4)
    (burst,) = found(usual(), busy, go(40)).artefacts
    assert (burst.kind, burst.source, burst.expected, burst.events) == (1, 3, 1.0, 41)
    assert not found(usual(), usual(source=4), go(15), go(15, source=4)).artefacts  # each sixteen, and neither twenty
    (other,) = found(usual(), usual(source=4), go(40, source=4)).artefacts
    assert (other.kind, other.source) == (1, 4)
    # Whether an area has most of a sender's rows is asked of that sender alone.
    alone = [(s, a, c, d, 9) for s, a, c, d, _ in usual(areas=1) if d < DAY]
    assert not found(alone, busy, go(40, hour=10)).artefacts


def test_what_is_usual_is_taken_off_before_it_is_held_against_elsewhere() -> None:
    """Two here are usual, and came that day: 121 are 119 more, and forty more elsewhere want 120."""
    assert not found(usual(each=2), go(119), go(40, area=2, hour=3)).artefacts
    assert found(usual(each=2), go(120), go(40, area=2, hour=3)).artefacts


def test_what_is_likely_by_number_and_not_in_one_go_hides_nothing_that_follows() -> None:
    all_day = [(3, 1, 2, DAY, hour) for hour in range(24) for _ in range(4)]
    assert [(a.area, a.category) for a in found(usual(), all_day, go(40, area=2, category=3)).artefacts] == [(2, 3)]


def test_a_day_of_twenty_items_and_nothing_else_is_judged() -> None:
    assert found([row for row in usual() if row[3] < DAY], go(20)).artefacts
    assert not found([row for row in usual() if row[3] < DAY], go(19)).artefacts


@pytest.mark.parametrize("hour", [0, 9, 17, 23])
def test_whatever_the_hour_is_at_which_all_is_recorded_it_says_nothing(hour: int) -> None:
    alone = [(s, a, c, d, hour) for s, a, c, d, _ in usual(areas=1) if d < DAY]
    assert not found(alone, go(40, hour=10)).artefacts
