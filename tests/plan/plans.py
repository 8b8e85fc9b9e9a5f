"""A plan for the made-up town of tests/core/town.py, as TOML and as rows."""

from earlywarning.core.action_plan import ActionPlan
from earlywarning.plan.reading import read_plan
from tests.core.town import register, tree

TOML = """
title_sv = "Åtgärdsplan för Testby"
title_en = "Action plan for Testby"
first_day = 2024-01-01
last_day = 2025-12-31

[[priorities]]
code = "KLOTTER"
name_sv = "Klotter i öster"
name_en = "Graffiti in the east"
areas = ["D0"]
categories = ["C0"]
kinds = ["incident"]
focus_sv = "Färre fasader klottras ned."
responsible = "Fastighetsenheten"
[priorities.goal]
change = -0.3
baseline_first = 2023-01-02
baseline_last = 2023-12-31
target_first = 2024-01-01
target_last = 2024-12-31
[[priorities.commitments]]
who = "Bostadsbolaget"
what_sv = "Sanerar inom ett dygn"
what_en = "Cleans within a day"
by = 2024-03-01
status = "done"
[[priorities.timetable]]
by = 2024-06-30
what_sv = "Halvårsavstämning"

[[priorities]]
code = "FORSALJNING"
name_sv = "Öppen försäljning"
categories = ["G1"]
kinds = ["incident", "report"]
focus_sv = "Stråken ska kännas trygga."
responsible = "Socialtjänsten"
[priorities.goal]
kind = "report"
count = 40.0
baseline_first = 2023-01-02
baseline_last = 2023-12-31
target_first = 2024-01-01
target_last = 2024-12-31

[[promises]]
code = "LOFTE"
text_sv = "Vi går trygghetsvandring fyra gånger."
text_en = "We walk the area four times."
first_day = 2024-01-01
last_day = 2024-12-31
responsible = "Kommunen och polisen"
activities = 4
[[promises.evidence]]
on = 2024-04-10
text_sv = "Två vandringar i april"
count = 2

[[actions]]
code = "SANERING"
name_sv = "Snabb sanering"
name_en = "Quick removal"
priority = "KLOTTER"
responsible = "Fastighetsenheten"
areas = ["A0"]
categories = ["C0"]
begins = 2024-01-10
comparison = ["A4", "A5"]
buffer = ["A1"]
"""

ROWS = """record;code;of;name_sv;name_en;text_sv;text_en;who;areas;categories;kinds;first_day;last_day;status;number;comparison;buffer;goal_change;goal_count;goal_kind;goal_baseline_first;goal_baseline_last;goal_target_first;goal_target_last
plan;;;Åtgärdsplan för Testby;Action plan for Testby;;;;;;;2024-01-01;2025-12-31;;;;;;;;;;;
commitment;;KLOTTER;;;Sanerar inom ett dygn;Cleans within a day;Bostadsbolaget;;;;;2024-03-01;done;;;;;;;;;;
priority;KLOTTER;;Klotter i öster;Graffiti in the east;Färre fasader klottras ned.;;Fastighetsenheten;D0;C0;incident;;;;;;;-0,3;;;2023-01-02;2023-12-31;2024-01-01;2024-12-31
step;;KLOTTER;;;Halvårsavstämning;;;;;;;2024-06-30;;;;;;;;;;;
priority;FORSALJNING;;Öppen försäljning;;Stråken ska kännas trygga.;;Socialtjänsten;;G1;incident, report;;;;;;;;40;report;2023-01-02;2023-12-31;2024-01-01;2024-12-31
promise;LOFTE;;;;Vi går trygghetsvandring fyra gånger.;We walk the area four times.;Kommunen och polisen;;;;2024-01-01;2024-12-31;;4;;;;;;;;;
evidence;;LOFTE;;;Två vandringar i april;;;;;;2024-04-10;;;2;;;;;;;;;
action;SANERING;KLOTTER;Snabb sanering;Quick removal;;;Fastighetsenheten;A0;C0;incident;2024-01-10;;;;A4 A5;A1;;;;;;;
"""  # noqa: E501  # rows of a spreadsheet


def plan(toml: str = TOML) -> ActionPlan:
    return read_plan(toml.encode(), "plan.toml", register(), tree())
