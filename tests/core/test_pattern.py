"""Unusual mixture: an area against its own past, with the shares that differ, and a calibrated probability."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earlywarning.core.detectors.pattern import (
    FEATURES,
    Mixture,
    PatternSettings,
    deviations,
    judge_mixture,
    model_scores,
    plain_scores,
)
from earlywarning.core.detectors.status import DetectorError, Status

Floats = NDArray[np.float64]
SETTINGS = PatternSettings()
AREAS, CATEGORIES, WINDOWS = 60, 8, 108


def towns(seed: int, number: int, *, weekly: float = 15.0, windows: int = WINDOWS) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Windows of simulated towns: areas with mixtures of their own, seasons, and slow noise of each area and category."""
    rng = np.random.default_rng(seed)
    weeks = windows + 3
    for _ in range(number):
        base = rng.dirichlet(np.full(CATEGORIES, 2.0), AREAS) * weekly * rng.lognormal(0, 0.6, (AREAS, 1))
        slow = np.zeros((AREAS, CATEGORIES, weeks))
        slow[:, :, 0] = rng.normal(0, 0.14, (AREAS, CATEGORIES))
        for t in range(1, weeks):
            slow[:, :, t] = 0.9 * slow[:, :, t - 1] + rng.normal(0, 0.14 * np.sqrt(0.19), (AREAS, CATEGORIES))
        season = 0.15 * np.sin(2 * np.pi * np.arange(weeks) / 52 + rng.uniform(0, 6, (CATEGORIES, 1)))
        counts = rng.poisson(base[:, :, None] * np.exp(slow + season))
        weekend = rng.binomial(counts.sum(1), 0.33)

        def four(values: NDArray[np.int64]) -> Floats:
            return np.lib.stride_tricks.sliding_window_view(values, 4, axis=-1).sum(-1).astype(np.float64)

        yield four(counts).transpose(0, 2, 1).copy(), four(weekend), four(counts[:, 5:].sum(1))


def judged(windows: tuple[Floats, Floats, Floats]) -> Mixture:
    found = deviations(*windows, SETTINGS)
    return judge_mixture(found, plain_scores(found), SETTINGS)


def changed(windows: tuple[Floats, Floats, Floats], area: int, category: int) -> tuple[Floats, Floats, Floats]:
    """The last window of one area with half of its events of one category."""
    mix = windows[0].copy()
    mix[area, -1] *= 0.5
    mix[area, -1, category] += windows[0][area, -1].sum() - mix[area, -1].sum()
    return mix, windows[1], windows[2]


def test_false_alarms_stay_near_the_level() -> None:
    p = np.concatenate([m.p_value[m.status == Status.OK] for m in map(judged, towns(1, 60))])
    assert len(p) > 3000
    for level in (0.05, 0.01, 0.003):
        assert (p <= level).mean() <= 1.3 * level + 2 * np.sqrt(level / len(p))
    assert (p <= 0.05).mean() > 0.5 * 0.05


def test_a_changed_mixture_is_found_and_its_category_named() -> None:
    p, named = [], []
    for windows in towns(2, 2, weekly=40):
        for area in range(0, AREAS, 6):
            category = int(np.argsort(windows[0][area, :52].sum(0))[2])  # a kind that is seldom there
            m = judged(changed(windows, area, category))
            p.append(m.p_value[area])
            named.append(m.deviation[area, m.reasons[area] == category].max(initial=0) > 3)
            assert (np.diff(np.abs(m.deviation[area])) <= 0).all()
    assert (np.array(p) <= 0.001).mean() > 0.8
    assert np.mean(named) > 0.9


def test_more_of_everything_is_no_unusual_mixture() -> None:
    windows = next(towns(3, 1, weekly=40))
    before = judged(windows)
    after = judged(tuple(np.concatenate([w[:, :-1], w[:, -1:] * 1.5], axis=1) for w in windows))  # type: ignore[arg-type]
    assert (after.p_value <= 0.001).sum() <= (before.p_value <= 0.001).sum() + 1


def test_weekends_and_reports_are_reasons_as_well() -> None:
    mix, weekend, reports = next(towns(4, 1, weekly=60))
    area = int(mix[:, -1].sum(1).argmax())
    weekend[area, -1] = 0.75 * mix[area, -1].sum()
    m = judged((mix, weekend, reports))
    assert m.reasons[area, 0] == CATEGORIES + 1
    assert m.p_value[area] < 0.01


