"""A back-test judges each day with what had been recorded by then, on files of either form, with the service's own engine."""

import csv
import gzip
import importlib.util
import io
import json
import sys
from collections.abc import Iterator
from datetime import UTC, date, timedelta
from pathlib import Path
from types import ModuleType

import msgspec
import numpy as np
import pytest

from earlywarning.core.calendar import LocalCalendar, day_number
from earlywarning.core.events import AnyEvent
from earlywarning.core.registers import RegisterError
from earlywarning.lab.backtest import ALERT_COLUMNS, Backtest, Opened, backtest, write_alerts
from earlywarning.lab.backtest_files import Refused, read_events, read_registers
from earlywarning.lab.judged_days import LabError
from earlywarning.lab.recorder import record
from earlywarning.settings import Mapping
from earlywarning.sources.files import FileProblem
from tests.conftest import left_out
from tests.core.town import BEGIN, CATEGORIES, areas_text, event, feed, history, merged, register, settings, surge, tree
from tests.core.town import engine as town_engine

CITY = Path(__file__).parents[2] / "../shared/benchmarks/city/city.py"
DAYS = 450
FIRST = BEGIN.date() + timedelta(days=430)
STOCKHOLM = "Europe/Stockholm"
CITY_CATEGORIES = "code,group,kind\nC00,G0,incident\nC01,G0,incident\nC05,G1,report\n"


def late(number: int, days_late: float) -> AnyEvent:
    """One of many events of a single day, recorded so many days after it."""
    when = BEGIN + timedelta(days=435)
    return event(f"late{number}", when, recorded_at=when + timedelta(days=days_late), origin="reported")


# ---- judging ----------------------------------------------------------------------------------------------------------


def test_a_backtest_finds_what_the_service_would_have_found() -> None:
    events = merged(history(5, days=DAYS), surge(440))
    found = backtest(register(), tree(), LocalCalendar(), settings(), events, FIRST)
    live = town_engine()
    _, alerts, _ = feed(live, events, batch=700)
    wanted = {a.alert_id: a for a in alerts.values() if a.opened_on >= FIRST}
    assert wanted
    assert {a.first.alert_id for a in found.alerts} == set(wanted)
    assert all(a.first.opened_on == wanted[a.first.alert_id].opened_on for a in found.alerts)
    assert any(a.first.areas == ("A0",) and a.first.opened_on == BEGIN.date() + timedelta(days=440) for a in found.alerts)


def test_nothing_is_raised_before_the_first_judged_day() -> None:
    events = merged(history(5, days=DAYS), surge(420), surge(440, area="A4"))
    found = backtest(register(), tree(), LocalCalendar(), settings(), events, FIRST)
    assert found.alerts
    assert min(a.first.opened_on for a in found.alerts) >= FIRST


def test_what_began_before_the_first_judged_day_is_raised_on_it() -> None:
    # An alert of the day before would cover it, and the back-test would seem to have missed it.
    events = merged(history(5, days=DAYS), surge(429), surge(430))
    found = backtest(register(), tree(), LocalCalendar(), settings(), events, FIRST)
    assert any(a.first.areas == ("A0",) and a.first.opened_on == FIRST for a in found.alerts)


def test_a_surge_is_not_known_before_it_is_recorded() -> None:
    at_once = merged(history(5, days=DAYS), [late(i, 0.1) for i in range(9)])
    in_a_week = merged(history(5, days=DAYS), [late(i, 7) for i in range(9)])
    happened = BEGIN.date() + timedelta(days=435)

    def opened(events: list[AnyEvent]) -> list[date]:
        found = backtest(register(), tree(), LocalCalendar(), settings(lateness=14), events, FIRST)
        return [a.first.opened_on for a in found.alerts if a.first.areas == ("A0",) and a.first.categories == ("C0",)]

    assert opened(at_once)[0] == happened
    assert all(day >= happened + timedelta(days=7) for day in opened(in_a_week))


def test_what_was_recorded_after_the_last_day_changes_nothing() -> None:
    last = BEGIN.date() + timedelta(days=442)
    before = merged(history(5, days=DAYS), surge(440))
    known = [e for e in before if LocalCalendar().day_at(e.recorded_at) <= day_number(last)]
    one = backtest(register(), tree(), LocalCalendar(), settings(), before, FIRST, last)
    other = backtest(register(), tree(), LocalCalendar(), settings(), known, FIRST, last)
    assert one.alerts == other.alerts
    assert one.events == len(known) < len(before)
    assert one.weeks == pytest.approx(((last - FIRST).days + 1) / 7)


