"""Looks through the locked dependencies: each pinned with hashes, its licence fit for EUPL-1.2, and known holes where advisories are.

    python deploy/audit.py requirements.lock [FOLDER]

FOLDER: OSV files, such as PyPA's advisory database in JSON or YAML. Exit code: 0 all is well; 1 something is not; 3 all else is
well, but without advisories nobody has looked for known holes.
"""

import json
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

# Words by which licences are known that code under EUPL-1.2 may be used with, as dependencies that stay what they are.
FIT = (
    "mit", "bsd", "apache", "isc", "python software foundation", "psf", "mpl", "mozilla", "unlicense", "zlib", "hpnd", "lgpl",
    "lesser general public", "cnri", "0bsd", "public domain", "blueoak", "cc0", "eupl", "repoze",  # Repoze: BSD's, in other words
)  # fmt: skip
_PIN = re.compile(r"^([A-Za-z0-9_.-]+)==(\S+)", re.MULTILINE)
NOBODY_LOOKED = 3


def pins(lock: str) -> Iterator[tuple[str, str, bool]]:
    """Name, version, and whether there is a hash, of each entry of a lock; a line that pins nothing comes without a version."""
    for entry in re.split(r"\n(?=[A-Za-z0-9])", re.sub(r"(?m)^\s*#.*\n", "", lock)):
        if found := _PIN.match(entry):
            yield str(canonicalize_name(found[1])), found[2], "--hash=sha256:" in entry
        elif entry.strip():
            yield entry.split()[0], "", False


def licence(name: str) -> str:
    """What an installed package says of its licence; empty when it says nothing or is not installed."""
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    classifiers = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
    told = about.get("License-Expression") or "; ".join(c for c in classifiers if c != "OSI Approved")
    files = [f for f in metadata.files(name) or [] if "dist-info" in str(f) and "LICENSE" in f.name.upper()]
    return str(told or (about.get("License") or "").split("\n")[0] or (files[0].read_text().split("\n")[0] if files else ""))


def fits(said: str) -> bool:
    """Whether a licence is one of those that fit."""
    return any(word in said.lower() for word in FIT)


def hit(advisory: dict[str, Any], name: str, version: str) -> bool:
    """Whether an OSV advisory is about this version of a package."""
    for affected in advisory.get("affected", []):
        package = affected.get("package", {})
        if package.get("ecosystem") != "PyPI" or canonicalize_name(package.get("name", "")) != name:
            continue
        if version in affected.get("versions", []):
            return True
        for span in affected.get("ranges", []):
            if span.get("type") == "ECOSYSTEM" and _within(span.get("events", []), version):
                return True
    return False


def _within(events: list[dict[str, str]], version: str) -> bool:
    inside = False
    try:
        now = Version(version)
        for event in events:
            if "introduced" in event and (event["introduced"] == "0" or now >= Version(event["introduced"])):
                inside = True
            if "fixed" in event and now >= Version(event["fixed"]):
                inside = False
            if "last_affected" in event and now > Version(event["last_affected"]):
                inside = False
    except InvalidVersion:
        return False
    return inside


def advisories(folder: Path) -> Iterator[dict[str, Any]]:
    """Advisories that were not withdrawn."""
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".json", ".yaml", ".yml"):
            text = file.read_text(encoding="utf-8")
            said = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
            if isinstance(said, dict) and "affected" in said and not said.get("withdrawn"):
                yield said


def main(lock: Path, folder: Path | None) -> int:
    """Print what was found."""
    locked = list(pins(lock.read_text(encoding="utf-8")))
    problems = []
    for name, version, hashed in locked:
        if not version or not hashed:
            problems.append(f"{name}: is not pinned with a hash")
        said = licence(name)
        print(f"{name} {version}: {said or 'not installed here, or says no licence'}")
        if said and not fits(said):
            problems.append(f"{name}: its licence ({said}) is not one of those known to fit EUPL-1.2; look at it")
    known = list(advisories(folder)) if folder is not None else []
    for advisory in known:
        for name, version, _ in locked:
            if version and hit(advisory, name, version):
                problems.append(f"{name} {version}: {advisory.get('id')}: {str(advisory.get('summary', ''))[:100]}")
    print(*problems, f"{len(locked)} packages, {len(known)} advisories, {len(problems)} problems", sep="\n")
    if problems:
        return 1
    if not known:
        print("No advisories at hand: nobody has looked for known holes. Name a folder of OSV files with ADVISORIES=")
        return NOBODY_LOOKED
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))
