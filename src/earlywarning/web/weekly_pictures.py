"""Weekly pictures as they were made last: making one takes seconds of one core, and many look at the same."""

import time
from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

from litestar.datastructures import State

from earlywarning.briefing import Audience, Briefing, BriefingError
from earlywarning.core.calendar import date_of
from earlywarning.core.iso_week import Week, parse_week, week_of
from earlywarning.locale import Language
from earlywarning.runtimes.front import Front
from earlywarning.runtimes.weekly_picture import picture_apart

_REST = 60.0  # seconds for which a picture stands while events flow in
_MOST = 12  # pictures that are kept, some 200 kB each

_Key = tuple[str, Language, Audience]


class _Made(NamedTuple):
    picture: Briefing
    commits: int
    settings: str
    at: float


class Pictures:
    """The pictures of one municipality. One is made at a time: whoever asks for the same meanwhile gets that one."""

    def __init__(self, front: Front) -> None:
        self._front = front
        self._made: OrderedDict[_Key, _Made] = OrderedDict()
        self._lock = Lock()

    def get(self, week: str, language: Language, audience: Audience = "group") -> Briefing:
        """The picture of a week such as 2026-W12, at most a minute old. Raises WeekError, BriefingError, StoreError."""
        front, key = self._front, (str(parse_week(week)), language, audience)
        with self._lock:
            kept, commits, version = self._made.get(key), front.store.commits, front.settings.version
            fresh = kept is not None and kept.settings == version
            if kept is None or not fresh or (kept.commits != commits and time.monotonic() - kept.at > _REST):
                picture = picture_apart(front.settings, front.store.url, key[0], language, audience)
                kept = self._made[key] = _Made(picture, commits, version, time.monotonic())
            self._made.move_to_end(key)
            while len(self._made) > _MOST:
                self._made.popitem(last=False)
            return kept.picture


def pictures_of(state: State) -> Pictures:
    """The pictures of one application."""
    if "pictures" not in state:
        state.pictures = Pictures(state.service)
    pictures: Pictures = state.pictures
    return pictures


def newest_week(service: Front) -> Week:
    """The newest week that is over, by the engine's clock. Raises BriefingError while the store is empty."""
    state = service.store.engine_state(service.register.municipality)
    if state is None:
        raise BriefingError("the store holds nothing yet; send events first")
    return week_of(date_of(state[0] - 6))
