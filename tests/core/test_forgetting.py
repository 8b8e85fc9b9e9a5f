"""The days before which things are forgotten, by the calendar."""

from datetime import date

import pytest

from earlywarning.core.forgetting import first_day_kept, limits, months_before


@pytest.mark.parametrize(
    ("day", "months", "before"),
    [
        ("2026-03-15", 0, "2026-03-15"),
        ("2026-03-15", 1, "2026-02-15"),
        ("2026-03-31", 1, "2026-02-28"),
        ("2024-03-31", 1, "2024-02-29"),
        ("2026-03-15", 2, "2026-01-15"),
        ("2026-03-15", 3, "2025-12-15"),
        ("2026-01-31", 1, "2025-12-31"),
        ("2026-12-31", 12, "2025-12-31"),
        ("2026-12-31", 13, "2025-11-30"),
        ("2026-05-31", 60, "2021-05-31"),
    ],
)
def test_so_many_months_earlier_is_that_day_or_the_months_last(day: str, months: int, before: str) -> None:
    assert months_before(date.fromisoformat(day), months) == date.fromisoformat(before)


@pytest.mark.parametrize(
    ("day", "months", "first"),
    [
        ("2026-03-15", 1, "2026-03-01"), ("2026-03-01", 2, "2026-02-01"), ("2026-03-31", 3, "2026-01-01"),
        ("2026-03-31", 4, "2025-12-01"),
    ],
)  # fmt: skip
def test_the_running_month_is_one_of_those_that_are_kept(day: str, months: int, first: str) -> None:
    assert first_day_kept(date.fromisoformat(day), months) == date.fromisoformat(first)


def test_events_are_kept_by_whole_months_and_all_else_to_the_day() -> None:
    kept = limits(date(2026, 3, 15), {"events": 2, "alerts": 2, "audit": 24})
    assert kept == {"events": date(2026, 2, 1), "alerts": date(2026, 1, 15), "audit": date(2024, 3, 15)}
