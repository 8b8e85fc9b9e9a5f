"""The effect of an action with a start day: weekly counts before and after, against comparison areas.

With comparison areas: of all events of a week in both, which share fell in the action's areas? Season, holidays and whatever
else moves both alike cancel within the week. The odds of that share after the start, over those before, are the ratio
(after / before in the action's areas) / (after / before in comparison): difference in differences on the log scale. Without
comparison areas: a log-linear trend and season, with a step at the start. Bernal, Cummins & Gasparrini 2017, International
Journal of Epidemiology 46:348; Wooldridge 1999, Journal of Econometrics 90:77 (sums fixed per week).
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from earlywarning.core.dispersion import LEVEL, dispersion, likeness
from earlywarning.core.quasi_likelihood import Fit, Model, fit, profile_interval

Array = NDArray[np.float64]
YEAR = 52.18  # weeks
FEWEST_BEFORE, FEWEST_AFTER = 26, 8  # weeks
FEWEST_EVENTS = 10  # in each of the four cells that a ratio is made of; after in the action's areas: expected, not counted
_POWER = 0.80

Verdict = Literal["fewer", "more", "cannot-tell"]
Why = Literal["", "interval-holds-1", "too-few-weeks", "too-few-events", "not-parallel"]


class Effect(NamedTuple):
    """What the data say about an action.

    ratio, low, high: what happened over what would have come without it, with a 90 % interval; nan where it was not
    estimated. visible: the largest ratio below 1 that would have been seen four times in five. dispersion: variance over
    mean, neighbouring weeks' likeness included. treated, comparison: events before and after; weeks: before and after.
    drift: how the ratio to comparison changed per year before the start, with its interval (nan where not looked for).
    method: "comparison" or "own past".
    """

    verdict: Verdict
    why: Why
    ratio: float
    low: float
    high: float
    visible: float
    dispersion: float
    weeks: tuple[int, int]
    treated: tuple[float, float]
    comparison: tuple[float, float]
    drift: tuple[float, float, float]
    method: Literal["comparison", "own past"]


def effect(treated: Array, comparison: Array | None, after: NDArray[np.bool_], level: float = LEVEL) -> Effect:
    """Estimate a step at the start. treated, comparison: (weeks,) counts, the oldest first; after: (weeks,) whether the
    action ran. Weeks that are partly before and partly after must be left out by the caller, at no cost but their own."""
    weeks = (int((~after).sum()), int(after.sum()))
    cells = _cells(treated, after)
    others = (np.nan, np.nan) if comparison is None else _cells(comparison, after)
    method: Literal["comparison", "own past"] = "own past" if comparison is None else "comparison"
    told = Effect("cannot-tell", "", np.nan, np.nan, np.nan, np.nan, np.nan, weeks, cells, others, (np.nan,) * 3, method)
    if weeks[0] < FEWEST_BEFORE or weeks[1] < FEWEST_AFTER:
        return told._replace(why="too-few-weeks")
    if comparison is None and weeks[0] < YEAR:
        return told._replace(why="too-few-weeks")  # a step could not be told from a season
    without = cells[0] * (weeks[1] / weeks[0] if comparison is None else others[1] / max(others[0], 1.0))
    if min(cells[0], without, *(others if comparison is not None else ())) < FEWEST_EVENTS:
        return told._replace(why="too-few-events")

    model = _model(treated, comparison, after)
    best = fit(model)
    spread, free = _spread(model, best)
    low, high = profile_interval(model, best, 0, spread, free, level)
    error = float(np.sqrt(best.covariance[0, 0] * spread))
    reach = float(stats.t.isf((1 - level) / 2, free)) + float(stats.norm.ppf(_POWER))
    told = told._replace(
        ratio=float(np.exp(best.coefficients[0])), low=float(np.exp(low)), high=float(np.exp(high)),
        visible=float(np.exp(-reach * error)), dispersion=spread,
    )  # fmt: skip
    if comparison is not None:
        told = told._replace(drift=_drift(treated, comparison, after, level))
        if told.drift[1] > 1 or told.drift[2] < 1:
            return told._replace(why="not-parallel")
    if told.high < 1:
        return told._replace(verdict="fewer")
    if told.low > 1:
        return told._replace(verdict="more")
    return told._replace(why="interval-holds-1")


def _cells(counts: Array, after: NDArray[np.bool_]) -> tuple[float, float]:
    return float(counts[~after].sum()), float(counts[after].sum())


def _model(treated: Array, comparison: Array | None, after: NDArray[np.bool_]) -> Model:
    """Column 0 is the step. Two years before the start let the season of the share be told from a step."""
    n = len(treated)
    season = [f(2 * np.pi * np.arange(n) / YEAR) for f in (np.sin, np.cos)]
    if comparison is None:
        trend = (np.arange(n) - n / 2) / YEAR
        return Model(treated, np.column_stack([after.astype(float), np.ones(n), trend, *season]))
    columns = [after.astype(float), np.ones(n)]
    if (~after).sum() >= 2 * YEAR - 1:
        columns += season
    return Model(treated, np.column_stack(columns), treated + comparison)


def _spread(model: Model, best: Fit) -> tuple[float, float]:
    """Dispersion with the likeness of neighbouring weeks, and how many degrees of freedom it rests on."""
    residuals = model.y - best.mean
    parameters = model.x.shape[1]
    return dispersion(residuals, best.variance, parameters) * likeness(residuals), float(len(residuals) - parameters)


def _drift(treated: Array, comparison: Array, after: NDArray[np.bool_], level: float) -> tuple[float, float, float]:
    """Yearly ratio by which the share's odds changed before the start: if it moved then, a step proves little."""
    y, z = treated[~after], comparison[~after]
    n = len(y)
    columns = [(np.arange(n) - n / 2) / YEAR, np.ones(n)]
    if n >= 2 * YEAR - 1:
        columns += [f(2 * np.pi * np.arange(n) / YEAR) for f in (np.sin, np.cos)]
    model = Model(y, np.column_stack(columns), y + z)
    best = fit(model)
    spread, free = _spread(model, best)
    low, high = profile_interval(model, best, 0, spread, free, level)
    return float(np.exp(best.coefficients[0])), float(np.exp(low)), float(np.exp(high))
