"""Events a second through one worker, beside peers that only count: one run, one machine, one real Apache Kafka, the same events.

    python benchmarks/kafka_throughput.py [--events 200000] [--quix PYTHON]

Ours validates, screens, counts at every level, judges every event against the blocks around it, and keeps pages and alerts.
The peers decode JSON and add one to a count per municipality and category: a Faust agent with a table (memory), a bare
aiokafka loop, and Quix Streams with state where --quix names a Python that has it. For them each message is one event, as
in their own guides; ours gets the same events as messages of 500, and as messages of one. Latency: from sending the last
event of the alert's places and categories to the alert on its topic, at 500 events/s in messages of one.
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from aiokafka import AIOKafkaConsumer
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "deploy" / "kafka")]
import municipality  # noqa: E402
import single_node  # noqa: E402

CODES = [f"09{i:02}" for i in range(4)]
PARTITIONS = 4
DAYS = 4  # over which the live events are spread
FAUST_COUNT = """
import faust, json
app = faust.App("bare-faust", broker="kafka://{brokers}", topic_allow_declare=False, topic_disable_leader=True, web_enabled=False,
                store="memory://", producer_linger=0.05, datadir="{folder}")
counts = app.Table("counts", default=int, partitions={partitions})
@app.on_configured.connect
def configured(app, conf, **kw): pass
@app.agent(app.topic("single", value_serializer="raw", key_type=bytes, key_serializer="raw"))
async def count(stream):
    n = 0
    app.producer.buffer.max_messages = 10_000
    async for value in stream:
        event = json.loads(value)
        counts[event["municipality"] + "/" + event["category"]] += 1
        n += 1
        if n % 500 == 0 or n >= {wanted}: print(n, flush=True)
faust.Worker(app, loglevel="ERROR", quiet=True, redirect_stdouts=False).execute_from_commandline()
"""
QUIX_COUNT = """
import json
from quixstreams import Application
app = Application(broker_address="{brokers}", consumer_group="bare-quix", auto_offset_reset="earliest", auto_create_topics=True,
                  loglevel="ERROR", state_dir="{state}")
n = 0
def count(event, state):
    global n
    state.set(event["category"], state.get(event["category"], 0) + 1)
    n += 1
    if n % 2000 == 0 or n >= {wanted}: print(n, flush=True)
    return event
stream = app.dataframe(app.topic("single", value_deserializer="json"))
stream.update(count, stateful=True)
app.run()
"""


def events(code: str, wanted: int, begin: datetime, days: int, seed: int, name: str) -> list[dict[str, object]]:
    """Events of one municipality in the order of recording."""
    rng = np.random.default_rng(seed)
    seconds = np.sort(rng.uniform(0, days * 86_400, wanted))
    area, category = rng.integers(0, municipality.AREAS, wanted), rng.integers(0, 40, wanted)
    out: list[dict[str, object]] = []
    for i in range(wanted):
        recorded = begin + timedelta(seconds=float(seconds[i]))
        out.append({
            "kind": "incident", "event_id": f"{name}{i}", "source": "s0", "municipality": code, "area": f"A{area[i]:02}",
            "category": f"C{category[i]:02}", "recorded_at": recorded.isoformat(),
            "occurred_at": (recorded - timedelta(hours=float(rng.uniform(0, 20)))).isoformat(),
        })  # fmt: skip
    return out


def send(brokers: str, topic: str, every: Sequence[tuple[str, bytes]], headers: Sequence[tuple[str, bytes]] = ()) -> None:
    """Put messages (key, value) onto a topic."""
    producer = KafkaProducer(bootstrap_servers=brokers, linger_ms=50, batch_size=1 << 20, max_request_size=4 << 20)
    for key, value in every:
        producer.send(topic, key=key.encode(), value=value, headers=list(headers))
    producer.flush()
    producer.close()


def lines_of(command: Sequence[str], wanted: int, patience: float = 600) -> float:
    """Events a second of a process that prints how many it has counted, from its first line to its last."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    first = last = (0.0, 0)
    deadline = time.monotonic() + patience
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip().isdigit():
                last = (time.monotonic(), int(line))
                first = first if first[1] else last
                if last[1] >= wanted or time.monotonic() > deadline:
                    break
    finally:
        process.kill()
        process.wait()
    return (last[1] - first[1]) / (last[0] - first[0]) if last[1] > first[1] else float("nan")


