"""The two speeds: thresholds are set when a day closes, and looked up at each event.

Each series is watched in windows of 1, 7 and 28 days. For every window that ends on day e there is one threshold, a
function of the counts as they were known when day e - 1 closed; a window stays open for late events for `lateness`
days. A count stands out when it is at least `min_count`, above the bound that the same weeks of earlier years give by
plain chance, and above the bound of the fitted baseline. The first two are cheap and hold for all series at once; the
third is fitted for all series when a live day closes (`fit_all`), or, in a replay, for those that pass the first two:
the same function of the same counts, so the outcome is the same.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from earlywarning.core.budget import level
from earlywarning.core.calendar import UNIT
from earlywarning.core.counts import CountCube, SeriesSpace
from earlywarning.core.detectors.threshold import Method, ThresholdSettings, chance, standing_threshold

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
WEEK = 7
YEAR = 52 * WEEK  # a year back in whole weeks, so that weekdays agree
HALF_WIDTH = 3  # weeks to either side that count as the same weeks of an earlier year
_CHUNK = 2048  # series fitted together


class WatchSettings(NamedTuple):
    """What is watched and how. windows in days; lateness: days that a window stays open; years: of history used."""

    windows: tuple[int, ...] = (1, 7, 28)
    method: Method = "farrington-flexible"
    years: int = 5
    min_years: int = 2
    min_count: int = 5
    lateness: int = 7
    alerts_per_week: float = 1.0
    kinds: int = 2
    threshold: ThresholdSettings = ThresholdSettings()


class Standing(NamedTuple):
    """Windows whose count is beyond its threshold, one entry each.

    window: length in days; last_day: its last day; observed, expectation, upper_bound in events.
    """

    series: Ints
    window: Ints
    last_day: Ints
    observed: Floats
    expectation: Floats
    upper_bound: Floats
    dispersion: Floats
    p_value: Floats
    status: NDArray[np.int8]

    def take(self, which: NDArray[np.bool_] | Ints) -> "Standing":
        return Standing._make([column[which] for column in self])


class Watch:
    """The standing thresholds of one municipality over one count cube."""

    def __init__(self, space: SeriesSpace, cube: CountCube, settings: WatchSettings) -> None:
        self.space, self.cube, self.settings = space, cube, settings
        self.alpha = level(settings.alerts_per_week, len(space), len(settings.windows))
        self._z = float(-ndtri(self.alpha))
        self._slots = settings.lateness + 1
        shape = (self._slots, len(settings.windows), len(space))
        self._plain = np.full(shape, np.nan)
        self._upper = np.full(shape, np.nan)
        self._expectation = np.full(shape, np.nan)
        self._dispersion = np.full(shape, np.nan)
        self._status = np.zeros(shape, dtype=np.int8)
        self._late: list[tuple[int, Ints, Ints, Ints]] = []  # (arrived, series, day, units)
        self.today: int | None = None
        self._next_fit = 0

    # ---- the slow speed -------------------------------------------------------------------------------------------

    def begin_day(self, day: int) -> None:
        """Day `day` begins, all before it are closed: set what the earlier years say, forget what is out of reach."""
        self.today, self._next_fit = day, 0
        slot = day % self._slots
        for values in (self._plain, self._upper, self._expectation, self._dispersion):
            values[slot] = np.nan
        self._late = [entry for entry in self._late if entry[0] > day - self._slots]
        years = self.years_at(day)
        if years < self.settings.min_years:
            return
        for w, length in enumerate(self.settings.windows):
            mean = self._same_weeks_all(day, length, years)
            # Upper Poisson bound by the Cornish-Fisher expansion: close, and cheap for all series at once.
            self._plain[slot, w] = mean + self._z * np.sqrt(mean) + (self._z**2 - 1) / 6

    def years_at(self, last_day: int) -> int:
        """Whole years of history behind a window ending on last_day, at most `years`."""
        if not self.cube.begun:
            return 0
        assert self.cube.first_day is not None  # noqa: S101  # begun
        weeks = (last_day - self.cube.first_day - max(self.settings.windows)) // WEEK
        return int(min(self.settings.years, max((weeks - HALF_WIDTH) // 52, 0)))

    def note_late(self, arrived: int, series: Ints, day: Ints, units: Ints) -> None:
        """Remember changes to days before `arrived`, so that thresholds can leave them out that were set before."""
        past = day < arrived
        if past.any():
            self._late.append((arrived, series[past], day[past], units[past]))

    def fit_all(self, day: int) -> int:
        """Fit the baselines of all series for windows ending on `day`; returns how many were fitted."""
        if self.years_at(day) < self.settings.min_years:
            return 0
        every = np.arange(len(self.space))
        for w in range(len(self.settings.windows)):
            for begin in range(0, len(every), _CHUNK):
                self._fit(every[begin : begin + _CHUNK], w, day)
        return len(every) * len(self.settings.windows)

    def fit_next(self, slice_: int = 256) -> bool:
        """Fit the next slice of series for windows ending today; False when there is nothing left to fit."""
        windows = len(self.settings.windows)
        if self.today is None or self.years_at(self.today) < self.settings.min_years:
            return False
        w, begin = divmod(self._next_fit, len(self.space))
        if w >= windows:
            return False
        self._fit(np.arange(begin, min(begin + slice_, len(self.space))), w, self.today)
        self._next_fit = w * len(self.space) + min(begin + slice_, len(self.space))
        return True

    def _same_weeks_all(self, day: int, length: int, years: int) -> Floats:
        total = np.zeros(len(self.space), dtype=np.int64)
        for year in range(1, years + 1):
            for week in range(-HALF_WIDTH, HALF_WIDTH + 1):
                total += self.cube.window_all(day - year * YEAR + week * WEEK, length)
        return np.asarray(total / (UNIT * years * (2 * HALF_WIDTH + 1)), dtype=np.float64)

    def same_weeks(self, series: Ints, last_day: int, length: int) -> Floats:
        """Mean count of the same weeks of earlier years, in events: (len(series),); NaN without a year of history."""
        years = self.years_at(last_day)
        if not years:
            return np.full(len(series), np.nan)
        ends = [last_day - y * YEAR + w * WEEK for y in range(1, years + 1) for w in range(-HALF_WIDTH, HALF_WIDTH + 1)]
        return np.asarray(self.cube.window(series, np.array(ends), length).mean(0) / UNIT, dtype=np.float64)

    def history(self, series: Ints, length: int, last_day: int, step: int, steps: int) -> Floats:
        """Counts of `steps` past windows of a series, `step` days apart, as known when day last_day - 1 closed.

        Returns (len(series), steps) in events, oldest first; the newest ends `step` days before last_day.
        """
        ends = last_day - step * np.arange(steps, 0, -1)
        units = self.cube.window(series, ends, length).T
        order = np.argsort(series)
        for arrived, late_series, late_day, late_units in self._late:
            if arrived < last_day:
                continue
            at = np.searchsorted(series, late_series, sorter=order)
            at = order[np.minimum(at, len(series) - 1)]
            for i in np.flatnonzero(series[at] == late_series).tolist():
                covers = (ends >= late_day[i]) & (ends - length < late_day[i])
                units[at[i], covers] -= late_units[i]
        return units / UNIT

    def _fit(self, series: Ints, w: int, day: int) -> None:
        slot, length, years = day % self._slots, self.settings.windows[w], self.years_at(day)
        missing = series[np.isnan(self._upper[slot, w, series])]
        if not len(missing):
            return
        method = self.settings.method
        step, steps = (WEEK, 52 * years + HALF_WIDTH) if method == "farrington-flexible" else (length, 16)
        history = self.history(missing, length, day, step, steps)
        fit = standing_threshold(method, history, years=years, alpha=self.alpha, settings=self.settings.threshold)
        self._upper[slot, w, missing] = fit.upper_bound
        self._expectation[slot, w, missing] = fit.expectation
        self._dispersion[slot, w, missing] = fit.dispersion
        self._status[slot, w, missing] = fit.status

    # ---- the fast speed -------------------------------------------------------------------------------------------

    def open_ends(self) -> Ints:
        """Last days of the windows that are open now, oldest first."""
        if self.today is None:
            return np.empty(0, dtype=np.int64)
        return np.arange(self.today - self.settings.lateness, self.today + 1)

    def standing(self, series: Ints, ends: Ints | None = None, removed: dict[int, int] | None = None) -> Standing:
        """Which windows of these series are beyond their thresholds, among those that end on `ends` (default: all open).

        removed: units by series that were taken away and are to be counted as still there, to find what stood for a
        moment in between.
        """
        ends = self.open_ends() if ends is None else ends
        parts: list[Standing] = []
        if len(ends) and len(series) and self.cube.begun:
            self.cube.extend(int(ends[-1]), int(ends[-1]))
            extra = np.array([removed.get(s, 0) for s in series.tolist()], dtype=np.int64) if removed else 0
            for w, length in enumerate(self.settings.windows):
                observed = (self.cube.window(series, ends, length) + extra) / UNIT
                possible = observed >= self.settings.min_count
                possible &= observed > self._plain[ends % self._slots, w][:, series]
                for i in np.flatnonzero(possible.any(1)).tolist():
                    parts.append(self._judge(series[possible[i]], w, int(ends[i]), observed[i, possible[i]]))
        if not parts:
            none = np.empty(0, dtype=np.int64)
            nothing = np.empty(0)
            return Standing(none, none, none, nothing, nothing, nothing, nothing, nothing, np.empty(0, dtype=np.int8))
        return Standing._make([np.concatenate(column) for column in zip(*parts, strict=True)])

    def _judge(self, series: Ints, w: int, end: int, observed: Floats) -> Standing:
        self._fit(series, w, end)
        slot = end % self._slots
        beyond = observed > self._upper[slot, w, series]
        series, observed = series[beyond], observed[beyond]
        expectation, dispersion = self._expectation[slot, w, series], self._dispersion[slot, w, series]
        n = len(series)
        return Standing(
            series,
            np.full(n, self.settings.windows[w], dtype=np.int64),
            np.full(n, end, dtype=np.int64),
            observed,
            expectation,
            np.maximum(self._upper[slot, w, series], self._plain[slot, w, series]),
            dispersion,
            chance(observed, expectation, dispersion),
            self._status[slot, w, series],
        )
