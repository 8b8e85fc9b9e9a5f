"""From an event to a mail in somebody's inbox, and back by its link: the service as a coordination group meets it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest

from earlywarning.core.casework import Answer
from earlywarning.core.events import AnyEvent, Decoded
from earlywarning.runtimes.embedded import Service
from earlywarning.settings import load_settings
from earlywarning.sources.supply import Supply
from earlywarning.store.cases import Cases
from earlywarning.store.outbox import Outbox
from tests.channels.receivers import MailReceiver, mail_receiver, until
from tests.core.town import BEGIN, CODE, history, merged, surge
from tests.web.conftest import write_town

DAYS = 446  # of history, the last of them today

SENDING = """
[alerts]
false_alarms_per_week = 0.1

[channels.mail]
kind = "email"
host = "127.0.0.1"
port = {port}
security = "none"
sender = "Lägesbild <est@example.se>"

[recipients.coordination]
role = "coordinator"
channel = "mail"
address = "group@example.se"
language = "sv"
at_once = "all"

[recipients.housing]
role = "housing"
channel = "mail"
address = "housing@example.se"
areas = ["D1"]
at_once = "all"
"""


@pytest.fixture
def post() -> Iterator[tuple[MailReceiver, int]]:
    with mail_receiver() as made:
        yield made


@pytest.fixture
def service(tmp_path: Path, post: tuple[MailReceiver, int]) -> Iterator[Service]:
    write_town(tmp_path, SENDING.format(port=post[1]))
    file = tmp_path / "earlywarning.toml"
    file.write_text(file.read_text().replace("[service]", '[service]\npublic_url = "https://est.example.se"'))
    made = Service.open(load_settings(file))
    yield made
    made.stop()


def _until_now(events: list[AnyEvent]) -> list[AnyEvent]:
    """The same events, moved by whole weeks so that the last day is one of the last seven."""
    shift = timedelta(weeks=((datetime.now(UTC) - BEGIN).days - DAYS) // 7)
    return [
        msgspec.structs.replace(e, occurred_at=e.occurred_at + shift, recorded_at=e.recorded_at + shift)
        for e in events
        if e.occurred_at is not None
    ]


def _take(service: Service, events: list[AnyEvent]) -> None:
    for begin in range(0, len(events), 1000):
        part = events[begin : begin + 1000]
        service.take([Supply(Decoded(part, list(range(len(part))), []), "test")], datetime.now(UTC))


def test_an_alert_reaches_those_whose_place_it_is_and_its_link_answers_it(service: Service, post: tuple[MailReceiver, int]) -> None:
    receiver, _ = post
    service.start()
    _take(service, _until_now(history(3, days=DAYS)))
    # What an open alert covers raises no other: the surge comes where there is none, in the group's own district.
    covered = {area for a in service.store.alerts(states=["open"]) for area in a.areas}
    place = next(area for area in ("A0", "A1", "A2") if not covered & {area, "D0", CODE})
    before = {a.alert_id for a in service.store.alerts()}
    _take(service, _until_now(surge(DAYS, n=25, area=place)))
    newest = next(a for a in service.store.alerts() if a.alert_id not in before and place in a.areas)

    def mails() -> list[EmailMessage]:
        return [m for m in receiver.mails if newest.alert_id in m.as_string()]

    until(mails, f"for a mail about {newest.opened_on}", 30)
    about = mails()
    assert {m["X-Envelope-To"] for m in about} == {"group@example.se"}  # the housing company has another district
    text = next(p for p in about[0].walk() if p.get_content_type() == "text/plain").get_content()
    assert f"Area {place[1]}" in text
    token = re.search(r"https://est\.example\.se/answer/(\S+)", text)
    assert token is not None
    link = service.links.read(token.group(1))
    assert (link.alert_id, link.recipient) == (newest.alert_id, "coordination")
    said = Answer(answer_id="m1", alert_id=link.alert_id, action="acknowledge", actor=link.recipient, at=datetime.now(UTC))
    assert service.answer(said).acknowledged_by == "coordination"
    until(lambda: not Outbox(service.store).messages(CODE, ["waiting"]))
    assert {m.state for m in Outbox(service.store).messages(CODE)} == {"delivered"}


def test_of_what_happened_long_ago_nobody_is_told(service: Service, post: tuple[MailReceiver, int]) -> None:
    receiver, _ = post
    service.start()
    _take(service, _until_now(merged(history(3, days=DAYS - 20), surge(DAYS - 30, n=14))))
    alerts = [a for a in service.store.alerts() if "A0" in a.areas]
    assert alerts
    assert Cases(service.store).of([a.alert_id for a in alerts]).keys() == {a.alert_id for a in alerts}
    about = {m.message.alert_id for m in Outbox(service.store).messages(CODE)}
    assert about.isdisjoint(a.alert_id for a in alerts)
    assert not any(a.alert_id in m.as_string() for a in alerts for m in receiver.mails)
