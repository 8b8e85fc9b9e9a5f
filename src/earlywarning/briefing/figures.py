"""The week's figures as rows that people read: changes, the table behind the map, reports beside incidents.

For readers outside the group only counts of the week itself are shown, of what has been reported, since windows that overlap
and sums over other selections would let small counts be worked out from one another; what must be hidden of them is found once
for all tables together.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from earlywarning.briefing.record import ChangeRow, ChangeTable, Shade, SourceRow
from earlywarning.briefing.words import HIDDEN, about, ratio_words, rounded, said_count, say, short_day, whole
from earlywarning.core.calendar import date_of
from earlywarning.core.disclosure import hidden_cells, hierarchical_cells
from earlywarning.core.events import KINDS
from earlywarning.core.scope import Scope
from earlywarning.core.week import WEEK, WINDOWS, Compared
from earlywarning.core.week_counts import WeekCounts
from earlywarning.locale import Language, Names

Ints = NDArray[np.int64]
MOST_ROWS = 40  # of a table of changes: what a meeting can go through


@dataclass(frozen=True)
class Figures:
    """The week's figures, and how they may be told. hidden: (kinds, areas, categories) counts of the week that may not be;
    least: of the disclosure rule, 0 inside the group."""

    known: WeekCounts
    scope: Scope
    compared: Compared | None
    codes: tuple[tuple[str, ...], tuple[str, ...]]
    names: Names
    language: Language
    least: int
    hidden: NDArray[np.bool_]

    def week(self, kind: int, area: int, category: int, days: int = WEEK) -> float:
        """Events of the last days to the week's end."""
        return float(self.known.counts[-days:, kind, area, category].sum(dtype=np.float64))

    def count(self, kind: int, area: int, category: int, days: int = WEEK) -> str:
        """The same in words, or hidden."""
        if self.least and (days != WEEK or self.hidden[kind, area, category]):
            return HIDDEN
        return whole(self.week(kind, area, category, days), self.language)

    def expected(self, kind: int, area: int, category: int, days: int = WEEK) -> int:
        """The place of a series among those compared, -1 where it has no expectation."""
        c = self.compared
        if c is None:
            return -1
        at = np.flatnonzero((c.kind == kind) & (c.area == area) & (c.category == category) & (c.window == days))
        return int(at[0]) if len(at) else -1

    def area(self, number: int) -> str:
        """An area's name."""
        return self.names.area(self.codes[0][number], self.language)

    def category(self, number: int) -> str:
        """A category's name."""
        return self.names.category(self.codes[1][number], self.language)


def told(c: Compared, days: int) -> Ints:
    """Places of the changes of a window that are told, rises first, each in the order of the registers: no ranking."""
    at = np.flatnonzero((c.window == days) & (c.way != 0) & ~c.part)
    return at[np.lexsort((c.category[at], c.area[at], c.kind[at], -c.way[at]))]


def kinds_present(known: WeekCounts) -> list[int]:
    """Kinds of source of which there is anything in the last year or so."""
    lately = known.counts[-400:, :, 0, 0].sum(0) + known.others[:, 0, 0]
    return [k for k in range(len(KINDS)) if lately[k] > 0]


def top_categories(scope: Scope) -> list[int]:
    """The categories of the first level."""
    depth = (scope.space.category_ancestors >= 0).sum(1) - 1
    return np.flatnonzero(depth == 1).tolist()


