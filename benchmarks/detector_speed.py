"""Speed of the detectors: ours and R's surveillance on the same counts and settings, and how cost grows.

    python benchmarks/detector_speed.py [--rounds 3] [--largest 1000000]

Processor seconds of one core, the median of several rounds after one to warm up; of R with its own timer around the call, data
already in place. Where Rscript or its package surveillance is missing, only ours are measured.
"""

import argparse
import csv
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np  # noqa: E402  # after the number of threads
from numpy.typing import NDArray  # noqa: E402

from earlywarning.core.detectors.farrington import FarringtonSettings, farrington_weeks  # noqa: E402
from earlywarning.lab.detect import detect  # noqa: E402

HISTORY, WEEKS = 312, 104
_SAME = "b=5,w=3,reweight=TRUE,alpha=.01"
_FLEXIBLE = f"{_SAME},noPeriods=10,pastWeeksNotIncluded=26,weightsThreshold=2.58,pThresholdTrend=1,thresholdMethod='nbPlugin'"
_CHART = "c.ARL=5,ret='value',mu0=list(S=1,trend"
# Name; our settings; series of ours; series of R's, whose farrington takes seconds for a few hundred series-weeks; R's call.
CASES: list[tuple[str, str, int, int, str]] = [
    ("farrington-flexible", _FLEXIBLE, 400, 4, f"farringtonFlexible(s[,1:k], control=list(range=r,limit54=c(5,4),{_FLEXIBLE}))"),
    ("farrington", "b=5,w=3,alpha=0.01", 400, 4, f"farrington(s[,1:k], control=list(range=r,{_SAME}))"),
    ("ears-c1", "", 4000, 40, "earsC(s[,1:k], control=list(range=r,method='C1'))"),
    ("ears-c2", "", 4000, 40, "earsC(s[,1:k], control=list(range=r,method='C2'))"),
    ("ears-c3", "", 4000, 40, "earsC(s[,1:k], control=list(range=r,method='C3'))"),
    ("bayes3", "", 4000, 40, "bayes(s[,1:k], control=list(range=r,b=2,w=4,actY=FALSE,alpha=.05))"),
    ("rki3", "", 4000, 40, "rki(s[,1:k], control=list(range=r,b=2,w=4,actY=FALSE))"),
    ("cusum", "trans=rossi,m=glm", 1000, 40, "cusum(s[,1:k], control=list(range=r,k=1.04,h=2.26,trans='rossi',m='glm'))"),
    ("glr-pois", "trend=true", 1000, 40, f"glrpois(s[,1:k], control=list(range=r,{_CHART}=TRUE)))"),
    ("glr-nb", "", 200, 10, f"glrnb(s[,1:k], control=list(range=r,alpha=NULL,{_CHART}=FALSE)))"),
]


def drawn(series: int, steps: int, seed: int = 1) -> NDArray[np.float64]:
    """Weekly counts: means from 0.3 to 60, seasons, dispersion 1 to 4."""
    rng = np.random.default_rng(seed)
    level, height = np.exp(rng.uniform(np.log(0.3), np.log(60), (series, 1))), rng.uniform(0, 0.6, (series, 1))
    mean = level * np.exp(height * np.cos(2 * np.pi * np.arange(steps) / 52))
    phi = rng.uniform(1.05, 4, (series, 1))
    return rng.negative_binomial(mean / (phi - 1), 1 / phi).astype(np.float64)


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Median processor seconds."""
    work()
    took = []
    for _ in range(rounds):
        begun = time.process_time()
        work()
        took.append(time.process_time() - begun)
    return statistics.median(took)


def in_r(counts: NDArray[np.float64], rounds: int) -> dict[str, float]:
    """Series-weeks a second of R's methods; empty where R or its package is missing."""
    if shutil.which("Rscript") is None:
        return {}
    if subprocess.run(["Rscript", "-e", "library(surveillance)"], capture_output=True, check=False).returncode:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(counts.T.astype(int).tolist())
        lines = [
            "suppressMessages(library(surveillance))",
            f"s <- sts(as.matrix(read.csv('{path}', header=FALSE)), start=c(2001,1), frequency=52)",
            f"r <- {HISTORY + 1}:{HISTORY + WEEKS}",
            "quiet <- function(x) invisible(capture.output(suppressMessages(suppressWarnings(x))))",
        ]
        for name, _, _, k, call in CASES:
            lines += [
                f"k <- {k}; t <- c()",
                f"for (i in 1:{rounds}) {{ a <- proc.time(); quiet({call}); t <- c(t, sum((proc.time() - a)[1:2])) }}",
                f"cat('@', '{name}', k * length(r) / median(t), '\\n')",
            ]
        done = subprocess.run(["Rscript", "-"], input="\n".join(lines), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"R stopped: {done.stderr[-400:]}")
    found = [line.split() for line in done.stdout.splitlines() if line.startswith("@")]
    return {name: float(rate) for _, name, rate in found}


