"""What an alert and the signals in it say: plain frozen records, the same in store, API, messages and pages."""

from datetime import date, datetime
from typing import Literal

import msgspec

State = Literal["open", "settled", "withdrawn"]
Tendency = Literal["surge", "cluster", "shift", "drift", "apart", "first", "severe", "mixture", "harm"]
Role = Literal["opening", "peak", "today"]
Change = Literal["opened", "updated", "settled", "withdrawn", "reopened"]


class Reason(msgspec.Struct, frozen=True):
    """A feature that makes a mixture unusual: the share of a category (code), or how few kinds dominate, or the share of
    weekends or of reports. deviation: from the area's own past, in robust standard deviations, negative where it fell."""

    feature: Literal["category", "concentration", "weekend", "reports"]
    code: str
    deviation: float


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A block of areas and categories beyond its threshold in one window.

    role: opening, as it was when it raised the alert; peak, the most unusual window of the days that are closed; today, a
    window that ends today. observed, expectation and upper_bound are counts of events in the window that were recorded by
    its last day; fractions come from events that are spread over several days. missing_share: of all that is expected of
    the window, what usually is not recorded yet (0..1). score: powers of ten by which the signal is beyond the threshold.
    recurrence_days: how seldom chance alone raises something as unusual anywhere in the municipality, in days.
    """

    role: Role
    tendency: Tendency
    kind: Literal["incident", "report"]
    areas: tuple[str, ...]
    categories: tuple[str, ...]
    window: int  # days
    first_day: date
    last_day: date
    observed: float
    expectation: float
    upper_bound: float
    dispersion: float
    p_value: float
    score: float
    recurrence_days: float
    missing_share: float
    method: str
    status: str
    raised_at: datetime  # when the event that raised the alert was recorded, to the hour
    standing: bool = True  # False: a correction took the count below the threshold again
    complete_expectation: float = 0.0  # of the whole window, once all of it is recorded
    reasons: tuple[Reason, ...] = ()  # of a mixture


class DayCount(msgspec.Struct, frozen=True):
    """Events of the alert's leading series on one day."""

    day: date
    observed: float


class Carrier(msgspec.Struct, frozen=True):
    """A sub-category or sub-area that carries the tendency: its count in the window, and what it usually has.

    usual: mean of the same windows of earlier years, in events.
    """

    dimension: Literal["area", "category"]
    code: str
    observed: float
    usual: float


class EarlierYear(msgspec.Struct, frozen=True):
    """The same weeks of an earlier year: 52 weeks back for each year, so that weekdays agree."""

    years_back: int
    last_day: date
    observed: float


class Uncertainty(msgspec.Struct, frozen=True):
    """What is uncertain about the figures.

    late-data: `share` of the window's events usually still missing now (0..1).
    date-heap: `share` of what stands on the day `since` usually is there because its time is unknown.
    burst, backlog, gap-filled, place-coding: an artefact of booking of `source` was recognised there on day `since`; `share`
    as in DataNote.
    silent-source: `source` has sent nothing since `since`, which would be chance only once in `recurrence_days`.
    short-history, model-fallback: the baseline's status says why it is weaker than usual.
    """

    kind: Literal[
        "late-data", "silent-source", "short-history", "model-fallback", "date-heap", "burst", "backlog", "gap-filled",
        "place-coding",
    ]  # fmt: skip
    source: str = ""
    share: float = 0.0
    since: date | None = None
    recurrence_days: float = 0.0
    note: str = ""


class SpecialDay(msgspec.Struct, frozen=True):
    """A day of the alert's window that is unlike others: names in Swedish and English. Part of the expectation."""

    names: tuple[str, str]
    first_day: date
    last_day: date


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Signals that belong together, as the group sees them. The leading signal's figures speak for the alert.

    tendency: surge, in days, in one place; cluster, over neighbouring areas; shift, over two weeks or more; drift, over half a
    year; apart, reports and recorded incidents no longer keep their ratio; first, a category new to an area; mixture, other
    things happen than usual, whatever their number; harm, what happens weighs more than usual; severe, one grave and rare
    event, the only one that interrupts people.
    """

    alert_id: str
    municipality: str
    tendency: Tendency
    state: State
    opened_on: date  # the local day on which it was raised
    opened_at: datetime  # when the event that raised it was recorded, to the hour
    first_day: date  # since when: the first day of the leading signal's window, the estimated onset
    last_day: date  # the last day on which any of its signals stood
    updated_on: date
    settled_on: date | None
    kind: Literal["incident", "report"]
    areas: tuple[str, ...]
    categories: tuple[str, ...]
    window: int
    observed: float
    expected: float
    upper_bound: float
    p_value: float
    recurrence_days: float
    settings_version: str
    signals: tuple[Signal, ...]  # the leading one first
    days: tuple[DayCount, ...]
    carriers: tuple[Carrier, ...]
    earlier_years: tuple[EarlierYear, ...]
    uncertainties: tuple[Uncertainty, ...]
    special_days: tuple[SpecialDay, ...] = ()


class AlertChange(msgspec.Struct, frozen=True):
    """One entry of an alert's history: what changed, on which local day, and the alert as it then was."""

    change: Change
    on: date
    alert: Alert
