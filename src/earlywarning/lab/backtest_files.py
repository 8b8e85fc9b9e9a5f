"""What a back-test reads: areas, categories and events from files in the project's own form or a short one.

The forms are told apart by their columns. The short one is what a simulation or a quick export has: categories as
code,group,kind, and events without what is the same in all of them (source, municipality).
"""

import csv
import gzip
import io
import operator
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from earlywarning.core.areas import AreaRegister, load_areas
from earlywarning.core.categories import COLUMNS, CategoryTree, load_categories
from earlywarning.core.events import FIELDS, KINDS, AnyEvent, Rejection
from earlywarning.core.registers import RegisterError, RegisterProblem
from earlywarning.settings import Mapping
from earlywarning.sources.files import EventFile, FileProblem

UNKNOWN = "0000"  # code of a municipality that neither settings nor events name
_GROUPED = ("code", "group", "kind")
_NEEDED = ("kind", "occurred_at", "category")
_CSV = (".csv", ".tsv", ".txt")


class Refused(NamedTuple):
    """How many events each rule refused, and of each the first in words: file, place, field and problem."""

    counts: Counter[str]
    first: dict[str, str]

    @classmethod
    def none(cls) -> "Refused":
        return cls(Counter(), {})

    def add(self, rejection: Rejection, place: str) -> None:
        """Note one. place: the file and where in it, or whose event it is."""
        self.counts[rejection.rule] += 1
        if rejection.rule not in self.first:
            field = f", field {rejection.field}" if rejection.field else ""
            self.first[rejection.rule] = f"{place}{field}: {rejection.problem}"

    def words(self) -> list[str]:
        """A line for each rule, the most frequent first."""
        return [f"{n:,} events left out by rule {rule}; the first: {self.first[rule]}" for rule, n in self.counts.most_common()]


# ---- registers --------------------------------------------------------------------------------------------------------


def read_registers(areas: Path, categories: Path, municipality: str, name: str = "") -> tuple[AreaRegister, CategoryTree]:
    """Areas from GeoJSON, categories from a CSV file of either form.

    municipality, name: its code, and what it is called. Raises RegisterError with every error, naming file, line or
    feature, field and rule; FileProblem for a file that cannot be read.
    """
    problems: list[RegisterProblem] = []
    register, tree = None, None
    try:
        register = load_areas(_bytes(areas), file=str(areas), municipality=municipality, municipality_name=name)
    except RegisterError as error:
        problems += error.problems
    try:
        tree = _categories(_bytes(categories), str(categories))
    except RegisterError as error:
        problems += error.problems
    if register is None or tree is None:
        raise RegisterError(problems)
    return register, tree


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileProblem(f"{path}: cannot be opened ({error.strerror})") from error


def _categories(data: bytes, file: str) -> CategoryTree:
    text = data.decode("utf-8-sig", errors="replace")
    header = [cell.strip() for cell in text.split("\n", 1)[0].replace(";", ",").split(",")]
    if sorted(header) == sorted(_GROUPED):
        if "�" in text:
            line = text.count("\n", 0, text.index("�")) + 1
            raise RegisterError([RegisterProblem(file, f"line {line}", "encoding", "not UTF-8; save it as UTF-8")])
        return load_categories(_long_form(text, file), file=file)
    if sorted(header) != sorted(COLUMNS):
        words = f"the columns are {','.join(header)[:200]}; they must be {','.join(COLUMNS)}, or in short {','.join(_GROUPED)}"
        raise RegisterError([RegisterProblem(file, "line 1", "header", words)])
    return load_categories(data, file=file)


