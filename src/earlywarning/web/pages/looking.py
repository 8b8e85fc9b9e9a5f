"""What a visitor looks at: level, category, kind of source, window and day, as the address says; and the counts for it."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from datetime import date
from threading import Lock
from typing import NamedTuple

import numpy as np
from litestar.datastructures import State
from markupsafe import Markup
from numpy.typing import NDArray

from earlywarning.core.alert_record import Alert
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import date_of, day_number
from earlywarning.core.categories import CategoryTree
from earlywarning.core.events import KINDS, ORIGINS
from earlywarning.core.known_events import KnownEvents, Question, at_level, below, daily_counts, recorded_share
from earlywarning.core.unusual import Unusual, reference_span, unusual
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.known import Known
from earlywarning.web.access import Visitor
from earlywarning.web.bodies import whole_number
from earlywarning.web.drawing.outlines import Town, town_of
from earlywarning.web.pages.frame import Asking

WINDOWS = (1, 7, 28)
_BODIES = 64  # drawn parts of pages that are kept, some 120 kB each
_REST = 5.0  # seconds for which figures of alerts stand, while events flow in
_OLDEST_ALERT = 200  # days: an alert does not stay open for longer


class Look(NamedTuple):
    """The choice. day: the last day of the windows; known_on: at whose close the events were known. newest, oldest: the days that
    may be chosen. latest: nothing earlier was asked for."""

    level: int
    category: int
    kind: int
    window: int
    day: int
    known_on: int
    oldest: int
    newest: int
    years: int
    origins: tuple[int, ...]

    @property
    def latest(self) -> bool:
        return self.day == self.newest

    @property
    def date(self) -> date:
        return date_of(self.day)

    def query(self, tree: CategoryTree, **other: object) -> dict[str, object]:
        """The address' fields for this choice, with some of them set otherwise."""
        day = "" if self.latest else self.date.isoformat()
        own = {
            "level": self.level,
            "category": tree.codes[self.category],
            "kind": KINDS[self.kind],
            "window": self.window,
            "day": day,
        }
        return {**own, **other}


class Told(NamedTuple):
    """What a drawn picture says of an open alert."""

    alert_id: str
    updated_on: date
    observed: float


class _Body(NamedTuple):
    """A drawn part of a page, what it was made of, and when (monotonic seconds)."""

    made_of: tuple[object, ...]
    told: tuple[Told, ...]
    at: float
    markup: Markup

    def stands(self, made_of: tuple[object, ...], told: tuple[Told, ...]) -> bool:
        """Whether it need not be drawn anew: alerts come and go at once, their figures rise at most every five seconds."""
        if any(a is not b for a, b in zip(self.made_of, made_of, strict=True)):
            return False
        same = [t.alert_id for t in self.told] == [t.alert_id for t in told]
        return self.told == told or (same and time.monotonic() - self.at < _REST)


class Drawn:
    """What is kept between requests: events in memory, and the map of the register in force."""

    def __init__(self, service: Front) -> None:
        self.known = Known(service)
        self._town: tuple[AreaRegister, Town | None] | None = None
        self._bodies: OrderedDict[Hashable, _Body] = OrderedDict()
        self._lock, self._drawing = Lock(), Lock()
        self._open: tuple[int, list[Alert]] = (-1, [])

    def open_alerts(self, service: Front) -> list[Alert]:
        """Alerts that are open now; read again when one may have changed."""
        news, held = service.store.news, self._open
        if held[0] != news:
            self._open = held = (news, service.store.alerts(municipality=service.register.municipality, states=("open",)))
        return held[1]

    def body(self, key: Hashable, made_of: tuple[object, ...], told: tuple[Told, ...], draw: Callable[[], Markup]) -> Markup:
        """A drawn part of a page, drawn anew when one of the values that it is made of is another one.

        One is drawn at a time. Who asks meanwhile for what was drawn before is shown that: many who wait would hold all threads.
        """
        kept = self._kept(key)
        if kept is not None and kept.stands(made_of, told):
            return kept.markup
        if not self._drawing.acquire(blocking=kept is None):
            assert kept is not None  # noqa: S101  # for the type checker
            return kept.markup
        try:
            kept = self._kept(key)
            if kept is None or not kept.stands(made_of, told):
                kept = _Body(made_of, told, time.monotonic(), draw())
                self._keep(key, kept)
            return kept.markup
        finally:
            self._drawing.release()

    def _kept(self, key: Hashable) -> _Body | None:
        with self._lock:
            if key in self._bodies:
                self._bodies.move_to_end(key)
            return self._bodies.get(key)

    def _keep(self, key: Hashable, body: _Body) -> None:
        with self._lock:
            self._bodies[key] = body
            while len(self._bodies) > _BODIES:
                self._bodies.popitem(last=False)

    def town(self, register: AreaRegister) -> Town | None:
        """The map; drawn anew when the register has changed."""
        if self._town is None or self._town[0] is not register:
            self._town = (register, town_of(register))
        return self._town[1]


