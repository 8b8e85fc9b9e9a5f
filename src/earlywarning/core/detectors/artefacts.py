"""Artefacts are not tendencies: what is booked in heaps, bursts, backlogs and at a changed place raises no alert.

The one face of bookings.py, bursts.py, backlogs.py, place_coding.py and heaps.py. `find_artefacts` and `find_place_coding`
are asked when a day closes, `find_heaps` once a year.
"""

from earlywarning.core.detectors.backlogs import Gaps, find_backlogs, find_gaps
from earlywarning.core.detectors.bookings import ANY, YEAR, Artefact, Bookings, Found, nothing
from earlywarning.core.detectors.bursts import find_bursts
from earlywarning.core.detectors.heaps import find_heaps
from earlywarning.core.detectors.place_coding import find_place_coding

__all__ = [
    "ANY",
    "LOOK_BACK",
    "Artefact",
    "Bookings",
    "Found",
    "Gaps",
    "find_artefacts",
    "find_backlogs",
    "find_bursts",
    "find_gaps",
    "find_heaps",
    "find_place_coding",
    "nothing",
]

LOOK_BACK = 2 * YEAR  # days of arrivals before the first judged one that everything here needs at most


def find_artefacts(rows: Bookings, first: int, last: int) -> Found:
    """Bursts, backlogs and filled gaps among the rows that arrived on the days first..last.

    rows: all that arrived up to `last`, at least from LOOK_BACK days before `first`. What is said of a day of arrival does not
    change with what comes later, with the order of the rows, nor with how days are put together in calls. A row that is
    part of a filled gap or a backlog is not asked about bursts: those are about what is filed of the day. Raises
    DetectorError for columns that do not fit together.
    """
    late = find_backlogs(rows, first, last)
    burst = find_bursts(rows, first, last, late.late)
    found = sorted([*late.artefacts, *burst.artefacts], key=lambda a: (a.first_day, a.what, a[2:6]))
    return Found(tuple(found), late.left_out | burst.left_out, late.late)
