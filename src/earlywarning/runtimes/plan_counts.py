"""Counts for the action plan, from the store's pages: read once, asked many times."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.action_plan import ActionPlan
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar, date_of
from earlywarning.core.categories import CategoryTree
from earlywarning.core.events import KINDS
from earlywarning.core.ledger import STANDING
from earlywarning.core.pages import decode_page, join_pages
from earlywarning.core.plan_check import node_set
from earlywarning.core.standing import Daily, settling_days
from earlywarning.core.tabulate import Selection, tabulate
from earlywarning.plan.figures import follow_up
from earlywarning.plan.record import FollowUp, NewSource
from earlywarning.settings import Settings
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from earlywarning.store.plans import Plans

_SETTLED = 28  # days: younger events say too little of how late events come
_YEAR = 364


class PlanCounts:
    """All standing events of a municipality, as the plan asks for them (plan/record.py: CountSource).

    lateness: days after which a day is complete where too few events tell it. Raises PageError, StoreError.
    """

    def __init__(self, store: Store, register: AreaRegister, tree: CategoryTree, calendar: LocalCalendar, lateness: int) -> None:
        self._register, self._tree, self._calendar, self._lateness = register, tree, calendar, lateness
        rows = self._rows = join_pages(decode_page(page) for _, page in store.pages(register.municipality))
        state, span = store.engine_state(register.municipality), store.page_span(register.municipality)
        self.last_day = state[0] - 1 if state else span[1] if span else 0  # the newest day that is closed
        columns = rows.columns
        self._stands = (columns["superseded"] == STANDING) & ~columns["retracted"]
        self._day = calendar.day_of(columns["start"].astype(np.int64))
        category = np.asarray(tree.resolve(rows.codes["category"]), dtype=np.int64)
        self._category = category[columns["category"].astype(np.int64)] if len(category) else np.empty(0, np.int64)

    def _of_kind(self, kind: str) -> NDArray[np.bool_]:
        return np.asarray(self._stands & (self._rows.columns["kind"] == KINDS.index(kind)), dtype=np.bool_)

    def daily(self, areas: Sequence[str], categories: Sequence[str], kind: str, origins: Sequence[str]) -> Daily:
        """Counts by local day, from the first day on which anything of that kind happened."""
        of_kind = self._of_kind(kind)
        if not of_kind.any() or self.last_day < (first := int(self._day[of_kind].min())):
            return Daily(self.last_day + 1, np.empty(0))
        chosen = Selection(
            first, self.last_day,
            node_set(areas, self._register.codes, self._register.ancestors),
            node_set(categories, self._tree.codes, self._tree.ancestors),
            (kind,), tuple(origins),
        )  # fmt: skip
        table = tabulate(self._rows, chosen, register=self._register, tree=self._tree, calendar=self._calendar)
        counts = np.zeros(self.last_day - first + 1)
        np.add.at(counts, table.day - first, table.count)
        return Daily(first, counts)

    def complete(self, categories: Sequence[str], kind: str) -> int:
        """The last local day whose events are usually all recorded, from how late those of the last year came."""
        nodes = self._tree.resolve(list(categories)) if categories else np.zeros(1, np.int32)
        inside = np.asarray(np.isin(self._tree.ancestors, nodes).any(axis=1), dtype=np.bool_).reshape(-1)
        day, young = self._day, self.last_day - _SETTLED
        chosen = self._of_kind(kind) & (day > young - _YEAR) & (day <= young) & (self._category >= 0)
        chosen &= inside[np.maximum(self._category, 0)]
        lags = np.maximum(self._rows.columns["arrived"][chosen].astype(np.int64) - day[chosen], 0)
        return self.last_day - settling_days(lags, self._lateness)

    def residents(self, areas: Sequence[str]) -> float:
        """Residents of areas, nan where the register does not know."""
        nodes = self._register.resolve(node_set(areas, self._register.codes, self._register.ancestors))
        return float(self._register.exposure[nodes].sum())

    def new_sources(self, kind: str, first: int, last: int) -> list[NewSource]:
        """Sources that sent for the first time between two local days, the earliest first."""
        chosen = self._of_kind(kind)
        found: dict[str, date] = {}
        sources = self._rows.columns["source"]
        for number in np.unique(sources[chosen]).tolist():
            since = int(self._day[chosen & (sources == number)].min())
            if first <= since <= last:
                found[self._rows.codes["source"][number]] = date_of(since)
        return [NewSource(source, since) for source, since in sorted(found.items(), key=lambda item: (item[1], item[0]))]


def plan_of_year(store: Store, municipality: str, year: int) -> ActionPlan | None:
    """The newest plan whose period meets a year; None when there is none."""
    plans = Plans(store)
    for version in reversed(plans.versions(municipality)):
        plan = plans.get(municipality, version.number)
        if plan is not None and plan.first_day.year <= year <= plan.last_day.year:
            return plan
    return None


def follow_up_of(
    settings: Settings, store: Store, register: AreaRegister, tree: CategoryTree, calendar: LocalCalendar, year: int, today: date
) -> FollowUp | None:
    """The figures of a year's follow-up by the newest plan whose period meets the year; None when there is no such plan."""
    municipality = register.municipality
    plan = plan_of_year(store, municipality, year)
    if plan is None:
        return None
    counts = PlanCounts(store, register, tree, calendar, settings.events.lateness_days)
    notes = store.data_notes(municipality=municipality)
    cases = Cases(store).every(municipality)
    return follow_up(
        plan, counts, cases, notes, municipality=municipality, name=settings.municipality.name, year=year, made_on=today
    )
