"""What is watched: places of one municipality and categories of each kind of source, as tables for arithmetic."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.counts import SeriesSpace
from earlywarning.core.detectors.scan import Columns, Zones

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Block(NamedTuple):
    """Areas and categories of one kind of source that are judged together: area and category numbers, in order."""

    kind: int
    areas: tuple[int, ...]
    categories: tuple[int, ...]


@dataclass(frozen=True)
class Scope:
    """The places: all areas, which of them are finest, and who lies beside whom; and how grave the categories are.

    neighbours: of every area; harm: (categories,) weights.
    """

    space: SeriesSpace
    neighbours: tuple[tuple[int, ...], ...]
    harm: Floats

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """(areas, areas): whether the second lies in (or is) the first."""
        return _inside(self.space.area_ancestors)

    @cached_property
    def part(self) -> NDArray[np.bool_]:
        """(categories, categories): whether the second is part of (or is) the first."""
        return _inside(self.space.category_ancestors)

    @cached_property
    def fine(self) -> Ints:
        """Areas without parts."""
        return np.flatnonzero(self.inside.sum(1) == 1)

    @cached_property
    def rank(self) -> Ints:
        """(areas,): 0 the municipality, 1 an area made of others, 2 a finest one."""
        rank = np.where(self.inside.sum(1) == 1, 2, 1)
        rank[0] = 0
        return rank

    @cached_property
    def zones(self) -> Zones:
        return Zones.of(self.fine, self.neighbours)

    def share(self, one: Block, other: Block) -> bool:
        """Whether two blocks have an area and a category in common, themselves or one above the other."""
        if one.kind != other.kind:
            return False
        a, b = np.ix_(one.areas, other.areas), np.ix_(one.categories, other.categories)
        return bool((self.inside | self.inside.T)[a].any() and (self.part | self.part.T)[b].any())

    def depth(self, block: Block) -> int:
        """How specific a block is: levels of its least specific area and category below their roots, less one for several."""
        areas = (self.space.area_ancestors[list(block.areas)] >= 0).sum(1).min()
        categories = (self.space.category_ancestors[list(block.categories)] >= 0).sum(1).min()
        return int(areas + categories) - 2 - (len(block.areas) > 1) - (len(block.categories) > 1)

    def series(self, block: Block) -> Ints:
        """The series that add up to a block."""
        areas, categories = np.meshgrid(block.areas, block.categories, indexing="ij")
        return self.space.number(block.kind, areas.ravel(), categories.ravel())


def _inside(ancestors: Ints) -> NDArray[np.bool_]:
    n = len(ancestors)
    table = np.zeros((n, n), dtype=bool)
    for column in ancestors.T:
        below = np.flatnonzero(column >= 0)
        table[column[below], below] = True
    return table


class Watched(NamedTuple):
    """The categories with enough history to be watched, one base column each: kind and category of every column.

    parent: (K,) column of the nearest category above, -1 at the top. leaves: columns without columns below them.
    contains: (leaves, K) whether a column contains a leaf. scanned: base columns and pairs of siblings.
    """

    kind: Ints
    category: Ints
    parent: Ints
    leaves: Ints
    contains: Floats
    scanned: Columns

    def block(self, areas: tuple[int, ...], column: int) -> Block:
        """The block of some areas and a scanned column."""
        members = [int(m) for m in self.scanned.members[column] if m >= 0]
        return Block(int(self.kind[members[0]]), areas, tuple(sorted(int(self.category[m]) for m in members)))

    def base(self, block: Block) -> Ints:
        """The base columns of a block, empty when one of its categories is not watched."""
        found = [np.flatnonzero((self.kind == block.kind) & (self.category == c)) for c in block.categories]
        return np.concatenate(found) if all(len(f) for f in found) else np.empty(0, dtype=np.int64)

    def with_bonus(self, bonus: Floats) -> "Watched":
        """The same, with categories in which false alarms may be more frequent: (categories,) powers of ten.

        Two categories together have the mean of both.
        """
        base = np.append(bonus[self.category], np.nan)
        columns = self.scanned._replace(rank=self.scanned.rank - np.nanmean(base[self.scanned.members], axis=1))
        return self._replace(scanned=columns)

    @classmethod
    def of(cls, scope: Scope, events: Floats, least: float) -> "Watched":
        """Columns of the categories with at least `least` events. events: (kinds, categories) in the whole municipality.

        A category above others is left out where it counts nothing but one of them.
        """
        part = scope.part
        kinds, categories = [], []
        for kind in range(events.shape[0]):
            for category in range(events.shape[1]):
                n = events[kind, category]
                below = np.flatnonzero(part[category] & (np.arange(events.shape[1]) != category))
                if n >= least and not (events[kind, below] >= n).any():
                    kinds.append(kind)
                    categories.append(category)
        k, c = np.array(kinds, dtype=np.int64), np.array(categories, dtype=np.int64)
        below = part[np.ix_(c, c)] & (k[:, None] == k) if len(k) else np.zeros((0, 0), dtype=bool)
        above = below.T & ~np.eye(len(k), dtype=bool)
        # The nearest column above is the one that contains fewest.
        size = np.where(above, below.sum(1)[None, :], len(k) + 1)
        parent = np.where(above.any(1), size.argmin(1), -1) if len(k) else np.empty(0, dtype=np.int64)
        leaves = np.flatnonzero(below.sum(1) == 1)
        siblings = [np.flatnonzero((parent == p) & np.isin(np.arange(len(k)), leaves)).tolist() for p in np.unique(parent[leaves])]
        siblings = [[s for s in group if parent[s] >= 0] for group in siblings]
        contains = below[:, leaves].T.astype(np.float64)
        return cls(k, c, parent.astype(np.int64), leaves, contains, Columns.of(siblings, len(k)))
