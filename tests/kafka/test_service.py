"""The service on Kafka as operators, suppliers and coordinators meet it, on a real broker."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import pytest
from kafka import KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

from earlywarning import __version__
from earlywarning.core.pages import decode_page
from earlywarning.runtimes.kafka.messages import encode_events
from earlywarning.runtimes.kafka.topics import INCIDENTS, partition_of, topic_name
from earlywarning.runtimes.replaying import Chosen, replay_chosen
from tests.kafka.conftest import need_kafka, single_node
from tests.kafka.town import PARTITIONS, Cluster, Message, made_events, until, write_registers

CODE = "0904"

# A worker with a fault that some events bring to light, until the file is gone that is named beside the settings.
FAILS_ON_POISON = """
import sys
from pathlib import Path
from earlywarning.cli.logs import configure_logs
from earlywarning.core.engine import Engine
from earlywarning.runtimes.kafka.worker import run_worker
from earlywarning.settings import load_cluster_settings

ingest = Engine.ingest

def fail(self, events, now, **more):
    done = ingest(self, events, now, **more)
    if Path(sys.argv[2]).exists() and any(e.event_id.startswith("poison") for e in events):
        raise ZeroDivisionError
    return done

Engine.ingest = fail
configure_logs()
run_worker(load_cluster_settings(Path(sys.argv[1])))
"""


def _earlywarning(*words: str | Path, fine: bool = True) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "earlywarning", *map(str, words)], capture_output=True, text=True, check=False, timeout=90
    )
    assert (done.returncode == 0) is fine, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def town(tmp_path: Path) -> Path:
    write_registers(tmp_path / CODE, CODE, ["a", "b"], ["theft", "assault"])
    return tmp_path / CODE


@pytest.fixture
def cluster(tmp_path: Path, brokers: str, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster", brokers, f"s{time.time_ns() % 10**9}", getattr(request, "param", ""))
    try:
        yield made
    finally:
        made.close()


def _held(cluster: Cluster, code: str = CODE) -> int:
    return sum(1 for _ in cluster.desk.store.pages(code))


def test_topics_are_made_as_they_must_be_and_wrong_ones_are_refused(tmp_path: Path, brokers: str) -> None:
    file = tmp_path / "cluster.toml"
    prefix = f"topics{time.time_ns() % 10**9}"
    file.write_text(f'[kafka]\nbrokers = "{brokers}"\nprefix = "{prefix}"\npartitions = 4\n')
    assert f"topic {prefix}.incidents is missing" in _earlywarning("topics", "check", "--settings", file, fine=False)
    said = _earlywarning("topics", "create", "--settings", file)
    assert f"{prefix}-worker-state-changelog: 4 partitions, compact" in said
    assert "made" not in _earlywarning("topics", "create", "--settings", file)  # a second time nothing is left to do
    client = KafkaAdminClient(bootstrap_servers=brokers)
    client.delete_topics([f"{prefix}.alerts"])
    time.sleep(1)
    client.create_topics([NewTopic(f"{prefix}.alerts", 2, 1)])
    client.close()
    said = _earlywarning("topics", "check", "--settings", file, fine=False)
    assert f"topic {prefix}.alerts has 2 partitions" in said
    assert "cleanup.policy is delete, not compact" in said
    assert "has 2 partitions" in _earlywarning("worker", "--settings", file, fine=False)
    assert "has 2 partitions" in _earlywarning("desk", "--port", "0", "--settings", file, fine=False)


def test_no_broker_is_said_in_words(tmp_path: Path) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text(f'[kafka]\nbrokers = "127.0.0.1:{single_node.free_port()}"\n')
    assert "no broker answers at 127.0.0.1" in _earlywarning("topics", "check", "--settings", file, fine=False)


@pytest.mark.parametrize("cluster", ['clock = "wall"\nsession_seconds = 6\n'], indirect=True)
def test_what_suppliers_send_is_counted_and_what_cannot_be_is_kept(cluster: Cluster, town: Path) -> None:
    """By any producer: batches, single events, the wrong partition, an unknown municipality, nonsense."""
    cluster.publish([town])
    cluster.start_worker()
    name = topic_name(cluster.settings.kafka, INCIDENTS)
    own = partition_of(CODE, PARTITIONS)
    producer = KafkaProducer(bootstrap_servers=cluster.settings.kafka.brokers, acks="all")
    batch = made_events(10, CODE)
    producer.send(name, key=CODE.encode(), value=msgspec.json.encode(batch[:4]))  # an array
    producer.send(name, key=CODE.encode(), value=msgspec.json.encode(batch[4]))  # one event
    producer.send(name, value=encode_events(batch[5:7]), partition=(own + 1) % PARTITIONS)  # no key, another partition
    producer.send(name, key=CODE.encode(), value=encode_events(batch[7:9]), partition=(own + 2) % PARTITIONS)
    producer.send(name, key=b"0999", value=encode_events(made_events(3, "0999")))
    producer.send(name, key=CODE.encode(), value=b"\xff\xfe nonsense")
    producer.send(name, key=CODE.encode(), value=encode_events([msgspec.structs.replace(batch[9], area="unheard-of")]))
    producer.flush()
    store = cluster.desk.store
    until(lambda: sum(n for *_, n in store.dead_letter_counts()) >= 5, "dead letters", cluster)
    rules = sorted(letter.letter.rule for letter in store.dead_letters())
    assert rules == ["json", "unknown-area", "unknown-municipality", "unknown-municipality", "unknown-municipality"]
    assert all(letter.letter.way.startswith("kafka:incidents/") for letter in store.dead_letters())
    until(lambda: _held(cluster), "a page", cluster)
    front = cluster.desk.counters[CODE]
    counted = lambda: sum(e for (e,) in _rows(cluster))  # noqa: E731
    until(lambda: counted() == 9, "nine events", cluster)
    assert front.register.municipality == CODE
    # By the wall clock, with no further event: the clock stands in today.
    today = int(front.calendar.day_at(datetime.now(UTC)))
    until(lambda: (store.engine_state(CODE) or (0, 0))[0] == today or None, "today", cluster)
    # And so the worker says itself, to whoever watches it.
    (port,) = re.findall(r'"port": (\d+)', cluster.log())
    page = httpx.get(f"http://127.0.0.1:{port}/metrics").text
    opened = int(front.calendar.first_hour(today)) * 3600
    for name, value in (
        ('earlywarning_info{clock="wall",runtime="worker",version="' + __version__ + '"}', 1),
        ("earlywarning_ready", 1),
        ('earlywarning_kafka_lag_messages{topic="incidents"}', 0),
        ('earlywarning_engines{state="learning"}', 1),
        ("earlywarning_clock_day_timestamp_seconds", opened),
        ("earlywarning_settings_refused", 0),
    ):
        found = [float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name + " ")]
        assert found == [value], name


def test_a_message_on_which_the_worker_fails_holds_up_nobody_and_is_taken_when_that_is_mended(cluster: Cluster, town: Path) -> None:
    fault = cluster.folder / "fault"
    fault.touch()
    cluster.publish([town])
    poisoned = [*made_events(2, CODE, name="beside"), *made_events(1, CODE, name="poison")]
    batches = [made_events(3, CODE, name=f"m{i}-") for i in range(4)]
    cluster.send([Message(INCIDENTS, CODE, encode_events(b), False) for b in (*batches[:2], poisoned, *batches[2:])])
    cluster.start_program(FAILS_ON_POISON, str(fault))
    cluster.wait_until_done(300, most_restarts=0)  # the worker lives, and nothing is left
    counted = lambda: sum(n for (n,) in _rows(cluster))  # noqa: E731
    until(lambda: counted() == 12, "all but the message that fails", cluster)
    letters = cluster.desk.store.dead_letters(municipality=CODE)
    assert sorted((d.letter.rule, d.letter.event_id) for d in letters) == [
        ("internal-error", name) for name in ("beside0", "beside1", "poison0")
    ]
    assert all("ZeroDivisionError" in d.letter.problem for d in letters)
    assert "messages could not be taken" in cluster.log()
    fault.unlink()
    front = cluster.desk.counters[CODE]
    replay_chosen(front.store, CODE, Chosen((), "internal-error"), front.replay)
    until(lambda: counted() == 15, "the message that failed", cluster)
    assert [d for d in front.store.dead_letters(municipality=CODE) if d.state == "waiting"] == []


def _rows(cluster: Cluster) -> list[tuple[int]]:
    return [(len(decode_page(page)),) for _, page in cluster.desk.store.pages(CODE)]


def test_settings_take_effect_in_a_running_worker(cluster: Cluster, town: Path) -> None:
    cluster.publish([town])
    cluster.start_worker()
    name = topic_name(cluster.settings.kafka, INCIDENTS)
    producer = KafkaProducer(bootstrap_servers=cluster.settings.kafka.brokers, acks="all")
    events = made_events(2, CODE)
    new = [msgspec.structs.replace(e, event_id=f"n{i}", category="vandalism") for i, e in enumerate(events)]
    producer.send(name, key=CODE.encode(), value=encode_events([*events, new[0]]))
    producer.flush()
    store = cluster.desk.store
    until(lambda: store.dead_letters(rule="unknown-category"), "a refused category", cluster)
    with (town / "categories.csv").open("a") as file:
        file.write("vandalism,,Skadegörelse,Vandalism,2,reported\n")
    said = _earlywarning("settings", "publish", town / "earlywarning.toml", "--settings", cluster.file)
    assert CODE in said
    until(lambda: "settings in force" in cluster.log(), "new settings", cluster)
    producer.send(name, key=CODE.encode(), value=encode_events(new))
    producer.flush()
    until(lambda: sum(n for (n,) in _rows(cluster)) == 4, "events of the new category", cluster)


def test_a_file_is_produced_and_the_desk_answers_over_http(tmp_path: Path, brokers: str, town: Path) -> None:
    """Two processes and a file: the commands as an operator types them."""
    port = single_node.free_port()
    file = tmp_path / "cluster.toml"
    kafka = (
        f'[kafka]\nbrokers = "{brokers}"\nprefix = "h{time.time_ns() % 10**9}"\npartitions = 4\nworker_port = 0\nclock = "events"\n'
    )
    file.write_text(f'{kafka}[service]\nport = {port}\n[store]\nurl = "sqlite:///desk.db"\n')
    settings = town / "earlywarning.toml"
    settings.write_text(settings.read_text() + kafka)
    _earlywarning("topics", "create", "--settings", file)
    _earlywarning("settings", "publish", settings, "--settings", file)
    (tmp_path / "events.jsonl").write_bytes(encode_events(made_events(5, CODE, days_ago=3)))
    assert "1 messages" in _earlywarning("produce", tmp_path / "events.jsonl", "--settings", settings)
    running = [
        subprocess.Popen([sys.executable, "-m", "earlywarning", what, "--settings", str(file)], stdout=-3, stderr=-3)
        for what in ("worker", "desk")
    ]
    base = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _ok(f"{base}/readyz"), "the desk")
        sent = made_events(6, CODE, days_ago=1, name="h")
        place = msgspec.structs.replace(sent[0], event_id="placed", area=None, latitude=59.805, longitude=17.01)
        strange = msgspec.structs.replace(sent[1], event_id="strange", category="unheard-of")
        body = msgspec.json.encode([*sent, place, strange])
        answer = httpx.post(f"{base}/v1/events", content=body, headers={"content-type": "application/json"}, timeout=30).json()
        assert answer["counts"] == {"queued": 7, "rejected": 1}
        assert [(r["index"], r["rule"]) for r in answer["results"] if r["outcome"] == "rejected"] == [(8, "unknown-category")]

        def counted() -> bool:
            rows = httpx.get(f"{base}/{CODE}/v1/counts?area=level:2&category=all&window=1", timeout=30).json()["rows"]
            return bool(sum(r["count"] for r in rows) == 12)

        until(counted, "the counts")  # five of the file, seven by HTTP
        assert httpx.get(f"{base}/v1/alerts", timeout=30).json() == {"alerts": []}
        assert httpx.get(f"{base}/0001/v1/alerts", timeout=30).status_code in (400, 404)
        assert httpx.get(f"{base}/v1/dead-letters", timeout=30).json()["dead_letters"][0]["rule"] == "unknown-category"
        assert b"earlywarning_dead_letters_waiting 1.0" in httpx.get(f"{base}/metrics", timeout=30).content
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ok(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_over_tls_with_a_password_and_not_without_them(tmp_path: Path, town: Path) -> None:
    need_kafka()
    store, port = tmp_path / "server.p12", single_node.free_port()
    word = "not-a-secret"
    keytool = ["keytool", "-keystore", str(store), "-storetype", "PKCS12", "-storepass", word, "-alias", "broker"]
    names = ["-dname", "CN=127.0.0.1", "-ext", "SAN=IP:127.0.0.1"]
    subprocess.run([*keytool, "-genkeypair", "-keyalg", "RSA", *names], check=True, capture_output=True)
    pem = subprocess.run([*keytool, "-exportcert", "-rfc"], check=True, capture_output=True).stdout
    (tmp_path / "ca.pem").write_bytes(pem)
    (tmp_path / "password").write_text("worker-word\n")
    more = [
        f"ssl.keystore.location={store}", f"ssl.keystore.password={word}", "ssl.keystore.type=PKCS12",
        "sasl.enabled.mechanisms=SCRAM-SHA-512",
        "listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;",
    ]  # fmt: skip
    user = "SCRAM-SHA-512=[name=worker,password=worker-word]"
    broker = single_node.Broker(tmp_path, 0, [("SECURE", port, "SASL_SSL")], more, ["--add-scram", user])
    broker.start()
    secure = 'security = "sasl_ssl"\nusername = "worker"\npassword_file = "{}"\nca_file = "{}"\nclock = "events"\n'
    cluster = None
    try:
        (tmp_path / "wrong").write_text("guessed")
        refused = (secure.format("wrong", "ca.pem"), secure.format("password", "").replace('ca_file = ""\n', ""), "")
        files = [tmp_path / f"wrong{i}.toml" for i in range(len(refused))]
        for file, settings in zip(files, refused, strict=True):
            file.write_text(f'[kafka]\nbrokers = "127.0.0.1:{port}"\n{settings}')
        with ThreadPoolExecutor() as pool:  # each tries for ten seconds
            for said in pool.map(lambda file: _earlywarning("topics", "check", "--settings", file, fine=False), files):
                assert "guessed" not in said
                assert "worker-word" not in said
        cluster = Cluster(tmp_path, f"127.0.0.1:{port}", "tls", secure.format("password", "ca.pem"))
        cluster.publish([town])
        cluster.start_worker()
        settings_file = town / "earlywarning.toml"
        own = cluster.file.read_text().split("[store]")[0]
        for name in ("password", "ca.pem"):  # it lies elsewhere
            own = own.replace(f'"{name}"', f'"{tmp_path / name}"')
        settings_file.write_text(settings_file.read_text() + own)
        (tmp_path / "events.jsonl").write_bytes(encode_events(made_events(5, CODE)))
        _earlywarning("produce", tmp_path / "events.jsonl", "--settings", settings_file)
        until(lambda: sum(n for (n,) in _rows(cluster)) == 5, "five events over TLS", cluster)
        assert "worker-word" not in cluster.log()
    finally:
        if cluster is not None:
            cluster.close()
        broker.stop()


@pytest.mark.parametrize("cluster", ['clock = "events"\nsession_seconds = 6\n'], indirect=True)
def test_a_worker_that_was_suspended_for_longer_than_its_session_writes_nothing_more(cluster: Cluster, town: Path) -> None:
    cluster.publish([town])
    worker = cluster.start_worker()
    until(lambda: "state is there" in cluster.log(), "a worker", cluster)
    worker.send_signal(signal.SIGSTOP)
    time.sleep(6)
    worker.send_signal(signal.SIGCONT)
    assert worker.wait(60) == 76
    assert "suspended" in cluster.log()
    cluster.workers.remove(worker)
    assert json.dumps(cluster.changelog()) == "{}"
