"""Which neighbouring areas and categories together count more than expected: the fast subset scan.

A block is a set of areas, a column (a category, a group of categories, or a pair of one group) and a window of days that
ends today. Every single area of any level is a block; and around each of the finest areas, of all subsets of it and its
neighbours the one with the highest likelihood ratio: areas ranked by observed over expected, it is one of the first k
(the linear-time subset scanning property). Neill 2012, Journal of the Royal Statistical Society B 74:337; the
expectation-based likelihood ratio is Neill et al. 2005, KDD 218.
"""

from collections.abc import Sequence
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.negative_binomial import tail_probability

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
_TINY = 1e-9
_LN10 = float(np.log(10))
_ROOM = 1.6  # powers of ten by which a tail is smaller than its likelihood ratio says, at most, in what is scanned


class Zones(NamedTuple):
    """The places that are scanned. around: (centres, m) each fine area and its neighbours, padded with `areas`.

    bonus: (areas,) powers of ten by which false alarms may be more frequent in an area than elsewhere (a weighted Bonferroni
    rule: Genovese, Roeder & Wasserman 2006, Biometrika 93:509); a block has the mean of its areas.
    """

    areas: int
    around: Ints
    bonus: Floats

    @classmethod
    def of(cls, fine: Ints, neighbours: tuple[tuple[int, ...], ...], most: int = 12) -> "Zones":
        """fine: areas without parts; neighbours: of every area. Of more than `most` neighbours the first are taken."""
        rows = [[a, *[b for b in neighbours[a] if b in set(fine.tolist())][:most]] for a in fine.tolist()]
        width = max((len(row) for row in rows), default=1)
        table = np.full((len(rows), width), len(neighbours), dtype=np.int64)
        for i, row in enumerate(rows):
            table[i, : len(row)] = row
        return cls(len(neighbours), table, np.zeros(len(neighbours)))


class Columns(NamedTuple):
    """What is scanned over categories. members: (columns, 2) the one or two base columns summed; -1 for none.

    rank: (columns,) logarithm (base 10) of how many columns there are of its sort.
    """

    members: Ints
    rank: Floats

    def sums(self, values: Floats) -> Floats:
        """Base columns in the last axis -> scanned columns."""
        padded = np.concatenate([values, np.zeros((*values.shape[:-1], 1))], axis=-1)
        return np.asarray(padded[..., self.members[:, 0]] + padded[..., self.members[:, 1]])

    @classmethod
    def of(cls, siblings: list[list[int]], base: int, most: int = 8) -> "Columns":
        """Every base column, and every pair of siblings where there are at most `most` of them."""
        pairs = [(a, b) for group in siblings if len(group) <= most for i, a in enumerate(group) for b in group[i + 1 :]]
        members = np.array([(c, -1) for c in range(base)] + pairs, dtype=np.int64).reshape(-1, 2)
        rank = np.log10(np.where(members[:, 1] < 0, max(base, 1), max(len(pairs), 1)))
        return cls(members, rank)


class Blocks(NamedTuple):
    """Blocks that count more than expected, one entry each, the highest score first.

    areas: (n, m) area numbers, padded with -1; column: scanned column; window: number of the window length. observed,
    expectation in events; dispersion: variance over mean. score: -log10(p_value) less the logarithm of how many blocks
    of its sort there are, so that blocks of all sorts compare.
    """

    areas: Ints
    column: Ints
    window: Ints
    observed: Floats
    expectation: Floats
    dispersion: Floats
    p_value: Floats
    score: Floats

    def take(self, which: Bools | Ints) -> "Blocks":
        return Blocks._make([column[which] for column in self])

    @classmethod
    def none(cls, width: int) -> "Blocks":
        whole, real = np.empty(0, dtype=np.int64), np.empty(0)
        return cls(np.empty((0, width), dtype=np.int64), whole, whole, real, real, real, real, real)


def block_sort(zones: Zones, columns: Columns, areas: Sequence[int], column: int) -> float:
    """Logarithm (base 10) of how many blocks there are of a block's sort: of its number of areas and its sort of column."""
    rank = columns.rank[column] - zones.bonus[list(areas)].mean()
    if len(areas) == 1:
        return float(np.log10(zones.areas) + rank)
    centres, width = zones.around.shape
    return float(np.log10(centres * max(comb(width - 1, len(areas) - 1), 1)) + rank)


def window_dispersion(dispersion: Floats, length: int) -> Floats:
    """Dispersion of counts over `length` days, from those over 1, 7 and 28: (3, K) -> (K,), straight in log length."""
    at = np.interp(np.log(length), np.log([1, 7, 28]), [0, 1, 2])
    low = min(int(at), 1)
    return np.asarray(dispersion[low] * (1 - (at - low)) + dispersion[low + 1] * (at - low))


def scan(
    observed: Floats,
    expectation: Floats,
    variance: Floats,
    common: Floats,
    zones: Zones,
    columns: Columns,
    least_score: float,
    min_count: float,
    centres: Ints | None = None,
    which: Ints | None = None,
) -> Blocks:
    """Blocks with a score of at least least_score and min_count events.

    observed, expectation, variance: (windows, areas, columns) of the scanned columns; variance without what neighbours
    share; common: (columns,) relative variance that the areas of a block share. centres: rows of zones.around to scan
    (default all); which: columns to scan (default all). The score of a block never falls when counts rise.
    """
    every = np.arange(observed.shape[2]) if which is None else which
    observed, expectation, variance = (v[:, :, every] for v in (observed, expectation, variance))
    common, rank = common[every], columns.rank[every]
    width = zones.around.shape[1]
    around = zones.around if centres is None else zones.around[centres]
    singles = _singles(observed, expectation, variance, rank, zones, width, least_score, min_count)
    found = [singles]
    if width > 1 and len(around):
        found.append(_subsets(observed, expectation, variance, common, rank, zones, around, least_score, min_count))
    merged = Blocks._make([np.concatenate(parts) for parts in zip(*found, strict=True)])
    merged = merged._replace(column=every[merged.column])
    order = np.lexsort((merged.areas[:, 0], merged.column, merged.window, -merged.score))
    return merged.take(order)


