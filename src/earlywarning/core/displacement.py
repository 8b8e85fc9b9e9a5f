"""Before and after in a few counts: the weighted displacement difference, and tests of two Poisson means.

Simple on purpose: anyone can check them by hand. They know nothing of trends before the action; core/effect.py does.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

Pair = tuple[float, float]  # counts before and after
_EXACT = 2_000  # events up to which the e-test is computed; beyond it its normal limit is as good


class Difference(NamedTuple):
    """A weighted displacement difference. local: in the action's areas against comparison; displaced: in the areas around
    against theirs; total: both. se: standard errors. low, high: interval of the total, in events as the counts are."""

    local: float
    local_se: float
    displaced: float
    displaced_se: float
    total: float
    total_se: float
    z: float
    low: float
    high: float


def weighted_displacement_difference(
    treated: Pair,
    comparison: Pair,
    buffer: Pair = (0, 0),
    buffer_comparison: Pair = (0, 0),
    *,
    time_weights: Pair = (1, 1),
    area_weights: tuple[float, float, float, float] = (1, 1, 1, 1),
    dispersion: float = 1.0,
    level: float = 0.90,
) -> Difference:
    """WDD = (T1-T0) - (C1-C0) + (D1-D0) - (DC1-DC0); its variance is the sum of all counts, times `dispersion`.

    time_weights: lengths of the periods before and after; area_weights: sizes of comparison, treated, buffer comparison and
    buffer areas, in this order; figures are then per unit of time and size. Wheeler & Ratcliffe 2018, Crime Science 7:11,
    where the dispersion is 1; weights as in the author's R package ptools.
    """
    level_z = float(stats.norm.isf((1 - level) / 2))
    size_c, size_t, size_dc, size_d = area_weights

    def change(counts: Pair, size: float) -> Pair:
        (before, after), (w0, w1) = counts, (time_weights[0] * size, time_weights[1] * size)
        return after / w1 - before / w0, dispersion * (after / w1**2 + before / w0**2)

    (t, var_t), (c, var_c) = change(treated, size_t), change(comparison, size_c)
    (d, var_d), (dc, var_dc) = change(buffer, size_d), change(buffer_comparison, size_dc)
    local, displaced, total = t - c, d - dc, t - c + d - dc
    se = np.sqrt([var_t + var_c, var_d + var_dc, var_t + var_c + var_d + var_dc])
    reach = level_z * float(se[2])
    z = total / float(se[2]) if se[2] > 0 else 0.0
    return Difference(local, float(se[0]), displaced, float(se[1]), total, float(se[2]), z, total - reach, total + reach)


def e_test(after: int, before: int, time_after: float = 1.0, time_before: float = 1.0) -> float:
    """Probability of two counts so far apart if their means per unit of time were alike; 1 when both are zero.

    Krishnamoorthy & Thomson 2004, Journal of Statistical Planning and Inference 119:23 (SciPy's poisson_means_test).
    """
    if after + before == 0:
        return 1.0
    if after + before > _EXACT:
        rate = (after + before) / (time_after + time_before)
        z = (after / time_after - before / time_before) / np.sqrt(rate / time_after + rate / time_before)
        return float(2 * stats.norm.sf(abs(z)))
    return float(min(1.0, stats.poisson_means_test(after, time_after, before, time_before).pvalue))


def poisson_z(count: float, usual: float) -> float:
    """How many standard deviations a count lies from what is usual: 2 (sqrt(count) - sqrt(usual)).

    The square root of a Poisson count has variance 1/4. Wheeler 2016, International Journal of Police Science &
    Management 18:159. usual: a mean of many periods; of a single one take `e_test`.
    """
    return 2 * (float(np.sqrt(count)) - float(np.sqrt(usual)))
