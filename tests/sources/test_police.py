"""The police's public feed: what its items mean, what each poll brings, and calm when it fails."""

import csv
import gzip
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from earlywarning.core.events import decode_mappings
from earlywarning.settings import parse_settings
from earlywarning.sources.police_feed import (
    feed_types,
    from_json,
    municipalities,
    occurred_at,
    parse_feed,
    place_of,
    published_at,
    to_json,
)
from earlywarning.sources.police_poller import PolicePoller
from earlywarning.sources.supply import Supply

SHARED = Path(__file__).parents[2] / "../shared/data"
in_place = pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data beside the project")
NOW = datetime(2026, 8, 22, 18, tzinfo=UTC)


def item(
    number: int, name: str, published: str = "2026-08-22 19:51:41 +02:00", kind: str = "Brand", place: str = "Uppsala län"
) -> dict[str, Any]:
    return {
        "id": number, "datetime": published, "name": name, "summary": "Fri text om NN.", "url": "/x", "type": kind,
        "location": {"name": place, "gps": "59.8,17.6"},
    }  # fmt: skip


def poll(items: object, known: Any = None, newest: str = "") -> Any:
    payload = json.dumps(items).encode() if not isinstance(items, bytes) else items
    return parse_feed(payload, municipality="0380", known=known or {}, newest=newest, fetched_at=NOW)


def test_time_and_place_are_those_of_the_title() -> None:
    result = poll([item(1, "22 augusti 17.59, Brand, Uppsala")])
    (event,) = result.events
    assert event["occurred_at"] == "2026-08-22T17:59:00+02:00"
    assert event["recorded_at"] == "2026-08-22T19:51:41+02:00"
    assert (event["category"], event["municipality"], event["area"]) == ("FIRE", "0380", "0380")
    assert "Fri text" not in json.dumps(result.events) + to_json(result.known, "")
    assert decode_mappings(result.events).rejections == []


@pytest.mark.parametrize(
    ("title", "location", "code"),
    [
        ("22 augusti 17.59, Brand, Uppsala", "Uppsala län", "0380"),
        ("22 augusti 17.59, Brand, Uppsala", "Uppsala", "0380"),
        ("22 augusti 17.59, Sammanfattning natt, Uppsala län", "Uppsala län", None),
        ("22 augusti 17.59, Trafikolycka, personskada, Knivsta", "Uppsala län", "0330"),
        ("22 augusti 17.59, Brand, Habo", "Jönköpings län", "0643"),
        ("22 augusti 17.59, Brand, Håbo", "Uppsala län", "0305"),
        ("22 augusti 17.59, Brand, Kil", "Skåne län", None),
    ],
)
def test_the_municipality_is_read_from_the_title_within_the_county(title: str, location: str, code: str | None) -> None:
    assert place_of(title, location) == code


@pytest.mark.parametrize(
    ("title", "published", "when"),
    [
        ("31 december 23.50, Brand, Uppsala", "2026-01-01 0:10:00 +01:00", "2025-12-31T23:50:00+01:00"),
        ("1 januari 00.05, Brand, Uppsala", "2025-12-31 23:59:00 +01:00", "2026-01-01T00:05:00+01:00"),
        ("29 februari 12.00, Brand, Uppsala", "2024-03-01 7:00:00 +01:00", "2024-02-29T12:00:00+01:00"),
        ("19 december 03:12, Brand, Uppsala", "2025-12-19 7:28:14 +01:00", "2025-12-19T03:12:00+01:00"),
    ],
)
def test_the_year_is_the_one_that_fits_the_publication(title: str, published: str, when: str) -> None:
    assert occurred_at(title, published_at(published)).isoformat() == when


def test_an_unchanged_item_comes_once_and_a_revised_one_with_a_higher_revision() -> None:
    first = poll([item(1, "22 augusti 17.59, Brand, Uppsala")])
    again = poll([item(1, "22 augusti 17.59, Brand, Uppsala")], *from_json(to_json(first.known, first.newest)))
    assert again.events == []
    revised = poll([item(1, "22 augusti 18.10, Brand, Uppsala")], again.known)
    assert [(e["event_id"], e["revision"]) for e in revised.events] == [("1", 2)]


def test_an_item_moved_elsewhere_is_retracted_and_one_that_is_missing_is_not() -> None:
    first = poll([item(1, "22 augusti 17.59, Brand, Uppsala"), item(2, "22 augusti 17.00, Brand, Uppsala")])
    second = poll([item(1, "22 augusti 17.59, Brand, Knivsta")], first.known)
    assert [(e["event_id"], e["retraction"], e["revision"]) for e in second.events] == [("1", True, 2)]
    back = poll([item(1, "22 augusti 17.59, Brand, Uppsala")], second.known)
    assert [(e["retraction"], e["revision"]) for e in back.events] == [(False, 3)]


@pytest.mark.parametrize(
    ("payload", "status"), [(b"", "empty"), (b"  ", "empty"), (b"<html>", "not-json"), (b'{"a": 1}', "not-json"), (b"[]", "short")]
)
def test_an_odd_payload_brings_nothing_and_forgets_nothing(payload: bytes, status: str) -> None:
    known = poll([item(1, "22 augusti 17.59, Brand, Uppsala")]).known
    result = poll(payload, known)
    assert (result.status, result.events, result.known) == (status, [], known)


def test_an_unreadable_item_does_not_keep_its_neighbours_out() -> None:
    items = [{"id": 5}, "text", item(6, "igår, Brand, Uppsala"), item(7, "22 augusti 17.59, Brand, Uppsala")]
    result = poll(items)
    assert [e["event_id"] for e in result.events] == ["7"]
    assert len(result.unreadable) == 3


# ---- against what the feed really sent ----------------------------------------------------------------------------


