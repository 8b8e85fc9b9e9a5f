"""`earlywarning detect`: a method applied to a table of counts."""

import csv
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from earlywarning.cli.place import OperatorError
from earlywarning.core.detectors.status import DetectorError
from earlywarning.lab.counts_table import TableError, read_counts
from earlywarning.lab.detect import COLUMNS, detect


def run_detect(
    method: str, table: Path, weeks: str, given: tuple[str, ...], frequency: int, population: Path | None, out: Path
) -> None:
    """Judge the steps of a table and write a row for each series and step."""
    first, last = _span(weeks)
    try:
        counts = read_counts(table)
        people = None if population is None else read_counts(population, whole=False)
        if people is not None and people.counts.shape != counts.counts.shape:
            raise OperatorError(f"{population}: must have the series and steps of {table}")
        found, steps = detect(method, counts.counts, first, last, given, None if people is None else people.counts, frequency)
    except (TableError, DetectorError) as error:
        raise OperatorError(str(error)) from error
    with nullcontext(sys.stdout) if str(out) == "-" else out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for i, name in enumerate(counts.names):
            for j, t in enumerate(steps.tolist()):
                figures = [column[i, j] for column in found[:-1]]
                writer.writerow([name, t, *(_cell(v) for v in figures), found.status[i, j]])
    if not weeks:
        print(f"judged steps {steps[0]}:{steps[-1]}, all that have enough history", file=sys.stderr)


def _span(weeks: str) -> tuple[int | None, int | None]:
    if not weeks:
        return None, None
    first, colon, last = weeks.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise OperatorError(f"--weeks {weeks!r}: must be FIRST:LAST, counted from 1, such as 313:416")
    return int(first), int(last)


def _cell(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.12g}"
