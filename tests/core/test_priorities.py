"""An alert names the priorities that it touches."""

import msgspec
import pytest

from earlywarning.core.action_plan import priorities_of
from earlywarning.core.alert_record import Alert, Carrier
from earlywarning.core.plan_check import node_set
from tests.core.town import register, tree
from tests.plan.plans import plan
from tests.store.conftest import _alert

REGISTER, TREE = register(), tree()


def _touched(
    areas: tuple[str, ...], categories: tuple[str, ...], kind: str = "incident", carriers: tuple[Carrier, ...] = ()
) -> str:
    alert: Alert = msgspec.structs.replace(
        _alert(), areas=areas, categories=categories, kind=kind, carriers=carriers, municipality="0999"
    )
    return " ".join(priorities_of(alert, plan(), REGISTER, TREE))


@pytest.mark.parametrize(
    ("areas", "categories", "kind", "touched"),
    [
        (("A0",), ("C0",), "incident", "KLOTTER"),  # lies in the priority's district
        (("D0",), ("G0",), "incident", "KLOTTER"),  # holds the priority's category
        (("A4",), ("C0",), "incident", ""),  # another district
        (("A4", "A1"), ("C0",), "incident", "KLOTTER"),
        (("A0",), ("C0",), "report", ""),  # the priority is about incidents
        (("A5",), ("C2",), "report", "FORSALJNING"),  # a priority of the whole municipality
        (("0999",), ("C2",), "incident", "FORSALJNING"),
        (("A0",), ("all",), "incident", ""),
        (("A0",), ("unknown",), "incident", ""),
    ],
)
def test_areas_and_categories_must_lie_in_one_another(
    areas: tuple[str, ...], categories: tuple[str, ...], kind: str, touched: str
) -> None:
    assert _touched(areas, categories, kind) == touched


def test_an_alert_about_everything_speaks_for_the_parts_that_carry_it() -> None:
    carriers = (Carrier("area", "A1", 9.0, 2.0), Carrier("category", "C0", 9.0, 2.0))
    assert _touched(("0999",), ("all",), carriers=carriers) == "KLOTTER"
    assert _touched(("0999",), ("all",)) == ""


def test_what_lies_inside_another_is_not_counted_twice() -> None:
    assert node_set(("D0", "A0", "A4"), REGISTER.codes, REGISTER.ancestors) == ("D0", "A4")
    assert node_set((), REGISTER.codes, REGISTER.ancestors) == ("0999",)
    assert node_set(("0999", "A0"), REGISTER.codes, REGISTER.ancestors) == ("0999",)
