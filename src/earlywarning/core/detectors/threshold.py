"""Any detector as a standing threshold: the history of a series in, expectation and upper bound of its next count out."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earlywarning.core.detectors.ears import EarsSettings, ears
from earlywarning.core.detectors.farrington import FarringtonSettings, farrington_threshold
from earlywarning.core.detectors.negative_binomial import quantile, tail_probability
from earlywarning.core.detectors.status import Status

Floats = NDArray[np.float64]
Method = Literal["farrington-flexible", "ears-c1", "ears-c2", "ears-c3"]
_EARS: dict[str, Literal["C1", "C2", "C3"]] = {"ears-c1": "C1", "ears-c2": "C2", "ears-c3": "C3"}
_TEXT = {
    Status.OK: "ok",
    Status.NO_HISTORY: "no history",
    Status.NOT_CONVERGED: "not converged",
    Status.SEPARATED: "next to no event in the same weeks",
    Status.TOO_FEW: "too few",
    Status.MISSING: "not observed",
}


class ThresholdSettings(NamedTuple):
    """Settings of the Farrington baseline that the municipality may change."""

    no_periods: int = 10
    past_weeks_not_included: int = 26
    weights_threshold: float = 2.58
    trend: bool = True


class Threshold(NamedTuple):
    """Arrays of shape (series,), in counts; status as in farrington.Status."""

    expectation: Floats
    upper_bound: Floats
    dispersion: Floats
    status: NDArray[np.int8]


def standing_threshold(
    method: Method, history: Floats, *, years: int, alpha: float, settings: ThresholdSettings, overlap: Floats | float = 1.0
) -> Threshold:
    """The threshold of the count that follows `history`.

    history: (series, steps), oldest first; for farrington-flexible one step a week. alpha: one-sided level. overlap: how
    many steps share a window's events (4 for windows of 28 days at weekly steps): the estimates are that much less certain.
    The bound is never NaN: where a method has no answer it is infinite, and the status says why.

    The farrington-flexible bound is that of the predictive distribution: the variance of the expectation is added to that
    of the count, var = phi mu + overlap se^2, and the negative binomial with that variance is taken.
    """
    judged = np.concatenate([history, np.full((len(history), 1), np.nan)], axis=1)
    at = history.shape[1]
    if method == "farrington-flexible":
        base = farrington_threshold(
            judged,
            at,
            FarringtonSettings(
                b=years,
                no_periods=settings.no_periods,
                past_weeks_not_included=settings.past_weeks_not_included,
                weights_threshold=settings.weights_threshold,
                trend=settings.trend,
                alpha=alpha,
                threshold_method="delta",  # its own bound is not used, and this one costs least
            ),
        )
        expectation, status = base.expectation, base.status
        with np.errstate(all="ignore"):
            dispersion = base.dispersion + overlap * base.standard_error**2 / base.expectation
        upper = quantile(alpha, expectation, dispersion)
    else:
        bounds = ears(judged, EarsSettings(_EARS[method], alpha=alpha))
        expectation, upper = bounds.expectation[:, at], bounds.upper_bound[:, at]
        # For the probability of a count the spread is read as overdispersion about the mean.
        with np.errstate(all="ignore"):
            dispersion = np.maximum(bounds.sigma[:, at] ** 2 / np.maximum(expectation, 1e-9), 1)
        expectation = np.maximum(expectation, 0.5 / at)
        status = np.where(history.sum(1) == 0, Status.NO_HISTORY, Status.OK).astype(np.int8)
    missing = np.isnan(upper) | np.isnan(expectation)
    status = np.where(missing, Status.MISSING, status).astype(np.int8)
    return Threshold(
        np.where(missing, 0.0, expectation),
        np.where(missing, np.inf, upper),
        np.where(missing, 1.0, dispersion),
        status,
    )


def chance(observed: ArrayLike, expectation: ArrayLike, dispersion: ArrayLike) -> Floats:
    """Probability that chance alone gives a count as high as observed: the negative binomial's upper tail."""
    return tail_probability(observed, expectation, dispersion)


def status_text(status: int) -> str:
    """A status in words, as records keep it."""
    return _TEXT.get(Status(status), "ok") if status in _TEXT else "ok"


def status_note(status: int) -> str:
    """What a reader should know about a threshold, empty when there is nothing."""
    return "" if status in (Status.OK, Status.TOO_FEW) else status_text(status)
