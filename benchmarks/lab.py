"""The analyst's lab on 60 areas, 40 categories and five judged years: time to record, time for each answer, memory, agreement.

    python benchmarks/lab.py [--seed 1] [--years 5] [--keep FOLDER] [--exact]
    python benchmarks/lab.py --agreement

The city is made by ../shared/benchmarks/city/city.py (about a million events, five years and 52 weeks; its tendencies are in the
last 52 weeks). It is recorded once; then settings are tried one after another, as by an analyst who moves a slider, each
answer timed (processor time) cold (the first of its kind) and warm (again, with another budget). --exact: a back-test of the
last 52 weeks beside it. --agreement: only how far the lab agrees with back-tests of real histories (../shared/data): Uppsala and
Toronto, a year each, under two budgets.
"""

import argparse
import csv
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from statistics import median

import httpx
import msgspec
from ground_truth_sets import police, toronto

from earlywarning.core.calendar import LocalCalendar, date_of
from earlywarning.core.categories import CategoryTree
from earlywarning.core.counts import SeriesSpace
from earlywarning.core.scope import Scope
from earlywarning.lab.agreement import agreement
from earlywarning.lab.backtest import backtest
from earlywarning.lab.backtest_files import read_events, read_registers
from earlywarning.lab.bench import (
    Choice,
    Label,
    Recording,
    Surge,
    curve,
    inject,
    judge,
    load_recording,
    record,
    retune,
    save_recording,
)
from earlywarning.lab.labels import LABEL_TYPES, label_rows
from earlywarning.lab.table_forms import table_bytes
from earlywarning.runtimes.assembly import PatternModel, engine_settings
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.runtimes.lab_recordings import RecordingState, basis_of
from earlywarning.settings import load_settings, parse_settings

CITY = Path(__file__).resolve().parents[1] / "../shared/benchmarks/city/city.py"
PLAIN = '[municipality]\ncode = "0000"\nname = "0000"\n[events]\noldest = 1970-01-02\n[alerts]\nfalse_alarms_per_week = {budget}\n'
SERVED = """[registers]
areas = "../areas.geojson"
categories = "categories.csv"
[service]
clock = "events"
"""
SLIDERS = {
    "today's settings": Choice(),
    "budget 0.25": Choice(budget=0.25),
    "budget 4": Choice(budget=4.0),
    "budget 16": Choice(budget=16.0),
    "windows 1, 3, 7": Choice(windows=(1, 3, 7)),
    "windows 7, 28, budget 4": Choice(windows=(7, 28), budget=4.0),
    "at least 5 events": Choice(min_count=5),
    "10 areas, 5 categories": Choice(areas=tuple(f"A{i:02}" for i in range(10)), categories=tuple(f"C{i:02}" for i in range(5))),
    "without mixtures and harm": Choice(tendencies=("surge", "cluster", "shift", "severe", "first", "apart", "drift")),
}


def clock() -> float:
    """Seconds of processor time: the machine may be shared, and nothing here waits."""
    return time.process_time()


