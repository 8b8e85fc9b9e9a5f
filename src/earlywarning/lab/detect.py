"""Any method on any table of counts: what an analyst would otherwise open R for.

Methods and settings go by R's names (surveillance) and by our own: each method is a table of settings and a function that
judges steps.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.bayes import BayesSettings, bayes
from earlywarning.core.detectors.cusum import CusumSettings, cusum
from earlywarning.core.detectors.ears import EarsSettings, ears
from earlywarning.core.detectors.farrington import FarringtonSettings, farrington_flexible
from earlywarning.core.detectors.glr import GlrSettings, glr
from earlywarning.core.detectors.seasonal_regression import (
    fit_negative_binomial,
    fit_poisson,
    harmonic_design,
    predict,
)
from earlywarning.core.detectors.status import DetectorError, Status, status_text

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
COLUMNS = ("series", "t", "observed", "expectation", "upper_bound", "dispersion", "p_value", "score", "trend", "alarm", "status")
# R's names for settings, where ours differ.
_ALIASES = {
    "noPeriods": "no_periods", "pastWeeksNotIncluded": "past_weeks_not_included", "weightsThreshold": "weights_threshold",
    "pThresholdTrend": "p_threshold_trend", "limit54": "limit", "thresholdMethod": "threshold_method",
    "powertrans": "power_transform", "populationOffset": "population_offset", "minSigma": "min_sigma", "actY": "act_y",
    "c.ARL": "threshold", "M": "window", "Mtilde": "shortest", "trans": "transform", "freq": "frequency", "S": "harmonics",
}  # fmt: skip


_NAMES = {
    "farringtonFlexible": "farrington-flexible", "farrington_flexible": "farrington-flexible", "earsC1": "ears-c1",
    "earsC2": "ears-c2", "earsC3": "ears-c3", "glrpois": "glr-pois", "glr-poisson": "glr-pois", "glrnb": "glr-nb",
    "glr-negative-binomial": "glr-nb",
}  # fmt: skip


class Judged(NamedTuple):
    """(series, judged steps) each; NaN where a method has no such figure. status in words."""

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
class _ChartSettings:
    """Of the in-control model of a chart: harmonics (S) and trend; alpha given, or found (None)."""

    harmonics: int = 1
    trend: bool = True
    alpha: float | None = None
    frequency: int = 52


@dataclass(frozen=True)
class Method:
    """settings: the kinds of settings it takes. judge(counts, steps, settings, population) -> Judged. needed: least steps."""

    settings: tuple[type, ...]
    preset: Mapping[str, Any]
    judge: Callable[[Floats, Ints, Mapping[type, Any], Floats | None], Judged]
    needed: Callable[[Mapping[type, Any]], int]


def method_names() -> tuple[str, ...]:
    """All methods, by name."""
    return tuple(METHODS)


def detect(
    name: str,
    counts: Floats,
    first: int | None = None,
    last: int | None = None,
    given: Sequence[str] = (),
    population: Floats | None = None,
    frequency: int = 52,
) -> tuple[Judged, Ints]:
    """Apply a method to steps first..last (from 1; default: all with enough history). given: settings as name=value.

    Returns the figures and the steps (from 1). Raises DetectorError for unknown names, values out of range, and counts
    that the method cannot work with.
    """
    name = _NAMES.get(name, name)
    if name not in METHODS:
        close = difflib.get_close_matches(name, METHODS, 1, 0.4)
        hint = f"did you mean {close[0]}? " if close else ""
        raise DetectorError(f"there is no method {name!r}; {hint}methods are {', '.join(METHODS)}")
    method = METHODS[name]
    settings = read_settings(method, given, frequency)
    needed = method.needed(settings)
    begin, stop = (needed if first is None else first - 1), (counts.shape[1] if last is None else last)
    if not 0 <= begin < stop <= counts.shape[1]:
        raise DetectorError(
            f"steps {begin + 1}:{stop} do not lie in the table of {counts.shape[1]} steps"
            + (f"; {name} needs {needed} steps of history" if begin >= counts.shape[1] else "")
        )
    if begin < needed:
        raise DetectorError(f"step {begin + 1} has {begin} steps of history; {name} needs {needed} with these settings")
    steps = np.arange(begin, stop)
    return method.judge(counts, steps, settings, population), steps + 1


def read_settings(method: Method, given: Sequence[str], frequency: int) -> dict[type, Any]:
    """Settings of a method from name=value texts, R's names or ours. Raises DetectorError naming the setting."""
    owner = {f.name: kind for kind in method.settings for f in fields(kind)}
    values: dict[type, dict[str, Any]] = {kind: {} for kind in method.settings}
    for kind in method.settings:
        own = {f.name for f in fields(kind)}
        values[kind] |= {k: v for k, v in method.preset.items() if k in own}
        if "frequency" in own:
            values[kind]["frequency"] = frequency
    for text in given:
        key, equals, value = text.partition("=")
        key = key.strip()
        field = _ALIASES.get(key, key)
        if not equals or field not in owner or field in method.preset:
            allowed = sorted(set(owner) - set(method.preset))
            names = [*allowed, *(k for k, v in _ALIASES.items() if v in allowed)]
            close = difflib.get_close_matches(key, names, 1, 0.5)
            hint = f"did you mean {close[0]}? " if close else ""
            raise DetectorError(f"there is no setting {key!r} here; {hint}settings are {', '.join(allowed)}, as name=value")
        kind = owner[field]
        example = getattr(kind(), field)
        values[kind][field] = _value(field, value.strip(), example)
    made = {kind: kind(**values[kind]) for kind in method.settings}
    for one in made.values():
        if hasattr(one, "check"):
            one.check()
    return made


