"""What an alert and the signals in it say: plain frozen records, the same in store, API, messages and pages."""

from datetime import date, datetime
from typing import Literal

import msgspec

State = Literal["open", "settled", "withdrawn"]
Tendency = Literal["surge", "cluster", "shift", "drift", "apart", "first", "severe"]
Role = Literal["opening", "peak", "today"]
Change = Literal["opened", "updated", "settled", "withdrawn", "reopened"]


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
    silent-source: `source` has sent nothing since `since`, which would be chance only once in `recurrence_days`.
    short-history, model-fallback: the baseline's status says why it is weaker than usual.
    """

    kind: Literal["late-data", "silent-source", "short-history", "model-fallback"]
    source: str = ""
    share: float = 0.0
    since: date | None = None
    recurrence_days: float = 0.0
    note: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """Signals that belong together, as the group sees them. The leading signal's figures speak for the alert.

    tendency: surge, in days, in one place; cluster, over neighbouring areas; shift, over two weeks or more; drift, over half a
    year; apart, reports and recorded incidents no longer keep their ratio; first, a category new to an area; severe, one
    grave and rare event, the only one that interrupts people.
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


class AlertChange(msgspec.Struct, frozen=True):
    """One entry of an alert's history: what changed, on which local day, and the alert as it then was."""

    change: Change
    on: date
    alert: Alert
