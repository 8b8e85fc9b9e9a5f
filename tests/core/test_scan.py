"""The fast subset scan: what it finds is what looking at all subsets would find, and counts only raise scores."""

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.detectors.negative_binomial import tail_probability
from earlywarning.core.detectors.scan import Columns, Zones, block_sort, scan, window_dispersion

LINE = tuple(tuple(b for b in (a - 1, a + 1) if 0 <= b < 6) for a in range(6))
ZONES = Zones.of(np.arange(6), LINE)
COLUMNS = Columns.of([[0, 1, 2]], 3)


def town(seed: int, extra: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    expectation = rng.uniform(0.3, 3.0, (2, 6, 3))
    observed = rng.poisson(expectation).astype(float)
    observed[1, 2:4, 0] += extra
    return observed, expectation, 1.2 * expectation


def look(observed: np.ndarray, expectation: np.ndarray, variance: np.ndarray, least: float = -1.0):  # type: ignore[no-untyped-def]
    sums = (COLUMNS.sums(v) for v in (observed, expectation, variance))
    return scan(*sums, np.zeros(len(COLUMNS.rank)), ZONES, COLUMNS, least, 1.0)


@pytest.mark.parametrize("seed", range(6))
def test_the_best_block_around_each_place_is_the_one_that_all_subsets_would_give(seed: int) -> None:
    observed, expectation, variance = town(seed, extra=6.0)
    found = look(observed, expectation, variance, least=-20.0)
    o, e, v = (COLUMNS.sums(x) for x in (observed, expectation, variance))
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for centre in range(6):
        around = [centre, *LINE[centre]]
        for size in range(1, len(around) + 1):
            for areas in combinations(around, size):
                for w in range(2):
                    for c in range(o.shape[2]):
                        total, mean = o[w, list(areas), c].sum(), e[w, list(areas), c].sum()
                        if total > mean:
                            ratio = (total * np.log(total / mean) - total + mean) / (v[w, list(areas), c].sum() / mean)
                            best[w, c] = max(best.get((w, c), (0.0, 0)), (ratio, size))
    several = (found.areas >= 0).sum(1) > 1
    for w in range(2):
        for c in range(o.shape[2]):
            these = np.flatnonzero(several & (found.window == w) & (found.column == c))
            ratios = []
            for i in these:
                areas = found.areas[i][found.areas[i] >= 0]
                total, mean = o[w, areas, c].sum(), e[w, areas, c].sum()
                ratios.append((total * np.log(total / mean) - total + mean) / (v[w, areas, c].sum() / mean))
            ratio, size = best.get((w, c), (0.0, 0))
            if size > 1:  # where one area alone is likeliest it is found as a single block
                assert max(ratios) == pytest.approx(ratio)


def test_the_block_that_was_put_in_is_found_first_with_its_own_areas_and_category() -> None:
    observed, expectation, variance = town(3, extra=14.0)
    found = look(observed, expectation, variance)
    assert found.areas[0][found.areas[0] >= 0].tolist() == [2, 3]
    assert (found.window[0], COLUMNS.members[found.column[0]].tolist()) == (1, [0, -1])
    assert (np.diff(found.score) <= 0).all()


def test_a_score_is_the_tail_probability_less_how_many_blocks_there_are_of_its_sort() -> None:
    found = look(*town(3, extra=14.0))
    for i in range(min(len(found.score), 20)):
        p = tail_probability(found.observed[i], found.expectation[i], found.dispersion[i])
        sort = block_sort(ZONES, COLUMNS, found.areas[i][found.areas[i] >= 0].tolist(), int(found.column[i]))
        assert found.score[i] == pytest.approx(-np.log10(p) - sort)
    assert block_sort(ZONES, COLUMNS, [0], 0) == pytest.approx(np.log10(6 * 3))
    assert block_sort(ZONES, COLUMNS, [0, 1], 3) == pytest.approx(np.log10(6 * comb(2, 1) * 3))


@pytest.mark.parametrize("seed", range(6))
def test_one_area_costs_the_same_however_it_was_found(seed: int) -> None:
    """With areas above the finest there are more single blocks than neighbourhoods, and neighbourhoods are padded."""
    zones = Zones.of(np.arange(6), (*LINE, (), ()))
    assert zones.areas == 8
    values = [np.concatenate([v, v[:, :2]], axis=1) for v in town(seed, extra=8.0)]
    found = scan(*(COLUMNS.sums(v) for v in values), np.zeros(len(COLUMNS.rank)), zones, COLUMNS, -1.0, 1.0)
    assert len(found.score)
    p = tail_probability(found.observed, found.expectation, found.dispersion)
    for i in range(len(found.score)):
        areas = found.areas[i][found.areas[i] >= 0].tolist()
        assert found.score[i] == pytest.approx(-np.log10(p[i]) - block_sort(zones, COLUMNS, areas, int(found.column[i])))


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 1), st.integers(0, 5), st.integers(0, 2), st.integers(1, 5))
def test_one_more_event_never_takes_a_signal_away(seed: int, window: int, area: int, column: int, more: int) -> None:
    observed, expectation, variance = town(seed, extra=5.0)
    before = look(observed, expectation, variance, least=0.5)
    observed[window, area, column] += more
    after = look(observed, expectation, variance, least=0.5)
    top = max(before.score, default=-np.inf)
    assert max(after.score, default=-np.inf) >= top - 1e-9


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(-1, 3))
def test_a_higher_threshold_leaves_out_and_adds_nothing(seed: int, least: float) -> None:
    every, some = look(*town(seed, extra=8.0)), look(*town(seed, extra=8.0), least=least)
    assert (some.score >= least).all()
    assert len(some.score) == (every.score >= least).sum()


