"""Nobody can work a hidden count out of what is published, by subtraction or by anything that sums allow."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

from earlywarning.core.categories import ancestor_table
from earlywarning.core.disclosure import Cells, bounds, hidden_cells, hierarchical_cells

Floats = NDArray[np.float64]
AREAS = [-1, 0, 0, 1, 1, 1, 2, 2]  # a municipality, two districts, five areas
CATEGORIES = [-1, 0, 0, 1, 1, 2]
LEAST = 5


def table(leaves: Floats, areas: list[int] = AREAS, categories: list[int] = CATEGORIES) -> Floats:
    """Counts of all nodes from those of the finest."""

    def fine(parents: list[int]) -> list[int]:
        return [i for i in range(len(parents)) if i not in parents]

    def up(parents: list[int], node: int) -> list[int]:
        return [node, *(up(parents, parents[node]) if parents[node] >= 0 else [])]

    out = np.zeros((len(areas), len(categories)))
    for i, a in enumerate(fine(areas)):
        for j, c in enumerate(fine(categories)):
            out[np.ix_(up(areas, a), up(categories, c))] += leaves[i, j]
    return out


def every(counts: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    at = np.indices(counts.shape).reshape(2, -1)
    return at[0], at[1]


def _memberships() -> Floats:
    """(areas, categories, unknowns): which of the finest cells each cell adds up."""
    up_a, up_c = ancestor_table(AREAS), ancestor_table(CATEGORIES)
    fine_a = [i for i in range(len(AREAS)) if i not in AREAS]
    fine_c = [i for i in range(len(CATEGORIES)) if i not in CATEGORIES]
    out = np.zeros((len(AREAS), len(CATEGORIES), len(fine_a) * len(fine_c)))
    for number, (x, y) in enumerate((x, y) for x in fine_a for y in fine_c):
        out[np.ix_([a for a in up_a[x] if a >= 0], [c for c in up_c[y] if c >= 0], [number])] = 1.0
    return out


MEMBERS = _memberships()


def attack(counts: Floats, hidden: NDArray[np.bool_], area: int, category: int, slack: float = 0.0) -> tuple[float, float]:
    """What someone knows of one cell, from the published ones alone: written anew here, with the finest cells as unknowns."""
    if hidden.all():
        return 0.0, np.inf
    sums, values, goal = MEMBERS[~hidden], counts[~hidden], MEMBERS[area, category]
    found = []
    for sign in (1, -1):
        solved = linprog(
            sign * goal, A_ub=np.concatenate([sums, -sums]), b_ub=np.concatenate([values + slack, slack - values]), method="highs"
        )
        found.append(-sign * np.inf if solved.status == 3 else sign * solved.fun)
    return found[0], found[1]


small_tables = st.lists(st.sampled_from([0, 0, 0, 1, 1, 2, 3, 4, 5, 7, 12]), min_size=15, max_size=15)


@given(small_tables)
@settings(max_examples=12, deadline=None)
def test_no_hidden_count_can_be_narrowed_below_what_the_rule_hides(values: list[int]) -> None:
    counts = table(np.array(values, dtype=np.float64).reshape(5, 3))
    areas, categories = every(counts)
    hidden = hidden_cells(hierarchical_cells(counts, areas, categories, ancestor_table(AREAS), ancestor_table(CATEGORIES)), LEAST)
    hidden = hidden.reshape(counts.shape)
    assert hidden[(counts > 0) & (counts < LEAST)].all()
    for a, c in zip(*np.nonzero(hidden), strict=True):
        low, high = attack(counts, hidden, int(a), int(c))
        if 0 < counts[a, c] < LEAST:
            assert low <= 1 + 1e-6
            assert high >= LEAST - 1 - 1e-6
        else:
            assert high - low >= 1 - 1e-6  # never a single count


@given(small_tables)
@settings(max_examples=8, deadline=None)
def test_rounded_figures_give_away_no_more(values: list[int]) -> None:
    """Events that are spread over days make fractions, which are published as whole numbers."""
    counts = table(np.array(values, dtype=np.float64).reshape(5, 3) * 0.9)
    areas, categories = every(counts)
    cells = hierarchical_cells(counts, areas, categories, ancestor_table(AREAS), ancestor_table(CATEGORIES))
    hidden = hidden_cells(cells, LEAST).reshape(counts.shape)
    for a, c in zip(*np.nonzero(hidden & (counts > 0) & (np.round(counts) < LEAST)), strict=True):
        low, high = attack(np.round(counts), hidden, int(a), int(c), slack=0.5)
        assert low <= 1 + 1e-6
        assert high >= LEAST - 1 - 1e-6


def test_a_single_small_count_takes_another_cell_with_it() -> None:
    counts = table(np.array([[2, 0, 0], [9, 0, 0], [20, 0, 0], [30, 0, 0], [40, 0, 0]], dtype=np.float64))
    areas = np.arange(len(AREAS))
    cells = hierarchical_cells(counts, areas, np.zeros_like(areas), ancestor_table(AREAS), ancestor_table(CATEGORIES))
    hidden = hidden_cells(cells, LEAST)
    assert hidden[3]
    assert np.flatnonzero(hidden).tolist() == [3, 4]  # the smallest of its neighbours in the sum goes, no sum of them
    assert bounds(cells, hidden, 3) == (0.0, 11.0)


def test_two_small_counts_whose_sum_is_small_hide_a_third() -> None:
    counts = table(np.array([[1, 0, 0], [1, 0, 0], [20, 0, 0], [30, 0, 0], [40, 0, 0]], dtype=np.float64))
    areas = np.arange(len(AREAS))
    cells = hierarchical_cells(counts, areas, np.zeros_like(areas), ancestor_table(AREAS), ancestor_table(CATEGORIES))
    hidden = hidden_cells(cells, LEAST)
    assert hidden[[3, 4, 5]].all()  # else 22 - 20 = 2 would say that each is at most 2


def test_a_difference_that_is_shown_nowhere_is_protected_as_well() -> None:
    counts = table(np.array([[0, 9, 2], [0, 20, 30], [0, 20, 30], [0, 20, 30], [0, 20, 30]], dtype=np.float64))
    areas, categories = np.array([3, 3, 3]), np.array([0, 1, 2])  # an area's sum, the group listed, and the other group
    cells = hierarchical_cells(counts, areas, categories, ancestor_table(AREAS), ancestor_table(CATEGORIES))
    unpublished = np.array([False, False, True])
    hidden = hidden_cells(cells, LEAST, unpublished)
    assert hidden.sum() >= 2  # 11 - 9 would give the 2 away
    assert bounds(cells, hidden, 2)[1] >= LEAST - 1


@pytest.mark.parametrize("least", [0, 1])
def test_without_a_limit_nothing_is_hidden(least: int) -> None:
    counts = table(np.ones((5, 3)))
    cells = hierarchical_cells(counts, *every(counts), ancestor_table(AREAS), ancestor_table(CATEGORIES))
    assert not hidden_cells(cells, least).any()


def test_zeros_and_large_counts_alone_are_shown() -> None:
    counts = table(np.array([[0, 5, 0], [8, 0, 9], [0, 0, 0], [50, 0, 0], [7, 7, 7]], dtype=np.float64))
    cells = hierarchical_cells(counts, *every(counts), ancestor_table(AREAS), ancestor_table(CATEGORIES))
    assert not hidden_cells(cells, LEAST).any()


def test_events_without_a_finer_place_are_part_of_the_sums() -> None:
    counts = table(np.full((5, 3), 9.0))
    counts[0] += 2.0  # known for the municipality only
    cells = hierarchical_cells(counts, *every(counts), ancestor_table(AREAS), ancestor_table(CATEGORIES))
    rest = cells.made_of.toarray()
    assert np.linalg.matrix_rank(rest) > 15
    assert not hidden_cells(cells, LEAST).any()


# ---- what adds up --------------------------------------------------------------------------------------------------------


def plain(values: list[float], made_of: list[list[int]]) -> Cells:
    return Cells(np.array(values, dtype=np.float64), csr_array(np.array(made_of, dtype=np.float64)))


def parts_of(counts: list[list[float]], areas: list[int], shown: list[tuple[int, int]], categories: list[int]) -> list[list[int]]:
    """Which parts each shown cell adds up, as sorted columns."""
    at = np.array(shown, dtype=np.int64).reshape(-1, 2)
    cells = hierarchical_cells(
        np.array(counts, dtype=np.float64), at[:, 0], at[:, 1], ancestor_table(areas), ancestor_table(categories)
    )
    assert cells.values.tolist() == [counts[a][c] for a, c in shown]
    return sorted(cells.made_of.toarray().astype(int).T.tolist(), reverse=True)


TWO = [-1, 0, 0]  # something and its two parts


@pytest.mark.parametrize(
    ("counts", "areas", "categories", "shown", "parts"),
    [
        ([[9], [4], [5]], TWO, [-1], [(0, 0), (1, 0), (2, 0)], [[1, 1, 0], [1, 0, 1]]),
        ([[10], [4], [5]], TWO, [-1], [(0, 0), (1, 0), (2, 0)], [[1, 1, 0], [1, 0, 1], [1, 0, 0]]),  # one without a finer place
        ([[9, 4, 5]], [-1], TWO, [(0, 0), (0, 2), (0, 1)], [[1, 1, 0], [1, 0, 1]]),
        ([[9, 4, 4]], [-1], TWO, [(0, 0), (0, 1)], [[1, 1], [1, 0]]),  # the other part and the rest are one to who sees two cells
        ([[9], [4], [5]], TWO, [-1], [(1, 0)], [[1]]),
        ([[7], [7], [7]], [-1, 0, 1], [-1], [(0, 0), (1, 0), (2, 0)], [[1, 1, 1]]),  # one within the other within the third
        ([[0], [0], [0]], TWO, [-1], [(0, 0), (1, 0), (2, 0)], [[1, 1, 0], [1, 0, 1]]),
        ([[0, 0, 0]], [-1], TWO, [(0, 0), (0, 1), (0, 2)], [[1, 1, 0], [1, 0, 1]]),
        ([[9], [4], [5]], TWO, [-1], [], []),
    ],
)
def test_cells_are_made_of_the_finest_parts_and_of_what_none_of_these_counts(
    counts: list[list[float]], areas: list[int], categories: list[int], shown: list[tuple[int, int]], parts: list[list[int]]
) -> None:
    if shown:
        assert parts_of(counts, areas, shown, categories) == parts
    else:
        at = np.empty(0, dtype=np.int64)
        cells = hierarchical_cells(np.array(counts, dtype=np.float64), at, at, ancestor_table(areas), ancestor_table(categories))
        assert len(cells.values) == cells.made_of.shape[0] == 0
        assert hidden_cells(cells, LEAST).tolist() == []


def test_small_is_what_would_be_told_as_less_than_the_least_and_more_than_nothing() -> None:
    values = [0, 0.3, 1, 4, 4.4, 4.6, 5, 12]
    cells = plain(values, np.eye(len(values), dtype=int).tolist())
    assert hidden_cells(cells, LEAST).tolist() == [False, True, True, True, True, False, False, False]
    assert hidden_cells(cells, 2).tolist() == [False, True, True, False, False, False, False, False]
    assert not hidden_cells(cells, 1).any()


SUM = [[1, 1], [1, 0], [0, 1]]  # a sum and its two parts


@pytest.mark.parametrize(
    ("hidden", "cell", "between"),
    [
        ([False, True, False], 1, (3, 3)), ([False, True, True], 1, (0, 10)), ([False, True, True], 2, (0, 10)),
        ([True, True, False], 0, (7, np.inf)), ([True, True, True], 0, (0, np.inf)), ([True, True, False], 1, (0, np.inf)),
    ],
)  # fmt: skip
def test_what_is_known_of_a_hidden_cell(hidden: list[bool], cell: int, between: tuple[float, float]) -> None:
    assert bounds(plain([10, 3, 7], SUM), np.array(hidden), cell) == pytest.approx(between)


@pytest.mark.parametrize("least", [0, 1, 5])
def test_what_is_shown_nowhere_stays_unshown_and_hides_nothing_that_is_not_small(least: int) -> None:
    unpublished = np.array([False, True, False])
    hidden = hidden_cells(plain([20, 8, 12], SUM), least, unpublished)
    assert hidden.tolist() == unpublished.tolist()
    assert hidden is not unpublished


def test_figures_that_contradict_each_other_hide_more_rather_than_less() -> None:
    """A part that is greater than the sum, as rounding may make it: nothing follows from them, so all is taken as known."""
    assert hidden_cells(plain([5, 2, 8], SUM), LEAST).tolist() == [True, True, False]
    and_another = [[*row, 0] for row in SUM] + [[0, 0, 1]]  # of which nothing shown speaks
    assert hidden_cells(plain([5, 2, 8, 3], and_another), LEAST).tolist() == [True, True, False, True]
    assert hidden_cells(plain([5, 6, 8, 3], and_another), LEAST).tolist() == [False, False, False, True]


def test_a_sum_of_small_counts_that_is_small_itself_is_safe_only_when_what_it_leaves_over_is_hidden() -> None:
    """20 = (1 + 1) + 18: whoever sees 20 and 18 knows the two; so the smallest that gives it away goes."""
    cells = plain([20, 2, 1, 1, 18], [[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    hidden = hidden_cells(cells, LEAST)
    assert hidden.tolist() == [False, True, True, True, True]
    assert bounds(cells, hidden, 1) == pytest.approx((0, 20))


# cells as (count, the parts it adds up, shown at all), and which of them must be hidden
NARROW: dict[str, list[tuple[float, str, bool, bool]]] = {
    "it could be as little as 1 and as much as 4": [
        (2, "a", True, True), (12, "c", False, True), (3, "e", True, True), (2, "f", True, True),
        (14, "ac", True, False), (15, "ce", True, False), (5, "ef", True, False)],
    "and whichever is looked at first": [
        (2, "a", True, True), (12, "c", False, True), (2, "f", True, True),
        (14, "ac", True, False), (15, "ce", True, False), (5, "ef", True, False), (3, "e", True, True)],
    "what was hidden for their sake may be between 3 and 10, and is 10": [
        (1, "a", True, True), (10, "b", True, True), (1, "d", True, True), (7, "e", False, True), (0, "g", False, True),
        (11, "ab", True, False), (10, "bg", True, False), (11, "bd", True, False), (8, "de", True, False)],
    "it would be known to be 2 at least": [
        (2, "a", True, True), (8, "b", False, True), (0, "c", False, True), (10, "ab", True, False), (8, "bc", True, True)],
    "it would be known to be 3 at most": [
        (3, "a", True, True), (11, "c", False, True), (5, "e", False, True), (0, "f", False, True),
        (14, "ac", True, False), (16, "ce", True, False), (5, "ef", True, True)],
    "what was hidden for another's sake could be worked out": [
        (2, "a", True, True), (6, "b", True, True), (7, "x", True, True), (8, "d", True, True),
        (15, "abx", True, False), (14, "bd", True, False)],
}  # fmt: skip


@pytest.mark.parametrize("what", NARROW)
def test_of_what_gives_a_count_away_the_smallest_is_hidden_and_no_more(what: str) -> None:
    counts, made_of, shown, hidden = zip(*NARROW[what], strict=True)
    parts = sorted(set("".join(made_of)))
    cells = plain(list(counts), [[int(part in cell) for part in parts] for cell in made_of])
    assert hidden_cells(cells, LEAST, ~np.array(shown)).tolist() == list(hidden)
