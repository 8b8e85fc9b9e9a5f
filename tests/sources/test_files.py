"""Events from files: what every file gives, and what hostile or damaged ones must not do."""

import gzip
import json
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earlywarning.settings import Mapping, parse_settings
from earlywarning.sources import csv_rows, files
from earlywarning.sources.csv_rows import LONGEST_ROW
from earlywarning.sources.files import EventFile, FileProblem
from earlywarning.sources.supply import Supply

PROJECT = Path(__file__).parents[2]
TORONTO = PROJECT / "../shared/data/toronto_mci_2014_2021.csv.gz"
FIELDS = {"kind": "incident", "source": "wardens", "municipality": "0380"}
MAPPING = Mapping(
    columns={"event_id": "Nr", "occurred_at": "Tid", "category": "Typ", "latitude": "N", "longitude": "E"},
    constants=FIELDS,
    skip={"Status": ["Makulerad"]},
    delimiter=";",
)
NO_IDS = Mapping(columns={"occurred_at": "Tid", "category": "Typ"}, constants=FIELDS, delimiter=";")
HEADER = "Nr;Tid;Typ;N;E;Status;Anmälare\n"


def event(number: int, **fields: Any) -> bytes:
    known = {"recorded_at": "2024-01-01T12:00:00Z", "occurred_at": "2024-01-01T12:00:00Z", "category": "FIRE", "area": "A"}
    return json.dumps({"event_id": f"e-{number}", **FIELDS, **known, **fields}).encode()


def row(number: int, kind: str = "FIRE", status: str = "Klar", note: str = "") -> str:
    return f"e-{number};2024-01-01T12:00;{kind};59,85;17,63;{status};{note}\n"


class Read:
    """All that came of a file: ids by the number that a person gives, rejections, and the problem at its end."""

    def __init__(self, file: EventFile) -> None:
        self.ids: dict[int, str] = {}
        self.rules: dict[int, str] = {}
        self.supplies: list[Supply] = []
        self.problem = ""
        try:
            for supply in file:
                self.supplies.append(supply)
                decoded = supply.decoded
                for position, e in zip(decoded.positions, decoded.events, strict=True):
                    self.ids[position + supply.first] = e.event_id
                self.rules |= {r.index + supply.first: r.rule for r in decoded.rejections}
        except FileProblem as problem:
            self.problem = str(problem)
        self.skipped = file.skipped


def read(path: Path, content: bytes | str | None = None, mapping: Mapping | None = None) -> Read:
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return Read(EventFile(path, mapping=mapping, mapping_name="wardens", default_timezone="Europe/Stockholm"))


def lines(events: Iterable[bytes]) -> bytes:
    return b"".join(e + b"\n" for e in events)


def peak_megabytes(file: EventFile) -> tuple[float, int]:
    """The most memory held at once while a file is read batch by batch, and how many events were in it."""
    tracemalloc.start()
    try:
        events = sum(len(supply.decoded.events) for supply in file)
        return tracemalloc.get_traced_memory()[1] / 1e6, events
    finally:
        tracemalloc.stop()


# ---- JSON Lines -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz"])
def test_each_line_is_an_event_with_its_line_number(tmp_path: Path, name: str) -> None:
    done = read(tmp_path / name, lines(map(event, range(1, 6))))
    assert done.ids == {n: f"e-{n}" for n in range(1, 6)}
    assert not done.rules
    assert not done.problem


def test_zipped_data_is_known_by_its_first_bytes_whatever_the_file_is_called(tmp_path: Path) -> None:
    assert read(tmp_path / "a.jsonl", gzip.compress(lines([event(1)]))).ids == {1: "e-1"}
    assert read(tmp_path / "b.csv", gzip.compress((HEADER + row(1)).encode()), MAPPING).ids == {2: "e-1"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(chunk=st.integers(1, 900), seed=st.integers(0, 2**32))
def test_where_a_file_is_cut_into_chunks_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, seed: int
) -> None:
    random = Random(seed)
    kinds = [event(1), b"", b"nonsense", event(2, category=""), event(3) + b"\r", b'{"kind":"incident"', b"\xff\xfe"]
    content = b"\n".join(random.choice(kinds) for _ in range(12))
    whole = read(tmp_path / "a.jsonl", content)
    monkeypatch.setattr(files, "CHUNK", chunk)
    cut = read(tmp_path / "a.jsonl")
    monkeypatch.undo()
    assert (cut.ids, cut.rules) == (whole.ids, whole.rules)


