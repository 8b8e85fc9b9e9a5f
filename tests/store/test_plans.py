"""Plans are kept in versions with who put them in force, on both databases, whole or not at all."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from earlywarning.store import Store, StoreError
from earlywarning.store import tables as t
from earlywarning.store.cases import Cases
from earlywarning.store.plans import Plans
from tests.plan.plans import TOML, plan

AT = datetime(2024, 1, 2, 9, tzinfo=UTC)


def test_versions_follow_each_other_and_the_newest_is_in_force(store: Store) -> None:
    plans = Plans(store)
    assert plans.current("0999") is None
    assert plans.versions("0999") == []
    changed = plan(TOML.replace("-0.3", "-0.2"))
    first = plans.add("0999", plan(), "Samordningen", AT)
    second = plans.add("0999", changed, "Styrgruppen", AT + timedelta(days=30), "målet var för högt satt")
    assert second > first
    assert plans.current("0999") == changed
    assert plans.get("0999", first) == plan()
    assert plans.get("0999", 99) is None
    assert plans.current("0380") is None
    told = [(v.number, v.version, v.applied_at, v.actor) for v in plans.versions("0999")]
    assert told == [
        (first, plan().version, AT, "Samordningen"),
        (second, changed.version, AT + timedelta(days=30), "Styrgruppen"),
    ]


def test_each_version_has_its_entry_in_the_audit_log(store: Store) -> None:
    number = Plans(store).add("0999", plan(), "Samordningen", AT, "ny period")
    entry = Cases(store).audit("0999")[0]
    assert (entry.actor, entry.action, entry.subject, entry.note, entry.at) == (
        "Samordningen",
        "plan",
        f"plan/{number}",
        "ny period",
        AT,
    )
    assert plan().version in entry.body


def test_the_same_plan_again_is_no_new_version(store: Store) -> None:
    plans = Plans(store)
    assert plans.add("0999", plan(), "a", AT) == plans.add("0999", plan(), "b", AT + timedelta(days=1))
    assert len(plans.versions("0999")) == 1
    assert len(Cases(store).audit("0999")) == 1


def test_a_plan_without_its_audit_entry_is_not_kept(store: Store) -> None:
    with pytest.raises((StoreError, ValueError, sa.exc.SQLAlchemyError)):
        Plans(store).add("0999", plan(), "a", AT.replace(tzinfo=None))
    assert Plans(store).versions("0999") == []


def test_a_damaged_plan_is_said_with_a_way_out(store: Store) -> None:
    Plans(store).add("0999", plan(), "a", AT)
    with store.writing() as c:
        c.execute(t.plans.update().values(body="{"))
    with pytest.raises(StoreError, match="import it again"):
        Plans(store).current("0999")
