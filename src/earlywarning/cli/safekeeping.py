"""`earlywarning backup`, `restore` and `verify`."""

import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from earlywarning.cli.options import SettingsFile
from earlywarning.cli.place import OperatorError, load

if TYPE_CHECKING:
    from earlywarning.runtimes.archive import Manifest
    from earlywarning.runtimes.verifying import Verified


def backup(
    to: Path,
    *,
    settings: SettingsFile = None,
    keep: Annotated[int, Parameter(help="In a folder: delete all but so many newest backups of the municipality (0: none).")] = 0,
    with_passwords: Annotated[
        bool, Parameter(help="Also the argon2id hashes of passwords; without them each person gets a new link.", negative="")
    ] = False,
) -> None:
    """Back up store, settings, registers and plan into one file, while the service runs. TO: a new file, or a folder."""
    from earlywarning.runtimes.backing_up import back_up  # noqa: PLC0415  # a command loads only what it needs

    if keep < 0:
        raise OperatorError("--keep must be 0 or more")
    file, manifest = back_up(load(settings), to, keep=keep, passwords=with_passwords)
    print(f"{file}: {file.stat().st_size:,} bytes")
    _told(manifest)
    print("Not in it:")
    for words in manifest.left_out:
        print(f"  {words}")


def restore(
    file: Path,
    *,
    into: Annotated[Path | None, Parameter(help="Folder for settings, registers and, without --store, the store.")] = None,
    store: Annotated[str, Parameter(help="Store to fill, sqlite:///FILE or postgresql://USER@HOST/NAME.")] = "",
    replace: Annotated[
        bool, Parameter(help="Replace a store that holds something; the old one is kept aside.", negative="")
    ] = False,
) -> None:
    """Put a backup in place: into a new folder, or into another store. The service must be stopped where it writes."""
    from earlywarning.runtimes.restoring import restore as put  # noqa: PLC0415  # a command loads only what it needs

    done = put(file, into=into, store=store, replace=replace)
    _told(done.manifest)
    print(f"The store is {done.store}")
    if done.settings is not None:
        print(f"The settings are {done.settings}")
    if done.kept:
        print(f"What was there before is kept as {done.kept}")
    for words in done.notes:
        print(f"Note: {words}")
    for words in done.manifest.left_out:
        print(f"Not in the backup: {words}")
    if done.settings is not None:
        print(f"Next: earlywarning verify --settings {done.settings}; earlywarning run --settings {done.settings}")


def verify(
    file: Path | None = None,
    *,
    settings: SettingsFile = None,
    rebuild: Annotated[bool, Parameter(help="Also make the whole state anew from the events, and compare.", negative="")] = False,
    events: Annotated[
        tuple[Path, ...], Parameter(negative="", help="Rebuild from these event files, as suppliers sent them, in their order.")
    ] = (),
    mapping: Annotated[str, Parameter(name=["--mapping", "-m"], help="A column mapping of the settings, for these files.")] = "",
    judged_from: Annotated[
        date | None, Parameter(help="First day that is judged in the rebuild (default: of the first alert; of files: their first).")
    ] = None,
) -> None:
    """Check a backup, or without FILE the store in use, also while the service runs. Ends with 1 when something is wrong."""
    from earlywarning.runtimes.verifying import Wanted, verify_backup, verify_store  # noqa: PLC0415  # as above

    if not (rebuild or events) and (mapping or judged_from):
        raise OperatorError("--mapping and --judged-from are of a rebuild; add --rebuild or --events FILE")
    wanted = Wanted(events, mapping, judged_from) if rebuild or events else None
    if file is not None and settings is not None:
        raise OperatorError("give either a backup or --settings: a backup holds its own settings")
    found = verify_backup(file, wanted) if file is not None else verify_store(load(settings), wanted)
    _report(found)
    if not found.fine:
        sys.exit(1)


def _told(manifest: "Manifest") -> None:
    m = manifest
    rows = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in m.tables.items() if n)
    print(f"{m.name} ({m.municipality}), made {m.made_at:%Y-%m-%d %H:%M:%S} UTC by {m.program}, schema {m.schema}: {rows}")


def _report(found: "Verified") -> None:
    if found.manifest is not None:
        _told(found.manifest)
    for check in found.checks:
        print(f"{'fine ' if not check.problems else 'WRONG'}  {check.what}: {check.looked_at}")
        for problem in check.problems:
            print(f"         {problem}")
        for note in check.notes:
            print(f"         note: {note}")
    c = found.compared
    if c is not None:
        print(
            f"{'WRONG' if c.differences else 'fine '}  rebuild: {c.pages:,} pages, {c.exact:,} alerts the same to the last digit"
            + (f", {c.by_order:,} but for the event that opened them" if c.by_order else "")
            + f", {c.changes:,} changes of alerts, clock"
        )
        for difference in c.differences:
            print(f"         {difference}")
        for note in c.notes:
            print(f"         note: {note}")
    print("All is well." if found.fine else "Something is wrong; see above.")
