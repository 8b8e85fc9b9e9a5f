"""Counts of any selection as a table: areas, categories, kinds and origins, by day or by rolling window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import UNIT, LocalCalendar
from earlywarning.core.categories import CategoryTree
from earlywarning.core.counts import CountCube, SeriesSpace
from earlywarning.core.events import KINDS, ORIGINS
from earlywarning.core.ledger import STANDING
from earlywarning.core.pages import Rows

Ints = NDArray[np.int64]


class SelectionError(ValueError):
    """A selection that names what is not there; says what can be asked for."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What to count. areas, categories: codes, or levels as "level:1"; empty = all. window: days, ending on each day.

    zeros: also rows with a count of zero. by_origin: a row for each origin instead of their sum.
    """

    first_day: int
    last_day: int
    areas: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    kinds: tuple[str, ...] = KINDS
    origins: tuple[str, ...] = ORIGINS
    window: int = 1
    zeros: bool = False
    by_origin: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length; `day` counts local days since 1970-01-01, `count` is in events."""

    day: Ints
    area: list[str]
    category: list[str]
    kind: list[str]
    origin: list[str]
    count: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.day)


def tabulate(rows: Rows, selection: Selection, *, register: AreaRegister, tree: CategoryTree, calendar: LocalCalendar) -> Table:
    """Count the standing events of `rows` (those of the days first_day - window + 1 .. last_day, at least).

    Raises SelectionError when an area, category, kind, origin or window is not known.
    """
    space = SeriesSpace(register.ancestors, tree.ancestors)
    depth = (tree.ancestors >= 0).sum(1) - 1
    areas = _chosen("area", selection.areas, register.codes, np.asarray(register.levels, dtype=np.int64))
    categories = _chosen("category", selection.categories, tree.codes, depth)
    kinds = np.array(sorted(_numbers("kind", selection.kinds, KINDS)), dtype=np.int64)
    origins = sorted(_numbers("origin", selection.origins, ORIGINS))
    if not 1 <= selection.window <= 366:
        raise SelectionError(f"a window of {selection.window} days is not kept; ask for 1 to 366 days")
    if selection.last_day < selection.first_day:
        raise SelectionError("the last day lies before the first day")
    series = space.number(kinds[:, None, None], areas[None, :, None], categories[None, None, :]).reshape(-1)
    groups = [[o] for o in origins] if selection.by_origin else [origins]
    parts = [_count(rows, selection, space, series, np.array(group), register, tree, calendar) for group in groups]
    names = [
        ORIGINS[g[0]] if selection.by_origin else "all" if len(g) == len(ORIGINS) else "+".join(ORIGINS[o] for o in g)
        for g in groups
    ]

    days, numbers, counts, labels = [], [], [], []
    for name, values in zip(names, parts, strict=True):
        at = np.nonzero(values > 0) if not selection.zeros else tuple(i.reshape(-1) for i in np.indices(values.shape))
        days.append(at[0] + selection.first_day)
        numbers.append(series[at[1]])
        counts.append(values[at] / UNIT)
        labels += [name] * len(at[0])
    number = np.concatenate(numbers)
    kind, area, category = (x.tolist() for x in space.parts(number))
    return Table(
        np.concatenate(days),
        [register.codes[a] for a in area],
        [tree.codes[c] for c in category],
        [KINDS[k] for k in kind],
        labels,
        np.concatenate(counts),
    )


def _count(
    rows: Rows,
    selection: Selection,
    space: SeriesSpace,
    series: Ints,
    origins: Ints,
    register: AreaRegister,
    tree: CategoryTree,
    calendar: LocalCalendar,
) -> Ints:
    """Units in the window ending on each day: (days, len(series))."""
    columns = rows.columns
    area = np.asarray(register.resolve(rows.codes["area"]), dtype=np.int64)[columns["area"]]
    category = np.asarray(tree.resolve(rows.codes["category"]), dtype=np.int64)[columns["category"]]
    counts = (columns["superseded"] == STANDING) & ~columns["retracted"] & np.isin(columns["origin"], origins)
    counts &= (area >= 0) & (category >= 0)
    start, end = columns["start"][counts].astype(np.int64), columns["end"][counts].astype(np.int64)
    event, day, units = calendar.spread(start, end)
    first = selection.first_day - selection.window + 1
    inside = (day >= first) & (day <= selection.last_day)
    event, day, units = event[inside], day[inside], units[inside]
    kind = columns["kind"][counts].astype(np.int64)
    entry, number = space.expand(kind[event], area[counts][event], category[counts][event])
    place = np.full(len(space), -1, dtype=np.int64)
    place[series] = np.arange(len(series))
    chosen = place[number] >= 0
    cube = CountCube(len(series))
    cube.extend(first, selection.last_day)
    cube.add(place[number[chosen]], day[entry[chosen]], units[entry[chosen]])
    days = np.arange(selection.first_day, selection.last_day + 1)
    return cube.window(np.arange(len(series)), days, selection.window)


def _chosen(what: str, wanted: Sequence[str], codes: Sequence[str], levels: Ints) -> Ints:
    if not wanted:
        return np.arange(len(codes))
    number = {code: i for i, code in enumerate(codes)}
    chosen: list[int] = []
    for code in wanted:
        if code.startswith("level:") and code[6:].isdigit():
            found = np.flatnonzero(levels == int(code[6:])).tolist()
            if not found:
                raise SelectionError(f"there is no {what} of level {code[6:]}; levels are 0 to {levels.max()}")
            chosen += found
        elif code in number:
            chosen.append(number[code])
        else:
            raise SelectionError(f"{what} {code!r} is not known; give a code of the register, or level:N")
    return np.array(sorted(set(chosen)), dtype=np.int64)


def _numbers(what: str, wanted: Sequence[str], known: Sequence[str]) -> set[int]:
    unknown = [w for w in wanted if w not in known]
    if unknown:
        raise SelectionError(f"{what} {unknown[0]!r} is not known; it is one of {', '.join(known)}")
    return {known.index(w) for w in wanted}