def test_alerts_a_week_are_counted_over_the_days_that_could_be_judged() -> None:
    """A year of history is asked for; whoever names an earlier day is told the same as who names the first that could be."""
    events, asked = merged(history(5, days=DAYS), surge(440)), BEGIN.date() + timedelta(days=250)
    early = backtest(register(), tree(), LocalCalendar(), settings(), events, asked)
    assert BEGIN.date() + timedelta(days=360) < early.first
    assert early.weeks == pytest.approx(((early.last - early.first).days + 1) / 7)
    right = backtest(register(), tree(), LocalCalendar(), settings(), events, early.first)
    assert len(right.alerts) > 0
    assert early.alerts == right.alerts
    assert (early.first, early.per_week) == (right.first, right.per_week)
    assert record(register(), tree(), LocalCalendar(), settings(), events, asked).meta.first == day_number(early.first)


def test_the_first_day_that_can_be_judged_is_judged_and_none_before_it() -> None:
    events, asked = history(5, days=DAYS), BEGIN.date() + timedelta(days=250)
    first = backtest(register(), tree(), LocalCalendar(), settings(), events, asked).first
    alone = backtest(register(), tree(), LocalCalendar(), settings(), events, first, first)
    assert (alone.first, alone.last) == (first, first)
    with pytest.raises(LabError, match="less than 1 years of history"):
        backtest(register(), tree(), LocalCalendar(), settings(), events, asked, first - timedelta(days=1))


def test_days_that_are_always_busy_are_expected_to_be_so() -> None:
    busy = [BEGIN + timedelta(days=d) for d in range(20, DAYS, 30)]
    more = [
        event(f"b{i}-{j}", when + timedelta(minutes=j), origin="reported") for i, when in enumerate(busy) for j in range(8)
    ]  # fmt: skip
    events = merged(history(5, days=DAYS), more)
    special = {day_number(when.date()) for when in busy}

    def kinds(first: int, last: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        return np.array([[float(day in special)] for day in range(first, last + 1)])

    first = BEGIN.date() + timedelta(days=436)
    last = BEGIN.date() + timedelta(days=444)
    unaware = backtest(register(), tree(), LocalCalendar(), settings(), events, first, last)
    aware = backtest(register(), tree(), LocalCalendar(), settings(), events, first, last, kinds)

    def expected(found: Backtest) -> list[float]:
        return [a.first.expected for a in found.alerts if a.first.areas == ("A0",)]

    # The calendar reaches the engine: the busy day is an alert without it, and none, or expected to be busier, with it.
    assert expected(unaware)
    assert not expected(aware) or max(expected(aware)) > max(expected(unaware))


def test_alerts_are_written_as_they_were_when_they_opened() -> None:
    events = merged(history(5, days=DAYS), surge(440, n=14))
    found = backtest(register(), tree(), LocalCalendar(), settings(), events, FIRST)
    out = io.StringIO()
    write_alerts(found, register(), out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    assert list(rows[0]) == list(ALERT_COLUMNS)
    row = next(r for r in rows if r["areas"] == "A0" and r["opened_on"] == (BEGIN.date() + timedelta(days=440)).isoformat())
    assert (row["categories"], row["kind"], row["tendency"]) == ("C0", "incident", "surge")
    now = next(a for a in found.alerts if a.first.alert_id == row["alert_id"])
    # Fewer than all of the day's fourteen raise it, and the alert goes on to count them all.
    assert float(row["observed"]) < now.last.observed
    assert float(row["recurrence_days"]) > 0
    assert date.fromisoformat(row["first_day"]) <= date.fromisoformat(row["opened_on"])


def test_the_whole_municipality_is_written_as_a_star() -> None:
    found = backtest(register(), tree(), LocalCalendar(), settings(), merged(history(5, days=DAYS), surge(440)), FIRST)
    anywhere = msgspec.structs.replace(found.alerts[0].first, areas=("0999",), categories=("all",))
    out = io.StringIO()
    write_alerts(found._replace(alerts=[Opened(anywhere, anywhere)]), register(), out)
    (row,) = csv.DictReader(io.StringIO(out.getvalue()))
    assert (row["areas"], row["categories"]) == ("*", "*")


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (date(2024, 3, 1), date(2024, 2, 1), "turn --from and --to round"),
        (date(2020, 1, 1), None, "must lie within what was recorded: after 2023-01-02"),
        (date(2031, 1, 1), None, "must lie within what was recorded"),
        (date(2023, 4, 1), date(2023, 5, 1), "less than 1 years of history"),
    ],
)
def test_days_that_cannot_be_judged_are_an_error(first: date, last: date | None, said: str) -> None:
    with pytest.raises(LabError, match=said):
        backtest(register(), tree(), LocalCalendar(), settings(), history(5, days=DAYS), first, last)


