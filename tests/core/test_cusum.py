"""CUSUM against R's own answers in every transform, and its laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.detectors.cusum import CusumSettings, cusum
from earlywarning.core.detectors.glm_in_r import glm_poisson, predict_in_r
from earlywarning.core.detectors.seasonal_regression import harmonic_design
from earlywarning.core.detectors.status import DetectorError
from tests.core.reference import number, rows, wide

IDS = sorted(wide("series"))
COUNTS = np.array([wide("series")[i] for i in IDS])
HISTORY, JUDGED = COUNTS[:, :312], COUNTS[:, 312:416]
EMPTY = HISTORY.sum(1) == 0  # where R's glm stops on its way to an expectation of zero is chance
KINDS = [(t, "mean") for t in ("standard", "rossi", "anscombe", "anscombe2nd", "pearsonNegBin", "anscombeNegBin")]


def theirs(transform: str, kind: str, column: str) -> np.ndarray:
    out = np.full(JUDGED.shape, np.nan)
    place = {i: k for k, i in enumerate(IDS)}
    for r in rows("cusum"):
        if r["trans"] == transform and r["m_kind"] == kind:
            out[place[int(r["series_id"])], int(r["week"]) - 313] = number(r[column])
    return out


@pytest.mark.parametrize(("transform", "kind"), [*KINDS, ("standard", "glm"), ("rossi", "glm")])
def test_every_statistic_bound_and_alarm_equals_rs(transform: str, kind: str) -> None:
    mean = np.repeat(HISTORY.mean(1)[:, None], 104, 1)
    use = np.ones(len(IDS), dtype=bool)
    if kind == "glm":
        design = [harmonic_design(t, 52, 1, False) for t in (np.arange(1, 313), np.arange(313, 417))]
        mean, use = predict_in_r(glm_poisson(HISTORY, design[0]), design[1]), ~EMPTY
    np.testing.assert_allclose(mean[use], theirs(transform, kind, "m")[use], rtol=1e-6)
    ours = cusum(JUDGED[use], mean[use], CusumSettings(transform=transform, r_compat=True))  # type: ignore[arg-type]
    np.testing.assert_allclose(ours.statistic, theirs(transform, kind, "cusum")[use], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ours.upper_bound, theirs(transform, kind, "upper")[use], rtol=1e-6, atol=1e-6)
    assert (ours.alarm == (theirs(transform, kind, "alarm")[use] == 1)).all()


TRANSFORMS = st.sampled_from([t for t, _ in KINDS])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), TRANSFORMS, st.floats(0.2, 60), st.integers(0, 29))
def test_more_events_never_lower_the_statistic_of_that_step_nor_take_its_alarm(
    seed: int, transform: str, mean: float, at: int
) -> None:
    counts = np.random.default_rng(seed).poisson(mean, (4, 30)).astype(float)
    more = counts.copy()
    more[:, at] += 3
    expected = np.full(counts.shape, mean)
    one, two = (cusum(c, expected, CusumSettings(transform=transform)) for c in (counts, more))  # type: ignore[arg-type]
    assert (two.statistic[:, at] >= one.statistic[:, at] - 1e-9).all()
    assert (two.alarm[:, at] >= one.alarm[:, at]).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), TRANSFORMS, st.floats(0.5, 40))
def test_an_alarm_is_a_count_that_reaches_the_bound(seed: int, transform: str, mean: float) -> None:
    counts = np.random.default_rng(seed).poisson(mean, (10, 25)).astype(float)
    ours = cusum(counts, np.full(counts.shape, mean), CusumSettings(transform=transform))  # type: ignore[arg-type]
    clear = np.abs(counts - ours.upper_bound) > 1e-6 * (1 + counts)
    assert (ours.alarm == (counts >= ours.upper_bound))[clear & (ours.upper_bound > 0)].all()


def test_the_chart_starts_anew_after_an_alarm_where_rs_stays_on() -> None:
    counts = np.full((1, 40), 4.0)
    counts[0, 10] = 60
    expected = np.full(counts.shape, 4.0)
    assert cusum(counts, expected, CusumSettings()).alarm.sum() == 1
    assert cusum(counts, expected, CusumSettings(r_compat=True)).alarm.sum() > 15


@pytest.mark.parametrize(
    ("counts", "expected", "chosen", "words"),
    [
        (np.full((1, 4), np.nan), np.ones((1, 4)), CusumSettings(), "series 0 has the count nan in step 0"),
        (np.full((1, 4), -2.0), np.ones((1, 4)), CusumSettings(), "count -2"),
        (np.ones((1, 4)), np.zeros((1, 4)), CusumSettings(), "expectation 0"),
        (np.ones((1, 4)), np.ones((1, 3)), CusumSettings(), "alike"),
        (np.ones((1, 4)), np.ones((1, 4)), CusumSettings(h=0), "h = 0"),
        (np.ones((1, 4)), np.ones((1, 4)), CusumSettings(transform="log"), "standard"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_charted_is_named(counts: np.ndarray, expected: np.ndarray, chosen: CusumSettings, words: str) -> None:
    with pytest.raises(DetectorError, match=words):
        cusum(counts, expected, chosen)