def test_a_line_that_is_not_utf_8_is_refused_and_its_neighbours_are_taken(tmp_path: Path) -> None:
    latin = event(2).replace(b'"A"', '"Å"'.encode("latin-1"))
    done = read(tmp_path / "a.jsonl", lines([event(1), latin, event(3)]))
    assert done.ids == {1: "e-1", 3: "e-3"}
    assert done.rules == {2: "json"}


@pytest.mark.parametrize("bad", [b"\0", b"[" * 5000, b'{"kind":' * 2000, b'"x"', b"null", b"{" + b" " * 20_000])
def test_hostile_lines_are_refused_one_by_one(tmp_path: Path, bad: bytes) -> None:
    done = read(tmp_path / "a.jsonl", lines([event(1), bad, event(3)]))
    assert done.ids == {1: "e-1", 3: "e-3"}
    assert list(done.rules) == [2]


@pytest.mark.parametrize("size", [files.LONGEST_LINE + 1, files.CHUNK + 1, 2 * files.CHUNK, 3 * files.CHUNK - 1])
def test_a_line_too_long_to_hold_is_refused_and_reading_goes_on_behind_it(tmp_path: Path, size: int) -> None:
    done = read(tmp_path / "a.jsonl", lines([event(1), b"x" * size, event(3), event(4)]))
    assert done.ids == {1: "e-1", 3: "e-3", 4: "e-4"}
    assert done.rules == {2: "size"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(sizes=st.lists(st.integers(0, 700), max_size=8), chunk=st.integers(50, 500))
def test_long_lines_cost_only_themselves_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int], chunk: int
) -> None:
    monkeypatch.setattr(files, "CHUNK", chunk)
    monkeypatch.setattr(files, "LONGEST_LINE", 300)
    content = lines(e for n, size in enumerate(sizes) for e in (b"x" * (size + 1), event(2 * n + 2)))
    done = read(tmp_path / "a.jsonl", content)
    monkeypatch.undo()
    assert done.ids == {n: f"e-{n}" for n in range(2, 2 * len(sizes) + 1, 2)}
    assert sorted(done.rules) == list(range(1, 2 * len(sizes), 2))


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    assert read(tmp_path / "a.jsonl", b"\xef\xbb\xbf" + event(1)).ids == {1: "e-1"}
    assert read(tmp_path / "a.json", b"\xef\xbb\xbf[" + event(1) + b"]").ids == {1: "e-1"}


@pytest.mark.parametrize("content", [b"", b"\n\n", b" \r\n"])
def test_a_file_without_events_gives_none_and_no_problem(tmp_path: Path, content: bytes) -> None:
    done = read(tmp_path / "a.jsonl", content)
    assert (done.ids, done.rules, done.problem) == ({}, {}, "")


# ---- JSON arrays ----------------------------------------------------------------------------------------------------


def test_an_array_gives_its_items_with_their_numbers(tmp_path: Path) -> None:
    done = read(tmp_path / "a.json", b"[" + b",".join([event(1), b'{"x":1}', event(3)]) + b"]")
    assert done.ids == {1: "e-1", 3: "e-3"}
    assert list(done.rules) == [2]


@pytest.mark.parametrize("content", [b"[" + event(1), b"[" * 100_000, b"[\xff]"])
def test_an_array_that_is_not_json_names_the_file_and_gives_nothing(tmp_path: Path, content: bytes) -> None:
    done = read(tmp_path / "a.json", content)
    assert not done.ids
    assert "a.json: not JSON" in done.problem


# ---- damaged gzip ---------------------------------------------------------------------------------------------------


def test_what_stands_before_the_end_of_a_cut_off_zip_is_delivered_then_the_file_is_named(tmp_path: Path) -> None:
    random = Random(1)
    content = lines(event(n, area=f"A{random.getrandbits(200)}") for n in range(1, 20_001))
    zipped = gzip.compress(content, 1)
    for share in (0.3, 0.7, 0.98):
        done = read(tmp_path / "a.jsonl.gz", zipped[: int(len(zipped) * share)])
        assert done.ids == {n: f"e-{n}" for n in range(1, len(done.ids) + 1)}
        assert len(done.ids) > (share - 0.1) * 20_000
        assert not done.rules
        assert "a.jsonl.gz" in done.problem
        assert "fetch the file again" in done.problem


