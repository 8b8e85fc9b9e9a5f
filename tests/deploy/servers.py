"""Prometheus and Alertmanager of Debian on free loopback ports, for tests: started, waited for, ended."""

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.conftest import debian_program

PATIENCE = 30.0  # seconds for anything that is waited for


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def until(true: Callable[[], Any], what: str, log: Path | None = None) -> Any:
    """Ask again and again until the answer is true. The pause only spares the processor."""
    deadline = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < deadline, f"{what} did not come about. {log.read_text()[-2000:] if log else ''}"
        time.sleep(0.05)
    return found


class Server:
    """A server in a process of its own, which answers at /-/ready when it is there."""

    def __init__(self, name: str, package: str, folder: Path, options: Sequence[str | Path]) -> None:
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{name}.log"
        command = [debian_program(name, package), *map(str, options), f"--web.listen-address=127.0.0.1:{self.port}"]
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        self.client = httpx.Client(base_url=self.address, timeout=20)
        until(self._ready, f"{name}'s start", self.log)

    def _ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-2000:]
        try:
            return self.client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(timeout=20)


def alertmanager(folder: Path, settings: Path) -> Server:
    """Alertmanager that no other one can join."""
    options = [f"--config.file={settings}", f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address="]
    return Server("prometheus-alertmanager", "prometheus-alertmanager", folder, options)


class Prometheus(Server):
    """Prometheus that looks every second. targets: address (host:port) by job."""

    def __init__(
        self, folder: Path, targets: dict[str, str], rules: Sequence[Path] = (), alertmanagers: Sequence[str] = ()
    ) -> None:
        settings = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(r) for r in rules],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]},
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [t]}]} for job, t in targets.items()],
        }
        file = folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(settings))
        options = [f"--config.file={file}", f"--storage.tsdb.path={folder / 'prometheus'}", "--enable-feature=exemplar-storage"]
        super().__init__("prometheus", "prometheus", folder, options)

    def ask(self, query: str) -> list[dict[str, Any]]:
        """The series that a query gives now."""
        answer = self.client.get("/api/v1/query", params={"query": query})
        assert answer.status_code == 200, f"{query}: {answer.text}"
        result = answer.json()["data"]["result"]
        return list(result) if isinstance(result, list) else []
