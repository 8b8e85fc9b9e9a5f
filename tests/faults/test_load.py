"""A burst of fifty times the normal load, a batch with a poison in it, an event on which the service fails, too little memory."""

import json
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from tests.faults.conftest import LONG, Base, Starter, Supplier, log_of, same, until
from tests.web.conftest import Running, body, write_town

# benchmarks/soak.py derives it: Stockholm's share of the country's events, at ten times the mean rate.
BUSIEST = 0.0894  # events a second at the busiest hour of a large municipality


def test_fifty_times_the_busiest_hour_is_taken_and_counted(
    base: Base, town: Path, start: Starter, told: Callable[..., None]
) -> None:
    """All that such a burst brings in a minute (in torture: in an hour), as fast as eight connections carry it, one by one."""
    service = start(town)
    rng = random.Random(8)
    n = round(50 * BUSIEST * (3600 if LONG else 60))
    newest = max(datetime.fromisoformat(str(e["recorded_at"])) for batch in base.live for e in batch)
    when = (newest + timedelta(days=2)).replace(hour=12).isoformat()  # a day of its own
    places = Counter[tuple[str, str]]()
    bodies = []
    for i in range(n):
        area, category = f"A{rng.randrange(6)}", f"C{rng.randrange(2)}"
        places[area, category] += 1
        bodies.append(body(f"burst-{i}", area=area, category=category, occurred_at=when, recorded_at=when, origin="reported"))
    took: list[float] = []

    def send(part: list[dict[str, object]]) -> None:
        with httpx.Client(base_url=service.address, timeout=60) as client:
            for one in part:
                begun = time.monotonic()
                answer = client.post("/v1/events", json=one)
                assert answer.status_code == 207, answer.text
                assert answer.json()["counts"] == {"accepted": 1}
                took.append(time.monotonic() - begun)

    begun = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        parts = [pool.submit(send, bodies[i::8]) for i in range(8)]
        assert service.client.get("/picture", headers={"accept": "text/html"}).status_code == 200
        assert service.client.get("/readyz").status_code == 200
        for part in parts:
            part.result()
    seconds = time.monotonic() - begun
    day = when[:10]
    asked = {"first": day, "last": day, "area": "level:2", "category": ["C0", "C1"]}
    rows = service.client.get("/v1/counts", params=asked).json()["rows"]
    assert {(r["area"], r["category"]): r["count"] for r in rows} == dict(places)
    assert service.client.get("/v1/alerts", params={"since": day}).json()["alerts"]
    took.sort()
    told(
        f"a burst: {n:,} events of 50 times a large municipality's busiest hour, as fast as eight connections carry them",
        seen="every one is answered `accepted`; pages and /readyz answer meanwhile", well_after=0.0,
        seconds=round(seconds, 1), events_a_second=round(n / seconds), p50_ms=round(took[n // 2] * 1000, 1),
        p99_ms=round(took[n * 99 // 100] * 1000, 1),
    )  # fmt: skip


def spoilt(**fields: object) -> str:
    return json.dumps(body("poison", **fields))


POISONS = {  # as it stands in a line: the rule by which it is refused
    "not JSON": "{broken",
    "cut off": spoilt()[:-9],
    "not UTF-8": "\udcff\udcfe",
    "a number": "17",
    "nothing": "null",
    "a list": "[]",
    "no fields": "{}",
    "a field too many": spoilt(colour="red"),
    "a wrong type": spoilt(severity="very"),
    "a number beyond all": spoilt(severity=10**400),
    "not a number": spoilt().replace('"C0"', "NaN"),
    "nested deeply": '{"kind": ' + "[" * 5000 + "]" * 5000 + "}",
    "an unknown kind": spoilt(kind="rumour"),
    "an unknown area": spoilt(area="ZZ"),
    "an unknown category": spoilt(category="ZZ"),
    "another municipality": spoilt(municipality="0001"),
    "no zone": spoilt(occurred_at="2024-03-01T12:00:00"),
    "no date": spoilt(occurred_at="2024-02-30T12:00:00+01:00"),
    "the future": spoilt(occurred_at="2199-03-01T12:00:00+01:00", recorded_at="2199-03-01T13:00:00+01:00"),
    "the far past": spoilt(occurred_at="1900-03-01T12:00:00+01:00"),
    "the year 9999": spoilt(occurred_at="9999-12-31T23:59:59+00:00", recorded_at="9999-12-31T23:59:59-23:59"),
    "recorded before": spoilt(recorded_at="2024-02-01T13:00:00+01:00"),
    "no id": spoilt(event_id=""),
    "an id like a person's": spoilt(event_id="811218-9876"),
    "a mail address": spoilt(source="anna.andersson@example.se"),
    "a null byte": spoilt(event_id="a\x00b"),
    "half a character": spoilt().replace("w-poisonx", "\\ud800"),
    "very long": spoilt(source="x" * 200_000),
    "inside a dwelling": spoilt(place_type="dwelling"),
    "no revision": spoilt(revision=-1),
}


def test_a_poison_in_a_batch_is_refused_alone(tmp_path: Path, start: Starter, told: Callable[..., None]) -> None:
    write_town(tmp_path)
    service = start(tmp_path)
    rules = Counter[str]()
    for number, (name, poison) in enumerate(POISONS.items()):
        mates = [body(f"{number}-{i}") for i in range(2)]
        lines = [json.dumps(mates[0]).encode(), poison.encode(errors="surrogateescape"), json.dumps(mates[1]).encode()]
        answer = service.send(b"\n".join(lines), "application/x-ndjson")
        assert answer.status_code == 207, name
        first, refused, last = answer.json()["results"]
        assert (first["outcome"], last["outcome"]) == ("accepted", "accepted"), name
        assert refused["outcome"] == "rejected", name
        assert refused["problem"], name
        rules[refused["rule"]] += 1
    assert service.client.get("/readyz").status_code == 200
    rows = service.client.get("/v1/counts", params={"first": "2024-03-01", "area": "A0", "category": "C0"}).json()["rows"]
    assert sum(r["count"] for r in rows) == 2 * len(POISONS)
    letters = service.client.get("/v1/dead-letters", params={"limit": 1000}).json()["dead_letters"]
    assert len(letters) == len(POISONS)
    assert "811218" not in json.dumps(letters) + log_of(service)
    assert "anna" not in json.dumps(letters) + log_of(service)
    told(
        f"a poison batch, in {len(POISONS)} ways",
        lost="nothing: what is refused waits as a dead letter, without what must not be kept",
        seen="207; the poison alone is `rejected` with field, rule and problem", well_after=0.0, rules=dict(rules),
    )  # fmt: skip


FAILS_ON_POISON = """
from earlywarning.core.engine import Engine
ingest = Engine.ingest
def fail(self, events, now, **more):
    done = ingest(self, events, now, **more)
    if any(e.event_id.startswith("w-poison") for e in events):
        raise ZeroDivisionError
    return done
Engine.ingest = fail
from earlywarning.cli import main
main()
"""


def test_an_event_on_which_the_service_fails_holds_up_nobody(tmp_path: Path, start: Starter, told: Callable[..., None]) -> None:
    """As if the engine had a fault that one event brings to light; when it is mended the event is taken."""
    write_town(tmp_path)
    service = start(tmp_path, program=("-c", FAILS_ON_POISON))
    with ThreadPoolExecutor(6) as pool:  # others send at the same time, and may be taken together with it
        others = [pool.submit(service.send, [body(f"other-{i}")]) for i in range(20)]
        answer = service.send([body(i) if i != 5 else body("poison") for i in range(9)])
        others += [pool.submit(service.send, [body(f"more-{i}")]) for i in range(20)]
    assert answer.json()["counts"] == {"accepted": 8, "rejected": 1}
    (refused,) = [r for r in answer.json()["results"] if r["outcome"] == "rejected"]
    assert (refused["index"], refused["rule"], refused["event_id"]) == (6, "internal-error", "w-poisonx")
    assert {o.result().status_code for o in others} == {207}
    assert "the service failed on an event; it is kept as a dead letter" in log_of(service)
    assert service.client.get("/readyz").status_code == 200
    service.stop()
    replay = [sys.executable, "-m", "earlywarning", "dead-letters", "replay"]
    done = subprocess.run(replay, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "1 taken in again, 0 go on waiting" in done.stdout
    service.program = ("-m", "earlywarning")
    service.start()
    rows = service.client.get("/v1/counts", params={"first": "2024-03-01", "area": "A0", "category": "C0"}).json()["rows"]
    assert sum(r["count"] for r in rows) == 9 + 40
    told(
        "an event on which the service itself fails",
        seen="it alone is `rejected` (`internal-error`) and kept; others are taken; when the service is mended it is replayed",
        well_after=0.0,
    )  # fmt: skip


def memory_of(service: Running) -> int:
    """Bytes of address space that the process has taken."""
    return int(Path(f"/proc/{service.process.pid}/statm").read_text().split()[0]) * resource.getpagesize()


def test_without_memory_a_batch_is_refused_and_taken_when_there_is_some(
    base: Base, town: Path, start: Starter, told: Callable[..., None]
) -> None:
    """The process may take no more than it has: a body of nearly a megabyte cannot be decoded."""
    service = start(town)
    supplier = Supplier(service, base.live)
    supplier.send_rest(20)
    known = [event for batch in base.live[:20] for event in batch]
    heavy = json.dumps(known * (900_000 // len(json.dumps(known))))
    _, hard = resource.prlimit(service.process.pid, resource.RLIMIT_AS)
    resource.prlimit(service.process.pid, resource.RLIMIT_AS, (memory_of(service), hard))
    statuses = Counter[int]()  # 0: no answer
    for _ in range(30 if LONG else 6):
        try:
            statuses[service.send(heavy).status_code] += 1
        except httpx.TransportError:
            statuses[0] += 1
        if service.process.poll() is not None:
            break
    assert set(statuses) <= {0, 207, 503}, f"{statuses}: to a supplier anything else means: never send this again"
    assert sum(statuses.values()) > statuses[207], "there was memory enough: nothing was tested"
    begun = time.monotonic()
    if service.process.poll() is None:
        resource.prlimit(service.process.pid, resource.RLIMIT_AS, (hard, hard))
        died = False
    else:  # as a supervisor would
        died = True
        service.start()
    until(lambda: service.client.get("/readyz").status_code == 200, "being well")
    seconds = time.monotonic() - begun
    if not statuses[207]:
        assert service.send(heavy).json()["counts"] == {"repeated": len(json.loads(heavy))}
    supplier.all_kept()
    supplier.send_rest()
    service.stop()
    same(town, base)
    told(
        "no memory left (RLIMIT_AS at what the process has)", seen=f"answers to a body of 0.9 MB: {dict(statuses)}; send again",
        well_after=seconds, died=died,
    )  # fmt: skip
