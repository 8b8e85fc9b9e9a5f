"""An action plan as rows, for those who keep theirs in a spreadsheet: one row for each priority, commitment, promise, action.

`record` says what a row is, `of` to which priority (or promise) it belongs. Lists in a cell are separated by spaces or
commas. Comma or semicolon between columns; decimal comma or point.
"""

import csv
import io
import re
from typing import Any

from earlywarning.core.plan_check import Path, PlanError

_GOAL = ("baseline_first", "baseline_last", "target_first", "target_last", "change", "count", "rate", "direction", "kind")
# For each record, which column gives which field.
FIELDS: dict[str, dict[str, str]] = {
    "plan": {"name_sv": "title_sv", "name_en": "title_en", "first_day": "first_day", "last_day": "last_day"},
    "priority": {
        "code": "code", "name_sv": "name_sv", "name_en": "name_en", "text_sv": "focus_sv", "text_en": "focus_en",
        "who": "responsible", "areas": "areas", "categories": "categories", "kinds": "kinds", "origins": "origins",
        **{f"goal_{n}": f"goal.{n}" for n in _GOAL},
    },
    "commitment": {"who": "who", "text_sv": "what_sv", "text_en": "what_en", "last_day": "by", "status": "status"},
    "step": {"text_sv": "what_sv", "text_en": "what_en", "last_day": "by"},
    "promise": {
        "code": "code", "text_sv": "text_sv", "text_en": "text_en", "who": "responsible", "first_day": "first_day",
        "last_day": "last_day", "areas": "areas", "categories": "categories", "number": "activities",
    },
    "evidence": {"text_sv": "text_sv", "text_en": "text_en", "first_day": "on", "number": "count"},
    "action": {
        "code": "code", "of": "priority", "name_sv": "name_sv", "name_en": "name_en", "who": "responsible", "areas": "areas",
        "categories": "categories", "kinds": "kind", "origins": "origins", "first_day": "begins", "last_day": "ends",
        "comparison": "comparison", "buffer": "buffer", "buffer_comparison": "buffer_comparison",
    },
}  # fmt: skip
COLUMNS = tuple(dict.fromkeys(["record", "code", "of", *[column for fields in FIELDS.values() for column in fields]]))
_LISTS = ("areas", "categories", "kinds", "origins", "comparison", "buffer", "buffer_comparison")
_NUMBERS = ("goal.change", "goal.count", "goal.rate")
_HOME = {"priority": "priorities", "promise": "promises", "action": "actions"}
_INSIDE = {"commitment": ("priorities", "commitments"), "step": ("priorities", "timetable"), "evidence": ("promises", "evidence")}


def parse_rows(text: str, file: str) -> tuple[dict[str, Any], dict[Path, str]]:
    """The plain values of a plan, and for each part the line and column where it stands. Raises PlanError."""
    header, rows = _rows(text, file)
    raw: dict[str, Any] = {"priorities": [], "promises": [], "actions": []}
    places: dict[Path, str] = {}
    problems: list[str] = []
    found: dict[tuple[str, str], int] = {}
    heads = 0
    # A commitment may stand above its priority: first what has a code, then what belongs to one.
    for inside in (False, True):
        for line, cells in rows:
            row = dict(zip(header, cells, strict=False))
            record = row.get("record", "")
            if record not in FIELDS:
                if not inside:
                    problems.append(f"{file}, line {line}, column record: {record!r} is not one of {', '.join(FIELDS)}")
                continue
            if (record in _INSIDE) != inside:
                continue
            if len(cells) != len(header):
                problems.append(f"{file}, line {line}: {len(cells)} columns where the header has {len(header)}")
                continue
            foreign = [c for c in header if row[c] and c not in ("record", "of") and c not in FIELDS[record]]
            if foreign:
                used = ", ".join(FIELDS[record])
                problems.append(f"{file}, line {line}, column {foreign[0]}: a {record} has no such column; it has {used}")
                continue
            if record == "plan":
                heads += 1
                _fill(raw, (), line, row, record, places)
            elif not inside:
                home = _HOME[record]
                path: Path = (home, len(raw[home]))
                raw[home].append(_fill({}, path, line, row, record, places))
                found.setdefault((home, row.get("code", "")), len(raw[home]) - 1)
            else:
                home, part = _INSIDE[record]
                owner = found.get((home, row.get("of", "")))
                if owner is None:
                    problems.append(f"{file}, line {line}, column of: {row.get('of', '')!r} is not the code of one of the {home}")
                    continue
                inner = raw[home][owner].setdefault(part, [])
                inner.append(_fill({}, (home, owner, part, len(inner)), line, row, record, places))
    if heads != 1:
        problems.insert(0, f"{file}: {heads} rows are a plan (record = plan); there must be one, with its name and days")
    if problems:
        raise PlanError(problems)
    return raw, places


def _fill(into: dict[str, Any], path: Path, line: int, row: dict[str, str], record: str, places: dict[Path, str]) -> dict[str, Any]:
    if path:
        places[path] = f"line {line}"
    for column, field in FIELDS[record].items():
        steps = tuple(field.split("."))
        places[(*path, *steps)] = f"line {line}, column {column}"
        cell = row.get(column, "")
        if not cell:
            continue
        value: Any = cell
        if column in _LISTS and field != "kind":
            value = [part for part in re.split(r"[\s,;|]+", cell) if part]
        elif field in _NUMBERS:
            value = cell.replace(",", ".").replace("\N{MINUS SIGN}", "-").replace(" ", "").removeprefix("+")
        inner = into
        for step in steps[:-1]:
            inner = inner.setdefault(step, {})
        inner[steps[-1]] = value
    return into


def _rows(text: str, file: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise PlanError([f"{file}, line {reader.line_num}: not readable as CSV: {error}"]) from error
    if not rows:
        raise PlanError([f"{file}: the file is empty; its first line names the columns: {','.join(COLUMNS)}"])
    header = rows[0][1]
    if unknown := [c for c in header if c not in COLUMNS]:
        raise PlanError([f"{file}, line 1: there is no column {unknown[0]!r}; columns are {', '.join(COLUMNS)}"])
    if "record" not in header:
        raise PlanError([f"{file}, line 1: the column record is missing; it says what a row is: {', '.join(FIELDS)}"])
    if len(set(header)) != len(header):
        raise PlanError([f"{file}, line 1: a column stands twice"])
    return header, rows[1:]