def _value(name: str, text: str, example: Any) -> Any:
    try:
        if isinstance(example, bool):
            return {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}[text.lower()]
        if isinstance(example, tuple):
            return tuple(int(part) for part in text.strip("c()").split(","))
        if isinstance(example, int):
            return int(text)
        if isinstance(example, float) or example is None:
            return float(text)
    except (KeyError, ValueError):
        kind = "true or false" if isinstance(example, bool) else "numbers, as in 5,4" if isinstance(example, tuple) else "a number"
        raise DetectorError(f"{name} = {text!r}: must be {kind}") from None
    return text


# ---- the methods --------------------------------------------------------------------------------------------------


def _nothing(like: Floats) -> Floats:
    return np.full(like.shape, np.nan)


def _score(observed: Floats, expectation: Floats, bound: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bound > expectation, (observed - expectation) / (bound - expectation), np.nan)


def _words(status: NDArray[np.int8]) -> NDArray[np.str_]:
    return np.vectorize(status_text, otypes=[str])(status) if status.size else np.empty(status.shape, dtype=str)


def _farrington(counts: Floats, steps: Ints, settings: Mapping[type, Any], population: Floats | None) -> Judged:
    chosen = settings[FarringtonSettings]
    columns = [farrington_flexible(counts, int(t), chosen, population) for t in steps]
    parts = {f: np.stack([np.asarray(getattr(c, f), dtype=np.float64) for c in columns], 1) for f in columns[0]._fields}
    return Judged(
        parts["observed"], parts["expectation"], parts["upper_bound"], parts["dispersion"], parts["p_value"], parts["score"],
        parts["trend"], parts["alarm"], _words(parts["status"].astype(np.int8)),
    )  # fmt: skip


def _ears(counts: Floats, steps: Ints, settings: Mapping[type, Any], _population: Floats | None) -> Judged:
    bounds = ears(counts, settings[EarsSettings])
    observed, mean, upper, p, alarm = (
        np.asarray(v[:, steps], dtype=np.float64)
        for v in (counts, bounds.expectation, bounds.upper_bound, bounds.p_value, bounds.alarm)
    )
    status = np.where(np.isnan(upper) | np.isnan(observed), int(Status.MISSING), int(Status.OK)).astype(np.int8)
    with np.errstate(divide="ignore", invalid="ignore"):
        dispersion = bounds.sigma[:, steps] ** 2 / mean
    return Judged(
        observed, mean, upper, np.where(np.isfinite(dispersion), dispersion, np.nan), p, _score(observed, mean, upper),
        _nothing(mean), alarm, _words(status),
    )  # fmt: skip


def _bayes(counts: Floats, steps: Ints, settings: Mapping[type, Any], _population: Floats | None) -> Judged:
    found = bayes(counts, steps, settings[BayesSettings])
    observed = counts[:, steps]
    status = np.where(np.isnan(found.upper_bound) | np.isnan(observed), int(Status.MISSING), int(Status.OK)).astype(np.int8)
    return Judged(
        observed, found.expectation, found.upper_bound, _nothing(observed), found.p_value,
        _score(observed, found.expectation, found.upper_bound), _nothing(observed), found.alarm.astype(np.float64), _words(status),
    )  # fmt: skip


