"""What a reporter's events led to: how many of them came in, and the alerts in whose blocks and windows they counted."""

from collections.abc import Iterable
from datetime import date

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.alert_record import Alert
from earlywarning.core.calendar import LocalCalendar, day_number
from earlywarning.core.events import KINDS, ORIGINS
from earlywarning.core.kinship import Above, Kinship
from earlywarning.core.ledger import STANDING
from earlywarning.core.pages import Rows

Bools = NDArray[np.bool_]


def of_source(rows: Rows, source: str) -> Bools:
    """(rows,): whether a row is of an event of a source."""
    return _these(rows, "source", [code == source for code in rows.codes["source"]])


def came_in(rows: Rows, first_day: date, last_day: date) -> Bools:
    """(rows,): the first row of each event that was taken in on these local days, whenever it happened.

    rows: as join_pages gives them, an event's revisions one after the other.
    """
    key, arrived = rows.columns["key"], rows.columns["arrived"]
    first = np.append(True, key[1:] != key[:-1])[: len(key)]
    return np.asarray(first & (arrived >= day_number(first_day)) & (arrived <= day_number(last_day)))


def all_rows_of(rows: Rows, chosen: Bools) -> Bools:
    """(rows,): every revision of the events of the chosen rows: the first one came in, the last one counts."""
    key = rows.columns["key"]
    return np.isin(key, key[chosen])


def counted_in(
    rows: Rows, chosen: Bools, alerts: Iterable[Alert], kin: Kinship, calendar: LocalCalendar, origins: Iterable[str]
) -> list[Alert]:
    """The alerts in which an event of the chosen rows counted: of its kind, in its areas and categories, in a window of it.

    origins: which may raise alerts at all.
    """
    c = rows.columns
    may = chosen & (c["superseded"] == STANDING) & ~c["retracted"] & np.isin(c["origin"], [ORIGINS.index(o) for o in origins])
    if not may.any():
        return []
    first, last = calendar.day_of(c["start"]), calendar.day_of(c["end"])
    found = []
    for alert in alerts:
        for s in alert.signals:
            inside = (
                may & (c["kind"] == KINDS.index(s.kind)) & (last >= day_number(s.first_day)) & (first <= day_number(s.last_day))
            )
            if not inside.any():
                continue
            inside &= _these(rows, "area", _below(kin.areas, rows.codes["area"], s.areas))
            inside &= _these(rows, "category", _below(kin.categories, rows.codes["category"], s.categories))
            if inside.any():
                found.append(alert)
                break
    return found


def _these(rows: Rows, column: str, chosen: list[bool]) -> Bools:
    if not chosen:
        return np.zeros(len(rows.columns[column]), dtype=bool)
    return np.asarray(np.array(chosen)[rows.columns[column].astype(np.int64)])


def _below(above: Above, codes: list[str], chosen: tuple[str, ...]) -> list[bool]:
    wanted = frozenset(chosen)
    return [bool(wanted & above.get(code, frozenset((code,)))) for code in codes]
