"""Killed at random moments while it ingests, then fed again: nothing lost, nothing counted twice, the same alerts."""

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from tests.backup.conftest import eventful
from tests.web.conftest import write_town

KILLS = 20
# Small transactions, so that a kill falls between, before and within many of them.
DRIVER = "import earlywarning.sources.files as f; f.CHUNK = 4_000; from earlywarning.cli import main; main()"


def _command(*words: str) -> list[str]:
    return [sys.executable, "-c", DRIVER, *words]


def _run(folder: Path, *words: str) -> str:
    done = subprocess.run(_command(*words), cwd=folder, capture_output=True, text=True, check=True, timeout=1200)
    return done.stdout


def _state(folder: Path) -> dict[str, str]:
    return {
        "alerts": _run(folder, "alerts", "--format", "csv"),
        "counts": _run(folder, "counts", "--first", "2020-01-01", "--area", "level:1", "--category", "level:1", "--format", "csv"),
        "letters": _run(folder, "dead-letters", "--format", "json", "--limit", "100000"),
    }


def _town(folder: Path) -> Path:
    """A small town with a year's events, surges and corrections: what takes time is days, not events."""
    folder.mkdir()
    write_town(folder)
    lines = [msgspec.json.encode(e).decode() for e in eventful()]
    # A few that are refused, spread over the file: they must be kept once, however often the file is fed.
    for i in range(50, len(lines), len(lines) // 10):
        lines[i] = re.sub(r'"category":"[^"]+"', '"category":"X0"', lines[i])
    (folder / "events.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def test_killed_twenty_times_and_fed_again_it_ends_where_an_undisturbed_run_ends(tmp_path: Path) -> None:
    calm, rough = _town(tmp_path / "calm"), _town(tmp_path / "rough")
    _run(calm, "ingest", "events.jsonl")

    rng = random.Random(20)
    killed = 0
    while killed < KILLS:
        process = subprocess.Popen(_command("ingest", "events.jsonl"), cwd=rough, stdout=-3, stderr=-3)
        time.sleep(rng.uniform(0.7, 2.2))
        if process.poll() is None:
            process.kill()
            killed += 1
        process.wait()
    _run(rough, "ingest", "events.jsonl")

    want, got = _state(calm), _state(rough)
    assert want["alerts"].count("\n") > 5
    assert want["letters"].count('"unknown-category"') == 10
    assert got["alerts"] == want["alerts"]
    assert got["counts"] == want["counts"]
    assert got["letters"].count('"unknown-category"') == want["letters"].count('"unknown-category"')
