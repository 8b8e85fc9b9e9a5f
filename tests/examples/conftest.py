"""A service for the examples, started once for all of a file."""

from pathlib import Path

from tests.web.conftest import shared as service

__all__ = ["service"]  # the fixture
EXAMPLES = Path(__file__).parents[2] / "examples"
