"""Makes the picture of a week from a store: one record with everything in it, in the language and for the readers asked for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from earlywarning.briefing.agenda import alert_items, as_then, measure_rows, standing_of
from earlywarning.briefing.figures import (
    Figures,
    change_headlines,
    change_tables,
    source_rows,
    to_hide,
)
from earlywarning.briefing.maps import area_maps
from earlywarning.briefing.record import Audience, Briefing, MeasureRow, PlanRow, Shade, SupplierRow
from earlywarning.briefing.supply import missing_share, quality_lines, share_text, supplier_rows
from earlywarning.briefing.words import listing, said_count, say, short_day
from earlywarning.core.alert_record import Alert
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar, date_of
from earlywarning.core.casework import Casework
from earlywarning.core.categories import CategoryTree
from earlywarning.core.day_kinds import DayCalendar
from earlywarning.core.events import ORIGINS
from earlywarning.core.iso_week import Week, parse_week
from earlywarning.core.pages import decode_page, join_pages
from earlywarning.core.scope import Scope
from earlywarning.core.week import WEEK, WeekSettings, compare
from earlywarning.core.week_counts import WeekCounts, count_week
from earlywarning.locale import Language, Names
from earlywarning.locale.catalogue import day_words, number_words
from earlywarning.settings import Settings
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from earlywarning.store.store import StoredDeadLetter

MOST_HEADLINES = 5  # about single changes
_LOOKED_BACK = timedelta(days=400)  # for alerts that are still open
_SHADES: tuple[Shade, ...] = ("more", "rather-more", "usual", "rather-fewer", "fewer", "none")
_LATE = 0.02


class BriefingError(ValueError):
    """A picture that cannot be made; says why, and what can be asked for."""


def make_briefing(
    store: Store,
    settings: Settings,
    register: AreaRegister,
    tree: CategoryTree,
    calendar: LocalCalendar,
    week: Week | str,
    language: Language = "sv",
    audience: Audience = "group",
    names: Names | None = None,
    plan_rows: Sequence[PlanRow] = (),
    *,
    day_kinds: DayCalendar | None = None,
    links: Mapping[str, str] | None = None,
) -> Briefing:
    """The picture of a week, from what the store holds now.

    day_kinds: the municipality's holidays, school breaks and local events, as the engine has them. links: where each alert is
    answered, by its id. Raises WeekError for a text that names no week, BriefingError for a week that has not begun,
    PageError, StoreError.
    """
    week = parse_week(week) if isinstance(week, str) else week
    names = names or Names.from_registers(register, tree)
    known_day = _known_day(store, register.municipality, week)
    least = settings.disclosure.least_count if audience == "outside" else 0
    if least == 1:
        least = 0  # there is no count between 0 and 1 to hide
    figures = _figures(store, settings, register, tree, calendar, week, known_day, names, language, least, day_kinds)
    alerts = _alerts(store, register.municipality, week)
    cases = Cases(store)
    casework = cases.of([alert.alert_id for alert, _ in alerts])
    standing = [(a, s) for a, _ in alerts if (s := standing_of(a, casework.get(a.alert_id), week.first, week.last)) is not None]
    notes = store.data_notes(municipality=register.municipality, since=week.first, until=week.last)
    booked = store.data_notes(municipality=register.municipality, until=week.last, since=week.first - _LOOKED_BACK)
    where = links or {}
    shown_day = min(week.last, date_of(known_day))
    items = alert_items(
        standing, casework, booked, register=register, names=names, language=language, today=shown_day,
        hide_counts=bool(least), links=where,
    )  # fmt: skip
    titles = {item.alert_id: item.title for item in items}
    measures: list[MeasureRow] = []
    if audience == "group":
        measures = measure_rows(cases.every(register.municipality), titles, where, language, shown_day)
    refused = _refused(store.dead_letters(state=None, municipality=register.municipality), calendar, week)
    suppliers = supplier_rows(figures.known.sources, refused, language, least)
    missing = missing_share(figures.known, figures.compared)
    maps = area_maps(figures, register)
    known_text = day_words(date_of(known_day), language)
    return Briefing(
        municipality=register.municipality,
        municipality_name=settings.municipality.name,
        week=str(week),
        first_day=week.first,
        last_day=week.last,
        known_day=date_of(known_day),
        language=language,
        audience=audience,
        title=say(language, "title", "title", municipality=settings.municipality.name, number=week.number, year=week.year),
        subtitle=say(
            language,
            "title",
            "subtitle",
            first=day_words(week.first, language),
            last=day_words(week.last, language),
            known=known_text,
        ),
        headlines=_headlines(figures, standing, casework, suppliers, measures, missing, week, known_day),
        alerts=items,
        maps=maps,
        changes=change_tables(figures),
        no_comparison="" if figures.compared is not None else _no_comparison(figures.known, language),
        sources=source_rows(figures),
        sources_note=say(language, "text", "sources_note_outside" if least else "sources_note"),
        suppliers=suppliers,
        quality=quality_lines(notes, missing, figures.known, names, language, hide_counts=bool(least)),
        plan=list(plan_rows),
        measures=measures,
        method=_method(settings, figures, least, known_text),
        settings_version=settings.version,
        least_count=least,
    )


def figures_of_week(
    store: Store, settings: Settings, register: AreaRegister, tree: CategoryTree, calendar: LocalCalendar, week: Week,
    least: int, day_kinds: DayCalendar | None = None,
) -> Figures:  # fmt: skip
    """A week's figures as they may be told where counts below `least` are hidden. Raises as `make_briefing` does."""
    names, known_day = Names.from_registers(register, tree), _known_day(store, register.municipality, week)
    language = settings.municipality.language
    return _figures(store, settings, register, tree, calendar, week, known_day, names, language, least, day_kinds)


