"""Laws of the online false discovery rate: levels are known beforehand, add up, and hold the rate also under dependence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.budget import Threshold
from earlywarning.core.engine import Engine
from earlywarning.core.online_fdr import day_level, threshold_of
from tests.core.town import engine, feed, history, merged, surge

LAG = 28


def run(p_values: np.ndarray, rate: float, lag: int) -> list[int]:
    """Days on which something is found."""
    found: list[int] = []
    for day, p in enumerate(p_values.tolist()):
        if p <= day_level(day, 0, found, rate, lag):
            found.append(day)
    return found


def test_without_discoveries_all_levels_together_are_the_first_wealth() -> None:
    total = sum(day_level(day, 0, [], 0.2, LAG) for day in range(20_000))
    assert total == pytest.approx(0.1)


def _gamma(j: int) -> float:
    """The weight j days after what earned it, over that of the first day: log(max(j, 2)) / (j e^sqrt(log j))."""
    return float(np.log(max(j, 2)) / (j * np.exp(np.sqrt(np.log(j)))) / np.log(2))


FIRST = day_level(0, 0, [], 0.2, LAG)  # half of the rate, times the first weight


@pytest.mark.parametrize("j", [1, 2, 3, 10, 400, 20_000])
def test_levels_fall_as_published(j: int) -> None:
    """The sequence of Javanmard & Montanari 2018, Annals of Statistics 46:526, that LORD is used with."""
    assert day_level(4 + j, 5, [], 0.2, LAG) == pytest.approx(FIRST * _gamma(j))


@pytest.mark.parametrize(
    ("discoveries", "earned"),
    [
        ([100 - LAG], 0.0),  # its windows still overlap the day's
        ([100 - LAG - 1], 1.0),  # the first earns what the first wealth has left of the rate: the other half
        ([4], 0.0),  # before the first judged day
        ([5], _gamma(95 - LAG)),
        ([100 - LAG - 1, 100 - LAG - 2], _gamma(2) + 2.0),  # later ones earn the whole rate
        ([100 - LAG - 2, 100 - LAG - 1, 100 - LAG - 2], _gamma(2) + 2.0),  # a day counts once
    ],
)
def test_a_discovery_earns_once_it_is_older_than_the_lag(discoveries: list[int], earned: float) -> None:
    assert day_level(100, 5, discoveries, 0.2, LAG) == pytest.approx(FIRST * (_gamma(96) + earned))


def test_long_after_everything_the_level_stays_at_its_last_weight() -> None:
    assert day_level(40_000, 0, [], 0.2, LAG) == day_level(19_999, 0, [], 0.2, LAG) < day_level(19_998, 0, [], 0.2, LAG)


@given(st.lists(st.integers(0, 900), max_size=30), st.integers(0, 1000), st.floats(0.01, 0.5))
def test_a_level_depends_on_older_discoveries_only_and_rises_with_them(found: list[int], day: int, rate: float) -> None:
    level = day_level(day, 0, found, rate, LAG)
    assert level == day_level(day, 0, [d for d in found if d < day - LAG], rate, LAG)
    assert 0 < day_level(day, 0, [], rate, LAG) <= level < 1


def test_a_year_of_levels_never_spends_more_than_the_rate_for_each_discovery() -> None:
    """What LORD's proof stands on: the levels until any day add up to at most rate * max(discoveries, 1)."""
    rng = np.random.default_rng(5)
    for _ in range(30):
        found = sorted(rng.choice(800, rng.integers(1, 60), replace=False).tolist())
        spent = np.cumsum([day_level(day, 0, found, 0.1, LAG) for day in range(800)])
        so_far = np.searchsorted(found, np.arange(800), side="right")
        assert (spent <= 0.1 * np.maximum(so_far, 1) + 1e-12).all()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1])
def test_the_rate_is_held_where_days_share_their_windows(share: float) -> None:
    """A day's p-value is that of a 28-day moving sum: neighbours are nearly equal. Marginal rate over 300 histories of 2 years."""
    rng = np.random.default_rng(11)
    false, all_found = 0, 0
    for _ in range(300):
        noise = rng.normal(size=730 + LAG)
        moving = np.convolve(noise, np.ones(LAG), "valid")[:730] / np.sqrt(LAG)
        real = rng.random(730) < share
        z = np.where(real, rng.normal(5.0, 1.0, 730), moving)
        p = 0.5 * np.array([_tail(v) for v in z])
        found = run(p, 0.2, LAG)
        false += sum(not real[d] for d in found)
        all_found += len(found)
    assert false / (all_found + 300 * 1.0) <= 0.2
    if share:
        assert all_found > 300
        assert false / all_found <= 0.2


def _tail(z: float) -> float:
    from math import erfc, sqrt  # noqa: PLC0415

    return erfc(z / sqrt(2))


def test_a_threshold_of_a_level_is_on_the_scale_of_the_budget() -> None:
    base = Threshold(1.0, 0.8, 1.0)
    same = threshold_of(base, float(-np.expm1(-1 / 7)))
    assert same.score == pytest.approx(1.0)
    rarer = threshold_of(base, 1e-4)
    assert rarer.score > 1.0
    # An observed excess means the same number of days under both.
    assert base.recurrence_days(8.0 - base.score) == pytest.approx(rarer.recurrence_days(8.0 - rarer.score), rel=1e-9)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1])
def test_a_rate_that_cannot_be_held_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=f"rate of {rate} cannot be held; give one between 0 and 1"):
        day_level(1, 0, [], rate, LAG)


def test_with_a_rate_quiet_towns_stay_quiet_a_surge_is_found_and_a_restart_changes_nothing() -> None:
    events = merged(history(21, days=520), surge(460, n=14), surge(500, n=14, area="A4", category="C2"))
    _, none, _ = feed(engine(false_discovery_rate=0.1), history(21, days=520))
    scanned = [a for a in none.values() if a.tendency in ("surge", "cluster", "shift")]
    assert len(scanned) <= 1
    whole: Engine = engine(false_discovery_rate=0.1)
    _, alerts, _ = feed(whole, events)
    assert any("A0" in a.areas and a.tendency == "surge" for a in alerts.values())
    first = engine(false_discovery_rate=0.1)
    cut = next(i for i, e in enumerate(events) if e.event_id == "es500-A4-3")
    _, before, pages = feed(first, events[:cut])
    changes = first.changes()
    assert first.today is not None
    live = [a for a in before.values() if a.alert_id in first.book.cases]
    rebuilt = engine(false_discovery_rate=0.1)
    noted = {case.alert_id: case.noted for case in first.book.cases.values()}
    opened = first.tallies.discoveries
    assert opened
    rebuilt.restore(list(pages.values()), live, noted, changes.clock_day, changes.clock_hour, list(opened))
    assert rebuilt.watch.threshold == first.watch.threshold
    _, after, _ = feed(rebuilt, events[cut:])
    _, undisturbed, _ = feed(first, events[cut:])
    assert after == undisturbed
