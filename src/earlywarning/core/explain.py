"""The facts that explain an alert: the days and the parts that carry it, and the same weeks of earlier years."""

from collections.abc import Sequence

import msgspec
import numpy as np

from earlywarning.core.alert_record import Alert, Carrier, DayCount, EarlierYear, Uncertainty
from earlywarning.core.alerts import Case
from earlywarning.core.areas import AreaRegister
from earlywarning.core.arrivals import Silent
from earlywarning.core.calendar import UNIT, date_of
from earlywarning.core.categories import CategoryTree
from earlywarning.core.detectors.status import status_note
from earlywarning.core.watch import YEAR, Judged, Watch

NOTED_SHARE = 0.02  # a share of late events below this is not worth a person's attention
MOST_CARRIERS = 5  # of each dimension: what a person takes in


def explain(record: Alert, case: Case, *, watch: Watch, register: AreaRegister, tree: CategoryTree) -> Alert:
    """The alert with the facts about its leading block, as the counts say now."""
    lead, cube = case.lead, watch.cube
    series = watch.scope.series(lead.block)
    first = lead.last_day - lead.window + 1
    daily = cube.daily(series, first, lead.last_day).sum(0)
    days = tuple(DayCount(date_of(first + i), float(n)) for i, n in enumerate(daily.tolist()))
    back = np.arange(1, watch.years_at(lead.last_day) + 1)
    earlier = cube.window(series, lead.last_day - YEAR * back, lead.window).sum(1) / UNIT
    years = tuple(
        EarlierYear(y, date_of(lead.last_day - YEAR * y), n) for y, n in zip(back.tolist(), earlier.tolist(), strict=True)
    )
    return msgspec.structs.replace(record, days=days, earlier_years=years, carriers=_carriers(lead, watch, register, tree))


def _carriers(lead: Judged, watch: Watch, register: AreaRegister, tree: CategoryTree) -> tuple[Carrier, ...]:
    """The parts of the block that count more than usual: its categories and areas, or those below where it has one."""
    block = lead.block
    found: list[Carrier] = []
    categories = block.categories if len(block.categories) > 1 else tree.children(block.categories[0])
    areas = block.areas if len(block.areas) > 1 else register.children(block.areas[0])
    for dimension, parts, codes in (("category", categories, tree.codes), ("area", areas, register.codes)):
        rows = []
        for part in parts:
            inside = block._replace(categories=(part,)) if dimension == "category" else block._replace(areas=(part,))
            observed = watch.count(inside, lead.last_day, lead.window)
            usual = float(np.nan_to_num(watch.same_weeks(inside, lead.last_day, lead.window)))
            if observed > usual:
                rows.append((usual - observed, part, observed, usual))
        found += [
            Carrier("category" if dimension == "category" else "area", codes[part], observed, usual)
            for _, part, observed, usual in sorted(rows)[:MOST_CARRIERS]
        ]
    return tuple(found)


def uncertainties(lead: Judged, watch: Watch, silent: Sequence[Silent], sources: Sequence[str]) -> tuple[Uncertainty, ...]:
    """What is uncertain about a signal. silent: sources of its kind that have gone silent; sources: names by number."""
    found: list[Uncertainty] = []
    if lead.missing >= NOTED_SHARE:
        found.append(Uncertainty("late-data", share=round(lead.missing, 3)))
    for one in silent:
        found.append(Uncertainty("silent-source", sources[one.source], 0.0, date_of(one.since), round(one.recurrence_days)))
    if watch.years_at(lead.last_day) < min(3, watch.settings.years):
        found.append(Uncertainty("short-history", note=f"{watch.years_at(lead.last_day)}"))
    if note := status_note(lead.status):
        found.append(Uncertainty("model-fallback", note=note))
    return tuple(found)
