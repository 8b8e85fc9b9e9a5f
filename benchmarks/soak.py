"""Ten times a large municipality's load for an hour, through HTTP with readers on the pages: do memory and latency stay flat?

    python benchmarks/soak.py [--minutes 60] [--times 10] [--readers 5] [--seed 1] [--out dist/soak]     (make soak MINUTES=60)

The load of a large municipality: docs/scale.md assumes 1.5 million incidents and as many reports a year in the whole country, and
ten times the mean rate at the busiest hour. Stockholm has 9.4 % of Sweden's inhabitants (995,600 of 10,587,700, Statistics Sweden,
end of 2024): 282,000 events a year, 770 a day, 0.09/s at the busiest hour. So with `--times 10` the store holds 430 days of 7,700
events, and each second of the run is a busiest hour's: 0.9 events/s, one by one, of which 2 % are corrections, 2 % come twice and
1 % must be refused; every minute 12 more fall in one place, so that alerts open and messages go out to a webhook. Each reader looks
at another page or list every two seconds.

Every ten seconds: memory, open files, threads, write-ahead log, store, load of the machine; of every request how long it took from
the moment it was due. In the end: slopes with a verdict, samples.csv, result.json and soak.svg. Exit code 1 when something is
not flat, an answer was wrong, or an event that was accepted is not in the counts.
"""

import argparse
import csv
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import matplotlib as mpl

mpl.use("svg")

import numpy as np
from matplotlib import pyplot as plt
from municipality import AREAS, CODE, GROUPS, PER_GROUP, registers
from scipy.stats import theilslopes

PER_DAY, BUSIEST = 773.0, 0.0894  # events a day, and a second at the busiest hour, of a large municipality
DAYS, EVERY, SURGE = 430, 10.0, 12
SHOWN = (
    "/picture", "/alerts", "/operations", "/areas/A07", "/v1/alerts?limit=100", "/v1/counts?area=level:2&category=level:1",
    "/v1/data-quality", "/metrics", "/readyz",
)  # fmt: skip
MORE = """
[detection]
min_years = 1
[channels.hook]
kind = "webhook"
url = "http://127.0.0.1:{port}/"
secret_env = "SOAK_KEY"
[recipients.group]
role = "coordinator"
channel = "hook"
at_once = "all"
"""
COLUMNS = (
    "second", "rss_mb", "files", "threads", "wal_mb", "store_mb", "load", "events", "event_p50_ms", "event_p95_ms", "event_p99_ms",
    "pages", "page_p50_ms", "page_p95_ms", "page_p99_ms", "delivered",
)  # fmt: skip


