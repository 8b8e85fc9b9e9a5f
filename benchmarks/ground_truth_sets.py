"""The real sets of ../shared/data as places with registers, settings and events, for ground_truth.py.

Used in place: nothing of them is copied. Zurich's areas have no outlines in the set: each gets the part of the plane
that lies nearest to the middle of its reports, so that neighbours are neighbours.
"""

import csv
import gzip
import json
import re
import unicodedata
from datetime import UTC, date, datetime, time
from functools import cache
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import shapely
from numpy.typing import NDArray

from earlywarning.core.areas import AreaRegister, load_areas, municipality_only
from earlywarning.core.calendar import LocalCalendar, dates_of, hour_of
from earlywarning.core.categories import CategoryTree, load_categories
from earlywarning.core.detectors.artefacts import (
    Artefact,
    Bookings,
    find_artefacts,
    find_heaps,
    find_place_coding,
)
from earlywarning.core.events import AnyEvent, Incident, Report
from earlywarning.lab.backtest import Opened, backtest
from earlywarning.runtimes.assembly import PatternModel, area_register, category_tree, engine_settings
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.settings import Settings, parse_settings
from earlywarning.sources.police_feed import feed_types, parse_feed

DATA = Path(__file__).resolve().parents[1] / "../shared/data"
SETTINGS = """
[municipality]
code = "{code}"
name = "{code}"
timezone = "{zone}"
[events]
oldest = {oldest}
[detection]
min_years = 0
[alerts]
false_alarms_per_week = 1.0
[calendar]
holidays = "{holidays}"
school_breaks = {breaks}
"""
_POLLED_FROM = "2023-03-20"  # what was published earlier are leftovers of a stale payload


class Place(NamedTuple):
    """Registers, settings, and events in the order of recording."""

    register: AreaRegister
    tree: CategoryTree
    settings: Settings
    events: list[AnyEvent]


class Replay(NamedTuple):
    """What the service said of a place, or what was recognised in all that it recorded."""

    register: AreaRegister
    tree: CategoryTree
    alerts: list[Opened]
    artefacts: tuple[Artefact, ...]

    def under(self, what: str, *codes: str) -> frozenset[str]:
        """Codes and all below them; * is everything."""
        trees = {"area": (self.register.codes, self.register.ancestors), "category": (self.tree.codes, self.tree.ancestors)}
        all_codes, ancestors = trees[what]
        if "*" in codes or set(codes) & {all_codes[0]}:
            return frozenset(all_codes)
        numbers = [all_codes.index(c) for c in codes]
        return frozenset(c for i, c in enumerate(all_codes) if set(ancestors[i].tolist()) & set(numbers))

    def name(self, code: str) -> str:
        """An area's name."""
        return self.register.names[self.register.codes.index(code)] if code in self.register.codes else code


def replay(place: Place, first: date, last: date) -> Replay:
    """The alerts of first..last, judged as the service would have. Raises LabError when it says nothing."""
    chosen = engine_settings(place.settings, datetime.now(UTC), place.register, place.tree)
    zone = LocalCalendar(place.settings.municipality.timezone)
    calendar = day_calendar(place.settings)
    found = backtest(place.register, place.tree, zone, chosen, place.events, first, last, calendar, PatternModel())
    return Replay(place.register, place.tree, found.alerts, ())


def artefacts_of(place: Place) -> Replay:
    """The artefacts among all that was ever recorded."""
    rows = bookings(place)
    begin, end = int(rows.day.min()), int(rows.day.max())
    dates = dates_of(range(begin, end + 1))
    first = np.array([d.day == 1 for d in dates])
    year = np.array([(d.month, d.day) == (1, 1) for d in dates])
    daily = find_artefacts(rows, int(rows.arrived.min()), int(rows.arrived.max()))
    found = (*daily.artefacts, *find_place_coding(rows), *find_heaps(rows, first, year, begin))
    return Replay(place.register, place.tree, [], found)


