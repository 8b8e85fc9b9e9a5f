"""The lab's command: other settings on the same history."""

from datetime import date
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from earlywarning.cli.options import LanguageOption


def tune(
    *,
    areas: Annotated[Path | None, Parameter(help="GeoJSON file of the areas; without files, the service's store.")] = None,
    categories: Annotated[Path | None, Parameter(help="CSV file of the categories.")] = None,
    events: Annotated[tuple[Path, ...], Parameter(help="Event files: CSV or JSON Lines, plain or gzip.", negative="")] = (),
    settings: Annotated[Path | None, Parameter(name=["--settings", "-s"], help="Settings file: today's settings.")] = None,
    values: Annotated[tuple[str, ...], Parameter(name="--set", negative="", help="A key of today's settings.")] = (),
    mapping: Annotated[str, Parameter(name=["--mapping", "-m"], help="A mapping of the settings, for the files.")] = "",
    first: Annotated[date | None, Parameter(name="--from", help="First judged day (default: the last year).")] = None,
    last: Annotated[date | None, Parameter(name="--to", help="Last judged day (default: the newest).")] = None,
    budget: Annotated[tuple[float, ...], Parameter(negative="", help="False alarms a week to try; again for more.")] = (),
    windows: Annotated[tuple[str, ...], Parameter(negative="", help="Windows to try, such as 1-3-7; again for more.")] = (),
    min_count: Annotated[tuple[int, ...], Parameter(negative="", help="Fewest events to try; again for more.")] = (),
    settle_after: Annotated[tuple[int, ...], Parameter(negative="", help="Days until an alert is over, to try.")] = (),
    tendency: Annotated[tuple[str, ...], Parameter(negative="", help="Tendencies that are on (default: as today).")] = (),
    within: Annotated[tuple[str, ...], Parameter(name="--in", negative="", help="Codes of areas to look at.")] = (),
    of: Annotated[tuple[str, ...], Parameter(name="--of", negative="", help="Codes of categories to look at.")] = (),
    labels: Annotated[Path | None, Parameter(help="Known events: CSV or TOML (docs/lab.md).")] = None,
    inject: Annotated[str, Parameter(help='A surge: "areas=A2 categories=C1 begin=2025-03-01 days=14 total=20 shape=ramp".')] = "",
    repeats: Annotated[int, Parameter(help="On how many begin days the surge is put in.")] = 1,
    recording: Annotated[Path | None, Parameter(help="File that keeps the recording; used when it is there.")] = None,
    alerts: Annotated[Path | None, Parameter(help="File for all alerts of all settings: .csv, .parquet or .json.")] = None,
    out: Annotated[
        Path | None, Parameter(name=["--out", "-o"], help=".csv, .parquet or .json (default: a table).", allow_leading_hyphen=True)
    ] = None,
    language: LanguageOption = None,
) -> None:
    """What would other settings have given on a history, beside today's? Every combination of what is named is tried."""
    from earlywarning.cli.tune import Asked, run_tune  # noqa: PLC0415  # a command loads only what it needs

    run_tune(Asked(
        (areas, categories, events), settings, values, mapping, first, last, budget, windows, min_count, settle_after, tendency,
        within, of, labels, inject, repeats, recording, alerts, out, language,
    ))  # fmt: skip
