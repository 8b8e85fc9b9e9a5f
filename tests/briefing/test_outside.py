"""What leaves the group gives no small count away: not in a table, not in a sentence, not in a page."""

import re

import msgspec
import numpy as np
import pytest

from earlywarning.briefing import Briefing, render_html, render_mail
from earlywarning.briefing.figures import to_hide
from earlywarning.briefing.words import HIDDEN
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.iso_week import parse_week
from earlywarning.core.pages import decode_page, join_pages
from earlywarning.core.scope import Scope
from earlywarning.core.week_counts import WeekCounts, count_week
from earlywarning.store import Store
from tests.briefing.conftest import WEEK, Make
from tests.core.town import CODE, register, tree

WEEKS = ["2024-W16", "2024-W17", "2024-W18", WEEK]


def true_counts(store: Store, week: str) -> WeekCounts:
    rows = join_pages(decode_page(page) for _, page in store.pages(CODE))
    last = parse_week(week).last_day
    state = store.engine_state(CODE)
    assert state is not None
    return count_week(rows, last, state[0], register=register(), tree=tree(), calendar=LocalCalendar())


@pytest.mark.parametrize("week", WEEKS)
def test_every_count_shown_is_zero_or_large_enough(make: Make, week: str) -> None:
    picture = make(week, audience="outside")
    shown = [a.observed for m in picture.maps for a in m.areas]
    shown += [n for r in picture.sources for n in (r.incidents, r.reports)]
    shown += [r.observed for table in picture.changes for r in table.rows]
    shown += [n for s in picture.suppliers for n in (s.received, s.rejected)]
    assert HIDDEN in shown
    assert all(n == HIDDEN or int(n) == 0 or int(n) >= 5 for n in shown)


@pytest.mark.parametrize("week", WEEKS)
def test_no_area_follows_from_the_others_and_their_sum(make: Make, store: Store, week: str) -> None:
    """The simplest attack: the sum of the municipality, where it is shown, less all areas that are."""
    picture = make(week, audience="outside")
    for one in picture.maps:
        total = picture.sources[0].incidents if one.kind == "incident" else picture.sources[0].reports
        hidden = [a for a in one.areas if a.observed == HIDDEN]
        if total != HIDDEN and hidden:
            left = int(total) - sum(int(a.observed) for a in one.areas if a.observed != HIDDEN)
            assert len(hidden) > 1
            assert left >= 4  # any of them may be as much as 4


def test_what_is_hidden_is_hidden_in_every_table_alike(make: Make, store: Store) -> None:
    known = true_counts(store, WEEK)
    scope = Scope(known.space, register().neighbours, tree().harm)
    hidden = to_hide(known, scope, None, 5)
    week = known.counts[-7:].sum(0)
    shown = np.zeros_like(hidden)
    shown[:, :, 0] = True
    small = (week > 0) & (np.round(week) < 5)
    assert hidden[small & shown].all()
    assert not to_hide(known, scope, None, 0).any()


def test_alerts_are_told_without_a_single_number(make: Make) -> None:
    picture = make(audience="outside")
    assert picture.alerts
    for item in picture.alerts:
        told = item.sentence + item.title
        for name in register().names:  # areas have numbers in their names
            told = told.replace(name, "")
        assert not re.search(r"\d", told)
        assert not item.facts
        assert not item.questions
        assert not item.owners


def test_four_week_counts_are_left_out_since_weeks_would_follow_from_them(make: Make) -> None:
    assert [t.days for t in make(audience="outside").changes] == [7]
    assert [t.days for t in make().changes] == [7, 28]


def test_measures_and_patrols_finds_stay_inside(make: Make) -> None:
    picture = make(audience="outside")
    assert picture.measures == []
    page, mail = render_html(picture), render_mail(picture)
    for text in (page, mail.html, mail.text):
        assert "Laga belysningen" not in text
        assert "Gata och park" not in text
    assert "Av patruller" not in page
    assert "tal under 5" in page


def test_inside_the_group_nothing_is_hidden(make: Make) -> None:
    assert HIDDEN not in [a.observed for m in make().maps for a in m.areas]


def test_the_limit_is_that_of_the_settings(make: Make) -> None:
    def told(picture: Briefing) -> str:
        return msgspec.json.encode(picture).decode()

    off = make(audience="outside", more="[disclosure]\nleast_count = 0\n")
    assert f'"{HIDDEN}"' not in told(off)
    high = make(audience="outside", more="[disclosure]\nleast_count = 20\n")
    assert told(high).count(f'"{HIDDEN}"') > told(make(audience="outside")).count(f'"{HIDDEN}"')
    assert any("från 1 till 19" in line for line in high.method)
