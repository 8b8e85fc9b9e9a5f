"""Every door through which bytes of others come in, as a function of those bytes: what it may raise is named, all else is a fault.

`TARGETS` is what both the short run in the test suite and the long one (`make fuzz`) go through.
"""

import gzip
import json
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from earlywarning.core.admission import AdmissionRules, admit
from earlywarning.core.areas import load_areas
from earlywarning.core.categories import load_categories
from earlywarning.core.events import Decoded, decode_mappings
from earlywarning.core.ledger import COLUMNS
from earlywarning.core.pages import PageError, decode_page, join_pages
from earlywarning.core.plan_check import PlanError
from earlywarning.core.registers import RegisterError
from earlywarning.plan.reading import read_plan
from earlywarning.runtimes.kafka.feedback import UNREADABLE, AnswerMessage, VerdictMessage, feedback
from earlywarning.runtimes.kafka.messages import arrived, pack_settings, unpack_settings
from earlywarning.runtimes.links import LinkError, Links
from earlywarning.settings import Mapping, SettingsError, load_settings, parse_settings_bytes
from earlywarning.sources.files import EventFile, FileProblem
from earlywarning.sources.http_body import BodyProblem, supply_from_body
from earlywarning.sources.police_feed import from_json, parse_feed, to_json
from tests.core.town import CATEGORIES, CODE, areas_text, register, tree
from tests.hostile import requests
from tests.hostile.mutation import Form
from tests.plan.plans import ROWS, TOML
from tests.web.conftest import SETTINGS, body

_NOW = datetime(2024, 6, 1, tzinfo=UTC)
_RULES = AdmissionRules()
_town, _tree = cache(register), cache(tree)


@dataclass(frozen=True)
class Target:
    """A parser. run: takes any bytes; whatever it raises is a fault. weight: its part of the long run's inputs."""

    run: Callable[[bytes], object]
    seeds: Sequence[bytes]
    form: Form
    weight: int


def _taken(decoded: Decoded) -> None:
    """What follows on decoding: every event is let in or refused with words, and all of it can be told as JSON."""
    if not decoded.events:
        msgspec.json.encode(decoded.rejections)
        return
    batch, refused = admit(decoded.events, register=_town(), tree=_tree(), rules=_RULES, now=_NOW)
    assert len(batch.position) + len(refused) == len(decoded.events) == len(decoded.positions)
    msgspec.json.encode([*decoded.rejections, *refused])


# ---- events -------------------------------------------------------------------------------------------------------------


def _json_body(data: bytes) -> None:
    try:
        supply = supply_from_body(data, "application/json")
    except BodyProblem:
        return
    _taken(supply.decoded)


def _lines_body(data: bytes) -> None:
    try:
        supply = supply_from_body(data, "application/x-ndjson")
    except BodyProblem:
        return
    _taken(supply.decoded)


@cache
def _folder() -> Path:
    """Files for parsers that read files: in memory, where there is such a place."""
    memory = Path("/dev/shm")  # noqa: S108  # a folder of its own below it
    return Path(tempfile.mkdtemp(prefix="earlywarning-hostile-", dir=memory if memory.is_dir() else None))


def _file(name: str, data: bytes, mapping: Mapping | None = None) -> None:
    path = _folder() / name
    path.write_bytes(data)
    try:
        for supply in EventFile(path, mapping=mapping, mapping_name="wardens", default_timezone="Europe/Stockholm"):
            _taken(supply.decoded)
            for place in supply.raw:
                msgspec.json.encode(supply.raw[place])
    except FileProblem:
        return


