"""What an alert says: one sentence, one line, and the details behind them.

The words follow the rules of the field: "more than usual", never "more crime" and never a risk; other explanations
are named first; counts of recorded events and of reports are never added.
"""

from earlywarning.core.alert_record import Alert, Signal, Uncertainty
from earlywarning.core.categories import ROOT
from earlywarning.locale.catalogue import (
    Language,
    catalogue,
    chance_words,
    count_words,
    day_words,
    expected_words,
    label,
    number_words,
    share_words,
    text,
)
from earlywarning.locale.names import Names


def _lead(alert: Alert) -> Signal:
    return alert.signals[0]


def _window(signal: Signal, language: Language, *, year: bool = True) -> str:
    return text(language, str(signal.window), "window", day=day_words(signal.last_day, language, year=year))


def headline(alert: Alert, names: Names, language: Language) -> str:
    """One line: where, what, how many, when, and how many usually."""
    lead = _lead(alert)
    return text(
        language,
        "headline",
        area=names.area(lead.area, language),
        category=names.category_inside(lead.category, language),
        observed=count_words(lead.observed, language),
        kind=label(lead.kind, language),
        window=_window(lead, language),
        expected=expected_words(lead.expectation, language),
    )


def sentence(alert: Alert, names: Names, language: Language) -> str:
    """What a coordinator would say aloud."""
    lead = _lead(alert)
    number = "one" if round(lead.observed) == 1 else "other"
    which = f"{lead.kind}_all_{number}" if lead.category == ROOT else f"{lead.kind}_{number}"
    counted = text(
        language,
        which,
        "counted",
        n=count_words(lead.observed, language),
        category=names.category_inside(lead.category, language),
    )
    words = text(
        language,
        "sentence",
        area=names.area(lead.area, language),
        counted=counted,
        window=_window(lead, language),
        expected=expected_words(lead.expectation, language),
        bound=number_words(int(lead.upper_bound), language, 0),
        chance=chance_words(lead.recurrence_days, language),
        municipality=names.area(alert.municipality, language),
    )
    if alert.state == "settled":
        words += " " + text(language, "settled", day=day_words(alert.settled_on or alert.last_day, language))
    elif alert.state == "withdrawn":
        words += " " + text(language, "withdrawn")
    return words


def details(alert: Alert, names: Names, language: Language) -> list[tuple[str, str]]:
    """(heading, text) pairs that explain the alert."""
    lead = _lead(alert)

    def say(key: str, **values: object) -> str:
        return text(language, key, "text", **values)

    def part(dimension: str, code: str) -> str:
        return names.area(code, language) if dimension == "area" else names.category(code, language)

    days = [say("day_count", day=day_words(d.day, language), n=count_words(d.observed, language)) for d in alert.days if d.observed]
    parts = [
        say(
            "carrier",
            name=part(c.dimension, c.code),
            n=count_words(c.observed, language),
            usual=number_words(c.usual, language),
        )
        for c in alert.carriers
    ]
    years = [say("earlier", day=day_words(y.last_day, language), n=count_words(y.observed, language)) for y in alert.earlier_years]
    others = [
        say(
            "also",
            area=names.area(s.area, language),
            category=names.category_inside(s.category, language),
            kind=label(s.kind, language),
            window=_window(s, language, year=False),
        )
        for s in alert.signals[1:]
    ]
    found = [_uncertainty(u, language) for u in alert.uncertainties]
    rows = [
        ("since", say("since", day=day_words(alert.first_day, language), opened=day_words(alert.opened_on, language))),
        (
            "where_and_what",
            say(
                "where_and_what",
                area=names.area(lead.area, language),
                category=names.category_inside(lead.category, language),
                kind=label(lead.kind, language),
            ),
        ),
        ("carried_days", "; ".join(days) or say("none")),
        ("carried_parts", "; ".join(parts) or say("no_carrier")),
        ("earlier", "; ".join(years) or say("no_earlier")),
        ("also", "; ".join(others)),
        ("uncertain", "; ".join(found) or say("none")),
        ("other", say("other")),
        ("judged", say("judged", version=alert.settings_version or "-", method=lead.method)),
    ]
    return [(label(key, language), words) for key, words in rows if words]


def _uncertainty(u: Uncertainty, language: Language) -> str:
    if u.kind == "late-data":
        return text(language, "late", share=share_words(u.share, language))
    if u.kind == "silent-source":
        return text(language, "silent", source=u.source, day=day_words(u.since, language) if u.since else "-")
    if u.kind == "short-history":
        return text(language, "short", years=u.note)
    return text(language, "fallback", note=catalogue(language)["status"].get(u.note, u.note))
