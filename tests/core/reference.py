"""Reads the reference vectors of R's surveillance package."""

import csv
import gzip
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parents[1] / "reference"


def number(text: str) -> float:
    return float("nan") if text == "NA" else float(text)


@cache
def rows(name: str) -> list[dict[str, str]]:
    with gzip.open(FOLDER / f"{name}.csv.gz", "rt", newline="") as file:
        return list(csv.DictReader(file))


@cache
def wide(name: str) -> dict[int, NDArray[np.float64]]:
    """series_id -> values of columns w1.."""
    return {int(r["series_id"]): np.array([number(v) for k, v in r.items() if k[0] == "w"]) for r in rows(name)}


@cache
def corners() -> dict[str, NDArray[np.float64]]:
    found: dict[str, list[float]] = {}
    for r in rows("corner_series"):
        found.setdefault(r["series"], []).append(number(r["count"]))
    return {name: np.array(values) for name, values in found.items()}


def differs(ours: float, theirs: float, *, absolute: float = 1e-6, relative: float = 1e-6) -> bool:
    """Whether two figures differ; missing equals missing."""
    if np.isnan(ours) or np.isnan(theirs):
        return bool(np.isnan(ours) != np.isnan(theirs))
    return abs(ours - theirs) > max(absolute, relative * abs(theirs))