async def bare_aiokafka(brokers: str, wanted: int) -> float:
    """The same count in a plain loop."""
    consumer = AIOKafkaConsumer("single", bootstrap_servers=brokers, group_id="bare-aiokafka", auto_offset_reset="earliest")
    await consumer.start()
    counts: Counter[str] = Counter()
    n, begun = 0, 0.0
    while n < wanted:
        for records in (await consumer.getmany(timeout_ms=1000, max_records=5000)).values():
            begun = begun or time.monotonic()
            for record in records:
                event = json.loads(record.value)
                counts[event["municipality"] + "/" + event["category"]] += 1
                n += 1
    took = time.monotonic() - begun
    await consumer.stop()
    return n / took


class Ours:
    """Topics, settings of the municipalities with two years of history, and one worker."""

    def __init__(self, brokers: str, folder: Path, prefix: str, history: int) -> None:
        self.brokers, self.prefix, self.folder = brokers, prefix, folder / prefix
        self.port = single_node.free_port()
        files = []
        kafka = f'[kafka]\nbrokers = "{brokers}"\nprefix = "{prefix}"\npartitions = {PARTITIONS}\n'
        kafka += f'worker_port = {self.port}\nclock = "events"\n'
        for code in CODES:
            own = self.folder / code
            own.mkdir(parents=True)
            municipality.registers(own)
            text = (own / "earlywarning.toml").read_text().replace('code = "0999"', f'code = "{code}"')
            (own / "earlywarning.toml").write_text(text)
            files.append(own / "earlywarning.toml")
        self.file = self.folder / "cluster.toml"
        self.file.write_text(kafka)
        self._command("topics", "create")
        self._command("settings", "publish", *map(str, files))
        self.begin = datetime(2025, 6, 2, tzinfo=UTC)
        for i, code in enumerate(CODES):
            past = events(code, history, self.begin - timedelta(days=730), 730, i, "past")
            self.send(code, past, 2000, (("as-history", b"1"),))

    def _command(self, *words: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "earlywarning", *words, "--settings", str(self.file)], check=True, stdout=subprocess.DEVNULL
        )

    def send(self, code: str, every: Sequence[dict[str, object]], size: int, headers: Sequence[tuple[str, bytes]] = ()) -> None:
        """Events as messages of so many."""
        batches = [every[i : i + size] for i in range(0, len(every), size)]
        values = [(code, b"\n".join(json.dumps(e).encode() for e in batch)) for batch in batches]
        send(self.brokers, f"{self.prefix}.incidents", values, headers)

    def start(self, *, second: bool = False) -> subprocess.Popen[bytes]:
        """One worker."""
        file = self.file
        if second:  # its metrics are not asked for: any port
            file = self.folder / "second.toml"
            file.write_text(self.file.read_text().replace(f"worker_port = {self.port}", "worker_port = 0"))
        command = [sys.executable, "-m", "earlywarning", "worker", "--settings", str(file)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    def counted(self) -> int:
        """How many events the worker has taken."""
        try:
            page = urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5).read().decode()
        except OSError:
            return 0
        lines = [line for line in page.splitlines() if line.startswith("earlywarning_events_total")]
        return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines))

    def rate(self, least: int, wanted: int) -> float:
        """Events a second from `least` counted to `wanted`."""
        first = (0.0, 0)
        deadline = time.monotonic() + 900
        while time.monotonic() < deadline:
            now = (time.monotonic(), self.counted())
            if not first[1] and now[1] > least:
                first = now
            if now[1] >= wanted:
                return (now[1] - first[1]) / max(now[0] - first[0], 1e-9)
            time.sleep(0.05)
        return float("nan")


