"""Unusual mixture: what happens in an area has changed its composition, though perhaps no count is unusual.

A problem picture: the same number of events, but other kinds, at other times of the week, told by others. Features of
28-day windows at weekly steps are set against the area's own past (median and spread of a reference period), a model
gives them one score, and scores of a later period of the past say how seldom chance gives such a score. Evaluated once
a week at the close of the day: shares go up and down with every event, so there is nothing to warn of within a day.

The model is whatever answers `score_samples` (see lab/models.py for the bundled one); it is passed in, so that the core
neither reads files nor imports scikit-learn. `plain_scores` needs no model: the service is complete without one.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc, ndtr, ndtri

from earlywarning.core.detectors.status import DetectorError, Status

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
FEATURES = (
    "up_1", "up_2", "up_3",  # the categories that have grown most in share
    "down_1", "down_2",  # those that have shrunk most
    "concentration",  # few kinds dominate more than they used to
    "weekend", "reports",  # share on Saturdays and Sundays; share told by reports
)  # fmt: skip
FEATURES_VERSION = 1  # to be raised with any change of what a feature means: models of another version are refused
_RISES, _FALLS = 3, 2
_SIDES = 3  # features beside the categories': concentration, weekend, reports
_LIMIT = 12.0  # deviations beyond this are all the same: a category that never was there before
_BATCH = 8192  # rows scored together


class Scorer(Protocol):
    """A model of usual feature vectors; a low score is unusual."""

    def score_samples(self, X: Floats) -> Floats:  # scikit-learn's name
        """(n,) scores of (n, len(FEATURES)) vectors."""
        ...


@dataclass(frozen=True, slots=True)
class PatternSettings:
    """reference: windows that say what is usual; gap: windows before the judged one that are left out, because they
    share days with it; shrink: events by which shares are drawn to the usual ones; fewest: events a window must have."""

    reference: int = 52
    gap: int = 4
    shrink: float = 10.0
    fewest: int = 10

    def __post_init__(self) -> None:
        if self.reference < 13 or self.gap < 0 or not self.shrink > 0 or self.fewest < 1:
            rule = "reference at least 13, gap at least 0, shrink above 0 and fewest at least 1"
            raise DetectorError(f"{self}: must have {rule}")


class Deviations(NamedTuple):
    """How far each window departs from the area's own past, in robust standard deviations.

    categories: (areas, windows, categories); concentration, weekend, reports: (areas, windows). seen: (areas, windows)
    the window has enough events. vectors: (areas, windows, len(FEATURES)), what a model is shown.
    """

    categories: Floats
    concentration: Floats
    weekend: Floats
    reports: Floats
    seen: Bools
    vectors: Floats


class Mixture(NamedTuple):
    """(areas,) each, of the last window.

    p_value: 1 where not judged. score: higher is more unusual. reasons: (areas, top) feature numbers, most unusual
    first: 0..categories-1 the share of a category, then concentration, weekend, reports; -1 where there is none.
    deviation: (areas, top) robust standard deviations of the reasons, with their sign. status: OK, TOO_FEW (events in the
    window) or NO_HISTORY (too few past windows with enough events).
    """

    p_value: Floats
    score: Floats
    reasons: NDArray[np.int64]
    deviation: Floats
    status: NDArray[np.int8]


def deviations(mix: Floats, weekend: Floats, reports: Floats, settings: PatternSettings) -> Deviations:
    """Features of every window against the area's own reference period.

    mix: (areas, windows, categories) events of 28-day windows at weekly steps, oldest first; the first
    `settings.reference` windows are the reference. Categories of one level (groups), so that none counts twice. weekend,
    reports: (areas, windows) those of the events that fell on Saturday or Sunday, and that are reports.
    Raises DetectorError for shapes that differ, negative or missing counts, and too few windows.
    """
    mix, weekend, reports = _checked(mix, weekend, reports, settings)
    past = slice(0, settings.reference)
    total = mix.sum(2)
    kappa = settings.shrink
    pooled = (mix[:, past].sum((0, 1)) + 1e-9) / (mix[:, past].sum() + 1e-9 * mix.shape[2])
    own = mix[:, past].sum(1)
    usual = (own + pooled) / (own.sum(1, keepdims=True) + 1)  # (areas, categories), one event's worth of all areas
    n = np.median(total[:, past], axis=1)

    shares = (mix + kappa * usual[:, None, :]) / (total + kappa)[:, :, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(shares / usual[:, None, :])
        chance = np.sqrt(n[:, None] * (1 - usual) / usual) / (n[:, None] + kappa)
    known = mix[:, past].sum((0, 1)) + mix.sum((0, 1)) > 0
    categories = np.where(known, _robust(ratio, past, chance), 0.0)
    concentration = _robust(np.log((shares**2).sum(2))[:, :, None], past, np.zeros((len(mix), 1)))[:, :, 0]
    side = [_share(part, total, n, past, kappa) for part in (weekend, reports)]
    vectors = _vectors(categories[:, :, known], concentration, *side)
    return Deviations(categories, concentration, side[0], side[1], total >= settings.fewest, vectors)


def judge_mixture(found: Deviations, scores: Floats, settings: PatternSettings, top: int = 3) -> Mixture:
    """Judge the last window of every area by the scores of its past.

    found: of deviations(). scores: (areas, windows), higher is more unusual: model_scores() or plain_scores(). The windows
    between the reference and the gap calibrate: they are set against the reference as the judged one is (split conformal).
    The tail beyond their upper twentieth is a generalised Pareto distribution, pooled over the areas, as no area alone has
    a past long enough for it; an area whose own past had as high a score gets at least its own frequency.
    Raises DetectorError when there are fewer than 13 windows to calibrate on.
    Vovk, Gammerman & Shafer 2005, Algorithmic Learning in a Random World; Hosking & Wallis 1987, Technometrics 29:339.
    """
    if scores.shape != found.seen.shape:
        raise DetectorError(f"scores are of shape {scores.shape}, the windows of {found.seen.shape}; they must agree")
    stop = scores.shape[1] - 1 - settings.gap
    if stop - settings.reference < 13:
        least = settings.reference + 13 + settings.gap + 1
        raise DetectorError(f"{scores.shape[1]} windows given: an unusual mixture needs at least {least} (see PatternSettings)")
    calibration, seen = scores[:, settings.reference : stop], found.seen[:, settings.reference : stop]
    judged = scores[:, -1]
    p_value = _tail(calibration[seen], judged)
    as_high = ((calibration >= judged[:, None]) & seen).sum(1)
    own = np.where(as_high > 0, (1 + as_high) / (1 + np.maximum(seen.sum(1), 1)), 0.0)
    known, enough = seen.sum(1) >= 13, found.seen[:, -1]
    status = np.select([~enough, ~known], [int(Status.TOO_FEW), int(Status.NO_HISTORY)], int(Status.OK)).astype(np.int8)
    p_value = np.where(known & enough, np.minimum(np.maximum(p_value, own), 1.0), 1.0)

    last = np.stack([found.concentration[:, -1], found.weekend[:, -1], found.reports[:, -1]], axis=1)
    every = np.concatenate([found.categories[:, -1], last], axis=1)
    order = np.argsort(-np.abs(every), axis=1, kind="stable")[:, :top]
    deviation = np.take_along_axis(every, order, axis=1)
    reasons = np.where((deviation != 0) & enough[:, None], order, -1)
    return Mixture(p_value, judged, reasons, np.where(reasons >= 0, deviation, 0.0), status)


def model_scores(model: Scorer, found: Deviations, settings: PatternSettings) -> Floats:
    """(areas, windows) scores by a model, higher is more unusual; 0 in the reference period, which nothing is read from.

    In batches, since a single row costs as much as many.
    """
    rows = found.vectors[:, settings.reference :].reshape(-1, len(FEATURES))
    parts = [-np.asarray(model.score_samples(rows[i : i + _BATCH]), dtype=np.float64) for i in range(0, len(rows), _BATCH)]
    scores = np.zeros(found.seen.shape)
    scores[:, settings.reference :] = np.concatenate(parts).reshape(len(scores), -1)
    return scores


def plain_scores(found: Deviations) -> Floats:
    """(areas, windows) scores without a model: the sum of the squared features, as if they were independent."""
    return np.asarray((found.vectors**2).sum(2))


def _robust(values: Floats, past: slice, chance: Floats) -> Floats:
    """(values - median of the past) / spread; the spread is not below what chance alone gives, nor far below others'."""
    centre = np.median(values[:, past], axis=1)
    spread = 1.4826 * np.median(np.abs(values[:, past] - centre[:, None]), axis=1)
    usual = np.median(spread, axis=0)
    spread = np.maximum(np.maximum(spread, chance), np.maximum(usual / 2, 1e-3))
    return np.asarray(np.clip((values - centre[:, None]) / spread[:, None], -_LIMIT, _LIMIT))


