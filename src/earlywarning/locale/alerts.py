"""What an alert says: one sentence, one line, and the details behind them.

The words follow the rules of the field: more events or reports "than expected", never "more crime" and never a risk;
other explanations are named; counts of recorded incidents and of reports are never added.
"""

from datetime import date

from earlywarning.core.alert_record import Alert, Carrier, DayCount, Signal, SpecialDay, Uncertainty
from earlywarning.core.categories import ROOT
from earlywarning.locale.catalogue import (
    Language,
    catalogue,
    chance_words,
    count_words,
    counted_text,
    day_words,
    expected_words,
    floor_words,
    label,
    list_words,
    number_words,
    rounded_down,
    share_words,
    text,
)
from earlywarning.locale.names import Names

MOST_DAYS = 7  # days, and signals, that are named one by one: what a person takes in
MOST_SIGNALS = 6
MOST_AREAS = 4
_ARTEFACTS = ("date-heap", "burst", "backlog", "gap-filled", "place-coding")
_OWN_WORDS = ("drift", "apart", "first", "severe", "mixture", "harm")  # tendencies for which no bound of a count speaks


def headline(alert: Alert, names: Names, language: Language, today: date | None = None) -> str:
    """One line: where, what, how many, when, and how many were expected. `today`: as for `sentence`."""
    lead = alert.signals[0]
    if alert.tendency == "mixture":
        words = {"area": _areas(lead, names, language), "window": _window(lead, language, today)}
        return text(language, "headline_mixture", reasons=_reasons(lead, names, language), **words)
    return text(
        language,
        "headline",
        area=_areas(lead, names, language),
        category=_categories(lead, names, language),
        units=counted_text(language, lead.kind, lead.observed, "unit"),
        window=_window(lead, language, today),
        expected=expected_words(lead.expectation, language),
    )


def sentence(alert: Alert, names: Names, language: Language, today: date | None = None) -> str:
    """What a coordinator would say aloud, in two sentences.

    today: the day on which it is said; days of the same year are then told without their year.
    """
    lead = alert.signals[0]
    digits = _digits(lead)
    everything = lead.categories == (ROOT,)
    category = _categories(lead, names, language)
    if not everything:
        category = text(language, "category_one" if len(lead.categories) == 1 else "category_other", name=category)
    said = counted_text(
        language,
        "said",
        max(round(lead.expectation), 1),
        area=_areas(lead, names, language),
        counted=counted_text(
            language,
            f"{lead.kind}_all" if everything else lead.kind,
            lead.observed,
            "counted",
            digits=digits,
            category=category,
        ),
        window=_window(lead, language, today),
        expected=expected_words(lead.expectation, language),
    )
    if alert.tendency == "mixture":
        words = {"area": _areas(lead, names, language), "window": _window(lead, language, today)}
        said = text(language, "said_mixture", reasons=_reasons(lead, names, language), **words)
    if alert.state == "withdrawn":
        # An alert keeps the figures with which it last stood.
        return text(language, "withdrawn", said=said)
    chance = chance_words(lead.recurrence_days, language)
    if alert.tendency in _OWN_WORDS:
        unusual = text(language, f"unusual_{alert.tendency}", chance=chance)
    else:
        bound = "any" if lead.upper_bound < 1 else "bound"
        floor = text(language, bound, bound=floor_words(lead.upper_bound, language, digits))
        unusual = text(language, "unusual", bound=floor, chance=chance)
    if alert.state == "settled":
        over = _day(alert.settled_on or alert.last_day, language, today)
        key = "settled_own" if alert.tendency in _OWN_WORDS else "settled"
        return text(language, key, said=said, unusual=unusual, day=over)
    return text(language, "open", said=said, unusual=unusual)


def details(alert: Alert, names: Names, language: Language) -> list[tuple[str, str]]:
    """(heading, text) pairs that explain the alert. Days are told with their year."""
    lead = alert.signals[0]
    opened = day_words(alert.opened_on, language)
    since = "since_same_day" if alert.first_day == alert.opened_on else "since"
    years = [
        text(
            language,
            "earlier_day" if lead.window == 1 else "earlier",
            day=day_words(y.last_day, language),
            n=count_words(y.observed, language),
        )
        for y in alert.earlier_years
    ]
    rows = [
        ("since", text(language, since, day=day_words(alert.first_day, language), opened=opened)),
        (
            "where_and_what",
            text(
                language,
                "where_and_what",
                area=_areas(lead, names, language),
                category=_categories(lead, names, language),
                kind=label(lead.kind, language),
            ),
        ),
        ("carried_days", _days(alert.days, language)),
        *_parts(alert.carriers, names, language),
        ("earlier", "; ".join(years) or text(language, "no_earlier")),
        ("also", _others(alert.signals[1:], names, language)),
        ("special", "; ".join(_special(day, language) for day in alert.special_days)),
        ("uncertain", "; ".join(_uncertainty(u, lead, language) for u in alert.uncertainties) or text(language, "certain")),
        ("other", text(language, "other")),
        ("judged", text(language, "judged", version=alert.settings_version or "-", method=lead.method)),
    ]
    return [(label(key, language), words) for key, words in rows if words]


def _day(day: date, language: Language, today: date | None) -> str:
    return day_words(day, language, year=today is None or day.year != today.year)


