"""What an alert says aloud, in one line and in a sentence, in both languages."""

import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.alert_record import Alert, Carrier, DayCount, EarlierYear, Uncertainty
from earlywarning.locale import LANGUAGES, Language, details, headline, sentence
from tests.locale.said import NAMES, alert, signal

FORBIDDEN = ("risk", "more crime", "mer brott", "fler brott", "brottslighet", "criminality", "worst", "värst")


def test_english_is_what_a_coordinator_would_say() -> None:
    assert sentence(alert(), NAMES, "en") == (
        "In Area 1, 14 incidents in the category graffiti were recorded in the week to Sunday 12 April 2026, where about 5 were "
        "expected. More than 10 would be unusual, and chance alone gives something like this about once in 3 years in the whole "
        "municipality."
    )


def test_swedish_is_what_a_coordinator_would_say() -> None:
    assert sentence(alert(), NAMES, "sv") == (
        "I Area 1 registrerades 14 händelser i kategorin klotter under veckan till och med söndag 12 april 2026; väntat var "
        "omkring 5. Fler än 10 är ovanligt, och av ren slump inträffar något liknande ungefär en gång på tre år i hela kommunen."
    )


def test_a_headline_says_where_what_how_many_when_and_how_many_were_expected() -> None:
    assert headline(alert(), NAMES, "en") == "Area 1: graffiti, 14 incidents in the week to Sunday 12 April 2026 (about 5 expected)"
    assert (
        headline(alert(), NAMES, "sv")
        == "Area 1: klotter, 14 händelser under veckan till och med söndag 12 april 2026 (väntat: omkring 5)"
    )


@pytest.mark.parametrize(
    ("kind", "category", "observed", "english", "swedish"),
    [
        ("incident", "C0", 1, "1 incident in the category graffiti was recorded", "registrerades 1 händelse i kategorin klotter"),
        ("incident", "C0", 2, "2 incidents in the category graffiti were rec", "registrerades 2 händelser i kategorin klotter"),
        ("report", "C0", 1, "1 report in the category graffiti was received", "kom det in 1 rapport i kategorin klotter"),
        ("report", "C0", 2, "2 reports in the category graffiti were rec", "kom det in 2 rapporter i kategorin klotter"),
        ("incident", "all", 1, "1 incident was recorded across all", "registrerades sammanlagt 1 händelse i alla kategorier"),
        ("incident", "all", 2, "2 incidents were recorded across all", "registrerades sammanlagt 2 händelser i alla kategorier"),
        ("report", "all", 1, "1 report was received across all", "kom det sammanlagt in 1 rapport i alla kategorier"),
        ("report", "all", 2, "2 reports were received across all", "kom det sammanlagt in 2 rapporter i alla kategorier"),
    ],
)
def test_incidents_and_reports_are_called_by_their_names_in_singular_and_plural(
    kind: str, category: str, observed: float, english: str, swedish: str
) -> None:
    one = alert(kind=kind, category=category, observed=observed, upper_bound=0.5)
    assert f"In Area 1, {english}" in sentence(one, NAMES, "en")
    assert f"I Area 1 {swedish}" in sentence(one, NAMES, "sv")


def test_a_headline_counts_one_in_the_singular() -> None:
    one = alert(observed=1.0, upper_bound=0.5)
    assert "graffiti, 1 incident in the week" in headline(one, NAMES, "en")
    assert "klotter, 1 händelse under veckan" in headline(one, NAMES, "sv")


@pytest.mark.parametrize(
    ("window", "english", "swedish"),
    [
        (1, "recorded on Sunday 12 April 2026,", "klotter söndag 12 april 2026;"),
        (3, "recorded in the 3 days to Sunday 12 April 2026,", "klotter under de tre dagarna till och med söndag 12 april 2026;"),
        (7, "recorded in the week to Sunday 12 April 2026,", "klotter under veckan till och med söndag 12 april 2026;"),
        (28, "recorded in the four weeks to Sunday 12 April 2026,", "klotter under de fyra veckorna till och med söndag 12 april"),
    ],
)
def test_windows_are_told_as_a_day_a_week_and_four_weeks(window: int, english: str, swedish: str) -> None:
    assert english in sentence(alert(window=window), NAMES, "en")
    assert swedish in sentence(alert(window=window), NAMES, "sv")