def _share(part: Floats, total: Floats, n: Floats, past: slice, kappa: float) -> Floats:
    """Deviation of the logit of a share, drawn towards the usual share; 0 everywhere when all or none are of the kind."""
    usual = (part[:, past].sum(1) + 0.5) / (total[:, past].sum(1) + 1)
    share = (part + kappa * usual[:, None]) / (total + kappa)
    chance = np.sqrt(n / (usual * (1 - usual))) / (n + kappa)
    found = _robust(np.log(share / (1 - share))[:, :, None], past, chance[:, None])[:, :, 0]
    return found if 0 < part.sum() < total.sum() else np.zeros_like(found)


def _vectors(categories: Floats, concentration: Floats, weekend: Floats, reports: Floats) -> Floats:
    """What a model is shown: a fixed number of features, however many categories a municipality has.

    The j-th largest of C deviations grows with C; its probability among C independent ones, turned back into a standard
    normal deviate, does not.
    """
    count = categories.shape[2]
    ordered = np.sort(categories, axis=2)
    out = np.zeros((*categories.shape[:2], len(FEATURES)))
    for j in range(min(_RISES, count)):
        out[:, :, j] = _order_deviate(ordered[:, :, count - 1 - j], j + 1, count)
    for j in range(min(_FALLS, count)):
        out[:, :, _RISES + j] = _order_deviate(-ordered[:, :, j], j + 1, count)
    out[:, :, -_SIDES:] = np.stack([concentration, weekend, reports], axis=2)
    return out


