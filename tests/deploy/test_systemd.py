"""The systemd units: their sandbox, its score, and that the service runs where no memory can be both written and executed."""

import configparser
import ctypes
import re
import subprocess
import sys
from pathlib import Path

import pytest

from earlywarning.cli.app import app
from tests.conftest import debian_program, left_out
from tests.deploy.test_manifests import DEPLOY
from tests.web.conftest import Running, body, write_town

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
DOCUMENT = (DEPLOY / "README.md").read_text()
PR_SET_MDWE, REFUSE_EXEC_GAIN = 65, 1
DIFFER = {"execstart", "restart", "restartsec", "ipaddressallow", "killsignal", "timeoutstopsec", "timeoutstartsec"}
# Of the backup: a process that ends, beside the service and as its user, when nothing else wants the machine.
DIFFER |= {"type", "user", "statedirectory", "nice", "ioschedulingclass"}


def _unit(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.read(path)
    return {section: dict(parser[section]) for section in parser.sections()}


@pytest.mark.parametrize("path", UNITS, ids=lambda p: p.name)
def test_the_sandbox_scores_as_the_document_says(path: Path) -> None:
    said = re.search(rf"`{re.escape(path.name)}` \| ([\d.]+) ", DOCUMENT)
    assert said is not None
    command = [debian_program("systemd-analyze", "systemd"), "security", "--offline=true", "--no-pager", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout + done.stderr
    # Other versions of systemd weigh other things: never worse than what is promised.
    assert float(found.group(1)) <= float(said.group(1))


def test_all_units_have_the_same_sandbox() -> None:
    first, *others = ({k: v for k, v in _unit(path)["Service"].items() if k not in DIFFER} for path in UNITS)
    assert len(others) == 2
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("earlywarning.service", ["run"]),
        ("earlywarning@.service", ["worker"]),
        ("earlywarning@.service", ["desk"]),
        ("earlywarning-backup.service", ["backup", "verify"]),
    ],
)
def test_a_unit_starts_commands_that_there_are(name: str, what: list[str]) -> None:
    lines = re.findall(r"(?m)^ExecStart=(.*)$", (DEPLOY / "systemd" / name).read_text())
    parsed = [app.parse_args(line.replace("%i", what[0]).split()[1:], exit_on_error=False, print_error=False) for line in lines]
    assert [command.__name__ for command, *_ in parsed] == what
    assert all(str(bound.arguments["settings"]).startswith("/etc/earlywarning/") for _, bound, *_ in parsed)


def test_the_timer_starts_the_backup_of_its_name() -> None:
    timer = _unit(DEPLOY / "systemd" / "earlywarning-backup.timer")
    assert set(timer) == {"Unit", "Timer", "Install"}
    assert "unit" not in timer["Timer"], "without it, the service of the same name"
    assert (DEPLOY / "systemd" / "earlywarning-backup.service").is_file()


def _no_executable_memory() -> None:
    ctypes.CDLL(None).prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, 0, 0, 0)


def test_the_service_runs_without_memory_that_is_written_and_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What MemoryDenyWriteExecute= asks of the kernel, which has the call since 6.3; older ones are left to systemd's own filter.
    script = "import ctypes, sys; sys.exit(ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0)"
    if subprocess.run([sys.executable, "-c", script], check=False).returncode:
        left_out("this kernel cannot refuse it to a process by itself (needs Linux 6.3)")
    write_town(tmp_path)
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: start(*a, **k, preexec_fn=_no_executable_memory))
    service = Running(tmp_path)
    try:
        assert service.send([body(1)]).json()["counts"] == {"accepted": 1}
    finally:
        service.stop()
