"""How unusual a picture is: against the place's own past, as it was known then, and honest about chance."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.known_events import KnownEvents, Question, at_level, below, daily_counts, known_events, recorded_share
from earlywarning.core.pages import decode_page, join_pages
from earlywarning.core.roles import ROLES, suffices, visible_areas
from earlywarning.core.unusual import YEAR, reference_span, unusual, usual_range
from tests.core.town import BEGIN, engine, event, feed, history, register, tree

YEARS, WINDOW = 4, 7


def ordinary(series: int, rate: float, seed: int = 1, days: int = 1) -> tuple[np.ndarray, int, np.ndarray]:
    """Poisson days long enough for a comparison: (daily, first day, last days)."""
    last = np.arange(20_000, 20_000 + days)
    first = reference_span(int(last[0]), WINDOW, YEARS)
    return np.random.default_rng(seed).poisson(rate, (int(last[-1]) - first + 1, series)).astype(float), first, last


def test_chance_alone_colours_few_areas_and_hardly_any_strongly() -> None:
    daily, first, last = ordinary(4_000, 0.6)
    step = unusual(daily, first, last, WINDOW, YEARS, first).step
    assert 0.005 < (step != 0).mean() < 0.06
    assert (abs(step) == 3).mean() < 0.004


@pytest.mark.parametrize("window", [1, 7, 28])
def test_the_expectation_is_the_mean_of_the_same_weeks_of_earlier_years(window: int) -> None:
    last = np.array([20_000])
    first = reference_span(20_000, window, YEARS)
    daily = np.full((20_000 - first + 1, 1), 2.0)
    found = unusual(daily, first, last, window, YEARS, first)
    assert found.expected[0, 0] == pytest.approx(2 * window, rel=0.06)
    assert found.years[0] == YEARS
    assert found.step[0, 0] == 0
    low, high = usual_range(found, 0, slice(None))
    assert low[0] <= 2 * window <= high[0]


def test_a_rise_and_a_fall_are_told_with_their_signs_and_only_where_they_are() -> None:
    daily, first, last = ordinary(12, 2.0)
    daily[-WINDOW:, 3] += 4
    daily[-WINDOW:, 5] = 0
    step = unusual(daily, first, last, WINDOW, YEARS, first).step[0]
    assert (step[3], step[5]) == (3, -3)
    assert (abs(np.delete(step, [3, 5])) <= 1).all()


def test_more_of_the_same_always_is_as_usual_elsewhere() -> None:
    """A place with ten times the events of another is no different on the map when both are as they were."""
    daily, first, last = ordinary(200, 0.5)
    busy = daily.copy()
    busy[:, ::2] = np.random.default_rng(7).poisson(5.0, busy[:, ::2].shape)
    step = unusual(busy, first, last, WINDOW, YEARS, first).step[0]
    assert (step[::2] != 0).mean() < 0.12
    assert (step[1::2] != 0).mean() < 0.12


def test_without_an_earlier_year_nothing_is_called_unusual() -> None:
    daily, first, last = ordinary(3, 1.0)
    found = unusual(daily, first, last, WINDOW, YEARS, int(last[0]) - 100)
    assert np.isnan(found.expected).all()
    assert (found.step == 0).all()
    assert found.years[0] == 0


def test_what_is_not_recorded_yet_is_not_expected_yet() -> None:
    daily, first, last = ordinary(1, 3.0)
    daily[-WINDOW:] *= 0.5
    late = unusual(daily, first, last, WINDOW, YEARS, first, np.array([0.5]))
    assert late.step[0, 0] == 0
    assert unusual(daily, first, last, WINDOW, YEARS, first).step[0, 0] < 0


@given(seed=st.integers(0, 10_000), more=st.integers(0, 40))
def test_more_events_are_never_called_fewer(seed: int, more: int) -> None:
    daily, first, last = ordinary(2, 1.0, seed)
    before = unusual(daily, first, last, WINDOW, YEARS, first).step[0, 0]
    daily[-1, 0] += more
    assert unusual(daily, first, last, WINDOW, YEARS, first).step[0, 0] >= before


# ---- events as they were known ----------------------------------------------------------------------------------------


def known(events: list) -> KnownEvents:  # type: ignore[type-arg]
    _, _, pages = feed(engine(), events)
    rows = join_pages(decode_page(page) for _, page in sorted(pages.items()))
    return known_events(rows, register=register(), tree=tree(), calendar=LocalCalendar())


def asked(known_on: int, level: int = 2) -> Question:
    _, column = at_level(register(), level)
    return Question(column, below(tree(), 0), 0, (0, 1, 2), known_on)


DAY = LocalCalendar().day_at(BEGIN)


def test_a_day_is_counted_as_it_was_known_at_the_close_of_another() -> None:
    late = event(1, BEGIN, recorded_at=BEGIN + timedelta(days=5))
    first = event(2, BEGIN, area="A1")
    moved = event(2, BEGIN, area="A2", revision=2, recorded_at=BEGIN + timedelta(days=8))
    events = known([first, late, moved])
    counts = [daily_counts(events, asked(DAY + n), DAY, DAY)[0].tolist() for n in (0, 5, 8)]
    assert counts == [[0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 0, 1, 0, 0, 0]]


def test_areas_add_up_to_their_districts_and_these_to_the_municipality() -> None:
    events = known(history(2, days=60))
    fine, districts, whole = (daily_counts(events, asked(DAY + 90, level), DAY, DAY + 59) for level in (2, 1, 0))
    assert fine.reshape(60, 2, 3).sum(axis=2) == pytest.approx(districts)
    assert districts.sum(axis=1) == pytest.approx(whole[:, 0])
    assert whole.sum() > 0


def test_an_event_of_an_unknown_day_is_spread_over_its_days_and_counts_once() -> None:
    until = BEGIN + timedelta(days=3)
    events = known([event(1, BEGIN, occurred_at=None, occurred_from=BEGIN, occurred_to=until, recorded_at=until)])
    counts = daily_counts(events, asked(DAY + 9, 0), DAY - 1, DAY + 5)
    assert counts.sum() == pytest.approx(1)
    assert (counts > 0).sum() == 4


def test_the_share_that_is_recorded_rises_with_the_days() -> None:
    events = known(history(4, days=400, lag_days=2.0))
    share = recorded_share(events, asked(DAY + 399))
    assert (np.diff(share) >= 0).all()
    assert share[0] < 0.5
    assert share[-1] == 1
    assert (recorded_share(known([event(1, BEGIN)]), asked(DAY + 1)) == 1).all()


# ---- roles ------------------------------------------------------------------------------------------------------------


def test_each_role_may_what_those_before_it_may() -> None:
    assert [[suffices(r, least) for least in ROLES] for r in ROLES] == [[j <= i for j in range(4)] for i in range(4)]


def test_a_district_shows_what_lies_in_it_and_one_that_is_gone_shows_nothing() -> None:
    assert visible_areas(register(), ["D0"]) == {"D0", "A0", "A1", "A2"}
    assert visible_areas(register(), ["A4", "D0"]) == {"D0", "A0", "A1", "A2", "A4"}
    assert visible_areas(register(), ["D9"]) == frozenset()
    assert visible_areas(register(), []) == set(register().codes)
    assert YEAR % 7 == 0
