"""The facts that explain an alert: the days and the parts that carry it, and the same weeks of earlier years."""

import msgspec
import numpy as np

from earlywarning.core.alert_record import Alert, Carrier, DayCount, EarlierYear
from earlywarning.core.alerts import Case
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import UNIT, date_of
from earlywarning.core.categories import CategoryTree
from earlywarning.core.counts import CountCube, SeriesSpace
from earlywarning.core.watch import YEAR, Watch

MOST_CARRIERS = 5  # of each dimension: what a person takes in


def explain(
    record: Alert,
    case: Case,
    *,
    watch: Watch,
    cube: CountCube,
    space: SeriesSpace,
    register: AreaRegister,
    tree: CategoryTree,
) -> Alert:
    """The alert with the facts about its leading series, as the counts say now."""
    lead = case.lead
    series = np.array([lead.series])
    first = lead.end - lead.window + 1
    daily = cube.daily(series, first, lead.end)[0]
    days = tuple(DayCount(date_of(first + i), float(n)) for i, n in enumerate(daily.tolist()))
    back = np.arange(1, watch.years_at(lead.end) + 1)
    earlier = cube.window(series, lead.end - YEAR * back, lead.window)[:, 0] / UNIT
    years = tuple(EarlierYear(y, date_of(lead.end - YEAR * y), n) for y, n in zip(back.tolist(), earlier.tolist(), strict=True))
    return msgspec.structs.replace(
        record, days=days, earlier_years=years, carriers=_carriers(case, watch, cube, space, register, tree)
    )


def _carriers(
    case: Case, watch: Watch, cube: CountCube, space: SeriesSpace, register: AreaRegister, tree: CategoryTree
) -> tuple[Carrier, ...]:
    lead = case.lead
    kind, area, category = (int(x) for x in space.parts(lead.series))
    found: list[Carrier] = []
    for dimension, children, codes in (
        ("category", np.array(tree.children(category), dtype=np.int64), tree.codes),
        ("area", np.array(register.children(area), dtype=np.int64), register.codes),
    ):
        if not len(children):
            continue
        series = space.number(kind, area, children) if dimension == "category" else space.number(kind, children, category)
        observed = cube.window(series, np.array([lead.end]), lead.window)[0] / UNIT
        usual = np.nan_to_num(watch.same_weeks(series, lead.end, lead.window))
        order = np.lexsort((series, usual - observed))
        found += [
            Carrier(
                "category" if dimension == "category" else "area",
                codes[int(children[i])],
                float(observed[i]),
                float(usual[i]),
            )
            for i in order[:MOST_CARRIERS].tolist()
            if observed[i] > usual[i]
        ]
    return tuple(found)
