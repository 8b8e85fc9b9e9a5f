"""Settings rewritten with other values: what was written beside them stays, and what cannot be is said by key."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earlywarning.core.settings_draft import DraftError, difference
from earlywarning.settings import Settings, parse_settings
from earlywarning.settings_drafting import KEYS, restoring, rewritten, tried, values_of

TEXT = """# Uppsala; asked for by the group
[municipality]
code = "0380"      # SCB
name = "Uppsala"

[detection]
windows = [1, 7]   # agreed in March
# next line is not ours to touch
min_count = 4

[channels.post]
kind = "webhook"
url = "https://hook.example.se/x"
secret_env = "HOOK"

[budget.district_weights]
A1 = 2.0
[calendar.events.valborg]
on = ["04-30"]
"""


def read(text: str) -> Settings:
    return parse_settings(text, file="", folder=Path())


def _values(name: str) -> st.SearchStrategy[Any]:
    key = KEYS[name]
    low, high = key.low or 0.5, min(key.high or 1, 9)
    match key.kind:
        case "whole" if name == "detection.min_years":
            return st.integers(0, 2)
        case "whole":
            return st.integers(int(max(low, 2)), int(max(high, 2)))
        case "number":
            return st.floats(0.01, 0.1) if high <= 1 else st.floats(max(low, 0.5), max(low, high) + 1 if low > 2 else 1.5)
        case "days":
            return st.lists(st.integers(1, 56), min_size=1, max_size=12, unique=True)
        case "choices":
            return st.lists(st.sampled_from(key.options), min_size=1, unique=True)
        case "weights":
            return st.dictionaries(st.sampled_from(["A1", "Östra", "b c", "0380R001"]), st.floats(0.01, 100))
    return st.sampled_from(key.options)


changes = st.lists(st.sampled_from(sorted(KEYS)), unique=True, max_size=6).flatmap(
    lambda names: st.fixed_dictionaries({name: st.none() | _values(name) for name in names})
)


@settings(max_examples=60, deadline=None)
@given(changes, st.sampled_from(["\n", "\r\n"]))
def test_new_values_are_read_back_and_nothing_else_changes(wanted: dict[str, Any], ending: str) -> None:
    text = TEXT.replace("\n", ending)
    old, new = read(text), read(rewritten(text, wanted))
    expected = {**values_of(old), **{k: KEYS[k].default if v is None else v for k, v in wanted.items()}}
    assert difference(values_of(new), expected) == []
    for part in ("municipality", "channels", "calendar", "access", "disclosure"):
        assert getattr(new, part) == getattr(old, part)
    assert [c for c in _comments(new.text) if c not in _comments(text)] == []
    if not {"detection.windows", "detection.min_count"} & set(wanted):
        assert _comments(new.text) == _comments(text)


@settings(max_examples=60, deadline=None)
@given(changes)
def test_what_an_earlier_file_said_comes_back(wanted: dict[str, Any]) -> None:
    now = rewritten(TEXT, wanted)
    again = rewritten(now, restoring(now, TEXT))
    said, was = tomllib.loads(again), tomllib.loads(TEXT)
    for section in ("alerts", "budget"):
        said.setdefault(section, {}), was.setdefault(section, {})
    assert said == was


def _comments(text: str) -> list[str]:
    return [line.partition("#")[2].strip() for line in text.splitlines() if "#" in line]


def test_a_changed_value_keeps_the_words_beside_it() -> None:
    new = rewritten(TEXT, {"detection.windows": [1, 3], "alerts.false_alarms_per_week": 2.5})
    assert "windows = [1, 3]   # agreed in March\n# next line is not ours to touch\nmin_count = 4\n" in new
    assert new.endswith("[alerts]\nfalse_alarms_per_week = 2.5\n")


def test_dotted_keys_are_rewritten_too() -> None:
    text = 'municipality = {code = "0380", name = "U"}\ndetection.min_count = 4\nbudget = {harm_share = 0.1}\n'
    wanted = {"detection.min_count": 5, "detection.years": 4, "budget.harm_share": 0.05, "budget.first_share": 0.01}
    assert difference(values_of(read(rewritten(text, wanted))), {**values_of(read(text)), **wanted}) == []


def test_all_that_is_wrong_is_said_by_key() -> None:
    with pytest.raises(DraftError) as caught:
        tried(read(TEXT), {"detection.min_count": 0, "detection.windows": [1, 99], "detection.years": "many",
                           "budget.harm_share": 0.5,
                           "budget.first_share": 0.5})  # fmt: skip
    said = caught.value.problems
    assert set(said) == {"detection.min_count", "detection.windows", "detection.years", ""}
    assert "whole numbers from 1 to 1000" in said["detection.min_count"]
    assert "shares add up" in said[""]


def test_no_key_may_be_drafted_that_sends_lets_in_or_tells() -> None:
    assert {name.partition(".")[0] for name in KEYS} == {"detection", "alerts", "budget"}
    assert set(values_of(read(TEXT))) == set(KEYS)
