"""The two speeds: a day's expectation is set when the day before closes, and each event is held against it.

Blocks of neighbouring areas and kindred categories are watched in windows of several lengths that end today. What is
expected of a window is what should have been *recorded* of it by the end of today: the newest days count with the share
that usually has arrived. Baselines and the threshold are made anew every four weeks, on days that follow from the calendar
alone, so that a rebuilt service stands where the old one stood. Within a day the expectations do not move and counts only
rise, so that warning at the event costs no more false alarms than warning at midnight.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.arrivals import Arrivals
from earlywarning.core.budget import WEEKS, Threshold, calibrate
from earlywarning.core.calendar import UNIT
from earlywarning.core.counts import CountCube
from earlywarning.core.detectors.expectation import Expectation, ExpectationSettings, fit_expectation
from earlywarning.core.detectors.negative_binomial import quantile, tail_probability
from earlywarning.core.detectors.scan import Blocks, block_sort, scan
from earlywarning.core.detectors.status import Status
from earlywarning.core.judged import Cover, Judged, Touched, settled
from earlywarning.core.known_causes import without_explained
from earlywarning.core.observed_days import booking_days, observed_days
from earlywarning.core.online_fdr import day_level, threshold_of
from earlywarning.core.scope import Block, Scope, Watched
from earlywarning.core.window_law import WindowLaw, common_variance, moments, window_law

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
WEEK = 7
YEAR = 52 * WEEK  # a year back in whole weeks, so that weekdays agree
HALF_WIDTH = 3  # weeks to either side that count as the same weeks of an earlier year
REFIT = 28  # days from one fit to the next
SLOW_GUARD = 27 * 7 + REFIT  # days: half a year of weeks that are tested for drift, at any time between two fits
_MONDAY = 4  # 1970-01-05
NEARLY = 0.5  # powers of ten of score that a more specific block may lie behind
FEWEST_WEEKS = 16  # of history, whatever the settings say: a season cannot be seen in less, nor hardly a weekday
_FEWEST = 8.0  # events in the history of a category that is watched
COVERED = 0.05  # of a block's expectation left over by open alerts, below which the rest is not judged


DayKinds = Callable[[int, int], Floats]  # first and last day -> (days, kinds), 0..1


class WatchSettings(NamedTuple):
    """What is watched and how. windows in days; years: of history used, and least needed; false alarms a week.

    first_judged: day before which nothing is judged, for a back-test whose earlier days are history.
    false_discovery_rate: 0, or the share of false ones among alerts that replaces the budget (online_fdr.py). area_bonus,
    category_bonus: powers of ten by which false alarms may be more frequent there than elsewhere; empty: none.
    """

    windows: tuple[int, ...] = (1, 3, 7, 14, 28)
    years: int = 5
    min_years: int = 1
    min_count: int = 3
    lateness: int = 7
    false_alarms_per_week: float = 1.0
    first_judged: int = 0
    false_discovery_rate: float = 0.0
    area_bonus: tuple[float, ...] = ()
    category_bonus: tuple[float, ...] = ()
    baseline: ExpectationSettings = ExpectationSettings()


class Watch:
    """The expectations of one municipality over one count cube, for today."""

    def __init__(self, scope: Scope, cube: CountCube, settings: WatchSettings, day_kinds: DayKinds | None = None) -> None:
        self.scope, self.space, self.cube, self.settings = scope, scope.space, cube, settings
        self.day_kinds = day_kinds
        self.today: int | None = None
        self.ready_since: int | None = None  # first day on which there was history enough to judge
        self.fitted: Expectation | None = None
        self.fitted_on: int | None = None  # the day of that fit
        self.watched: Watched | None = None
        self.zones = scope.zones
        if settings.area_bonus:
            self.zones = self.zones._replace(bonus=np.array(settings.area_bonus))
        self.threshold: Threshold | None = None  # in force today
        self._fitted_threshold: Threshold | None = None
        self.discoveries: list[int] = []  # days on which the scan opened an alert
        self.explained: Callable[[int], list[tuple[Block, int, int]]] = lambda _: []  # by the day of a fit, what it leaves out
        self.slow: Expectation | None = None  # one that knows nothing of the last half year, for drifts over months
        self._fit_day: int | None = None
        self.calibrate: Callable[..., Threshold] = calibrate  # a lab's keeps what it draws
        self.law: WindowLaw | None = None  # of the windows that end today
        self.shares: Floats | None = None  # (K, lags) of a day's events that are recorded so many days later, today

    # ---- the slow speed -------------------------------------------------------------------------------------------

    @staticmethod
    def fit_day(day: int) -> int:
        """The day on which the baseline that is in force on `day` was fitted: every fourth Monday."""
        return day - (day - _MONDAY) % REFIT

    def begin_day(self, day: int, arrivals: Arrivals) -> None:
        """Day `day` begins, all before it are closed: set what is expected of the windows that end today."""
        self.today = day
        if day >= self.fit_day(self.settings.first_judged) and self._fit_day != self.fit_day(day):
            self._fit_day = self.fit_day(day)
            if day == self._fit_day:
                self._fit(day, arrivals)
        if self.ready:
            self.ready_since = day if self.ready_since is None else self.ready_since
            self._expect(day, arrivals)
        if self._fitted_threshold is not None:
            self.threshold = self._threshold_of(day, self._fitted_threshold)

    def _threshold_of(self, day: int, fitted: Threshold) -> Threshold:
        rate = self.settings.false_discovery_rate
        if not rate:
            return fitted
        level = day_level(day, self._first_judged(), self.discoveries, rate, max(self.settings.windows))
        return threshold_of(fitted, level)

    def _first_judged(self) -> int:
        """The first day on which anything could be judged."""
        assert self.cube.first_day is not None  # noqa: S101  # fitted
        weeks = max(self.settings.min_years * 52 + HALF_WIDTH, FEWEST_WEEKS)
        history = self.cube.first_day + weeks * WEEK + max(self.settings.windows)
        return max(self.fit_day(history + REFIT - 1), self.settings.first_judged)

    @property
    def ready(self) -> bool:
        """Whether there is enough history to judge."""
        return self.fitted is not None and self.today is not None and self.today >= self.settings.first_judged

    def years_at(self, last_day: int) -> int:
        """Whole years of history behind a window ending on last_day, at most `years`."""
        if not self.cube.begun:
            return 0
        assert self.cube.first_day is not None  # noqa: S101  # begun
        weeks = (last_day - self.cube.first_day - max(self.settings.windows)) // WEEK
        return int(min(self.settings.years, max((weeks - HALF_WIDTH) // 52, 0)))

    def kinds_of(self, first_day: int, last_day: int) -> Floats:
        """Day kinds of some days, and days on which unknown dates are booked: (days, kinds)."""
        booked = booking_days(first_day, last_day)
        if self.day_kinds is None:
            return booked
        return np.concatenate([self.day_kinds(first_day, last_day), booked], axis=1)

    def _fit(self, day: int, arrivals: Arrivals) -> None:
        settings = self.settings
        if not self.cube.begun or self.years_at(day) < settings.min_years:
            return
        assert self.cube.first_day is not None  # noqa: S101  # begun
        if day - self.cube.first_day < FEWEST_WEEKS * WEEK:
            return
        first = max(self.cube.first_day, day - settings.years * YEAR - settings.baseline.guard)
        total = self.cube.window_all(day - 1, day - first).reshape(self.space.kinds, self.space.areas, self.space.categories)
        watched = Watched.of(self.scope, total[:, 0] / UNIT, _FEWEST)
        if not len(watched.kind):
            return
        if settings.category_bonus:
            watched = watched.with_bonus(np.array(settings.category_bonus))
        counts = self.cube.daily_all(self.series_of(watched), first, day - 1)
        counts = counts.reshape(day - first, self.space.areas, len(watched.kind))
        counts = without_explained(counts, first, self.explained(day), self.scope, watched)
        self.watched = watched
        known, kinds = observed_days(counts[:, 0], watched), self.kinds_of(first, day - 1)

        def fit(guard: int) -> Expectation:
            baseline = settings.baseline._replace(guard=guard)
            parts = {"parent_column": watched.parent, "rank": self.scope.rank}
            return fit_expectation(counts, first, kinds, **parts, settings=baseline, known=known)

        self.fitted, self.fitted_on = fit(settings.baseline.guard), day
        self.slow = fit(SLOW_GUARD) if day - first >= SLOW_GUARD + YEAR else None
        self._expect(day, arrivals)
        self._fitted_threshold = self.calibrate(
            self.fitted,
            self.scope,
            self.zones,
            watched,
            first_day=day,
            kinds=self.kinds_of(day - max(settings.windows), day + WEEK * WEEKS - 1),
            shares=self.shares,
            windows=settings.windows,
            min_count=settings.min_count,
            false_alarms_per_week=settings.false_alarms_per_week,
        )

    def series_of(self, watched: Watched) -> Ints:
        """The series of all areas and watched columns, areas first: (areas * K,)."""
        areas = np.arange(self.space.areas)[:, None]
        return self.space.number(watched.kind[None], areas, watched.category[None]).ravel()

    def _expect(self, day: int, arrivals: Arrivals) -> None:
        assert self.fitted is not None and self.watched is not None  # noqa: S101, PT018  # callers know that it is ready
        fit = self.fitted
        self.shares = arrivals.shares(self.watched.kind, self.watched.category)
        kinds = self.kinds_of(day - max(self.settings.windows) + 1, day)
        self.law = window_law(fit, self.settings.windows, day, kinds, self.shares)
        relative = fit.level_variance + common_variance(fit.common, self.scope.rank)
        self._expectation, self._variance = moments(self.law, fit.level, relative)
        self._arrived = self.law.share

    # ---- the fast speed -------------------------------------------------------------------------------------------

    def counts(self) -> Floats:
        """Events of every window that ends today, of all areas and watched columns: (windows, areas, K)."""
        assert self.watched is not None and self.today is not None  # noqa: S101, PT018  # callers know that it is ready
        self.cube.extend(self.today, self.today)
        shape = (self.space.kinds, self.space.areas, self.space.categories)
        windows = [self.cube.window_all(self.today, w).reshape(shape) for w in self.settings.windows]
        return np.stack([w[self.watched.kind, :, self.watched.category].T for w in windows]) / UNIT

    def base_window(self, number: int) -> tuple[Floats, Floats, Floats]:
        """Counts, expectation and variance of the window with that number that ends today: (areas, K) each."""
        return self.counts()[number], self._expectation[number], self._variance[number]

    def cover(self, blocks: list[Block]) -> Cover:
        """What these blocks are about, as a mask."""
        assert self.watched is not None  # noqa: S101  # callers know that it is ready
        w, scope = self.watched, self.scope
        fine = np.zeros((len(scope.fine), len(w.leaves)))
        whole = np.zeros((self.space.areas, len(w.kind)), dtype=bool)
        for b in blocks:
            areas = np.asarray(scope.inside[list(b.areas)].any(0))
            columns = np.asarray(scope.part[list(b.categories)].any(0))[w.category] & (w.kind == b.kind)
            fine[np.ix_(areas[scope.fine], columns[w.leaves])] = 1.0
            whole[np.ix_(areas, columns)] = True
        return Cover(fine, whole)

    def beyond(self, cover: Cover | None = None, touched: Touched | None = None) -> Blocks | None:
        """Blocks beyond the threshold today, the most unusual first; without what `cover` covers. None before there is any.

        touched: only blocks that hold any of these are looked at (default: everything).
        """
        if not self.ready:
            return None
        assert self.watched is not None and self.fitted is not None and self.threshold is not None  # noqa: S101, PT018  # ready
        observed = self.counts()
        expectation, variance = self._expectation, self._variance
        if cover is not None and cover.whole.any():
            observed, expectation, variance = self._without(cover, observed, expectation, variance)
        columns = self.watched.scanned
        padded = np.append(self.fitted.common[0], 0.0)
        zones = self.zones
        centres = which = None
        if touched is not None:
            centres = np.flatnonzero(np.isin(zones.around, touched.areas).any(1))
            which = self._columns_of(touched)
        found = scan(
            columns.sums(observed),
            columns.sums(expectation),
            columns.sums(variance),
            np.asarray(padded[columns.members].max(1)),
            zones,
            columns,
            self.threshold.score,
            self.settings.min_count,
            centres,
            which,
        )
        return found if len(found.score) else None

    def _columns_of(self, touched: Touched) -> Ints:
        """The scanned columns that count any of the touched categories."""
        assert self.watched is not None  # noqa: S101  # ready
        w = self.watched
        base = np.zeros(len(w.kind) + 1, dtype=bool)  # the last one stands for "no second member"
        for kind, category in zip(touched.kinds.tolist(), touched.categories.tolist(), strict=True):
            base[:-1] |= (w.kind == kind) & self.scope.part[w.category, category]
        return np.flatnonzero(base[w.scanned.members].any(1))

    def _without(self, cover: Cover, observed: Floats, expectation: Floats, variance: Floats) -> tuple[Floats, Floats, Floats]:
        assert self.watched is not None  # noqa: S101  # ready
        fine, leaves, contains = self.scope.fine, self.watched.leaves, self.watched.contains
        inside = self.scope.inside[:, fine].astype(np.float64)

        def rest(values: Floats) -> Floats:
            hidden = values[:, fine[:, None], leaves] * cover.fine
            return np.asarray(np.maximum(values - inside @ hidden @ contains, 0.0))

        left = rest(expectation)
        gone = cover.whole | (left < COVERED * expectation)
        left = np.where(gone, 0.0, left)
        return np.where(gone, 0.0, rest(observed)), left, left * variance / np.maximum(expectation, 1e-12)

    def leading(self, found: Blocks) -> int:
        """Which of the blocks found speaks: of those that meet the most unusual one, and are within half a power of ten of it,
        the most specific. A place whose events nearly all lie in one of its parts is better called by that part."""
        top = self.block(found, 0)
        depth, best = self.scope.depth(top), 0
        for i in range(1, len(found.score)):
            if found.score[i] < found.score[0] - NEARLY:
                break
            block = self.block(found, i)
            if self.scope.depth(block) > depth and self.scope.share(top, block):
                depth, best = self.scope.depth(block), i
        return best

    def block(self, found: Blocks, i: int) -> Block:
        """What one of the blocks found is about."""
        assert self.watched is not None  # noqa: S101  # ready
        return self.watched.block(tuple(int(a) for a in found.areas[i] if a >= 0), int(found.column[i]))

    def signal(self, found: Blocks, i: int = 0) -> Judged:
        """One of the blocks found, as a record."""
        assert self.watched is not None and self.threshold is not None and self.today is not None  # noqa: S101, PT018  # ready
        block, w = self.block(found, i), int(found.window[i])
        return self._judged(
            block, w, float(found.observed[i]), float(found.expectation[i]), float(found.dispersion[i]), int(found.column[i])
        )

    def judge(self, block: Block, counts: Floats | None = None) -> list[Judged]:
        """One block in every window that ends today, whether or not it is beyond the threshold."""
        if not self.ready:
            return []
        assert self.watched is not None and self.fitted is not None  # noqa: S101, PT018  # ready
        base = self.watched.base(block)
        if not len(base):
            return []
        observed = self.counts() if counts is None else counts
        cells = np.ix_(np.arange(len(self.settings.windows)), np.array(block.areas), base)
        o, e, v = (values[cells].sum((1, 2)) for values in (observed, self._expectation, self._variance))
        phi = np.maximum(v / np.maximum(e, 1e-12), 1.0)
        if len(block.areas) > 1:
            phi = phi + self.fitted.common[0][base].max() * e
        column = self._column(base)
        return [self._judged(block, w, float(o[w]), float(e[w]), float(phi[w]), column) for w in range(len(o))]

    def _column(self, base: Ints) -> int:
        assert self.watched is not None  # noqa: S101  # ready
        members = np.sort(np.where(self.watched.scanned.members < 0, 10**9, self.watched.scanned.members), axis=1)
        wanted = np.sort(np.append(base, 10**9)[:2])
        return int(np.flatnonzero((members == wanted).all(1))[0])

    def _judged(self, block: Block, w: int, observed: float, expectation: float, dispersion: float, column: int) -> Judged:
        assert self.watched is not None and self.threshold is not None and self.today is not None  # noqa: S101, PT018  # ready
        assert self.fitted is not None  # noqa: S101  # ready
        sort = block_sort(self.zones, self.watched.scanned, block.areas, column)
        expectation, dispersion = settled(expectation), settled(dispersion)
        p = max(float(tail_probability(observed, expectation, dispersion)), 1e-300)
        score = -np.log10(p) - sort - self.threshold.score
        # A bound is told of what is beyond it.
        alpha = 10.0 ** -(self.threshold.score + sort)
        bound = float(quantile(alpha, expectation, dispersion)) if score >= 0 else np.inf
        base = self.watched.base(block)
        trusted = self.fitted.trusted[np.ix_(np.array(block.areas), base)].any()
        judged = Judged(
            block, self.settings.windows[w], self.today, observed, expectation, max(bound, self.settings.min_count - 1),
            dispersion, p, float(score), float(1 - self._arrived[w, base].mean()),
            Status.OK if trusted else Status.NO_HISTORY,
        )  # fmt: skip
        return judged.settle()

    def count(self, block: Block, last_day: int, window: int) -> float:
        """Events of a block in the window ending on last_day, as known now."""
        return float(self.cube.window(self.scope.series(block), np.array([last_day]), window).sum() / UNIT)

    def recurrence_days(self, score: float) -> float:
        """How seldom chance alone gives something as unusual anywhere in the municipality: once in so many days."""
        return self.threshold.recurrence_days(score) if self.threshold else 0.0

    def same_weeks(self, block: Block, last_day: int, length: int) -> float:
        """Mean count of a block in the same weeks of earlier years, in events; NaN without a year of history."""
        years = self.years_at(last_day)
        if not years:
            return float("nan")
        ends = [last_day - y * YEAR + w * WEEK for y in range(1, years + 1) for w in range(-HALF_WIDTH, HALF_WIDTH + 1)]
        return float(self.cube.window(self.scope.series(block), np.array(ends), length).sum(1).mean() / UNIT)
