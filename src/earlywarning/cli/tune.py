"""`earlywarning tune`: what other settings would have given on the same history, beside today's."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.console import Console
from rich.table import Table

from earlywarning.cli.backtest import code_of, plain_settings, with_given
from earlywarning.cli.place import OperatorError, find_settings, load
from earlywarning.cli.tables import form_of, target, write_table
from earlywarning.core.areas import AreaRegister
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.categories import CategoryTree
from earlywarning.core.counts import SeriesSpace
from earlywarning.core.scope import Scope
from earlywarning.lab.backtest_files import UNKNOWN, Refused, read_events, read_registers
from earlywarning.lab.bench import (
    SHAPES,
    Choice,
    Label,
    Recording,
    Surge,
    inject,
    judge,
    load_recording,
    read_labels,
    record,
    retune,
    save_recording,
)
from earlywarning.lab.table_forms import Row
from earlywarning.lab.tables import ALERTS, COLUMNS, alert_rows, setting_row
from earlywarning.locale import Language
from earlywarning.locale.catalogue import number_words, text
from earlywarning.runtimes.assembly import PatternModel, area_register, category_tree, engine_settings
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.runtimes.lab_supply import first_judged, labels_of, record_of_store
from earlywarning.settings import Settings, load_settings
from earlywarning.store import Store

_TODAY = "today"
_ALWAYS = ("budget", "windows", "min_count", "per_week")
_SHOWN = (
    *_ALWAYS, "labels", "found", "open_before", "missed", "median_days", "right", "wrong", "others_per_week", "surges",
    "surges_found", "surge_median_days",
)  # fmt: skip
_SURGE = ("areas", "categories", "begin", "kind", "days", "total", "factor", "shape", "seed")


class Asked(NamedTuple):
    """What the command line says."""

    files: tuple[Path | None, Path | None, tuple[Path, ...]]  # areas, categories, events
    settings: Path | None
    values: tuple[str, ...]
    mapping: str
    first: date | None
    last: date | None
    budgets: tuple[float, ...]
    windows: tuple[str, ...]
    min_counts: tuple[int, ...]
    settle: tuple[int, ...]
    tendencies: tuple[str, ...]
    within: tuple[str, ...]
    of: tuple[str, ...]
    labels: Path | None
    surge: str
    repeats: int
    recording: Path | None
    alerts: Path | None
    out: Path | None
    language: Language | None = None


def run_tune(asked: Asked) -> None:
    """Try every combination of what was asked beside today's settings; a table here, or a file."""
    begun = time.perf_counter()
    lengths = [_windows(words) for words in asked.windows]
    surge = _surge(asked.surge) if asked.surge else None
    given = read_labels(asked.labels) if asked.labels else []
    out, alerts = asked.out or Path("-"), asked.alerts or Path("-")
    forms = form_of(out), form_of(alerts, "--alerts")
    with target(out) as path, target(alerts, "--alerts") as alerts_path:
        recording, group, said, language = _recording(asked, tuple(sorted({w for one in lengths for w in one})))
        labels = [*given, *group]
        rows, told = _tried(recording, asked, lengths, labels, surge)
        if asked.out is None:
            Console().print(_shown(rows, asked.language or language))
        else:
            write_table(path, forms[0], COLUMNS, rows)
        if asked.alerts is not None:
            write_table(alerts_path, forms[1], ALERTS, told)
    m = recording.meta
    said.append(
        f"{m.events:,} events, {len(recording.days)} days judged; {len(labels)} labels, {len(group)} of them from the store"
    )
    print("\n".join([*said, f"  {time.perf_counter() - begun:.0f} s"]), file=sys.stderr)


# ---- the history ------------------------------------------------------------------------------------------------------


def _recording(asked: Asked, windows: tuple[int, ...]) -> tuple[Recording, list[Label], list[str], Language]:
    areas, categories, events = asked.files
    if areas or categories or events:
        if not (areas and categories and events):
            raise OperatorError("files: give --areas, --categories and --events together, or none of them for the service's store")
        return _of_files(asked, areas, categories, events, windows)
    settings = with_given(load(asked.settings), asked.values, None, str(find_settings(asked.settings)))
    register, tree = area_register(settings), category_tree(settings)
    with Store.open(settings.store_url) as store:
        labels = labels_of(store, settings.municipality.code)
        kept = _kept(asked, settings, register, tree)
        recording = kept or record_of_store(store, settings, asked.first, asked.last, windows)
    return _keep(asked, recording, kept), labels, [], settings.municipality.language


