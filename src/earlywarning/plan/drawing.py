"""The series of a priority or an action as an SVG picture, with the words that stand in for it."""

import io
from datetime import date, timedelta
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from earlywarning.core.calendar import day_number
from earlywarning.locale.catalogue import number_words
from earlywarning.plan.bars import Bars, action_bars, priority_bars, priority_levels
from earlywarning.plan.figures import goal_kind
from earlywarning.plan.record import ActionFigures, PriorityFigures
from earlywarning.plan.words import Teller, say

_INK, _SOFT, _BAR, _LATE = "#1a1a1a", "#5a5a5a", "#7a97b8", "#1f4e79"


class Picture(NamedTuple):
    """svg: the picture; caption: what its lines are; alt: what it shows, for those who do not see it."""

    svg: str
    caption: str
    alt: str


def draw_priority(figures: PriorityFigures, name: str, tell: Teller) -> Picture | None:
    """The counts since the baseline began; None where every length of bar would show a count too small to be shown."""
    goal = figures.priority.goal
    bars = priority_bars(figures, tell)
    if bars is None:
        return None
    figure, axes = _canvas()
    late = [day >= goal.target_first for day in bars.starts]
    _draw(axes, bars, late)
    base, aim = priority_levels(figures, bars, tell)
    after = _x(bars.starts[-1]) + 7 * bars.weeks
    if not np.isnan(base):
        axes.hlines(base, _x(goal.baseline_first), after, color=_INK, ls="--", lw=1.1)
    if not np.isnan(aim):
        axes.hlines(aim, _x(goal.target_first), max(after, _x(goal.target_first) + 56), color=_INK, ls=":", lw=2.0)
    unit = say(tell.language, "unit", goal_kind(figures.priority))
    caption = say(
        tell.language, "text", "figure_priority", name=name, unit=unit, length=say(tell.language, "text", f"length_{bars.weeks}")
    )
    return _finished(figure, bars, caption, tell)


def draw_action(figures: ActionFigures, name: str, tell: Teller) -> Picture | None:
    """The counts of the action's areas, and those of comparison brought to their level before the start."""
    begins = day_number(figures.action.begins)
    first = max(begins - 7 * 104, figures.counts.first_day)
    bars = action_bars(figures, tell)
    if bars is None:
        return None
    figure, axes = _canvas()
    _draw(axes, bars, [day >= figures.action.begins for day in bars.starts])
    if figures.others is not None:
        mine, theirs = (float(c.between(first, begins - 1).sum()) for c in (figures.counts, figures.others))
        if theirs > 0:
            sums = [tell.step(float(figures.others.between(d, d + 7 * bars.weeks - 1).sum())) for d in map(day_number, bars.starts)]
            middle = [_x(day) + 3.5 * bars.weeks for day in bars.starts]
            axes.plot(middle, np.array(sums) * mine / theirs, color=_INK, lw=1.2)
    axes.axvline(_x(figures.action.begins), color=_INK, lw=1.4)
    unit = say(tell.language, "unit", figures.action.kind)
    length = say(tell.language, "text", f"length_{bars.weeks}")
    return _finished(figure, bars, say(tell.language, "text", "figure_action", name=name, unit=unit, length=length), tell)


def _x(day: date) -> float:
    return float(day_number(day))


def _canvas() -> tuple[Figure, matplotlib.axes.Axes]:
    figure = Figure(figsize=(7.0, 2.3), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, color=_SOFT, labelcolor=_INK)
    return figure, axes


def _draw(axes: matplotlib.axes.Axes, bars: Bars, late: list[bool]) -> None:
    width = 7 * bars.weeks
    colours = [_LATE if after else _BAR for after in late]
    axes.bar([_x(d) for d in bars.starts], bars.counts, width=width * 0.86, align="edge", color=colours)
    axes.set_ylim(0, max(float(bars.counts.max()) * 1.15, 1.0))
    first, last = bars.starts[0], bars.starts[-1] + timedelta(days=width)
    axes.set_xlim(_x(first), _x(last))
    months = 3 if (last - first).days < 900 else 6
    ticks = [date(y, m, 1) for y in range(first.year, last.year + 1) for m in range(1, 13, months)]
    ticks = [t for t in ticks if first <= t <= last]
    axes.set_xticks([_x(t) for t in ticks], [f"{t:%Y-%m}" for t in ticks])
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))


def _finished(figure: Figure, bars: Bars, caption: str, tell: Teller) -> Picture:
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "earlywarning", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    low, high, latest = (number_words(float(n), tell.language, 0) for n in (bars.counts.min(), bars.counts.max(), bars.counts[-1]))
    last = bars.starts[-1] + timedelta(days=7 * bars.weeks - 1)
    alt = say(
        tell.language, "text", "alt", caption=caption, first=bars.starts[0].isoformat(), last=last.isoformat(), low=low, high=high,
        latest=latest,
    )  # fmt: skip
    return Picture(buffer.getvalue(), caption, alt)
