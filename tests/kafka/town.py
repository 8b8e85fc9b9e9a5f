"""Three municipalities made of recorded crime in Toronto, as messages; and a service on Kafka that takes them."""

import csv
import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import KafkaError as ClientError

from earlywarning.core.events import AnyEvent, Incident, Report
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.kafka.desk import Desk, _place
from earlywarning.runtimes.kafka.merging import Waiting
from earlywarning.runtimes.kafka.messages import HISTORY, arrived, encode_events
from earlywarning.runtimes.kafka.producing import Producer
from earlywarning.runtimes.kafka.topics import (
    ALERTS,
    DEAD_LETTERS,
    INCIDENTS,
    REPORTS,
    STATE,
    STATISTICS,
    create_topics,
    group,
    partition_of,
    topic_name,
)
from earlywarning.runtimes.kafka.watching import END_FAULT, END_STALLED, END_SUSPENDED
from earlywarning.runtimes.kafka.worker import PUBLISH
from earlywarning.settings import ClusterSettings, load_cluster_settings, load_settings
from earlywarning.sources.supply import Supply
from earlywarning.store import Store

CODES = ("0901", "0902", "0903")
ZONE = ZoneInfo("Europe/Stockholm")
PARTITIONS = 4
EVENTS_CLOCK = 'clock = "events"\n'
ENDED = (END_FAULT, END_STALLED, END_SUSPENDED)  # exit codes after which a supervisor starts a worker anew
# Records are compacted as soon as they are a second old.
COMPACTED = {"segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01", "min.compaction.lag.ms": "0", "delete.retention.ms": "0"}


class Message(NamedTuple):
    """A message before it is sent."""

    topic: str
    municipality: str
    value: bytes
    history: bool


def rows() -> list[tuple[datetime, str, str]]:
    """(when, category, neighbourhood) of the bundled data, outside dwellings, in their order."""
    name = resources.files("earlywarning.data").joinpath("toronto", "incidents.csv.gz")
    found = []
    with name.open("rb") as raw, gzip.open(raw, "rt", encoding="utf-8") as text:
        for row in csv.DictReader(text):
            when = datetime.fromisoformat(row["occurred_at"]).replace(tzinfo=ZONE)
            found.append((when, row["category"].lower().replace(" ", "-"), row["area"]))
    return sorted(found, key=lambda r: r[0])


def municipalities(folder: Path, areas: int, years: Sequence[int], seed: int = 4) -> dict[str, list[AnyEvent]]:
    """Folders with settings and registers of three municipalities of so many areas each, and their events as recorded."""
    every = [r for r in rows() if years[0] <= r[0].year <= years[-1]]
    names = sorted({area for _, _, area in every})
    categories = sorted({category for _, category, _ in every})
    rng = random.Random(seed)
    out: dict[str, list[AnyEvent]] = {}
    for number, code in enumerate(CODES):
        own = names[number * areas : (number + 1) * areas]
        write_registers(folder / code, code, own, categories)
        events: list[AnyEvent] = []
        for i, (when, category, area) in enumerate(every):
            if area not in own:
                continue
            recorded = when + timedelta(hours=min(rng.expovariate(1 / 20), 200))
            kind = Report if rng.random() < 0.3 else Incident
            events.append(
                kind(
                    event_id=f"t{i}", source=f"s{rng.randrange(3)}", recorded_at=recorded.astimezone(UTC), category=category,
                    municipality=code, area=f"A{own.index(area):02}", occurred_at=when.astimezone(UTC),
                )
            )  # fmt: skip
            if rng.random() < 0.02:  # a correction, some days later
                later = msgspec.structs.replace(
                    events[-1], revision=2, recorded_at=events[-1].recorded_at + timedelta(days=rng.uniform(0, 9)),
                    category=rng.choice(categories), retraction=rng.random() < 0.3,
                )  # fmt: skip
                events.append(later)
        events.sort(key=lambda e: e.recorded_at)
        for at in range(700, len(events), 900):  # some that are refused
            events[at] = msgspec.structs.replace(events[at], category="unheard-of")
        out[code] = events
    return out


