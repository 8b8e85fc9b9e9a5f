"""The week's alerts with the group's work on them: what each says, how far it has come, who owns what, what to ask."""

from collections.abc import Mapping, Sequence
from datetime import date

from msgspec import structs

from earlywarning.briefing.record import AlertItem, MeasureRow, Standing
from earlywarning.briefing.words import listing, said_count, say, short_day
from earlywarning.core.alert_record import Alert, AlertChange
from earlywarning.core.areas import AreaRegister
from earlywarning.core.casework import ENDED, Casework
from earlywarning.core.categories import ROOT
from earlywarning.core.data_notes import DataNote
from earlywarning.core.questions import Question, questions
from earlywarning.locale import Language, Names, details, headline, label, sentence

_ASKED = ("new", "acknowledged", "assessed", "picture", "analysis")  # stages in which causes are still looked for
_FACTS = ("since", "carried_days", "carried_category", "carried_area", "earlier", "special", "uncertain")
_MOST_AREAS = 4
_ORDER: tuple[Standing, ...] = ("new", "ongoing", "settled")


def as_then(alert: Alert, history: Sequence[AlertChange], last: date) -> Alert:
    """The alert as it stood at the close of a day: the last entry of its history up to then."""
    known = [h.alert for h in history if h.on <= last]
    if not known:
        return alert
    then = known[-1]
    if not then.days and (then.window, then.last_day) == (alert.window, alert.last_day):
        # What explains it is added after the moment at which it was raised, and is about the same window.
        then = structs.replace(
            then, days=alert.days, carriers=alert.carriers, earlier_years=alert.earlier_years, special_days=alert.special_days
        )
    return then


def standing_of(alert: Alert, case: Casework | None, first: date, last: date) -> Standing | None:
    """Where an alert belongs in the picture of the days first..last; None where it was over, or closed, before."""
    if alert.opened_on > last:
        return None
    ended = alert.settled_on if alert.state == "settled" else alert.updated_on if alert.state == "withdrawn" else None
    closed = case.closed_at.date() if case is not None and case.stage in ENDED and case.closed_at is not None else None
    over = min((d for d in (ended, closed) if d is not None), default=None)
    waits = case is not None and case.stage not in ("new", "acknowledged", *ENDED)  # the group is at work on it
    if over is not None and over < first:
        return "ongoing" if waits and closed is None else None
    if alert.opened_on >= first:
        return "new"
    if over is not None and over <= last and not waits:
        return "settled"
    return "ongoing"


def alert_items(
    alerts: Sequence[tuple[Alert, Standing]],
    cases: Mapping[str, Casework],
    notes: Sequence[DataNote],
    *,
    register: AreaRegister,
    names: Names,
    language: Language,
    today: date,
    hide_counts: bool,
    links: Mapping[str, str],
) -> list[AlertItem]:
    """The alerts in the order new, ongoing, settled; within each by their day. hide_counts: no number of theirs is told."""
    items = []
    for alert, standing in sorted(alerts, key=lambda pair: (_ORDER.index(pair[1]), pair[0].opened_on, pair[0].alert_id)):
        case = cases.get(alert.alert_id)
        stage = case.stage if case is not None else "new"
        said = outside_sentence(alert, names, language) if hide_counts else sentence(alert, names, language, today)
        title = said if hide_counts else headline(alert, names, language, today)
        facts = (
            [] if hide_counts else [(h, t) for h, t in details(alert, names, language) if h in {label(k, language) for k in _FACTS}]
        )
        asked = (
            standing != "settled"
            and not hide_counts
            and stage in _ASKED
            and (case is None or case.assessment in (None, "confirmed"))
        )
        items.append(
            AlertItem(
                alert_id=alert.alert_id,
                standing=standing,
                tendency=label(alert.tendency, language),
                title=title,
                sentence=said,
                facts=facts,
                opened_on=alert.opened_on,
                stage=_stage(case, language),
                owners=[] if hide_counts or case is None else sorted({m.owner for m in case.measures if not m.outcome}),
                questions=_asked(alert, case, notes, register, names, language) if asked else [],
                severe=alert.tendency == "severe",
                link="" if hide_counts else links.get(alert.alert_id, ""),
            )
        )
    return items


def outside_sentence(alert: Alert, names: Names, language: Language) -> str:
    """What an alert is about, without any count and without its window: neither says how many events there were."""
    told = [names.area(code, language) for code in alert.areas]
    if len(told) > _MOST_AREAS:
        told = [*told[: _MOST_AREAS - 1], said_count(language, "outside_areas", len(told) - _MOST_AREAS + 1)]
    if ROOT in alert.categories:
        category = say(language, "text", "all")
    else:
        inside = listing([names.category_inside(code, language) for code in alert.categories], language)
        category = say(language, "text", "one_category" if len(alert.categories) == 1 else "several_categories", name=inside)
    key = "outside_more" if alert.tendency in ("surge", "cluster", "shift") else "outside_other"
    kind = say(language, "text", f"kind_{alert.kind}")
    return say(
        language, "text", key, area=listing(told, language), kind=kind, category=category, tendency=label(alert.tendency, language)
    )


def _stage(case: Casework | None, language: Language) -> str:
    if case is None:
        return say(language, "stage", "new")
    told = say(language, "stage", case.stage)
    if case.assessment is not None and case.stage not in ("new", "acknowledged"):
        told = f"{say(language, 'stage', case.assessment)}, {told}"
    return told


def _asked(
    alert: Alert, case: Casework | None, notes: Sequence[DataNote], register: AreaRegister, names: Names, language: Language
) -> list[str]:
    numbers = [n for n in register.resolve(alert.areas).tolist() if n >= 0]
    beside = sorted({b for n in numbers for b in register.neighbours[n]} - set(numbers))
    heaped = any(
        n.what == "hour-heap" and n.kind == alert.kind and (n.area is None or n.area in alert.areas)
        and (n.category is None or n.category in alert.categories)
        for n in notes
    )  # fmt: skip
    found = questions(alert, [register.codes[b] for b in beside], returned=case is not None and bool(case.earlier), heaped=heaped)
    return [_question(q, names, language) for q in found]


def _question(q: Question, names: Names, language: Language) -> str:
    is_area = q.key in ("sub-area", "neighbours")
    told = [names.area(c, language) if is_area else names.category(c, language) for c in q.codes]
    return say(
        language,
        "question",
        q.key,
        name=told[0] if told else "",
        names=listing(told, language) if told else "",
        day=short_day(q.day, language) if q.day else "",
        source=say(language, "question", "source", source=q.source) if q.source else "",
    )


def measure_rows(
    cases: Sequence[Casework], titles: Mapping[str, str], links: Mapping[str, str], language: Language, today: date
) -> list[MeasureRow]:
    """The open measures, overdue ones first, then by the day on which they are due."""
    rows = [
        MeasureRow(
            what=m.what,
            owner=m.owner,
            due=m.due,
            due_text=short_day(m.due, language, year=m.due.year != today.year),
            goal=m.goal,
            alert=titles.get(case.alert_id, ""),
            late=m.due < today,
            link=links.get(case.alert_id, ""),
        )
        for case in cases
        if case.stage not in ENDED
        for m in case.measures
        if m.outcome in ("", "under-way", "delayed")
    ]
    return sorted(rows, key=lambda r: (not r.late, r.due, r.owner, r.what))
