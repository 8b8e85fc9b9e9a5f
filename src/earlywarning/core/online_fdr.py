"""Another way to state what false alarms are borne: a share of all alerts, held online while days go by.

Each day is one hypothesis: nothing unusual anywhere in the municipality. Its level is known when the day begins, so that
the day can be judged at each event. The level rises with what was found before and falls with the time since: LORD++
(Ramdas, Yang, Wainwright & Jordan 2017, NeurIPS 30:5650), in the version for p-values that depend on those of the last
`lag` days (Zrnic, Ramdas & Jordan 2021, Journal of Machine Learning Research 22:33), as windows of days overlap:
discoveries earn only once they are older than that. It controls the (marginal) false discovery rate among days.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.budget import Threshold

Floats = NDArray[np.float64]
_LONGEST = 20_000  # days over which the weights add up to 1; the few beyond have the last one
_FIRST_WEALTH = 0.5  # share of the rate that is there to spend before anything is found


def _weights(days: int) -> Floats:
    """Weights of a level so many days after what earned it: (days,), the first is the day after; they add up to 1."""
    j = np.arange(1, days + 1, dtype=np.float64)
    gamma = np.log(np.maximum(j, 2)) / (j * np.exp(np.sqrt(np.log(j))))
    return np.asarray(gamma / gamma.sum())


_GAMMA = _weights(_LONGEST)


def day_level(day: int, begun: int, discoveries: Sequence[int], rate: float, lag: int) -> float:
    """The level of `day`: the chance of a false discovery on it that is borne, 0..1.

    begun: first judged day; discoveries: days before `day` on which something was found, in any order; rate: the false
    discovery rate; lag: days that p-values depend on. Raises ValueError for a rate outside 0..1.
    """
    if not 0 < rate < 1:
        raise ValueError(f"a false discovery rate of {rate} cannot be held; give one between 0 and 1")
    known = np.sort(np.unique(np.array([d for d in discoveries if begun <= d < day - lag], dtype=np.int64)))
    first_wealth = _FIRST_WEALTH * rate
    level = first_wealth * _gamma(np.array([day - begun + 1]))[0]
    if len(known):
        earned = np.full(len(known), rate)
        earned[0] = rate - first_wealth
        level += float((earned * _gamma(day - lag - known)).sum())
    return float(level)


def _gamma(since: NDArray[np.int64]) -> Floats:
    return np.asarray(_GAMMA[np.clip(since, 1, _LONGEST) - 1])


def threshold_of(base: Threshold, level: float) -> Threshold:
    """The threshold that a day with nothing in it passes with probability `level`, on the scale of a fitted one."""
    per_week = -7 * np.log1p(-level)
    score = base.score + np.log10(base.false_alarms_per_week / per_week) / base.slope
    return Threshold(float(score), base.slope, float(per_week))