def write_registers(folder: Path, code: str, areas: Sequence[str], categories: Sequence[str]) -> None:
    """Settings and registers of one municipality."""
    folder.mkdir(parents=True)
    features = []
    for a in range(len(areas)):
        x, y = 17.0 + (a % 4) * 0.02, 59.8 + (a // 4) * 0.01
        ring = [[x, y], [x + 0.02, y], [x + 0.02, y + 0.01], [x, y + 0.01], [x, y]]
        properties = {"code": f"A{a:02}", "name": f"Area {a}", "parent": f"D{a // 4}"}
        features.append({"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}})
    (folder / "areas.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    lines = ["code,parent,name_sv,name_en,harm_weight,default_origin", *(f"{c},,{c},{c},5,reported" for c in categories)]
    (folder / "categories.csv").write_text("\n".join(lines) + "\n")
    (folder / "earlywarning.toml").write_text(
        f'[municipality]\ncode = "{code}"\nname = "Testby {code}"\n[registers]\nareas = "areas.geojson"\n'
        'categories = "categories.csv"\n[service]\nclock = "events"\n[store]\nurl = "sqlite:///store.db"\n'
        "[events]\noldest = 2013-01-01\n[alerts]\nfalse_alarms_per_week = 4.0\n"
    )


def made_events(n: int, code: str, days_ago: float = 1.0, name: str = "e") -> list[AnyEvent]:
    """So many thefts in area A00 of one hour."""
    when = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=days_ago)
    return [
        Incident(
            event_id=f"{name}{i}", source="w", recorded_at=when, category="theft", municipality=code, area="A00", occurred_at=when
        )
        for i in range(n)
    ]  # fmt: skip


def messages(events: Sequence[AnyEvent], history_until: datetime, seed: int = 1) -> list[Message]:
    """A municipality's events as messages of 1 to 30, cut where the local day turns; older ones as history."""
    rng = random.Random(seed)
    out: list[Message] = []
    gathered: dict[str, list[AnyEvent]] = {INCIDENTS: [], REPORTS: []}
    day, size = None, 10

    def flush(topic: str) -> None:
        if batch := gathered[topic]:
            history = batch[-1].recorded_at < history_until
            out.append(Message(topic, batch[0].municipality, encode_events(batch), history))
            gathered[topic] = []

    for event in events:
        local = event.recorded_at.astimezone(ZONE).date()
        if local != day:
            day = local
            flush(INCIDENTS)
            flush(REPORTS)
        topic = INCIDENTS if isinstance(event, Incident) else REPORTS
        gathered[topic].append(event)
        if len(gathered[topic]) >= (400 if event.recorded_at < history_until else size):
            flush(topic)
            size = rng.randint(1, 30)
    flush(INCIDENTS)
    flush(REPORTS)
    return out


def interleaved(every: Sequence[Sequence[Message]], seed: int) -> list[Message]:
    """Messages of several municipalities mixed at random, each municipality's own in their order."""
    rng = random.Random(seed)
    order = [i for i, own in enumerate(every) for _ in own]
    rng.shuffle(order)
    heads = [iter(own) for own in every]
    return [next(heads[i]) for i in order]


def embedded(folder: Path, sent: Sequence[Message]) -> None:
    """The same messages through the service in one process, in the order in which they were recorded."""
    waiting = Waiting()
    for offset, m in enumerate(sent):
        waiting.add(arrived(m.topic, 0, offset, m.municipality.encode(), m.value, [HISTORY] if m.history else []))
    service = Service.open(load_settings(folder / "earlywarning.toml"))
    try:
        while batch := waiting.ready(lambda _: True, 1):
            for m in batch:
                service.take([Supply(m.decoded, f"kafka:{m.topic}/0@{m.offset}")], datetime.now(UTC), history=m.history)
    finally:
        service.stop()


class Cluster:
    """Topics of its own on a broker, workers as processes, and a desk in this one."""

    def __init__(self, folder: Path, brokers: str, prefix: str, more: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "cluster.toml"
        self.file.write_text(
            f'[kafka]\nbrokers = "{brokers}"\nprefix = "{prefix}"\npartitions = {PARTITIONS}\nworker_port = 0\n'
            f'{more or EVENTS_CLOCK}[store]\nurl = "sqlite:///desk.db"\n'
        )
        self.settings: ClusterSettings = load_cluster_settings(self.file)
        self.workers: list[subprocess.Popen[bytes]] = []
        self._log = (folder / "workers.log").open("ab")
        create_topics(self.settings)
        self.desk = Desk.open(self.settings)
        self.desk.start()

    def reopen_desk(self) -> None:
        """End the desk, and start one in its place."""
        self.desk.stop()
        self.desk = Desk.open(self.settings)
        self.desk.start()

    def publish(self, folders: Sequence[Path]) -> None:
        """Settings of municipalities, for all workers."""
        with Producer(self.settings) as producer:
            producer.publish([load_settings(f / "earlywarning.toml") for f in folders])

    def send(self, every: Sequence[Message], *, twice: bool = False, spoil: int = 0) -> None:
        """Send messages in their order. twice: each two times; spoil: one that is no event at all before every so many."""
        producer = KafkaProducer(bootstrap_servers=self.settings.kafka.brokers, acks="all", linger_ms=5)
        for number, m in enumerate(every):
            name, key = topic_name(self.settings.kafka, m.topic), m.municipality.encode()
            if spoil and number % spoil == spoil - 1:
                producer.send(name, key=key, value=b'{"kind": "incident", \xff broken')
            for _ in range(1 + twice):
                producer.send(name, key=key, value=m.value, headers=[HISTORY] if m.history else [])
        producer.flush()
        producer.close()

    def start_worker(self) -> subprocess.Popen[bytes]:
        """One more worker."""
        return self._start("-m", "earlywarning", "worker", "--settings", str(self.file))

    def start_program(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        """One more worker, by a program that is given the settings file and `words`."""
        return self._start("-c", program, str(self.file), *words)

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, *words]
        process = subprocess.Popen(command, stdout=self._log, stderr=self._log, stdin=subprocess.DEVNULL, env=environment)
        self.workers.append(process)
        return process

    def end_worker(self, process: subprocess.Popen[bytes], number: int = signal.SIGTERM) -> None:
        """End a worker; one that does not go is killed."""
        process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.workers.remove(process)

    def lag(self) -> int:
        """How many messages no worker has acknowledged."""
        k = self.settings.kafka
        client = KafkaAdminClient(bootstrap_servers=k.brokers)
        try:
            done = client.list_group_offsets(group(k)).get(group(k), {})
        except ClientError:  # while the broker comes up, nobody has the group
            done = {}
        finally:
            client.close()
        ends = self._ends([topic_name(k, t) for t in (INCIDENTS, REPORTS)])
        found = {(tp.topic, tp.partition): m.offset for tp, m in done.items()}
        return sum(end - max(found.get((tp.topic, tp.partition), 0), 0) for tp, end in ends.items())

    def _ends(self, names: Sequence[str]) -> dict[Any, int]:
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka.brokers)
        try:
            return dict(consumer.end_offsets([TopicPartition(n, p) for n in names for p in range(PARTITIONS)]))
        finally:
            consumer.close()

    def wait_until_done(self, patience: float, most_restarts: int = 2) -> None:
        """Wait until all is acknowledged, published and in the store; a worker that ends as documented is started anew.

        Raises AssertionError with the workers' log when it takes too long, or workers end otherwise or too often.
        """
        deadline = time.monotonic() + patience
        restarts = 0
        while (left := self.lag()) > 0:
            for process in [p for p in self.workers if p.poll() is not None]:
                known = process.returncode in ENDED and restarts < most_restarts
                assert known, f"a worker ended by itself ({process.returncode}, after {restarts} others): {self.log()}"
                restarts += 1
                self.workers.remove(process)
                self.start_worker()
            assert time.monotonic() < deadline, f"{left} messages are left: {self.log()}"
            time.sleep(0.5)
        self._wait_until_kept(deadline)

    def _wait_until_kept(self, deadline: float) -> None:
        """Until the desk has all that the workers sent, and nothing more came for longer than they take to publish."""
        names = [topic_name(self.settings.kafka, what) for what in (ALERTS, STATISTICS, DEAD_LETTERS)]
        before, since = dict[Any, int](), time.monotonic()
        while time.monotonic() - since < 2 * PUBLISH:
            ends = self._ends(names)
            if ends != before or any(int(self.desk.store.source_state(_place(tp)) or 0) < end for tp, end in ends.items()):
                before, since = ends, time.monotonic()
            assert time.monotonic() < deadline, f"the desk has not all that was sent: {self.log()}"
            time.sleep(0.1)

    def compact_soon(self) -> None:
        """Have the changelog compacted all the time."""
        client = KafkaAdminClient(bootstrap_servers=self.settings.kafka.brokers)
        name = topic_name(self.settings.kafka, STATE)
        client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, configs=COMPACTED)])
        client.close()

    def begin_segment(self, code: str) -> None:
        """Write what says nothing into the changelog, so that its newest segment, if it is a second old, is followed by another."""
        producer = KafkaProducer(bootstrap_servers=self.settings.kafka.brokers, acks="all")
        partition = partition_of(code, PARTITIONS)
        producer.send(topic_name(self.settings.kafka, STATE), key=f"{code}/nothing".encode(), value=None, partition=partition)
        producer.close()

    def changelog(self) -> dict[str, dict[str, bytes]]:
        """By municipality, its records as the changelog holds them: what a rebuild has to go by."""
        held: dict[str, dict[str, bytes]] = {}
        for record in self.changelog_records():
            code, _, key = record.key.decode().partition("/")
            held.setdefault(code, {})[key] = record.value
        return {code: {k: v for k, v in own.items() if v is not None} for code, own in held.items()}

    def changelog_records(self) -> list[Any]:
        """The changelog's records as they stand on the broker now."""
        name = topic_name(self.settings.kafka, STATE)
        consumer = KafkaConsumer(bootstrap_servers=self.settings.kafka.brokers, auto_offset_reset="earliest")
        tps = [TopicPartition(name, p) for p in range(PARTITIONS)]
        found = []
        try:
            consumer.assign(tps)
            ends = consumer.end_offsets(tps)
            consumer.seek_to_beginning()
            while any(consumer.position(tp) < ends[tp] for tp in tps):
                for records in consumer.poll(timeout_ms=500).values():
                    found += records
        finally:
            consumer.close()
        return found

    def log(self) -> str:
        """The end of what the workers logged."""
        return (self.folder / "workers.log").read_text(errors="replace")[-4000:]

    def close(self) -> None:
        """End everything that was started; where coverage is measured in order, since a killed process has measured nothing."""
        for process in list(self.workers):
            self.end_worker(process, signal.SIGTERM if "COVERAGE_PROCESS_CONFIG" in os.environ else signal.SIGKILL)
        self.desk.stop()
        self._log.close()


