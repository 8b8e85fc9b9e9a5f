"""Mutes for planned events: which alerts are kept and shown, but not sent, while a festival or a school holiday lasts."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec

from earlywarning.core.alert_record import Alert
from earlywarning.core.kinship import Kinship
from earlywarning.core.screening import PersonalRule, find_personal_data

REASONS = (
    "festival", "sports", "demonstration", "market", "school-holiday", "public-holiday", "exercise", "campaign",
    "building-works", "other-planned",
)  # fmt: skip
MOST_DAYS = 60
_YEAR, _ABOUT = timedelta(days=365), timedelta(days=3)
SEVERE = "severe"  # the tendency that no mute holds back

MuteRule = Literal[PersonalRule, "unknown", "missing", "before-first", "past", "too-long", "not-allowed", "ended"]


class MuteError(ValueError):
    """A mute that cannot be made: names the field, the rule it breaks, and what is allowed."""

    def __init__(self, field: str, rule: MuteRule, problem: str) -> None:
        self.field, self.rule, self.problem = field, rule, problem
        super().__init__(f"{field}: {problem}")


class Mute(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts opened on the days from first to last, within these areas and categories (codes, with all in them; none: all).

    reason: of REASONS. who: the function that made it, as signed in. ended_at: when it was ended before its last day.
    """

    mute_id: str
    municipality: str
    areas: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    first_day: date
    last_day: date
    reason: str
    note: str = ""
    who: str
    made_at: datetime
    ended_at: datetime | None = None
    ended_by: str = ""


def checked(mute: Mute, kin: Kinship, today: date) -> Mute:
    """The mute, if it may be made on the local day `today`. Raises MuteError."""
    for field, codes, known in (("areas", mute.areas, kin.areas), ("categories", mute.categories, kin.categories)):
        if unknown := [code for code in codes if code not in known]:
            named = ", ".join(repr(code[:40]) for code in unknown)
            raise MuteError(field, "unknown", f"the register has no {named}; give codes of the register")
    if not mute.areas and not mute.categories:
        raise MuteError(
            "areas", "missing", f"name areas or categories; for the whole municipality write its code, {kin.root}, among the areas"
        )
    if mute.last_day < mute.first_day:
        raise MuteError("last_day", "before-first", f"{mute.last_day} lies before the first day, {mute.first_day}")
    if mute.last_day < today:
        raise MuteError("last_day", "past", f"{mute.last_day} is over; a mute holds back what is still to come")
    if (days := (mute.last_day - mute.first_day).days + 1) > MOST_DAYS:
        raise MuteError("last_day", "too-long", f"{days} days are too long; a mute has an end, after {MOST_DAYS} days at most")
    if mute.reason not in REASONS:
        raise MuteError("reason", "not-allowed", f"{mute.reason[:40]!r} is not allowed; allowed: {', '.join(REASONS)}")
    checked_who(mute.who)
    if len(mute.note) > 2_000:
        raise MuteError("note", "too-long", "is longer than 2,000 characters")
    if found := find_personal_data(mute.note):
        raise MuteError("note", found.rule, "it holds personal data; write about places and events, never about persons")
    return mute


def checked_who(who: str) -> str:
    """Who mutes or ends a mute: a function such as coordinator. Raises MuteError."""
    if not who.strip() or len(who) > 80:
        raise MuteError("who", "missing", "say in up to 80 characters which function it is, such as coordinator")
    if found := find_personal_data(who):
        raise MuteError("who", found.rule, "it holds personal data; write a function such as coordinator")
    return who.strip()


def hits(mute: Mute, alert: Alert, kin: Kinship) -> bool:
    """Whether an alert lies wholly within the areas and categories of a mute, on whatever day. Severe ones never do."""
    if alert.tendency == SEVERE:
        return False
    return (not mute.areas or kin.inside(alert.areas, mute.areas)) and (
        not mute.categories or kin.inside_categories(alert.categories, mute.categories)
    )


def preview(mute: Mute, alerts: Iterable[Alert], kin: Kinship) -> tuple[list[Alert], list[Alert]]:
    """Which alerts it is about: those that are open, and those of the same days a year ago, give or take three days."""
    about = [alert for alert in alerts if hits(mute, alert, kin)]
    begin, end = mute.first_day - _YEAR - _ABOUT, mute.last_day - _YEAR + _ABOUT
    return [a for a in about if a.state == "open"], [a for a in about if begin <= a.opened_on <= end]


def muted_by(alert: Alert, on: date, at: datetime, mutes: Iterable[Mute], kin: Kinship) -> Mute | None:
    """The mute that holds back what happened to an alert on day `on`, as it stands at `at`; of several the longest."""
    found = [
        m for m in mutes if m.first_day <= on <= m.last_day and (m.ended_at is None or at < m.ended_at) and hits(m, alert, kin)
    ]
    return max(found, key=lambda m: (m.last_day, m.mute_id), default=None)
