"""The feedback loop: patrols go where alerts are, find what patrols find wherever they go, and what they find may raise alerts.

A made-up town in which all areas are alike. Residents report as before, whoever patrols. Patrols are there for a fixed number of
hours; a share of them goes to the areas of open alerts, the rest is spread evenly. What they discover in an area rises with
the hours that they spend in it. The real engine judges each day. Where discovered events may raise alerts, chance decides at
first where patrols go, and then their own finds keep them there; Lum & Isaac 2016, Significance 13(5):14, and Ensign et
al. 2018, PMLR 81:160, describe it for predictive policing.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.alert_record import Alert
from earlywarning.core.alerts import AlertSettings
from earlywarning.core.areas import AreaRegister, load_areas
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.categories import load_categories
from earlywarning.core.engine import Engine
from earlywarning.core.events import ORIGINS, AnyEvent, Incident, Report
from earlywarning.core.tallies import EngineSettings
from earlywarning.core.watch import WatchSettings

Floats = NDArray[np.float64]
CODE = "0998"
_BEGIN = datetime(2023, 1, 2, tzinfo=UTC)
_NOW = datetime(2040, 1, 1, tzinfo=UTC)
_WIDE = 4  # areas side by side
_CATEGORIES = """code,parent,name_sv,name_en,harm_weight,default_origin
ORDER,,Ordning,Public order,2,reported
GRAFFITI,ORDER,Klotter,Graffiti,1,reported
NOISE,ORDER,Störning,Disturbance,2,reported
DRUGS,,Narkotika,Drugs,5,discovered
USE,DRUGS,Innehav och bruk,Possession and use,5,discovered
"""


class World(NamedTuple):
    """A town and its patrols. origin_rule: whether only reported events may raise alerts. follows: share of the patrols' hours
    that goes to areas of open alerts. reported, discovered: events a day in each area and category; discovered with hours
    spread evenly."""

    origin_rule: bool
    follows: float
    areas: int = 12
    history_days: int = 400
    days: int = 364
    reported: float = 0.10
    discovered: float = 0.12
    false_alarms_per_week: float = 1.0


class Lived(NamedTuple):
    """What came of it. alert_days: (areas,) days with an open alert, one about several areas shared among them. hours:
    (areas,) share of the patrols' hours. alerts: opened in the judged days."""

    alert_days: Floats
    hours: Floats
    alerts: int

    @property
    def top_share(self) -> float:
        """Share of the alert days that is in the one area with most of them; nan without any."""
        total = self.alert_days.sum()
        return float(self.alert_days.max() / total) if total else float("nan")

    @property
    def gini(self) -> float:
        """Gini coefficient of the alert days over the areas: 0 when all have as many, towards 1 when one has all."""
        x = np.sort(self.alert_days)
        n = len(x)
        return float((2 * np.arange(1, n + 1) - n - 1) @ x / (n * x.sum())) if x.sum() else float("nan")


def live(world: World, seed: int) -> Lived:
    """Let a world live through its days. The residents' reports of a seed are the same in every world."""
    residents, patrols = (np.random.default_rng([seed, i]) for i in (1, 2))
    register = _register(world.areas)
    engine = _engine(world, register)
    even = np.full(world.areas, 1 / world.areas)
    past: list[AnyEvent] = []
    for day in range(world.history_days):
        past += _events(world, day, even, residents, patrols)
    engine.ingest(past, _NOW, history=True)
    engine.changes()
    kept: dict[str, Alert] = {}
    alert_days, hours, opened = np.zeros(world.areas), np.zeros(world.areas), set[str]()
    presence = even
    for day in range(world.history_days, world.history_days + world.days):
        events = _events(world, day, presence, residents, patrols)
        if events:
            engine.ingest(events, _NOW)
        engine.advance(_BEGIN + timedelta(days=day + 1, hours=1))
        changes = engine.changes()
        kept.update({a.alert_id: a for a in changes.alerts})
        opened |= {h.alert.alert_id for h in changes.history if h.change == "opened"}
        where = _where([a for a in kept.values() if a.state == "open"], register, world.areas)
        alert_days += where
        hours += presence / world.days
        presence = (1 - world.follows) * even + world.follows * where / where.sum() if where.any() else even
    return Lived(alert_days, hours, len(opened))


def _where(alerts: list[Alert], register: AreaRegister, areas: int) -> Floats:
    """How many open alerts each of the finest areas has; one about several is shared among them."""
    out = np.zeros(areas)
    finest = [register.codes.index(f"A{i}") for i in range(areas)]
    for alert in alerts:
        nodes = [register.codes.index(code) for code in alert.areas]
        inside = np.array([bool(set(register.ancestors[at].tolist()) & set(nodes)) for at in finest])
        out += inside / max(inside.sum(), 1)
    return out


def _events(
    world: World, day: int, presence: Floats, residents: np.random.Generator, patrols: np.random.Generator
) -> list[AnyEvent]:
    """A day's events in the order of recording: what residents report, and what patrols find where they are."""
    told: list[tuple[float, int, str, str]] = []
    for category in ("GRAFFITI", "NOISE"):
        counts = residents.poisson(world.reported, world.areas)
        for area in np.repeat(np.arange(world.areas), counts).tolist():
            told.append((float(residents.uniform(6, 21)), area, category, "reported"))
    # Of drugs, residents tell a little as well; the rest is found by whoever looks.
    for area in np.repeat(np.arange(world.areas), residents.poisson(world.reported / 4, world.areas)).tolist():
        told.append((float(residents.uniform(6, 21)), area, "USE", "reported"))
    found = patrols.poisson(world.discovered * presence * world.areas)
    for area in np.repeat(np.arange(world.areas), found).tolist():
        told.append((float(patrols.uniform(6, 21)), area, "USE", "discovered"))
    out: list[AnyEvent] = []
    for number, (hour, area, category, origin) in enumerate(sorted(told)):
        when = _BEGIN + timedelta(days=day, hours=hour)
        kind = Report if origin == "reported" and area % 2 else Incident
        out.append(
            kind(
                event_id=f"{day}-{number}", source="police" if kind is Incident else "residents", category=category,
                municipality=CODE, area=f"A{area}", origin=origin, occurred_at=when,  # type: ignore[arg-type]  # one of ORIGINS
                recorded_at=when + timedelta(minutes=30),
            )
        )  # fmt: skip
    return out


def _engine(world: World, register: AreaRegister) -> Engine:
    tree = load_categories(_CATEGORIES, file="categories.csv")
    origins = (ORIGINS.index("reported"),) if world.origin_rule else tuple(range(len(ORIGINS)))
    settings = EngineSettings(
        watch=WatchSettings(years=2, min_years=1, lateness=3, false_alarms_per_week=world.false_alarms_per_week),
        alerts=AlertSettings(settle_after=7, version="0" * 12),
        origins=origins,
    )
    return Engine(register, tree, LocalCalendar(), settings)


def _register(areas: int) -> AreaRegister:
    """Squares of a kilometre or so in rows of four, two rows a district."""
    features = []
    for i in range(areas):
        x, y = 17 + 0.02 * (i % _WIDE), 59.8 + 0.01 * (i // _WIDE)
        ring = [[x, y], [x + 0.02, y], [x + 0.02, y + 0.01], [x, y + 0.01], [x, y]]
        properties = {"code": f"A{i}", "name": f"Area {i}", "parent": f"D{i // (2 * _WIDE)}"}
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    text = json.dumps({"type": "FeatureCollection", "features": features})
    return load_areas(text, file="areas.geojson", municipality=CODE, municipality_name="Town")
