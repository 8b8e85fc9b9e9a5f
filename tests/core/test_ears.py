"""EARS C1, C2 and C3 against R's own answers, and as documented where R departs from it."""

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri

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


@pytest.mark.parametrize(
    "chosen", [EarsSettings(baseline=2), EarsSettings(min_sigma=-1), EarsSettings(alpha=0), EarsSettings("C4")]
)  # type: ignore[arg-type]
def test_settings_out_of_range_are_named(chosen: EarsSettings) -> None:
    with pytest.raises(DetectorError):
        ears(np.ones((1, 30)), chosen)


@pytest.mark.parametrize("counts", [np.ones(30), np.full((1, 30), -1.0), np.full((1, 30), np.inf)])
def test_what_is_not_a_count_is_refused(counts: np.ndarray) -> None:
    with pytest.raises(DetectorError):
        ears(counts, EarsSettings())
