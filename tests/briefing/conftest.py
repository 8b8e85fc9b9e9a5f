"""A small made-up town with two years of events, a surge in its last week, casework, refused events and a silent source."""

import dataclasses
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from earlywarning.briefing import Briefing, make_briefing
from earlywarning.core.areas import AreaRegister, municipality_only
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.casework import Answer, Casework, Picture, answer
from earlywarning.core.changes import DeadLetter
from earlywarning.core.engine import Engine
from earlywarning.core.events import AnyEvent
from earlywarning.settings import Settings, parse_settings
from earlywarning.store import Store
from earlywarning.store.cases import Cases
from tests.core.town import BEGIN, CODE, NOW, engine, event, history, merged, register, surge, tree

WEEK = "2024-W19"  # days 490 to 496 from BEGIN
SURGE = 492
MADE = datetime(2024, 5, 12, 18, tzinfo=UTC)


def town_settings(more: str = "") -> Settings:
    text = f'[municipality]\ncode = "{CODE}"\nname = "Testby"\n{more}'
    return parse_settings(text, file="earlywarning.toml", folder=Path())


def keep(to: Engine, events: list[AnyEvent], store: Store) -> None:
    """Feed events and keep what they change, as a runtime does."""
    for begin in range(0, len(events), 1000):
        to.ingest(events[begin : begin + 1000], NOW)
        store.commit(to.changes())


def letter(day: date, source: str, number: int) -> DeadLetter:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return DeadLetter(
        received_at=at, municipality=CODE, way="file.csv", position=number, field="area", rule="unknown", problem="no such area",
        source=source,
    )  # fmt: skip


def worked_on(alert_id: str, opened_at: datetime, due: date) -> Casework:
    """An alert that was confirmed and has a measure."""
    case = Casework(alert_id=alert_id, municipality=CODE, opened_at=opened_at)
    steps: list[dict[str, Any]] = [
        {"action": "assess", "assessment": "confirmed", "reason": "new-problem"},
        {"action": "picture", "picture": Picture(situation="Klotter vid stationen")},
        {"action": "cause", "cause": "lighting"},
        {"action": "measure", "answers": 1, "what": "Laga belysningen", "owner": "Gata och park", "begins": date(2024, 5, 1),
         "due": due, "goal": "Halverat antal rapporter"},
    ]  # fmt: skip
    for number, step in enumerate(steps):
        case = answer(case, Answer(answer_id=f"a{number}", alert_id=alert_id, actor="samordnare", at=MADE, **step))
    return case


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store of the town as it stands on Sunday evening of its last week."""
    where = f"sqlite:///{tmp_path_factory.mktemp('town') / 'store.db'}"
    quiet = [
        event(f"q{day}", BEGIN + timedelta(days=day), source="library", area="A4", category="C1", origin="reported")
        for day in range(380, 480)
    ]
    patrols = [event(f"p{n}", BEGIN + timedelta(days=SURGE + 1), area="A2", origin="discovered") for n in range(7)]
    closing = [event("last", MADE - timedelta(hours=2), area="A5", category="C2", origin="reported")]
    to = engine()
    with Store.open(where, writer=True) as store:
        keep(to, merged([e for e in history(5, 497) if e.recorded_at < MADE], quiet, patrols, surge(SURGE, 12), closing), store)
        opened = next(a for a in store.alerts(municipality=CODE) if a.areas == ("A0",) and a.opened_on == date(2024, 5, 8))
        letters = [letter(date(2024, 5, 8), "wardens", n) for n in range(3)] + [letter(date(2024, 4, 1), "wardens", 9)]
        cases = [worked_on(opened.alert_id, opened.opened_at, date(2024, 5, 10))]
        store.commit(None, letters, also=[Cases(store).keep(cases)])
    return where


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """The town's store, to read."""
    with Store.open(url) as opened:
        yield opened


Make = Callable[..., Briefing]


@pytest.fixture
def make(store: Store) -> Make:
    """Makes the picture; what a test does not name is that of the group, in Swedish, of the last week."""

    def made(week: str = WEEK, language: str = "sv", audience: str = "group", more: str = "", **given: Any) -> Briefing:
        areas: AreaRegister = given.pop("register", register())
        where: Store = given.pop("store", store)
        return make_briefing(where, town_settings(more), areas, tree(), LocalCalendar(), week, language, audience, **given)  # type: ignore[arg-type]  # texts

    return made


def without_outlines() -> AreaRegister:
    """The town's areas without any shape."""
    whole = register()
    return dataclasses.replace(whole, shapes=(None,) * len(whole.codes))


def only_the_municipality() -> AreaRegister:
    return municipality_only(CODE, "Testby")
