"""Tendencies other than unusual counts: severe and rare events, first occurrences, and what a whole week says.

The first two speak at the event: which cells they watch is set when the day begins, and an event either falls in one or
does not. The others (sources drifting apart, slow drift, sums of harm, unusual mixtures) look at whole weeks, once a week
when its last day is closed. Each has its own share of the
false-alarm budget; what severity takes of it follows from how rare the watched events are.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.calendar import UNIT
from earlywarning.core.counts import CountCube
from earlywarning.core.detectors.drift import drift, slow_noise
from earlywarning.core.detectors.expectation import Expectation, profile
from earlywarning.core.detectors.pattern import Scorer
from earlywarning.core.detectors.rare_rates import recurrence_anywhere, shrunken_rates, within_allowance
from earlywarning.core.detectors.reporting import sources_apart
from earlywarning.core.detectors.scan import window_dispersion
from earlywarning.core.detectors.severity import severe_rule
from earlywarning.core.judged import Judged
from earlywarning.core.mixtures import heavy_areas, unusual_mixtures
from earlywarning.core.scope import Block, Scope
from earlywarning.core.watch import Watch

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
WEEK = 7
APART_DAYS = 28
DRIFT_WEEKS = 26
_LEARNING_WEEKS = 104  # before those that are tested, from which slow noise is learned
_SLOPE_ERROR = 0.06  # relative: an area's own trend of some per cent a year goes on unseen while the baseline stands still
_LOUD = 0.5  # share of one week in a drift's evidence from which it is that week, not a drift
_FEWEST_EXPECTED = 3.0  # events of each kind, below which a ratio says nothing


class TendencySettings(NamedTuple):
    """harm_limit: weight from which an event is severe; rare_days: and how rare it must be in its area to interrupt.
    absent_days: without an event of a category, after which the next is a first. Shares are of the false-alarm budget."""

    harm_limit: float = 200.0
    rare_days: float = 30.0
    absent_days: int = 364
    first_share: float = 0.02
    apart_share: float = 0.02
    drift_share: float = 0.02
    mixture_share: float = 0.02
    harm_share: float = 0.02

    @property
    def share(self) -> float:
        """What all of them take of the budget."""
        return self.first_share + self.apart_share + self.drift_share + self.mixture_share + self.harm_share


class Tendencies:
    """What is watched beside counts. per_week: the whole false-alarm budget; model: of usual mixtures, see mixtures.py."""

    def __init__(
        self, scope: Scope, cube: CountCube, settings: TendencySettings, per_week: float, model: Scorer | None = None
    ) -> None:
        self._model = model
        self._scope, self._cube, self._harm = scope, cube, scope.harm
        self._settings, self._per_week = settings, per_week
        space = scope.space
        self._shape = (space.kinds, space.areas, space.categories)
        leaf = scope.part.sum(1) == 1
        self._leaf = np.broadcast_to(leaf, self._shape)
        self._chance = np.zeros(self._shape)
        self._severe = np.zeros(self._shape, dtype=bool)
        self._severe_recurrence = np.full(self._shape, np.nan)
        self._first = np.zeros(self._shape, dtype=bool)
        self._first_recurrence = np.full(self._shape, np.nan)
        self._fit_day: int | None = None
        self._today = 0

    # ---- at the event ---------------------------------------------------------------------------------------------

    def begin_day(self, day: int) -> None:
        """Day `day` begins: set which cells speak when an event falls in them."""
        self._today = day
        if self._fit_day != Watch.fit_day(day) or not self._chance.any():
            self._fit_day = Watch.fit_day(day)
            self._fit(day)
        self._first[:] = False
        absent = self._settings.absent_days
        begun = self._cube.first_day if self._settings.first_share > 0 else None
        if begun is None or day - begun < absent:
            return
        quiet = (self._cube.window_all(day - 1, absent).reshape(self._shape) == 0) & self._leaf & ~self._severe
        chance = np.where(quiet & (self._chance > 0), self._chance, np.nan)
        if np.isfinite(chance).any():
            per_day = self._settings.first_share * self._per_week / WEEK
            self._first = within_allowance(chance, per_day) & np.isfinite(chance)
            self._first_recurrence = recurrence_anywhere(chance) / self._settings.first_share

    def _fit(self, day: int) -> None:
        """Rates of all cells from the whole history, and which events are severe and rare by them."""
        if not self._cube.begun or self._cube.first_day is None:
            days, counts = 1, np.zeros(self._shape)
        else:
            days = max(day - self._cube.first_day, 1)
            counts = self._cube.window_all(day - 1, days).reshape(self._shape) / UNIT
        for kind in range(self._shape[0]):
            for rank in range(3):
                areas = np.flatnonzero(self._scope.rank == rank)
                if len(areas):
                    size = counts[kind, areas, 0] + 1.0
                    self._chance[kind, areas] = shrunken_rates(counts[kind, areas], float(days), size).chance()
            rule = severe_rule(self._chance[kind], self._harm, self._settings.harm_limit, self._settings.rare_days)
            self._severe[kind] = rule.raises & self._leaf[kind]
            self._severe_recurrence[kind] = rule.recurrence_days

    def speaks(self, kind: Ints, area: Ints, category: Ints) -> NDArray[np.bool_]:
        """(n,): whether an event in these cells says something by itself."""
        return np.asarray((self._severe | self._first)[kind, area, category])

    def at_event(self, kind: int, area: int, category: int, day: int, events: float) -> Judged | None:
        """What one event says by itself, if anything. day: on which it happened; events: its share of that day, 0..1."""
        cell = (kind, area, category)
        severe = bool(self._severe[cell])
        if not severe and not self._first[cell]:
            return None
        block = Block(kind, (area,), (category,))
        chance = float(self._chance[cell])
        recurrence = self._severe_recurrence[cell] if severe else self._first_recurrence[cell]
        return Judged(
            block, 1, day, events, -float(np.log1p(-min(chance, 1 - 1e-12))), 0.0, 1.0, chance, 0.0, 0.0, 0,
            "severe" if severe else "first", float(recurrence),
        )  # fmt: skip

    # ---- once a week ----------------------------------------------------------------------------------------------

    def at_week(self, watch: Watch, silent: bool) -> list[Judged]:
        """What the week that closes today says: sources drifting apart, slow drift. silent: whether any source is dead."""
        if not watch.ready or self._cube.first_day is None:
            return []
        shares = self._settings
        found = self._apart(watch, silent) if shares.apart_share > 0 else []
        if shares.drift_share > 0 and watch.slow is not None and not silent:
            found += self._drifting(watch, watch.slow, self._cube.first_day)
        if shares.harm_share > 0:
            found += _one_each(heavy_areas(watch, self._harm, shares.harm_share * self._per_week), self._scope)
        if shares.mixture_share > 0 and not silent:
            found += unusual_mixtures(self._scope, self._cube, self._today, self._model, shares.mixture_share * self._per_week)
        return found

    def _apart(self, watch: Watch, silent: bool) -> list[Judged]:
        w, fit = watch.watched, watch.fitted
        if w is None or fit is None or silent or APART_DAYS not in watch.settings.windows:
            return []
        number = watch.settings.windows.index(APART_DAYS)
        pairs = [
            (i, j) for i, j in np.ndindex(len(w.kind), len(w.kind))
            if w.kind[i] == 0 and w.kind[j] == 1 and w.category[i] == w.category[j]
        ]  # fmt: skip
        if not pairs:
            return []
        incident, report = (np.array([p[s] for p in pairs]) for s in (0, 1))
        counts, expected, variance = watch.base_window(number)
        e, r = expected[:, incident], expected[:, report]
        enough = (e >= _FEWEST_EXPECTED) & (r >= _FEWEST_EXPECTED)
        if not enough.any():
            return []
        error = np.sqrt(fit.level_variance)
        result = sources_apart(
            counts[:, report],
            counts[:, incident],
            report_expectation=r,
            incident_expectation=e,
            report_dispersion=np.maximum(variance[:, report] / np.maximum(r, 1e-9), 1.0),
            incident_dispersion=np.maximum(variance[:, incident] / np.maximum(e, 1e-9), 1.0),
            report_error=error[:, report],
            incident_error=error[:, incident],
            silent=~enough,
        )
        alpha = self._settings.apart_share * self._per_week / max(int(enough.sum()), 1)
        found = []
        for a, p in np.argwhere((result.p_value <= alpha) & enough).tolist():
            block = Block(1, (a,), (int(w.category[report[p]]),))
            recurrence = WEEK / max(float(result.p_value[a, p]) * int(enough.sum()), 1e-12)
            found.append(
                Judged(
                    block,
                    APART_DAYS,
                    self._today,
                    float(counts[a, report[p]]),
                    float(r[a, p]),
                    0.0,
                    1.0,
                    float(result.p_value[a, p]),
                    0.0,
                    0.0,
                    0,
                    "apart",
                    recurrence,
                )
            )
        return _one_each(found, self._scope)

    def _drifting(self, watch: Watch, slow: Expectation, first_day: int) -> list[Judged]:
        w = watch.watched
        if w is None:
            return []
        last = self._today
        weeks = min(DRIFT_WEEKS + _LEARNING_WEEKS, (last - first_day + 1) // WEEK)
        if weeks < DRIFT_WEEKS + 26:
            return []
        begin = last - weeks * WEEK + 1
        areas, columns = self._shape[1], len(w.kind)
        days = np.arange(begin, last + 1)
        series = watch.series_of(w)
        y = self._cube.daily_all(series, begin, last).reshape(weeks, WEEK, areas * columns).sum(1).T.astype(np.float64)
        shape = profile(slow, days, watch.kinds_of(begin, last)).reshape(weeks, WEEK, columns).sum(1)
        e = (slow.level[None] * shape[:, None]).reshape(weeks, areas * columns).T
        live = np.flatnonzero(e[:, -DRIFT_WEEKS:].sum(1) >= 2 * DRIFT_WEEKS)
        if not len(live):
            return []
        column = live % columns
        noise = slow_noise(y[live][:, :-DRIFT_WEEKS], e[live][:, :-DRIFT_WEEKS], w.kind[column].astype(np.int64))
        result = drift(
            y[live][:, -DRIFT_WEEKS:],
            e[live][:, -DRIFT_WEEKS:],
            dispersion=window_dispersion(slow.dispersion, 1)[column],
            error=np.sqrt(slow.level_variance.reshape(-1)[live] + _SLOPE_ERROR**2),
            noise=noise,
        )
        alpha = self._settings.drift_share * self._per_week / len(live)
        found = []
        for i in np.flatnonzero((result.p_value <= alpha) & (result.largest_share < _LOUD) & (result.direction > 0)).tolist():
            area, k = divmod(int(live[i]), columns)
            observed, expected = float(y[live[i], -DRIFT_WEEKS:].sum()), float(e[live[i], -DRIFT_WEEKS:].sum())
            block = Block(int(w.kind[k]), (area,), (int(w.category[k]),))
            recurrence = WEEK / max(float(result.p_value[i]) * len(live), 1e-12)
            found.append(
                Judged(
                    block,
                    DRIFT_WEEKS * WEEK,
                    last,
                    observed,
                    expected,
                    0.0,
                    1.0,
                    float(result.p_value[i]),
                    0.0,
                    0.0,
                    0,
                    "drift",
                    recurrence,
                )
            )
        return _one_each(found, self._scope)


def _one_each(found: list[Judged], scope: Scope) -> list[Judged]:
    """Of findings that meet, the most unusual one: a place and its parts tell one story."""
    kept: list[Judged] = []
    for one in sorted(found, key=lambda j: (j.p_value, j.block)):
        if not any(scope.share(one.block, other.block) for other in kept):
            kept.append(one)
    return kept
