"""Farrington flexible against R's own answers, and its statistics where R's are not right."""

import csv
import gzip
from collections import defaultdict
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from earlywarning.core.detectors.farrington import (
    Bounds,
    DetectorError,
    FarringtonSettings,
    Status,
    farrington_flexible,
    farrington_threshold,
    farrington_weeks,
    reference_steps,
)
from earlywarning.core.detectors.negative_binomial import quantile, tail_probability
from tests.core.reference import corners, differs, number, rows, wide

SETTINGS = {
    "F1": FarringtonSettings(r_compat=True),
    "F2": FarringtonSettings(r_compat=True, threshold_method="muan"),
    "F3": FarringtonSettings(r_compat=True, threshold_method="delta"),
    "F4": FarringtonSettings(
        r_compat=True, threshold_method="delta", no_periods=1, past_weeks_not_included=3, weights_threshold=1,
        p_threshold_trend=0.05,
    ),
    "F5": FarringtonSettings(r_compat=True, b=4, w=2, p_threshold_trend=0.05, limit=(0, 4), alpha=0.05),
    "F6": FarringtonSettings(
        r_compat=True, b=3, w=4, no_periods=5, past_weeks_not_included=10, reweight=False, trend=False, limit=(0, 4),
        alpha=0.005, threshold_method="delta", power_transform="1/2",
    ),
    "F7": FarringtonSettings(r_compat=True, population_offset=True),
    "F8": FarringtonSettings(
        r_compat=True, no_periods=1, p_threshold_trend=0.05, threshold_method="delta", power_transform="none"
    ),
}  # fmt: skip
SHARED = Path(__file__).parents[2] / "../shared/reference/detection"
CONSTANT = 99  # a constant series: the trend's p-value is 0/0, and the reference's own choice is chance


