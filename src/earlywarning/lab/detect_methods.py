"""What `detect` can apply: each method as a table of settings, the history it needs, and a function that judges steps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.bayes import BayesSettings, bayes
from earlywarning.core.detectors.cusum import CusumSettings, cusum
from earlywarning.core.detectors.ears import EarsSettings, ears
from earlywarning.core.detectors.farrington import Bounds, farrington_weeks
from earlywarning.core.detectors.farrington_1996 import Farrington1996Settings, farrington_1996
from earlywarning.core.detectors.farrington_settings import FarringtonSettings
from earlywarning.core.detectors.glm_in_r import glm_negative_binomial, glm_poisson, predict_in_r
from earlywarning.core.detectors.glr import GlrSettings, glr
from earlywarning.core.detectors.rki import RkiSettings, rki
from earlywarning.core.detectors.seasonal_regression import fit_poisson, harmonic_design, predict
from earlywarning.core.detectors.status import DetectorError, Status, status_text
from earlywarning.core.detectors.weekly import WeeklySettings, weekly

Floats = NDArray[np.float64]
_WEEKLY_NEEDS = 60  # steps: a year, and what is left out before a fit
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


class Table(NamedTuple):
    """What a method gets. counts: (series, all steps), NaN for not observed; steps: those to judge, from 0.

    population: (series, all steps) or None; expected: in-control means of charts, (series, judged steps) or None.
    """

    counts: Floats
    steps: Ints
    settings: Mapping[type, Any]
    population: Floats | None
    expected: Floats | None
    dates: Sequence[date] | None = None  # of all steps

    @property
    def observed(self) -> Floats:
        """The judged counts."""
        return self.counts[:, self.steps]


class Judged(NamedTuple):
    """(series, judged steps) each; NaN where a method has no such figure. status in words. score: above 1 is beyond the
    bound; of charts the statistic itself."""

    observed: Floats
    expectation: Floats
    upper_bound: Floats
    dispersion: Floats
    p_value: Floats
    score: Floats
    trend: Floats
    alarm: Floats
    status: NDArray[np.str_]


@dataclass(frozen=True)
class Method:
    """settings: the kinds of settings it takes; preset: values that its name stands for; needed: least steps of history."""

    settings: tuple[type, ...]
    preset: Mapping[str, Any]
    judge: Callable[[Table], Judged]
    needed: Callable[[Mapping[type, Any]], int]
    takes_expected: bool = False


@dataclass(frozen=True)
class ChartModel:
    """In-control model of a GLR chart, fitted to the steps before the judged ones: harmonics (S) and trend.

    alpha: variance = mu + alpha mu^2; None is estimated.
    """

    harmonics: int = 1
    trend: bool = False
    alpha: float | None = None
    frequency: int = 52

    def check(self) -> None:
        """Raises DetectorError naming what is out of range."""
        if not 0 <= self.harmonics <= self.frequency // 2:
            raise DetectorError(f"harmonics = {self.harmonics}: 0 to half of the {self.frequency} steps of a year")
        if self.alpha is not None and not self.alpha >= 0:
            raise DetectorError(f"alpha = {self.alpha}: the dispersion must not be negative")


@dataclass(frozen=True)
class CusumModel:
    """In-control mean of a CUSUM: the mean of the steps before, or a regression on one harmonic (glm)."""

    m: Literal["mean", "glm"] = "mean"
    frequency: int = 52


def _words(status: NDArray[Any]) -> NDArray[np.str_]:
    return np.asarray(np.array([status_text(k) for k in range(len(Status))])[status])


def _gaps(*figures: Floats) -> NDArray[np.str_]:
    missing = np.zeros(figures[0].shape, dtype=bool)
    for figure in figures:
        missing |= np.isnan(figure)
    return _words(np.where(missing, int(Status.MISSING), int(Status.OK)))


def _score(observed: Floats, expectation: Floats, bound: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bound > expectation, (observed - expectation) / (bound - expectation), np.nan)


def _none(like: Floats) -> Floats:
    return np.full(like.shape, np.nan)


def _from_bounds(found: Bounds) -> Judged:
    return Judged(
        found.observed, found.expectation, found.upper_bound, found.dispersion, found.p_value, found.score,
        found.trend.astype(np.float64), found.alarm.astype(np.float64), _words(found.status),
    )  # fmt: skip


def _farrington_flexible(table: Table) -> Judged:
    return _from_bounds(
        farrington_weeks(table.counts, table.steps, table.settings[FarringtonSettings], table.population, table.dates)
    )


def _farrington_1996(table: Table) -> Judged:
    return _from_bounds(farrington_1996(table.counts, table.steps, table.settings[Farrington1996Settings]))


def _ears(table: Table) -> Judged:
    chosen = table.settings[EarsSettings]
    begin = int(table.steps[0]) - chosen.steps_needed
    found = ears(table.counts[:, begin : int(table.steps[-1]) + 1], chosen)
    mean, sigma, upper, p, alarm = (np.asarray(v[:, table.steps - begin], dtype=np.float64) for v in found)
    with np.errstate(divide="ignore", invalid="ignore"):
        dispersion = np.where(mean > 0, sigma**2 / mean, np.nan)
    score = _score(table.observed, mean, upper)
    status = _gaps(upper, table.observed)
    return Judged(table.observed, mean, upper, dispersion, p, score, _none(mean), alarm, status)


def _bayes(table: Table) -> Judged:
    found = bayes(table.counts, table.steps, table.settings[BayesSettings])
    mean, upper, p, alarm = (np.asarray(v, dtype=np.float64) for v in found)
    score = _score(table.observed, mean, upper)
    return Judged(table.observed, mean, upper, _none(mean), p, score, _none(mean), alarm, _gaps(upper, table.observed))


def _rki(table: Table) -> Judged:
    found = rki(table.counts, table.steps, table.settings[RkiSettings])
    mean, sigma, upper, p, alarm = (np.asarray(v, dtype=np.float64) for v in found)
    with np.errstate(divide="ignore", invalid="ignore"):
        dispersion = np.where(mean > 0, sigma**2 / mean, np.nan)
    score = _score(table.observed, mean, upper)
    return Judged(table.observed, mean, upper, dispersion, p, score, _none(mean), alarm, _gaps(upper, table.observed))


def _whole(table: Table, name: str) -> Floats:
    """The history of a chart, without gaps in it or in the judged steps, which must follow each other."""
    first = int(table.steps[0])
    begin = first if table.expected is not None else 0
    gaps = np.isnan(table.counts[:, begin : int(table.steps[-1]) + 1])
    if gaps.any():
        i, step = np.argwhere(gaps)[0].tolist()
        raise DetectorError(f"series {i} has a gap in step {begin + step + 1}; {name} needs whole counts without gaps")
    return table.counts[:, :first]


def _in_control(table: Table, model: ChartModel, *, poisson: bool, compat: bool) -> tuple[Floats, Floats, Bools]:
    """Expectation of the judged steps, alpha of each series, and for which series there is a model at all."""
    history = _whole(table, "a chart")
    every = np.ones(len(table.counts), dtype=bool)
    given = None if model.alpha is None else np.full(len(table.counts), model.alpha)
    if table.expected is not None:
        if given is None and not poisson:
            raise DetectorError("alpha must be given with a table of expectations: set alpha, or let the chart fit both")
        return table.expected, np.zeros(len(table.counts)) if poisson or given is None else given, every
    before = harmonic_design(np.arange(1, len(history[0]) + 1), model.frequency, model.harmonics, model.trend)
    after = harmonic_design(table.steps + 1, model.frequency, model.harmonics, model.trend)
    if poisson or model.alpha == 0:
        fitted = glm_poisson(history, before) if compat else fit_poisson(history, before)
    else:
        fitted = glm_negative_binomial(history, before, given)  # to R's rule either way: it is near enough
    if compat:
        # A Poisson fit that has not settled is used in R; its negative binomial one stops there with an error.
        return predict_in_r(fitted, after), fitted.alpha, every if poisson or given is not None else fitted.converged
    # A series without any event expects half of one in its whole history, not none for ever.
    return np.maximum(predict(fitted, after), 0.5 / history.shape[1]), fitted.alpha, every


def _glr_with(*, poisson: bool) -> Callable[[Table], Judged]:
    def judge(table: Table) -> Judged:
        chosen, model = table.settings[GlrSettings], table.settings[ChartModel]
        mean, alpha, fitted = _in_control(table, model, poisson=poisson, compat=chosen.r_compat)
        chart = glr(table.observed, mean, chosen, alpha)
        upper = chart.cases if chosen.ret == "cases" else chart.statistic if chosen.r_compat else _none(mean)
        empty = (table.counts[:, : int(table.steps[0])].sum(1) == 0)[:, None] & (table.expected is None)
        status = np.where(empty, int(Status.NO_HISTORY), np.where(fitted[:, None], int(Status.OK), int(Status.NOT_CONVERGED)))
        status = np.broadcast_to(status, mean.shape)
        trend = _none(mean) if table.expected is not None else np.full(mean.shape, float(model.trend))
        return Judged(
            table.observed, mean, upper, 1 + alpha[:, None] * mean, _none(mean), chart.statistic, trend,
            (chart.alarm & fitted[:, None]).astype(np.float64), _words(status),
        )  # fmt: skip

    return judge


def _cusum(table: Table) -> Judged:
    chosen, model = table.settings[CusumSettings], table.settings[CusumModel]
    history = _whole(table, "a chart")
    if table.expected is not None:
        mean = table.expected
    elif model.m == "glm":
        harmonic = ChartModel(frequency=model.frequency)
        mean, _, _ = _in_control(table, harmonic, poisson=True, compat=chosen.r_compat)
    else:
        least = 0.0 if chosen.r_compat else 0.5 / history.shape[1]
        mean = np.repeat(np.maximum(history.mean(1), least)[:, None], len(table.steps), 1)
    chart = cusum(table.observed, mean, chosen)
    empty = (history.sum(1) == 0)[:, None] & (table.expected is None)
    status = np.where(np.isnan(chart.statistic) | empty, int(Status.NO_HISTORY), int(Status.OK))
    return Judged(
        table.observed, mean, chart.upper_bound, _none(mean), _none(mean), chart.statistic, _none(mean),
        chart.alarm.astype(np.float64), _words(status),
    )  # fmt: skip


def _needs(kind: type) -> Callable[[Mapping[type, Any]], int]:
    return lambda settings: int(settings[kind].steps_needed)


def _farrington_needs(settings: Mapping[type, Any]) -> int:
    chosen = settings[FarringtonSettings]
    return int(chosen.frequency * chosen.b + chosen.w)


def _chart_needs(settings: Mapping[type, Any]) -> int:
    """A year, and a few steps more than the model has coefficients."""
    model = settings.get(ChartModel)
    return int(model.frequency + 2 + 2 * model.harmonics) if model is not None else int(settings[CusumModel].frequency + 4)


def _weekly(table: Table) -> Judged:
    first, last = int(table.steps[0]), int(table.steps[-1]) + 1
    found = weekly(table.counts, first, last, table.settings[WeeklySettings])
    score = _score(found.observed, found.expectation, found.upper_bound)
    return Judged(
        found.observed, found.expectation, found.upper_bound, found.dispersion, found.p_value, score, found.trend,
        found.alarm.astype(np.float64), _words(found.status),
    )  # fmt: skip


METHODS: dict[str, Method] = {
    "baseline": Method((WeeklySettings,), {}, _weekly, lambda _: _WEEKLY_NEEDS),
    "farrington-flexible": Method((FarringtonSettings,), {}, _farrington_flexible, _farrington_needs),
    "farrington": Method((Farrington1996Settings,), {}, _farrington_1996, _needs(Farrington1996Settings)),
    **{
        f"ears-{c.lower()}": Method((EarsSettings,), {"method": c}, _ears, _needs(EarsSettings)) for c in ("C1", "C2", "C3")
    },
    "bayes": Method((BayesSettings,), {}, _bayes, _needs(BayesSettings)),
    **{
        f"bayes{n}": Method((BayesSettings,), {"b": b, "w": w, "act_y": y}, _bayes, _needs(BayesSettings))
        for n, (b, w, y) in enumerate([(0, 6, True), (1, 6, True), (2, 4, False)], start=1)
    },
    "rki": Method((RkiSettings,), {}, _rki, _needs(RkiSettings)),
    **{
        f"rki{n}": Method((RkiSettings,), {"b": b, "w": w, "act_y": y}, _rki, _needs(RkiSettings))
        for n, (b, w, y) in enumerate([(0, 6, True), (1, 6, True), (2, 4, False)], start=1)
    },
    "cusum": Method((CusumSettings, CusumModel), {}, _cusum, _chart_needs, takes_expected=True),
    "glr-pois": Method((GlrSettings, ChartModel), {"alpha": 0.0}, _glr_with(poisson=True), _chart_needs, takes_expected=True),
    "glr-nb": Method((GlrSettings, ChartModel), {}, _glr_with(poisson=False), _chart_needs, takes_expected=True),
}  # fmt: skip