class Kept(NamedTuple):
    """What a store holds of a municipality."""

    clock: tuple[int, int] | None
    pages: dict[int, bytes]
    alerts: dict[str, Any]
    history: list[Any]
    notes: list[Any]
    letters: list[Any]


def kept(url: str, municipality: str) -> Kept:
    """All that a store holds of a municipality, in an order that does not depend on who wrote it."""
    with Store.open(url) as store:
        alerts = {a.alert_id: a for a in store.alerts(municipality=municipality)}
        history = [(name, h.change, h.on, h.alert) for name in sorted(alerts) for h in store.history(name)]
        letters = [d.letter for d in store.dead_letters(municipality=municipality)]
        told = sorted((d.rule, d.field, d.event_id or "", d.payload or "") for d in letters)
        return Kept(
            store.engine_state(municipality), dict(store.pages(municipality)), alerts, history,
            sorted(store.data_notes(municipality=municipality), key=lambda n: n.note_id), told,
        )  # fmt: skip


def until(true: Callable[[], Any], what: str, cluster: Cluster | None = None, patience: float = 150.0) -> Any:
    """Ask again and again until the answer is true; the pause only spares the processor."""
    deadline = time.monotonic() + patience
    while not (got := true()):
        assert time.monotonic() < deadline, f"{what}: {cluster.log() if cluster else ''}"
        time.sleep(0.2)
    return got
