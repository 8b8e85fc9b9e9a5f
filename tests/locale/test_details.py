"""What explains an alert: the days, the parts, the years, the doubts, and other explanations."""

from datetime import date, timedelta
from typing import Any

import pytest

from earlywarning.core.alert_record import Carrier, DayCount, EarlierYear, Uncertainty
from earlywarning.locale import LANGUAGES, Language, details, label
from tests.locale.said import NAMES, alert, signal


def row(key: str, language: Language, **fields: Any) -> str:
    """The text under one heading."""
    return dict(details(alert(**fields), NAMES, language))[label(key, language)]


def test_since_when_tells_the_first_day_and_the_day_of_the_alert() -> None:
    assert row("since", "en") == "Monday 6 April 2026; the alert was raised on Sunday 12 April 2026"
    assert row("since", "sv", first_day=date(2026, 4, 12)) == "söndag 12 april 2026; varningen kom samma dag"


def test_of_many_days_the_fullest_are_named_in_the_calendars_order_and_the_others_summed() -> None:
    days = tuple(DayCount(date(2026, 3, 1) + timedelta(i), float(n)) for i, n in enumerate([0, 1, 9, 1, 8, 7, 6, 5, 0, 4, 3]))
    told = row("carried_days", "en", parts={"days": days}).split("; ")
    assert told[0] == "Tuesday 3 March 2026: 9"
    assert [t[-1] for t in told] == ["9", "8", "7", "6", "5", "4", "3", "2"]
    assert told[-1] == "on 2 other days together: 2"
    assert row("carried_days", "sv", parts={"days": days[:-1]}).endswith("tisdag 10 mars 2026: 4; 1 annan dag: 1")


def test_sub_categories_and_sub_areas_stand_in_rows_of_their_own_with_what_is_usual() -> None:
    carriers = (Carrier("category", "C1", 9.0, 2.5), Carrier("area", "A2", 4.5, 11.6))
    assert row("carried_category", "sv", parts={"carriers": carriers}) == "Krossade rutor: 9, vanligen 2,5"
    assert row("carried_area", "en", parts={"carriers": carriers}) == "Area 2: about 4, usually 12"
    assert label("carried_area", "en") not in dict(details(alert(parts={"carriers": carriers[:1]}), NAMES, "en"))


def test_earlier_years_are_told_with_their_own_days() -> None:
    years = {"earlier_years": (EarlierYear(1, date(2025, 4, 13), 4.0), EarlierYear(2, date(2024, 4, 14), 0.0))}
    assert row("earlier", "en", parts=years) == "to Sunday 13 April 2025: 4; to Sunday 14 April 2024: 0"
    assert row("earlier", "sv", parts=years, window=1) == "söndag 13 april 2025: 4; söndag 14 april 2024: 0"


def test_other_signals_are_told_with_their_own_kind_window_and_figures() -> None:
    others = (signal(kind="report", area="D0", window=28, observed=3.0, upper_bound=2.0), signal(window=1, standing=False))
    first, second = row("also", "en", also=others).split("; ")
    assert first == "D0, graffiti: 3 reports in the four weeks to Sunday 12 April 2026 (about 5 expected)"
    assert second.endswith("withdrawn after a correction")
    assert label("also", "en") not in dict(details(alert(also=()), NAMES, "en"))


def test_of_many_other_signals_the_rest_is_counted() -> None:
    assert row("also", "en", also=(signal(),) * 9).endswith("; and 3 more")


@pytest.mark.parametrize(
    ("doubt", "english", "swedish"),
    [
        (Uncertainty("late-data", share=0.18), "usually 18% arrive later than this", "18\xa0% brukar komma in senare"),
        (Uncertainty("late-data", share=0.001), "usually 1% arrive", "1\xa0% brukar"),
        (
            Uncertainty("silent-source", "school", since=date(2026, 4, 1), recurrence_days=400),
            "school has sent nothing since Wednesday 1 April 2026, which chance alone gives about once in 13 months",
            "school har inte skickat något sedan onsdag 1 april 2026, vilket av ren slump inträffar ungefär en gång på 13 månader",
        ),
        (
            Uncertainty("silent-source", "school", since=date(2026, 4, 1)),
            "since Wednesday 1 April 2026: some",
            "1 april 2026: uppg",
        ),
        (Uncertainty("silent-source", "school"), "school has been silent lately", "school har varit tyst"),
        (Uncertainty("short-history", note="1"), "only 1 year of history", "bara 1 års historik"),
        (Uncertainty("short-history", note="2"), "only 2 years of history", "bara 2 års historik"),
        (Uncertainty("short-history", note="0"), "less than a year of history", "mindre än ett års historik"),
        (Uncertainty("model-fallback", note="not converged"), "(the fit did not settle)", "(anpassningen blev inte stabil)"),
    ],
)
def test_every_doubt_is_told_in_words(doubt: Uncertainty, english: str, swedish: str) -> None:
    assert english in row("uncertain", "en", parts={"uncertainties": (doubt,)})
    assert swedish in row("uncertain", "sv", parts={"uncertainties": (doubt,)})


@pytest.mark.parametrize("language", LANGUAGES)
def test_other_explanations_and_the_settings_that_judged_are_always_told(language: Language) -> None:
    bare = {"days": (), "carriers": (), "earlier_years": (), "uncertainties": ()}
    for parts in ({}, bare):
        told = dict(details(alert(parts=parts), NAMES, language))
        reminder = told[label("other", language)]
        assert all(word in reminder for word in (("campaign", "event") if language == "en" else ("kampanj", "evenemang")))
        assert "abc" in told[label("judged", language)]
