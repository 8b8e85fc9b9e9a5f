"""`earlywarning backtest`: the alerts that settings would have given on a history, from files alone."""

import sys
import time
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec

from earlywarning.cli.place import OperatorError
from earlywarning.core.calendar import LocalCalendar, day_number
from earlywarning.core.engine import Engine
from earlywarning.lab.backtest import backtest, read_events, read_registers, write_alerts
from earlywarning.runtimes.assembly import engine_settings
from earlywarning.settings import Settings, load_settings, parse_settings

_CODE = "0000"  # a municipality whose code is not known


def run_backtest(
    areas: Path,
    categories: Path,
    events: tuple[Path, ...],
    first: date,
    last: date | None,
    budget: float | None,
    settings_file: Path | None,
    mapping_name: str,
    out: Path,
) -> None:
    """Judge a history and write its alerts; says on standard error how many there were."""
    begun = time.perf_counter()
    settings = load_settings(settings_file) if settings_file else _plain_settings()
    if budget is not None:
        settings = _with_budget(settings, budget)
    mapping = settings.mappings.get(mapping_name) if mapping_name else None
    if mapping_name and mapping is None:
        raise OperatorError(f"there is no mapping {mapping_name!r} in the settings")
    register, tree = read_registers(areas, categories, settings.municipality.code)
    rejected: Counter[str] = Counter()
    zone = settings.municipality.timezone
    supply = read_events(events, settings.municipality.code, zone, mapping, rejected)
    chosen = engine_settings(settings, datetime.now(UTC))
    chosen = chosen._replace(watch=chosen.watch._replace(first_judged=day_number(first)))
    engine = Engine(register, tree, LocalCalendar(zone), chosen)
    found = backtest(engine, supply, first, last)
    rejected.update(found.rejected)
    if str(out) == "-":
        write_alerts(found, register, sys.stdout)
    else:
        with out.open("w", encoding="utf-8", newline="") as file:
            write_alerts(found, register, file)
    said = [f"{found.events:,} events; {len(found.alerts)} alerts in {found.weeks:.1f} weeks, {found.per_week:.2f} a week"]
    said += [f"  {n} {tendency}" for tendency, n in Counter(a.tendency for a in found.alerts).most_common()]
    said += [f"  {n:,} events left out: {rule}" for rule, n in rejected.most_common()]
    if not engine.watch.ready:
        said.append(f"  nothing was judged: less than {chosen.watch.min_years} years of history lie before {first}")
    said.append(f"  {time.perf_counter() - begun:.0f} s")
    print("\n".join(said), file=sys.stderr)


def _plain_settings() -> Settings:
    text = f'[municipality]\ncode = "{_CODE}"\nname = "-"\n[events]\noldest = 1970-01-02\n'
    return parse_settings(text, file="settings", folder=Path())


def _with_budget(settings: Settings, budget: float) -> Settings:
    if not 0 < budget <= 1000:
        raise OperatorError(f"--budget {budget:g}: false alarms a week must be above 0 and at most 1000")
    return msgspec.structs.replace(settings, alerts=msgspec.structs.replace(settings.alerts, false_alarms_per_week=float(budget)))
