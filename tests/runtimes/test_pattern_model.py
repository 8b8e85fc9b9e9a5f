"""The model that scores mixtures in the service: the bundled one, or plain scores when that is refused, which is logged."""

from collections.abc import Iterator

import numpy as np
import pytest
import structlog

from earlywarning.core.detectors.pattern import FEATURES
from earlywarning.lab.models import ModelError, load_model
from earlywarning.runtimes import assembly


@pytest.fixture(autouse=True)
def unread() -> Iterator[None]:
    assembly._trained.cache_clear()
    yield
    assembly._trained.cache_clear()


def vectors() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(40, len(FEATURES)))


def test_scores_are_those_of_the_bundled_model() -> None:
    assert (assembly.PatternModel().score_samples(vectors()) == load_model().score_samples(vectors())).all()


def test_a_model_that_does_not_fit_is_logged_once_and_scores_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ModelError("models/pattern.skops", "it was trained on features of version 0")

    monkeypatch.setattr(assembly, "load_model", refuse)
    model = assembly.PatternModel()
    with structlog.testing.capture_logs() as logs:
        scores = [model.score_samples(vectors()) for _ in range(3)]
    assert (scores[0] == -(vectors() ** 2).sum(1)).all()
    assert len(logs) == 1
    assert "features of version 0" in logs[0]["problem"]
