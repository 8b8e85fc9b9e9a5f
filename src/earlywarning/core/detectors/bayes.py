"""Bayes: the predictive distribution of the next count, from the same weeks of earlier years and the weeks just before.

A gamma prior with shape 1/2 on the Poisson mean makes the next count negative binomial with size S + 1/2 and mean
(S + 1/2) / n, where S is the sum of the n reference counts. Riebler 2004 and Hoehle 2007, Computational Statistics 22:571.
Bayes 1, 2 and 3 are b, w, act_y = (0, 6, yes), (1, 6, yes), (2, 4, no).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.negative_binomial import quantile, tail_probability
from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BayesSettings:
    """b: years back; w: half width of the window in each; act_y: whether the w steps just before count (actY)."""

    b: int = 0
    w: int = 6
    act_y: bool = True  # actY
    alpha: float = 0.05
    frequency: int = 52

    @property
    def steps_needed(self) -> int:
        """Steps of history before the first that can be judged."""
        return self.b * self.frequency + self.w

    def check(self) -> None:
        """Raises DetectorError naming what is out of range."""
        if self.b < 0 or self.w < 1 or (self.b == 0 and not self.act_y):
            raise DetectorError(f"b = {self.b}, w = {self.w}: there must be reference steps; b >= 0, w >= 1, and act_y or b >= 1")
        if not 0 < self.alpha < 1:
            raise DetectorError(f"alpha = {self.alpha}: must lie between 0 and 1")


class BayesBounds(NamedTuple):
    """Arrays of shape (series, judged steps). NaN where no reference step was observed."""

    expectation: Floats
    upper_bound: Floats
    p_value: Floats
    alarm: NDArray[np.bool_]


def bayes(counts: Floats, steps: NDArray[np.int64], settings: BayesSettings) -> BayesBounds:
    """Judge some steps of every series.

    counts: (series, all steps), NaN for not observed; steps: column numbers. Raises DetectorError for settings out of range,
    negative or infinite counts, and steps with too little history.
    """
    settings.check()
    counts = np.asarray(counts, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        wrong = ((counts < 0) | np.isinf(counts)).any(1)
    if wrong.any():
        raise DetectorError(f"series {int(np.flatnonzero(wrong)[0])} has a negative or infinite count")
    if len(steps) and int(steps.min()) < settings.steps_needed:
        raise DetectorError(f"step {int(steps.min())} has less than {settings.steps_needed} steps of history; lower b or w")
    seen = ~np.isnan(counts)
    zero = np.zeros((len(counts), 1))
    sums = np.concatenate([zero, np.cumsum(np.where(seen, counts, 0.0), 1)], 1)
    numbers = np.concatenate([zero, np.cumsum(seen, 1)], 1)
    spans = [(-settings.w, 0)] if settings.act_y else []
    for year in range(1, settings.b + 1):
        back = year * settings.frequency
        spans.append((-back - settings.w, -back + settings.w + 1))
    total = sum((sums[:, steps + b] - sums[:, steps + a] for a, b in spans), np.zeros((len(counts), len(steps))))
    n = sum((numbers[:, steps + b] - numbers[:, steps + a] for a, b in spans), np.zeros((len(counts), len(steps))))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, dispersion = np.where(n > 0, (total + 0.5) / n, np.nan), np.where(n > 0, (n + 1) / n, np.nan)
    upper = quantile(settings.alpha, mean, dispersion)
    observed = counts[:, steps]
    with np.errstate(invalid="ignore"):
        alarm = observed > upper
    return BayesBounds(mean, upper, tail_probability(observed, mean, dispersion), np.asarray(alarm))