def test_rows_before_the_end_of_a_cut_off_zip_are_delivered_then_the_file_is_named(tmp_path: Path) -> None:
    random = Random(1)
    zipped = gzip.compress((HEADER + "".join(row(n, note=str(random.getrandbits(200))) for n in range(20_000))).encode(), 1)
    done = read(tmp_path / "a.csv.gz", zipped[: len(zipped) * 7 // 10], MAPPING)
    assert len(done.ids) > 0.6 * 20_000
    assert list(done.ids.values()) == [f"e-{n}" for n in range(len(done.ids))]
    assert not done.rules
    assert "a.csv.gz: the gzip data is damaged or cut off" in done.problem


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.csv.gz", "a.json.gz"])
def test_a_zip_with_a_wrong_checksum_or_nonsense_inside_is_a_problem_of_the_file(tmp_path: Path, name: str) -> None:
    content = (HEADER + row(1)).encode() if "csv" in name else lines([event(1)])
    zipped = bytearray(gzip.compress(content))
    zipped[-8] ^= 0xFF
    assert name in read(tmp_path / name, bytes(zipped), MAPPING if "csv" in name else None).problem
    assert name in read(tmp_path / name, b"\x1f\x8b\x08\0" + b"\xff" * 50, MAPPING).problem


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(at=st.integers(0, 10**6), byte=st.integers(0, 255), csv=st.booleans())
def test_any_byte_of_a_zip_may_be_wrong_and_only_a_file_problem_comes_of_it(tmp_path: Path, at: int, byte: int, csv: bool) -> None:
    content = (HEADER + "".join(map(row, range(30)))).encode() if csv else lines(map(event, range(30)))
    zipped = bytearray(gzip.compress(content, mtime=0))
    zipped[at % len(zipped)] = byte
    done = read(tmp_path / ("a.csv.gz" if csv else "a.jsonl.gz"), bytes(zipped), MAPPING if csv else None)
    assert len(done.ids) <= 30


@pytest.mark.parametrize(
    ("name", "piece", "megabytes"),
    [
        ("a.jsonl.gz", b"x", 100),
        ("a.jsonl.gz", b"\n", 4),
        ("a.csv.gz", b"x", 60),
        ("a.csv.gz", b'"', 60),
        ("a.csv.gz", b";", 60),
        ("a.csv.gz", b"\n", 1),
    ],
)
def test_a_zip_that_unfolds_to_many_times_its_size_stays_small_in_memory(
    tmp_path: Path, name: str, piece: bytes, megabytes: int
) -> None:
    path = tmp_path / name
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(HEADER.encode() if "csv" in name else b"")
        for _ in range(megabytes):
            out.write(piece * 1_000_000)
    assert path.stat().st_size < 20_000 + megabytes * 10_000
    mapping = MAPPING if "csv" in name else None
    used, events = peak_megabytes(EventFile(path, mapping=mapping, default_timezone="Europe/Stockholm"))
    assert used < 45
    assert events == 0


def test_millions_of_tiny_bad_lines_come_in_batches_that_fit_in_memory(tmp_path: Path) -> None:
    content = b"[\n" * (3 * files.MOST_LINES) + event(1) + b"\n"
    done = read(tmp_path / "a.jsonl", content)
    assert max(len(s.decoded.rejections) for s in done.supplies) <= files.MOST_LINES
    assert list(done.rules) == list(range(1, 3 * files.MOST_LINES + 1))
    assert done.ids == {3 * files.MOST_LINES + 1: "e-1"}


# ---- CSV ------------------------------------------------------------------------------------------------------------


def test_rows_become_events_and_their_number_is_that_of_the_row_with_the_header_as_first(tmp_path: Path) -> None:
    done = read(tmp_path / "a.csv", HEADER + row(1) + row(2), MAPPING)
    assert done.ids == {2: "e-1", 3: "e-2"}
    first = done.supplies[0].decoded.events[0]
    assert (first.latitude, first.longitude, first.source) == (59.85, 17.63, "wardens")
    assert first.occurred_at is not None
    assert first.occurred_at.isoformat() == "2024-01-01T12:00:00+01:00"
    assert done.supplies[0].format == "mapping:wardens"
    assert done.supplies[0].way == "a.csv"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_line_ends_and_byte_order_marks_change_nothing(tmp_path: Path, end: str, last: bool, mark: str) -> None:
    text = (mark + HEADER + row(1) + row(2)).replace("\n", end)
    done = read(tmp_path / "a.csv", text if last else text.rstrip("\r\n"), MAPPING)
    assert done.ids == {2: "e-1", 3: "e-2"}
    assert not done.rules


def test_a_quoted_header_behind_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    quoted = "\ufeff" + ";".join(f'"{name}"' for name in HEADER.strip().split(";")) + "\n"
    assert read(tmp_path / "a.csv", quoted + row(1), MAPPING).ids == {2: "e-1"}


def test_rows_that_the_mapping_leaves_out_are_counted_and_keep_their_number(tmp_path: Path) -> None:
    done = read(tmp_path / "a.csv", HEADER + row(1, status="Makulerad") + row(2) + row(3, status="Makulerad"), MAPPING)
    assert done.ids == {3: "e-2"}
    assert done.skipped == 2
    assert not done.rules


def test_the_size_of_the_batches_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = HEADER + "".join(row(n) if n % 3 else f"{n}\n" for n in range(50))
    whole = read(tmp_path / "a.csv", text, MAPPING)
    monkeypatch.setattr(files, "BATCH", 7)
    cut = read(tmp_path / "a.csv", text, MAPPING)
    assert (cut.ids, cut.rules) == (whole.ids, whole.rules)
    assert len(cut.supplies) == 8
    assert set(whole.rules.values()) == {"columns"}


@pytest.mark.parametrize("bad", ["e-2;2024-01-01T12:00;FIRE\n", row(2).strip() + ";;more\n", "x\n"])
def test_a_row_with_too_few_or_too_many_columns_is_refused_alone(tmp_path: Path, bad: str) -> None:
    done = read(tmp_path / "a.csv", HEADER + row(1) + bad + row(3), MAPPING)
    assert (done.ids, done.rules) == ({2: "e-1", 4: "e-3"}, {3: "columns"})


def test_a_row_in_another_encoding_is_refused_alone_and_an_unmapped_column_does_not_matter(tmp_path: Path) -> None:
    bad = row(2, kind="KLÄDER").encode("latin-1")
    unmapped = row(3, note="Åsa").encode("latin-1")
    done = read(tmp_path / "a.csv", (HEADER + row(1)).encode() + bad + unmapped, MAPPING)
    assert (done.ids, done.rules) == ({2: "e-1", 4: "e-3"}, {3: "encoding"})


def test_a_mapping_may_name_another_encoding(tmp_path: Path) -> None:
    for encoding in ("cp1252", "utf-16"):
        mapping = Mapping(columns={**NO_IDS.columns, "area": "Område"}, constants=FIELDS, encoding=encoding)
        text = "Tid,Typ,Område\n2024-01-01T12:00,FIRE,Gränby\n"
        done = read(tmp_path / "a.csv", text.encode(encoding), mapping)
        assert [e.area for e in done.supplies[0].decoded.events] == ["Gränby"]


def test_a_header_in_another_encoding_is_a_problem_that_names_the_way_out_and_can_be_printed(tmp_path: Path) -> None:
    done = read(tmp_path / "a.csv", (HEADER + row(1)).encode("latin-1"), MAPPING)
    assert not done.ids
    assert "the header is not utf-8" in done.problem
    assert "encoding in the mapping" in done.problem
    assert done.problem.encode()


def test_a_row_with_nul_bytes_is_refused_alone(tmp_path: Path) -> None:
    done = read(tmp_path / "a.csv", HEADER + row(1) + row(2, kind="FI\0RE") + row(3), MAPPING)
    assert (done.ids, done.rules) == ({2: "e-1", 4: "e-3"}, {3: "encoding"})


@pytest.mark.parametrize("size", [LONGEST_ROW, LONGEST_ROW + 1, 3 * LONGEST_ROW, 3_000_000])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_huge_field_is_refused_alone(tmp_path: Path, size: int, quote: str) -> None:
    done = read(tmp_path / "a.csv", HEADER + row(1) + row(2, note=quote + "x" * size + quote) + row(3), MAPPING)
    assert (done.ids, done.rules) == ({2: "e-1", 4: "e-3"}, {3: "csv"})


def test_a_quoted_field_may_span_lines(tmp_path: Path) -> None:
    done = read(tmp_path / "a.csv", HEADER + row(1, note='"två\nrader; ""så"""') + row(2), MAPPING)
    assert (done.ids, done.rules) == ({2: "e-1", 3: "e-2"}, {})


@pytest.mark.parametrize("behind", [0, 3, 30, 10_000])
def test_a_quote_that_is_never_closed_costs_only_its_own_row(tmp_path: Path, behind: int) -> None:
    text = HEADER + row(1) + row(2, note='"öppen') + "".join(row(n) for n in range(3, 3 + behind))
    done = read(tmp_path / "a.csv", text, MAPPING)
    assert list(done.ids.values()) == ["e-1", *(f"e-{n}" for n in range(3, 3 + behind))]
    assert done.rules == {3: "csv"}


def test_a_stray_quote_within_a_line_is_forgiven(tmp_path: Path) -> None:
    text = HEADER + row(1, note='"Bågen" kiosk') + row(2, note='5" rör') + row(3)
    done = read(tmp_path / "a.csv", text, MAPPING)
    assert (done.ids, done.rules) == ({2: "e-1", 3: "e-2", 4: "e-3"}, {})


def test_two_open_quotes_do_not_swallow_the_rows_between_them(tmp_path: Path) -> None:
    text = HEADER + row(1, note='"öppen') + row(2) + row(3) + row(4, note='"öppen') + row(5)
    done = read(tmp_path / "a.csv", text, MAPPING)
    assert list(done.ids.values()) == ["e-2", "e-3", "e-5"]
    assert len(done.rules) == 2


def test_a_file_full_of_open_quotes_is_read_in_bounded_time_and_says_what_it_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "_READ_AGAIN", 1 << 20)
    done = read(tmp_path / "a.csv", HEADER + 'a";"\n' * 50_000, MAPPING)
    assert set(done.rules.values()) <= {"csv", "columns"}
    assert any("lines behind it are lost with it" in r.problem for s in done.supplies for r in s.decoded.rejections)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150)
