"""What data-quality notes, special days, unknown days and changed mixtures sound like in both languages."""

from datetime import date
from typing import Any, get_args

import pytest

from earlywarning.core.alert_record import Reason, SpecialDay, Uncertainty
from earlywarning.core.data_notes import DataNote
from earlywarning.core.detectors.bookings import Done, What
from earlywarning.locale import LANGUAGES, details, headline, note_sentence, sentence
from earlywarning.locale.catalogue import catalogue
from tests.locale.said import NAMES, alert


def note(**fields: Any) -> DataNote:
    given: dict[str, Any] = {
        "note_id": "x", "municipality": "0999", "noted_on": date(2026, 4, 12), "what": "burst", "done": "counted once",
        "kind": "report", "source": "schools", "area": "A1", "category": "C0", "first_day": date(2026, 4, 12),
        "last_day": date(2026, 4, 12), "events": 50, "expected": 0.3, "share": 0.8, "p_value": 1e-20,
    }  # fmt: skip
    return DataNote(**{**given, **fields})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_artefact_and_what_is_done_has_words(language: Any) -> None:
    texts = catalogue(language)
    for what in get_args(What):
        for done in get_args(Done):
            said = note_sentence(note(what=what, done=done, area=None, category=None, hour=12), NAMES, language)
            assert "schools" in said
            assert "{" not in said
            assert said.endswith(".")
    assert set(texts["note"]) == {*get_args(What), "new-year-heap"}
    assert set(texts["done"]) == {d.replace(" ", "-") for d in get_args(Done)}


def test_a_burst_says_who_what_and_how_many() -> None:
    assert note_sentence(note(), NAMES, "en") == (
        "schools filed 50 like items at once on Sunday 12 April 2026 (Area 1, the category graffiti); less than one expected. "
        "One of them counts; the rest raise no alerts."
    )
    swedish = note_sentence(note(), NAMES, "sv")
    assert "schools lämnade söndag 12 april 2026 50 likadana uppgifter på en gång" in swedish


def test_a_gap_is_told_from_its_first_to_its_last_day() -> None:
    gap = note(what="gap-filled", done="kept on their days", first_day=date(2026, 4, 8), last_day=date(2026, 4, 11))
    assert "Wednesday 8 April 2026 to Saturday 11 April 2026" in note_sentence(gap, NAMES, "en")


def test_an_alert_names_the_special_days_in_its_window_and_both_expectations() -> None:
    a = alert(
        complete_expectation=9.1, missing_share=0.43,
        parts={
            "special_days": (SpecialDay(("påskdagen", "Easter Sunday"), date(2026, 4, 5), date(2026, 4, 5)),
                             SpecialDay(("sportlov", "winter break"), date(2026, 4, 6), date(2026, 4, 10))),
            "uncertainties": (Uncertainty("late-data", share=0.43),
                              Uncertainty("date-heap", share=0.4, since=date(2026, 4, 1)),
                              Uncertainty("burst", "schools", 0.8, date(2026, 4, 7))),
        },
    )  # fmt: skip
    said = dict(details(a, NAMES, "en"))
    assert said["Days unlike others"] == "Sunday 5 April: Easter Sunday; Monday 6 April–Friday 10 April: winter break"
    uncertain = " ".join(said.values())
    assert "about 5 expected so far, about 9 once all has come in" in uncertain
    assert "events of an unknown day are booked on Wednesday 1 April 2026 too: about 40% of such a day's count" in uncertain
    assert "schools filed many like items at once" in uncertain
    swedish = dict(details(a, NAMES, "sv"))
    assert "söndag 5 april: påskdagen" in swedish["Dagar som inte liknar andra"]
    assert "väntat är omkring 5 hittills och omkring 9 när allt har kommit in" in " ".join(swedish.values())


def test_a_changed_mixture_says_what_there_is_more_and_less_of() -> None:
    reasons = (Reason("category", "C1", 3.2), Reason("category", "C0", -2.5), Reason("weekend", "", 2.0))
    a = alert(tendency="mixture", window=28, reasons=reasons, parts={"tendency": "mixture"})
    said = sentence(a, NAMES, "en")
    assert said.startswith("In Area 1 the mixture of what happens has changed in the four weeks to ")
    assert "more broken windows, less graffiti and more at weekends" in said
    assert "less than" not in headline(a, NAMES, "en")
    swedish = sentence(a, NAMES, "sv")
    assert "mer krossade rutor, mindre klotter och mer på helgerna" in swedish
    over = sentence(
        alert(state="settled", tendency="mixture", window=28, reasons=reasons, parts={"tendency": "mixture"}), NAMES, "sv"
    )
    assert over.endswith("; det var över senast måndag 20 april 2026.")
