"""Patrols that follow alerts draw no more alerts after them while what they find raises none; without that rule they do."""

import numpy as np
import pytest

from earlywarning.lab.feedback_loop import Lived, World, live

SEED = 1


@pytest.fixture(scope="module")
def lived() -> dict[tuple[bool, bool], Lived]:
    """Four worlds by origin rule and whether patrols follow, small and short; benchmarks/feedback_loop.py has years."""
    small = {"areas": 6, "discovered": 0.25, "false_alarms_per_week": 2.0}
    return {
        (rule, follows): live(World(rule, 0.7 if follows else 0.0, days=40 if rule else 90, **small), SEED)  # type: ignore[arg-type]
        for rule in (True, False)
        for follows in (False, True)
    }


def test_with_the_origin_rule_alerts_are_the_same_wherever_patrols_go(lived: dict[tuple[bool, bool], Lived]) -> None:
    calm, follows = lived[True, False], lived[True, True]
    assert follows.alerts == calm.alerts > 0
    np.testing.assert_array_equal(follows.alert_days, calm.alert_days)
    assert follows.hours.max() > calm.hours.max()  # patrols did follow


def test_without_it_alerts_and_patrols_concentrate(lived: dict[tuple[bool, bool], Lived]) -> None:
    calm, follows = lived[False, False], lived[False, True]
    assert follows.gini > calm.gini + 0.1
    assert follows.top_share > 1.3 * calm.top_share
    assert follows.hours.max() > 2 * calm.hours.max()


def test_the_figures_are_what_they_say() -> None:
    alike = Lived(np.full(4, 5.0), np.full(4, 0.25), 1)
    one = Lived(np.array([0.0, 0.0, 0.0, 8.0]), np.full(4, 0.25), 1)
    assert (alike.gini, alike.top_share) == (0.0, 0.25)
    assert (one.gini, one.top_share) == (0.75, 1.0)
    assert np.isnan(Lived(np.zeros(4), np.full(4, 0.25), 0).gini)
