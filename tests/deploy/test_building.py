"""The wheel: the same from any place, with all that the service needs and nothing else; a bill of what it is made of."""

import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

from earlywarning import __version__
from tests.conftest import left_out

ROOT = Path(__file__).parents[2]


def _build(source: Path, out: Path, umask: int, zone: str) -> Path:
    """A wheel of the committed files, copied elsewhere."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "pyproject.toml", "README.md", "LICENSE", "src"], cwd=ROOT, capture_output=True, check=True
    )
    for name in files.stdout.decode().strip("\0").split("\0"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out],
        cwd=source, check=True, capture_output=True, umask=umask,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000", "TZ": zone},
    )  # fmt: skip
    return next(out.glob("*.whl"))


def test_two_builds_are_equal_and_hold_the_service_and_nothing_else(tmp_path: Path) -> None:
    one = _build(tmp_path / "one", tmp_path / "a", 0o022, "UTC")
    other = _build(tmp_path / "another" / "place", tmp_path / "b", 0o077, "Asia/Tokyo")
    assert hashlib.sha256(one.read_bytes()).digest() == hashlib.sha256(other.read_bytes()).digest()
    with zipfile.ZipFile(one) as wheel:
        names = wheel.namelist()
    assert {name.split("/")[0] for name in names} == {"earlywarning", f"earlywarning-{__version__}.dist-info"}
    tracked = subprocess.run(["git", "ls-files", "src/earlywarning"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {n for n in names if n.startswith("earlywarning/")} == {n.removeprefix("src/") for n in tracked.stdout.split()}


def test_every_dependency_is_locked_with_hashes() -> None:
    locked = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z0-9])", locked)
    assert len(entries) > 50
    for entry in entries:
        if entry.strip() and not entry.startswith("#"):
            assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_the_bill_of_materials_names_every_locked_dependency_with_its_hashes(tmp_path: Path) -> None:
    if find_spec("cyclonedx_py") is None:
        left_out("cyclonedx-bom is not installed: make test sets it up")
    out = tmp_path / "sbom.json"
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "cyclonedx_py",
        "requirements",
        "--pyproject",
        "pyproject.toml",
        "--output-reproducible",
    ]
    subprocess.run([*command, "--validate", "-o", out, "requirements.lock"], cwd=ROOT, check=True, capture_output=True)
    bill = json.loads(out.read_text())
    locked = dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert {c["name"]: c["version"] for c in bill["components"]} == locked
    assert all(reference["hashes"] for c in bill["components"] for reference in c["externalReferences"])
    assert bill["metadata"]["component"]["name"] == "earlywarning"
