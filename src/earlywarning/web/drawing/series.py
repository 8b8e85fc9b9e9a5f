"""A series as a chart: counts of a rolling window, what was expected, where nineteen of twenty lie, alarms, earlier years."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 960, 310, 44, 12, 26, 30


class Span(NamedTuple):
    """Days in a row: from x, so wide, and what they are."""

    x: float
    width: float
    words: str
    key: str = ""


class Mark(NamedTuple):
    """A number on an axis: where, and what it says."""

    at: float
    value: float
    day: date | None = None


class Chart(NamedTuple):
    """Paths and marks in units of the drawing. tail: the newest days, of which not all is recorded yet."""

    observed: str
    tail: str
    expected: str
    band: str
    earlier: list[tuple[int, str]]
    alarms: list[Span]
    special: list[Span]
    y_marks: list[Mark]
    x_marks: list[Mark]
    width: int = WIDTH
    height: int = HEIGHT
    bottom: int = HEIGHT - BOTTOM
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP


def chart_of(
    days: Sequence[date],
    observed: Floats,
    expected: Floats,
    low: Floats,
    high: Floats,
    earlier: Sequence[tuple[int, Floats]],
    alarms: Sequence[tuple[int, int, str, str]],
    special: Sequence[tuple[int, int, str]],
    unfinished: int,
) -> Chart:
    """All arrays (days,), NaN where there is nothing. alarms: (first, last place, words, alert id); special: (first, last place,
    words). unfinished: how many of the last days are not complete yet."""
    tops = [np.nanmax(a) if np.isfinite(a).any() else 0.0 for a in (observed, high, *(values for _, values in earlier))]
    step, most = scale_of(max([1.0, *map(float, tops)]))
    wide = (WIDTH - LEFT - RIGHT) / max(len(days) - 1, 1)

    def x(i: float) -> float:
        return round(LEFT + i * wide, 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / most), 1)

    def line(values: Floats, begin: int = 0, end: int | None = None) -> str:
        path, pen = [], False
        for i in range(begin, len(values) if end is None else end):
            if np.isnan(values[i]):
                pen = False
                continue
            path.append(f"{'L' if pen else 'M'}{x(i):g} {y(values[i]):g}")
            pen = True
        return "".join(path)

    real = np.flatnonzero(np.isfinite(high) & np.isfinite(low)).tolist()
    band = ""
    if real:
        up = " ".join(f"{x(i):g} {y(high[i]):g}" for i in real)
        down = " ".join(f"{x(i):g} {y(low[i]):g}" for i in reversed(real))
        band = f"M{up} {down}z"
    cut = len(days) - unfinished
    return Chart(
        observed=line(observed, 0, max(cut, 1)),
        tail=line(observed, max(cut - 1, 0)) if unfinished else "",
        expected=line(expected),
        band=band,
        earlier=[(back, line(values)) for back, values in earlier],
        alarms=[Span(x(a), max(round((b - a) * wide, 1), 3.0), words, key) for a, b, words, key in alarms],
        special=[Span(x(a), max(round((b - a + 1) * wide, 1), 2.0), words) for a, b, words in special],
        y_marks=[Mark(y(v), v) for v in np.arange(0, most + step / 2, step).tolist()],
        x_marks=[Mark(x(i), i, day) for i, day in enumerate(days) if day.day == 1],
    )


def scale_of(most: float) -> tuple[float, float]:
    """Distance of the marks, and the axis' end: three to six whole steps of 1, 2 or 5."""
    for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000):
        if most <= step * 5:
            return float(step), float(step * max(int(np.ceil(most / step)), 1))
    return most, most


def bars_of(
    days: Sequence[tuple[date, float]], first: date, last: date, width: int = 160, height: int = 36
) -> list[tuple[float, float, float, float]]:
    """A small series of days as (x, y, width, height) of bars, for a card."""
    span = (last - first).days + 1
    most = max([1.0, *(n for _, n in days)])
    wide = width / span
    bars = []
    for day, n in days:
        if first <= day <= last and n > 0:
            x, tall = (day - first).days * wide, height * n / most
            bars.append((round(x, 1), round(height - tall, 1), round(min(max(wide * 0.85, 1.2), width / 11), 1), round(tall, 1)))
    return bars
