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
EARS_STEPS = 16  # past windows that the EARS methods look at, with room for C3's gap
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

    def without(self, series: Ints, removed: Ints, min_count: int) -> "Standing":
        """What still stands when `removed` units are taken away from each of `series` (sorted, all of them in it)."""
        less = removed[np.searchsorted(series, self.series)] / UNIT
        left = self._replace(observed=self.observed - less)
        left = left.take((left.observed > left.upper_bound) & (left.observed >= min_count))
        return left._replace(p_value=chance(left.observed, left.expectation, left.dispersion))

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
                part = every[begin : begin + _CHUNK]
                self._fit(part, np.full(len(part), w), np.full(len(part), day))
        return len(every) * len(self.settings.windows)

    def fit_next(self, slice_: int = 32) -> bool:
        """Fit the next slice of series for windows ending today; False when there is nothing left to fit."""
        windows = len(self.settings.windows)
        if self.today is None or self.years_at(self.today) < self.settings.min_years:
            return False
        w, begin = divmod(self._next_fit, len(self.space))
        if w >= windows:
            return False
        part = np.arange(begin, min(begin + slice_, len(self.space)))
        self._fit(part, np.full(len(part), w), np.full(len(part), self.today))
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

    def _fit(self, series: Ints, w: Ints, day: Ints) -> None:
        """Fit what is not fitted yet of these series, window numbers and last days (arrays of one length).

        The design of a baseline looks back in weeks from the judged day, so it is the same for all windows and days
        with as many years behind them: they are fitted together.
        """
        missing = np.isnan(self._upper[day % self._slots, w, series])
        series, w, day = series[missing], w[missing], day[missing]
        every = np.array([self.years_at(d) for d in day.tolist()], dtype=np.int64)
        for years in np.unique(every).tolist():
            at = np.flatnonzero(every == years)
            history = self._histories(series[at], w[at], day[at], years)
            overlap = np.maximum(np.array(self.settings.windows, dtype=np.float64)[w[at]] / WEEK, 1.0)
            fit = standing_threshold(
                self.settings.method,
                history,
                years=years,
                alpha=self.alpha,
                settings=self.settings.threshold,
                overlap=overlap,
            )
            place = (day[at] % self._slots, w[at], series[at])
            self._upper[place], self._expectation[place] = _settled(fit.upper_bound), _settled(fit.expectation)
            self._dispersion[place], self._status[place] = _settled(fit.dispersion), fit.status

    def _histories(self, series: Ints, w: Ints, day: Ints, years: int) -> Floats:
        weekly = self.settings.method == "farrington-flexible"
        steps = 52 * years + HALF_WIDTH if weekly else EARS_STEPS
        out = np.empty((len(series), steps))
        for number, last in sorted(set(zip(w.tolist(), day.tolist(), strict=True))):
            these = (w == number) & (day == last)
            length = self.settings.windows[number]
            out[these] = self.history(series[these], length, last, WEEK if weekly else length, steps)
        return out

    # ---- the fast speed -------------------------------------------------------------------------------------------

    def open_ends(self) -> Ints:
        """Last days of the windows that are open now, oldest first."""
        if self.today is None:
            return np.empty(0, dtype=np.int64)
        return np.arange(self.today - self.settings.lateness, self.today + 1)

    def standing(self, series: Ints, ends: Ints | None = None, removed: Ints | None = None) -> Standing:
        """Which windows of these series are beyond their thresholds, among those that end on `ends` (default: all open).

        removed: (len(series),) units that were taken away and are to be counted as still there, to find what stood
        for a moment in between.
        """
        ends = self.open_ends() if ends is None else ends
        if not len(ends) or not len(series) or not self.cube.begun:
            nothing = np.empty(0, dtype=np.int64)
            return self._judge(nothing, nothing, nothing, np.empty(0))
        self.cube.extend(int(ends[-1]), int(ends[-1]))
        units = self.cube.windows(series, ends, self.settings.windows)
        if removed is not None:
            units += removed
        w, i, j = np.nonzero(units >= self.settings.min_count * UNIT)
        observed = units[w, i, j] / UNIT
        over = observed > self._plain[ends[i] % self._slots, w, series[j]]
        return self._judge(series[j[over]], w[over], ends[i[over]], observed[over])

    def _judge(self, series: Ints, w: Ints, end: Ints, observed: Floats) -> Standing:
        """Those of the candidates whose count is beyond the fitted bound as well."""
        self._fit(series, w, end)
        beyond = observed > self._upper[end % self._slots, w, series]
        series, w, end, observed = series[beyond], w[beyond], end[beyond], observed[beyond]
        place = (end % self._slots, w, series)
        expectation, dispersion = self._expectation[place], self._dispersion[place]
        return Standing(
            series,
            np.array(self.settings.windows, dtype=np.int64)[w],
            end,
            observed,
            expectation,
            np.maximum(self._upper[place], self._plain[place]),
            dispersion,
            chance(observed, expectation, dispersion),
            self._status[place],
        )


def _settled(values: Floats) -> Floats:
    """Ten significant digits: the last ones of a matrix product depend on how many series were fitted together."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 10.0 ** (9 - np.floor(np.log10(np.abs(values))))
        return np.asarray(np.where(np.isfinite(scale), np.round(values * scale) / scale, values))
