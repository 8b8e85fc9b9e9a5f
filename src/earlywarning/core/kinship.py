"""Which areas and categories lie in which, by their codes, and how grave a category is: what routing and mutes compare by."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.areas import AreaRegister
from earlywarning.core.categories import CategoryTree

Above = Mapping[str, frozenset[str]]


class Kinship(NamedTuple):
    """areas, categories: each code with itself and all above it. harm: weight of each category. root: the municipality's code.

    A code that the registers do not have (they were replaced since) lies only in itself.
    """

    areas: Above
    categories: Above
    harm: Mapping[str, float]
    root: str

    @classmethod
    def from_registers(cls, register: AreaRegister, tree: CategoryTree) -> Self:
        """Of a municipality's registers."""
        harm = dict(zip(tree.codes, np.asarray(tree.harm, dtype=np.float64).tolist(), strict=True))
        return cls(_above(register.codes, register.ancestors), _above(tree.codes, tree.ancestors), harm, register.municipality)

    def touch(self, areas: Iterable[str], others: Iterable[str]) -> bool:
        """Whether an area of the one contains, or is contained in, one of the others."""
        return _touch(self.areas, areas, others)

    def touch_categories(self, categories: Iterable[str], others: Iterable[str]) -> bool:
        """As `touch`, of categories."""
        return _touch(self.categories, categories, others)

    def inside(self, areas: Iterable[str], others: Iterable[str]) -> bool:
        """Whether each area lies in one of the others, or is it."""
        return _inside(self.areas, areas, others)

    def inside_categories(self, categories: Iterable[str], others: Iterable[str]) -> bool:
        """As `inside`, of categories."""
        return _inside(self.categories, categories, others)

    def gravest(self, categories: Iterable[str]) -> float:
        """The greatest harm weight of some categories."""
        return max((self.harm.get(code, 0.0) for code in categories), default=0.0)


def _above(codes: tuple[str, ...], ancestors: NDArray[np.int32]) -> dict[str, frozenset[str]]:
    return {code: frozenset(codes[i] for i in row if i >= 0) for code, row in zip(codes, ancestors.tolist(), strict=True)}


def _touch(above: Above, ours: Iterable[str], theirs: Iterable[str]) -> bool:
    others = [(code, above.get(code, frozenset((code,)))) for code in theirs]
    return any(a in over or b in above.get(a, ()) for a in ours for b, over in others)


def _inside(above: Above, ours: Iterable[str], theirs: Iterable[str]) -> bool:
    others = frozenset(theirs)
    return all(others & above.get(code, frozenset((code,))) for code in ours)
