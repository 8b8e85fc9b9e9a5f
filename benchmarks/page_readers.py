"""Readers of the picture page while events flow in: how long pages take, and what that costs those who send events.

    python benchmarks/page_readers.py http://127.0.0.1:8620 [--readers 50] [--seconds 30] [--events 500]

The service must run in open mode. Events go to its first finest area and first category, as corrections of the same few ones, so
that the store does not grow by what was measured. Each reader asks for the page, waits a second, and asks again.
"""

import argparse
import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np


async def read(client: httpx.AsyncClient, until: float, times: list[float]) -> None:
    """One reader."""
    await asyncio.sleep(float(np.random.default_rng().uniform(0, 1)))
    while time.monotonic() < until:
        begun = time.monotonic()
        answer = await client.get("/picture", headers={"accept": "text/html", "accept-encoding": "gzip"})
        answer.raise_for_status()
        times.append(time.monotonic() - begun)
        await asyncio.sleep(1)


async def send(client: httpx.AsyncClient, until: float, rate: int, event: dict[str, Any], times: list[float]) -> None:
    """A supplier: a batch ten times a second."""
    revision = int(time.time())
    while time.monotonic() < until:
        begun = time.monotonic()
        revision += 1
        batch = [{**event, "event_id": f"bench-{i}x", "revision": revision} for i in range(max(rate // 10, 1))]
        answer = await client.post("/v1/events", json=batch)
        answer.raise_for_status()
        times.append(time.monotonic() - begun)
        await asyncio.sleep(max(0.1 - (time.monotonic() - begun), 0))


async def measured(address: str, readers: int, seconds: float, rate: int) -> tuple[list[float], list[float]]:
    """Seconds of each page, and of each batch of events."""
    limits = httpx.Limits(max_connections=readers + 2)
    async with httpx.AsyncClient(base_url=address, timeout=60, limits=limits) as client:
        areas = (await client.get("/v1/areas")).json()
        finest = max(areas["areas"], key=lambda a: a["level"])
        category = (await client.get("/v1/categories")).json()["categories"][1]["code"]
        last = (await client.get("/v1/counts?window=1&format=json")).json()["rows"][-1]["day"]
        at = f"{last}T12:00:00+00:00"
        event = {
            "kind": "incident", "source": "benchmark", "category": category, "municipality": areas["municipality"],
            "area": finest["code"], "occurred_at": at, "recorded_at": f"{last}T13:00:00+00:00",
        }  # fmt: skip
        pages: list[float] = []
        batches: list[float] = []
        await client.get("/picture", headers={"accept": "text/html"})
        until = time.monotonic() + seconds
        await asyncio.gather(
            *(read(client, until, pages) for _ in range(readers)), *([send(client, until, rate, event, batches)] if rate else [])
        )
        return pages, batches


def told(what: str, seconds: list[float]) -> None:
    """Median and tail."""
    if seconds:
        median, tail = np.percentile(np.array(seconds) * 1000, [50, 95])
        print(f"{what}: {len(seconds)} asked, median {median:.0f} ms, p95 {tail:.0f} ms")


def main() -> None:
    """Measure readers alone, events alone, and both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--events", type=int, default=500)
    given = parser.parse_args()
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M}, {given.address}")
    for words, readers, rate in (
        ("alone", given.readers, 0),
        ("alone", 0, given.events),
        ("together", given.readers, given.events),
    ):
        pages, batches = asyncio.run(measured(given.address, readers, given.seconds, rate))
        told(f"pages {words}, {readers} readers", pages)
        told(f"batches of events {words}, {rate} events/s", batches)


if __name__ == "__main__":
    main()