def growth(series: int) -> None:
    """In a process of its own: judge one week of many series, drawn and judged 20,000 at a time; print cost and memory."""
    import resource  # noqa: PLC0415  # not on every system

    chosen, block = FarringtonSettings(), min(series, 20_000)
    counts = drawn(block, 264)
    farrington_weeks(counts[:500], np.array([263]), chosen)
    begun, alarms = time.process_time(), 0
    for _ in range(series // block):
        alarms += int(farrington_weeks(counts, np.array([263]), chosen).alarm.sum())
    took = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{series:>12,} {took:>10.2f} {series / took:>12,.0f} {peak:>10,.0f} MB")


def main() -> None:
    """Print the tables."""
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--largest", type=int, default=1_000_000)
    options.add_argument("--growth", type=int, default=0, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.growth:
        growth(chosen.growth)
        return
    counts = drawn(4000, HISTORY + WEEKS)
    theirs = in_r(counts[:40], chosen.rounds)
    print("Series-weeks a second of one core, 104 weeks judged")
    print(f"{'method':<22} {'ours':>12} {'ours as R':>12} {'R':>12} {'ratio':>8} {'as R':>8}")
    for name, settings, series, _, _ in CASES:
        given = [text for text in settings.split(",") if text]
        rates = []
        for compat in ([], ["r_compat=true"]):
            if compat and name.startswith("bayes"):  # the same either way
                rates.append(rates[0])
                continue
            took = seconds(partial(detect, name, counts[:series], HISTORY + 1, HISTORY + WEEKS, given + compat), chosen.rounds)
            rates.append(series * WEEKS / took)
        rate = theirs.get(name, float("nan"))
        print(f"{name:<22} {rates[0]:>12,.0f} {rates[1]:>12,.0f} {rate:>12,.0f} {rates[0] / rate:>8,.0f} {rates[1] / rate:>8,.0f}")
    print("\nFarrington flexible, one week, by number of series (drawn once, judged 20,000 at a time)")
    print(f"{'series':>12} {'seconds':>10} {'a second':>12} {'peak':>13}")
    size = 1000
    while size <= chosen.largest:
        subprocess.run([sys.executable, __file__, "--growth", str(size)], check=True)
        size *= 10
    print("\nBy years of history (noPeriods = 10), 4,000 series, one week")
    for years in (2, 3, 5, 7, 10):
        many, at = drawn(4000, 52 * years + 4), np.array([52 * years + 3])
        took = seconds(partial(farrington_weeks, many, at, FarringtonSettings(b=years)), chosen.rounds)
        print(f"{years:>12} {4000 / took:>12,.0f} a second")
    print("\nBy columns of the design (5 years), 4,000 series, one week")
    many, at = drawn(4000, 264), np.array([263])
    for periods in (1, 5, 10, 20, 40):
        took = seconds(partial(farrington_weeks, many, at, FarringtonSettings(no_periods=periods)), chosen.rounds)
        print(f"{periods + 1:>12} {4000 / took:>12,.0f} a second")


if __name__ == "__main__":
    main()