class Lap:
    """What happened since the last sample, and what was accepted in all. Filled by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events, self._pages = list[float](), list[float]()
        self.outcomes: Counter[str] = Counter()
        self.faults: list[str] = []
        self.delivered = 0

    def event(self, seconds: float, outcomes: dict[str, int]) -> None:
        with self._lock:
            self._events.append(seconds)
            self.outcomes.update(outcomes)

    def page(self, seconds: float) -> None:
        with self._lock:
            self._pages.append(seconds)

    def fault(self, what: str) -> None:
        with self._lock:
            self.faults.append(what)

    def take(self) -> tuple[list[float], list[float]]:
        with self._lock:
            taken = self._events, self._pages
            self._events, self._pages = [], []
            return taken


def write_history(file: Path, rng: np.random.Generator, begin: date, times: float) -> int:
    """Events of the days before the run, in the order of time."""
    start = int(datetime(begin.year, begin.month, begin.day, tzinfo=UTC).timestamp())
    number = 0
    with file.open("w") as out:
        for day in range(DAYS):
            n = int(rng.poisson(times * PER_DAY))
            seconds = np.sort(rng.integers(0, 86_400, n)) + start + 86_400 * day
            places = zip(
                seconds.tolist(),
                rng.integers(AREAS, size=n).tolist(),
                rng.integers(GROUPS * PER_GROUP, size=n).tolist(),
                strict=True,
            )
            for second, area, category in places:
                when = datetime.fromtimestamp(second, UTC).isoformat()
                out.write(json.dumps(event(f"h{number}", when, area, category)) + "\n")
                number += 1
    return number


def event(number: str, when: str, area: int, category: int, **more: object) -> dict[str, object]:
    return {
        "kind": "incident" if category % 2 else "report", "event_id": f"event-{number}", "source": f"s{category % 7}",
        "occurred_at": when, "recorded_at": when, "category": f"C{category:02}", "municipality": CODE,
        "area": f"A{area:02}", **more,
    }  # fmt: skip


def send(address: str, rate: float, rng: np.random.Generator, until: float, lap: Lap) -> None:
    """Send at the pace, whatever the answers take; what cannot be sent is sent again as a supplier would."""
    number, due = 0, time.monotonic()
    surge, past = due + 60, list[dict[str, object]]()
    with httpx.Client(base_url=address, timeout=60) as client:
        while due < until:
            time.sleep(max(0.0, due - time.monotonic()))
            when = (datetime.now(UTC) - timedelta(seconds=1)).replace(microsecond=0).isoformat()
            drawn, bodies = rng.random(), list[dict[str, object]]()
            area, category = int(rng.integers(AREAS)), int(rng.integers(GROUPS * PER_GROUP))
            if due >= surge:
                bodies = [event(f"n{number}-{i}", when, area, category) for i in range(SURGE)]
                surge += 60
            elif drawn < 0.02 and past:
                bodies = [{**past[int(rng.integers(len(past)))], "revision": number + 2}]
            elif drawn < 0.04 and past:
                bodies = [past[-1]]
            elif drawn < 0.05:
                bodies = [{**event(f"n{number}", when, area, category), "category": "no-such-thing"}]
            else:
                bodies = [event(f"n{number}", when, area, category)]
                past = [*past[-500:], bodies[0]]
            number += 1
            for body in bodies:
                deliver(client, body, due, lap)
            due += float(rng.exponential(1 / rate))


def deliver(client: httpx.Client, body: dict[str, object], due: float, lap: Lap) -> None:
    while True:
        try:
            answer = client.post("/v1/events", json=body)
            if answer.status_code == 207:
                lap.event(time.monotonic() - due, answer.json()["counts"])
                return
            lap.fault(f"POST /v1/events: {answer.status_code} {answer.text[:200]}")
        except httpx.TransportError as error:
            lap.fault(f"POST /v1/events: {type(error).__name__}")
        time.sleep(1)


def read(address: str, first: int, rng: np.random.Generator, until: float, lap: Lap) -> None:
    """One reader: another page every two seconds."""
    turn = first
    time.sleep(float(rng.uniform(0, 2)))
    with httpx.Client(base_url=address, timeout=60, headers={"accept": "text/html, application/json"}) as client:
        while time.monotonic() < until:
            begun = time.monotonic()
            path = SHOWN[turn % len(SHOWN)]
            turn += 1
            try:
                answer = client.get(path)
                if answer.status_code != 200:
                    lap.fault(f"GET {path}: {answer.status_code}")
            except httpx.TransportError as error:
                lap.fault(f"GET {path}: {type(error).__name__}")
            lap.page(time.monotonic() - begun)
            time.sleep(max(0.0, 2 - (time.monotonic() - begun)))


def receiver(lap: Lap) -> ThreadingHTTPServer:
    """Takes what the webhook channel brings."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            lap.delivered += 1
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def sample(pid: int, folder: Path, begun: float, lap: Lap) -> dict[str, float]:
    status = Path(f"/proc/{pid}/status").read_text()
    size = lambda name: (folder / name).stat().st_size / 1e6 if (folder / name).exists() else 0.0  # noqa: E731
    events, pages = lap.take()
    row: dict[str, float] = {
        "second": time.monotonic() - begun,
        "rss_mb": int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024,
        "files": len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208  # only counted
        "threads": int(re.findall(r"Threads:\s+(\d+)", status)[0]),
        "wal_mb": size("store.db-wal"), "store_mb": size("store.db"), "load": os.getloadavg()[0],
        "events": len(events), "pages": len(pages), "delivered": lap.delivered,
    }  # fmt: skip
    for name, seconds in (("event", events), ("page", pages)):
        for share in (50, 95, 99):
            row[f"{name}_p{share}_ms"] = float(np.percentile(seconds, share)) * 1000 if seconds else float("nan")
    return {name: round(row[name], 3) for name in COLUMNS}


