"""Pictures of detection: a series with expectation, bound and alarms, and POD against FPR for us, the peers and the oracle.

python benchmarks/plots.py [--out docs/img] [--png]
"""

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from noufaily import FIRST_JUDGED, METHODS, REPORTED_SEEDS, SCENARIOS, WEEKS, figures_at, scored, simulate, threshold_at

from earlywarning.core.detectors.weekly import WeeklySettings, weekly

SHOWN_FROM = 520
SERIES_SCENARIO, SERIES_FACTOR = 4, 5  # theta 0.1, trend, one harmonic; an outbreak of five standard deviations
INK, GREY, BLUE, RED = "#1a1a1a", "#767676", "#1f5fa8", "#b3261e"
# Lines are told apart by dash and mark as well, for print without colour.
STYLES = {
    "weekly (ours)": ("weekly (ours)", BLUE, "-", "o", 2.2),
    "oracle, single week": ("oracle: true mean known, one week", INK, ":", "", 1.8),
    "Farrington flexible, nbPlugin": ("Farrington flexible", RED, "--", "s", 1.5),
    "EARS C1": ("EARS C1", GREY, "-.", "^", 1.2),
    "EARS C2": ("EARS C2", GREY, "--", "v", 1.2),
    "EARS C3": ("EARS C3", GREY, ":", "D", 1.2),
}


def series_picture(axes: Axes) -> None:
    """One simulated series of the design with its current outbreak."""
    simulated = simulate(10, REPORTED_SEEDS[0])
    row = int(np.flatnonzero((simulated.scenario == SERIES_SCENARIO) & (simulated.factor == SERIES_FACTOR))[0])
    judged = weekly(simulated.outbreak[row : row + 1], SHOWN_FROM, WEEKS, WeeklySettings())
    week = np.arange(SHOWN_FROM, WEEKS) + 1
    cases = np.flatnonzero(simulated.current[row])
    axes.axvspan(cases[0] + 0.5, cases[-1] + 1.5, color="#f2d9b3", lw=0, label="simulated outbreak")
    axes.bar(week, judged.observed[0], width=0.8, color="#c3c9d0", label="observed")
    axes.step(week, judged.upper_bound[0], where="mid", color=RED, lw=1.3, label="upper bound (level 1 %)")
    axes.plot(week, judged.expectation[0], color=BLUE, lw=1.8, label="expectation")
    alarm = judged.alarm[0]
    axes.plot(week[alarm], judged.observed[0][alarm] + 0.9, ls="", marker="v", ms=8, color=INK, label="alarm")
    axes.set(xlabel="week", ylabel="events a week", xlim=(week[0] - 1, week[-1] + 1))
    axes.set_ylim(0, 1.3 * max(judged.observed.max(), judged.upper_bound.max()))
    axes.legend(ncols=3, loc="upper left", frameon=False)


def power_picture(axes: Axes) -> None:
    """POD at equal FPR of all scenarios together, mean of the reported seeds."""
    simulations = [simulate(20, seed) for seed in REPORTED_SEEDS]
    levels = np.array([0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.07, 0.1])
    for method in METHODS:
        if method.name not in STYLES:
            continue
        pairs, _ = scored(method, simulations)
        found = np.zeros(len(levels))
        for simulated, (quiet, outbreak) in zip(simulations, pairs, strict=True):
            free = simulated.past[:, FIRST_JUDGED:] == 0
            for i, level in enumerate(levels):
                found[i] += figures_at(threshold_at(level, quiet, free), simulated, quiet, outbreak).pod / len(simulations)
        label, colour, dash, mark, width = STYLES[method.name]
        axes.plot(100 * levels, found, color=colour, ls=dash, marker=mark, ms=4.5, lw=width, label=label)
    axes.set_xscale("log")
    axes.set_xticks([0.3, 0.5, 1, 2, 5, 10], ["0.3", "0.5", "1", "2", "5", "10"])
    axes.minorticks_off()
    axes.set(xlabel="false alarms, % of quiet weeks (log scale)", ylabel="outbreaks found (POD)", ylim=(0, 0.98), xlim=(0.28, 10.7))
    axes.grid(color="#dddddd", lw=0.6)
    axes.legend(loc="upper left", frameon=True, framealpha=1, edgecolor="#dddddd", fontsize=9)
    axes.set_title(
        f"{len(SCENARIOS)} scenarios of Noufaily et al. 2013, {len(simulations[0].quiet) * len(simulations):,} outbreaks"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "docs/img")
    parser.add_argument("--png", action="store_true", help="PNG files instead of SVG")
    a = parser.parse_args()
    mpl.rcParams.update(
        {
            "font.size": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 11,
            "svg.hashsalt": "earlywarning",
        }
    )
    for name, draw, size in (("series", series_picture, (9.0, 4.0)), ("power", power_picture, (7.0, 5.0))):
        figure, axes = plt.subplots(figsize=size, layout="constrained")
        draw(axes)
        path = a.out / f"{name}.{'png' if a.png else 'svg'}"
        figure.savefig(path, dpi=110, metadata=None if a.png else {"Date": None})
        plt.close(figure)
        print(path)


if __name__ == "__main__":
    main()
