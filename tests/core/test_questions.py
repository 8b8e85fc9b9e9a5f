"""Questions for the analysis of causes follow from the alert's facts, and are three or four."""

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.alert_record import Alert, Carrier, DayCount, EarlierYear, SpecialDay, Uncertainty
from earlywarning.core.questions import questions
from tests.core.town import engine, feed, history, merged, surge

MONDAY = date(2024, 5, 6)


@pytest.fixture(scope="module")
def alert() -> Alert:
    """A real alert about a surge, from which the tests take what they do not ask about."""
    _, alerts, _ = feed(engine(), merged(history(5, 480), surge(470, 12)))
    found = next(a for a in alerts.values() if a.areas == ("A0",))
    bare = {"uncertainties": (), "special_days": (), "carriers": (), "earlier_years": (), "days": (), "tendency": "surge"}
    return msgspec.structs.replace(found, observed=12.0, expected=1.0, categories=("G0",), **bare)  # type: ignore[arg-type]  # fields


def asked(
    alert: Alert, *, neighbours: tuple[str, ...] = (), returned: bool = False, heaped: bool = False, **facts: Any
) -> list[str]:
    found = questions(msgspec.structs.replace(alert, **facts), neighbours, returned=returned, heaped=heaped)
    return [q.key for q in found]


def week(*counts: float) -> tuple[DayCount, ...]:
    return tuple(DayCount(MONDAY + timedelta(days=i), n) for i, n in enumerate(counts))


def test_without_any_fact_they_ask_about_recording_place_and_who_can_change_it(alert: Alert) -> None:
    assert asked(alert) == ["recording", "place", "influence"]


@pytest.mark.parametrize(
    ("facts", "key"),
    [
        ({"returned": True}, "returned"),
        ({"heaped": True}, "booking"),
        ({"uncertainties": (Uncertainty("burst", "wardens", 0.4, MONDAY),)}, "booking"),
        ({"uncertainties": (Uncertainty("silent-source", "library", 0.0, MONDAY, 400.0),)}, "missing"),
        ({"special_days": (SpecialDay(("valborg", "Walpurgis"), MONDAY, MONDAY),)}, "special-days"),
        ({"earlier_years": (EarlierYear(1, MONDAY, 10.0),)}, "season"),
        ({"carriers": (Carrier("category", "C1", 10.0, 1.0),)}, "sub-category"),
        ({"carriers": (Carrier("area", "A1", 10.0, 1.0),)}, "sub-area"),
        ({"days": week(9, 1, 1, 1)}, "one-day"),
        ({"days": week(1, 0, 1, 0, 4, 4, 2)}, "weekend"),
        ({"days": week(2, 2, 2, 1, 2, 2, 1)}, "spread-days"),
        ({"tendency": "apart"}, "apart"),
        ({"tendency": "severe"}, "grave"),
        ({"kind": "report"}, "new-reporter"),
        ({"neighbours": ("A1", "A3")}, "neighbours"),
    ],
)  # fmt: skip
def test_each_fact_has_its_question(alert: Alert, facts: dict[str, Any], key: str) -> None:
    assert key in asked(alert, **facts)


def test_a_part_that_carries_little_of_the_rise_is_not_asked_about(alert: Alert) -> None:
    assert "sub-category" not in asked(alert, carriers=(Carrier("category", "C1", 4.0, 3.5),))


@given(st.booleans(), st.booleans(), st.sampled_from([(), ("A1",), ("A1", "A2", "A3", "A4")]), st.sampled_from([week(9, 1, 1), ()]))
def test_there_are_three_or_four_and_none_twice(
    alert: Alert, returned: bool, heaped: bool, neighbours: tuple[str, ...], days: tuple[DayCount, ...]
) -> None:
    keys = asked(alert, neighbours=neighbours, returned=returned, heaped=heaped, days=days)
    assert 3 <= len(keys) <= 4
    assert len(set(keys)) == len(keys)
