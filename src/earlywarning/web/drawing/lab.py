"""The lab's drawings: alerts by week of two settings, one above and one below a line; events found against other alerts."""

from collections.abc import Sequence
from datetime import date, timedelta
from math import log
from typing import NamedTuple

from earlywarning.lab.bench import CurvePoint, WeekCount
from earlywarning.web.drawing.series import Mark, scale_of

WIDTH = 720
_LEFT, _RIGHT, _HALF, _TOP, _BOTTOM = 34, 8, 84, 10, 24
_MOST_BARS = 110  # more weeks than that are drawn four together
_CURVE = (46, 14, 16, 40)  # left, right, top, bottom
_CURVE_HEIGHT = 260
_LEAST = 0.02  # alerts a week: what is less is drawn there


class WeekBar(NamedTuple):
    """A bar from the middle line, upwards or downwards."""

    x: float
    y: float
    width: float
    height: float


class Weeks(NamedTuple):
    """weeks: that one bar holds; rows: first day, judged days, alerts today and tried, of each bar."""

    today: list[WeekBar]
    tried: list[WeekBar]
    y_marks: list[Mark]
    x_marks: list[Mark]
    weeks: int
    rows: list[tuple[date, int, int, int]]
    middle: int = _TOP + _HALF
    width: int = WIDTH
    height: int = _TOP + 2 * _HALF + _BOTTOM
    left: int = _LEFT
    right: int = WIDTH - _RIGHT
    bottom: int = _TOP + 2 * _HALF


class Dot(NamedTuple):
    """A budget on the curve; low, high: y of the interval's ends."""

    x: float
    y: float
    low: float
    high: float
    budget: float
    label: bool


class Curve(NamedTuple):
    """path: through the dots; today, tried: (x, y) of these settings, None where nothing is known."""

    dots: list[Dot]
    path: str
    x_marks: list[Mark]
    y_marks: list[Mark]
    today: tuple[float, float] | None
    tried: tuple[float, float] | None
    width: int = WIDTH
    height: int = _CURVE_HEIGHT
    left: int = _CURVE[0]
    right: int = WIDTH - _CURVE[1]
    top: int = _CURVE[2]
    bottom: int = _CURVE_HEIGHT - _CURVE[3]


def weeks_of(today: Sequence[WeekCount], tried: Sequence[WeekCount]) -> Weeks:
    """Both by week; they are of the same weeks."""
    together = 1 if len(today) <= _MOST_BARS else 4
    rows = []
    for at in range(0, len(today), together):
        one, other = today[at : at + together], tried[at : at + together]
        rows.append((one[0].monday, sum(w.days for w in one), sum(w.alerts for w in one), sum(w.alerts for w in other)))
    step, most = scale_of(max([1.0, *(float(max(r[2], r[3])) for r in rows)]))
    step = max(step, 1.0)
    wide = (WIDTH - _RIGHT - _LEFT) / max(len(rows), 1)
    middle = _TOP + _HALF

    def tall(n: int) -> float:
        return round(_HALF * n / most, 1)

    def x(i: float) -> float:  # i: bars from the left
        return round(_LEFT + wide * i, 1)

    width = round(wide * 0.8, 1)
    marks = [step * i for i in range(1, int(most / step) + 1)]
    first, last = rows[0][0], rows[-1][0] + timedelta(weeks=together)
    every = 1 if (last - first).days < 250 else 3 if (last - first).days < 900 else 6
    days = [date(year, month, 1) for year in range(first.year, last.year + 1) for month in range(1, 13, every)]
    return Weeks(
        [WeekBar(x(i), middle - tall(r[2]), width, tall(r[2])) for i, r in enumerate(rows) if r[2]],
        [WeekBar(x(i), middle, width, tall(r[3])) for i, r in enumerate(rows) if r[3]],
        [Mark(round(middle + sign * _HALF * v / most, 1), v) for v in marks for sign in (-1, 1)],
        [
            Mark(x((day - first).days / 7 / together), 0, day)
            for day in days
            if first <= day <= last - timedelta(days=7)
        ],
        together, rows,
    )  # fmt: skip


def curve_of_points(points: Sequence[CurvePoint], sides: Sequence[tuple[float, float, int]]) -> Curve:
    """The curve, and where today's and the tried settings stand: (other alerts a week, share found, events judged) of each."""
    left, right, top, bottom = _CURVE
    rates = [max(p.others_per_week, _LEAST) for p in points] + [max(s[0], _LEAST) for s in sides if s[2]]
    low, high = min(rates) * 0.8, max(rates) * 1.25

    def x(rate: float) -> float:
        return round(left + (WIDTH - left - right) * log(max(rate, _LEAST) / low) / log(high / low), 1)

    def y(share: float) -> float:
        return round(top + (_CURVE_HEIGHT - top - bottom) * (1 - share), 1)

    dots: list[Dot] = []
    shown = -100.0
    for p in points:
        at = x(p.others_per_week)
        label = at - shown >= 34
        shown = at if label else shown
        dots.append(Dot(at, y(p.share), y(p.low), y(p.high), p.budget, label))
    ticks: list[Mark] = []
    for value in (1.0, 0.1, 10.0, 0.5, 5.0, 0.2, 2.0, 20.0, 0.05, 0.02):
        if low <= value <= high and all(abs(x(value) - t.at) >= 60 for t in ticks):
            ticks.append(Mark(x(value), value))
    here = [(x(s[0]), y(s[1])) if s[2] else None for s in sides]
    path = "M" + "L".join(f"{d.x} {d.y}" for d in dots)
    return Curve(dots, path, ticks, [Mark(y(v / 4), v / 4) for v in range(5)], here[0], here[1])
