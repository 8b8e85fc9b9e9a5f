"""One event by HTTP, from request to stored alert: the latency at 200 events/s, with more than a year of history behind it.

    python benchmarks/http_latency.py [--seconds 20] [--rate 200] [--per-day 4000] [--days 430]

A real service in a process of its own; events are sent one by one at a steady pace over four connections, and each answer
means that the event, and every alert it raised, is on disk. With the figures above the run brings one ordinary day's events,
and every tenth second a surge of 15 in one place. With `--per-day 60 --days 1200` it is a flood instead: some 66 times an
ordinary day, which lifts nearly every series.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
from municipality import CODE, registers


def history(folder: Path, rng: np.random.Generator, begin: datetime, days: int, per_day: int) -> None:
    """Events of the past, in a file."""
    with (folder / "history.jsonl").open("w") as file:
        number = 0
        for day in range(days):
            for hour in np.sort(rng.uniform(0, 24, rng.poisson(per_day))):
                when = (begin + timedelta(days=day, hours=float(hour))).isoformat()
                file.write(json.dumps(event(f"h{number}", when, int(rng.integers(60)), int(rng.integers(40)))) + "\n")
                number += 1


def event(number: str, when: str, area: int, category: int) -> dict[str, object]:
    return {
        "kind": "incident", "event_id": f"event-{number}", "source": "bench", "occurred_at": when, "recorded_at": when,
        "category": f"C{category:02}", "municipality": CODE, "area": f"A{area:02}",
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--days", type=int, default=430)
    parser.add_argument("--per-day", type=int, default=4000)
    parser.add_argument("--rate", type=int, default=200)
    a = parser.parse_args()
    rng = np.random.default_rng(1)
    now = datetime.now(UTC).replace(microsecond=0)
    python = [sys.executable, "-m", "earlywarning"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        registers(folder)
        (folder / "earlywarning.toml").open("a").write("[detection]\nmin_years = 1\n")
        history(folder, rng, now - timedelta(days=a.days + 1), a.days, a.per_day)
        subprocess.run([*python, "ingest", "history.jsonl"], cwd=folder, check=True, capture_output=True)
        service = subprocess.Popen([*python, "run", "--port", "0"], cwd=folder, stdout=subprocess.PIPE, text=True)
        try:
            said = ""
            while not (found := re.search(r"(http://127\.0\.0\.1:\d+)/v1/events", said)):
                said += service.stdout.readline() if service.stdout else ""
            latencies, alerts = drive(found.group(1), a.seconds, a.rate, rng, now)
        finally:
            service.terminate()
            service.wait()
    by_second = [f"{1000 * max(latencies[i : i + a.rate]):.0f}" for i in range(0, len(latencies), a.rate)]
    print("slowest of each second, ms:", *by_second)
    values = np.sort(np.array(latencies)) * 1000
    p50, p99 = np.percentile(values, [50, 99])
    print(f"{len(values):,} events one by one at {a.rate}/s, {alerts} alerts raised")
    print(f"latency from when each was due: p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {values[-1]:.1f} ms")


def drive(address: str, seconds: int, rate: int, rng: np.random.Generator, now: datetime) -> tuple[list[float], int]:
    """Send at the pace, whatever the answers take; latency counts from the moment the event was due."""
    when = now.isoformat()
    places = [(int(rng.integers(60)), int(rng.integers(40))) for _ in range(seconds * rate)]
    for second in range(0, seconds, 10):
        for i in range(15):
            places[second * rate + 7 * i] = (second % 60, second % 40)
    latencies: list[float] = []
    begin = time.perf_counter() + 1

    def send(first: int, connections: int) -> None:
        with httpx.Client(base_url=address, timeout=30) as client:
            for i in range(first, len(places), connections):
                due = begin + i / rate
                time.sleep(max(0.0, due - time.perf_counter()))
                answer = client.post("/v1/events", json=event(str(i), when, *places[i]))
                assert answer.json()["counts"] == {"accepted": 1}, answer.text
                latencies.append(time.perf_counter() - due)

    threads = [threading.Thread(target=send, args=(i, 4)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with httpx.Client(base_url=address) as client:
        alerts = client.get("/v1/alerts", params={"since": now.date().isoformat(), "limit": 10000}).json()["alerts"]
    return latencies, len(alerts)


if __name__ == "__main__":
    main()
