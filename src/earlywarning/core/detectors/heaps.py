"""Booking heaps: what happened at an unknown time is booked on the first of the month, on 1 January, at 00:00 or 12:00.

Learned from the history of each source and category: how many more events stand on such a day, or at such an hour,
than on those around it. A clean source has no heap. A heap is an effect of the calendar, for the baseline to carry; the
share of events that stand there by default is what an alert on such a day says beside its figures.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr

from earlywarning.core.detectors.bookings import ANY, Artefact, Bookings, Bools, Done, Ints, What, check, grouped
from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]
LEVEL = 0.01  # chance that anything at all is found among clean sources and categories
_DAYS_AROUND = (-14, -7, 7, 14)  # the same weekday, so that weekdays take no part
_HOURS = (0, 12)
_LEAST_FACTOR = 1.15  # less is not worth a note
_FEWEST = 30  # events on such days (or hours) and around them, below which nothing is said
_NO_HOURS = 0.95  # share of a sender's events at one hour: it gives no time of day
_FREE_HOURS = [h for h in range(24) if min(abs(h - g) for g in (0, 12, 24)) > 1]


def find_heaps(rows: Bookings, first_of_month: Bools, new_year: Bools, begin: int, level: float = LEVEL) -> tuple[Artefact, ...]:
    """Heaps of each source and category, and of each source as a whole (category ANY).

    first_of_month, new_year: (days,) for local days begin, begin + 1, ...; rows outside these days, and those known to several
    days only, are not looked at. Dates: events on such days against those of the same weekday one and two weeks before and
    after. Quasi-Poisson with the variance over mean that the days around show, and a paired t test over the occasions, so
    that one loud first of a month is not a habit; the larger of the two p-values. Hours: the log ratio of an hour to the two
    beside it against those ratios of the other hours (t test), because people's days have a shape. One-sided, `level`
    shared by all tests.
    New Year's night is also a night like no other: the two cannot be told apart, and both are expected of the day.
    Raises DetectorError for calendars of unequal length and a level outside 0..1.
    McCullagh & Nelder 1989, Generalized Linear Models, 2nd ed., section 6.2 (overdispersion).
    """
    check(rows)
    if first_of_month.shape != new_year.shape:
        raise DetectorError(f"first_of_month and new_year must be of one length, not {first_of_month.shape}, {new_year.shape}")
    if not 0 < level < 1:
        raise DetectorError(f"level = {level}: must lie between 0 and 1")
    days = len(first_of_month)
    rows = rows.take((rows.day == rows.last_day) & (rows.day >= begin) & (rows.day < begin + days))
    if not rows.size:
        return ()
    found = [
        *_tests(rows, first_of_month & ~new_year, begin, False),
        *_tests(rows, new_year, begin, True),
        *_hour_tests(rows.take(~_hourless(rows))),
    ]
    return tuple(a for a in found if a.p_value * max(len(found), 1) < level and _factor(a) >= _LEAST_FACTOR)


def _factor(heap: Artefact) -> float:
    return heap.events / max(heap.expected, 1e-9)


def _groups(rows: Bookings) -> list[tuple[Ints, Ints, Bookings]]:
    """(group of each row, rows in each group, the first row of each) by sender and category, and by sender."""
    out = []
    for category in (rows.category, np.zeros(rows.size, dtype=np.int64)):
        starts, which, counts = grouped(rows.sender, category)
        heads = rows.take(starts)
        out.append((which, counts, heads if category is rows.category else heads._replace(category=np.full(heads.size, ANY))))
    # A sender of one category is said once.
    alone = np.isin(out[0][2].sender, np.flatnonzero(np.bincount(out[0][2].sender) == 1))
    which, counts, heads = out[1]
    several = ~np.isin(heads.sender, out[0][2].sender[alone])
    keep = several[which]
    out[1] = (np.where(keep, np.cumsum(several)[which] - 1, -1), counts[several], heads.take(several))
    return out


def _tests(rows: Bookings, special: Bools, begin: int, new_year: bool) -> list[Artefact]:
    """Every group's events on the special days against those of the days around."""
    at = np.flatnonzero(special)
    out: list[Artefact] = []
    for which, counts, heads in _groups(rows):
        low, high = _span(rows, which, len(counts))
        around = at[:, None] + np.array(_DAYS_AROUND)
        ok = ((around >= 0) & (around < len(special))).all(1)
        if not ok.any():
            continue
        days = np.concatenate([at[ok][:, None], around[ok]], axis=1)  # (occasions, 1 + around)
        inside = which >= 0
        width = len(special)
        cell = which[inside] * width + rows.day[inside] - begin
        daily = np.bincount(cell, minlength=len(counts) * width).reshape(len(counts), width).astype(np.float64)
        n = daily[:, days]  # (groups, occasions, 1 + around)
        # Only occasions that lie wholly within the group's own time.
        held = ((begin + days.min(1))[None] >= low[:, None]) & ((begin + days.max(1))[None] <= high[:, None])
        n = n * held[..., None]
        there, others = n[..., 0].sum(1), n[..., 1:].sum((1, 2))
        m = len(_DAYS_AROUND)
        mean = n[..., 1:].mean(2, keepdims=True)
        free = np.maximum(held.sum(1) * (m - 1), 1)
        pearson = np.where(mean > 0, (n[..., 1:] - mean) ** 2 / np.maximum(mean, 1e-12), 0.0).sum((1, 2)) / free
        p = _ratio_p(there, others, m, np.maximum(pearson, 1.0))
        p = np.maximum(p, _paired_p(n[..., 0] - n[..., 1:].mean(2), held))
        out += _candidates("date-heap", heads, there, others / m, p, (low, high), new_year=new_year)
    return out


