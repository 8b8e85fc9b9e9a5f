"""`earlywarning detect`: a method applied to a table of counts."""

import csv
import re
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import date, timedelta
from math import isnan
from pathlib import Path

import numpy as np

from earlywarning.cli.place import OperatorError
from earlywarning.core.detectors.status import DetectorError
from earlywarning.lab.cells import cell
from earlywarning.lab.counts_table import CountsTable, TableError, read_counts
from earlywarning.lab.detect import COLUMNS, detect

_MONTHLY, _DAILY = 12, 365  # steps in a year
_SERIES = re.compile(r"\bseries (\d+)\b")


def run_detect(
    method: str, table: Path, weeks: str, given: tuple[str, ...], frequency: int, start: str, population: Path | None,
    mu0: Path | None, out: Path,
) -> None:  # fmt: skip
    """Judge the steps of a table and write a row for each series and step."""
    first, last = _span(weeks)
    named = _Steps(start, max(frequency, 1))
    try:
        counts = read_counts(table)
        people, expected = (None if file is None else _beside(file, counts, table) for file in (population, mu0))
        if people is not None and people.shape != counts.counts.shape:
            raise OperatorError(f"{population}: must have the {counts.counts.shape[1]} steps of {table}, not {people.shape[1]}")
        found, steps = detect(
            method, counts.counts, first, last, given, people, frequency, expected, named.dates(counts.counts.shape[1])
        )
    except TableError as error:
        raise OperatorError(str(error)) from error
    except DetectorError as error:
        raise OperatorError(f"{table}: {_with_names(str(error), counts.names)}") from error
    with nullcontext(sys.stdout) if str(out) == "-" else out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        figures = [column.tolist() for column in found[:-1]]
        for i, name in enumerate(counts.names):
            columns = zip(*(column[i] for column in figures), strict=True)
            for t, cells, status in zip(steps.tolist(), columns, found.status[i].tolist(), strict=True):
                writer.writerow([cell(name), t, *map(_cell, cells), status])
    if not weeks or start:
        which = f"{steps[0]}:{steps[-1]}" + ("" if weeks else ", all that have enough history")
        said = f" ({named(int(steps[0]))} to {named(int(steps[-1]))})" if start else ""
        print(f"judged steps {which}{said}", file=sys.stderr)


def _beside(file: Path, counts: CountsTable, table: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A table of other figures, its series put into the order of the counts."""
    found = read_counts(file, whole=False)
    if missing := [name for name in counts.names if name not in found.names]:
        raise OperatorError(f"{file}: has no series {missing[0]!r}; it must have those of {table}")
    return found.counts[[found.names.index(name) for name in counts.names]]


def _with_names(message: str, names: Sequence[str]) -> str:
    """A detector counts series from 0; a reader knows them by their names."""
    return _SERIES.sub(lambda m: f"series {names[int(m[1])]!r}" if int(m[1]) < len(names) else m[0], message)


class _Steps:
    """How a step is called, given what the first one is called."""

    def __init__(self, start: str, frequency: int) -> None:
        self.frequency = frequency
        self.day: date | None = None
        self.dated = bool(start)
        self.year = self.step = 1
        year, colon, step = start.partition(":")
        if colon and year.isdecimal() and step.isdecimal() and 1 <= int(step) <= frequency:
            self.year, self.step = int(year), int(step)
            return
        try:
            self.day = date.fromisoformat(start or "2001-01-01")
        except ValueError:
            raise OperatorError(
                f"--start {start!r}: must be YEAR:STEP, step 1 to {frequency}, such as 2001:1, or a date, such as 2001-01-01"
            ) from None

    def dates(self, steps: int) -> list[date] | None:
        """The date of each step, where the first one's was given."""
        if not self.dated or self.day is None:
            return None
        if self.frequency == _MONTHLY:
            months = [self.day.month - 1 + t for t in range(steps)]
            return [date(self.day.year + m // 12, m % 12 + 1, min(self.day.day, 28)) for m in months]
        return [self.day + timedelta(days=t * (1 if self.frequency >= _DAILY else 7)) for t in range(steps)]

    def __call__(self, t: int) -> str:
        steps = self.step - 1 + t - 1
        if self.day is None:
            return f"{self.year + steps // self.frequency}:{steps % self.frequency + 1}"
        if self.frequency == _MONTHLY:
            months = self.day.month - 1 + t - 1
            return f"{self.day.year + months // 12}-{months % 12 + 1:02}"
        return (self.day + timedelta(days=(t - 1) * (1 if self.frequency >= _DAILY else 7))).isoformat()


def _span(weeks: str) -> tuple[int | None, int | None]:
    if not weeks:
        return None, None
    first, colon, last = weeks.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise OperatorError(f"--weeks {weeks!r}: must be FIRST:LAST, counted from 1, such as 313:416")
    return int(first), int(last)


def _cell(value: float) -> str:
    return "" if isnan(value) else f"{value:.12g}"  # NaN: the method has no such figure