def shared(name: str) -> list[dict[str, str]]:
    with gzip.open(SHARED / f"{name}.csv.gz", "rt", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_figure_equals_rs_in_every_setting(setting: str) -> None:
    series, population = wide("series"), wide("population")
    by_week = defaultdict(list)
    for row in rows("flex"):
        if row["setting"] == setting:
            by_week[int(row["week"])].append(row)
    judged, wrong = 0, []
    for week, these in by_week.items():
        ids = [int(r["series_id"]) for r in these]
        people = np.array([population[i] for i in ids]) if setting == "F7" else None
        ours = farrington_flexible(np.array([series[i] for i in ids]), week - 1, SETTINGS[setting], people)
        for k, row in enumerate(these):
            judged += 1
            for name, values in (
                ("expected", ours.expectation),
                ("upper", ours.upper_bound),
                ("pvalue", ours.p_value),
                ("phi", ours.dispersion),
                ("score", ours.score),
            ):
                # Only an expectation of a season without events, which ends where R stops, is compared in absolute terms.
                if differs(values[k], number(row[name]), absolute=1e-6 if name == "expected" else 1e-12):
                    wrong.append((ids[k], week, name, values[k], row[name]))
            if ours.alarm[k] != (row["alarm"] == "1"):
                wrong.append((ids[k], week, "alarm", ours.alarm[k], row["alarm"]))
            if row["trend"] != "NA" and ids[k] != CONSTANT and int(ours.trend[k]) != int(row["trend"]):
                wrong.append((ids[k], week, "trend", ours.trend[k], row["trend"]))
            if ids[k] != CONSTANT and differs(ours.slope[k], number(row["trend_coef"]), absolute=1e-9):
                wrong.append((ids[k], week, "trend_coef", ours.slope[k], row["trend_coef"]))
    assert judged == (240 if setting == "F7" else 1200)
    assert not wrong


def test_corner_cases_equal_rs() -> None:
    wrong = []
    for row in rows("corner_flex"):
        chosen = FarringtonSettings(
            r_compat=True,
            threshold_method=row["method"],  # type: ignore[arg-type]  # as in the file
            limit=(int(row["limit"]), 4),
            no_periods=int(row["noPeriods"]),
        )
        ours = farrington_flexible(corners()[row["series"]][None], int(row["week"]) - 1, chosen)
        if ours.alarm[0] != (row["alarm"] == "1"):
            wrong.append((row["series"], row["week"], "alarm"))
        for name, value in (
            ("expected", ours.expectation[0]),
            ("upper", ours.upper_bound[0]),
            ("phi", ours.dispersion[0]),
            ("pvalue", ours.p_value[0]),
        ):
            # Separated fits end where the stopping rule happens to: R's own bound of 0.0002 is noise.
            loose = 1e-3 if row["series"] == "six_twos_history" else 1e-6
            if differs(value, number(row[name]), absolute=loose):
                wrong.append((row["series"], row["week"], name, value, row[name]))
    assert not wrong


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/reference/detection beside the project")
def test_real_series_equal_rs_with_weeks_counted_and_with_reference_weeks_by_date() -> None:
    series, dates, frequency = defaultdict(list), defaultdict(list), {}
    for row in shared("real_series"):
        series[row["series"]].append(number(row["observed"]))
        dates[row["series"]].append(date.fromisoformat(row["date"]) if row["date"][:1].isdigit() else None)
        frequency[row["series"]] = int(row["freq"])
    judged, wrong = 0, []
    for row in shared("real_flex"):
        old = row["setting"] == "R3"
        chosen = FarringtonSettings(
            r_compat=True, b=int(row["b"]), w=int(row["w"]), no_periods=int(row["noPeriods"]),
            past_weeks_not_included=int(row["excl"]), frequency=frequency[row["series"]],
            weights_threshold=1 if old else 2.58, p_threshold_trend=0.05 if old else 1,
            threshold_method="nbPlugin" if row["setting"] == "R1" else "delta", by_date=row["dates"] == "1",
        )  # fmt: skip
        at = np.array([int(row["week"]) - 1])
        found = farrington_weeks(np.array([series[row["series"]]]), at, chosen, dates=dates[row["series"]])
        ours = Bounds._make([column[:, 0] for column in found])
        judged += 1
        figures = (ours.expectation[0], ours.upper_bound[0], ours.dispersion[0], ours.p_value[0])
        for name, value in zip(("expected", "upper", "phi", "pvalue"), figures, strict=True):
            if differs(value, number(row[name]), absolute=1e-9):
                wrong.append((row["series"], row["week"], name, value, row[name]))
        if ours.alarm[0] != (row["alarm"] == "1"):
            wrong.append((row["series"], row["week"], "alarm"))
    assert judged == 1440
    assert not wrong


def newton(counts: np.ndarray, season: np.ndarray, time: np.ndarray) -> tuple[float, float]:
    """Expectation at time 0 and Pearson's dispersion, by Newton steps until nothing moves."""
    x = np.column_stack([season[:, None] == np.arange(10), time]).astype(float)
    beta = np.append([np.log(counts[season == g].mean()) for g in range(10)], 0.0)
    for _ in range(50):
        mu = np.exp(x @ beta)
        beta = beta + np.linalg.solve((x * mu[:, None]).T @ x, x.T @ (counts - mu))
    mu = np.exp(x @ beta)
    return float(np.exp(beta[9])), float(((counts - mu) ** 2 / mu).sum() / (len(counts) - 11))


def test_expectation_and_dispersion_are_the_exact_solution() -> None:
    """R stops a step early for the dispersion: its own rule leaves errors of some 1e-4 that this must not share."""
    counts = np.random.default_rng(4).negative_binomial(2, 0.5, (200, 264)).astype(float)
    chosen = FarringtonSettings(reweight=False)
    ours = farrington_threshold(counts, 263, chosen)
    steps, season = reference_steps(263, chosen)
    judged = np.flatnonzero(ours.trend & (ours.status == Status.OK) & (ours.dispersion > 1))
    assert len(judged) > 50
    for i in judged:
        expectation, dispersion = newton(counts[i, steps], season, (steps - 263) / 52)
        assert ours.expectation[i] == pytest.approx(expectation, rel=1e-8)
        assert ours.dispersion[i] == pytest.approx(dispersion, rel=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(["nbPlugin", "muan", "delta"]), st.sampled_from([1, 3, 5]))
def test_no_figure_is_missing_without_a_status_that_says_why(seed: int, method: str, years: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.negative_binomial(1, 1 / (1 + np.exp(rng.uniform(-6, 6, (60, 1)))), (60, 330)).astype(float)
    counts[rng.random((60, 330)) < rng.choice([0, 0.2, 0.9], (60, 1))] = np.nan
    counts[:10, : rng.integers(0, 329)] = np.nan
    counts[10:20, rng.integers(0, 330)] = 1e9
    own_weeks = np.isin((np.arange(330) - 329) % 52, [0, 1, 2, 3, 49, 50, 51])
    counts[20:25, own_weeks] = np.nan
    counts[:, 329] = rng.poisson(2, 60)
    chosen = FarringtonSettings(b=years, threshold_method=method, limit=(0, 4), alpha=1e-6)  # type: ignore[arg-type]
    ours = farrington_flexible(counts, 329, chosen)
    for name in ("expectation", "upper_bound", "dispersion", "p_value", "score"):
        missing = np.isnan(getattr(ours, name))
        assert (ours.status[missing] == Status.MISSING).all(), name
    assert not ours.alarm[np.isnan(ours.upper_bound)].any()
    assert (ours.status[20:25] == Status.MISSING).all()
    assert np.isnan(ours.expectation[20:25]).all(), "nothing was seen of their season: no figure may be made up"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.001, 0.2))
