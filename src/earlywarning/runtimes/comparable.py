"""From which day on a store can be held against a rebuild of it: when its oldest months have been forgotten, or when the program
decided otherwise before."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import NamedTuple

from earlywarning.core.alert_record import Alert, AlertChange, Signal
from earlywarning.core.alerts import OF_WEEKS, OF_WEEKS_SETTLE
from earlywarning.core.method import METHOD
from earlywarning.runtimes.forgetting import last_run
from earlywarning.settings import Settings
from earlywarning.settings_retention import days_needed
from earlywarning.store import Store
from earlywarning.store.methods import methods_of

_FIT_LASTS = 28  # days for which a baseline stands before it is fitted anew


class Kept(NamedTuple):
    """What retention has left. pages_from: first day of which events are kept. judged_from: first day whose baseline rests on
    kept events alone. alerts_from: alerts that were over before it have gone. rests_from: first day on which all that the service
    knew, also how late events usually come and how rare they are, rested on what is kept; None where that is not known."""

    pages_from: date
    judged_from: date
    alerts_from: date
    rests_from: date | None

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
    # On that day the engine was made anew; what it had judged in the hours before rested on more.
    rests = None if forgot.events_gone_on is None else forgot.events_gone_on + timedelta(days=1)
    return Kept(pages_from, judged, min(forgot.kept_from["alerts"], forgot.kept_from["events"]), rests)


class Limit(NamedTuple):
    """What keeps earlier alerts from being compared as a whole. said: what it is, in words. rests_from: the first day from which
    on it does not; None where that is not known."""

    rests_from: date | None
    said: str


def limits_of(store: Store, municipality: str, kept: Kept | None, last: date) -> list[Limit]:
    """What keeps alerts of a store whose clock stands on the day `last` from being compared as a whole. Raises StoreError."""
    out = []
    if kept is not None:
        out.append(Limit(kept.rests_from, f"{kept.said}, and with them how late events came and how rare they were"))
    methods = methods_of(store, municipality)
    if not methods or methods[-1].number != METHOD:
        before = f"method {methods[-1].number} of the program" if methods else "a method of the program that nobody noted"
        # As if it came now.
        said = f"alerts were decided by {before}, and this one decides by method {METHOD}"
        out.append(Limit(last + timedelta(days=1), said))
    elif (since := methods[-1].since) is not None:
        before = f"by method {methods[-2].number} before" if len(methods) > 1 else "before by one that nobody noted"
        # On that day an engine of this program went on from where another stood, as after months were forgotten.
        said = f"since {since} alerts have been decided by method {METHOD} of the program, {before}"
        out.append(Limit(since + timedelta(days=1), said))
    return out


class Span(NamedTuple):
    """An alert: the day on which it was opened, the last one on which it was followed, and what it is about."""

    opened: date
    end: date
    about: tuple[str, tuple[str, ...], tuple[str, ...]]


Spans = Mapping[str, Span]


def followed_spans(
    alerts: Iterable[Alert], histories: Mapping[str, Sequence[AlertChange]], last: date, settle_after: int
) -> dict[str, Span]:
    """By alert, over which days it was followed: one that was withdrawn may come back."""
    out = {}
    for a in alerts:
        over = max((h.on for h in histories.get(a.alert_id, ())), default=last)
        after = max(settle_after, OF_WEEKS_SETTLE) if a.tendency in OF_WEEKS else settle_after
        end = last if a.state == "open" else max(over, a.last_day + timedelta(days=after))
        out[a.alert_id] = Span(a.opened_on, end, (a.kind, a.areas, a.categories))
    return out


def first_day_alike(begin: date, last: date, stored: Spans, rebuilt: Spans) -> date | None:
    """The first day begin..last at whose beginning both followed the same alerts about the same, None when there is none.

    A rebuild that begins in the middle does not know what was followed then, and what an alert covers is not looked at; once
    both follow the same, all that comes later must be the same.
    """
    day = begin
    while day <= last:
        one, other = ({(n, s.about) for n, s in spans.items() if s.opened < day <= s.end} for spans in (stored, rebuilt))
        if one == other:
            return day
        day += timedelta(days=1)
    return None


def counts_that_differ(one: Alert, other: Alert) -> list[str]:
    """What two alerts of one id count otherwise in the same window of the same block: a count rests on events alone, whatever was
    expected. What opened them is left out: at which event of its hour that was is not known."""
    counted = {_window(s): s.observed for s in other.signals if s.role != "opening"}
    out = []
    for number, s in enumerate(one.signals):
        said = {s.observed, one.observed} if number == 0 else {s.observed}  # the first one leads
        if s.role != "opening" and (there := counted.get(_window(s))) is not None and said != {there}:
            wrong = max(said - {there})
            out.append(f"observed {wrong} is stored of the {s.window} days to {s.last_day}, {there} is rebuilt")
    return out


def _window(s: Signal) -> tuple[object, ...]:
    return s.role == "today", s.kind, s.areas, s.categories, s.window, s.last_day
