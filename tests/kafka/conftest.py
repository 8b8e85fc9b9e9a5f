"""A real Apache Kafka for all tests that want one: one node on loopback, started once a session."""

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import left_out

PROJECT = Path(__file__).parents[2]


def _single_node() -> ModuleType:
    path = PROJECT / "deploy" / "kafka" / "single_node.py"
    spec = importlib.util.spec_from_file_location("single_node", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["single_node"] = module
    spec.loader.exec_module(module)
    return module


single_node = _single_node()


def need_kafka() -> None:
    """Skip where a broker cannot be started; in CI that is a failure."""
    if problem := single_node.missing():
        left_out(problem)
    single_node.fetch_jars()


@pytest.fixture(scope="session")
def brokers() -> Iterator[str]:
    """host:port of a broker that lives as long as the session; EARLYWARNING_TEST_KAFKA names one that is there already."""
    if given := os.environ.get("EARLYWARNING_TEST_KAFKA"):
        yield given
        return
    need_kafka()
    folder = Path(tempfile.mkdtemp(prefix="earlywarning-kafka-"))
    broker = single_node.Broker(folder, more=["log.cleaner.backoff.ms=500"])  # for tests of compaction
    try:
        broker.start()
        yield broker.address
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator["single_node.Broker"]:  # type: ignore[name-defined]
    """A broker of the test's own, which it may stop and start."""
    need_kafka()
    broker = single_node.Broker(tmp_path)
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
