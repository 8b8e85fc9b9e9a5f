"""From settings to the core's recipients and rhythms, checked against the registers."""

from datetime import timedelta

from earlywarning.core.kinship import Kinship
from earlywarning.core.rhythms import Rhythm, daily, day_before, weekly
from earlywarning.core.routing import Recipient, Rules
from earlywarning.locale import Names
from earlywarning.locale.routes import recipient_words, reporter_words
from earlywarning.settings import Settings, SettingsError
from earlywarning.settings_routing import Recipient as RecipientSection
from earlywarning.settings_routing import hours_of

REPORT_DAY = "monday"  # reporters hear about the week that ended on the day before


def recipients_of(settings: Settings, kin: Kinship) -> list[Recipient]:
    """The recipients in the order of the settings. Raises SettingsError with every area and category that no register has."""
    problems = []
    for name, section in settings.recipients.items():
        for key, codes, known in (("areas", section.areas, kin.areas), ("categories", section.categories, kin.categories)):
            if unknown := [code for code in codes if code not in known]:
                named = ", ".join(repr(code) for code in unknown)
                problems.append(f"recipients.{name}.{key}: the register of {key} has no {named}; write codes of the register")
    if problems:
        raise SettingsError(problems)
    return [_recipient(name, section, settings) for name, section in settings.recipients.items()]


def addressee(settings: Settings, name: str, kin: Kinship, names: Names) -> tuple[str, str] | None:
    """Address of a recipient or reporter, and why they get what they get, in their language; None for an unknown name."""
    if name in settings.recipients:
        recipient = next(r for r in recipients_of(settings, kin) if r.name == name)
        return settings.recipients[name].address, recipient_words(recipient, names, recipient.language)
    if name in settings.reporters:
        reporter = settings.reporters[name]
        language = reporter.language or settings.municipality.language
        return reporter.address, reporter_words(name, reporter.source, language)
    return None


def meeting_of(settings: Settings) -> Rhythm:
    """When the operative group meets."""
    m = settings.meeting
    return weekly(m.weekday, m.hour, settings.municipality.timezone, m.every_weeks, m.counted_from)


def rules_of(settings: Settings) -> Rules:
    """How long changes are news, and in which time zone hours are."""
    return Rules(timezone=settings.municipality.timezone, send_within=settings.routing.send_within_days)


def report_rhythm(settings: Settings, how_often: str) -> Rhythm | None:
    """When reporters get theirs: "weekly", "daily", or never."""
    hour, timezone = settings.routing.reports_hour, settings.municipality.timezone
    return {"weekly": weekly(REPORT_DAY, hour, timezone), "daily": daily(hour, timezone)}.get(how_often)


def _recipient(name: str, section: RecipientSection, settings: Settings) -> Recipient:
    return Recipient(
        name=name,
        role=section.role,
        channel=section.channel,
        language=section.language or settings.municipality.language,
        tendencies=frozenset(section.tendencies),
        areas=tuple(section.areas),
        categories=tuple(section.categories),
        least_severity=section.least_severity,
        least_recurrence_days=section.least_recurrence_days,
        at_once=section.at_once,
        digest=_digest(section, settings),
        weekly=section.digest == "weekly",
        hours=hours_of(section.hours),
        escalates_to=section.escalates_to,
        escalate_after=timedelta(hours=section.escalate_after_hours),
    )


def _digest(section: RecipientSection, settings: Settings) -> Rhythm | None:
    timezone = settings.municipality.timezone
    if section.digest == "none":
        return None
    if section.digest == "daily":
        return daily(section.digest_hour, timezone)
    if section.digest_weekday:
        return weekly(section.digest_weekday, section.digest_hour, timezone)
    return day_before(meeting_of(settings), section.digest_hour)
