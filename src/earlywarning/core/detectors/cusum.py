"""CUSUM of transformed counts: small rises that last add up until they cross the decision limit.

C(t) = max(0, C(t-1) + z(t) - k), alarm when C(t) >= h, where z makes the count roughly standard normal. Rossi, Lampugnani &
Marchi 1999, Statistics in Medicine 18:2111 (rossi); Anscombe 1953, and its negative binomial kind (Hilbe 1994). anscombe2nd is
an expansion for means of an event or more: where next to nothing is expected (below 0.0024) its correction alone is an alarm.
`r_compat` repeats algo.cusum of R's surveillance 1.20.3: no restart after an alarm, so that one outbreak keeps the chart on;
bounds by its closed forms (that of anscombe2nd has the wrong sign of a power, that of anscombeNegBin is not a count); the
hypergeometric function of anscombeNegBin from a table in steps of 0.01, without an answer beyond alpha * count = 100.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import hyp2f1

from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]
Transform = Literal["standard", "rossi", "anscombe", "anscombe2nd", "pearsonNegBin", "anscombeNegBin", "none"]
_HALVINGS = 60


@dataclass(frozen=True, slots=True)
class CusumSettings:
    """k reference value, h decision limit. alpha: variance = m + alpha m^2 of the negative binomial transforms (at most).

    reset: whether the chart starts anew after an alarm; with r_compat it never does.
    """

    k: float = 1.04
    h: float = 2.26
    transform: Transform = "standard"  # trans
    alpha: float = 0.1
    reset: bool = True
    r_compat: bool = False

    def check(self) -> None:
        """Raises DetectorError naming what is out of range."""
        if not self.k >= 0 or not self.h > 0 or not self.alpha > 0:
            raise DetectorError(f"k = {self.k}, h = {self.h}, alpha = {self.alpha}: k at least 0, h and alpha above 0")
        if self.transform not in get_args(Transform):
            raise DetectorError(f"transform = {self.transform!r}: one of {', '.join(get_args(Transform))}")


class CusumChart(NamedTuple):
    """(series, steps) each. upper_bound: the count at which the chart would have reached its limit.

    With r_compat the statistic is NaN where R has no number: from a step with an expectation of 0 on, among others.
    """

    statistic: Floats
    upper_bound: Floats
    alarm: NDArray[np.bool_]


def cusum(counts: Floats, expected: Floats, settings: CusumSettings) -> CusumChart:
    """Charts of every series. counts, expected: (series, steps). Raises DetectorError for what cannot be charted."""
    settings.check()
    x, m = np.asarray(counts, dtype=np.float64), np.asarray(expected, dtype=np.float64)
    if x.ndim != 2 or x.shape != m.shape:
        raise DetectorError(f"counts and expected must be (series, steps) alike, not {x.shape} and {m.shape}")
    for name, values, low in (("count", x, 0.0), ("expectation", m, 0.0 if settings.r_compat else 1e-300)):
        wrong = ~(np.isfinite(values) & (values >= low))
        if wrong.any():
            i, step = np.argwhere(wrong)[0].tolist()
            raise DetectorError(f"series {i} has the {name} {values[i, step]:g} in step {step}; a chart needs {name}s without gaps")
    with np.errstate(divide="ignore", invalid="ignore"):
        z = _deviate(x, m, settings)
    statistic, before = np.zeros(x.shape), np.zeros(x.shape)
    running = np.zeros(len(x))
    for t in range(x.shape[1]):  # a chart is a recursion over time; the series go side by side
        before[:, t] = running
        running = np.maximum(0.0, running + z[:, t] - settings.k)
        statistic[:, t] = running
        if settings.reset and not settings.r_compat:
            running = np.where(running >= settings.h, 0.0, running)
    if settings.r_compat:
        return CusumChart(statistic, _bound_in_r(statistic, before, m, settings), statistic >= settings.h)
    return CusumChart(statistic, _count_at(settings.h + settings.k - before, m, settings), statistic >= settings.h)


def _deviate(x: Floats, m: Floats, settings: CusumSettings) -> Floats:
    a = settings.alpha
    match settings.transform:
        case "standard":
            return np.asarray((x - m) / np.sqrt(m))
        case "rossi":
            return np.asarray((x - 3 * m + 2 * np.sqrt(x * m)) / (2 * np.sqrt(m)))
        case "anscombe":
            return np.asarray(1.5 * (np.cbrt(x) ** 2 - np.cbrt(m) ** 2) / m ** (1 / 6))
        case "anscombe2nd":
            return np.asarray((np.cbrt(x) ** 2 - (np.cbrt(m) ** 2 - np.cbrt(m) ** -1 / 9)) / (2 / 3 * m ** (1 / 6)))
        case "pearsonNegBin":
            return np.asarray((x - m) / np.sqrt(m + a * m * m))
        case "anscombeNegBin":
            # The integral of (t + a t^2)^(-1/3), the negative binomial's variance to the power -1/3, from m to x.
            integral = _anscombe_in_r if settings.r_compat else _anscombe
            return np.asarray((integral(x, a) - integral(m, a)) / (m + a * m * m) ** (1 / 6))
        case "none":
            return x


def _anscombe(x: Floats, a: float) -> Floats:
    return np.asarray(1.5 * np.cbrt(x) ** 2 * hyp2f1(1 / 3, 2 / 3, 5 / 3, -a * x))


def _anscombe_in_r(x: Floats, a: float) -> Floats:
    """By R's table: the nearest hundredth of a * x up to 10, linear between whole numbers up to 100, nothing beyond."""
    z = np.minimum(a * x, 101.0)
    floor = np.floor(z)
    near = hyp2f1(1 / 3, 2 / 3, 5 / 3, -np.rint(z * 100) / 100)
    low, high = (hyp2f1(1 / 3, 2 / 3, 5 / 3, -(floor + k)) for k in (0, 1))
    value = np.where(z <= 10, near, np.where(z <= 100, low + (high - low) * (z - floor), np.nan))
    return np.asarray(1.5 * np.cbrt(x) ** 2 * value)


def _bound_in_r(now: Floats, before: Floats, m: Floats, settings: CusumSettings) -> Floats:
    room, a = settings.h + settings.k - before, settings.alpha
    with np.errstate(invalid="ignore"):
        match settings.transform:
            case "standard":
                bound = np.ceil(np.sqrt(m) * room + m)
            case "rossi":
                bound = 2 * np.sqrt(m) * room + 5 * m - 2 * np.sqrt(4 * m**2 + 2 * m**1.5 * room)
            case "anscombe":
                bound = np.maximum(2 / 3 * m ** (1 / 6) * room + np.cbrt(m) ** 2, 0) ** 1.5
            case "anscombe2nd":
                bound = np.maximum(2 / 3 * m ** (1 / 6) * room + np.cbrt(m) ** 2 - np.cbrt(m) / 9, 0) ** 1.5
            case "pearsonNegBin":
                bound = np.sqrt(m + a * m * m) * room + m
            case _:
                bound = settings.h - now
        return np.where(np.isnan(bound), 0.0, np.maximum(bound, 0))


def _count_at(z: Floats, m: Floats, settings: CusumSettings) -> Floats:
    """The count whose deviate is z: halving, since every transform rises with the count."""
    low, high = np.zeros_like(m), m + 1.0
    for _ in range(_HALVINGS):
        short = _deviate(high, m, settings) < z
        if not short.any():
            break
        high = np.where(short, 2 * high, high)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        under = _deviate(middle, m, settings) < z
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return high
