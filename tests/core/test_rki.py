"""RKI against R's own answers, and what it says of counts it cannot judge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.detectors.rki import RkiSettings, rki
from earlywarning.core.detectors.status import DetectorError
from tests.core.reference import rows, wide

IDS = sorted(wide("series"))
COUNTS = np.array([wide("series")[i] for i in IDS])
WEEKS = np.arange(312, 416)


@pytest.mark.parametrize(("kind", "b", "w", "act_y"), [(1, 0, 6, True), (2, 1, 6, True), (3, 2, 5, False)])
@pytest.mark.parametrize("compat", [True, False])
def test_every_bound_and_alarm_equals_rs(kind: int, b: int, w: int, act_y: bool, compat: bool) -> None:
    ours = rki(COUNTS, WEEKS, RkiSettings(b, w, act_y, r_compat=compat))
    place = {i: k for k, i in enumerate(IDS)}
    upper, alarm = np.full(ours.alarm.shape, np.nan), np.zeros(ours.alarm.shape, dtype=bool)
    for r in rows("bayes_rki"):
        cell = place[int(r["series_id"])], int(r["week"]) - 313
        upper[cell], alarm[cell] = float(r[f"rki{kind}_U"]), r[f"rki{kind}_A"] == "1"
    np.testing.assert_allclose(ours.upper_bound, upper, rtol=1e-9)
    assert (ours.alarm == alarm).all()


def test_a_gap_is_left_out_and_in_r_leaves_no_answer() -> None:
    counts = np.full((1, 200), 3.0)
    counts[0, 140] = np.nan
    assert rki(counts, np.array([193]), RkiSettings()).upper_bound[0, 0] == 8.102
    assert np.isnan(rki(counts, np.array([193]), RkiSettings(r_compat=True)).upper_bound[0, 0])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.1, 80))
def test_one_more_event_now_never_turns_an_alarm_off(seed: int, mean: float) -> None:
    counts = np.random.default_rng(seed).poisson(mean, (6, 130)).astype(float)
    lower = rki(counts, np.array([129]), RkiSettings())
    counts[:, 129] += 1
    higher = rki(counts, np.array([129]), RkiSettings())
    assert (higher.alarm >= lower.alarm).all()
    assert (higher.upper_bound == lower.upper_bound).all()


@pytest.mark.parametrize(
    ("counts", "step", "chosen", "words"),
    [
        (np.ones((1, 200)), 50, RkiSettings(), "less than 108 steps"),
        (-np.ones((1, 200)), 150, RkiSettings(), "series 0 has the count -1 in step 0"),
        (np.ones(200), 150, RkiSettings(), "series, steps"),
        (np.ones((1, 200)), 200, RkiSettings(), "outside"),
        (np.ones((1, 200)), 150, RkiSettings(b=0), "reference steps"),
        (np.ones((1, 200)), 150, RkiSettings(w=30), "must not meet"),
    ],
)
def test_what_cannot_be_judged_is_named(counts: np.ndarray, step: int, chosen: RkiSettings, words: str) -> None:
    with pytest.raises(DetectorError, match=words):
        rki(counts, np.array([step]), chosen)
