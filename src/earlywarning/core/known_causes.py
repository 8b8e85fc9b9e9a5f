"""Days whose counts the group has explained: what was above the usual then is left out of later baselines.

An alert that was assessed as explained by a known cause, or as a fault in the data, tells nothing of what is usual at its
place. Its block's counts on its days are brought down to the mean of the nearest same weekdays before and after them, in the
block, in all its parts, and by as much in all that holds it. Where there are none, nothing tells what is usual: they stay.
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.casework import Verdict
from earlywarning.core.scope import Block, Scope, Watched

AROUND = 8  # weeks before, and as many after, whose weekdays tell what is usual


class LeftOut:
    """The verdicts that an engine has heard, as blocks of its registers."""

    def __init__(self, codes: tuple[Sequence[str], Sequence[str]]) -> None:
        self._areas = {code: i for i, code in enumerate(codes[0])}
        self._categories = {code: i for i, code in enumerate(codes[1])}
        self.verdicts: list[Verdict] = []

    def hear(self, verdicts: Sequence[Verdict], today: int | None) -> list[Verdict]:
        """Take verdicts; one heard before changes nothing. Returns those that are new, as they are to be kept.

        today: the clock's day. A fit that was made before a verdict came cannot have heeded it, whenever it was given.
        """
        heard = {(v.alert_id, v.revision) for v in self.verdicts}
        new = [v for v in verdicts if (v.alert_id, v.revision) not in heard]
        if today is not None:
            new = [msgspec.structs.replace(v, given_on=max(v.given_on, date_of(today))) for v in new]
        self.verdicts += new
        return new

    def blocks(self, day: int) -> list[tuple[Block, int, int]]:
        """Blocks with first and last day that a fit on `day` leaves out: of each alert, what was said last before that day."""
        said = (v for v in self.verdicts if day_number(v.given_on) < day)
        latest = {v.alert_id: v for v in sorted(said, key=lambda v: v.revision)}
        out = []
        for v in sorted(latest.values(), key=lambda v: v.alert_id):
            if v.left_out and set(v.areas) <= self._areas.keys() and set(v.categories) <= self._categories.keys():
                areas = tuple(self._areas[a] for a in v.areas)
                block = Block(int(v.kind == "report"), areas, tuple(self._categories[c] for c in v.categories))
                out.append((block, day_number(v.first_day), day_number(v.last_day)))
        return out


def without_explained(
    counts: NDArray[np.float32], first_day: int, blocks: Sequence[tuple[Block, int, int]], scope: Scope, watched: Watched
) -> NDArray[np.float32]:
    """Counts in which nothing above the usual is left of explained days.

    counts: (days, A, K) of all areas and watched columns from first_day on; returned unchanged when there is nothing to
    leave out, else as a copy.
    """
    inside = [(b, max(first - first_day, 0), min(last - first_day, len(counts) - 1)) for b, first, last in blocks]
    inside = [(b, begin, stop + 1) for b, begin, stop in inside if begin <= stop]
    if not inside:
        return counts
    out = counts.copy()
    for block, begin, stop in inside:
        columns = (watched.kind == block.kind) & np.isin(watched.category, block.categories)
        if not columns.any():
            continue
        own = out[:, list(block.areas)][:, :, columns].sum((1, 2), dtype=np.float64)
        usual = _usual(own, begin, stop)
        above = 1 - np.minimum(usual / np.maximum(own[begin:stop], 1e-9), 1.0)  # the share that is taken away
        same = watched.kind[:, None] == watched.kind[None]
        part = scope.part[np.ix_(watched.category, watched.category)] & same
        areas = _stands_for(np.isin(np.arange(len(scope.inside)), block.areas), scope.inside)
        kinds = _stands_for(columns, part)
        taken = np.einsum("ab,dbk,ck->dac", areas, out[begin:stop].astype(np.float64), kinds)
        out[begin:stop] -= (taken * above[:, None, None]).astype(np.float32)
    return np.maximum(out, 0, out=out)


def _usual(counts: NDArray[np.float64], begin: int, stop: int) -> NDArray[np.float64]:
    """Mean of the nearest AROUND same weekdays before and after days begin..stop-1: (stop - begin,); inf where there is none."""
    days, weeks = np.arange(begin, stop)[:, None], np.arange(AROUND)
    before = days - 7 * ((days - begin) // 7 + 1 + weeks)
    after = days + 7 * ((stop - 1 - days) // 7 + 1 + weeks)
    around = np.concatenate([before, after], axis=1)
    there = (around >= 0) & (around < len(counts))
    total, known = np.where(there, counts[np.where(there, around, 0)], 0.0).sum(1), there.sum(1)
    return np.where(known > 0, total / np.maximum(known, 1), np.inf)


def _stands_for(own: NDArray[np.bool_], holds: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(n, n): for each member which members of the block it loses with: itself inside the block, else those that it holds."""
    n = len(own)
    in_block: NDArray[np.bool_] = np.asarray(holds[own].any(0))
    table = np.where(in_block[:, None], np.eye(n, dtype=bool), holds & own[None])
    return table.astype(np.float64)
