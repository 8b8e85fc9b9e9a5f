"""The picture page: a map of change, not of level, with the alerts on it; beside it lanes of areas and days."""

from datetime import date
from typing import NamedTuple

import numpy as np
from litestar import Response, get
from litestar.datastructures import State
from markupsafe import Markup

from earlywarning.core.alert_record import Alert
from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.categories import CategoryTree
from earlywarning.core.events import KINDS
from earlywarning.core.unusual import Unusual, usual_range
from earlywarning.locale import Names, headline
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.runtimes.front import Front
from earlywarning.web.access import Visitor
from earlywarning.web.drawing.lanes import Lanes, lanes_of
from earlywarning.web.pages.frame import Asking, Words, language_of, part, render, root_of
from earlywarning.web.pages.looking import WINDOWS, Drawn, Look, Told, alerts_then, columns_at, compared, drawn_of, look_of

_LANE_DAYS = 42


class Cell(NamedTuple):
    """An area on the map and in the table. place: index in the register. step: -3..3. alerts: how many open ones are about it."""

    place: int
    code: str
    name: str
    observed: float
    expected: float
    low: float
    high: float
    step: int
    alerts: int


@get("/picture", include_in_schema=False, sync_to_thread=True)
def picture_page(request: Asking, state: State) -> Response[bytes]:
    """The picture of a day as it was known then."""
    service: Front = state.service
    drawn = drawn_of(state)
    events = drawn.known.events()
    look = look_of(request, service, events)
    if look is None:
        return render(request, "picture_empty.html", here="picture")
    visitor, language = request.user, language_of(request)
    alerts = alerts_then(service, drawn, look, visitor)
    everything = "all" in request.query_params
    # Readers mostly look at the same picture: it is drawn once for all of them, until something in it changes.
    told = tuple(Told(a.alert_id, a.updated_on, a.observed) for a in alerts)
    key = (look, language, root_of(request), visitor.areas if visitor.limited else None, everything)
    made_of = (events, service.register, service.tree)
    body = drawn.body(key, made_of, told, lambda: _body(request, service, drawn, look, alerts))
    return render(request, "picture.html", here="picture", body=body)


def _body(request: Asking, service: Front, drawn: Drawn, look: Look, alerts: list[Alert]) -> Markup:
    events, visitor, language = drawn.known.events(), request.user, language_of(request)
    everything = "all" in request.query_params
    words = Words(language, service.settings.municipality.timezone)
    names = Names.from_registers(service.register, service.tree)
    areas, column = columns_at(service.register, look.level, visitor)
    days = np.arange(max(look.day - _LANE_DAYS + 1, look.oldest), look.day + 1)
    found = compared(events, look, column, service.tree, days, look.window)
    whole = compared(events, look, np.where(column >= 0, 0, -1), service.tree, days, look.window)
    cells = _cells(service, areas.tolist(), found, alerts)
    town = drawn.town(service.register)
    lanes = _lanes(service, look, words, days.tolist(), cells, found, whole, alerts, names, everything=everything)
    return part(
        request, "picture_body.html", look=look, cells=cells, town=town, lanes=lanes,
        years=int(found.years[-1]), levels=_levels(service, words), categories=category_choices(service.tree, names, words),
        category_name=names.category(service.tree.codes[look.category], language),
        kinds=[k for i, k in enumerate(KINDS) if i == look.kind or (events.kind == i).any()], windows=WINDOWS,
        alerts=[(a, headline(a, names, language, look.date)) for a in alerts[:12]], alerts_more=max(len(alerts) - 12, 0),
        query=look.query(service.tree), asked_all=everything, first_date=date_of(look.day - look.window + 1),
        newest=date_of(look.newest), oldest=date_of(look.oldest), earlier=_days_around(look), note=service.register.note,
        kind=KINDS[look.kind], summary=_summary(cells),
    )  # fmt: skip