def to_hide(known: WeekCounts, scope: Scope, compared: Compared | None, least: int) -> NDArray[np.bool_]:
    """(kinds, areas, categories): which counts of the week may not be shown outside. Kinds are never summed, so each is alone."""
    space = scope.space
    week = known.counts[-WEEK:].sum(0, dtype=np.float64)
    hidden = np.zeros(week.shape, dtype=bool)
    if least <= 1:
        return hidden
    groups = top_categories(scope)
    for kind in range(space.kinds):
        cells = [(a, 0) for a in [0, *scope.fine.tolist()]] + [(0, g) for g in groups]
        listed: list[tuple[int, int]] = []
        if compared is not None:
            at = told(compared, WEEK)
            at = at[compared.kind[at] == kind]
            listed = list(zip(compared.area[at].tolist(), compared.category[at].tolist(), strict=True))
        # Districts, and what stands beside a listed category in its area, are shown nowhere and must not follow from the rest.
        beside = {(a, 0) for a in range(space.areas)} | {(a, other) for a, c in listed for other in _siblings(scope, c)}
        shown = list(dict.fromkeys([*cells, *listed]))
        both = [*shown, *sorted(beside - set(shown))]
        areas, categories = (np.array(n, dtype=np.int64) for n in zip(*both, strict=True))
        table = hierarchical_cells(week[kind], areas, categories, space.area_ancestors, space.category_ancestors)
        found = hidden_cells(table, least, np.arange(len(both)) >= len(shown))
        hidden[kind, areas[found], categories[found]] = True
    return hidden


def _siblings(scope: Scope, category: int) -> list[int]:
    chain = scope.space.category_ancestors[category]
    if len(chain) < 2 or chain[1] < 0:
        return []
    parent = chain[1]
    return [int(c) for c in np.flatnonzero(scope.space.category_ancestors[:, 1] == parent) if c != category]


def change_tables(f: Figures) -> list[ChangeTable]:
    """What rose and fell, of each window; outside the group of the week only."""
    c, language = f.compared, f.language
    if c is None:
        return []
    tables = []
    for days in WINDOWS[:1] if f.least else WINDOWS:
        at = told(c, days)
        may = np.array([not f.least or not f.hidden[c.kind[i], c.area[i], c.category[i]] for i in at], dtype=bool)
        shown = at[may] if len(at) else at
        rows = [_row(f, int(i)) for i in shown[:MOST_ROWS]]
        this = c.window == days
        tested, listed = int((this & c.tested).sum()), int((this & (c.way != 0)).sum())
        title = say(language, "text", f"changes_{days}", day=short_day(date_of(f.known.last_day), language))
        if listed:
            part = int((this & (c.way != 0) & c.part).sum())
            rest = say(
                language, "text", "rest", tested=tested, listed=listed,
                parts=said_count(language, "rest_parts", part) if part else "",
                hidden=said_count(language, "rest_hidden", len(at) - len(shown)) if len(at) > len(shown) else "",
                seen=_typical(c, this & c.tested, days, language),
            )  # fmt: skip
        else:
            rest = say(language, "text", "rest_none", tested=tested, seen=_typical(c, this & c.tested, days, language))
        tables.append(ChangeTable(days=days, title=title, rows=rows, rest=rest.strip()))
    return tables


