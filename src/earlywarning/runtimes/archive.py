"""The file that a backup is: a ZIP archive of a few named parts, its own digest at its end, and nothing that it could overwrite.

The last 64 bytes are the SHA-256, in hexadecimal digits, of all bytes before them: they stand in ZIP's own comment, so any
program opens the file. A byte that was changed anywhere, or a file that was cut short, is found by that alone. The digest
tells damage, not who made the file.
"""

import hashlib
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

FORMAT = 1
MANIFEST, STORE, SETTINGS, AREAS, CATEGORIES, PLAN = (
    "manifest.json", "store.sqlite", "settings.toml", "areas.geojson", "categories.csv", "plan.json",
)  # fmt: skip
PARTS = (STORE, SETTINGS, AREAS, CATEGORIES, PLAN)
_COMMENT = b"earlywarning backup, sha256 of all before: "
_DIGITS = 64
_LONGEST = {MANIFEST: 1 << 20, SETTINGS: 4 << 20, PLAN: 64 << 20, AREAS: 512 << 20, CATEGORIES: 64 << 20}
_CHUNK = 1 << 20
_BOMB = 64 << 20  # a part larger than this must not have been packed better than ...
_BEST = 200  # ... this many to one: rows of a store never are


class BackupError(RuntimeError):
    """A backup that cannot be made, read or restored; says what to do."""


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a backup: its length in bytes, and its SHA-256."""

    name: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself.

    schema: the store's. program: the version that made it. database: which one the store was in. clock: the engine's local
    day and its hour since 1970; None where it has not begun. tables: rows in each. registers: as the settings name them.
    left_out: what is not in it, in words.
    """

    format: int
    schema: str
    program: str
    municipality: str
    name: str
    made_at: datetime
    database: str
    settings_version: str
    clock: tuple[int, int] | None
    tables: dict[str, int]
    registers: dict[str, str]
    left_out: list[str]
    parts: list[Part]


def sha256_of(file: Path) -> str:
    """In hexadecimal digits."""
    with file.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def part_of(name: str, file: Path) -> Part:
    """What the manifest says of a part."""
    return Part(name, file.stat().st_size, sha256_of(file))


def write_archive(to: Path, manifest: Manifest, parts: Mapping[str, Path]) -> None:
    """Write a new file, readable by its owner only, and have it on disk. Raises OSError."""
    descriptor = os.open(to, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    with os.fdopen(descriptor, "w+b") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1))
            for name, part in parts.items():
                archive.write(part, name)
            archive.comment = _COMMENT + b"0" * _DIGITS
        file.write(_digest(file).encode())
        file.flush()
        os.fsync(file.fileno())


def _digest(file: BinaryIO) -> str:
    """SHA-256 of all but the last digits; leaves the file there."""
    left = file.seek(0, os.SEEK_END) - _DIGITS
    file.seek(0)
    digest = hashlib.sha256()
    while left > 0 and (chunk := file.read(min(left, _CHUNK))):
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


class Archive:
    """A backup that is read. Nothing of it is believed before it has been checked."""

    def __init__(self, path: Path) -> None:
        """Check the digest and the manifest. Raises BackupError."""
        self.path = path
        try:
            with path.open("rb") as file:
                if path.stat().st_size < _DIGITS + 22:
                    raise BackupError(f"{path} is no backup: it is too short")
                found = _digest(file)
                said = file.read(_DIGITS)
        except OSError as error:
            raise BackupError(f"{path} cannot be read ({error.strerror})") from error
        if said.decode("ascii", "replace") != found:
            raise BackupError(f"{path} is damaged or cut short: its digest is not that of its content; use another backup")
        try:
            self._zip = zipfile.ZipFile(path)
            self.manifest = self._read_manifest()
        except (zipfile.BadZipFile, zlib.error, OSError, RuntimeError, NotImplementedError, EOFError) as error:
            if isinstance(error, BackupError):
                raise
            raise BackupError(f"{path} is no backup of this service ({error})") from error

    def close(self) -> None:
        """Close the file."""
        self._zip.close()

    def __enter__(self) -> "Archive":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read_manifest(self) -> Manifest:
        entries = self._entries()
        if MANIFEST not in entries:
            raise BackupError(f"{self.path} is no backup of this service: it has no {MANIFEST}")
        raw = self._zip.read(entries[MANIFEST])
        try:
            form = msgspec.json.decode(raw, type=dict).get("format")
            if form != FORMAT:
                raise BackupError(
                    f"{self.path} is a backup of format {form!r}; this version reads format {FORMAT}: use a newer one"
                )
            manifest = msgspec.json.decode(raw, type=Manifest)
        except msgspec.DecodeError as error:
            raise BackupError(f"{self.path}, {MANIFEST}: {error}") from error
        named = {p.name: p.bytes for p in manifest.parts}
        there = {name: entry.file_size for name, entry in entries.items() if name != MANIFEST}
        if named != there or STORE not in there:
            raise BackupError(f"{self.path}: its parts are not those of its manifest; it was put together by something else")
        return manifest

    def _entries(self) -> dict[str, zipfile.ZipInfo]:
        """The parts by name; only those that a backup may have, so that no name leads out of a folder. Raises BackupError."""
        out: dict[str, zipfile.ZipInfo] = {}
        for entry in self._zip.infolist():
            name = entry.filename
            if name not in (MANIFEST, *PARTS) or name in out:
                raise BackupError(f"{self.path} holds {name[:80]!r}, which no backup has; it is refused as a whole")
            if stat.S_ISLNK(entry.external_attr >> 16) or entry.flag_bits & 1:
                raise BackupError(f"{self.path}: {name} is a link or encrypted, which no part of a backup is; it is refused")
            if entry.file_size > _LONGEST.get(name, 1 << 40) or (
                entry.file_size > _BOMB and entry.file_size > _BEST * max(entry.compress_size, 1)
            ):
                raise BackupError(f"{self.path}: {name} would unpack to {entry.file_size:,} bytes; it is refused")
            out[name] = entry
        return out

    def unpack(self, name: str, to: Path) -> None:
        """Write a part to a new file, and check it by its hash. Raises BackupError when it is not what the manifest says."""
        part = next(p for p in self.manifest.parts if p.name == name)
        free = shutil.disk_usage(to.parent).free
        if part.bytes > free:
            raise BackupError(f"{self.path}: {name} needs {part.bytes:,} bytes, and {to.parent} has {free:,}; make room")
        try:
            descriptor = os.open(to, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as out, self._zip.open(name) as packed:
                left = part.bytes
                while left > 0 and (chunk := packed.read(min(left, _CHUNK))):
                    out.write(chunk)
                    left -= len(chunk)
                out.flush()
                os.fsync(out.fileno())
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise BackupError(f"{self.path}: {name} cannot be unpacked ({error}); use another backup") from error
        except OSError as error:
            raise BackupError(f"{to} cannot be written ({error.strerror})") from error
        if part_of(name, to) != part:
            raise BackupError(f"{self.path}: {name} is not what the manifest says; use another backup")