def _known_day(store: Store, municipality: str, week: Week) -> int:
    state = store.engine_state(municipality)
    known_day = state[0] if state else week.last_day
    if known_day < week.first_day:
        raise BriefingError(
            f"week {week} has not begun for this store: it holds what was known by {date_of(known_day)}; ask for a week up to then"
        )
    return known_day


def _figures(
    store: Store, settings: Settings, register: AreaRegister, tree: CategoryTree, calendar: LocalCalendar, week: Week,
    known_day: int, names: Names, language: Language, least: int, day_kinds: DayCalendar | None,
) -> Figures:  # fmt: skip
    detection = settings.detection
    longest = (detection.years * 371) + detection.guard_days + WEEK
    rows = join_pages(decode_page(page) for _, page in store.pages(register.municipality, week.last_day - longest, week.last_day))
    known = count_week(
        rows, week.last_day, known_day, register=register, tree=tree, calendar=calendar,
        origins=tuple(ORIGINS.index(o) for o in detection.origins), longest_days=longest,
        silence_recurrence_days=settings.alerts.silence_recurrence_days,
    )  # fmt: skip
    scope = Scope(known.space, register.neighbours, tree.harm)
    chosen = WeekSettings(min_days=max(detection.min_years * 364, 16 * WEEK), guard=detection.guard_days)
    compared = compare(known, scope, chosen, day_kinds)
    hidden = to_hide(known, scope, compared, least)
    return Figures(known, scope, compared, (register.codes, tree.codes), names, language, least, hidden)


def _alerts(store: Store, municipality: str, week: Week) -> list[tuple[Alert, date]]:
    """Alerts that may belong in the picture, as they stood at its end."""
    known = store.alerts(municipality=municipality, since=week.first - _LOOKED_BACK, until=week.last)
    out = []
    for alert in known:
        if alert.settled_on is not None and alert.settled_on < week.first:
            out.append((alert, alert.settled_on))
            continue
        if alert.updated_on > week.last:
            alert = as_then(alert, store.history(alert.alert_id), week.last)  # noqa: PLW2901  # the same alert, earlier
        out.append((alert, alert.updated_on))
    return out


def _refused(letters: Sequence[StoredDeadLetter], calendar: LocalCalendar, week: Week) -> Counter[str]:
    days = ((s.letter.source or "", calendar.day_at(s.letter.received_at)) for s in letters)
    return Counter(source for source, day in days if week.first_day <= day <= week.last_day)


def _headlines(
    f: Figures, standing: Sequence[tuple[Alert, str]], cases: Mapping[str, Casework], suppliers: Sequence[SupplierRow],
    measures: Sequence[MeasureRow], missing: float, week: Week, known_day: int,
) -> list[str]:  # fmt: skip
    """What is new, in plain words: alerts first, then changes, then what is missing from the picture."""
    language = f.language
    new = [a for a, s in standing if s == "new"]
    ongoing = [a for a, s in standing if s == "ongoing"]
    settled = [a for a, s in standing if s == "settled"]
    said = []
    if known_day < week.last_day:
        said.append(say(language, "text", "news_unfinished", day=short_day(date_of(known_day), language)))
    first = said_count(language, "news_alerts", len(new)) if new else say(language, "text", "news_no_alerts")
    if severe := sum(a.tendency == "severe" for a in new):
        first += " " + said_count(language, "news_severe", severe)
    said.append(first)
    if ongoing:
        unseen = sum(a.alert_id not in cases or cases[a.alert_id].stage == "new" for a in ongoing)
        said.append(said_count(language, "news_ongoing", len(ongoing), unseen=_unseen(unseen, len(ongoing), language)))
    if settled:
        said.append(said_count(language, "news_settled", len(settled)))
    if not f.known.counts[-WEEK:].any() and not f.known.others.any():
        said.append(say(language, "text", "news_nothing"))
    else:
        said += change_headlines(f, MOST_HEADLINES)
    said += [
        say(language, "text", "news_silent", source=s.source, day=short_day(date_of(s.silent_since), language))
        for s in f.known.sources
        if s.silent_since >= 0
    ]
    if known_day >= week.last_day and missing >= _LATE:
        said.append(say(language, "text", "news_late", share=share_text(missing, language)))
    if late := sum(m.late for m in measures):
        said.append(said_count(language, "news_overdue", late))
    return said


def _unseen(unseen: int, of: int, language: Language) -> str:
    if not unseen:
        return ""
    key = "news_unseen" if unseen < of else "news_unseen_it" if of == 1 else "news_unseen_all"
    return say(language, "text", key, n=number_words(unseen, language, 0))


def _no_comparison(known: WeekCounts, language: Language) -> str:
    weeks = max((known.last_day - WEEK - known.first_day + 1) // WEEK, 0)
    return say(language, "text", "no_comparison", weeks=said_count(language, "weeks", weeks))


def _method(settings: Settings, f: Figures, least: int, known: str) -> list[str]:
    language = f.language
    origins = listing([say(language, "method", o) for o in settings.detection.origins], language)
    lines = []
    if f.compared is not None:
        lines = [
            say(language, "method", "compare", years=settings.detection.years),
            say(language, "method", "changes"),
            say(language, "method", "late", known=known),
        ]
    lines.append(say(language, "method", "origins_outside" if least else "origins", origins=origins))
    false_alarms = settings.alerts.false_alarms_per_week
    budget = "budget_one" if false_alarms == 1 else "budget_other"
    lines.append(say(language, "method", budget, n=number_words(false_alarms, language)))
    if least:
        lines.append(say(language, "method", "disclosure", most=least - 1))
    lines.append(say(language, "method", "limits"))
    lines.append(say(language, "method", "version", version=settings.version, code=settings.municipality.code, known=known))
    return lines
