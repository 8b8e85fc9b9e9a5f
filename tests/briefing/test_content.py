"""The picture says what is new first, keeps to what is known, and works in the weeks and towns where little is."""

import re
from datetime import UTC, date, datetime
from pathlib import Path
from string import Formatter

import msgspec
import pytest

from earlywarning.briefing import Briefing, BriefingError, PlanRow, render_html, render_mail, render_pdf
from earlywarning.briefing.agenda import standing_of
from earlywarning.briefing.words import hour_words, ratio_words, rounded, texts, whole
from earlywarning.core.calendar import day_number
from earlywarning.core.casework import Casework
from earlywarning.core.iso_week import WeekError
from earlywarning.locale import LANGUAGES, Language
from earlywarning.store import Store
from tests.briefing.conftest import SURGE, WEEK, Make, keep, only_the_municipality, without_outlines
from tests.core.town import BEGIN, CODE, engine, event


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    def places(language: Language) -> dict[tuple[str, str], set[str]]:
        return {
            (section, key): {field for _, field, _, _ in Formatter().parse(text) if field is not None}
            for section, part in texts(language).items()
            for key, text in part.items()
        }

    assert places("sv") == places("en")


def test_what_is_new_stands_first(make: Make) -> None:
    picture = make()
    assert picture.title == "Lägesbild för Testby, vecka 19 2024"
    assert re.match(r"\d+ nya? varning(ar)? den här veckan\.", picture.headlines[0])
    assert any(line.startswith("Area 0: fler händelser än väntat") for line in picture.headlines)
    assert "library har inte skickat något sedan" in " ".join(picture.headlines)
    assert "1 åtgärd har passerat sitt datum." in picture.headlines


def test_an_alert_comes_with_the_work_on_it_and_with_questions(make: Make) -> None:
    item = next(a for a in make(links={}).alerts if a.owners)
    assert item.standing == "new"
    assert item.stage == "bekräftad, åtgärd beslutad"
    assert item.owners == ["Gata och park"]
    waiting = [a for a in make().alerts if a.stage.startswith("ny")]
    assert all(3 <= len(a.questions) <= 4 for a in waiting if a.standing != "settled")


def test_a_rise_is_listed_with_an_interval_that_leaves_out_no_change(make: Make) -> None:
    rows = [r for table in make(language="en").changes for r in table.rows if r.area == "Area 0"]
    assert rows
    for row in rows:
        assert row.way == "more"
        low = float(re.match(r"([\d.]+)", row.change)[1])  # type: ignore[index]  # an interval begins with a number
        assert low > 1


def test_what_patrols_find_is_shown_apart_and_not_compared(make: Make) -> None:
    picture = make()
    everything = picture.sources[0]
    assert everything.found == "7"
    assert not any(r.area == "Area 2" for table in picture.changes for r in table.rows)


def test_quality_tells_silence_refusals_of_the_week_and_lateness(make: Make) -> None:
    suppliers = {s.source: s for s in make().suppliers}
    assert suppliers["library"].warn
    assert suppliers["wardens"].rejected == "3"  # the one of April is not of this week
    assert not suppliers["wardens"].warn


def test_overdue_measures_stand_first(make: Make) -> None:
    assert [(m.what, m.late) for m in make().measures] == [("Laga belysningen", True)]


def test_plan_rows_are_shown_as_given(make: Make) -> None:
    row = PlanRow(priority="Trygg station", responsible="Kommunen", goal="20 färre", standing="på väg", late=True)
    page = render_html(make(plan_rows=[row]))
    assert "Trygg station" in page
    assert "Behöver ses:" in page


def test_the_map_has_a_number_for_each_area_and_the_table_behind_it(make: Make) -> None:
    incidents = make().maps[0]
    assert [a.number for a in incidents.areas] == [1, 2, 3, 4, 5, 6]
    assert all(a.rings for a in incidents.areas)
    assert next(a for a in incidents.areas if a.code == "A0").shade in ("more", "rather-more")
    assert "Area 0" in incidents.alt


def test_a_week_of_an_earlier_month_shows_the_alerts_as_they_stood_then(make: Make) -> None:
    picture = make("2024-W12")
    assert all(a.opened_on <= date(2024, 3, 24) for a in picture.alerts)
    assert picture.headlines


def test_the_record_goes_through_json_unchanged(make: Make) -> None:
    picture = make()
    assert msgspec.json.decode(msgspec.json.encode(picture), type=Briefing) == picture


MONDAY, SUNDAY = date(2024, 5, 6), date(2024, 5, 12)


