"""EARS C1, C2 and C3 against R's own answers, and as documented where R departs from it."""

import csv
import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import norm

from earlywarning.core.detectors.ears import EarsSettings, ears
from earlywarning.core.detectors.farrington import DetectorError
from tests.core.reference import corners, differs, number, rows, wide

METHODS = ("C1", "C2", "C3")
SHARED = Path(__file__).parents[2] / "../shared/reference/detection"


def compat(name: str) -> EarsSettings:
    method = name[:2]
    if name.endswith("b"):
        return EarsSettings(method, baseline=9, min_sigma=0.5, alpha=0.01, r_compat=True)  # type: ignore[arg-type]
    return EarsSettings(method, r_compat=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["C1", "C1b", "C2", "C2b", "C3", "C3b"])
def test_every_bound_and_alarm_equals_rs(name: str) -> None:
    ids = sorted(wide("series"))
    ours = ears(np.array([wide("series")[i] for i in ids]), compat(name))
    place = {i: k for k, i in enumerate(ids)}
    judged, wrong = 0, []
    for row in rows("ears"):
        k, week = place[int(row["series_id"])], int(row["week"]) - 1
        judged += 1
        if differs(ours.upper_bound[k, week], number(row[f"{name}_U"]), absolute=1e-9):
            wrong.append((row["series_id"], week, ours.upper_bound[k, week], row[f"{name}_U"]))
        if ours.alarm[k, week] != (row[f"{name}_A"] == "1"):
            wrong.append((row["series_id"], week, "alarm"))
    assert judged == 12100
    assert not wrong


@pytest.mark.parametrize("method", METHODS)
def test_corner_cases_equal_rs(method: str) -> None:
    for name, counts in corners().items():
        ours = ears(counts[None], compat(method))
        for row in (r for r in rows("corner_ears") if r["series"] == name):
            week = int(row["week"]) - 1
            assert not differs(ours.upper_bound[0, week], number(row[f"{method}_U"]), absolute=1e-9), (name, week)
            assert ours.alarm[0, week] == (row[f"{method}_A"] == "1"), (name, week)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/reference/detection beside the project")
def test_real_series_equal_rs() -> None:
    def shared(name: str) -> list[dict[str, str]]:
        with gzip.open(SHARED / f"{name}.csv.gz", "rt", newline="") as file:
            return list(csv.DictReader(file))

    series: dict[str, list[float]] = {}
    for row in shared("real_series"):
        series.setdefault(row["series"], []).append(number(row["observed"]))
    ours = {(name, m): ears(np.array([counts]), compat(m)) for name, counts in series.items() for m in METHODS}
    judged, wrong = 0, []
    for row in shared("real_ears"):
        for method in METHODS:
            found, step = ours[row["series"], method], int(row["t"]) - 1
            judged += 1
            if differs(found.upper_bound[0, step], number(row[f"{method}_U"]), absolute=1e-9):
                wrong.append((row["series"], step, method, found.upper_bound[0, step]))
            if found.alarm[0, step] != (row[f"{method}_A"] == "1"):
                wrong.append((row["series"], step, method, "alarm"))
    assert judged == 20223
    assert not wrong


def test_c3_as_documented_sees_the_spike_itself_where_rs_sees_its_neighbours() -> None:
    counts = np.array([[1, 2, 1, 3, 2, 1, 2, 3, 1, 2, 1, 2, 3, 1, 100, 2, 2.0]])
    documented, as_in_r = (ears(counts, EarsSettings("C3", r_compat=flag)).alarm[0] for flag in (False, True))
    assert documented[14]
    assert not as_in_r[14]


def test_c3_is_the_sum_of_three_exceedances() -> None:
    counts = np.random.default_rng(1).poisson(5, (20, 80)).astype(float)
    c2 = ears(counts, EarsSettings("C2"))
    excess = np.maximum((counts - c2.expectation) / c2.sigma - 1, 0)
    total = excess[:, 2:] + excess[:, 1:-1] + excess[:, :-2]
    ours = ears(counts, EarsSettings("C3"))
    fine = ~np.isnan(total)
    assert (ours.alarm[:, 2:][fine] == (total[fine] >= -ndtri(0.025))).all()


def test_one_event_after_a_quiet_week_is_no_alarm() -> None:
    counts = np.zeros((1, 20))
    counts[0, -1] = 1
    assert not ears(counts, EarsSettings("C1")).alarm[0, -1]
    assert ears(counts, EarsSettings("C1", r_compat=True)).alarm[0, -1], "R alarms on a single event after zeros"