def peak() -> float:
    """The most memory that this process has had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(what: str, times: list[float], unit: str = "s") -> None:
    print(f"{what:58} {median(times):8.3f} {unit}" + (f" (from {min(times):.3f} to {max(times):.3f})" if len(times) > 1 else ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--years", type=float, default=5.0, help="judged years, to the end")
    parser.add_argument("--keep", type=Path, help="folder for the city and its recording; used again when it is there")
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--agreement", action="store_true")
    a = parser.parse_args()
    if a.agreement:
        agreements()
        return
    with tempfile.TemporaryDirectory() as name:
        folder = a.keep or Path(name)
        if not (folder / "about.json").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
            make = [sys.executable, str(CITY), "generate", str(folder), "--seed", str(a.seed)]
            subprocess.run(make, check=True, capture_output=True, env=environment)
        run(folder, a.years, a.exact)


def run(folder: Path, years: float, exact: bool) -> None:
    about = json.loads((folder / "about.json").read_text())
    last = date.fromisoformat(about["evaluated_to"])
    first = last - timedelta(days=round(years * 364.0) - 1)
    settings = parse_settings(PLAIN.format(budget=1.0), file="settings", folder=Path())
    register, tree = read_registers(folder / "areas.geojson", folder / "categories.csv", "0000")
    chosen = engine_settings(settings, datetime.now(UTC), register, tree)
    place = (register, tree, LocalCalendar(), chosen)
    kept, events = folder / "recording.npz", None
    if not kept.is_file():
        events = read_events([folder / "events.csv.gz"], "Europe/Stockholm")
        print(f"{len(events):,} events, {peak():.0f} MB before recording", flush=True)
        begun = clock()
        recording = record(*place, events, first, last, day_calendar(settings), PatternModel())
        timed(f"record {first} to {last}", [clock() - begun])
        print(f"peak memory while recording: {peak():.0f} MB", flush=True)
        save_recording(recording, kept)
    scope = Scope(SeriesSpace(register.ancestors, tree.ancestors), register.neighbours, tree.harm)
    begun = clock()
    recording = load_recording(kept, scope)
    timed(f"load ({kept.stat().st_size / 1e6:.0f} MB in the file, {recording.size / 1e6:.0f} MB in memory)",
          [clock() - begun])  # fmt: skip
    print(f"{len(recording.days)} days, {len(recording.fits)} fits, {len(recording.found.score):,} signals kept, "
          f"{sum(len(f.chance.score) for f in recording.fits):,} of chance")  # fmt: skip
    every = []
    for name, choice in SLIDERS.items():
        times = []
        for round_ in range(4):
            asked = choice if not round_ else Choice(**{**{f: getattr(choice, f) for f in choice.__struct_fields__},
                                                        "budget": (choice.budget or 1.0) * (1 + 0.01 * round_)})  # fmt: skip
            if asked.budget is not None and asked.budget > 20:
                continue
            begun = clock()
            found = retune(recording, asked)
            times.append(clock() - begun)
        every += times[1:]
        print(f"{name:30} {found.per_week:6.2f} alerts a week; first answer {times[0]:.3f} s, then {median(times[1:]):.3f} s",
              flush=True)  # fmt: skip
    timed("an answer, all sliders, warm", every)
    with (folder / "truth.csv").open(newline="") as file:
        labels = [label(row) for row in csv.DictReader(file)]
    begun = clock()
    points = curve(recording, labels, Choice(first=date.fromisoformat(about["evaluated_from"])))
    timed(f"curve of {len(points)} budgets on {len(labels)} known events", [clock() - begun])
    for p in points:
        share = f"{p.found} found of {p.labels} ({p.low:.2f} to {p.high:.2f})"
        print(f"  budget {p.budget:5g}: {share}, {p.others_per_week:.2f} others a week")
    begun = clock()
    judge(retune(recording, Choice()), labels, recording)
    timed("known events beside an outcome", [clock() - begun])
    surge = Surge(areas=("A10",), categories=("C03",), begin=last - timedelta(days=100), days=14, total=20, shape="ramp")
    for repeats in (1, 8):
        begun = clock()
        inject(recording, surge, [Choice(), Choice(budget=4.0)], repeats=repeats)
        timed(f"a surge put in {repeats} times, two settings", [clock() - begun])
    print(f"peak memory: {peak():.0f} MB")
    over_http(folder, tree, recording)
    if exact:
        events = events or read_events([folder / "events.csv.gz"], "Europe/Stockholm")
        since = date.fromisoformat(about["evaluated_from"])
        begun = clock()
        replayed = backtest(*place, events, since, last, day_calendar(settings), PatternModel())
        timed(f"back-test {since} to {last}", [clock() - begun])
        print(agreement([o.first for o in replayed.alerts], retune(recording, Choice(first=since)), recording))


def over_http(folder: Path, tree: CategoryTree, recording: Recording) -> None:
    """What a slider waits for: the page's answer and curve from a service in a process of its own, seconds of the wall clock."""
    place = folder / "service"
    (place / "lab").mkdir(parents=True, exist_ok=True)
    text = SERVED + PLAIN.format(budget=1.0)
    (place / "earlywarning.toml").write_text(text)
    settings = load_settings(place / "earlywarning.toml")
    m = recording.meta
    above = [next((tree.codes[a] for a in row[1:] if a > 0), "") for row in tree.ancestors.tolist()]
    rows = [[c, p, c, c, "" if p else "1", "" if p else "reported"] for c, p in zip(tree.codes[1:], above[1:], strict=True)]
    with (place / "categories.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["code", "parent", "name_sv", "name_en", "harm_weight", "default_origin"], *rows])
    shutil.copy(folder / "recording.npz", place / "lab" / f"{m.municipality}.npz")
    told = RecordingState(
        state="ready", there=True, made_at=datetime.now(UTC), judged_from=date_of(m.first), judged_to=date_of(m.last),
        windows=m.windows, settings=m.settings, basis=basis_of(settings), events=m.events,
    )  # fmt: skip
    (place / "lab" / f"{m.municipality}.json").write_bytes(msgspec.json.encode(told))
    command = [sys.executable, "-m", "earlywarning", "run", "--port", "0"]
    service = subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True)
    try:
        said, found = "", None
        while found is None:
            said += service.stdout.readline() if service.stdout else ""
            found = re.search(r"(http://127\.0\.0\.1:\d+)/v1/events", said)
        with httpx.Client(base_url=found.group(1), timeout=300) as client:
            known_over_http(client, folder)
            first = True
            for budget in (1.0, 0.5, 2.0, 3.0, 4.0):  # the slider goes to 5
                times = []
                for more in (0.0, 0.1, 0.2):
                    asked = {"budget": f"{budget + more:g}", "min_count": "3", "part": "answer"}
                    begun = time.perf_counter()
                    answer = client.get("/lab", params=asked)
                    answer.raise_for_status()
                    times.append(time.perf_counter() - begun)
                    assert "data-said" in answer.text, answer.text[:500]
                if first:
                    timed("a slider over HTTP, the first (loads the recording)", times[:1])
                timed(f"a slider over HTTP, five years, budgets {budget:g} to {budget + 0.2:g}", times[first:])
                first = False
            for name, asked in (("windows 1, 7", {"windows": "1,7"}), ("at least 5", {"min_count": "5"}), ("ten areas", {
                "areas": ",".join(f"A{i:02}" for i in range(10))})):  # fmt: skip
                times = []
                for budget in ("1", "1.1", "1.2"):
                    begun = time.perf_counter()
                    client.get("/lab", params={"part": "answer", "budget": budget, **asked}).raise_for_status()
                    times.append(time.perf_counter() - begun)
                timed(f"the same, {name}, the first", times[:1])
                timed(f"the same, {name}, then", times[1:])
            for part, asked in (("curve", {}), ("surge", {"place": "A10", "category": "C03"})):
                begun = time.perf_counter()
                client.get("/lab", params={"part": part, **asked}).raise_for_status()
                timed(f"{part} over HTTP", [time.perf_counter() - begun])
    finally:
        service.terminate()
        service.wait()


