"""The embedded service: what it answers is on disk, on either database, and it never runs ahead of its store."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from earlywarning.core.events import Decoded
from earlywarning.runtimes.embedded import Service, Taken
from earlywarning.settings import Settings, SettingsError, load_settings, parse_settings
from earlywarning.sources.supply import Supply
from earlywarning.store import StoreError, StoreLocked
from tests.core.town import BEGIN, event, history, merged, surge
from tests.web.conftest import write_town


def supply(events: list) -> Supply:  # type: ignore[type-arg]
    return Supply(Decoded(events, list(range(len(events))), []), "test")


def take(service: Service, events: list) -> Taken:  # type: ignore[type-arg]
    (taken,) = service.take([supply(events)], datetime.now(UTC))
    return taken


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_town(tmp_path)
    return load_settings(tmp_path / "earlywarning.toml")


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    opened = Service.open(settings)
    yield opened
    opened.stop()


def test_postgresql_and_sqlite_keep_the_same_alerts_and_pages(tmp_path: Path, settings: Settings, postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute("drop database if exists embedded")
        admin.execute("create database embedded")
    url = postgresql_url.rsplit("/", 1)[0] + "/embedded"
    text = settings.text.replace("sqlite:///store.db", url)
    kept = []
    for chosen in (settings, parse_settings(text, file="x", folder=tmp_path)):
        events = merged(history(6, days=440), surge(430))
        service = Service.open(chosen)
        for begin in range(0, len(events), 300):
            take(service, events[begin : begin + 300])
        service.stop()
        again = Service.open(chosen)
        assert set(take(again, events).outcomes) == {"repeated"}
        kept.append((again.store.alerts(), list(again.store.pages("0999")), again.store.engine_state("0999")))
        again.stop()
    assert kept[0][0]
    assert kept[0] == kept[1]


def test_one_store_has_one_writer_and_says_who(settings: Settings) -> None:
    first = Service.open(settings, holder="http://127.0.0.1:1")
    with pytest.raises(StoreLocked, match=r"127\.0\.0\.1:1"):
        Service.open(settings)
    first.stop()
    Service.open(settings).stop()


def test_when_the_store_fails_nothing_is_taken_and_nothing_is_lost(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    take(service, [event(1, BEGIN)])
    commit = service.store.commit

    def fails(*_: object, **__: object) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(service.store, "commit", fails)
    with pytest.raises(StoreError):
        take(service, [event(2, BEGIN)])
    monkeypatch.setattr(service.store, "commit", commit)
    assert take(service, [event(1, BEGIN), event(2, BEGIN)]).outcomes == ["repeated", "accepted"]


def test_while_the_store_cannot_be_read_events_are_refused_not_forgotten(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    take(service, [event(1, BEGIN)])
    before = dict(service.store.pages("0999"))

    def fails(*_: object, **__: object) -> None:
        raise StoreError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(service.store, "commit", fails)
        broken.setattr(service.store, "engine_state", fails)
        for number in (2, 3):
            with pytest.raises(StoreError):
                take(service, [event(number, BEGIN)])
    assert dict(service.store.pages("0999")) == before
    assert take(service, [event(i, BEGIN) for i in (1, 2, 3)]).outcomes == ["repeated", "accepted", "accepted"]


def test_the_clock_closes_days_when_no_event_arrives(service: Service) -> None:
    take(service, merged(history(5, days=440), surge(440)))
    open_ones = service.store.alerts(states=["open"])
    assert open_ones
    service.advance(BEGIN + timedelta(days=480))
    assert service.store.alerts(states=["open"]) == []
    assert {a.state for a in service.store.alerts() if a.alert_id in {o.alert_id for o in open_ones}} == {"settled"}


def test_new_settings_are_in_force_at_once_and_each_version_is_kept(service: Service, settings: Settings) -> None:
    take(service, history(5, days=440))
    louder = parse_settings(settings.text + "[alerts]\nfalse_alarms_per_week = 50\n", file="x", folder=settings.folder)
    service.reload(louder)
    take(service, surge(440, n=5))
    newest = service.store.alerts(limit=1)[0]
    assert newest.settings_version == louder.version != settings.version
    assert [v[1] for v in service.store.settings_versions()] == [settings.version, louder.version]


def test_a_register_that_is_replaced_keeps_the_events_of_areas_that_are_gone(service: Service, settings: Settings) -> None:
    take(service, [event(1, BEGIN, area="A0"), event(2, BEGIN, area="A1")])
    file = settings.folder / "areas.geojson"
    document = json.loads(file.read_text())
    document["features"] = document["features"][1:]
    (settings.folder / "fewer.geojson").write_text(json.dumps(document))
    text = settings.text.replace("areas.geojson", "fewer.geojson")
    service.reload(parse_settings(text, file="x", folder=settings.folder))
    assert take(service, [event(1, BEGIN, area="A1"), event(2, BEGIN, area="A1"), event(3, BEGIN, area="A2")]).outcomes[1:] == [
        "repeated",
        "accepted",
    ]
    service.reload(settings)
    assert take(service, [event(1, BEGIN, area="A0")]).outcomes == ["repeated"]


def test_supplies_taken_together_are_answered_and_refused_each_for_itself(service: Service) -> None:
    good = [event(i, BEGIN) for i in range(3)]
    bad = event("bad", BEGIN, area="nowhere")
    mixed = [event("a", BEGIN), event("b", BEGIN, category="none"), event("c", BEGIN)]
    supplies = [supply(good[:2]), supply([bad]), supply(mixed), supply([good[2], good[0]]), supply([])]
    taken = service.take(supplies, datetime.now(UTC))
    said = [[(i.index, i.outcome, i.field) for i in one.items()] for one in taken]
    assert said == [
        [(1, "accepted", None), (2, "accepted", None)],
        [(1, "rejected", "area")],
        [(1, "accepted", None), (2, "rejected", "category"), (3, "accepted", None)],
        [(1, "accepted", None), (2, "repeated", None)],
        [],
    ]
    assert sorted((d.letter.event_id, d.letter.field) for d in service.store.dead_letters()) == [
        ("eb", "category"),
        ("ebad", "area"),
    ]


def test_what_is_recognised_as_an_artefact_is_kept_and_told(service: Service) -> None:
    at = BEGIN + timedelta(days=125, hours=-3)
    filed = [
        event(f"r{i}", at + timedelta(minutes=i), area="A1", kind="report", recorded_at=at + timedelta(minutes=i))
        for i in range(40)
    ]
    take(service, merged(history(1, days=130, rate=0.2), filed))
    (note,) = service.store.data_notes()
    assert (note.what, note.area, note.category, note.events >= 40) == ("burst", "A1", "C0", True)
    assert service.store.data_notes(since=note.noted_on, until=note.noted_on) == [note]
    assert service.store.data_notes(since=note.noted_on + timedelta(days=1)) == []


def test_weights_of_a_district_that_is_not_there_are_refused_at_opening_and_at_a_change(
    service: Service, settings: Settings, tmp_path: Path
) -> None:
    text = settings.text.replace("store.db", "other.db") + "\n[budget]\ndistrict_weights = { D9 = 2.0 }\n"
    with pytest.raises(SettingsError, match=r"budget\.district_weights: the register of areas has no 'D9'"):
        Service.open(parse_settings(text, file="x", folder=tmp_path))
    with pytest.raises(SettingsError, match="'D9'"):
        service.reload(parse_settings(text, file="x", folder=tmp_path))
    weighted = parse_settings(text.replace("D9", "D1") + "harm_weight = 1.0\n", file="x", folder=tmp_path)
    service.reload(weighted)
    watch = service.engine.settings.watch
    codes = service.register.codes
    assert {codes[i] for i, bonus in enumerate(watch.area_bonus) if bonus} == {"D1", "A3", "A4", "A5"}
    assert watch.category_bonus[list(service.tree.codes).index("C0")] < watch.category_bonus[list(service.tree.codes).index("C2")]
