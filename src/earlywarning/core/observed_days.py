"""Days on which nothing was observed, and days on which what happened at an unknown time is booked."""

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.calendar import dates_of
from earlywarning.core.scope import Watched

Floats = NDArray[np.float64]


def booking_days(first_day: int, last_day: int) -> Floats:
    """The first of each month, and 1 January: what happened at an unknown time is often booked there. (days, 2), 0 or 1.

    As columns of the profile they take up, for each category, as much as its own past shows: nothing for a clean source.
    """
    dates = dates_of(range(first_day, last_day + 1))
    first = np.array([d.day == 1 for d in dates], dtype=np.float64)
    year = np.array([(d.month, d.day) == (1, 1) for d in dates], dtype=np.float64)
    return np.stack([first, year], axis=1)


def observed_days(counts: NDArray[np.float32], watched: Watched) -> NDArray[np.bool_]:
    """Days on which anything was observed: not those of a gap so long that chance would hardly make it. counts: (days, K)."""
    total = counts[:, watched.leaves].sum(1)
    seen = np.ones(len(total), dtype=bool)
    if not len(total) or not total.any():
        return seen
    usual = float(np.median(total[total > 0]))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (total == 0).astype(np.int8), [0]])))
    for begin, stop in edges.reshape(-1, 2).tolist():
        # Expected events in the gap: e^-12 is less than once in a hundred years of days.
        if usual * (stop - begin) > 12:
            seen[begin:stop] = False
    return seen
