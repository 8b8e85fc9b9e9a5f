"""Drafts of settings from the command line: on file and store where no service runs, through it where one does."""

from collections.abc import Callable
from pathlib import Path

import pytest

from earlywarning.cli.app import app
from earlywarning.settings import load_settings
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from earlywarning.store.settings_versions import SettingsVersions
from tests.core.town import CODE
from tests.web.conftest import Running, write_town


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_town(tmp_path)
    Store.open(f"sqlite:///{tmp_path / 'store.db'}", writer=True).close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


@pytest.fixture
def say(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command of `earlywarning settings` in this process, and gives what it says."""

    def run(*words: str, fine: bool = True) -> str:
        command = ["settings", *words]
        if fine:
            app(command, exit_on_error=False, result_action="return_value")
            return "".join(capsys.readouterr())
        with pytest.raises((ValueError, RuntimeError)) as caught:
            app(command, exit_on_error=False, result_action="return_value")
        return str(caught.value)

    return run


def test_without_a_service_the_file_is_written_and_the_store_says_who_and_why(folder: Path, say: Callable[..., str]) -> None:
    said = say("draft", "save", "detection.min_count=6", "detection.windows=[1, 7]", "--actor", "eva")
    assert "detection.min_count: 3 -> 6" in said
    assert "a reason is missing" in say("draft", "apply", "1", fine=False)
    why = ("--number", "1", "--reason", "brus", "--actor", "eva")
    assert "brus" in say("draft", "save", "detection.min_count=5", *why)
    assert "in force now" in say("draft", "apply", "1", "--actor", "bo")
    assert load_settings(folder / "earlywarning.toml").detection.min_count == 5
    assert "brus" in say("versions")
    assert "in force" in say("draft", "list")
    say("back", "--actor", "bo", "--reason", "för få")
    assert load_settings(folder / "earlywarning.toml").detection.min_count == 3
    with Store.open(f"sqlite:///{folder / 'store.db'}") as store:
        told = [(v.actor, v.reason) for v in SettingsVersions(store, CODE).every()]
        assert told == [("", ""), ("bo", "brus"), ("bo", "för få")]
        assert [e.action for e in Cases(store).audit(CODE)] == ["settings-back", "settings", "settings-draft", "settings-draft"]
    assert "allowed: whole numbers" in say("draft", "save", "detection.min_count=none", fine=False)
    assert "no draft may change this key" in say("draft", "save", "access.mode=open", fine=False)


def test_a_running_service_is_asked_to(folder: Path, say: Callable[..., str]) -> None:
    service = Running(folder)
    try:
        to = ("--to", service.address)
        say("draft", "save", "detection.min_count=6", "--reason", "brus")  # beside it, in its store
        assert f"--to {service.address}" in say("draft", "apply", "1", fine=False)
        assert "3 -> 6" in say("draft", "show", "1", *to)
        before = service.client.get("/readyz").json()["settings_version"]
        say("draft", "apply", "1", *to)
        assert service.client.get("/readyz").json()["settings_version"] != before
        say("draft", "save", "detection.min_count=9", *to)
        assert "withdrawn" in say("draft", "withdraw", "2", *to)
        say("back", *to)
        assert service.client.get("/readyz").json()["settings_version"] == before
        assert '"difference"' in say("versions", "--format", "json", *to)
    finally:
        service.stop()
