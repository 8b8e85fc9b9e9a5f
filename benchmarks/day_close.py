"""Close of a day for 10,000 series x 5 years: an ordinary one, and one on which all baselines and the threshold are made anew.

    python benchmarks/day_close.py [--runs 3] [--areas 125] [--categories 40]

The peer is one generalised linear model at a time, as R's surveillance and Python's statsmodels fit them: Farrington flexible
of ours called series by series.
"""

import argparse
import os

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import statistics
import time

import numpy as np

from earlywarning.core.arrivals import Arrivals
from earlywarning.core.calendar import UNIT
from earlywarning.core.counts import CountCube, SeriesSpace
from earlywarning.core.detectors.farrington import FarringtonSettings, farrington_threshold
from earlywarning.core.scope import Scope
from earlywarning.core.watch import Watch, WatchSettings

DAYS = 5 * 365 + 40


def tree(nodes: int) -> np.ndarray:
    """Ancestors of a root with `nodes` - 1 children."""
    table = np.full((nodes, 2), -1, dtype=np.int32)
    table[:, 0] = np.arange(nodes)
    table[1:, 1] = 0
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--areas", type=int, default=125)
    parser.add_argument("--categories", type=int, default=40)
    a = parser.parse_args()
    rng = np.random.default_rng(1)
    space = SeriesSpace(tree(a.areas), tree(a.categories))
    rate = rng.lognormal(-1.5, 1.2, len(space))
    cube = CountCube(len(space))
    cube.extend(0, DAYS)
    for day in range(DAYS):
        season = 1 + 0.3 * np.cos(2 * np.pi * day / 365.25)
        counts = rng.negative_binomial(rate * season / 0.4, 1 / 1.4)
        at = np.flatnonzero(counts)
        cube.add(at, np.full(len(at), day), counts[at] * UNIT)
    neighbours = tuple(tuple(b for b in (i - 1, i + 1) if 0 < b < a.areas) if i else () for i in range(a.areas))
    scope = Scope(space, neighbours, np.ones(a.categories))
    monday = Watch.fit_day(DAYS)
    fitting, ordinary, scanning = [], [], []
    for _ in range(a.runs):
        watch = Watch(scope, cube, WatchSettings())
        arrivals = Arrivals(space.category_ancestors, space.kinds)
        for seconds, day in ((fitting, monday), (ordinary, monday + 1)):
            begun = time.process_time()
            watch.begin_day(day, arrivals)
            seconds.append(time.process_time() - begun)
        begun = time.process_time()
        watch.beyond()
        scanning.append(time.process_time() - begun)
    memory = cube.series * (cube.last_day + 2) * 8 / 2**20
    fit, plain, scan = (statistics.median(seconds) for seconds in (fitting, ordinary, scanning))
    assert watch.watched is not None
    baselines = a.areas * len(watch.watched.kind)
    print(f"{len(space):,} series x 5 years, median of {a.runs} runs on one core; counts in memory {memory:,.0f} MB")
    print(f"every fourth Monday: {fit:.2f} s for {baselines:,} baselines and the threshold; other days {plain:.3f} s")
    print(f"scan of everything: {scan:.3f} s")

    history = rng.negative_binomial(2, 0.4, (300, 264)).astype(float)
    chosen = FarringtonSettings(alpha=1e-5)
    begun = time.process_time()
    for i in range(len(history)):
        farrington_threshold(history[i : i + 1], 263, chosen)
    single = len(history) / (time.process_time() - begun)
    print(f"one series at a time: {single:,.0f} baselines/s; ratio {baselines / fit / single:.0f}")


if __name__ == "__main__":
    main()
