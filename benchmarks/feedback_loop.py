"""Do alerts concentrate when patrols follow them? With the origin rule and without, patrols that follow and that do not.

    python benchmarks/feedback_loop.py --seeds 20

Prints, for each of four worlds, alerts a year, the share of alert days in the area that has most of them, their Gini
coefficient over the areas, and the share of the patrols' hours in the area where they are most; means over seeds with 95 %
intervals (bootstrap over seeds), and the paired differences to the world in which patrols do not follow.
"""

import argparse
import time

import numpy as np

from earlywarning.lab.feedback_loop import Lived, World, live

WORLDS = {
    "origin rule, patrols do not follow": World(origin_rule=True, follows=0.0),
    "origin rule, patrols follow": World(origin_rule=True, follows=0.5),
    "no rule, patrols do not follow": World(origin_rule=False, follows=0.0),
    "no rule, patrols follow": World(origin_rule=False, follows=0.5),
}
FIGURES = {
    "alerts a year": lambda x: x.alerts,
    "top share": lambda x: x.top_share,
    "Gini": lambda x: x.gini,
    "hours in one area": lambda x: x.hours.max(),
}


def interval(values: np.ndarray, rng: np.random.Generator) -> str:
    values = values[~np.isnan(values)]
    means = rng.choice(values, (2000, len(values))).mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return f"{values.mean():.2f} ({low:.2f} to {high:.2f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--days", type=int, default=364, help="judged days")
    asked = parser.parse_args()
    seeds = range(1, asked.seeds + 1)
    rng, begun = np.random.default_rng(0), time.perf_counter()
    lived: dict[str, list[Lived]] = {
        name: [live(world._replace(days=asked.days), seed) for seed in seeds] for name, world in WORLDS.items()
    }
    print("| world |", " | ".join(FIGURES), "|")
    print("| --- |", " | ".join("---" for _ in FIGURES), "|")
    for name, worlds in lived.items():
        print(f"| {name} |", " | ".join(interval(np.array([of(x) for x in worlds], float), rng) for of in FIGURES.values()), "|")
    names = list(WORLDS)
    for calm, follows in ((names[0], names[1]), (names[2], names[3])):
        told = []
        for of in FIGURES.values():
            told.append(interval(np.array([of(b) - of(a) for a, b in zip(lived[calm], lived[follows], strict=True)], float), rng))
        print(f"| {follows}: less not following |", " | ".join(told), "|")
    print(f"{len(seeds)} seeds, {time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
