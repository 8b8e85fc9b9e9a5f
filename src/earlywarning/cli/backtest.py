"""`earlywarning backtest`: the alerts that settings would have given on a history, from files alone."""

import sys
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from earlywarning.cli.place import OperatorError
from earlywarning.cli.tables import form_of, target, write_table
from earlywarning.core.calendar import LocalCalendar
from earlywarning.core.events import AnyEvent
from earlywarning.lab.backtest import ALERT_TYPES, Backtest, alert_rows, backtest, write_alerts
from earlywarning.lab.backtest_files import UNKNOWN, Refused, read_events, read_registers
from earlywarning.runtimes.assembly import PatternModel, engine_settings
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.settings import Settings, load_settings, parse_settings, with_values

_PLAIN = '[municipality]\ncode = "{code}"\nname = "{code}"\n[events]\noldest = 1970-01-02\n'


def run_backtest(
    areas: Path,
    categories: Path,
    events: Sequence[Path],
    first: date,
    last: date | None,
    budget: float | None,
    settings_file: Path | None,
    values: Sequence[str],
    mapping_name: str,
    out: Path,
) -> None:
    """Judge a history and write its alerts; says on standard error how many there were."""
    begun = time.perf_counter()
    given = with_given(load_settings(settings_file), values, budget, str(settings_file)) if settings_file else None
    plain = given or with_given(plain_settings(UNKNOWN), values, budget, "--set")
    mapping = plain.mappings.get(mapping_name) if mapping_name else None
    if mapping_name and mapping is None:
        known = ", ".join(plain.mappings) or "none"
        raise OperatorError(f"there is no mapping {mapping_name!r} in the settings; there are: {known}")
    form = form_of(out)
    with target(out) as path:
        refused = Refused.none()
        zone, code = plain.municipality.timezone, plain.municipality.code
        supply = read_events(
            events, zone, municipality=code, mapping=mapping, mapping_name=mapping_name, refused=refused
        )  # fmt: skip
        if not supply:
            raise OperatorError("\n".join(["there are no events to judge", *refused.words()]))
        settings = given or with_given(plain_settings(code_of(supply)), values, budget, "--set")
        own = settings.municipality
        register, tree = read_registers(areas, categories, own.code, own.name)
        chosen = engine_settings(settings, datetime.now(UTC), register, tree)
        found = backtest(register, tree, LocalCalendar(zone), chosen, supply, first, last, day_calendar(settings), PatternModel())
        if form != "csv":
            write_table(path, form, ALERT_TYPES, alert_rows(found, register))
        elif path is None:
            write_alerts(found, register, sys.stdout)
        else:
            with path.open("w", encoding="utf-8", newline="") as file:
                write_alerts(found, register, file)
    print("\n".join(_said(found, refused, first, last, settings, time.perf_counter() - begun)), file=sys.stderr)


def _said(found: Backtest, refused: Refused, first: date, last: date | None, settings: Settings, seconds: float) -> list[str]:
    said = [
        f"{found.events:,} events; judged {found.first} to {found.last}, each day with what had been recorded by then",
        f"{len(found.alerts)} alerts in {found.weeks:.1f} weeks, {found.per_week:.2f} a week "
        f"(a budget of {settings.alerts.false_alarms_per_week:g} false ones a week)",
    ]
    said += [f"  {n} {tendency}" for tendency, n in found.tendencies.most_common()]
    said += [f"  {line}" for line in [*refused.words(), *found.refused.words()]]
    if first < found.first:
        said.append(
            f"  nothing could be judged before {found.first}: less than {settings.detection.min_years} years of history lie "
            "before it"
        )
    if last is not None and found.last < last:
        said.append(f"  nothing was recorded after {found.last}: judged up to that day")
    return [*said, f"  {seconds:.0f} s"]


def with_given(settings: Settings, values: Sequence[str], budget: float | None, file: str) -> Settings:
    """The settings with what the command line says."""
    chosen: dict[str, str] = {}
    for one in values:
        name, found, value = one.partition("=")
        if not found:
            raise OperatorError(f"--set {one}: write it as NAME=VALUE, such as detection.min_count=4")
        chosen[name.strip()] = value.strip()
    if budget is not None:
        chosen["alerts.false_alarms_per_week"] = repr(float(budget))
    return with_values(settings, chosen, file) if chosen else settings


def plain_settings(code: str) -> Settings:
    return parse_settings(_PLAIN.format(code=code), file="settings", folder=Path())


def code_of(events: Sequence[AnyEvent]) -> str:
    """Whose events they are, where no settings say it: that of the first event."""
    return events[0].municipality