def test_a_score_above_1_is_a_count_above_the_bound_and_an_improbable_one(seed: int, alpha: float) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(np.exp(rng.uniform(-6, 5, (40, 1))), (40, 330)) + rng.choice([0, 0.25, 0.5], (40, 330))
    counts[:5] = 0
    counts[:, 329] += rng.poisson(3, 40)
    ours = farrington_flexible(counts, 329, FarringtonSettings(limit=(0, 4), alpha=alpha))
    assert ((ours.score > 1) == (ours.observed > ours.upper_bound)).all()
    assert ((ours.p_value <= alpha * (1 + 1e-9)) == (ours.observed > ours.upper_bound)).all()


@pytest.mark.parametrize("alpha", [0.05, 1e-3, 1e-6, 1e-9])
def test_the_bound_is_the_least_count_whose_exceedance_is_at_most_alpha(alpha: float) -> None:
    rng = np.random.default_rng(5)
    mean, dispersion = np.exp(rng.uniform(-7, 9, 2000)), 1 + np.exp(rng.uniform(-10, 4, 2000))
    bound = quantile(alpha, mean, dispersion)
    size, chance = mean / (dispersion - 1), 1 / dispersion
    assert (stats.nbinom.sf(bound, size, chance) <= alpha * (1 + 1e-9)).all()
    below = bound > 0
    assert (stats.nbinom.sf(bound - 1, size, chance)[below] > alpha * (1 - 1e-9)).all()
    assert (quantile(alpha, mean, 1.0) == stats.poisson.isf(alpha, mean)).all()
    np.testing.assert_allclose(tail_probability(bound, mean, dispersion), stats.nbinom.sf(bound - 1, size, chance), rtol=1e-7)


def test_extreme_means_and_dispersions_give_an_answer() -> None:
    mean, dispersion = np.meshgrid(
        [0, 5e-324, 1e-300, 1e-12, 1, 1e8, 1e12, 1e300, np.inf], [1, 1 + 1e-16, 1 + 2e-8, 2, 1e12, 1e300, np.inf]
    )
    with np.errstate(all="raise", under="ignore"):
        tail = tail_probability(5, mean, dispersion)
        bound = quantile(1e-9, mean, dispersion)
    assert ((tail >= 0) & (tail <= 1)).all()
    assert (bound >= 0).all()


def test_an_empty_history_gives_a_threshold_and_says_so() -> None:
    counts = np.zeros((1, 400))
    ours = farrington_flexible(counts, 399, FarringtonSettings())
    assert ours.status[0] == Status.NO_HISTORY
    assert ours.expectation[0] > 0
    assert not ours.alarm[0]
    assert np.isfinite(ours.upper_bound[0])


def test_a_season_without_events_keeps_a_finite_expectation() -> None:
    counts = np.ones((1, 400)) * 3
    at = 399
    for year in range(1, 6):
        counts[0, at - 52 * year - 3 : at - 52 * year + 4] = 0
    ours = farrington_threshold(counts, at, FarringtonSettings())
    assert ours.status[0] == Status.SEPARATED
    assert 0 < ours.expectation[0] < 0.1
    assert ours.upper_bound[0] >= 0


def test_the_standard_error_is_that_of_the_fit_where_rs_is_not() -> None:
    """Mean 50, Poisson, one season: the expectation's variance is mu / n; R's comes out some sqrt(mu) too small."""
    rng = np.random.default_rng(1)
    counts = rng.poisson(50, (400, 320)).astype(float)
    chosen = FarringtonSettings(no_periods=1, trend=False, reweight=False)
    ours = farrington_threshold(counts, 319, chosen)
    n = 5 * 7
    spread = ours.expectation.std()
    assert spread == pytest.approx(np.sqrt(50 / n), rel=0.15)
    assert np.median(ours.standard_error) == pytest.approx(spread, rel=0.2)


