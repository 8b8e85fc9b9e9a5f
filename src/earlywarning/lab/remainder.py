"""What open alerts leave over of the blocks that they meet: the rest of a district beside a neighbourhood, say.

The same subtraction as the watch's own (core/watch.py), done for the few blocks that were found instead of for all cells.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.negative_binomial import tail_probability
from earlywarning.core.detectors.scan import block_sort
from earlywarning.core.scope import Block
from earlywarning.core.watch import COVERED
from earlywarning.lab.recording import Bools, Fit, Found, Ints, Recording


class Covered(NamedTuple):
    """What blocks are about, in the columns of a fit. fine: (finest areas, leaf columns); whole: (areas, columns)."""

    fine: Bools
    whole: Bools

    @classmethod
    def of(cls, recording: Recording, fit: int, blocks: Iterable[int]) -> "Covered":
        """That of some blocks together."""
        watched = recording.fits[fit].watched
        fine = np.zeros((len(recording.scope.fine), len(watched.leaves)), dtype=bool)
        whole = np.zeros((recording.scope.space.areas, len(watched.kind)), dtype=bool)
        out = cls(fine, whole)
        out.add(recording, fit, blocks)
        return out

    def add(self, recording: Recording, fit: int, blocks: Iterable[int]) -> None:
        """Cover more blocks."""
        for block in blocks:
            fine, whole = _reach(recording, fit, block)
            self.fine[fine] = True
            self.whole[whole] = True


_Cells = tuple[NDArray[np.intp], ...]


def _reach(recording: Recording, fit: int, number: int) -> tuple[_Cells, _Cells]:
    """Where a block stands in what is covered: indices into both."""
    key = ("reach", fit, number)
    out = recording.memo.get(key)
    if out is None:
        b, scope, w = recording.blocks[number], recording.scope, recording.fits[fit].watched
        rows = np.asarray(scope.inside[list(b.areas)].any(0))
        columns = np.asarray(scope.part[list(b.categories)].any(0))[w.category] & (w.kind == b.kind)
        out = recording.memo[key] = np.ix_(rows[scope.fine], columns[w.leaves]), np.ix_(rows, columns)
    return out


def rejudge(
    recording: Recording, fit: Fit, place: int, counts: NDArray[Any], found: Found, at: Ints, covered: Covered
) -> list[tuple[int, int, int, float, float, float]]:
    """The rows `at` of a day's signals without what is covered: place in `at`, block, window, events, expectation and score.

    counts: (windows, areas, K) of the day, which stands at `place` of its fit. Those of which nothing is left are left out,
    and areas of which nothing is left leave their block.
    """
    scope, watched = recording.scope, fit.watched
    blocks = [recording.blocks[b] for b in found.block[at].tolist()]
    members = watched.scanned.members[found.column[at]]  # (n, 2)
    width = max(len(b.areas) for b in blocks)
    areas = np.array([[*b.areas, *[-1] * (width - len(b.areas))] for b in blocks])
    gone = covered.whole[areas[:, :, None], members[:, None, :]] | (areas < 0)[:, :, None] | (members < 0)[:, None, :]
    some = np.flatnonzero(~gone.all((1, 2)))
    if not len(some):
        return []
    at, members, areas, gone = at[some], members[some], areas[some], gone[some]
    rows, row = np.unique(np.maximum(areas, 0), return_inverse=True)
    columns, column = np.unique(np.maximum(members, 0), return_inverse=True)
    row, column = row.reshape(areas.shape), column.reshape(members.shape)
    fine, leaf = np.flatnonzero(covered.fine.any(1)), np.flatnonzero(covered.fine.any(0))
    mask = covered.fine[fine[:, None], leaf]
    small, deep = scope.fine[fine], watched.leaves[leaf]
    inside = scope.inside[rows[:, None], small].astype(np.float64)
    contains = watched.contains[leaf[:, None], columns]
    recorded, phi, profile = (x[place] for x in (fit.law.recorded, fit.law.dispersion, fit.law.profile_variance))
    hidden = counts[:, small[:, None], deep] * mask
    o = np.maximum(counts[:, rows[:, None], columns] - inside @ hidden @ contains, 0.0)
    expected = fit.level[rows[:, None], columns] * recorded[:, None, columns]
    hidden = fit.level[small[:, None], deep] * recorded[:, None, deep] * mask
    left = np.maximum(expected - inside @ hidden @ contains, 0.0)
    relative = fit.relative[rows[:, None], columns] + profile[:, None, columns]
    v = left * (phi[:, None, columns] + relative * expected)
    window = found.window[at].astype(np.int64)[:, None, None]
    cell = window, row[:, :, None], column[:, None, :]
    gone |= left[cell] < COVERED * expected[cell]
    o_sum, e_sum, v_sum = (np.where(gone, 0.0, x[cell]).sum((1, 2)) for x in (o, left, v))
    stays = ~gone.all(2)
    out = []
    use = np.flatnonzero(o_sum > e_sum)
    spread = np.maximum(v_sum / np.maximum(e_sum, 1e-12), 1.0)
    several = stays.sum(1) > 1
    common = np.append(fit.common, 0.0)[members].max(1)
    spread = np.where(several, spread + common * e_sum, spread)
    p = np.maximum(tail_probability(o_sum[use], e_sum[use], spread[use]), 1e-300)
    for i, chance in zip(use.tolist(), p.tolist(), strict=True):
        block = blocks[some[i]]
        kept = tuple(int(a) for a in areas[i][stays[i]])
        if len(kept) < len(block.areas) and len(kept) < 2:
            continue  # what is left is a block of its own, and judged as such
        number = int(found.block[at[i]])
        if kept != block.areas:
            number = recording.number(Block(block.kind, kept, block.categories))
        score = -np.log10(chance) - block_sort(recording.zones, watched.scanned, kept, int(found.column[at[i]]))
        out.append((int(some[i]), number, int(window[i, 0, 0]), float(o_sum[i]), float(e_sum[i]), float(score)))
    return out