def bookings(place: Place) -> Bookings:
    """The events as columns, as the ledger has them."""
    zone = LocalCalendar(place.settings.municipality.timezone)
    sources = {name: i for i, name in enumerate(dict.fromkeys(e.source for e in place.events))}
    happened = np.array([hour_of(e.occurred_at) for e in place.events if e.occurred_at is not None], dtype=np.int64)
    recorded = np.array([hour_of(e.recorded_at) for e in place.events], dtype=np.int64)
    day = zone.day_of(happened)
    area = place.register.resolve([e.area or place.register.municipality for e in place.events]).astype(np.int64)
    if (longitude := np.array([e.longitude or np.nan for e in place.events], dtype=np.float64)).any():
        latitude = np.array([e.latitude or np.nan for e in place.events], dtype=np.float64)
        placed = ~np.isnan(longitude)
        area[placed] = np.maximum(place.register.locate(longitude[placed], latitude[placed]), 0)
    return Bookings(
        kind=np.array([int(isinstance(e, Report)) for e in place.events], dtype=np.int64),
        source=np.array([sources[e.source] for e in place.events], dtype=np.int64),
        area=area,
        category=place.tree.resolve([e.category for e in place.events]).astype(np.int64),
        day=day,
        last_day=day,
        hour=np.minimum(happened - zone.first_hour(day), 23),  # an autumn day has 25
        recorded=recorded,
        arrived=np.maximum.accumulate(zone.day_of(recorded)),
    )


def slug(name: str) -> str:
    """A code of what the set calls an area or a category."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")


def _rows(name: str) -> list[dict[str, str]]:
    with gzip.open(DATA / f"{name}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _settings(code: str, zone: str, oldest: str, holidays: str, breaks: bool) -> Settings:
    text = SETTINGS.format(code=code, zone=zone, oldest=oldest, holidays=holidays, breaks=str(breaks).lower())
    return parse_settings(text, file="settings", folder=Path())


# ---- the police's feed ------------------------------------------------------------------------------------------------


@cache
def _police_rows() -> list[dict[str, str]]:
    rows = _rows("se_polisen_events_2022_2026")
    rows = [r for r in rows if r["is_summary"] == "0" and r["first_seen_at"] and r["published_at"] >= _POLLED_FROM]
    return sorted(rows, key=lambda r: (r["first_seen_at"], r["event_id"]))


@cache
def police(code: str, by_location: bool = False) -> Place:
    """A municipality (4 digits, one area) or a county (2 digits, its municipalities); recorded when it was first seen.

    by_location: the area is what the feed's location says, not what the title says besides.
    """
    settings = _settings(code, "Europe/Stockholm", "2023-01-01", "SE", True)
    register = municipality_only(code) if len(code) == 4 else _county(code)
    field = "kommun_code" if len(code) == 4 else "lan_code"
    known = set(register.codes)
    events: list[AnyEvent] = []
    for r in _police_rows():
        category = feed_types().get(r["type"].strip(), feed_types().get("*", ""))
        if r[field] != code or not category:
            continue
        recorded = datetime.fromisoformat(r["first_seen_at"].replace("Z", "+00:00"))
        happened = min(datetime.fromisoformat(r["occurred_at"]), recorded)
        told = r["kommun_code"] if not by_location or r["location_level"] == "kommun" else ""
        events.append(
            Incident(
                event_id=f"n{r['event_id']}",
                source="polisen",
                occurred_at=happened,
                recorded_at=recorded,
                category=category,
                municipality=code,
                area=told if told in known else code,
            )
        )
    return Place(register, category_tree(settings), settings, events)


def _county(code: str) -> AreaRegister:
    with gzip.open(DATA / "sweden_kommuner.geojson.gz", "rt", encoding="utf-8") as file:
        document = json.load(file)
    document["features"] = [f for f in document["features"] if f["properties"]["kommun_code"].startswith(code)]
    taken = shapely.Polygon()
    for feature in document["features"]:  # simplified outlines overlap here and there
        shape = shapely.make_valid(shapely.geometry.shape(feature["geometry"]))
        feature["geometry"] = shapely.geometry.mapping(shape - taken)
        taken |= shape
    names = {"code": "kommun_code"}
    return load_areas(json.dumps(document), file="kommuner", municipality=code, properties=names)


def police_poll(kind: str) -> tuple[str, str]:
    """What the feed's reader says of a payload that is short and stale, or empty."""
    polled = datetime(2025, 12, 26, 15, 31, 33, tzinfo=UTC)
    payload = b""
    if "stale" in kind:
        file = DATA / "polisen_api_raw/events_2025-12-26T153133Z_short.json.gz"
        if not file.is_file():
            return "not judged", "../shared/data/polisen_api_raw is not there"
        payload = gzip.decompress(file.read_bytes())
    newest = "2025-12-26T15:00:00+00:00"
    result = parse_feed(payload, municipality="0380", known={}, newest=newest, fetched_at=polled)
    fine = result.status in ("stale", "empty") and not result.events
    return "recognised" if fine else "not recognised", f"poll is {result.status}: {len(result.events)} events taken from it"


