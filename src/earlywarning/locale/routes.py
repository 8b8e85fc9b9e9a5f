"""Why someone is told, or not: the reasons of routing, of mutes, and what became of a reporter's events, in words."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from earlywarning.core.mutes import Mute
from earlywarning.core.routing import Decision, Escalation, Recipient
from earlywarning.locale.catalogue import Language, day_words, label, list_words, text
from earlywarning.locale.names import Names


def route_sentence(decision: Decision, language: Language, timezone: str) -> str:
    """What one recipient hears of one change, and why: "at once: it is severe and rare"."""
    at = time_words(decision.at, language, timezone) if decision.at else ""
    if decision.way == "later":
        return text(language, "hours", "route", at=at)
    if decision.why == "muted" and decision.mute is not None:
        until = day_words(decision.mute.last_day, language, year=False)
        key = "muted" if decision.way == "digest" else "muted_untold"
        return text(language, key, "route", until=until, reason=mute_reason(decision.mute.reason, language), at=at)
    return text(language, decision.why, "route", at=at)


def escalation_sentence(escalation: Escalation, language: Language, timezone: str) -> str:
    """Who did not acknowledge an alert that now goes to someone else."""
    return text(language, "escalated", "route", of=escalation.of, since=time_words(escalation.since, language, timezone))


def about_words(recipient: Recipient, names: Names, language: Language) -> str:
    """What a recipient hears of: areas, categories, and tendencies where not all of them."""
    areas = [names.area(code, language) for code in recipient.areas]
    categories = [names.category_inside(code, language) for code in recipient.categories]
    parts = [
        list_words(areas, language) if areas else text(language, "all_areas", "route"),
        list_words(categories, language) if categories else text(language, "all_categories", "route"),
    ]
    if recipient.tendencies:
        parts.append(list_words([label(t, language) for t in sorted(recipient.tendencies)], language))
    return "; ".join(parts)


def recipient_words(recipient: Recipient, names: Names, language: Language) -> str:
    """Why a message goes to a recipient, to stand at its end."""
    about = about_words(recipient, names, language)
    return text(language, "to_recipient", "route", name=recipient.name, role=recipient.role, about=about)


def reporter_words(name: str, source: str, language: Language) -> str:
    """Why a message goes to a reporter, to stand at its end."""
    return text(language, "to_reporter", "route", name=name, source=source)


def mute_sentence(mute: Mute, names: Names, language: Language) -> str:
    """What a mute holds back, from when to when, and why."""
    areas = [names.area(code, language) for code in mute.areas]
    categories = [names.category_inside(code, language) for code in mute.categories]
    said = text(
        language,
        "mute" if mute.first_day != mute.last_day else "mute_day",
        "route",
        area=list_words(areas, language) if areas else text(language, "all_areas", "route"),
        category=list_words(categories, language) if categories else text(language, "all_categories", "route"),
        first=day_words(mute.first_day, language),
        last=day_words(mute.last_day, language),
        reason=mute_reason(mute.reason, language),
    )
    if mute.ended_at is None:
        return said
    return text(language, "ended", "route", said=said, day=day_words(mute.ended_at.date(), language), by=mute.ended_by)


def mute_reason(reason: str, language: Language) -> str:
    """The reason of a mute by its code of core.mutes.REASONS."""
    return text(language, reason, "mute_reason")


def measure_words(what: str, due: date, language: Language) -> str:
    """A measure as its reporters hear of it: what is done, and by when; nobody is named."""
    return text(language, "measure", "route", what=what, due=day_words(due, language))


def time_words(at: datetime, language: Language, timezone: str) -> str:
    """A moment by the wall clock: "Wednesday 4 March at 08:00"."""
    local = at.astimezone(ZoneInfo(timezone))
    clock = f"{local:%H.%M}" if language == "sv" else f"{local:%H:%M}"
    return text(language, "moment", "route", day=day_words(local.date(), language, year=False), time=clock)