def test_neighbouring_areas_and_sibling_categories_are_listed_as_a_person_lists_them() -> None:
    many = alert(areas=("A0", "A1", "A2", "A3", "A4"), categories=("C0", "C1"))
    assert sentence(many, NAMES, "en").startswith(
        "In Area 0, Area 1, Area 2 and 2 more areas, 14 incidents in the categories graffiti and broken windows were recorded in"
    )
    assert sentence(many, NAMES, "sv").startswith(
        "I Area 0, Area 1, Area 2 och 2 områden till registrerades 14 händelser i kategorierna klotter och krossade rutor under"
    )
    assert headline(alert(areas=("A0", "A1")), NAMES, "en").startswith("Area 0 and Area 1: graffiti, 14 incidents")


@pytest.mark.parametrize(
    ("tendency", "english", "swedish"),
    [
        ("severe", "It is grave and rare there", "Det är allvarligt och sällsynt där"),
        ("first", "It is the first for a long time there", "Det är den första på länge där"),
        ("apart", "no longer keep their usual ratio", "följs inte längre åt som vanligt"),
        ("drift", "has grown month by month", "har vuxit månad för månad"),
    ],
)
def test_a_tendency_that_is_no_surge_says_what_is_unusual_about_it(tendency: str, english: str, swedish: str) -> None:
    said = alert(parts={"tendency": tendency}, upper_bound=0.0)
    assert english in sentence(said, NAMES, "en")
    assert swedish in sentence(said, NAMES, "sv")
    assert "Even a single one" not in sentence(said, NAMES, "en")


def test_the_year_is_left_out_only_when_said_in_the_same_year() -> None:
    settled = alert("settled")
    for language in LANGUAGES:
        assert sentence(settled, NAMES, language).count("2026") == 2
        assert sentence(settled, NAMES, language, date(2027, 1, 2)).count("2026") == 2
        assert "2026" not in sentence(settled, NAMES, language, date(2026, 12, 30))
        assert "2026" not in headline(settled, NAMES, language, date(2026, 12, 30))


@pytest.mark.parametrize(
    ("expectation", "english", "swedish"),
    [
        (0.0, "where less than one was expected.", "väntat var mindre än en."),
        (0.6, "where less than one was expected.", "väntat var mindre än en."),
        (0.9, "where about 1 was expected.", "väntat var omkring 1."),
        (1.4, "where about 1 was expected.", "väntat var omkring 1."),
        (1.6, "where about 2 were expected.", "väntat var omkring 2."),
        (1234.4, "where about 1,234 were expected.", "väntat var omkring 1\xa0234."),
    ],
)
def test_an_expectation_has_no_digits_that_it_does_not_know(expectation: float, english: str, swedish: str) -> None:
    assert english in sentence(alert(expectation=expectation), NAMES, "en")
    assert swedish in sentence(alert(expectation=expectation), NAMES, "sv")


def test_a_count_of_spread_events_is_told_as_about_so_many() -> None:
    assert "In Area 1, about 6 incidents in" in sentence(alert(observed=6.43, upper_bound=3.1), NAMES, "en")
    assert "registrerades omkring 6 händelser i" in sentence(alert(observed=6.43, upper_bound=3.1), NAMES, "sv")


@given(st.sampled_from(LANGUAGES), st.floats(0.1, 2000), st.floats(0.02, 50))
def test_a_count_above_its_bound_is_told_as_a_higher_number(language: Language, bound: float, over: float) -> None:
    said = sentence(alert(observed=bound + over, upper_bound=bound), NAMES, language)
    counted = {"en": r"In Area 1, (?:about )?(.+?) inc", "sv": r"registrerades (?:omkring )?(.+?) händ"}[language]
    least = {"en": r"More than (\S+)", "sv": r"Fler än (\S+)"}[language]
    told, beyond = re.search(counted, said), re.search(least, said)

    def value(match: re.Match[str]) -> float:
        written = match[1].replace("\xa0", "")
        return float(written.replace(",", "") if language == "en" else written.replace(",", "."))

    assert told
    if beyond:  # else even one would be unusual
        assert value(told) > value(beyond)


def test_where_nothing_is_usual_even_one_is_unusual() -> None:
    assert "Even a single one would be unusual" in sentence(alert(upper_bound=0.3), NAMES, "en")
    assert "Redan en enda är ovanligt" in sentence(alert(upper_bound=0.3), NAMES, "sv")


def test_a_settled_alert_says_when_it_was_over() -> None:
    assert sentence(alert("settled"), NAMES, "en").endswith("; it was over by Monday 20 April 2026.")
    assert sentence(alert("settled"), NAMES, "sv").endswith("; ökningen var över senast måndag 20 april 2026.")