# ---- the other sets ---------------------------------------------------------------------------------------------------


@cache
def toronto() -> Place:
    """Recorded crime by neighbourhood, as in the bundled demonstration, without what happened in dwellings."""
    text = _settings("3520", "America/Toronto", "2014-01-01", "CA-ON", False).text
    text += '[registers]\nareas = "builtin:toronto"\ncategories = "builtin:toronto"\n'
    settings = parse_settings(text, file="settings", folder=Path())
    zone = ZoneInfo("America/Toronto")
    events: list[AnyEvent] = []
    for number, r in enumerate(_rows("toronto_mci_2014_2021")):
        if r["premises"] in ("House", "Apartment"):
            continue
        when = datetime.fromisoformat(r["occurred_at"]).replace(tzinfo=zone)
        code = r["category"].upper().replace(" ", "-")
        events.append(
            Incident(
                event_id=f"n{number}",
                source="tps",
                occurred_at=when,
                recorded_at=when,
                category=code,
                municipality="3520",
                latitude=float(r["lat"]),
                longitude=float(r["lon"]),
                origin="reported",
            )
        )
    events.sort(key=lambda e: e.recorded_at)
    return Place(area_register(settings), category_tree(settings), settings, events)


@cache
def zurich() -> Place:
    """Citizens' reports by area and category; only the date is known."""
    rows = _rows("zurich_zueriwieneu_2016_2025")
    settings = _settings("ZURICH", "Europe/Zurich", "2016-01-01", "CH-ZH", False)
    names = sorted({r["area"] for r in rows})
    middles = np.array([[np.mean([float(r[k]) for r in rows if r["area"] == n]) for k in ("lon", "lat")] for n in names])
    register = load_areas(json.dumps(_nearest(names, middles)), file="areas", municipality="ZURICH")
    lines = ["code,parent,name_sv,name_en,harm_weight,default_origin"]
    lines += [f"{slug(c)},,{slug(c)},{slug(c)},1,reported" for c in sorted({r["category"] for r in rows})]
    zone = ZoneInfo("Europe/Zurich")
    events: list[AnyEvent] = []
    for number, r in enumerate(rows):
        when = datetime.combine(date.fromisoformat(r["reported_on"]), time(), zone)
        events.append(
            Report(
                event_id=f"n{number}",
                source="zueriwieneu",
                occurred_at=when,
                recorded_at=when,
                category=slug(r["category"]),
                municipality="ZURICH",
                area=slug(r["area"]),
            )
        )
    events.sort(key=lambda e: e.recorded_at)
    return Place(register, load_categories("\n".join(lines) + "\n", file="categories"), settings, events)


def _nearest(names: list[str], middles: NDArray[np.float64]) -> dict[str, object]:
    box = shapely.box(*(middles.min(0) - 0.02), *(middles.max(0) + 0.02))
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.MultiPoint(middles), extend_to=box))
    features = []
    for name, middle in zip(names, middles, strict=True):
        cell = next(c for c in cells if c.contains(shapely.Point(middle)))
        geometry = shapely.geometry.mapping(shapely.intersection(cell, box))
        features.append({"type": "Feature", "properties": {"code": slug(name), "name": name}, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}
