"""Why a file cannot become the action plan, in both languages: each line is made by the code that makes it."""

import re
from functools import cache
from string import Formatter
from typing import get_args

from earlywarning.core.plan_check import PlanRule
from earlywarning.core.screening import PersonalRule
from earlywarning.locale.plan_problems import plan_problem, plan_problem_texts
from earlywarning.locale.refused import Told, pattern_of
from tests.plan.plans import ROWS, TOML
from tests.plan.test_reading import NO_PLANS, WRONG_PLANS, WRONG_ROWS, problems_of

MORE = (  # what tests/plan does not look at by itself
    ('areas = ["D0"]', 'areas = ["D0", "D0"]'),
    ('categories = ["C0"]', 'categories = ["C0", "C0"]'),
    ('categories = ["C0"]', 'categories = ["c0"]'),
    ('categories = ["C0"]', 'categories = ["C 0"]'),
    ("change = -0.3", 'change = -0.3\ndirection = "more"'),
    ("change = -0.3", "count = -4"),
    ("change = -0.3", 'change = -0.3\nkind = "report"'),
    ("change = -0.3", "change = -0.3\nwish = 3"),
    ("by = 2024-03-01", 'by = "i mars"'),
    ("by = 2024-03-01", "by = 2024-03-01T25:00"),
    ('kinds = ["incident"]', "kinds = []"),
    ('responsible = "Fastighetsenheten"', 'responsible = ""'),
    ('responsible = "Fastighetsenheten"', f'responsible = "{"x" * 121}"'),
    ("activities = 4", "activities = 0"),
    ('buffer = ["A1"]', 'buffer_comparison = ["A2"]'),
    ('title_sv = "Åtgärdsplan för Testby"', f"title_sv = {'[' * 5_000}"),
)
NO_ROWS = (b"code,of\n", b"record,record\n")


@cache
def lines() -> tuple[str, ...]:
    """What is said of all of these."""
    found: list[str] = []
    for text, _ in WRONG_PLANS:
        found += problems_of(text())
    for old, new, _ in WRONG_ROWS:
        found += problems_of(ROWS.replace(old, new, 1), "plan.csv")
    for data, file, _ in NO_PLANS:
        found += problems_of(data, file)
    for old, new in MORE:
        assert old in TOML
        found += problems_of(TOML.replace(old, new, 1))
    for data in NO_ROWS:
        found += problems_of(data, "plan.csv")
    return (*dict.fromkeys(found), "note: it holds personal data (telephone-number); name a function, and no persons")


def test_each_problem_is_told_in_swedish_and_as_it_is_in_english() -> None:
    told = {line: plan_problem(line, "sv") for line in lines()}
    assert [line for line, swedish in told.items() if swedish.foreign or swedish.words == line] == []
    assert all(plan_problem(line, "en") == Told(line) for line in told)


def test_every_rule_has_its_words_and_none_are_left_over() -> None:
    english, swedish = plan_problem_texts("en"), plan_problem_texts("sv")
    assert list(english) == list(swedish)
    rules = {key.partition(".")[0] for key in english}
    assert rules == {*get_args(PlanRule), "personal-data", "file", "field"} - {*get_args(PersonalRule)}
    unmet = [k for k, words in english.items() if not any(pattern_of("{place}: " + words).fullmatch(line) for line in lines())]
    assert unmet == []
    for key, words in swedish.items():
        places = {place for _, place, _, _ in Formatter().parse(words) if place}
        assert places <= {place for _, place, _, _ in Formatter().parse(english[key]) if place}, key


def test_place_and_details_are_kept() -> None:
    said = {plan_problem(line, "sv").words for line in lines()}
    assert "plan.toml, priorities[1] (KLOTTER), areas[1]: området 'd0' finns inte i registret; menade du 'D0'?" in said
    assert (
        "plan.csv, rad 2, kolumn record: 'plans' är inte något av plan, priority, commitment, step, promise, evidence, action"
        in said
    )
    assert any(re.search(r"last_day 2022-12-31 ligger före|baseline_last 2022-12-31 ligger före baseline_first", s) for s in said)
    assert not any("anna@" in s for s in said)


def test_what_there_are_no_words_for_stays_in_english_and_is_marked() -> None:
    assert plan_problem("plan.toml: the moon is full", "sv") == Told("plan.toml: the moon is full", foreign=True)
