"""A table of counts: a header of series names, a row for each time step."""

import csv
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MISSING = ("", "NA", "NaN", "nan")


class TableError(ValueError):
    """A table of counts that cannot be read; names file, line, column and rule."""


class CountsTable(NamedTuple):
    """names: (series,). counts: (series, steps), NaN for not observed."""

    names: tuple[str, ...]
    counts: NDArray[np.float64]


def read_counts(path: Path, *, whole: bool = True) -> CountsTable:
    """Read a CSV table, comma or semicolon, UTF-8. whole: counts must be whole numbers. Raises TableError."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=";" if first.count(";") > first.count(",") else ",")
            rows, lines = [], []
            for row in reader:
                if row:
                    rows.append(row)
                    lines.append(reader.line_num)
    except OSError as error:
        raise TableError(f"{path}: cannot be opened ({error.strerror})") from error
    except (UnicodeError, csv.Error) as error:
        raise TableError(f"{path}: is not CSV in UTF-8 ({error})") from error
    if len(rows) < 2:
        raise TableError(f"{path}: needs a header of series names and a row for each time step")
    names = tuple(cell.strip() for cell in rows[0])
    if twice := [name for name, times in Counter(names).items() if times > 1 or not name]:
        raise TableError(f"{path}, line {lines[0]}: the name {twice[0]!r} is empty or stands twice; series need names of their own")
    values = np.full((len(names), len(rows) - 1), np.nan)
    for step, (row, line) in enumerate(zip(rows[1:], lines[1:], strict=True)):
        if len(row) != len(names):
            raise TableError(f"{path}, line {line}: {len(row)} columns where the header has {len(names)}")
        if "".join(row).isdecimal() and all(row):  # whole numbers only, as nearly all lines
            values[:, step] = np.array(row, dtype=np.float64)
            continue
        for i, cell in enumerate(row):
            if cell.strip() not in _MISSING:
                values[i, step] = _number(cell.strip(), whole, f"{path}, line {line}, series {names[i]!r}")
    return CountsTable(names, values)


def _number(text: str, whole: bool, place: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise TableError(f"{place}: {text[:20]!r} is not a number; leave a cell empty where nothing was observed") from None
    if not np.isfinite(value) or value < 0:
        raise TableError(f"{place}: the count {text[:20]} is negative or infinite")
    if whole and value != round(value):
        raise TableError(f"{place}: the count {text[:20]} is not a whole number")
    return value
