"""Laws of artefacts: what is booked in heaps, bursts, backlogs and at a changed place is recognised, and nothing else is."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.calendar import dates_of
from earlywarning.core.detectors.artefacts import (
    Bookings,
    find_artefacts,
    find_heaps,
    find_place_coding,
)
from earlywarning.core.detectors.place_coding import NEW, may_have_moved
from earlywarning.core.detectors.status import DetectorError
from earlywarning.core.senders import Senders

DAYS = 800
BEGIN = 18_262  # 2020-01-01


def clean(seed: int, days: int = DAYS, per_day: float = 20.0, late: float = 0.7) -> Bookings:
    """Two senders, six areas, four categories; recorded by day and night, on average `late` days after it happened."""
    rng = np.random.default_rng(seed)
    n = int(rng.poisson(per_day * days))
    day = BEGIN + np.sort(rng.integers(0, days, n))
    hour = rng.integers(0, 24, n)
    recorded = day * 24 + hour + np.ceil(rng.exponential(late * 24, n)).astype(np.int64)
    arrived = recorded // 24
    order = np.lexsort((recorded, arrived))
    source = rng.integers(0, 2, n)
    rows = Bookings(source % 2, source, rng.integers(1, 7, n), rng.integers(1, 5, n), day, day, hour, recorded, arrived)
    return rows.take(order)


def added(rows: Bookings, **columns: object) -> Bookings:
    """Some rows more, in the order of arrival. columns: numbers or arrays; `recorded` and `arrived` from them."""
    more = {name: np.atleast_1d(np.asarray(value, dtype=np.int64)) for name, value in columns.items()}
    n = max(len(v) for v in more.values())
    more = {name: np.broadcast_to(v, (n,)).copy() for name, v in more.items()}
    more.setdefault("last_day", more["day"])
    more.setdefault("arrived", more["recorded"] // 24)
    both = Bookings(*[np.concatenate([a, more[name]]) for name, a in zip(rows._fields, rows, strict=True)])
    return both.take(np.argsort(both.arrived, kind="stable"))


def round_of(rows: Bookings, day: int, n: int = 50, spread_hours: int = 1, areas: object = 3) -> Bookings:
    """n items of sender 1 about one area in one go."""
    at = (BEGIN + day) * 24 + 10 + np.arange(n) * spread_hours // n
    return added(rows, kind=1, source=1, area=areas, category=2, day=BEGIN + day, hour=10, recorded=at)


def test_clean_bookings_have_no_artefact() -> None:
    for seed in range(5):
        rows = clean(seed)
        assert find_artefacts(rows, BEGIN, BEGIN + DAYS + 30).artefacts == ()
        assert find_place_coding(rows) == ()


def test_fifty_items_of_one_reporter_are_a_burst_of_which_one_counts() -> None:
    rows = round_of(clean(1), 600)
    found = find_artefacts(rows, BEGIN, BEGIN + DAYS)
    (burst,) = found.artefacts
    assert (burst.what, burst.source, burst.area, burst.category) == ("burst", 1, 3, 2)
    assert burst.first_day == BEGIN + 600
    assert burst.events >= 50 > 10 * burst.expected
    same = (rows.source == 1) & (rows.area == 3) & (rows.category == 2) & (rows.arrived == BEGIN + 600)
    assert (same & ~found.left_out).sum() == 1


def test_what_comes_from_all_over_town_or_over_the_whole_day_is_no_burst() -> None:
    everywhere = round_of(clean(1), 600, n=120, areas=np.arange(120) % 6 + 1)
    assert find_artefacts(everywhere, BEGIN, BEGIN + DAYS).artefacts == ()
    all_day = round_of(clean(1), 600, n=40, spread_hours=13)
    assert find_artefacts(all_day, BEGIN, BEGIN + DAYS).artefacts == ()


def test_a_backlog_entered_in_one_day_is_left_out_and_says_nothing_of_lateness() -> None:
    rng = np.random.default_rng(4)
    happened = BEGIN + 600 - rng.integers(20, 60, 70)
    late = (BEGIN + 600) * 24 + 9
    rows = added(
        clean(2), kind=0, source=0, area=rng.integers(1, 7, 70), category=rng.integers(1, 5, 70), day=happened, hour=12,
        recorded=late,
    )  # fmt: skip
    found = find_artefacts(rows, BEGIN, BEGIN + DAYS)
    (backlog,) = found.artefacts
    assert (backlog.what, backlog.source, backlog.events) == ("backlog", 0, 70)
    put_in = rows.recorded - rows.day * 24 >= 20 * 24
    assert found.left_out[put_in].all()
    assert found.late[put_in].all()
    assert not found.left_out[~put_in].any()


def test_a_gap_that_is_filled_later_stays_on_its_days() -> None:
    rows = clean(3)
    gap = (rows.source == 0) & (rows.arrived > BEGIN + 500) & (rows.arrived <= BEGIN + 506)
    filled = (BEGIN + 507) * 24 + 8
    rows = rows._replace(recorded=np.where(gap, filled, rows.recorded), arrived=np.where(gap, filled // 24, rows.arrived))
    rows = rows.take(np.argsort(rows.arrived, kind="stable"))
    found = find_artefacts(rows, BEGIN, BEGIN + DAYS)
    assert {a.what for a in found.artefacts} == {"gap-filled"}
    first = found.artefacts[0]
    assert (first.first_day, first.last_day) == (BEGIN + 501, BEGIN + 506)
    assert found.late.sum() >= 20
    assert not found.left_out.any()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    day=st.integers(500, 700),
    n=st.integers(5, 60),
    back=st.integers(0, 90),
    spread=st.integers(1, 20),
)
def test_what_is_said_of_a_day_does_not_depend_on_order_nor_on_later_rows(
    seed: int, day: int, n: int, back: int, spread: int
) -> None:
    rng = np.random.default_rng(seed)
    at = (BEGIN + day) * 24 + rng.integers(0, spread, n)
    happened = BEGIN + day - rng.integers(0, back + 1, n)
    rows = added(
        clean(seed % 5), kind=1, source=1, area=rng.integers(1, 3, n), category=2, day=happened, hour=5, recorded=at
    )  # fmt: skip
    whole = find_artefacts(rows, BEGIN + day, BEGIN + day + 20)
    upto = rows.take(rows.arrived <= BEGIN + day)
    single = find_artefacts(upto, BEGIN + day, BEGIN + day)
    assert single.artefacts == tuple(a for a in whole.artefacts if a.what == "gap-filled" or a.first_day == BEGIN + day)
    assert (whole.left_out[rows.arrived <= BEGIN + day] == single.left_out).all()
    order = rng.permutation(upto.size)
    mixed = find_artefacts(upto.take(order), BEGIN + day, BEGIN + day)
    assert mixed.artefacts == single.artefacts
    assert mixed.left_out.sum() == single.left_out.sum()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), n=st.integers(0, 60), back=st.integers(0, 90), gap=st.integers(0, 8))
def test_a_day_that_holds_an_artefact_is_always_looked_at(seed: int, n: int, back: int, gap: int) -> None:
    rng = np.random.default_rng(seed)
    day = BEGIN + 700
    rows = clean(seed % 3, per_day=12.0)
    missing = (rows.source == 1) & (rows.arrived >= day - gap) & (rows.arrived < day)
    rows = rows._replace(recorded=np.where(missing, day * 24, rows.recorded), arrived=np.where(missing, day, rows.arrived))
    rows = rows.take(np.argsort(rows.arrived, kind="stable"))
    happened = day - rng.integers(0, back + 1, n)
    if n:
        rows = added(rows, kind=1, source=1, area=2, category=2, day=happened, hour=5, recorded=day * 24 + 5)
    upto = rows.take(rows.arrived <= day)
    found = find_artefacts(upto, day, day)
    filled, walked = Senders(), Senders()
    filled.fill(upto.take(upto.arrived < day), day - 1)
    for d in range(BEGIN, day):
        walked.close_day(d, upto.take(upto.arrived == d))
    today = upto.take(upto.arrived == day)
    assert filled.suspicious(day, today) or not found.artefacts
    assert filled.suspicious(day, today) == walked.suspicious(day, today)
    number = np.arange(today.size)
    assert (filled.wait(number, today, day) == walked.wait(number, today, day)).all()


def test_a_feed_that_gives_one_place_for_all_is_told_within_weeks_and_a_surge_at_one_place_is_not() -> None:
    rows = clean(5)
    moved = (rows.source == 0) & (rows.arrived >= BEGIN + 600)
    changed = rows._replace(area=np.where(moved, 4, rows.area))
    (artefact,) = find_place_coding(changed)
    assert (artefact.what, artefact.source, artefact.area) == ("place-coding", 0, 4)
    assert abs(artefact.first_day - (BEGIN + 600)) <= 1
    assert artefact.last_day <= BEGIN + 600 + NEW
    told = changed.take((changed.arrived > artefact.last_day - NEW) & (changed.arrived <= artefact.last_day))
    assert may_have_moved(told, set())
    assert not may_have_moved(told, {(0, 4)})
    surge = added(
        rows, kind=0, source=0, area=4, category=1, day=np.repeat(BEGIN + 600 + np.arange(14), 60), hour=1,
        recorded=np.repeat(BEGIN + 600 + np.arange(14), 60) * 24 + 3,
    )  # fmt: skip
    assert find_place_coding(surge) == ()


def _dates(days: int) -> tuple[np.ndarray, np.ndarray]:
    dates: list[date] = dates_of(range(BEGIN, BEGIN + days))
    first = np.array([d.day == 1 for d in dates])
    return first, np.array([d.day == 1 and d.month == 1 for d in dates])


def test_default_dates_and_hours_are_heaps_and_clean_ones_are_not() -> None:
    days = 4 * 365
    first, year = _dates(days)
    clean_ones = [find_heaps(clean(seed, days=days), first, year, BEGIN) for seed in range(8)]
    assert sum(len(c) for c in clean_ones) == 0
    rows = clean(9, days=days)
    rng = np.random.default_rng(2)
    to_first = (rows.source == 1) & (rng.random(rows.size) < 0.04)
    month = np.flatnonzero(first)
    at = BEGIN + month[np.searchsorted(month, rows.day - BEGIN, side="right") - 1]
    noon = (rows.source == 0) & (rng.random(rows.size) < 0.1)
    heaped = rows._replace(
        day=np.where(to_first, at, rows.day), last_day=np.where(to_first, at, rows.last_day), hour=np.where(noon, 12, rows.hour)
    )
    found = find_heaps(heaped, first, year, BEGIN)
    dates = [h for h in found if h.what == "date-heap"]
    assert {h.source for h in dates} == {1}
    assert {h.hour for h in found if h.what == "hour-heap"} == {12}
    assert {h.source for h in found if h.what == "hour-heap"} == {0}
    assert all(0.2 < h.share < 0.9 for h in dates)


def test_columns_that_do_not_fit_are_refused() -> None:
    rows = clean(1, days=100)
    with pytest.raises(DetectorError, match="of one length"):
        find_artefacts(rows._replace(hour=rows.hour[:-1]), BEGIN, BEGIN + 1)
    with pytest.raises(DetectorError, match="lies before day"):
        find_artefacts(rows._replace(last_day=rows.day - 1), BEGIN, BEGIN + 1)
    with pytest.raises(DetectorError, match="0 to 23"):
        find_artefacts(rows._replace(hour=rows.hour + 24), BEGIN, BEGIN + 1)
    first, year = _dates(100)
    with pytest.raises(DetectorError, match="between 0 and 1"):
        find_heaps(rows, first, year, BEGIN, level=0.0)
