"""A replay of the suppliers' files gives the state to the last digit, whatever the service has lived through on the way."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from earlywarning.core.alerts import SCANNED
from earlywarning.core.calendar import LocalCalendar, date_of
from earlywarning.core.casework import Answer
from earlywarning.core.events import AnyEvent
from earlywarning.core.ledger import Held
from earlywarning.core.pages import decode_page, encode_page
from earlywarning.runtimes.embedded import Service
from earlywarning.runtimes.rebuilding import Compared
from earlywarning.runtimes.verifying import Wanted, verify_store
from earlywarning.settings import load_settings
from earlywarning.store import Store
from tests.core.town import BEGIN, CODE, NOW, event, history, merged, surge
from tests.core.troubled import again, troubled
from tests.runtimes.test_embedded import supply
from tests.web.conftest import write_town

CALENDAR = LocalCalendar()
FIRST = 445  # 22 March 2024: with the night in which the clocks change
JUDGED = date_of(CALENDAR.day_at(BEGIN + timedelta(days=FIRST - 1)))
GIVEN = datetime(2026, 3, 16, 9, tzinfo=UTC)


class Town:
    """A service in a folder, and all that its suppliers have sent."""

    def __init__(self, folder: Path, seed: int, **chosen: float) -> None:
        self.folder, self.file = folder, folder / "earlywarning.toml"
        write_town(folder)
        self.plain = self.file.read_text()
        self.choose(**chosen)
        self.open()
        past = history(seed, days=FIRST, lag_days=0.7)
        self.sent: list[AnyEvent] = [e for e in past if date_of(CALENDAR.day_at(e.recorded_at)) < JUDGED]
        self.service.take([supply(self.sent)], NOW, history=True)

    def choose(self, false_alarms_per_week: float = 3.0, settle_after_days: int = 4, severe_harm: float = 5.0) -> None:
        self.file.write_text(
            f"{self.plain}[alerts]\nfalse_alarms_per_week = {false_alarms_per_week}\nsettle_after_days = {settle_after_days}\n"
            f"[budget]\nsevere_harm = {severe_harm}\nsevere_rare_days = 20.0\nfirst_share = 0.2\n"
        )

    def open(self) -> None:
        self.service = Service.open(load_settings(self.file))

    def restart(self) -> None:
        self.service.stop()
        self.open()

    def reload(self, **chosen: float) -> None:
        self.choose(**chosen)  # type: ignore[arg-type]
        self.service.reload(load_settings(self.file))

    def send(self, *parts: Sequence[AnyEvent], now: datetime = NOW) -> None:
        """Parts that come at once, as when the writer takes what waits."""
        self.service.take([supply(list(part)) for part in parts], now)
        self.sent += [e for part in parts for e in part]

    def explain(self, alert_id: str) -> None:
        """The group says that it was a holiday."""
        for number, said in enumerate(
            ({"action": "acknowledge"}, {"action": "assess", "assessment": "known-cause", "reason": "holiday"})
        ):
            fields = {"answer_id": f"{alert_id}/{number}", "alert_id": alert_id, "actor": "A", "at": GIVEN}
            self.service.answer(msgspec.convert({**fields, **said}, Answer))

    def states(self) -> list[str]:
        """Of the alerts about counts in A0 that were opened on the first day of the service's own."""
        day = date_of(CALENDAR.day_at(BEGIN + timedelta(days=FIRST)))
        found = self.service.store.alerts(since=day, until=day)
        return [a.state for a in found if a.areas == ("A0",) and a.tendency in SCANNED]

    def compared(self, *parts: Sequence[AnyEvent]) -> Compared:
        """The service is ended, and its store held against its suppliers' files; without any all that was sent stands in one."""
        self.service.stop()
        files = []
        for number, part in enumerate(parts or (self.sent,)):
            files.append(self.folder / f"events-{number}.jsonl")
            files[-1].write_bytes(b"\n".join(msgspec.json.encode(e) for e in part))
        found = verify_store(load_settings(self.file), Wanted(tuple(files), judged_from=JUDGED))
        assert [p for check in found.checks for p in check.problems] == []
        assert found.compared is not None
        assert found.fine == (not found.compared.differences)
        return found.compared


