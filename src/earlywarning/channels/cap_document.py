"""Common Alerting Protocol 1.2: an alert as XML, with an info block in Swedish and one in English.

OASIS, Common Alerting Protocol Version 1.2, 1 July 2010. Areas are named and carry their code; outlines are left out, and
so is the public scope: what is unusual in an area is for those who assess it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from lxml import etree

from earlywarning.channels.contents import Earlier, about_words
from earlywarning.channels.refusals import Undeliverable
from earlywarning.core.alert_record import Alert
from earlywarning.core.outgoing import AlertContent
from earlywarning.locale import LANGUAGES, Language, Names, headline, label, sentence
from earlywarning.locale.catalogue import text

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
_LANGUAGE = {"sv": "sv-SE", "en": "en-GB"}
_HOLDS_DAYS = 30  # how long an open alert holds when nothing more is said of it
_MOST_REFERENCES = 50

MessageType = Literal["Alert", "Update", "Cancel"]


class CapSender(NamedTuple):
    """Who sends, and to whom it is restricted. restriction: empty for the usual words."""

    sender: str
    status: str = "Actual"
    restriction: str = ""


def message_type(content: AlertContent, *, earlier: bool) -> MessageType:
    """Alert for the first message; Cancel for what was withdrawn or was no alert; else Update."""
    if not earlier:
        return "Alert"
    wrong = content.casework.assessment in ("false-alarm", "data-fault")
    return "Cancel" if content.alert.state == "withdrawn" or wrong else "Update"


def cap_alert(
    content: AlertContent, *, identifier: str, sent: datetime, sender: CapSender, names: Names, zone: ZoneInfo,
    earlier: Sequence[Earlier] = (),
) -> etree._Element:  # fmt: skip
    """The alert element. earlier: messages about the same alert that it updates or cancels. Raises Undeliverable."""
    alert = content.alert
    root = _head(identifier, sent, sender, zone, message_type(content, earlier=bool(earlier)))
    if earlier:
        told = [f"{sender.sender},{e.key},{moment(e.created_at, zone)}" for e in earlier[-_MOST_REFERENCES:]]
        _add(root, "references", " ".join(told))
    _add(root, "incidents", alert.alert_id)
    for language in LANGUAGES:
        _info(root, content, language, names, zone)
    return root


def cap_test(
    *, identifier: str, sent: datetime, sender: CapSender, municipality: str, words: str, names: Names, zone: ZoneInfo
) -> etree._Element:
    """A message of status Test."""
    root = _head(identifier, sent, sender._replace(status="Test"), zone, "Alert")
    for language in LANGUAGES:
        info = _add(root, "info")
        _add(info, "language", _LANGUAGE[language])
        for tag, value in (("category", "Other"), ("event", text(language, "subject_test", "message")), ("responseType", "None"),
                           ("urgency", "Unknown"), ("severity", "Unknown"), ("certainty", "Unknown")):  # fmt: skip
            _add(info, tag, value)
        _add(info, "description", words)
        _area(info, municipality, names, language)
    return root


def _head(identifier: str, sent: datetime, sender: CapSender, zone: ZoneInfo, kind: MessageType) -> etree._Element:
    root = etree.Element(f"{{{NAMESPACE}}}alert", nsmap={None: NAMESPACE})
    usual = " / ".join(text(language, "cap_restriction", "message") for language in LANGUAGES)
    for tag, value in (
        ("identifier", identifier), ("sender", sender.sender), ("sent", moment(sent, zone)), ("status", sender.status),
        ("msgType", kind), ("scope", "Restricted"), ("restriction", sender.restriction or usual),
    ):  # fmt: skip
        _add(root, tag, value)
    return root


def _info(root: etree._Element, content: AlertContent, language: Language, names: Names, zone: ZoneInfo) -> None:
    alert = content.alert
    over = alert.state != "open" or content.casework.stage in ("closed", "merged", "expired")
    severe = alert.tendency == "severe"
    info = _add(root, "info")
    onset = datetime.combine(alert.first_day, time(), zone)
    until = datetime.combine(alert.updated_on + timedelta(days=1 if over else _HOLDS_DAYS), time(), zone)
    for tag, value in (
        ("language", _LANGUAGE[language]),
        ("category", "Safety"),
        ("event", text(language, "cap_event", "message", tendency=label(alert.tendency, language))),
        ("responseType", "AllClear" if over else "Assess"),
        ("urgency", "Past" if over else "Immediate" if severe else "Expected"),
        ("severity", "Severe" if severe else "Minor"),
        ("certainty", "Observed" if severe else "Possible"),
        ("onset", moment(onset, zone)),
        ("expires", moment(until, zone)),
        ("senderName", names.area(alert.municipality, language)),
        ("headline", about_words(alert, names, language)),
        ("description", f"{headline(alert, names, language)}\n{sentence(alert, names, language)}"),
        ("instruction", text(language, "cap_over" if over else "cap_instruction", "message")),
        ("web", content.links.get("open", "")),
    ):
        if value:
            _add(info, tag, value)
    _parameters(info, alert)
    for code in alert.areas:
        _area(info, code, names, language)


def _parameters(info: etree._Element, alert: Alert) -> None:
    given = (
        ("tendency", alert.tendency), ("kind", alert.kind), ("window_days", str(alert.window)), ("observed", f"{alert.observed:g}"),
        ("expected", f"{alert.expected:.3g}"), ("upper_bound", f"{alert.upper_bound:.3g}"),
        ("categories", " ".join(alert.categories)),
        ("settings_version", alert.settings_version),
    )  # fmt: skip
    for name, value in given:
        if value:
            parameter = _add(info, "parameter")
            _add(parameter, "valueName", f"earlywarning:{name}")
            _add(parameter, "value", value)


def _area(info: etree._Element, code: str, names: Names, language: Language) -> None:
    area = _add(info, "area")
    _add(area, "areaDesc", names.area(code, language))
    geocode = _add(area, "geocode")
    _add(geocode, "valueName", "earlywarning:area")
    _add(geocode, "value", code)


def _add(parent: etree._Element, tag: str, value: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}{tag}")
    if value is not None:
        try:
            element.text = value
        except ValueError:
            raise Undeliverable(
                f"{tag}: holds a control character that XML does not allow; mend the name in the register"
            ) from None
    return element


def moment(when: datetime, zone: ZoneInfo) -> str:
    """A time as CAP wants it: to the second, with its offset, and never Z."""
    local = when.astimezone(zone) if zone.key != "UTC" else when.astimezone(UTC)
    written = local.isoformat(timespec="seconds")
    return written[:-6] + "-00:00" if written.endswith("+00:00") else written


def serialise(root: etree._Element) -> bytes:
    """The document as bytes."""
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))
