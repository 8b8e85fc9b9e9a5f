"""Tables in files: CSV, Parquet or JSON, as the file's ending says."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from earlywarning.cli.place import OperatorError
from earlywarning.lab.table_forms import FORMS, Form, MissingExtraError, Row, pyarrow_parts, table_bytes


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
        try:
            pyarrow_parts()
        except MissingExtraError as error:
            raise OperatorError(str(error)) from error
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
    """Write rows; see lab.table_forms. path: None is standard output. Raises OperatorError when the extra is not installed."""
    try:
        data = table_bytes(form, columns, rows)
    except MissingExtraError as error:
        raise OperatorError(str(error)) from error
    if path is None:
        sys.stdout.write(data.decode())
        return
    path.write_bytes(data)


def write_parquet(path: Path, columns: Mapping[str, type], rows: Sequence[Row]) -> None:
    """Rows as one Parquet file. Raises OperatorError when the extra is not installed."""
    write_table(path, "parquet", columns, rows)
