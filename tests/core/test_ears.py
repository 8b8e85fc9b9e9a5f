"""EARS C1, C2 and C3 against R's own answers, and as documented where R departs from it."""

import numpy as np
import pytest
from scipy.special import ndtri

from earlywarning.core.detectors.ears import EarsSettings, ears
from earlywarning.core.detectors.farrington import DetectorError
from tests.core.reference import corners, differs, number, rows, wide

METHODS = ("C1", "C2", "C3")


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


@pytest.mark.parametrize("chosen", [EarsSettings(baseline=2), EarsSettings(min_sigma=-1), EarsSettings(alpha=0)])
def test_settings_out_of_range_are_named(chosen: EarsSettings) -> None:
    with pytest.raises(DetectorError):
        ears(np.ones((1, 30)), chosen)
