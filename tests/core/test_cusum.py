"""CUSUM against R's own answers in every transform, and its laws."""

import re

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


def _one(x: float, m: float, **chosen: object) -> float:
    """The deviate of one count: the statistic of a chart's first step without a reference value, or what lies below it."""
    chart = cusum(np.array([[x]]), np.array([[m]]), CusumSettings(k=0.0, h=1e9, **chosen))  # type: ignore[arg-type]
    return float(chart.statistic[0, 0])


@pytest.mark.parametrize(
    ("transform", "deviate"),
    [
        ("standard", 5 / 2),
        ("rossi", (9 - 12 + 12) / 4),
        ("anscombe", 1.5 * (9 ** (2 / 3) - 4 ** (2 / 3)) / 4 ** (1 / 6)),
        ("anscombe2nd", (9 ** (2 / 3) - (4 ** (2 / 3) - 4 ** (-1 / 3) / 9)) / (2 / 3 * 4 ** (1 / 6))),
        ("pearsonNegBin", 5 / np.sqrt(4 + 0.5 * 16)),
        ("none", 9.0),
    ],
)
def test_each_transform_is_the_formula_of_its_paper(transform: str, deviate: float) -> None:
    assert _one(9.0, 4.0, transform=transform, alpha=0.5) == pytest.approx(deviate)


def test_the_chart_adds_what_exceeds_the_reference_value_and_starts_at_nothing_after_an_alarm() -> None:
    counts = np.array([[5.0, 5.0, 0.0, 9.0, 5.0, 9.0]])
    chart = cusum(counts, np.full(counts.shape, 4.0), CusumSettings(k=0.25, h=2.25))
    assert chart.statistic[0].tolist() == [0.25, 0.5, 0.0, 2.25, 0.25, 2.5]
    assert chart.alarm[0].tolist() == [False, False, False, True, False, True]  # at the limit is beyond it
    # A count of 4 + 2 * (2.25 + 0.25 - what the chart held before) would have reached the limit.
    assert chart.upper_bound[0] == pytest.approx([9, 8.5, 8, 9, 9, 8.5])


@settings(max_examples=40, deadline=None)
@given(TRANSFORMS, st.floats(0.01, 5e4), st.floats(0.01, 0.9))
def test_a_bound_is_found_from_next_to_nothing_to_very_many(transform: str, mean: float, alpha: float) -> None:
    chosen = CusumSettings(transform=transform, alpha=alpha)  # type: ignore[arg-type]
    bound = cusum(np.zeros((1, 1)), np.full((1, 1), mean), chosen).upper_bound
    reached = cusum(bound * (1 + 1e-9) + 1e-9, np.full((1, 1), mean), chosen).statistic
    assert reached[0, 0] >= chosen.h * (1 - 1e-6)
    assert cusum(bound * (1 - 1e-6) - 1e-12 if bound > 1e-9 else bound, np.full((1, 1), mean), chosen).statistic < chosen.h + 1e-9


def test_the_second_expansion_is_not_for_next_to_nothing() -> None:
    """Below a mean of 0.0024 its correction alone exceeds limit and reference value: no event at all would be an alarm."""
    alone = [
        cusum(np.zeros((1, 1)), np.full((1, 1), m), CusumSettings(transform="anscombe2nd")).alarm[0, 0] for m in (0.003, 0.002)
    ]
    assert alone == [False, True]


def test_in_r_an_expectation_of_nothing_leaves_no_number_from_there_on() -> None:
    counts = np.array([[3.0, 2, 2, 2]])
    chart = cusum(counts, np.array([[2.0, 0, 2, 2]]), CusumSettings(r_compat=True, transform="rossi"))
    assert np.isfinite(chart.statistic[0, 0])
    assert not chart.alarm[0, 0]
    assert not np.isfinite(chart.statistic[0, 1:]).all()


def test_in_r_the_negative_binomial_integral_ends_at_a_hundred_over_alpha() -> None:
    def at(count: float) -> float:
        chart = cusum(
            np.array([[count]]), np.array([[8.0]]),
            CusumSettings(k=0.0, h=1e9, transform="anscombeNegBin", alpha=0.5, r_compat=True),
        )  # fmt: skip
        return float(chart.statistic[0, 0])

    for count in (19.0, 20.0, 21.0, 150.0, 199.0, 200.0):
        assert at(count) == pytest.approx(_one(count, 8.0, transform="anscombeNegBin", alpha=0.5), rel=3e-3)
    assert np.isnan(at(201.0))
    assert np.isfinite(_one(201.0, 8.0, transform="anscombeNegBin", alpha=0.5))


@pytest.mark.parametrize(
    ("counts", "expected", "chosen", "words"),
    [
        (np.full((1, 4), np.nan), np.ones((1, 4)), CusumSettings(),
         "series 0 has the count nan in step 0; a chart needs counts without gaps"),
        (np.array([[1.0, 2], [3, -2]]), np.ones((2, 2)), CusumSettings(),
         "series 1 has the count -2 in step 1; a chart needs counts without gaps"),
        (np.ones((1, 4)), np.zeros((1, 4)), CusumSettings(),
         "series 0 has the expectation 0 in step 0; a chart needs expectations without gaps"),
        (np.ones((1, 4)), np.full((1, 4), np.inf), CusumSettings(r_compat=True),
         "series 0 has the expectation inf in step 0; a chart needs expectations without gaps"),
        (np.ones((1, 4)), np.ones((1, 3)), CusumSettings(),
         "counts and expected must be (series, steps) alike, not (1, 4) and (1, 3)"),
        (np.ones(4), np.ones(4), CusumSettings(), "counts and expected must be (series, steps) alike, not (4,) and (4,)"),
        (np.ones((1, 4)), np.ones((1, 4)), CusumSettings(h=0), "k = 1.04, h = 0, alpha = 0.1: k at least 0, h and alpha above 0"),
        (np.ones((1, 4)), np.ones((1, 4)), CusumSettings(k=-0.1),
         "k = -0.1, h = 2.26, alpha = 0.1: k at least 0, h and alpha above 0"),
        (np.ones((1, 4)), np.ones((1, 4)), CusumSettings(alpha=0.0),
         "k = 1.04, h = 2.26, alpha = 0.0: k at least 0, h and alpha above 0"),
        (np.ones((1, 4)), np.ones((1, 4)), CusumSettings(transform="log"),  # type: ignore[arg-type]
         "transform = 'log': one of standard, rossi, anscombe, anscombe2nd, pearsonNegBin, anscombeNegBin, none"),
    ],
)  # fmt: skip
def test_what_cannot_be_charted_is_named(counts: np.ndarray, expected: np.ndarray, chosen: CusumSettings, words: str) -> None:
    with pytest.raises(DetectorError, match=f"^{re.escape(words)}$"):
        cusum(counts, expected, chosen)


def test_a_threshold_below_one_is_a_threshold_and_none_is_refused() -> None:
    CusumSettings(h=0.5).check()
    with pytest.raises(DetectorError):
        CusumSettings(h=0.0).check()
