"""Swim lanes: a lane for each area, a step for each day, so that a tendency can be seen to begin, to stay and to spread."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

STEP, ROW, GAP, NAMES, TOP = 21, 20, 10, 200, 34  # units of the drawing; the names are a drawing of their own, that stays


class Run(NamedTuple):
    """Days in a row of one step: from x, so wide."""

    x: int
    width: int
    step: int


class Bar(NamedTuple):
    """An alert over a lane: from x, so wide; goes_on: it was not over on the last day."""

    x: int
    width: int
    alert_id: str
    words: str


class Lane(NamedTuple):
    """One area."""

    y: int
    code: str
    name: str
    runs: list[Run]
    bars: list[Bar]


class Tick(NamedTuple):
    """A day that is named under the axis."""

    x: int
    day: date


class Lanes(NamedTuple):
    """The drawing. free: x of days that are unlike others."""

    lanes: list[Lane]
    width: int
    height: int
    ticks: list[Tick]
    free: list[tuple[int, int]]
    quiet: int
    names: int = NAMES


def runs_of(steps: NDArray[np.int8]) -> list[Run]:
    """Runs of equal steps other than 0. steps: (days,)."""
    out = []
    edges = np.flatnonzero(np.diff(np.concatenate([[np.int8(99)], steps, [np.int8(99)]]).astype(np.int16)))
    for begin, end in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if steps[begin]:
            out.append(Run(begin * STEP, (end - begin) * STEP - 1, int(steps[begin])))
    return out


def lanes_of(
    rows: Sequence[tuple[str, str, NDArray[np.int8], list[tuple[int, int, str, str]]]],
    days: Sequence[date],
    special: Sequence[tuple[int, int]],
    quiet: int,
) -> Lanes:
    """rows: code, name, steps (days,), alerts as (first, last place of a day, id, words); the overall lane first."""
    lanes = []
    for n, (code, name, steps, alerts) in enumerate(rows):
        y = TOP + n * ROW + (GAP if n else 0)
        bars = [Bar(a * STEP, (b - a + 1) * STEP - 1, alert_id, words) for a, b, alert_id, words in alerts]
        lanes.append(Lane(y, code, name, runs_of(steps), bars))
    ticks = [Tick(i * STEP, day) for i, day in enumerate(days) if day.weekday() == 0]
    free = [(a * STEP, (b - a + 1) * STEP) for a, b in special]
    return Lanes(lanes, len(days) * STEP + 2, TOP + len(rows) * ROW + GAP + 6, ticks, free, quiet)
