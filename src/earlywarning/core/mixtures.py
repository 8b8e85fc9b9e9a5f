"""Once a week: areas where what happens has changed its composition, and areas where it weighs more than usual.

Both say what no single count says. Mixture: detectors/pattern.py on the counts of the cube, areas of the finest level.
Harm: the sum of harm weights in a window against its law (detectors/severity.py), areas of every level.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.calendar import UNIT
from earlywarning.core.counts import CountCube
from earlywarning.core.detectors.pattern import (
    Deviations,
    Mixture,
    PatternSettings,
    Scorer,
    deviations,
    judge_mixture,
    model_scores,
    plain_scores,
)
from earlywarning.core.detectors.severity import harm_tail
from earlywarning.core.judged import Judged, Reason
from earlywarning.core.scope import Block, Scope
from earlywarning.core.watch import Watch

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
WEEK, WINDOW = 7, 28
_LONGEST = 157  # windows: a year that says what is usual, two that say how it varies
_FEWEST = 70
_SIDES = ("concentration", "weekend", "reports")
_TOLD = 1.5  # robust standard deviations from which a feature is a reason
_CARRYING = 3  # categories that a sum of harm is told with
HARM_WINDOW = 28


class Rolling(NamedTuple):
    """28-day windows at weekly steps, the oldest first. mix: (areas, windows, groups); others: (areas, windows)."""

    areas: Ints
    groups: Ints
    mix: Floats
    weekend: Floats
    reports: Floats


def rolling(scope: Scope, cube: CountCube, last_day: int) -> Rolling | None:
    """What the finest areas count in categories of the first level, both kinds together; None with too little history.

    last_day: a Sunday, the last day of the newest window.
    """
    if cube.first_day is None:
        return None
    windows = min((last_day - cube.first_day + 1 - WINDOW) // WEEK + 1, _LONGEST)
    parents = scope.space.category_ancestors
    groups = np.flatnonzero((parents >= 0).sum(1) == 2)
    if windows < _FEWEST or len(groups) < 2:
        return None
    ends = last_day - WEEK * np.arange(windows)[::-1]
    areas = scope.fine

    def counts(kinds: tuple[int, ...], categories: Ints, days: Ints, length: int) -> Floats:
        series = [scope.space.number(k, areas[:, None], categories[None]).ravel() for k in kinds]
        total = np.sum([cube.window(s, days, length) for s in series], axis=0)
        return np.asarray(total.T.reshape(len(areas), len(categories), len(days)) / UNIT)

    every = tuple(range(scope.space.kinds))
    mix = counts(every, groups, ends, WINDOW).transpose(0, 2, 1)
    weekend = np.sum([counts(every, groups, ends - WEEK * w, 2).sum(1) for w in range(WINDOW // WEEK)], axis=0)
    reports = counts((1,), groups, ends, WINDOW).sum(1) if 1 in every else np.zeros(mix.shape[:2])
    return Rolling(areas, groups, mix, weekend, reports)


def unusual_mixtures(scope: Scope, cube: CountCube, last_day: int, model: Scorer | None, per_week: float) -> list[Judged]:
    """Areas whose mixture is so unusual that chance gives `per_week` of them a week, the most unusual first.

    model: None for plain scores; asked only when there is something to judge.
    """
    seen = rolling(scope, cube, last_day)
    if seen is None:
        return []
    settings = PatternSettings()
    found = deviations(seen.mix, seen.weekend, seen.reports, settings)
    scores = plain_scores(found) if model is None else model_scores(model, found, settings)
    mixture = judge_mixture(found, scores, settings)
    judged = int((mixture.p_value < 1).sum())
    if not judged:
        return []
    alpha = per_week / judged
    out = []
    for i in np.argsort(mixture.p_value, kind="stable").tolist():
        p = float(mixture.p_value[i])
        if p > alpha:
            break
        recurrence = WEEK / max(p * judged, 1e-12)
        out.append(_told(scope, cube, seen, found, mixture, i, last_day, recurrence))
    return out


def _told(
    scope: Scope, cube: CountCube, seen: Rolling, found: Deviations, mixture: Mixture, i: int, last_day: int, recurrence: float
) -> Judged:
    area, groups = int(seen.areas[i]), len(seen.groups)
    reasons = []
    for number, deviation in zip(mixture.reasons[i].tolist(), mixture.deviation[i].tolist(), strict=True):
        if number < 0 or abs(deviation) < _TOLD:
            continue
        if number < groups:
            reasons.append(Reason("category", int(seen.groups[number]), round(deviation, 2)))
        else:
            reasons.append(Reason(_SIDES[number - groups], -1, round(deviation, 2)))
    risen = tuple(sorted(r.category for r in reasons if r.feature == "category" and r.deviation > 0)) or (0,)
    # A block is of one kind: the one that has more of what has risen.
    counts = [
        float(cube.window(scope.series(Block(k, (area,), risen)), np.array([last_day]), WINDOW).sum() / UNIT)
        for k in range(scope.space.kinds)
    ]
    kind = int(np.argmax(counts))
    usual = cube.window(scope.series(Block(kind, (area,), risen)), last_day - WEEK * np.arange(4, 56), WINDOW).sum(1) / UNIT
    return Judged(
        Block(kind, (area,), risen), WINDOW, last_day, counts[kind], float(usual.mean()), 0.0, 1.0, float(mixture.p_value[i]),
        0.0, 0.0, 0, "mixture", recurrence, tuple(reasons),
    )  # fmt: skip


def heavy_areas(watch: Watch, harm: Floats, per_week: float) -> list[Judged]:
    """Areas where the sum of harm of four weeks is so high that chance gives `per_week` of them a week.

    harm: (categories,) weights. The alert is about the categories that carry the excess of harm.
    """
    w, fit = watch.watched, watch.fitted
    if w is None or fit is None or HARM_WINDOW not in watch.settings.windows:
        return []
    counts, expected, variance = watch.base_window(watch.settings.windows.index(HARM_WINDOW))
    today = watch.today
    assert today is not None  # noqa: S101  # fitted
    rows = []
    for kind in np.unique(w.kind).tolist():
        leaves = w.leaves[w.kind[w.leaves] == kind]
        weights = harm[w.category[leaves]]
        o, e, v = counts[:, leaves], expected[:, leaves], variance[:, leaves]
        mean = e @ weights
        extra = np.maximum((v - e) @ weights**2, 0.0) / np.maximum(mean**2, 1e-12)
        # What one area's categories share beyond their own spread.
        tail = harm_tail(o, e, weights, variance=np.minimum(extra, 4.0))
        for area in np.flatnonzero((tail.p_value < 0.05) & (mean > 0)).tolist():
            excess = (o[area] - e[area]) * weights
            carrying = np.argsort(-excess, kind="stable")[:_CARRYING]
            carrying = carrying[excess[carrying] > 0.1 * max(excess.max(), 0.0)]
            if len(carrying):
                rows.append((float(tail.p_value[area]), kind, area, leaves[np.sort(carrying)], carrying, o[area], e[area]))
    tests = max(int((expected[:, w.leaves].sum(1) > 0).sum()) * len(np.unique(w.kind)), 1)
    out = []
    for p, kind, area, columns, carrying, o_all, e_all in sorted(rows, key=lambda r: (r[0], r[1], r[2])):
        if p > per_week / tests:
            break
        block = Block(kind, (area,), tuple(sorted(int(c) for c in w.category[columns])))
        out.append(
            Judged(
                block,
                HARM_WINDOW,
                today,
                float(o_all[carrying].sum()),
                float(e_all[carrying].sum()),
                0.0,
                1.0,
                p,
                0.0,
                0.0,
                0,
                "harm",
                WEEK / max(p * tests, 1e-12),
            )
        )
    return out
