"""The look through the locked dependencies finds what it is for, and says when it has not looked."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HASH = "--hash=sha256:" + "0" * 64


def audit(*arguments: str | Path) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / "deploy/audit.py"), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout + run.stderr


def test_the_lock_is_pinned_with_hashes_and_its_licences_fit_and_known_holes_are_not_claimed_to_be_none() -> None:
    code, said = audit(ROOT / "requirements.lock")
    assert code == 3, said[-2_000:]
    assert "nobody has looked" in said


@pytest.mark.parametrize(
    ("version", "code"),
    [("1.0", 0), ("2.0", 1), ("2.4", 1), ("2.5", 0), ("3.1", 1)],
    ids=["before", "first", "in", "mended", "named"],
)
def test_a_version_with_a_known_hole_is_named(tmp_path: Path, version: str, code: int) -> None:
    advisory = {
        "id": "TEST-1",
        "affected": [
            {
                "package": {"ecosystem": "PyPI", "name": "No_Such.Package"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2.0"}, {"fixed": "2.5"}]}],
                "versions": ["3.1"],
            }
        ],
    }
    (tmp_path / "known").mkdir()
    (tmp_path / "known" / "one.json").write_text(json.dumps(advisory))
    (tmp_path / "lock").write_text(f"no-such-package=={version} \\\n    {HASH}\n    # via something\n")
    answer, said = audit(tmp_path / "lock", tmp_path / "known")
    assert answer == code
    assert ("TEST-1" in said) == bool(code)


def test_what_has_no_hash_is_named(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("some-package==1.0\n")
    code, said = audit(tmp_path / "lock")
    assert code == 1
    assert "some-package: is not pinned with a hash" in said
