"""Restores a backup: a whole folder with settings, registers and store, or the rows alone into another store."""

import re
import shutil
import tempfile
import tomllib
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from earlywarning import __version__
from earlywarning.runtimes.archive import (
    AREAS,
    CATEGORIES,
    PLAN,
    SETTINGS,
    STORE,
    Archive,
    BackupError,
    Manifest,
    part_of,
    write_archive,
)
from earlywarning.settings_text import without_password
from earlywarning.store.opening import known_schemas, migrate
from earlywarning.store.replacing import put_in_place
from earlywarning.store.snapshot import counts, take_snapshot

FILE = "earlywarning.toml"


class Restored(NamedTuple):
    """What a restore did: the backup's manifest, where the store is now, the settings file (None: rows only), where the
    old store was kept, and what the operator should know."""

    manifest: Manifest
    store: str
    settings: Path | None
    kept: str
    notes: list[str]


def restore(file: Path, *, into: Path | None = None, store: str = "", replace: bool = False) -> Restored:
    """Put a backup in place. into: a folder for settings, registers and, without `store`, a SQLite store. store: a URL.

    The whole backup is checked before anything is written. Raises BackupError, StoreLocked, StoreError.
    """
    if into is None and not store:
        raise BackupError("say where to: --into FOLDER for settings, registers and store, or --store URL for the store alone")
    stamp = f".replaced-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    target_folder = into if into is not None else _folder_of(store, file)
    with Archive(file) as archive:
        check_schema(archive.manifest, str(file))
        target_folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=target_folder) as folder:
            work = Path(folder)
            for part in archive.manifest.parts:
                archive.unpack(part.name, work / part.name)
            files, url, notes = _planned(archive.manifest, work, into, store)
            if not replace and (there := [str(f) for f in files if f.exists()]):
                raise BackupError(
                    f"{', '.join(there)} is there already; name another folder, or add --replace, which keeps it aside"
                )
            try:
                migrate(f"sqlite:///{work / STORE}", "head")
            except SQLAlchemyError as error:
                raise BackupError(f"{file}: its store cannot be brought to schema {known_schemas()[-1]} ({error})") from error
            where = {"kept": ""}

            def keep_old() -> None:
                where["kept"] = str(file.with_name(f"{file.name}{stamp}.zip"))
                _keep_rows(url, archive.manifest, work, Path(where["kept"]))

            snapshot = _beside(work / STORE, url)
            try:
                kept = put_in_place(snapshot, url, stamp, replace=replace, keep_old=keep_old)
            finally:
                snapshot.unlink(missing_ok=True)
            for to, content in files.items():
                if to.exists():
                    to.rename(f"{to}{stamp}")
                to.write_bytes(content)
                to.chmod(0o600)
            settings = into / FILE if into is not None else None
            return Restored(archive.manifest, without_password(url), settings, where["kept"] or kept, notes)


def check_schema(manifest: Manifest, shown: str) -> None:
    """Refuse a backup of a newer version. Raises BackupError."""
    known = known_schemas()
    if manifest.schema not in known:
        raise BackupError(
            f"{shown} has schema {manifest.schema}, made by earlywarning {manifest.program}; this is earlywarning {__version__}, "
            f"which knows schemas up to {known[-1]}: restore it with earlywarning {manifest.program} or newer"
        )


def _folder_of(url: str, file: Path) -> Path:
    return Path(url.removeprefix("sqlite:///")).absolute().parent if url.startswith("sqlite:///") else file.absolute().parent


def _beside(snapshot: Path, url: str) -> Path:
    """A SQLite store is put in place by a rename, so it must be on the same file system."""
    folder = _folder_of(url, snapshot)
    if not url.startswith("sqlite:///") or folder == snapshot.parent:
        return snapshot
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix=".restore-", dir=folder, delete=False) as to:  # readable by its owner only
        shutil.copyfile(snapshot, to.name)
    return Path(to.name)


