"""RKI against R's own answers, and what it says of counts it cannot judge."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

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


def _judged(reference: list[float], now: float, **chosen: object) -> tuple[float, float, float, float, bool]:
    """The figures of a step whose reference is the two steps before it."""
    settings_ = RkiSettings(b=0, w=len(reference), act_y=True, **chosen)  # type: ignore[arg-type]
    found = rki(np.array([[*reference, now]]), np.array([len(reference)]), settings_)
    return tuple(column[0, 0] for column in found)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("reference", "bound"),
    [
        ([0, 0], 3.285),
        ([0, 1], 3.285),  # a mean of one half: the limit of the whole number below
        ([1, 1], 5.323),
        ([19, 20], 28.966),
        ([20, 20], 30.017),
        ([20, 21], 20.5 + 2 * np.sqrt(0.5)),  # above 20: mean and two standard deviations
        ([30, 40], 35 + 2 * np.sqrt(50)),
    ],
)
def test_the_bound_is_the_tables_up_to_a_mean_of_20_and_two_sigmas_beyond(reference: list[float], bound: float) -> None:
    mean, sigma, upper, p_value, alarm = _judged(reference, bound)
    assert mean == np.mean(reference)
    assert sigma == pytest.approx(np.std(reference, ddof=1))
    assert upper == pytest.approx(bound)
    assert not alarm  # a count at the bound is none
    assert _judged(reference, np.ceil(bound + 0.01))[4]
    if sigma > 0:
        assert p_value == pytest.approx(norm.sf((bound - mean) / sigma))


@pytest.mark.parametrize(("reference", "spread"), [([4, 4, 4, 4], 2.0), ([0, 0, 0, 0], np.sqrt(1 / 8))])
def test_where_the_reference_does_not_vary_the_p_value_has_chance_s_own_spread(reference: list[float], spread: float) -> None:
    """The root of the mean; of an empty reference that of half an event in all of it."""
    assert _judged(reference, reference[0] + 1)[3] == pytest.approx(norm.sf(1 / spread))


def test_two_observed_reference_steps_are_enough_and_one_is_not() -> None:
    nan = np.nan
    mean, sigma, upper, p_value, alarm = _judged([nan, 3, nan, 5], 40)
    assert (mean, sigma, upper, alarm) == (4, pytest.approx(np.sqrt(2)), 9.598, True)
    assert p_value == pytest.approx(norm.sf(36 / np.sqrt(2)))
    assert [np.isnan(v) for v in _judged([nan, 3, nan, nan], 40)] == [True, True, True, True, False]
    assert not _judged([nan, 3, nan, nan], 40)[4]
    assert np.isnan(_judged([3, 3], nan)[3])
    assert not _judged([3, 3], nan)[4]


@pytest.mark.parametrize(
    ("settings_", "reference"),
    [
        (RkiSettings(b=0, w=2, act_y=True, frequency=10), [28, 29]),
        (RkiSettings(b=1, w=2, act_y=True, frequency=10), [28, 29, *range(18, 23)]),
        (RkiSettings(b=2, w=1, act_y=False, frequency=10), [9, 10, 11, 19, 20, 21]),
    ],
)
def test_the_reference_is_the_steps_just_before_and_the_same_steps_of_earlier_years(
    settings_: RkiSettings, reference: list[int]
) -> None:
    """Each step in turn is the only one with events."""
    counts = np.eye(31) * 6.0
    found = rki(counts, np.array([30]), settings_).expectation[:, 0]
    assert np.flatnonzero(found).tolist() == sorted(reference)
    np.testing.assert_allclose(found[reference], 6 / len(reference))
    assert settings_.steps_needed == settings_.b * 10 + settings_.w
    rki(counts, np.array([settings_.steps_needed]), settings_)  # the first that can be judged


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
        (np.ones((1, 200)), 107, RkiSettings(), "step 107 has less than 108 steps of history; lower b or w"),
        (-np.ones((1, 200)), 150, RkiSettings(), "series 0 has the count -1 in step 0; counts are finite and not negative"),
        (np.full((1, 200), np.inf), 150, RkiSettings(), "series 0 has the count inf in step 0; counts are finite and not negative"),
        (np.ones(200), 150, RkiSettings(), "counts must be (series, steps), not of 1 dimensions"),
        (np.ones((1, 200)), 200, RkiSettings(), "step 200 lies outside the 200 steps of the counts"),
        (
            np.ones((1, 200)), 150, RkiSettings(b=0),
            "b = 0, w = 4: there must be reference steps; b >= 0, w >= 1, and act_y or b >= 1",
        ),
        (
            np.ones((1, 200)), 150, RkiSettings(b=-1, act_y=True),
            "b = -1, w = 4: there must be reference steps; b >= 0, w >= 1, and act_y or b >= 1",
        ),
        (
            np.ones((1, 200)), 150, RkiSettings(w=0),
            "b = 2, w = 0: there must be reference steps; b >= 0, w >= 1, and act_y or b >= 1",
        ),
        (np.ones((1, 200)), 150, RkiSettings(w=26), "w = 26: the windows of two years must not meet in a year of 52 steps"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_named(counts: np.ndarray, step: int, chosen: RkiSettings, words: str) -> None:
    with pytest.raises(DetectorError, match=f"^{re.escape(words)}$"):
        rki(counts, np.array([step]), chosen)


def test_what_just_can_be_judged_is() -> None:
    counts = np.ones((1, 200))
    for chosen in (RkiSettings(w=25), RkiSettings(b=1, w=1), RkiSettings(b=0, w=1, act_y=True), RkiSettings(frequency=9)):
        assert rki(counts, np.array([199]), chosen).upper_bound.shape == (1, 1)
    assert rki(counts, np.array([], dtype=np.int64), RkiSettings()).upper_bound.shape == (1, 0)
