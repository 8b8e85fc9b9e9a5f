"""Known events that somebody has marked: a spate of fires in March, against which settings are tried in the lab."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Literal

import msgspec

from earlywarning.core.events import KINDS
from earlywarning.core.screening import PersonalRule, find_personal_data

LONGEST_NAME = 120
LONGEST = 366  # days
ALL = "*"

MarkRule = Literal[PersonalRule, "unknown", "missing", "before-first", "too-long", "not-allowed", "date"]


class MarkError(ValueError):
    """A known event that cannot be kept: names the field, the rule it breaks, and what is allowed."""

    def __init__(self, field: str, rule: MarkRule, problem: str) -> None:
        self.field, self.rule, self.problem = field, rule, problem
        super().__init__(f"{field}: {problem}")


class MarkedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Where, what, and from first to last day. areas, categories: codes, any of them; "*" is everything.

    kind: incident, report, or "" for either. true: False for what is known to be none. who: marked it.
    """

    mark_id: int = 0
    municipality: str
    name: str
    first: date
    last: date
    areas: tuple[str, ...]
    categories: tuple[str, ...]
    kind: str = ""
    true: bool = True
    who: str
    made_at: datetime


def checked(event: MarkedEvent, areas: Collection[str], categories: Collection[str]) -> MarkedEvent:
    """The event, if it may be kept. areas, categories: codes of the registers. Raises MarkError."""
    name = " ".join(event.name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise MarkError("name", "missing", f"say in 1 to {LONGEST_NAME} characters what it was")
    if found := find_personal_data(name):
        raise MarkError("name", found.rule, "it holds personal data; write about places and events, never about persons")
    for field, codes, known in (("areas", event.areas, areas), ("categories", event.categories, categories)):
        if not codes:
            raise MarkError(field, "missing", f"name at least one code of the register, or {ALL} for all")
        if unknown := [code for code in codes if code != ALL and code not in known]:
            raise MarkError(field, "unknown", f"the register has no {unknown[0][:40]!r}; give codes of the register")
    if event.kind and event.kind not in KINDS:
        raise MarkError("kind", "not-allowed", f"{event.kind[:40]!r} is not one of {', '.join(KINDS)}")
    if event.last < event.first:
        raise MarkError("last", "before-first", f"{event.last} lies before the first day, {event.first}")
    if (event.last - event.first).days >= LONGEST:
        raise MarkError("last", "too-long", f"it lasts for more than {LONGEST} days; mark its beginning")
    return msgspec.structs.replace(event, name=name)
