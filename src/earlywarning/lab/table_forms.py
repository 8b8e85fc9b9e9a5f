"""Tables as CSV, Parquet or JSON."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Literal

from earlywarning.lab.cells import cell

Form = Literal["csv", "parquet", "json"]
FORMS: tuple[Form, ...] = ("csv", "parquet", "json")
Row = Mapping[str, Any]


class MissingExtraError(RuntimeError):
    """Parquet was asked for, and its library is not installed."""


def table_bytes(form: Form, columns: Mapping[str, type], rows: Sequence[Row]) -> bytes:
    """Rows as a file's content. columns: name and type of each (str, int, float, bool, date, or list for lists of codes).

    What is missing (None) is empty in CSV and null elsewhere; a list is ;-separated in CSV. Raises MissingExtraError.
    """
    if form == "parquet":
        return _parquet(columns, rows)
    if form == "json":
        told = [{name: plain(row.get(name)) for name in columns} for row in rows]
        return (json.dumps(told, ensure_ascii=False, indent=1) + "\n").encode()
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[_cell(row.get(name)) for name in columns] for row in rows])
    return out.getvalue().encode()


def plain(value: Any) -> Any:
    """A cell as JSON has it."""
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


def _parquet(columns: Mapping[str, type], rows: Sequence[Row]) -> bytes:
    pa, pq = pyarrow_parts()
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
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(values, schema=pa.schema(fields)), out)
    return bytes(out.getvalue().to_pybytes())


def pyarrow_parts() -> tuple[Any, Any]:
    """The library. Raises MissingExtraError when it is not installed."""
    try:
        import pyarrow as pa  # noqa: PLC0415  # an extra, and slow to load
        import pyarrow.parquet as pq  # noqa: PLC0415  # likewise
    except ModuleNotFoundError as error:
        raise MissingExtraError("Parquet needs the extra: pip install 'earlywarning[parquet]'") from error
    return pa, pq