@given(st.binary(max_size=120), st.booleans())
def test_whatever_bytes_stand_in_a_row_the_rows_before_and_the_last_one_are_taken(
    tmp_path: Path, junk: bytes, mapped: bool
) -> None:
    head = (HEADER if mapped else "kind,event_id,source,municipality,category,recorded_at\n").encode()
    good = [row(n) if mapped else f"incident,e-{n},wardens,0380,FIRE,2024-01-01T12:00\n" for n in (1, 2)]
    content = head + good[0].encode() + junk + b"\n" + good[1].encode()
    done = read(tmp_path / "a.csv", content, MAPPING if mapped else None)
    assert done.ids[2] == "e-1"
    assert "e-2" in done.ids.values()
    assert not done.problem


def test_no_header_and_an_empty_file_are_problems_and_a_header_alone_is_none(tmp_path: Path) -> None:
    assert "there is no header" in read(tmp_path / "a.csv", "", MAPPING).problem
    assert "there is no header" in read(tmp_path / "a.csv", "\n" + HEADER, MAPPING).problem
    alone = read(tmp_path / "a.csv", HEADER, MAPPING)
    assert (alone.ids, alone.rules, alone.problem) == ({}, {}, "")


def test_a_column_of_the_mapping_that_is_missing_or_stands_twice_is_named_before_any_row(tmp_path: Path) -> None:
    missing = read(tmp_path / "a.csv", HEADER.replace("Typ", "Sort") + row(1), MAPPING)
    assert "column 'Typ' of mapping 'wardens' is not in the header" in missing.problem
    twice = read(tmp_path / "a.csv", HEADER.replace("Status", "Typ").replace("Anmälare", "Status") + row(1), MAPPING)
    assert "column 'Typ' stands twice" in twice.problem
    assert not missing.ids
    assert not twice.ids


