"""Readers of the picture page while events flow in: how long pages take, and what that costs those who send events.

    python benchmarks/page_readers.py [--readers 50] [--seconds 20] [--events 500] [--rounds 3] [--town FOLDER]

A real service of 60 areas x 40 categories in a process of its own. Events come 50 at a time, each batch at its due moment whether
the one before is answered or not: corrections of the newest 5,000 events, over all areas, so that what was measured does not change
what is measured next. Time counts from the due moment to the answer, which means that all is on disk. Each reader asks for the
picture, waits a second, and asks again. Readers alone, events alone, and both take turns, so that all meet the same machine.
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
from served import made, newest, served

BATCH = 50


class Load(NamedTuple):
    """What is asked of the service at once: how many readers, how many events a second, for how long."""

    readers: int
    events: int
    seconds: float


class Seen(NamedTuple):
    """Seconds of each page and of each batch from its due moment; events a second from the first due moment to the last answer."""

    pages: list[float]
    batches: list[float]
    rate: float


async def read(client: httpx.AsyncClient, number: int, until: float, times: list[float]) -> None:
    """One reader."""
    await asyncio.sleep(number / 50 % 1)
    while time.monotonic() < until:
        begun = time.monotonic()
        answer = await client.get("/picture", headers={"accept": "text/html", "accept-encoding": "gzip"})
        answer.raise_for_status()
        times.append(time.monotonic() - begun)
        await asyncio.sleep(1)


async def send(client: httpx.AsyncClient, load: Load, batches: Iterator[list[dict[str, Any]]], times: list[float]) -> float:
    """A supplier with many connections; returns events a second."""
    begun = time.monotonic()

    async def one(due: float, batch: list[dict[str, Any]]) -> None:
        await asyncio.sleep(max(due - time.monotonic(), 0))
        answer = await client.post("/v1/events", json=batch)
        answer.raise_for_status()
        if set(answer.json()["counts"]) != {"replaced"}:
            raise SystemExit(f"not taken as corrections: {answer.json()['counts']}")
        times.append(time.monotonic() - due)

    revision = time.monotonic_ns() // 1_000_000 % 1_000_000_000
    due = [begun + 0.1 + i * BATCH / load.events for i in range(int(load.seconds * load.events / BATCH))]
    await asyncio.gather(*(one(at, [{**e, "revision": revision + i} for e in next(batches)]) for i, at in enumerate(due)))
    return len(due) * BATCH / (time.monotonic() - due[0])


async def measured(address: str, load: Load, batches: Iterator[list[dict[str, Any]]]) -> Seen:
    """One round."""
    async with (
        httpx.AsyncClient(
            base_url=address, timeout=60, limits=httpx.Limits(max_connections=load.readers + 1, keepalive_expiry=3)
        ) as reader,
        httpx.AsyncClient(base_url=address, timeout=60, limits=httpx.Limits(max_connections=16, keepalive_expiry=3)) as sender,
    ):
        pages: list[float] = []
        taken: list[float] = []
        await reader.get("/picture", headers={"accept": "text/html"})
        until = time.monotonic() + load.seconds
        readers = [read(reader, i, until, pages) for i in range(load.readers)]
        if not load.events:
            await asyncio.gather(*readers)
            return Seen(pages, taken, 0)
        rate, *_ = await asyncio.gather(send(sender, load, batches, taken), *readers)
        return Seen(pages, taken, rate)


def told(what: str, rounds: list[Seen], part: str) -> None:
    """The median over the rounds of median, p95 and p99."""
    figures = np.median([np.percentile(np.array(getattr(r, part)) * 1000, [50, 95, 99]) for r in rounds], axis=0)
    print(f"{what}: median {figures[0]:.0f} ms, p95 {figures[1]:.0f} ms, p99 {figures[2]:.0f} ms", flush=True)


def main() -> None:
    """Measure readers alone, then events alone and both in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--events", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--town", type=Path, default=Path("/tmp/earlywarning-benchmark"))  # noqa: S108  # no secret in it
    given = parser.parse_args()
    town = made(given.town)
    corrected = newest(town, 5_000)
    batches = itertools.cycle([corrected[i : i + BATCH] for i in range(0, len(corrected), BATCH)])
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M}, {given.readers} readers, {given.events} events/s offered, {given.rounds} rounds")
    with served(town) as address:
        loads = {
            "readers alone": Load(given.readers, 0, given.seconds), "events alone": Load(0, given.events, given.seconds),
            "both": Load(given.readers, given.events, given.seconds),
        }  # fmt: skip
        seen: dict[str, list[Seen]] = {words: [] for words in loads}
        for _ in range(given.rounds):
            for words, load in loads.items():
                seen[words].append(asyncio.run(measured(address, load, batches)))
        for words, rounds in seen.items():
            if loads[words].readers:
                told(f"{words}: {sum(len(r.pages) for r in rounds)} pages", rounds, "pages")
            if loads[words].events:
                told(f"{words}: batches", rounds, "batches")
                print(f"{words}: {np.median([r.rate for r in rounds]):.0f} events/s taken", flush=True)


if __name__ == "__main__":
    main()