def _order_deviate(z: Floats, rank: int, count: int) -> Floats:
    probability = betainc(rank, count - rank + 1, ndtr(-z))
    return np.asarray(-ndtri(np.clip(probability, 1e-30, 1 - 1e-6)))


def _tail(past: Floats, judged: Floats) -> Floats:
    """P(score >= judged): the share of past scores, beyond their upper twentieth a generalised Pareto tail."""
    ranked = np.sort(past)
    n = len(ranked)
    if not n:
        return np.ones(len(judged))
    counted = (n - np.searchsorted(ranked, judged, side="left") + 1) / (n + 1)
    begin = int(n * 0.95)
    excess = ranked[begin:] - ranked[begin]
    if len(excess) < 20 or excess[-1] <= 0:
        return np.asarray(counted)
    # Probability-weighted moments. The shape is held above that of an exponential tail: an estimate below 0 would say
    # that nothing beyond some score can ever happen, and one of 0 proved too light in simulation.
    m = len(excess)
    b0, b1 = excess.mean(), float((excess * (m - 1 - np.arange(m))).sum() / (m * max(m - 1, 1)))
    xi = float(np.clip(2 - b0 / max(b0 - 2 * b1, 1e-12), 0.1, 0.5))
    scale = b0 * (1 - xi)  # the mean excess stays as observed
    beyond = np.maximum(judged - ranked[begin], 0.0)
    tail = (1 + xi * beyond / scale) ** (-1 / xi)
    return np.where(judged > ranked[begin], m / n * tail, counted)


def _checked(mix: Floats, weekend: Floats, reports: Floats, settings: PatternSettings) -> tuple[Floats, Floats, Floats]:
    mix, weekend, reports = (np.asarray(a, dtype=np.float64) for a in (mix, weekend, reports))
    if mix.ndim != 3 or not mix.shape[2] or weekend.shape != mix.shape[:2] or reports.shape != mix.shape[:2]:
        shapes = f"{mix.shape}, {weekend.shape} and {reports.shape}"
        raise DetectorError(f"mix (areas, windows, categories), weekend and reports (areas, windows) are of shapes {shapes}")
    if mix.shape[1] <= settings.reference:
        raise DetectorError(f"{mix.shape[1]} windows given: more than the {settings.reference} of the reference are needed")
    for name, values in (("mix", mix), ("weekend", weekend), ("reports", reports)):
        if not (np.isfinite(values) & (values >= 0)).all():
            area = int(np.argwhere(~(np.isfinite(values) & (values >= 0)))[0][0])
            raise DetectorError(f"{name} of area {area} holds a negative, infinite or missing count")
    total = mix.sum(2)
    return mix, np.minimum(weekend, total), np.minimum(reports, total)
