"""A simulated city, end to end: how many of the tendencies put into it are found, how soon, and at how many false alerts.

    python benchmarks/city.py [--tuning] [--seeds 10] [--budgets 1 4] [--out result.csv]
    python benchmarks/city.py --budget-only [--seeds 10] [--budgets 0.25 1 4]

Each seed's city (60 areas x 40 categories, five years of history, 52 judged weeks) is made in a temporary folder by city.py
of ../shared/benchmarks/city, judged by `earlywarning backtest` on its files as they are, and scored by the rule of that
program. Reported seeds are 1, 2, ...; tuning seeds, on which anything may be tried, are 101, 102, ... With --budget-only
nothing is put into the city: every alert is a false one, and their number is held against the stated budget.
"""

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.stats import chi2, t

ROOT = Path(__file__).resolve().parents[1]
CITY = ROOT / "../shared/benchmarks/city/city.py"
ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
COLUMNS, PER_GROUP = 10, 5  # of the city: areas in a row, categories in a group
GRACE = timedelta(days=3)  # after a tendency's last day, in which an alert still finds it
KINDS = ("surge", "cluster", "shift", "drift")
STRENGTHS = ("3.0", "5.0", "8.0")
WANTED = {1.0: (0.36, 0.20, 0.12), 4.0: (0.42, 0.24, 0.15)}  # found, within 7, within 3 days
OUT = (
    "seed", "budget", "what", "put_in", "found", "within_7_days", "within_3_days", "place_overlap", "alerts",
    "false_alerts_per_week", "seconds",
)  # fmt: skip


class Alert(NamedTuple):
    """What an alert said when it was opened. areas, categories: codes of the finest level."""

    alert_id: str
    day: date
    areas: frozenset[str]
    categories: frozenset[str]
    tendency: str


class Tendency(NamedTuple):
    """One that was put in. delay: days to the first alert that finds it, None when none does; overlap: of their places."""

    kind: str
    strength: str
    delay: int | None
    overlap: float


class Run(NamedTuple):
    """One city under one budget."""

    seed: int
    budget: float
    tendencies: list[Tendency]
    alerts: list[Alert]
    false: list[Alert]
    weeks: float
    seconds: float


# ---- the scorer's rule ------------------------------------------------------------------------------------------------


def _areas() -> dict[str, set[str]]:
    """Codes of areas, districts and * to the areas in them."""
    members: dict[str, set[str]] = defaultdict(set)
    for a in range(60):
        row, column = divmod(a, COLUMNS)
        for name in (f"A{a:02d}", f"D{(row // 2) * 2 + column // 5}", "*"):
            members[name].add(f"A{a:02d}")
    return members


def _categories() -> dict[str, set[str]]:
    members: dict[str, set[str]] = defaultdict(set)
    for c in range(40):
        for name in (f"C{c:02d}", f"G{c // PER_GROUP}", "*"):
            members[name].add(f"C{c:02d}")
    return members


AREAS, CATEGORIES = _areas(), _categories()


def _codes(listed: str, members: dict[str, set[str]]) -> frozenset[str]:
    return frozenset[str]().union(*(members.get(code, set()) for code in listed.split(";")))