def _window(signal: Signal, language: Language, today: date | None = None) -> str:
    key = str(signal.window) if str(signal.window) in catalogue(language)["window"] else "days"
    n = catalogue(language)["numeral"].get(str(signal.window), str(signal.window))
    return text(language, key, "window", n=n, day=_day(signal.last_day, language, today))


def _areas(signal: Signal, names: Names, language: Language) -> str:
    """The areas as a person lists them; of many the first ones."""
    told = [names.area(code, language) for code in signal.areas]
    if len(told) > MOST_AREAS:
        rest = len(told) - MOST_AREAS + 1
        told = [*told[: MOST_AREAS - 1], counted_text(language, "areas_more", rest)]
    return list_words(told, language)


def _categories(signal: Signal, names: Names, language: Language) -> str:
    return list_words([names.category_inside(code, language) for code in signal.categories], language)


def _digits(lead: Signal) -> int:
    """Decimals with which a count above its bound is also told as a higher number: 6.4 of more than 6.2, not 6 of 6."""
    if lead.observed <= lead.upper_bound or lead.upper_bound < 1:
        return 0
    return next((d for d in range(3) if round(lead.observed, d) > rounded_down(lead.upper_bound, d)), 3)


def _reasons(signal: Signal, names: Names, language: Language) -> str:
    """What makes a mixture unusual, the most unusual first."""
    told = []
    for reason in signal.reasons:
        way = "more" if reason.deviation > 0 else "less"
        if reason.feature == "category":
            told.append(text(language, f"{way}_of", name=names.category_inside(reason.code, language)))
        else:
            told.append(text(language, f"{way}_{reason.feature}"))
    return list_words(told, language) if told else text(language, "no_reason")


def _days(days: tuple[DayCount, ...], language: Language) -> str:
    """The fullest days in the order of the calendar; what is left on the other days as one sum."""
    some = [d for d in days if d.observed > 0]
    fullest = sorted(some, key=lambda d: (-d.observed, d.day))[:MOST_DAYS]
    told = [
        text(language, "day_count", day=day_words(d.day, language), n=count_words(d.observed, language))
        for d in sorted(fullest, key=lambda d: d.day)
    ]
    if rest := len(some) - len(fullest):
        left = sum(d.observed for d in some) - sum(d.observed for d in fullest)
        told.append(counted_text(language, "other_days", rest, sum=count_words(left, language)))
    return "; ".join(told)


def _parts(carriers: tuple[Carrier, ...], names: Names, language: Language) -> list[tuple[str, str]]:
    """What carries it, by sub-category and by sub-area: two views of the same events, so two rows."""
    rows = []
    for dimension, name in (("category", names.category), ("area", names.area)):
        told = [
            text(
                language,
                "carrier",
                name=name(c.code, language),
                n=count_words(c.observed, language),
                usual=number_words(c.usual, language, 0 if c.usual >= 10 else 1),
            )
            for c in carriers
            if c.dimension == dimension
        ]
        if told:
            rows.append((f"carried_{dimension}", "; ".join(told)))
    return rows or [("carried_parts", text(language, "no_carrier"))]


def _others(signals: tuple[Signal, ...], names: Names, language: Language) -> str:
    """The alert's other signals: other windows, its peak, and what was seen when it was raised."""
    told = [
        text(
            language,
            "also_opening" if s.role == "opening" else "also" if s.standing else "also_withdrawn",
            area=_areas(s, names, language),
            category=_categories(s, names, language),
            units=counted_text(language, s.kind, s.observed, "unit"),
            window=_window(s, language),
            expected=expected_words(s.expectation, language),
        )
        for s in signals[:MOST_SIGNALS]
    ]
    if rest := len(signals) - len(told):
        told.append(counted_text(language, "more", rest))
    return "; ".join(told)


def _special(day: SpecialDay, language: Language) -> str:
    name = day.names[0 if language == "sv" else 1]
    first, last = (day_words(d, language, year=False) for d in (day.first_day, day.last_day))
    if first == last:
        return text(language, "special_day", day=first, name=name)
    return text(language, "special_days", first=first, last=last, name=name)


def _uncertainty(u: Uncertainty, lead: Signal, language: Language) -> str:
    if u.kind == "late-data":
        expected, complete = (expected_words(e, language) for e in (lead.expectation, lead.complete_expectation))
        key = "late" if expected != complete and lead.complete_expectation > 0 else "late_bare"
        return text(language, key, share=share_words(u.share, language), expected=expected, complete=complete)
    if u.kind in _ARTEFACTS and u.since is not None:
        return text(language, u.kind, source=u.source, share=share_words(u.share, language), day=day_words(u.since, language))
    if u.kind == "silent-source":
        if u.since is None:
            return text(language, "silent_lately", source=u.source)
        return text(
            language,
            "silent" if u.recurrence_days > 0 else "silent_since",
            source=u.source,
            day=day_words(u.since, language),
            chance=chance_words(u.recurrence_days, language),
        )
    if u.kind == "short-history":
        # The note is the number of years.
        years = int(u.note) if u.note.isdecimal() else 0
        return counted_text(language, "short", years) if years else text(language, "short_none")
    return text(language, "fallback", note=catalogue(language)["status"].get(u.note, u.note))