def test_columns_that_are_not_mapped_may_have_the_same_name(tmp_path: Path) -> None:
    text = HEADER.replace("\n", ";;\n") + row(1).replace("\n", ";;\n")
    assert read(tmp_path / "a.csv", text, MAPPING).ids == {2: "e-1"}


def test_where_the_header_is_missing_nothing_personal_of_the_first_row_is_shown(tmp_path: Path) -> None:
    for mapping in (MAPPING, None):
        problem = read(tmp_path / "a.csv", "anna@example.se;x\n" + row(1), mapping).problem
        assert problem
        assert "anna@example.se" not in problem


def test_without_a_mapping_the_header_names_event_fields_and_others_are_refused_by_name(tmp_path: Path) -> None:
    head = "kind,source,municipality,category,recorded_at,occurred_at,area"
    line = "incident,wardens,0380,FIRE,2024-01-01T12:00Z,2024-01-01T12:00,A"
    fine = read(tmp_path / "events.csv", f"{head}\n{line}\n")
    assert (fine.ids, fine.rules, fine.supplies[0].format) == ({2: "events-2"}, {}, "event")
    unknown = read(tmp_path / "events.csv", f"{head},reporter\n{line},Anna\n")
    assert "'reporter' is not an event field" in unknown.problem
    assert not unknown.ids