def test_without_events_there_is_nothing_to_judge() -> None:
    with pytest.raises(LabError, match="there are no events"):
        backtest(register(), tree(), LocalCalendar(), settings(), [], FIRST)


def test_events_of_another_municipality_are_an_error_that_names_one() -> None:
    strangers = [event(i, BEGIN + timedelta(days=i), municipality="0380") for i in range(430)]
    with pytest.raises(LabError, match="none of the events could be used") as caught:
        backtest(register(), tree(), LocalCalendar(), settings(), strangers, date(2024, 1, 1))
    assert "event e0 of source wardens, field municipality" in str(caught.value)


def test_a_few_events_that_cannot_be_used_are_counted_by_rule() -> None:
    events = merged(history(5, days=DAYS), [event("x", BEGIN, area="A77"), event("y", BEGIN, area="A78")])
    found = backtest(register(), tree(), LocalCalendar(), settings(), events, FIRST)
    assert found.refused.counts.total() == 2
    assert "event ex of source wardens, field area" in found.refused.words()[0]


# ---- files ------------------------------------------------------------------------------------------------------------


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    data = text.encode()
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def test_events_come_in_the_order_of_their_recording_and_what_is_the_same_in_all_is_filled_in(tmp_path: Path) -> None:
    text = (
        "event_id,kind,occurred_at,recorded_at,category,area\n"
        "e2,incident,2024-01-01T10:00:00+01:00,2024-01-05T10:00:00+01:00,C00,A00\n"
        "e1,report,2024-01-02T10:00:00+01:00,2024-01-02T11:00:00+01:00,C01,A01\n"
    )
    for name in ("warden.csv", "warden.csv.gz"):
        events = read_events([write(tmp_path, name, text)], STOCKHOLM)
        assert [(e.event_id, e.source, e.municipality, e.category) for e in events] == [
            ("e1", "warden", "0000", "C01"), ("e2", "warden", "0000", "C00")
        ]  # fmt: skip


def test_files_of_the_projects_own_form_and_of_a_mapping_are_read_too(tmp_path: Path) -> None:
    own = "event_id,source,kind,municipality,area,occurred_at,recorded_at,category\n"
    own += "e1,police,incident,0380,A00,2024-01-01T10:00:00+01:00,2024-01-01T11:00:00+01:00,C00\n"
    mapped = Mapping(
        columns={"occurred_at": "Tid", "category": "Typ", "area": "Plats"},
        constants={"kind": "report", "source": "s", "municipality": "0380"},
    )
    (first,) = read_events([write(tmp_path, "own.csv", own)], STOCKHOLM)
    assert (first.source, first.municipality) == ("police", "0380")
    (second,) = read_events([write(tmp_path, "m.csv", "Tid,Typ,Plats\n2024-06-01 12:00,C00,A00\n")], STOCKHOLM, mapping=mapped)
    assert second.recorded_at.astimezone(UTC).hour == 10
    (third,) = read_events([write(tmp_path, "l.jsonl", msgspec.json.encode(first).decode())], STOCKHOLM)
    assert third == first


def test_a_bad_row_is_named_by_file_line_field_and_problem(tmp_path: Path) -> None:
    text = "event_id,kind,occurred_at,category,area\ne1,incident,2024-01-01T10:00+01:00,C00,A00\ne2,incident,soon,C00,A00\n"
    refused = Refused.none()
    path = write(tmp_path, "e.csv", text)
    assert len(read_events([path], STOCKHOLM, refused=refused)) == 1
    assert refused.words()[0].startswith(f"1 events left out by rule value; the first: {path}, line 3, field occurred_at:")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("event_id,Typ\n1,x\n", "line 1: column 'Typ' is not an event field"),
        ("event_id,kind,category\n1,incident,x\n", "line 1: there is no column occurred_at"),
        ("", "there is no column kind"),
    ],
)
def test_a_file_without_the_columns_of_events_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(FileProblem, match=said):
        read_events([write(tmp_path, "e.csv", text)], STOCKHOLM)


