"""A million events from a JSON Lines file to stored counts and alerts, on one core.

    python benchmarks/file_ingest.py [--runs 3] [--events 1000000]

The whole command is timed, start included, and its peak memory read. The peer does the least that any program must: the
standard library's json, a dictionary that knows each event's newest revision, and a plain count by day, area, category.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
CORE = str(max(os.sched_getaffinity(0)))
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def peer(file: str) -> None:
    """What the peer does; prints its seconds and peak memory."""
    begun = time.perf_counter()
    newest: dict[tuple[str, str], dict[str, object]] = {}
    with open(file) as lines:  # noqa: PTH123  # the plainest program
        for line in lines:
            event = json.loads(line)
            key = (event["source"], event["event_id"])
            if key not in newest or newest[key]["revision"] < event["revision"]:
                newest[key] = event
    counts: dict[tuple[str, str, str], int] = {}
    for event in newest.values():
        cell = (event["occurred_at"][:10], event["area"], event["category"])  # type: ignore[index]
        counts[cell] = counts.get(cell, 0) + 1  # type: ignore[index]
    print(time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def ours(folder: Path) -> tuple[float, float, float]:
    """Seconds of the clock, of the processor, and megabytes of one run of the command."""
    for old in folder.glob("store.db*"):
        old.unlink()
    command = ["taskset", "-c", CORE, "/usr/bin/env", sys.executable, "-m", "earlywarning", "ingest", "events.jsonl"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, processor, after.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--peer", default="", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.peer:
        peer(a.peer)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = subprocess.run(
            [sys.executable, HERE / "municipality.py", folder, "--events", str(a.events)],
            capture_output=True,
            text=True,
            check=True,
        )
        events = int(made.stdout.split()[0])
        runs = [ours(folder) for _ in range(a.runs)]
        plain = []
        for _ in range(a.runs):
            command = ["taskset", "-c", CORE, sys.executable, __file__, "--peer", str(folder / "events.jsonl")]
            out = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=True).stdout.split()
            plain.append((float(out[0]), float(out[1])))
    seconds, processor, memory = (statistics.median(r[i] for r in runs) for i in range(3))
    print(f"{events:,} events, 60 areas x 40 categories x 5 years, median of {a.runs} runs on one core")
    print(f"earlywarning: {events / seconds:,.0f} events/s by the clock, {events / processor:,.0f} by processor time")
    print(f"peak memory {memory:,.0f} MB")
    base, base_memory = (statistics.median(p[i] for p in plain) for i in range(2))
    print(f"plain json, newest revisions, counts only: {events / base:,.0f} events/s; {base_memory:,.0f} MB")
    print(f"ratio: {base / seconds:.2f} times the plain program's speed, with checks, thresholds, alerts and storage")


if __name__ == "__main__":
    main()
