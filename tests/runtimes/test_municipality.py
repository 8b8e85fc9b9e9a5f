"""One municipality on Kafka, without Kafka: messages in, records out; whatever is written twice, lost or cut changes nothing."""

import json
import random
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earlywarning.core.events import AnyEvent, Decoded
from earlywarning.runtimes.kafka import municipality as module
from earlywarning.runtimes.kafka.journal import JOURNAL, Write
from earlywarning.runtimes.kafka.messages import Arrived, pack_settings, unpack_settings
from earlywarning.runtimes.kafka.municipality import Municipality, Step
from earlywarning.runtimes.kafka.passing import refused
from earlywarning.settings import Settings, load_settings
from tests.core.town import BEGIN, CATEGORIES, areas_text, event, surge
from tests.core.troubled import again

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = """
[municipality]
code = "0999"
name = "Testby"
[registers]
areas = "areas.geojson"
categories = "categories.csv"
[events]
lateness_days = 3
oldest = 2022-01-01
[detection]
years = 2
[alerts]
false_alarms_per_week = 2.0
settle_after_days = 4
"""


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("town")
    (folder / "areas.geojson").write_text(areas_text())
    (folder / "categories.csv").write_text(CATEGORIES)
    (folder / "earlywarning.toml").write_text(SETTINGS)
    return load_settings(folder / "earlywarning.toml")


def _events(days: int, seed: int, surge: int | None = None) -> list[AnyEvent]:
    rng = np.random.default_rng(seed)
    out = []
    for day in range(days):
        for n in range(rng.poisson(3) + (12 if surge is not None and surge <= day < surge + 3 else 0)):
            when = BEGIN + timedelta(days=day, hours=int(rng.integers(0, 10)))
            area, category = ("A1", "C1") if n >= 6 else (f"A{rng.integers(6)}", f"C{rng.integers(2)}")
            kind = "report" if rng.random() < 0.3 else "incident"
            out.append(event(f"{day}-{n}", when, area=area, category=category, kind=kind))
    return sorted(out, key=lambda e: e.recorded_at)


def _messages(events: Sequence[AnyEvent], size: int, history_days: int) -> list[Arrived]:
    until = BEGIN + timedelta(days=history_days)
    out: list[Arrived] = []
    old, new = [e for e in events if e.recorded_at < until], [e for e in events if e.recorded_at >= until]
    for part, history in ((old, True), (new, False)):
        for begin in range(0, len(part), size):
            batch = part[begin : begin + size]
            newest = batch[-1].recorded_at.timestamp()
            out.append(Arrived("incidents", 0, len(out), "0999", Decoded(batch, list(range(len(batch))), []), history, newest))
    return out


