"""Commands that show: alerts, counts, dead letters, settings, schemas."""

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from io import TextIOBase
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from earlywarning.channels.message_json import message_schema
from earlywarning.cli.place import OperatorError, find_settings, load
from earlywarning.cli.tables import write_parquet
from earlywarning.core.alert_record import Alert
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.categories import CategoryTree
from earlywarning.core.events import KINDS, ORIGINS, schema
from earlywarning.core.kinship import Kinship
from earlywarning.core.registers import RegisterError
from earlywarning.core.tabulate import Selection
from earlywarning.lab.cells import cells
from earlywarning.locale import Language, Names, details, headline, label, note_sentence, sentence
from earlywarning.locale.catalogue import chance_words, day_words, number_words, text
from earlywarning.runtimes.assembly import area_register, category_tree, make_engine
from earlywarning.runtimes.queries import ALERT_COLUMNS, alert_row, count_rows, count_table, span
from earlywarning.runtimes.recipients import recipients_of
from earlywarning.settings import Settings, SettingsError, diff_settings, flat_settings, load_settings, parse_settings
from earlywarning.store import Store

_COUNT_TYPES = {"day": date, "area": str, "category": str, "kind": str, "origin": str, "count": float}
_COUNT_COLUMNS = tuple(_COUNT_TYPES)


def print_schema(kind: str) -> None:
    """The JSON Schema of a kind of event, or of what webhooks get."""
    print(json.dumps(message_schema() if kind == "webhook" else schema(kind), indent=2, ensure_ascii=False))


def _registers(settings: Settings) -> tuple[AreaRegister, CategoryTree]:
    return area_register(settings), category_tree(settings)


# ---- alerts -------------------------------------------------------------------------------------------------------


def show_alerts(
    settings_file: Path | None,
    alert_id: str,
    states: Sequence[str],
    since: date | None,
    until: date | None,
    limit: int | None,
    form: Literal["table", "csv", "json"],
    wanted: Language | None,
) -> None:
    """List alerts, or explain one."""
    settings = load(settings_file)
    language = wanted or settings.municipality.language
    register, tree = _registers(settings)
    names = Names.from_registers(register, tree)
    with Store.open(settings.store_url) as store:
        if alert_id:
            alert = store.alert(alert_id)
            if alert is None:
                raise OperatorError(f"there is no alert {alert_id!r}")
            _explain(alert, store, names, language, form)
            return
        alerts = store.alerts(states=states, since=since, until=until, limit=limit)
    if form == "table":
        console = Console()
        console.print(alerts_table(alerts, register, tree, language))
    elif form == "csv":
        _write_csv(sys.stdout, ALERT_COLUMNS, (alert_row(a, names, language) for a in alerts))
    else:
        rows = [{**msgspec.to_builtins(a), "sentence": sentence(a, names, language)} for a in alerts]
        print(json.dumps(rows, indent=1, ensure_ascii=False))


def alerts_table(alerts: Sequence[Alert], register: AreaRegister, tree: CategoryTree, language: Language) -> Table:
    """Alerts as a table for a terminal."""
    names = Names.from_registers(register, tree)
    # Few columns, so that the table is read without folding at 80 characters.
    table = Table(show_lines=True)
    table.add_column(f"{label('opened_on', language)} / {label('alert_id', language)}", no_wrap=True)
    table.add_column(label("what", language), ratio=1)
    table.add_column(label("chance", language), max_width=16)
    table.add_column(label("state", language), no_wrap=True)
    for a in alerts:
        table.add_row(
            f"{a.opened_on.isoformat()}\n{a.alert_id}",
            headline(a, names, language),
            chance_words(a.recurrence_days, language),
            label(a.state, language),
        )
    return table


def _explain(alert: Alert, store: Store, names: Names, language: Language, form: str) -> None:
    history = store.history(alert.alert_id)
    if form == "json":
        told = [{"change": h.change, "on": h.on.isoformat(), "observed": h.alert.observed} for h in history]
        print(
            json.dumps(
                {**msgspec.to_builtins(alert), "sentence": sentence(alert, names, language), "history": told},
                ensure_ascii=False,
            )
        )
        return
    console = Console(highlight=False, soft_wrap=False)
    console.print(sentence(alert, names, language), markup=False)
    console.print()
    for heading, words in details(alert, names, language):
        console.print(Text.assemble((f"{heading}: ", "bold"), words))
    console.print()
    for h in history:
        print(f"{day_words(h.on, language)}: {text(language, h.change, 'change')} ({number_words(h.alert.observed, language)})")


def show_quality(
    settings_file: Path | None,
    since: date | None,
    until: date | None,
    limit: int | None,
    form: Literal["table", "json"],
    wanted: Language | None,
) -> None:
    """Data-quality notes, the newest first."""
    settings = load(settings_file)
    language = wanted or settings.municipality.language
    names = Names.from_registers(*_registers(settings))
    with Store.open(settings.store_url) as store:
        notes = store.data_notes(since=since, until=until, limit=limit)
    if form == "json":
        rows = [{**msgspec.to_builtins(n), "sentence": note_sentence(n, names, language)} for n in notes]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    table = Table(show_lines=True)
    table.add_column(label("noted_on", language), no_wrap=True)
    table.add_column(label("what", language), ratio=1)
    for n in notes:
        table.add_row(n.noted_on.isoformat(), Text(note_sentence(n, names, language)))
    Console().print(table)


