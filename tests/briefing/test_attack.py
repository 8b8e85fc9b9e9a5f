"""Whoever holds everything that has left the group, and subtracts it from each other, recovers no count below the limit.

The attack: all published figures of several weeks as equations about what happened in each finest area, category and week,
solved for every cell there is (also those that are published nowhere). It knows that counts are not negative and whole, how
areas and categories add up, and that nothing happened outside the finest areas.
"""

from collections.abc import Iterable
from datetime import timedelta
from math import ceil, floor
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import linprog

from earlywarning.briefing.published import published_counts
from earlywarning.briefing.words import HIDDEN
from earlywarning.cli import handing_on
from earlywarning.cli.place import OperatorError
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.events import KINDS
from earlywarning.core.iso_week import parse_week
from earlywarning.locale import Names
from earlywarning.plan.words import Teller
from earlywarning.store import Store
from tests.briefing.conftest import Make, town_settings
from tests.briefing.test_outside import true_counts
from tests.core.town import CATEGORIES, areas_text, register, tree

WEEKS = ["2024-W16", "2024-W17", "2024-W18", "2024-W19"]
LEAST = 5
REGISTER, TREE = register(), tree()
INSIDE = [(REGISTER.ancestors == a).any(1) for a in range(len(REGISTER.codes))]
PART = [(TREE.ancestors == c).any(1) for c in range(len(TREE.codes))]
FINE_AREAS = [a for a in range(len(INSIDE)) if INSIDE[a].sum() == 1]
FINE_CATEGORIES = [c for c in range(len(PART)) if PART[c].sum() == 1]


class Known(NamedTuple):
    """What someone knows: the sum over some weeks (places in WEEKS) of a cell lies between two numbers."""

    weeks: tuple[int, ...]
    area: int
    category: int
    low: float
    high: float


def exact(week: int, area: int, category: int, count: float) -> Known:
    return Known((week,), area, category, count, count)


def unknowns(weeks: Iterable[int], area: int, category: int) -> NDArray[np.float64]:
    """Which of the finest counts a sum is made of."""
    cell = np.outer([INSIDE[area][a] for a in FINE_AREAS], [PART[category][c] for c in FINE_CATEGORIES]).ravel()
    out = np.zeros((len(WEEKS), len(cell)))
    out[list(weeks)] = cell
    return out.ravel()


def narrowed(known: list[Known], goal: NDArray[np.float64]) -> tuple[int, int]:
    """The least and the greatest whole number that a cell can be."""
    rows = np.array([unknowns(k.weeks, k.area, k.category) for k in known])
    low, high = (np.array([getattr(k, name) for k in known]) for name in ("low", "high"))
    found = []
    for sign in (1, -1):
        solved = linprog(sign * goal, A_ub=np.concatenate([rows, -rows]), b_ub=np.concatenate([high, -low]), method="highs")
        assert solved.status in (0, 3)
        found.append(np.inf if solved.status == 3 else sign * solved.fun)
    most = 10**6 if np.isinf(found[1]) else floor(found[1] + 1e-6)
    return max(ceil(found[0] - 1e-6), 0), most


def recovered(known: list[Known], truth: NDArray[np.float64]) -> list[tuple[str, str, str, int]]:
    """Every count from 1 to LEAST - 1 of any cell that is known for certain. truth: (weeks, areas, categories)."""
    out = []
    for week, area, category in zip(*np.nonzero((truth > 0) & (truth < LEAST)), strict=True):
        low, high = narrowed(known, unknowns([week], area, category))
        assert low <= truth[week, area, category] <= high
        if low == high:
            out.append((WEEKS[week], REGISTER.codes[area], TREE.codes[category], low))
    return out


@pytest.fixture(scope="module")
def truth(url: str) -> dict[str, NDArray[np.float64]]:
    """By kind, the counts of each week, area and category."""
    with Store.open(url) as store:
        weeks = [np.round(true_counts(store, week).counts[-7:].sum(0, dtype=np.float64)) for week in WEEKS]
    return {kind: np.array([week[k] for week in weeks]) for k, kind in enumerate(KINDS)}


def pictured(make: Make, kind: str) -> list[Known]:
    """All counts of the pictures for readers outside: the table behind the map, the table of sources, the listed changes."""
    known = []
    names = Names.from_registers(REGISTER, TREE)
    category = {names.category(code, "sv").lower(): i for i, code in enumerate(TREE.codes)}
    area = {name: i for i, name in enumerate(REGISTER.names)}
    for week, name in enumerate(WEEKS):
        picture = make(name, audience="outside")
        for one in (m for m in picture.maps if m.kind == kind):
            known += [
                exact(week, REGISTER.codes.index(a.code), 0, int(a.observed)) for a in one.areas if a.observed not in (HIDDEN, "–")
            ]
            title = one.title
        for row in picture.sources:
            told = row.incidents if kind == "incident" else row.reports
            if told not in (HIDDEN, "–"):
                known.append(exact(week, 0, category[row.category.lower()], int(told)))
        for table in picture.changes:
            for change in table.rows:
                if change.kind in title:
                    known.append(exact(week, area[change.area], category[change.category.lower()], int(change.observed)))
    assert known
    return known


