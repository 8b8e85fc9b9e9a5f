"""The picture of a series: a PNG that is kept, with words for those who do not see it."""

import io
from datetime import date, timedelta
from typing import Any

import pytest
from matplotlib.image import imread

from earlywarning.channels.picture import HEIGHT, WIDTH, Pictures
from earlywarning.core.alert_record import DayCount
from earlywarning.locale import Language
from tests.channels.messages import alert


def days(n: int, count: float = 1.0) -> tuple[DayCount, ...]:
    return tuple(DayCount(date(2026, 4, 13) - timedelta(days=n - i), count) for i in range(n))


@pytest.mark.parametrize("language", ["sv", "en"])
@pytest.mark.parametrize("n", [1, 2, 7, 14, 28, 56, 57, 182])
def test_any_period_can_be_drawn(n: int, language: Language) -> None:
    parts = {"days": days(n), "window": n}
    picture = Pictures().of(alert(1, window=n, first_day=date(2026, 4, 13) - timedelta(days=n), parts=parts), language)
    assert picture is not None
    height, width = imread(io.BytesIO(picture.png)).shape[:2]
    assert (width, height) == (2 * WIDTH, 2 * HEIGHT)
    assert len(picture.png) < 60_000


@pytest.mark.parametrize(
    "strange", [{"observed": 0.0}, {"expectation": 0.0}, {"upper_bound": 0.0}, {"observed": 1e6}, {"observed": 0.2}]
)
def test_extreme_figures_can_be_drawn(strange: dict[str, Any]) -> None:
    assert Pictures().of(alert(1, parts={"days": days(7, 0.0)}, **strange), "sv")


def test_an_alert_without_days_has_no_picture() -> None:
    assert Pictures().of(alert(1, parts={"days": ()}), "sv") is None


def test_a_picture_is_drawn_once_and_only_so_many_are_kept() -> None:
    pictures = Pictures(most=2)
    first = pictures.of(alert(1), "sv")
    assert pictures.of(alert(2), "sv") is first  # what is drawn is the same, whichever alert it is
    assert pictures.of(alert(1), "en") is not first
    assert pictures.of(alert(1, observed=9.0), "en") is not None
    assert pictures.of(alert(1), "sv") == first
