"""Recipients, and the dry run of routing, as they are shown in a terminal or written as CSV and JSON."""

import csv
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from earlywarning.cli.place import OperatorError, load
from earlywarning.core.kinship import Kinship
from earlywarning.core.rhythms import local_day
from earlywarning.core.routing import Recipient
from earlywarning.lab.cells import cells
from earlywarning.locale import Language, Names, label
from earlywarning.locale.catalogue import list_words, text
from earlywarning.locale.routes import about_words, time_words
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.runtimes.dry_run import COLUMNS, Row, dry_run, gathered
from earlywarning.runtimes.recipients import meeting_of, recipients_of, report_rhythm
from earlywarning.settings import Settings
from earlywarning.store import Store

_NO_MATCH = ("other-area", "other-category", "other-tendency", "not-grave", "not-rare")


def list_routes(settings_file: Path | None, form: Literal["table", "json"], wanted: Language | None) -> None:
    """Recipients and reporters, and when each hears next."""
    settings = load(settings_file)
    language = wanted or settings.municipality.language
    register, tree = area_register(settings), category_tree(settings)
    kin, names = Kinship.from_registers(register, tree), Names.from_registers(register, tree)
    recipients = recipients_of(settings, kin)
    now = datetime.now(UTC)
    if form == "json":
        rows = [_as_record(r, now) for r in recipients]
        reporters = [
            {"name": name, "source": r.source, "channel": r.channel, "receipt": r.receipt, "led_to": r.led_to}
            for name, r in settings.reporters.items()
        ]
        meeting = meeting_of(settings).next(now).isoformat()
        print(json.dumps({"meeting": meeting, "recipients": rows, "reporters": reporters}, indent=1, ensure_ascii=False))
        return
    console, timezone = Console(highlight=False), settings.municipality.timezone
    if not recipients and not settings.reporters:
        raise OperatorError("there are no recipients yet; add a section [recipients.NAME] to the settings (docs/routing.md)")
    console.print(text(language, "meeting", "route", at=time_words(meeting_of(settings).next(now), language, timezone)))
    table = Table(show_lines=True)
    for column in ("recipient", "channel", "what", "at_once", "digest", "escalates_to"):
        table.add_column(label(column, language))
    for r in recipients:
        digest = time_words(r.digest.next(now), language, timezone) if r.digest else text(language, "never", "route")
        onward = f"{r.escalates_to} ({round(r.escalate_after.total_seconds() / 3600)} h)" if r.escalates_to else "-"
        hours = f" {r.hours[0]}-{r.hours[1] or 24}" if r.hours else ""
        told = text(language, f"at_once_{r.at_once}", "route") + hours
        table.add_row(f"{r.name}\n{r.role}", r.channel, Text(about_words(r, names, language)), told, digest, onward)
    for name, reporter in settings.reporters.items():
        rhythms = [x for x in (report_rhythm(settings, reporter.receipt), report_rhythm(settings, reporter.led_to)) if x]
        digest = time_words(min(x.next(now) for x in rhythms), language, timezone) if rhythms else text(language, "never", "route")
        source = text(language, "reporter_of", "route", source=reporter.source)
        table.add_row(name, reporter.channel, Text(source), "-", digest, "-")
    console.print(table)
    if recipients and (missing := _without_severe(recipients, kin, names, language)):
        console.print(text(language, "nobody_severe", "route", areas=missing), markup=False, soft_wrap=True)


def _as_record(r: Recipient, now: datetime) -> dict[str, Any]:
    return {
        "name": r.name, "role": r.role, "channel": r.channel, "language": r.language, "tendencies": sorted(r.tendencies),
        "areas": r.areas, "categories": r.categories, "at_once": r.at_once, "hours": r.hours,
        "next_digest": r.digest.next(now).isoformat() if r.digest else None, "escalates_to": r.escalates_to,
        "escalate_after_hours": r.escalate_after.total_seconds() / 3600,
    }  # fmt: skip


def _without_severe(recipients: list[Recipient], kin: Kinship, names: Names, language: Language) -> str:
    """Areas of which nobody would get severe alerts at once, named by the highest."""
    told = [r for r in recipients if r.at_once != "none" and (not r.tendencies or "severe" in r.tendencies)]
    blind = {a for a in kin.areas if not any(not r.areas or kin.touch([a], r.areas) for r in told)}
    highest = sorted(a for a in blind if not (kin.areas[a] - {a}) & blind)
    return list_words([names.area(a, language) for a in highest], language) if highest else ""


def test_routes(
    settings_file: Path | None,
    since: date,
    until: date | None,
    form: Literal["table", "csv", "json"],
    wanted: Language | None,
    *,
    everything: bool,
) -> None:
    """Who would have got what. The table leaves out what does not concern a recipient, unless everything is wanted."""
    settings = load(settings_file)
    language = wanted or settings.municipality.language
    last = until or local_day(datetime.now(UTC), settings.municipality.timezone)
    if last < since:
        raise OperatorError(f"--until {last} lies before --since {since}")
    if not settings.recipients:
        raise OperatorError("there are no recipients yet; add a section [recipients.NAME] to the settings (docs/routing.md)")
    register, tree = area_register(settings), category_tree(settings)
    with Store.open(settings.store_url) as store:
        rows = dry_run(store, settings, register, tree, since=since, until=last, language=language)
    if form == "table":
        _print_table(rows, settings, language, everything=everything)
        return
    records = [{**row._asdict(), "at": row.at.isoformat()} for row in rows]
    if form == "json":
        print(json.dumps(records, indent=1, ensure_ascii=False))
        return
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells(records))


def _print_table(rows: list[Row], settings: Settings, language: Language, *, everything: bool) -> None:
    zone = ZoneInfo(settings.municipality.timezone)
    console = Console(highlight=False)
    table = Table(show_lines=True)
    table.add_column(label("when", language), no_wrap=True)
    table.add_column(label("recipient", language))
    table.add_column(label("what", language), ratio=1)
    table.add_column(label("why", language), ratio=1)
    for row in rows:
        if not everything and (row.why in _NO_MATCH or row.change == "updated"):
            continue
        what = f"{row.headline}\n{row.alert_id}: {text(language, row.change, 'change')}"
        table.add_row(f"{row.at.astimezone(zone):%Y-%m-%d %H:%M}", f"{row.recipient}\n{row.channel}", Text(what), Text(row.reason))
    console.print(table)
    digests = Table(title=text(language, "digests", "route"), title_justify="left")
    for column in ("when", "recipient", "channel", "alerts"):
        digests.add_column(label(column, language))
    for at, recipient, channel, n in gathered(rows):
        digests.add_row(f"{at.astimezone(zone):%Y-%m-%d %H:%M}", recipient, channel, str(n))
    if digests.row_count:
        console.print(digests)
    counts = {name: [0, 0] for name in settings.recipients}
    for row in rows:
        if row.way != "none":
            counts[row.recipient][row.way == "digest"] += 1
    for name, (at_once, _) in counts.items():
        weekly = sum(1 for _, recipient, *_ in gathered(rows) if recipient == name)
        console.print(text(language, "in_all", "route", name=name, at_once=at_once, digests=weekly), markup=False, soft_wrap=True)
