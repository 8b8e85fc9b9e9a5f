"""Baselines from all of a history: level, trend and annual harmonics of thousands of series, averaged over six models.

log mu[t] = level + slope * years(t) + sum over j = 1, 2 of (cosine, sine)[j] at j cycles a year, quasi-Poisson with variance
dispersion * mu. The fullest model is fitted to all series at once by iteratively reweighted least squares - the series share
their calendar, so each step is one matrix product - with a weak ridge. Models with 0, 1 or 2 harmonics, with or without
the trend, follow from it in closed form (the constrained estimate and Wald's statistic), and are averaged with the weights of
Schwarz's criterion, so that a series pays only for what its history shows. Past outbreaks are weighted down.
McCullagh & Nelder 1989, Generalized Linear Models; Cornish & Fisher 1938 (quantiles of skew counts); Kass & Raftery 1995, Journal
of the American Statistical Association 90:773 (averaging by Schwarz's criterion).
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.negative_binomial import tail_probability

Floats = NDArray[np.float64]
COLUMNS = 6  # level, slope a year, and cosine and sine of two harmonics
_STEPS = 9  # of reweighted least squares
_REWEIGHTED = range(3, 7)  # the steps that weigh outbreaks anew: not before residuals mean something, not to the last
_RIDGE_SD = np.array([1e4, 0.25, 1.0, 1.0, 0.5, 0.5])  # on the log scale; of the slope a year
_LARGEST_ETA = 27.0  # e^27 is beyond all counts
_SMALLEST_ETA = -18.0
_OUTLIER = 2.3  # normal quantile from which a step is weighted down
_OUTBREAK = 3.0  # and from which it says nothing of the dispersion
_NODES = np.array([0.0, 0.146, 0.5, 0.854, 1.0])  # a sine spends its time so
_PRIOR_DISPERSION = 1.2  # of counts of which little is known yet ...
_PRIOR_STEPS = 40.0  # ... worth so many steps of large counts
_BLOCK_YEARS = 0.5  # levels that wander are looked for in half years
_CHUNK = 512  # series fitted together, so that the working arrays stay in cache


class HarmonicFit(NamedTuple):
    """Of (series,) many. coefficients: (series, 6), covariance: (series, 6, 6), of both the fit and the choice of a model;
    dispersion: variance over mean, at least 1; df: its degrees of freedom; trend: weight of the models with a slope, 0..1;
    wander: relative variance of the level from one half year to the next; level_shift: the part of it that the newest half
    year shows, to be added to the log of the expectation; settled: whether the last step still moved the fit."""

    coefficients: Floats
    covariance: Floats
    dispersion: Floats
    df: Floats
    trend: Floats
    level_shift: Floats
    wander: Floats
    settled: NDArray[np.bool_]


@lru_cache(maxsize=64)
def design(first: int, last: int, origin: int, frequency: float) -> Floats:
    """Columns of the steps first..last - 1, (steps, 6): 1, years since `origin`, cosine and sine at one and two cycles a year."""
    step = np.arange(first, last)
    phase = 2 * np.pi * step / frequency
    x = np.stack(
        [np.ones(len(step)), (step - origin) / frequency, *(f(j * phase) for j in (1, 2) for f in (np.cos, np.sin))], axis=1
    )
    x.flags.writeable = False
    return x


def fit_harmonics(counts: Floats, x: Floats, frequency: float) -> HarmonicFit:
    """Fit the baselines of all series. counts: (series, n), NaN for not observed; x: (n, 6), as design() makes it.

    Models that the length of the history cannot tell apart are left out: harmonics need one year, a trend two.
    Series without any event get half an event in all of the history.
    """
    parts = [_fit(counts[at : at + _CHUNK], x, frequency) for at in range(0, max(len(counts), 1), _CHUNK)]
    return HarmonicFit._make([np.concatenate(column) for column in zip(*parts, strict=True)])


def _fit(counts: Floats, x: Floats, frequency: float) -> HarmonicFit:
    series, n = counts.shape
    seen = (~np.isnan(counts)).astype(np.float64)
    y = np.nan_to_num(counts)
    known = np.maximum(seen.sum(1), 1.0)
    mean = np.maximum(y.sum(1), 0.5) / known
    years = n / frequency
    upper = np.triu_indices(COLUMNS)
    pairs = x[:, upper[0]] * x[:, upper[1]]
    spread = _RIDGE_SD.copy()
    spread[1] = spread[1] if years >= 2 else 1e-4
    spread[2:] = spread[2:] if years >= 1 else 1e-4
    penalty = np.diag(spread**-2.0)
    # Least squares on logs shows the season's shape; counts near zero flatten it, which the next steps mend.
    logs = np.log((y + 0.5 * mean[:, None]) / (1.5 * mean[:, None])) * seen
    beta = logs @ np.linalg.solve(x.T @ x + penalty, x.T).T
    beta[:, 0] += np.log(mean)
    phi, weight = np.ones(series), seen
    information = np.empty((series, COLUMNS, COLUMNS))
    moved = np.zeros(series)
    for step in range(_STEPS):
        eta = np.clip(beta @ x.T, _SMALLEST_ETA, _LARGEST_ETA)
        mu = np.exp(eta)
        if step == _REWEIGHTED[0]:
            # From all counts down, not from 1 up: in sparse series a narrow cut would confirm itself.
            phi = np.maximum((seen * (y - mu) ** 2 / mu).sum(1) / np.maximum(known - COLUMNS, 1.0), 1.0)
        if step in _REWEIGHTED:
            weight, phi, _ = _outbreaks(y, mu, seen, known, phi)
        w = weight * mu
        flat = w @ pairs
        information[:, upper[0], upper[1]] = flat
        information[:, upper[1], upper[0]] = flat
        information += penalty * phi[:, None, None]
        right = (w * eta + weight * (y - mu)) @ x
        before, beta = beta, np.linalg.solve(information, right[:, :, None])[:, :, 0]
        moved = np.abs(beta - before).max(1)
    mu = np.exp(np.clip(beta @ x.T, _SMALLEST_ETA, _LARGEST_ETA))
    weight, phi, df = _outbreaks(y, mu, seen, known, phi)
    # A squared residual of a sparse series says little: its variance is 2 + kurtosis, in units of its mean's square.
    kurtosis = (6 * phi - 6 + 1 / phi) / mu.mean(1)
    df = df / (1 + kurtosis / 2)
    phi = np.maximum((phi * df + _PRIOR_DISPERSION * _PRIOR_STEPS) / (df + _PRIOR_STEPS), 1.0)
    covariance = phi[:, None, None] * np.linalg.inv(information)
    beta, covariance, trend = _averaged(beta, covariance, known, years)
    shift, wander = _wander(y, np.exp(np.clip(beta @ x.T, _SMALLEST_ETA, _LARGEST_ETA)), weight, phi, frequency)
    return HarmonicFit(beta, covariance, phi, df + _PRIOR_STEPS, trend, shift, wander, moved < 1e-3)


def _outbreaks(y: Floats, mu: Floats, seen: Floats, known: Floats, phi: Floats) -> tuple[Floats, Floats, Floats]:
    """Weights of steps (series, n), Pearson's dispersion without outbreaks, and its degrees of freedom.

    A step weighs 1, or less from a residual at the 2.3 standard deviations' quantile upwards; beyond that of 3 it is out of
    the dispersion, which gets back what chance alone would have lost there.
    """
    far, further = _cuts(mu, phi[:, None])
    above = y - mu
    weight = np.where((above > far) & (y > 1), (far / np.maximum(above, far)) ** 2, 1.0) * seen
    use = seen * ~((above > further) & (y > 1))
    df = np.maximum(use.sum(1) - COLUMNS, 1.0)
    pearson = (use * above**2 / mu).sum(1) / df / _kept(mu, phi)
    return weight, np.maximum(pearson, 1.0), np.minimum(df, known)


def _cuts(mu: Floats, phi: Floats) -> tuple[Floats, Floats]:
    """How far above its expectation a count lies at the normal quantiles 2.3 and 3, by Cornish and Fisher's expansion: counts
    of sparse series are skew, and cutting them as if they were not would cut chance's own tail."""
    spread, skew = np.sqrt(phi * mu), (2 * phi - 1) / 6
    return _OUTLIER * spread + (_OUTLIER**2 - 1) * skew, _OUTBREAK * spread + (_OUTBREAK**2 - 1) * skew