def test_looking_near_one_place_finds_what_looking_everywhere_finds_there() -> None:
    observed, expectation, variance = town(3, extra=14.0)
    o, e, v = (COLUMNS.sums(x) for x in (observed, expectation, variance))
    near = scan(o, e, v, np.zeros(len(COLUMNS.rank)), ZONES, COLUMNS, 0.0, 1.0, centres=np.array([1, 2, 3]))
    assert near.areas[0].tolist() == look(observed, expectation, variance, least=0.0).areas[0].tolist()


def test_dispersion_between_windows_lies_between_theirs() -> None:
    phi = np.array([[1.0, 1.2], [1.1, 1.5], [1.4, 2.0]])
    assert window_dispersion(phi, 1).tolist() == [1.0, 1.2]
    assert window_dispersion(phi, 7).tolist() == [1.1, 1.5]
    assert window_dispersion(phi, 28).tolist() == [1.4, 2.0]
    assert (window_dispersion(phi, 3) > phi[0]).all()
    assert (window_dispersion(phi, 3) < phi[1]).all()
    assert (window_dispersion(phi, 50) == phi[2]).all()


def test_weights_of_areas_move_what_is_found_there_and_nothing_else() -> None:
    rng = np.random.default_rng(8)
    expectation = np.full((2, 6, 6), 2.0)
    observed = rng.poisson(4.0, expectation.shape).astype(float)
    plain = scan(observed, expectation, expectation, np.zeros(6), ZONES, COLUMNS, -2.0, 1)
    bonus = np.array([0.5, 0.5, 0.0, 0.0, 0.0, -0.3])
    weighted = scan(observed, expectation, expectation, np.zeros(6), ZONES._replace(bonus=bonus), COLUMNS, -1.0, 1)
    scores = {(tuple(a), c, w): s for a, c, w, s in zip(plain.areas.tolist(), plain.column, plain.window, plain.score, strict=True)}
    assert len(weighted.score) > 20
    for areas, c, w, score in zip(weighted.areas.tolist(), weighted.column, weighted.window, weighted.score, strict=True):
        inside = [a for a in areas if a >= 0]
        assert score == pytest.approx(scores[tuple(areas), c, w] + bonus[inside].mean())
