"""A town that has lived for more than a year: alerts, answers, corrections, new settings, accounts. Made once."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
import sqlalchemy as sa

from earlywarning.core.casework import Answer
from earlywarning.core.events import AnyEvent
from earlywarning.runtimes.backing_up import back_up
from earlywarning.runtimes.embedded import Service
from earlywarning.settings import Settings, load_settings
from earlywarning.store.accounts import Accounts
from earlywarning.store.snapshot import opened
from tests.core.town import BEGIN, CODE, NOW, event, history, merged, surge
from tests.runtimes.test_embedded import supply
from tests.store.conftest import url  # noqa: F401  # the fixture: SQLite and PostgreSQL
from tests.web.conftest import write_town

AT = datetime(2026, 3, 16, 9, tzinfo=UTC)
Rows = dict[str, list[tuple[object, ...]]]


class Town(NamedTuple):
    """Its folder, and the secrets that must never be in a backup."""

    folder: Path
    secrets: list[str]

    @property
    def settings(self) -> Settings:
        return load_settings(self.folder / "earlywarning.toml")


def eventful() -> list[AnyEvent]:
    """Ordinary days with late records, surges, revisions and retractions."""
    events = merged(history(2, days=470, lag_days=1.5), surge(430), surge(445, area="A4", category="C2"), surge(462, area="A2"))
    rng = np.random.default_rng(3)
    corrected = []
    for i in rng.choice(len(events), 60, replace=False).tolist():
        e = events[i]
        changed = {"revision": 2, "recorded_at": e.recorded_at + timedelta(days=float(rng.uniform(0, 20)))}
        changed |= {"retraction": True} if rng.random() < 0.4 else {"area": f"A{rng.integers(6)}"}
        corrected.append(type(e)(**{f: getattr(e, f) for f in e.__struct_fields__} | changed))
    return merged(events, corrected)


def feed(service: Service, events: list[AnyEvent], size: int = 200) -> None:
    for begin in range(0, len(events), size):
        service.take([supply(events[begin : begin + size])], NOW)


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Town:
    folder = tmp_path_factory.mktemp("lived")
    write_town(folder)
    file = folder / "earlywarning.toml"
    service = Service.open(load_settings(file))
    events = eventful()
    (folder / "events.jsonl").write_bytes(b"\n".join(msgspec.json.encode(e) for e in events))
    turn = BEGIN + timedelta(days=450)  # after the second surge, before the third
    early, late = [e for e in events if e.recorded_at < turn], [e for e in events if e.recorded_at >= turn]
    feed(service, early)
    service.take([supply([event("wrong", turn, area="nowhere")])], NOW)
    explained = service.store.alerts(limit=1)[0]
    answers = {"a0": {"action": "acknowledge"}, "a1": {"action": "assess", "assessment": "known-cause", "reason": "holiday"}}
    for answer_id, said in answers.items():
        fields = {"answer_id": answer_id, "alert_id": explained.alert_id, "actor": "A", "at": AT}
        service.answer(msgspec.convert({**fields, **said}, Answer))
    file.write_text(file.read_text() + "[alerts]\nfalse_alarms_per_week = 3.0\n")
    service.reload(load_settings(file))
    feed(service, late)
    accounts = Accounts(service.store, CODE)
    set_up = accounts.add("anna", "coordinator", [], AT, 48)
    accounts.set_password(set_up, "$argon2id$v=19$hash-of-annas-password", AT)
    secrets = ["hash-of-annas-password", accounts.begin("anna", AT), accounts.add("bo", "reader", [], AT, 48)]
    secrets += [accounts.add_token("wardens", "events", AT), service.links._signer.secret_keys[0].decode().partition(":")[2]]
    with service.store.reading() as c:
        secrets += [str(h) for h in c.execute(sa.text("select session_hash from sessions")).scalars()]
    assert all(len(secret) > 20 for secret in secrets)
    assert len({a.settings_version for a in service.store.alerts()}) == 2
    assert service.store.dead_letters()
    service.stop()
    return Town(folder, secrets)


@pytest.fixture
def town(lived: Town, tmp_path: Path) -> Town:
    """A town of one's own."""
    shutil.copytree(lived.folder, tmp_path / "town")
    return Town(tmp_path / "town", lived.secrets)


@pytest.fixture(scope="session")
def made(lived: Town, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of it, with the hashes of passwords, so that a restored store equals the first."""
    file, _ = back_up(lived.settings, tmp_path_factory.mktemp("made") / "backup.zip", passwords=True)
    return file


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """An empty folder."""
    return tmp_path


def rows_of(file: Path) -> Rows:
    """All rows of a SQLite store, without what no backup holds."""
    out: Rows = {}
    with opened(file) as connection:
        held = sa.MetaData()
        held.reflect(connection)
        for name, table in held.tables.items():
            rows = [tuple(row) for row in connection.execute(sa.select(table))]
            if name == "sessions":
                continue
            if name == "source_state":
                rows = [row for row in rows if row[0] != "link-key"]
            if name == "accounts":
                rows = [row[:5] + row[7:] for row in rows]  # without set_up_hash and set_up_until
            out[name] = sorted(rows, key=repr)
    return out
