"""A restore: all or nothing, never over what somebody needs, on either database; and archives that mean harm are refused."""

import hashlib
import io
import shutil
import sqlite3
import stat
import tomllib
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from earlywarning.runtimes import archive as archives
from earlywarning.runtimes.archive import MANIFEST, STORE, BackupError
from earlywarning.runtimes.backing_up import back_up
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.restoring import restore, with_value
from earlywarning.runtimes.verifying import verify_backup
from earlywarning.settings import load_settings, parse_settings
from earlywarning.store import Store, StoreError, StoreLocked, replacing
from earlywarning.store.snapshot import take_snapshot
from tests.backup.conftest import Town, eventful, rows_of
from tests.runtimes.test_embedded import take
from tests.store.test_opening import _connect


def test_a_restored_folder_is_the_service_that_it_was(lived: Town, made: Path, work: Path) -> None:
    done = restore(made, into=work / "new")
    assert done.kept == ""
    assert rows_of(work / "new" / "store.db") == rows_of(lived.folder / "store.db")
    for name in ("earlywarning.toml", "areas.geojson", "categories.csv"):
        assert (work / "new" / name).read_bytes() == (lived.folder / name).read_bytes()
        assert (work / "new" / name).stat().st_mode & 0o777 == 0o600
    assert sorted(p.name for p in (work / "new").iterdir() if p.name.startswith(".")) == []
    service = Service.open(load_settings(work / "new" / "earlywarning.toml"))
    events = eventful()
    assert set(take(service, events[:200] + events[-200:]).outcomes) == {"repeated"}
    service.stop()


def test_rows_go_from_either_database_to_either(lived: Town, made: Path, url: str, work: Path) -> None:
    restore(made, store=url)
    want = rows_of(lived.folder / "store.db")
    take_snapshot(url, work / "again.sqlite")
    assert rows_of(work / "again.sqlite") == want
    chosen = parse_settings(lived.settings.text.replace("sqlite:///store.db", url), file="x", folder=lived.folder)
    file, manifest = back_up(chosen, work / "second.zip", passwords=True)
    assert manifest.database == ("postgresql" if url.startswith("postgresql") else "sqlite")
    assert verify_backup(file).fine
    restore(file, store=f"sqlite:///{work / 'third.db'}")
    assert rows_of(work / "third.db") == want
    # Numbers that the database gives go on behind those that came with the backup.
    service = Service.open(chosen)
    before = len(service.store.settings_versions())
    louder = parse_settings(chosen.text.replace("= 3.0", "= 4.0"), file="x", folder=lived.folder)
    service.reload(louder)
    assert len(service.store.settings_versions()) == before + 1
    service.stop()


def test_a_store_that_holds_something_is_not_replaced_unasked_and_then_kept(lived: Town, made: Path, url: str, work: Path) -> None:
    restore(made, store=url)
    with pytest.raises(StoreError, match=r"holds something; name another one, or add --replace"):
        restore(made, store=url)
    with Store.open(url, writer=True) as store:
        store.commit(None, source_state={"mark": "the old one"})
    file = work / "backup.zip"
    shutil.copy(made, file)
    done = restore(file, store=url, replace=True)
    with Store.open(url) as store:
        assert store.source_state("mark") is None
        assert store.alerts()
    if url.startswith("sqlite"):
        kept = f"sqlite:///{done.kept}"
    else:
        assert verify_backup(Path(done.kept)).fine
        kept = f"sqlite:///{work / 'kept.db'}"
        restore(Path(done.kept), store=kept)
    with Store.open(kept) as store:
        assert store.source_state("mark") == "the old one"


def test_a_store_that_a_service_holds_is_left_alone(lived: Town, made: Path, url: str) -> None:
    restore(made, store=url)
    with Store.open(url, writer=True, holder="http://127.0.0.1:8620") as store:
        for replace in (False, True):
            with pytest.raises(StoreLocked, match=r"in use by another process .*127\.0\.0\.1:8620"):
                restore(made, store=url, replace=replace)
        assert store.alerts()


def test_a_file_that_someone_reads_is_left_alone(made: Path, work: Path) -> None:
    url = f"sqlite:///{work / 'store.db'}"
    restore(made, store=url)
    with Store.open(url) as reader, reader.reading() as connection:
        connection.exec_driver_sql("select count(*) from pages").all()
        with pytest.raises(StoreError, match="another program holds the database"):
            restore(made, store=url, replace=True)
    with Store.open(url) as store:
        assert store.alerts()