def _hour_tests(rows: Bookings) -> list[Artefact]:
    """Every group's events at 00 and 12 against the hours just before and after."""
    out: list[Artefact] = []
    if not rows.size:
        return out
    for which, counts, heads in _groups(rows):
        low, high = _span(rows, which, len(counts))
        inside = which >= 0
        hours = np.bincount(which[inside] * 24 + rows.hour[inside], minlength=len(counts) * 24).reshape(-1, 24).astype(np.float64)
        ratio = np.log(hours + 0.5) - np.log((np.roll(hours, 1, 1) + np.roll(hours, -1, 1)) / 2 + 0.5)
        spread = np.sqrt((ratio[:, _FREE_HOURS] ** 2).mean(1))
        for hour in _HOURS:
            there, others = hours[:, hour], hours[:, hour - 1] + hours[:, hour + 1]
            t = ratio[:, hour] / np.maximum(spread, np.sqrt(1 / (there + 0.5) + 1 / (others + 0.5)))
            out += _candidates("hour-heap", heads, there, others / 2, stdtr(len(_FREE_HOURS), -t), (low, high), hour=hour)
    return out


def _ratio_p(there: Floats, others: Floats, around: int, phi: Floats) -> Floats:
    """One-sided p-value that `there` is no more than its share of both; the log of the ratio has variance phi (1/a + 1/b)."""
    a, b = there + 0.5, others + 0.5  # half an event stands for none
    return np.asarray(ndtr(-np.log(a / (b / around)) / np.sqrt(phi * (1 / a + 1 / b))), dtype=np.float64)


def _paired_p(excess: Floats, held: Bools) -> Floats:
    """One-sided p-value of the mean excess over occasions. excess, held: (groups, occasions); 1 with fewer than three."""
    n = held.sum(1)
    mean = (excess * held).sum(1) / np.maximum(n, 1)
    variance = ((excess - mean[:, None]) ** 2 * held).sum(1) / np.maximum(n - 1, 1)
    t = mean / np.sqrt(np.maximum(variance, 1e-12) / np.maximum(n, 1))
    return np.where(n < 3, 1.0, stdtr(np.maximum(n - 1, 1), -t))


def _candidates(
    what: What,
    heads: Bookings,
    there: Floats,
    usual: Floats,
    p: Floats,
    span: tuple[Ints, Ints],
    *,
    hour: int = -1,
    new_year: bool = False,
) -> list[Artefact]:
    """One for each group with enough events to say anything, whatever its p-value."""
    share = np.clip(1 - (usual + 0.5) / (there + 0.5), 0.0, 1.0)
    done: Done = "calendar effect" if what == "date-heap" else "noted"
    out = []
    for i in np.flatnonzero(there + usual * len(_DAYS_AROUND) >= _FEWEST).tolist():
        head = (int(heads.kind[i]), int(heads.source[i]), ANY, int(heads.category[i]), int(span[0][i]), int(span[1][i]))
        figures = (float(usual[i]), float(share[i]), float(p[i]))
        out.append(Artefact(what, done, *head, int(there[i]), *figures, hour, new_year))
    return out


def _hourless(rows: Bookings) -> Bools:
    """Rows of senders that give no time of day: nearly all stand at one hour."""
    _, which, counts = grouped(rows.sender)
    hours = np.bincount(which * 24 + rows.hour, minlength=len(counts) * 24).reshape(-1, 24)
    return np.asarray((hours.max(1) >= _NO_HOURS * counts)[which])


def _span(rows: Bookings, which: Ints, groups: int) -> tuple[Ints, Ints]:
    """First and last day of each group's rows."""
    low, high = np.full(groups, np.iinfo(np.int64).max), np.full(groups, np.iinfo(np.int64).min)
    inside = which >= 0
    np.minimum.at(low, which[inside], rows.day[inside])
    np.maximum.at(high, which[inside], rows.day[inside])
    return low, high
