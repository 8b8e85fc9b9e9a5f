"""Feeds that a reader subscribes to: alerts as Atom (RFC 4287), as CAP documents in Atom, and as a calendar (RFC 5545)."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event
from lxml import etree

from earlywarning.channels.cap_document import CapSender, cap_alert
from earlywarning.channels.contents import AlertWords, Earlier, about_words, alert_words
from earlywarning.core.casework import Measure
from earlywarning.core.outgoing import AlertContent, key_of
from earlywarning.locale import Language, Names
from earlywarning.locale.catalogue import text

ATOM = "http://www.w3.org/2005/Atom"
_LANGUAGE = {"sv": "sv-SE", "en": "en-GB"}


class Feed(NamedTuple):
    """What all feeds need to know. address: where this feed is read, empty where that is not known."""

    municipality: str
    names: Names
    language: Language
    address: str = ""
    zone: ZoneInfo = ZoneInfo("Europe/Stockholm")


def atom(items: Sequence[AlertContent], feed: Feed) -> bytes:
    """An Atom feed with an entry for each alert; an entry's id stays, its time moves when anything about it changes."""
    root = _atom_head(items, feed)
    for item in items:
        words = alert_words(item, feed.names, feed.language, feed.zone)
        entry = _entry(root, item, words, feed)
        told = [words.sentence, words.stage, *(f"{heading}: {fact}" for heading, fact in words.facts)]
        _add(entry, "content", "\n\n".join(part for part in told if part), type="text")
    return _bytes(root)


def cap(items: Sequence[AlertContent], feed: Feed, sender: CapSender) -> bytes:
    """An Atom feed whose entries hold CAP 1.2 documents. What changed since an alert opened updates its first document."""
    root = _atom_head(items, feed)
    for item in items:
        alert = item.alert
        entry = _entry(root, item, alert_words(item, feed.names, feed.language, feed.zone, facts=False), feed)
        first = Earlier(key_of("cap-feed", alert.alert_id), alert.opened_at)
        changed = changed_at(item, feed.zone)
        untouched = alert.state == "open" and alert.updated_on == alert.opened_on and not item.casework.revision
        state = (alert.state, alert.updated_on.isoformat(), str(item.casework.revision))
        document = cap_alert(
            item, identifier=first.key if untouched else key_of("cap-feed", alert.alert_id, *state),
            sent=alert.opened_at if untouched else changed, sender=sender, names=feed.names, zone=feed.zone,
            earlier=() if untouched else (first,),
        )  # fmt: skip
        content = _add(entry, "content", type="application/cap+xml")
        content.append(document)
    return _bytes(root)


def ical(items: Sequence[AlertContent], feed: Feed) -> bytes:
    """A calendar: each alert on the days of its period, each measure that is not followed up on the day it is due."""
    calendar = Calendar()
    calendar.add("prodid", "-//earlywarning//alerts//SV")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", _title(feed))
    calendar.add("method", "PUBLISH")
    for item in items:
        words = alert_words(item, feed.names, feed.language, feed.zone, facts=False)
        alert = item.alert
        event = _event(f"{alert.alert_id}@earlywarning", alert.first_day, alert.last_day, item, feed)
        event.add("summary", about_words(alert, feed.names, feed.language))
        event.add("description", "\n".join(part for part in (words.sentence, words.stage) if part))
        event.add("status", "CANCELLED" if alert.state == "withdrawn" else "CONFIRMED")
        calendar.add_component(event)
        for measure in item.casework.measures:
            if not measure.outcome:
                calendar.add_component(_due(measure, item, feed))
    return bytes(calendar.to_ical())


def changed_at(item: AlertContent, zone: ZoneInfo) -> datetime:
    """When an alert, or what the group did about it, last changed; of the alert to the day."""
    alert, case = item.alert, item.casework
    begin = datetime.combine(alert.updated_on, time(), zone).astimezone(UTC)
    answered = [case.acknowledged_at, case.assessed_at, case.closed_at]
    followed = [m.followed_up_on for m in case.measures if m.followed_up_on]
    days = [datetime.combine(day, time(), zone).astimezone(UTC) for day in followed]
    moments = [alert.opened_at.astimezone(UTC), begin, *(m.astimezone(UTC) for m in answered if m), *days]
    # Answers that keep no time of their own still move it: a second for each revision.
    return max(moments) + timedelta(seconds=case.revision)


def _title(feed: Feed) -> str:
    return text(feed.language, "feed_title", "message", municipality=feed.names.area(feed.municipality, feed.language))


def _atom_head(items: Sequence[AlertContent], feed: Feed) -> etree._Element:
    root = etree.Element(f"{{{ATOM}}}feed", nsmap={None: ATOM})
    root.set("{http://www.w3.org/XML/1998/namespace}lang", _LANGUAGE[feed.language])
    _add(root, "id", f"urn:earlywarning:{feed.municipality}")
    _add(root, "title", _title(feed))
    updated = max((changed_at(item, feed.zone) for item in items), default=datetime(1970, 1, 1, tzinfo=UTC))
    _add(root, "updated", _stamp(updated))
    author = _add(root, "author")
    _add(author, "name", feed.names.area(feed.municipality, feed.language))
    if feed.address:
        _add(root, "link", rel="self", href=feed.address)
    return root


def _entry(root: etree._Element, item: AlertContent, words: AlertWords, feed: Feed) -> etree._Element:
    entry = _add(root, "entry")
    _add(entry, "id", f"urn:earlywarning:alert:{item.alert.alert_id}")
    _add(entry, "title", about_words(item.alert, feed.names, feed.language))
    _add(entry, "updated", _stamp(changed_at(item, feed.zone)))
    _add(entry, "published", _stamp(item.alert.opened_at))
    if address := item.links.get("open"):
        _add(entry, "link", rel="alternate", href=address)
    _add(entry, "category", term=item.alert.tendency)
    _add(entry, "summary", words.headline)
    return entry


def _event(uid: str, first: date, last: date, item: AlertContent, feed: Feed) -> Event:
    event = Event()
    event.add("uid", uid)
    event.add("dtstart", first)
    event.add("dtend", last + timedelta(days=1))  # the day after: RFC 5545, 3.6.1
    changed = changed_at(item, feed.zone)
    event.add("dtstamp", changed)
    event.add("last-modified", changed)
    event.add("transp", "TRANSPARENT")  # nobody is busy because of it
    event.add("class", "CONFIDENTIAL")
    if address := item.links.get("open"):
        event.add("url", address)
    return event


def _due(measure: Measure, item: AlertContent, feed: Feed) -> Event:
    uid = f"{item.alert.alert_id}-measure-{measure.number}@earlywarning"
    event = _event(uid, measure.due, measure.due, item, feed)
    event.add("summary", text(feed.language, "due", "message", what=measure.what))
    about = about_words(item.alert, feed.names, feed.language)
    owner = text(feed.language, "due_owner", "message", owner=measure.owner, goal=measure.goal)
    event.add("description", f"{about}\n{owner}")
    return event


def _add(parent: etree._Element, tag: str, value: str | None = None, **attributes: str) -> etree._Element:
    element = etree.SubElement(parent, f"{{{ATOM}}}{tag}", attributes)
    if value is not None:
        element.text = "".join(c for c in value if c.isprintable() or c in "\n\t")
    return element


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _bytes(root: etree._Element) -> bytes:
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))
