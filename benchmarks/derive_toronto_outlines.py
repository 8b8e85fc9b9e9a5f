"""Derive approximate outlines of Toronto's neighbourhoods from the positions of the bundled events.

    python benchmarks/derive_toronto_outlines.py [OUT.geojson]

Each distinct position (an intersection) belongs to the neighbourhood that most of its events name; the Voronoi cells of
the positions, dissolved by neighbourhood and clipped to the surroundings of the positions, give a partition.
"""

import csv
import gzip
import json
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import shapely

DATA = Path(__file__).parents[1] / "src/earlywarning/data/toronto"
NOTE = "Approximate outlines, derived from the events' positions: dissolved Voronoi cells, not the official boundaries."
REACH = 0.006  # degrees around the positions that still belong to the city


def slug(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Z0-9]+", "-", plain.upper()).strip("-")


def main() -> None:
    named: dict[tuple[float, float], Counter[str]] = defaultdict(Counter)
    with gzip.open(DATA / "incidents.csv.gz", "rt", newline="") as f:
        for row in csv.DictReader(f):
            named[float(row["lon"]), float(row["lat"])][row["area"]] += 1
    places = np.array(list(named))
    centre = np.median(places, axis=0)
    near = np.abs(places - centre).max(1) < 0.4  # a few positions lie far outside the city
    places = places[near]
    names = [named[tuple(p)].most_common(1)[0][0] for p in places.tolist()]
    points = shapely.points(places)
    city = shapely.union_all(shapely.buffer(points, REACH)).buffer(-REACH / 2)
    cells = shapely.get_parts(shapely.voronoi_polygons(shapely.multipoints(points), ordered=True))
    by_name: dict[str, list[shapely.Geometry]] = defaultdict(list)
    for name, cell in zip(names, cells, strict=True):
        by_name[name].append(cell)
    order = sorted(by_name)
    outlines = [shapely.union_all(by_name[name]).intersection(city) for name in order]
    # Simplified as a coverage, so that borders stay common to both sides.
    outlines = [shapely.set_precision(o, 1e-4) for o in shapely.coverage_simplify(outlines, 0.0003)]
    features = [
        {
            "type": "Feature",
            "properties": {"code": slug(name), "name": name},
            "geometry": json.loads(shapely.to_geojson(o)),
        }
        for name, o in zip(order, outlines, strict=True)
    ]
    body = json.dumps({"type": "FeatureCollection", "note": NOTE, "features": features}, separators=(",", ":"))
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA / "areas.geojson"
    out.write_text(body.replace('{"type":"Feature"', '\n{"type":"Feature"') + "\n")
    inside = Counter()
    for (x, y), counted in named.items():
        here = [name for name, o in zip(order, outlines, strict=True) if shapely.intersects_xy(o, x, y)]
        for name, n in counted.items():
            inside["agree" if here[:1] == [name] else "outside" if not here else "other"] += n
    total = inside.total()
    print(f"{len(features)} areas, {out.stat().st_size} bytes;", {k: f"{v / total:.2%}" for k, v in inside.items()})


if __name__ == "__main__":
    main()
