"""What a message says, in words of its language: the same for mail, chat, webhook, CAP and feeds."""

from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_datetime

from earlywarning.channels.refusals import NotNow, Undeliverable
from earlywarning.core.alert_record import Alert
from earlywarning.core.casework import Casework
from earlywarning.core.outgoing import (
    AlertContent,
    BriefingContent,
    DigestContent,
    LedTo,
    Outgoing,
    ReporterContent,
    TestContent,
)
from earlywarning.locale import Language, Names, details, headline, sentence
from earlywarning.locale.catalogue import catalogue, counted_text, day_words, list_words, number_words, text

Content = AlertContent | DigestContent | ReporterContent | BriefingContent | TestContent
CONTENTS: dict[str, type[Content]] = {
    "alert": AlertContent, "escalation": AlertContent, "digest": DigestContent, "receipt": ReporterContent,
    "led-to": ReporterContent, "briefing": BriefingContent, "test": TestContent,
}  # fmt: skip
MOST_NAMED = 2  # areas or categories in a subject line
_LOCALE = {"sv": "sv_SE", "en": "en_GB"}


class Addressee(NamedTuple):
    """Who a message is for. addresses: of mail. why: why this recipient gets it, in their language; empty: the usual words."""

    addresses: tuple[str, ...]
    why: str = ""


class Earlier(NamedTuple):
    """A message of the same alert that went to the same recipient before."""

    key: str
    created_at: datetime


class AlertWords(NamedTuple):
    """One alert in words.

    about: where and what. change: as a heading, empty in a list. links: (action, label, address). facts: as locale.details.
    """

    alert: Alert
    about: str
    change: str
    headline: str
    sentence: str
    stage: str
    measures: str
    facts: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str, str], ...]


class Letter(NamedTuple):
    """A message with all that a channel may need to write it. paragraphs: what stands before the alerts; closing: after."""

    message: Outgoing
    content: Content
    subject: str
    paragraphs: tuple[str, ...]
    alerts: tuple[AlertWords, ...]
    closing: tuple[str, ...]
    names: Names
    zone: ZoneInfo
    addressee: Addressee | None
    earlier: tuple[Earlier, ...] = ()

    @property
    def language(self) -> Language:
        """The language of the message."""
        return self.message.language


class Contents:
    """Puts messages into words.

    names_of: names of a municipality's areas and categories, None while it is not known. addressee_of: who a recipient of a
    municipality is, None for an unknown one.
    """

    def __init__(
        self,
        names_of: Callable[[str], Names | None],
        addressee_of: Callable[[str, str], Addressee | None],
        timezone: str = "Europe/Stockholm",
    ) -> None:
        self._names_of, self._addressee_of, self._zone = names_of, addressee_of, ZoneInfo(timezone)

    def letter(self, message: Outgoing, earlier: Sequence[Earlier] = ()) -> Letter:
        """The message in words. Raises Undeliverable for a content that cannot be read, NotNow for an unknown municipality."""
        kind = CONTENTS.get(message.kind)
        if kind is None:
            raise Undeliverable(f"there is no message of kind {message.kind!r}; this version is older than the one that wrote it")
        try:
            content: Content = _decoder(kind).decode(message.body)
        except msgspec.DecodeError as error:
            raise Undeliverable(f"the content of kind {message.kind!r} cannot be read: {error}") from None
        names = self._names_of(message.municipality)
        if names is None:
            raise NotNow(f"the names of municipality {message.municipality} are not known here yet", channel=False)
        addressee = self._addressee_of(message.municipality, message.recipient)
        words = _Words(message, names, self._zone)
        subject, paragraphs, alerts = words.of(content)
        return Letter(
            message, content, subject, tuple(paragraphs), tuple(alerts), words.closing(addressee), names, self._zone, addressee,
            tuple(earlier),
        )  # fmt: skip