def _ratio(observed: Floats, expectation: Floats, dispersion: Floats) -> Floats:
    """Log likelihood ratio of a raised rate, over the dispersion; 0 where the count is not above its expectation."""
    with np.errstate(all="ignore"):
        ratio = observed * np.log(np.maximum(observed, _TINY) / expectation) - observed + expectation
    return np.where(observed > expectation, ratio / dispersion, 0.0)


def _singles(o: Floats, e: Floats, v: Floats, rank: Floats, zones: Zones, width: int, least: float, min_count: float) -> Blocks:
    e = np.maximum(e, _TINY)
    phi = np.maximum(v / e, 1.0)
    sorts = np.log10(zones.areas) - zones.bonus
    needed = least + sorts[:, None] + rank
    hit = (o >= min_count) & (_ratio(o, e, phi) > _LN10 * (needed - _ROOM))
    w, a, c = np.nonzero(hit)
    areas = np.full((len(w), width), -1, dtype=np.int64)
    areas[:, 0] = a
    return _judged(areas, c, w, o[hit], e[hit], phi[hit], sorts[a] + rank[c], least)


def _subsets(
    o: Floats, e: Floats, v: Floats, common: Floats, rank: Floats, zones: Zones, around: Ints, least: float, min_count: float
) -> Blocks:
    width = around.shape[1]
    sorts = np.log10([len(zones.around) * max(comb(width - 1, k), 1) for k in range(width)])
    w, z, c = _promising(o, e, v, around, _LN10 * (least + sorts[1:].min() - zones.bonus.max() + rank - _ROOM))
    pad = ((0, 0), (0, 1), (0, 0))  # the padding of neighbourhoods has no events and hardly expects any
    on, en, vn = (np.pad(x, pad)[w[:, None], around[z], c[:, None]] for x in (o, e, v))  # (promising, m)
    order = np.argsort(-on / np.maximum(vn, _TINY), axis=1, kind="stable")
    on, en, vn = (np.cumsum(np.take_along_axis(x, order, 1), 1) for x in (on, en, vn))
    phi = np.maximum(vn / np.maximum(en, _TINY), 1.0) + common[c][:, None] * en
    ratio = _ratio(on, np.maximum(en, _TINY), phi)
    ratio[:, 0] = 0.0  # one area alone is a single block
    k = ratio.argmax(1)
    row = np.arange(len(k))
    keep = (ratio[row, k] > _LN10 * (least + sorts[k] - zones.bonus.max() + rank[c] - _ROOM)) & (on[row, k] >= min_count)
    row, k, w, z, c = (x[keep] for x in (row, k, w, z, c))
    inside = np.arange(width) <= k[:, None]
    areas = np.where(inside, np.take_along_axis(around[z], order[row], 1), zones.areas)
    areas = np.sort(np.where(areas < zones.areas, areas, zones.areas), axis=1)
    areas = np.where(areas < zones.areas, areas, -1)
    size = (areas >= 0).sum(1)
    bonus = (np.append(zones.bonus, 0.0)[areas] * (areas >= 0)).sum(1) / np.maximum(size, 1)
    sort = sorts[np.maximum(size - 1, 0)] + rank[c] - bonus
    found = _judged(areas, c, w, on[row, k], en[row, k], phi[row, k], sort, least)
    # One area with a neighbourhood's padding is a single block, which is judged as such.
    found = found.take(np.flatnonzero((found.areas >= 0).sum(1) > 1))
    # Several centres find the same block.
    if len(found.score):
        identity = np.concatenate([found.areas, found.column[:, None], found.window[:, None]], axis=1)
        found = found.take(np.sort(np.unique(identity, axis=0, return_index=True)[1]))
    return found


def _promising(o: Floats, e: Floats, v: Floats, around: Ints, needed: Floats) -> tuple[Ints, Ints, Ints]:
    """Windows, centres and columns where a subset can reach the log likelihood ratio `needed` (columns,) at all.

    By the log sum inequality no subset has a higher ratio than the sum of its areas' own.
    """
    e = np.maximum(e, _TINY)
    least_phi = np.maximum(v / e, 1.0).min(1)  # (windows, columns)
    own = _ratio(o, e, np.ones_like(e))
    centres = np.zeros((len(around), o.shape[1] + 1))
    np.put_along_axis(centres, around, 1.0, axis=1)
    most = centres[:, :-1] @ own / least_phi[:, None]
    return np.nonzero(most > needed)  # type: ignore[return-value]


def _judged(areas: Ints, c: Ints, w: Ints, o: Floats, e: Floats, phi: Floats, sorts: Floats, least: float) -> Blocks:
    p = np.maximum(tail_probability(o, e, phi), 1e-300)
    score = -np.log10(p) - sorts
    keep = score >= least
    return Blocks(areas[keep], c[keep], w[keep], o[keep], e[keep], phi[keep], p[keep], score[keep])