# ---- counts -------------------------------------------------------------------------------------------------------


def show_counts(
    settings_file: Path | None,
    first: date | None,
    last: date | None,
    areas: tuple[str, ...],
    categories: tuple[str, ...],
    kinds: tuple[str, ...],
    origins: tuple[str, ...],
    window: int,
    by_origin: bool,
    zeros: bool,
    form: Literal["table", "csv", "json", "parquet"],
    out: Path | None,
) -> None:
    """Counts of a selection, to the terminal or a file."""
    settings = load(settings_file)
    register, tree = _registers(settings)
    with Store.open(settings.store_url) as store:
        begin, end = span(store, register.municipality, first, last)
        selection = Selection(
            begin, end, areas, categories, kinds or KINDS, origins or ORIGINS, window, zeros, by_origin
        )  # fmt: skip
        calendar = LocalCalendar(settings.municipality.timezone)
        table = count_table(store, selection, register=register, tree=tree, calendar=calendar)
    rows = count_rows(table)
    if form == "parquet":
        if out is None:
            raise OperatorError("Parquet needs a file: add --out counts.parquet")
        write_parquet(out, _COUNT_TYPES, [{**row, "day": date.fromisoformat(row["day"])} for row in rows])
        return
    with _target(out) as target:
        if form == "csv":
            _write_csv(target, _COUNT_COLUMNS, rows)
        elif form == "json":
            json.dump(list(rows), target, ensure_ascii=False)
            target.write("\n")
        else:
            shown = Table(*_COUNT_COLUMNS)
            for row in rows:
                shown.add_row(*[str(row[c]) for c in _COUNT_COLUMNS])
            Console(file=target).print(shown)


@contextmanager
def _target(out: Path | None) -> Any:
    if out is None:
        yield sys.stdout
        return
    with out.open("w", encoding="utf-8", newline="") as file:
        yield file


def _write_csv(target: TextIOBase | Any, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    writer = csv.DictWriter(target, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(cells(rows))


# ---- dead letters -------------------------------------------------------------------------------------------------


def show_letters(
    settings_file: Path | None, rule: str | None, source: str | None, limit: int, form: Literal["table", "json"]
) -> None:
    """How many wait by rule and source, and the first of them."""
    settings = load(settings_file)
    with Store.open(settings.store_url) as store:
        counts = [c for c in store.dead_letter_counts() if (rule in (None, c[0])) and (source in (None, c[2]))]
        letters = store.dead_letters(rule=rule, source=source, limit=limit)
    if form == "json":
        rows = [{"id": d.id, **msgspec.to_builtins(d.letter), "state": d.state} for d in letters]
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    console = Console()
    table = Table("rule", "field", "source", "state", "events")
    for counted in counts:
        table.add_row(*counted[:4], f"{counted[4]:,}")
    console.print(table)
    first = Table("id", "came in by", "position", "event", "field", "rule", "problem")
    for d in letters:
        x = d.letter
        first.add_row(str(d.id), x.way, str(x.position), x.event_id or "", x.field, x.rule, x.problem)
    if letters:
        console.print(first)


# ---- settings -----------------------------------------------------------------------------------------------------


def check_settings(file: Path | None) -> None:
    """Check a file and its registers; raises what is wrong with either."""
    path = find_settings(file)
    settings = load_settings(path)
    problems: list[str] = []
    for read in (area_register, category_tree):
        try:
            read(settings)
        except (RegisterError, SettingsError) as error:
            problems += str(error).split("\n")
    if problems:
        raise SettingsError(problems, str(path))
    engine = make_engine(settings, datetime.now(UTC))
    recipients_of(settings, Kinship.from_registers(engine.register, engine.tree))
    print(f"{path}: fine. Version {settings.version}; {len(engine.register.codes)} areas, {len(engine.tree.codes)} categories.")


def show_settings(file: Path | None, number: int | None) -> None:
    """All keys with the values in force, or the text of a version that was."""
    settings = load(file)
    if number is None:
        for key, value in flat_settings(settings).items():
            print(f"{key} = {value}")
        print(f"# version {settings.version}")
        return
    print(_version(settings, number).text, end="")


def diff_versions(file: Path | None, old: int | None, new: int | None) -> None:
    """What differs between two versions."""
    settings = load(file)
    with Store.open(settings.store_url) as store:
        versions = store.settings_versions()
    if old is None:
        for number, version, at, _ in versions:
            print(f"{number}: {version}, in force from {at:%Y-%m-%d %H:%M} UTC")
        if not versions:
            return
    before = _version(settings, versions[-1][0] if old is None else old)
    after = settings if new is None else _version(settings, new)
    found = diff_settings(before, after)
    for key, was, now in found:
        print(f"{key}: {was or '-'} -> {now or '-'}")
    if not found:
        print("no difference")


def _version(settings: Settings, number: int) -> Settings:
    with Store.open(settings.store_url) as store:
        texts = {n: text for n, _, _, text in store.settings_versions()}
    if number not in texts:
        raise OperatorError(f"there is no settings version {number}; there are {', '.join(map(str, texts)) or 'none'}")
    return parse_settings(texts[number], file=f"settings version {number}", folder=settings.folder)
