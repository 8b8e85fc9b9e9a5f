"""Verifies a backup or a store: each part by its hash, the store by `checking.py`, and on request by a rebuild."""

import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from earlywarning.runtimes.archive import STORE, Archive, BackupError, Manifest
from earlywarning.runtimes.checking import Check, check_store
from earlywarning.runtimes.rebuilding import Compared, rebuild
from earlywarning.runtimes.restoring import FILE, check_schema, restore
from earlywarning.settings import Settings, load_settings
from earlywarning.store import Store, StoreError
from earlywarning.store.opening import migrate, schema_of
from earlywarning.store.snapshot import counts, opened, take_snapshot


class Wanted(NamedTuple):
    """What a rebuild goes by: files of suppliers in place of the pages, their mapping, and the first judged day."""

    files: Sequence[Path] = ()
    mapping: str = ""
    judged_from: date | None = None


class Verified(NamedTuple):
    """What was found."""

    checks: list[Check]
    compared: Compared | None = None
    manifest: Manifest | None = None

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong."""
        return not any(check.problems for check in self.checks) and not (self.compared and self.compared.differences)


def verify_backup(file: Path, wanted: Wanted | None = None) -> Verified:
    """Check a backup without restoring it anywhere. Raises BackupError when it cannot be read at all, StoreError."""
    with tempfile.TemporaryDirectory(prefix="earlywarning-verify-") as folder, Archive(file) as archive:
        work, manifest = Path(folder), archive.manifest
        check_schema(manifest, str(file))
        for part in manifest.parts:
            archive.unpack(part.name, work / part.name)
        parts = Check("parts", f"{len(manifest.parts)} parts, each as its SHA-256 says", [])
        checks = [parts, *_against(manifest, work / STORE)]
        if not checks[-1].problems:
            _bring_up(work / STORE)
            checks += check_store(work / STORE, database=manifest.database, at=manifest.made_at)
        compared = None
        if wanted is not None and not any(check.problems for check in checks):
            restored = restore(file, into=work / "restored")
            settings = load_settings(work / "restored" / FILE)
            with Store.open(restored.store) as store:
                compared = rebuild(store, settings, wanted.files, wanted.mapping, wanted.judged_from)
    return Verified(checks, compared, manifest)


def verify_store(settings: Settings, wanted: Wanted | None = None) -> Verified:
    """Check a store, also while a service writes to it: a snapshot of one moment is looked through. Raises StoreError."""
    with tempfile.TemporaryDirectory(prefix="earlywarning-verify-") as folder:
        file = Path(folder) / STORE
        take_snapshot(settings.store_url, file)
        _bring_up(file)
        database = "sqlite" if settings.store_url.startswith("sqlite") else "postgresql"
        checks = check_store(file, database=database, at=datetime.now(UTC))
        compared = None
        if wanted is not None and not any(check.problems for check in checks):
            with Store.open(f"sqlite:///{file}") as store:
                compared = rebuild(store, settings, wanted.files, wanted.mapping, wanted.judged_from)
    return Verified(checks, compared)


def _bring_up(file: Path) -> None:
    try:
        migrate(f"sqlite:///{file}", "head")
    except SQLAlchemyError as error:
        raise StoreError(f"the store cannot be brought to the newest schema: {str(error).splitlines()[0]}") from error


def _against(manifest: Manifest, store: Path) -> list[Check]:
    """What the manifest says of the store beside the store."""
    try:
        with opened(store) as connection:
            schema = schema_of(connection)
        held = counts(store)
    except SQLAlchemyError as error:
        raise BackupError(f"the store in the backup cannot be read: {str(error).splitlines()[0]}") from error
    problems = [] if schema == manifest.schema else [f"manifest: says schema {manifest.schema}, the store has {schema}"]
    for name in sorted(held.keys() | manifest.tables.keys()):
        said, there = manifest.tables.get(name), held.get(name)
        if said != there:
            problems.append(f"manifest: says {said} rows in {name}, the store has {there}")
    return [Check("manifest", f"{sum(held.values()):,} rows in {len(held)} tables", problems)]
