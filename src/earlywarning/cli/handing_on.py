"""`earlywarning counts --outside`: counts that may be handed to others, as CSV or JSON."""

import csv
import io
from datetime import date, timedelta
from pathlib import Path

import msgspec

from earlywarning.briefing.published import PublishedCount, published_counts
from earlywarning.cli.place import OperatorError, load
from earlywarning.core.calendar import LocalCalendar, date_of
from earlywarning.core.iso_week import week_of
from earlywarning.lab.cells import cells
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.store import Store

_MOST_WEEKS = 53


def hand_on_counts(
    settings_file: Path | None, first: date | None, last: date | None, form: str, out: Path | None, *, chosen: bool
) -> None:
    """Write the weeks from `first` to `last`, without them the newest whole one. chosen: whether a selection was asked for."""
    if chosen or form not in ("csv", "json"):
        raise OperatorError(
            "--outside: whole weeks of all areas and groups are handed on, as csv or json; other selections stay in the group, "
            "since small counts follow from their differences"
        )
    settings = load(settings_file)
    register, tree = area_register(settings), category_tree(settings)
    calendar, days = LocalCalendar(settings.municipality.timezone), day_calendar(settings)
    rows: list[PublishedCount] = []
    with Store.open(settings.store_url) as store:
        state = store.engine_state(register.municipality)
        if state is None:
            raise OperatorError("the store holds nothing yet")
        newest = week_of(date_of(state[0]) - timedelta(days=6))
        begin = week_of(first) if first else newest
        end = week_of(last) if last else max(begin, newest, key=lambda w: w.first)
        if begin.first > end.first or end.first > newest.first:
            raise OperatorError(f"--first and --last: name weeks that are over, up to {newest}")
        if (first and first != begin.first) or (last and last != end.last):
            raise OperatorError(f"--first and --last: whole weeks only, from a Monday to a Sunday: {begin.first} to {end.last}")
        weeks = [week_of(begin.first + timedelta(days=7 * i)) for i in range((end.first - begin.first).days // 7 + 1)]
        if len(weeks) > _MOST_WEEKS:
            raise OperatorError(f"{len(weeks)} weeks are asked for; at most {_MOST_WEEKS} at once")
        for week in weeks:
            rows += published_counts(store, settings, register, tree, calendar, week, days)
    if form == "json":
        text = msgspec.json.format(msgspec.json.encode(rows), indent=1).decode() + "\n"
    else:
        table = io.StringIO()
        writer = csv.DictWriter(table, list(PublishedCount.__annotations__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(cells({**row, "count": ".." if row["count"] is None else row["count"]} for row in rows))
        text = table.getvalue()
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, encoding="utf-8")
