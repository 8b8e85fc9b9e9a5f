"""Questions that command line and API both ask of a store: counts as a table, alerts as records for a table."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from earlywarning.core.alert_record import Alert
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar, date_of, day_number
from earlywarning.core.categories import CategoryTree
from earlywarning.core.pages import decode_page, join_pages
from earlywarning.core.tabulate import Selection, Table, tabulate
from earlywarning.locale import Language, Names, headline, sentence
from earlywarning.store import Store

ALERT_COLUMNS = (
    "alert_id", "opened_on", "first_day", "last_day", "areas", "categories", "tendency", "kind", "window", "observed",
    "expected", "upper_bound", "recurrence_days", "state", "settings_version", "headline", "sentence",
)  # fmt: skip


def count_table(
    store: Store, selection: Selection, *, register: AreaRegister, tree: CategoryTree, calendar: LocalCalendar
) -> Table:
    """Counts of a selection from the store's pages. Raises SelectionError, PageError, StoreError."""
    first = selection.first_day - selection.window + 1
    pages = store.pages(register.municipality, first, selection.last_day)
    rows = join_pages(decode_page(page) for _, page in pages)
    return tabulate(rows, selection, register=register, tree=tree, calendar=calendar)


def span(store: Store, municipality: str, first: date | None, last: date | None) -> tuple[int, int]:
    """First and last day of a question: as given, else those of the store; the last 28 days without a first."""
    stored = store.page_span(municipality)
    end = day_number(last) if last else stored[1] if stored else 0
    return (day_number(first) if first else end - 27, end)


def count_rows(table: Table) -> Iterable[dict[str, Any]]:
    """A table's rows; the count is a whole number where it is one."""
    counts = (int(c) if c == int(c) else round(c, 4) for c in table.count.tolist())
    days = (date_of(d).isoformat() for d in table.day.tolist())
    columns = (days, table.area, table.category, table.kind, table.origin, counts)
    for day, area, category, kind, origin, count in zip(*columns, strict=True):
        yield {"day": day, "area": area, "category": category, "kind": kind, "origin": origin, "count": count}


def alert_row(alert: Alert, names: Names, language: Language) -> dict[str, Any]:
    """One alert as a flat row; lists are joined by semicolons."""
    values = {name: getattr(alert, name) for name in ALERT_COLUMNS[:-2]}
    for name in ("areas", "categories"):
        values[name] = ";".join(values[name])
    for name in ("opened_on", "first_day", "last_day"):
        values[name] = values[name].isoformat()
    for name in ("observed", "expected", "upper_bound", "recurrence_days"):
        values[name] = round(values[name], 4)
    return {**values, "headline": headline(alert, names, language), "sentence": sentence(alert, names, language)}
