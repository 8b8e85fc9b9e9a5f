"""A small made-up town for tests of the engine: six areas in two districts, four categories in two groups."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from earlywarning.core.alert_record import Alert
from earlywarning.core.alerts import AlertSettings
from earlywarning.core.areas import AreaRegister, load_areas
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.categories import CategoryTree, load_categories
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent, Incident, Report
from earlywarning.core.intake import Outcome
from earlywarning.core.tallies import EngineSettings
from earlywarning.core.tendencies import TendencySettings
from earlywarning.core.watch import WatchSettings

NOW = datetime(2030, 1, 1, tzinfo=UTC)
BEGIN = datetime(2023, 1, 2, 12, tzinfo=UTC)
CODE = "0999"


def _square(x: float, y: float) -> dict[str, object]:
    ring = [[x, y], [x + 0.02, y], [x + 0.02, y + 0.01], [x, y + 0.01], [x, y]]
    return {"type": "Polygon", "coordinates": [ring]}


def areas_text() -> str:
    """GeoJSON of areas A0..A5; A0-A2 lie in D0, A3-A5 in D1; each 0.02 x 0.01 degrees from 17.0 E, 59.8 N."""
    features = [
        {
            "type": "Feature",
            "properties": {"code": f"A{i}", "name": f"Area {i}", "parent": f"D{i // 3}"},
            "geometry": _square(17 + 0.02 * (i % 3), 59.8 + 0.01 * (i // 3)),
        }
        for i in range(6)
    ]
    return json.dumps({"type": "FeatureCollection", "features": features})


CATEGORIES = """code,parent,name_sv,name_en,harm_weight,default_origin
G0,,Skadegörelse,Vandalism,2,reported
C0,G0,Klotter,Graffiti,1,
C1,G0,Krossade rutor,Broken windows,2,
G1,,Narkotika,Drugs,5,discovered
C2,G1,Öppen försäljning,Open dealing,5,reported
C3,G1,Narkotikabrott,Drug offence,5,
"""


def register() -> AreaRegister:
    return load_areas(areas_text(), file="areas.geojson", municipality=CODE, municipality_name="Testby")


def tree() -> CategoryTree:
    return load_categories(CATEGORIES, file="categories.csv")


def settings(tendencies: TendencySettings | None = None, **watch: object) -> EngineSettings:
    """Settings that judge after one year, so that tests need little history."""
    chosen = {"years": 2, "min_years": 1, "lateness": 3, "false_alarms_per_week": 0.5, **watch}
    return EngineSettings(
        watch=WatchSettings(**chosen),  # type: ignore[arg-type]
        tendencies=tendencies or TendencySettings(),
        alerts=AlertSettings(settle_after=4, version="0123456789ab"),
    )


def engine(tendencies: TendencySettings | None = None, **watch: object) -> Engine:
    return Engine(register(), tree(), LocalCalendar(), settings(tendencies, **watch))


def event(number: int | str, when: datetime, **fields: object) -> AnyEvent:
    """An incident of graffiti in A0, recorded an hour after it happened, unless fields say otherwise."""
    kind = Report if fields.pop("kind", "incident") == "report" else Incident
    given: dict[str, object] = {
        "event_id": f"e{number}",
        "source": "wardens",
        "category": "C0",
        "municipality": CODE,
        "area": "A0",
        "occurred_at": when,
        "recorded_at": when + timedelta(hours=1),
    }
    return kind(**{**given, **fields})  # type: ignore[arg-type]


def history(seed: int, days: int = 500, rate: float = 0.12, lag_days: float = 0.0) -> list[AnyEvent]:
    """Ordinary days from BEGIN: Poisson counts per area and category, in the order of recording."""
    rng = np.random.default_rng(seed)
    events: list[AnyEvent] = []
    for day, area, category in zip(*np.nonzero(counts := rng.poisson(rate, (days, 6, 4))), strict=True):
        for _ in range(int(counts[day, area, category])):
            when = BEGIN + timedelta(days=int(day), hours=float(rng.uniform(-10, 10)))
            recorded = when + timedelta(days=float(rng.exponential(lag_days)) if lag_days else 0)
            fields = {"area": f"A{area}", "category": f"C{category}", "origin": "reported", "recorded_at": recorded}
            kind = "report" if area % 2 else "incident"
            events.append(event(f"h{len(events)}", when, kind=kind, **fields))
    return sorted(events, key=lambda e: (e.recorded_at, e.event_id))


def surge(day: int, n: int = 9, area: str = "A0", category: str = "C0") -> list[AnyEvent]:
    """n events in one area on one day (counted from BEGIN), half an hour apart."""
    begin = BEGIN + timedelta(days=day, hours=-4)
    return [
        event(f"s{day}-{area}-{i}", begin + timedelta(minutes=30 * i), area=area, category=category, origin="reported")
        for i in range(n)
    ]


def merged(*parts: Sequence[AnyEvent]) -> list[AnyEvent]:
    """Events of several lists in the order of recording."""
    return sorted((e for part in parts for e in part), key=lambda e: (e.recorded_at, e.event_id))


def feed(to: Engine, events: Sequence[AnyEvent], batch: int = 1000) -> tuple[list[Outcome], dict[str, Alert], dict[int, bytes]]:
    """Feed events in batches; returns the outcomes, and the alerts and pages as they are kept in the end."""
    outcomes: list[Outcome] = []
    alerts: dict[str, Alert] = {}
    pages: dict[int, bytes] = {}
    for begin in range(0, len(events), batch):
        outcomes += to.ingest(events[begin : begin + batch], NOW).outcomes
        changes = to.changes()
        alerts.update({a.alert_id: a for a in changes.alerts})
        pages.update(changes.pages)
    return outcomes, alerts, pages
