"""Counts that leave the group as a table: the week's, the same cells as in the picture for readers outside, and no others.

All that is published of a week is hidden by one pattern, whatever form it has, so that no two forms together say more than one.
Days, windows that overlap and other selections are not published: small counts would follow from their differences.
"""

from collections.abc import Iterator
from typing import TypedDict

from earlywarning.briefing.figures import kinds_present, top_categories
from earlywarning.briefing.making import figures_of_week
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.categories import CategoryTree
from earlywarning.core.day_kinds import DayCalendar
from earlywarning.core.events import KINDS
from earlywarning.core.iso_week import Week
from earlywarning.settings import Settings
from earlywarning.store import Store


class PublishedCount(TypedDict):
    """A count of a week; None where it is hidden. It counts what has been reported, not what patrols have found."""

    week: str
    area: str
    category: str
    kind: str
    count: int | None


def published_counts(
    store: Store, settings: Settings, register: AreaRegister, tree: CategoryTree, calendar: LocalCalendar, week: Week,
    day_kinds: DayCalendar | None = None,
) -> Iterator[PublishedCount]:  # fmt: skip
    """Each area with all categories together, and each group of categories in the municipality as a whole.

    Raises BriefingError for a week that has not begun, PageError, StoreError.
    """
    f = figures_of_week(store, settings, register, tree, calendar, week, settings.disclosure.least_count, day_kinds)
    cells = [(a, 0) for a in [0, *f.scope.fine.tolist()]] + [(0, g) for g in top_categories(f.scope)]
    for kind in kinds_present(f.known):
        for area, category in cells:
            hidden = bool(f.least > 1 and f.hidden[kind, area, category])
            yield PublishedCount(
                week=str(week), area=f.codes[0][area], category=f.codes[1][category], kind=KINDS[kind],
                count=None if hidden else round(f.week(kind, area, category)),
            )  # fmt: skip
