"""From which day on a store can be held against a rebuild of it, when its oldest months have been forgotten."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.runtimes.forgetting import last_run
from earlywarning.settings import Settings
from earlywarning.settings_retention import days_needed
from earlywarning.store import Store

_FIT_LASTS = 28  # days for which a baseline stands before it is fitted anew


class Kept(NamedTuple):
    """What retention has left. pages_from: first day of which events are kept. judged_from: first day whose judgement rests on
    kept events alone. alerts_from: alerts that were over before it have gone."""

    pages_from: date
    judged_from: date
    alerts_from: date

    @property
    def said(self) -> str:
        """In words."""
        return f"events from before {self.pages_from} have been forgotten"

    def gone(self, alert: Alert) -> bool:
        """Whether an alert, as a rebuild makes it, is one that retention takes away."""
        return alert.state != "open" and alert.last_day < self.alerts_from and alert.opened_on < self.alerts_from


def kept_by_retention(store: Store, settings: Settings) -> Kept | None:
    """What retention has left of a municipality's events; None where no event was ever forgotten."""
    forgot = last_run(store, settings.municipality.code)
    if forgot is None or forgot.events_before is None:
        return None
    pages_from = forgot.events_before
    judged = pages_from + timedelta(days=days_needed(settings.detection) + _FIT_LASTS)
    return Kept(pages_from, judged, min(forgot.kept_from["alerts"], forgot.kept_from["events"]))


Spans = Mapping[str, tuple[date, date]]


def followed_spans(
    alerts: Iterable[Alert], histories: Mapping[str, Sequence[AlertChange]], last: date, settle_after: int
) -> dict[str, tuple[date, date]]:
    """By alert, the day on which it was opened and the last one on which it was followed: one that was withdrawn may come back."""
    out = {}
    for a in alerts:
        over = max((h.on for h in histories.get(a.alert_id, ())), default=last)
        out[a.alert_id] = a.opened_on, last if a.state == "open" else max(over, a.last_day + timedelta(days=settle_after))
    return out


def first_day_alike(begin: date, last: date, stored: Spans, rebuilt: Spans) -> date | None:
    """The first day begin..last at whose beginning both followed the same alerts, None when there is none.

    A rebuild that begins in the middle does not know what was followed then, and what an alert covers is not looked at; once
    both follow the same, all that comes later must be the same.
    """
    day = begin
    while day <= last:
        one, other = ({name for name, (opened, end) in spans.items() if opened < day <= end} for spans in (stored, rebuilt))
        if one == other:
            return day
        day += timedelta(days=1)
    return None