@in_place
def test_real_payloads_agree_with_the_cleaned_table_and_all_types_are_known() -> None:
    with gzip.open(SHARED / "se_polisen_events_2022_2026.csv.gz", "rt") as file:
        table = {row["event_id"]: row for row in csv.DictReader(file)}
    times = places = total = 0
    for path in sorted((SHARED / "polisen_api_raw").glob("events_*.json.gz")):
        for one in json.loads(gzip.decompress(path.read_bytes())):
            row = table[str(one["id"])]
            total += 1
            times += occurred_at(one["name"], published_at(one["datetime"])) == datetime.fromisoformat(row["occurred_at"])
            places += (place_of(one["name"], one["location"]["name"]) or "") == row["kommun_code"]
            assert one["type"].strip() in feed_types()
    assert total == 2067
    # The table holds the last version of each item: a few were revised later. Places that it misses are spelling variants.
    assert times >= total - 8
    assert places >= total - 11


@in_place
@pytest.mark.parametrize("name", ["2023-10-16_2023-10-28_gap", "2025-04-27_2025-05-04", "2025-12-19_2025-12-24"])
def test_real_polls_replayed_one_by_one_give_each_event_once(name: str) -> None:
    known: Any = {}
    newest = ""
    seen: dict[str, int] = {}
    with gzip.open(SHARED / f"polisen_api_raw/replay_polls_{name}.jsonl.gz", "rt") as file:
        for line in file:
            one = json.loads(line)
            fetched = datetime.fromisoformat(one["fetched_at"])
            payload = json.dumps(one["new_or_changed"]).encode()
            result = parse_feed(payload, municipality="0380", known=known, newest=newest, fetched_at=fetched)
            known, newest = result.known, result.newest
            assert not result.unreadable
            assert decode_mappings(result.events).rejections == []
            for event in result.events:
                assert event["revision"] == seen.get(event["event_id"], 0) + 1
                seen[event["event_id"]] = event["revision"]
                assert datetime.fromisoformat(event["recorded_at"]) <= fetched + timedelta(minutes=10)
    assert len(seen) > 10


@in_place
def test_all_municipalities_are_there_by_name_and_code() -> None:
    document = json.loads(gzip.decompress((SHARED / "sweden_kommuner.geojson.gz").read_bytes()))
    theirs = {f["properties"]["name"].lower(): f["properties"]["kommun_code"] for f in document["features"]}
    assert {name: place.code for name, place in municipalities().items()} == theirs


# ---- a real server that misbehaves --------------------------------------------------------------------------------


class Feed(BaseHTTPRequestHandler):
    answers: list[tuple[int, bytes]]
    asked: list[dict[str, str]]

    def do_GET(self) -> None:
        type(self).asked.append(dict(self.headers))
        status, body = type(self).answers.pop(0) if type(self).answers else (500, b"")
        if self.headers.get("If-None-Match") == '"same"' and status == 304:
            body = b""
        self.send_response(status)
        self.send_header("ETag", '"same"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def feed() -> Iterator[tuple[type[Feed], str]]:
    Own = type("Own", (Feed,), {"answers": [], "asked": []})  # a class of its own for each test
    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Own, f"http://127.0.0.1:{server.server_address[1]}/api/events"
    server.shutdown()
    server.server_close()


def poller(url: str) -> tuple[PolicePoller, list[Supply], dict[str, str]]:
    text = f"""
[municipality]
code = "0380"
name = "Uppsala"
[police_feed]
enabled = true
url = "{url}"
user_agent = "earlywarning test"
timeout_seconds = 2
"""
    taken: list[Supply] = []
    kept: dict[str, str] = {}

    def take(supplies: Any, _now: datetime, state: Any) -> None:
        taken.extend(supplies)
        kept.update(state)

    return PolicePoller(parse_settings(text, file="x", folder=Path()), take, kept.get), taken, kept


def test_what_is_new_is_handed_on_with_the_feeds_memory(feed: tuple[type[Feed], str]) -> None:
    handler, url = feed
    good = json.dumps([item(1, "22 augusti 17.59, Brand, Uppsala"), item(2, "22 augusti 17.59, Brand, Knivsta")]).encode()
    handler.answers = [(200, good), (304, b""), (200, good), (200, b""), (200, b"<html>")]
    p, taken, kept = poller(url)
    statuses = [p.poll_once(NOW + timedelta(minutes=5 * i)).status for i in range(5)]
    assert statuses == ["short", "unchanged", "short", "empty", "not-json"]
    assert len(taken) == 1
    assert [e.event_id for e in taken[0].decoded.events] == ["1"]
    assert set(from_json(kept["police-feed"])[0]) == {"1"}
    assert handler.asked[0]["User-Agent"] == "earlywarning test"
    assert handler.asked[1]["If-None-Match"] == '"same"'


def test_a_failing_feed_is_tried_three_times_and_then_left_alone(feed: tuple[type[Feed], str]) -> None:
    handler, url = feed
    handler.answers = [(500, b""), (503, b""), (200, json.dumps([item(1, "22 augusti 17.59, Brand, Uppsala")]).encode())]
    p, taken, _ = poller(url)
    assert p.poll_once(NOW).status == "short"
    assert len(taken) == 1
    handler.answers = []
    assert p.poll_once(NOW + timedelta(minutes=5)).status == "failed"
    assert len(handler.asked) == 6


def test_never_more_than_sixty_requests_an_hour(feed: tuple[type[Feed], str]) -> None:
    handler, url = feed
    handler.answers = [(200, b"")] * 100
    p, _, _ = poller(url)
    statuses = [p.poll_once(NOW + timedelta(seconds=i)).status for i in range(70)]
    assert statuses.count("held back") == 10
    assert p.poll_once(NOW + timedelta(minutes=61)).status == "empty"