@cache
def _decoder(kind: type[Content]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


class _Words:
    """The words of one message."""

    def __init__(self, message: Outgoing, names: Names, zone: ZoneInfo) -> None:
        self.message, self.names, self.zone = message, names, zone
        self.language: Language = message.language
        self.today = message.created_at.astimezone(zone).date()

    def of(self, content: Content) -> tuple[str, list[str], list[AlertWords]]:
        """Subject, paragraphs and alerts."""
        match content:
            case AlertContent():
                return self._alert(content)
            case DigestContent():
                return self._digest(content)
            case ReporterContent():
                return self._reporter(content)
            case BriefingContent():
                return content.subject, [content.text], []
            case TestContent():
                return self._say("subject_test"), [self._say("test", sent_by=content.sent_by)], []

    def _say(self, key: str, /, **values: object) -> str:
        return text(self.language, key, "message", **values)

    def _alert(self, content: AlertContent) -> tuple[str, list[str], list[AlertWords]]:
        about = about_words(content.alert, self.names, self.language)
        one = alert_words(content, self.names, self.language, self.zone, self.today)
        if self.message.kind != "escalation":
            return self._say("subject_alert", what=one.change, about=about), [], [one]
        since = content.waiting_since
        words = self._say("escalation", since=self._moment(since)) if since else self._say("escalation_bare")
        return self._say("subject_escalation", about=about), [words], [one._replace(change="")]

    def _digest(self, content: DigestContent) -> tuple[str, list[str], list[AlertWords]]:
        days = self._days(content.first_day, content.last_day)

        def told(of: Sequence[AlertContent], change: str = "") -> list[AlertWords]:
            words = [alert_words(a, self.names, self.language, self.zone, self.today, facts=False) for a in of]
            return [w._replace(change=change) for w in words] if change else words

        alerts = told(content.alerts)
        subject = counted_text(self.language, "subject_digest", len(alerts), "message", days=days)
        first = [self._say("digest" if alerts else "digest_none", days=days)]
        if content.meeting is not None:
            first.append(self._say("digest_meeting", at=self._moment(content.meeting)))
        rest = told(content.ongoing, text(self.language, "digest_ongoing", "route"))
        rest += told(content.muted, text(self.language, "digest_muted", "route"))
        return subject, first, alerts + rest

    def _reporter(self, content: ReporterContent) -> tuple[str, list[str], list[AlertWords]]:
        days = self._days(content.first_day, content.last_day)
        subject = self._say(f"subject_{self.message.kind}", days=days)
        if self.message.kind == "receipt":
            accepted = number_words(content.accepted, self.language)
            told = [self._say("receipt", source=content.source, accepted=accepted, days=days)]
            if content.rejected:
                told.append(counted_text(self.language, "receipt_rejected", content.rejected, "message"))
            return subject, [*told, self._say("thanks")], []
        told = [self._say("led_to" if content.led_to else "led_to_none", source=content.source, days=days), self._say("thanks")]
        return subject, told[:1] if content.led_to else told, [self._led_to(led) for led in content.led_to]

    def _led_to(self, led: LedTo) -> AlertWords:
        """Where and what, and what the group did: reporters stand outside the group, so they are told no counts."""
        measures = self._say("measures", measures=list_words(led.measures, self.language)) if led.measures else ""
        about = about_words(led.alert, self.names, self.language)
        return AlertWords(led.alert, about, "", "", "", stage_words(led.stage, self.language), measures, (), ())

    def closing(self, addressee: Addressee | None) -> tuple[str, ...]:
        """What stands at the end: how figures are meant, why the recipient gets it, and by what it is known."""
        municipality = self.names.area(self.message.municipality, self.language)
        why = addressee.why if addressee else ""
        why = why or self._say("why", recipient=self.message.recipient, municipality=municipality)
        key = self.message.key
        about = (
            self._say("reference", alert_id=self.message.alert_id, key=key)
            if self.message.alert_id
            else self._say("reference_bare", key=key)
        )
        figures = [] if self.message.kind == "test" else [self._say("figures")]
        return (*figures, why, about)

    def _days(self, first: date, last: date) -> str:
        """A span of days, the year once."""
        if first == last:
            return day_words(first, self.language)
        return self._say(
            "days", first=day_words(first, self.language, year=first.year != last.year), last=day_words(last, self.language)
        )

    def _moment(self, moment: datetime) -> str:
        return str(format_datetime(moment.astimezone(self.zone), "EEEE d MMMM HH:mm", locale=_LOCALE[self.language]))


def about_words(alert: Alert, names: Names, language: Language) -> str:
    """Where and what, as short as a subject line must be."""
    areas = [names.area(code, language) for code in alert.areas]
    categories = [names.category_inside(code, language) for code in alert.categories]
    return text(language, "about", "message", areas=_first(areas, language), categories=_first(categories, language))


def _first(told: list[str], language: Language) -> str:
    if len(told) > MOST_NAMED + 1:
        told = [*told[:MOST_NAMED], counted_text(language, "more", len(told) - MOST_NAMED, "message")]
    return list_words(told, language)


def stage_words(stage: str, language: Language) -> str:
    """A stage of the group's work."""
    return text(language, "stage", "message", stage=catalogue(language)["message_stage"].get(stage, stage))


def change_words(change: str, language: Language) -> str:
    """What happened to an alert, or what the group did, as a heading."""
    return catalogue(language)["message_change"].get(change, change)


def _stage(case: Casework, language: Language, zone: ZoneInfo) -> str:
    if case.stage == "acknowledged" and case.acknowledged_at is not None:
        day = day_words(case.acknowledged_at.astimezone(zone).date(), language, year=False)
        return text(language, "stage", "message", stage=text(language, "acknowledged", "message", day=day))
    return stage_words(case.stage, language)


def alert_words(
    content: AlertContent, names: Names, language: Language, zone: ZoneInfo, today: date | None = None, *, facts: bool = True
) -> AlertWords:
    """An alert with what happened to it, in words."""
    alert, labels = content.alert, catalogue(language)["message_link"]
    return AlertWords(
        alert=alert,
        about=about_words(alert, names, language),
        change=change_words(content.change, language),
        headline=headline(alert, names, language, today),
        sentence=sentence(alert, names, language, today),
        stage=_stage(content.casework, language, zone),
        measures=_touched(content.casework, language),
        facts=tuple(details(alert, names, language)) if facts else (),
        links=tuple((action, labels.get(action, action), address) for action, address in content.links.items()),
    )


def _touched(case: Casework, language: Language) -> str:
    """Which priorities of the action plan it touches, and who is responsible; empty for none."""
    told = [
        text(language, "touched", "message", name=t.name_sv if language == "sv" else t.name_en, responsible=t.responsible)
        for t in case.touched
    ]
    return text(language, "touches", "message", priorities=list_words(told, language)) if told else ""
