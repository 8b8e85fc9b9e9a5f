"""Routing: who is told of what happened to an alert, when, and why (not).

Only severe alerts interrupt people, unless a recipient asks for more. All else is gathered for the digest before the meeting.
That an alert is over or taken back is told to those who were told of it, the same way. A mute holds back what is not severe.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal

import msgspec

from earlywarning.core.alert_record import Alert, AlertChange, Change
from earlywarning.core.kinship import Kinship
from earlywarning.core.mutes import SEVERE, Mute, muted_by
from earlywarning.core.rhythms import Rhythm, local_day, within_hours

Way = Literal["at-once", "later", "digest", "none"]
Why = Literal[
    "severe", "asked", "told-before", "hours", "gathered", "muted", "no-digest", "past",
    "other-area", "other-category", "other-tendency", "not-grave", "not-rare",
]  # fmt: skip
NEWS: tuple[Change, ...] = ("opened", "reopened")
ENDS: tuple[Change, ...] = ("settled", "withdrawn", "reopened")  # of what was told, or its return


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """Who may be told, as the settings say: names, codes (empty: all), limits. digest: when theirs comes; None: never."""

    name: str
    role: str = ""
    channel: str
    language: Literal["sv", "en"] = "sv"
    tendencies: frozenset[str] = frozenset()
    areas: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    least_severity: float = 0.0
    least_recurrence_days: float = 0.0
    at_once: Literal["severe", "all", "none"] = "severe"
    digest: Rhythm | None = None
    weekly: bool = True
    hours: tuple[int, int] | None = None
    escalates_to: str = ""
    escalate_after: timedelta = timedelta(hours=24)


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What one recipient hears of one change: at once, later (`at`), in the digest of `at`, or not at all; and why.

    mute: what holds it back, and until which day.
    """

    recipient: str
    channel: str
    alert_id: str
    change: Change
    on: date
    way: Way
    why: Why
    at: datetime | None = None
    mute: Mute | None = None


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """timezone: of hours and days. send_within: days; of older changes nobody is told."""

    timezone: str = "Europe/Stockholm"
    send_within: int = 7


def mismatch(alert: Alert, recipient: Recipient, kin: Kinship) -> Why | None:
    """Why an alert does not concern a recipient; None when it does."""
    if recipient.tendencies and alert.tendency not in recipient.tendencies:
        return "other-tendency"
    if recipient.areas and not kin.touch(alert.areas, recipient.areas):
        return "other-area"
    if recipient.categories and not kin.touch_categories(alert.categories, recipient.categories):
        return "other-category"
    if alert.tendency == SEVERE:  # the severity rule has the last word on how grave and rare it must be
        return None
    if kin.gravest(alert.categories) < recipient.least_severity:
        return "not-grave"
    return "not-rare" if alert.recurrence_days < recipient.least_recurrence_days else None


def route(
    changes: Iterable[AlertChange],
    recipients: Sequence[Recipient],
    mutes: Sequence[Mute],
    kin: Kinship,
    *,
    now: datetime,
    told: Mapping[str, frozenset[str]],
    rules: Rules,
) -> list[Decision]:
    """A decision for each change (in their order) and recipient.

    now: of the wall clock. told: by alert, the recipients that were told at once that it opened, before these changes.
    """
    heard = {alert_id: set(names) for alert_id, names in told.items()}
    today = local_day(now, rules.timezone)
    out = []
    for change in changes:
        names = heard.setdefault(change.alert.alert_id, set())
        for recipient in recipients:
            decision = _decide(change, recipient, mutes, kin, now, today, recipient.name in names, rules)
            if decision.way in ("at-once", "later"):
                names.add(recipient.name)
            out.append(decision)
    return out


def _decide(
    change: AlertChange,
    recipient: Recipient,
    mutes: Sequence[Mute],
    kin: Kinship,
    now: datetime,
    today: date,
    told: bool,
    rules: Rules,
) -> Decision:
    alert = change.alert

    def decided(way: Way, why: Why, at: datetime | None = None, mute: Mute | None = None) -> Decision:
        return Decision(
            recipient=recipient.name, channel=recipient.channel, alert_id=alert.alert_id, change=change.change, on=change.on,
            way=way, why=why, at=at, mute=mute,
        )  # fmt: skip

    def sent(why: Why, waits: bool) -> Decision:
        at = within_hours(now, recipient.hours, rules.timezone) if waits else now
        return decided("later", "hours", at) if at > now else decided("at-once", why, now)

    def gathered(mute: Mute | None = None) -> Decision:
        why: Why = "muted" if mute else "gathered"
        if recipient.digest is None:
            return decided("none", why if mute else "no-digest", None, mute)
        return decided("digest", why, recipient.digest.next(now), mute)

    if (today - change.on).days > rules.send_within:
        return decided("none", "past")
    if told and change.change in ENDS and recipient.at_once != "none":
        # That something grave is over wakes nobody; that it was taken back, or is there again, may stop or start a patrol.
        return sent("told-before", waits=alert.tendency != SEVERE or change.change == "settled")
    if (why := mismatch(alert, recipient, kin)) is not None:
        return decided("none", why)
    if change.change not in NEWS or told:
        return gathered(muted_by(alert, alert.opened_on, now, mutes, kin))
    if alert.tendency == SEVERE and recipient.at_once != "none":
        return sent("severe", waits=False)
    if (mute := muted_by(alert, change.on, now, mutes, kin)) is not None:
        return gathered(mute)
    return sent("asked", waits=True) if recipient.at_once == "all" and change.change == "opened" else gathered()


class Told(msgspec.Struct, frozen=True):
    """A message about an alert that was put in the outbox for a recipient: when, and whether it was given up."""

    recipient: str
    at: datetime
    given_up: bool = False


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody has acknowledged an alert: `to` is told after `of` was. since: how long it waits; at: when it may go."""

    alert_id: str
    of: str
    to: str
    since: datetime
    at: datetime


def escalations(
    alert: Alert, told: Sequence[Told], escalated: Iterable[str], recipients: Mapping[str, Recipient], now: datetime, rules: Rules
) -> list[Escalation]:
    """Who is told next about an alert that is open and that nobody has acknowledged.

    told: all messages about it that went at once. escalated: to whom it was escalated already: once to each. The time of a
    recipient begins with their hours, unless it is severe; what could not be delivered is escalated without waiting.
    """
    done = set(escalated)
    severe = alert.tendency == SEVERE
    out: list[Escalation] = []
    for one in sorted(told, key=lambda t: (t.at, t.recipient)):
        recipient = recipients.get(one.recipient)
        to = recipients.get(recipient.escalates_to) if recipient else None
        if recipient is None or to is None or to.name in done:
            continue
        begins = one.at if severe else within_hours(one.at, recipient.hours, rules.timezone)
        if one.given_up or begins + recipient.escalate_after <= now:
            done.add(to.name)
            at = now if severe else within_hours(now, to.hours, rules.timezone)
            out.append(Escalation(alert_id=alert.alert_id, of=recipient.name, to=to.name, since=min(t.at for t in told), at=at))
    return out
