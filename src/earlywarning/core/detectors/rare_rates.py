"""Rates of what is rare: each area's rate of each category, shrunken towards the municipality's, with its uncertainty.

A rate is Gamma(shape, days): as if `shape` events had been seen in `days` days. The prior is the municipality's rate of
the category times the area's share; how far areas differ (the prior's shape) is learned from the counts themselves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from earlywarning.core.detectors.status import DetectorError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_SHAPES = np.geomspace(0.1, 100, 25)  # prior shapes tried: areas nearly unrelated .. all alike


class RareRates(NamedTuple):
    """Gamma distributions of the rates, (areas, categories) each: mean rate = shape / days, in events a day."""

    shape: Floats
    days: Floats

    @property
    def per_day(self) -> Floats:
        """Mean rate, in events a day."""
        return self.shape / self.days

    def expected(self, days: float) -> Floats:
        """Expected events in a window of `days` days."""
        return self.per_day * days

    def dispersion(self, days: float) -> Floats:
        """Variance over mean of the count in a window of `days` days, from the uncertainty of the rate alone."""
        return 1 + days / self.days

    def chance(self, days: float = 1.0) -> Floats:
        """Probability of one event or more in the next `days` days."""
        return np.asarray(-np.expm1(-self.shape * np.log1p(days / self.days)))


def shrunken_rates(counts: Floats, days: float, size: ArrayLike) -> RareRates:
    """Rates from the counts of `days` days of history.

    counts: (areas, categories) events, areas of one level. size: (areas,) what the municipality's rate is shared out by:
    residents, or each area's events of all categories. A category that was never seen anywhere gets half an event in
    the whole history. Raises DetectorError for negative, infinite or missing counts, sizes not above 0, and days below 1.
    Clayton & Kaldor 1987, Biometrics 43:671 (empirical Bayes, gamma prior).
    """
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 2 or not counts.size:
        raise DetectorError(f"counts must be (areas, categories) and not empty, not of shape {counts.shape}")
    if not (np.isfinite(counts) & (counts >= 0)).all():
        row = np.argwhere(~(np.isfinite(counts) & (counts >= 0)))[0].tolist()
        raise DetectorError(f"counts{row}: must be finite and not negative")
    if not (np.isfinite(days) and days >= 1):
        raise DetectorError(f"days = {days}: at least one day of history is needed")
    sizes = np.asarray(size, dtype=np.float64)
    if sizes.shape != (len(counts),) or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise DetectorError(f"size must give one number above 0 for each of the {len(counts)} areas")
    prior = (counts.sum(0) + 0.5) * (sizes / sizes.sum())[:, None]  # expected events of each cell in the history
    k = _prior_shape(counts, prior)
    return RareRates(k + counts, (k / prior + 1) * days)


def _prior_shape(counts: Floats, prior: Floats) -> Floats:
    """(categories,) the prior shape under which the counts of the areas are likeliest."""
    k = _SHAPES[:, None, None]
    # Negative binomial likelihood of each cell, without terms that do not depend on k.
    cell = gammaln(k + counts) - gammaln(k) + k * np.log(k / (k + prior)) - counts * np.log(k + prior)
    by_category = cell.sum(1)
    # One category's worth of what all together say: a category with three events cannot tell how areas differ.
    evidence = by_category + by_category.mean(1, keepdims=True)
    return np.asarray(_SHAPES[evidence.argmax(0)])


def recurrence_anywhere(chance: Floats) -> Floats:
    """How seldom chance gives something as rare as each cell, or rarer, anywhere: once in so many days.

    chance: any shape, probability of an event in each cell on one day, NaN for cells that are not watched. The expected
    number of such events a day is the sum of the chances that are not larger: no bound, the number itself, because an
    event either happens in a cell or does not. (A Bonferroni bound counts every cell at the level of the rarest.)
    """
    flat = chance.ravel()
    order = np.argsort(flat, kind="stable")  # NaN last
    ranked = flat[order]
    last = np.searchsorted(ranked, ranked, side="right") - 1  # cells of one chance stand or fall together
    out = np.empty(len(flat))
    out[order] = 1 / np.maximum(np.cumsum(ranked)[last], 1e-12)
    return out.reshape(chance.shape)


def within_allowance(chance: Floats, per_day: float) -> Bools:
    """The rarest cells, as many as together cause at most `per_day` events a day by chance.

    chance as in recurrence_anywhere. Raises DetectorError when per_day is not above 0.
    """
    if not per_day > 0:
        raise DetectorError(f"an allowance of {per_day} false alarms a day cannot be met; give more than 0")
    with np.errstate(invalid="ignore"):
        return np.asarray(recurrence_anywhere(chance) * per_day >= 1)
