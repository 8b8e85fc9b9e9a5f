"""Settings put in force through their file: written whole, comments kept, so that they outlive a restart."""

import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from earlywarning.core.settings_draft import Decision, DraftError
from earlywarning.settings import Settings, parse_settings_bytes
from earlywarning.store.folders import keep_folder

Rewrite = Callable[[Settings], str]
Reload = Callable[[Settings, Decision | None], int]


def put_in_file(file: Path | None, in_force: Settings, rewrite: Rewrite, decision: Decision, reload: Reload) -> int:
    """Put rewritten settings in force by `reload`, and then in the file's place; returns what reload does, their number.

    The caller sees to it that nobody else reloads meanwhile. What goes wrong leaves file and settings as they were; a crash in
    between leaves the file, which says what is in force. Raises DraftError when the file cannot be written or says something else
    than what is in force, SettingsError, StoreError, and what rewrite and reload raise.
    """
    if file is None:
        raise DraftError("no-file", "the service was started without a settings file; change the settings where they come from")
    try:
        place = file.resolve(strict=True)  # a link stays one
        data = place.read_bytes()
    except OSError as error:
        raise _unwritable(file, error) from error
    if data.decode("utf-8-sig", "replace") != in_force.text:
        raise DraftError(
            "file-differs",
            f"the file {file.name} was changed by hand and is not in force; see the service's log, mend the file, and try again",
        )
    text = rewrite(in_force)
    settings = parse_settings_bytes(text.encode(), file)
    try:
        # The same again: whether the file can be replaced (one that is mounted by itself cannot) is known before anything changes.
        _put(_written_beside(place, data), place)
        beside = _written_beside(place, text.encode())
    except OSError as error:
        raise _unwritable(file, error) from error
    try:
        number = reload(settings, decision)
        _put(beside, place)
    except BaseException as error:
        beside.unlink(missing_ok=True)
        with suppress(Exception):
            reload(in_force, None)
        if isinstance(error, OSError):
            raise _unwritable(file, error) from error
        raise
    return number


def _put(beside: Path, place: Path) -> None:
    try:
        beside.replace(place)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    with suppress(OSError):
        keep_folder(place.parent)


def _written_beside(place: Path, data: bytes) -> Path:
    was = place.stat()
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fchmod(out.fileno(), was.st_mode & 0o7777)
            with suppress(PermissionError):
                os.fchown(out.fileno(), was.st_uid, was.st_gid)
            os.fsync(out.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _unwritable(file: Path, error: OSError) -> DraftError:
    return DraftError(
        "unwritable",
        f"{file.name} cannot be replaced ({error.strerror}); give the service's user write access to the file's folder, "
        "or change the file where it comes from",
    )
