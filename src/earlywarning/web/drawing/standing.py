"""Where something stands: a ratio with its interval and goal on a line, and the counts behind it as bars."""

from collections.abc import Sequence
from datetime import date, timedelta
from math import isfinite, log
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.web.drawing.series import Mark, scale_of

WIDTH = 640  # units of both drawings
_LEFT, _RIGHT = 20, 20
_LEAST, _MOST = 0.1, 10.0  # ratios beyond are drawn at the edge
_TICKS = (1.0, 0.5, 2.0, 0.25, 4.0, 0.1, 10.0, 0.75, 1.5)  # those that stand first are kept where room is short
_APART = 96.0  # units between two ticks

_BARS_HEIGHT, _BARS_LEFT, _BARS_TOP, _BARS_BOTTOM = 190, 44, 10, 26


class Interval(NamedTuple):
    """x of the interval's ends, of the ratio, and of no change; goal: x of it and the field (x, width) that lies beyond it."""

    low: float
    high: float
    at: float
    same: float
    goal: float | None
    field: tuple[float, float] | None
    ticks: list[Mark]
    width: int = WIDTH
    left: int = _LEFT
    right: int = WIDTH - _RIGHT


class Bar(NamedTuple):
    """A bar; late: it begins after what is looked at began."""

    x: float
    y: float
    width: float
    height: float
    late: bool


class Columns(NamedTuple):
    """Bars with axes. base, goal: (x, width, y) of level lines; start: x of a day that is marked."""

    bars: list[Bar]
    y_marks: list[Mark]
    x_marks: list[Mark]
    base: tuple[float, float, float] | None
    goal: tuple[float, float, float] | None
    start: float | None
    width: int = WIDTH
    height: int = _BARS_HEIGHT
    left: int = _BARS_LEFT
    right: int = WIDTH - 8
    top: int = _BARS_TOP
    bottom: int = _BARS_HEIGHT - _BARS_BOTTOM


def interval_of(ratio: float, low: float, high: float, goal: float = float("nan"), *, fewer: bool = True) -> Interval | None:
    """A ratio on a logarithmic line; None where it is not known. fewer: what lies below the goal is wanted."""
    if not (isfinite(ratio) and isfinite(low) and isfinite(high)):
        return None
    known = [v for v in (ratio, low, high, goal) if isfinite(v)]
    first, last = max(min([0.5, *known]) * 0.9, _LEAST), min(max([2.0, *known]) * 1.1, _MOST)

    def x(value: float) -> float:
        held = min(max(value, first), last)
        return round(_LEFT + (WIDTH - _LEFT - _RIGHT) * log(held / first) / log(last / first), 1)

    ticks: list[Mark] = []
    for value in _TICKS:
        if first <= value <= last and all(abs(x(value) - t.at) >= _APART for t in ticks):
            ticks.append(Mark(x(value), value))
    field, at_goal = None, None
    if isfinite(goal):
        at_goal = x(goal)
        field = (_LEFT, round(at_goal - _LEFT, 1)) if fewer else (at_goal, round(WIDTH - _RIGHT - at_goal, 1))
    return Interval(x(low), x(high), x(ratio), x(1.0), at_goal, field, sorted(ticks, key=lambda t: t.at))


def columns_of(
    starts: Sequence[date],
    counts: NDArray[np.float64],
    weeks: int,
    begins: date,
    *,
    base: tuple[date, date, float] | None = None,
    goal: tuple[date, float] | None = None,
    mark: bool = False,
) -> Columns:
    """Bars of `weeks` weeks each. base: first and last day, and level per bar; goal: from which day, and level per bar.

    mark: the day `begins` is marked by a line.
    """
    levels = [v[-1] for v in (base, goal) if v is not None]
    step, most = scale_of(max([1.0, float(np.max(counts)), *levels]))
    first, last = starts[0], starts[-1] + timedelta(days=7 * weeks)
    span, right = (last - first).days, WIDTH - 8

    def x(day: date) -> float:
        part = min(max((day - first).days / span, 0.0), 1.0)
        return round(_BARS_LEFT + (right - _BARS_LEFT) * part, 1)

    def y(value: float) -> float:
        return round(_BARS_TOP + (_BARS_HEIGHT - _BARS_TOP - _BARS_BOTTOM) * (1 - value / most), 1)

    floor = _BARS_HEIGHT - _BARS_BOTTOM
    wide = round((right - _BARS_LEFT) / len(starts) * 0.84, 1)
    bars = [Bar(x(day), y(n), wide, round(floor - y(n), 1), day >= begins) for day, n in zip(starts, counts.tolist(), strict=True)]
    every = 3 if span < 900 else 6
    days = [date(year, month, 1) for year in range(first.year, last.year + 1) for month in range(1, 13, every)]
    return Columns(
        bars,
        [Mark(y(v), v) for v in np.arange(0, most + step / 2, step).tolist()],
        [Mark(x(day), 0, day) for day in days if first <= day <= last - timedelta(days=20)],
        None if base is None else (x(base[0]), round(x(base[1]) - x(base[0]), 1), y(base[2])),
        None if goal is None else (x(goal[0]), round(max(right - x(goal[0]), 8.0), 1), y(goal[1])),
        x(begins) if mark else None,
    )
