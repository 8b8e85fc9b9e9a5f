"""A backup: whole, private, of one moment, and found out when a byte of it is changed."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earlywarning import __version__
from earlywarning.core.pages import decode_page
from earlywarning.runtimes.archive import PARTS, STORE, Archive, BackupError
from earlywarning.runtimes.backing_up import back_up
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.restoring import restore
from earlywarning.runtimes.verifying import verify_backup
from earlywarning.settings import load_settings
from earlywarning.store import StoreError, opening
from tests.backup.conftest import Town, rows_of
from tests.core.town import CODE
from tests.runtimes.test_embedded import take
from tests.store.test_upgrades import make_earlier


def test_a_backup_holds_all_and_says_so(lived: Town, made: Path, work: Path) -> None:
    with Archive(made) as archive:
        m = archive.manifest
        assert {p.name for p in m.parts} == set(PARTS) - {"plan.json"}
        archive.unpack(STORE, work / STORE)
    assert (m.municipality, m.name, m.program, m.schema) == (CODE, "Testby", __version__, opening.known_schemas()[-1])
    assert m.settings_version == lived.settings.version
    assert m.tables["alerts"] > 5
    assert m.tables["sessions"] == 0
    assert m.clock is not None
    assert rows_of(work / STORE) == rows_of(lived.folder / "store.db")
    assert made.stat().st_mode & 0o777 == 0o600


def test_nothing_is_left_beside_a_backup(lived: Town, work: Path) -> None:
    file, _ = back_up(lived.settings, work / "backup.zip")
    assert list(work.iterdir()) == [file]


def test_no_secret_is_in_a_backup(lived: Town, work: Path) -> None:
    text = lived.settings.text.replace('clock = "events"', 'clock = "events"\n# postgresql://someone:pa55-w0rd@host/db')
    (lived.folder / "with-url.toml").write_text(text)
    chosen = load_settings(lived.folder / "with-url.toml")
    file, manifest = back_up(chosen, work / "b.zip")
    content = b""
    with Archive(file) as archive:
        for part in manifest.parts:
            archive.unpack(part.name, work / part.name)
            content += (work / part.name).read_bytes()
    for secret in [*lived.secrets, "pa55-w0rd"]:
        assert secret.encode() not in content
    assert b"anna" in content
    assert any("passwords" in words for words in manifest.left_out)
    with Archive(back_up(chosen, work / "with.zip", passwords=True)[0]) as archive:
        archive.unpack(STORE, work / "with.sqlite")
    assert b"hash-of-annas-password" in (work / "with.sqlite").read_bytes()


def test_a_backup_is_never_written_over_another_and_a_folder_keeps_the_newest(lived: Town, work: Path) -> None:
    file, _ = back_up(lived.settings, work / "b.zip")
    before = file.read_bytes()
    with pytest.raises(BackupError, match="exists already"):
        back_up(lived.settings, file)
    with pytest.raises(BackupError, match="--keep wants a folder"):
        back_up(lived.settings, work / "c.zip", keep=2)
    assert file.read_bytes() == before
    folder = work / "nightly"
    folder.mkdir()
    old = [folder / f"earlywarning-{CODE}-2024010{n}T020000Z.zip" for n in range(1, 5)]
    others = [folder / "earlywarning-0380-20240101T020000Z.zip", folder / f"earlywarning-{CODE}-notes.zip"]
    for path in (*old, *others):
        path.write_bytes(b"x")
    newest, _ = back_up(lived.settings, folder, keep=2)
    assert sorted(folder.iterdir()) == sorted([old[-1], newest, *others])


def test_a_folder_that_is_not_there_is_named(lived: Town, work: Path) -> None:
    with pytest.raises(BackupError, match=r"nowhere/b\.zip cannot be written \(No such file"):
        back_up(lived.settings, work / "nowhere" / "b.zip")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_byte_that_was_changed_anywhere_is_found(made: Path, tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(made.read_bytes())
    # Also the edges, where ZIP keeps what no program looks at.
    at = data.draw(st.integers(0, len(content) - 1) | st.integers(0, 200) | st.integers(len(content) - 700, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(content)
    with pytest.raises(BackupError, match="damaged or cut short"):
        verify_backup(damaged)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9999])
def test_a_backup_that_was_cut_short_is_found(made: Path, work: Path, share: float) -> None:
    content = made.read_bytes()
    (work / "short.zip").write_bytes(content[: int(len(content) * share)])
    for refuses in (verify_backup, lambda file: restore(file, into=work / "new")):
        with pytest.raises(BackupError, match=r"damaged or cut short|too short"):
            refuses(work / "short.zip")
    assert not (work / "new").exists()


_KILLED = """
import os, signal, sys
from pathlib import Path
from earlywarning.runtimes import backing_up
from earlywarning.settings import load_settings

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

where = sys.argv[3]
if where == "while it is packed":
    written = 0
    import zipfile
    write = zipfile._ZipWriteFile.write
    def slowly(self, data):
        global written
        written += len(data)
        if written > 40_000:
            self._fileobj.flush()
            die()
        return write(self, data)
    zipfile._ZipWriteFile.write = slowly
elif where == "before it has its name":
    Path.rename = die
elif where == "while the store is copied":
    backing_up.leave_out_secrets = die
backing_up.back_up(load_settings(Path(sys.argv[1])), Path(sys.argv[2]))
"""


@pytest.mark.parametrize("where", ["while the store is copied", "while it is packed", "before it has its name"])
def test_a_backup_that_is_killed_leaves_nothing_under_its_name_and_the_next_one_is_whole(
    lived: Town, work: Path, where: str
) -> None:
    final = work / "b.zip"
    words = [sys.executable, "-c", _KILLED, str(lived.folder / "earlywarning.toml"), str(final), where]
    killed = subprocess.run(words, check=False, timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert not final.exists()
    assert list(work.glob("*.zip")) == []
    assert verify_backup(back_up(lived.settings, final)[0]).fine


@pytest.mark.parametrize("schema", opening.known_schemas()[:-1])
def test_a_backup_of_an_earlier_schema_is_upgraded_when_it_is_restored(lived: Town, work: Path, schema: str) -> None:
    shutil.copytree(lived.folder, work / "old")
    (work / "old" / "store.db").unlink()
    with closing(sqlite3.connect(lived.folder / "store.db")) as c:
        page = c.execute("select municipality, day, page, events from pages order by day limit 1").fetchone()
    rows = {
        "pages": [dict(zip(("municipality", "day", "page", "events"), page, strict=True))],
        "engine_state": [{"municipality": CODE, "clock_day": 21_000, "clock_hour": 21_000 * 24}],
    }
    make_earlier(f"sqlite:///{work}/old/store.db", schema, rows)
    file, manifest = back_up(load_settings(work / "old" / "earlywarning.toml"), work / "b.zip")
    assert manifest.schema == schema
    assert verify_backup(file).fine
    done = restore(file, into=work / "new")
    service = Service.open(load_settings(work / "new" / "earlywarning.toml"))
    assert len(service.engine.ledger) == len(decode_page(page[2]))
    assert take(service, []).outcomes == []
    service.stop()
    assert done.kept == ""


def test_a_store_of_a_newer_version_is_not_copied(town: Town, work: Path) -> None:
    with closing(sqlite3.connect(town.folder / "store.db")) as c, c:
        c.execute("update alembic_version set version_num = '9999'")
    with pytest.raises(StoreError, match="has schema 9999, which this version does not know"):
        back_up(town.settings, work / "b.zip")
    assert list(work.glob("*.zip")) == []
