"""Our weekly detector: this week's tail probability under a baseline of all of the history, with last weeks' evidence as weight.

Three ideas. (1) The expectation comes from the whole history (harmonic_fit.py). (2) The probability of the judged count is
the mid-p of a negative binomial whose dispersion has grown by what expectation and dispersion are uncertain of. (3) An
outbreak's cases fall in more than one week: of week t the p-value is divided by a weight
    w = 1 - carry + carry * sum over lags a of share[a] * BF[a],
where BF[a] is the Bayes factor of the weeks before t for an outbreak that began a weeks ago, against none. Without
outbreak a Bayes factor has mean 1, so w has mean 1 and the level still holds on average over weeks (weighted p-values),
while the week after a suspicious one is judged less strictly and the week after a quiet one a little more. Only counts
before week t enter its bound.
Noufaily et al. 2013, Statistics in Medicine 32:1206 (design); Genovese, Roeder & Wasserman 2006, Biometrika 93:509 (weighted
p-values); Lancaster 1961, Journal of the American Statistical Association 56:223 (mid-p).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from earlywarning.core.detectors.harmonic_fit import HarmonicFit, design, fit_harmonics
from earlywarning.core.detectors.mid_tail import mid_bound, mid_probability
from earlywarning.core.detectors.status import DetectorError, Status

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
LEAST_STEPS = 8  # of observed history
_FINITE = 1e-300  # a probability below this is shown as this
_LARGEST = 1e11  # larger counts are beyond the tails' arithmetic
_OWN_SEASON = 7 / 52  # share of the year whose emptiness sets the floor of an expectation
_CHUNK = 2048  # series judged together, which bounds the memory
_TAIL_Z = 2.33  # where the tail is widened for the uncertain dispersion: levels around one in a hundred
_LEAST_SIZE = 2.0  # cases: fewer are no outbreak


@dataclass(frozen=True, slots=True)
class WeeklySettings:
    """alpha: share of quiet weeks that alarm. years: of history used at most. guard: newest steps before a fit left out of
    it, so that a running outbreak does not enter its own baseline. refit_every: steps between fits; a fit at step r serves
    the steps r..r + refit_every - 1. profile: shares of an outbreak's cases in its first, second, ... step; sizes: of
    outbreaks, in standard deviations of a step's count. carry: prior probability that an outbreak runs already (0: each step
    by itself); most: the largest weight."""

    alpha: float = 0.01
    years: int = 11
    frequency: float = 52.0
    guard: int = 4
    refit_every: int = 13
    profile: tuple[float, ...] = (0.5, 0.42, 0.08)
    sizes: tuple[float, ...] = (2.0, 4.0)
    carry: float = 0.1
    most: float = 8.0

    def check(self) -> None:
        """Raises DetectorError naming what is out of range."""
        rules = [
            (0 < self.alpha < 0.5, f"alpha = {self.alpha}: must lie between 0 and 0.5"),
            (self.frequency >= 4, f"frequency = {self.frequency}: a year needs at least 4 steps"),
            (self.years >= 1, f"years = {self.years}: at least 1 year of history is needed"),
            (self.guard >= 0, f"guard = {self.guard}: must not be negative"),
            (self.refit_every >= 1, f"refit_every = {self.refit_every}: must be at least 1"),
            (
                len(self.profile) >= 1 and all(p > 0 for p in self.profile) and sum(self.profile) <= 1 + 1e-9,
                f"profile = {self.profile}: shares above 0 that sum to at most 1",
            ),
            (len(self.sizes) >= 1 and all(0 < k < 1e3 for k in self.sizes), f"sizes = {self.sizes}: must lie between 0 and 1000"),
            (0 <= self.carry < 1, f"carry = {self.carry}: must be at least 0 and below 1"),
            (self.most >= 1, f"most = {self.most}: must be at least 1"),
        ]
        for fine, problem in rules:
            if not fine:
                raise DetectorError(problem)


class WeeklyBounds(NamedTuple):
    """The judged steps of every series: arrays of shape (series, steps).

    p_value: chance of a week as unusual without an outbreak, beside the evidence of the weeks before; score: -log10 of it;
    alarm: observed above upper_bound, which is p_value <= alpha; weight: how much less strictly the step is judged (above
    1) for what the steps before showed; trend: weight of the models with a slope, 0..1. Where status is MISSING and no
    threshold can be given, expectation, upper_bound and dispersion are NaN; p_value is 1 and score 0 there. An expectation
    at its floor says SEPARATED: next to no event in the same weeks.
    """

    observed: Floats
    expectation: Floats
    upper_bound: Floats
    dispersion: Floats
    p_value: Floats
    score: Floats
    weight: Floats
    trend: Floats
    alarm: Bools
    status: NDArray[np.int8]


def weekly(counts: Floats, first: int, last: int, settings: WeeklySettings) -> WeeklyBounds:
    """Judge the steps first..last - 1 of every series, each with nothing but the steps before it.

    counts: (series, steps), not negative, fractions allowed, NaN for not observed. Steps with fewer than 8 observed steps
    behind their fit get no threshold (MISSING). Raises DetectorError for shapes, signs and settings.
    """
    settings.check()
    counts = _checked(counts, first, last)
    parts = [_judged(counts[at : at + _CHUNK], first, last, settings) for at in range(0, max(len(counts), 1), _CHUNK)]
    return WeeklyBounds._make([np.concatenate(column) for column in zip(*parts, strict=True)])


def _judged(counts: Floats, first: int, last: int, settings: WeeklySettings) -> WeeklyBounds:
    lags = len(settings.profile) - 1 if settings.carry > 0 else 0
    begin = max(first - lags, 1)
    mu, phi, trend, status = _expectations(counts, begin, last, settings)
    # A level above one half would call empty weeks unusual.
    weight = np.minimum(_weights(counts[:, begin:last], mu, phi, settings, lags), 0.5 / settings.alpha)
    cut = slice(first - begin, None)
    mu, phi, trend, status, weight = mu[:, cut], phi[:, cut], trend[:, cut], status[:, cut], weight[:, cut]
    observed = counts[:, first:last].copy()
    judged = ~np.isnan(observed) & ~np.isnan(mu)
    p_value = np.where(judged, np.clip(mid_probability(observed, mu, phi) / weight, _FINITE, 1.0), 1.0)
    upper = mid_bound(settings.alpha * weight, mu, phi)
    alarm = judged & (np.ceil(observed - 1e-9) > upper)
    status = np.where(np.isnan(observed), np.int8(Status.MISSING), status)
    return WeeklyBounds(observed, mu, upper, phi, p_value, np.abs(np.log10(p_value)), weight, trend, alarm, status)


def _checked(counts: Floats, first: int, last: int) -> Floats:
    counts = np.asarray(counts, dtype=np.float64)
    if counts.ndim != 2:
        raise DetectorError(f"counts must be (series, steps), not of {counts.ndim} dimensions")
    if not 1 <= first < last <= counts.shape[1]:
        raise DetectorError(
            f"steps {first}:{last} cannot be judged in {counts.shape[1]} steps; 1 <= first < last <= steps is needed"
        )
    read = counts[:, :last]
    with np.errstate(invalid="ignore"):
        wrong = (read < 0) | (read > _LARGEST)
    if wrong.any():
        i, step = np.argwhere(wrong)[0].tolist()
        raise DetectorError(f"series {i} has the count {read[i, step]:g} in step {step}; counts are 0 to {_LARGEST:g}")
    return counts


def _expectations(
    counts: Floats, begin: int, last: int, settings: WeeklySettings
) -> tuple[Floats, Floats, Floats, NDArray[np.int8]]:
    """Mean, dispersion of a prediction, weight of a trend, and status of the steps begin..last - 1: (series, steps) each."""
    shape = (len(counts), last - begin)
    mu, phi, trend = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    status = np.full(shape, Status.MISSING, dtype=np.int8)
    every = settings.refit_every
    for refit in range(begin // every * every, last, every):
        end = refit - settings.guard
        start = max(end - round(settings.years * settings.frequency), 0)
        if end - start < LEAST_STEPS:
            continue
        history = counts[:, start:end]
        fitted = fit_harmonics(history, design(start, end, refit, settings.frequency), settings.frequency)
        low, high = max(refit, begin), min(refit + every, last)
        at = slice(low - begin, high - begin)
        mean, phi[:, at] = _predicted(fitted, design(low, high, refit, settings.frequency))
        floor = _floor(history)
        mu[:, at] = np.maximum(mean, floor)
        trend[:, at] = fitted.trend[:, None]
        separated = np.where(mean < floor, np.int8(Status.SEPARATED), np.int8(Status.OK))
        status[:, at] = np.maximum(separated, np.where(fitted.settled, Status.OK, Status.NOT_CONVERGED)[:, None])
        status[np.nansum(history, axis=1) == 0, at] = Status.NO_HISTORY
        status[(~np.isnan(history)).sum(1) < LEAST_STEPS, at] = Status.MISSING
    nothing = status == Status.MISSING
    mu[nothing], phi[nothing] = np.nan, np.nan
    return mu, phi, trend, status


def _predicted(fitted: HarmonicFit, x: Floats) -> tuple[Floats, Floats]:
    """Expectation of the steps of x, and variance over mean of a new count there: (series, steps)."""
    eta = fitted.coefficients @ x.T + fitted.level_shift[:, None]
    error = np.einsum("tp,spq,tq->st", x, fitted.covariance, x) + fitted.wander[:, None]
    mu = np.exp(np.clip(eta, -18.0, 27.0))
    # Student's quantile over the normal one, squared, to first order: the dispersion's own uncertainty.
    widened = fitted.dispersion * (1 + (_TAIL_Z**2 + 1) / 2 / fitted.df)
    return mu, widened[:, None] + np.minimum(error, 1.0) * mu


def _floor(history: Floats) -> Floats:
    """The least expectation: half an event in all of the history, or half an event added to the season: (series, 1)."""
    known = np.maximum((~np.isnan(history)).sum(1), 1)
    mean = np.nansum(history, axis=1) / known
    floor = np.where(mean == 0, 0.5 / known, 0.5 * mean / (known * _OWN_SEASON * mean + 0.5))
    return np.asarray(floor[:, None])


def _weights(counts: Floats, mu: Floats, phi: Floats, settings: WeeklySettings, lags: int) -> Floats:
    """w of each step: (series, steps), from the counts of the `lags` steps before it."""
    total = np.zeros(counts.shape)
    if not lags:
        return np.ones(counts.shape)
    shares = np.array([sum(settings.profile[a:]) for a in range(1, lags + 1)])  # of the cases still to come
    size = np.maximum(np.array(settings.sizes)[:, None, None] * np.sqrt(phi * mu), _LEAST_SIZE)
    ratio = [_log_ratio(counts, mu, phi, size * part) for part in settings.profile[:lags]]  # (sizes, series, steps)
    for a in range(1, lags + 1):
        evidence = np.zeros(ratio[0].shape)
        for j in range(a):  # began a steps ago: a step back i = a - j shows the share profile[j]
            evidence[:, :, a - j :] += ratio[j][:, :, : counts.shape[1] - (a - j)]
        factor = np.exp(np.clip(evidence, -500, 500)).mean(0)
        total += shares[a - 1] / shares.sum() * factor
    return np.asarray(np.minimum(1 - settings.carry + settings.carry * total, settings.most))


def _log_ratio(counts: Floats, mu: Floats, phi: Floats, more: Floats) -> Floats:
    """Log of the probability with `more` cases expected over that with mu, both negative binomial of dispersion phi; 0 where
    nothing was observed or expected."""
    excess = np.maximum(phi - 1, 1e-3)
    size, larger = mu / excess, (mu + more) / excess
    with np.errstate(invalid="ignore"):
        out = (
            gammaln(counts + larger) - gammaln(larger) - (gammaln(counts + size) - gammaln(size)) - more / excess * np.log1p(excess)
        )
    return np.where(np.isnan(out), 0.0, out)
