"""Farrington 1996: the same weeks of earlier years, a trend where it is significant, past outbreaks weighted down.

log mu[t] = level + slope * t over the 2w + 1 weeks around the judged one in each of the b years before; quasi-Poisson. The
bound is (mu^(2/3) + z sqrt(4/9 mu^(1/3) (phi + se^2 / mu)))^(3/2), with z the two-sided quantile, 1 - alpha / 2. Farrington
et al. 1996, Journal of the Royal Statistical Society A 159:547. `r_compat` repeats algo.farrington of R's surveillance 1.20.3,
which sets the bound to 0 where there are too few events to judge, and which after an empty history alarms on any count.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr

from earlywarning.core.detectors.farrington import Bounds, farrington_weeks, judged
from earlywarning.core.detectors.farrington_baseline import Baseline, Rows, thresholds, transformed
from earlywarning.core.detectors.farrington_settings import FarringtonSettings, Power
from earlywarning.core.detectors.status import DetectorError, Status

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
SIGNIFICANT = 0.05  # the level of the trend's test


@dataclass(frozen=True, slots=True)
class Farrington1996Settings:
    """R's names in comments. alpha is two-sided: half of it lies above the bound. limit: (events, steps)."""

    b: int = 5
    w: int = 3
    reweight: bool = True
    trend: bool = True
    limit: tuple[int, int] = (5, 4)  # limit54
    alpha: float = 0.05
    power_transform: Power = "2/3"  # powertrans
    frequency: int = 52
    r_compat: bool = False

    def check(self) -> None:
        """Raises DetectorError naming what is out of range."""
        if not 0 < self.alpha < 1:
            raise DetectorError(f"alpha = {self.alpha}: must lie between 0 and 1")
        self.flexible().check()

    def flexible(self) -> FarringtonSettings:
        """The settings of Farrington flexible that mean the same."""
        return FarringtonSettings(
            b=self.b, w=self.w, no_periods=1, past_weeks_not_included=self.w, reweight=self.reweight, weights_threshold=1.0,
            trend=self.trend, p_threshold_trend=SIGNIFICANT, limit=self.limit, alpha=self.alpha / 2, threshold_method="delta",
            power_transform=self.power_transform, frequency=self.frequency, r_compat=self.r_compat,
        )  # fmt: skip

    @property
    def steps_needed(self) -> int:
        """Steps of history before the first that can be judged."""
        return self.b * self.frequency + self.w


def farrington_1996(counts: Floats, steps: Ints, settings: Farrington1996Settings) -> Bounds:
    """Judge some steps of every series: arrays of shape (series, len(steps)).

    counts: (series, all steps), NaN for not observed. Raises DetectorError for settings out of range, negative or infinite
    counts and too short histories.
    """
    settings.check()
    chosen = settings.flexible()
    if not settings.r_compat:
        return farrington_weeks(counts, steps, chosen)
    found = judged(counts, steps, chosen, lambda c, s: thresholds(c, s, chosen, judge=_as_in_r))
    enough = ~np.isnan(found.upper_bound)
    return found._replace(upper_bound=np.where(enough, found.upper_bound, 0.0), score=np.where(enough, found.score, 0.0))


def _as_in_r(rows: Rows, settings: FarringtonSettings, _now: Floats | None) -> Baseline:
    """R's own order of tests: the trend's with the dispersion not floored, the prediction's error with the floored one."""
    n = len(rows.y)
    every = np.arange(n)
    found = rows.fitted(every, trend=False)
    trend = np.zeros(n, dtype=bool)
    if settings.trend:
        risen = rows.fitted(every, trend=True)
        with np.errstate(all="ignore"):
            t = risen.slope / np.sqrt(risen.dispersion / risen.schur)
            significant = 2 * stdtr(risen.df, -np.abs(t)) < SIGNIFICANT
            no_further = np.exp(risen.level) <= rows.y.max(1)
        trend = significant & no_further & risen.settled & (settings.b >= 3)
        found.put(trend, risen.take(trend))
    with np.errstate(all="ignore"):
        mu, variance = np.exp(np.clip(found.level, -700, 700)), found.phi * found.variance
        exponent, error = transformed(mu, found.phi, variance, settings)
        upper = np.maximum(mu**exponent - ndtri(settings.alpha) * error, 0) ** (1 / exponent)
        slope = np.where(trend, found.slope / settings.frequency, np.nan)
    status = np.where(rows.prior.sum(1) == 0, int(Status.MISSING), int(Status.OK)).astype(np.int8)
    return Baseline(mu, upper, found.phi, np.sqrt(variance) * mu, mu, trend, slope, status)
