"""The texts of both languages belong together, and numbers, days and chances are written as people write them."""

from datetime import date
from string import Formatter
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.alert_record import Change, State
from earlywarning.core.detectors.farrington import Status
from earlywarning.core.detectors.status import status_note
from earlywarning.core.intake import Outcome
from earlywarning.locale import LANGUAGES, Language, label
from earlywarning.locale.catalogue import catalogue, chance_words, count_words, day_words
from earlywarning.runtimes.queries import ALERT_COLUMNS
from tests.locale.said import NAMES


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    def places(text: str) -> set[str]:
        return {field for _, field, _, _ in Formatter().parse(text) if field is not None}

    def every(language: Language) -> dict[tuple[str, str], set[str]]:
        return {(section, key): places(text) for section, part in catalogue(language).items() for key, text in part.items()}

    assert every("sv") == every("en")


def test_every_singular_has_its_plural() -> None:
    for part in catalogue("en").values():
        stems = {form: {k.removesuffix(form) for k in part if k.endswith(form) and k != "under_one"} for form in ("_one", "_other")}
        assert stems["_one"] == stems["_other"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_all_that_a_reader_meets_has_a_name(language: Language) -> None:
    names = catalogue(language)["label"]
    assert set(ALERT_COLUMNS) | set(get_args(State)) | set(get_args(Outcome)) | {"surge", "incident", "report"} <= set(names)
    assert set(get_args(Change)) <= set(catalogue(language)["change"])
    assert {note for s in Status if (note := status_note(s))} <= set(catalogue(language)["status"])


def test_an_unknown_key_is_its_own_name() -> None:
    assert label("nothing-of-this-name", "sv") == "nothing-of-this-name"


@pytest.mark.parametrize(
    ("days", "english", "swedish"),
    [
        (3, "more than once a week", "oftare än en gång i veckan"),
        (7, "about once a week", "ungefär en gång i veckan"),
        (12, "about once in 12 days", "ungefär en gång på tolv dagar"),
        (27.9, "about once in 4 weeks", "ungefär en gång på fyra veckor"),
        (35, "about once in 5 weeks", "ungefär en gång på fem veckor"),
        (90, "about once in 3 months", "ungefär en gång på tre månader"),
        (240, "about once in 8 months", "ungefär en gång på åtta månader"),
        (365, "about once a year", "ungefär en gång om året"),
        (550, "about once in 18 months", "ungefär en gång på 18 månader"),
        (729, "about once in 2 years", "ungefär en gång på två år"),
        (1096, "about once in 3 years", "ungefär en gång på tre år"),
        (36_500, "about once in 100 years", "ungefär en gång på 100 år"),
        (50_000, "less than once in a hundred years", "mer sällan än en gång på hundra år"),
        (float("inf"), "less than once in a hundred years", "mer sällan än en gång på hundra år"),
    ],
)
def test_chances_are_told_in_the_unit_that_a_person_would_use(days: float, english: str, swedish: str) -> None:
    assert (chance_words(days, "en"), chance_words(days, "sv")) == (english, swedish)


@given(st.floats(7, 36_500))
def test_a_chance_is_told_within_a_fifth_of_what_it_is(days: float) -> None:
    words = chance_words(days, "en").split()
    lengths = {"day": 1, "week": 7, "month": 30.44, "year": 365.25}
    told = lengths[words[-1].removesuffix("s")] * (1 if words[2] == "a" else int(words[3]))
    assert abs(told - days) <= 0.2 * days + 1e-6  # the coarsest: two and a half years are told as two


@pytest.mark.parametrize(
    ("count", "english", "swedish"),
    [
        (0, "0", "0"), (0.3, "less than one", "mindre än en"), (0.6, "about 1", "omkring 1"), (1, "1", "1"),
        (6.43, "about 6", "omkring 6"), (6.999, "7", "7"), (12_345, "12,345", "12\xa0345"),
    ],
)  # fmt: skip
def test_counts_are_told_as_whole_numbers(count: float, english: str, swedish: str) -> None:
    assert (count_words(count, "en"), count_words(count, "sv")) == (english, swedish)


def test_days_are_told_with_their_weekday() -> None:
    assert day_words(date(2026, 4, 12), "en") == "Sunday 12 April 2026"
    assert day_words(date(2026, 4, 12), "sv", year=False) == "söndag 12 april"


@pytest.mark.parametrize(
    ("code", "english", "swedish"),
    [("C1", "broken windows", "krossade rutor"), ("all", "all categories", "alla kategorier"), ("Other", "Other", "Other")],
)
def test_a_category_inside_a_sentence_begins_small_and_an_unknown_code_stays(code: str, english: str, swedish: str) -> None:
    assert (NAMES.category_inside(code, "en"), NAMES.category_inside(code, "sv")) == (english, swedish)


def test_an_abbreviation_inside_a_sentence_keeps_its_capitals() -> None:
    names = NAMES._replace(categories={"X": ("A-traktorer", "BMX bikes")})
    assert (names.category_inside("X", "sv"), names.category_inside("X", "en")) == ("A-traktorer", "BMX bikes")
