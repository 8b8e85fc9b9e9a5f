"""A plan is read from TOML and from rows, written again alike, and every error says where it stands and what to do."""

import re
from collections.abc import Callable
from importlib import resources

import msgspec
import pytest

from earlywarning.core.action_plan import ActionPlan
from earlywarning.core.areas import load_areas
from earlywarning.core.categories import load_categories
from earlywarning.core.plan_check import PlanError
from earlywarning.plan.reading import read_plan
from earlywarning.plan.rows import COLUMNS
from earlywarning.plan.writing import plan_differences, plan_toml
from tests.core.town import register, tree
from tests.plan.plans import ROWS, TOML, plan


def problems_of(data: str | bytes, file: str = "plan.toml") -> tuple[str, ...]:
    with pytest.raises(PlanError) as caught:
        read_plan(data if isinstance(data, bytes) else data.encode(), file, register(), tree())
    return caught.value.problems


def test_rows_of_a_spreadsheet_and_toml_say_the_same() -> None:
    assert read_plan(ROWS.encode("utf-8-sig"), "Plan.CSV", register(), tree()) == plan()


def test_a_plan_written_reads_back_alike() -> None:
    written = plan_toml(plan())
    again = plan(written)
    assert again == plan()
    assert again.version == plan().version
    assert plan_differences(plan(), again) == []


@pytest.mark.parametrize("text", ['Citat "så" och \\ bakstreck', "rad ett\nrad två\ttabb", "del \x7f och 🙂", "'enkla'", "# nej"])
def test_any_text_survives_being_written(text: str) -> None:
    priority = msgspec.structs.replace(plan().priorities[0], focus_sv=text)
    changed = msgspec.structs.replace(plan(), priorities=(priority,), actions=())
    assert plan(plan_toml(changed)) == changed


def test_differences_name_parts_by_their_codes() -> None:
    changed = plan(TOML.replace("change = -0.3", "change = -0.2").replace('"A4", "A5"', '"A4"'))
    assert plan_differences(plan(), changed) == [
        ("priorities[KLOTTER].goal.change", "-0.3", "-0.2"),
        ("actions[SANERING].comparison", "A4, A5", "A4"),
    ]


def test_the_bundled_example_fits_the_bundled_registers() -> None:
    data = resources.files("earlywarning.data")
    areas = load_areas(data.joinpath("uppsala", "areas.geojson").read_bytes(), file="areas", municipality="0380")
    categories = load_categories(data.joinpath("categories.csv").read_bytes(), file="categories")
    example = read_plan(data.joinpath("action_plan.toml").read_bytes(), "action_plan.toml", areas, categories)
    assert len(example.priorities) == 2
    assert all(p.name_en and p.commitments for p in example.priorities)


def _in(old: str, new: str) -> Callable[[], str]:
    def changed() -> str:
        assert old in TOML
        return TOML.replace(old, new, 1)

    return changed


WRONG_PLANS = [
    (_in('title_sv = "', "title_sv = "), r"plan.toml: not TOML: .*line 2"),
    (_in('title_sv = "Åtgärdsplan för Testby"\n', ""), r"plan.toml: the required field is missing: `title_sv`"),
    (_in('responsible = "Fastighetsenheten"\n', ""), r"\(KLOTTER\): the required field is missing: `responsible`"),
    (_in("focus_sv", "fokus"), r"priorities\[1\] \(KLOTTER\): .*(fokus|focus_sv)"),
    (_in("by = 2024-03-01", 'by = "i mars"'), r"\(KLOTTER\), commitments\[1\]\.by: .*ISO8601|RFC3339|date"),
    (_in('status = "done"', 'status = "klart"'), r"commitments\[1\]\.status: invalid enum value 'klart'"),
    (_in("change = -0.3", 'change = "mycket"'), r"goal\.change: expected `float \| null`, got `str`"),
    (_in('areas = ["D0"]', 'areas = ["d0"]'), r"\(KLOTTER\), areas\[1\]: area 'd0' is not .* did you mean 'D0'\?"),
    (_in('categories = ["C0"]', 'categories = ["C9"]'), r"categories\[1\]: category 'C9' is not in the register"),
    (_in("change = -0.3", "change = 0.3"), r"goal\.change: a change of 0.3 where fewer is wanted; it must be between -1 and 0"),
    (_in("change = -0.3\n", ""), r"goal: a goal is exactly one of change, count and rate; this one has none"),
    (_in("change = -0.3\n", "change = -0.3\ncount = 4\n"), r"goal: .* this one has change and count"),
    (_in("change = -0.3\n", "rate = 2.0\n"), r"goal\.rate: the register has no population of D0; .*or give the goal as count"),
    (_in('kind = "report"\n', ""), r"\(FORSALJNING\), goal\.kind: say which kind the goal counts, incident or report"),
    (_in("target_first = 2024-01-01", "target_first = 2023-06-01"), r"before the baseline period is over"),
    (_in("baseline_last = 2023-12-31", "baseline_last = 2022-12-31"), r"goal\.baseline_last: .*lies before baseline_first"),
    (_in("last_day = 2025-12-31", "last_day = 2205-12-31"), r"last_day: .*longer than ten years"),
    (_in("by = 2024-06-30", "by = 2021-06-30"), r"timetable\[1\]\.by: 2021-06-30 lies before the plan's first day"),
    (_in('code = "FORSALJNING"', 'code = "KLOTTER"'), r"priorities\[2\] \(KLOTTER\), code: code 'KLOTTER' stands twice"),
    (_in('priority = "KLOTTER"', 'priority = "KLOTER"'), r"actions\[1\] \(SANERING\), priority: 'KLOTER' is not a priority"),
    (_in('comparison = ["A4", "A5"]', 'comparison = ["D0"]'), r"comparison: A0 and D0 lie in one another"),
    (_in('buffer = ["A1"]', 'buffer = ["A0"]'), r"buffer: A0 lie in one another, or stand both in areas and buffer"),
    (_in("on = 2024-04-10", "on = 2023-04-10"), r"evidence\[1\]\.on: the evidence is of 2023-04-10, before the promise begins"),
    (_in("Stråken ska", "Ring 070-174 06 05, stråken"), r"\(FORSALJNING\), focus_sv: it reads as a telephone number; .*never"),
    (_in('who = "Bostadsbolaget"', 'who = "anna@bolaget.se"'), r"commitments\[1\]\.who: it holds an e-mail address"),
    (_in("Två vandringar", "Med 19121212-1212, två"), r"evidence\[1\]\.text_sv: it reads as a personal identity number"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), WRONG_PLANS)