_MAPPING = Mapping(
    columns={"occurred_at": "Tid", "category": "Typ", "area": "Plats", "latitude": "N", "longitude": "E", "severity": "Grad"},
    constants={"kind": "incident", "source": "wardens", "municipality": CODE},
    values={"category": {"Klotter": "C0"}},
    skip={"Status": ["Utkast"]},
    timestamp_format="%Y-%m-%d %H:%M",
    delimiter=";",
    encoding="cp1252",
)
_EVENTS = [body(1), body(2, area=None, latitude=59.805, longitude=17.01), body(3, kind="report", concern=3, severity=2)]
_EVENTS[1]["occurred_from"], _EVENTS[1]["occurred_to"] = _EVENTS[1].pop("occurred_at"), "2024-03-01T12:30:00+01:00"
_LINES = b"\n".join(map(msgspec.json.encode, _EVENTS))
_CSV = ",".join(_EVENTS[0]).encode() + b"\n" + b"\n".join(",".join(map(str, e.values())).encode() for e in (_EVENTS[0], body(9)))
_MAPPED = "Tid;Typ;Plats;N;E;Grad;Status\n2024-03-01 12:00;Klotter;A0;;;2;Klar\n2024-03-31 02:30;C1;;59,805;17,01;;Utkast\n"


# ---- registers, settings, plans -----------------------------------------------------------------------------------------


def _areas(data: bytes) -> None:
    try:
        found = load_areas(data, file="areas.geojson", municipality=CODE)
    except RegisterError as error:
        msgspec.json.encode([str(p) for p in error.problems])
        return
    found.locate(np.array([17.01, 0.0]), np.array([59.805, 0.0]))
    msgspec.json.encode([found.codes, found.names, found.note])


def _categories(data: bytes) -> None:
    try:
        found = load_categories(data, file="categories.csv")
    except RegisterError as error:
        msgspec.json.encode([str(p) for p in error.problems])
        return
    msgspec.json.encode([found.codes, found.names_sv, found.harm.tolist()])


_MORE_SETTINGS = """
[mappings.wardens]
delimiter = ";"
encoding = "cp1252"
timestamp_format = "%Y-%m-%d %H:%M"
columns = { occurred_at = "Tid", category = "Typ", area = "Plats" }
constants = { kind = "incident", source = "wardens", municipality = "0999" }
[calendar]
own_breaks = { sport = ["2025-02-17..2025-02-21"] }
[calendar.events.valborg]
on = ["04-30"]
[police_feed]
enabled = false
[budget]
severe_share = 0.2
[channels.mail]
kind = "email"
host = "localhost"
sender = "est@example.se"
[recipients.coordination]
channel = "mail"
to = ["samordnare@example.se"]
"""


def _settings(data: bytes) -> None:
    try:
        found = parse_settings_bytes(data, Path("/nowhere/earlywarning.toml"))
    except SettingsError as error:
        msgspec.json.encode(error.problems)
        return
    assert len(found.version) == 12