def test_the_alarm_rate_under_chance_is_near_the_level_that_was_asked_for() -> None:
    rng = np.random.default_rng(2)
    counts = rng.negative_binomial(20 / 0.5, 1 / 1.5, (6000, 275)).astype(float)
    ours = farrington_flexible(counts, 274, FarringtonSettings(alpha=0.02))
    assert 0.012 < ours.alarm.mean() < 0.035


def test_one_missing_week_does_not_silence_the_series() -> None:
    counts = np.random.default_rng(3).poisson(4, (1, 400)).astype(float)
    counts[0, 398] = np.nan
    counts[0, 200] = np.nan
    counts[0, 399] = 40
    assert farrington_flexible(counts, 399, FarringtonSettings()).alarm[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 200))
def test_one_more_event_never_turns_an_alarm_off(seed: int, mean: float) -> None:
    counts = np.random.default_rng(seed).poisson(mean, (3, 330)).astype(float)
    lower = farrington_flexible(counts, 329, FarringtonSettings(limit=(0, 4)))
    counts[:, 329] += 1
    higher = farrington_flexible(counts, 329, FarringtonSettings(limit=(0, 4)))
    assert (higher.alarm | ~lower.alarm).all()
    assert (higher.p_value <= lower.p_value + 1e-12).all()
    assert (higher.upper_bound == lower.upper_bound).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_series_is_judged_alike_alone_and_among_others(seed: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.negative_binomial(1.5, 0.3, (300, 330)).astype(float) * (rng.random((300, 1)) < 0.8)
    together = farrington_threshold(counts, 329, FarringtonSettings(alpha=1e-5))
    for i in (0, 17, 299):
        alone = farrington_threshold(counts[i : i + 1], 329, FarringtonSettings(alpha=1e-5))
        assert alone.upper_bound[0] == together.upper_bound[i]
        assert alone.expectation[0] == pytest.approx(together.expectation[i], rel=1e-9)
        assert alone.status[0] == together.status[i]


@pytest.mark.parametrize(
    ("counts", "at", "chosen", "words"),
    [
        (-np.ones((1, 400)), 399, FarringtonSettings(), "negative"),
        (np.ones((1, 100)), 99, FarringtonSettings(), "years of history"),
        (np.ones(400), 399, FarringtonSettings(), "series, steps"),
        (np.ones((1, 400)), 399, FarringtonSettings(alpha=2), "alpha"),
        (np.ones((1, 400)), 399, FarringtonSettings(population_offset=True), "population"),
        (np.full((1, 400), np.inf), 399, FarringtonSettings(), "finite"),
        (np.ones((1, 400)), 401, FarringtonSettings(), "outside"),
        (np.ones((1, 400)), 399, FarringtonSettings(threshold_method="nbplugin"), "nbPlugin"),  # type: ignore[arg-type]
        (np.ones((1, 400)), 399, FarringtonSettings(power_transform="1/3"), "2/3"),  # type: ignore[arg-type]
        (np.ones((1, 400)), 399, FarringtonSettings(p_threshold_trend=-1), "p_threshold_trend"),
        (np.ones((1, 400)), 399, FarringtonSettings(b=1, past_weeks_not_included=60), "past_weeks_not_included"),
    ],
)
def test_what_cannot_be_worked_with_is_named(counts, at, chosen, words) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DetectorError, match=words):
        farrington_threshold(counts, at, chosen)


@pytest.mark.parametrize(
    "people", [np.ones((2, 400)), np.ones(400), np.ones((1, 399)), np.zeros((1, 400)), np.full((1, 400), np.nan)]
)
def test_a_population_that_does_not_fit_is_refused(people: np.ndarray) -> None:
    with pytest.raises(DetectorError, match="population"):
        farrington_flexible(np.ones((1, 400)), 399, FarringtonSettings(population_offset=True), people)


def test_a_judged_count_must_be_a_count() -> None:
    counts = np.ones((2, 400))
    counts[1, 399] = -1
    with pytest.raises(DetectorError, match="series 1 has the count -1 in step 399"):
        farrington_flexible(counts, 399, FarringtonSettings())
