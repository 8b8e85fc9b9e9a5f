"""Small counts that leave the group: which cells of a published table are hidden, so that nobody can work them out.

A count of 1 to least - 1 is hidden (primary suppression). Of the sums that would give it away, the smallest are hidden as well
(complementary suppression), until whoever knows all published cells, that counts are not negative, and how areas and
categories add up, can say of a hidden small count no more than that it may be anything from 1 to least - 1. Each hidden cell
is checked by linear programming, which is the attack itself. Hundepool et al. 2012, Statistical Disclosure Control, ch. 4.

Small and other hidden cells must be shown by the same sign: a sign that tells them apart would give more away.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import csr_array

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_SLACK = 1e-6
_BINDS = 1e-9


class Cells(NamedTuple):
    """What may be published. values: (n,) counts; made_of: (n, parts) which of the finest parts each adds up, 0 or 1.

    Parts are never published as such; two cells are related where they have parts in common.
    """

    values: Floats
    made_of: csr_array


def hierarchical_cells(counts: Floats, areas: Ints, categories: Ints, area_ancestors: Ints, category_ancestors: Ints) -> Cells:
    """Cells (areas[i], categories[i]) of a table in which areas and categories are trees.

    counts: (areas, categories) of all nodes, each with all below it. ancestors: (n, depth), column 0 the node itself, padded
    with -1. What a node counts that none of its children does is a part of its own, where there is any: who attacks knows
    that too, and so may know that sums have no such rest.
    """
    own = _own(_own(counts, area_ancestors).T, category_ancestors).T
    inside, part = _contains(area_ancestors), _contains(category_ancestors)
    leaf_area, leaf_category = inside.sum(1) == 1, part.sum(1) == 1
    exists = (leaf_area[:, None] & leaf_category) | (np.abs(own) > _SLACK)
    part_area, part_category = np.nonzero(exists)
    member = inside[np.ix_(areas, part_area)] & part[np.ix_(categories, part_category)]
    if len(areas):
        # Parts that stand in the same cells are one to whoever sees only these.
        packed = np.packbits(member, axis=0)
        _, first = np.unique(packed, axis=1, return_index=True)
        member = member[:, np.sort(first)]
        member = member[:, member.any(0)]
    return Cells(counts[areas, categories].astype(np.float64), csr_array(member.astype(np.float64)))


def hidden_cells(cells: Cells, least: int, unpublished: Bools | None = None) -> Bools:
    """Which cells must be hidden: (n,). least: the smallest count that may be shown; 0 or 1 hides nothing.

    A fraction that would be told as less than `least` is small too; zero is told. unpublished: (n,) cells that are shown
    nowhere; those of them that are small must not follow from the others either. Of several cells that could be hidden the
    one with the smallest count goes.
    """
    values, n = cells.values, len(cells.values)
    small = (values > _SLACK) & (np.round(values) < least)
    unseen = np.zeros(n, dtype=bool) if unpublished is None else unpublished
    if least <= 1 or not small.any():
        return unseen.copy()
    attack = _Attack(cells)
    hidden = small | unseen
    waiting = np.flatnonzero(small).tolist()
    while waiting:
        cell = waiting.pop()
        # Hiding more never narrows what was found wide enough, so each cell is brought to safety once.
        while (pinning := attack.pinned_by(hidden, cell, least if small[cell] else 0)) is not None:
            shown = pinning[~hidden[pinning]]
            also = int(shown[np.argmin(values[shown])])
            hidden[also] = True
            waiting.append(also)
    return hidden


def bounds(cells: Cells, hidden: Bools, cell: int) -> tuple[float, float]:
    """Between which counts a cell must lie for whoever sees the cells that are not hidden."""
    attack = _Attack(cells)
    return attack.bound(~hidden, cell, 1)[0], attack.bound(~hidden, cell, -1)[0]


class _Attack:
    """Works hidden cells out of shown ones. What one attempt finds possible stays possible while more is hidden, so that it
    answers for other cells too: `least` and `most` are the smallest and greatest counts that each cell was seen with."""

    def __init__(self, cells: Cells) -> None:
        self._values, self._made_of = cells
        self._least, self._most = cells.values.copy(), cells.values.copy()

    def pinned_by(self, hidden: Bools, cell: int, least: int) -> Ints | None:
        """The shown cells that narrow a hidden one too much; None where nothing does. least: 0 for one that is not small."""
        if least:
            if self._least[cell] > 1 + _SLACK and (found := self.bound(~hidden, cell, 1))[0] > 1 + _SLACK:
                return found[1]
            if self._most[cell] < least - 1 - _SLACK and (found := self.bound(~hidden, cell, -1))[0] < least - 1 - _SLACK:
                return found[1]
            return None
        if self._most[cell] - self._least[cell] >= 1:
            return None
        high, holding = self.bound(~hidden, cell, -1)
        return None if high - self.bound(~hidden, cell, 1)[0] >= 1 - _SLACK else holding

    def bound(self, shown: Bools, cell: int, sign: int) -> tuple[float, Ints]:
        """Least (sign 1) or greatest (-1) possible count of a cell, and the shown cells that hold it there."""
        goal = sign * self._made_of[[cell]].toarray()[0]
        at = np.flatnonzero(shown)
        related = at[(self._made_of[at] @ np.abs(goal)) > 0]
        if not len(related):  # nothing shown speaks of it
            return (0.0, related) if sign > 0 else (np.inf, related)
        solved = linprog(goal, A_eq=self._made_of[at], b_eq=self._values[at], bounds=(0, None), method="highs")
        if solved.status == 3:  # without bound
            return -sign * np.inf, at[:0]
        if solved.status != 0:
            # Rounding in the sums: the figures contradict each other by a hair. Taken as known, so that too much is hidden.
            return float(self._values[cell]), related
        possible = self._made_of @ solved.x
        self._least, self._most = np.minimum(self._least, possible), np.maximum(self._most, possible)
        binding = at[np.abs(solved.eqlin.marginals) > _BINDS]
        return float(sign * solved.fun), binding if len(binding) else related


def _contains(ancestors: Ints) -> Bools:
    """(n, n): whether the second lies in (or is) the first."""
    n = len(ancestors)
    table = np.zeros((n, n), dtype=bool)
    for column in ancestors.T:
        below = np.flatnonzero(column >= 0)
        table[column[below], below] = True
    return table


def _own(counts: Floats, ancestors: Ints) -> Floats:
    """What each node of the first axis counts beyond its children."""
    own = np.array(counts, dtype=np.float64)
    parent = ancestors[:, 1] if ancestors.shape[1] > 1 else np.full(len(counts), -1)
    child = np.flatnonzero(parent >= 0)
    np.subtract.at(own, parent[child], counts[child])
    return own