def test_an_error_names_file_place_problem_and_rule(text: Callable[[], str], said: str) -> None:
    problems = problems_of(text())
    assert any(p.startswith("plan.toml") and re.search(said, p) for p in problems), problems
    assert "070-174" not in str(problems)
    assert "anna" not in str(problems)


def test_all_errors_come_at_once() -> None:
    text = TOML.replace('areas = ["D0"]', 'areas = ["X"]').replace('categories = ["G1"]', 'categories = ["Y"]').replace("-0.3", "3")
    assert len(problems_of(text)) == 3
    broken = TOML.replace("by = 2024-03-01\n", "").replace("activities = 4", 'activities = "x"')
    assert len(problems_of(broken)) == 2


WRONG_ROWS = [
    ("record;code", "recod;code", r"line 1: there is no column 'recod'; columns are record, code"),
    ("plan;;;Åtgärdsplan", "plans;;;Åtgärdsplan", r"line 2, column record: 'plans' is not one of plan, priority"),
    (";KLOTTER;;;Sanerar", ";KLOTER;;;Sanerar", r"line 3, column of: 'KLOTER' is not the code of one of the priorities"),
    (";;;;2024-03-01;done", ";;;;om en månad;done", r"line 3, column last_day: "),
    ("2024-03-01;done", "2024-03-01;klart", r"line 3, column status: invalid enum value"),
    (";-0,3;", ";+0,3;", r"line 4, column goal_change: a change of 0.3 where fewer is wanted"),
    (";D0;C0;", ";D7;C0;", r"line 4, column areas\[1\]|line 4, column areas, \[1\]: area 'D7' is not in the register"),
    ("Bostadsbolaget;;", "Bostadsbolaget;A0;", r"line 3, column areas: a commitment has no such column; it has who"),
    ("step;;KLOTTER", "step;;KLOTTER;;;;;;;;;;;;;;;;;;;;;;", r"columns where the header has"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), WRONG_ROWS)
def test_an_error_in_rows_names_line_and_column(old: str, new: str, said: str) -> None:
    assert old in ROWS
    problems = problems_of(ROWS.replace(old, new, 1), "plan.csv")
    assert any(p.startswith("plan.csv") and re.search(said, p) for p in problems), problems


NO_PLANS = [
    (b"", "plan.csv", "empty"),
    (b"record,code\n", "plan.csv", "0 rows are a plan"),
    (b'record,code\n"plan', "plan.csv", "not readable as CSV"),
    ("å".encode("latin-1"), "plan.toml", "line 1: not UTF-8"),
    (b"", "plan.xlsx", "a .toml or a .csv file"),
    (b"priorities = 3\ntitle_sv = 'x'\nfirst_day = 2024-01-01\nlast_day = 2024-12-31", "plan.toml", "must be a list"),
    (b"title_sv = 'x'\nfirst_day = 2024-01-01\nlast_day = 2024-12-31", "plan.toml", "needs at least one"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "file", "said"), NO_PLANS)
def test_what_is_no_plan_at_all_is_said(data: bytes, file: str, said: str) -> None:
    assert said in "\n".join(problems_of(data, file))


def test_the_columns_are_documented_in_their_order() -> None:
    assert COLUMNS[:3] == ("record", "code", "of")
    assert "goal_change" in COLUMNS


def test_equal_plans_have_equal_versions_and_others_do_not() -> None:
    other: ActionPlan = plan(TOML.replace("Sanerar inom ett dygn", "Sanerar inom två dygn"))
    assert plan().version == plan("# en kommentar\n" + TOML).version
    assert other.version != plan().version
