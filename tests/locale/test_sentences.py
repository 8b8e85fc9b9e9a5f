"""What an alert says aloud, in both languages."""

from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.alert_record import Alert, Carrier, DayCount, EarlierYear, Signal, Uncertainty
from earlywarning.locale import LANGUAGES, Names, details, headline, sentence
from earlywarning.locale.catalogue import catalogue, chance_words
from tests.core.town import register, tree

NAMES = Names.from_registers(register(), tree())
FORBIDDEN = ("risk", "more crime", "mer brott", "brottslighet", "worst", "värst")


def signal(**fields: object) -> Signal:
    given = {
        "kind": "incident", "area": "A1", "category": "C0", "window": 7, "first_day": date(2026, 4, 6),
        "last_day": date(2026, 4, 12), "observed": 14.0, "expectation": 5.2, "upper_bound": 10.4, "dispersion": 1.3,
        "p_value": 1e-6, "recurrence_days": 1000.0, "method": "farrington-flexible", "status": "ok",
        "raised_at": datetime(2026, 4, 12, 9, tzinfo=UTC),
    }  # fmt: skip
    return Signal(**{**given, **fields})  # type: ignore[arg-type]


def alert(state: str = "open", **fields: object) -> Alert:
    lead = signal(**fields)
    return Alert(
        alert_id="x", municipality="0999", tendency="surge", state=state, opened_on=date(2026, 4, 12), opened_at=lead.raised_at,  # type: ignore[arg-type]
        first_day=lead.first_day, last_day=lead.last_day, updated_on=lead.last_day,
        settled_on=date(2026, 4, 20) if state == "settled" else None, kind=lead.kind, areas=(lead.area,),
        categories=(lead.category,), window=lead.window, observed=lead.observed, expected=lead.expectation,
        upper_bound=lead.upper_bound, p_value=lead.p_value, recurrence_days=lead.recurrence_days, settings_version="abc",
        signals=(lead, signal(area="D0", window=28)), days=(DayCount(date(2026, 4, 7), 3.0),),
        carriers=(Carrier("category", "C1", 9.0, 2.5), Carrier("area", "A2", 4.5, 1.0)),
        earlier_years=(EarlierYear(1, date(2025, 4, 13), 4.0),),
        uncertainties=(
            Uncertainty("late-data", share=0.18), Uncertainty("silent-source", "school", since=date(2026, 4, 1)),
            Uncertainty("short-history", note="2"), Uncertainty("model-fallback", note="no history"),
        ),
    )  # fmt: skip


def test_english_is_what_a_coordinator_would_say() -> None:
    assert sentence(alert(), NAMES, "en") == (
        "In Area 1, 14 events were recorded in the category graffiti in the week to Sunday 12 April 2026; about 5 would be usual "
        "and more than 10 is unusual. Chance alone gives something like this about once in 3 years in the whole of Testby."
    )


def test_swedish_is_what_a_coordinator_would_say() -> None:
    assert sentence(alert(), NAMES, "sv") == (
        "I Area 1 registrerades 14 händelser i kategorin klotter under veckan till och med söndag 12 april 2026; omkring 5 hade "
        "varit vanligt och fler än 10 är ovanligt. Av en ren slump händer något liknande ungefär en gång på 3 år i hela Testby."
    )


def test_reports_are_called_reports_and_one_is_singular() -> None:
    assert "1 report came in" in sentence(alert(kind="report", observed=1.0), NAMES, "en")
    assert "kom 1 rapport in" in sentence(alert(kind="report", observed=1.0), NAMES, "sv")


def test_the_state_is_told() -> None:
    assert sentence(alert("settled"), NAMES, "en").endswith("It was over by Monday 20 April 2026.")
    assert "rättelse" in sentence(alert("withdrawn"), NAMES, "sv")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_details_tell_parts_years_doubts_and_other_explanations(language: str) -> None:
    text = " ".join(f"{h}: {t}" for h, t in details(alert(), NAMES, language))  # type: ignore[arg-type]
    for part in ("Krossade rutor" if language == "sv" else "Broken windows", "Area 2", "2025", "school", "18", "abc"):
        assert part in text


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    swedish, english = catalogue("sv"), catalogue("en")
    assert {(s, k) for s, part in swedish.items() for k in part} == {(s, k) for s, part in english.items() for k in part}

    def places(text: str) -> set[str]:
        return {piece.split("}")[0] for piece in text.split("{")[1:]}

    for section, part in english.items():
        for key, text in part.items():
            assert places(text) == places(swedish[section][key]), (section, key)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(LANGUAGES), st.sampled_from(["open", "settled", "withdrawn"]), st.sampled_from([1, 7, 28]),
    st.sampled_from(["incident", "report"]), st.sampled_from(["A0", "D1", "0999", "?"]), st.sampled_from(["C0", "G1", "all", "?"]),
    st.floats(0.1, 1e5), st.floats(0, 1e5), st.floats(0.001, 1e12),
)  # fmt: skip
def test_every_alert_can_be_said_without_forbidden_words(  # type: ignore[no-untyped-def]
    language, state, window, kind, area, category, observed, expected, recurrence
) -> None:
    a = alert(
        state, window=window, kind=kind, area=area, category=category, observed=observed, expectation=expected,
        upper_bound=expected + 1, recurrence_days=recurrence,
    )  # fmt: skip
    said = " ".join([headline(a, NAMES, language), sentence(a, NAMES, language), *(t for _, t in details(a, NAMES, language))])
    assert "{" not in said
    assert not [word for word in FORBIDDEN if word in said.lower()]


@pytest.mark.parametrize(
    ("days", "words"),
    [(3, "more than once a week"), (12, "about once in 12 days"), (35, "about once in 5 weeks"), (240, "about once in 8 months"),
     (1096, "about once in 3 years"), (50_000, "less than once in a hundred years")],
)  # fmt: skip
def test_chances_are_told_in_the_unit_that_a_person_would_use(days: float, words: str) -> None:
    assert chance_words(days, "en") == words