def _cells(service: Front, areas: list[int], found: Unusual, alerts: list[Alert]) -> list[Cell]:
    register = service.register
    about = [set(a.areas) for a in alerts]
    low, high = (bound[0] for bound in usual_range(found, slice(None), slice(-1, None)))
    out = []
    for i, area in enumerate(areas):
        held = {register.codes[j] for j in np.flatnonzero((register.ancestors == area).any(axis=1)).tolist()}
        concerned = sum(bool(codes & held) for codes in about)
        out.append(
            Cell(area, register.codes[area], register.names[area], float(found.observed[-1, i]), float(found.expected[-1, i]),
                 float(low[i]), float(high[i]), int(found.step[-1, i]), concerned)
        )  # fmt: skip
    return out


def _summary(cells: list[Cell]) -> tuple[int, int, int]:
    """How many areas have more, fewer and about as many as usual."""
    more, fewer = sum(c.step > 0 for c in cells), sum(c.step < 0 for c in cells)
    return more, fewer, len(cells) - more - fewer


def _levels(service: Front, words: Words) -> list[tuple[int, str]]:
    deepest = int(np.max(service.register.levels))
    names = {0: "municipality"} | dict.fromkeys(range(1, deepest), "district") | ({deepest: "area"} if deepest else {})
    return [(level, words("level", names[level])) for level in range(deepest + 1)]


def category_choices(tree: CategoryTree, names: Names, words: Words) -> list[tuple[str, str, int]]:
    """Codes, names and depth of all categories, each below the one that it belongs to."""
    out: list[tuple[str, str, int]] = []

    def down(index: int, depth: int) -> None:
        name = names.category(tree.codes[index], words.language)
        out.append((tree.codes[index], name[:1].upper() + name[1:], depth))
        for child in tree.children(index):
            down(child, depth + 1)

    down(0, 0)
    return out


def _days_around(look: Look) -> list[tuple[str, date]]:
    """Days to go to: a week or a day back and on, where there are any."""
    steps = (("week_back", -7), ("day_back", -1), ("day_on", 1), ("week_on", 7))
    return [(key, date_of(look.day + step)) for key, step in steps if look.oldest <= look.day + step <= look.newest]


def _lanes(
    service: Front, look: Look, words: Words, days: list[int], cells: list[Cell], found: Unusual, whole: Unusual,
    alerts: list[Alert], names: Names, *, everything: bool,
) -> Lanes:  # fmt: skip
    def bars(codes: set[str]) -> list[tuple[int, int, str, str]]:
        out = []
        for a in alerts:
            first, last = max(day_number(a.first_day), days[0]), min(max(day_number(a.last_day), day_number(a.opened_on)), days[-1])
            if codes & set(a.areas) and first <= last:
                out.append((first - days[0], last - days[0], a.alert_id, headline(a, names, words.language, look.date)))
        return out

    register = service.register
    rows = [("", words("lanes", "overall"), whole.step[:, 0], bars({register.municipality}))] if look.level else []
    quiet = 0
    for column, cell in enumerate(cells):
        held = {register.codes[i] for i in np.flatnonzero((register.ancestors == cell.place).any(axis=1)).tolist()}
        steps, own = found.step[:, column], bars(held)
        # Areas that stayed as usual all the time say so together; the order is the register's, never one by figures.
        if not everything and len(cells) > 12 and not own and not (np.abs(steps) >= 2).any():
            quiet += 1
            continue
        rows.append((cell.code, cell.name, steps, own))
    notes = day_calendar(service.settings).notes(days[0], days[-1])
    special = [(max(n.first, days[0]) - days[0], min(n.last, days[-1]) - days[0]) for n in notes if n.factor != "school"]
    return lanes_of(rows, [date_of(d) for d in days], special, quiet)


def visible(visitor: Visitor, code: str) -> bool:
    """Whether a visitor sees an area."""
    return not visitor.limited or code in visitor.areas
