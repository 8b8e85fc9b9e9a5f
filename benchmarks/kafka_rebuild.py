"""How long a municipality's engine takes to come back from its state after a crash, and what that state weighs, by history.

    python benchmarks/kafka_rebuild.py

No broker: the records are as a worker would find them in its table. 60 areas x 40 categories, five years.
"""

import json
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import kafka_throughput
import municipality

from earlywarning.runtimes.kafka.messages import HISTORY, arrived
from earlywarning.runtimes.kafka.municipality import Municipality
from earlywarning.settings import load_settings

YEARS = 5
CODE = "0999"


def _resident() -> float:
    """Megabytes that the process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    """Print one line for each size of history."""
    folder = Path(tempfile.mkdtemp())
    municipality.registers(folder)
    settings, now = load_settings(folder / "earlywarning.toml"), datetime.now(UTC)
    begin = datetime(2020, 12, 28, tzinfo=UTC)
    for wanted in (2_500, 10_000, 50_000, 250_000, 100_000):
        own = Municipality(settings, now)
        held: dict[str, bytes] = {}
        past = kafka_throughput.events(CODE, wanted, begin, YEARS * 365, 1, "past")
        one = kafka_throughput.events(CODE, 1, begin + timedelta(days=YEARS * 365), 0, 2, "now")
        for offset, first in enumerate(range(0, wanted, 1000)):
            value = b"\n".join(json.dumps(e).encode() for e in past[first : first + 1000])
            for step in own.take([arrived("incidents", 0, offset, CODE.encode(), value, [HISTORY])], now):
                held.update({key: v for key, v in step.writes if v is not None})
        for step in own.take([arrived("incidents", 0, 10**6, CODE.encode(), json.dumps(one[0]).encode(), [])], now):
            held.update({key: v for key, v in step.writes if v is not None})
        times = []
        for _ in range(3):
            t = time.perf_counter()
            rebuilt = Municipality.restore(settings, held, now)
            times.append(time.perf_counter() - t)
            assert rebuilt.engine.watch.ready
        size = sum(map(len, held.values())) / 1e6
        print(f"{wanted:9,} events in {YEARS} years: rebuilt in {min(times):5.2f} s, state {size:6.1f} MB")
    del past, own, rebuilt
    engines, before = [], _resident()
    for _ in range(4):
        engines.append(Municipality.restore(settings, held, now))
    print(f"each further engine of the last size holds {(_resident() - before) / len(engines):.0f} MB")


if __name__ == "__main__":
    main()
