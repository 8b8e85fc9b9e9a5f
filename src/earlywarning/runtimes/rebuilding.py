"""Whether the state follows from the events: all that a store says beside what a fresh engine makes of them.

The log of events is the ledger in the pages, which says of each event when it came (`core/reenacting.py`); or the suppliers'
own files, which also keep the order within an hour.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from earlywarning.core.alert_record import Alert, AlertChange, Signal
from earlywarning.core.alerts import OF_A_MOMENT, SCANNED
from earlywarning.core.calendar import LocalCalendar, date_of, day_number
from earlywarning.core.casework import Verdict
from earlywarning.core.engine import Engine
from earlywarning.core.pages import decode_page, join_pages
from earlywarning.core.reenacting import Happening, Reenacted, heard, reenact_events, reenact_pages
from earlywarning.runtimes.archive import BackupError
from earlywarning.runtimes.assembly import area_register, category_tree, engine_settings, make_engine
from earlywarning.runtimes.comparable import (
    Kept,
    Limit,
    counts_that_differ,
    first_day_alike,
    followed_spans,
    kept_by_retention,
    limits_of,
)
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.runtimes.supplied import Supplied
from earlywarning.settings import Settings, SettingsError, parse_settings
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from earlywarning.store.source_states import settings_clock

_MOST_TOLD = 20
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
_WITHIN = "within the hour or day in which they came"


class Compared(NamedTuple):
    """What a rebuild gave beside what is stored. differences: the state does not follow. notes: what could not be compared
    exactly, and why. exact, by_order: alerts that are the same to the last digit, and but for the event that opened them."""

    judged_from: date
    pages: int
    exact: int
    by_order: int
    changes: int
    differences: list[str]
    notes: list[str]


def rebuild(
    store: Store, settings: Settings, files: Sequence[Path] = (), mapping: str = "", judged_from: date | None = None
) -> Compared:
    """Make the state anew from the store's pages, or from suppliers' files, and compare it with what is stored.

    judged_from: first day that is judged; without it the day on which the first alert was opened, and with files the
    beginning; where events have been forgotten, the first day whose judgement rests on kept ones alone. Alerts from before events
    were forgotten, or from before the program's method changed, are compared by their counts. Raises BackupError, StoreError,
    PageError, FileProblem, SettingsError, RegisterError.
    """
    municipality = settings.municipality.code
    clock = store.engine_state(municipality)
    if clock is None:
        raise BackupError("the store holds no events yet; there is nothing to rebuild")
    alerts = {a.alert_id: a for a in store.alerts(municipality=municipality)}
    notes: list[str] = []
    kept = kept_by_retention(store, settings)
    last = date_of(clock[0])
    begin = _begin(alerts, last, judged_from, kept, of_files=bool(files))
    judged = day_number(begin) if begin > date(1970, 1, 1) else 0
    chosen, happenings = _settings_in_force(store, settings, judged, alerts.values(), notes)
    now = datetime.now(UTC)
    engine = make_engine(chosen, now)
    verdicts = sorted(
        (v for case in Cases(store).every(municipality) for v in case.verdicts), key=lambda v: (v.given_on, v.revision)
    )
    happenings += heard(verdicts, _given, engine.calendar)
    limits = limits_of(store, municipality, None if files else kept, last)
    happenings += _discoveries(store, municipality, limits, begin, last, engine.calendar)
    pages = dict(store.pages(municipality))
    ordered = False
    if files:
        rows = join_pages(decode_page(page) for page in pages.values())
        supplied = Supplied(files, settings, mapping, rows, store.dead_letters(state=None, municipality=municipality))
        notes += supplied.notes
        ordered = supplied.as_given
        made = reenact_events(engine, supplied.batches(), supplied.place(happenings), judged, clock)
    else:
        opened = sorted(day_number(a.opened_on) for a in alerts.values() if a.opened_on < begin and a.tendency in SCANNED)
        made = reenact_pages(engine, list(pages.values()), happenings, judged, clock, opened)
        if judged_from is None and kept is None:
            notes.append(f"judged from {begin}, the day of the first alert; what came before was taken as known then")
    rebuilt = made.pages()
    miscounted: list[str] = []
    if kept is not None:
        rebuilt = {day: page for day, page in rebuilt.items() if day >= day_number(kept.pages_from)}
        made.alerts = {name: a for name, a in made.alerts.items() if name in alerts or not kept.gone(a)}
    if limits:
        alerts, miscounted = _since_alike(store, settings, begin, last, alerts, made, limits, notes)
    differences = [*_pages(pages, rebuilt), *_clock(clock, made), *miscounted]
    exact, by_order, told = _alerts(alerts, made, store, notes, ordered=ordered)
    changes, changed = _history(alerts, made, store, ordered=ordered)
    differences += told + changed
    if by_order:
        notes.append(
            f"{by_order} alerts are the same but for the event that opened them (its count and hour): pages keep no order of "
            f"events {_WITHIN}; with --events FILE it is known"
        )
    if verdicts:
        notes.append(f"{len(verdicts)} answers that explain days were heard on the days on which they were given")
    return Compared(begin, len(pages), exact, by_order, changes, differences, notes)


def _begin(
    alerts: Mapping[str, Alert], last: date, asked: date | None, kept: Kept | None, *, of_files: bool
) -> date:  # fmt: skip
    """The first day to judge. Raises BackupError when the one that is asked for cannot be compared."""
    if kept is not None and not of_files:
        if asked is not None and asked < kept.judged_from:
            raise BackupError(
                f"{kept.said}, so days can be judged anew from {kept.judged_from} on; judge from that day, or a later one"
            )
        return min(asked or kept.judged_from, last)
    first = min((a.opened_on for a in alerts.values()), default=last)
    begin = asked or (date.min if of_files else first)
    if begin > first:
        raise BackupError(f"the first alert was opened on {first}; judge from that day, or from an earlier one")
    return begin


def _rests_from(limits: Sequence[Limit]) -> date | None:
    """The first day from which on nothing keeps alerts from being compared as a whole; None where that is not known."""
    days = [limit.rests_from for limit in limits]
    return None if None in days else max(day for day in days if day is not None)


def _discoveries(
    store: Store, municipality: str, limits: Sequence[Limit], begin: date, last: date, calendar: LocalCalendar
) -> list[Happening]:
    """The engine told on which days alerts about counts were opened, whatever the rebuild opened: a false discovery rate hangs on
    all of them."""
    rests_from = _rests_from(limits) if limits else None
    if rests_from is None or not begin < rests_from <= last:
        return []
    opened = [day_number(day) for day in store.opening_days(municipality) if day < rests_from]

    def happen(engine: Engine) -> None:
        engine.tallies.discoveries[:] = opened

    # Behind the last event of the day before: the level of a day is set when it begins.
    day = day_number(rests_from)
    return [Happening(day - 1, int(calendar.first_hour(day)), happen)]


def _since_alike(
    store: Store, settings: Settings, begin: date, last: date, alerts: dict[str, Alert], made: Reenacted, limits: Sequence[Limit],
    notes: list[str],
) -> tuple[dict[str, Alert], list[str]]:  # fmt: skip
    """The stored alerts that can be compared to the last digit, those of the rebuild kept to the same days; and what of the earlier
    ones is counted otherwise."""
    steps: dict[str, list[AlertChange]] = {}
    for change in made.history:
        steps.setdefault(change.alert.alert_id, []).append(change)
    settle, since, rests_from = settings.alerts.settle_after_days, None, _rests_from(limits)
    if rests_from is not None:
        stored = followed_spans(alerts.values(), {name: store.history(name) for name in alerts}, last, settle)
        rebuilt = followed_spans(made.alerts.values(), steps, last, settle)
        since = first_day_alike(max(begin, rests_from), last, stored, rebuilt)
    told, earlier = [], 0
    for name in sorted(alerts.keys() & made.alerts.keys()):
        one = alerts[name]
        if begin <= one.opened_on and (since is None or one.opened_on < since):
            earlier += 1
            told += [f"alert {name}: {line}" for line in counts_that_differ(one, made.alerts[name])]
    whole = "no alert can be compared as a whole" if since is None else f"alerts opened from {since} on are compared as a whole"
    of_when = "" if begin == date.min else f", opened from {begin} on"
    said = "; ".join(limit.said for limit in limits)
    notes.append(f"{said}; {whole}, of {earlier} others{of_when}, the counts")
    made.alerts = {name: a for name, a in made.alerts.items() if since is not None and a.opened_on >= since}
    return {name: a for name, a in alerts.items() if since is not None and a.opened_on >= since}, _few(told)


def _given(verdict: Verdict) -> int:
    return day_number(verdict.given_on)


# ---- settings as they were ----------------------------------------------------------------------------------------


def _settings_in_force(
    store: Store, settings: Settings, judged: int, alerts: Iterable[Alert], notes: list[str]
) -> tuple[Settings, list[Happening]]:
    """The settings in force on the first judged day, and their changes after it."""
    versions: list[tuple[int, int, Settings, tuple[int, int] | None]] = []
    calendar = LocalCalendar(settings.municipality.timezone)
    first_used: dict[str, date] = {}
    for a in alerts:
        first_used[a.settings_version] = min(a.opened_on, first_used.get(a.settings_version, a.opened_on))
    for number, version, applied_at, text in store.settings_versions():
        try:
            read = parse_settings(text, file=f"settings version {number}", folder=settings.folder)
        except SettingsError as error:
            notes.append(f"settings version {number} cannot be read by this version of the program and was passed over ({error})")
            continue
        read = msgspec.structs.replace(read, registers=settings.registers)
        if versions and versions[-1][2].version == read.version:
            continue
        if version != read.version:
            notes.append(
                f"settings version {number} named other registers, or is read otherwise today; the present registers were used"
            )
        day, hour, after = calendar.day_at(applied_at), int(applied_at.timestamp()) // 3600, None
        if clock := store.source_state(settings_clock(number)):
            # Of an hour's events the most came before it ended; those that came after the change are told by files alone.
            day, hour, *last = (int(x) for x in clock.split())
            hour, after = hour + 1, (last[0], last[1]) if last else None
        elif read.service.clock == "events":  # the wall clock says nothing about the days of a replay
            used = first_used.get(version)
            if versions and used is None:
                notes.append(
                    f"settings version {number} opened no alert, so the day of its coming is not known; it was passed over"
                )
                continue
            day = day_number(used) if used is not None and versions else 0
            hour = int(calendar.first_hour(day))
        versions.append((day, hour, read, after))
    if not versions:
        return settings, []
    before = [v for v in versions if v[0] < judged] or versions[:1]
    later = [v for v in versions if v[0] >= judged and v is not before[-1]]
    if later:
        notes.append(f"{len(later)} changes of the settings were put in force at the hour in which they came")
    return before[-1][2], [Happening(day, hour, _put_in_force(chosen), after) for day, hour, chosen, after in later]


def _put_in_force(chosen: Settings) -> Any:
    register, tree = area_register(chosen), category_tree(chosen)
    made = engine_settings(chosen, datetime.now(UTC), register, tree)

    def happen(engine: Engine) -> None:
        engine.configure(made, day_calendar(chosen))

    return happen


# ---- comparing ----------------------------------------------------------------------------------------------------


def _few(differences: list[str]) -> list[str]:
    if len(differences) <= _MOST_TOLD:
        return differences
    return [*differences[:_MOST_TOLD], f"and {len(differences) - _MOST_TOLD} more of this sort"]


def _pages(stored: dict[int, bytes], made: dict[int, bytes]) -> list[str]:
    out = []
    for day in sorted(stored.keys() | made.keys()):
        one, other = stored.get(day), made.get(day)
        if one is not None and other is not None and zlib.decompress(one) == zlib.decompress(other):
            continue
        held, rebuilt = (0 if page is None else len(decode_page(page)) for page in (one, other))
        if not held and not rebuilt:
            continue  # a day of which all events have gone
        same = ", which differ" if held == rebuilt else ""
        out.append(f"page of {date_of(day)}: {held} rows are stored, {rebuilt} are rebuilt{same}")
    return _few(out)


def _clock(stored: tuple[int, int], made: Reenacted) -> list[str]:
    if made.clock == stored:
        return []
    (day, hour), (other, other_hour) = stored, made.clock
    return [f"clock: {date_of(day)} (hour {hour}) is stored, {date_of(other)} (hour {other_hour}) is rebuilt"]


def _alerts(
    stored: dict[str, Alert], made: Reenacted, store: Store, notes: list[str], *, ordered: bool
) -> tuple[int, int, list[str]]:
    exact = by_order = 0
    out = []
    for alert_id in sorted(stored.keys() | made.alerts.keys()):
        one, other = stored.get(alert_id), made.alerts.get(alert_id)
        if one is None or other is None:
            if one is not None and not ordered and _of_one_day(store.history(alert_id)):
                notes.append(f"alert {alert_id} was opened and taken back by events of one day, of whose order pages keep nothing")
                continue
            out.append(f"alert {alert_id} is {'stored, but not rebuilt' if other is None else 'rebuilt, but not stored'}")
        elif one == other:
            exact += 1
        elif not ordered and _but_for_its_opening(one) == _but_for_its_opening(other):
            by_order += 1
        else:
            out.append(f"alert {alert_id}: {_differing(one, other)}")
    return exact, by_order, _few(out)


def _of_one_day(history: Sequence[AlertChange]) -> bool:
    return bool(history) and history[-1].change == "withdrawn" and all(h.on == history[0].on for h in history)


def _but_for_its_opening(alert: Alert) -> dict[str, Any]:
    """What of an alert does not hang on which event of its hour came first."""
    signals = [msgspec.structs.replace(s, raised_at=_NO_TIME) for s in alert.signals if s.role != "opening"]
    out: dict[str, Any] = msgspec.structs.asdict(msgspec.structs.replace(alert, signals=tuple(signals), opened_at=_NO_TIME))
    lead: Signal = alert.signals[0]
    if lead.role == "opening":
        for name in ("observed", "expected", "upper_bound", "p_value", "recurrence_days", "window", "first_day", "tendency"):
            out.pop(name)
    return out


def _differing(one: Alert, other: Alert) -> str:
    told = []
    for name in one.__struct_fields__:
        a, b = getattr(one, name), getattr(other, name)
        if a != b:
            told.append(name if isinstance(a, tuple) else f"{name} {a} is stored, {b} is rebuilt")
    return "; ".join(told)


def _history(stored: dict[str, Alert], made: Reenacted, store: Store, *, ordered: bool) -> tuple[int, list[str]]:
    """The changes of alerts that both have, but for those that come and go between two events."""
    rebuilt: dict[str, list[AlertChange]] = {}
    for change in made.history:
        rebuilt.setdefault(change.alert.alert_id, []).append(change)
    n, out = 0, []
    for alert_id in sorted(stored.keys() & rebuilt.keys()):
        one, other = (_steps(h, ordered=ordered) for h in (store.history(alert_id), rebuilt[alert_id]))
        n += len(one)
        if one != other:
            out.append(f"history of {alert_id}: {_told(one)} is stored, {_told(other)} is rebuilt")
    return n, _few(out)


def _steps(history: Sequence[AlertChange], *, ordered: bool) -> list[tuple[str, date, float]]:
    return [
        (h.change, h.on, h.alert.observed if ordered or h.change != "opened" else 0.0)
        for h in history
        if ordered or h.change not in OF_A_MOMENT
    ]


def _told(steps: Sequence[tuple[str, date, float]]) -> str:
    return ", ".join(f"{change} {on} ({observed:g})" for change, on, observed in steps)
