"""What a situational picture says: plain frozen records, with every text in the reader's language; JSON-able."""

from datetime import date
from typing import Literal

import msgspec

from earlywarning.locale import Language

Audience = Literal["group", "outside"]
Standing = Literal["new", "ongoing", "settled"]
Shade = Literal["more", "rather-more", "usual", "rather-fewer", "fewer", "none"]
Ring = list[tuple[float, float]]


class PlanRow(msgspec.Struct, frozen=True, kw_only=True):
    """Where a priority of the action plan stands, in words; filled in by whoever knows the plan.

    due: when it is followed up next. late: whether that day is over, or the goal is out of reach.
    """

    priority: str
    responsible: str
    goal: str
    standing: str
    due: date | None = None
    late: bool = False


class AlertItem(msgspec.Struct, frozen=True, kw_only=True):
    """An alert: what it says, how far the group has come with it, who owns its measures, and questions for the analysis.

    severe: of the only tendency that interrupts people. link: where it is answered, empty for none.
    """

    alert_id: str
    standing: Standing
    tendency: str
    title: str
    sentence: str
    facts: list[tuple[str, str]]
    opened_on: date
    stage: str
    owners: list[str]
    questions: list[str]
    severe: bool = False
    link: str = ""


class MapArea(msgspec.Struct, frozen=True, kw_only=True):
    """An area on the map and in the table behind it. rings: outlines in the map's units, the outer one of each part first.

    label: where its number stands. width: of the area, by which one sees whether a number fits.
    """

    number: int
    code: str
    name: str
    shade: Shade
    said: str
    observed: str
    expected: str
    usual: str
    rings: list[Ring] = []
    label: tuple[float, float] = (0.0, 0.0)
    width: float = 0.0


class Frame(msgspec.Struct, frozen=True):
    """A part of a map's plane: left, top, width, height."""

    x: float
    y: float
    width: float
    height: float


class AreaMap(msgspec.Struct, frozen=True, kw_only=True):
    """A map of one kind of source: change of each area against its own past. alt: for those who do not see it.

    frame: all of it; inset: what is shown enlarged, None where areas are large enough. areas without outlines are in the table
    only.
    """

    kind: str
    title: str
    alt: str
    caption: str
    frame: Frame
    inset: Frame | None
    areas: list[MapArea]
    legend: list[tuple[Shade, str]]
    note: str = ""

    @property
    def drawn(self) -> bool:
        """Whether there is anything to draw."""
        return any(area.rings for area in self.areas)


class ChangeRow(msgspec.Struct, frozen=True, kw_only=True):
    """A listed change: where and what, counts, and the interval of what is there against what was expected."""

    way: Literal["more", "fewer"]
    kind: str
    area: str
    category: str
    observed: str
    expected: str
    change: str
    seen: str


class ChangeTable(msgspec.Struct, frozen=True, kw_only=True):
    """Listed changes of one window, and what is said of the rest."""

    days: int
    title: str
    rows: list[ChangeRow]
    rest: str


class SourceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One group of categories: reports beside incidents, each with what was expected; patrols' own finds apart."""

    category: str
    incidents: str
    incidents_expected: str
    reports: str
    reports_expected: str
    found: str


class SupplierRow(msgspec.Struct, frozen=True, kw_only=True):
    """A source: how much came, how late, what was refused, and whether it is silent."""

    source: str
    received: str
    usual: str
    lateness: str
    rejected: str
    note: str
    warn: bool = False


class MeasureRow(msgspec.Struct, frozen=True, kw_only=True):
    """An open measure; late: its day is over."""

    what: str
    owner: str
    due: date
    due_text: str
    goal: str
    alert: str
    late: bool
    link: str = ""


class Briefing(msgspec.Struct, frozen=True, kw_only=True):
    """The picture of a week for one municipality, in one language, for the group or for others.

    least_count: the smallest count that is shown, 0 where nothing is hidden. no_comparison: why nothing is compared, or empty.
    """

    municipality: str
    municipality_name: str
    week: str
    first_day: date
    last_day: date
    known_day: date
    language: Language
    audience: Audience
    title: str
    subtitle: str
    headlines: list[str]
    alerts: list[AlertItem]
    maps: list[AreaMap]
    changes: list[ChangeTable]
    no_comparison: str
    sources: list[SourceRow]
    sources_note: str
    suppliers: list[SupplierRow]
    quality: list[str]
    plan: list[PlanRow]
    measures: list[MeasureRow]
    method: list[str]
    settings_version: str
    least_count: int = 0
    format: int = 1
