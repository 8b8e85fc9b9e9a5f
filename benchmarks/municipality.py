"""A made-up municipality for the benchmarks: 60 areas, 40 categories, five years, a million events in JSON Lines.

    python benchmarks/municipality.py OUT [--events 1000000] [--seed 1]

Counts are negative binomial around area x category rates with weekday and season; recording lags behind happening by
a day on average, and 2 % of the events are revised once.
"""

import argparse
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np

AREAS, DISTRICTS, GROUPS, PER_GROUP, YEARS = 60, 6, 8, 5, 5
END = date(2025, 12, 28)
CODE = "0999"

SETTINGS = """
[municipality]
code = "0999"
name = "Benchmark"
[registers]
areas = "areas.geojson"
categories = "categories.csv"
[service]
clock = "events"
[events]
oldest = 2020-01-01
[store]
url = "sqlite:///store.db"
"""


def registers(out: Path) -> None:
    """Areas, categories and settings of the municipality."""
    features = []
    for a in range(AREAS):
        x, y = 17.0 + (a % 10) * 0.02, 59.8 + (a // 10) * 0.01
        ring = [[x, y], [x + 0.02, y], [x + 0.02, y + 0.01], [x, y + 0.01], [x, y]]
        properties = {"code": f"A{a:02}", "name": f"Area {a}", "parent": f"D{a // 10}"}
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    (out / "areas.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    lines = ["code,parent,name_sv,name_en,harm_weight,default_origin"]
    lines += [f"G{g},,Grupp {g},Group {g},1,reported" for g in range(GROUPS)]
    lines += [f"C{c:02},G{c // PER_GROUP},Kategori {c},Category {c},1,reported" for c in range(GROUPS * PER_GROUP)]
    (out / "categories.csv").write_text("\n".join(lines) + "\n")
    (out / "earlywarning.toml").write_text(SETTINGS)


def events(out: Path, wanted: int, seed: int) -> int:
    """Write events.jsonl in the order of recording; returns how many lines."""
    rng = np.random.default_rng(seed)
    days = YEARS * 365
    categories = GROUPS * PER_GROUP
    rate = rng.lognormal(0, 0.6, AREAS)[:, None] * rng.lognormal(0, 1, categories)
    rate *= wanted / days / rate.sum()
    t = np.arange(days)
    season = 1 + 0.3 * np.cos(2 * np.pi * t / 365.25 + rng.uniform(0, 6, categories)[:, None])
    weekday = rng.lognormal(0, 0.2, (categories, 7))
    weekday /= weekday.mean(1, keepdims=True)
    shape = (season * weekday[:, t % 7]).T  # (days, categories)
    mean = rate[None] * shape[:, None, :]
    counts = rng.negative_binomial(mean / 0.4, 1 / 1.4)
    day, area, category = (np.repeat(i, counts[np.nonzero(counts)]) for i in np.nonzero(counts))
    n = len(day)
    start = int(datetime.combine(END - timedelta(days=days - 1), datetime.min.time(), tzinfo=UTC).timestamp())
    happened = start + day * 86400 + rng.integers(0, 86400, n)
    recorded = happened + (rng.exponential(1.0, n) * 86400).astype(np.int64)
    revised = np.flatnonzero(rng.random(n) < 0.02)
    number = np.concatenate([np.arange(n), revised])
    revision = np.concatenate([np.ones(n, np.int64), np.full(len(revised), 2)])
    recorded = np.concatenate([recorded, recorded[revised] + 3600 * rng.integers(1, 72, len(revised))])
    order = np.argsort(recorded, kind="stable")
    with (out / "events.jsonl").open("w") as f:
        for i in order.tolist():
            e = number[i]
            kind = "incident" if category[e] // PER_GROUP < 5 else "report"
            when = datetime.fromtimestamp(int(happened[e]), UTC).isoformat()
            known = datetime.fromtimestamp(int(recorded[i]), UTC).isoformat()
            f.write(
                f'{{"kind":"{kind}","event_id":"e{e:07}","source":"s{category[e] % 7}","occurred_at":"{when}",'
                f'"recorded_at":"{known}","category":"C{category[e]:02}","municipality":"{CODE}","area":"A{area[e]:02}",'
                f'"severity":{1 + e % 5},"revision":{revision[i]}}}\n'
            )
    return len(order)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    registers(a.out)
    print(events(a.out, a.events, a.seed), "events")


if __name__ == "__main__":
    main()
