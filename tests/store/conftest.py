"""Every test of the store runs on SQLite and on a real PostgreSQL, each with an empty database of its own."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from earlywarning.core.alert_record import Alert, AlertChange, Carrier, DayCount, EarlierYear, Signal, Uncertainty
from earlywarning.core.changes import Changes, DeadLetter
from earlywarning.store import Store

_numbers = itertools.count(1)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a store that does not exist yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'store.db'}"
        return
    server: str = request.getfixturevalue("postgresql_url")
    name = f"store_{next(_numbers)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    yield server.removesuffix("postgres") + name
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """An empty store, open for writing."""
    with Store.open(url, writer=True, holder="127.0.0.1:8080") as opened:
        yield opened


@pytest.fixture
def alert() -> Callable[..., Alert]:
    """Makes an alert; what a test does not name is filled in."""
    return _alert


@pytest.fixture
def changes() -> Callable[..., Changes]:
    """Makes changes of municipality 0380; what a test does not name is empty."""
    return _changes


@pytest.fixture
def letter() -> Callable[..., DeadLetter]:
    """Makes a dead letter."""
    return _letter


def _alert(alert_id: str = "0380-2024-0001", **given: Any) -> Alert:
    day = date(2024, 5, 7)
    signal = Signal(
        role="today",
        tendency="surge",
        kind="incident",
        areas=("0380R001",),
        categories=("vandalism",),
        window=7,
        first_day=date(2024, 5, 1),
        last_day=day,
        observed=14.5,
        expectation=4.25,
        upper_bound=9.0,
        dispersion=1.3,
        p_value=1e-5,
        recurrence_days=400.0,
        score=0.5,
        missing_share=0.1,
        method="scan",
        status="ok",
        raised_at=datetime(2024, 5, 7, 13, tzinfo=UTC),
    )
    fields: dict[str, Any] = {
        "alert_id": alert_id,
        "municipality": "0380",
        "tendency": "surge",
        "state": "open",
        "opened_on": day,
        "opened_at": datetime(2024, 5, 7, 13, tzinfo=UTC),
        "first_day": date(2024, 5, 1),
        "last_day": day,
        "updated_on": day,
        "settled_on": None,
        "kind": "incident",
        "areas": ("0380R001", "Gottsunda östra"),
        "categories": ("vandalism",),
        "window": 7,
        "observed": 14.5,
        "expected": 4.25,
        "upper_bound": 9.0,
        "p_value": 1e-5,
        "recurrence_days": 400.0,
        "settings_version": "0123456789ab",
        "signals": (signal,),
        "days": (DayCount(day, 3.5),),
        "carriers": (Carrier("category", "graffiti", 9.0, 2.5),),
        "earlier_years": (EarlierYear(1, date(2023, 5, 9), 4.0),),
        "uncertainties": (Uncertainty("silent-source", source="wardens", since=day, recurrence_days=60.0),),
    }
    return Alert(**{**fields, **given})


def _changes(
    pages: dict[int, bytes] | None = None,
    alerts: list[Alert] | None = None,
    history: list[AlertChange] | None = None,
    **given: Any,
) -> Changes:
    pages = pages or {}
    fields: dict[str, Any] = {
        "municipality": "0380",
        "pages": pages,
        "page_events": {day: len(page) for day, page in pages.items()},
        "alerts": alerts or [],
        "history": history or [],
        "clock_day": 19850,
        "clock_hour": 476400,
    }
    return Changes(**{**fields, **given})


def _letter(position: int = 1, **given: Any) -> DeadLetter:
    fields: dict[str, Any] = {
        "received_at": datetime(2024, 5, 7, 13, 5, 9, tzinfo=UTC),
        "municipality": "0380",
        "way": "may.jsonl",
        "position": position,
        "field": "category",
        "rule": "unknown-category",
        "problem": "category 'grafiti' is not in the tree; nearest: 'graffiti'",
        "source": "wardens",
        "event_id": f"W-{position}",
        "kind": "report",
        "payload": '{"category":"grafiti"}',
    }
    return DeadLetter(**{**fields, **given})