def _plan(name: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        try:
            msgspec.json.encode(read_plan(data, name, _town(), _tree()))
        except PlanError as error:
            msgspec.json.encode(str(error))

    return run


# ---- the police's feed --------------------------------------------------------------------------------------------------


def _police(data: bytes) -> None:
    at = datetime(2026, 8, 22, 18, tzinfo=UTC)
    first = parse_feed(data, municipality="0380", known={}, newest="", fetched_at=at)
    decode_mappings(first.events)
    known, newest = from_json(to_json(first.known, first.newest))
    again = parse_feed(data, municipality="0380", known=known, newest=newest, fetched_at=at)
    assert first.status != "ok" or again.seen == first.seen


def _item(number: int, name: str, place: str = "Uppsala län") -> dict[str, object]:
    return {
        "id": number, "datetime": "2026-08-22 19:51:41 +02:00", "name": name, "summary": "x", "type": "Brand",
        "location": {"name": place, "gps": "59.8,17.6"},
    }  # fmt: skip


_FEED = [
    _item(1, "22 augusti 17.59, Brand, Uppsala"),
    _item(1, "22 augusti 17.58, Brand, Uppsala"),
    _item(2, "21 augusti 24.00, Brand, Gävle"),
]


# ---- Kafka, kept pages, links -------------------------------------------------------------------------------------------


def _kafka(data: bytes) -> None:
    _taken(arrived("incidents", 0, 0, data[:12] if len(data) % 2 else None, data, [("as-history", b"1")]).decoded)


def _feedback(data: bytes) -> None:
    try:
        said = feedback.decode(data)
    except UNREADABLE:
        return
    msgspec.json.encode(said)


def _published(data: bytes) -> None:
    try:
        unpack_settings(data, _folder() / "published")
    except SettingsError:
        return


@cache
def _packed_settings() -> bytes:
    file = _folder() / "own" / "earlywarning.toml"
    file.parent.mkdir(exist_ok=True)
    (file.parent / "areas.geojson").write_text(areas_text())
    (file.parent / "categories.csv").write_text(CATEGORIES)
    file.write_text(SETTINGS)
    return pack_settings(load_settings(file))


def _page(data: bytes) -> None:
    try:
        page = decode_page(data)
    except PageError:
        return
    join_pages([page, page])


def _page_seed() -> bytes:
    columns = {name: np.arange(3).astype(dtype).tobytes() for name, dtype in COLUMNS.items()}
    codes = {name: ["A0", "A1", "A2"] for name in ("area", "category", "source")}
    return zlib.compress(msgspec.msgpack.encode([1, 19_000, codes, columns]))


_links = Links("key", "https://est.example.se", 30)


def _token(data: bytes) -> None:
    try:
        _links.read(data.decode("latin-1"))
    except LinkError:
        return


_ANSWER = {
    "type": "AnswerMessage", "municipality": CODE,
    "answer": {"answer_id": "a1", "alert_id": f"{CODE}-1", "action": "acknowledge", "actor": "est", "at": "2024-03-01T12:00:00Z"},
}  # fmt: skip


def _said() -> list[bytes]:
    answer = msgspec.convert({k: v for k, v in _ANSWER.items() if k != "type"} | {"type": "answer"}, AnswerMessage)
    verdict = {
        "alert_id": f"{CODE}-1", "given_on": "2024-03-01", "left_out": True, "kind": "incident", "areas": ["A0"],
        "categories": ["C0"], "first_day": "2024-03-01", "last_day": "2024-03-02",
    }  # fmt: skip
    told = msgspec.convert({"type": "verdict", "municipality": CODE, "verdict": verdict}, VerdictMessage)
    return [msgspec.json.encode(answer), msgspec.json.encode(told)]


_ONE = [json.dumps(_EVENTS[0]).encode(), json.dumps(_EVENTS).encode()]

# In the order of the long run; the weights are thousands of its ten million inputs, more for what is quick to try.
TARGETS: dict[str, Target] = {
    "events-json": Target(_json_body, _ONE, "json", 700),
    "events-lines": Target(_lines_body, [_LINES], "lines", 300),
    "events-file": Target(lambda d: _file("e.jsonl", d), [gzip.compress(_LINES, mtime=0), _LINES], "gzip", 100),
    "events-csv": Target(lambda d: _file("e.csv", d), [_CSV], "text", 250),
    "events-csv-mapped": Target(lambda d: _file("m.csv", d, _MAPPING), [_MAPPED.encode("cp1252")], "text", 100),
    "settings": Target(_settings, [SETTINGS.encode(), (SETTINGS + _MORE_SETTINGS).encode()], "text", 150),
    "plan-toml": Target(_plan("plan.toml"), [TOML.encode()], "text", 300),
    "plan-rows": Target(_plan("plan.csv"), [ROWS.encode()], "text", 120),
    "kafka-events": Target(_kafka, [*_ONE, _LINES], "lines", 150),
    "areas": Target(_areas, [areas_text().encode(), areas_text().replace('"parent"', '"population"').encode()], "json", 100),
    "categories": Target(_categories, [CATEGORIES.encode()], "text", 100),
    "police-feed": Target(_police, [json.dumps(_FEED).encode()], "json", 100),
    "kafka-settings": Target(_published, [_packed_settings()], "packed", 100),
    "kafka-feedback": Target(_feedback, _said(), "json", 2800),
    "day-pages": Target(_page, [_page_seed()], "packed", 2000),
    "links": Target(_token, [_links.make(f"{CODE}-1", "est")["answer"].rpartition("/")[2].encode()], "text", 2600),
    "requests": Target(requests.run, requests.SEEDS, "text", 30),
}