class _Log:
    """The changelog and what was sent, as another worker would find them."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.sent: dict[int, tuple[str, bytes]] = {}

    def write(self, write: Write) -> None:
        key, value = write
        if value is None:
            self.held.pop(key, None)
        else:
            self.held[key] = value

    def send(self, own: Municipality, step: Step) -> None:
        for message in step.outgoing:
            known = self.sent.setdefault(message.number, (message.key, message.value))
            assert known == (message.key, message.value), "one number, two messages"
            own.journal.sent(message.number)


@pytest.fixture(scope="module")
def town() -> list[Arrived]:
    return _messages(_events(430, 3, surge=415), 9, 400)


def _undisturbed(chosen: Settings, town: Sequence[Arrived]) -> tuple[_Log, Municipality]:
    log, own = _Log(), Municipality(chosen, NOW)
    for message in town:
        for step in own.take([message], NOW):
            for write in step.writes:
                log.write(write)
            log.send(own, step)
    return log, own


def _told(log: _Log) -> list[tuple[str, str, object]]:
    """Every change of every alert, in its order. (A rebuilt engine says again how its alerts stand, without a change.)"""
    return [(key, c["change"], c["alert"]) for key, body in _alerts(log) for c in body["changes"]]


def _alerts(log: _Log) -> list[tuple[str, dict[str, Any]]]:
    """What was said of alerts, in its order; without the numbers, which count the messages."""
    said = [(key, json.loads(value)) for key, value in (log.sent[n] for n in sorted(log.sent)) if b'"alert"' in value]
    return [(key, {k: v for k, v in body.items() if k != "number"}) for key, body in said]


def test_died_at_any_write_and_fed_again_it_says_the_same(chosen: Settings, town: list[Arrived]) -> None:
    want, calm = _undisturbed(chosen, town)
    assert len({key for key, _ in _alerts(want)}) >= 1
    rng = random.Random(8)
    log, own = _Log(), Municipality(chosen, NOW)
    at = deaths = 0
    while at < len(town):
        many = town[at : at + (1 if rng.random() < 0.9 else 2)]
        steps = [step for message in many for step in own.take([message], NOW)]
        if rng.random() < 0.2:  # it dies: some of the writes have arrived, or all and nothing was sent
            writes = [w for step in steps for w in step.writes]
            for write in writes[: rng.randint(0, len(writes))]:
                log.write(write)
            own, deaths = Municipality.restore(chosen, log.held, NOW), deaths + 1
            for message in list(own.journal.entry.outgoing):
                assert log.sent.setdefault(message.number, (message.key, message.value)) == (message.key, message.value)
                own.journal.sent(message.number)
            at = max(0, at - rng.randint(0, 5))  # the group's offset lags behind
            continue
        for step in steps:
            for write in step.writes:
                log.write(write)
            log.send(own, step)
        at += len(many)
    assert deaths > 10
    assert _told(log) == _told(want)
    last, wanted = dict(_alerts(log)), dict(_alerts(want))
    assert {k: v["alert"] for k, v in last.items()} == {k: v["alert"] for k, v in wanted.items()}
    assert own.engine.today == calm.engine.today
    records = Municipality.restore(chosen, log.held, NOW)
    assert records.engine.ledger.column("key").tolist() != []
    assert sorted(own.engine.ledger.column("key").tolist()) == sorted(calm.engine.ledger.column("key").tolist())


def test_every_message_twice_is_counted_once(chosen: Settings, town: list[Arrived]) -> None:
    want, _ = _undisturbed(chosen, town)
    log, own = _Log(), Municipality(chosen, NOW)
    for message in town:
        for step in [*own.take([message], NOW), *own.take([message], NOW)]:
            for write in step.writes:
                log.write(write)
            log.send(own, step)
    assert log.sent == want.sent


def test_many_messages_in_one_step_give_the_alerts_of_one_by_one(chosen: Settings, town: list[Arrived]) -> None:
    want, _ = _undisturbed(chosen, town)
    log, own = _Log(), Municipality(chosen, NOW)
    for begin in range(0, len(town), 40):
        for step in own.take(town[begin : begin + 40], NOW):
            log.send(own, step)
    assert {key for key, _ in _alerts(log)} == {key for key, _ in _alerts(want)}
    last, wanted = dict(_alerts(log)), dict(_alerts(want))
    assert {k: v["alert"] for k, v in last.items()} == {k: v["alert"] for k, v in wanted.items()}


def test_a_large_message_is_taken_in_pieces_and_goes_on_within_it(chosen: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_EVENTS", 50)
    monkeypatch.setattr(module, "MOST_DAYS", 7)
    events = _events(60, 5)
    (whole,) = _messages(events, 10_000, 0)
    own = Municipality(chosen, NOW)
    steps = list(own.take([whole], NOW))
    assert len(steps) >= 60 // 7
    held: dict[str, bytes] = {}
    for step in steps[:3]:  # it dies within the message
        for key, value in step.writes:
            if value is not None:
                held[key] = value
    again = Municipality.restore(chosen, held, NOW)
    position = again.read("incidents")
    assert (position.offset, position.events > 0) == (0, True)
    outcomes = [o for step in again.take([whole], NOW) for taken in step.taken for o in taken.outcomes]
    assert set(outcomes) == {"accepted"}
    assert len(outcomes) == len(events) - position.events
    assert sorted(again.engine.ledger.column("key").tolist()) == sorted(own.engine.ledger.column("key").tolist())


@pytest.mark.parametrize(("days_after", "waits", "still"), [(7, 30, False), (2, 1, True)])
def test_made_anew_it_follows_what_it_followed_whatever_its_settings_say_by_then(
    chosen: Settings, tmp_path: Path, days_after: int, waits: int, still: bool
) -> None:
    """A withdrawn alert is let go when a day closes, here four days after its last signal; nothing else lets it go."""
    burst = surge(420, 12)
    gone = [again(e, revision=2, retraction=True, recorded_at=burst[-1].recorded_at) for e in burst]
    later = event("later", BEGIN + timedelta(days=420 + days_after), area="A5")
    events = [*(e for e in _events(420, 3) if e.recorded_at < burst[0].recorded_at), *burst, *gone, later]
    log, own = _undisturbed(chosen, _messages(events, 20, 420))
    (withdrawn,) = {key for key, change, _ in _told(log) if change == "withdrawn"}
    assert (withdrawn in own.engine.book.cases) is still
    for name in ("areas.geojson", "categories.csv"):
        shutil.copy(chosen.folder / name, tmp_path)
    (tmp_path / "earlywarning.toml").write_text(SETTINGS.replace("settle_after_days = 4", f"settle_after_days = {waits}"))
    anew = Municipality.restore(load_settings(tmp_path / "earlywarning.toml"), log.held, NOW)
    assert anew.engine.book.cases.keys() == own.engine.book.cases.keys()


def test_a_day_closes_by_the_wall_clock_when_no_event_comes(chosen: Settings) -> None:
    own = Municipality(chosen, NOW)
    list(own.take(_messages(_events(20, 6), 30, 0), NOW))
    day = own.engine.today
    assert day is not None
    assert own.advance(BEGIN + timedelta(days=19, hours=2)) is None  # the same day: nothing is written
    step = own.advance(BEGIN + timedelta(days=23))
    assert step is not None
    assert [key for key, _ in step.writes][-1] == JOURNAL
    assert own.engine.today == day + 4 - (day - int(own.engine.calendar.day_at(BEGIN + timedelta(days=19))))


def test_a_poison_message_becomes_dead_letters_and_is_passed_over(chosen: Settings) -> None:
    own = Municipality(chosen, NOW)
    (message,) = _messages(_events(3, 6), 100, 0)
    letters = [p.letter for p in refused(message, "internal-error", "it failed") if p.letter]
    step = own.refuse(message, letters)
    assert len(step.outgoing) == len(message.decoded.events) == len(letters)
    assert own.read("incidents").offset == message.offset + 1
    assert list(own.take([message], NOW)) == []


def test_published_settings_come_out_as_they_went_in(chosen: Settings, tmp_path: Path) -> None:
    got = unpack_settings(pack_settings(chosen), tmp_path / "a")
    assert (got.version, got.text) == (chosen.version, chosen.text)
    assert (tmp_path / "a" / "areas.geojson").read_bytes() == (chosen.folder / "areas.geojson").read_bytes()
