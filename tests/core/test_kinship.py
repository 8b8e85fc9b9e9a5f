"""What lies in what: areas and categories by their codes, and the gravest of some categories."""

import pytest

from earlywarning.core.kinship import Kinship
from tests.core.town import CODE, register, tree


@pytest.fixture(scope="module")
def kin() -> Kinship:
    return Kinship.from_registers(register(), tree())


@pytest.mark.parametrize(
    ("ours", "theirs", "touch", "inside"),
    [
        (["A1"], ["A1"], True, True),
        (["A1"], ["A2"], False, False),  # neighbours in one district
        (["A1"], ["D0"], True, True),
        (["D0"], ["A1"], True, False),
        (["A1"], [CODE], True, True),
        (["A1", "A4"], ["D0"], True, False),  # one of the two lies elsewhere
        (["A1", "A4"], ["D0", "D1"], True, True),
        (["A1"], ["D1", "A1"], True, True),
        (["A1"], [], False, False),
        ([], ["A1"], False, True),
        (["gone"], ["gone"], True, True),  # a code that the register has no longer lies in itself
        (["gone"], ["A1", CODE], False, False),
        (["A1", CODE], ["gone"], False, False),
    ],
)
def test_areas_touch_where_one_contains_the_other_and_lie_inside_where_each_is_contained(
    kin: Kinship, ours: list[str], theirs: list[str], touch: bool, inside: bool
) -> None:
    assert kin.touch(ours, theirs) == kin.touch(theirs, ours) == touch
    assert kin.inside(ours, theirs) == inside


@pytest.mark.parametrize(
    ("ours", "theirs", "touch", "inside"),
    [
        (["C0"], ["G0"], True, True),
        (["G0"], ["C0"], True, False),
        (["C0"], ["C1"], False, False),
        (["C0"], ["G1"], False, False),
        (["C0", "C2"], ["G0", "G1"], True, True),
        (["A1"], ["A1"], True, True),  # not a category here: lies in itself alone
        (["C0"], ["D0"], False, False),
    ],
)
def test_categories_likewise(kin: Kinship, ours: list[str], theirs: list[str], touch: bool, inside: bool) -> None:
    assert kin.touch_categories(ours, theirs) == touch
    assert kin.inside_categories(ours, theirs) == inside


@pytest.mark.parametrize(
    ("categories", "harm"), [(["C0"], 1), (["C0", "C1"], 2), (["C2", "C0"], 5), (["gone"], 0), (["gone", "C0"], 1), ([], 0)]
)
def test_the_gravest_of_some_categories_is_the_greatest_weight_and_what_is_not_known_weighs_nothing(
    kin: Kinship, categories: list[str], harm: float
) -> None:
    assert kin.gravest(categories) == harm


def test_each_code_lies_in_itself_and_all_above_it_as_the_registers_say(kin: Kinship) -> None:
    assert kin.root == CODE
    assert kin.areas == {
        CODE: {CODE}, "D0": {"D0", CODE}, "D1": {"D1", CODE},
        **{f"A{i}": {f"A{i}", f"D{i // 3}", CODE} for i in range(6)},
    }  # fmt: skip
    in_groups = {code: above for code, above in kin.categories.items() if code[0] in "CG"}
    assert {code: {c for c in above if c[0] in "CG"} for code, above in in_groups.items()} == {
        "G0": {"G0"}, "C0": {"C0", "G0"}, "C1": {"C1", "G0"}, "G1": {"G1"}, "C2": {"C2", "G1"}, "C3": {"C3", "G1"},
    }  # fmt: skip
    assert {code: kin.harm[code] for code in in_groups} == {"G0": 2, "C0": 1, "C1": 2, "G1": 5, "C2": 5, "C3": 5}