def test_rows_without_an_id_get_the_same_one_whenever_the_file_is_fed_again(tmp_path: Path) -> None:
    text = "Tid;Typ\n2024-01-01T12:00;FIRE\nbad\n2024-01-01T12:00;FIRE\n"
    once = read(tmp_path / "export.csv", text, NO_IDS)
    assert once.ids == {2: "export-2", 4: "export-4"}
    assert read(tmp_path / "export.csv", None, NO_IDS).ids == once.ids
    assert read(tmp_path / "export.csv.gz", gzip.compress(text.encode()), NO_IDS).ids == once.ids


def test_the_raw_row_can_be_had_by_its_number_without_coordinates_and_unmapped_columns(tmp_path: Path) -> None:
    text = HEADER + row(1, kind="Klotter", note="Anna") + "x\n" + row(3, kind="anna@example.se")
    raw = read(tmp_path / "a.csv", text, MAPPING).supplies[0].raw
    assert dict(raw) == {
        2: {"Nr": "e-1", "Tid": "2024-01-01T12:00", "Typ": "Klotter"},
        4: {"Nr": "e-3", "Tid": "2024-01-01T12:00"},
    }
    assert raw.get(3) is None


# ---- the file itself ------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(FileProblem, match=path.name):
            EventFile(path, default_timezone="Europe/Stockholm")


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.csv", "a.csv.gz"])
def test_the_position_rises_with_what_is_read_and_ends_at_the_size(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CHUNK", 1 << 16)
    monkeypatch.setattr(files, "BATCH", 500)
    random = Random(1)
    mess = [str(random.getrandbits(300)) for _ in range(5000)]
    text = (HEADER + "".join(row(n, note=m) for n, m in enumerate(mess))).encode()
    content = text if "csv" in name else lines(event(n, area=m[:60]) for n, m in enumerate(mess))
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    file = EventFile(tmp_path / name, mapping=MAPPING if "csv" in name else None, default_timezone="Europe/Stockholm")
    positions = [file.position for _ in file]
    assert positions == sorted(positions)
    assert 0 < positions[0] < file.size / 2
    assert file.position == file.size == (tmp_path / name).stat().st_size


@pytest.mark.skipif(not TORONTO.exists(), reason="needs ../shared/data/toronto_mci_2014_2021.csv.gz beside the project")
def test_the_bundled_years_of_toronto_are_read_whole() -> None:
    text = (PROJECT / "src/earlywarning/data/settings/toronto.toml").read_text()
    mapping = parse_settings(text, file="toronto.toml", folder=Path()).mappings["toronto"]
    file = EventFile(TORONTO, mapping=mapping, mapping_name="toronto", default_timezone="America/Toronto")
    events = rejections = 0
    for supply in file:
        events += len(supply.decoded.events)
        rejections += len(supply.decoded.rejections)
    with gzip.open(TORONTO, "rb") as raw:
        rows = sum(1 for _ in raw) - 1
    assert (events, rejections) == (rows, 0)
