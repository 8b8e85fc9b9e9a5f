"""Day pages: the same rows give the same bytes, and pages heal each other."""

from datetime import timedelta

import numpy as np
import pytest

from earlywarning.core.ledger import STANDING
from earlywarning.core.pages import PageError, decode_page, join_pages
from tests.core.town import BEGIN, engine, event, feed


def test_the_order_of_arrival_within_a_day_leaves_no_trace() -> None:
    events = [event(i, BEGIN, area=f"A{i % 6}", category=f"C{i % 4}", source=f"s{i % 3}") for i in range(40)]
    _, _, forward = feed(engine(), events, 7)
    _, _, backward = feed(engine(), events[::-1], 11)
    assert forward == backward


def test_a_page_says_what_it_holds_without_any_register() -> None:
    _, _, pages = feed(engine(), [event(1, BEGIN, area="A3", source="school", severity=4)])
    (page,) = (decode_page(p) for p in pages.values())
    assert page.codes == {"area": ["A3"], "category": ["C0"], "source": ["school"]}
    assert len(page) == 1
    assert page.columns["severity"].tolist() == [4]


def test_no_id_and_no_minute_stands_in_a_page() -> None:
    _, _, pages = feed(engine(), [event("secret-77", BEGIN + timedelta(minutes=37))])
    (page,) = (decode_page(p) for p in pages.values())
    assert "secret" not in str(page)
    assert page.columns["start"][0] * 3600 == BEGIN.timestamp()


def test_an_interval_stands_on_each_of_its_days_and_is_one_event_when_joined() -> None:
    long = event(1, BEGIN, occurred_at=None, occurred_from=BEGIN, occurred_to=BEGIN + timedelta(days=3))
    late = type(long)(**{f: getattr(long, f) for f in long.__struct_fields__} | {"recorded_at": BEGIN + timedelta(days=3)})
    _, _, pages = feed(engine(), [late])
    assert len(pages) == 4
    assert len(join_pages(decode_page(p) for p in pages.values()).columns["key"]) == 1


def test_pages_written_at_different_moments_heal_to_the_higher_revision() -> None:
    first, second = event(1, BEGIN), event(1, BEGIN + timedelta(days=1), revision=2)
    _, _, before = feed(engine(), [first])
    _, _, after = feed(engine(), [first, second])
    torn = [before[min(before)], after[max(after)]]  # the old day was not written again, the new one was
    rows = join_pages(decode_page(p) for p in torn)
    standing = rows.columns["revision"][rows.columns["superseded"] == STANDING]
    assert standing.tolist() == [2]


@pytest.mark.parametrize("blob", [b"", b"garbage", b"\x78\x9c\x03\x00\x00\x00\x00\x01"])
def test_a_damaged_page_says_what_to_do(blob: bytes) -> None:
    with pytest.raises(PageError, match="damaged"):
        decode_page(blob)


def test_pages_round_trip() -> None:
    _, _, pages = feed(engine(), [event(i, BEGIN + timedelta(hours=i), area=f"A{i % 6}") for i in range(30)])
    rows = join_pages(decode_page(p) for p in pages.values())
    assert len(rows.columns["key"]) == 30
    assert np.unique(rows.columns["key"]).size == 30