def test_a_damaged_store_is_put_aside_as_it_is(made: Path, work: Path) -> None:
    (work / "store.db").write_bytes(b"no database, only words" * 300)
    done = restore(made, store=f"sqlite:///{work / 'store.db'}", replace=True)
    assert Path(done.kept).read_bytes().startswith(b"no database")
    with Store.open(f"sqlite:///{work / 'store.db'}") as store:
        assert store.alerts()


def test_a_database_of_something_else_is_left_alone(made: Path, url: str) -> None:
    with _connect(url).begin() as connection:
        connection.exec_driver_sql("create table alerts (theirs int)")
        connection.exec_driver_sql("insert into alerts values (1)")
    with pytest.raises(StoreError, match=r"holds something|holds tables of something else"):
        restore(made, store=url)
    with _connect(url).connect() as connection:
        assert connection.exec_driver_sql("select * from alerts").all() == [(1,)]


def test_settings_that_are_there_are_kept_aside(made: Path, work: Path) -> None:
    (work / "earlywarning.toml").write_text("# mine")
    with pytest.raises(BackupError, match=r"earlywarning\.toml is there already; .*--replace"):
        restore(made, into=work)
    assert not (work / "store.db").exists()
    restore(made, into=work, replace=True)
    (aside,) = work.glob("earlywarning.toml.replaced-*")
    assert aside.read_text() == "# mine"


@pytest.mark.parametrize("url_of", ["sqlite:////var/lib/elsewhere/x.db", "sqlite:///../outside.db", "postgresql://u:pa55@h/db"])
def test_a_folder_is_restored_into_itself_wherever_the_store_was(lived: Town, work: Path, url_of: str) -> None:
    text = lived.settings.text.replace("sqlite:///store.db", url_of).replace('"areas.geojson"', f'"{lived.folder}/areas.geojson"')
    elsewhere = parse_settings(text, file="x", folder=lived.folder)
    # The backup as such settings would have made it: its rows are those of the town.
    as_if = msgspec.structs.replace(lived.settings, text=text, registers=elsewhere.registers)
    file, _ = back_up(as_if, work / "b.zip")
    done = restore(file, into=work / "new")
    now = tomllib.loads((work / "new" / "earlywarning.toml").read_text())
    assert now["store"]["url"] == "sqlite:///earlywarning.db"
    assert now["registers"]["areas"] == "areas.geojson"
    assert (work / "new" / "earlywarning.db").is_file()
    assert any("store.url was" in note for note in done.notes)
    assert "pa55" not in "".join(done.notes)
    Service.open(load_settings(work / "new" / "earlywarning.toml")).stop()


def test_one_key_of_a_settings_text_is_changed_and_nothing_else() -> None:
    text = "# top\n[store]\n# url = 'no'\nurl = \"sqlite:///a.db\"   # here\n[other]\nurl = 'kept'\n"
    after = with_value(text, "store", "url", 'b"\\.db')
    assert tomllib.loads(after) == {"store": {"url": 'b"\\.db'}, "other": {"url": "kept"}}
    assert after.replace('"b\\"\\\\.db"', '"sqlite:///a.db"') == text
    assert tomllib.loads(with_value("[a]\nx = 1\n", "a", "url", "u")) == {"a": {"x": 1, "url": "u"}}
    assert tomllib.loads(with_value("x = 1\n", "a", "url", "u")) == {"x": 1, "a": {"url": "u"}}
    twisted = 'store = { url = "a" }\n'
    with pytest.raises(BackupError, match=r"store\.url of the settings could not be set"):
        with_value(twisted, "store", "url", "b")


# ---- archives that mean harm ---------------------------------------------------------------------------------------


def _forged(made: Path, to: Path, change: Callable[[dict[str, bytes], dict[str, Any]], list[zipfile.ZipInfo]]) -> Path:
    """A backup that was put together anew, with the right digest: `change` alters its parts and manifest."""
    with zipfile.ZipFile(made) as old:
        parts = {name: old.read(name) for name in old.namelist()}
    manifest = msgspec.json.decode(parts.pop(MANIFEST))
    extra = change(parts, manifest)
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr(MANIFEST, msgspec.json.encode(manifest))
        for name, content in parts.items():
            new.writestr(name, content)
        for info in extra:
            new.writestr(info, b"harm")
        new.comment = archives._COMMENT + b"0" * 64
    content = raw.getvalue()[:-64]
    to.write_bytes(content + hashlib.sha256(content).hexdigest().encode())
    return to


def _named(name: str, mode: int = 0) -> Callable[[dict[str, bytes], dict[str, Any]], list[zipfile.ZipInfo]]:
    def change(_: dict[str, bytes], __: dict[str, Any]) -> list[zipfile.ZipInfo]:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        return [info]

    return change