@pytest.mark.parametrize(("language", "why", "chance"), [("en", "after a correction", "chance"), ("sv", "rättelse", "slump")])
def test_a_withdrawn_alert_says_why_and_no_longer_speaks_of_chance(language: Language, why: str, chance: str) -> None:
    said = sentence(alert("withdrawn"), NAMES, language)
    assert why in said
    assert chance not in said


def test_a_municipality_is_called_by_its_name_and_an_unknown_code_by_itself() -> None:
    assert sentence(alert(area="0999"), NAMES, "sv").startswith("I Testby registrerades")
    assert sentence(alert(area="Q7", category="Quays"), NAMES, "en").startswith("In Q7, 14 incidents in the category Quays ")


def every_word(a: Alert, language: Language) -> str:
    lines = [headline(a, NAMES, language), sentence(a, NAMES, language), *(f"{h}: {t}" for h, t in details(a, NAMES, language))]
    return "\n".join(lines)


areas = st.sampled_from(["A0", "A3", "D1", "0999", "?"])
categories = st.sampled_from(["C0", "C2", "G1", "all", "?"])
counts = st.one_of(st.integers(0, 400).map(float), st.floats(0, 1e6))
days = st.dates(date(1990, 1, 1), date(2090, 1, 1))
signals: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["incident", "report"]), "area": areas, "category": categories,
        "window": st.sampled_from([1, 3, 7, 10, 14, 28]),
        "first_day": days, "last_day": days, "observed": counts, "expectation": counts, "upper_bound": counts,
        "recurrence_days": st.floats(0, 1e300), "standing": st.booleans(),
        "role": st.sampled_from(["today", "peak", "opening"]),
    }
)  # fmt: skip
uncertainties = st.builds(
    Uncertainty, st.sampled_from(["late-data", "silent-source", "short-history", "model-fallback"]), source=st.just("school"),
    share=st.floats(0, 1), since=st.none() | days, recurrence_days=counts,
    note=st.sampled_from(["", "0", "1", "2", "no history", "?"]),
)  # fmt: skip
parts: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {
        "opened_on": days, "settled_on": st.none() | days, "settings_version": st.sampled_from(["", "0123456789ab"]),
        "days": st.lists(st.builds(DayCount, days, counts), max_size=28).map(tuple),
        "carriers": st.lists(
            st.one_of(
                st.builds(Carrier, st.just("area"), areas, counts, counts),
                st.builds(Carrier, st.just("category"), categories, counts, counts),
            ),
            max_size=10,
        ).map(tuple),
        "earlier_years": st.lists(st.builds(EarlierYear, st.integers(1, 9), days, counts), max_size=5).map(tuple),
        "uncertainties": st.lists(uncertainties, max_size=4).map(tuple),
    }
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(LANGUAGES), st.sampled_from(["open", "settled", "withdrawn"]), signals, st.lists(signals, max_size=9), parts
)  # fmt: skip
def test_every_alert_can_be_said_in_whole_sentences_without_forbidden_words(
    language: Language, state: str, lead: dict[str, Any], others: list[dict[str, Any]], rest: dict[str, Any]
) -> None:
    a = alert(state, tuple(signal(**s) for s in others), rest, **lead)
    said = every_word(a, language)
    assert not re.search(r"[{}]|\b(None|nan|inf)\b|  |\.\.|; ;|: *$", said, re.MULTILINE)
    assert not [word for word in FORBIDDEN if word in said.lower()]
    wrong = {
        "en": r"(?<![\d,.])1 (incidents|reports|years|weeks|other days)\b|\b[02-9] (incident|report|year|other day)\b",
        "sv": r"(?<![\d,\xa0])1 (händelser|rapporter|andra dagar)\b|\b[02-9] (händelse|rapport|annan dag)\b",
    }
    assert not re.search(wrong[language], said)
    spoken = sentence(a, NAMES, language)
    assert spoken.endswith(".")
    assert len(re.findall(r"\.(?= |$)", spoken)) == 2
    assert "\n" not in headline(a, NAMES, language)


@given(signals, st.sampled_from(["open", "settled", "withdrawn"]))
def test_a_sentence_speaks_of_one_kind_of_source_only(lead: dict[str, Any], state: str) -> None:
    a = alert(state, (signal(kind="report" if lead["kind"] == "incident" else "incident"),), **lead)
    said = sentence(a, NAMES, "en") + sentence(a, NAMES, "sv")
    assert ("report" in said) == (lead["kind"] == "report")
    assert ("händelse" in said) == (lead["kind"] == "incident")
