"""Questions for the analysis of causes follow from the alert's facts, and are three or four."""

from datetime import date, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.alert_record import Alert, Carrier, DayCount, EarlierYear, SpecialDay, Uncertainty
from earlywarning.core.questions import Question, questions
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


def whole(alert: Alert, neighbours: tuple[str, ...] = (), *, heaped: bool = False, **facts: Any) -> dict[str, Question]:
    """Questions by their keys, with what they name."""
    return {q.key: q for q in questions(msgspec.structs.replace(alert, **facts), neighbours, heaped=heaped)}


def test_by_default_there_was_no_earlier_alert_and_no_heap(alert: Alert) -> None:
    assert [q.key for q in questions(alert)] == asked(alert)


def test_each_question_names_what_it_is_about(alert: Alert) -> None:
    days = (
        SpecialDay(("valborg", "Walpurgis"), MONDAY, MONDAY),
        SpecialDay(("later", "later"), date(2024, 6, 6), date(2024, 6, 6)),
    )
    for key, facts, named in (
        ("booking", {"uncertainties": (Uncertainty("burst", "wardens", 0.4, MONDAY),)}, Question("booking", source="wardens")),
        ("booking", {"heaped": True}, Question("booking")),
        ("special-days", {"special_days": days}, Question("special-days", day=MONDAY)),
        ("sub-category", {"carriers": (Carrier("category", "C1", 10.0, 1.0),)}, Question("sub-category", ("C1",))),
        ("sub-area", {"carriers": (Carrier("area", "A1", 10.0, 1.0),)}, Question("sub-area", ("A1",))),
        ("neighbours", {"neighbours": ("A1", "A2", "A3", "A4")}, Question("neighbours", ("A1", "A2", "A3"))),
        ("one-day", {"days": week(1, 9, 1)}, Question("one-day", day=MONDAY + timedelta(days=1))),
        (
            "missing",
            {"uncertainties": (Uncertainty("silent-source", "library", 0.0, MONDAY),)},
            Question("missing", source="library"),
        ),
    ):
        assert whole(alert, **facts)[key] == named  # type: ignore[arg-type]


# Facts just within and just beyond a limit, and whether the question is asked.
LIMITS: list[tuple[str, dict[str, Any], bool]] = [
    ("missing", {"uncertainties": (Uncertainty("late-data", share=0.1),)}, True),
    ("missing", {"uncertainties": (Uncertainty("late-data", share=0.09),)}, False),
    ("missing", {"uncertainties": (Uncertainty("burst", "wardens", 0.9, MONDAY),)}, False),
    ("grave", {"tendency": "first"}, True),
    ("grave", {"tendency": "harm"}, True),
    ("grave", {"tendency": "surge"}, False),
    ("season", {"earlier_years": (EarlierYear(1, MONDAY, 0.7 * 12.0),)}, True),
    ("season", {"earlier_years": (EarlierYear(1, MONDAY, 8.3),)}, False),
    ("season", {"earlier_years": (EarlierYear(1, MONDAY, 1.0),), "observed": 1.0}, True),
    ("season", {"earlier_years": (EarlierYear(1, MONDAY, 0.0),), "observed": 0.0}, False),
    ("sub-category", {"carriers": (Carrier("category", "G0", 10.0, 1.0),)}, False),  # the alert's own
    ("sub-category", {"carriers": (Carrier("category", "all", 10.0, 1.0),)}, False),
    ("sub-area", {"carriers": (Carrier("area", "A0", 10.0, 1.0),)}, False),
    ("sub-category", {"carriers": (Carrier("category", "C1", 6.5, 1.0),)}, True),  # half of a rise of eleven
    ("sub-category", {"carriers": (Carrier("category", "C1", 6.4, 1.0),)}, False),
    ("sub-category", {"carriers": (Carrier("category", "C1", 1.0, 1.0),), "observed": 1.0}, False),  # no rise
    ("sub-category", {"carriers": (Carrier("category", "C1", 2.0, 1.0),), "observed": 2.0}, True),
    ("one-day", {"days": week(2, 1, 1)}, True),
    ("one-day", {"days": week(3, 2, 2)}, False),
    ("one-day", {"days": week(1, 0, 0)}, True),
    ("one-day", {"days": week(9, 1)}, False),
    ("one-day", {"days": week(0, 0, 0)}, False),
    ("spread-days", {"days": week(3, 2, 2)}, True),
    ("weekend", {"days": week(2, 2, 2, 1, 5, 4, 4)}, True),  # 13 of 20
    ("weekend", {"days": week(2, 2, 2, 2, 5, 4, 4)}, False),
    ("weekend", {"days": week(0, 0, 1, 1, 4, 4)}, False),
]


@pytest.mark.parametrize(("key", "facts", "there"), LIMITS)
def test_a_question_is_asked_from_its_limit_on(alert: Alert, key: str, facts: dict[str, Any], there: bool) -> None:
    assert (key in whole(alert, **facts)) is there


def test_of_several_parts_the_one_that_has_risen_most_is_asked_about(alert: Alert) -> None:
    large = (Carrier("category", "C2", 9.0, 8.0), Carrier("category", "C1", 8.0, 0.0))
    assert whole(alert, carriers=large)["sub-category"].codes == ("C1",)
    close = (Carrier("category", "C2", 7.5, 0.9), Carrier("category", "C1", 7.0, 0.0))
    assert whole(alert, carriers=close)["sub-category"].codes == ("C1",)


def test_three_that_the_facts_ask_are_enough(alert: Alert) -> None:
    assert asked(alert, returned=True, tendency="apart") == ["returned", "apart", "recording"]
