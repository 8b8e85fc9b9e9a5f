"""Known events beside alerts: found and how early, missed, and what the group said of the rest."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from earlywarning.core.casework import Casework
from earlywarning.core.learning import Known
from earlywarning.lab.backtest import Backtest
from earlywarning.lab.bench import Choice, Label, LabError, Recording, curve, judge, labels_of_group, read_labels, retune
from tests.lab.conftest import on


def label(first: int, last: int, areas: str = "A0", categories: str = "C0", **fields: Any) -> Label:
    return Label(
        name=f"{first}-{areas}", first=on(first), last=on(last), areas=(areas,), categories=(categories,), **fields
    )  # fmt: skip


# ---- found, missed, right ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("known", "found", "days"),
    [
        (label(445, 446), "found", 0),
        (label(443, 446), "found", 2),
        (label(445, 446, "D0", "G0"), "found", 0),
        (label(445, 446, "*", "*"), "found", 0),
        (label(446, 450), "open-before", 0),
        (label(445, 446, "A5"), "missed", None),
        (label(445, 446, "A0", "C3"), "missed", None),
        (label(445, 446, kind="report"), "missed", None),
        (label(420, 424), "not-judged", None),
    ],
)
def test_a_known_event_is_found_by_an_alert_that_meets_it(recording: Recording, known: Label, found: str, days: int | None) -> None:
    only = Choice(tendencies=("surge", "cluster", "shift"), budget=0.1)
    (answer,) = judge(retune(recording, only), [known], recording).answers
    assert (answer.found, answer.days) == (found, days)
    assert (answer.alert is None) == (found in ("missed", "not-judged"))


def test_alerts_are_right_wrong_or_unknown_and_all_are_one_of_them(recording: Recording) -> None:
    outcome = retune(recording, Choice(budget=4.0))
    labels = [label(445, 446), label(470, 471, "A4", "C2", true=False), label(445, 446, "A5", "C3")]
    judged = judge(outcome, labels, recording)
    assert len(judged.right) + len(judged.wrong) + len(judged.others) == len(outcome.alerts)
    assert judged.right
    assert judged.wrong
    assert (judged.labels, judged.found + judged.open_before, judged.missed) == (2, 1, 1), "what is false is none to be found"
    assert judged.precision == len(judged.right) / (len(judged.right) + len(judged.wrong))
    assert judged.low < judged.share == 0.5 < judged.high
    assert judge(outcome, [], recording).others == [a.number for a in outcome.alerts]


def test_a_label_of_unknown_codes_is_named(recording: Recording) -> None:
    with pytest.raises(LabError, match="label '445-A9': there is no area 'A9'"):
        judge(retune(recording, Choice()), [label(445, 446, "A9")], recording)


def test_the_groups_answers_are_labels(recording: Recording, replayed: Backtest) -> None:
    alerts = [a.last for a in replayed.alerts][:3]
    said = ("confirmed", "false-alarm", "known-cause")
    now = datetime(2024, 6, 1, tzinfo=UTC)
    known = []
    for alert, assessment in zip(alerts, said, strict=True):
        case = Casework(alert_id=alert.alert_id, municipality=alert.municipality, opened_at=alert.opened_at)
        known.append(Known(alert, msgspec.structs.replace(case, assessment=assessment, acknowledged_at=now)))
    labels = labels_of_group(known)
    assert [(one.alert_id, one.true) for one in labels] == [(alerts[0].alert_id, True), (alerts[1].alert_id, False)]
    judged = judge(retune(recording, Choice()), labels, recording)
    assert judged.found + judged.open_before == 1


def test_a_curve_has_a_point_for_each_budget_and_finds_no_less_with_more(recording: Recording) -> None:
    labels = [label(445, 446), label(470, 471, "A4", "C2"), label(455, 457, "A5", "C3")]
    points = curve(recording, labels, budgets=(4.0, 0.25, 1.0))
    assert [p.budget for p in points] == [0.25, 1.0, 4.0]
    assert points[0].found <= points[-1].found
    assert all(p.low <= p.share <= p.high and p.others_low <= p.others_per_week <= p.others_high for p in points)
    assert all(p.others_per_week <= p.alerts_per_week for p in points)
    with pytest.raises(LabError, match="none is a true event within the judged days"):
        curve(recording, [label(445, 446, true=False)])


# ---- files ------------------------------------------------------------------------------------------------------------


def test_labels_are_read_from_csv_and_toml(tmp_path: Path) -> None:
    text = "name,first,last,areas,categories,kind,true\nfires,2024-03-17,2024-03-18,A0;A1,*,incident,\n,2024-04-01,,D1,G0,,nej\n"
    (tmp_path / "labels.csv").write_text(text)
    one, other = read_labels(tmp_path / "labels.csv")
    assert (one.name, one.areas, one.kind, one.true) == ("fires", ("A0", "A1"), "incident", True)
    assert (other.name, other.last - other.first, other.true) == ("line 3", timedelta(0), False)
    toml = '[[label]]\nname = "fires"\nfirst = 2024-03-17\nlast = 2024-03-18\nareas = ["A0", "A1"]\ncategories = "*"\n'
    (tmp_path / "labels.toml").write_text(toml + 'kind = "incident"\n')
    assert read_labels(tmp_path / "labels.toml") == [one]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.csv", "first,areas\n", "l.csv, line 1: there is no column categories; every label needs first, areas, categories"),
        ("l.csv", "first,areas,categories,who\n", "line 1: there is no column 'who'"),
        ("l.csv", "first,areas,categories\n17/3,A0,C0\n", "line 2, field first: '17/3' is no date such as 2025-03-14"),
        ("l.csv", "first,areas,categories\n2024-03-01,,C0\n", "line 2, field areas: names nothing"),
        ("l.csv", "first,last,areas,categories\n2024-03-02,2024-03-01,A0,C0\n", "line 2, field last: 2024-03-01 lies before first"),
        ("l.csv", "first,areas,categories,kind\n2024-03-02,A0,C0,theft\n", "line 2, field kind: 'theft' is not one of"),
        ("l.csv", "first,areas,categories,true\n2024-03-02,A0,C0,maybe\n", "line 2, field true: 'maybe' is neither"),
        ("l.toml", "label = 3\n", "write each label as a table"),
        ("l.toml", "label\n", "l.toml: "),
        (
            "l.toml",
            '[[label]]\nfirst = 2024-03-01\nareas = "A0"\ncategories = "C0"\nwho = 1\n',
            "label 1, field who: there is no such",
        ),
    ],
)
def test_a_bad_label_is_named_by_file_line_and_field(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(LabError) as caught:
        read_labels(tmp_path / name)
    assert said in str(caught.value)


def test_a_file_of_labels_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"--labels .*none\.csv: cannot be read"):
        read_labels(tmp_path / "none.csv")
