"""CategoryTree: codes, groups, Swedish and English names, harm weight and default origin, from a CSV file."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from earlywarning.core.events import ORIGINS
from earlywarning.core.registers import RegisterError, RegisterProblem, unshowable
from earlywarning.core.screening import find_personal_data

ROOT = "all"
COLUMNS = ("code", "parent", "name_sv", "name_en", "harm_weight", "default_origin")
CODE = re.compile(r"[0-9A-Za-zÅÄÖåäö][0-9A-Za-zÅÄÖåäö_.-]{0,63}")


@dataclass(frozen=True)
class CategoryTree:
    """Categories by index: 0 is the root "all", parents stand before their children.

    ancestors: (n, depth), column 0 the category itself, then its parents up to the root, padded with -1. harm: weight
    >= 0. default_origin: index into events.ORIGINS.
    """

    codes: tuple[str, ...]
    names_sv: tuple[str, ...]
    names_en: tuple[str, ...]
    parents: NDArray[np.int32]
    ancestors: NDArray[np.int32]
    harm: NDArray[np.float64]
    default_origin: NDArray[np.int8]

    @cached_property
    def _number(self) -> dict[str, int]:
        return {code: i for i, code in enumerate(self.codes)}

    def resolve(self, codes: Sequence[str]) -> NDArray[np.int32]:
        """Index of each code, -1 for an unknown one."""
        get = self._number.get
        return np.array([get(code, -1) for code in codes], dtype=np.int32)

    def children(self, index: int) -> tuple[int, ...]:
        """The categories directly below one."""
        return tuple(np.flatnonzero(self.parents == index).tolist())

    def name(self, index: int, language: Literal["sv", "en"]) -> str:
        """The name in Swedish or English."""
        return (self.names_sv if language == "sv" else self.names_en)[index]


def ancestor_table(parents: Sequence[int]) -> NDArray[np.int32]:
    """(n, depth) table of each node and its parents; parents stand before children, the root has parent -1."""
    chains: list[list[int]] = []
    for node, parent in enumerate(parents):
        chains.append([node, *(chains[parent] if parent >= 0 else [])])
    table = np.full((len(chains), max(map(len, chains))), -1, dtype=np.int32)
    for node, chain in enumerate(chains):
        table[node, : len(chain)] = chain
    return table


def load_categories(text: str | bytes, *, file: str) -> CategoryTree:
    """Read a category tree: CSV with the header code,parent,name_sv,name_en,harm_weight,default_origin.

    Comma or semicolon; UTF-8 with or without a byte order mark; an empty parent means a group of the first level;
    harm_weight and default_origin may be left empty and are then the parent's. Raises RegisterError with all errors.
    """
    problems: list[RegisterProblem] = []

    def problem(line: int, rule: str, words: str) -> None:
        problems.append(RegisterProblem(file, f"line {line}" if line else "", rule, words))

    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise RegisterError([RegisterProblem(file, f"line {line}", "encoding", "not UTF-8; save it as UTF-8")]) from error
    text = text.removeprefix("\ufeff")
    first = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise RegisterError([RegisterProblem(file, f"line {reader.line_num}", "csv", f"not readable as CSV: {error}")]) from error
    if not rows:
        raise RegisterError([RegisterProblem(file, "", "empty", f"no categories; the first line must be {','.join(COLUMNS)}")])
    header = rows[0][1]
    if sorted(header) != sorted(COLUMNS):
        words = f"the header is {','.join(header)}; it must name the columns {','.join(COLUMNS)}"
        raise RegisterError([RegisterProblem(file, "line 1", "header", words)])

    entries: dict[str, tuple[int, dict[str, str]]] = {}
    for line, row in rows[1:]:
        if len(row) != len(header):
            problem(line, "columns", f"{len(row)} columns where the header has {len(header)}")
            continue
        entry = dict(zip(header, row, strict=True))
        code = entry["code"]
        if not CODE.fullmatch(code) or code == ROOT or find_personal_data(code):
            problem(line, "code", f"code {code!r} is not allowed: letters, digits, _ . - and not {ROOT!r}")
        elif code in entries:
            problem(
                line,
                "duplicate",
                f"code {code!r} stands twice (first in line {entries[code][0]}); codes must be unique",
            )
        else:
            entries[code] = (line, entry)
        if not entry["name_sv"] or not entry["name_en"]:
            problem(line, "name", f"category {code!r} needs a name in Swedish and in English")
        elif unshowable(entry["name_sv"] + entry["name_en"]):
            problem(line, "name", f"a name of category {code!r} holds characters that cannot be shown")
        if entry["default_origin"] not in ("", *ORIGINS):
            problem(line, "origin", f"default_origin {entry['default_origin']!r} is not one of {', '.join(ORIGINS)}")
        if entry["harm_weight"] and _weight(entry["harm_weight"]) is None:
            problem(line, "harm", f"harm_weight {entry['harm_weight']!r} is not a number of 0 or more")
    for code, (line, entry) in entries.items():
        if entry["parent"] and entry["parent"] not in entries:
            problem(line, "parent", f"parent {entry['parent']!r} of {code!r} is not in the file")
    order = _in_order(entries)
    for code in entries.keys() - set(order):
        if not problems or all(p.rule != "parent" for p in problems):
            problem(entries[code][0], "cycle", f"category {code!r} is its own ancestor; parents must lead to the top")
    if not entries and not problems:
        problem(0, "empty", "no categories after the header")
    if problems:
        raise RegisterError(problems)

    codes = [ROOT, *order]
    number = {code: i for i, code in enumerate(codes)}
    parents, harm, origin = [-1], [1.0], [0]
    for code in order:
        entry = entries[code][1]
        above = number[entry["parent"]] if entry["parent"] else 0
        parents.append(above)
        weight = _weight(entry["harm_weight"])
        harm.append(harm[above] if weight is None else weight)
        origin.append(ORIGINS.index(entry["default_origin"]) if entry["default_origin"] else origin[above])
    return CategoryTree(
        codes=tuple(codes),
        names_sv=("Alla kategorier", *(entries[c][1]["name_sv"] for c in order)),
        names_en=("All categories", *(entries[c][1]["name_en"] for c in order)),
        parents=np.array(parents, dtype=np.int32),
        ancestors=ancestor_table(parents),
        harm=np.array(harm),
        default_origin=np.array(origin, dtype=np.int8),
    )


def _weight(text: str) -> float | None:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if 0 <= value < 1e9 else None


def _in_order(entries: dict[str, tuple[int, dict[str, str]]]) -> list[str]:
    """Codes with parents before children, in the order of the file; those in a cycle are left out."""
    order: list[str] = []
    placed: set[str] = set()
    waiting = list(entries)
    while waiting:
        ready = [c for c in waiting if not entries[c][1]["parent"] or entries[c][1]["parent"] in placed]
        if not ready:
            break
        order += ready
        placed.update(ready)
        waiting = [c for c in waiting if c not in placed]
    return order
