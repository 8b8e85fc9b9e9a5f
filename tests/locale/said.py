"""Alerts to be put into words: one signal with its figures, and an alert around it."""

from datetime import UTC, date, datetime
from typing import Any

from earlywarning.core.alert_record import Alert, Carrier, DayCount, EarlierYear, Signal, Uncertainty
from earlywarning.locale import Names
from tests.core.town import register, tree

NAMES = Names.from_registers(register(), tree())


def signal(**fields: Any) -> Signal:
    """14 incidents of graffiti in Area 1 in the week to Sunday 12 April 2026, where 5.2 were expected."""
    given: dict[str, Any] = {
        "role": "today", "tendency": "surge",
        "kind": "incident", "areas": ("A1",), "categories": ("C0",), "window": 7, "first_day": date(2026, 4, 6),
        "last_day": date(2026, 4, 12), "observed": 14.0, "expectation": 5.2, "upper_bound": 10.4, "dispersion": 1.3,
        "p_value": 1e-6, "recurrence_days": 1000.0, "score": 0.4, "missing_share": 0.0, "method": "scan", "status": "ok",
        "raised_at": datetime(2026, 4, 12, 9, tzinfo=UTC),
    }  # fmt: skip
    for one, several in (("area", "areas"), ("category", "categories")):
        if one in fields:
            fields[several] = (fields.pop(one),)
    return Signal(**{**given, **fields})


def alert(state: Any = "open", also: tuple[Signal, ...] | None = None, parts: dict[str, Any] | None = None, **fields: Any) -> Alert:
    """An alert led by signal(**fields); `also`: its other signals; `parts`: fields of the alert itself."""
    lead = signal(**fields)
    others = (signal(area="D0", window=28),) if also is None else also
    given: dict[str, Any] = {
        "alert_id": "x", "municipality": "0999", "tendency": "surge", "state": state, "opened_on": date(2026, 4, 12),
        "opened_at": lead.raised_at, "first_day": lead.first_day, "last_day": lead.last_day, "updated_on": lead.last_day,
        "settled_on": date(2026, 4, 20) if state == "settled" else None, "kind": lead.kind, "areas": lead.areas,
        "categories": lead.categories, "window": lead.window, "observed": lead.observed, "expected": lead.expectation,
        "upper_bound": lead.upper_bound, "p_value": lead.p_value, "recurrence_days": lead.recurrence_days,
        "settings_version": "abc", "signals": (lead, *others), "days": (DayCount(date(2026, 4, 7), 3.0),),
        "carriers": (Carrier("category", "C1", 9.0, 2.5), Carrier("area", "A2", 4.5, 1.0)),
        "earlier_years": (EarlierYear(1, date(2025, 4, 13), 4.0),),
        "uncertainties": (
            Uncertainty("late-data", share=0.18),
            Uncertainty("silent-source", "school", since=date(2026, 4, 1), recurrence_days=400),
            Uncertainty("short-history", note="2"), Uncertainty("model-fallback", note="no history"),
        ),
    }  # fmt: skip
    return Alert(**{**given, **(parts or {})})
