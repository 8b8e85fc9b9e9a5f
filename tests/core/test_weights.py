"""Weights of categories: where a budget is to go to what does most harm, that is found sooner and the rest later."""

from collections import Counter

import numpy as np
import pytest

from earlywarning.core.scope import Scope, Watched
from tests.core.town import engine, feed, history


def test_columns_are_moved_by_the_weight_of_their_category_and_two_together_by_the_mean() -> None:
    e = engine()
    scope = Scope(e.space, ((),) * len(e.register.codes), np.ones(len(e.tree.codes)))
    watched = Watched.of(scope, np.full((2, len(e.tree.codes)), 100.0) * (1 + (scope.part.sum(1) > 1)), 8)
    bonus = np.linspace(-1.0, 1.0, len(e.tree.codes))
    weighted = watched.with_bonus(bonus)
    pairs = 0
    for members, before, after in zip(watched.scanned.members, watched.scanned.rank, weighted.scanned.rank, strict=True):
        of = watched.category[[m for m in members if m >= 0]]
        pairs += len(of) > 1
        assert after == pytest.approx(before - bonus[of].mean())
    assert pairs
    assert np.array_equal(watched.with_bonus(np.zeros(len(bonus))).scanned.rank, watched.scanned.rank)


def opened(bonus: dict[str, float]) -> Counter[tuple[str, ...]]:
    """How many alerts a quiet town opens by their categories."""
    codes = engine().tree.codes
    e = engine(false_alarms_per_week=2.0, category_bonus=tuple(bonus.get(code, 0.0) for code in codes) if bonus else ())
    _, alerts, _ = feed(e, history(1, days=560, rate=0.2))
    return Counter(a.categories for a in alerts.values())


def test_the_budget_goes_to_what_is_grave_and_stays_the_same() -> None:
    plain, weighted = opened({}), opened({"C3": 1.0, "C0": -1.0})
    assert weighted["C3",] > 2 * plain["C3",]
    assert sum(n for codes, n in plain.items() if "C0" in codes) > 2 * sum(n for codes, n in weighted.items() if "C0" in codes)
    assert 0.6 < weighted.total() / plain.total() < 1.6