def _typical(c: Compared, these: NDArray[np.bool_], days: int, language: Language) -> str:
    """The smallest rise that could have been seen: in the middle one of the areas' series, and in the whole municipality."""
    within = say(language, "text", "seen_week" if days == WEEK else "seen_four")

    def told_at(i: int, key: str) -> str:
        expected, seen = (rounded(float(v), language) for v in (c.expected[i], np.ceil(c.seen_from[i])))
        return say(language, "text", key, expected=expected, seen=seen, days=within)

    parts, whole_ = np.flatnonzero(these & (c.area > 0)), np.flatnonzero(these & (c.area == 0) & (c.category == 0))
    said = [told_at(int(parts[np.argsort(c.expected[parts])[len(parts) // 2]]), "seen_typical")] if len(parts) else []
    if len(whole_):
        said.append(told_at(int(whole_[np.argmax(c.expected[whole_])]), "seen_whole"))
    return " ".join(said)


def _row(f: Figures, i: int) -> ChangeRow:
    c = f.compared
    assert c is not None  # noqa: S101  # rows are of compared series
    kind, area, category, days = (int(x[i]) for x in (c.kind, c.area, c.category, c.window))
    return ChangeRow(
        way="more" if c.way[i] > 0 else "fewer",
        kind=say(f.language, "text", f"map_title_{KINDS[kind]}"),
        area=f.area(area),
        category=f.category(category),
        observed=f.count(kind, area, category, days),
        expected=rounded(float(c.expected[i]), f.language),
        change=ratio_words(float(c.low[i]), float(c.high[i]), f.language),
        seen=say(f.language, "text", "seen_row", n=rounded(float(np.ceil(c.seen_from[i])), f.language)),
    )


class AreaFigures(NamedTuple):
    """One area's row behind the map."""

    shade: Shade
    observed: str
    expected: str
    usual: str


def area_figures(f: Figures, kind: int, area: int, days: int) -> AreaFigures:
    """How an area stands against its own past, all categories together."""
    observed = f.count(kind, area, 0, days)
    i = f.expected(kind, area, 0, days)
    c = f.compared
    if i < 0 or c is None:
        return AreaFigures("none", observed, "–", "–")
    expected = rounded(float(c.expected[i]), f.language)
    usual = say(
        f.language, "text", "between", low=whole(float(c.usual_low[i]), f.language), high=whole(float(c.usual_high[i]), f.language)
    )
    if not c.tested[i] or observed == HIDDEN:
        return AreaFigures("none", observed, expected, usual)
    way, edge = int(c.way[i]), int(c.edge[i])
    shades: dict[int, Shade] = {2: "more", 1: "rather-more", 0: "usual", -1: "rather-fewer", -2: "fewer"}
    return AreaFigures(shades[2 * way if way else edge], observed, expected, usual)


def source_rows(f: Figures) -> list[SourceRow]:
    """Incidents beside reports: the whole municipality, all categories and each group with anything in it."""
    rows = []
    for category in [0, *top_categories(f.scope)]:
        places = [f.expected(kind, 0, category) for kind in range(len(KINDS))]
        others = float(f.known.others[:, 0, category].sum())
        expectations = [float(f.compared.expected[i]) if f.compared is not None and i >= 0 else np.nan for i in places]
        if not any(f.week(k, 0, category) for k in range(len(KINDS))) and not others and not np.nansum(expectations) >= 0.75:
            continue
        told_ = ["–" if np.isnan(e) else rounded(e, f.language) for e in expectations]
        counts = [f.count(kind, 0, category) for kind in range(len(KINDS))]
        name = f.category(category)
        rows.append(
            SourceRow(
                category=name[:1].upper() + name[1:],
                incidents=counts[0],
                incidents_expected=told_[0],
                reports=counts[1],
                reports_expected=told_[1],
                found=HIDDEN if f.least else whole(others, f.language),
            )
        )
    return rows


def change_headlines(f: Figures, most: int) -> list[str]:
    """The week's listed changes as sentences, and how many more there are."""
    c = f.compared
    if c is None:
        return []
    at = [int(i) for i in told(c, WEEK) if not f.least or not f.hidden[c.kind[i], c.area[i], c.category[i]]]
    said = []
    for i in at[:most]:
        kind, area, category = int(c.kind[i]), int(c.area[i]), int(c.category[i])
        counts = say(
            f.language,
            "text",
            "news_counts",
            observed=f.count(kind, area, category),
            expected=about(float(c.expected[i]), f.language),
        )
        said.append(
            say(
                f.language,
                "text",
                f"news_change_{'more' if c.way[i] > 0 else 'fewer'}",
                area=f.area(area),
                counts=counts,
                what=say(f.language, "text", f"what_{KINDS[kind]}"),
                category=say(f.language, "text", "one_category", name=f.names.category_inside(f.codes[1][category], f.language))
                if category
                else say(f.language, "text", "all"),
            )
        )
    if len(at) > most:
        said.append(said_count(f.language, "news_changes_many", len(at) - most))
    return said or [say(f.language, "text", "news_no_change")]
