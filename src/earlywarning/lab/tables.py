"""What the lab answers, as rows of a table: a row for each setting, and one for each alert."""

from datetime import date
from typing import Any

from earlywarning.lab.injection import Injection
from earlywarning.lab.labels import Judgement
from earlywarning.lab.outcomes import Outcome
from earlywarning.lab.table_forms import Row

COLUMNS: dict[str, type] = {
    "setting": str, "budget": float, "windows": str, "min_count": int, "settle_after": int, "first": date, "last": date,
    "weeks": float, "alerts": int, "per_week": float, "labels": int, "found": int, "open_before": int, "missed": int,
    "share_found": float, "share_low": float, "share_high": float, "median_days": float, "right": int, "wrong": int,
    "precision": float, "precision_low": float, "precision_high": float, "others_per_week": float, "surges": int,
    "surges_found": int, "surge_median_days": float, "surge_within_7_days": float,
}  # fmt: skip
ALERTS: dict[str, type] = {
    "setting": str, "number": int, "opened_on": date, "tendency": str, "kind": str, "areas": list, "categories": list,
    "window": int, "first_day": date, "last_day": date, "observed": float, "expected": float, "recurrence_days": float,
    "feedback": str,
}  # fmt: skip


def setting_row(o: Outcome, j: Judgement, put: Injection | None = None) -> Row:
    """A setting as a row of COLUMNS."""
    c = o.choice
    known, told = bool(j.labels), bool(j.right or j.wrong)
    row: dict[str, Any] = {
        "setting": c.name, "budget": c.budget, "windows": "-".join(map(str, c.windows)), "min_count": c.min_count,
        "settle_after": c.settle_after, "first": c.first, "last": c.last, "weeks": o.weeks, "alerts": len(o.alerts),
        "per_week": o.per_week, "labels": j.labels, "found": j.found, "open_before": j.open_before, "missed": j.missed,
        "median_days": j.median_days, "right": len(j.right), "wrong": len(j.wrong), "others_per_week": j.others_per_week,
    }  # fmt: skip
    if known:
        row |= {"share_found": j.share, "share_low": j.low, "share_high": j.high}
    if told:
        row |= {"precision": j.precision, "precision_low": j.precision_low, "precision_high": j.precision_high}
    if put is not None:
        row |= {"surges": len(put.each), "surges_found": put.found, "surge_median_days": put.median_days,
                "surge_within_7_days": put.within[7]}  # fmt: skip
    return row


def alert_rows(o: Outcome, j: Judgement) -> list[Row]:
    """Its alerts as rows of ALERTS. feedback: right, wrong, or empty where nothing is known."""
    right, wrong = set(j.right), set(j.wrong)
    return [
        {
            **{n: getattr(a, n) for n in ALERTS if hasattr(a, n)}, "setting": o.choice.name,
            "feedback": "right" if a.number in right else "wrong" if a.number in wrong else "",
        }
        for a in o.alerts
    ]  # fmt: skip
