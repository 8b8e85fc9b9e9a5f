"""GLR-CUSUM and its in-control models against R's own answers to the letter, and the laws of the charts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from earlywarning.core.detectors.glm_in_r import glm_negative_binomial, glm_poisson, predict_in_r
from earlywarning.core.detectors.glr import GlrChart, GlrSettings, glr
from earlywarning.core.detectors.seasonal_regression import harmonic_design
from earlywarning.core.detectors.status import DetectorError
from tests.core.reference import number, rows, wide

IDS = sorted(wide("series"))
COUNTS = np.array([wide("series")[i] for i in IDS])
HISTORY, JUDGED = COUNTS[:, :312], COUNTS[:, 312:416]
EMPTY = HISTORY.sum(1) == 0
MU = np.array([wide("mu_true")[i] for i in IDS])


def theirs(setting: str, column: str) -> np.ndarray:
    out = np.full(JUDGED.shape, np.nan)
    place = {i: k for k, i in enumerate(IDS)}
    for r in rows("glr"):
        if r["setting"] == setting and r["error"] == "0":
            out[place[int(r["series_id"])], int(r["week"]) - 313] = number(r[column])
    return out


def designs(trend: bool) -> tuple[np.ndarray, np.ndarray]:
    return harmonic_design(np.arange(1, 313), 52, 1, trend), harmonic_design(np.arange(313, 417), 52, 1, trend)


def equals(chart: GlrChart, setting: str, use: np.ndarray, near: float = 1e-6) -> None:
    stat, alarm = theirs(setting, "stat")[use], theirs(setting, "alarm")[use]
    assert not np.isnan(stat).any()
    np.testing.assert_allclose(chart.statistic, stat, rtol=near, atol=near)
    assert (chart.alarm == (alarm == 1)).all()


def test_a_poisson_chart_with_its_own_model_equals_rs() -> None:
    before, after = designs(trend=True)
    mean = predict_in_r(glm_poisson(HISTORY, before), after)
    use = ~EMPTY
    np.testing.assert_allclose(mean[use], theirs("G1", "mu0")[use], rtol=1e-6)
    equals(glr(JUDGED[use], mean[use], GlrSettings(r_compat=True)), "G1", use)


def test_a_negative_binomial_chart_with_its_own_model_equals_rs_also_where_the_size_runs_away() -> None:
    before, after = designs(trend=False)
    fitted = glm_negative_binomial(HISTORY, before)
    mean, alpha = predict_in_r(fitted, after), theirs("G2", "alpha")[:, 0]
    use = ~np.isnan(alpha)
    assert use.sum() == 98
    np.testing.assert_allclose(fitted.alpha[use], alpha[use], rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(mean[use], theirs("G2", "mu0")[use], rtol=1e-6)
    # A size of 10^8 is where rounding sent it, in R as here: the third digit of alpha is chance.
    for some, near in ((use & (alpha > 1e-7), 1e-6), (use & (alpha <= 1e-7), 1e-5)):
        equals(glr(JUDGED[some], mean[some], GlrSettings(r_compat=True), fitted.alpha[some]), "G2", some, near)


@pytest.mark.parametrize(
    ("setting", "chosen", "alpha"),
    [
        ("G3", GlrSettings(threshold=4, r_compat=True), 0.1),
        ("G4", GlrSettings(window=26, r_compat=True), 0.0),
        ("G5", GlrSettings(theta=0.405465, r_compat=True), 0.0),
        ("G6", GlrSettings(theta=0.405465, r_compat=True), 0.2),
    ],
)
def test_charts_with_given_expectations_equal_rs_in_every_series(setting: str, chosen: GlrSettings, alpha: float) -> None:
    use = ~np.isnan(theirs(setting, "stat")[:, 0])
    equals(glr(JUDGED[use], MU[use], chosen, np.full(int(use.sum()), alpha)), setting, use)


@pytest.mark.parametrize("compat", [True, False])
def test_the_least_counts_that_would_alarm_equal_rs(compat: bool) -> None:
    use = ~np.isnan(theirs("G7", "stat")[:, 0])
    chart = glr(JUDGED[use], MU[use], GlrSettings(ret="cases", r_compat=compat))
    np.testing.assert_allclose(chart.cases, theirs("G7", "stat")[use], rtol=1e-9)
    assert (chart.alarm == (JUDGED[use] >= chart.cases)).all()


def _ratio(x: np.ndarray, m: np.ndarray, alpha: float) -> tuple[float, float]:
    """Largest log likelihood ratio of a raised level, and its change: in closed form, or where the score is zero."""
    if not alpha:
        change = max(float(np.log(x.sum() / m.sum())), 0.0) if x.sum() else 0.0
        return float(change * x.sum() - np.expm1(change) * m.sum()), change

    def score(kappa: float) -> float:
        raised = m * np.exp(kappa)
        return float(((x - raised) / (1 + alpha * raised)).sum())

    change = float(brentq(score, 0.0, 6.0)) if score(0.0) > 0 else 0.0
    gain = x * change - (x + 1 / alpha) * (np.log1p(alpha * m * np.exp(change)) - np.log1p(alpha * m))
    return float(gain.sum()), change


@pytest.mark.parametrize("alpha", [0.0, 0.15])
@pytest.mark.parametrize(("window", "shortest"), [(-1, 1), (-1, 4), (6, 1), (6, 3)])
def test_the_onsets_that_rs_charts_look_at_are_those_that_the_module_says(window: int, shortest: int, alpha: float) -> None:
    """Poisson: all onsets from shortest - 1 steps on; with a window not the newest that would be allowed. Negative binomial:
    those that lie shortest - 1 steps back or more, and within the window."""
    rng = np.random.default_rng(17)
    mean = rng.uniform(3, 6, (4, 30))
    counts = rng.poisson(mean * np.where(np.arange(30) >= 12, 1.5, 1.0)).astype(float)
    chosen = GlrSettings(threshold=3.0, window=window, shortest=shortest, r_compat=True)
    chart = glr(counts, mean, chosen, np.full(4, alpha))
    for i in range(4):
        start = 0
        for n in range(30):
            oldest = start if window < 0 else max(start, n - window)
            if alpha:
                onsets = list(range(oldest, n - shortest + 2)) if n - start >= shortest - 1 else []
            elif window < 0:
                onsets = list(range(start, n + 1)) if n - start >= shortest - 1 else []
            else:
                onsets = list(range(oldest, n - shortest + 1))
            found = [(*_ratio(counts[i, k : n + 1], mean[i, k : n + 1], alpha), k) for k in onsets]
            best, change, onset = max(found, default=(0.0, 0.0, -1), key=lambda f: (f[0], -f[2]))
            assert chart.statistic[i, n] == pytest.approx(best, abs=1e-6)
            if best > 1e-9:
                assert chart.onset[i, n] == onset
            assert chart.change[i, n] == pytest.approx(change, abs=1e-4)
            assert chart.alarm[i, n] == (best >= 3.0)
            start = n + 1 if chart.alarm[i, n] else start
    assert chart.alarm.any()


def test_five_events_against_a_tenth_of_one_alarm_where_rs_search_runs_away() -> None:
    counts, mean = np.array([[0, 0, 5.0]]), np.full((1, 3), 0.1)
    ours, in_r = (glr(counts, mean, GlrSettings(threshold=4, r_compat=flag), np.array([0.1])) for flag in (False, True))
    assert ours.alarm[0, 2]
    assert ours.onset[0, 2] == 2
    assert not in_r.alarm[0, 2]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.2]), st.sampled_from([-1, 8]), st.sampled_from([1, 3]))
def test_the_statistic_is_the_largest_log_likelihood_ratio_of_all_onsets(
    seed: int, alpha: float, window: int, shortest: int
) -> None:
    rng = np.random.default_rng(seed)
    mean = rng.uniform(0.5, 6, (3, 20))
    counts = rng.poisson(mean).astype(float)
    chart = glr(counts, mean, GlrSettings(threshold=1e9, window=window, shortest=shortest), np.full(3, alpha))
    grid = np.linspace(0, 5, 4001)[:, None]
    for i in range(3):
        n = 19
        best = 0.0
        for k in range(0 if window < 0 else n - window, n - shortest + 2):
            x, m = counts[i, k : n + 1], mean[i, k : n + 1]
            gain = x * grid - m * np.expm1(grid)
            if alpha:
                gain = x * grid - (x + 1 / alpha) * (np.log1p(alpha * m * np.exp(grid)) - np.log1p(alpha * m))
            best = max(best, gain.sum(1).max())
        # Between two values of the grid the likelihood of some hundred events rises by less than 1e-4.
        assert chart.statistic[i, n] == pytest.approx(best, rel=1e-4, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3]), st.sampled_from([None, 0.5]))
def test_a_series_is_charted_alike_alone_and_among_others(seed: int, alpha: float, theta: float | None) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(3.0, (70, 25)).astype(float)
    mean, size = np.full(counts.shape, 3.0), np.where(np.arange(70) % 2, alpha, 0.0)
    together = glr(counts, mean, GlrSettings(theta=theta, threshold=3), size)
    for i in (0, 1, 69):
        alone = glr(counts[i : i + 1], mean[i : i + 1], GlrSettings(theta=theta, threshold=3), size[i : i + 1])
        np.testing.assert_allclose(together.statistic[i], alone.statistic[0], rtol=1e-8, atol=1e-9)
        assert (together.alarm[i] == alone.alarm[0]).all()
        clear = alone.statistic[0] > 1e-6
        assert (together.onset[i] == alone.onset[0])[clear].all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_an_onset_lies_after_the_last_alarm(seed: int, rise: int) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(np.where(np.arange(40) > 10, 2.0 * rise, 2.0), (5, 40)).astype(float)
    chart = glr(counts, np.full(counts.shape, 2.0), GlrSettings())
    for i in range(5):
        last = 0
        for n in range(40):
            assert chart.onset[i, n] == -1 or last <= chart.onset[i, n] <= n
            last = n + 1 if chart.alarm[i, n] else last


@pytest.mark.parametrize(
    ("chosen", "alpha", "words"),
    [
        (GlrSettings(threshold=0), 0.0, "threshold = 0"),
        (GlrSettings(window=0), 0.0, "window = 0"),
        (GlrSettings(shortest=0), 0.0, "shortest = 0"),
        (GlrSettings(theta=-1), 0.0, "theta = -1"),
        (GlrSettings(ret="case"), 0.0, "value or cases"),  # type: ignore[arg-type]
        (GlrSettings(ret="cases"), 0.1, "ret = cases"),
        (GlrSettings(), -0.1, "alpha"),
        (GlrSettings(), float("nan"), "alpha"),
    ],
)
def test_settings_out_of_range_are_named(chosen: GlrSettings, alpha: float, words: str) -> None:
    with pytest.raises(DetectorError, match=words):
        glr(np.ones((1, 5)), np.ones((1, 5)), chosen, np.array([alpha]))
