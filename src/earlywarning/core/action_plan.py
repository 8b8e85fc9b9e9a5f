"""The action plan (åtgärdsplan) as data: priorities, promises to residents, actions whose effect is looked for.

A priority has what Swedish guidance on joint crime prevention asks of one: focus (inriktning), responsibility
(ansvarsfördelning), commitments (åtaganden), goal (mål), timetable (tidsplan). Responsible are functions and units, never
named persons; areas and categories are codes of the registers. An empty English text means that the Swedish one is shown.
"""

import hashlib
from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from earlywarning.core.alert_record import Alert
from earlywarning.core.areas import AreaRegister
from earlywarning.core.categories import CategoryTree

Kind = Literal["incident", "report"]
Origin = Literal["reported", "discovered", "tasked"]
Status = Literal["planned", "under-way", "done", "delayed", "abandoned"]
Code = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-zÅÄÖåäö][0-9A-Za-zÅÄÖåäö_.-]*$")]
Short = Annotated[str, Meta(min_length=1, max_length=120)]
Long = Annotated[str, Meta(min_length=1, max_length=2_000)]
English = Annotated[str, Meta(max_length=2_000)]


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the plan: a misspelt field is an error, never passed over."""


class Goal(Record, frozen=True, kw_only=True):
    """A goal that can be measured: events of one kind, from a baseline period to a target period, both with their last day.

    Exactly one of: change, relative to the baseline's daily rate (-0.2: a fifth fewer); count, of events in the whole target
    period; rate, events per 1,000 residents and year. direction: whether fewer or more events are wanted (more: where
    reporting shall rise). kind: of events; needed where the priority has both kinds, which are never added.
    """

    baseline_first: date
    baseline_last: date
    target_first: date
    target_last: date
    change: float | None = None
    count: float | None = None
    rate: float | None = None
    direction: Literal["fewer", "more"] = "fewer"
    kind: Kind | None = None


class Commitment(Record, frozen=True, kw_only=True):
    """What a party has undertaken: who (function or unit), what, and by when."""

    who: Short
    what_sv: Long
    what_en: English = ""
    by: date
    status: Status = "planned"


class Step(Record, frozen=True, kw_only=True):
    """A line of the timetable."""

    by: date
    what_sv: Long
    what_en: English = ""


class Priority(Record, frozen=True, kw_only=True):
    """A problem that the parties have agreed to work on. Without areas: the whole municipality; without categories: all.

    kinds: of events that the priority is about; origins: which events its goal counts. By default only what was reported
    by someone: what patrols discover follows where they are sent.
    """

    code: Code
    name_sv: Short
    name_en: English = ""
    areas: tuple[Code, ...] = ()
    categories: tuple[Code, ...] = ()
    kinds: Annotated[tuple[Kind, ...], Meta(min_length=1)] = ("incident", "report")
    origins: Annotated[tuple[Origin, ...], Meta(min_length=1)] = ("reported",)
    focus_sv: Long
    focus_en: English = ""
    responsible: Short
    commitments: tuple[Commitment, ...] = ()
    goal: Goal
    timetable: tuple[Step, ...] = ()


class Evidence(Record, frozen=True, kw_only=True):
    """What shows that a promise is kept: on which day, what was done; count: activities that it adds."""

    on: date
    text_sv: Long
    text_en: English = ""
    count: Annotated[int, Meta(ge=0)] = 0


class Promise(Record, frozen=True, kw_only=True):
    """A promise to residents (medborgarlöfte) with its public text. activities: how many are to be done, if that was promised."""

    code: Code
    text_sv: Long
    text_en: English = ""
    first_day: date
    last_day: date
    responsible: Short
    areas: tuple[Code, ...] = ()
    categories: tuple[Code, ...] = ()
    activities: Annotated[int, Meta(ge=1)] | None = None
    evidence: tuple[Evidence, ...] = ()


class Action(Record, frozen=True, kw_only=True):
    """A measure with a place and a start day, whose effect is looked for in the counts.

    areas: where it works. comparison: areas like those, in which nothing of the kind was done; their week-to-week swings stand
    for what would have come anyway. buffer: areas around, to which problems may have moved. buffer_comparison: areas like
    the buffer (default: comparison). priority: code of the priority that it serves. ends: last day, None while it runs.
    """

    code: Code
    name_sv: Short
    name_en: English = ""
    priority: Annotated[str, Meta(max_length=64)] = ""
    responsible: Short
    areas: Annotated[tuple[Code, ...], Meta(min_length=1)]
    categories: tuple[Code, ...] = ()
    kind: Kind = "incident"
    origins: Annotated[tuple[Origin, ...], Meta(min_length=1)] = ("reported",)
    begins: date
    ends: date | None = None
    comparison: tuple[Code, ...] = ()
    buffer: tuple[Code, ...] = ()
    buffer_comparison: tuple[Code, ...] = ()


class ActionPlan(Record, frozen=True, kw_only=True):
    """The whole plan of a period."""

    title_sv: Short
    title_en: English = ""
    first_day: date
    last_day: date
    priorities: tuple[Priority, ...] = ()
    promises: tuple[Promise, ...] = ()
    actions: tuple[Action, ...] = ()

    @property
    def version(self) -> str:
        """12 hexadecimal digits of all that the plan says."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:12]

    def priority(self, code: str) -> Priority | None:
        """The priority of a code."""
        return next((p for p in self.priorities if p.code == code), None)


def in_words(record: object, field: str, language: Literal["sv", "en"]) -> str:
    """A text of a record in a language; the Swedish one where there is no English one."""
    wanted: str = getattr(record, f"{field}_{language}")
    return wanted or str(getattr(record, f"{field}_sv"))


def priorities_of(alert: Alert, plan: ActionPlan, register: AreaRegister, tree: CategoryTree) -> tuple[str, ...]:
    """Codes of the priorities that an alert touches, in the plan's order; who is responsible stands in `plan.priority(code)`.

    One is touched when its areas and the alert's lie in one another, and its categories likewise, and the kind agrees. An
    alert about the whole municipality, or all categories, speaks for the parts that carry it; where none is known it
    touches only what is as wide as itself.
    """
    areas = _narrowed(alert.areas, register.codes[0], [c.code for c in alert.carriers if c.dimension == "area"])
    categories = _narrowed(alert.categories, tree.codes[0], [c.code for c in alert.carriers if c.dimension == "category"])
    return tuple(
        p.code
        for p in plan.priorities
        if alert.kind in p.kinds
        and _touch(areas, p.areas, register.codes, register.ancestors)
        and _touch(categories, p.categories, tree.codes, tree.ancestors)
    )


def _narrowed(codes: Iterable[str], root: str, carriers: list[str]) -> list[str]:
    given = list(codes)
    return carriers if root in given and carriers else given


def _touch(of_alert: Iterable[str], of_priority: Iterable[str], codes: tuple[str, ...], ancestors: NDArray[np.int32]) -> bool:
    """Whether one of the alert's nodes is, lies in, or holds one of the priority's; the root only the root."""
    number = {code: i for i, code in enumerate(codes)}
    mine = {number[c] for c in of_priority if c in number} or {0}
    for node in (number[c] for c in of_alert if c in number):
        if node in mine or mine & {a for a in ancestors[node].tolist() if a >= 0}:
            return True
        if node > 0 and any(node in ancestors[m].tolist() for m in mine):
            return True
    return False