def _long_form(text: str, file: str) -> str:
    """A category file of the short form as one of the long form: line n stays line n, groups follow at the end."""
    delimiter = ";" if ";" in text.split("\n", 1)[0] else ","
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    header = [cell.strip() for cell in next(reader)]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    problems: list[RegisterProblem] = []
    groups: dict[str, int] = {}
    codes: set[str] = set()
    for row in reader:
        out.write("\n" * (reader.line_num - 1 - out.getvalue().count("\n")))  # blank lines stay
        cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
        place = f"line {reader.line_num}"
        if not any(cells.values()):
            continue
        if len(row) != len(header):
            problems.append(RegisterProblem(file, place, "columns", f"{len(row)} columns where the header has {len(header)}"))
            continue
        if cells["kind"] not in KINDS:
            words = f"field kind: {cells['kind']!r} is not one of {', '.join(KINDS)}"
            problems.append(RegisterProblem(file, place, "kind", words))
        groups.setdefault(cells["group"], reader.line_num)
        codes.add(cells["code"])
        writer.writerow([cells["code"], cells["group"], cells["code"] or "-", cells["code"] or "-", "", ""])
    for group, first in groups.items():
        if group in codes:
            words = f"field group: {group!r} is also the code of a category; a group needs a code of its own"
            problems.append(RegisterProblem(file, f"line {first}", "group", words))
        elif group:
            writer.writerow([group, "", group, group, "1", "reported"])
    if problems:
        raise RegisterError(problems)
    return out.getvalue()


# ---- events -----------------------------------------------------------------------------------------------------------


def read_events(
    paths: Sequence[Path],
    timezone: str,
    *,
    municipality: str = UNKNOWN,
    mapping: Mapping | None = None,
    mapping_name: str = "",
    refused: Refused | None = None,
) -> list[AnyEvent]:
    """All events of some files, in the order in which they were recorded; of one instant, in that of the files.

    A CSV file without a mapping has event fields for columns; source and municipality may be missing from it, and are then
    the file's name and `municipality`. What cannot be read is noted in `refused`. Raises FileProblem for a file that
    cannot be opened or is damaged, and for a CSV file without the columns that every event needs.
    """
    refused = Refused.none() if refused is None else refused
    events: list[AnyEvent] = []
    for path in paths:
        chosen = mapping or _plain(path, municipality)
        unit = "item" if path.name.lower().removesuffix(".gz").endswith(".json") else "line"
        for supply in EventFile(path, mapping=chosen, mapping_name=mapping_name or "-", default_timezone=timezone):
            events += supply.decoded.events
            for one in supply.decoded.rejections:
                refused.add(one, f"{path}, {unit} {one.index + supply.first}")
    events.sort(key=operator.attrgetter("recorded_at"))
    return events


def _is_csv(path: Path) -> bool:
    return path.name.lower().removesuffix(".gz").endswith(_CSV)


def _plain(path: Path, municipality: str) -> Mapping | None:
    """For a CSV file whose header lacks what is the same in all of its rows: the columns it has, and constants."""
    if not _is_csv(path):
        return None
    header = _header(path)
    if unknown := [name for name in header if name not in FIELDS]:
        raise FileProblem(
            f"{path}, line 1: column {unknown[0][:40]!r} is not an event field; name a mapping of the settings (--mapping), "
            f"or use the fields {', '.join(FIELDS)}"
        )
    interval = {"occurred_from", "occurred_to"} <= set(header)
    if lacking := [name for name in _NEEDED if name not in header and not (name == "occurred_at" and interval)]:
        raise FileProblem(f"{path}, line 1: there is no column {lacking[0]}; every event needs {', '.join(_NEEDED)}")
    constants = {"source": path.name.split(".")[0], "municipality": municipality}
    constants = {field: value for field, value in constants.items() if field not in header}
    return Mapping(columns={name: name for name in header}, constants=constants) if constants else None


def _header(path: Path) -> list[str]:
    try:
        with path.open("rb") as raw:
            zipped = raw.peek(2)[:2] == b"\x1f\x8b"
            with io.TextIOWrapper(gzip.GzipFile(fileobj=raw) if zipped else raw, encoding="utf-8-sig") as lines:
                return [name.strip() for name in next(csv.reader(lines), [])]
    except (OSError, EOFError) as error:
        raise FileProblem(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    except (UnicodeError, csv.Error) as error:
        raise FileProblem(
            f"{path}, line 1: not readable as UTF-8 CSV; save it as UTF-8, or name its encoding in a mapping"
        ) from error
