"""Open questions for the analysis of causes, from an alert's own facts: why here, and why now?

They ask about places, times, bookings and surroundings, never about persons, and none of them suggests its answer.
"""

from collections.abc import Sequence
from datetime import date
from typing import Literal, NamedTuple

from earlywarning.core.alert_record import Alert, Carrier
from earlywarning.core.categories import ROOT

Key = Literal[
    "returned", "booking", "missing", "special-days", "season", "one-day", "weekend", "spread-days", "sub-category", "sub-area",
    "neighbours", "apart", "new-reporter", "recording", "grave", "place", "influence",
]  # fmt: skip
MOST = 4
_FEWEST = 3
_ONE_DAY = 0.5  # of the window's events on one day
_WEEKEND = 0.65  # of them from Friday to Sunday, which hold three sevenths of the days
_SEASON = 0.7  # of the count seen in the same weeks of an earlier year
_CARRIES = 0.5  # of the rise
_BOOKED = ("date-heap", "burst", "backlog", "gap-filled", "place-coding")
_MISSING = ("silent-source", "late-data")


class Question(NamedTuple):
    """A question by its key; codes: of the areas or categories that it names; day: that it names; source: that it names."""

    key: Key
    codes: tuple[str, ...] = ()
    day: date | None = None
    source: str = ""


def questions(alert: Alert, neighbours: Sequence[str] = (), *, returned: bool = False, heaped: bool = False) -> list[Question]:
    """Three or four questions, those that the facts press most first.

    neighbours: codes of areas beside the alert's. returned: whether there were earlier alerts about the same tendency. heaped:
    whether its source is known to book events of unknown time at a fixed hour.
    """
    found: list[Question] = []
    booked = next((u for u in alert.uncertainties if u.kind in _BOOKED), None)
    missing = next((u for u in alert.uncertainties if u.kind in _MISSING and (u.source or u.share >= 0.1)), None)
    if returned:
        found.append(Question("returned"))
    if booked is not None or heaped:
        found.append(Question("booking", source=booked.source if booked else ""))
    if alert.tendency == "apart":
        found.append(Question("apart"))
    if alert.tendency in ("severe", "first", "harm"):
        found.append(Question("grave"))
    if alert.special_days:
        found.append(Question("special-days", day=alert.special_days[0].first_day))
    elif any(y.observed >= _SEASON * alert.observed > 0 for y in alert.earlier_years):
        found.append(Question("season"))
    if (category := _carrier(alert, "category")) is not None:
        found.append(Question("sub-category", (category,)))
    if (area := _carrier(alert, "area")) is not None:
        found.append(Question("sub-area", (area,)))
    found += _about_days(alert)
    found.append(Question("new-reporter" if alert.kind == "report" else "recording"))
    if neighbours:
        found.append(Question("neighbours", tuple(neighbours[:3])))
    if missing is not None:
        found.append(Question("missing", source=missing.source))
    kept = found[:MOST]
    fallback: tuple[Key, ...] = ("place", "influence")
    for key in fallback:
        if len(kept) < _FEWEST:
            kept.append(Question(key))
    return kept


def _carrier(alert: Alert, dimension: str) -> str | None:
    """The part that carries at least half of the rise."""
    parts: list[Carrier] = [c for c in alert.carriers if c.dimension == dimension]
    inside = alert.categories if dimension == "category" else alert.areas
    parts = [c for c in parts if c.code not in inside and c.code != ROOT]
    if not parts:
        return None
    top = max(parts, key=lambda c: c.observed - max(c.usual, 0.0))
    rise = alert.observed - alert.expected
    return top.code if rise > 0 and top.observed - top.usual >= _CARRIES * rise else None


def _about_days(alert: Alert) -> list[Question]:
    total = sum(d.observed for d in alert.days)
    if len(alert.days) < 3 or total <= 0:
        return []
    top = max(alert.days, key=lambda d: d.observed)
    if top.observed >= _ONE_DAY * total:
        return [Question("one-day", day=top.day)]
    weekend = sum(d.observed for d in alert.days if d.day.isoweekday() >= 5)
    if len(alert.days) >= 7 and weekend >= _WEEKEND * total:
        return [Question("weekend")]
    return [Question("spread-days")]
