"""Cells of tables that people open in a spreadsheet: a text is never a formula there."""

from collections.abc import Iterable, Mapping
from typing import Any

_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cell(value: Any) -> Any:
    """The value of a cell; a text that a spreadsheet would compute gets an apostrophe before it. Numbers stay as they are."""
    if isinstance(value, str) and value.startswith(_BEGINS_A_FORMULA):
        return f"'{value}"
    return value


def cells(rows: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """Rows with every cell made safe."""
    return ({name: cell(value) for name, value in row.items()} for row in rows)
