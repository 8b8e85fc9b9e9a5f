"""[retention]: how long what is kept is kept. The service enforces it each day; docs/privacy.md says why so long."""

from math import ceil
from typing import Annotated

from msgspec import Meta

from earlywarning.settings_sections import Detection, Section

_MONTH = 365.2425 / 12
_YEAR = 371  # days: 53 weeks, as the weekly picture reads a year
AUDIT_MONTHS = 24  # the store itself refuses to delete younger entries


class Retention(Section, frozen=True, kw_only=True):
    """Months. events_months: of day pages, 0 for no longer than `detection.years` needs. alerts_months: of alerts with history and
    casework, and notes on data. names_months: account names and notes of people in casework, mutes and plan versions, and
    the audit log. messages_months: outbox. dead_letters_months: refused events. accounts_months: accounts and tokens that
    have ended. versions_months: earlier settings and action plans.
    """

    events_months: Annotated[int, Meta(ge=0, le=240)] = 0
    alerts_months: Annotated[int, Meta(ge=12, le=240)] = 72
    names_months: Annotated[int, Meta(ge=AUDIT_MONTHS, le=120)] = AUDIT_MONTHS
    messages_months: Annotated[int, Meta(ge=2, le=36)] = 6
    dead_letters_months: Annotated[int, Meta(ge=1, le=24)] = 3
    accounts_months: Annotated[int, Meta(ge=1, le=24)] = 3
    versions_months: Annotated[int, Meta(ge=24, le=240)] = 120


def months_needed(detection: Detection) -> int:
    """Months of events that the baselines need: years, guard, longest window, and the month in which whole months are forgotten."""
    return ceil(days_needed(detection) / _MONTH) + 1


def days_needed(detection: Detection) -> int:
    """Days of events on which the judgement of a day rests: years, guard and longest window."""
    return detection.years * _YEAR + detection.guard_days + max(detection.windows)


def events_months(retention: Retention, detection: Detection) -> int:
    """Months for which events are kept at most."""
    return retention.events_months or months_needed(detection)


def retention_problems(retention: Retention | None, detection: Detection | None) -> list[str]:
    """Why events would go before their baselines are done with them; None: wrong in itself, and told elsewhere."""
    if retention is None or detection is None or not retention.events_months:
        return []
    needed = months_needed(detection)
    if retention.events_months >= needed:
        return []
    return [
        f"retention.events_months: {retention.events_months} is less than the {needed} that detection.years = {detection.years} "
        f"needs; allowed: {needed} to 240, or 0 for no longer than needed; or lower detection.years"
    ]