def latency(ours: Ours, rate: int, seconds: int) -> list[float]:
    """Seconds from sending the event that raises an alert to the alert on its topic, at `rate` events/s with two workers."""
    consumer = KafkaConsumer(bootstrap_servers=ours.brokers)
    tps = [TopicPartition(f"{ours.prefix}.alerts", p) for p in range(PARTITIONS)]
    consumer.assign(tps)
    consumer.seek_to_end()
    for tp in tps:
        consumer.position(tp)
    producer = KafkaProducer(bootstrap_servers=ours.brokers, linger_ms=0)
    rng = np.random.default_rng(7)
    now = ours.begin + timedelta(days=DAYS + 1, hours=8)
    sent: dict[tuple[str, str, str], float] = {}
    waits: list[float] = []
    number, begun = 0, time.monotonic()
    while time.monotonic() - begun < seconds:
        for _ in range(rate // 50):
            code = CODES[int(rng.integers(len(CODES)))]
            tick = int((time.monotonic() - begun) / 3)
            burst = rng.random() < 0.3  # a surge that wanders from place to place
            area, category = (tick * 7 % 60, tick * 11 % 40) if burst else (int(rng.integers(60)), int(rng.integers(40)))
            recorded = now + timedelta(milliseconds=number)
            event = {
                "kind": "incident", "event_id": f"live{number}", "source": f"s{number % 50}", "municipality": code,
                "area": f"A{area:02}", "category": f"C{category:02}", "recorded_at": recorded.isoformat(),
                "occurred_at": (recorded - timedelta(hours=1)).isoformat(),
            }  # fmt: skip
            producer.send(f"{ours.prefix}.incidents", key=code.encode(), value=json.dumps(event).encode())
            sent[code, f"A{area:02}", f"C{category:02}"] = time.monotonic()
            number += 1
        for records in consumer.poll(timeout_ms=1).values():
            for record in records:
                body = json.loads(record.value)
                alert = body["alert"]
                if not any(c["change"] == "opened" for c in body["changes"]):
                    continue
                places = set(alert["areas"])
                at = [t for (code, area, category), t in sent.items() if code == alert["municipality"]
                      and places & {area, f"D{int(area[1:]) // 10}", code}
                      and (category in alert["categories"] or alert["categories"][0][0] != "C")]  # fmt: skip
                if at:
                    waits.append(time.monotonic() - max(at))
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
    return waits


def measure_latency(brokers: str, folder: Path, history: int) -> None:
    """Two workers with warm engines."""
    ours = Ours(brokers, folder, "live", history)
    workers = [ours.start(), ours.start(second=True)]
    time.sleep(25)
    for code in CODES:
        ours.send(code, events(code, 1, ours.begin + timedelta(days=DAYS, hours=8), 0, 0, "first"), 1)
    time.sleep(15)
    waits = latency(ours, 500, 60)
    for worker in workers:
        worker.kill()
        worker.wait()
    p50, p99 = np.quantile(waits, [0.5, 0.99])
    print(f"event to alert at 500 events/s, 2 workers: p50 {p50:.3f} s, p99 {p99:.3f} s ({len(waits)} alerts)", flush=True)


def main() -> None:
    """Run all and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--history", type=int, default=80_000, help="events of each municipality's two years of history")
    parser.add_argument("--quix", default="", help="a Python with quixstreams")
    parser.add_argument("--latency-only", action="store_true")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    broker = single_node.Broker(folder)
    single_node.fetch_jars()
    broker.start()
    rows: list[tuple[str, float]] = []

    def measure(name: str, work: Callable[[], float]) -> None:
        rows.append((name, work()))
        print(f"{name:58} {rows[-1][1]:10,.0f} events/s", flush=True)

    try:
        if chosen.latency_only:
            measure_latency(broker.address, folder, chosen.history)
            return
        own = {
            code: events(code, chosen.events // len(CODES), datetime(2025, 6, 2, tzinfo=UTC), DAYS, i, "e")
            for i, code in enumerate(CODES)
        }
        few = chosen.events // 5
        singles = [(c, json.dumps(e).encode()) for c in CODES for e in own[c]]
        np.random.default_rng(1).shuffle(singles)
        client = KafkaAdminClient(bootstrap_servers=broker.address)
        client.create_topics([NewTopic("single", PARTITIONS, 1), NewTopic("bare-faust-counts-changelog", PARTITIONS, 1)])
        client.close()
        send(broker.address, "single", singles)
        fill = {"brokers": broker.address, "partitions": PARTITIONS, "state": str(folder / "quix")}
        measure("bare Faust agent, a count per key in a table", lambda: lines_of(
            [sys.executable, "-c", FAUST_COUNT.format(**fill, folder=folder, wanted=few)], few, 120))  # fmt: skip
        if chosen.quix:
            measure("Quix Streams, a count per key with state", lambda: lines_of(
                [chosen.quix, "-c", QUIX_COUNT.format(**fill, wanted=chosen.events)], chosen.events, 120))  # fmt: skip
        measure("bare aiokafka loop, a count per key", lambda: asyncio.run(bare_aiokafka(broker.address, chosen.events)))
        for name, size, n in (("messages of 500 events", 500, chosen.events), ("messages of one event", 1, few)):
            ours, past = Ours(broker.address, folder, f"ours{size}", chosen.history), chosen.history * len(CODES)
            worker = ours.start()
            measure(f"one worker, history, {name} to follow", lambda o=ours, p=past: o.rate(0, p))
            for code in CODES:  # the first event after history has counts and baselines made
                ours.send(code, events(code, 1, ours.begin - timedelta(hours=2), 0, 0, "first"), 1)
            ours.rate(0, past + len(CODES))
            for code in CODES:
                ours.send(code, own[code][: n // len(CODES)], size)
            done = past + len(CODES)
            measure(f"one worker, live with detection, {name}", lambda o=ours, p=done, w=n: o.rate(p, p + w))
            worker.kill()
            worker.wait()
        measure_latency(broker.address, folder, chosen.history)
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