def verdict(rows: list[dict[str, float]], name: str, most_share: float, least: float) -> dict[str, Any]:
    """Slope by Theil and Sen over what follows the first sixth. Flat: the rise that 95 % of the evidence insists on, over
    an hour, is at most a share of the median, or `least` in the column's own unit."""
    after = [r for r in rows if r["second"] >= rows[-1]["second"] / 6 and not np.isnan(r[name])]
    hours = np.array([r["second"] for r in after]) / 3600
    values = np.array([r[name] for r in after])
    slope, _, low, high = theilslopes(values, hours)
    median, quarter = float(np.median(values)), max(len(values) // 4, 1)
    return {
        "median": round(median, 2), "first_quarter": round(float(np.median(values[:quarter])), 2),
        "last_quarter": round(float(np.median(values[-quarter:])), 2), "highest": round(float(values.max()), 2),
        "per_hour": round(float(slope), 3), "per_hour_95": [round(float(low), 3), round(float(high), 3)],
        "flat": not low > max(most_share * median, least),  # too few samples for a slope say nothing against it
    }  # fmt: skip


JUDGED = {  # column: share of the median, and least in its unit, by which it may rise in an hour
    "rss_mb": (0.03, 10.0), "files": (0.1, 3.0), "threads": (0.1, 3.0), "wal_mb": (0.25, 8.0), "event_p50_ms": (0.25, 10.0),
    "event_p95_ms": (0.25, 25.0), "page_p50_ms": (0.25, 25.0), "page_p95_ms": (0.25, 50.0),
}  # fmt: skip


def draw(rows: list[dict[str, float]], out: Path) -> None:
    minutes = [r["second"] / 60 for r in rows]
    figure, axes = plt.subplots(4, 1, figsize=(8, 9), sharex=True, layout="constrained")
    panels = (
        ("Memory, MB", ("rss_mb",)), ("An event, ms", ("event_p50_ms", "event_p95_ms")),
        ("A page, ms", ("page_p50_ms", "page_p95_ms")), ("Write-ahead log, MB; load of the machine", ("wal_mb", "load")),
    )  # fmt: skip
    for panel, (title, names) in zip(axes, panels, strict=True):
        for name, style in zip(names, ("-", "--"), strict=False):
            panel.plot(minutes, [r[name] for r in rows], style, label=name, linewidth=1)
        panel.set_title(title, loc="left", fontsize=9)
        panel.set_ylim(bottom=0)
        panel.legend(fontsize=8, loc="upper right")
    axes[-1].set_xlabel("minutes")
    figure.savefig(out / "soak.svg")


def accepted_in_counts(address: str, first: date) -> float:
    """How many events the counts hold since the day before the run."""
    asked = {"first": first.isoformat(), "area": "0999", "category": "level:1", "kind": ["incident", "report"]}
    rows = httpx.get(f"{address}/v1/counts", params=asked, timeout=120).json()["rows"]
    return float(sum(float(r["count"]) for r in rows))


def run(a: argparse.Namespace, folder: Path) -> int:
    rng, lap = np.random.default_rng(a.seed), Lap()
    registers(folder)
    server = receiver(lap)
    text = (folder / "earlywarning.toml").read_text().replace('clock = "events"', 'clock = "wall"')
    (folder / "earlywarning.toml").write_text(text + MORE.format(port=server.server_address[1]))
    today = datetime.now(UTC).date()
    held = write_history(folder / "history.jsonl", rng, today - timedelta(days=DAYS), a.times)
    python = [sys.executable, "-m", "earlywarning"]
    environment = {**os.environ, "SOAK_KEY": "a-key-for-the-soak-and-nothing-else-0000"}
    print(f"{held:,} events of history", flush=True)
    subprocess.run(
        [*python, "ingest", "history.jsonl", "--as-history"], cwd=folder, env=environment, check=True, capture_output=True
    )
    (folder / "history.jsonl").unlink()
    log = (a.out / "service.log").open("wb")
    service = subprocess.Popen(
        [*python, "run", "--port", "0"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
    )
    try:
        said = ""
        while not (found := re.search(r"(http://127\.0\.0\.1:\d+)/v1/events", said)):
            line = service.stdout.readline() if service.stdout else ""
            if not line:
                raise SystemExit(f"the service did not start: {(a.out / 'service.log').read_text()[-2000:]}")
            said += line
        address = found.group(1)
        before = accepted_in_counts(address, today - timedelta(days=2))
        begun = time.monotonic()
        until = begun + a.minutes * 60
        threads = [threading.Thread(target=send, args=(address, a.times * BUSIEST, rng, until, lap))]
        for i in range(a.readers):
            threads.append(threading.Thread(target=read, args=(address, 2 * i, np.random.default_rng(a.seed + i + 1), until, lap)))
        for thread in threads:
            thread.start()
        rows = list[dict[str, float]]()
        with (a.out / "samples.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            while time.monotonic() < until:
                time.sleep(EVERY)
                rows.append(sample(service.pid, folder, begun, lap))
                writer.writerow(rows[-1])
                file.flush()
        for thread in threads:
            thread.join()
        counted = accepted_in_counts(address, today - timedelta(days=2)) - before
        alerts = len(httpx.get(f"{address}/v1/alerts", params={"limit": 10_000}, timeout=60).json()["alerts"])
    finally:
        service.terminate()
        service.wait(60)
        server.shutdown()
    return conclude(a, rows, lap, counted, alerts)


def conclude(a: argparse.Namespace, rows: list[dict[str, float]], lap: Lap, counted: float, alerts: int) -> int:
    judged = {name: verdict(rows, name, *most) for name, most in JUDGED.items()}
    version = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False).stdout.strip()
    kept = counted == lap.outcomes["accepted"]
    fine = all(v["flat"] for v in judged.values()) and kept and not lap.faults
    result = {
        "command": " ".join(["python benchmarks/soak.py", *sys.argv[1:]]), "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "version": version, "python": platform.python_version(), "minutes": a.minutes, "times": a.times, "readers": a.readers,
        "outcomes": dict(lap.outcomes), "counted": counted, "nothing_lost": kept, "alerts": alerts, "delivered": lap.delivered,
        "faults": lap.faults[:100], "load_median": float(np.median([r["load"] for r in rows])), "judged": judged, "fine": fine,
    }  # fmt: skip
    (a.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    draw(rows, a.out)
    print(f"{a.minutes} minutes at {a.times:g} times a large municipality's load: {dict(lap.outcomes)}")
    print(f"{alerts} alerts, {lap.delivered} messages; accepted and counted: {'equal' if kept else f'{counted:g} are counted'}")
    print(f"wrong answers: {len(lap.faults)} {lap.faults[:3]}")
    for name, v in judged.items():
        low, high = v["per_hour_95"]
        print(
            f"{name:13} median {v['median']:>8}, first quarter {v['first_quarter']:>8}, last {v['last_quarter']:>8}, highest "
            f"{v['highest']:>8}, an hour {v['per_hour']:+} ({low:+} to {high:+}): {'flat' if v['flat'] else 'RISES'}"
        )
    return 0 if fine else 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--times", type=float, default=10)
    parser.add_argument("--readers", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("dist/soak"))
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        code = run(a, Path(name))
    sys.exit(code)


if __name__ == "__main__":
    main()
