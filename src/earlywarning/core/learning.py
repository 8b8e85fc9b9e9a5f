"""What the group's answers tell of the alerts: how many were right, how soon they were seen, and what a threshold would change.

Precision is the share of assessed alerts that the group confirmed; what it explained by a known cause was a rise, yet none that
wanted work, and is told apart. Intervals of shares are Jeffreys' (Brown, Cai & DasGupta 2001, Statistical Science 16:101), of
numbers a week exact Poisson ones (Garwood 1936, Biometrika 28:437). Nothing here changes a threshold: a person does.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import NamedTuple

import msgspec
import numpy as np
from scipy.special import betaincinv, gammaincinv

from earlywarning.core.alert_record import Alert
from earlywarning.core.casework import Casework

LEVEL = 0.90  # of all intervals
FEWEST = 10  # assessed alerts before anything is recommended
FACTORS = (0.25, 0.5, 1.0, 2.0)  # of the budget, that are compared


class Known(NamedTuple):
    """An alert and what the group did about it."""

    alert: Alert
    case: Casework


class Precision(msgspec.Struct, frozen=True):
    """Of one kind of alerts (key): how many there were, were assessed, confirmed, explained; and the share confirmed.

    low, high: 90 % interval of the share; nan-free: 0 and 1 where nothing was assessed.
    """

    key: str
    alerts: int
    assessed: int
    confirmed: int
    known_cause: int
    false_alarm: int
    data_fault: int
    share: float
    low: float
    high: float


class Rate(msgspec.Struct, frozen=True):
    """Alerts a week with 90 % interval, beside the budget of false ones that the settings state."""

    weeks: float
    alerts: int
    per_week: float
    low: float
    high: float
    budget: float


class Waiting(msgspec.Struct, frozen=True):
    """Hours until an alert was acknowledged: median and ninth decile of those that were; how many wait still."""

    acknowledged: int
    median_hours: float
    p90_hours: float
    waiting: int


class Candidate(msgspec.Struct, frozen=True):
    """What a budget would have left of the assessed alerts: how many, and how many of them the group had confirmed."""

    budget: float
    assessed: int
    confirmed: int
    missed: int
    share: float
    low: float
    high: float


class Recommendation(msgspec.Struct, frozen=True):
    """What the evidence speaks for: keep, lower, raise, or wait for more answers. budget: that it speaks for."""

    verdict: str
    budget: float
    level: float
    evidence: list[Candidate]


def share_interval(right: int, of: int) -> tuple[float, float]:
    """90 % interval of a share; 0 and 1 where there is nothing to go by."""
    if of == 0:
        return 0.0, 1.0
    tail = (1 - LEVEL) / 2
    low = 0.0 if right == 0 else float(betaincinv(right + 0.5, of - right + 0.5, tail))
    high = 1.0 if right == of else float(betaincinv(right + 0.5, of - right + 0.5, 1 - tail))
    return low, high


def precision(known: Iterable[Known], key: Callable[[Known], Iterable[str]]) -> list[Precision]:
    """Precision by key, in the order of the keys; an alert may have several (its areas, say)."""
    groups: dict[str, list[Known]] = {}
    for k in known:
        for name in set(key(k)):
            groups.setdefault(name, []).append(k)
    return [_precision(name, groups[name]) for name in sorted(groups)]


def _precision(name: str, known: Sequence[Known]) -> Precision:
    said = [k.case.assessment for k in known if k.case.assessment is not None]
    n = {what: said.count(what) for what in ("confirmed", "known-cause", "false-alarm", "data-fault")}
    low, high = share_interval(n["confirmed"], len(said))
    share = n["confirmed"] / len(said) if said else 0.0
    return Precision(
        name, len(known), len(said), n["confirmed"], n["known-cause"], n["false-alarm"], n["data-fault"], share, low, high
    )


def weekly_rate(known: Sequence[Known], first: date, last: date, budget: float) -> Rate:
    """Alerts a week from first to last day."""
    weeks = max((last - first).days + 1, 1) / 7
    n = sum(first <= k.alert.opened_on <= last and k.alert.state != "withdrawn" for k in known)
    tail = (1 - LEVEL) / 2
    low = float(gammaincinv(n, tail)) if n else 0.0
    return Rate(weeks, n, n / weeks, low / weeks, float(gammaincinv(n + 1, 1 - tail)) / weeks, budget)


def waiting(known: Iterable[Known]) -> Waiting:
    """How soon alerts are acknowledged."""
    hours, wait = [], 0
    for k in known:
        if k.case.acknowledged_at is not None:
            hours.append(max((k.case.acknowledged_at - k.case.opened_at).total_seconds() / 3600, 0.0))
        elif k.case.stage == "new":
            wait += 1
    middle, late = np.quantile(hours, [0.5, 0.9]).tolist() if hours else (0.0, 0.0)
    return Waiting(len(hours), middle, late, wait)


def recommend(known: Iterable[Known], budget: float, level: float) -> Recommendation:
    """What the answers speak for. budget: false alerts a week in force; level: the precision that the group agreed on.

    A lower budget keeps the alerts that chance gives more seldom. It is recommended when what is in force is below the level
    beyond chance, and the largest budget whose kept alerts reach the level; a higher one when even the interval's
    lower end lies above it. Alerts that the group could not assess say nothing.
    """
    told = [k for k in known if k.case.assessment is not None]
    evidence = [_candidate(told, budget * f, budget) for f in FACTORS if f <= 1]
    now = next(c for c in evidence if c.budget == budget)
    if now.assessed < FEWEST:
        return Recommendation("wait", budget, level, evidence)
    if now.high < level:
        better = [c for c in evidence if c.budget < budget and c.assessed and c.share >= level]
        chosen = max(better, key=lambda c: c.budget, default=min(evidence, key=lambda c: c.budget))
        return Recommendation("lower", chosen.budget, level, evidence)
    if now.low > level:
        return Recommendation("raise", budget * max(FACTORS), level, evidence)
    return Recommendation("keep", budget, level, evidence)


def _candidate(told: Sequence[Known], budget: float, in_force: float) -> Candidate:
    kept = [k for k in told if k.alert.recurrence_days >= 7 / budget - 1e-9] if budget < in_force else list(told)
    every = sum(k.case.assessment == "confirmed" for k in told)
    right = sum(k.case.assessment == "confirmed" for k in kept)
    low, high = share_interval(right, len(kept))
    return Candidate(budget, len(kept), right, every - right, right / len(kept) if kept else 0.0, low, high)