def test_an_area_is_compared_with_its_own_past_only() -> None:
    windows = next(towns(5, 1, weekly=40))
    usual = judged(windows)
    # One area has always been unlike the others: nothing but one category, and still has.
    odd = windows[0].copy()
    odd[7] = 0.02 * odd[7]
    odd[7, :, 3] += windows[0][7].sum(1) * 0.98
    assert judged((odd, windows[1], windows[2])).p_value[7] > 0.01
    np.testing.assert_allclose(np.delete(judged((odd, *windows[1:])).score, 7), np.delete(usual.score, 7), rtol=0.2)


def test_an_area_with_few_events_is_not_judged_and_the_status_says_so() -> None:
    mix, weekend, reports = next(towns(6, 1))
    mix[0, -1] = 0
    mix[1, :, 1:] = 0
    mix[1, :, 0] = 1
    m = judged((mix, weekend, reports))
    assert m.status[0] == Status.TOO_FEW
    assert m.p_value[:2].tolist() == [1, 1]
    assert m.reasons[0].tolist() == [-1, -1, -1]
    mix[1, -1, 0] = 50
    assert judged((mix, weekend, reports)).status[1] == Status.NO_HISTORY


def test_as_high_a_score_in_the_areas_own_past_keeps_the_p_value_at_its_frequency() -> None:
    windows = next(towns(7, 1))
    found = deviations(*windows, SETTINGS)
    scores = plain_scores(found)
    scores[0, -1] = scores[0, SETTINGS.reference + 3] = scores.max() * 2
    calibrating = WINDOWS - 1 - SETTINGS.gap - SETTINGS.reference
    assert judge_mixture(found, scores, SETTINGS).p_value[0] >= 2 / (calibrating + 1)


def test_a_higher_score_is_never_less_unusual() -> None:
    found = deviations(*next(towns(8, 1)), SETTINGS)
    scores = plain_scores(found)
    scores[:, -1] = np.linspace(0, 3 * scores.max(), AREAS)
    p = judge_mixture(found, scores, SETTINGS).p_value
    # What holds an area back is its own past, so the law is asked of each area by itself.
    scores[:, -1] *= 1.1
    assert (judge_mixture(found, scores, SETTINGS).p_value <= p + 1e-12).all()
    assert 0 < p.min() < 1e-4


class Spy:
    """A model that notes how it is called."""

    def __init__(self) -> None:
        self.rows: list[int] = []

    def score_samples(self, X: Floats) -> Floats:  # scikit-learn's name
        self.rows.append(len(X))
        return np.asarray(-(X**2).sum(1))


def test_a_model_is_asked_in_batches_and_not_about_the_reference() -> None:
    found = deviations(*next(towns(9, 1)), SETTINGS)
    spy = Spy()
    scores = model_scores(spy, found, SETTINGS)
    assert len(spy.rows) == 1
    assert sum(spy.rows) == AREAS * (WINDOWS - SETTINGS.reference)
    np.testing.assert_allclose(scores[:, 52:], plain_scores(found)[:, 52:])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0, 3))
def test_features_are_finite_and_of_one_number_whatever_the_counts(seed: int, categories: int, mean: float) -> None:
    rng = np.random.default_rng(seed)
    mix = rng.poisson(mean * rng.gamma(0.5, 2, (4, 1, categories)), (4, 80, categories)).astype(np.float64)
    total = mix.sum(2)
    found = deviations(mix, np.minimum(rng.poisson(3, total.shape), total), np.zeros_like(total), SETTINGS)
    assert found.vectors.shape == (4, 80, len(FEATURES))
    assert np.isfinite(found.vectors).all()
    assert (found.reports == 0).all()  # no reports at all say nothing
    m = judge_mixture(found, plain_scores(found), SETTINGS)
    assert ((m.p_value > 0) & (m.p_value <= 1)).all()


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(CATEGORIES)))
def test_the_order_of_categories_does_not_matter(order: list[int]) -> None:
    mix, weekend, reports = next(towns(10, 1))
    one, other = judged((mix, weekend, reports)), judged((mix[:, :, order], weekend, reports))
    np.testing.assert_allclose(one.p_value, other.p_value, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: deviations(np.ones((2, 60, 3)), np.ones((2, 59)), np.ones((2, 60)), SETTINGS), "shapes"),
        (lambda: deviations(np.ones((2, 52, 3)), np.ones((2, 52)), np.ones((2, 52)), SETTINGS), "52 of the reference"),
        (lambda: deviations(-np.ones((2, 60, 3)), np.ones((2, 60)), np.ones((2, 60)), SETTINGS), "mix of area 0"),
        (lambda: judged((np.ones((2, 60, 3)), np.ones((2, 60)), np.ones((2, 60)))), "at least 70"),
        (lambda: PatternSettings(reference=3), "reference at least 13"),
    ],
)
def test_what_cannot_be_judged_is_refused_by_name(call: object, words: str) -> None:
    with pytest.raises(DetectorError, match=words):
        call()  # type: ignore[operator]
