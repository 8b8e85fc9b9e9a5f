"""Sources drifting apart: one test on the ratio of reports to incidents, calibrated, and deaf to dead sources."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import betabinom, binom

from earlywarning.core.detectors.reporting import sources_apart
from earlywarning.core.detectors.status import DetectorError, Status

Floats = NDArray[np.float64]


def drawn(rng: np.random.Generator, mean: Floats | float, dispersion: float, n: int) -> Floats:
    """Negative binomial counts with variance dispersion * mean."""
    mu = np.broadcast_to(np.asarray(mean, dtype=np.float64), (n,))
    if dispersion == 1:
        return rng.poisson(mu).astype(np.float64)
    return rng.poisson(rng.gamma(mu / (dispersion - 1), dispersion - 1)).astype(np.float64)


@pytest.mark.parametrize(
    ("reports", "incidents", "dispersion", "other_dispersion"),
    [(20, 20, 1, 1), (20, 20, 2, 2), (10, 60, 1.5, 3), (60, 10, 1.2, 4), (80, 120, 3, 2), (5, 5, 1, 1), (3, 30, 2, 2)],
)
def test_false_alarms_stay_at_the_level_under_overdispersion(
    reports: float, incidents: float, dispersion: float, other_dispersion: float
) -> None:
    rng, n = np.random.default_rng(1), 40_000
    found = sources_apart(
        drawn(rng, reports, dispersion, n), drawn(rng, incidents, other_dispersion, n),
        report_expectation=reports, incident_expectation=incidents,
        report_dispersion=dispersion, incident_dispersion=other_dispersion,
    )  # fmt: skip
    # Three binomial standard errors above the level; small totals cannot reach it (discreteness), but not exceed it.
    for level in (0.05, 0.01, 0.001):
        assert (found.p_value <= level).mean() <= level * 1.05 + 3 * np.sqrt(level / n)
    if reports + incidents >= 40 and other_dispersion < 4:
        assert (found.p_value <= 0.05).mean() >= 0.8 * 0.05


def test_ignoring_overdispersion_would_give_many_times_more_false_alarms() -> None:
    rng, n = np.random.default_rng(2), 20_000
    counts = drawn(rng, 40, 3, n), drawn(rng, 60, 3, n)
    expectations = {"report_expectation": 40, "incident_expectation": 60}
    told = sources_apart(*counts, **expectations, report_dispersion=3, incident_dispersion=3).p_value
    untold = sources_apart(*counts, **expectations).p_value
    assert (untold <= 0.001).mean() > 20 * max((told <= 0.001).mean(), 1e-4)


def test_an_uncertain_expectation_is_allowed_for() -> None:
    rng, n = np.random.default_rng(3), 40_000
    believed = {"report_expectation": 30 * np.exp(rng.normal(0, 0.15, n)), "incident_expectation": np.full(n, 50.0)}
    counts = drawn(rng, 30, 1.5, n), drawn(rng, 50, 1.5, n)
    spread = {"report_dispersion": 1.5, "incident_dispersion": 1.5}
    assert (sources_apart(*counts, **believed, **spread, report_error=0.15).p_value <= 0.01).mean() <= 0.0125
    assert (sources_apart(*counts, **believed, **spread).p_value <= 0.01).mean() > 0.013


@pytest.mark.parametrize(("factor", "other", "direction"), [(2.0, 0.6, 1), (0.5, 1.3, -1)])
def test_sources_that_part_are_found_with_their_direction(factor: float, other: float, direction: int) -> None:
    rng, n = np.random.default_rng(4), 2000
    found = sources_apart(
        drawn(rng, 50 * factor, 1.3, n), drawn(rng, 100 * other, 1.3, n),
        report_expectation=50, incident_expectation=100, report_dispersion=1.3, incident_dispersion=1.3,
        report_error=0.1, incident_error=0.1,
    )  # fmt: skip
    hit = found.p_value <= 0.001
    assert hit.mean() > 0.55
    assert (found.direction[hit] == direction).all()
    assert np.median(found.log_ratio) == pytest.approx(np.log(factor / other), abs=0.05)
    assert ((found.lower <= np.log(factor / other)) & (np.log(factor / other) <= found.upper)).mean() > 0.9


def test_what_moves_both_alike_is_no_drifting_apart() -> None:
    rng, n = np.random.default_rng(5), 20_000
    found = sources_apart(
        drawn(rng, 90, 1.5, n), drawn(rng, 150, 1.5, n),
        report_expectation=30, incident_expectation=50, report_dispersion=1.5, incident_dispersion=1.5,
    )  # fmt: skip
    assert (found.p_value <= 0.01).mean() <= 0.0125
    assert not found.opposed.any()


def test_the_tails_are_those_of_the_beta_binomial() -> None:
    # pi = 0.25, v = (2 - 1) / 10 + (2 - 1) / 30, so pi (1 - pi) v = 1 / 40: Beta(10, 30)
    found = sources_apart(
        [14, 4], [6, 21], report_expectation=10, incident_expectation=30, report_dispersion=2, incident_dispersion=2
    )
    for p_value, (r, n) in zip(found.p_value.tolist(), ((14, 20), (4, 25)), strict=True):
        law = betabinom(n, 10, 30)
        tails = (law.cdf(r) - law.pmf(r) / 2, law.sf(r) + law.pmf(r) / 2)
        assert p_value == pytest.approx(2 * min(tails), rel=1e-9)
    plain = sources_apart(14, 6, report_expectation=10, incident_expectation=30)
    assert plain.p_value == pytest.approx(2 * (binom.sf(14, 20, 0.25) + binom.pmf(14, 20, 0.25) / 2), rel=1e-4)


def test_large_totals_are_judged_as_small_ones_are() -> None:
    spread = {"report_dispersion": 30.0, "incident_dispersion": 20.0}
    for reports in (1650, 1900, 1300):
        near = sources_apart(reports, 2399, report_expectation=1600, incident_expectation=2400, **spread)
        enumerated = sources_apart(reports * 0.98, 2399 * 0.98, report_expectation=1568, incident_expectation=2352, **spread)
        assert float(near.p_value) == pytest.approx(float(enumerated.p_value), rel=0.2, abs=1e-4)


def test_a_silent_source_is_never_judged() -> None:
    found = sources_apart([0, 0], [50, 50], report_expectation=25, incident_expectation=40, silent=[True, False])
    assert found.p_value[0] == 1
    assert found.direction[0] == 0
    assert found.status.tolist() == [Status.MISSING, Status.OK]
    assert np.isnan(found.log_ratio[0])
    assert not found.opposed[0]
    assert found.p_value[1] < 1e-6


@pytest.mark.parametrize("counts", [(0, 0), (0, 1), (1, 0)])
def test_next_to_no_events_say_nothing(counts: tuple[int, int]) -> None:
    found = sources_apart(*counts, report_expectation=1.0, incident_expectation=2.0)
    assert found.p_value > 0.3
    assert np.isfinite([found.log_ratio, found.lower, found.upper]).all()


def test_without_an_expectation_nothing_is_judged_and_the_status_says_so() -> None:
    found = sources_apart([5, 5], [5, np.nan], report_expectation=[0, 4], incident_expectation=[4, 4])
    assert found.p_value.tolist() == [1, 1]
    assert found.status.tolist() == [Status.NO_HISTORY, Status.MISSING]


@given(
    st.integers(0, 300), st.integers(0, 300), st.floats(0.01, 300), st.floats(0.01, 300),
    st.floats(1, 10), st.floats(1, 10), st.floats(0, 1),
)  # fmt: skip
def test_reports_and_incidents_exchanged_turn_the_direction_and_keep_the_p_value(
    r: int, i: int, er: float, ei: float, dr: float, di: float, error: float
) -> None:
    one = sources_apart(
        r, i, report_expectation=er, incident_expectation=ei, report_dispersion=dr, incident_dispersion=di, report_error=error
    )
    other = sources_apart(
        i, r, report_expectation=ei, incident_expectation=er, report_dispersion=di, incident_dispersion=dr, incident_error=error
    )
    assert 0 <= one.p_value <= 1
    assert float(one.p_value) == pytest.approx(float(other.p_value), rel=1e-6, abs=1e-12)
    assert float(one.log_ratio) == pytest.approx(-float(other.log_ratio), abs=1e-9)
    assert one.lower <= one.log_ratio <= one.upper
    assert one.direction == -other.direction or one.p_value > 0.999


@given(st.integers(0, 60), st.integers(1, 60))
def test_more_reports_never_speak_less_for_a_rise(reports: int, more: int) -> None:
    found = sources_apart(
        [reports, reports + more], 20, report_expectation=10, incident_expectation=20, report_dispersion=1.5, incident_error=0.1
    )
    if found.direction[0] == 1:
        assert found.direction[1] == 1
        assert found.p_value[1] <= found.p_value[0] * (1 + 1e-9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"reports": -1}, "reports"),
        ({"report_dispersion": 0.5}, "report_dispersion"),
        ({"incident_error": -0.1}, "incident_error"),
        ({"confidence": 1.0}, "confidence"),
    ],
)
def test_figures_out_of_range_are_refused_by_name(change: dict[str, float], words: str) -> None:
    given_ = {"reports": 1.0, "incidents": 1.0, "report_expectation": 1.0, "incident_expectation": 1.0} | change
    with pytest.raises(DetectorError, match=words):
        sources_apart(given_.pop("reports"), given_.pop("incidents"), **given_)