def exported(store: Store, kind: str) -> list[Known]:
    known = []
    for week, name in enumerate(WEEKS):
        for row in published_counts(store, town_settings(), REGISTER, TREE, LocalCalendar(), parse_week(name)):
            if row["kind"] == kind and row["count"] is not None:
                known.append(exact(week, REGISTER.codes.index(row["area"]), TREE.codes.index(row["category"]), row["count"]))
    return known


def planned(truth: NDArray[np.float64], smallest: int) -> list[Known]:
    """What the follow-up of a plan tells of two priorities: four-week bars, the period so far, and half of it (nested windows)."""
    tell = Teller(Names.from_registers(REGISTER, TREE), "sv", smallest)
    known = []
    for area, category in ((0, TREE.codes.index("G1")), (REGISTER.codes.index("D0"), 0), (0, 0)):
        for weeks in ((0, 1, 2, 3), (0, 1), (2, 3), (1, 2, 3)):
            total = float(truth[list(weeks), area, category].sum())
            if tell.hides(total):
                known.append(Known(weeks, area, category, 1, smallest - 1))
            else:
                off = smallest / 2 if smallest > 1 else 0.0
                known.append(Known(weeks, area, category, max(tell.step(total) - off, 0), tell.step(total) + off))
    return known


@pytest.mark.parametrize("kind", KINDS)
def test_all_that_left_the_group_taken_together_gives_no_small_count_away(
    make: Make, store: Store, truth: dict[str, NDArray[np.float64]], kind: str
) -> None:
    known = [*pictured(make, kind), *exported(store, kind), *planned(truth[kind], LEAST)]
    assert recovered(known, truth[kind]) == []


def test_the_attack_would_find_them_if_only_the_small_ones_were_hidden(truth: dict[str, NDArray[np.float64]]) -> None:
    """So that the test above can fail: without the second step of suppression, or with exact sums over months, counts are found."""
    counts = truth["incident"]
    groups = [c for c in range(len(TREE.codes)) if TREE.ancestors[c, 1] == 0]
    cells = [(a, 0) for a in [0, *FINE_AREAS]] + [(0, g) for g in groups]
    primary = [exact(w, a, c, counts[w, a, c]) for w in range(4) for a, c in cells if not 0 < counts[w, a, c] < LEAST]
    assert recovered(primary, counts)


def test_the_attack_would_find_them_if_sums_over_months_were_told_exactly(
    store: Store, truth: dict[str, NDArray[np.float64]]
) -> None:
    found = [recovered([*exported(store, kind), *planned(truth[kind], 1)], truth[kind]) for kind in KINDS]
    assert any(found)


def test_the_export_has_the_cells_of_the_picture_and_no_others(make: Make, store: Store) -> None:
    for kind in KINDS:
        told = {(k.weeks, k.area, k.category): k.low for k in pictured(make, kind)}
        for k in exported(store, kind):
            assert told.get((k.weeks, k.area, k.category), k.low) == k.low
        assert {(w, a) for (w, a, c) in told if c == 0} == {(k.weeks, k.area) for k in exported(store, kind) if k.category == 0}


def test_single_days_overlapping_windows_and_selections_are_not_handed_on(
    url: str, tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path_factory.mktemp("handed")
    (folder / "areas.geojson").write_text(areas_text())
    (folder / "categories.csv").write_text(CATEGORIES)
    file = folder / "earlywarning.toml"
    registers = '[registers]\nareas = "areas.geojson"\ncategories = "categories.csv"\n'
    file.write_text(town_settings().text + registers + f'[store]\nurl = "{url}"\n')
    monday = parse_week("2024-W18").first
    for first, last in (
        (monday, monday),
        (monday, monday + timedelta(days=7)),
        (monday + timedelta(days=1), monday + timedelta(days=7)),
    ):
        with pytest.raises(OperatorError, match="whole weeks"):
            handing_on.hand_on_counts(file, first, last, "csv", None, chosen=False)
    with pytest.raises(OperatorError, match="stay in the group"):
        handing_on.hand_on_counts(file, monday, monday + timedelta(days=6), "csv", None, chosen=True)
    handing_on.hand_on_counts(file, monday, monday + timedelta(days=13), "csv", None, chosen=False)
    rows = [line.split(",") for line in capsys.readouterr().out.splitlines()[1:]]
    assert {row[0] for row in rows} == {"2024-W18", "2024-W19"}
    shown = [int(row[4]) for row in rows if row[4] != ".."]
    assert len(shown) < len(rows)
    assert all(n == 0 or n >= LEAST for n in shown)