def _in_control(counts: Floats, steps: Ints, chosen: _ChartSettings, poisson: bool) -> tuple[Floats, Floats]:
    """Expectation of the judged steps from a regression on all steps before them, and alpha of each series."""
    history = counts[:, : int(steps[0])]
    if np.isnan(history).any() or np.isnan(counts[:, steps]).any():
        raise DetectorError(f"series {int(np.flatnonzero(np.isnan(counts).any(1))[0])} has a gap; a chart needs whole counts")
    before = harmonic_design(np.arange(1, int(steps[0]) + 1), chosen.frequency, chosen.harmonics, chosen.trend)
    after = harmonic_design(steps + 1, chosen.frequency, chosen.harmonics, chosen.trend)
    given = None if chosen.alpha is None else np.full(len(counts), chosen.alpha)
    fitted = fit_poisson(history, before) if poisson else fit_negative_binomial(history, before, given)
    # A series without any event expects half of one in its whole history, not none for ever.
    return np.maximum(predict(fitted, after), 0.5 / history.shape[1]), fitted.alpha


def _glr_with(poisson: bool) -> Callable[[Floats, Ints, Mapping[type, Any], Floats | None], Judged]:
    def judge(counts: Floats, steps: Ints, settings: Mapping[type, Any], _population: Floats | None) -> Judged:
        mean, alpha = _in_control(counts, steps, settings[_ChartSettings], poisson)
        observed, chosen = counts[:, steps], settings[GlrSettings]
        chart = glr(observed, mean, chosen, None if poisson else alpha)
        with np.errstate(divide="ignore"):
            score = chart.statistic / chosen.threshold
        empty = np.broadcast_to((counts[:, : int(steps[0])].sum(1) == 0)[:, None], observed.shape)
        status = np.where(empty, int(Status.NO_HISTORY), int(Status.OK)).astype(np.int8)
        return Judged(
            observed, mean, _nothing(mean), 1 + alpha[:, None] * mean, _nothing(mean), score,
            np.full(mean.shape, float(settings[_ChartSettings].trend)), chart.alarm.astype(np.float64), _words(status),
        )  # fmt: skip

    return judge


def _cusum(counts: Floats, steps: Ints, settings: Mapping[type, Any], _population: Floats | None) -> Judged:
    mean, _ = _in_control(counts, steps, settings[_ChartSettings], poisson=True)
    observed, chosen = counts[:, steps], settings[CusumSettings]
    chart = cusum(observed, mean, chosen)
    status = np.full(observed.shape, int(Status.OK), dtype=np.int8)
    return Judged(
        observed, mean, chart.upper_bound, _nothing(mean), _nothing(mean), chart.statistic / chosen.h, _nothing(mean),
        chart.alarm.astype(np.float64), _words(status),
    )  # fmt: skip


def _farrington_needs(settings: Mapping[type, Any]) -> int:
    chosen = settings[FarringtonSettings]
    return int(chosen.frequency * chosen.b + chosen.w)


def _chart_needs(settings: Mapping[type, Any]) -> int:
    return 2 + 2 * int(settings[_ChartSettings].harmonics) + 52


_CHART = (_ChartSettings,)
METHODS: dict[str, Method] = {
    "farrington-flexible": Method((FarringtonSettings,), {}, _farrington, _farrington_needs),
    **{
        f"ears-{c.lower()}": Method((EarsSettings,), {"method": c}, _ears, lambda s: int(s[EarsSettings].steps_needed))
        for c in ("C1", "C2", "C3")
    },
    "bayes": Method((BayesSettings,), {}, _bayes, lambda s: int(s[BayesSettings].steps_needed)),
    **{
        f"bayes{n}": Method((BayesSettings,), {"b": b, "w": w, "act_y": y}, _bayes, lambda s: int(s[BayesSettings].steps_needed))
        for n, (b, w, y) in enumerate([(0, 6, True), (1, 6, True), (2, 4, False)], start=1)
    },
    "cusum": Method((CusumSettings, _ChartSettings), {"trend": False}, _cusum, _chart_needs),
    "glr-pois": Method((GlrSettings, *_CHART), {"alpha": 0.0}, _glr_with(poisson=True), _chart_needs),
    "glr-nb": Method((GlrSettings, *_CHART), {}, _glr_with(poisson=False), _chart_needs),
}
