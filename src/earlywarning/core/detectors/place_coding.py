"""A feed that changes its place coding: from one day on nearly all its events stand at one code, or at a coarser level.

No place is then told any more: what stands at that code counts in the municipality as a whole, where the total goes on as
before, and the areas below have a gap instead of a calm.
"""

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.bookings import ANY, Artefact, Bookings, Ints, Past, check, grouped
from earlywarning.core.detectors.negative_binomial import tail_probability

Floats = NDArray[np.float64]
NEW = 14  # days that are compared ...
OLD = 56  # ... with so many before them
_FEWEST_NEW, _FEWEST_OLD = 20, 50  # rows in these
_NEARLY_ALL = 0.85  # share of the new ones at the code
_JUMP = 0.5  # by which it lies above the share of the old ones
_EMPTIED = 0.25  # of their usual, to which all other places fall: a surge at one place takes nothing from the others
_FEWEST_ELSEWHERE = 8.0  # usual rows of the other places in the new days, below which they say nothing
_ALPHA = 1e-6
_SPREAD = 2.0  # places of one source's rows come in clusters


def find_place_coding(rows: Bookings) -> tuple[Artefact, ...]:
    """Changes of place coding that can be told by the last day of arrival.

    rows: all that arrived so far: a change stands until the rows are gone. For each source and area: the share of the source's
    rows of the last NEW days that stand at the area is _NEARLY_ALL or more, _JUMP above that of the OLD days before,
    so many would come by chance with less than _ALPHA, and the other places are emptied: a surge at one place does not do
    that. first_day is the day that parts old and new best, last_day the first on which it can be told.
    Area 0 is a whole already: of it nothing is to be done.
    """
    check(rows)
    if not rows.size:
        return ()
    starts, _, _ = grouped(rows.source, rows.area, rows.arrived)
    heads = rows.take(starts)
    areas = int(max(rows.area.max(), 0)) + 1
    place = rows.source * areas + rows.area
    of_source, of_place = Past(rows.source, rows.arrived), Past(place, rows.arrived)
    begun = of_source.known(heads.source, heads.arrived) >= NEW + OLD // 2
    new, old = ((heads.arrived - NEW + 1, heads.arrived), (heads.arrived - NEW - OLD + 1, heads.arrived - NEW))
    n_new, n_old = (of_source.between(heads.source, *span) for span in (new, old))
    at_new, at_old = (of_place.between(heads.source * areas + heads.area, *span) for span in (new, old))
    share_new, share_old = at_new / np.maximum(n_new, 1), (at_old + 1) / (n_old + 2)
    p = tail_probability(at_new, n_new * share_old, _SPREAD)
    moved = begun & (n_new >= _FEWEST_NEW) & (n_old >= _FEWEST_OLD) & (share_new >= _NEARLY_ALL)
    moved &= (share_new - share_old >= _JUMP) & (p < _ALPHA)
    known = np.clip(of_source.known(heads.source, heads.arrived) - NEW, 1, OLD)
    elsewhere = (n_old - at_old) * NEW / known
    moved &= (elsewhere >= _FEWEST_ELSEWHERE) & (n_new - at_new <= _EMPTIED * elsewhere)
    artefacts = []
    for source, area in sorted({(int(heads.source[i]), int(heads.area[i])) for i in np.flatnonzero(moved)}):
        told = np.flatnonzero(moved & (heads.source == source) & (heads.area == area))
        at = told[heads.arrived[told].argmin()]
        day = _since(rows, source, area, int(heads.arrived[at]), float(share_new[at] + share_old[at]) / 2)
        told_on = int(heads.arrived[at])
        artefacts.append(_changed(rows, source, area, (day, told_on), float(share_old[at]), float(p[at])))
    return tuple(artefacts)


def _since(rows: Bookings, source: int, area: int, told: int, middle: float) -> int:
    """The day that parts the days before `told` best into those below and those above the middle share."""
    mine = (rows.source == source) & (rows.arrived > told - NEW - OLD) & (rows.arrived <= told)
    begin = told - NEW - OLD + 1
    day = rows.arrived[mine] - begin
    n = np.bincount(day, minlength=NEW + OLD).astype(np.float64)
    at = np.bincount(day[rows.area[mine] == area], minlength=NEW + OLD)
    above = np.cumsum((at - middle * n)[::-1])[::-1]  # of all days from each one on
    best = int(above.argmax())
    return begin + best


def _changed(rows: Bookings, source: int, area: int, days: tuple[int, int], old: float, p: float) -> Artefact:
    since = (rows.source == source) & (rows.arrived >= days[0]) & (rows.arrived <= days[1])
    at = since & (rows.area == area)
    kinds: Ints = np.unique(rows.kind[at])
    return Artefact(
        "place-coding", "counted without place" if area else "noted", int(kinds[0]), source, area, ANY, *days,
        int(at.sum()), old * int(since.sum()), float(at.sum() / max(int(since.sum()), 1)), p,
    )  # fmt: skip


def may_have_moved(rows: Bookings, known: set[tuple[int, int]]) -> bool:
    """Whether find_place_coding could tell a change that is not known, from the rows of the last NEW days alone.

    known: pairs of source and area. Never False when it could.
    """
    places, counts = np.unique((rows.source << 32) | rows.area, return_counts=True)
    sent = np.bincount(rows.source)
    enough = (counts >= _FEWEST_NEW) & (counts >= _NEARLY_ALL * sent[places >> 32])
    return any((place >> 32, place & 0xFFFFFFFF) not in known for place in places[enough].tolist())
