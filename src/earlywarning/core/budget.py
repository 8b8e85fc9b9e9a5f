"""The false-alarm budget: how many alerts a week chance alone may cause, turned into the level of each single test."""


def tests_per_day(series: int, windows: int) -> int:
    """Tests made a day: each series in each window, once when the day is complete.

    Testing at each event costs no further false alarms: within a day a count only rises towards its value at the close.
    """
    return max(series * windows, 1)


def level(alerts_per_week: float, series: int, windows: int) -> float:
    """Significance level of one test, so that all of them together give at most `alerts_per_week` by chance.

    Bonferroni's bound: the expected number of false signals is the sum over the tests, whatever their dependence.
    Overlapping windows and nested series make the true number smaller. Raises ValueError when the budget is not above 0.
    """
    if not alerts_per_week > 0:
        raise ValueError(f"a false-alarm budget of {alerts_per_week} alerts a week cannot be met; give more than 0")
    return min(alerts_per_week / 7 / tests_per_day(series, windows), 0.05)


def recurrence_days(p_value: float, series: int, windows: int) -> float:
    """How seldom chance alone gives something this unusual anywhere in the municipality: once in so many days.

    Kleinman et al. 2004, American Journal of Epidemiology 159:217, with all tests of a day counted in.
    """
    return 1 / max(p_value * tests_per_day(series, windows), 1e-12)