def _kept(mu: Floats, phi: Floats) -> Floats:
    """Share of a count's variance that is left below the cut, given that it lies below: (series,).

    With size r and e = phi - 1, y * f(y; r) = r e f(y - 1; r + 1), so that truncated moments are tails of other negative
    binomials. Taken at five expectations of each series, from its lowest to its highest.
    """
    low, high = mu.min(1), mu.max(1)
    nodes = np.sqrt(low[:, None]) + _NODES * (np.sqrt(high) - np.sqrt(low))[:, None]
    m, f = nodes**2, phi[:, None]
    cut = np.maximum(np.floor(m + _cuts(m, f)[1]), 1.0)
    e = f - 1
    inside = 1 - tail_probability(cut + 1, m, f)
    first = m * (1 - tail_probability(cut, m + e, f))
    second = m * (m + e) * (1 - np.where(cut >= 2, tail_probability(cut - 1, m + 2 * e, f), 1.0))
    spread = second + first - 2 * m * first + m * m * inside  # of (y - mu)^2 below the cut
    return np.asarray(np.clip((spread / (m * f * inside)).mean(1), 0.3, 1.0))


def _averaged(beta: Floats, covariance: Floats, known: Floats, years: float) -> tuple[Floats, Floats, Floats]:
    """Coefficients and covariance averaged over the six models, and the weight of those with a trend."""
    models: list[list[int]] = []  # the coefficients that each sets to zero
    for slope in ([], [1]):
        for harmonics in ([], [4, 5], [2, 3, 4, 5]):
            if (slope or years >= 2) and (harmonics == [2, 3, 4, 5] or years >= 1):
                models.append(slope + harmonics)
    betas, covariances, logs = [], [], []
    for zero in models:
        part = covariance[:, :, zero]
        gain = part @ np.linalg.inv(part[:, zero]) if zero else part
        betas.append(beta - (gain @ beta[:, zero, None])[:, :, 0])
        covariances.append(covariance - gain @ part.transpose(0, 2, 1))
        wald = (
            (beta[:, zero] * (np.linalg.inv(part[:, zero]) @ beta[:, zero, None])[:, :, 0]).sum(1) if zero else np.zeros(len(beta))
        )
        logs.append(-0.5 * (wald + (COLUMNS - len(zero)) * np.log(known)))
    score = np.array(logs)
    weight = np.exp(score - score.max(0))
    weight /= weight.sum(0)
    mean = np.einsum("ms,msp->sp", weight, np.array(betas))
    apart = np.array(betas) - mean
    spread = np.einsum("ms,mspq->spq", weight, np.array(covariances)) + np.einsum("ms,msp,msq->spq", weight, apart, apart)
    trend = np.sum([w for w, zero in zip(weight, models, strict=True) if 1 not in zero], axis=0) * np.ones(len(beta))
    return mean, spread, trend


def _wander(y: Floats, mu: Floats, weight: Floats, phi: Floats, frequency: float) -> tuple[Floats, Floats]:
    """How much the level departs from the model for half a year at a time, and where the newest half year stands.

    Between half years sum (O - E)^2 exceeds phi * E by what is not chance; two standard errors are taken off, so that it
    is zero where the model holds. The newest ratio O / E is believed in proportion.
    """
    length = max(round(frequency * _BLOCK_YEARS), 1)
    blocks = y.shape[1] // length
    if blocks < 4:
        return np.zeros(len(y)), np.zeros(len(y))
    o, e = ((weight * v)[:, -blocks * length :].reshape(len(y), blocks, length).sum(2) for v in (y, mu))
    noise = phi[:, None] * e
    excess = ((o - e) ** 2 - noise).sum(1) - 2 * np.sqrt(2 * (noise**2).sum(1) + (phi[:, None] ** 2 * noise).sum(1))
    wander = np.clip(excess / np.maximum((e * e).sum(1), 1e-12), 0.0, 1.0)
    share = wander * e[:, -1] / (phi + wander * e[:, -1])
    return share * np.log((o[:, -1] + 0.5) / (e[:, -1] + 0.5)), wander
