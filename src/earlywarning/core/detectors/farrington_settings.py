"""Settings of Farrington flexible, and the steps that make a baseline under them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.detectors.status import DetectorError

Method = Literal["nbPlugin", "muan", "delta"]
Power = Literal["2/3", "1/2", "none"]
WEEKLY = 52


@dataclass(frozen=True, slots=True)
class FarringtonSettings:
    """R's names in comments. alpha is one-sided. limit: (events, steps); limit[0] = 0 judges every count."""

    b: int = 5
    w: int = 3
    no_periods: int = 10  # noPeriods
    past_weeks_not_included: int = 26  # pastWeeksNotIncluded
    reweight: bool = True
    weights_threshold: float = 2.58  # weightsThreshold
    trend: bool = True
    p_threshold_trend: float = 1.0  # pThresholdTrend
    limit: tuple[int, int] = (5, 4)  # limit54
    alpha: float = 0.01
    threshold_method: Method = "nbPlugin"  # thresholdMethod
    power_transform: Power = "2/3"  # powertrans
    population_offset: bool = False  # populationOffset
    by_date: bool = False  # epochAsDate: reference steps by calendar date, not by counting steps of a year
    frequency: int = 52
    r_compat: bool = False

    def check(self) -> None:
        """Raises DetectorError naming what is out of range."""
        rules = [
            (self.frequency >= 1, f"frequency = {self.frequency}: a year needs at least 1 step"),
            (1 <= self.b <= 50, f"b = {self.b}: years of history must be 1 to 50"),
            (self.w >= 0 and 2 * self.w + 1 < self.frequency, f"w = {self.w}: the windows of two years must not meet"),
            (1 <= self.no_periods <= self.frequency - 2 * self.w, f"no_periods = {self.no_periods}: too many for the year"),
            (self.past_weeks_not_included >= 0, "past_weeks_not_included must not be negative"),
            (0 < self.alpha < 1, f"alpha = {self.alpha}: must lie between 0 and 1"),
            (self.weights_threshold > 0, f"weights_threshold = {self.weights_threshold}: must be above 0"),
            (0 <= self.p_threshold_trend <= 1, f"p_threshold_trend = {self.p_threshold_trend}: must lie between 0 and 1"),
            (self.limit[0] >= 0 and self.limit[1] > 0, f"limit = {self.limit}: events >= 0 and steps > 0"),
            (self.threshold_method in get_args(Method), f"threshold_method = {self.threshold_method!r}: one of {get_args(Method)}"),
            (self.power_transform in get_args(Power), f"power_transform = {self.power_transform!r}: one of {get_args(Power)}"),
        ]
        for fine, problem in rules:
            if not fine:
                raise DetectorError(problem)


def reference_steps(
    at: int, settings: FarringtonSettings, back: Sequence[int] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The steps before `at` that make the baseline, and the season of each; the judged step's own season is the last.

    back: how many steps before `at` its reference of each year lies, the last year first (default: whole years of steps).

    Raises DetectorError when they begin before step 0, or when none is left of the judged step's own season.
    """
    b, w, p = settings.b, settings.w, settings.no_periods
    season = np.full(at + 1, -1, dtype=np.int64)
    season[max(at - w, 0) : at + 1] = p - 1
    years = [0, *(back or [settings.frequency * year for year in range(1, b + 1)])]
    for year in range(1, b + 1):
        reference = at - years[year]
        if reference - w < 0:
            raise DetectorError(f"step {at} has less than {b} years of history ({years[b] + w} steps are needed); lower b")
        season[reference - w : reference + w + 1] = p - 1
        if p > 1:
            between = years[year] - years[year - 1] - 2 * w - 1
            lengths = np.full(p - 1, between // (p - 1))
            lengths[: between % (p - 1)] += 1
            begin = reference + w + 1
            season[begin : begin + between] = np.repeat(np.arange(p - 1), lengths)
    season[max(at - settings.past_weeks_not_included, 0) :] = -1
    steps = np.flatnonzero(season >= 0)
    if not (season[steps] == p - 1).any():
        raise DetectorError(
            f"past_weeks_not_included = {settings.past_weeks_not_included} leaves nothing of the same season in {b} years; "
            "lower it or raise b"
        )
    return steps, season[steps]


def steps_back(at: int, dates: Sequence[date], settings: FarringtonSettings) -> tuple[int, ...]:
    """How many steps before `at` the references of the last b years lie by calendar, the last year first.

    The day a year before, of weekly steps the nearest one with the same weekday (the later of two as near that lies in its
    own week, which begins on Sunday), as R does with epochAsDate. Raises DetectorError where no step has that date.
    """
    now, out = dates[at], []
    known = {day: i for i, day in enumerate(dates)}
    for year in range(1, settings.b + 1):
        try:
            day = now.replace(year=now.year - year)
        except ValueError:  # 29 February: R goes on to 1 March
            day = date(now.year - year, 3, 1)
        if settings.frequency == WEEKLY:
            own = day - timedelta(days=(day.weekday() + 1) % 7 - (now.weekday() + 1) % 7)
            other = own + timedelta(days=-7 if own > day else 7)
            day = other if abs(own - day) > abs(other - day) else own
        if day not in known:
            first = f"; lower b (the first step is of {dates[0]})" if day < dates[0] else ""
            raise DetectorError(f"step {at} ({now}) has no step of {day}, {year} years before{first}")
        out.append(at - known[day])
    return tuple(out)
