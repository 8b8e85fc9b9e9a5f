"""The facts that explain an alert: the days and the parts that carry it, and the same weeks of earlier years."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec
import numpy as np

from earlywarning.core.alert_record import Alert, Carrier, DayCount, EarlierYear, SpecialDay, Uncertainty
from earlywarning.core.alerts import Case
from earlywarning.core.areas import AreaRegister
from earlywarning.core.arrivals import Silent
from earlywarning.core.calendar import UNIT, date_of
from earlywarning.core.categories import CategoryTree
from earlywarning.core.detectors.status import status_note
from earlywarning.core.judged import Judged
from earlywarning.core.quality import Quality, concerns
from earlywarning.core.watch import YEAR, Watch

NOTED_SHARE = 0.02  # a share of late events below this is not worth a person's attention
LONGEST_TOLD = 28  # days of a window whose special days are named
MOST_ARTEFACTS = 3
MOST_CARRIERS = 5  # of each dimension: what a person takes in


class Note(Protocol):
    """What is special about a day: names in Swedish and English, and the days from first to last."""

    names: tuple[str, str]
    kind: tuple[str, str]
    first: int
    last: int


@runtime_checkable
class TellsDays(Protocol):
    """A calendar that can name what is special about days, as day_kinds.DayCalendar."""

    def notes(self, first_day: int, last_day: int, areas: Sequence[str] = ()) -> Sequence[Note]:
        """What is special about these days, of areas with these codes."""
        ...


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
    carriers, special = _carriers(lead, watch, register, tree), _special_days(lead, watch, register)
    return msgspec.structs.replace(record, days=days, earlier_years=years, carriers=carriers, special_days=special)


def _special_days(lead: Judged, watch: Watch, register: AreaRegister) -> tuple[SpecialDay, ...]:
    """What is special about the days of a window that is short enough for it to matter to a reader."""
    if not isinstance(watch.day_kinds, TellsDays) or lead.window > LONGEST_TOLD:
        return ()
    inside = np.flatnonzero(watch.scope.inside[list(lead.block.areas)].any(0))
    codes = [register.codes[a] for a in inside.tolist()]
    notes = watch.day_kinds.notes(lead.last_day - lead.window + 1, lead.last_day, codes)
    told = dict.fromkeys((n.names if any(n.names) else n.kind, n.first, n.last) for n in notes)
    return tuple(SpecialDay(names, date_of(first), date_of(last)) for names, first, last in told)


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


def uncertainties(
    lead: Judged, watch: Watch, silent: Sequence[Silent], sources: Sequence[str], quality: Quality
) -> tuple[Uncertainty, ...]:
    """What is uncertain about a signal. silent: sources of its kind that have gone silent; sources: names by number."""
    found: list[Uncertainty] = []
    if lead.missing >= NOTED_SHARE:
        found.append(Uncertainty("late-data", share=round(lead.missing, 3)))
    for one in sorted(silent, key=lambda s: sources[s.source]):  # whatever numbers an engine has given to them
        found.append(Uncertainty("silent-source", sources[one.source], 0.0, date_of(one.since), round(one.recurrence_days)))
    found += _artefacts(lead, watch, sources, quality)
    if watch.years_at(lead.last_day) < min(3, watch.settings.years):
        found.append(Uncertainty("short-history", note=f"{watch.years_at(lead.last_day)}"))
    if note := status_note(lead.status):
        found.append(Uncertainty("model-fallback", note=note))
    return tuple(found)


def _artefacts(lead: Judged, watch: Watch, sources: Sequence[str], quality: Quality) -> list[Uncertainty]:
    """Artefacts of booking that concern a signal, as known now: those of its window, and heaps on its days."""
    scope, block, days = watch.scope, lead.block, (lead.last_day - lead.window + 1, lead.last_day)
    areas = np.asarray(scope.inside[list(block.areas)].any(0) | scope.inside[:, list(block.areas)].any(1))
    categories = np.asarray(scope.part[list(block.categories)].any(0) | scope.part[:, list(block.categories)].any(1))
    heaped: dict[int, float] = {}
    found: list[Uncertainty] = []
    for a in (n.artefact for n in quality.noted if concerns(n.artefact, block.kind, areas, categories)):
        if a.what == "date-heap":
            for day in range(days[0], days[1] + 1):
                date = date_of(day)
                if date.day == 1 and (date.month == 1) == a.new_year:
                    heaped[day] = max(heaped.get(day, 0.0), a.share)
        elif a.what != "hour-heap" and a.first_day <= days[1] and a.last_day >= days[0]:
            note = Uncertainty(a.what, sources[a.source], round(a.share, 3), date_of(a.first_day))
            found += [note] if note not in found else []
    heaps = [Uncertainty("date-heap", share=round(share, 3), since=date_of(day)) for day, share in sorted(heaped.items())]
    found.sort(key=lambda u: (u.since, u.kind, u.source, u.share))
    return [*heaps, *found[-MOST_ARTEFACTS:]]
