"""A service for the examples, started once for all of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.conftest import Running, write_town

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("examples")
    write_town(folder)
    started = Running(folder)
    yield started
    if started.process.poll() is None:
        started.stop()
