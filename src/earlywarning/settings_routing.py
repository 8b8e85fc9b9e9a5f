"""Settings of who gets what and when: meeting, recipients, reporters, and how long what is waited for."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from earlywarning.settings_sections import Section

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NAME = re.compile(r"[0-9A-Za-zÅÄÖåäö_-]{1,40}")
_HOURS = re.compile(r"([01]?[0-9]|2[0-3])-([01]?[0-9]|2[0-4])")

Hour = Annotated[int, Meta(ge=0, le=23)]
Address = Annotated[str, Meta(pattern=r"^[^\s<>,;]*$", max_length=254, description="one address without spaces, or empty")]
Severity = Annotated[float, Meta(ge=0, le=1e9)]


class Meeting(Section, frozen=True, kw_only=True):
    """When the operative group meets. counted_from: a day of a week with a meeting, where it meets every second week or less."""

    weekday: Weekday = "thursday"
    hour: Hour = 9
    every_weeks: Annotated[int, Meta(ge=1, le=8)] = 1
    counted_from: date = date(2026, 1, 8)


class Routing(Section, frozen=True, kw_only=True):
    """send_within_days: of older changes, as when the past is replayed, nobody is told. expire_after_days: after which an alert
    that is over and that nobody has assessed leaves the agenda. reports_hour: when reporters get theirs."""

    send_within_days: Annotated[int, Meta(ge=1, le=60)] = 7
    expire_after_days: Annotated[int, Meta(ge=1, le=366)] = 28
    reports_hour: Hour = 7


class Recipient(Section, frozen=True, kw_only=True):
    """Who gets alerts: a function or group, never a private person. Empty lists: all.

    areas, categories: codes, with all in them. least_severity: harm weight that the gravest category of an alert must have;
    least_recurrence_days: how seldom chance must give an alert as unusual. Severe alerts pass both. at_once: which alerts do not
    wait for the digest. digest_weekday: without it, the weekly digest comes on the day before each meeting. briefing: the weekly
    picture comes on the evening before each meeting. hours: in which messages may come at once, such as 7-18; severe ones do
    not wait. escalates_to: who is told next when nobody acknowledges.
    """

    role: Annotated[str, Meta(pattern=r"^[^\W\d][\w -]{0,39}$", description="one or a few words, such as coordinator")]
    channel: Annotated[str, Meta(min_length=1, max_length=64)]
    address: Address = ""
    language: Literal["", "sv", "en"] = ""
    tendencies: list[Literal["surge", "cluster", "shift", "drift", "apart", "first", "severe", "mixture", "harm"]] = field(
        default_factory=list
    )
    areas: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    least_severity: Severity = 0.0
    least_recurrence_days: Annotated[float, Meta(ge=0, le=100000)] = 0.0
    at_once: Literal["severe", "all", "none"] = "severe"
    digest: Literal["weekly", "daily", "none"] = "weekly"
    digest_weekday: Literal["", Weekday] = ""
    digest_hour: Hour = 8
    briefing: bool = False
    hours: str = ""
    escalates_to: str = ""
    escalate_after_hours: Annotated[int, Meta(ge=1, le=336)] = 24


class Reporter(Section, frozen=True, kw_only=True):
    """Who sends events and hears what became of them. source: as in the events. receipt: how many came in; led_to: and what
    they led to."""

    source: Annotated[str, Meta(min_length=1, max_length=128)]
    channel: Annotated[str, Meta(min_length=1, max_length=64)]
    address: Address = ""
    language: Literal["", "sv", "en"] = ""
    receipt: Literal["weekly", "daily", "none"] = "weekly"
    led_to: Literal["weekly", "none"] = "weekly"


def hours_of(text: str) -> tuple[int, int] | None:
    """First hour of hours such as 7-18, and the one after the last; None for all. Raises ValueError saying what is allowed."""
    if not text:
        return None
    found = _HOURS.fullmatch(text.strip())
    begin, end = (int(found[1]), int(found[2]) % 24) if found else (0, 0)
    if found is None or begin == end:
        raise ValueError(
            f"{text[:40]!r} is not a span of hours; allowed: such as 7-18, or 22-6 over midnight; without it: all hours"
        )
    return begin, end


def routing_problems(
    recipients: Mapping[str, Recipient],
    reporters: Mapping[str, Reporter],
    channels: Mapping[str, Any] | None,
    also: Iterable[str] = (),
) -> list[str]:
    """What recipients and reporters say that cannot be, each with its key.

    channels: None while there are no such settings. also: recipients that are wrong in themselves, but may be named.
    """
    problems = []
    for name in sorted(recipients.keys() & reporters.keys()):
        problems.append(f"reporters.{name}: is also a recipient; messages are told apart by name, so give it another")
    for section, named in (("recipients", recipients), ("reporters", reporters)):
        for name, one in named.items():
            if not _NAME.fullmatch(name):
                problems.append(f"{section}.{name[:60]}: is not a name; allowed: up to 40 letters, digits, _ and -")
            if channels is not None and one.channel not in channels:
                known = ", ".join(channels) or "none yet; add a section [channels.NAME]"
                problems.append(f"{section}.{name}.channel: there is no channel {one.channel!r}; channels are {known}")
    for name, recipient in recipients.items():
        key = f"recipients.{name}"
        try:
            hours_of(recipient.hours)
        except ValueError as error:
            problems.append(f"{key}.hours: {error}")
        if recipient.digest_weekday and recipient.digest != "weekly":
            problems.append(f'{key}.digest_weekday: is of a weekly digest; set digest = "weekly", or leave it out')
        if recipient.escalates_to and recipient.escalates_to not in {*recipients, *also}:
            known = ", ".join(n for n in recipients if n != name) or "none"
            problems.append(f"{key}.escalates_to: there is no recipient {recipient.escalates_to!r}; others are {known}")
        elif name in (chain := escalation_chain(name, recipients)):
            problems.append(
                f"{key}.escalates_to: leads back to it ({' -> '.join((name, *chain))}); end with someone who escalates to none"
            )
    return problems


def escalation_chain(name: str, recipients: Mapping[str, Recipient]) -> list[str]:
    """Who is told after a recipient, one after the other; ends with the first that would be told twice."""
    chain: list[str] = []
    at = recipients[name].escalates_to
    while at in recipients:
        chain.append(at)
        if at == name or at in chain[:-1]:
            break
        at = recipients[at].escalates_to
    return chain
