"""Where the plan in force stands: figures of its priorities and actions, kept while nothing that they are made of has changed."""

from threading import Lock
from typing import NamedTuple

from earlywarning.core.action_plan import ActionPlan
from earlywarning.plan.figures import action_figures, priority_figures
from earlywarning.plan.record import ActionFigures, PriorityFigures
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.plan_counts import PlanCounts
from earlywarning.store.plans import Plans, PlanVersion


class PlanStanding(NamedTuple):
    """A plan in force, its version, and its figures; no figures while the store holds no event."""

    plan: ActionPlan
    version: PlanVersion
    priorities: tuple[PriorityFigures, ...]
    actions: tuple[ActionFigures, ...]


class Standings:
    """The standing of one municipality's plan, worked out by one reader at a time."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._made_of: tuple[object, ...] = ()
        self._made: PlanStanding | None = None
        self._lock = Lock()

    def now(self, events: object) -> PlanStanding | None:
        """The plan in force as it stands; None where there is no plan. events: what tells that counts have changed, by being
        another object. Raises StoreError, PageError."""
        front = self._front
        own = front.register.municipality
        versions = Plans(front.store).versions(own)
        if not versions:
            return None
        with self._lock:
            made_of = (events, front.register, front.tree, front.settings)
            fresh = len(made_of) == len(self._made_of) and all(a is b for a, b in zip(made_of, self._made_of, strict=True))
            if self._made is None or not fresh or self._made.version != versions[-1]:
                self._made, self._made_of = self._figures(versions[-1]), made_of
            return self._made

    def _figures(self, version: PlanVersion) -> PlanStanding | None:
        front = self._front
        own, store = front.register.municipality, front.store
        plan = Plans(store).get(own, version.number)
        if plan is None:
            return None
        if store.engine_state(own) is None:
            return PlanStanding(plan, version, (), ())
        counts = PlanCounts(store, front.register, front.tree, front.calendar, front.settings.events.lateness_days)
        notes = store.data_notes(municipality=own)
        return PlanStanding(
            plan, version, tuple(priority_figures(p, counts, notes) for p in plan.priorities),
            tuple(action_figures(a, counts, notes) for a in plan.actions),
        )  # fmt: skip
