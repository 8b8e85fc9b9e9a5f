"""A weekly situational picture of 60 areas x 40 categories with five years of history: how long page and PDF take.

    python benchmarks/briefing.py [--events 400000] [--runs 3]

The store holds made-up pages of a whole municipality, written without the engine; each run makes the picture anew, for the group
and for readers outside, in a process that has drawn one before.
"""

import argparse
import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
from municipality import AREAS, CODE, GROUPS, PER_GROUP, YEARS, registers

from earlywarning.briefing import make_briefing, render_html, render_mail, render_pdf
from earlywarning.core.calendar import LocalCalendar, day_number
from earlywarning.core.changes import Changes
from earlywarning.core.ledger import COLUMNS, STANDING, Held
from earlywarning.core.pages import encode_page
from earlywarning.runtimes.assembly import area_register, category_tree
from earlywarning.runtimes.day_calendar import day_calendar
from earlywarning.settings import load_settings
from earlywarning.store import Store

WEEK = "2025-W51"
LAST = date(2025, 12, 21)


def fill(store: Store, areas: list[str], categories: list[str], wanted: int, seed: int = 1) -> int:
    """Pages of five years to the end of the week; returns how many events they hold."""
    rng = np.random.default_rng(seed)
    calendar = LocalCalendar()
    last = day_number(LAST)
    days = YEARS * 365
    rate = rng.lognormal(0, 0.6, len(areas))[:, None] * rng.lognormal(0, 1, len(categories))
    rate *= wanted / days / rate.sum()
    codes = {"area": areas, "category": categories, "source": ["police", "schools", "housing"]}
    pages, held, total = {}, {}, 0
    for day in range(last - days + 1, last + 1):
        counts = rng.poisson(rate * (1.4 if day > last - 7 and rng.random() < 0.5 else 1.0))
        area, category = (np.repeat(i, counts.ravel()) for i in (x.ravel() for x in np.indices(counts.shape)))
        n = len(area)
        hour = int(calendar.first_hour(day)) + rng.integers(0, 23, n)
        late = rng.exponential(20, n).astype(np.int64)
        kind = rng.integers(0, 2, n)
        values = {
            "key": np.arange(total, total + n), "start": hour, "end": hour, "recorded": hour + late,
            "arrived": calendar.day_of(hour + late), "superseded": np.full(n, STANDING), "area": area, "category": category,
            "source": np.where(kind == 0, 0, rng.integers(1, 3, n)), "kind": kind, "origin": (rng.random(n) < 0.1).astype(int),
        }  # fmt: skip
        known = values["arrived"] <= last
        columns = {name: values.get(name, np.zeros(n))[known].astype(dtype) for name, dtype in COLUMNS.items()}
        pages[day], held[day] = encode_page(day, Held(columns), codes), int(known.sum())
        total += n
    store.commit(
        Changes(
            municipality=CODE,
            pages=pages,
            page_events=held,
            alerts=[],
            history=[],
            clock_day=last,
            clock_hour=int(calendar.first_hour(last)) + 18,
        )
    )
    return sum(held.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--events", type=int, default=400_000)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        registers(place)
        settings = load_settings(place / "earlywarning.toml")
        register, tree = area_register(settings), category_tree(settings)
        finest = [code for i, code in enumerate(register.codes) if not register.children(i)]
        leaves = [code for i, code in enumerate(tree.codes) if not tree.children(i)]
        with Store.open(settings.store_url, writer=True) as store:
            events = fill(store, finest, leaves, given.events)
            print(f"{AREAS} areas x {GROUPS * PER_GROUP} categories, {YEARS} years, {events:,} events")
            print(f"median of {given.runs} runs, in seconds")
            for audience in ("group", "outside"):
                times: dict[str, list[float]] = {}

                def timed(part: str, do: Callable[[], object], into: dict[str, list[float]] = times) -> object:
                    begun = time.perf_counter()
                    out = do()
                    into.setdefault(part, []).append(time.perf_counter() - begun)
                    return out

                for _ in range(given.runs):
                    made = timed(
                        "record",
                        lambda audience=audience: make_briefing(
                            store, settings, register, tree, LocalCalendar(), WEEK, "sv", audience, day_kinds=day_calendar(settings)
                        ),
                    )
                    timed("HTML", lambda made=made: render_html(made))
                    timed("PDF", lambda made=made: render_pdf(made))
                    timed("mail", lambda made=made: render_mail(made))
                parts = {part: statistics.median(t) for part, t in times.items()}
                said = ", ".join(f"{part} {seconds:.2f}" for part, seconds in parts.items())
                print(f"for {audience}: {said}; together {sum(parts.values()):.2f}")
        print(f"memory at most: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