def _of_files(
    asked: Asked, areas: Path, categories: Path, events: Sequence[Path], windows: tuple[int, ...]
) -> tuple[Recording, list[Label], list[str], Language]:
    refused = Refused.none()
    given = with_given(load_settings(asked.settings), asked.values, None, str(asked.settings)) if asked.settings else None
    plain = given or with_given(plain_settings(UNKNOWN), asked.values, None, "--set")
    mapping = plain.mappings.get(asked.mapping) if asked.mapping else None
    if asked.mapping and mapping is None:
        raise OperatorError(
            f"there is no mapping {asked.mapping!r} in the settings; there are: {', '.join(plain.mappings) or 'none'}"
        )
    zone, code = plain.municipality.timezone, plain.municipality.code
    supply = read_events(
        events, zone, municipality=code, mapping=mapping, mapping_name=asked.mapping, refused=refused
    )  # fmt: skip
    if not supply:
        raise OperatorError("\n".join(["there are no events to judge", *refused.words()]))
    settings: Settings = given or with_given(plain_settings(code_of(supply)), asked.values, None, "--set")
    register, tree = read_registers(areas, categories, settings.municipality.code, settings.municipality.name)
    kept = _kept(asked, settings, register, tree)
    if kept is None:
        calendar = LocalCalendar(zone)
        chosen = engine_settings(settings, datetime.now(UTC), register, tree)
        first = asked.first or first_judged(supply, calendar)
        recording = record(
            register, tree, calendar, chosen, supply, first, asked.last, day_calendar(settings), PatternModel(), windows=windows
        )
    else:
        recording = kept
    left_out = [f"  {line}" for line in refused.words()]
    return _keep(asked, recording, kept), [], left_out, settings.municipality.language if given else "en"


def _kept(asked: Asked, settings: Settings, register: AreaRegister, tree: CategoryTree) -> Recording | None:
    if asked.recording is None or not asked.recording.is_file():
        return None
    scope = Scope(SeriesSpace(register.ancestors, tree.ancestors), register.neighbours, tree.harm)
    recording = load_recording(asked.recording, scope)
    m, own = recording.meta, (settings.municipality.code, settings.version)
    if (m.municipality, m.settings) != own:
        raise OperatorError(
            f"--recording {asked.recording}: it was made for municipality {m.municipality} with settings {m.settings}, "
            f"now they are {' and '.join(own)}; name a new file, or remove this one"
        )
    return recording


def _keep(asked: Asked, recording: Recording, kept: Recording | None) -> Recording:
    if asked.recording is not None and kept is None:
        save_recording(recording, asked.recording)
    return recording


# ---- what is tried ----------------------------------------------------------------------------------------------------


def _tried(
    recording: Recording, asked: Asked, lengths: Sequence[tuple[int, ...]], labels: Sequence[Label], surge: Surge | None
) -> tuple[list[Row], list[Row]]:
    every: dict[str, Any] = {
        "first": asked.first, "last": asked.last, "tendencies": asked.tendencies, "areas": asked.within, "categories": asked.of
    }  # fmt: skip
    choices = [Choice(name=_TODAY, first=asked.first, last=asked.last, areas=asked.within, categories=asked.of)]
    grid = product(asked.budgets or (None,), lengths or ((),), asked.min_counts or (None,), asked.settle or (None,))
    for budget, windows, min_count, settle in grid:
        one = Choice(budget=budget, windows=windows, min_count=min_count, settle_after=settle, **every)
        if one != msgspec.structs.replace(choices[0], name=""):
            choices.append(msgspec.structs.replace(one, name=str(len(choices))))
    surges = inject(recording, surge, choices, asked.repeats) if surge else [None] * len(choices)
    rows: list[Row] = []
    alerts: list[Row] = []
    for choice, put in zip(choices, surges, strict=True):
        outcome = retune(recording, choice)
        judged = judge(outcome, labels, recording)
        rows.append(setting_row(outcome, judged, put))
        alerts += alert_rows(outcome, judged)
    return rows, alerts


def _shown(rows: Sequence[Row], language: Language) -> Table:
    """The settings side by side, a line for each figure."""
    table = Table("", *[text(language, "today", "lab") if r["setting"] == _TODAY else str(r["setting"]) for r in rows])
    for name in _SHOWN:
        if name in _ALWAYS or any(r.get(name) for r in rows):
            table.add_row(text(language, name, "lab"), *[_figure(r.get(name), language) for r in rows])
    return table


def _figure(value: Any, language: Language) -> str:
    if value is None:
        return "-"
    return number_words(round(value, 2), language) if isinstance(value, int | float) else str(value)


# ---- words ------------------------------------------------------------------------------------------------------------


def _windows(text: str) -> tuple[int, ...]:
    try:
        out = tuple(sorted({int(part) for part in text.split("-")}))
    except ValueError:
        out = ()
    if not out or not all(1 <= w <= 56 for w in out):
        raise OperatorError(f"--windows {text}: write days joined by hyphens, each 1 to 56, such as 1-3-7-14-28")
    return out


def _surge(text: str) -> Surge:
    """ "areas=A2 categories=C1 begin=2025-03-01 total=20": words NAME=VALUE, lists joined by commas."""
    fields: dict[str, Any] = {}
    for word in text.split():
        name, found, value = word.partition("=")
        if not found or name not in _SURGE:
            raise OperatorError(f"--inject {word}: write words NAME=VALUE of {', '.join(_SURGE)}; shapes are {', '.join(SHAPES)}")
        fields[name] = value.split(",") if name in ("areas", "categories") else value
    try:
        return msgspec.convert(fields, Surge, strict=False)
    except msgspec.ValidationError as error:
        raise OperatorError(f"--inject: {error}") from error
