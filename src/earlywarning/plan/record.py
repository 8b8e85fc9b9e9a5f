"""What a follow-up of the plan is made of: figures of priorities, actions and promises, and where counts come from."""

from collections.abc import Sequence
from datetime import date
from typing import Literal, NamedTuple, Protocol

from earlywarning.core.action_plan import Action, ActionPlan, Priority, Promise
from earlywarning.core.casework import Measure
from earlywarning.core.data_notes import DataNote
from earlywarning.core.displacement import Difference
from earlywarning.core.effect import Effect
from earlywarning.core.standing import Daily, Kept, Standing


class NewSource(NamedTuple):
    """A source that had sent nothing before `since`: more may be reported because more report."""

    source: str
    since: date


class CountSource(Protocol):
    """Where the plan's counts come from."""

    def daily(self, areas: Sequence[str], categories: Sequence[str], kind: str, origins: Sequence[str]) -> Daily:
        """Counts by local day of all that is held of a kind; no areas or categories: all."""

    def complete(self, categories: Sequence[str], kind: str) -> int:
        """The last local day whose events are usually all recorded."""

    def residents(self, areas: Sequence[str]) -> float:
        """Residents of areas, nan where the register does not know."""

    def new_sources(self, kind: str, first: int, last: int) -> list[NewSource]:
        """Sources that sent for the first time between two local days."""


class PriorityFigures(NamedTuple):
    """A priority as it stands, its daily counts, and what disturbs the comparison of the two periods."""

    priority: Priority
    standing: Standing
    counts: Daily
    notes: tuple[DataNote, ...] = ()
    new_sources: tuple[NewSource, ...] = ()


class Windows(NamedTuple):
    """Weeks that a weighted displacement difference compares: first and last day before, first and last day after.

    season: the weeks before are those of the year before, so that the season is alike.
    """

    before: tuple[date, date]
    after: tuple[date, date]
    season: bool


class ActionFigures(NamedTuple):
    """What the data say about an action: effect, what happened around, the simple difference, and what disturbs them.

    before_after: probability of the counts before and after in the action's areas alone if nothing had changed (e-test).
    """

    action: Action
    effect: Effect
    around: Effect | None
    difference: Difference | None
    windows: Windows | None
    before_after: float | None
    through: date
    notes: tuple[DataNote, ...]
    new_sources: tuple[NewSource, ...]
    counts: Daily
    others: Daily | None


class Taken(NamedTuple):
    """A measure of the casework: of which alert, what, and which priorities the alert touches."""

    alert_id: str
    measure: Measure
    priorities: tuple[str, ...]


class PromiseFigures(NamedTuple):
    """A promise and what is behind it."""

    promise: Promise
    kept: Kept


class FollowUp(NamedTuple):
    """All that the yearly follow-up tells, in figures."""

    municipality: str
    name: str
    year: int
    made_on: date
    plan: ActionPlan
    priorities: tuple[PriorityFigures, ...]
    actions: tuple[ActionFigures, ...]
    promises: tuple[PromiseFigures, ...]
    measures: tuple[Taken, ...]
    notes: tuple[DataNote, ...]


Language = Literal["sv", "en"]
