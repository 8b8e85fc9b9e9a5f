"""EARS C1, C2 and C3: the count against mean and standard deviation of a few steps just before it.

Hutwagner et al. 2003, Journal of Urban Health 80:i89; Fricker, Hegler & Dunfee 2008, Statistics in Medicine 27:3407.
C1 takes the `baseline` steps before the judged one; C2 leaves a gap of two steps; C3 adds to C2 the exceedances of the
two steps before: C3(t) = sum over t-2..t of max(0, C2 - 1) >= z. `r_compat` repeats R's surveillance 1.20.3, whose C3
adds its margin to the current count instead of the mean, so that it judges only the two steps before, and whose bound
is the bare mean where the baseline is constant.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
GAP = 2  # steps between baseline and judged step in C2 and C3
LEAST_SIGMA = 0.5  # without r_compat a constant baseline keeps this spread (Burkom's advice in R's help)


@dataclass(frozen=True, slots=True)
class EarsSettings:
    """method C1, C2 or C3; alpha one-sided (None: R's 0.001 for C1 and C2, 0.025 for C3)."""

    method: Literal["C1", "C2", "C3"] = "C1"
    baseline: int = 7
    min_sigma: float = 0.0  # minSigma
    alpha: float | None = None
    r_compat: bool = False

    @property
    def z(self) -> float:
        """The standard normal quantile of the level."""
        alpha = self.alpha if self.alpha is not None else 0.025 if self.method == "C3" else 0.001
        if not 0 < alpha < 1:
            raise DetectorError(f"alpha = {alpha}: must lie between 0 and 1")
        return float(-ndtri(alpha))

    @property
    def steps_needed(self) -> int:
        """Steps of history before the first that can be judged."""
        return self.baseline + {"C1": 0, "C2": GAP, "C3": 2 * GAP}[self.method]


class EarsBounds(NamedTuple):
    """Arrays of shape (series, steps); NaN where the history is too short or not fully observed.

    p_value is that of the step's own deviation from mean and sigma; C3's alarm also rests on the two steps before.
    """

    expectation: Floats
    sigma: Floats
    upper_bound: Floats
    p_value: Floats
    alarm: Bools


def ears(counts: Floats, settings: EarsSettings) -> EarsBounds:
    """Judge every step of every series.

    counts: (series, steps), NaN for not observed; the last step may be NaN, its bound is then the standing threshold.
    Raises DetectorError for settings out of range and counts of another shape, infinite or negative.
    """
    if settings.method not in ("C1", "C2", "C3"):
        raise DetectorError(f"method = {settings.method!r}: must be C1, C2 or C3")
    if settings.baseline < 3:
        raise DetectorError(f"baseline = {settings.baseline}: at least 3 steps are needed")
    if settings.min_sigma < 0:
        raise DetectorError(f"min_sigma = {settings.min_sigma}: must not be negative")
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 2:
        raise DetectorError(f"counts must be (series, steps), not of {counts.ndim} dimensions")
    with np.errstate(invalid="ignore"):
        wrong = ((counts < 0) | np.isinf(counts)).any(1)
    if wrong.any():
        raise DetectorError(f"series {int(np.flatnonzero(wrong)[0])} has a negative or infinite count")
    z = settings.z
    gap = 0 if settings.method == "C1" else GAP
    mean, sigma = _baseline(counts, settings.baseline, gap)
    least = settings.min_sigma if settings.r_compat else max(settings.min_sigma, LEAST_SIGMA)
    sigma = np.maximum(sigma, least)
    if settings.method == "C3":
        with np.errstate(all="ignore"):
            c2 = (counts - mean) / sigma
        past = np.full(counts.shape, np.nan)
        past[:, 2:] = _part(c2[:, :-2]) + _part(c2[:, 1:-1])
        if settings.r_compat:
            with np.errstate(invalid="ignore"):  # a constant baseline: infinite exceedance times no spread
                upper = np.maximum(counts + sigma * (z - past), 0)
        else:
            # max(0, C2 - 1) + past reaches z when C2 reaches 1 + z - past; with past >= z any step is beyond.
            upper = np.where(past >= z, 0.0, mean + sigma * (1 + z - past))
    else:
        upper = mean + z * sigma
    with np.errstate(all="ignore"):
        p_value = np.asarray(ndtr(-(counts - mean) / sigma))
        beyond = counts > upper
        if settings.method == "C3" and not settings.r_compat:
            beyond = _part((counts - mean) / sigma) + past >= z
    return EarsBounds(mean, sigma, upper, p_value, np.asarray(beyond & ~np.isnan(upper)))


def _part(c2: Floats) -> Floats:
    return np.asarray(np.maximum(c2 - 1, 0))


def _baseline(counts: Floats, length: int, gap: int) -> tuple[Floats, Floats]:
    """Mean and standard deviation (n - 1) of the `length` steps that end `gap` + 1 steps before each: (series, steps)."""
    mean, sigma = np.full(counts.shape, np.nan), np.full(counts.shape, np.nan)
    steps = counts.shape[1] - length - gap
    if steps <= 0:
        return mean, sigma
    windows = np.lib.stride_tricks.sliding_window_view(counts, length, axis=1)[:, :steps]
    mean[:, length + gap :] = windows.mean(2)
    # The textbook sum of squares about the mean: running sums would lose the digits of large counts.
    sigma[:, length + gap :] = np.sqrt(((windows - windows.mean(2)[..., None]) ** 2).sum(2) / (length - 1))
    return mean, sigma
