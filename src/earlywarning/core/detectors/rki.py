"""RKI: the mean of the same weeks of earlier years and of the weeks just before, against a bound of Poisson's or of two sigmas.

Up to a mean of 20 the bound is the upper limit of a table for the whole number below the mean; above it is mean + 2 standard
deviations. The rule of the Robert Koch-Institut's weekly reports, as in algo.rki of R's surveillance; Altmann 2003. RKI 1, 2
and 3 are b, w, act_y = (0, 6, yes), (1, 6, yes), (2, 4, no). The bound jumps at whole means: a rule of thumb, kept for comparison.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_TABLED = 20  # the largest mean that the table serves
# Upper limits for means of 0, 1, .. 20.
_UPPER = np.array(
    [3.285, 5.323, 6.686, 8.102, 9.598, 11.177, 12.817, 13.765, 14.921, 16.768, 17.633, 19.05, 20.335, 21.364, 22.945, 23.762,
     25.4, 26.306, 27.735, 28.966, 30.017]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RkiSettings:
    """b: years back; w: half width of the window in each; act_y: whether the w steps just before count (actY).

    r_compat: a gap in the reference steps leaves no answer, as in R; without it the observed ones are used.
    """

    b: int = 2
    w: int = 4
    act_y: bool = False  # actY
    frequency: int = 52
    r_compat: bool = False

    @property
    def steps_needed(self) -> int:
        """Steps of history before the first that can be judged."""
        return self.b * self.frequency + self.w

    def check(self) -> None:
        """Raises DetectorError naming what is out of range."""
        if self.b < 0 or self.w < 1 or (self.b == 0 and not self.act_y):
            raise DetectorError(f"b = {self.b}, w = {self.w}: there must be reference steps; b >= 0, w >= 1, and act_y or b >= 1")
        if self.frequency < 2 * self.w + 1:
            raise DetectorError(f"w = {self.w}: the windows of two years must not meet in a year of {self.frequency} steps")


class RkiBounds(NamedTuple):
    """(series, judged steps) each. NaN where fewer than two reference steps were observed. p_value: normal, by the sample."""

    expectation: Floats
    sigma: Floats
    upper_bound: Floats
    p_value: Floats
    alarm: NDArray[np.bool_]


def rki(counts: Floats, steps: Ints, settings: RkiSettings) -> RkiBounds:
    """Judge some steps of every series.

    counts: (series, all steps), NaN for not observed; steps: column numbers. Raises DetectorError for settings out of range,
    negative or infinite counts, and steps with too little history.
    """
    settings.check()
    counts, steps = np.asarray(counts, dtype=np.float64), np.asarray(steps, dtype=np.int64)
    if counts.ndim != 2:
        raise DetectorError(f"counts must be (series, steps), not of {counts.ndim} dimensions")
    with np.errstate(invalid="ignore"):
        wrong = (counts < 0) | np.isinf(counts)
    if wrong.any():
        i, step = np.argwhere(wrong)[0].tolist()
        raise DetectorError(f"series {i} has the count {counts[i, step]:g} in step {step}; counts are finite and not negative")
    if len(steps) and int(steps.min()) < settings.steps_needed:
        raise DetectorError(f"step {int(steps.min())} has less than {settings.steps_needed} steps of history; lower b or w")
    if len(steps) and int(steps.max()) >= counts.shape[1]:
        raise DetectorError(f"step {int(steps.max())} lies outside the {counts.shape[1]} steps of the counts")
    w, back = settings.w, settings.frequency * np.arange(1, settings.b + 1)
    lags = np.concatenate([-np.arange(1, w + 1) if settings.act_y else [], (-back[:, None] + np.arange(-w, w + 1)).ravel()])
    total, squares, n = (np.zeros((len(counts), len(steps))) for _ in range(3))
    for lag in lags.astype(np.int64):  # a few dozen columns
        value = counts[:, steps + lag]
        total += np.nan_to_num(value)
        n += ~np.isnan(value)
    complete = n == len(lags) if settings.r_compat else n >= 2
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.where(complete, total / n, np.nan)
        for lag in lags.astype(np.int64):
            squares += np.nan_to_num((counts[:, steps + lag] - mean) ** 2)
        sigma = np.where(complete, np.sqrt(squares / (n - 1)), np.nan)
        whole = np.where(mean <= _TABLED, np.floor(mean), 0).astype(np.int64)
        upper = np.where(mean > _TABLED, mean + 2 * sigma, np.where(np.isnan(mean), np.nan, _UPPER[whole]))
        observed = counts[:, steps]
        spread = np.where(sigma > 0, sigma, np.sqrt(np.maximum(mean, 0.5 / len(lags))))
        return RkiBounds(mean, sigma, upper, np.asarray(ndtr(-(observed - mean) / spread)), np.asarray(observed > upper))
