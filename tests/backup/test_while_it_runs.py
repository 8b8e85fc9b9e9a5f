"""Backups while events flow in: each is the state after some prefix of what was taken. And the commands that operators use."""

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from earlywarning.core.events import AnyEvent
from earlywarning.runtimes.archive import Archive
from earlywarning.runtimes.backing_up import back_up
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.restoring import restore
from earlywarning.runtimes.verifying import verify_backup, verify_store
from earlywarning.settings import Settings, load_settings
from earlywarning.store import Store
from tests.backup.conftest import Town
from tests.cli.told import command
from tests.core.town import CODE, event
from tests.runtimes.test_embedded import take
from tests.web.conftest import Running
from tests.web.test_events_by_http import _wire as wire

BEGIN = datetime(2024, 6, 3, 6, tzinfo=UTC)
AT_ONCE = 40


def _flow(number: int) -> AnyEvent:
    """Events of a place where more happens than it should, two a minute."""
    when = BEGIN + timedelta(seconds=30 * number)
    return event(f"flow{number}", when, area=f"A{number % 3}", category="C0", recorded_at=when + timedelta(minutes=5))


class Sender:
    """Sends batches one after the other until it is told to stop."""

    def __init__(self, service: Running) -> None:
        self._service, self._stop = service, threading.Event()
        self.taken, self.fault = 0, ""
        self.begun = threading.Event()
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> "Sender":
        self._thread.start()
        assert self.begun.wait(120)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(120)
        assert not self.fault

    def _send(self) -> None:
        while not self._stop.is_set():
            part = [wire(_flow(self.taken + i)) for i in range(AT_ONCE)]
            answer = self._service.send("\n".join(map(json.dumps, part)), "application/x-ndjson")
            if answer.json().get("counts") != {"accepted": AT_ONCE}:
                self.fault = answer.text
                return
            self.taken += AT_ONCE
            if self.taken >= 200:
                self.begun.set()
            self._stop.wait(0.1)  # some 300 events a second


def _state(settings: Settings) -> tuple[Any, ...]:
    with Store.open(settings.store_url) as store:
        histories = [store.history(a.alert_id) for a in store.alerts()]
        return list(store.pages(CODE)), store.alerts(), histories, store.engine_state(CODE)


def test_a_backup_made_while_events_flow_in_is_the_state_after_a_prefix_of_them(
    lived: Town, made: Path, url: str, work: Path
) -> None:
    live, calm = work / "live", work / "calm"
    restore(made, into=live)
    restore(made, into=calm)
    if url.startswith("postgresql"):
        restore(made, store=url)
        file = live / "earlywarning.toml"
        file.write_text(file.read_text().replace("sqlite:///store.db", url))
    settings_of_live = load_settings(live / "earlywarning.toml")
    service = Running(live)
    files, bounds = [work / f"backup{n}.zip" for n in range(2)], []
    try:
        with Sender(service) as sender:
            for file in files:
                before = sender.taken
                back_up(settings_of_live, file)
                bounds.append((before, sender.taken))
            assert verify_store(settings_of_live).fine
    finally:
        service.stop()

    undisturbed = Service.open(load_settings(calm / "earlywarning.toml"))
    taken = 0
    for n, (file, (least, most)) in enumerate(zip(files, bounds, strict=True)):
        assert verify_backup(file).fine
        with Archive(file) as archive:
            assert archive.manifest.database == url.partition(":")[0]
        restore(file, into=work / f"restored{n}", store=f"sqlite:///{work / f'restored{n}' / 'store.db'}")
        settings = load_settings(work / f"restored{n}" / "earlywarning.toml")
        state = _state(settings)
        # How many of them it holds: those that it knows when they are sent again, and no others.
        other = Service.open(settings)
        outcomes = take(other, [_flow(i) for i in range(most + 2 * AT_ONCE)]).outcomes
        other.stop()
        held = outcomes.count("repeated")
        assert outcomes == ["repeated"] * held + ["accepted"] * (len(outcomes) - held)
        assert least <= held <= most + AT_ONCE, "what was answered before the backup began is in it"
        assert held % AT_ONCE == 0, "a batch is in it whole or not at all"
        # And all else is as it stands after exactly these events.
        while taken < held:
            take(undisturbed, [_flow(taken + i) for i in range(AT_ONCE)])
            taken += AT_ONCE
        assert state == _state(undisturbed.settings)
    undisturbed.stop()
    assert bounds[-1][1] >= 200
    assert any(a.opened_on >= BEGIN.date() for a in state[1])


def test_the_commands_from_backup_to_a_service_that_runs_again(lived: Town, work: Path) -> None:
    file = lived.folder / "earlywarning.toml"
    said = command(work, "backup", "b.zip", "--settings", str(file))
    assert "Testby (0999), made" in said
    assert "Not in it:" in said
    assert "earlywarning accounts add" in said
    said = command(work, "restore", "b.zip", "--into", "new")
    assert "The settings are new/earlywarning.toml" in said
    said = command(work, "verify", "--rebuild", "--settings", "new/earlywarning.toml")
    assert "rebuild: " in said
    assert "All is well." in said
    content = bytearray((work / "b.zip").read_bytes())
    content[len(content) // 2] ^= 1
    (work / "b.zip").write_bytes(content)
    assert "damaged or cut short" in command(work, "verify", "b.zip", code=1)


def test_verify_ends_with_one_when_something_is_wrong(town: Town) -> None:
    service = Service.open(town.settings)
    with service.store.writing() as connection:
        connection.exec_driver_sql("update pages set events = 7 where day = (select min(day) from pages)")
    service.stop()
    with pytest.raises(AssertionError, match="WRONG  pages"):
        command(town.folder, "verify")