def _link(parts: dict[str, bytes], manifest: dict[str, Any]) -> list[zipfile.ZipInfo]:
    del parts["settings.toml"]
    manifest["parts"] = [p if p["name"] != "settings.toml" else {**p, "bytes": 4} for p in manifest["parts"]]
    return _named("settings.toml", stat.S_IFLNK | 0o777)(parts, manifest)


def _bomb(parts: dict[str, bytes], manifest: dict[str, Any]) -> list[zipfile.ZipInfo]:
    parts[STORE] = bytes(archives._BOMB + 1)
    manifest["parts"] = [p if p["name"] != STORE else {**p, "bytes": len(parts[STORE])} for p in manifest["parts"]]
    return []


def _other_content(parts: dict[str, bytes], _: dict[str, Any]) -> list[zipfile.ZipInfo]:
    parts["settings.toml"] = parts["settings.toml"][::-1]
    return []


def _said(**fields: Any) -> Callable[[dict[str, bytes], dict[str, Any]], list[zipfile.ZipInfo]]:
    def change(_: dict[str, bytes], manifest: dict[str, Any]) -> list[zipfile.ZipInfo]:
        manifest.update(fields)
        return []

    return change


def _without_store(parts: dict[str, bytes], manifest: dict[str, Any]) -> list[zipfile.ZipInfo]:
    del parts[STORE]
    manifest["parts"] = [p for p in manifest["parts"] if p["name"] != STORE]
    return []


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_named("../evil"), "holds '../evil', which no backup has"),
        (_named("/etc/cron.d/evil"), "holds '/etc/cron.d/evil', which no backup has"),
        (_named("a/../../settings.toml"), "which no backup has"),
        (_named("..\\evil"), "which no backup has"),
        (_named("areas.geojson"), "holds 'areas.geojson', which no backup has"),  # a second one of that name
        (_link, "settings.toml is a link"),
        (_bomb, "store.sqlite would unpack to 67,108,865 bytes"),
        (_other_content, "settings.toml is not what the manifest says"),
        (_without_store, "its parts are not those of its manifest"),
        (_said(format=2), "format 2; this version reads format 1"),
        (
            _said(schema="9999", program="7.1.0"),
            "has schema 9999, made by earlywarning 7.1.0; .*restore it with earlywarning 7.1.0",
        ),
        (_said(tables=3), "Expected `object`"),
    ],
)
def test_an_archive_that_is_not_as_backups_are_is_refused_and_nothing_is_written(
    made: Path, work: Path, change: Callable[..., Any], told: str
) -> None:
    forged = _forged(made, work / "forged.zip", change)
    for refuses in (verify_backup, lambda file: restore(file, into=work / "new")):
        with pytest.raises(BackupError, match=told):
            refuses(forged)
    left = [p for p in work.rglob("*") if p != forged and p.name != "new"]
    assert left == []


def test_registers_that_are_named_outside_the_folder_are_restored_inside(made: Path, work: Path) -> None:
    registers = {"areas": "../../evil.geojson", "categories": "/etc/evil.csv"}
    forged = _forged(made, work / "forged.zip", _said(registers=registers))
    restore(forged, into=work / "a" / "b" / "new")
    assert list(work.rglob("evil*")) == []
    assert not Path("/etc/evil.csv").exists()
    assert (work / "a" / "b" / "new" / "areas.geojson").is_file()


def test_a_program_that_packs_zip_files_makes_no_backup(work: Path) -> None:
    with zipfile.ZipFile(work / "x.zip", "w") as archive:
        archive.writestr("manifest.json", "{}" + " " * 200)
    with pytest.raises(BackupError, match="damaged or cut short"):
        verify_backup(work / "x.zip")
    with pytest.raises(BackupError, match="cannot be read"):
        verify_backup(work / "nowhere.zip")


def test_a_restore_that_fails_leaves_what_was_there(made: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    restore(made, store=url)
    with Store.open(url, writer=True) as store:
        store.commit(None, source_state={"mark": "kept"})

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(replacing, "fill", fails)
    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(StoreError):
        restore(made, store=url, replace=True)
    monkeypatch.undo()
    with Store.open(url) as store:
        assert store.source_state("mark") == "kept"
        assert store.alerts()


def test_the_restored_guards_of_the_audit_log_still_guard(made: Path, work: Path) -> None:
    restore(made, store=f"sqlite:///{work / 'store.db'}")
    with closing(sqlite3.connect(work / "store.db")) as c, pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
        c.execute("update audit set actor = 'someone else'")
    assert (work / "store.db").stat().st_mode & 0o777 == 0o600
