"""Makes a backup: store, settings, registers and plan of one moment in one file, while the service runs and writes."""

import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from earlywarning import __version__
from earlywarning.runtimes.archive import (
    AREAS,
    CATEGORIES,
    FORMAT,
    PLAN,
    SETTINGS,
    STORE,
    BackupError,
    Manifest,
    part_of,
    write_archive,
)
from earlywarning.runtimes.assembly import register_files
from earlywarning.settings import Settings
from earlywarning.settings_text import without_password
from earlywarning.store.folders import keep_folder
from earlywarning.store.snapshot import counts, leave_out_secrets, opened, take_snapshot

_STALE = 86_400.0  # seconds: no backup takes as long
_NOT_IN_IT = (
    "secrets that the settings name: password and key files, environment variables, ~/.pgpass",
    "certificates and templates that the settings name",
    "models, built-in tables and the program itself: they come with the program's version",
)


def back_up(settings: Settings, to: Path, *, keep: int = 0, passwords: bool = False) -> tuple[Path, Manifest]:
    """Write a backup to a new file, or into a folder under a name of its own; it appears whole or not at all.

    keep: of a folder's backups of this municipality only so many newest stay (0: all). passwords: whether the hashes of
    passwords go with it. Returns where it is. Raises BackupError, StoreError, RegisterError, SettingsError.
    """
    now = datetime.now(UTC)
    folder = to if to.is_dir() else to.parent
    stem = f"earlywarning-{settings.municipality.code}-"
    final = to / f"{stem}{now:%Y%m%dT%H%M%SZ}.zip" if to.is_dir() else to
    if keep and not to.is_dir():
        raise BackupError("--keep wants a folder, in which each backup has a name of its own")
    if final.exists():
        raise BackupError(f"{final} exists already; name another file, or a folder")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{stem}", dir=folder) as work:
            manifest = _make(settings, Path(work), now, passwords=passwords)
            (Path(work) / "backup.zip").rename(final)
        keep_folder(folder)
    except OSError as error:
        raise BackupError(f"{final} cannot be written ({error.strerror or error}); check the folder and its free space") from error
    if keep:
        for old in sorted(folder.glob(f"{stem}[0-9]*T[0-9]*Z.zip"))[:-keep]:
            old.unlink()
        for left in folder.glob(f".{stem}*"):  # of a backup that was killed
            if left.is_dir() and not left.is_symlink() and time.time() - left.stat().st_mtime > _STALE:
                shutil.rmtree(left, ignore_errors=True)
    return final, manifest


def _make(settings: Settings, work: Path, now: datetime, *, passwords: bool) -> Manifest:
    parts = {STORE: work / STORE}
    # Of the registers and settings what is in force now: a moment before the store's, so nothing in it is newer than them.
    for name, data in (
        (SETTINGS, without_password(settings.text).encode()),
        *zip((AREAS, CATEGORIES), register_files(settings), strict=True),
    ):
        if data is not None:
            parts[name] = work / name
            parts[name].write_bytes(data)
    schema = take_snapshot(settings.store_url, parts[STORE])
    left_out = [*leave_out_secrets(parts[STORE], passwords=passwords), *_NOT_IN_IT]
    if without_password(settings.text) != settings.text:
        left_out.append("the password in a URL of the settings, which stands as ***: put it into ~/.pgpass")
    clock, plan = _stands(parts[STORE], settings.municipality.code)
    if plan is not None:
        parts[PLAN] = work / PLAN
        parts[PLAN].write_text(plan, encoding="utf-8")
    manifest = Manifest(
        format=FORMAT,
        schema=schema,
        program=__version__,
        municipality=settings.municipality.code,
        name=settings.municipality.name,
        made_at=now,
        database="sqlite" if settings.store_url.startswith("sqlite") else "postgresql",
        settings_version=settings.version,
        clock=clock,
        tables=counts(parts[STORE]),
        registers={"areas": settings.registers.areas, "categories": settings.registers.categories},
        left_out=left_out,
        parts=[part_of(name, file) for name, file in parts.items()],
    )
    write_archive(work / "backup.zip", manifest, parts)
    return manifest


def _stands(store: Path, municipality: str) -> tuple[tuple[int, int] | None, str | None]:
    """The clock, and the action plan in force as JSON."""
    with opened(store) as connection:
        one = {"one": municipality}
        state = connection.execute(sa.text("select clock_day, clock_hour from engine_state where municipality = :one"), one).first()
        plan = None
        if sa.inspect(connection).has_table("plans"):
            newest = "select body from plans where municipality = :one order by number desc limit 1"
            plan = connection.execute(sa.text(newest), one).scalar()
        return None if state is None else (state[0], state[1]), plan