def _keep_rows(url: str, like: Manifest, work: Path, to: Path) -> None:
    """The old rows of a PostgreSQL store, as a backup without settings."""
    old = work / "old.sqlite"
    schema = take_snapshot(url, old)
    manifest = Manifest(
        format=like.format, schema=schema, program=__version__, municipality=like.municipality, name=like.name,
        made_at=datetime.now(UTC), database="postgresql", settings_version="", clock=None, tables=counts(old), registers={},
        left_out=["settings and registers"], parts=[part_of(STORE, old)],
    )  # fmt: skip
    write_archive(to, manifest, {STORE: old})


def _planned(manifest: Manifest, work: Path, into: Path | None, store: str) -> tuple[dict[Path, bytes], str, list[str]]:
    """The files to write and what they hold, the store's URL, and notes."""
    if into is None:
        return {}, store, ["settings and registers of the backup were not restored: they are put into a folder with --into"]
    if not (work / SETTINGS).is_file():
        raise BackupError("this backup holds no settings, only rows: restore them with --store URL")
    notes: list[str] = []
    text = (work / SETTINGS).read_text(encoding="utf-8")
    said = str(tomllib.loads(text).get("store", {}).get("url", ""))
    files: dict[Path, bytes] = {}
    for key, part in (("areas", AREAS), ("categories", CATEGORIES)):
        named = manifest.registers.get(key, "")
        if not (work / part).is_file() or named.startswith("builtin:") or not named:
            continue
        if not _stays_inside(named):
            text = with_value(text, "registers", key, part)
            notes.append(f"registers.{key} was {named}; it is {part} beside the settings now")
            named = part
        files[into / named] = (work / part).read_bytes()
    url = store
    if not url:
        name = said.removeprefix("sqlite:///")
        if not said.startswith("sqlite:///") or not _stays_inside(name):
            name = "earlywarning.db"
        url = f"sqlite:///{name}"
    if url != said and without_password(url) != said:
        text = with_value(text, "store", "url", without_password(url))
        notes.append(f"store.url was {said}; it is {without_password(url)} now")
    if without_password(url) != url:
        notes.append(
            "the password of the store's URL stands as *** in the settings: put it into ~/.pgpass and take it out of the URL"
        )
    files[into / FILE] = text.encode()
    if (work / PLAN).is_file():
        notes.append("the action plan is in the store, with all its versions")
    if not store:
        url = f"sqlite:///{(into / url.removeprefix('sqlite:///')).absolute()}"
    return files, url, notes


def _stays_inside(name: str) -> bool:
    """Whether a file's name leads nowhere but into the folder that it is taken relative to."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\\" not in name and len(path.parts) == 1


def with_value(text: str, section: str, key: str, value: str) -> str:
    """A TOML text in which a key has another value; all else, comments included, stays. Raises BackupError."""
    document = tomllib.loads(text)
    line = re.compile(rf"(?ms)(^\[{section}\][^\n]*$(?:(?!^\[).)*?^\s*{key}\s*=\s*)(\"[^\"\n]*\"|'[^'\n]*')")
    after, n = line.subn(lambda m: m.group(1) + '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"', text, count=1)
    if not n:
        after, n = re.subn(rf"(?m)^\[{section}\][^\n]*$", lambda m: f'{m.group(0)}\n{key} = "{value}"', text, count=1)
    if not n:
        after = f'{text}\n[{section}]\n{key} = "{value}"\n'
    try:
        now = tomllib.loads(after)
    except tomllib.TOMLDecodeError as error:
        raise BackupError(f"{section}.{key} of the settings could not be set to {value!r} ({error})") from error
    wanted = {**document, section: {**document.get(section, {}), key: value}}
    if now != wanted:
        raise BackupError(
            f"{section}.{key} of the settings could not be set to {value!r}; restore with --store, and write it by hand"
        )
    return after
