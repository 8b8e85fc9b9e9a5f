"""Apache Kafka (KRaft) as one node on this machine, from the jars that Maven brings: for tests, benchmarks and trying out.

    python deploy/kafka/single_node.py [PORT]

starts a broker on 127.0.0.1 with its data in a temporary folder, and ends it on Ctrl-C. Needs Java 17 or newer, and Maven
for the first time.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
JARS = HERE / "target" / "dependency"
INSTALL = "Apache Kafka needs Java and Maven; on Debian: apt-get install openjdk-17-jre-headless maven"
PATIENCE = 60.0  # seconds for the broker to start
MEMORY = ("-Xms256m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


class BrokerError(RuntimeError):
    """The broker did not start; holds the end of its log."""


def missing() -> str:
    """What must be installed before a broker can start; empty when nothing."""
    if shutil.which("java") is None:
        return INSTALL
    return "" if any(JARS.glob("kafka_2.13-*.jar")) or shutil.which("mvn") else INSTALL


def fetch_jars() -> None:
    """Bring the jars below deploy/kafka/target, once. Raises BrokerError with Maven's words when that fails.

    Of several processes one does, and the others wait until all the jars are there.
    """
    pom = HERE / "pom.xml"
    with pom.open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if any(JARS.glob("kafka_2.13-*.jar")):
            return
        done = subprocess.run(
            ["mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies"], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise BrokerError(f"Maven could not bring Kafka's jars: {(done.stdout + done.stderr)[-2000:]}")


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Broker:
    """One broker, which is its own controller. `start` after `stop` or `kill` goes on with the same data on the same port.

    listeners: further (name, port, protocol) beside the plain one; more: further lines of server.properties.
    """

    def __init__(
        self, folder: Path, port: int = 0, listeners: Sequence[tuple[str, int, str]] = (), more: Sequence[str] = (),
        format_options: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.folder, self.port = folder, port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder / "broker.log"
        self._properties = folder / "server.properties"
        controller = free_port()
        named = [("PLAIN", self.port, "PLAINTEXT"), *listeners]
        shown = ",".join(f"{name}://127.0.0.1:{number}" for name, number, _ in named)
        protocols = ",".join(f"{name}:{protocol}" for name, _, protocol in [*named, ("CONTROLLER", 0, "PLAINTEXT")])
        lines = [
            "process.roles=broker,controller",
            "node.id=1",
            f"controller.quorum.voters=1@127.0.0.1:{controller}",
            "controller.listener.names=CONTROLLER",
            f"listeners={shown},CONTROLLER://127.0.0.1:{controller}",
            f"advertised.listeners={shown}",
            f"listener.security.protocol.map={protocols}",
            "inter.broker.listener.name=PLAIN",
            f"log.dirs={folder / 'data'}",
            "offsets.topic.replication.factor=1",
            "offsets.topic.num.partitions=4",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.num.partitions=1",
            "transaction.state.log.min.isr=1",
            "share.coordinator.state.topic.replication.factor=1",
            "share.coordinator.state.topic.min.isr=1",
            "group.initial.rebalance.delay.ms=0",
            "auto.create.topics.enable=false",
            "message.max.bytes=16777216",
            "replica.fetch.max.bytes=16777216",
            "log.cleaner.dedupe.buffer.size=16777216",
            "controlled.shutdown.enable=false",
            *more,
        ]
        self._properties.write_text("\n".join(lines) + "\n")
        self._java(
            "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", str(self._properties), *format_options
        )

    @property
    def address(self) -> str:
        """host:port of the plain listener."""
        return f"127.0.0.1:{self.port}"

    def _command(self, *words: str) -> list[str]:
        return ["java", *MEMORY, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{JARS}/*", *words]

    def _java(self, *words: str) -> None:
        done = subprocess.run(self._command(*words), capture_output=True, text=True, check=False)
        if done.returncode:
            raise BrokerError(f"{' '.join(words[:2])}: {(done.stdout + done.stderr)[-2000:]}")

    def start(self) -> None:
        """Start and wait until it answers. Raises BrokerError."""
        with self._log.open("ab") as out:
            command = self._command("kafka.Kafka", str(self._properties))
            self._process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise BrokerError(f"the broker did not start: {self._log.read_text()[-3000:]}")
            time.sleep(0.1)

    def _answers(self) -> bool:
        from kafka.admin import KafkaAdminClient
        from kafka.errors import KafkaError

        try:
            KafkaAdminClient(bootstrap_servers=self.address, request_timeout_ms=5000).close()
        except KafkaError:
            return False
        return True

    def stop(self) -> None:
        """End it in order."""
        self._end(signal.SIGTERM, 30)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL, 10)

    def _end(self, number: int, patience: float) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            os.kill(self._process.pid, number)
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def main() -> None:
    """Run a broker until Ctrl-C."""
    if problem := missing():
        sys.exit(problem)
    fetch_jars()
    folder = Path(tempfile.mkdtemp(prefix="earlywarning-kafka-"))
    broker = Broker(folder, int(sys.argv[1]) if len(sys.argv) > 1 else 9092)
    broker.start()
    print(f"Apache Kafka at {broker.address}; data in {folder}; Ctrl-C ends it", flush=True)
    try:
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