def test_a_file_that_is_not_there_or_cut_off_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match=r"none\.csv"):
        read_events([tmp_path / "none.csv"], STOCKHOLM)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(b"event_id,kind,occurred_at,category,area\n" * 900)[:40])
    with pytest.raises(FileProblem, match=r"cut\.csv\.gz"):
        read_events([cut], STOCKHOLM)


def test_categories_of_the_short_form_are_a_tree_of_two_levels(tmp_path: Path) -> None:
    areas = write(tmp_path, "areas.geojson", areas_text())
    for text in (CITY_CATEGORIES, CITY_CATEGORIES.replace(",", ";"), "\ufeff" + CITY_CATEGORIES.replace("\n", "\r\n")):
        _, read = read_registers(areas, write(tmp_path, "categories.csv", text), "0000")
        assert set(read.codes) == {"all", "G0", "G1", "C00", "C01", "C05"}
        (c00,) = read.resolve(["C00"])
        assert read.codes[read.parents[c00]] == "G0"
    _, own = read_registers(areas, write(tmp_path, "categories.csv", CATEGORIES), "0000")
    assert own.codes[1:3] == ("G0", "G1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CITY_CATEGORIES + "C09,G1,burglary\n", "line 5: field kind: 'burglary' is not one of incident, report"),
        (CITY_CATEGORIES + "\nC00,G1,report\n", "line 6: code 'C00' stands twice (first in line 2)"),
        (CITY_CATEGORIES + "C 9,G1,report\n", "line 5: code 'C 9' is not allowed"),
        (CITY_CATEGORIES + "C09,G1\n", "line 5: 2 columns where the header has 3"),
        (CITY_CATEGORIES + "C09,C00,report\n", "line 5: field group: 'C00' is also the code of a category"),
        ("code,class\nC1,x\n", "line 1: the columns are code,class; they must be code,parent"),
        ("", "line 1: the columns are ; they must be"),
    ],
)
def test_a_bad_category_is_named_by_file_line_and_rule(tmp_path: Path, text: str, said: str) -> None:
    areas, categories = write(tmp_path, "areas.geojson", areas_text()), write(tmp_path, "categories.csv", text)
    with pytest.raises(RegisterError) as caught:
        read_registers(areas, categories, "0000")
    assert f"{categories}, {said}" in str(caught.value)


def test_errors_of_both_registers_are_told_at_once(tmp_path: Path) -> None:
    twice = areas_text().replace('"A1"', '"A0"')
    areas, categories = write(tmp_path, "areas.geojson", twice), write(tmp_path, "categories.csv", "x\n")
    with pytest.raises(RegisterError) as caught:
        read_registers(areas, categories, "0000")
    assert "feature 2: code 'A0' stands twice (first in feature 1)" in str(caught.value)
    assert "categories.csv, line 1" in str(caught.value)


# ---- the simulated city -----------------------------------------------------------------------------------------------


@pytest.fixture
def city() -> Iterator[ModuleType]:
    if not CITY.is_file():
        left_out("city.py is not in ../shared/benchmarks/city beside the project")
    spec = importlib.util.spec_from_file_location("city", CITY)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["city"] = module
    spec.loader.exec_module(module)
    # A smaller one of the same shape.
    module.COLUMNS, module.ROWS, module.PER_GROUP = 5, 4, 1
    module.AREAS, module.CATEGORIES = 20, 8
    yield module
    del sys.modules["city"]


def test_the_simulated_city_is_judged_on_its_files_as_they_are(city: ModuleType, tmp_path: Path) -> None:
    city.generate(tmp_path, 7, 1, 12, 2)
    about = json.loads((tmp_path / "about.json").read_text())
    first, last = (date.fromisoformat(about[key]) for key in ("evaluated_from", "evaluated_to"))
    events = read_events([tmp_path / "events.csv.gz"], STOCKHOLM)
    assert len(events) == about["events"]
    areas, categories = read_registers(tmp_path / "areas.geojson", tmp_path / "categories.csv", "0000")
    assert {"A19", "D0"} <= set(areas.codes)
    found = backtest(areas, categories, LocalCalendar(), settings(), events, first, last)
    assert found.refused.counts.total() == 0
    assert all(first <= a.first.opened_on <= last for a in found.alerts)
    with (tmp_path / "alerts.csv").open("w", newline="") as out:
        write_alerts(found, areas, out)
    city.score(tmp_path / "truth.csv", tmp_path / "alerts.csv")
