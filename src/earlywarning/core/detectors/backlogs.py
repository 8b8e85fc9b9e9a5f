"""Late entries in bulk: a gap of a source that is filled days later, and a backlog that is entered in one day.

What fills a gap belongs to its days and is no surge: it counts where it happened, and says nothing of how late the source
usually is. A backlog comes on top of days that were already reported on: it is left out of what may raise alerts.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.bookings import (
    ANY,
    FEWEST_DAYS,
    SPREAD,
    YEAR,
    Artefact,
    Bookings,
    Bools,
    Done,
    Found,
    Ints,
    Past,
    What,
    check,
    grouped,
    nothing,
)
from earlywarning.core.detectors.negative_binomial import tail_probability

Floats = NDArray[np.float64]
LEAST = 10  # late rows of one source in a day, below which they are neither
SHORTEST_GAP = 2  # days without anything from the source
FILLED_WITHIN = 3  # days after the end of a gap in which what was missing comes
_USUAL_GAPS = 3  # as many gaps as long in the year before: that is how this source sends
_SELDOM_YEARS = 10.0  # a pause that chance gives more often than once in so many years is none
LAGS = np.array([2, 3, 5, 8, 15, 29, 57, 113], dtype=np.int64)  # days late from which rows may be called unusually late
SELDOM = 0.02  # share of a source's rows that are as late as this or later
TIMES = 8.0
_ALPHA = 1e-8
_DAYS_APART = 3  # different days of happening, at least
_FEWEST_ROWS = 50  # of a source's past that say how late it usually is


class Gaps(NamedTuple):
    """Days on which nothing came from a sender that usually sends: (g,) each. before: its last day of arrival; after: the next.
    missing: what it usually sends in such a time; p_value: chance of such a pause on any one day."""

    sender: Ints
    before: Ints
    after: Ints
    missing: Floats
    p_value: Floats


def find_gaps(rows: Bookings) -> Gaps:
    """Gaps of each sender between two days of arrival: unusual for its rate, and not the way it always sends.

    A sender known for less than FEWEST_DAYS has none. The gap that is not over yet is not here (see arrivals.Silent).
    """
    check(rows)
    sender = rows.sender
    first, _, _ = grouped(sender, rows.arrived)
    order = np.lexsort((rows.arrived[first], sender[first]))
    who, day = sender[first][order], rows.arrived[first][order]
    pause = np.flatnonzero((who[1:] == who[:-1]) & (day[1:] - day[:-1] > SHORTEST_GAP)) if len(who) else np.empty(0, np.int64)
    who, before, after = who[pause], day[pause], day[pause + 1]
    past = Past(sender, rows.arrived)
    known = past.known(who, before + 1)
    rate = past.between(who, before + 1 - np.maximum(known, 1), before) / np.maximum(known, 1)
    length = after - before - 1
    missing = rate * length
    pauses_alike = np.zeros(len(who), dtype=np.int64)
    for i in range(len(who)):  # pauses of two days and more are few
        alike = (who == who[i]) & (after <= before[i]) & (before > before[i] - YEAR) & (2 * (after - before - 1) >= length[i])
        pauses_alike[i] = alike.sum()
    # As in arrivals.Silent: a Poisson stream of that rate pauses so long about rate * exp(-rate * length) times a day.
    chance = np.minimum(rate, 1.0) * np.exp(-missing)
    real = (known >= FEWEST_DAYS) & (chance * YEAR * _SELDOM_YEARS < 1) & (pauses_alike < _USUAL_GAPS)
    return Gaps(who[real], before[real], after[real], missing[real], chance[real])


def find_backlogs(rows: Bookings, first: int, last: int) -> Found:
    """Gaps filled and backlogs entered on the arrival days first..last.

    rows: all that arrived up to `last`, at least from two YEARs before `first`. A gap is filled by what comes within FILLED_WITHIN
    days of its end and happened in it. Of the rest, rows of a sender are a backlog when there are LEAST and TIMES the usual so
    many days late, which is a lateness that SELDOM of its rows have; when chance gives that on fewer than _ALPHA of days
    (negative binomial, variance SPREAD times the mean); and when they happened on several days.
    """
    check(rows)
    out = nothing(rows.size)
    judged = np.flatnonzero((rows.arrived >= first) & (rows.arrived <= last) & (rows.arrived - rows.last_day >= LAGS[0]))
    if len(judged) < LEAST:
        return out
    artefacts = [*_filled(rows, judged, first, last, out.late)]
    judged = judged[~out.late[judged]]
    if len(judged) >= LEAST:
        artefacts += _entered(rows, judged, out.left_out, out.late)
    return out._replace(artefacts=tuple(artefacts))


def seldom_late(as_late: Floats | Ints, total: Ints, known: Ints) -> Ints:
    """Number of the first of LAGS that at most SELDOM of a sender's rows have; -1 where its past says nothing: (m,).

    as_late: (len(LAGS), m) rows so late or later; total: (m,) all rows; known: (m,) days that the sender is known.
    """
    seldom = as_late <= SELDOM * np.maximum(total, 1)
    judgeable = seldom.any(0) & (known >= FEWEST_DAYS) & (total >= _FEWEST_ROWS)
    return np.where(judgeable, seldom.argmax(0), -1)


def _filled(rows: Bookings, judged: Ints, first: int, last: int, late: Bools) -> list[Artefact]:
    gaps = find_gaps(rows)
    found = []
    for i in np.flatnonzero((gaps.after <= last) & (gaps.after + FILLED_WITHIN > first)).tolist():
        who, before, after, missing = int(gaps.sender[i]), int(gaps.before[i]), int(gaps.after[i]), float(gaps.missing[i])
        fills = (rows.sender[judged] == who) & (rows.last_day[judged] >= before) & (rows.day[judged] < after)
        # Each day of arrival by itself, so that what is said of one does not depend on what comes on the next.
        for day in range(max(after, first), min(after + FILLED_WITHIN, last + 1)):
            items = judged[fills & (rows.arrived[judged] == day)]
            if len(items) < LEAST:
                continue
            late[items] = True
            n, p = len(items), float(gaps.p_value[i])
            found.append(_late(("gap-filled", "kept on their days"), who, (before + 1, after - 1), n, missing, n / missing, p))
    return found


def _late(what: tuple[What, Done], sender: int, days: tuple[int, int], n: int, expected: float, share: float, p: float) -> Artefact:
    return Artefact(*what, sender % 2, sender // 2, ANY, ANY, *days, n, expected, share, p)


def _entered(rows: Bookings, judged: Ints, left_out: Bools, late: Bools) -> list[Artefact]:
    these = rows.take(judged)
    starts, which, counts = grouped(these.sender, these.arrived)
    many = np.flatnonzero(counts >= LEAST)
    if not len(many):
        return []
    heads = these.take(starts[many])
    past = Past(rows.sender, rows.arrived)
    known = past.known(heads.sender, heads.arrived)
    since, before = heads.arrived - np.maximum(known, 1), heads.arrived - 1
    total = past.between(heads.sender, since, before)
    # From how many days on a row of this sender is unusually late, and how many such it sends a day.
    lag = rows.arrived - rows.last_day
    as_late = np.empty((len(LAGS), len(many)))
    for k, least in enumerate(LAGS.tolist()):
        of_these = lag >= least
        as_late[k] = Past(rows.sender[of_these], rows.arrived[of_these]).between(heads.sender, since, before)
    bound = seldom_late(as_late, total, known)
    per_day = as_late[bound, np.arange(len(many))] / np.maximum(known, 1)
    found = []
    for i in np.flatnonzero(bound >= 0).tolist():
        items = judged[which == many[i]]
        items = items[lag[items] >= LAGS[bound[i]]]
        expected = max(float(per_day[i]), 1 / YEAR)
        p = float(tail_probability(len(items), expected, SPREAD))
        if len(items) < LEAST or len(items) < TIMES * expected or p >= _ALPHA:
            continue
        if len(np.unique(rows.last_day[items])) < _DAYS_APART:
            continue
        left_out[items] = True
        late[items] = True
        who, day = int(heads.sender[i]), int(heads.arrived[i])
        sent = int(((rows.sender == who) & (rows.arrived == day)).sum())
        found.append(_late(("backlog", "left out of alerts"), who, (day, day), len(items), expected, len(items) / sent, p))
    return found