def known_over_http(client: httpx.Client, folder: Path) -> None:
    """The tendencies that were put in, marked as known events by the page's own import."""
    page = client.get("/lab/known").text
    secret = re.search(r'name="csrf" value="(\w+)"', page)
    assert secret is not None
    with (folder / "truth.csv").open(newline="") as file:
        rows = label_rows([label(row) for row in csv.DictReader(file)])
    form = {"csrf": secret.group(1), "action": "import"}
    data = table_bytes("csv", LABEL_TYPES, rows)
    assert client.post("/lab/known", data=form, files={"file": ("known.csv", data)}).status_code == 303


def agreements() -> None:
    """The lab beside back-tests, each with settings of its own budget."""
    for name, place, first, last in (
        ("Uppsala", police("0380"), date(2025, 1, 1), date(2025, 12, 31)),
        ("Toronto", toronto(), date(2017, 1, 1), date(2017, 12, 31)),
    ):
        zone, kinds = LocalCalendar(place.settings.municipality.timezone), day_calendar(place.settings)
        today = engine_settings(place.settings, datetime.now(UTC), place.register, place.tree)
        begun = clock()
        recording = record(place.register, place.tree, zone, today, place.events, first, last, kinds, PatternModel())
        timed(f"{name}: record {first} to {last}", [clock() - begun])
        for budget in (1.0, 4.0):
            chosen = today._replace(watch=today.watch._replace(false_alarms_per_week=budget))
            begun = clock()
            exact = backtest(place.register, place.tree, zone, chosen, place.events, first, last, kinds, PatternModel())
            timed(f"{name}: back-test, budget {budget:g}", [clock() - begun])
            begun = clock()
            outcome = retune(recording, Choice(budget=budget))
            timed(f"{name}: the lab's answer", [clock() - begun])
            found = agreement([o.first for o in exact.alerts], outcome, recording)
            print(f"{name}, budget {budget:g}: {found}; {found.share:.2f} of all are of both", flush=True)


def label(row: dict[str, str]) -> Label:
    """A tendency that was put in, as a known event."""
    return Label(
        name=row["id"], first=date.fromisoformat(row["start"]), last=date.fromisoformat(row["end"]),
        areas=tuple(row["areas"].split(";")), categories=tuple(row["categories"].split(";")),
    )  # fmt: skip


if __name__ == "__main__":
    main()
