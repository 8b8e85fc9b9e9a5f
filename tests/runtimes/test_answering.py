"""Answers are kept whole with their audit, once each, and what they explain is heard by the engine, also after a restart."""

import shutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from earlywarning.core.casework import Answer, AnswerError, Casework
from earlywarning.core.events import Decoded
from earlywarning.runtimes.answering import Answering
from earlywarning.runtimes.embedded import Service
from earlywarning.settings import load_settings
from earlywarning.sources.supply import Supply
from earlywarning.store import StoreError
from earlywarning.store.cases import Cases
from tests.core.town import CODE, NOW, history, merged, surge
from tests.web.conftest import write_town

AT = datetime(2026, 3, 16, 9, tzinfo=UTC)


def _made(folder: Path, url: str) -> None:
    """A town with an alert, in the database of that address."""
    write_town(folder)
    file = folder / "earlywarning.toml"
    file.write_text(file.read_text().replace("sqlite:///store.db", url))
    made = _open(file)
    events = merged(history(3, days=440), surge(430))
    for begin in range(0, len(events), 1000):
        part = events[begin : begin + 1000]
        made.take([Supply(Decoded(part, list(range(len(part))), []), "test")], NOW)
    made.stop()


@pytest.fixture(scope="module")
def in_a_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answering")
    _made(folder, "sqlite:///store.db")
    return folder


@pytest.fixture(scope="module")
def in_a_server(postgresql_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answering")
    anew = [f"drop database if exists {name} with (force)" for name in ("answering", "answered")]
    _on(postgresql_url, *anew, "create database answering")
    _made(folder, postgresql_url.rsplit("/", 1)[0] + "/answering")
    _on(postgresql_url, "create database answered template answering")
    return folder


def _on(url: str, *statements: str) -> None:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as c:
        for statement in statements:
            c.execute(sa.text(statement))
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """A copy of it."""
    server = request.param == "postgresql"
    shutil.copytree(request.getfixturevalue("in_a_server" if server else "in_a_file"), tmp_path / "town")
    file = tmp_path / "town" / "earlywarning.toml"
    if server:
        url = request.getfixturevalue("postgresql_url")
        _on(url, "drop database if exists answering with (force)", "create database answering template answered")
    made = _open(file)
    yield made
    made.stop()


def _open(file: Path) -> Service:
    return Service.open(load_settings(file))


def said(service: Service, action: str, **fields: Any) -> Answer:
    alert = service.store.alerts()[0]
    given = {"answer_id": f"{action}-1", "alert_id": alert.alert_id, "actor": "samordnaren", "at": AT, "action": action, **fields}
    return msgspec.convert(given, Answer)


EXPLAINED = {"assessment": "known-cause", "reason": "local-event", "note": "Marknad på torget"}


def test_a_measure_given_after_midnight_begins_on_the_local_day(service: Service) -> None:
    just_after_midnight = datetime(2026, 3, 16, 23, 30, tzinfo=UTC)  # 17 March, 00:30, in Stockholm
    picture = {"situation": "Torget om kvällen", "target": "Butiker", "motivation": "Okänd"}
    fields = {"answers": 1, "what": "Belysning", "owner": "Gatukontoret", "due": "2026-03-20", "goal": "färre anmälningar"}
    service.answer(said(service, "assess", assessment="confirmed", reason="new-problem"))
    service.answer(said(service, "picture", picture=picture))
    service.answer(said(service, "cause", cause="lighting"))
    case = service.answer(said(service, "measure", at=just_after_midnight, **fields))
    assert str(case.measures[0].begins) == "2026-03-17"


def test_an_answer_changes_the_casework_and_stands_in_the_audit(service: Service) -> None:
    case = service.answer(said(service, "assess", **EXPLAINED))
    assert (case.stage, case.assessment, case.acknowledged_by) == ("assessed", "known-cause", "samordnaren")
    cases = Cases(service.store)
    assert cases.get(case.alert_id) == case
    (entry,) = cases.audit(CODE, case.alert_id)
    assert (entry.actor, entry.action, entry.reason, entry.note, entry.at) == (
        "samordnaren", "assess", "local-event", "Marknad på torget", AT,
    )  # fmt: skip


def test_the_same_answer_twice_changes_nothing(service: Service) -> None:
    first = service.answer(said(service, "acknowledge"))
    assert service.answer(said(service, "acknowledge")) == first
    assert len(Cases(service.store).audit(CODE)) == 1


def test_what_is_refused_stands_in_the_audit_without_its_texts(service: Service) -> None:
    with pytest.raises(AnswerError, match="not possible"):
        service.answer(said(service, "close", reason="acted-on"))
    with pytest.raises(AnswerError):
        service.answer(said(service, "note", note="ring anna.svensson@example.se"))
    entries = Cases(service.store).audit(CODE)
    assert [e.action for e in entries] == ["refused", "refused"]
    assert "example.se" not in repr(entries)


def test_an_unknown_alert_and_an_unknown_target_of_a_merge_are_named(service: Service) -> None:
    with pytest.raises(AnswerError, match="alert_id: there is no alert"):
        service.answer(msgspec.structs.replace(said(service, "acknowledge"), alert_id=f"{CODE}-260101-00000000"))
    with pytest.raises(AnswerError, match="into: there is no alert"):
        service.answer(said(service, "merge", into=f"{CODE}-260101-00000000"))


def test_two_persons_at_once_one_is_first(service: Service) -> None:
    results: list[object] = []

    def try_it(name: str) -> None:
        try:
            results.append(service.answer(said(service, "acknowledge", answer_id=name, actor=name, revision=0)))
        except AnswerError as error:
            results.append(error.rule)

    threads = [threading.Thread(target=try_it, args=(f"p{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(r, Casework) for r in results) == 1
    assert results.count("stale") == 5


def test_what_was_explained_is_heard_by_the_engine_and_by_the_one_after_a_restart(service: Service) -> None:
    case = service.answer(said(service, "assess", **EXPLAINED))
    heard = list(service.engine.tallies.left_out.verdicts)
    assert [v.alert_id for v in heard] == [case.alert_id]
    assert service.engine.today is not None
    assert service.engine.tallies.left_out.blocks(service.engine.today + 1)
    assert case.verdicts == tuple(heard)
    service._fell_behind()
    assert service.engine.tallies.left_out.verdicts == heard
    service.answer(said(service, "assess", answer_id="2", assessment="confirmed", reason="new-problem"))
    assert not service.engine.tallies.left_out.blocks(service.engine.today + 1)


def test_the_audit_log_is_only_ever_added_to(service: Service) -> None:
    service.answer(said(service, "acknowledge"))
    for statement in ("update audit set actor = 'nobody'", "delete from audit"):
        with pytest.raises(StoreError, match="audit log"), service.store.writing() as c:
            c.execute(sa.text(statement))
    assert len(Cases(service.store).audit(CODE)) == 1


def test_an_answer_that_cannot_be_kept_leaves_nothing_behind(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(service.store, "commit", broken)
        with pytest.raises(StoreError):
            service.answer(said(service, "assess", **EXPLAINED))
    assert {case.revision for case in Answering(service.store).cases.every(CODE)} == {0}
    assert service.engine.tallies.left_out.verdicts == []
