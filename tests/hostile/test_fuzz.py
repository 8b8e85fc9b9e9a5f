"""The short run of the fuzzing: some thousand inputs to each parser from a fixed seed, and everything that ever failed."""

from pathlib import Path

import pytest

from tests.hostile.fuzz import CORPUS, Watched, blind, resident
from tests.hostile.parsers import TARGETS

_FEW = {"requests": 600}
_OFTEN = 1_200


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_is_taken_or_refused_with_a_declared_error(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failed = []
    monkeypatch.setattr(Watched, "keep", lambda self, data, error: failed.append((data, error)))
    watched = blind(name, _FEW.get(name, _OFTEN), seed=1)
    assert failed == []
    assert watched.done == _FEW.get(name, _OFTEN)


def test_everything_that_failed_once_is_kept_for_a_parser_that_exists() -> None:
    kept = {folder.name for folder in CORPUS.iterdir() if any(folder.iterdir())}
    assert kept
    assert kept <= set(TARGETS)


def test_memory_does_not_grow_with_what_is_refused() -> None:
    blind("events-lines", 500, seed=2)
    before = resident()
    blind("events-lines", 2_000, seed=3)
    assert resident() - before < 30, "megabytes"
