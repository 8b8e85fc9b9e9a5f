"""A supplier's columns become event fields: laws of names, constants, translations, times, numbers and what is kept."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earlywarning.core.events import POSITION_FIELDS, decode_mappings
from earlywarning.core.screening import find_personal_data
from earlywarning.settings import Mapping
from earlywarning.sources.mapping import TIME_FIELDS, RowMapper, id_prefix, identity

STOCKHOLM = "Europe/Stockholm"


def mapper(**parts: object) -> RowMapper:
    return RowMapper(Mapping(**{"columns": {"occurred_at": "Tid"}, **parts}), STOCKHOLM)  # type: ignore[arg-type]


def occurred(text: str, **parts: object) -> object:
    return mapper(**parts).fields({"Tid": text}).get("occurred_at")


def test_columns_are_renamed_constants_added_and_empty_texts_left_out() -> None:
    m = mapper(columns={"category": "Typ", "area": "Område"}, constants={"kind": "report"})
    assert m.fields({"Typ": " GRAFFITI ", "Område": "  "}) == {"kind": "report", "category": "GRAFFITI"}


def test_a_column_that_is_not_mapped_never_reaches_the_event() -> None:
    m = mapper(columns={"category": "Typ"})
    assert m.fields({"Typ": "FIRE", "Anmälare": "Anna Andersson"}) == {"category": "FIRE"}


@pytest.mark.parametrize(
    ("text", "meant"), [("Klotter", "GRAFFITI"), (" Klotter ", "GRAFFITI"), ("Brand", "Brand"), ("Okänt", None)]
)
def test_values_are_translated_others_stay_and_those_translated_to_nothing_are_left_out(text: str, meant: str | None) -> None:
    m = mapper(columns={"category": "Typ"}, values={"category": {"Klotter": "GRAFFITI", "Okänt": ""}})
    assert m.fields({"Typ": text}).get("category") == meant


def test_a_time_that_is_translated_to_nothing_is_left_out() -> None:
    assert occurred("okänd", values={"occurred_at": {"okänd": ""}}) is None


def test_rows_are_left_out_by_the_text_of_a_column_which_need_not_be_mapped() -> None:
    m = mapper(skip={"Status": ["Makulerad"]})
    assert m.columns == ("Tid", "Status")
    assert m.skipped(("2024-01-01", "Makulerad "))
    assert not m.skipped(("2024-01-01", "Klar"))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2024-01-15T12:30", "2024-01-15T11:30Z"),
        ("2024-07-15 12:30:15", "2024-07-15T10:30:15Z"),
        ("2024-07-15T12:30:00-04:00", "2024-07-15T16:30Z"),
        ("2024-07-15T12:30:00Z", "2024-07-15T12:30Z"),
        ("2024-01-15", "2024-01-14T23:00Z"),
    ],
)
def test_a_time_without_an_offset_is_local_and_one_with_an_offset_says_itself(text: str, instant: str) -> None:
    assert occurred(text) == datetime.fromisoformat(instant)


def test_the_mappings_own_timezone_goes_before_the_municipalitys() -> None:
    assert occurred("2024-01-15T12:00", timezone="America/Toronto") == datetime(2024, 1, 15, 17, tzinfo=UTC)


def test_times_are_read_by_the_mappings_pattern_and_no_other() -> None:
    assert occurred("15.01.2024 12.30", timestamp_format="%d.%m.%Y %H.%M") == datetime(2024, 1, 15, 11, 30, tzinfo=UTC)
    assert occurred("2024-01-15T12:30", timestamp_format="%d.%m.%Y %H.%M") == "2024-01-15T12:30"


def test_an_hour_that_the_spring_night_leaves_out_is_moved_forward() -> None:
    assert occurred("2024-03-31T02:30") == datetime(2024, 3, 31, 1, 30, tzinfo=UTC)
    assert str(occurred("2024-03-31T02:30")) == "2024-03-31 03:30:00+02:00"


def test_of_an_hour_that_the_autumn_night_has_twice_the_first_is_meant() -> None:
    when = occurred("2024-10-27T02:30")
    assert isinstance(when, datetime)
    assert when.astimezone(UTC) == datetime(2024, 10, 27, 0, 30, tzinfo=UTC)


@given(st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001  # local times
def test_local_times_keep_their_order_and_name_but_for_the_hours_that_clocks_change(when: datetime) -> None:
    read = occurred(when.isoformat())
    assert isinstance(read, datetime)
    moved = read.replace(tzinfo=None) - when
    assert moved in (timedelta(0), timedelta(hours=1))
    assert (moved == timedelta(0)) == (
        when.replace(tzinfo=ZoneInfo(STOCKHOLM)).astimezone(UTC).astimezone(ZoneInfo(STOCKHOLM)).replace(tzinfo=None) == when
    )


COMPLETE = {"kind": "incident", "event_id": "a", "source": "s", "municipality": "0380", "category": "FIRE"}


@pytest.mark.parametrize("text", ["igår", "2024-13-01", "24", "2024", "1705312800", "-1.5", "١٢", "2024-01-15T24:30", "NaN"])
@pytest.mark.parametrize("pattern", ["", "%Y-%m-%dT%H:%M"])
def test_a_time_that_cannot_be_read_is_refused_as_that_field(text: str, pattern: str) -> None:
    fields = mapper(timestamp_format=pattern, constants=COMPLETE).fields({"Tid": text})
    decoded = decode_mappings([fields])
    assert not decoded.events
    assert [(r.field, r.rule) for r in decoded.rejections] == [("occurred_at", "value")]


@pytest.mark.parametrize("text", ["0001-01-01T00:00", "9999-12-31T23:59:59", "9999-12-31T23:59:59-23:00"])
@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Toronto"])
def test_a_time_at_the_ends_of_the_calendar_never_raises(text: str, zone: str) -> None:
    decoded = decode_mappings([mapper(timezone=zone, constants=COMPLETE).fields({"Tid": text})])
    assert len(decoded.events) + len(decoded.rejections) == 1


def test_an_event_without_a_recording_time_counts_as_recorded_when_it_had_happened() -> None:
    at = mapper().fields({"Tid": "2024-01-15T12:00"})
    assert at["recorded_at"] == at["occurred_at"]
    interval = mapper(columns={"occurred_from": "Från", "occurred_to": "Till"})
    fields = interval.fields({"Från": "2024-01-15T12:00", "Till": "2024-01-16T12:00"})
    assert fields["recorded_at"] == fields["occurred_to"]
    known = mapper(columns={"occurred_at": "Tid", "recorded_at": "Skapad"})
    assert known.fields({"Tid": "2024-01-15T12:00", "Skapad": "2024-01-17T12:00Z"})["recorded_at"].day == 17


@pytest.mark.parametrize(
    ("text", "number"), [("59,8586", 59.8586), ("59.8586", 59.8586), (" 59,8 ", 59.8), ("59", 59.0), ("5,9,1", None)]
)
def test_coordinates_may_have_a_decimal_comma(text: str, number: float | None) -> None:
    constants = {**COMPLETE, "recorded_at": "2024-01-01T00:00:00Z"}
    decoded = decode_mappings([mapper(columns={"latitude": "N"}, constants=constants).fields({"N": text})])
    assert [e.latitude for e in decoded.events] == ([] if number is None else [number])


def test_a_decimal_comma_is_understood_in_a_translated_coordinate_too() -> None:
    m = mapper(columns={"latitude": "N"}, values={"latitude": {"okänd": ""}})
    assert m.fields({"N": "59,5"}) == {"latitude": "59.5"}
    assert m.fields({"N": "okänd"}) == {}


def test_many_distinct_texts_are_read_alike_whether_remembered_or_not() -> None:
    m = mapper()
    texts = [(datetime(2020, 1, 1) + timedelta(minutes=i)).isoformat() for i in range(40_000)]  # noqa: DTZ001  # local text
    first = [m.fields_of((t,))["occurred_at"] for t in texts]
    assert [m.fields_of((t,))["occurred_at"] for t in texts] == first
    assert first == sorted(first)
    assert len(set(first)) == len(first)


# ---- what is kept ---------------------------------------------------------------------------------------------------

KEEPING = {"event_id": "Nr", "category": "Typ", "latitude": "N", "longitude": "E"}


def test_what_is_kept_of_a_row_never_holds_coordinates_personal_data_long_texts_or_unmapped_columns() -> None:
    m = mapper(columns=KEEPING, skip={"Status": ["x"]})
    row = {"Nr": "811228-9874", "Typ": "Klotter", "N": "59,85", "E": "17,63", "Status": "klar"}
    assert m.keepable([row[c] for c in m.columns]) == {"Typ": "Klotter"}
    assert m.keepable(["17", "x" * 201, "", "", ""]) == {"Nr": "17"}


def test_a_column_that_gives_a_coordinate_is_not_kept_under_another_field_either() -> None:
    m = mapper(columns={"latitude": "N", "area": "N"})
    assert m.keepable(("59.85",)) == {}


@given(st.lists(st.text(max_size=30), min_size=4, max_size=4))
def test_nothing_kept_is_personal_data_or_a_position(texts: list[str]) -> None:
    kept = mapper(columns=KEEPING).keepable(texts)
    assert not kept.keys() & {KEEPING[f] for f in POSITION_FIELDS if f in KEEPING}
    assert not any(find_personal_data(text) for text in kept.values())


@given(typ=st.sampled_from(["Klotter", "Brand", "?"]), number=st.text("abc123", max_size=5))
def test_what_is_kept_of_a_row_gives_the_same_fields_again_but_for_the_coordinates(typ: str, number: str) -> None:
    m = mapper(columns=KEEPING, values={"category": {"Klotter": "GRAFFITI"}})
    row = {"Nr": number, "Typ": typ, "N": "59,85", "E": "17,63"}
    again = m.fields(m.keepable([row[c] for c in m.columns]))
    assert again == {k: v for k, v in m.fields(row).items() if k not in POSITION_FIELDS}


def test_a_row_that_was_kept_is_read_by_the_mended_mapping() -> None:
    kept = mapper(columns=KEEPING).keepable(("17", "Klotter", "", ""))
    mended = mapper(columns=KEEPING, values={"category": {"Klotter": "GRAFFITI"}})
    assert mended.fields(kept)["category"] == "GRAFFITI"


# ---- ids of rows without one ----------------------------------------------------------------------------------------


def test_the_same_file_gives_the_same_ids_zipped_or_not() -> None:
    assert id_prefix("incidents.csv") == id_prefix("incidents.csv.gz") == id_prefix("incidents.CSV.GZ") == "incidents-"


def test_files_whose_names_differ_only_behind_a_point_have_ids_of_their_own() -> None:
    assert id_prefix("est.2024.01.csv") != id_prefix("est.2024.02.csv")


@pytest.mark.parametrize(
    "name",
    [
        "2024-03-04.csv",
        "20240304.csv",
        "wardens_20240304.csv.gz",
        "19811228.csv",
        "811228.csv",
        "070.csv",
        "08-123.csv",
        "tps.csv",
        "kop-tps.csv",
        "a@b.csv",
        "anna@example.se.csv",
        "070-174 06 35.csv",
        "ABC 12.csv",
        "811228-9874.csv",
        ".csv",
        "Område 7.csv",
        "rad\nbrytning.csv",
        "\udce5.csv",
        "x" * 300 + ".csv",
    ],
)
def test_an_id_made_of_any_file_name_reads_as_no_personal_data_for_whatever_row(name: str) -> None:
    ids = [f"{id_prefix(name)}{number}" for number in (*range(2, 12_000), 100_000, 8_112_289, 701_740_635)]
    assert not [i for i in ids if find_personal_data(i)]
    assert all(i.isprintable() and len(i) <= 128 for i in ids)


@given(st.text(max_size=60), st.integers(2, 10**8))
def test_no_file_name_makes_ids_that_are_refused(name: str, number: int) -> None:
    made = f"{id_prefix(name)}{number}"
    assert find_personal_data(made) is None
    assert made.isprintable()
    assert len(made) <= 128


def test_without_a_mapping_columns_are_the_fields_of_their_name() -> None:
    assert identity(["kind", "Namn", "area"]) == {"kind": "kind", "area": "area"}
    assert set(TIME_FIELDS) <= set(identity(list(TIME_FIELDS)))