@pytest.mark.parametrize(("method", "needed"), [("C1", 7), ("C2", 9), ("C3", 11)])
def test_the_first_step_that_is_judged_is_the_one_after_those_that_are_needed(method: str, needed: int) -> None:
    counts = np.array([[3.0, 4, 5, 3, 4, 5, 4, 4, 3, 5, 4, 4, 5, 3]])
    chosen = EarsSettings(method)  # type: ignore[arg-type]
    assert chosen.steps_needed == needed
    assert (np.flatnonzero(~np.isnan(ears(counts, chosen).upper_bound[0])) == np.arange(needed, 14)).all()
    assert np.isnan(ears(counts[:, :needed], chosen).upper_bound).all()
    assert not ears(counts[:, :needed], chosen).alarm.any()
    assert np.isfinite(ears(counts[:, : needed + 1], chosen).upper_bound[0, -1])


def test_mean_and_spread_are_those_of_the_week_before_and_in_c2_of_the_week_before_two_days() -> None:
    counts = np.array([[0.0, 1, 2, 3, 4, 5, 6, 50, 60, 9]])
    c1, c2 = (ears(counts, EarsSettings(method)) for method in ("C1", "C2"))  # type: ignore[arg-type]
    sigma = np.sqrt(28 / 6)  # of 0..6 about 3
    assert (c1.expectation[0, 7], c1.sigma[0, 7]) == pytest.approx((3, sigma))
    assert (c2.expectation[0, 9], c2.sigma[0, 9]) == pytest.approx((3, sigma))
    assert c2.upper_bound[0, 9] == pytest.approx(3 + 3.090232306167813 * sigma)  # the quantile of 0.001
    assert c2.p_value[0, 9] == pytest.approx(norm.sf(6 / sigma))
    assert c1.p_value[0, 7] == pytest.approx(norm.sf(47 / sigma))


def test_a_step_whose_count_is_not_known_yet_has_its_bound_and_no_alarm_and_a_gap_silences_what_rests_on_it() -> None:
    counts = np.array([[3.0, 4, 5, 3, 4, 5, 4, np.nan, 4]])
    found = ears(counts, EarsSettings())
    assert np.isfinite(found.upper_bound[0, 7])
    assert np.isnan(found.p_value[0, 7])
    assert np.isnan(found.upper_bound[0, 8])
    assert not found.alarm.any()


def test_a_constant_week_keeps_a_spread_of_half_an_event_or_of_what_is_asked_for() -> None:
    counts = np.full((1, 8), 4.0)
    assert ears(counts, EarsSettings()).sigma[0, 7] == 0.5
    assert ears(counts, EarsSettings(min_sigma=0.2)).sigma[0, 7] == 0.5
    assert ears(counts, EarsSettings(min_sigma=0.8)).sigma[0, 7] == 0.8
    assert ears(counts, EarsSettings(r_compat=True)).sigma[0, 7] == 0
    assert ears(counts, EarsSettings(min_sigma=0.2, r_compat=True)).sigma[0, 7] == 0.2


def test_the_bound_of_c3_is_the_count_from_which_its_sum_reaches_the_limit() -> None:
    counts = np.random.default_rng(8).poisson(6, (60, 40)).astype(float)
    found = ears(counts, EarsSettings("C3"))
    judged = found.upper_bound > 0
    assert judged.sum() > 1000
    for off, alarms in ((1e-6, True), (-1e-6, False)):
        # Each step in turn at its bound, and a hair off it: only the last step of a series is changed.
        for step in range(11, 40):
            at = counts[:, : step + 1].copy()
            at[:, step] = np.maximum(found.upper_bound[:, step] + off, 0)
            rows = judged[:, step]
            assert (ears(at, EarsSettings("C3")).alarm[rows, step] == alarms).all()


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (EarsSettings(baseline=2), "baseline = 2: at least 3 steps are needed"),
        (EarsSettings(min_sigma=-0.1), "min_sigma = -0.1: must not be negative"),
        (EarsSettings(alpha=0.0), "alpha = 0.0: must lie between 0 and 1"),
        (EarsSettings(alpha=1.0), "alpha = 1.0: must lie between 0 and 1"),
        (EarsSettings("C4"), "method = 'C4': must be C1, C2 or C3"),  # type: ignore[arg-type]
    ],
)
def test_settings_out_of_range_are_named(chosen: EarsSettings, words: str) -> None:
    with pytest.raises(DetectorError, match=f"^{re.escape(words)}$"):
        ears(np.ones((1, 30)), chosen)
    assert np.isfinite(ears(np.ones((1, 30)), EarsSettings(baseline=3, min_sigma=0.0)).upper_bound[0, 3:]).all()


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (np.ones(30), "counts must be (series, steps), not of 1 dimensions"),
        (np.where(np.arange(60).reshape(2, 30) == 40, -1.0, 1.0), "series 1 has a negative or infinite count"),
        (np.where(np.arange(60).reshape(2, 30) == 40, np.inf, 1.0), "series 1 has a negative or infinite count"),
    ],
)
def test_what_is_not_a_count_is_refused(counts: np.ndarray, words: str) -> None:
    with pytest.raises(DetectorError, match=f"^{re.escape(words)}$"):
        ears(counts, EarsSettings())