@pytest.mark.parametrize(
    ("opened", "settled", "stage", "closed", "standing"),
    [
        (date(2024, 5, 8), None, None, None, "new"),
        (date(2024, 5, 8), date(2024, 5, 11), None, None, "new"),  # new and over in one week is news first
        (date(2024, 4, 2), None, "new", None, "ongoing"),
        (date(2024, 4, 2), date(2024, 5, 9), "new", None, "settled"),
        (date(2024, 4, 2), date(2024, 5, 9), "measure", None, "ongoing"),  # the group is still at work on it
        (date(2024, 4, 2), date(2024, 4, 20), "new", None, None),
        (date(2024, 4, 2), date(2024, 4, 20), "measure", None, "ongoing"),
        (date(2024, 4, 2), None, "closed", date(2024, 5, 7), "settled"),
        (date(2024, 4, 2), None, "closed", date(2024, 4, 30), None),
        (date(2024, 5, 13), None, None, None, None),
    ],
)
def test_an_alert_belongs_where_its_week_and_the_work_on_it_say(
    store: Store, opened: date, settled: date | None, stage: str | None, closed: date | None, standing: str | None
) -> None:
    alert = msgspec.structs.replace(
        store.alerts()[0],
        opened_on=opened,
        settled_on=settled,
        state="settled" if settled else "open",
        updated_on=settled or opened,
    )
    closed_at = datetime(closed.year, closed.month, closed.day, 12, tzinfo=UTC) if closed else None
    case = None
    if stage:
        case = Casework(alert_id=alert.alert_id, municipality=CODE, stage=stage, opened_at=alert.opened_at, closed_at=closed_at)  # type: ignore[arg-type]  # a stage
    assert standing_of(alert, case, MONDAY, SUNDAY) == standing


# ---- little to go by ----------------------------------------------------------------------------------------------


def renders(picture: Briefing) -> None:
    assert "</html>" in render_html(picture)
    assert render_pdf(picture).startswith(b"%PDF")
    assert render_mail(picture).text


def test_areas_without_outlines_give_the_tables_and_no_map(make: Make) -> None:
    picture = make(register=without_outlines())
    assert not picture.maps[0].drawn
    assert len(picture.maps[0].areas) == 6
    renders(picture)


def test_a_municipality_that_is_one_area_has_no_map(make: Make) -> None:
    picture = make(register=only_the_municipality())
    assert picture.maps == []
    renders(picture)


def test_the_first_week_of_a_new_municipality_shows_counts_and_compares_nothing(tmp_path: Path, make: Make) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'new.db'}", writer=True) as store:
        keep(engine(), [event(1, BEGIN)], store)
        picture = make("2023-W01", store=store)
    assert picture.no_comparison.startswith("Det finns ännu för lite historik")
    assert picture.sources[0].incidents == "1"
    assert picture.sources[0].incidents_expected == "–"
    assert picture.changes == []
    renders(picture)


def test_an_empty_store_and_a_week_without_anything_say_so(tmp_path: Path, make: Make) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'empty.db'}", writer=True) as store:
        picture = make("2026-W12", language="en", store=store)
    assert "No data came in for this week." in picture.headlines
    assert "No new alerts this week." in picture.headlines
    renders(picture)


@pytest.mark.parametrize("week", ["2020-W53", "2023-W12", "2023-W43"])  # a week 53, and both changes of the clock
def test_odd_weeks_work(tmp_path: Path, make: Make, week: str) -> None:
    with Store.open(f"sqlite:///{tmp_path / 'odd.db'}", writer=True) as store:
        picture = make(week, store=store)
    assert (picture.last_day - picture.first_day).days == 6
    assert picture.week == week


def test_a_week_that_is_not_over_is_told_so(make: Make) -> None:
    assert make("2024-W19", language="en").headlines[0] != "The week is not over"
    with pytest.raises(BriefingError, match=r"2024-W30 has not begun.*2024-05-12"):
        make("2024-W30")


@pytest.mark.parametrize("text", ["vecka 12", "2026-12", "2026-W54", "2025-W53", "2026-W00", ""])
def test_a_text_that_names_no_week_is_refused_with_the_form(make: Make, text: str) -> None:
    with pytest.raises(WeekError, match="W"):
        make(text)


def test_the_town_is_as_this_file_says() -> None:
    assert date.fromisocalendar(2024, 19, 3) == date(2024, 5, 8)
    assert day_number(date(2024, 5, 8)) - day_number(BEGIN.date()) == SURGE
    assert WEEK == "2024-W19"


# ---- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "said"), [(0.2, "mindre än 1"), (0.8, "1"), (12.4, "12"), (98.7, "99"), (201.3, "200"), (1234.0, "1\u00a0200")]
)
def test_expectations_have_no_digits_that_they_do_not_have(value: float, said: str) -> None:
    assert rounded(value, "sv") == said


def test_intervals_never_round_a_change_away() -> None:
    assert ratio_words(1.04, 2.31, "sv") == "1,04–2,3 gånger det väntade"
    assert ratio_words(0.0, 0.61, "en") == "at most 0.6 times the expected"


@pytest.mark.parametrize("language", LANGUAGES)
def test_small_shares_and_delays_are_told_as_people_would(language: Language) -> None:
    assert whole(0.2, language) == texts(language)["text"]["under"].format(n=1)
    assert hour_words(0.2, language) == texts(language)["text"]["hours_one"].format(n=1)
    assert hour_words(72, language) == texts(language)["text"]["days_other"].format(n=3)
