"""The made-up municipality as a running service: what the benchmarks of the pages look at.

60 areas x 40 categories, five years; the newest two months are judged day by day, so that there are alerts. Made once in a folder
that is kept; each run works on a copy of its store.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import municipality

JUDGED_FROM = "2025-11-01"
EARLYWARNING = (sys.executable, "-m", "earlywarning")


def made(folder: Path, events: int = 300_000) -> Path:
    """The municipality's folder with its store, made where it is not there yet."""
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        municipality.registers(folder)
        municipality.events(folder, events, seed=1)
        lines = (folder / "events.jsonl").read_text().splitlines(keepends=True)
        parts = ("history.jsonl", ["--as-history"], False), ("news.jsonl", [], True)
        for name, options, judged in parts:
            (folder / name).write_text("".join(x for x in lines if (json.loads(x)["recorded_at"] >= JUDGED_FROM) == judged))
            subprocess.run([*EARLYWARNING, "ingest", name, *options], cwd=folder, check=True, capture_output=True)
        (folder / "done").touch()
    return folder


def newest(folder: Path, many: int) -> list[dict[str, Any]]:
    """The newest events of the municipality as they were sent, each in its last revision."""
    held: dict[str, dict[str, Any]] = {}
    for line in (folder / "news.jsonl").read_text().splitlines():
        event = json.loads(line)
        held.pop(event["event_id"], None)
        held[event["event_id"]] = event
    return list(held.values())[-many:]


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a service on a copy of the municipality, until the block ends."""
    with tempfile.TemporaryDirectory() as name:
        for file in ("areas.geojson", "categories.csv", "earlywarning.toml", "store.db"):
            shutil.copy(folder / file, name)
        command = [*EARLYWARNING, "run", "--port", "0"]
        service = subprocess.Popen(command, cwd=name, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            said = ""
            while not (found := re.search(r"(http://127\.0\.0\.1:\d+)/v1/events", said)):
                line = service.stdout.readline() if service.stdout else ""
                if not line:
                    sys.exit(f"the service ended: {said[-500:]}")
                said += line
            yield found.group(1)
        finally:
            service.terminate()
            service.wait(timeout=60)