def drawn_of(state: State) -> Drawn:
    """What is kept between requests of one application."""
    if "drawn" not in state:
        state.drawn = Drawn(state.service)
    drawn: Drawn = state.drawn
    return drawn


def look_of(request: Asking, service: Front, events: KnownEvents) -> Look | None:
    """The choice of a request; what is missing or not there becomes the usual. None where there are no events at all."""
    state = service.store.engine_state(service.register.municipality)
    if state is None or not len(events):
        return None
    asked, tree, register = request.query_params, service.tree, service.register
    today = state[0]
    oldest, newest = int(events.day[0]), max(today - 1, int(events.day[0]))
    day = newest
    with suppress(ValueError):
        day = min(max(day_number(date.fromisoformat(asked.get("day", ""))), oldest), newest)
    deepest = int(np.max(register.levels))
    level = _whole(asked.get("level"), range(deepest + 1), deepest)
    window = _whole(asked.get("window"), WINDOWS, 7)
    category = max(int(tree.resolve([asked.get("category", "")])[0]), 0)
    kind = KINDS.index(wanted) if (wanted := asked.get("kind", "")) in KINDS else _usual_kind(events)
    detection = service.settings.detection
    origins = tuple(ORIGINS.index(o) for o in detection.origins)
    known_on = today if day == newest else day
    return Look(level, category, kind, window, day, known_on, oldest, newest, min(detection.years, 5), origins)


def _whole(text: str | None, allowed: Sequence[int], usual: int) -> int:
    number = whole_number(text)
    return number if number is not None and number in allowed else usual


def _usual_kind(events: KnownEvents) -> int:
    """The kind of source that most of the newest events are of."""
    return int(np.argmax(np.bincount(events.kind[-20_000:], minlength=len(KINDS))))


def compared(
    events: KnownEvents, look: Look, column: NDArray[np.int64], tree: CategoryTree, days: NDArray[np.int64], window: int
) -> Unusual:
    """The windows that end on `days`, as known then, beside earlier years: (days, columns)."""
    asked = Question(column, below(tree, look.category), look.kind, look.origins, look.known_on)
    first = reference_span(int(days[0]), window, look.years)
    daily = daily_counts(events, asked, first, int(days[-1]))
    recorded = recorded_share(events, asked)
    age = look.known_on - (days[:, None] - np.arange(window)[None, :])  # of each day of each window
    share = recorded[np.clip(age, 0, len(recorded) - 1)].mean(axis=1)
    return unusual(daily, first, days, window, look.years, int(events.day[0]), share)


def column_of(register: AreaRegister, code: str) -> NDArray[np.int64]:
    """(areas,) 0 for an area and all in it, -1 for others."""
    index = int(register.resolve([code])[0])
    return np.where((register.ancestors == index).any(axis=1), 0, -1).astype(np.int64)


def columns_at(register: AreaRegister, level: int, visitor: Visitor) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Areas of a level that the visitor sees, and in which column the events of each area count."""
    areas, place = at_level(register, level)
    seen = np.array([not visitor.limited or register.codes[a] in visitor.areas for a in areas.tolist()], dtype=bool)
    number = np.where(seen, np.cumsum(seen) - 1, -1)
    return areas[seen], np.where(place >= 0, number[np.maximum(place, 0)], -1) if len(areas) else place


def alerts_then(service: Front, drawn: Drawn, look: Look, visitor: Visitor) -> list[Alert]:
    """Alerts that were open at the close of the day, as they were then; of the latest day, as they are."""
    own, day = service.register.municipality, look.date
    if look.latest:
        found = drawn.open_alerts(service)
    else:
        since = date_of(look.day - _OLDEST_ALERT)
        kept = service.store.alerts(municipality=own, since=since, until=day)
        told = [
            [h for h in service.store.history(a.alert_id) if h.on <= day]
            for a in kept
            if a.settled_on is None or a.settled_on > day
        ]
        found = [history[-1].alert for history in told if history and history[-1].alert.state == "open"]
    return [a for a in found if visitor.sees(a.areas)]
