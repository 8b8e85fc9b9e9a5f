"""What the lab works on, out of the service's own store: its history, its answers, and a recording made of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from earlywarning.core.calendar import LocalCalendar, date_of, instant_of
from earlywarning.core.casework import Verdict
from earlywarning.core.events import KINDS, ORIGINS, AnyEvent, Incident, Report
from earlywarning.core.marked_events import MarkedEvent
from earlywarning.core.pages import Rows, decode_page, join_pages
from earlywarning.lab.bench import Label, LabError, Recording, labels_of_group, record
from earlywarning.runtimes.assembly import PatternModel, area_register, category_tree, engine_settings
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.runtimes.learned import known_of
from earlywarning.settings import Settings
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from earlywarning.store.marked_events import MarkedEvents

_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")  # no digits, that could look like a personal number
USUAL_WEEKS = 52  # that are judged where nobody says since when


def events_of(rows: Rows, municipality: str, calendar: LocalCalendar) -> list[AnyEvent]:
    """The held rows as events again, in the order in which they became known: each is recorded when it began to count.

    Ids are those under which the rows are kept; times are whole hours.
    """
    c = rows.columns
    known = np.maximum(c["recorded"].astype(np.int64), calendar.first_hour(c["arrived"].astype(np.int64)))
    order = np.lexsort((c["revision"], c["recorded"], known))
    columns = {name: column[order].tolist() for name, column in c.items()}
    events: list[AnyEvent] = []
    for i, hour in enumerate(known[order].tolist()):
        start, end = instant_of(columns["start"][i]), instant_of(columns["end"][i])
        given = {
            "event_id": f"{columns['key'][i]:016x}".translate(_LETTERS),
            "source": rows.codes["source"][columns["source"][i]],
            "recorded_at": max(instant_of(hour), end),
            "category": rows.codes["category"][columns["category"][i]],
            "municipality": municipality,
            "area": rows.codes["area"][columns["area"][i]],
            "origin": ORIGINS[columns["origin"][i]],
            "severity": columns["severity"][i] or None,
            "revision": columns["revision"][i],
            "retraction": columns["retracted"][i],
        }
        given |= {"occurred_at": start} if start == end else {"occurred_from": start, "occurred_to": end}
        if KINDS[columns["kind"][i]] == "report":
            events.append(Report(**given, concern=columns["concern"][i] or None))
        else:
            events.append(Incident(**given))
    return events


def history_of(store: Store, settings: Settings) -> list[AnyEvent]:
    """All that the store holds of a municipality's events, every revision. Raises LabError when there is nothing."""
    code = settings.municipality.code
    rows = join_pages(decode_page(page) for _, page in store.pages(code))
    if not len(rows.columns["key"]):
        raise LabError(f"the store holds no events of municipality {code}; take some in first, or name files")
    return events_of(rows, code, LocalCalendar(settings.municipality.timezone))


def verdicts_of(store: Store, municipality: str) -> list[Verdict]:
    """What the group has explained, in the order of the cases."""
    return [v for case in Cases(store).every(municipality) for v in case.verdicts]


def labels_of(store: Store, municipality: str) -> list[Label]:
    """What the group's answers say of the alerts, and the known events that were marked."""
    return [*labels_of_marks(MarkedEvents(store, municipality).every()), *labels_of_group(known_of(store, municipality))]


def labels_of_marks(events: Sequence[MarkedEvent]) -> list[Label]:
    """Marked events as labels."""
    return [
        Label(
            name=e.name,
            first=e.first,
            last=e.last,
            areas=e.areas,
            categories=e.categories,
            kind=e.kind,
            true=e.true,
            source="person",
        )
        for e in events
    ]


def first_judged(events: Sequence[AnyEvent], calendar: LocalCalendar) -> date:
    """Where nobody says since when: the last year, or the second half of a shorter history."""
    oldest, newest = (date_of(calendar.day_at(events[i].recorded_at)) for i in (0, -1))
    return max(newest - timedelta(weeks=USUAL_WEEKS), oldest + (newest - oldest) / 2)


def record_of_store(
    store: Store,
    settings: Settings,
    first: date | None = None,
    last: date | None = None,
    windows: Sequence[int] = (),
    progress: Callable[[date], None] | None = None,
) -> Recording:
    """A recording of a store's history under the settings in force; see lab.bench.record. Only reads.

    Raises LabError when nothing can be judged.
    """
    register, tree = area_register(settings), category_tree(settings)
    calendar = LocalCalendar(settings.municipality.timezone)
    events = history_of(store, settings)
    chosen = engine_settings(settings, datetime.now(UTC), register, tree)
    once = replace(chosen.admission, oldest=0, longest_interval=10_000)  # they were let in before
    chosen = chosen._replace(admission=once)
    since, verdicts = first or first_judged(events, calendar), verdicts_of(store, settings.municipality.code)
    kinds = day_calendar(settings)
    return record(register, tree, calendar, chosen, events, since, last, kinds, PatternModel(), verdicts, windows, progress)
