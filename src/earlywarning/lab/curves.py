"""Detection against false alarms: how many known events a row of budgets finds, and what that costs in alerts."""

from collections.abc import Callable, Sequence

import msgspec
from scipy.special import gammaincinv

from earlywarning.core.learning import LEVEL
from earlywarning.lab.choices import Choice
from earlywarning.lab.judged_days import LabError
from earlywarning.lab.labels import Label, judge
from earlywarning.lab.outcomes import Outcome
from earlywarning.lab.recording import Recording

BUDGETS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


class CurvePoint(msgspec.Struct, frozen=True):
    """One budget. found: of labels, with an alert of their own or one that was open already; share with 90 % interval.

    alerts_per_week, others_per_week: all, and those that meet no true event, with 90 % interval (exact Poisson): the
    false alarms, as far as the labels are all there is. median_days: from a label's first day to its alert.
    """

    budget: float
    labels: int
    found: int
    share: float
    low: float
    high: float
    median_days: float | None
    alerts_per_week: float
    others_per_week: float
    others_low: float
    others_high: float


def curve_of(
    recording: Recording, labels: Sequence[Label], choice: Choice, budgets: Sequence[float], answer: Callable[[Choice], Outcome]
) -> list[CurvePoint]:
    """A point for each budget, in rising order. Raises LabError when no label is a true event within the judged days."""
    out = []
    for budget in sorted(set(budgets)):
        outcome = answer(msgspec.structs.replace(choice, budget=budget))
        judged = judge(outcome, labels, recording)
        if not judged.labels:
            raise LabError("labels: none is a true event within the judged days, so there is no share found; mark some")
        others = len(outcome.alerts) - len(judged.right)
        low, high = rate_interval(others, outcome.weeks)
        out.append(
            CurvePoint(
                budget, judged.labels, judged.found + judged.open_before, judged.share, judged.low, judged.high,
                judged.median_days, outcome.per_week, others / outcome.weeks, low, high,
            )
        )  # fmt: skip
    return out


def rate_interval(n: int, weeks: float) -> tuple[float, float]:
    """90 % interval of a number a week (Garwood 1936, Biometrika 28:437)."""
    tail = (1 - LEVEL) / 2
    return (float(gammaincinv(n, tail)) if n else 0.0) / weeks, float(gammaincinv(n + 1, 1 - tail)) / weeks