def read_alerts(path: Path, first: date, last: date) -> list[Alert]:
    """Alerts opened on first..last."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    alerts = [
        Alert(
            r["alert_id"], date.fromisoformat(r["opened_on"]), _codes(r["areas"], AREAS),
            _codes(r["categories"], CATEGORIES), r["tendency"],
        )
        for r in rows
    ]  # fmt: skip
    return [a for a in alerts if first <= a.day <= last]


def joined(truth: Iterable[dict[str, str]], alerts: list[Alert]) -> tuple[list[Tendency], list[Alert]]:
    """Tendencies with what found them, and the alerts that found none.

    An alert finds a tendency when it was raised from its first day to three days after its last, and shares an area and a
    category with it; the first such alert gives delay and place.
    """
    rows: list[Tendency] = []
    explained: set[str] = set()
    for one in truth:
        begin, end = date.fromisoformat(one["start"]), date.fromisoformat(one["end"])
        areas, categories = set(one["areas"].split(";")), set(one["categories"].split(";"))
        finds = [a for a in alerts if begin <= a.day <= end + GRACE and a.areas & areas and a.categories & categories]
        explained.update(a.alert_id for a in finds)
        first = min(finds, key=lambda a: a.day, default=None)
        delay = None if first is None else (first.day - begin).days
        overlap = float("nan") if first is None else len(first.areas & areas) / len(first.areas | areas)
        rows.append(Tendency(one["kind"], one["strength"], delay, overlap))
    return rows, [a for a in alerts if a.alert_id not in explained]


# ---- running ----------------------------------------------------------------------------------------------------------


def run_seed(seed: int, budgets: list[float], extra: list[str], nothing_put_in: bool) -> list[Run]:
    """Make one city and judge it under each budget."""
    with tempfile.TemporaryDirectory(prefix=f"city-{seed}-") as name:
        folder = Path(name)
        make = [sys.executable, CITY, "generate", folder, "--seed", str(seed), *(["--budget-only"] if nothing_put_in else [])]
        subprocess.run([*map(str, make)], env=ENVIRONMENT, check=True, capture_output=True)
        about = json.loads((folder / "about.json").read_text())
        first, last = (date.fromisoformat(about[key]) for key in ("evaluated_from", "evaluated_to"))
        with (folder / "truth.csv").open(newline="") as file:
            truth = list(csv.DictReader(file))
        runs = []
        for budget in budgets:
            alerts_file = folder / "alerts.csv"
            command = [
                sys.executable, "-m", "earlywarning", "backtest", "--areas", folder / "areas.geojson", "--categories",
                folder / "categories.csv", "--events", folder / "events.csv.gz", "--from", str(first), "--to", str(last),
                "--budget", str(budget), "--out", alerts_file, *extra,
            ]  # fmt: skip
            done = subprocess.run([*map(str, command)], env=ENVIRONMENT, check=False, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"seed {seed}, budget {budget:g}: the back-test ended with {done.returncode}\n{done.stderr}")
            seconds = float((re.search(r"(\d+) s$", done.stderr.strip()) or ["", "nan"])[1])
            alerts = read_alerts(alerts_file, first, last)
            rows, false = joined(truth, alerts)
            runs.append(Run(seed, budget, rows, alerts, false, float(about["weeks"]), seconds))
            found = sum(r.delay is not None for r in rows)
            said = f"seed {seed}, budget {budget:g}: {len(alerts)} alerts, {len(false) / about['weeks']:.2f} false a week"
            print(f"{said}, {found} of {len(rows)} found, {seconds:.0f} s", file=sys.stderr, flush=True)
        return runs


# ---- what is said -----------------------------------------------------------------------------------------------------


def figures(tendencies: list[Tendency]) -> tuple[float, float, float, float]:
    """Shares found, found within 7 days, within 3 days, and the mean overlap of places of those found."""
    if not tendencies:
        return (float("nan"),) * 4
    delays = [r.delay for r in tendencies if r.delay is not None]
    overlaps = [r.overlap for r in tendencies if r.delay is not None]
    n = len(tendencies)
    place = float(np.mean(overlaps)) if overlaps else float("nan")
    return len(delays) / n, sum(d <= 7 for d in delays) / n, sum(d <= 3 for d in delays) / n, place


def parts(tendencies: list[Tendency]) -> dict[str, list[Tendency]]:
    """All, by kind, by strength."""
    out = {"all": tendencies}
    out |= {kind: [r for r in tendencies if r.kind == kind] for kind in KINDS}
    return out | {f"strength {s[0]}": [r for r in tendencies if r.strength == s] for s in STRENGTHS}


def report(runs: list[Run], budget: float) -> None:
    """Means over seeds of one budget, by kind and strength."""
    chosen = [r for r in runs if r.budget == budget]
    print(f"\n{budget:g} false alerts a week stated; means of {len(chosen)} seeds (standard error), shares of what was put in")
    print(f"{'':12} {'found':>13} {'within 7 days':>14} {'within 3 days':>14} {'place overlap':>14}")
    for name in parts([]):
        rows = np.array([figures(parts(r.tendencies)[name]) for r in chosen])
        known = [column[np.isfinite(column)] for column in rows.T]
        mean = [c.mean() if len(c) else np.nan for c in known]
        error = [c.std(ddof=1) / np.sqrt(len(c)) if len(c) > 1 else np.nan for c in known]
        cells = " ".join(f"{m:>7.3f} ({e:.3f})" if len(rows) > 1 else f"{m:>14.3f}" for m, e in zip(mean, error, strict=True))
        print(f"{name:12} {cells}")
        if name == "all" and budget in WANTED:
            print(f"{'wanted':12} " + " ".join(f"{w:>7.3f}        " for w in (*WANTED[budget], 0.5)))
    false = np.array([len(r.false) / r.weeks for r in chosen])
    alerts, seconds = np.mean([len(r.alerts) / r.weeks for r in chosen]), np.mean([r.seconds for r in chosen])
    print(f"false alerts a week: {false.mean():.2f} (from {false.min():.2f} to {false.max():.2f}); with true ones {alerts:.2f}")
    print(f"{seconds:.0f} s a city")


def report_budget(runs: list[Run], budget: float) -> None:
    """Realised against stated number of alerts a week where nothing was put in."""
    chosen = [r for r in runs if r.budget == budget]
    alerts, weeks = sum(len(r.alerts) for r in chosen), sum(r.weeks for r in chosen)
    low = chi2.ppf(0.025, 2 * alerts) / 2 / weeks if alerts else 0.0
    high = chi2.ppf(0.975, 2 * alerts + 2) / 2 / weeks
    rates = np.array([len(r.alerts) / r.weeks for r in chosen])
    between = ""
    if len(rates) > 1:
        half = t.ppf(0.975, len(rates) - 1) * rates.std(ddof=1) / np.sqrt(len(rates))
        between = f"; between cities {rates.mean() - half:.3f} to {rates.mean() + half:.3f}"
    print(f"stated {budget:g} a week, realised {alerts / weeks:.3f}: {alerts / weeks / budget:.2f} times the stated one "
          f"(95 %: {low:.3f} to {high:.3f} by Poisson{between}; {len(chosen)} cities, {weeks:.0f} weeks)")  # fmt: skip
    tendencies = sorted({a.tendency for r in chosen for a in r.alerts})
    counted = {name: sum(a.tendency == name for r in chosen for a in r.alerts) / weeks for name in tendencies}
    print("  " + ", ".join(f"{name} {rate:.3f}" for name, rate in counted.items()))


def write(runs: list[Run], out: Path) -> None:
    """A row for each seed, budget and part of what was put in."""
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(OUT)
        for r in runs:
            for name, some in parts(r.tendencies).items():
                shares = [f"{x:.4f}" for x in figures(some)]
                rate = f"{len(r.false) / r.weeks:.4f}"
                writer.writerow([r.seed, f"{r.budget:g}", name, len(some), *shares, len(r.alerts), rate, f"{r.seconds:.0f}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seeds", type=int, default=10, help="how many cities")
    parser.add_argument("--first-seed", type=int, default=0, help="number of the first one")
    parser.add_argument("--tuning", action="store_true", help="seeds from 101 on instead of from 1 on")
    parser.add_argument("--budgets", type=float, nargs="+", help="default: 1 4; with --budget-only 0.25 1 4")
    parser.add_argument("--budget-only", action="store_true", help="nothing is put in: how many alerts are there?")
    parser.add_argument("--processes", type=int, choices=(1, 2), default=1)
    parser.add_argument("--set", dest="values", action="append", default=[], help="a key of the settings, NAME=VALUE")
    parser.add_argument("--out", type=Path, help="CSV file for the figures of each seed")
    a = parser.parse_args()
    if not CITY.is_file():
        sys.exit(f"{CITY} is missing: the city is made by ../shared/benchmarks/city/city.py beside this project")
    budgets = a.budgets or ([0.25, 1.0, 4.0] if a.budget_only else [1.0, 4.0])
    begin = a.first_seed or (101 if a.tuning else 1)
    extra = [word for value in a.values for word in ("--set", value)]
    with ThreadPoolExecutor(a.processes) as pool:  # threads that wait for the programs they started
        done = pool.map(lambda seed: run_seed(seed, budgets, extra, a.budget_only), range(begin, begin + a.seeds))
        runs = [run for some in done for run in some]
    for budget in budgets:
        (report_budget if a.budget_only else report)(runs, budget)
    if a.out:
        write(runs, a.out)


if __name__ == "__main__":
    main()
