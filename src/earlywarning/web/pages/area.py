"""The area page: one area's series with expectation, bound, alarms, earlier years and holidays, and the table behind it."""

from datetime import date

import numpy as np
from litestar import Response, get
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.events import KINDS
from earlywarning.core.known_events import Question, below, recorded_share
from earlywarning.core.unusual import YEAR, usual_range
from earlywarning.locale import Names, headline
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.runtimes.front import Front
from earlywarning.web.access_log import log_of
from earlywarning.web.drawing.series import chart_of
from earlywarning.web.pages.frame import Asking, Words, language_of, render
from earlywarning.web.pages.looking import WINDOWS, column_of, compared, drawn_of, look_of
from earlywarning.web.pages.picture import category_choices, visible

_SHOWN = 182  # days
_COMPLETE = 0.95  # share of a window's events from which it is drawn as complete


@get("/areas/{code:str}", include_in_schema=False, sync_to_thread=True)
def area_page(request: Asking, state: State, code: FromPath[str]) -> Response[bytes]:
    """Half a year of one area. Raises NotFoundException for an area that is not there, or not the visitor's to see."""
    service: Front = state.service
    register, tree = service.register, service.tree
    if code not in register.codes or not visible(request.user, code):
        raise NotFoundException
    log_of(state).note(request.user, "viewed-area", f"area:{code}")
    drawn = drawn_of(state)
    events = drawn.known.events()
    look = look_of(request, service, events)
    if look is None:
        return render(request, "picture_empty.html", here="picture")
    language = language_of(request)
    words = Words(language, service.settings.municipality.timezone)
    names = Names.from_registers(register, tree)
    index = int(register.resolve([code])[0])
    column = column_of(register, code)
    days = np.arange(max(look.day - _SHOWN + 1, look.oldest), look.day + 1)
    found = compared(events, look, column, tree, days, look.window)
    low, high = usual_range(found, 0, slice(None))
    back = []
    for years in (1, 2):
        before = days - years * YEAR
        values = compared(events, look, column, tree, before, look.window).observed[:, 0]
        back.append((years, np.where(before - look.window + 1 >= look.oldest, values, np.nan)))
    held = {register.codes[i] for i in np.flatnonzero(column >= 0).tolist()}
    codes = {tree.codes[i] for i in np.flatnonzero(below(tree, look.category)).tolist()}
    kept = service.store.alerts(municipality=register.municipality, since=date_of(int(days[0]) - 60), until=look.date)
    about = [
        a for a in kept
        if held & set(a.areas) and (codes & set(a.categories)) and request.user.sees(a.areas) and a.state != "withdrawn"
    ]  # fmt: skip
    alarms = [
        (max(day_number(a.first_day), int(days[0])) - int(days[0]), min(day_number(a.last_day), look.day) - int(days[0]),
         headline(a, names, language, look.date), a.alert_id)
        for a in about if day_number(a.last_day) >= days[0] and a.kind == KINDS[look.kind]
    ]  # fmt: skip
    side = 0 if language == "sv" else 1
    notes = [n for n in day_calendar(service.settings).notes(int(days[0]), look.day, [code]) if n.factor != "school"]
    special = [(max(n.first - int(days[0]), 0), min(n.last, look.day) - int(days[0]), n.names[side] or n.kind[side]) for n in notes]
    asked = Question(column, below(tree, look.category), look.kind, look.origins, look.known_on)
    chart = chart_of(
        [date_of(d) for d in days.tolist()], found.observed[:, 0], found.expected[:, 0], low, high, back,
        alarms, special, _unfinished(recorded_share(events, asked), look.known_on - look.day, look.window),
    )  # fmt: skip
    rows = [
        (date_of(d), found.observed[i, 0], found.expected[i, 0], low[i], high[i], int(found.step[i, 0]))
        for i, d in reversed(list(enumerate(days.tolist())))
        if (look.day - d) % look.window == 0 and (look.day - d) // look.window < 30
    ]  # fmt: skip
    inside = [(register.codes[i], register.names[i]) for i in register.children(index)]
    above = [(register.codes[a], register.names[a]) for a in reversed(register.ancestors[index].tolist()) if a >= 0 and a != index]
    return render(
        request, "area.html", here="picture", code=code, name=register.names[index], look=look, chart=chart, rows=rows,
        category_name=names.category(tree.codes[look.category], language), kind=KINDS[look.kind], windows=WINDOWS,
        categories=category_choices(tree, names, words), kinds=[k for i, k in enumerate(KINDS) if (events.kind == i).any()],
        alerts=[(a, headline(a, names, language, look.date)) for a in about], query=look.query(tree), town=drawn.town(register),
        held=sorted(register.resolve(sorted(held)).tolist()), inside=inside if len(inside) <= 80 else [],
        above=[a for a in above if visible(request.user, a[0])], years=int(found.years[-1]), unfinished=chart.tail != "",
        newest=date_of(look.newest), oldest=date_of(look.oldest), index=index,
        neighbours=[(register.codes[n], register.names[n]) for n in register.neighbours[index]
                    if visible(request.user, register.codes[n])],
        observed=float(found.observed[-1, 0]), expected=float(found.expected[-1, 0]), low=float(low[-1]),
        high=float(high[-1]), step=int(found.step[-1, 0]), first_date=_first(look.date, look.window),
    )  # fmt: skip


def _first(last: date, window: int) -> date:
    return date.fromordinal(last.toordinal() - window + 1)


def _unfinished(recorded: np.ndarray[tuple[int], np.dtype[np.float64]], age: int, window: int) -> int:
    """How many of the newest windows still lack more than one in twenty of their events."""
    for n in range(len(recorded)):
        ages = np.clip(age + n + np.arange(window), 0, len(recorded) - 1)
        if recorded[ages].mean() >= _COMPLETE:
            return n
    return len(recorded)
