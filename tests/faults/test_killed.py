"""Killed at random points while events come in: whatever was answered is there, and all goes on as if nothing had been."""

import random
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.faults.conftest import KILLS, Base, Starter, Supplier, same, until


def test_killed_at_random_points_nothing_accepted_is_lost_and_nothing_counts_twice(
    base: Base, town: Path, start: Starter, told: Callable[..., None]
) -> None:
    rng = random.Random(11)
    service = start(town)
    supplier = Supplier(service, base.live)
    supplier.start()
    downtime, in_answer = list[float](), 0
    try:
        for kill in range(1, KILLS + 1):
            goal = len(base.live) * kill // (KILLS + 1)
            until(lambda goal=goal: supplier.taken >= goal, f"batch {goal}")  # type: ignore[misc]
            time.sleep(rng.uniform(0, 0.03))  # before, within and after a transaction
            refusals = len(supplier.refusals)
            service.kill()
            begun = time.monotonic()
            if kill % 5 == 0:  # and once more while it starts
                service.launch()
                time.sleep(rng.uniform(0.1, 2.0))
                service.process.kill()
                service.process.wait()
            service.start()
            assert service.client.get("/readyz").status_code == 200
            downtime.append(time.monotonic() - begun)
            in_answer += any("Remote" in text or "Read" in text for _, text in supplier.refusals[refusals:])
            supplier.all_kept()
        supplier.join(120)
    finally:
        supplier.stop()
    assert len(supplier.accepted) == sum(len(batch) for batch in base.live)
    assert service.client.get("/healthz").status_code == 200
    service.stop()
    same(town, base)
    told(
        f"SIGKILL at random points, {KILLS} times",
        seen="connections break; suppliers send again, and what had been taken is answered `repeated`",
        well_after=max(downtime), kills=KILLS, cut_off_in_an_answer=in_answer, batches_sent_again=len(supplier.refusals),
        median_seconds=round(sorted(downtime)[len(downtime) // 2], 2),
    )  # fmt: skip


def test_nobody_is_told_that_it_is_well_while_it_is_gone(base: Base, town: Path, start: Starter) -> None:
    service = start(town)
    address = service.address
    service.kill()
    for path in ("/healthz", "/readyz", "/metrics"):
        try:
            answer = httpx.get(address + path, timeout=5)
        except httpx.TransportError:
            continue
        raise AssertionError(f"{path} answered {answer.status_code}")
