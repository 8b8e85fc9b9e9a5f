"""Mutes: for planned events, with a reason and an end; they hold back what lies within them, and never what is severe."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from earlywarning.core.mutes import REASONS, MuteError, checked, hits, muted_by, preview
from tests.core.routed import KIN, TUESDAY, alert, mute

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"areas": ("D9",)}, "areas", "unknown"),
        ({"categories": ("C9",)}, "categories", "unknown"),
        ({"areas": ()}, "areas", "missing"),
        ({"last_day": date(2026, 2, 28)}, "last_day", "before-first"),
        ({"first_day": date(2026, 2, 1), "last_day": date(2026, 2, 28)}, "last_day", "past"),
        ({"last_day": date(2026, 4, 30)}, "last_day", "too-long"),
        ({"reason": "because"}, "reason", "not-allowed"),
        ({"who": " "}, "who", "missing"),
        ({"who": "anna@example.se"}, "who", "e-mail-address"),
        ({"note": "ring 070-174 06 05"}, "note", "telephone-number"),
        ({"note": "x" * 2_001}, "note", "too-long"),
    ],
)
def test_a_mute_that_cannot_be_made_says_which_field_and_what_is_allowed(fields: dict[str, Any], field: str, rule: str) -> None:
    with pytest.raises(MuteError) as caught:
        checked(mute(**fields), KIN, TODAY)
    assert (caught.value.field, caught.value.rule) == (field, rule)


_PERSONAL = "it holds personal data; write about places and events, never about persons"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"areas": ("D9", "A1", "x" * 50)}, f"areas: the register has no 'D9', '{'x' * 40}'; give codes of the register"),
        ({"areas": ()}, "areas: name areas or categories; for the whole municipality write its code, 0999, among the areas"),
        ({"last_day": date(2026, 2, 28)}, "last_day: 2026-02-28 lies before the first day, 2026-03-01"),
        ({"first_day": date(2026, 2, 1), "last_day": date(2026, 2, 28)},
         "last_day: 2026-02-28 is over; a mute holds back what is still to come"),
        ({"last_day": date(2026, 4, 30)}, "last_day: 61 days are too long; a mute has an end, after 60 days at most"),
        ({"reason": "b" * 50}, f"reason: '{'b' * 40}' is not allowed; allowed: {', '.join(REASONS)}"),
        ({"who": "x" * 81}, "who: say in up to 80 characters which function it is, such as coordinator"),
        ({"who": "anna@example.se"}, "who: it holds personal data; write a function such as coordinator"),
        ({"note": "x" * 2_001}, "note: is longer than 2,000 characters"),
        ({"note": "ring 070-174 06 05"}, f"note: {_PERSONAL}"),
    ],
)  # fmt: skip
def test_a_refusal_says_what_would_be_right(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(MuteError) as caught:
        checked(mute(**fields), KIN, TODAY)
    assert str(caught.value) == words


def test_what_just_fits_is_allowed() -> None:
    fits = mute(who="x" * 80, note="y" * 2_000, first_day=TODAY, last_day=TODAY)
    assert checked(fits, KIN, TODAY) == fits


def test_sixty_days_are_allowed_and_the_whole_municipality_by_its_code() -> None:
    long = mute(areas=("0999",), last_day=date(2026, 4, 29))
    assert checked(long, KIN, TODAY) == long


@pytest.mark.parametrize(
    ("fields", "about", "hit"),
    [
        ({}, {}, True),
        ({}, {"areas": ("A1", "A2")}, True),
        ({}, {"areas": ("A2", "A3")}, False),  # A3 lies elsewhere
        ({}, {"areas": ("0999",)}, False),  # of the whole municipality, not of the festival
        ({"categories": ("G0",)}, {}, True),
        ({"categories": ("C1",)}, {"categories": ("G0",)}, False),
        ({"areas": (), "categories": ("G0",)}, {"areas": ("0999",)}, True),
        ({}, {"tendency": "severe"}, False),
    ],
)
def test_a_mute_hits_what_lies_wholly_within_it(fields: dict[str, Any], about: dict[str, Any], hit: bool) -> None:
    assert hits(mute(**fields), alert(**about), KIN) is hit


def test_a_mute_holds_on_its_days_until_it_is_ended() -> None:
    one = mute()
    for on, held in ((date(2026, 2, 28), None), (date(2026, 3, 1), one), (date(2026, 3, 8), one), (date(2026, 3, 9), None)):
        assert muted_by(alert(), on, TUESDAY, [one], KIN) == held
    ended = mute(ended_at=datetime(2026, 3, 3, 20, tzinfo=UTC))
    assert muted_by(alert(), date(2026, 3, 3), TUESDAY, [ended], KIN) is None
    assert muted_by(alert(), date(2026, 3, 3), datetime(2026, 3, 3, 19, tzinfo=UTC), [ended], KIN) == ended


def test_of_several_mutes_the_longest_is_told() -> None:
    longer = mute(mute_id="m-2", last_day=date(2026, 3, 20))
    assert muted_by(alert(), date(2026, 3, 3), TUESDAY, [mute(), longer], KIN) == longer


def test_a_preview_shows_open_alerts_and_those_of_the_same_days_last_year() -> None:
    last_year = alert("old", opened=datetime(2025, 2, 27, 12, tzinfo=UTC), state="settled")
    too_early = alert("older", opened=datetime(2025, 2, 20, 12, tzinfo=UTC), state="settled")
    elsewhere = alert("else", areas=("A4",))
    assert preview(mute(), [alert(), last_year, too_early, elsewhere], KIN) == ([alert()], [last_year])


def test_a_year_ago_reaches_three_days_to_either_side_of_the_mute() -> None:
    planned = mute(first_day=date(2026, 3, 1), last_day=date(2026, 3, 8))
    days = [date(2025, 3, 1) + timedelta(days=n) for n in (-4, -3, 0, 7, 10, 11)]
    about = [alert(n, opened=datetime.combine(day, time(12), UTC), state="settled") for n, day in enumerate(days)]
    assert [a.opened_on for a in preview(planned, about, KIN)[1]] == days[1:5]


def test_a_mute_that_is_ended_holds_nothing_back_from_that_moment() -> None:
    ended = mute(ended_at=TUESDAY, ended_by="coordinator")
    assert muted_by(alert(), TUESDAY.date(), TUESDAY, [ended], KIN) is None
    assert muted_by(alert(), TUESDAY.date(), TUESDAY - timedelta(seconds=1), [ended], KIN) == ended