@pytest.mark.parametrize("seed", [2])
def test_whatever_a_service_has_lived_through_its_state_follows_from_what_was_sent(tmp_path: Path, seed: int) -> None:
    """Batches of all sizes, restarts, other settings in the middle of an hour, explained alerts, and days that the clock closes."""
    town, rng = Town(tmp_path, seed), np.random.default_rng(seed)
    events = [e for e in troubled(rng, FIRST, 12) if date_of(CALENDAR.day_at(e.recorded_at)) >= JUDGED]
    begin, done = 0, set()
    while begin < len(events):
        part = events[begin : begin + int(rng.choice([1, 2, 5, 20]))]
        begin += len(part)
        if rng.random() < 0.2:
            town.service.advance(part[0].recorded_at + timedelta(hours=float(rng.choice([0.2, 3, 14]))))
        town.send(part[: len(part) // 2], part[len(part) // 2 :])
        if rng.random() < 0.06:
            town.restart()
        if rng.random() < 0.06:
            chosen = {"false_alarms_per_week": float(rng.choice([0.5, 3.0, 10.0])), "severe_harm": float(rng.choice([3.0, 5.0]))}
            town.reload(**chosen)
        open_now = sorted({a.alert_id for a in town.service.store.alerts(limit=3)} - done)
        if open_now and rng.random() < 0.06:
            done.add(open_now[0])
            town.explain(open_now[0])
    found = town.compared()
    assert found.differences == []
    assert found.by_order == 0
    assert found.exact > 4


def test_settings_that_came_within_an_hour_are_put_in_force_between_the_same_events(tmp_path: Path) -> None:
    town = Town(tmp_path, 3, false_alarms_per_week=0.001)
    when = BEGIN + timedelta(days=FIRST)
    burst = [event(f"b{i}", when + timedelta(minutes=i), category=f"C{i % 4}", origin="reported") for i in range(12)]
    town.send(burst[:4])
    before = len(town.service.store.alerts())
    town.reload(false_alarms_per_week=10.0)
    town.send(burst[4:7])
    town.restart()
    assert len(town.service.store.alerts()) > before
    town.reload(false_alarms_per_week=0.02)
    town.send(burst[7:])
    found = town.compared()
    assert found.differences == []
    assert found.exact >= 1


def test_what_new_settings_take_back_is_kept_at_once(tmp_path: Path) -> None:
    for change in (Town.reload, Town.choose):
        folder = tmp_path / change.__name__
        folder.mkdir()
        town = Town(folder, 3, false_alarms_per_week=10.0)
        town.send(surge(FIRST, 4))
        assert town.states() == ["open"]
        change(town, false_alarms_per_week=0.00001)
        town.restart()
        assert town.states() == ["withdrawn"]
        assert town.compared().differences == []


def test_an_alert_that_was_let_go_does_not_come_back_by_a_restart_with_settings_that_wait_for_longer(tmp_path: Path) -> None:
    town = Town(tmp_path, 3, settle_after_days=2)
    burst = surge(FIRST, 6)
    town.send(burst, [again(e, revision=2, retraction=True, recorded_at=burst[-1].recorded_at) for e in burst])
    town.send([event("later", BEGIN + timedelta(days=FIRST + 4), area="A5")])
    assert town.states() == ["withdrawn"]
    town.reload(settle_after_days=9)
    town.restart()
    town.send([again(e, revision=3, recorded_at=BEGIN + timedelta(days=FIRST + 4, hours=1)) for e in burst])
    assert town.states() == ["withdrawn"]
    assert town.compared().differences == []


def test_files_of_two_suppliers_are_put_among_each_other(tmp_path: Path) -> None:
    town = Town(tmp_path, 9)
    both = merged(surge(FIRST, 9), [event(f"p{i}", BEGIN + timedelta(days=FIRST + i), source="police") for i in range(8)])
    both = merged(both, surge(FIRST + 5, 8, area="A3"))
    town.send(both)
    found = town.compared(*[[e for e in town.sent if e.source == source] for source in ("wardens", "police")])
    assert found.differences == []
    assert found.exact >= 2
    assert any("came among each other" in note for note in found.notes)
    folder = shutil.copytree(tmp_path, tmp_path.parent / "second")
    turn = len(town.sent) - 6  # one supplier's, one after the other
    files = [folder / "a.jsonl", folder / "b.jsonl"]
    for file, part in zip(files, (town.sent[:turn], town.sent[turn:]), strict=True):
        file.write_bytes(b"\n".join(msgspec.json.encode(e) for e in part))
    in_turn = verify_store(load_settings(folder / "earlywarning.toml"), Wanted(tuple(files), judged_from=JUDGED)).compared
    assert in_turn is not None
    assert in_turn.differences == []
    assert in_turn.by_order == 0
    assert not any("among each other" in note for note in in_turn.notes)


def test_what_came_after_the_clock_had_closed_its_day_is_rebuilt_on_the_day_on_which_it_came(tmp_path: Path) -> None:
    town = Town(tmp_path, 5)
    burst = surge(FIRST, 9)
    town.send(burst[:2])
    town.service.advance(burst[0].recorded_at + timedelta(days=1))
    town.send(burst[2:])
    found = town.compared()
    assert found.differences == []
    assert any(note.startswith("7 events came on a later day than they were recorded on") for note in found.notes)


def test_a_revision_that_came_late_and_was_replaced_at_once_leaves_no_row_in_a_rebuild_either(tmp_path: Path) -> None:
    town = Town(tmp_path, 5)
    first = event("x", BEGIN + timedelta(days=FIRST))
    town.send([event("before", BEGIN + timedelta(days=FIRST))])
    town.service.advance(first.recorded_at + timedelta(days=1))
    town.send([first], [again(first, revision=2, area="A3", recorded_at=first.recorded_at + timedelta(minutes=5))])
    assert town.compared().differences == []


def test_an_event_that_was_refused_and_taken_later_is_rebuilt_where_it_was_taken(tmp_path: Path) -> None:
    town = Town(tmp_path, 6)
    early, never, *burst = surge(FIRST, 9)
    for refused in (early, never):
        town.send([refused], now=refused.recorded_at - timedelta(hours=2))
    assert [one.letter.rule for one in town.service.store.dead_letters()] == ["future"] * 2
    town.send(burst, [event("next", BEGIN + timedelta(days=FIRST + 2))])
    town.service.replay(town.service.store.dead_letters(limit=1))
    found = town.compared()
    assert found.differences == []
    assert any(note.startswith("1 events of the files were refused") for note in found.notes)
    assert any(note.startswith("1 events came later than their place") for note in found.notes)


# ---- what is damaged is found -------------------------------------------------------------------------------------


def test_one_count_that_was_changed_in_a_page_is_found(tmp_path: Path) -> None:
    """An event is put in another area, canonically encoded: no check of the page by itself can tell."""
    town = Town(tmp_path, 7)
    town.send(surge(FIRST, 9), [event("next", BEGIN + timedelta(days=FIRST + 2))])
    town.service.stop()
    with Store.open(load_settings(town.file).store_url, writer=True) as store:
        day = CALENDAR.day_at(BEGIN + timedelta(days=FIRST))
        page = decode_page(dict(store.pages(CODE))[day])
        area = page.columns["area"].copy()
        moved = int(np.flatnonzero(area == page.codes["area"].index("A0"))[0])
        codes = {**page.codes, "area": [*page.codes["area"], *({"A5"} - set(page.codes["area"]))]}
        area[moved] = codes["area"].index("A5")
        forged = encode_page(day, Held({**page.columns, "area": area}), codes)
        with store.writing() as c:
            c.exec_driver_sql("update pages set page = ? where day = ?", (forged, day))
    settings = load_settings(town.file)
    assert verify_store(settings).fine, "the page by itself is in order"
    by_files = town.compared()
    assert [line for line in by_files.differences if line.startswith(f"page of {date_of(day)}")]
    by_pages = verify_store(settings, Wanted()).compared
    assert by_pages is not None
    assert any(line.startswith("alert ") for line in by_pages.differences), "an alert counts one more than the page has"
