"""What the group's answers tell, read from a store: for API, command line and metrics."""

from collections.abc import Sequence
from datetime import date
from statistics import median
from typing import Any

from earlywarning.core.learning import Known, Precision, Waiting, precision, recommend, waiting, weekly_rate
from earlywarning.monitoring_answers import Answered
from earlywarning.settings import Settings
from earlywarning.store import Store, StoreError
from earlywarning.store.cases import Cases


def known_of(store: Store, municipality: str, since: date | None = None) -> list[Known]:
    """All alerts of a municipality that were answered or wait, with their casework."""
    cases = {case.alert_id: case for case in Cases(store).every(municipality)}
    alerts = store.alerts(municipality=municipality, since=since)
    return [Known(a, cases[a.alert_id]) for a in alerts if a.alert_id in cases and cases[a.alert_id].stage != "merged"]


def answered(store: Store) -> Answered:
    """For the metrics: all municipalities of a store. Nothing while it does not answer, which other metrics tell."""
    cases = Cases(store)
    try:
        assessed, stages = cases.counts()
        times = cases.times_to_acknowledge()
    except StoreError:
        return Answered((), (), None)
    return Answered(assessed, stages, median(times) if times else None)


def by_all(known: Sequence[Known]) -> dict[str, list[Precision]]:
    """Precision by tendency, area, category and settings version."""
    return {
        "tendency": precision(known, lambda k: [k.alert.tendency]),
        "area": precision(known, lambda k: k.alert.areas),
        "category": precision(known, lambda k: k.alert.categories),
        "settings": precision(known, lambda k: [k.alert.settings_version]),
    }


def learned(store: Store, settings: Settings, since: date | None = None) -> dict[str, Any]:
    """All of it as one document."""
    known = known_of(store, settings.municipality.code, since)
    budget = settings.alerts.false_alarms_per_week
    first = since or min((k.alert.opened_on for k in known), default=date.today())  # noqa: DTZ011  # a default where there is none
    last = max((k.alert.updated_on for k in known), default=first)
    wait: Waiting = waiting(known)
    return {
        "precision": by_all(known),
        "rate": weekly_rate(known, first, last, budget),
        "acknowledged": wait,
        "recommendation": recommend(known, budget, settings.answers.precision_level),
    }
