"""Tables in files: CSV, Parquet or JSON, as the file's ending says."""

import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, Literal

from earlywarning.cli.place import OperatorError
from earlywarning.runtimes.cells import cell

Form = Literal["csv", "parquet", "json"]
FORMS: tuple[Form, ...] = ("csv", "parquet", "json")
Row = Mapping[str, Any]


def form_of(out: Path, option: str = "--out") -> Form:
    """Which form a file is to have; - is CSV. Raises OperatorError for an ending that says none, or a missing extra."""
    if str(out) == "-":
        return "csv"
    if out.is_dir():
        raise OperatorError(f"{option} {out}: is a folder; name a file in it")
    ending = out.suffix.lower().removeprefix(".")
    if ending not in FORMS:
        raise OperatorError(f"{option} {out}: the ending says the form; write .csv, .parquet or .json")
    if ending == "parquet":
        _pyarrow()
    return ending


@contextmanager
def target(out: Path, option: str = "--out") -> Iterator[Path | None]:
    """A path beside `out` to write to (None: standard output): tried before the long work, in place when it is done."""
    if str(out) == "-":
        yield None
        return
    part = out.with_name(f"{out.name}.part")
    try:
        part.touch()
    except OSError as error:
        raise OperatorError(f"{option} {out}: cannot be written ({error.strerror}); name a file in a folder that exists") from error
    try:
        yield part
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def write_table(path: Path | None, form: Form, columns: Mapping[str, type], rows: Sequence[Row]) -> None:
    """Write rows. columns: name and type of each (str, int, float, bool, date, or list for lists of codes).

    What is missing (None) is empty in CSV and null elsewhere; a list is ;-separated in CSV.
    """
    if form == "parquet":
        assert path is not None  # noqa: S101  # only a file's ending says it
        write_parquet(path, columns, rows)
        return
    if path is None:
        _write_text(sys.stdout, form, columns, rows)
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        _write_text(file, form, columns, rows)


def _write_text(file: Any, form: Form, columns: Mapping[str, type], rows: Sequence[Row]) -> None:
    if form == "json":
        told = [{name: _plain(row.get(name)) for name in columns} for row in rows]
        json.dump(told, file, ensure_ascii=False, indent=1)
        file.write("\n")
        return
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_cell(row.get(name)) for name in columns] for row in rows])


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    return cell(";".join(value) if isinstance(value, tuple | list) else value)


def write_parquet(path: Path, columns: Mapping[str, type], rows: Sequence[Row]) -> None:
    """Rows as one Parquet file. Raises OperatorError when the extra is not installed."""
    pa, pq = _pyarrow()
    kinds = {
        str: pa.string(),
        int: pa.int64(),
        float: pa.float64(),
        bool: pa.bool_(),
        date: pa.date32(),
        list: pa.list_(pa.string()),
    }
    fields = [(name, kinds[kind]) for name, kind in columns.items()]
    values = {name: [list(v) if isinstance(v := row.get(name), tuple) else v for row in rows] for name in columns}
    pq.write_table(pa.table(values, schema=pa.schema(fields)), path)


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa  # noqa: PLC0415  # an extra, and slow to load
        import pyarrow.parquet as pq  # noqa: PLC0415  # likewise
    except ModuleNotFoundError as error:
        raise OperatorError("Parquet needs the extra: pip install 'earlywarning[parquet]'") from error
    return pa, pq
